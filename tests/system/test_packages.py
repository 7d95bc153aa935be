"""The packages on a real system, in a private copy of this machine: install, configure, run, upgrade, remove, purge."""
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import packages, programs, spdx  # noqa: E402
from tests.system.support.private_root import PrivateRoot, Unavailable  # noqa: E402

ROOT = programs.ROOT
AGENT, SERVER = packages.AGENT, packages.SERVER
SPOOL = "/var/lib/claude-telemetry/spool"
CONFIG = """\
claude: { settings: dropin, user_env: false }
relay: { spool: { min_free_disk_mib: 0 } }
destinations:
  - name: central
    endpoint: http://127.0.0.1:4320
    headers: { Authorization: "Bearer ${file:/etc/claude-telemetry/token}" }
"""
# Reads as anybody could, as often as it can, until it is stopped; then says what it got.
SPY = """\
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
tried, got = 0, set()
sys.stdout = os.fdopen(1, "w")
import atexit
atexit.register(lambda: print(tried, *sorted(got)))
print("ready", flush=True)
while True:
    for path in sys.argv[1:]:
        tried += 1
        try:
            open(path, "rb").close() if not os.path.isdir(path) else os.listdir(path)
            got.add(path)
        except OSError:
            pass
"""
# Kept by dpkg, systemd and the user database for themselves.
NOT_OURS = re.compile(r"(var/lib/dpkg|var/log|var/lib/systemd/deb-systemd-helper|var/cache|etc/\.pwd\.lock$|"
                      r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|etc/ld.so.cache|root/\.)")
SECRETS = ["/etc/claude-telemetry", "/etc/claude-telemetry/agent.yaml", "/etc/claude-telemetry/token",
           "/etc/claude-telemetry/agent.yaml.dpkg-new", "/var/lib/claude-telemetry",
           "/var/lib/claude-telemetry/local-token-key", SPOOL]


def setUpModule():
    packages.need("dpkg-deb", "dpkg-shlibdeps", "rpmbuild", "readelf")
    global holder, made, said, debs, rpms, older
    holder = programs.Folder()
    folder = holder.__enter__()
    unittest.addModuleCleanup(holder.__exit__)
    made = folder / "packages"
    said = packages.build(made)
    debs, rpms = packages.debs(made), packages.rpms(made)
    older = packages.an_older(debs[AGENT], folder)


class Built(unittest.TestCase):
    def test_the_same_programs_give_the_same_bytes(self):
        with programs.Folder() as again:
            packages.build(again / "packages")
            self.assertEqual((again / "packages/SHA256SUMS").read_text(), (made / "SHA256SUMS").read_text())

    def test_the_checksums_cover_every_file(self):
        done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=made, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        named = {line.split()[1] for line in (made / "SHA256SUMS").read_text().splitlines()}
        self.assertEqual(named | {"SHA256SUMS"}, {path.name for path in made.iterdir()})

    def test_the_bill_of_materials_names_the_libraries_dpkg_knows(self):
        document = json.loads(next(made.glob("*.spdx.json")).read_text())
        listed = {each["name"]: each["versionInfo"] for each in document["packages"]}
        for library in ("libc6", "libcurl4", "libssl3", "zlib1g"):
            installed = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", library], capture_output=True, text=True)
            if installed.returncode == 0:
                self.assertEqual(listed[library], installed.stdout)
        spdx.check(document)

    def test_signing_is_handed_every_package_and_then_the_checksums(self):
        with programs.Folder() as again:
            sign = again / "sign"
            sign.write_text(f'#!/bin/sh\nbasename "$1" >> {again}/signed\necho signed >> "$1"\n')
            sign.chmod(0o755)
            packages.build(again / "packages", SIGN_COMMAND=str(sign))
            signed = (again / "signed").read_text().split()
            self.assertEqual(signed[-1], "SHA256SUMS")
            self.assertEqual(sorted(signed[:-1]), sorted(p.name for p in [*debs.values(), *rpms.values()]))
            sums = (again / "packages/SHA256SUMS").read_text().removesuffix("signed\n")
            (again / "packages/SHA256SUMS").write_text(sums)
            subprocess.run(["sha256sum", "--check", "--status", "SHA256SUMS"], cwd=again / "packages", check=True)

    def test_who_maintains_and_licenses_it_can_be_said(self):
        with programs.Folder() as folder:
            (folder / "LICENSE").write_text("Our Licence\nCopyright 2031 Us Inc.\n\nDo as we say.\n")
            packages.build(folder / "packages", MAINTAINER="Us <us@example.com>", VENDOR="Us Inc.", HOMEPAGE="https://example.com/us",
                           LICENSE_NAME="LicenseRef-Us", LICENSE_FILE=str(folder / "LICENSE"))
            deb, rpm = packages.debs(folder / "packages")[AGENT], packages.rpms(folder / "packages")[AGENT]
            shown = subprocess.run(["dpkg-deb", "-f", deb, "Maintainer", "Homepage"], capture_output=True, text=True).stdout
            self.assertEqual(shown, "Maintainer: Us <us@example.com>\nHomepage: https://example.com/us\n")
            subprocess.run(["dpkg-deb", "-x", deb, folder / "tree"], check=True)
            licence = (folder / f"tree/usr/share/doc/{AGENT}/copyright").read_text()
            self.assertIn("Copyright: 2031 Us Inc.\nLicense: LicenseRef-Us\n Our Licence\n", licence)
            self.assertIn(" .\n Do as we say.\n", licence)
            shown = subprocess.run(["rpm", "-qp", "--qf", "%{PACKAGER}|%{VENDOR}|%{LICENSE}|%{URL}", rpm],
                                   capture_output=True, text=True).stdout
            self.assertEqual(shown, "Us <us@example.com>|Us Inc.|LicenseRef-Us|https://example.com/us")

    def test_placeholders_are_named_until_they_are_replaced(self):
        own = {"MAINTAINER": "Us <us@example.com>", "VENDOR": "Us Inc.", "HOMEPAGE": "https://example.com/us", "LICENSE_NAME": "MIT"}
        self.assertIn("placeholders for MAINTAINER VENDOR HOMEPAGE LICENSE_FILE LICENSE_NAME: set them in packaging/facts.sh", said)
        left = lambda **more: subprocess.run(["bash", "-c", "source packaging/begin.sh; placeholders"], cwd=ROOT, check=True,  # noqa: E731
                                             env={**os.environ, **own, **more}, capture_output=True, text=True).stdout
        self.assertEqual(left(), "LICENSE_FILE\n")
        self.assertEqual(left(LICENSE_FILE="README.md"), "")

    def test_a_kind_that_was_asked_for_and_cannot_be_made_is_an_error(self):
        with programs.Folder() as folder:
            with self.assertRaisesRegex(AssertionError, "no msi: '.*agent.exe' is missing\n  fix: make cross"):
                packages.build(folder / "packages", KINDS="deb msi", BIN_WINDOWS=str(folder))

    def test_programs_of_another_version_are_not_packed(self):
        with programs.Folder() as folder:
            for name in (AGENT, "claude-telemetry-doctor", SERVER):
                (folder / name).write_text(f"#!/bin/sh\necho {name} 0.0.1\n")
                (folder / name).chmod(0o755)
            with self.assertRaisesRegex(AssertionError, "says 'claude-telemetry-agent 0.0.1', VERSION says"):
                packages.build(folder / "packages", BIN=str(folder))

    def test_lintian_finds_no_error(self):
        if not shutil.which("lintian"):
            self.skipTest("needs `lintian`: apt-get install lintian")
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", *debs.values()], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


class Installed(unittest.TestCase):
    def setUp(self):
        try:
            self.root = PrivateRoot()
        except Unavailable as why:
            self.skipTest(str(why))
        self.addCleanup(self.root.close)
        if self.root.run("dpkg", "-s", AGENT, code=None).returncode == 0:
            self.skipTest(f"{AGENT} is installed on this machine")
        for path in (*debs.values(), *rpms.values(), older):
            self.root.copy_in(path, f"/tmp/{path.name}")

    def install(self, *paths, action="-i"):
        return self.root.run("dpkg", "--force-confold", action, *(f"/tmp/{path.name}" for path in paths))

    def configure(self):
        self.root.write("/etc/claude-telemetry/token", "none", "0400", "claude-telemetry:claude-telemetry")
        self.root.write("/etc/claude-telemetry/agent.yaml", CONFIG, "0640", "root:claude-telemetry")

    def start(self, *words, user=None):
        process = self.root.start(*words, user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def end():  # what it started in there ends with the root
            process.kill()
            process.wait()
            process.stdout.close()
        self.addCleanup(end)
        return process

    def run_agent(self):
        """As the unit does, without systemd."""
        self.root.run("install", "-d", "-o", "claude-telemetry", "-m", "0755", "/run/claude-telemetry")
        agent = self.start(AGENT, "run", "--no-settings", user="claude-telemetry")
        programs.wait_until(lambda: self.curl("http://127.0.0.1:14318/healthz") == "200", what="relay")
        return agent

    def curl(self, *words):
        return self.root.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *words, code=None).stdout

    def stop(self, process, how="-TERM"):
        # nsenter, which we started, stands outside and passes no signals on: ask by name in there.
        self.root.run("pkill", how, "-x", "claude-telemetr")
        process.communicate(timeout=30)

    def send(self, count):
        for nth in range(count):
            record = {"timeUnixNano": str(1700000000000000000 + nth), "body": {"stringValue": f"number {nth}"}}
            body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
            self.assertEqual(self.curl("-H", "Content-Type: application/json", "-d", body,
                                       "http://127.0.0.1:14318/v1/logs"), "200")

    def spooled(self):
        listed = json.loads(self.root.out(AGENT, "spool", "list", "--json"))
        self.assertEqual(listed["damaged"], 0)
        return listed["requests"]

    def spy(self):
        """One that tries to read, and one that looks at modes whenever the kernel says that something changed."""
        self.root.write("/tmp/spy.py", SPY)
        self.root.copy_in(pathlib.Path(__file__).parent / "support/watch_modes.py", "/tmp/watch_modes.py")
        spies = {"/tmp/spy.py": self.start("python3", "/tmp/spy.py", *SECRETS, user="nobody"),
                 "/tmp/watch_modes.py": self.start("python3", "/tmp/watch_modes.py", "/etc/claude-telemetry", "/var/lib/claude-telemetry")}
        for spy in spies.values():
            self.assertEqual(spy.stdout.readline(), "ready\n")

        def report():
            found = []
            for script, spy in spies.items():
                self.root.run("pkill", "-TERM", "-f", script)
                looked, *got = spy.communicate(timeout=30)[0].split()
                self.assertGreater(int(looked), len(SECRETS))
                found += got
            return found
        return report

    def state(self, name=AGENT):
        return self.root.run("dpkg-query", "-W", "-f", "${db:Status-Status}", name, code=None).stdout

    def test_a_fresh_install_is_ready_and_touches_nothing_of_claude_code(self):
        self.install(*debs.values())
        self.assertEqual(self.root.stat("/etc/claude-telemetry"), "750 root:claude-telemetry")
        self.assertEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "640 root:claude-telemetry")
        self.assertEqual(self.root.stat("/etc/claude-telemetry/server.yaml"), "640 root:claude-telemetry-server")
        self.assertEqual(self.root.stat("/var/lib/claude-telemetry"), "700 claude-telemetry:claude-telemetry")
        self.assertEqual(self.root.stat("/var/lib/claude-telemetry-server"),
                         "700 claude-telemetry-server:claude-telemetry-server")
        for unit in ("agent.service", "agent.socket", "settings.path", "settings.timer", "server.service"):
            self.assertEqual(self.root.out("systemctl", "is-enabled", f"claude-telemetry-{unit}"), "enabled")
        self.root.run(AGENT, "check-config", user="claude-telemetry")
        self.root.run(AGENT, "apply")
        self.assertEqual(self.root.stat("/etc/claude-code"), "")

    def test_systemd_accepts_the_units(self):
        self.install(*debs.values())
        units = [f"/usr/lib/systemd/system/claude-telemetry-{unit}" for unit in
                 ("agent.service", "agent.socket", "settings.service", "settings.path", "settings.timer", "server.service")]
        done = self.root.run("systemd-analyze", "verify", "--man=no", *units)
        self.assertNotIn("claude-telemetry", done.stderr + done.stdout)
        for unit, most in (("agent", 2.0), ("server", 2.0)):
            rated = self.root.out("systemd-analyze", "security", "--offline=yes", "--no-pager",
                                  f"/usr/lib/systemd/system/claude-telemetry-{unit}.service")
            level = float(re.search(r"exposure level for .*: ([0-9.]+)", rated).group(1))
            self.assertLessEqual(level, most, unit)

    def test_an_upgrade_keeps_a_full_spool_and_the_server_gets_it_once(self):
        self.install(older, debs[SERVER])
        self.configure()
        spying = self.spy()
        agent = self.run_agent()
        self.send(20)
        self.stop(agent, "-KILL")
        self.install(debs[AGENT])
        self.assertEqual(self.root.out("dpkg-query", "-W", "-f", "${Version}", AGENT),
                         (ROOT / "VERSION").read_text().strip())
        self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml") + "\n", CONFIG)
        self.assertEqual(self.spooled(), 20)
        self.assertEqual(spying(), [])

        as_server = {"user": "claude-telemetry-server"}
        self.root.run(SERVER, "system", "create", "claude-code", **as_server)
        token = self.root.out(SERVER, "token", "create", "--system", "claude-code", **as_server)
        self.root.write("/etc/claude-telemetry/token", token, "0400", "claude-telemetry:claude-telemetry")
        self.start(SERVER, "serve", **as_server)
        agent = self.run_agent()
        status = lambda: json.loads(self.root.out(AGENT, "status", "--json"))  # noqa: E731
        programs.wait_until(lambda: status()["destinations"][0]["backlog_records"] == 0, what="empty spool")
        rows = programs.wait_until(lambda: self.root.out("sqlite3", "-readonly", "/var/lib/claude-telemetry-server/messages.db",
                                                         "select count(*) from message"), what="rows")
        self.assertEqual(rows, "20")

    def test_an_upgrade_that_is_killed_anywhere_is_finished_by_repeating_it(self):
        seed = int(os.environ.get("SEED", time.time()))
        print("SEED", seed)
        chance = random.Random(seed)
        self.install(older)
        self.configure()
        agent = self.run_agent()
        self.send(5)
        self.stop(agent)
        for turn in range(6):
            new = (debs[AGENT], older)[turn % 2]
            dpkg = self.root.start("dpkg", "--force-confold", "-i", f"/tmp/{new.name}",
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                dpkg.wait(chance.uniform(0, 0.4))
            except subprocess.TimeoutExpired:
                pass
            self.root.run("pkill", "-KILL", "dpkg|postinst|prerm|systemd-sysuser", code=None)
            dpkg.wait()
            self.root.run("dpkg", "--force-confold", "--configure", "-a", code=None)
            self.install(new)
            self.assertEqual(self.state(), "installed")
            self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml") + "\n", CONFIG)
            self.assertEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "640 root:claude-telemetry")
            self.assertEqual(self.spooled(), 5)

    def test_unpacked_but_not_configured_is_finished_later(self):
        self.install(older)
        self.install(debs[AGENT], action="--unpack")
        self.assertEqual(self.state(), "unpacked")
        self.root.run("dpkg", "--force-confold", "--configure", "-a")
        self.assertEqual(self.state(), "installed")

    def test_removal_puts_claude_code_back_and_keeps_the_data_and_purge_leaves_nothing(self):
        theirs = '{\n  "permissions": {"deny": ["Read(./.env)"]}\n}\n'
        self.root.write("/etc/claude-code/managed-settings.json", theirs)
        before = self.root.changed()
        spying = self.spy()
        self.install(*debs.values())
        self.configure()
        self.root.write("/etc/claude-telemetry/agent.yaml", CONFIG.replace("dropin", "merge"), "0640", "root:claude-telemetry")
        agent = self.run_agent()
        self.root.run(AGENT, "apply")
        self.assertIn("14318", self.root.out("cat", "/etc/claude-code/managed-settings.json"))
        self.send(3)
        self.stop(agent)

        self.root.run("dpkg", "-r", AGENT, SERVER)
        self.assertEqual(self.root.out("cat", "/etc/claude-code/managed-settings.json") + "\n", theirs)
        self.assertNotEqual(self.root.stat(SPOOL + "/stream"), "")
        self.assertNotEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "")
        self.install(debs[AGENT])
        self.assertEqual(self.root.out("systemctl", "is-enabled", "claude-telemetry-agent.service"), "enabled")
        self.assertEqual(self.spooled(), 3)

        self.root.run("dpkg", "-P", AGENT, SERVER)
        self.assertEqual(spying(), [])
        left = {path for path in self.root.changed() - before if path and not NOT_OURS.match(path)}
        self.assertEqual(left, set())
        for gone in ("/etc/claude-telemetry", "/var/lib/claude-telemetry", "/run/claude-telemetry"):
            self.assertEqual(self.root.stat(gone), "")
        self.assertNotIn("claude-telemetry", self.root.out("cat", "/etc/passwd", "/etc/group"))

    def test_purging_one_package_leaves_the_other_alone(self):
        self.install(*debs.values())
        self.configure()
        self.root.run("dpkg", "-P", SERVER)
        self.assertEqual(self.root.stat("/etc/claude-telemetry"), "750 root:claude-telemetry")
        self.root.run(AGENT, "check-config", user="claude-telemetry")
        self.install(debs[SERVER])
        self.root.run("dpkg", "-P", AGENT)
        self.assertEqual(self.root.stat("/etc/claude-telemetry/server.yaml"), "640 root:claude-telemetry-server")
        self.root.run(SERVER, "system", "list", user="claude-telemetry-server")

    def test_originals_that_could_not_be_put_back_survive_the_purge(self):
        self.root.write("/etc/claude-code/managed-settings.json", '{"env": {"OTEL_LOGS_EXPORTER": "console"}}\n')
        self.install(debs[AGENT])
        self.configure()
        self.root.write("/etc/claude-telemetry/agent.yaml", CONFIG.replace("dropin", "merge"), "0640", "root:claude-telemetry")
        self.root.run(AGENT, "apply")
        self.root.write("/etc/claude-code/managed-settings.json", "{ not JSON")
        done = self.root.run("dpkg", "-P", AGENT)
        self.assertIn("could not all be put back", done.stderr)
        kept = self.root.out("sh", "-c", "cat /var/lib/claude-telemetry-settings/*.first")
        self.assertIn('{"OTEL_LOGS_EXPORTER": "console"}', kept)
        self.assertEqual(self.root.stat(SPOOL), "")

    def test_the_plain_installer_puts_it_on_goes_back_a_version_and_takes_it_off(self):
        for name in ("install", "uninstall"):
            self.root.copy_in(ROOT / f"installer/linux/{name}.sh", f"/tmp/{name}.sh")
        self.root.write("/tmp/wanted.yaml", CONFIG)
        self.root.write("/tmp/secret", "s3cret", "0600")
        spying = self.spy()
        install = ["sh", "/tmp/install.sh", "--config", "/tmp/wanted.yaml", "--package"]
        self.root.run(*install, f"/tmp/{debs[AGENT].name}", "--enrollment-secret", "/tmp/secret")
        self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml") + "\n", CONFIG)
        self.assertEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "640 root:claude-telemetry")
        self.assertEqual(self.root.stat("/etc/claude-telemetry/enrollment-secret"), "400 claude-telemetry:claude-telemetry")
        self.root.run(AGENT, "apply")
        self.root.run(*install, f"/tmp/{older.name}")
        self.assertEqual(self.root.out("dpkg-query", "-W", "-f", "${Version}", AGENT), "0.0.1~test")

        self.root.write("/tmp/wanted.yaml", "relay: { listne: x }\n")
        done = self.root.run(*install, f"/tmp/{debs[AGENT].name}", code=1)
        self.assertIn("not valid and was not put in place", done.stderr)
        self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml") + "\n", CONFIG)

        self.root.run("sh", "/tmp/uninstall.sh")
        self.assertEqual(self.root.stat("/etc/claude-code/managed-settings.d/90-claude-telemetry.json"), "")
        self.assertNotEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "")
        self.root.run("sh", "/tmp/uninstall.sh", "--purge")
        self.assertEqual(self.root.stat("/etc/claude-telemetry"), "")
        self.assertEqual(spying(), [])

    def test_the_rpms_install_upgrade_and_erase(self):
        rpm = ["rpm", "--force-debian", "--nodeps", "--dbpath", "/tmp/rpmdb"]
        self.root.run(*rpm, "-i", *(f"/tmp/{path.name}" for path in rpms.values()))
        self.assertEqual(self.root.stat("/etc/claude-telemetry/agent.yaml"), "640 root:claude-telemetry")
        self.assertEqual(self.root.stat("/etc/claude-telemetry/server.yaml"), "640 root:claude-telemetry-server")
        self.assertEqual(self.root.stat("/var/lib/claude-telemetry"), "700 claude-telemetry:claude-telemetry")
        self.assertEqual(self.root.out("systemctl", "is-enabled", "claude-telemetry-agent.service"), "enabled")
        self.configure()
        self.root.run(AGENT, "apply")
        self.root.run(*rpm, "-U", "--replacepkgs", f"/tmp/{rpms[AGENT].name}")
        self.assertEqual(self.root.out("cat", "/etc/claude-telemetry/agent.yaml") + "\n", CONFIG)
        self.assertIn("14318", self.root.out("cat", "/etc/claude-code/managed-settings.d/90-claude-telemetry.json"))
        self.root.run(*rpm, "-e", AGENT, SERVER)
        self.assertEqual(self.root.stat("/etc/claude-code/managed-settings.d/90-claude-telemetry.json"), "")
        self.assertEqual(self.root.stat("/usr/bin/claude-telemetry-agent"), "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
