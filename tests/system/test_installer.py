"""What device managers run on a machine, against a real agent below a private root."""
import json
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import npm, programs  # noqa: E402

INSTALLER = programs.ROOT / "installer"
# Stands in for the Mac's plutil: -extract KEY.PATH raw -o - -
PLUTIL = """\
#!/usr/bin/env python3
import json, sys
assert sys.argv[1] == "-extract" and sys.argv[3:] == ["raw", "-o", "-", "-"], sys.argv
value = json.load(sys.stdin)
try:
    for key in sys.argv[2].split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
except (KeyError, IndexError, TypeError):
    sys.exit(1)
if value is None:
    print("<null>")
else:
    print(value)
"""


class Scripts(unittest.TestCase):
    def setUp(self):
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.program("plutil", PLUTIL)

    def program(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run_script(self, path, base=INSTALLER):
        done = subprocess.run(["/bin/sh", base / path], capture_output=True, text=True, timeout=30,
                              env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder)})
        self.assertEqual((done.returncode, done.stderr), (0, ""), path)
        return done.stdout.strip()

    def attribute(self, name):
        said = self.run_script(f"jamf/extension-attributes/{name}.sh")
        self.assertRegex(said, r"^<result>[^<>]*</result>$")
        text = said.removeprefix("<result>").removesuffix("</result>")
        self.assertEqual(self.run_script(f"intune/attribute-{name}.sh", base=programs.ROOT / "templates"), text)
        return text

    def compliance(self):
        return json.loads(self.run_script("intune/linux/compliance.sh"))

    def agent(self):
        server = programs.Server(self.folder).set_up().start()
        self.addCleanup(server.program.stop)
        agent = programs.Agent(self.folder, server.url, token=server.token)
        self.program("claude-telemetry-agent", f'#!/bin/sh\nexec {programs.AGENT} "$@" --root {agent.root}\n')
        self.addCleanup(agent.program.stop)
        return agent

    def test_without_an_agent_they_say_so_and_do_not_fail(self):
        self.assertEqual(self.attribute("state"), "not installed")
        self.assertEqual(self.attribute("last-delivery"), "")
        self.assertEqual(self.attribute("doctor"), "")
        self.assertEqual(self.compliance(), {"AgentInstalled": False, "AgentRunning": False, "AgentHealthy": False})

    def test_a_stopped_agent_is_not_running(self):
        self.agent()
        self.assertEqual(self.attribute("state"), "not running")
        self.assertEqual(self.compliance(), {"AgentInstalled": True, "AgentRunning": False, "AgentHealthy": False})

    def test_a_delivering_agent_is_healthy_and_says_when(self):
        agent = self.agent().start()
        self.assertIn("healthy", self.attribute("state"))
        self.assertEqual(self.attribute("last-delivery"), "")
        record = {"timeUnixNano": "1700000000000000000", "body": {"stringValue": "hello"}}
        body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
        self.assertEqual(programs.http("POST", agent.url + "/v1/logs", body, {"Content-Type": "application/json"})[0], 200)
        delivered = lambda: agent.status()["destinations"][0]["last_success_at"]  # noqa: E731
        at = programs.wait_until(delivered, what="delivery")
        self.assertEqual(self.attribute("last-delivery"), at[:19].replace("T", " "))
        self.assertEqual(self.compliance(), {"AgentInstalled": True, "AgentRunning": True, "AgentHealthy": True})

    def test_the_newest_delivery_and_the_doctors_count_are_shown(self):
        status = {"destinations": [{"last_success_at": "2026-01-02T03:04:05.678Z"}, {"last_success_at": None},
                                   {"last_success_at": "2026-01-02T03:04:06Z"}, {"last_success_at": "2025-12-31T00:00:00Z"}],
                  "doctor": {"failed": 2, "warned": 1, "ran_at": "2026-01-01T00:00:00Z"}}
        (self.folder / "status").write_text(json.dumps(status))
        self.program("claude-telemetry-agent", f"#!/bin/sh\ncat {self.folder}/status\n")
        self.assertEqual(self.attribute("last-delivery"), "2026-01-02 03:04:06")
        self.assertEqual(self.attribute("doctor"), "2 failed, 1 warned, 2026-01-01T00:00:00Z")

    def test_the_compliance_rules_ask_for_what_the_script_prints(self):
        rules = json.loads((INSTALLER / "intune/linux/compliance.json").read_text())["Rules"]
        self.assertEqual({rule["SettingName"] for rule in rules}, set(self.compliance()))
        for rule in rules:
            self.assertEqual((rule["Operator"], rule["DataType"], rule["Operand"]), ("IsEquals", "Boolean", True))
            self.assertEqual(set(rule["RemediationStrings"][0]), {"Language", "Title", "Description"})

    def windows_scripts(self):
        return sorted((INSTALLER / "intune/windows").glob("*.ps1"))

    def test_powershell_scripts_parse(self):
        try:
            modules = npm.install("powershell-grammar", "@vscode/tree-sitter-wasm@0.3.1")
        except npm.Unavailable as why:
            self.skipTest(str(why))
        check = pathlib.Path(__file__).resolve().parent / "support/parse_powershell.cjs"
        broken = self.folder / "broken.ps1"
        broken.write_text("if ($a { 'x' }\n")
        done = subprocess.run(["node", check, modules, *self.windows_scripts(), broken], capture_output=True, text=True)
        self.assertRegex(done.stdout, r"^broken\.ps1:1:\d+\n$", done.stderr)

    def test_powershell_scripts_keep_to_what_intune_allows(self):
        scripts = self.windows_scripts()
        self.assertEqual(len(scripts), 6)
        for path in scripts:
            text = path.read_bytes().decode("ascii")
            self.assertLess(len(text), 50_000)
            self.assertNotRegex(text, r"Write-(Error|Host)|Restart-Computer|Invoke-Expression", path.name)
            self.assertNotRegex(text, r"&\s*\$program(?!.*2>\$null)", f"{path.name}: standard error is a failure to Intune")
        for name in ("service", "doctor"):
            for part in ("detect", "remediate"):
                self.assertRegex((INSTALLER / f"intune/windows/{name}-{part}.ps1").read_text(), r"\nexit 0\n.*|exit 1\n}\n")
        version = (programs.ROOT / "VERSION").read_text().strip()
        self.assertIn(f"[version]'{version}'", (INSTALLER / "intune/windows/app-detection.ps1").read_text())

    def test_the_rules_for_windows_ask_for_what_its_script_prints(self):
        rules = json.loads((INSTALLER / "intune/windows/compliance.json").read_text())["Rules"]
        text = (INSTALLER / "intune/windows/compliance.ps1").read_text()
        printed = set(re.findall(r"(\w+) = \$\w+[;\s}]", text.split("$hash = @{")[1].split("}")[0] + " "))
        self.assertEqual({rule["SettingName"] for rule in rules}, printed)

    def test_the_installer_explains_wrong_usage(self):
        for words in ([], ["--package"], ["--package", "x"], ["--nonsense", "x"]):
            done = subprocess.run(["/bin/sh", INSTALLER / "linux/install.sh", *words], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("install.sh --package", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
