#!/usr/bin/env python3
"""The command lines: every wrong usage and every mistake in the configuration says what is wrong and what to do, and exits with 2."""
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402

PROGRAMS = {name: programs.BIN / f"claude-telemetry-{name}" for name in ("agent", "server", "doctor")}
TOKEN_CREATE = "token create --system claude-code"
WRONG = {
    "agent": ["", "frobnicate", "--frobnicate", "--config", "--root", "run surplus", "apply --frobnicate", "spool", "spool frobnicate",
              "status --dry-run", "check-config --config /nonexistent.yaml"],
    "doctor": ["surplus", "--frobnicate", "--only", "--only no.such.check", "--only ,", "--bundle", "--config /nonexistent.yaml", "--root /nonexistent"],
    "server": ["", "frobnicate", "--frobnicate", "serve surplus", "serve --listen nonsense", "serve --listen 127.0.0.1:99999", "serve --log-level loud",
               "serve --store nosuch://x", "serve --tls-cert /nonexistent.pem", "system create", "token", "token create", "token revoke",
               TOKEN_CREATE + " --plan gold", TOKEN_CREATE + " --retention-days -1", TOKEN_CREATE + " --user nomail", "user create",
               "user create --email a@b.c --role king --password-stdin", "user create --email a@b.c --role viewer", "erase", "erase --email nomail",
               "backup", "import", "import run --from yesterday", "import run --from 2026-02-30", "system list --config /nonexistent.yaml"],
}

# The configuration; what the message names besides the file.
DESTINATION = "destinations:\n  - name: a\n    endpoint: http://x\n    "
MISTAKES = [
    ("relay:\n  lisen: 127.0.0.1:1\n", "line 2", "relay.lisen", "relay.listen"),
    ("relya: {}\n", "line 1", "relya", "relay"),
    *((f"heartbeat: {{ interval_seconds: {value} }}\n", "line 1", "heartbeat.interval_seconds")
      for value in ("0", "-1", "1.5", "soon", "[1]", "99999999999999999999")),
    ("heartbeat: 5\n", "line 1", "heartbeat"),
    ("claude: { mode: rely }\n", "line 1", "claude.mode", "relay"),
    ("claude: { signals: [metric] }\n", "line 1", "claude.signals", "metrics"),
    ("claude: { user_env: maybe }\n", "line 1", "claude.user_env"),
    ("claude: { resource_attributes: [a] }\n", "line 1", "claude.resource_attributes"),
    ("relay: { listen: 0.0.0.0:14318 }\n", "line 1", "relay.listen", "loopback"),
    ("relay: { spool: { max_mib: 0 } }\n", "line 1", "relay.spool.max_mib"),
    ("identity: { email_from: [ldap] }\n", "line 1", "identity.email_from", "directory"),
    ("destinations:\n  - name: a\n", "line 2", "endpoint"),
    ("destinations:\n  - endpoint: http://x\n", "line 2", "name"),
    ("destinations:\n  - name: a\n    endpoint: ftp://x\n", "line 3", "endpoint"),
    (DESTINATION + "headers: { A: \"${emial}\" }\n", "line 4", "emial", "email"),
    (DESTINATION + "headers: { A: \"${email\" }\n", "line 4"),
    (DESTINATION + "headers: { A: \"x\\ny\" }\n", "line 4"),
    ("relay: {}\nrelay: {}\n", "line 2", "relay", "line 1"),
    ("relay: &a {}\n", "line 1"),
    ("- a\n", "line 1"),
    ("a: b: c\n", "line 1"),
    ("relay: { listen: \"\\0\" }\n", "line 1"),
    ("---\nrelay: {}\n---\nrelay: {}\n", "line 3"),
]


class Commands(unittest.TestCase):
    def run_(self, name, *words, **more):
        return subprocess.run([PROGRAMS[name], *map(str, words)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **more)

    def expect_error(self, name, run, code=2):
        self.assertEqual((code, ""), (run.returncode, run.stdout), run.stderr)
        self.assertRegex(run.stderr, rf"\A(claude-telemetry-{name}: \S.*\n  fix: \S.*\n)+\Z")

    def test_wrong_usage_says_what_to_do(self):
        with programs.Folder() as folder:
            for name, lines in WRONG.items():
                for line in lines:
                    with self.subTest(name, line=line):
                        self.expect_error(name, self.run_(name, *line.split(), *(["--data", folder] if name == "server" else [])))

    def test_a_store_is_named_by_folder_or_by_file(self):
        for store, files in (("sqlite:", ["data/control.db"]), ("sqlite:{}/sub", ["sub/control.db"]), ("sqlite:{}/my.db", ["my.db"]),
                             ("sqlite://{}/my.sqlite3", ["my.sqlite3"])):
            with programs.Folder() as folder, self.subTest(store):
                (folder / "sub").mkdir()
                words = ["--data", folder / "data", "--store", store.format(folder)]
                self.assertEqual(0, self.run_("server", "system", "create", "alpha", *words).returncode)
                self.assertIn("alpha", self.run_("server", "system", "list", *words).stdout)
                self.assertTrue(all((folder / name).exists() for name in files), list(folder.rglob("*")))
                ran = self.run_("server", "retention", "run", *words)
                self.assertEqual((0, ""), (ran.returncode, ran.stderr))
                self.assertEqual(2, len([path for path in folder.rglob("*") if path.suffix in (".db", ".sqlite3")]))

    def test_files_in_the_servers_configuration_lie_below_the_root(self):
        with programs.Folder() as root:
            key = root / "etc/claude-telemetry/key"
            key.parent.mkdir(parents=True)
            key.write_text("sk-ant-api03-not-for-reports")
            key.chmod(0o600)
            for path in ("/etc/claude-telemetry/key", str(key)):
                (key.parent / "server.yaml").write_text(f"integrations: {{ admin_api: {{ key_file: {path} }} }}\n")
                run = self.run_("server", "import", "run", "--root", root, "--data", root / "data")
                self.assertEqual(1, run.returncode)
                self.assertIn(f"'{key}' holds no key for usage reports", run.stderr)

    def test_help_and_version_of_each(self):
        for name in PROGRAMS:
            for word in ("--help", "-h"):
                run = self.run_(name, word)
                self.assertEqual((0, "", f"usage: claude-telemetry-{name}"), (run.returncode, run.stderr, run.stdout[:len(name) + 24]))
            if name != "doctor":
                self.assertEqual(self.run_(name, "--help").stdout, self.run_(name, "help").stdout)
            self.assertRegex(self.run_(name, "--version").stdout, rf"\Aclaude-telemetry-{name} \d+\.\d+\.\d+\n\Z")

    def test_a_mistake_in_the_configuration_is_named_with_its_place(self):
        with programs.Folder() as root:
            path = root / "etc/claude-telemetry/agent.yaml"
            path.parent.mkdir(parents=True)
            for text, *named in MISTAKES:
                path.write_text(text)
                for command in ("check-config", "run", "apply"):
                    with self.subTest(text, command=command):
                        run = self.run_("agent", command, "--root", root)
                        self.expect_error("agent", run)
                        for word in [str(path), *named]:
                            self.assertIn(word, run.stderr)

    def test_the_example_configuration_is_valid(self):
        with programs.Folder() as root:
            run = self.run_("agent", "check-config", "--json", "--config", programs.ROOT / "docs/agent.example.yaml", "--root", root)
        self.assertEqual((0, []), (run.returncode, json.loads(run.stdout)["problems"]), run.stdout)

    def test_what_could_not_be_printed_is_no_success(self):
        with programs.Folder() as folder, open("/dev/full", "w") as full:
            server = programs.Server(folder).set_up()
            for command in ([PROGRAMS["server"], *TOKEN_CREATE.split(), "--data", server.data], [PROGRAMS["doctor"], "--list"],
                            [PROGRAMS["agent"], "--version"]):
                run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
                self.assertEqual(1, run.returncode)
                self.assertIn("cannot write to standard output", run.stderr)

    def test_looking_at_the_settings_leaves_nothing_behind(self):
        with programs.Folder() as folder:
            run = self.run_("server", "check-config", "--root", folder)
            self.assertEqual((0, []), (run.returncode, list(folder.iterdir())), run.stderr)

    def test_nobody_else_may_read_the_servers_files(self):
        with programs.Folder() as folder:
            (folder / "server").mkdir(mode=0o755)
            server = programs.Server(folder).set_up()
            token = server.token.encode()
            for path in server.data.iterdir():
                self.assertEqual(0, path.stat().st_mode & 0o077, path)
                self.assertNotIn(token, path.read_bytes())


if __name__ == "__main__":
    unittest.main()
