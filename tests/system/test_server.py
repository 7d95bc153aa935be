"""The real server from outside: recordings in, rows and sums out, bad input, restarts, revocation."""
import concurrent.futures
import csv
import gzip
import io
import json
import pathlib
import socket
import struct
import subprocess
import sys
import unittest
import urllib.parse
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from scripts import demo  # noqa: E402
from tests.system.support import programs  # noqa: E402

PROTOBUF = {"Content-Type": "application/x-protobuf"}
LOGS = (demo.DATA / "s01-basic-0001-logs.bin").read_bytes()


def log_request(count, mark):
    """An OTLP/JSON logs request of `count` distinct records."""
    records = [{"timeUnixNano": str(1795216470000000000 + i), "body": {"stringValue": f"{mark} {i}"},
                "attributes": [{"key": "test.mark", "value": {"stringValue": mark}},
                               {"key": "n", "value": {"intValue": i}}]} for i in range(count)]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()


class ServerTest(unittest.TestCase):
    def setUp(self):
        folder = programs.Folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.server = programs.Server(self.folder).set_up().start()
        self.addCleanup(self.server.program.stop)

    def send(self, body, path="/v1/logs", token=None, **headers):
        given = {**PROTOBUF, "Authorization": f"Bearer {token or self.server.token}"}
        given.update({name.replace("_", "-"): value for name, value in headers.items()})
        return programs.http("POST", self.server.url + path, body, given)

    def ask(self, path, jwt, accept="application/json", method="GET", body=None):
        headers = {"Accept": accept, **({"Authorization": f"Bearer {jwt}"} if jwt else {})}
        status, answered, answer = programs.http(method, self.server.url + path, body, headers)
        return status, answered, answer

    def log_in(self, email, role):
        self.server.cli("user", "create", "--email", email, "--role", role, "--password-stdin",
                        stdin=programs.PASSWORD)
        body = json.dumps({"email": email, "password": programs.PASSWORD}).encode()
        status, _, answer = programs.http("POST", self.server.url + "/api/v1/auth/login", body, {})
        self.assertEqual(200, status, answer)
        return json.loads(answer)["token"]


class Recordings(ServerTest):
    def test_every_recording_gives_its_rows_and_sums_however_often_it_is_sent(self):
        for number, (name, path, headers, body) in enumerate(2 * list(demo.recordings())):
            prefix = "/api/v1/otlp" if number % 2 else ""
            status, _, answer = programs.http("POST", self.server.url + prefix + path, body,
                                              {**headers, "X-Span-Token": self.server.token})
            self.assertEqual((200, name), (status, name), answer)
        self.assertEqual(demo.expected_totals(), self.server.sums())

        by_model = self.server.get("/api/v1/messages/aggregate", type="ai.generation", groupBy="model",
                                   metric="sum(costMicrocents)")
        self.assertEqual(["model"], by_model["groupBy"])
        self.assertEqual(demo.expected_totals()["sum(costMicrocents)"],
                         sum(row["sum(costMicrocents)"] or 0 for row in by_model["rows"]))
        self.assertIn("alice@example.com", self.server.get("/", accept="text/html"))

    def test_pages_list_every_row_once_in_order(self):
        self.send(log_request(500, "page"), Content_Type="application/json")
        rows = self.server.messages(type="log", **{"metadata.test.mark": "page"})
        self.assertEqual(500, len({row["id"] for row in rows}))
        self.assertEqual(sorted((row["time"] for row in rows), reverse=True), [row["time"] for row in rows])
        skipped = self.server.get("/api/v1/messages", type="log", take=10, skip=490, **{"meta.test.mark": "page"})
        self.assertEqual([row["id"] for row in rows[490:]], [row["id"] for row in skipped["items"]])
        self.assertIsNone(skipped["nextCursor"])
        blank = self.server.get("/api/v1/messages", **dict.fromkeys(
            ["type", "system", "model", "from", "to", "metadata.x", "sessionId", "cursor"], ""))
        self.assertEqual([row["id"] for row in rows[:50]], [row["id"] for row in blank["items"]])

    def test_tools_are_children_of_the_generation_that_asked_for_them(self):
        for name, path, headers, body in demo.recordings():
            if name.startswith("s01-"):
                self.send(body, path, **headers)
        tool, = self.server.messages(type="ai.tool")
        parent = self.server.get(f"/api/v1/messages/{tool['parentId']}")
        self.assertEqual("ai.generation", parent["type"])
        self.assertIn(tool["id"], parent["children"])

    def test_a_csv_cell_is_never_a_formula(self):
        body = json.loads(log_request(1, '=HYPERLINK("http://x")'))
        self.send(json.dumps(body).encode(), Content_Type="application/json")
        text = self.server.get("/api/v1/messages/aggregate", accept="text/csv", groupBy="metadata.test.mark")
        rows = list(csv.reader(io.StringIO(text)))
        self.assertEqual(["metadata.test.mark", "count"], rows[0])
        self.assertIn(["'=HYPERLINK(\"http://x\")", "1"], rows)


class Batches(ServerTest):
    def batch(self, first, last, mark=None, stream=None):
        return self.send(log_request(2, mark or f"{first}-{last}"), Content_Type="application/json",
                         X_Batch_Stream=stream or self.stream, X_Batch_First=str(first), X_Batch_Last=str(last))

    def test_a_repeated_range_is_answered_and_changes_nothing(self):
        self.stream = str(uuid.uuid4())
        status, headers, _ = self.batch(1, 5)
        self.assertEqual((200, None), (status, headers["X-Batch-Replayed"]))
        status, headers, _ = self.batch(1, 5, mark="other content")
        self.assertEqual((200, "1"), (status, headers["X-Batch-Replayed"]))
        status, _, answer = self.batch(4, 9)
        self.assertEqual(409, status)
        self.assertIn("4 to 9", json.loads(answer)["message"])
        self.assertEqual(200, self.batch(6, 9)[0])
        self.assertEqual(4, len(self.server.messages(type="log")))

    def test_a_position_outlives_kill_9(self):
        self.stream = str(uuid.uuid4())
        self.assertEqual(200, self.batch(1, 5)[0])
        self.server.program.kill()
        self.server.start()
        status, headers, _ = self.batch(1, 5)
        self.assertEqual((200, "1"), (status, headers["X-Batch-Replayed"]))
        self.assertEqual(2, len(self.server.messages(type="log")))

    def test_batch_headers_come_all_or_none_and_make_sense(self):
        good = {"X_Batch_Stream": str(uuid.uuid4()), "X_Batch_First": "1", "X_Batch_Last": "2"}
        for wrong in ({"X_Batch_Stream": "nonsense"}, {"X_Batch_First": "3"}, {"X_Batch_Last": "-1"},
                      {"X_Batch_First": "99999999999999999999999"}):
            self.assertEqual(400, self.send(LOGS, **{**good, **wrong})[0], wrong)
        for missing in good:
            self.assertEqual(400, self.send(LOGS, **{k: v for k, v in good.items() if k != missing})[0], missing)


class BadInput(ServerTest):
    def test_each_fault_has_its_status_and_leaves_nothing_behind(self):
        cut = gzip.compress(LOGS)[:-10]
        for status, body, headers in [
                (400, LOGS[:-3], {}),
                (400, b"\xff\xff\xff", {}),
                (400, b"{\"resourceLogs\":", {"Content_Type": "application/json"}),
                (400, cut, {"Content_Encoding": "gzip"}),
                (400, LOGS, {"Content_Encoding": "gzip"}),
                (415, LOGS, {"Content_Type": "text/plain"}),
                (415, LOGS, {"Content_Encoding": "br"}),
                (401, LOGS, {"Authorization": "Bearer ct_mistyped"}),
                (401, LOGS, {"Authorization": "Basic YTpi"})]:
            seen, answered, answer = self.send(body, **headers)
            self.assertEqual(status, seen, (headers, answer))
            self.assertNotIn(self.server.token.encode(), answer)
            if status == 400 and "Content_Type" not in headers:
                self.assertEqual("application/x-protobuf", answered["Content-Type"])
        status, answered, answer = self.send(b"{", Content_Type="application/json")
        self.assertEqual(3, json.loads(answer)["code"])
        self.assertEqual([], self.server.messages())
        self.assertEqual(404, self.send(LOGS, path="/v1/nonsense")[0])
        self.assertEqual(405, programs.http("GET", self.server.url + "/v1/logs")[0])

    def test_a_gzip_bomb_is_too_large(self):
        bomb = gzip.compress(bytes(80 << 20), 9)
        self.assertLess(len(bomb), 100_000)
        self.assertEqual(413, self.send(bomb, Content_Encoding="gzip")[0])
        self.assertEqual(200, self.send(LOGS)[0])

    def test_a_hundred_mebibytes_are_refused_before_they_are_sent(self):
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as s:
            s.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                      b"Authorization: Bearer " + self.server.token.encode() +
                      b"\r\nContent-Length: 104857600\r\nExpect: 100-continue\r\n\r\n")
            self.assertIn(b" 413 ", s.recv(4096).split(b"\r\n")[0])

    def test_an_empty_request_is_a_success(self):
        self.assertEqual((200, b""), self.send(b"")[::2])
        self.assertEqual((200, b"{}"), self.send(b"{}", Content_Type="application/json")[::2])


class Grpc(ServerTest):
    METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

    def setUp(self):
        super().setUp()
        self.server.program.stop()
        self.address = f"127.0.0.1:{programs.free_port()}"
        self.server.program.command += ["--grpc-listen", self.address]
        self.server.start()

    def export(self, message, token, path=METHOD):
        """The trailing grpc-status and grpc-message, with curl as the HTTP/2 client."""
        run = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "--noproxy", "*", "-D", "-", "-o", "/dev/null",
                              "-H", "Content-Type: application/grpc", "-H", "TE: trailers",
                              "-H", f"Authorization: Bearer {token}", "--data-binary", "@-",
                              f"http://{self.address}{path}"],
                             input=struct.pack(">BI", 0, len(message)) + message, capture_output=True, timeout=30)
        lines = run.stdout.decode().lower().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(fields["grpc-status"]), fields.get("grpc-message", "").strip()

    def test_an_export_is_stored_and_a_malformed_one_is_an_invalid_argument(self):
        if not subprocess.run(["curl", "--version"], capture_output=True).stdout.count(b"HTTP2"):
            self.skipTest("this curl speaks no HTTP/2")
        self.assertEqual((0, ""), self.export(LOGS, self.server.token))
        self.assertEqual(2, len(self.server.messages(type="ai.generation")))
        self.assertEqual(3, self.export(LOGS[:-3], self.server.token)[0])
        # What is refused by its head is answered before the body came, which this client does not show.


class Durability(ServerTest):
    def test_kill_9_keeps_what_was_acknowledged(self):
        def push(n):
            try:
                return n, self.send(log_request(3, f"k{n}"), Content_Type="application/json")[0]
            except OSError:
                return n, None
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            pushes = [pool.submit(push, n) for n in range(300)]
            concurrent.futures.wait(pushes[:100])
            self.server.program.kill()
            acknowledged = {n for n, status in (p.result() for p in pushes) if status == 200}
        self.assertGreaterEqual(len(acknowledged), 90)
        self.server.start()
        marks = [row["metadata"]["test.mark"] for row in self.server.messages(type="log")]
        for n in acknowledged:
            self.assertEqual(3, marks.count(f"k{n}"), n)
        self.assertTrue(all(marks.count(m) == 3 for m in set(marks)), "a request is stored whole or not at all")

    def test_sigterm_ends_with_0_and_a_second_server_on_the_same_data_is_refused(self):
        second = subprocess.run([programs.SERVER, "serve", "--listen", "127.0.0.1:0", "--data", self.server.data],
                                capture_output=True, text=True, timeout=30)
        self.assertEqual(1, second.returncode)
        self.assertIn("already runs", second.stderr)
        self.assertIn("  fix: ", second.stderr)
        taken = subprocess.run([programs.SERVER, "serve", "--listen", f"127.0.0.1:{self.server.port}",
                                "--data", self.folder / "elsewhere"], capture_output=True, text=True, timeout=30)
        self.assertEqual(1, taken.returncode, taken.stdout)
        self.assertEqual(0, self.server.program.stop())


class Access(ServerTest):
    def test_a_revoked_token_is_refused_within_seconds(self):
        token = self.server.cli("token", "create", "--system", "claude-code")
        self.assertEqual(200, self.send(LOGS, token=token)[0])
        said = self.server.cli("token", "revoke", token)
        self.assertNotIn(token, said)
        again = self.server.cli("token", "revoke", token, code=1)
        self.assertNotIn(token, again)
        self.assertIn("  fix: ", again)
        programs.wait_until(lambda: self.send(LOGS, token=token)[0] == 403, 5, "403 after the revocation")
        self.assertEqual(200, self.send(LOGS)[0])
        refusals = self.server.get("/api/v1/refusals")["items"]
        self.assertEqual([(token[:12], 403)], [(r["tokenPrefix"], r["status"]) for r in refusals])

    def test_a_token_over_its_rate_waits(self):
        token = self.server.cli("token", "create", "--system", "claude-code", "--rate", "1")
        self.assertEqual(200, self.send(log_request(50, "r"), token=token, Content_Type="application/json")[0])
        status, headers, _ = self.send(LOGS, token=token)
        self.assertEqual(429, status)
        self.assertGreater(int(headers["Retry-After"]), 5)

    def test_each_role_sees_what_it_may(self):
        self.send(LOGS)
        aggregate = "/api/v1/messages/aggregate?type=ai.generation&groupBy="
        viewer, analyst, auditor = (self.log_in(f"{r}@example.com", r) for r in ("viewer", "analyst", "auditor"))
        self.assertEqual(401, self.ask(aggregate + "model", None)[0])
        self.assertEqual(401, self.ask(aggregate + "model", viewer + "x")[0])
        everybody = aggregate + "model&metric=sum(inputTokens)"
        as_analyst, as_viewer, in_cohorts = (json.loads(self.ask(everybody + more, jwt)[2]) for more, jwt in (
            ("", analyst), ("&names=named", viewer), ("&names=cohorts", viewer)))
        self.assertEqual((as_analyst["rows"], "sums"), (as_viewer["rows"], as_viewer["names"]))
        self.assertEqual(([], len(as_viewer["rows"])), (in_cohorts["rows"], in_cohorts["withheldRows"]))
        for personal in ("person", "metadata.user.name", "sessionId", "metadata.session.id"):
            status, _, answer = self.ask(aggregate + personal, viewer)
            self.assertEqual(403, status, personal)
            self.assertIn("viewer", json.loads(answer)["error"]["message"])
            self.assertEqual(200, self.ask(aggregate + personal, analyst)[0], personal)
        self.assertEqual(403, self.ask("/api/v1/messages/aggregate?person=alice@example.com", viewer)[0])
        self.assertEqual(403, self.ask("/api/v1/messages", viewer)[0])
        self.assertEqual(403, self.ask("/api/v1/usage/daily?groupBy=person", viewer)[0])
        self.assertEqual(403, self.ask("/api/v1/refusals", auditor)[0])
        self.send(log_request(1, "body"), Content_Type="application/json")
        bodies = {who: json.loads(self.ask("/api/v1/messages?type=log", jwt)[2])["items"][0]["body"]
                  for who, jwt in (("analyst", analyst), ("auditor", auditor))}
        self.assertEqual({"analyst": None, "auditor": "body 0"}, bodies)

    def test_wrong_passwords_are_slowed_down(self):
        body = json.dumps({"email": self.server.email, "password": "not the password"}).encode()
        seen = [programs.http("POST", self.server.url + "/api/v1/auth/login", body, {})[0] for _ in range(6)]
        self.assertEqual([401] * 5 + [429], seen)

    def test_a_value_has_the_same_type_as_a_group_and_each_key_once(self):
        self.send(LOGS)
        answer = self.server.get("/api/v1/messages/aggregate", groupBy=["success", "success"], type="ai.tool",
                                 metric=["count", "count"])
        self.assertEqual((["success"], ["count"]), (answer["groupBy"], answer["metrics"]))
        self.assertEqual({True}, {row["success"] for row in answer["rows"]})
        empty = self.server.get("/api/v1/messages/aggregate", **{"from": "2026-11-20", "to": "2026-11-20"})
        self.assertEqual([{"count": 0}], empty["rows"])

    def test_a_command_that_fails_says_what_to_do(self):
        for words, code in [(["system", "create", "claude-code"], 1), (["serve", "--bogus"], 2),
                            (["token", "create", "--system", "claude-code", "--plan", "gold"], 2),
                            (["token", "create", "--system", "claude-code", "--retention-days", "x"], 2),
                            (["user", "create", "--email", "x", "--role", "admin", "--password-stdin"], 2)]:
            said = self.server.cli(*words, code=code, stdin="")
            self.assertIn("  fix: ", said, words)
        self.assertIn("'--bogus' is no option", self.server.cli("serve", "--bogus", code=2))

    def test_a_wrong_question_is_told_what_would_be_right(self):
        for query, code, hint in [
                ("/api/v1/messages/aggregate?groupBy=nonsense", 400, "model"),
                ("/api/v1/messages/aggregate?metric=median(costMicrocents)", 400, "p50"),
                ("/api/v1/messages/aggregate?metric=sum(model)", 400, "costMicrocents"),
                ("/api/v1/messages/aggregate?nonsense=1", 400, "groupBy"),
                ("/api/v1/messages/aggregate?from=yesterday", 400, "2026-05-01"),
                ("/api/v1/messages/aggregate?interval=fortnight", 400, "week"),
                ("/api/v1/messages/aggregate?interval=day&tz=Nowhere/Land", 400, ""),
                ("/api/v1/messages?type=ai.nonsense", 400, "ai.generation"),
                ("/api/v1/messages?take=1001", 400, "1000"),
                ("/api/v1/messages?success=maybe", 400, "true"),
                ("/api/v1/messages?cursor=nonsense", 400, "nextCursor"),
                ("/api/v1/messages/01M7XKTWQ19CS4V441ZX0VY1J3", 404, ""),
                ("/api/v1/messages/nonsense", 404, ""),
                ("/api/v1/nonsense", 404, "openapi")]:
            self.server.jwt or self.server.get("/api/v1/messages")
            status, _, answer = self.ask(query, self.server.jwt)
            self.assertEqual(code, status, (query, answer))
            self.assertIn(hint, answer.decode(), query)
            self.assertLessEqual({"code", "message"}, set(json.loads(answer)["error"]), query)
        self.assertEqual(405, self.ask("/api/v1/messages", self.server.jwt, method="DELETE")[0])


class Portal(ServerTest):
    def form(self, path, cookie=None, **fields):
        """Posts a form without following where it leads."""
        body = urllib.parse.urlencode(fields)
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as s:
            s.sendall((f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                       f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
                       + (f"Cookie: {cookie}\r\n" if cookie else "") + f"\r\n{body}").encode())
            answer = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        return int(answer.split()[1]), answer

    def get(self, path, cookie):
        status, headers, answer = programs.http("GET", self.server.url + path, None, {"Cookie": cookie})
        return status, headers, answer.decode()

    def log_in_here(self):
        status, answer = self.form("/login", email=self.server.email, password=programs.PASSWORD)
        self.assertEqual(303, status)
        line, = [x for x in answer.split("\r\n") if x.lower().startswith("set-cookie:")]
        self.assertIn("HttpOnly", line)
        self.assertIn("SameSite=Lax", line)
        return line.split(":", 1)[1].split(";")[0].strip()

    def test_the_page_is_behind_a_login_and_escapes_what_it_shows(self):
        status, _, answer = self.get("/", "")
        self.assertIn("<h1>Log in</h1>", answer)
        self.assertEqual(401, self.form("/login", email=self.server.email, password="wrong password")[0])
        self.send(LOGS)
        body = json.loads(log_request(1, "x"))
        body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"] += [
            {"key": "user.email", "value": {"stringValue": "<script>alert(1)</script>@example.com"}}]
        self.send(json.dumps(body).encode(), Content_Type="application/json")
        status, headers, page = self.get("/", self.log_in_here())
        self.assertEqual(200, status)
        self.assertIn("alice@example.com", page)
        self.assertIn("claude-opus-5-5", page)
        self.assertNotIn("<script>alert", page)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])

    def test_a_cookie_alone_changes_nothing_and_ends_with_the_logout(self):
        cookie = self.log_in_here()
        self.assertEqual(200, self.get("/api/v1/messages", cookie)[0])
        self.assertEqual(403, self.form("/logout", cookie)[0])
        self.assertEqual(403, self.form("/logout", cookie, csrf="guess")[0])
        page = self.get("/", cookie)[2]
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        self.assertEqual(303, self.form("/logout", cookie, csrf=csrf)[0])
        self.assertEqual(401, self.get("/api/v1/messages", cookie)[0])


class Commands(ServerTest):
    def test_answers_for_programs_are_json_whatever_the_names(self):
        made = json.loads(self.server.cli("system", "create", 'the "odd" one', "--json"))
        self.assertEqual('the "odd" one', made["name"])
        self.assertIn(made, json.loads(self.server.cli("system", "list", "--json")))
        token, = json.loads(self.server.cli("token", "list", "--json"))
        self.assertEqual((self.server.token[:12], "enterprise"), (token["prefix"], token["plan"]))
        self.assertNotIn(self.server.token, json.dumps(token))

    def test_a_wrong_command_line_is_2_and_says_the_fix(self):
        for words in (["nonsense"], ["token", "create"], ["serve", "--nonsense"], ["system", "create"],
                      ["serve", "--listen", "nowhere"], ["serve", "--tls-cert", "/only/this"]):
            run = subprocess.run([programs.SERVER, *words, "--data", self.server.data], capture_output=True,
                                 text=True, timeout=30)
            self.assertEqual(2, run.returncode, words)
            self.assertRegex(run.stderr, r"(?s)^claude-telemetry-server: .+\n  fix: .+", words)


class Rows(ServerTest):
    def test_erase_deletes_a_person_and_keeps_late_copies_out(self):
        self.send(LOGS)
        self.assertTrue(self.server.messages(person="alice@example.com"))
        said = self.server.cli("erase", "--email", "Alice@Example.com", "--json")
        self.assertGreater(json.loads(said)["deleted"], 0)
        self.assertEqual([], self.server.messages(person="alice@example.com"))
        self.assertEqual(200, self.send(LOGS)[0])
        self.assertEqual([], self.server.messages(person="alice@example.com"))

    def test_retention_deletes_what_is_past_its_tokens_days(self):
        token = self.server.cli("token", "create", "--system", "claude-code", "--retention-days", "1")
        old = log_request(3, "old").replace(b"1795216470", b"1600000000")
        self.send(old, token=token, Content_Type="application/json")
        self.send(old.replace(b"old", b"kept"), Content_Type="application/json")
        self.server.cli("retention", "run")
        self.assertEqual({"kept"}, {row["metadata"]["test.mark"] for row in self.server.messages(type="log")})

    def test_a_backup_made_while_rows_arrive_serves_like_the_original(self):
        self.send(log_request(100, "before"), Content_Type="application/json")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            pushes = [pool.submit(self.send, log_request(50, f"during{n}"), Content_Type="application/json")
                      for n in range(40)]
            self.server.cli("backup", "--out", str(self.folder / "copy"))
            self.assertEqual({200}, {p.result()[0] for p in pushes})
        copy = programs.Server(self.folder / "restored")
        for name in ("control.db", "messages.db"):
            (self.folder / "copy" / name).rename(copy.data / name)
        copy.email = self.server.email
        copy.start()
        self.addCleanup(copy.program.stop)
        marks = [row["metadata"]["test.mark"] for row in copy.messages(type="log")]
        self.assertEqual(100, marks.count("before"))
        self.assertEqual({50}, {marks.count(m) for m in set(marks) - {"before"}} or {50})


if __name__ == "__main__":
    unittest.main()
