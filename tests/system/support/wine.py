"""Windows programs under Wine, in a prefix of their own and without a display."""
import os
import pathlib
import re
import shutil
import subprocess

PROGRAM = "/usr/lib/wine/wine64"


class Wine:
    """A prefix below `folder`, ready for use."""

    def __init__(self, folder):
        self.prefix = pathlib.Path(folder) / "wine"
        self.c = self.prefix / "drive_c"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "WINEPREFIX": str(self.prefix),
                            "WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}
        self.run("wineboot", "--init")
        self.finish()

    def run(self, *words, limit_s=120):
        """What it prints and its exit code's lowest byte, which is all that Wine hands on."""
        done = subprocess.run([PROGRAM, *map(str, words)], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=limit_s, cwd=self.prefix.parent)
        return done.stdout.decode(errors="replace").replace("\r", ""), done.returncode

    def finish(self, *how):
        """Waits until nothing runs any more; ends everything with "-k"."""
        server = shutil.which("wineserver") or "/usr/lib/wine/wineserver"
        subprocess.run([server, *(how or ["-w"])], env=self.environment, timeout=120, stderr=subprocess.DEVNULL)

    def registry(self, key):
        """{key: {name: value}} of everything below a key of the 64-bit registry."""
        found, at = {}, None
        for line in self.run("reg", "query", key, "/s", "/reg:64")[0].splitlines():
            value = re.match(r"    (.*?)    (REG_\w+)    (.*)$", line)
            if value:
                found[at][value.group(1)] = value.group(3)
            elif line.startswith("HKEY_"):
                at = line
                found[at] = {}
        return {key: values for key, values in found.items() if values}
