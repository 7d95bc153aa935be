"""What should report and does not: every state and detector, set up through the HTTP interface by a clock that the test moves."""
import datetime
import http.server
import json
import pathlib
import queue
import sqlite3
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402

CLOCKED = programs.BIN.parent / "tests" / "clocked-server"
HOUR, DAY = 3600, 86400


class ClockedServer(programs.Server):
    """programs.Server whose time is `offset` seconds ahead of ours."""

    def __init__(self, folder):
        super().__init__(folder)
        self.offset = self.jwt_age = 0
        self.program.command[0] = str(CLOCKED)

    def start(self):
        with open(self.program.log, "ab") as out:
            self.program.process = subprocess.Popen(self.program.command, stdin=subprocess.PIPE, stdout=out, stderr=out, text=True)
        self.offset = 0
        self.wait()
        return self

    def stop(self):
        if self.program.process:
            self.program.process.stdin.close()
        self.program.stop()

    def advance(self, seconds):
        before = self.program.log.read_text().count("advanced")
        self.program.process.stdin.write(f"advance {int(seconds)}\n")
        self.program.process.stdin.flush()
        programs.wait_until(lambda: self.program.log.read_text().count("advanced") > before, what="the clock moved")
        self.offset += seconds
        self.jwt_age += seconds
        if self.jwt_age > 3000:  # it may have expired
            self.jwt, self.jwt_age = None, 0

    def now(self):
        return time.time() + self.offset

    def text(self, ago=0):
        return datetime.datetime.fromtimestamp(self.now() - ago, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def attribute(key, value):
    kind = "intValue" if isinstance(value, int) else "doubleValue" if isinstance(value, float) else "stringValue"
    return {"key": key, "value": {kind: str(value) if kind == "intValue" else value}}


@unittest.skipUnless(CLOCKED.parent.exists(), f"{CLOCKED.parent}: a build without its tests")
class Health(unittest.TestCase):
    def setUp(self):
        folder = programs.Folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.server = ClockedServer(self.folder).set_up()
        self.addCleanup(self.server.stop)
        self.configure()
        self.server.start()

    def configure(self):
        pass

    # ---- What is sent ----

    def send(self, signal, body, token=None):
        token = self.server.token if token is None else token
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        return programs.http("POST", f"{self.server.url}/v1/{signal}", json.dumps(body).encode(), headers)[0]

    def request(self, email="alice@example.com", cost=0.5, model="claude-sonnet-4-5", token=None):
        """An api_request event, as Claude Code logs it."""
        at = str(int(self.server.now() * 1e9))
        values = {"event.name": "api_request", "user.email": email, "session.id": "s-1", "model": model, "input_tokens": 10,
                  "output_tokens": 20, "duration_ms": 5, "request_id": f"req_{at}", **({"cost_usd": cost} if cost else {})}
        record = {"timeUnixNano": at, "body": {"stringValue": "claude_code.api_request"},
                  "attributes": [attribute(k, v) for k, v in values.items()]}
        return self.send("logs", {"resourceLogs": [{"resource": {"attributes": [attribute("service.name", "claude-code")]},
                                                    "scopeLogs": [{"scope": {"name": "com.anthropic.claude_code.events"},
                                                                   "logRecords": [record]}]}]}, token)

    def metric(self, email="alice@example.com", token=None):
        at = str(int(self.server.now() * 1e9))
        point = {"timeUnixNano": at, "startTimeUnixNano": str(int(at) - 1000), "asDouble": 1.0,
                 "attributes": [attribute("user.email", email), attribute("session.id", "s-1")]}
        metric = {"name": "claude_code.session.count", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}}
        return self.send("metrics", {"resourceMetrics": [{"resource": {"attributes": [attribute("service.name", "claude-code")]},
                                                          "scopeMetrics": [{"scope": {"name": "com.anthropic.claude_code"},
                                                                            "metrics": [metric]}]}]}, token)

    def enroll(self):
        secret = self.server.cli("enrollment-secret", "create")
        body = {"enrollment_secret": secret, "device": {"hardware_id": "hw-1", "hostname": "lap-1", "os": "linux"},
                "users": [{"local_user": "alice", "email": "alice@example.com"}]}
        status, _, answer = programs.http("POST", self.server.url + "/api/v1/enroll", json.dumps(body).encode(), {})
        self.assertEqual(200, status, answer)
        return json.loads(answer)["device_token"]

    def beat(self, token, number, **more):
        body = {"instance_uid": "11111111-1111-4111-8111-111111111111", "sequence_num": number, "sent_at": self.server.text(),
                "health": {"healthy": True}, "users": [{"local_user": "alice", "email": "alice@example.com"}], **more}
        status, _, answer = programs.http("POST", self.server.url + "/api/v1/heartbeat", json.dumps(body).encode(),
                                          {"Authorization": f"Bearer {token}"})
        self.assertEqual(200, status, answer)

    # ---- What is said of it ----

    def items(self, **query):
        return self.server.get("/api/v1/health", **query)["items"]

    def one(self, kind, text=""):
        found = [i for i in self.items(kind=kind) if text in i["name"]]
        return found[0] if found else {"state": None, "stateCode": None}

    def expect(self, kind, state, code, text=""):
        """Waits until it is so; the reason and what to do must be told unless all is well."""
        def check():
            item = self.one(kind, text)
            return (item["state"], item["stateCode"]) == (state, code) and item
        try:
            item = programs.wait_until(check, 20, f"{kind} {text} {state} {code}")
        except AssertionError as fault:
            raise AssertionError(f"{fault}; it is {self.one(kind, text)}") from None
        if state != "green":
            self.assertTrue(item["reason"] and item["action"], item)
        return item

    def changes(self, item):
        return [(c["from"], c["to"], c["code"]) for c in
                self.server.get("/api/v1/health/changes", subject=f"{item['kind']}:{item['id']}")["items"]]

    def wait_for_change(self, item, to):
        """A device is judged when it is asked for; its change is kept when the server looks by itself."""
        programs.wait_until(lambda: self.changes(item)[0][1] == to, what=f"the change to {to} kept")


class Tokens(Health):
    def test_a_token_from_unused_to_stale_and_every_change_is_kept(self):
        token = self.expect("token", "grey", "never_seen")
        self.assertEqual(200, self.request())
        self.server.advance(61)
        self.expect("token", "green", "ok")
        self.server.advance(15 * DAY)
        self.expect("token", "grey", "inactive")
        self.server.advance(16 * DAY)
        stale = self.expect("token", "grey", "stale")
        self.assertIn("revoke", stale["action"])
        self.assertIn("31 days", stale["reason"])
        self.assertEqual([("green", "grey", "inactive"), ("grey", "green", "ok")], self.changes(token))

    def test_a_revoked_token_still_in_use_is_red_with_whence_until_it_stops(self):
        self.assertEqual(200, self.request())
        self.server.cli("token", "revoke", self.server.token)
        self.server.advance(61)
        self.expect("token", "grey", "revoked")
        self.assertEqual([403] * 6, [self.request() for _ in range(6)])
        red = self.expect("token", "red", "revoked_in_use")
        self.assertIn("127.0.0.1", red["reason"])
        self.assertIn("6 refusals", red["reason"])
        page = programs.http("GET", self.server.url + "/fleet", None, {"Authorization": f"Bearer {self.server.jwt}"})[2].decode()
        self.assertIn("revoked, and still sent from 127.0.0.1", page)
        self.assertEqual(self.server.token[:12], self.server.get("/api/v1/refusals")["items"][0]["tokenPrefix"])
        self.server.advance(16 * 60)
        self.expect("token", "grey", "revoked")

    def test_an_unknown_credential_that_keeps_coming_is_red_and_its_end_is_noted(self):
        good = self.server.token
        unknown = good[:-8] + ("A" if good[-8] != "A" else "B") + good[-7:]
        self.assertEqual([401] * 5, [self.request(token=unknown) for _ in range(5)])
        self.assertEqual([401] * 4, [self.request(token="") for _ in range(4)])  # too few to speak of
        red = self.expect("credential", "red", "unknown_token", good[:12])
        self.assertNotIn(unknown, json.dumps(red))
        self.assertEqual(1, len(self.items(kind="credential")))
        self.server.advance(16 * 60)
        programs.wait_until(lambda: not self.items(kind="credential"), what="the storm is over")
        self.assertEqual([("red", "green", "ended"), ("grey", "red", "unknown_token")], self.changes(red))

    def test_metrics_without_logs_and_tokens_without_cost(self):
        self.assertEqual(200, self.metric())
        self.server.advance(61)
        self.expect("token", "yellow", "logs_missing")
        self.expect("person", "yellow", "logs_missing", "alice")
        self.assertEqual(200, self.request(cost=0, model="some-model-of-tomorrow"))
        self.server.advance(301)
        self.expect("token", "yellow", "cost_missing")
        self.expect("person", "yellow", "cost_missing", "alice")
        self.assertEqual(200, self.request())
        self.server.advance(301)
        self.expect("token", "green", "ok")
        self.expect("person", "green", "ok", "alice")

    def test_a_token_that_sends_what_cannot_be_read(self):
        self.assertEqual(400, self.send("logs", {"resourceLogs": 7}))
        self.server.advance(61)
        self.expect("token", "yellow", "malformed")
        self.assertEqual(200, self.request())
        self.server.advance(61)
        self.expect("token", "green", "ok")

    def test_a_token_over_its_rate(self):
        slow = self.server.cli("token", "create", "--system", "claude-code", "--rate", "1")
        answers = [self.request(token=slow) for _ in range(12)]
        self.assertEqual(200, answers[0])
        self.assertEqual(429, answers[-1])
        self.server.advance(61)
        self.expect("token", "yellow", "rate_limited", slow[:12])


class Persons(Health):
    def test_a_person_comes_goes_and_is_missed(self):
        self.assertEqual(200, self.request())
        self.server.advance(301)
        alice = self.expect("person", "green", "ok", "alice")
        self.server.advance(15 * DAY)
        self.expect("person", "grey", "inactive", "alice")
        self.server.advance(16 * DAY)
        self.expect("person", "grey", "missing", "alice")
        self.assertEqual([("green", "grey", "inactive"), ("grey", "green", "ok")], self.changes(alice))

    def test_erased_persons_leave_no_state_behind(self):
        self.assertEqual(200, self.request())
        self.server.advance(301)
        alice = self.expect("person", "green", "ok", "alice")
        self.server.cli("erase", "--email", "alice@example.com")
        self.server.advance(301)
        programs.wait_until(lambda: not self.items(kind="person"), what="nobody is left")
        self.assertEqual([], self.changes(alice))

    def test_usage_that_only_the_api_saw_is_red(self):
        """The importer's own tests bring the row in by HTTP; here it is in the store already."""
        day = self.server.text(2 * DAY)[:10]
        control = sqlite3.connect(self.server.data / "control.db", timeout=10)
        columns = {r[1]: r[2] for r in control.execute("PRAGMA table_info(api_usage)")}
        given = {"report": 0, "day": day, "email": "bob@example.com", "requests": 7, "input_tokens": 100}
        row = {c: given.get(c, 0 if kind == "INTEGER" else "") for c, kind in columns.items() if c != "id"}
        control.execute(f"INSERT INTO api_usage({','.join(row)}) VALUES({','.join('?' * len(row))})", list(row.values()))
        control.commit()
        self.server.advance(301)
        bob = self.expect("person", "red", "usage_not_seen", "bob")
        self.assertIn(day, bob["reason"])
        self.assertEqual(200, self.request("bob@example.com"))
        self.server.advance(301)
        self.expect("person", "green", "ok", "bob")


class Devices(Health):
    def test_heartbeats_without_data_while_claude_code_is_in_use(self):
        token = self.enroll()
        self.server.advance(2 * HOUR)
        in_use = {"claude": [{"path": "/usr/bin/claude", "version": "2.1.300", "last_event_at": self.server.text(60)}]}
        self.beat(token, 1, **in_use)
        self.expect("device", "yellow", "no_data_yet")
        self.assertEqual(200, self.request(token=token))
        self.server.advance(61)
        self.beat(token, 2, claude=[{"path": "/usr/bin/claude", "version": "2.1.300", "last_event_at": self.server.text(1)}])
        self.expect("device", "green", "ok")
        self.server.advance(2 * HOUR)
        self.beat(token, 3, claude=[{"path": "/usr/bin/claude", "version": "2.1.300", "last_event_at": self.server.text(60)}])
        self.expect("device", "red", "in_use_no_data")
        self.beat(token, 4, claude=[{"path": "/usr/bin/claude", "version": "2.1.300", "last_event_at": self.server.text(60)}],
                  spool={"records": 5, "oldest_age_seconds": 60})
        self.expect("device", "green", "ok")  # they wait on the machine: no loss

    def test_silence_alone_is_not_red_and_silence_in_use_is(self):
        token = self.enroll()
        self.beat(token, 1)
        device = self.expect("device", "green", "ok")
        self.server.advance(3 * HOUR)
        self.expect("device", "yellow", "late")
        self.wait_for_change(device, "yellow")
        self.assertEqual(200, self.request(token=token))
        self.server.advance(61)
        self.expect("device", "red", "silent_in_use")
        self.wait_for_change(device, "red")
        self.beat(token, 2, offline_reason="10800 s: could not resolve host")
        self.expect("device", "green", "ok")
        self.assertEqual(4, len(self.changes(device)))
        newest = self.server.get("/api/v1/health/changes", subject=f"device:{device['id']}")["items"][0]
        self.assertEqual(("red", "green"), (newest["from"], newest["to"]))
        self.assertIn("could not resolve host", newest["reason"])
        self.beat(token, 3, agent_disconnect=True)
        self.expect("device", "grey", "disconnected")

    def test_evictions_stay_red_for_an_hour(self):
        token = self.enroll()
        self.beat(token, 1, spool={"evicted_total": 10})
        self.expect("device", "green", "ok")  # of before
        self.beat(token, 2, spool={"evicted_total": 14})
        self.beat(token, 3, spool={"evicted_total": 15})
        self.assertIn("5 records", self.expect("device", "red", "evicting")["reason"])
        self.beat(token, 4, spool={"evicted_total": 15})
        self.expect("device", "red", "evicting")
        self.server.advance(HOUR + 1)
        self.beat(token, 5, spool={"evicted_total": 15})
        self.expect("device", "green", "ok")

    def test_a_backlog_that_only_grows(self):
        token = self.enroll()
        for number in range(1, 18):
            self.beat(token, number, spool={"records": 100 * number, "oldest_age_seconds": 30})
            self.server.advance(60)
        self.beat(token, 18, spool={"records": 1800, "oldest_age_seconds": 30})
        self.expect("device", "yellow", "backlog_growing")
        self.beat(token, 19, spool={"records": 1700, "oldest_age_seconds": 30})
        self.expect("device", "green", "ok")

    def test_settings_that_somebody_else_keeps_writing(self):
        token = self.enroll()
        for number in range(1, 8):
            self.beat(token, number, config={"status": "applied", "drift_repairs_total": 10 + number})
            self.server.advance(120)
        self.beat(token, 8, config={"status": "applied", "drift_repairs_total": 17})
        self.expect("device", "yellow", "settings_conflict")

    def test_a_wrong_clock_and_a_version_that_loses_telemetry(self):
        token = self.enroll()
        self.beat(token, 1, sent_at=self.server.text(600))
        self.assertIn("10 minutes behind", self.expect("device", "yellow", "clock_skew")["reason"])
        self.beat(token, 2, claude=[{"path": "/usr/bin/claude", "version": "2.0.66"}])
        self.assertIn("2.0.66", self.expect("device", "yellow", "claude_version")["reason"])


class Importers(Health):
    def configure(self):
        config = self.folder / "server.yaml"
        config.write_text(f"integrations:\n  daily: false\n  admin_api: {{ key_file: {self.folder}/key }}\n")
        self.server.program.command += ["--config", config]
        (self.folder / "key").write_text("not a key\n")
        (self.folder / "key").chmod(0o600)

    def test_an_importer_whose_key_is_refused(self):
        self.expect("importer", "grey", "never_seen")
        self.expect("integration", "grey", "never_seen")
        run = subprocess.run([programs.SERVER, "import", "run", "--data", self.server.data, "--config", self.folder / "server.yaml"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(1, run.returncode, run.stderr)
        self.expect("importer", "red", "credential_rejected")
        self.expect("integration", "red", "credential_rejected")


class Receiver:
    """A real HTTP server that keeps what is posted to it; the first `refusals` posts are answered 503."""

    def __init__(self, refusals=0):
        self.posts, self.refusals = queue.Queue(), refusals
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = receiver.refusals > 0
                receiver.refusals -= refused
                self.send_response(503 if refused else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.posts.put((refused, json.loads(body)))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Alerts(Health):
    def configure(self):
        self.receiver = Receiver(refusals=1)
        self.addCleanup(self.receiver.close)
        config = self.folder / "server.yaml"
        config.write_text(f"alerts: {{ webhook_url: '{self.receiver.url}', after_seconds: 600, every_seconds: 1 }}\n")
        self.server.program.command += ["--config", config]

    def test_what_stays_red_is_told_once_by_group_again_when_refused_and_when_it_is_well(self):
        unknown = "ct_" + "0" * 33
        for token in (unknown, ""):
            self.assertEqual([401] * 5, [self.request(token=token) for _ in range(5)])
        self.expect("credential", "red", "no_token", "(no token)")
        self.assertTrue(self.receiver.posts.empty())  # not for long enough
        self.server.advance(601)
        refused, first = self.receiver.posts.get(timeout=20)
        self.assertTrue(refused)
        self.server.advance(16)  # the pause after a failure
        again = self.receiver.posts.get(timeout=20)
        self.assertEqual((False, first), again)
        self.assertEqual({("credential", "no_token", 1), ("credential", "unknown_token", 1)},
                         {(g["kind"], g["code"], g["count"]) for g in first["groups"]})
        self.assertEqual({"credential:none", "credential:" + unknown[:12]}, {f["subject"] for f in first["firing"]})
        self.assertTrue(all(f["reason"] and f["action"] for f in first["firing"]))
        self.server.advance(16 * 60)
        _, last = self.receiver.posts.get(timeout=20)
        self.assertEqual(([], 2), (last["firing"], len(last["resolved"])))


if __name__ == "__main__":
    unittest.main(verbosity=2)
