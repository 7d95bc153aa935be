"""The real claude.exe under Wine, told by nothing but the settings that the agent for Windows writes."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system import test_windows_agent as windows  # noqa: E402
from tests.system.support import fake_messages, npm, programs  # noqa: E402
from tests.system.support.wine import PROGRAM  # noqa: E402

COMPILER = "x86_64-w64-mingw32-gcc"
# Windows 10 has it, Wine 8 does not, and claude.exe starts with nothing less.
SHIM = """#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID data, ULONG size);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return SystemFunction036(data, (ULONG)size); }
"""


def setUpModule():
    try:
        program = npm.claude_code_for_windows()
    except npm.Unavailable as why:
        raise unittest.SkipTest(f"the real claude.exe cannot be had here: {why}")
    if not shutil.which(COMPILER):
        raise unittest.SkipTest(f"needs `{COMPILER}`: make cross")
    windows.setUpModule()
    global home
    home = windows.wine.c / "claude"
    home.mkdir()
    os.link(program, home / "claude.exe") if program.stat().st_dev == home.stat().st_dev else \
        shutil.copy(program, home / "claude.exe")
    subprocess.run([COMPILER, "-shared", "-x", "c", "-", "-o", home / "bcryptprimitives.dll", "-ladvapi32"],
                   input=SHIM.encode(), check=True)


class RealClaudeCode(unittest.TestCase):
    def test_its_telemetry_arrives_by_the_settings_of_the_agent(self):
        api = fake_messages.FakeMessages()
        self.addCleanup(api.close)
        server = programs.Server(windows.folder / "claude").set_up().start()
        self.addCleanup(server.program.stop)
        relay = windows.WindowsAgent("claude", server).start()
        self.addCleanup(relay.kill)
        relay.headers()  # its settings are written
        environment = {**windows.wine.environment, "ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": "sk-ant-test",
                       "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        said = windows.folder / "claude.log"
        with open(said, "wb") as out:
            code = subprocess.run([PROGRAM, r"C:\claude\claude.exe", "-p", "Say that you are done"], env=environment,
                                  cwd=home, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=180).returncode
        self.assertEqual(code, 0, said.read_text()[-2000:])
        rows = programs.wait_until(lambda: server.messages(type="ai.generation"), 60, "a generation")
        self.assertGreater(rows[0]["costMicrocents"], 0)
        events = json.dumps(server.messages())
        self.assertIn("managed_settings_resolved", events)


if __name__ == "__main__":
    unittest.main(verbosity=2)
