"""The real Claude Code, headless, through relay and server: rows, tokens and cost.

CT_OUTAGE_S is the length of the server's outage (make soak: minutes)."""
import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import fake_messages, npm, programs  # noqa: E402

OUTAGE_S = float(os.environ.get("CT_OUTAGE_S", "5"))


def run_prompt(claude, home, api, telemetry):
    """One `claude -p` with a private home and nothing of this machine's environment."""
    home.mkdir(parents=True, exist_ok=True)
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "ANTHROPIC_BASE_URL": api.url,
           "ANTHROPIC_API_KEY": "sk-ant-test", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", **telemetry}
    return subprocess.run([str(claude), "-p", "What is in this project?", "--allowedTools", "Bash"], env=env,
                          cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def telemetry_to(url, **more):
    return {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
            "OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp", "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_RESOURCE_ATTRIBUTES": "work_email=alice@example.com", **more}


class RealClaudeCode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.claude = npm.claude_code()
        except npm.Unavailable as why:
            raise unittest.SkipTest(f"the real Claude Code cannot be had here: {why}")

    def setUp(self):
        self.folder = self.enterContext(programs.Folder()) if hasattr(self, "enterContext") else self._folder()
        self.api = fake_messages.FakeMessages()
        self.addCleanup(self.api.close)
        self.server = programs.Server(self.folder).set_up().start()
        self.addCleanup(self.server.program.stop)
        self.agent = programs.Agent(self.folder, self.server.url, self.server.token).start()
        self.addCleanup(self.agent.program.stop)

    def _folder(self):
        folder = programs.Folder()
        self.addCleanup(folder.__exit__)
        return folder.__enter__()

    def prompt(self, **telemetry):
        run = run_prompt(self.claude, self.folder / "home", self.api, telemetry_to(self.agent.url, **telemetry))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("All done.", run.stdout)

    def generations(self, count):
        return programs.wait_until(
            lambda: (rows := self.server.messages(type="ai.generation")) and len(rows) == count and rows,
            what=f"{count} generations")

    def test_one_prompt_is_two_priced_generations_and_their_tool(self):
        self.prompt()
        rows = sorted(self.generations(2), key=lambda row: row["time"])
        for row, (_, model, usage) in zip(rows, self.api.generations):
            self.assertEqual(row["model"], model)
            self.assertEqual(row["inputTokens"], usage["input_tokens"])
            self.assertEqual(row["outputTokens"], usage["output_tokens"])
            self.assertEqual(row["cacheReadTokens"], usage["cache_read_input_tokens"])
            self.assertEqual(row["cacheCreateTokens"], usage["cache_creation_input_tokens"])
            self.assertGreater(row["costMicrocents"], 0)
            self.assertEqual(row["metadata"]["work_email"], "alice@example.com")
            self.assertTrue(row["success"])

        tools = programs.wait_until(lambda: self.server.messages(type="ai.tool"), what="the tool's row")
        self.assertEqual([tool["parentId"] for tool in tools], [rows[0]["id"]])

        sums = self.server.sums()
        self.assertEqual(sums["sum(costMicrocents)"], sum(row["costMicrocents"] for row in rows))
        day = rows[0]["time"][:10]
        usage = self.server.get("/api/v1/usage/daily", **{"from": day, "to": day}, groupBy="person")
        text = str(usage)
        self.assertIn("alice@example.com", text)

    def test_json_and_grpcless_gzip_arrive_alike(self):
        self.prompt(OTEL_EXPORTER_OTLP_PROTOCOL="http/json")
        self.generations(2)
        self.prompt(OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
        rows = self.generations(4)
        self.assertEqual(len({(row["model"], row["costMicrocents"]) for row in rows}), 2)

    def test_settings_as_other_vendors_document_them_work_against_the_server(self):
        bearer = {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
                  "OTEL_LOGS_EXPORTER": "otlp", "OTEL_TRACES_EXPORTER": "otlp",
                  "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                  "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": self.server.url + "/api/v1/otlp/v1/logs",
                  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": self.server.url + "/api/v1/otlp/v1/traces",
                  "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {self.server.token}",
                  "OTEL_RESOURCE_ATTRIBUTES": "service.name=claude-code,user.name=bob"}
        run = run_prompt(self.claude, self.folder / "home", self.api, bearer)
        self.assertEqual(run.returncode, 0, run.stderr)
        rows = self.generations(2)
        self.assertEqual({row["metadata"]["user.name"] for row in rows}, {"bob"})
        grouped = self.server.get("/api/v1/messages/aggregate", type="ai.generation", groupBy="metadata.user.name",
                                  metric="sum(costMicrocents)", **{"from": "2026-05-01"})
        self.assertEqual([row["metadata.user.name"] for row in grouped["rows"]], ["bob"])

        metrics_only = {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_METRICS_EXPORTER": "otlp",
                        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": self.server.url,
                        "OTEL_EXPORTER_OTLP_HEADERS": f"X-Span-Token={self.server.token}",
                        "OTEL_RESOURCE_ATTRIBUTES": "work_email=carol@example.com"}
        run = run_prompt(self.claude, self.folder / "home", self.api, metrics_only)
        self.assertEqual(run.returncode, 0, run.stderr)
        day = rows[0]["time"][:10]

        def carol():
            items = self.server.get("/api/v1/usage/daily", **{"from": day, "to": day}, groupBy="person")["rows"]
            return [item for item in items if item["person"] == "carol@example.com"]
        usage = programs.wait_until(carol, what="usage from metrics alone")
        self.assertEqual((usage[0]["inputTokens"], usage[0]["outputTokens"]), (150, 57))
        self.assertGreater(usage[0]["costMicrocents"], 0)

    def test_an_outage_of_the_server_loses_and_doubles_nothing(self):
        self.server.program.kill()
        over, prompts = time.monotonic() + OUTAGE_S, 0
        while prompts < 2 or time.monotonic() < over:
            self.prompt()
            prompts += 1
        self.assertGreater(self.agent.backlog(), 0)
        self.server.start()
        rows = self.generations(2 * prompts)
        self.assertEqual(len({row["metadata"]["request_id"] for row in rows}), 2 * prompts)
        print(f"{prompts} prompts without a server for {OUTAGE_S:.0f} s")
        self.agent.program.kill()
        self.agent.start()
        self.prompt()
        self.generations(2 * prompts + 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
