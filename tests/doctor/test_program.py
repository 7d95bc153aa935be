"""The doctor as a program: options, exit codes, the JSON's shape, --fix, the bundle's secrets, --send."""
import io
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import tarfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from setups import BASE, OURS, TOKEN, UID, Peer, Setup, Silent, block, closed_port  # noqa: E402
from tests.system.support.json_schema import check  # noqa: E402

DOCTOR = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "claude-telemetry-doctor"
AGENT = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else None
SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "docs" / "doctor-report.schema.json"

# Each stands somewhere that the doctor reads; none may be seen anywhere in what it says or writes.
PLANTED = {
    "destination's token file": "ct_planted-in-a-token-file-1", "header in the configuration": "planted-header-value-2",
    "device token": "ct_planted-device-token-3", "enrolment secret": "planted-enrolment-secret-4",
    "managed headers": "planted-managed-header-5", "user's headers": "planted-user-header-6",
    "shell's headers": "planted-shell-header-7", "process's headers": "planted-process-header-8",
    "proxy's password": "planted-proxy-password-9", "token in a URL": "planted-url-token-10",
    "prompt in the status": "planted prompt text 11", "hook in the settings": "planted-hook-secret-12",
    "API key in the user's env": "sk-ant-planted-api-key-13",
    "token in an error of the agent": "ct_planted-in-an-error-14", "password in an error's URL": "planted-error-password-15",
    "secret of a variable of the agent": 'planted-"quoted"-env-secret-16',
}


def plant(s):
    p = list(PLANTED.values())
    s.write("etc/claude-telemetry/token", p[0] + "\n", mode=0o600)
    s.configure(destination=f"  - name: span\n    endpoint: {s.destination.url}\n    headers: {{ X-Span-Token: \"{p[1]}\" }}\n    signals: [metrics]\n"
                f"  - name: far\n    endpoint: {s.destination.url}\n    headers: {{ X-Far: \"${{env:FAR_SECRET}}\" }}\n",
                extra=f"server: {{ url: {s.destination.url}, enrollment_secret_file: /etc/claude-telemetry/enrollment-secret }}\n")
    s.write("var/lib/claude-telemetry/device.json", {"device_id": "d-1", "device_token": p[2], "server_url": s.destination.url}, mode=0o600)
    s.write("etc/claude-telemetry/enrollment-secret", p[3], mode=0o600)
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_HEADERS=f"Authorization: Bearer {p[4]}", HTTPS_PROXY=f"http://corp:{p[8]}@proxy.example:3128",
                   OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{s.relay.url}/v1/traces?token={p[9]}"))
    s.user({"OTEL_EXPORTER_OTLP_LOGS_HEADERS": f"X-Key={p[5]}", "ANTHROPIC_API_KEY": p[12]},
           hooks={"Stop": [{"hooks": [{"type": "command", "command": f"curl -H 'Authorization: {p[11]}' x"}]}]})
    s.env["FAR_SECRET"] = p[15]
    s.shell(f'export OTEL_EXPORTER_OTLP_METRICS_HEADERS="Authorization=Basic {p[6]}"')
    s.write("proc/stat", f"btime {int(time.time())}\n")
    s.write("proc/77/cmdline", "claude\0")
    s.write("proc/77/environ", f"OTEL_EXPORTER_OTLP_TRACES_HEADERS=api-key={p[7]}\0")
    if os.getuid() == 0:
        os.chown(s.path / "proc/77", UID, UID)
    s.status(last={"prompt": p[10]}, server={"last_error": f"no answer from https://user:{p[14]}@central.example/"},
             destinations=[{"name": "central", "state": "auth_failed", "backlog_records": 3,
                            "last_error": f"401 to Bearer {p[13]} at http://user:{p[14]}@central.example/"}],
             spool={"bytes": 10, "oldest_age_seconds": 200000, "evicted_total": 0})


class Program(unittest.TestCase):
    def setUp(self):
        self.relay, self.destination = Peer(), Peer()
        self.s = Setup(self.relay, self.destination, DOCTOR, AGENT)
        self.addCleanup(self.s.close)
        self.addCleanup(self.relay.close)
        self.addCleanup(self.destination.close)

    def expect_clean(self, what, text):
        for name, secret in PLANTED.items():
            self.assertNotIn(secret, text, f"{what} shows the {name}")

    def unpack(self, *options):
        path = self.s.path / "bundle.tar.gz"
        self.s.run("--bundle", path, *options)
        with tarfile.open(path) as archive:
            return path, {m.name.split("/")[-1]: archive.extractfile(m).read().decode() for m in archive.getmembers()}

    def test_no_output_holds_a_planted_secret(self):
        plant(self.s)
        for options in ([], ["--verbose"], ["--json"]):
            run = self.s.run(*options)
            self.assertIn(run.returncode, (0, 1), run.stderr)
            self.assertGreater(len(run.stdout), 500)
            self.expect_clean(" ".join(options), run.stdout + run.stderr)
        json.loads(run.stdout)

    def test_the_bundle_holds_what_support_needs_and_no_planted_secret(self):
        plant(self.s)
        path, files = self.unpack()
        self.assertEqual(set(files), {"README.txt", "report.json", "report.txt", "agent.yaml", "status.json", "documents.txt", "machine.txt"})
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        for name, text in files.items():
            self.expect_clean(name, text)
            self.assertNotIn("planted", text, name)
        self.assertIn("alice@example.com", files["report.json"])
        self.assertIn("destinations:", files["agent.yaml"])
        self.assertEqual(json.loads(files["report.json"])["version"], 1)
        json.loads(files["status.json"])

    def test_passwords_in_a_configuration_that_is_refused_are_not_shown_either(self):
        self.s.configure(destination="  - name: far\n    endpoint: http://user:planted-url-password@far.example\n"
                                     "    proxy: http://corp:planted-proxy-password@proxy.example:3128\n")
        run = self.s.run("--verbose", "--bundle", self.s.path / "bundle.tar.gz")
        self.assertIn("without a user name or password", run.stdout)
        self.assertNotIn("planted", run.stdout + run.stderr)
        with tarfile.open(self.s.path / "bundle.tar.gz") as archive:
            for member in archive.getmembers():
                self.assertNotIn("planted", archive.extractfile(member).read().decode(), member.name)

    def test_a_receiver_that_repeats_the_helpers_token_does_not_give_it_away(self):
        (self.s.path / "etc/claude-telemetry/agent.yaml").unlink()
        self.s.remove(OURS)
        self.s.write("usr/bin/helper", """#!/bin/sh\necho '{"Authorization": "Bearer planted-helper-token"}'\n""", mode=0o755)
        self.s.write(BASE, {"env": block(self.destination.url, OTEL_EXPORTER_OTLP_HEADERS=None), "otelHeadersHelper": "/usr/bin/helper"})
        self.destination.token = None
        words = b"planted-helper-token is over its limit"
        self.destination.body = b"\x0a" + bytes([len(words) + 4]) + b"\x08\x01\x12" + bytes([len(words)]) + words
        run = self.s.run("--verbose")
        self.assertIn("is over its limit", run.stdout)
        self.assertNotIn("planted-helper-token", run.stdout)
        self.assertTrue(any(h.get("Authorization") == "Bearer planted-helper-token" for _, h, _ in self.destination.requests))

    def test_the_bundle_leaves_names_out_of_addresses_when_asked(self):
        _, files = self.unpack("--hide-emails")
        for name, text in files.items():
            self.assertNotIn("alice@", text, name)
        self.assertIn("***@example.com", files["report.json"])

    def test_the_json_has_the_documented_shape(self):
        report = self.s.report()
        report.pop("by_id"), report.pop("exit_code"), report.pop("stderr")
        check(json.loads(SCHEMA.read_text()), report, "report")
        counts = {status: sum(c["status"] == status for c in report["checks"]) for status in ("ok", "warn", "fail", "skip")}
        self.assertEqual(report["summary"], counts)
        promised = """settings.managed.json settings.managed.missing settings.managed.readable settings.precedence settings.user.override
            env.shell.override env.headers.format env.resource_attributes.format env.protocol env.exporters env.traces_beta claude.version
            claude.installed identity.email relay.running relay.port relay.token relay.accepts spool.writable spool.backlog spool.integrity
            destination.central.dns destination.central.tcp destination.central.tls destination.central.auth destination.central.accepts
            proxy.loopback clock.skew disk.free service.enabled delivery.end_to_end"""
        self.assertLessEqual(set(promised.split()), {c["id"] for c in report["checks"]})

    def test_only_picks_by_the_beginning_of_an_id(self):
        ids = [c["id"] for c in self.s.report("--only", "settings.managed,relay.port")["checks"]]
        self.assertEqual(ids, ["settings.managed.json", "settings.managed.readable", "settings.managed.missing",
                               "settings.managed.writable", "relay.port"])
        self.assertEqual([c["id"] for c in self.s.report("--only=destination.central.tcp")["checks"]], ["destination.central.tcp"])
        for options in (["--only", "relay.port", "--only", "settings.managed.json"], ["--only= relay.port, settings.managed.json"]):
            self.assertEqual({c["id"] for c in self.s.report(*options)["checks"]}, {"relay.port", "settings.managed.json"}, options)

    def test_wrong_usage_is_2_and_says_what_to_do(self):
        for options in (["--only", "no.such"], ["--only", " , "], ["--nonsense"], ["--bundle"], ["--config", "/no/such.yaml"]):
            run = self.s.run(*options)
            self.assertEqual(run.returncode, 2, options)
            self.assertRegex(run.stderr, r"^claude-telemetry-doctor: .+\n  fix: .+")
        self.assertEqual(self.s.run("--help").returncode, 0)
        self.assertRegex(self.s.run("--version").stdout, r"^claude-telemetry-doctor \d+\.\d+")

    def test_a_home_that_does_not_answer_holds_up_nothing_else(self):
        if os.getuid() != 0 or not os.path.exists("/dev/fuse"):
            self.skipTest("needs root and /dev/fuse, to mount what does not answer")
        run = subprocess.run([sys.executable, pathlib.Path(__file__).with_name("silent_folder.py"), self.s.path / "home/alice", self.s.doctor,
                              "--root", self.s.path, "--json"], capture_output=True, text=True, timeout=90,
                             # A look that never comes back cannot be stopped for a search for leaks.
                             env={**self.s.env, "ASAN_OPTIONS": "detect_leaks=0"})
        if run.returncode == 77:
            self.skipTest(f"no mount here: {run.stderr}")
        self.assertEqual("", run.stderr)
        checks = {c["id"]: c for c in json.loads(run.stdout)["checks"]}
        user = checks["settings.user.json"]
        self.assertEqual("warn", user["status"])
        self.assertIn(f"'{self.s.path}/home/alice/.claude/settings.json' does not answer", user["seen"])
        self.assertIn("network folder", user["fix"])
        self.assertEqual({"ok"}, {checks[i]["status"] for i in ("settings.managed.json", "env.exporters", "relay.accepts")})

    def test_no_colour_and_no_progress_without_a_terminal(self):
        run = self.s.run("--verbose")
        self.assertNotIn("\033", run.stdout + run.stderr)
        self.assertEqual(run.stderr, "")

    def on_a_terminal(self, *options, **env):
        """What a person sees: both streams on one pseudo-terminal."""
        ours, theirs = pty.openpty()
        program = subprocess.Popen([self.s.doctor, "--root", self.s.path, *options], stdin=theirs, stdout=theirs, stderr=theirs,
                                   env={**self.s.env, "TERM": "xterm", **env}, cwd="/")
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                piece = b""
            if not piece:
                break
            seen += piece
        os.close(ours)
        self.assertIn(program.wait(60), (0, 1))
        return seen.decode(errors="replace")

    def test_a_terminal_sees_progress_and_colour_unless_it_asks_for_none(self):
        self.s.remove(OURS)
        seen = self.on_a_terminal()
        self.assertRegex(seen, r"\r\d+ of \d+ checks")
        self.assertIn("\033[31mfail\033[0m", seen)
        plain = self.on_a_terminal(NO_COLOR="1")
        self.assertNotIn("\033[3", plain)
        self.assertIn("fail  settings.managed.missing", plain)
        self.assertIsNone(re.search(r"of \d+ checks", self.on_a_terminal("--json")))

    def test_the_settings_tell_where_each_value_comes_from(self):
        self.s.user({"OTEL_LOGS_EXPORTER": "none"})
        variables = {v["name"]: v for v in self.s.report()["settings"][0]["variables"]}
        exporter = variables["OTEL_LOGS_EXPORTER"]
        self.assertEqual((exporter["value"], exporter["source"]), ("otlp", "managed files"))
        self.assertIn("90-claude-telemetry.json' line", exporter["place"])
        self.assertEqual(exporter["overrides"], "none")
        self.assertIn("home/alice/.claude/settings.json", exporter["overrides_place"])
        self.assertEqual(variables["OTEL_EXPORTER_OTLP_HEADERS"]["value"], "***")

    def test_fix_repairs_what_is_safe_and_says_so(self):
        self.s.write(OURS, '{"env": {')
        before = (self.s.path / "etc/claude-telemetry/agent.yaml").read_text()
        report = self.s.report("--fix")
        self.assertEqual(report["exit_code"], 0, report["checks"])
        self.assertTrue(any("90-claude-telemetry.json" in sentence for sentence in report["fixed"]), report["fixed"])
        self.assertEqual((self.s.path / "etc/claude-telemetry/agent.yaml").read_text(), before)
        self.assertEqual(json.loads((self.s.path / OURS).read_text())["env"]["OTEL_LOGS_EXPORTER"], "otlp")

    def test_fix_leaves_foreign_files_that_are_no_json(self):
        self.s.write("home/alice/.claude/settings.json", "{broken", mode=0o600)
        self.s.remove(OURS)
        report = self.s.report("--fix")
        self.assertEqual((self.s.path / "home/alice/.claude/settings.json").read_text(), "{broken")
        self.assertEqual(report["exit_code"], 1)
        self.assertIn("settings.json", report["stderr"])

    def test_without_fix_nothing_is_written(self):
        self.s.remove(OURS)
        before = {p: (p.stat().st_mtime_ns, p.stat().st_mode) for p in self.s.path.rglob("*")}
        self.s.report()
        self.assertEqual({p: (p.stat().st_mtime_ns, p.stat().st_mode) for p in self.s.path.rglob("*")}, before)

    def test_send_posts_the_report_with_the_devices_token(self):
        self.destination.token = None
        self.s.configure(extra=f"server: {{ url: {self.destination.url} }}\n")
        self.s.write("var/lib/claude-telemetry/device.json",
                     {"device_id": "d-1", "device_token": "ct_device-token", "server_url": self.destination.url}, mode=0o600)
        run = self.s.run("--send", "--only", "relay")
        self.assertEqual(run.returncode, 0, run.stderr)
        path, headers, body = next(r for r in self.destination.requests if r[0].endswith("doctor-reports"))
        self.assertEqual((path, headers["Authorization"]), ("/api/v1/doctor-reports", "Bearer ct_device-token"))
        self.assertEqual(json.loads(body)["report"]["version"], 1)

    def test_send_without_a_server_says_what_is_missing(self):
        run = self.s.run("--send", "--only", "relay")
        self.assertEqual(run.returncode, 1)
        self.assertIn("server.url", run.stderr)

    def test_a_record_is_sent_once_through_the_relay(self):
        self.s.report()
        records = [body for path, _, body in self.relay.requests if path == "/v1/logs" and body]
        self.assertEqual(len(records), 1)
        self.assertIn(b"claude_telemetry.doctor", records[0])

    def arrival(self):
        return self.s.report("--only", "delivery")["by_id"]["delivery.end_to_end"]

    def test_our_server_is_asked_for_the_very_record_with_the_devices_token(self):
        self.s.configure(extra=f"server: {{ url: {self.destination.url} }}\n")
        self.s.enroll(self.destination)
        self.destination.stores = True
        check = self.arrival()
        self.assertEqual(check["status"], "ok", check)
        self.assertIn("has stored the record", check["seen"])
        mark = check["seen"].split()[-1]
        sent = next(body for path, _, body in self.relay.requests if path == "/v1/logs" and body)
        self.assertEqual(sent.count(mark.encode()), 2)  # doctor.mark, session.id
        asked = [(path, headers["Authorization"]) for path, headers, _ in self.destination.requests if "doctor-marks" in path]
        self.assertEqual(asked, [(f"/api/v1/doctor-marks/{mark}", "Bearer ct_device")])

    def test_a_foreign_receiver_never_sees_the_devices_token(self):
        foreign = Peer()
        try:
            self.s.configure(extra=f"server: {{ url: {foreign.url} }}\n")
            self.s.enroll(foreign)
            check = self.arrival()
            self.assertEqual(check["status"], "ok", check)
            self.assertIn("foreign receiver", check["seen"])
            for _, headers, _ in self.destination.requests:
                self.assertNotIn("ct_device", headers.get("Authorization", ""))
        finally:
            foreign.close()

    def test_a_whole_run_takes_seconds_even_when_nothing_answers(self):
        self.relay.delay_s = self.destination.delay_s = 30
        start = time.monotonic()
        report = self.s.report()
        self.assertLess(time.monotonic() - start, 25)
        self.assertEqual(report["exit_code"], 1)

    def test_a_whole_run_takes_seconds_even_when_everything_hangs(self):
        silent = Silent()
        self.addCleanup(silent.close)
        url = f"http://127.0.0.1:{silent.port}"
        self.s.configure(extra=f"server: {{ url: {url} }}\n", destination=f"  - name: far\n    endpoint: {url.replace('http', 'https')}\n")
        text = (self.s.path / "etc/claude-telemetry/agent.yaml").read_text()
        self.s.write("etc/claude-telemetry/agent.yaml", text.replace(self.destination.url, url))
        self.s.write("usr/bin/helper", "#!/bin/sh\nsleep 60\n", mode=0o755)
        self.s.user({"OTEL_LOG_USER_PROMPTS": "0"}, otelHeadersHelper="/usr/bin/helper")
        os.mkfifo(self.s.path / "home/alice/.bashrc")
        os.mkfifo(self.s.path / "etc/claude-code/managed-settings.json")
        start = time.monotonic()
        report = self.s.report()
        self.assertLess(time.monotonic() - start, 20)
        for check in ("server.reachable", "destination.central.accepts", "destination.far.tls"):
            self.assertEqual(report["by_id"][check]["status"], "fail", check)

    def test_an_empty_machine_is_told_what_is_missing(self):
        for path in ("etc/claude-telemetry", "etc/claude-code", "home", "usr"):
            os.rename(self.s.path / path, self.s.path / (path.replace("/", "-") + ".away"))
        report = self.s.report()
        self.assertEqual([c["id"] for c in report["checks"] if c["status"] == "fail"], ["settings.managed.missing"])
        self.assertIn("install claude-telemetry-agent", report["by_id"]["settings.managed.missing"]["fix"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
