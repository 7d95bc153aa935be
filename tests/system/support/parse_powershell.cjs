// parse_powershell.cjs NODE_MODULES FILE...: prints "name:line:column" of each place that is no PowerShell.
const fs = require("fs");
const path = require("path");
const [modules, ...files] = process.argv.slice(2);
const folder = path.join(modules, "@vscode/tree-sitter-wasm/wasm");
const { Parser, Language } = require(path.join(folder, "tree-sitter.js"));

function report(name, node) {
  if (node.isError || node.isMissing) {
    console.log(`${name}:${node.startPosition.row + 1}:${node.startPosition.column + 1}`);
    return;
  }
  for (const child of node.children) report(name, child);
}

(async () => {
  await Parser.init({ locateFile: () => path.join(folder, "tree-sitter.wasm") });
  const parser = new Parser();
  parser.setLanguage(await Language.load(path.join(folder, "tree-sitter-powershell.wasm")));
  for (const file of files) report(path.basename(file), parser.parse(fs.readFileSync(file, "utf8")).rootNode);
})();
