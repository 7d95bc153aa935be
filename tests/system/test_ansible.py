"""The Ansible role on a booted private copy of this machine: install, configure, run, nothing to do the second time,
upgrade, back a version, a broken configuration, remove, purge. The server it reports to runs in there, too."""
import json
import pathlib
import re
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import packages, programs  # noqa: E402
from tests.system.support.booted_root import BootedRoot  # noqa: E402
from tests.system.support.private_root import Unavailable  # noqa: E402

AGENT, SERVER = packages.AGENT, packages.SERVER
DROPIN = "/etc/claude-code/managed-settings.d/90-claude-telemetry.json"
FOLDER = programs.ROOT / "installer/ansible"


def setUpModule():
    if not shutil.which("ansible-playbook"):
        raise unittest.SkipTest("needs `ansible-playbook`: apt-get install ansible-core python3-apt")
    packages.need("dpkg-deb", "dpkg-shlibdeps")
    global debs, older
    holder = programs.Folder()
    folder = holder.__enter__()
    unittest.addModuleCleanup(holder.__exit__)
    packages.build(folder / "packages", KINDS="deb")
    debs = packages.debs(folder / "packages")
    older = packages.an_older(debs[AGENT], folder)


class Ansible(unittest.TestCase):
    def setUp(self):
        try:
            self.root = BootedRoot()
        except Unavailable as why:
            self.skipTest(str(why))
        self.addCleanup(self.root.close)
        for path in (*debs.values(), older):
            self.root.copy_in(path, f"/root/{path.name}")
        for path in FOLDER.rglob("*"):
            if path.is_file():
                self.root.copy_in(path, f"/root/ansible/{path.relative_to(FOLDER)}")

    def server(self):
        """Started as its package does it; the secret by which machines enrol."""
        self.root.run("dpkg", "-i", f"/root/{debs[SERVER].name}")
        as_server = ["runuser", "-u", SERVER, "--", SERVER]
        self.root.run(*as_server, "system", "create", "claude-code")
        return self.root.out(*as_server, "enrollment-secret", "create", "--system", "claude-code")

    def play(self, code=0, **changes):
        """{ok, changed, failed, …} of one run, whose whole text is in self.said."""
        self.wanted = {**self.wanted, **changes}
        self.root.write("/root/wanted.json", json.dumps(self.wanted), "0600")
        done = self.root.run("ansible-playbook", "-i", "machine,", "-c", "local", "/root/ansible/rollout.yml",
                             "-e", "@/root/wanted.json", "-e", "ansible_python_interpreter=/usr/bin/python3", code=None)
        self.said = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, self.said)
        recap = re.search(r"^machine\s*: (.*)$", self.said, re.M).group(1)
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}

    def version(self):
        return self.root.out("dpkg-query", "-W", "-f", "${Version}", AGENT)

    def rows(self):
        """What was sent: heartbeats are rows of no session."""
        return int(self.root.out("sqlite3", "-readonly", "/var/lib/claude-telemetry-server/messages.db",
                                 "select count(*) from message where session <> 0", code=None) or 0)

    def send(self):
        record = {"attributes": [{"key": "session.id", "value": {"stringValue": "s-1"}}], "body": {"stringValue": "hello"}}
        body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
        self.assertEqual(self.root.out("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json",
                                       "-d", body, "http://127.0.0.1:14318/v1/logs"), "200")

    def test_from_nothing_to_a_healthy_machine_and_back(self):
        before = self.root.changed()
        secret = self.server()
        new = (programs.ROOT / "VERSION").read_text().strip()
        self.wanted = {
            "claude_telemetry_package": f"/root/{older.name}", "claude_telemetry_enrollment_secret": secret,
            "claude_telemetry_config": {
                "server": {"url": "http://127.0.0.1:4320", "enrollment_secret_file": "/etc/claude-telemetry/enrollment-secret"},
                "claude": {"settings": "dropin", "user_env": False}, "relay": {"spool": {"min_free_disk_mib": 0}},
                "destinations": [{"name": "central", "endpoint": "http://127.0.0.1:4320",
                                  "headers": {"Authorization": "Bearer ${device_token}"}}]}}
        self.assertGreaterEqual(self.play()["changed"], 4)
        self.assertNotIn(secret, self.said)
        self.assertEqual(self.version(), "0.0.1~test")
        self.assertEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "640 root:claude-telemetry")
        self.assertEqual(self.root.stat("/etc/claude-telemetry/enrollment-secret"), "400 claude-telemetry:claude-telemetry")
        programs.wait_until(lambda: self.root.stat(DROPIN) == "644 root:root", 60, what="settings")
        self.send()
        programs.wait_until(lambda: self.rows() == 1, 60, what="a row on the server")

        self.assertEqual(self.play()["changed"], 0, "a second run has nothing to do")

        for package, version in ((debs[AGENT], new), (older, "0.0.1~test"), (debs[AGENT], new)):  # on, back, on again
            self.assertGreater(self.play(claude_telemetry_package=f"/root/{package.name}")["changed"], 0)
            self.assertEqual(self.version(), version)
            self.assertEqual(self.play()["changed"], 0)
        self.send()
        programs.wait_until(lambda: self.rows() == 2, 60, what="a second row")

        good = self.root.out("cat", "/etc/claude-telemetry/agent.yaml")
        kept = self.wanted["claude_telemetry_config"]
        self.assertEqual(self.play(code=2, claude_telemetry_config={**kept, "relay": {"listne": "x"}})["failed"], 1)
        self.assertIn("listne", self.said)
        self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml"), good)
        self.assertEqual(self.root.out("systemctl", "is-active", f"{AGENT}.service"), "active")
        self.play(claude_telemetry_config=kept)

        self.assertGreater(self.play(claude_telemetry_present=False)["changed"], 0)
        self.assertEqual(self.root.stat(DROPIN), "")
        self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml"), good)
        self.assertEqual(self.play()["changed"], 0)
        self.play(claude_telemetry_purge=True)
        self.root.run("dpkg", "-P", SERVER)
        left = {path for path in self.root.changed() - before
                if "claude" in path and not path.startswith(("var/lib/dpkg", "var/log", "root/"))}
        self.assertEqual(left, set())

    def test_a_machine_that_does_not_get_healthy_stops_the_ring(self):
        self.wanted = {"claude_telemetry_package": f"/root/{debs[AGENT].name}", "claude_telemetry_healthy_within": 2,
                       "claude_telemetry_config": {"server": {"url": "http://127.0.0.1:9"}}}
        self.assertEqual(self.play(code=2)["failed"], 1)
        self.assertIn("Wait until it is healthy", self.said)

    def test_a_package_that_is_not_named_is_asked_for(self):
        self.wanted = {}
        self.assertEqual(self.play(code=2)["failed"], 1)
        self.assertIn("name a .deb or .rpm on the control node", self.said)
        self.assertEqual(self.root.run("dpkg", "-s", AGENT, code=None).returncode, 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
