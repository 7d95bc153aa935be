"""What apply meets on real machines and must survive: a full disk, a disk that only reads, torn files, homes that are gone.

Disks are small file systems in a mount namespace of their own; nothing of this machine is touched.
"""
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402

ALICE, BOB = 31001, 31002
THEIRS = '{\n  "model": "opus"\n}\n'


def namespaces_work():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class BadInput(unittest.TestCase):
    def setUp(self):
        if not namespaces_work():
            raise unittest.SkipTest("needs root and mount namespaces")
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)
        self.root = self.folder / "root"
        self.write("etc/passwd", f"alice:x:{ALICE}:{ALICE}::/home/alice:/bin/sh\nbob:x:{BOB}:{BOB}::/home/bob:/bin/sh\n")
        self.write("etc/claude-telemetry/agent.yaml", "identity: { email_from: [directory] }\n")
        for name, uid in (("alice", ALICE), ("bob", BOB)):
            path = self.write(f"home/{name}/.claude/settings.json", THEIRS)
            for each in (path, path.parent, path.parent.parent):
                os.chown(each, uid, uid)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def settings(self, name):
        return self.root / f"home/{name}/.claude/settings.json"

    def apply(self, *words, before="", after="true"):
        """apply in a namespace where `before` has mounted what it needs; what `after` prints comes last."""
        script = f"mount --make-rprivate / && cd \"$1\" && {before} shift; \"$@\"; code=$?; {after}; exit $code"
        return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", self.root, programs.AGENT, "apply", *words,
                               "--root", self.root], capture_output=True, text=True, timeout=60)

    def expect_fault(self, run, *words):
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)
        self.assertRegex(run.stderr, r"(?m)^claude-telemetry-agent: ")

    def test_a_full_disk_leaves_the_old_file_and_the_others_go_on(self):
        home = "mount -t tmpfs -o size=8k tmpfs home/alice && mkdir home/alice/.claude && " \
               "printf '{\"a\":1}' > home/alice/.claude/settings.json && " \
               f"chown -R {ALICE}:{ALICE} home/alice && head -c 100000 /dev/zero > home/alice/fill 2>/dev/null; "
        run = self.apply(before=home, after=f"cat '{self.settings('alice')}'; ls -A '{self.settings('alice').parent}'")
        self.expect_fault(run, "No space left", str(self.settings("alice")))
        self.assertTrue(run.stdout.endswith('{"a":1}settings.json\n'), run.stdout[-300:])
        self.assertIn("OTEL_LOGS_EXPORTER", self.settings("bob").read_text())

    def test_without_room_for_the_first_state_nothing_is_written(self):
        state = "mkdir -p var/lib/claude-telemetry-settings var/lib/claude-telemetry && " \
                "mount -t tmpfs -o size=4k,mode=0700 tmpfs var/lib/claude-telemetry-settings && " \
                "head -c 100000 /dev/zero > var/lib/claude-telemetry-settings/fill 2>/dev/null; "
        run = self.apply(before=state)
        self.expect_fault(run, "No space left", "fix: make room")
        self.assertEqual([self.settings(name).read_text() for name in ("alice", "bob")], [THEIRS, THEIRS])
        self.assertFalse(list(self.root.glob("etc/claude-code/managed-settings.d/*")))

    def test_a_disk_that_only_reads_is_named(self):
        run = self.apply(before="mount --bind home/alice home/alice && mount -o remount,bind,ro home/alice && ")
        self.expect_fault(run, "Read-only file system")
        self.assertEqual(self.settings("alice").read_text(), THEIRS)
        self.assertIn("OTEL_LOGS_EXPORTER", self.settings("bob").read_text())
        everything = self.apply(before="mount --bind . . && mount -o remount,bind,ro . && cd . && ")
        self.expect_fault(everything, "Read-only file system")

    def test_a_torn_file_is_left_alone_with_its_place(self):
        for torn in ('{ "model": "op', '{"a":1,}', "// note\n{}", "[]", '{"a":1}{"b":2}', "\x00\x00"):
            self.settings("alice").write_text(torn)
            run = self.apply()
            self.expect_fault(run, str(self.settings("alice")), "line 1, column" if torn[0] != "[" else "object", "fix: ")
            self.assertEqual(self.settings("alice").read_text(), torn)
            self.assertIn("OTEL_LOGS_EXPORTER", self.settings("bob").read_text())

    def test_a_home_that_is_gone_is_no_fault(self):
        subprocess.run(["rm", "-r", self.root / "home/alice"], check=True)
        run = self.apply()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("user 'alice': no settings, because the home '/home/alice' is not there", run.stdout)
        self.assertFalse((self.root / "home/alice").exists())

    def test_ten_thousand_entries_come_back_byte_for_byte(self):
        many = json.dumps({"permissions": {"allow": [f"Bash(tool-{i}:*)" for i in range(10000)]},
                           "env": {f"NAME_{i}": str(i) for i in range(10000)}}, indent=2)
        self.settings("alice").write_text(many)
        begun = time.monotonic()
        self.assertEqual(self.apply().returncode, 0)
        self.assertLess(time.monotonic() - begun, 30)
        document = json.loads(self.settings("alice").read_text())
        self.assertEqual((document["env"]["NAME_9999"], document["env"]["OTEL_LOGS_EXPORTER"]), ("9999", "otlp"))
        self.assertEqual(len(document["permissions"]["allow"]), 10000)
        run = subprocess.run([programs.AGENT, "revert", "--root", self.root], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.settings("alice").read_text(), many)


if __name__ == "__main__":
    unittest.main(verbosity=2)
