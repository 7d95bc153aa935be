"""The packages on a Debian of nothing but its base, made by mmdebstrap: apt brings what they depend on; the recordings
go through; an upgrade keeps a full spool; a purge leaves nothing."""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from scripts import demo  # noqa: E402
from tests.system.support import packages, programs  # noqa: E402
from tests.system.support.private_root import PrivateRoot, Unavailable  # noqa: E402

AGENT, SERVER = packages.AGENT, packages.SERVER
CONFIG = """\
claude: { settings: dropin, user_env: false }
relay: { spool: { min_free_disk_mib: 0 } }
destinations:
  - name: central
    endpoint: http://127.0.0.1:4320
    headers: { Authorization: "Bearer ${file:/etc/claude-telemetry/token}" }
"""
# Carried out by mmdebstrap in the new system while apt can reach its sources; says what was left of the packages.
TRY_APT = r"""
set -e
list() { find "$1" -xdev ! -path "$1/proc/*" ! -path "$1/tmp/*" -printf '%P\n' | grep -i claude || true; }
cp DEBS "$1/tmp/"
chroot "$1" apt-get install -y -qq --no-install-recommends $(cd "$1" && ls tmp/*.deb | sed 's|^|/|')
chroot "$1" claude-telemetry-agent check-config
chroot "$1" dpkg -P claude-telemetry-agent claude-telemetry-server
rm "$1"/tmp/*.deb
list "$1" | grep -v ^var/log/ > LEFT || true
"""


def setUpModule():
    packages.need("dpkg-deb", "dpkg-shlibdeps", "mmdebstrap")
    global debs, older, debian, left
    try:
        PrivateRoot().close()
    except Unavailable as why:
        raise unittest.SkipTest(str(why))
    holder = programs.Folder()
    folder = holder.__enter__()
    unittest.addModuleCleanup(holder.__exit__)
    packages.build(folder / "packages", KINDS="deb")
    debs = packages.debs(folder / "packages")
    older = packages.an_older(debs[AGENT], folder)
    debian, hook, left = folder / "debian", folder / "hook", folder / "left"
    hook.write_text("#!/bin/sh" + TRY_APT.replace("DEBS", " ".join(map(str, debs.values()))).replace("LEFT", str(left)))
    hook.chmod(0o755)
    suite = subprocess.run(["sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"], capture_output=True, text=True).stdout.strip()
    sources = [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("*.sources")]
    words = [str(path) for path in sources if path.exists() and path.read_text().strip()]
    done = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--customize-hook={hook}", suite, debian, *words],
                          capture_output=True, text=True)
    if done.returncode != 0 and not left.exists():
        if "customize" not in done.stderr:
            raise unittest.SkipTest(f"no Debian can be had: {done.stderr.strip().splitlines()[-1:]}")
    if done.returncode != 0:
        raise AssertionError(f"mmdebstrap: {done.stdout}{done.stderr}")


class BareDebian(unittest.TestCase):
    def setUp(self):
        self.root = PrivateRoot(lower=debian)
        self.addCleanup(self.root.close)
        for path in (*debs.values(), older):
            self.root.copy_in(path, f"/tmp/{path.name}")

    def beside(self, *words):
        """A program of this machine in the network of that system."""
        pid = self.root.enter[self.root.enter.index("-t") + 1]
        done = subprocess.run(["nsenter", "-t", pid, "-n", *map(str, words)], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def start(self, *words, user):
        process = self.root.start(*words, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():  # what it started in there ends with the root
            process.kill()
            process.wait()
        self.addCleanup(end)

    def run_agent(self):
        self.root.run("install", "-d", "-o", "claude-telemetry", "-m", "0755", "/run/claude-telemetry")
        self.start(AGENT, "run", "--no-settings", user="claude-telemetry")

    def kill_agent(self):
        """As a power cut would."""
        self.root.run("sh", "-c", "for p in /proc/[0-9]*; do case $(cat $p/comm 2>/dev/null) in claude-telemetr) "
                                  "kill -9 ${p#/proc/};; esac; done")

    def talk(self, verb):
        return self.beside(sys.executable, pathlib.Path(__file__), verb)

    def test_apt_brings_what_they_need_and_nothing_stays(self):
        self.assertEqual(left.read_text(), "")

    def test_the_recordings_outlive_a_kill_and_an_upgrade_and_arrive_once(self):
        self.root.run("dpkg", "-i", f"/tmp/{older.name}", f"/tmp/{debs[SERVER].name}")
        as_server = {"user": SERVER}
        self.root.run(SERVER, "system", "create", "claude-code", **as_server)
        token = self.root.out(SERVER, "token", "create", "--system", "claude-code", "--plan", "enterprise", **as_server)
        self.root.run(SERVER, "user", "create", "--email", "admin@example.com", "--role", "admin", "--password-stdin",
                      stdin=programs.PASSWORD, **as_server)
        self.root.write("/etc/claude-telemetry/agent.yaml", CONFIG, "0640", "root:claude-telemetry")
        self.root.write("/etc/claude-telemetry/token", token, "0400", "claude-telemetry:claude-telemetry")
        self.run_agent()
        self.talk("send")  # nobody takes it: the server does not run yet
        self.kill_agent()
        spooled = json.loads(self.root.out(AGENT, "spool", "list", "--json"))
        self.assertGreater(spooled["records"], 30)
        self.root.run("dpkg", "--force-confold", "-i", f"/tmp/{debs[AGENT].name}")
        self.assertEqual(json.loads(self.root.out(AGENT, "spool", "list", "--json"))["records"], spooled["records"])
        self.start(SERVER, "serve", **as_server)
        self.run_agent()
        self.talk("verify")
        self.kill_agent()
        self.root.run("dpkg", "-P", AGENT, SERVER)
        for path in ("/etc/claude-telemetry", "/var/lib/claude-telemetry", "/var/lib/claude-telemetry-server", "/etc/claude-code"):
            self.assertEqual(self.root.stat(path), "", path)
        self.assertNotIn("claude-telemetry", self.root.out("cat", "/etc/passwd", "/etc/group"))


class There:
    """What is reached from within that system's network."""
    url = "http://127.0.0.1:14318"

    @staticmethod
    def send():
        programs.wait_until(lambda: programs.http("GET", There.url + "/healthz")[0] == 200, 60, what="relay")
        print(demo.send_all(There, lambda: None), "requests")

    @staticmethod
    def verify():
        server = programs.Server.__new__(programs.Server)
        server.url, server.email, server.jwt = "http://127.0.0.1:4320", "admin@example.com", None
        programs.wait_until(lambda: programs.http("GET", server.url + "/readyz")[0] == 200, 60, what="server")
        wanted = demo.expected_totals()
        programs.wait_until(lambda: server.sums() == wanted, 120, what=f"totals of {wanted}")


if __name__ == "__main__":
    if sys.argv[1:] in (["send"], ["verify"]):
        getattr(There, sys.argv[1])()
    else:
        unittest.main(verbosity=2)
