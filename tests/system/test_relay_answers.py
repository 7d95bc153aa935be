#!/usr/bin/env python3
"""What the relay does with every answer a destination may give: all at once, one destination each (16 is the most it takes)."""
import gzip
import http.server
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import otlp, programs  # noqa: E402

MARKS = [f"mark-{number:02}" for number in range(20)]
BAD = MARKS[7]
PARTIAL = b"\x0a\x02\x08\x02"  # ExportLogsServiceResponse: two records rejected


def answer(status, headers=None, text=b""):
    return status, headers or {}, text


def refuses_one(status):
    return lambda seen: answer(status if BAD in seen.marks else 200)


def at_first(status, times=2, headers=None):
    return lambda seen: answer(status, headers) if seen.number < times else answer(200)


ANSWERS = {
    **{f"refuses-{status}": refuses_one(status) for status in (400, 404, 409, 413)},
    **{f"later-{status}": at_first(status) for status in (408, 429, 500, 503)},
    "cut": at_first(None),
    "small": lambda seen: answer(413 if len(seen.marks) > 3 else 200),
    "waits": at_first(429, times=1, headers={"Retry-After": "3"}),
    "partial": lambda seen: answer(200, {"Content-Type": "application/x-protobuf"}, PARTIAL),
    "auth-401": lambda seen: answer(200 if seen.token == "new" else 401),
    "auth-403": lambda seen: answer(200 if seen.token == "new" else 403),
    "portal": lambda seen: answer(200, {"Content-Type": "text/html"}, b"<html>Welcome to the hotel</html>"),
    "moved": lambda seen: answer(307, {"Location": "/elsewhere/v1/logs"}),
}


class Seen:
    def __init__(self, number, marks, token):
        self.number, self.marks, self.token, self.at = number, marks, token, time.monotonic()


class Destinations:
    """One HTTP server for all of them: the first part of the path names the row of ANSWERS."""

    def __init__(self):
        self.seen, self.taken, self.lock = {name: [] for name in ANSWERS}, {name: [] for name in ANSWERS}, threading.Lock()
        self.strange = []
        destinations = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                destinations.answer(self)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        name = handler.path.split("/")[1]
        with self.lock:
            if handler.path != f"/{name}/v1/logs" or name not in ANSWERS:
                self.strange.append(handler.path)
                return
            marks = [mark.decode() for mark in re.findall(rb"mark-\d\d", body)]
            seen = Seen(len(self.seen[name]), marks, handler.headers.get("X-Token"))
            self.seen[name].append(seen)
            status, headers, text = ANSWERS[name](seen)
            if status == 200 and name != "portal":
                self.taken[name] += marks
        if status is None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.send_response(status)
        for key, item in headers.items():
            handler.send_header(key, item)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = programs.Folder()
        cls.to = Destinations()
        extra = "".join(f'  - name: {name}\n    endpoint: {cls.to.url}/{name}\n    headers: {{ X-Token: "${{file:/etc/claude-telemetry/token}}" }}\n'
                        for name in ANSWERS)
        cls.agent = programs.Agent(cls.folder.__enter__(), cls.to.url + "/later-500", "old", extra=extra)
        cls.agent.config.write_text(re.sub(r"  - name: central\n.*\n.*\n", "", cls.agent.config.read_text()))
        cls.agent.start()
        body = otlp.logs_request([otlp.log_record("api_request", {"request_id": mark}) for mark in MARKS])
        status, _, answer = programs.http("POST", cls.agent.url + "/v1/logs", body, {"Content-Type": "application/x-protobuf"})
        assert status == 200, answer

    @classmethod
    def tearDownClass(cls):
        cls.agent.program.stop()
        cls.to.server.shutdown()
        cls.to.server.server_close()
        cls.folder.__exit__()

    def state(self, name):
        return next(one for one in self.agent.status()["destinations"] if one["name"] == name)

    def wait_for(self, name, marks, limit_s=60):
        programs.wait_until(lambda: sorted(self.to.taken[name]) == marks, limit_s, f"{len(marks)} records at '{name}'")

    def spool_list(self):
        run = subprocess.run([programs.AGENT, "spool", "list", "--json", "--root", self.agent.root], capture_output=True, text=True, timeout=30)
        return json.loads(run.stdout)

    def test_a_refusal_costs_the_one_bad_record_which_is_kept_and_listed(self):
        names = [name for name in ANSWERS if name.startswith("refuses-")]
        for name in names:
            with self.subTest(name):
                self.wait_for(name, [mark for mark in MARKS if mark != BAD])

        def listed():
            quarantine = self.spool_list()["quarantine"]
            return sorted(one["destination"] for one in quarantine if one["records"] == 1) == names
        programs.wait_until(listed, 30, "one quarantined record a destination")
        for one in self.spool_list()["quarantine"]:
            self.assertEqual("HTTP " + one["destination"].split("-")[1], one["reason"])

    def test_what_means_later_is_sent_again_until_it_is_taken(self):
        for name in [name for name in ANSWERS if name.startswith("later-")] + ["cut"]:
            with self.subTest(name):
                self.wait_for(name, MARKS)

    def test_too_large_is_halved_until_it_fits(self):
        self.wait_for("small", MARKS)

    def test_retry_after_holds_the_destination_and_no_other(self):
        self.wait_for("waits", MARKS)
        first, *others = [seen.at for seen in self.to.seen["waits"]]
        self.assertGreater(min(others) - first, 2.5)

    def test_rejected_records_of_a_partial_success_are_accounted_for_and_not_repeated(self):
        self.wait_for("partial", MARKS)
        entry = programs.wait_until(lambda: [one for one in self.agent.status()["ledger"] if one["destination"] == "partial"], 15, "ledger entry")[0]
        self.assertEqual(("rejected", "logs", 2), (entry["reason"], entry["signal"], entry["records"]))
        self.assertEqual(1, len(self.to.seen["partial"]))

    def test_a_refused_credential_keeps_everything_and_is_read_again(self):
        for name in ("auth-401", "auth-403"):
            programs.wait_until(lambda: self.state(name)["state"] == "auth_failed", 20, name)
            self.assertEqual([], self.to.taken[name])
        (self.agent.root / "etc/claude-telemetry/token").write_text("new\n")
        for name in ("auth-401", "auth-403"):
            with self.subTest(name):
                self.wait_for(name, MARKS)

    def test_web_pages_and_redirects_are_no_delivery_and_nowhere_followed(self):
        for name in ("portal", "moved"):
            with self.subTest(name):
                state = programs.wait_until(lambda: self.state(name)["state"] == "blocked" and self.state(name), 20, name)
                self.assertEqual((0, 0), (state["sent_records_total"], state["quarantined_records_total"]))
        self.assertEqual([], self.to.strange)


if __name__ == "__main__":
    unittest.main()
