"""The real OpenTelemetry JS exporters as clients of the relay and of the server.

CT_OUTAGE_S is the length of the server's outage (make soak: minutes)."""
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import npm, programs  # noqa: E402

COUNT = 20
OUTAGE_S = float(os.environ.get("CT_OUTAGE_S", "5"))
PACKAGES = (["@opentelemetry/api@1", "@opentelemetry/resources@2.12.1", "@opentelemetry/sdk-logs@0.223.0",
             "@opentelemetry/sdk-metrics@2.12.1", "@opentelemetry/sdk-trace-base@2.12.1"]
            + [f"@opentelemetry/exporter-{signal}-otlp-{kind}@0.223.0"
               for signal in ("logs", "metrics", "trace") for kind in ("proto", "http", "grpc")])


class OtelJs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.modules = npm.install("otel-js", *PACKAGES)
        except npm.Unavailable as why:
            raise unittest.SkipTest(f"the OpenTelemetry JS SDK cannot be had here: {why}")
        cls.folder_holder = programs.Folder()
        folder = cls.folder_holder.__enter__()
        cls.server = programs.Server(folder).set_up().start()
        cls.grpc_port = programs.free_port()
        cls.agent = programs.Agent(folder, cls.server.url, cls.server.token)
        text = cls.agent.config.read_text()
        cls.agent.config.write_text(text.replace("relay:\n", f"relay:\n  grpc_listen: 127.0.0.1:{cls.grpc_port}\n"))
        cls.agent.start()

    @classmethod
    def tearDownClass(cls):
        cls.agent.program.stop()
        cls.server.program.stop()
        cls.folder_holder.__exit__()

    def export(self, protocol, url, mark, gzip=False, headers=""):
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NODE_PATH": str(self.modules),
               "EXPORT_GZIP": "1" if gzip else "0", **({"OTEL_EXPORTER_OTLP_HEADERS": headers} if headers else {})}
        script = pathlib.Path(__file__).parent / "otel_js" / "export.js"
        run = subprocess.run(["node", str(script), protocol, url, mark, str(COUNT)], env=env,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(json.loads(run.stdout.strip().splitlines()[-1]), {"failures": []}, run.stderr)

    def expect_rows(self, mark):
        logs = programs.wait_until(
            lambda: (rows := self.server.messages(type="log", **{"metadata.test.mark": mark})) and len(rows) == COUNT and rows,
            what="log rows")
        self.assertEqual({row["body"] for row in logs}, {f"line {i} of {mark}" for i in range(COUNT)})
        self.assertEqual({float(row["metadata"]["test.half"]) for row in logs}, {i / 2 for i in range(COUNT)})
        rows = programs.wait_until(
            lambda: (rows := self.server.messages(type="ai.generation", **{"metadata.test.mark": mark})) and len(rows) == COUNT and rows,
            what="generation rows")
        self.assertEqual({(row["inputTokens"], row["cacheReadTokens"], row["outputTokens"]) for row in rows}, {(10, 100, 7)})
        self.assertEqual({row["model"] for row in rows}, {"test-model"})

    def test_protobuf_through_the_relay(self):
        self.export("proto", self.agent.url, "relay-proto")
        self.expect_rows("relay-proto")

    def test_protobuf_gzip_through_the_relay(self):
        self.export("proto", self.agent.url, "relay-gzip", gzip=True)
        self.expect_rows("relay-gzip")

    def test_json_through_the_relay(self):
        self.export("http", self.agent.url, "relay-json")
        self.expect_rows("relay-json")

    def test_grpc_through_the_relay(self):
        self.export("grpc", f"http://127.0.0.1:{self.grpc_port}", "relay-grpc")
        self.expect_rows("relay-grpc")

    def test_grpc_gzip_through_the_relay(self):
        self.export("grpc", f"http://127.0.0.1:{self.grpc_port}", "relay-grpc-gzip", gzip=True)
        self.expect_rows("relay-grpc-gzip")

    def test_an_outage_of_the_server_is_not_seen_by_the_exporter(self):
        self.server.program.kill()
        over, marks = time.monotonic() + OUTAGE_S, []
        while len(marks) < 2 or time.monotonic() < over:
            marks.append(f"outage-{len(marks)}")
            self.export(("proto", "http", "grpc")[len(marks) % 3],
                        f"http://127.0.0.1:{self.grpc_port}" if len(marks) % 3 == 2 else self.agent.url, marks[-1])
        self.server.start()
        for mark in marks:
            self.expect_rows(mark)
        print(f"{len(marks)} exports without a server for {OUTAGE_S:.0f} s")

    def test_straight_to_the_server_with_each_credential(self):
        self.export("proto", self.server.url, "direct-bearer", headers=f"Authorization=Bearer {self.server.token}")
        self.expect_rows("direct-bearer")
        self.export("http", self.server.url + "/api/v1/otlp", "direct-span", headers=f"X-Span-Token={self.server.token}")
        self.expect_rows("direct-span")

    def test_the_same_export_twice_gives_its_rows_once(self):
        name = next(pathlib.Path(programs.ROOT / "tests/data/otlp").glob("s01-basic-0001-logs.bin"))
        before = None
        for _ in range(3):
            status, _, _ = programs.http("POST", self.server.url + "/v1/logs", name.read_bytes(),
                                         {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {self.server.token}"})
            self.assertEqual(status, 200)
            rows = sorted(row["id"] for row in self.server.messages(serviceName="claude-code"))
            self.assertEqual(len(rows), 12)
            self.assertIn(before, (None, rows))
            before = rows


if __name__ == "__main__":
    unittest.main(verbosity=2)
