"""The .rpm packages and the plain installer as dnf and rpm carry them out, with their scriptlets, in a private copy of
this machine: from a repository, up a version and back, removed with nothing left. What the distribution would provide,
a package of the test's says it provides: libraries and tools are this machine's."""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import packages, programs  # noqa: E402
from tests.system.support.private_root import PrivateRoot, Unavailable  # noqa: E402

AGENT, SERVER = packages.AGENT, packages.SERVER
DROPIN = "/etc/claude-code/managed-settings.d/90-claude-telemetry.json"
CONFIG = """\
claude: { settings: dropin, user_env: false }
relay: { spool: { min_free_disk_mib: 0 } }
destinations: [{ name: central, endpoint: "http://127.0.0.1:9" }]
"""
VERSION = (programs.ROOT / "VERSION").read_text().strip()
# Debian's rpm asks to be left alone; on an RPM distribution it does not.
RPM = '#!/bin/sh\nexec /usr/bin/rpm --force-debian "$@"\n'


def setUpModule():
    packages.need("rpmbuild", "rpm2archive", "dnf", "createrepo_c")
    global folder, rpms, older
    holder = programs.Folder()
    folder = holder.__enter__()
    unittest.addModuleCleanup(holder.__exit__)
    packages.build(folder / "packages", KINDS="rpm")
    rpms = packages.rpms(folder / "packages")
    older = packages.older_rpms(rpms, folder / "older")
    repository = folder / "repository"
    repository.mkdir()
    for path in (*rpms.values(), *older.values(), packages.rpm_of_this_system(rpms.values(), folder / "system")):
        shutil.copy(path, repository)
    subprocess.run(["createrepo_c", "--quiet", repository], check=True)


class Dnf(unittest.TestCase):
    def setUp(self):
        try:
            self.root = PrivateRoot()
        except Unavailable as why:
            self.skipTest(str(why))
        self.addCleanup(self.root.close)
        self.root.write("/usr/local/sbin/rpm", RPM, "0755")
        self.root.write("/etc/yum.repos.d/ours.repo", "[ours]\nname=ours\nbaseurl=file:///srv/ours\ngpgcheck=0\n")
        for path in (folder / "repository").rglob("*"):
            if path.is_file():
                self.root.copy_in(path, f"/srv/ours/{path.relative_to(folder / 'repository')}")
        for name in ("install", "uninstall"):
            self.root.copy_in(programs.ROOT / f"installer/linux/{name}.sh", f"/tmp/{name}.sh")
        self.root.write("/tmp/wanted.yaml", CONFIG)
        self.before = self.root.changed()

    def dnf(self, *words, code=0):
        return self.root.run("dnf", "-y", "-q", *words, code=code)

    def version(self, name=AGENT):
        return self.root.out("rpm", "-q", "--qf", "%{VERSION}", name)

    def configure(self):
        self.root.write("/etc/claude-telemetry/agent.yaml", CONFIG, "0640", "root:claude-telemetry")
        self.root.run(AGENT, "apply")

    def spool_a_request(self):
        self.root.run("install", "-d", "-o", "claude-telemetry", "-m", "0755", "/run/claude-telemetry")
        agent = self.root.start(AGENT, "run", "--no-settings", user="claude-telemetry",
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        body = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}'
        send = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json", "-d", body,
                "http://127.0.0.1:14318/v1/logs"]
        programs.wait_until(lambda: self.root.run(*send, code=None).stdout == "200", 60, what="a request that is taken")
        self.root.run("pkill", "-TERM", "-x", "claude-telemetr")
        agent.wait(30)

    def spooled(self):
        return json.loads(self.root.out(AGENT, "spool", "list", "--json"))["records"]

    def left(self):
        for folder_of_ours in ("/etc/claude-telemetry", "/var/lib/claude-telemetry", "/run/claude-telemetry"):
            self.assertEqual(self.root.stat(folder_of_ours), "", folder_of_ours)
        ours = {path for path in self.root.changed() - self.before if "claude" in path}
        return {path for path in ours if not path.startswith(("var/log", "var/cache/dnf", "var/lib/dnf"))}

    def test_from_a_repository_on_up_back_and_off(self):
        self.dnf("install", f"{AGENT}-0.0.1", f"{SERVER}-0.0.1")
        self.assertEqual((self.version(), self.version(SERVER)), ("0.0.1", "0.0.1"))
        self.assertEqual(self.root.stat("/etc/claude-telemetry"), "750 root:claude-telemetry")
        self.assertEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "640 root:claude-telemetry")
        self.assertEqual(self.root.stat("/etc/claude-telemetry/server.yaml"), "640 root:claude-telemetry-server")
        self.assertEqual(self.root.stat("/var/lib/claude-telemetry"), "700 claude-telemetry:claude-telemetry")
        self.assertEqual(self.root.out("systemctl", "is-enabled", f"{AGENT}.service"), "enabled")
        self.configure()
        self.spool_a_request()
        spooled = self.spooled()
        self.assertGreaterEqual(spooled, 1)
        for verb, version in (("upgrade", VERSION), ("downgrade", "0.0.1"), ("upgrade", VERSION)):
            self.dnf(verb, AGENT, SERVER)
            self.assertEqual((self.version(), self.version(SERVER)), (version, version))
            self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml") + "\n", CONFIG)
            self.assertEqual(self.spooled(), spooled)
            self.assertNotEqual(self.root.stat(DROPIN), "", f"{verb} took Claude Code's settings back")
            self.assertEqual(self.root.out("systemctl", "is-enabled", f"{AGENT}.service"), "enabled")
        self.dnf("remove", AGENT)
        self.assertEqual(self.root.stat(DROPIN), "")
        self.assertEqual(self.root.stat("/usr/bin/claude-telemetry-agent"), "")
        self.assertNotEqual(self.root.stat("/etc/claude-telemetry/server.yaml"), "")
        self.assertNotEqual(self.root.stat("/var/lib/claude-telemetry/spool"), "")

    def test_the_plain_installer_puts_it_on_goes_back_a_version_and_takes_it_off(self):
        install = ["sh", "/tmp/install.sh", "--config", "/tmp/wanted.yaml", "--package"]
        for path, version in ((rpms[AGENT], VERSION), (older[AGENT], "0.0.1"), (rpms[AGENT], VERSION), (rpms[AGENT], VERSION)):
            self.root.run(*install, f"/srv/ours/{path.name}")
            self.assertEqual(self.version(), version)
            self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml") + "\n", CONFIG)
            self.assertEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "640 root:claude-telemetry")
        self.root.run(AGENT, "apply")
        self.spool_a_request()
        self.root.run("sh", "/tmp/uninstall.sh")
        self.assertEqual(self.root.stat(DROPIN), "")
        self.assertNotEqual(self.root.stat("/var/lib/claude-telemetry/spool"), "")
        self.root.run(*install, f"/srv/ours/{rpms[AGENT].name}")
        self.root.run("sh", "/tmp/uninstall.sh", "--purge")
        self.assertEqual(self.left(), set())
        self.assertNotIn("claude-telemetry", self.root.out("cat", "/etc/passwd", "/etc/group"))

    def test_the_plain_installer_goes_back_with_rpm_alone(self):
        self.root.run("rm", "/usr/bin/dnf")
        self.root.run("rpm", "-i", next(f"/srv/ours/{path.name}" for path in (folder / "repository").glob("this-system*")))
        install = ["sh", "/tmp/install.sh", "--config", "/tmp/wanted.yaml", "--package"]
        for path, version in ((rpms[AGENT], VERSION), (older[AGENT], "0.0.1")):
            self.root.run(*install, f"/srv/ours/{path.name}")
            self.assertEqual(self.version(), version)
        self.root.run("sh", "/tmp/uninstall.sh", "--purge")
        self.assertEqual(self.left(), set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
