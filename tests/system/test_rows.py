#!/usr/bin/env python3
"""Records of every source become the row of their type, whatever form their numbers and texts have."""
import json
import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import otlp, programs  # noqa: E402

START_NS = 1_795_003_200_000_000_000  # 2026-11-18T12:00:00Z
MINUTE_NS = 60_000_000_000
CLAUDE = {"service.name": "claude-code"}


def value(of):
    if isinstance(of, bool):
        return {"boolValue": of}
    if isinstance(of, int):
        return {"intValue": str(of)}
    return {"doubleValue": of} if isinstance(of, float) else {"stringValue": of}


def attributes(of):
    return [{"key": key, "value": value(item)} for key, item in of.items()]


class RowsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = programs.Folder()
        cls.server = programs.Server(cls.folder.__enter__()).set_up().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.program.stop()
        cls.folder.__exit__()

    def post(self, path, body, content_type="application/json", token=None):
        headers = {"Content-Type": content_type, "Authorization": "Bearer " + (token or self.server.token)}
        status, _, answer = programs.http("POST", self.server.url + path, body, headers)
        self.assertEqual(200, status, answer)

    def send(self, signal, items, resource=None, token=None):
        outer, inner = {"logs": ("resourceLogs", ("scopeLogs", "logRecords")), "traces": ("resourceSpans", ("scopeSpans", "spans")),
                        "metrics": ("resourceMetrics", ("scopeMetrics", "metrics"))}[signal]
        document = {outer: [{"resource": {"attributes": attributes(resource or CLAUDE)}, inner[0]: [{inner[1]: items}]}]}
        self.post(f"/v1/{signal}", json.dumps(document).encode(), token=token)

    def log(self, values, resource=None, token=None, **fields):
        self.send("logs", [{"timeUnixNano": str(START_NS), **fields, "attributes": attributes(values)}], resource, token)

    def event(self, name, values, **more):
        self.log({"event.name": name, **values}, body={"stringValue": "claude_code." + name}, **more)

    def span(self, name, values, number, parent=0, start_ns=START_NS, resource=None):
        self.send("traces", [{"traceId": "%032x" % (number >> 8 | 1), "spanId": "%016x" % number, "name": name,
                              **({"parentSpanId": "%016x" % parent} if parent else {}), "startTimeUnixNano": str(start_ns),
                              "endTimeUnixNano": str(start_ns + 5_000_000), "attributes": attributes(values)}], resource)

    def only(self, session, **query):
        """The one row of a session, whole."""
        rows = self.server.messages(sessionId=session, **query)
        self.assertEqual(1, len(rows), rows)
        return self.server.get("/api/v1/messages/" + rows[0]["id"])


class Types(RowsTest):
    def test_every_source_becomes_its_type(self):
        events = {"api_request": "ai.generation", "tool_result": "ai.tool", "tool_decision": "ai.decision", "user_prompt": "ai.prompt",
                  "assistant_response": "ai.response", "api_error": "ai.error", "api_retries_exhausted": "ai.error",
                  "api_refusal": "ai.error", "hook_execution_complete": "ai.event", "one_of_next_year": "ai.event"}
        spans = {"claude_code.llm_request": "ai.generation", "claude_code.tool": "ai.tool", "claude_code.interaction": "ai.interaction",
                 "claude_code.tool.execution": "span", "GET /": "span"}
        for name, expected in events.items():
            self.event(name, {"session.id": name, "prompt.id": "p"})
            with self.subTest(name):
                self.assertEqual((expected, "p"), (self.only(name)["type"], self.only(name)["promptId"]))
        for number, (name, expected) in enumerate(spans.items()):
            self.span(name, {"session.id": name}, 0x100 * (number + 1) + 1)
            with self.subTest(name):
                self.assertEqual(expected, self.only(name)["type"])
        self.log({"session.id": "plain"}, {"service.name": "other"}, body={"stringValue": "hello"})
        self.assertEqual(("log", "hello", "other"), tuple(self.only("plain")[key] for key in ("type", "body", "serviceName")))

    def test_other_tools_count_alike(self):
        """Their input counts include what came from the cache; ours never do."""
        self.log({"event.name": "codex.sse_event", "event.kind": "response.completed", "conversation.id": "codex", "model": "gpt-5",
                  "input_token_count": "100", "cached_token_count": "60", "output_token_count": "20"}, {"service.name": "codex_cli_rs"})
        self.log({"event.name": "gemini_cli.api_response", "session.id": "gemini", "model": "gemini-2.5-pro", "input_token_count": 100,
                  "cached_content_token_count": 60, "output_token_count": 20}, {"service.name": "gemini-cli"})
        self.span("chat m", {"gen_ai.conversation.id": "plain gen_ai", "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
                             "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20,
                             "gen_ai.usage.cache_read.input_tokens": 60}, 0xA001, resource={"service.name": "app"})
        for session in ("codex", "gemini", "plain gen_ai"):
            with self.subTest(session):
                row = self.only(session)
                self.assertEqual(("ai.generation", 40, 60, 20),
                                 tuple(row[key] for key in ("type", "inputTokens", "cacheReadTokens", "outputTokens")))


class Forms(RowsTest):
    def test_a_number_counts_as_int_double_and_text_and_nonsense_costs_no_record(self):
        forms = {"int": int, "double": float, "text": str, "text of a double": lambda n: str(float(n)), "exponent": lambda n: "%.3e" % n}
        for name, form in forms.items():
            self.event("api_request", {"session.id": name, "request_id": name, "input_tokens": form(1000), "output_tokens": form(20),
                                       "duration_ms": form(50), "cost_usd": "0.0123" if name.startswith("text") else 0.0123})
            with self.subTest(name):
                row = self.only(name)
                self.assertEqual((1000, 20, 50, 12300), tuple(row[key] for key in
                                                              ("inputTokens", "outputTokens", "durationMs", "costMicrocents")))
        for number, nonsense in enumerate((-5, "many", 1e300, "NaN", True, 2**63 - 1, "99999999999999999999")):
            session = f"nonsense {number}"
            self.event("api_request", {"session.id": session, "request_id": session, "input_tokens": nonsense, "output_tokens": 7})
            with self.subTest(nonsense=nonsense):
                row = self.only(session)
                self.assertEqual((None, 7), (row["inputTokens"], row["outputTokens"]))

    def test_nul_and_bad_utf8_are_shown_as_replacement_characters(self):
        def text(number, raw):
            return otlp._field(number, otlp._field(1, raw[0]) + otlp._field(2, otlp._field(1, raw[1])))

        record = (b"\x09" + struct.pack("<Q", START_NS) + text(6, (b"event.name", b"user_prompt"))
                  + text(6, (b"session.id", b"bytes")) + text(6, (b"prompt", b"a\0b\xffc\xed\xa0\x80")) + text(6, (b"k\xff", b"v")))
        self.post("/v1/logs", otlp.logs_request([record]), "application/x-protobuf")
        row = self.only("bytes")
        self.assertEqual("a\ufffdb\ufffdc\ufffd\ufffd\ufffd", row["body"])
        self.assertEqual("v", row["metadata"]["k\ufffd"])

    def test_the_records_own_attribute_wins_over_the_resources(self):
        self.event("user_prompt", {"session.id": "wins", "team": "record"}, resource={**CLAUDE, "team": "resource", "größe": "ß😀"})
        self.assertEqual(("record", "ß😀"), tuple(self.only("wins")["metadata"][key] for key in ("team", "größe")))
        self.assertEqual(1, len(self.server.messages(**{"metadata.größe": "ß😀"})))

    def test_the_plan_cuts_bodies_between_characters(self):
        body = "x" + "é" * 200_000
        for plan, limit in (("free", 16 << 10), ("pro", 256 << 10), ("enterprise", None)):
            token = self.server.cli("token", "create", "--system", "claude-code", "--plan", plan)
            self.event("user_prompt", {"session.id": plan, "prompt": body}, token=token)
            row = self.only(plan)
            with self.subTest(plan):
                kept = body.encode()[:limit].decode(errors="ignore")
                self.assertEqual((len(kept), limit is not None), (len(row["body"]), row["bodyTruncated"]))
                self.assertEqual(kept, row["body"])


class Joins(RowsTest):
    def test_event_and_span_of_one_request_are_one_row_in_either_order(self):
        figures = {"model": "claude-opus-5-5", "input_tokens": 10, "output_tokens": 20}
        rows = []
        for session, order in (("event first", ("event", "span")), ("span first", ("span", "event"))):
            for what in order + order:  # the repeat adds nothing
                if what == "event":
                    self.event("api_request", {"session.id": session, "request_id": session, "prompt.id": "p", "cost_usd": 0.5, **figures})
                else:
                    self.span("claude_code.llm_request", {"session.id": session, "request_id": session, "ttft_ms": 9, **figures}, 0xB001)
            row = self.only(session)
            self.assertEqual(("ai.generation", 10, 500_000, "%016x" % 0xB001, "p", 9),
                             tuple(row[key] for key in ("type", "inputTokens", "costMicrocents", "spanId", "promptId"))
                             + (row["metadata"]["ttft_ms"],))
            rows.append({key: row[key] for key in row if key not in ("id", "sessionId", "receivedAt", "metadata")})
        self.assertEqual(*rows)

    def test_a_tool_knows_the_generation_that_asked_for_it(self):
        base = {"session.id": "tools"}
        self.span("claude_code.tool", {**base, "tool_name": "Bash", "tool_use_id": "t1"}, 0xC003, 0xC001, START_NS + 20_000_000)
        self.span("claude_code.llm_request", {**base, "request_id": "r1"}, 0xC002, 0xC001, START_NS + 10)
        self.event("tool_result", {**base, "tool_use_id": "t1", "tool_name": "Bash", "success": "true"}, timeUnixNano=str(START_NS + 25_000_000))
        tool, generation = self.only("tools", type="ai.tool"), self.only("tools", type="ai.generation")
        self.assertEqual((generation["id"], True, "Bash"), (tool["parentId"], tool["success"], tool["toolName"]))


class Metrics(RowsTest):
    def tokens(self, person, session, value, minute, start_minute=-1, temporality=2, **attributes_):
        attributes_ = {"type": "input", "model": "m", "session.id": session, "user.email": person, **attributes_}
        point = {"timeUnixNano": str(START_NS + minute * MINUTE_NS), "startTimeUnixNano": str(START_NS + start_minute * MINUTE_NS),
                 "asInt": str(value), "attributes": attributes(attributes_)}
        self.send("metrics", [{"name": "claude_code.token.usage", "sum": {"aggregationTemporality": temporality, "isMonotonic": True,
                                                                          "dataPoints": [point]}}])

    def used(self, person, day="2026-11-18"):
        rows = self.server.get("/api/v1/usage/daily", **{"from": day, "to": day, "groupBy": "person"})["rows"]
        return [row["inputTokens"] for row in rows if row["person"] == person]

    def test_cumulative_series_are_differenced_in_any_order_and_across_resets_and_days(self):
        for minute, total in ((0, 10), (1, 25), (1, 25), (3, 40), (2, 30)):
            self.tokens("c@example.com", "c", total, minute)
        self.assertEqual([40], self.used("c@example.com"))
        self.tokens("c@example.com", "c", 5, 10, start_minute=9)
        self.assertEqual([45], self.used("c@example.com"))
        for minute, total in ((719, 10), (721, 25)):
            self.tokens("night@example.com", "night", total, minute)
        self.assertEqual(([10], [15]), (self.used("night@example.com"), self.used("night@example.com", "2026-11-19")))

    def test_a_delta_that_comes_twice_counts_once(self):
        for minute in (0, 1, 1):
            self.tokens("d@example.com", "d", 10, minute, minute - 1, temporality=1)
        self.assertEqual([20], self.used("d@example.com"))

    def test_a_sessions_tokens_count_once_from_whichever_source_saw_more(self):
        self.event("api_request", {"session.id": "both", "request_id": "both", "user.email": "b@example.com", "input_tokens": 10})
        self.tokens("b@example.com", "both", 10, 0, temporality=1)
        self.assertEqual([10], self.used("b@example.com"))
        self.tokens("b@example.com", "both", 90, 1, 0, temporality=1)
        self.assertEqual([100], self.used("b@example.com"))


if __name__ == "__main__":
    unittest.main()
