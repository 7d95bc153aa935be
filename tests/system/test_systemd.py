"""The packages under a real systemd, booted in a private copy of this machine: start, settings, kill, upgrade, purge."""
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import packages, programs  # noqa: E402
from tests.system.support.booted_root import BootedRoot  # noqa: E402
from tests.system.support.private_root import Unavailable  # noqa: E402

AGENT = "claude-telemetry-agent"
CONFIG = """\
claude: { settings: dropin, user_env: false }
relay: { spool: { min_free_disk_mib: 0 } }
destinations: [{ name: central, endpoint: "http://127.0.0.1:9" }]
"""
DROPIN = "/etc/claude-code/managed-settings.d/90-claude-telemetry.json"
# Sends one request after another until it is told to stop; then says how many got their 200 and what else came.
SENDER = """\
import http.client, signal, sys, threading
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}'
good, bad = 0, []
print("ready", flush=True)
while not stop.is_set():
    try:
        link = http.client.HTTPConnection("127.0.0.1", 14318, timeout=30)
        link.request("POST", "/v1/logs", body, {"Content-Type": "application/json"})
        status = link.getresponse().status
        link.close()
        good += status == 200
        if status != 200:
            bad.append(str(status))
    except ConnectionRefusedError:
        bad.append("refused")
    except (OSError, http.client.HTTPException):
        pass  # cut in the middle by a kill: not acknowledged, the client would send again
print(good, *bad, flush=True)
"""


def setUpModule():
    global debs, older, holder
    holder = programs.Folder()
    folder = holder.__enter__()
    unittest.addModuleCleanup(holder.__exit__)
    packages.need("dpkg-deb", "dpkg-shlibdeps")
    packages.build(folder / "packages", KINDS="deb")
    debs = packages.debs(folder / "packages")
    older = packages.an_older(debs[AGENT], folder)


class Systemd(unittest.TestCase):
    def setUp(self):
        try:
            self.root = BootedRoot()
        except Unavailable as why:
            self.skipTest(str(why))
        self.addCleanup(self.root.close)
        for path in (debs[AGENT], older):
            self.root.copy_in(path, f"/root/{path.name}")

    def install(self, path):
        self.root.run("dpkg", "--force-confold", "-i", f"/root/{path.name}")

    def property(self, name, unit=f"{AGENT}.service"):
        return self.root.out("systemctl", "show", "-P", name, unit)

    def active(self, *names):
        return [self.root.out("systemctl", "is-active", f"claude-telemetry-{name}", code=None) for name in names]

    def healthy(self):
        return self.root.run(AGENT, "status", "--brief", code=None).returncode == 0

    def configure(self):
        self.root.write("/etc/claude-telemetry/agent.yaml", CONFIG, "0640", "root:claude-telemetry")
        self.root.run("systemctl", "restart", f"{AGENT}.service")
        programs.wait_until(lambda: self.property("SubState") == "running", 30, what="running agent")

    def sender(self):
        self.root.write("/root/sender.py", SENDER)
        sender = self.root.start("python3", "/root/sender.py", stdout=subprocess.PIPE)
        self.assertEqual(sender.stdout.readline(), "ready\n")

        def report():
            self.root.run("pkill", "-TERM", "-f", "/root/sender.py")
            good, *bad = sender.communicate(timeout=60)[0].split()
            return int(good), bad
        self.addCleanup(sender.kill)
        return report

    def records(self):
        self.root.run("systemctl", "stop", f"{AGENT}.service", f"{AGENT}.socket")
        listed = self.root.out("runuser", "-u", "claude-telemetry", "--", AGENT, "spool", "list", "--json")
        return json.loads(listed)["requests"]

    def test_it_starts_serves_and_repairs_settings_as_its_units_say(self):
        self.install(debs[AGENT])
        programs.wait_until(lambda: self.property("SubState") == "running", 30, what="running agent")
        self.assertEqual(self.active("agent.service", "agent.socket", "settings.path", "settings.timer"), ["active"] * 4)
        self.assertEqual(self.property("Type"), "notify")
        self.assertEqual(self.root.out("stat", "-c", "%U", f"/proc/{self.property('MainPID')}"), "claude-telemetry")
        self.assertEqual(self.root.stat("/var/lib/claude-telemetry"), "700 claude-telemetry:claude-telemetry")
        self.assertEqual(self.root.stat(DROPIN), "")
        self.configure()
        programs.wait_until(lambda: self.root.stat(DROPIN) == "644 root:root", 90, what="settings")
        self.root.run("rm", DROPIN)
        programs.wait_until(lambda: self.root.stat(DROPIN) == "644 root:root", 90, what="repaired settings")
        self.root.run("systemctl", "reload", f"{AGENT}.service")
        self.assertEqual(self.active("agent.service"), ["active"])

    def test_killed_and_upgraded_while_it_takes_requests_it_refuses_and_loses_none(self):
        self.install(older)
        self.configure()
        report = self.sender()
        restarts = int(self.property("NRestarts"))
        for nth in range(1, 4):
            self.root.run("systemctl", "kill", "-s", "KILL", f"{AGENT}.service")
            programs.wait_until(lambda: int(self.property("NRestarts")) >= restarts + nth, 30, what="a restart")
            programs.wait_until(lambda: self.property("SubState") == "running", 30, what="running agent")
        self.install(debs[AGENT])
        programs.wait_until(lambda: self.property("SubState") == "running", 30, what="running agent")
        good, bad = report()
        self.assertEqual(bad, [])
        self.assertGreater(good, 50)
        # A request that was cut by a kill may be on disk without its 200.
        self.assertGreaterEqual(self.records(), good)
        self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml") + "\n", CONFIG)

    def test_purge_leaves_nothing_of_a_running_agent(self):
        before = self.root.changed()
        self.install(debs[AGENT])
        self.configure()
        programs.wait_until(lambda: self.root.stat(DROPIN) == "644 root:root", 90, what="settings")
        self.root.run("dpkg", "-P", AGENT)
        self.assertEqual(self.root.out("systemctl", "list-unit-files", "--no-legend", "claude-telemetry*", code=None), "")
        self.assertEqual(self.root.run("pgrep", "-f", "/usr/bin/claude-telemetry", code=None).stdout, "")
        left = {path for path in self.root.changed() - before
                if "claude" in path and not path.startswith(("var/lib/dpkg", "var/log", "root/"))}
        self.assertEqual(left, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
