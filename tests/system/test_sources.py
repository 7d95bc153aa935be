"""Codex, Gemini CLI and plain gen_ai telemetry through the real server, and what a plan keeps of a text."""
import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402

START = time.time_ns()


def attribute(key, value):
    kind = ("boolValue" if isinstance(value, bool) else "intValue" if isinstance(value, int)
            else "doubleValue" if isinstance(value, float) else "stringValue")
    return {"key": key, "value": {kind: str(value) if kind == "intValue" else value}}


def logs(service, *events, scope="test", at=0):
    records = [{"timeUnixNano": str(START + at + i * 1000000), "attributes": [attribute(k, v) for k, v in event.items()]}
               for i, event in enumerate(events)]
    return {"resourceLogs": [{"resource": {"attributes": [attribute("service.name", service)]},
                              "scopeLogs": [{"scope": {"name": scope}, "logRecords": records}]}]}


def spans(service, *listed, at=0):
    made = [{"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": f"{START % 2**32 + at + i:016x}", "name": name,
             "startTimeUnixNano": str(START + at - ms * 1000000), "endTimeUnixNano": str(START + at),
             "attributes": [attribute(k, v) for k, v in values.items()]} for i, (name, ms, values) in enumerate(listed)]
    return {"resourceSpans": [{"resource": {"attributes": [attribute("service.name", service)]},
                               "scopeSpans": [{"scope": {"name": "test"}, "spans": made}]}]}


class Sources(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = programs.Folder()
        cls.server = programs.Server(folder.__enter__()).set_up().start()
        cls.addClassCleanup(folder.__exit__, None, None, None)
        cls.addClassCleanup(cls.server.program.stop)

    def send(self, signal, body, token=None):
        status, _, answer = programs.http("POST", f"{self.server.url}/v1/{signal}", json.dumps(body).encode(),
                                          {"Content-Type": "application/json", "Authorization": f"Bearer {token or self.server.token}"})
        self.assertEqual(200, status, answer)

    def rows(self, session):
        return sorted(self.server.messages(sessionId=session), key=lambda m: (m["type"], m["time"]))

    def tokens(self, m):
        return m["inputTokens"], m["outputTokens"], m["cacheReadTokens"]

    def test_codex_counts_a_request_once_though_event_and_span_tell_of_it(self):
        common = {"conversation.id": "codex-1", "user.email": "Bob@Example.com", "app.version": "0.50.0"}
        event = {"event.name": "codex.sse_event", "event.kind": "response.completed", "model": "gpt-5-codex", "input_token_count": "1000",
                 "output_token_count": "50", "cached_token_count": "800", "reasoning_token_count": "20", "tool_token_count": "0"}
        span = ("codex.request", 400, {"conversation.id": "codex-1", "gen_ai.usage.input_tokens": 1000,
                                       "gen_ai.usage.cache_read.input_tokens": 800, "gen_ai.usage.output_tokens": 50})
        self.send("traces", spans("codex_cli_rs", span))  # the span first: any order
        self.send("logs", logs(
            "codex_cli_rs",
            {"event.name": "codex.conversation_starts", "model": "gpt-5-codex", **common},
            {"event.name": "codex.user_prompt", "prompt_length": "5", "prompt": "hello", **common},
            {**event, **common},
            {"event.name": "codex.sse_event", "event.kind": "response.output_item.done", **common},
            {"event.name": "codex.tool_decision", "tool_name": "shell", "call_id": "k1", "decision": "approved", **common},
            {"event.name": "codex.tool_result", "tool_name": "shell", "call_id": "k1", "duration_ms": "33", "success": "true", **common}))
        rows = self.rows("codex-1")
        self.assertEqual(["ai.decision", "ai.event", "ai.event", "ai.generation", "ai.prompt", "ai.tool"], [m["type"] for m in rows])
        generation = rows[3]
        self.assertEqual((200, 50, 800), self.tokens(generation))  # disjoint: what was read from the cache is not input, too
        self.assertEqual(("gpt-5-codex", "bob@example.com"), (generation["model"], generation["metadata"]["user.email"].lower()))
        self.assertEqual((33, True), (rows[5]["durationMs"], rows[5]["success"]))
        later = {**event, **common}
        self.send("logs", logs("codex_cli_rs", later, at=60 * 10**9))  # as many tokens a minute later are another request
        self.assertEqual(2, len([m for m in self.rows("codex-1") if m["type"] == "ai.generation"]))

    def test_gemini_cli_with_thoughts_beside_the_output(self):
        common = {"session.id": "gemini-1", "user.email": "eve@example.com", "prompt_id": "p1"}
        self.send("logs", logs(
            "gemini-cli",
            {"event.name": "gemini_cli.user_prompt", "prompt_length": 2, "prompt": "hi", **common},
            {"event.name": "gemini_cli.api_request", "model": "gemini-2.5-pro", **common},
            {"event.name": "gemini_cli.api_response", "model": "gemini-2.5-pro", "duration_ms": 900, "status_code": 200,
             "input_token_count": 500, "output_token_count": 40, "cached_content_token_count": 100, "thoughts_token_count": 30,
             "tool_token_count": 0, "total_token_count": 570, **common},
            {"event.name": "gen_ai.client.inference.operation.details", "gen_ai.operation.name": "generate_content",
             "gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": 40, **common},
            {"event.name": "gemini_cli.tool_call", "function_name": "read_file", "duration_ms": 7, "success": True, **common},
            {"event.name": "gemini_cli.api_error", "model": "gemini-2.5-pro", "error": "quota", "status_code": 429, **common}))
        rows = self.rows("gemini-1")
        self.assertEqual(["ai.error", "ai.event", "ai.event", "ai.generation", "ai.prompt", "ai.tool"], [m["type"] for m in rows])
        self.assertEqual((400, 70, 100), self.tokens(rows[3]))
        self.assertEqual((900, "p1"), (rows[3]["durationMs"], rows[3]["promptId"]))

    def test_plain_gen_ai_spans_without_their_agents_totals(self):
        usage = {"gen_ai.conversation.id": "v1", "gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 30}
        self.send("traces", spans(
            "copilot-chat", ("invoke_agent helper", 900, {"gen_ai.operation.name": "invoke_agent", **usage}),
            ("chat gpt-4o", 500, {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06",
                                  "gen_ai.response.id": "r1", "gen_ai.usage.cache_read.input_tokens": 100, **usage}),
            ("execute_tool grep", 20, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "grep", "gen_ai.conversation.id": "v1"})))
        rows = self.rows("v1")
        self.assertEqual(["ai.generation", "ai.tool", "span"], [m["type"] for m in rows])
        self.assertEqual((200, 30, 100), self.tokens(rows[0]))
        self.assertEqual(("gpt-4o-2024-08-06", 500), (rows[0]["model"], rows[0]["durationMs"]))
        self.assertIsNone(rows[2]["inputTokens"])

    def test_a_text_is_cut_by_plan_between_characters(self):
        for plan, most in ("free", 16 << 10), ("pro", 256 << 10), ("enterprise", None):
            token = self.server.cli("token", "create", "--system", "claude-code", "--plan", plan)
            text = "a" + "\u00e9" * 200000
            self.send("logs", logs("claude-code", {"event.name": "user_prompt", "session.id": plan, "prompt": text},
                                   scope="com.anthropic.claude_code.events"), token)
            row = self.server.get("/api/v1/messages/" + self.rows(plan)[0]["id"])
            self.assertEqual(most is not None, row["bodyTruncated"])
            self.assertTrue(text.startswith(row["body"]) if most else row["body"] == text)
            if most:
                self.assertEqual(most - 1, len(row["body"].encode()))  # half a character is none
            self.assertLess(len(json.dumps(row["metadata"])), 2000)

    def test_retention_is_the_tokens_and_what_is_erased_stays_out(self):
        token = self.server.cli("token", "create", "--system", "claude-code", "--retention-days", "30")
        old = -40 * 86400 * 10**9
        event = {"event.name": "user_prompt", "prompt": "x", "user.email": "gone@example.com"}
        scope = "com.anthropic.claude_code.events"
        self.send("logs", logs("claude-code", {**event, "session.id": "kept"}, scope=scope, at=old))
        self.send("logs", logs("claude-code", {**event, "session.id": "short"}, scope=scope, at=old), token)
        self.assertEqual("deleted 1 rows past their retention", self.server.cli("retention", "run"))
        self.assertEqual((1, 0), (len(self.rows("kept")), len(self.rows("short"))))
        self.assertEqual({"email": "gone@example.com", "deleted": 1},
                         json.loads(self.server.cli("erase", "--email", "Gone@Example.com", "--json")))
        self.send("logs", logs("claude-code", {**event, "session.id": "late"}, scope=scope, at=1))
        self.assertEqual([], self.rows("kept") + self.rows("late"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
