"""A real disk that is full, or read-only: a small volume of the agent's own, in a mount namespace of its own."""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import otlp, programs  # noqa: E402
from tests.system.support.peers import Destination  # noqa: E402

VOLUME_MIB = 24
FILLING = "x" * 100_000
MOUNT = f'mount -t tmpfs -o size={VOLUME_MIB}m,mode=0700 tmpfs "$1" && shift && exec "$@"'


def may_mount():
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode == 0


@unittest.skipUnless(may_mount(), "mounting a small volume needs root")
class Disk(unittest.TestCase):
    def setUp(self):
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)
        self.destination_port = programs.free_port()
        self.agent = programs.Agent(self.folder, f"http://127.0.0.1:{self.destination_port}")
        self.spool = self.agent.root / "var/lib/claude-telemetry/spool"
        self.spool.mkdir(parents=True)
        self.agent.program.command = ["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", MOUNT, "sh",
                                      str(self.spool), *self.agent.program.command]
        self.addCleanup(self.agent.program.stop)
        self.sent = set()

    def destination(self):
        peer = Destination(port=self.destination_port)
        self.addCleanup(peer.close)
        return peer

    def inside(self, *command, check=True):
        """Runs a command where the agent sees its volume."""
        run = subprocess.run(["nsenter", "-t", str(self.agent.program.process.pid), "-m", *map(str, command)],
                             capture_output=True, text=True)
        if check:
            self.assertEqual(run.returncode, 0, run.stderr)

    def post(self, filling=""):
        """(status, Retry-After); the mark is remembered when it was taken."""
        mark = f"mark-{len(self.sent)}-0"
        status, headers, _ = programs.http("POST", self.agent.url + "/v1/logs", otlp.marked_request([mark], prompt=filling),
                                           {"Content-Type": "application/x-protobuf"})
        if status == 200:
            self.sent.add(mark.encode())
        return status, headers.get("Retry-After")

    def post_until_refused(self):
        for _ in range(1000):
            status, retry_after = self.post(FILLING)
            if status != 200:
                self.assertEqual(status, 503, "never 400, which clients take as for ever")
                self.assertIn(retry_after, (None, "1", "2"))
                return
        self.fail("a thousand requests fit a small volume")

    def expect_delivered(self, destination):
        programs.wait_until(lambda: len(destination.counts()) >= len(self.sent), 30, "delivery")
        self.assertEqual(destination.counts(), {mark: 1 for mark in self.sent})

    def test_a_full_disk_is_503_loses_nothing_and_heals_at_once(self):
        self.agent.start()
        self.post_until_refused()
        self.assertGreater(len(self.sent), 100, "most of the volume was used")
        health = programs.wait_until(lambda: not (h := self.agent.status()["health"])["healthy"] and h, what="bad health")
        self.assertIn("relay", health["last_error"])
        self.agent.program.check_alive()
        self.expect_delivered(self.destination())
        self.assertEqual(self.post(FILLING)[0], 200, "there is room again")
        self.assertEqual(self.agent.status()["ledger"], [])

    def test_a_disk_that_others_filled_does_not_stop_what_can_be_delivered(self):
        destination = self.destination()
        self.agent.start()
        self.assertEqual(self.post()[0], 200)
        self.inside("dd", "if=/dev/zero", f"of={self.spool}/others", "bs=4096", check=False)
        for number in range(200):  # 20 MB: five times what the spool has
            programs.wait_until(lambda: self.post(FILLING)[0] == 200, 10, f"request {number} taken")
        self.expect_delivered(destination)
        self.inside("rm", f"{self.spool}/others")
        self.assertEqual(self.post()[0], 200)
        self.assertEqual(self.agent.status()["ledger"], [])

    def test_a_read_only_folder_is_said_with_its_remedy(self):
        self.agent.program.command[6] = MOUNT.replace("&& shift", '&& mount -o remount,ro "$1" && shift')
        self.agent.program.start()
        self.assertEqual(self.agent.program.process.wait(15), 1)
        said = self.agent.program.log.read_text()
        self.assertIn("Read-only file system", said)
        self.assertRegex(said, r"\n  fix: .*relay\.spool\.path")


if __name__ == "__main__":
    unittest.main(verbosity=2)
