"""Settings proven with the real Claude Code: what apply writes makes it report through the relay as the
right person, whatever a user's environment and settings say, and revert leaves nothing.

Each Claude Code runs in a mount namespace of its own whose /etc is the agent's, with a private home and an
empty environment, as its own user. Nothing of this machine's /etc or homes is read or written.
"""
import gzip
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import fake_messages, npm, programs  # noqa: E402

ALICE, BOB = 31001, 31002
IN_NAMESPACE = 'mount --make-rprivate / && mount --bind "$1" /etc && shift && exec "$@"'

# What a developer, or a program set up for something else, may have in the shell.
CONTRARY = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "0", "DISABLE_TELEMETRY": "1", "OTEL_SDK_DISABLED": "true",
    "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "console", "OTEL_TRACES_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "ELSEWHERE", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "ELSEWHERE/v1/logs",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "ELSEWHERE/v1/metrics",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "ELSEWHERE/v1/traces", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    "OTEL_EXPORTER_OTLP_HEADERS": "bad name=x", "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "bad name",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "1",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "zip", "CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS": "1",
    "OTEL_METRIC_EXPORT_INTERVAL": "0", "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "2", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "1",
    "OTEL_LOG_USER_PROMPTS": "1", "OTEL_SERVICE_NAME": "contrary", "ENABLE_BETA_TRACING_DETAILED": "1",
    "BETA_TRACING_ENDPOINT": "ELSEWHERE", "OTEL_RESOURCE_ATTRIBUTES": "user.email=contrary@example.com",
}


class Receiver:
    """Takes OTLP/HTTP and keeps (path, body)."""

    def __init__(self):
        owner = self
        self.got = []
        self.headers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                owner.got.append((self.path, body))
                owner.headers.append(self.headers)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def body_of(self, signal):
        return b"".join(body for path, body in self.got if path == f"/v1/{signal}")

    def wait_for_all_signals(self):
        programs.wait_until(lambda: all(self.body_of(s) for s in ("logs", "metrics", "traces")),
                            what="logs, metrics and traces at the destination")
        return self.body_of("logs") + self.body_of("metrics") + self.body_of("traces")


def namespaces_work():
    run = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    return os.geteuid() == 0 and run.returncode == 0


class ClaudeSettings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not namespaces_work() or not shutil.which("setpriv"):
            raise unittest.SkipTest("needs root, mount namespaces and setpriv")
        try:
            cls.claude = npm.claude_code()
        except npm.Unavailable as why:
            raise unittest.SkipTest(f"the real Claude Code cannot be had here: {why}")

    def setUp(self):
        folder = programs.Folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__)
        self.folder.chmod(0o755)
        self.root = self.folder / "root"
        self.api, self.destination, self.elsewhere = fake_messages.FakeMessages(), Receiver(), Receiver()
        for each in (self.api, self.destination, self.elsewhere):
            self.addCleanup(each.close)
        self.port = programs.free_port()
        self.write("etc/passwd", f"root:x:0:0:root:/root:/bin/sh\nalice:x:{ALICE}:{ALICE}:Alice:/home/alice:/bin/sh\n"
                                 f"bob:x:{BOB}:{BOB}:Bob:/home/bob:/bin/sh\n")
        self.write("var/lib/AccountsService/users/alice", "[User]\nEmail=alice@example.com\n")
        self.write("var/lib/AccountsService/users/bob", "[User]\nEmail=bob@example.com\n")
        self.write("etc/claude-telemetry/agent.yaml", f"""\
identity: {{ email_from: [directory], email_domain: example.com }}
claude: {{ resource_attributes: {{ team: "Data Eng, R&D" }} }}
relay: {{ listen: 127.0.0.1:{self.port}, spool: {{ min_free_disk_mib: 0 }} }}
destinations: [{{ name: central, endpoint: "{self.destination.url}" }}]
""")
        for name, uid in (("alice", ALICE), ("bob", BOB)):
            home = self.root / "home" / name
            home.mkdir(parents=True)
            os.chown(home, uid, uid)
        self.relay = programs.Program([programs.AGENT, "run", "--root", self.root], self.folder / "agent.log")
        self.addCleanup(self.relay.stop)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def user_settings(self, name, uid, settings):
        path = self.root / "home" / name / ".claude/settings.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(settings)
        for each in (path.parent, path):
            os.chown(each, uid, uid)
        return path

    def agent(self, *words):
        run = subprocess.run([programs.AGENT, *words, "--root", self.root], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def start_relay(self):
        self.relay.start()

        def up():
            self.relay.check_alive()
            return programs.http("GET", f"http://127.0.0.1:{self.port}/healthz")[0] == 200
        programs.wait_until(up, what="relay up")

    def prompt(self, name="alice", uid=ALICE, **shell):
        """One `claude -p` of a user, from an empty environment plus `shell`."""
        home = self.root / "home" / name
        project = home / "project"
        project.mkdir(exist_ok=True)
        os.chown(project, uid, uid)
        env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "ANTHROPIC_BASE_URL": self.api.url,
               "ANTHROPIC_API_KEY": "sk-ant-test", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
               **{key: value.replace("ELSEWHERE", self.elsewhere.url) for key, value in shell.items()}}
        run = subprocess.run(
            ["unshare", "-m", "sh", "-c", IN_NAMESPACE, "sh", self.root / "etc",
             "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "env", "-i",
             *(f"{key}={value}" for key, value in env.items()),
             self.claude, "-p", "What is in this project?", "--allowedTools", "Bash"],
            cwd=project, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("All done.", run.stdout)
        self.assertEqual(run.stderr, "")

    def files_of_ours(self):
        return [str(path) for where in ("etc/claude-code", "home") if (self.root / where).exists()
                for path in (self.root / where).rglob("*") if path.name in
                ("90-claude-telemetry.json", "managed-settings.d", "managed-settings.json", "settings.json")]

    def test_after_apply_a_plain_prompt_reports_as_its_user_and_after_revert_nothing_does(self):
        self.agent("apply")
        self.start_relay()
        self.prompt()
        seen = self.destination.wait_for_all_signals()
        self.assertIn(b"alice@example.com", seen)
        self.assertIn(b"Data Eng, R&D", seen)
        self.assertNotIn(b"What is in this project", seen)
        self.assertNotIn(b"bob@example.com", seen)

        self.assertEqual(self.relay.stop(), 0)
        self.agent("revert")
        self.assertEqual(self.files_of_ours(), [])
        self.destination.got.clear()
        self.start_relay_without_settings()
        self.prompt()
        self.assertEqual(self.relay.stop(), 0)
        self.assertEqual(self.destination.got, [])

    def start_relay_without_settings(self):
        path = self.root / "etc/claude-telemetry/agent.yaml"
        path.write_text(path.read_text().replace("claude: {", "claude: { settings: none, user_env: false,"))
        self.start_relay()

    def test_a_contrary_shell_and_contrary_user_settings_divert_nothing(self):
        original = json.dumps({"env": {key: value.replace("ELSEWHERE", self.elsewhere.url)
                                       for key, value in CONTRARY.items()}})
        self.user_settings("alice", ALICE, original)
        self.agent("apply")
        self.start_relay()
        self.prompt(**CONTRARY)
        seen = self.destination.wait_for_all_signals()
        self.assertIn(b"alice@example.com", seen)
        self.assertNotIn(b"contrary", seen)
        self.assertNotIn(b"What is in this project", seen)
        self.assertEqual(self.elsewhere.got, [])

    def test_the_managed_file_alone_holds_against_what_a_user_writes_later(self):
        self.agent("apply")
        self.start_relay()
        self.assertEqual(self.relay.stop(), 0)  # nobody repairs
        self.start_relay_without_settings_but_keep()
        self.user_settings("alice", ALICE, json.dumps({"env": {key: value.replace("ELSEWHERE", self.elsewhere.url)
                                                               for key, value in CONTRARY.items()}}))
        self.prompt(**CONTRARY)
        seen = self.destination.wait_for_all_signals()
        self.assertIn(b"alice@example.com", seen)
        self.assertNotIn(b"contrary", seen)
        self.assertEqual(self.elsewhere.got, [])

    def start_relay_without_settings_but_keep(self):
        """The relay with the settings as they lie: its own state lies elsewhere, so nothing goes back."""
        shutil.move(self.root / "var/lib/claude-telemetry-settings", self.folder / "settings-state")
        self.start_relay_without_settings()

    def test_two_users_are_two_persons_and_neither_can_be_the_other(self):
        self.agent("apply")
        self.start_relay()
        self.prompt("alice", ALICE)
        alices = self.destination.wait_for_all_signals()
        self.assertNotIn(b"bob@example.com", alices)
        self.destination.got.clear()
        self.prompt("bob", BOB, OTEL_RESOURCE_ATTRIBUTES="user.email=alice@example.com,work_email=alice@example.com")
        bobs = self.destination.wait_for_all_signals()
        self.assertIn(b"bob@example.com", bobs)
        self.assertNotIn(b"alice@example.com", bobs)

    def direct(self, destination):
        """Straight to the destination, as Span and ActivityLog document it; no relay runs."""
        token = self.root / "etc/claude-telemetry/vendor-token"
        token.write_text("v3ndor-t0ken\n")
        token.chmod(0o600)
        self.write("etc/claude-telemetry/agent.yaml", f"""\
identity: {{ email_from: [directory], email_domain: example.com }}
claude: {{ mode: direct }}
destinations:
  - {destination}
""")
        self.agent("apply")

    def as_user(self, uid, *words):
        return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *map(str, words)],
                              capture_output=True, text=True, timeout=30)

    def expect_tokens_apart(self):
        for path in [*(self.root / "etc/claude-code").rglob("*.json"), self.root / "home/alice/.claude/settings.json"]:
            seen = self.as_user(BOB, "cat", path).stdout
            self.assertNotIn("v3ndor-t0ken", seen, path)
        self.assertIn("v3ndor-t0ken", self.as_user(ALICE, "cat", self.root / "home/alice/.claude/settings.json").stdout)
        shown = self.agent("apply", "--dry-run")
        self.assertNotIn("v3ndor-t0ken", shown)

    def test_direct_to_span_each_person_sends_the_token_and_the_own_address(self):
        self.direct(f"""{{ name: span, endpoint: "{self.destination.url}", signals: [metrics],
    headers: {{ X-Span-Token: "${{file:/etc/claude-telemetry/vendor-token}}" }},
    resource_attributes: {{ work_email: "${{email}}" }} }}""")
        for name, uid, other in (("alice", ALICE, b"bob@"), ("bob", BOB, b"alice@")):
            self.prompt(name, uid, **CONTRARY)
            programs.wait_until(lambda: self.destination.body_of("metrics"), what="metrics at the destination")
            self.assertIn(f"{name}@example.com".encode(), self.destination.body_of("metrics"))
            self.assertNotIn(other, self.destination.body_of("metrics"))
            self.assertEqual({path for path, _ in self.destination.got}, {"/v1/metrics"})
            self.assertEqual({h["X-Span-Token"] for h in self.destination.headers}, {"v3ndor-t0ken"})
            self.destination.got.clear()
        self.assertEqual(self.elsewhere.got, [])
        self.expect_tokens_apart()

    def test_direct_to_activitylog_uses_its_urls_as_they_are(self):
        base = self.destination.url + "/api/v1/otlp/v1"
        self.direct(f"""{{ name: activitylog, logs_endpoint: "{base}/logs", traces_endpoint: "{base}/traces",
    headers: {{ Authorization: "Bearer ${{file:/etc/claude-telemetry/vendor-token}}" }}, signals: [logs, traces],
    resource_attributes: {{ service.name: claude-code, user.name: "${{local_user}}" }} }}""")
        self.prompt()
        programs.wait_until(lambda: len({path for path, _ in self.destination.got}) == 2, what="logs and traces")
        self.assertEqual({path for path, _ in self.destination.got}, {"/api/v1/otlp/v1/logs", "/api/v1/otlp/v1/traces"})
        self.assertEqual({h["Authorization"] for h in self.destination.headers}, {"Bearer v3ndor-t0ken"})
        bodies = b"".join(body for _, body in self.destination.got)
        self.assertIn(b"user.name\x12\x07\n\x05alice", bodies)
        self.expect_tokens_apart()
        self.agent("revert")
        self.assertEqual(self.files_of_ours(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
