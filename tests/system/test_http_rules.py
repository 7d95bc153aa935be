#!/usr/bin/env python3
"""HTTP itself, on the server's port and on the relay's alike: what is ambiguous or slow is refused and the connection closed."""
import concurrent.futures
import contextlib
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import otlp, programs  # noqa: E402
from tests.system.support.raw_http import Raw  # noqa: E402

BODY = otlp.marked_request(["rules"])
LARGE = otlp.logs_request([otlp.log_record("user_prompt", {"prompt": "x" * (40 << 20)})])
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
POST = b"POST /v1/logs HTTP/1.1\r\n"

# What follows the request line, HOST and AUTH standing for good ones; the refusal.
REFUSED = [
    # ---- where the body ends must not be a matter of opinion
    (400, LENGTH + LENGTH + b"\r\n" + BODY),
    (400, LENGTH + b"Content-Length: 3\r\n\r\n" + BODY),
    (400, b"Content-Length: %d, %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY),
    (400, LENGTH + CHUNKED + b"\r\n0\r\n\r\n"),
    (400, CHUNKED + LENGTH + b"\r\n0\r\n\r\n"),
    *((400, b"Content-Length: " + value + b"\r\n\r\n" + BODY) for value in (b"-1", b"+5", b"0x10", b"5 5", b"", b"1e3")),
    (400, CHUNKED + CHUNKED + b"\r\n0\r\n\r\n"),
    *((501, b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n")
      for coding in (b"gzip", b"gzip, chunked", b"chunked, gzip", b"identity", b"xchunked")),
    *((400, CHUNKED + b"\r\n" + size + b"\r\nhello\r\n0\r\n\r\n")
      for size in (b"g", b"-1", b"+1", b"0x5", b"", b" 5", b"5 ", b"fffffffffffffffff")),
    (400, CHUNKED + b"\r\n5\r\nhelloXX0\r\n\r\n"),
    (400, CHUNKED + b"\r\n5\nhello\n0\n\n"),
    # ---- what a header is
    (400, b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY),
    (400, b"X-A\t: 1\r\n" + LENGTH + b"\r\n" + BODY),
    (400, b": 1\r\n" + LENGTH + b"\r\n" + BODY),
    (400, b"no colon\r\n" + LENGTH + b"\r\n" + BODY),
    *((400, b"X-A: a" + byte + b"b\r\n" + LENGTH + b"\r\n" + BODY) for byte in (b"\0", b"\r", b"\n", b"\x01", b"\x7f", b"\r\n ")),
    (400, b"X\0A: a\r\n" + LENGTH + b"\r\n" + BODY),
    (431, b"X-A: " + b"a" * 17000 + b"\r\n" + LENGTH + b"\r\n" + BODY),
    (431, b"".join(b"X-%d: abc\r\n" % i for i in range(1800)) + LENGTH + b"\r\n" + BODY),
]
SERVED = [
    LENGTH + b"\r\n" + BODY,
    b"Transfer-Encoding: Chunked\r\n\r\n000%X;a=b\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    CHUNKED + b"\r\n" + b"".join(b"1\r\n%s\r\n" % BODY[i:i + 1] for i in range(len(BODY))) + b"0\r\nX-Trailer: 1\r\n\r\n",
    b"X-A: " + b"a" * 15000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
]


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = programs.Folder()
        path = cls.folder.__enter__()
        cls.server = programs.Server(path).set_up().start()
        cls.agent = programs.Agent(path, cls.server.url, cls.server.token).start()
        cls.places = {"server": (cls.server.port, b"Authorization: Bearer " + cls.server.token.encode() + b"\r\n"),
                      "relay": (cls.agent.port, b"")}

    @classmethod
    def tearDownClass(cls):
        cls.agent.program.stop()
        cls.server.program.stop()
        cls.folder.__exit__()

    def each(self):
        for name, (port, credential) in self.places.items():
            host = b"Host: 127.0.0.1:%d\r\n" % port
            yield name, port, host, host + credential + b"Content-Type: application/x-protobuf\r\n"

    def expect(self, name, port, request, status, closed=True):
        with self.subTest(name, request=request[:300]), Raw(port) as raw:
            answer = raw.send(request).answer()
            self.assertIsNotNone(answer, "closed without an answer")
            self.assertEqual(status, answer[0], answer[2])
            if closed:
                self.assertTrue(raw.is_closed(), "still open after a refusal")

    def test_ambiguous_and_malformed_requests_are_refused_and_the_connection_closed(self):
        for name, port, _, good in self.each():
            for status, rest in REFUSED:
                self.expect(name, port, POST + good + rest, status)

    def test_whatever_is_within_the_rules_is_served(self):
        for name, port, _, good in self.each():
            for rest in SERVED:
                self.expect(name, port, POST + good + rest, 200, closed=False)

    def test_exactly_one_host_and_a_version_that_is_spoken(self):
        for name, port, host, good in self.each():
            rest = LENGTH + b"\r\n" + BODY
            self.expect(name, port, POST + good.removeprefix(host) + rest, 400)
            self.expect(name, port, POST + host + good + rest, 400)
            for version in (b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3.0"):
                self.expect(name, port, b"POST /v1/logs " + version + b"\r\n" + good + rest, 505)
            for line in (b"POST /v1/logs", b"POST  /v1/logs HTTP/1.1", b"PO(ST /v1/logs HTTP/1.1", b"POST /v1/lo\0gs HTTP/1.1"):
                self.expect(name, port, line + b"\r\n" + good + rest, 400)

    def test_100_continue_comes_before_the_body_or_the_refusal_instead_of_it(self):
        for name, port, _, good in self.each():
            with self.subTest(name), Raw(port) as raw:
                self.assertEqual(100, raw.send(POST + good + LENGTH + b"Expect: 100-continue\r\n\r\n").answer()[0])
                self.assertEqual(200, raw.send(BODY).answer()[0])
            self.expect(name, port, POST + good + b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n", 413)

    def test_pipelined_requests_are_answered_in_order_until_one_is_bad(self):
        for name, port, host, good in self.each():
            with self.subTest(name), Raw(port) as raw:
                raw.send((POST + good + LENGTH + b"\r\n" + BODY) * 3 + b"HEAD /healthz HTTP/1.1\r\n" + host + b"\r\n"
                         + b"GET /nope HTTP/1.1\r\n" + host + b"\r\n" + b"GARBAGE\r\n\r\n")
                got = [raw.answer(without_body=number == 3)[0] for number in range(6)]
                self.assertEqual([200, 200, 200, 200, 404, 400], got)
                self.assertTrue(raw.is_closed())

    def test_another_method_is_405_and_the_answer_names_the_one_there_is(self):
        for name, port, _, good in self.each():
            for method in (b"GET", b"PUT", b"DELETE", b"OPTIONS"):
                with self.subTest(name, method=method), Raw(port) as raw:
                    status, headers, _ = raw.send(method + b" /v1/logs HTTP/1.1\r\n" + good + b"\r\n").answer()
                    self.assertEqual((405, "POST"), (status, headers["allow"]))

    def test_an_unknown_coding_is_415_and_the_answer_names_the_known_ones(self):
        for name, port, _, good in self.each():
            with self.subTest(name), Raw(port) as raw:
                request = POST + good + b"Content-Encoding: br\r\n" + LENGTH + b"\r\n" + BODY
                status, headers, _ = raw.send(request).answer()
                self.assertEqual((415, "gzip, identity"), (status, headers["accept-encoding"]))

    def test_bodies_that_do_not_end_share_bounded_memory(self):
        """The server gives them 256 MiB, the relay 144: what comes beyond is 503, small requests are served on."""
        part = bytes(1 << 20)
        for name, port, host, good in self.each():
            with self.subTest(name), contextlib.ExitStack() as stack:
                statuses = []
                for _ in range(5):
                    raw = stack.enter_context(Raw(port))
                    raw.send(POST + good + b"Content-Length: %d\r\n\r\n" % (64 << 20))
                    for _ in range(60):
                        raw.send(part)
                    raw.socket.settimeout(0.2)
                    try:
                        statuses.append((raw.answer() or [None])[0])
                    except TimeoutError:
                        statuses.append("takes more")
                self.assertEqual("takes more", statuses[0])
                self.assertEqual({"takes more", 503}, set(statuses))
                self.expect(name, port, POST + good + LENGTH + b"\r\n" + BODY, 200, closed=False)
            programs.wait_until(lambda: self.post_large(port, good) == 200, 15, "room for a large one again")

    def post_large(self, port, good):
        with Raw(port) as raw:
            return (raw.send(POST + good + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE).answer() or [None])[0]

    def test_slow_heads_and_slow_bodies_are_408_after_ten_seconds(self):
        def slow(name, port, start, drip):
            begun = time.monotonic()
            with Raw(port, limit_s=0.5) as raw:
                raw.send(start)
                while time.monotonic() < begun + 20:
                    try:
                        answer = raw.answer()
                        break
                    except TimeoutError:
                        raw.send(drip)
                else:
                    return name, drip, "never", 0
                return name, drip, answer and answer[0], round(time.monotonic() - begun)

        jobs = []
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for name, port, host, good in self.each():
                for drip in (b"", b"x"):
                    jobs.append(pool.submit(slow, name, port, POST + host + b"X-A: ", drip))
                    jobs.append(pool.submit(slow, name, port, POST + good + b"Content-Length: 100000\r\n\r\n", drip))
        for name, drip, status, took_s in (job.result() for job in jobs):
            with self.subTest(name, drip=drip):
                self.assertEqual(408, status)
                self.assertIn(took_s, range(9, 16))


class Drain(unittest.TestCase):
    def test_sigterm_answers_what_was_accepted_and_ends_with_0(self):
        with programs.Folder() as folder:
            server = programs.Server(folder).set_up().start()
            agent = programs.Agent(folder, server.url, server.token).start()
            for program, port, credential in (
                    (agent.program, agent.port, b""),
                    (server.program, server.port, b"Authorization: Bearer " + server.token.encode() + b"\r\n")):
                with self.subTest(program.command[0]), Raw(port) as idle, Raw(port) as raw:
                    host = b"Host: 127.0.0.1:%d\r\n" % port
                    self.assertEqual(200, idle.send(b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n").answer()[0])
                    raw.send(POST + host + credential + b"Content-Type: application/x-protobuf\r\nExpect: 100-continue\r\n"
                             + LENGTH + b"\r\n")
                    self.assertEqual(100, raw.answer()[0])
                    program.process.send_signal(signal.SIGTERM)
                    self.assertTrue(idle.is_closed())
                    for again in (signal.SIGHUP, signal.SIGTERM):  # changes nothing any more
                        program.process.send_signal(again)
                    status, headers, _ = raw.send(BODY).answer()
                    self.assertEqual((200, "close"), (status, headers["connection"].lower()))
                    self.assertEqual(0, program.stop())


if __name__ == "__main__":
    unittest.main()
