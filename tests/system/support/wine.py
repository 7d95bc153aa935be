"""Windows programs under Wine, in a prefix of their own and without a display."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

PROGRAM = "/usr/lib/wine/wine64"


class Wine:
    """A prefix below `folder`, ready for use. Without `whole_disk` its programs see nothing of this system's files
    but drive C:, so that a path such as "/home" means nobody's home here."""

    def __init__(self, folder, whole_disk=True):
        self.prefix = pathlib.Path(folder) / "wine"
        self.c = self.prefix / "drive_c"
        self.folder = self.prefix.parent
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "WINEPREFIX": str(self.prefix),
                            "WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}
        self.run("wineboot", "--init")
        self.finish()
        if not whole_disk:
            (self.prefix / "dosdevices/z:").unlink()
            self.folder = self.c

    def run(self, *words, limit_s=120):
        """What it prints and its exit code's lowest byte, which is all that Wine hands on. `errors` holds its standard error."""
        # Into files: a service that is started here keeps what it inherits open, and a pipe would have no end.
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
            done = subprocess.run([PROGRAM, *map(str, words)], env=self.environment, stdin=subprocess.DEVNULL,
                                  stdout=said, stderr=errors, timeout=limit_s, cwd=self.folder)
            texts = []
            for file in (said, errors):
                file.seek(0)
                texts.append(file.read().decode(errors="replace").replace("\r", ""))
        self.errors = texts[1]
        return texts[0], done.returncode

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
