"""What the people who run the server rely on: the audit log, alerts, limits, backups."""
import hashlib
import hmac
import http.server
import json
import pathlib
import queue
import re
import resource
import select
import shutil
import signal
import socket
import sqlite3
import ssl
import sys
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from scripts import demo  # noqa: E402
from tests.system.support import certificates, programs  # noqa: E402

LOGS = (demo.DATA / "s01-basic-0001-logs.bin").read_bytes()


class OperationsTest(unittest.TestCase):
    def setUp(self):
        folder = programs.Folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.server = programs.Server(self.folder).set_up().start()
        self.addCleanup(self.server.program.stop)

    def send(self, body=LOGS, token=None):
        return programs.http("POST", self.server.url + "/v1/logs", body,
                             {"Content-Type": "application/x-protobuf",
                              "Authorization": f"Bearer {token or self.server.token}"})


class Audit(OperationsTest):
    def log_in(self, email, role):
        self.server.cli("user", "create", "--email", email, "--role", role, "--password-stdin",
                        stdin=programs.PASSWORD)
        body = json.dumps({"email": email, "password": programs.PASSWORD}).encode()
        status, _, answer = programs.http("POST", self.server.url + "/api/v1/auth/login", body, {})
        self.assertEqual(200, status, answer)
        return json.loads(answer)["token"]

    def entries(self, **query):
        return self.server.get("/api/v1/audit", **query)["items"]

    def test_logins_body_reads_exports_and_commands_are_written_down_and_secrets_are_not(self):
        self.assertEqual(200, self.send()[0])
        analyst, auditor = self.log_in("ana@example.com", "analyst"), self.log_in("aud@example.com", "auditor")
        path = "/api/v1/messages?take=1"
        for jwt in analyst, auditor:
            self.assertEqual(200, programs.http("GET", self.server.url + path, None,
                                                {"Authorization": f"Bearer {jwt}"})[0])
        self.server.get("/api/v1/messages/aggregate", accept="text/csv", metric="count")
        self.server.cli("token", "revoke", self.server.token[:12])
        self.server.cli("erase", "--email", "gone@example.com")
        self.server.cli("retention", "run")
        self.server.cli("backup", "--out", self.folder / "backup")
        self.server.cli("user", "role", "--email", "ana@example.com", "--role", "viewer")

        self.assertEqual(["aud@example.com"], [e["who"] for e in self.entries(action="message.read")])
        self.assertEqual(path, self.entries(action="message.read")[0]["subject"])
        self.assertEqual("/api/v1/messages/aggregate?metric=count", self.entries(action="export")[0]["subject"])
        actions = {e["action"] for e in self.entries()}
        self.assertLessEqual({"login", "system.create", "token.create", "token.revoke", "user.create",
                              "erase", "retention.run", "backup", "user.role"}, actions)
        everything = json.dumps(self.entries(take=1000))
        for secret in self.server.token, programs.PASSWORD, "gone@example.com", auditor:
            self.assertNotIn(secret, everything)
        cookie = Sessions.log_in(self)  # an admin, who may read bodies
        row = self.server.messages(type="ai.prompt")[0]
        page = f"/messages/{row['id']}"
        sheet = "/coverage.csv?sheet=days"
        for path in page, sheet:
            self.assertEqual(200, programs.http("GET", self.server.url + path, None, {"Cookie": cookie})[0], path)
        self.assertEqual([page], [e["subject"] for e in self.entries(action="message.read") if e["who"] == Sessions.EMAIL
                                  and not e["subject"].startswith("/api")])
        self.assertIn(sheet, [e["subject"] for e in self.entries(action="export")])
        status, _, _ = programs.http("GET", self.server.url + "/api/v1/audit", None,
                                     {"Authorization": f"Bearer {analyst}"})
        self.assertEqual(403, status)
        status, _, _ = programs.http("GET", self.server.url + "/api/v1/messages", None, {"Authorization": f"Bearer {analyst}"})
        self.assertEqual(403, status)  # a viewer since the role was changed

        first = self.server.get("/api/v1/audit", take=2)
        second = self.server.get("/api/v1/audit", take=2, cursor=first["nextCursor"])
        ids = [e["id"] for e in first["items"] + second["items"]]
        self.assertEqual(ids, list(range(ids[0], ids[0] - 4, -1)))
        self.assertIn("none changed", self.server.cli("audit", "verify"))
        self.assertIn("token.revoke", self.server.cli("audit", "list"))


class Sessions(OperationsTest):
    """As a browser keeps them: a cookie, and the token that its forms repeat."""

    EMAIL = "admin@example.com"

    def log_in(self):
        form = urllib.parse.urlencode({"email": Sessions.EMAIL, "password": programs.PASSWORD}).encode()
        request = urllib.request.Request(self.server.url + "/login", data=form, method="POST",
                                         headers={"Content-Type": "application/x-www-form-urlencoded"})
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_):
                return None
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay).open(request, timeout=20)
        except urllib.error.HTTPError as answer:
            self.assertEqual(303, answer.code)
            return answer.headers["Set-Cookie"].partition(";")[0]

    def status(self, cookie):
        return programs.http("GET", self.server.url + "/api/v1/devices", None, {"Cookie": cookie})[0]

    def test_they_outlive_a_restart_and_end_when_they_are_ended(self):
        cookie, other = self.log_in(), self.log_in()
        bearer = lambda: programs.http("GET", self.server.url + "/api/v1/devices", None,  # noqa: E731
                                       {"Authorization": f"Bearer {self.server.jwt}"})[0]
        self.server.get("/api/v1/devices")
        self.assertEqual((200, 200), (self.status(cookie), bearer()))
        self.server.program.stop()
        self.server.start()
        self.assertEqual((200, 200, 200), (self.status(cookie), self.status(other), bearer()))
        page = programs.http("GET", self.server.url + "/", None, {"Cookie": cookie})[2].decode()
        csrf = re.search(r'name="?csrf"? value="?([^"> ]+)', page)[1]
        form = urllib.parse.urlencode({"csrf": "x" + csrf}).encode()
        self.assertEqual(403, programs.http("POST", self.server.url + "/logout", form, {"Cookie": cookie})[0])
        form = urllib.parse.urlencode({"csrf": csrf}).encode()
        programs.http("POST", self.server.url + "/logout", form, {"Cookie": cookie})
        self.assertEqual((401, 200), (self.status(cookie), self.status(other)))
        time.sleep(1.1)  # bearer tokens tell when they were issued in whole seconds
        self.server.cli("user", "logout", "--email", self.EMAIL)
        self.assertEqual((401, 401), (self.status(other), bearer()))
        third = self.log_in()
        self.server.cli("user", "password", "--email", self.EMAIL, "--password-stdin", stdin="another long password")
        self.assertEqual(401, self.status(third))
        self.assertIn("no user", self.server.cli("user", "delete", "--email", "nobody@example.com", code=1))
        self.server.cli("user", "delete", "--email", self.EMAIL)
        self.assertNotIn(self.EMAIL, self.server.cli("user", "list"))


def resident_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Limits(unittest.TestCase):
    """A server that may hold 24 MiB of bodies, under many large and slow senders."""

    def setUp(self):
        folder = programs.Folder()
        path = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.server = programs.Server(path, config="max_request_mib: 8\nmax_receiving_mib: 24\n").set_up()
        self.server.start()
        self.addCleanup(self.server.program.stop)

    def metric(self, name):
        text = programs.http("GET", self.server.url + "/metrics")[2].decode()
        return float(re.search(rf"^claude_telemetry_{re.escape(name)} (\S+)$", text, re.M)[1])

    def begin(self, length):
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        self.addCleanup(connection.close)
        connection.sendall(f"POST /v1/logs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.server.token}\r\n"
                           f"Content-Type: application/x-protobuf\r\nContent-Length: {length}\r\n\r\n".encode())
        return connection

    def answer(self, connection):
        connection.settimeout(20)
        try:
            return int(connection.recv(64).split()[1])
        except (ConnectionError, IndexError):
            return 503  # cut after the answer, which the rest of the body pushed out

    def test_memory_stays_bounded_and_the_rest_is_told_to_come_again(self):
        before, pid = resident_mib(self.server.program.process.pid), self.server.program.process.pid
        senders = [self.begin(7 << 20) for _ in range(60)]
        chunk = b"x" * (6 << 20)
        for sender in senders:  # all but the last of it, so that none is complete
            try:
                sender.sendall(chunk)
            except ConnectionError:
                pass
        programs.wait_until(lambda: self.metric("receiving_refused_total") >= 50, what="refusals")
        self.assertLessEqual(self.metric("receiving_bytes"), 24 << 20)
        self.assertLess(resident_mib(pid) - before, 24 * 3 + 150)  # not the 360 MiB that were sent; sanitizers keep what is freed
        refused = [s for s in senders if select.select([s], [], [], 0.01)[0]]
        self.assertEqual({503}, {self.answer(s) for s in refused})
        for sender in senders:
            sender.close()
        programs.wait_until(lambda: self.metric("receiving_bytes") == 0, what="all is given back")
        status, _, _ = programs.http("POST", self.server.url + "/v1/logs", LOGS,
                                     {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {self.server.token}"})
        self.assertEqual(200, status)

    def test_what_an_operator_watches_is_there_and_moves(self):
        self.assertEqual(200, programs.http("POST", self.server.url + "/v1/logs", LOGS,
                                            {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {self.server.token}"})[0])
        self.assertGreaterEqual(self.metric('request_seconds_count{area="ingest"}'), 1)
        self.assertEqual(1, self.metric("commit_seconds_count"))
        self.assertGreater(self.metric("commit_rows_sum"), 1)
        self.assertEqual(1, self.metric("commit_requests_sum"))
        self.assertEqual(1, self.metric("ingest_wait_seconds_count"))
        self.assertEqual(0, self.metric("ingest_queue_requests"))
        self.assertGreaterEqual(self.metric('http_answers_total{class="2xx"}'), 1)
        self.assertEqual(0, self.metric('health{kind="device",state="red"}'))

    def test_a_store_that_cannot_be_written_is_noticed_before_anybody_sends(self):
        pid, ready = self.server.program.process.pid, lambda: programs.http("GET", self.server.url + "/readyz")
        self.assertEqual(200, ready()[0])
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        answer = programs.wait_until(lambda: (r := ready())[0] == 503 and r[2].decode(), 30, "not ready")
        self.assertRegex(answer, "rows cannot be stored|control state cannot be written")
        self.assertIn("fix:", answer)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        programs.wait_until(lambda: ready()[0] == 200, 30, "ready again")


class Upgrade(unittest.TestCase):
    """Databases of the first schemas, dumped from a server of then: rows, a token, a user, a device."""

    DATA = programs.ROOT / "tests/data/store"
    TOKEN = "ct_AXNCtgx9bBb4tUsKO5byfiQXTw10vqkm2"

    def test_an_older_database_opens_with_everything_in_it(self):
        folder = programs.Folder()
        path = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        server = programs.Server(path)
        for name, dump in ("control", "control-schema-5.sql"), ("messages", "messages-schema-1.sql"):
            with sqlite3.connect(server.data / f"{name}.db") as db:
                db.executescript((self.DATA / dump).read_text())
            db.close()
        server.email = "admin@example.com"
        server.start()
        self.addCleanup(server.program.stop)
        self.assertEqual((2, 150, 57), tuple(server.sums()[k] for k in ("count", "sum(inputTokens)", "sum(outputTokens)")))
        self.assertEqual(["lap-1"], [d["hostname"] for d in server.get("/api/v1/devices")["items"]])
        self.assertIn("none changed", server.cli("audit", "verify"))
        send = lambda: programs.http("POST", server.url + "/v1/logs", LOGS,  # noqa: E731
                                     {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {self.TOKEN}"})[0]
        self.assertEqual(200, send())
        self.assertEqual(2, server.sums()["count"])  # they are the rows that it had
        for name in "control", "messages":
            with sqlite3.connect(server.data / f"{name}.db") as db:
                self.assertEqual("ok", db.execute("PRAGMA integrity_check").fetchone()[0])
            db.close()


class Certificate(unittest.TestCase):
    def test_a_renewed_certificate_is_taken_on_sighup_and_a_broken_one_is_not(self):
        folder = programs.Folder()
        path = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        authority = certificates.Authority(path / "ca")
        shown = lambda: ssl.get_server_certificate(("127.0.0.1", server.port), timeout=10)  # noqa: E731
        (first, first_key), (second, second_key) = authority.issue("first"), authority.issue("second")
        cert, key = path / "server.pem", path / "server-key.pem"
        shutil.copy(first, cert)
        shutil.copy(first_key, key)
        server = programs.Server(path)
        server.program.command += ["--tls-cert", cert, "--tls-key", key]
        server.program.start()
        self.addCleanup(server.program.stop)
        as_der = lambda file: ssl.PEM_cert_to_DER_cert(file.read_text())  # noqa: E731
        programs.wait_until(lambda: ssl.PEM_cert_to_DER_cert(shown()) == as_der(first), what="the first certificate")
        shutil.copy(second, cert)
        shutil.copy(second_key, key)
        server.program.process.send_signal(signal.SIGHUP)
        programs.wait_until(lambda: ssl.PEM_cert_to_DER_cert(shown()) == as_der(second), what="the second certificate")
        cert.write_text("nonsense")
        server.program.process.send_signal(signal.SIGHUP)
        programs.wait_until(lambda: "cannot read the certificate" in server.program.log.read_text(), what="the complaint")
        self.assertEqual(as_der(second), ssl.PEM_cert_to_DER_cert(shown()))


class Backup(OperationsTest):
    def test_a_copy_made_while_it_runs_is_a_server_of_its_own(self):
        self.assertEqual(200, self.send()[0])
        self.server.cli("backup", "--out", self.folder / "copy")
        self.assertIn("already there", self.server.cli("backup", "--out", self.folder / "copy", code=2))
        self.assertEqual(200, self.send((demo.DATA / "s02-edit-commit-0001-logs.bin").read_bytes())[0])  # after it
        then = 2
        self.assertGreater(self.server.sums()["count"], then)
        restored = programs.Server(self.folder / "restored")
        for name in "control.db", "messages.db":
            shutil.copy(self.folder / "copy" / name, restored.data / name)
        restored.email = self.server.email
        restored.start()
        self.addCleanup(restored.program.stop)
        self.assertEqual(then, restored.sums()["count"])
        self.assertIn("none changed", restored.cli("audit", "verify"))
        status, _, _ = programs.http("POST", restored.url + "/v1/logs", LOGS,  # the token is there, and so are the rows
                                     {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {self.server.token}"})
        self.assertEqual((200, then), (status, restored.sums()["count"]))


class Receiver:
    """A real HTTP server that keeps what is posted to it; `refusals` posts are answered 503 first."""

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
                receiver.posts.put((self.path, dict(self.headers), body))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Alerts(unittest.TestCase):
    SECRET = "a secret of the webhook"

    def setUp(self):
        folder = programs.Folder()
        self.folder = pathlib.Path(folder.__enter__())
        self.addCleanup(folder.__exit__, None, None, None)
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        (self.folder / "secret").write_text(self.SECRET + "\n")
        config = (
            f"alerts:\n  webhook_url: {self.receiver.url}/hook\n  slack_url: {self.receiver.url}/slack\n"
            f"  webhook_secret_file: {self.folder}/secret\n  after_seconds: 0\n  every_seconds: 1\n")
        self.server = programs.Server(self.folder, config=config).set_up()
        self.server.start()
        self.addCleanup(self.server.program.stop)
        body = json.dumps({"enrollment_secret": self.server.cli("enrollment-secret", "create"),
                           "device": {"hardware_id": "hw-1", "hostname": "lap-1", "os": "linux"}, "users": []})
        self.device = json.loads(self.post("/api/v1/enroll", body))

    def post(self, path, body, **headers):
        status, _, answer = programs.http("POST", self.server.url + path, body.encode(), headers)
        self.assertEqual(200, status, answer)
        return answer

    def heartbeat(self, number, state):
        self.post("/api/v1/heartbeat", json.dumps({
            "instance_uid": "11111111-1111-4111-8111-111111111111", "sequence_num": number,
            "agent_version": "1.0.0", "health": {"healthy": True},
            "destinations": [{"name": "central", "state": state, "last_status": 401, "consecutive_failures": 9,
                              "last_error": "401"}]}),
            Authorization=f"Bearer {self.device['device_token']}")

    def told(self):
        posts = dict((path, (headers, body)) for path, headers, body in
                     (self.receiver.posts.get(timeout=20) for _ in range(2)))
        headers, body = posts["/hook"]
        expected = hmac.new(self.SECRET.encode(), headers["X-Claude-Telemetry-Timestamp"].encode() + b"." + body,
                            hashlib.sha256).hexdigest()
        self.assertEqual("v1=" + expected, headers["X-Claude-Telemetry-Signature"])
        return json.loads(body), json.loads(posts["/slack"][1])["text"]

    def test_a_red_device_is_told_once_across_a_restart_and_so_is_its_recovery(self):
        self.heartbeat(1, "auth_failed")
        notice, text = self.told()
        self.assertEqual([(self.device["device_id"], "lap-1")],
                         [(d["device"], d["hostname"]) for d in notice["firing"]])
        self.assertEqual([], notice["resolved"])
        self.assertIn("lap-1", text)
        self.server.program.stop()
        self.server.start()
        self.heartbeat(2, "ok")
        notice, text = self.told()
        self.assertEqual([], notice["firing"])
        self.assertEqual([self.device["device_id"]], [d["device"] for d in notice["resolved"]])
        self.assertTrue(self.receiver.posts.empty())


if __name__ == "__main__":
    unittest.main()
