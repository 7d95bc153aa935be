"""The server with its rows in ClickHouse: the questions of test_query, crashes of either under load, and its absence."""
import os
import pathlib
import random
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from scripts import demo  # noqa: E402
from tests.system import test_query  # noqa: E402
from tests.system.support import clickhouse, load, otlp, programs  # noqa: E402

ROUNDS = int(os.environ.get("CT_ROUNDS", "6"))
SEED = int(os.environ.get("CT_SEED", str(time.time_ns() % 1_000_000)))


def setUpModule():
    global database
    database = clickhouse.Clickhouse()
    database.__enter__()
    unittest.addModuleCleanup(database.__exit__, None, None, None)


def stores():
    return ("--messages", database.fresh_url())


QUESTIONS = [test_query.Figures] + ([test_query.Reports] if os.environ.get("CT_LONG") else [])


class Questions(*QUESTIONS):
    """The same questions and answers as of SQLite; those of the reports with CT_LONG=1."""

    @classmethod
    def server_stores(cls):
        return stores()


class Crashes(unittest.TestCase):
    def test_rows_are_exactly_the_acknowledged_records(self):
        print(f"seed {SEED}, {ROUNDS} kills")
        chance = random.Random(SEED)
        with programs.Folder() as folder:
            server = programs.Server(folder, stores=stores()).set_up().start()
            agent = programs.Agent(folder, server.url, server.token).start()
            generator = load.Load(agent.port)
            try:
                for number in range(ROUNDS):
                    time.sleep(chance.uniform(0.05, 0.6))
                    victim = [server, database, server][number % 3]
                    victim.program.kill()
                    time.sleep(chance.uniform(0, 0.3))
                    victim.start()
                acked = generator.stop()
                programs.wait_until(lambda: agent.backlog() == 0, 90, "empty spool")
                self.assertGreater(len(acked), 100)
                rows = [row["metadata"]["request_id"] for row in server.messages(type="ai.generation")]
                self.assertEqual(len(rows), len(set(rows)), "a record was doubled")
                missing = acked - set(rows)
                self.assertFalse(missing, f"{len(missing)} acknowledged records are lost, e.g. {sorted(missing)[:3]}")
                sums = server.sums()
                self.assertEqual((sums["count"], sums["sum(costMicrocents)"]), (len(rows), 5 * len(rows)))
                print(f"{len(acked)} acknowledged, {len(rows)} rows")
                self.assertIn("docs/clickhouse.md", server.cli("backup", "--out", pathlib.Path(folder) / "copy", code=2))
            finally:
                generator.stop()
                agent.program.stop()
                server.program.stop()


class Absence(unittest.TestCase):
    """Without ClickHouse the server says so and what to do, loses nothing, and goes on when it is back."""

    def post(self, server, mark):
        return programs.http("POST", server.url + "/v1/logs", otlp.marked_request([mark]),
                             {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {server.token}"})[0]

    def test_503_while_it_is_gone_and_200_again(self):
        with programs.Folder() as folder:
            server = programs.Server(folder, stores=stores()).set_up().start()
            try:
                self.assertEqual(self.post(server, "before"), 200)
                database.program.kill()
                self.assertEqual(self.post(server, "meanwhile"), 503)
                status, _, why = programs.http("GET", server.url + "/readyz")
                self.assertEqual(status, 503)
                token = {"Authorization": f"Bearer {server.jwt}"} if server.jwt else {}
                self.assertIn(programs.http("GET", server.url + "/api/v1/messages", headers=token)[0], (401, 503))
                database.start()
                self.assertEqual(self.post(server, "meanwhile"), 200)
                marks = sorted(row["metadata"]["request_id"] for row in server.messages(type="ai.generation"))
                self.assertEqual(marks, ["before", "meanwhile"])
                text = (pathlib.Path(folder) / "server.log").read_text()
                self.assertIn("does not answer", text)
                self.assertNotIn(clickhouse.PASSWORD, text + why.decode())
            finally:
                server.program.stop()

    def test_what_is_wrong_with_the_url_is_told_without_the_password(self):
        with programs.Folder() as folder:
            for url, code, words in (
                    (f"clickhouse+http://test:wrong-secret@127.0.0.1:{database.port}/rows", 1, "password"),
                    (f"clickhouse+http://nobody:wrong-secret@127.0.0.1:{database.port}/rows", 1, "user"),
                    ("clickhouse+http://test:wrong-secret@127.0.0.1:1/rows", 1, "does not answer"),
                    ("clickhouse+http://test:wrong-secret@/rows", 2, "names no host"),
                    ("clickhouse+http://test:wrong-secret@127.0.0.1/a-b", 2, "database"),
                    ("clickhouse+http://test:wrong-secret@127.0.0.1/rows?x=1", 2, "password_file")):
                server = programs.Server(folder, stores=("--messages", url))
                said = server.cli("retention", "run", code=code)
                self.assertIn(words, said)
                self.assertIn("fix: ", said)
                self.assertNotIn("wrong-secret", said)


class Recordings(unittest.TestCase):
    def test_the_recorded_telemetry_gives_its_exact_totals_over_an_outage(self):
        with programs.Folder() as folder:
            server = programs.Server(folder, stores=stores()).set_up().start()
            agent = programs.Agent(folder, server.url, server.token).start()
            try:
                self.assertEqual(demo.send_all(agent, database.program.kill), 69)
                database.start()
                programs.wait_until(lambda: agent.backlog() == 0, 90, "empty spool")
                self.assertEqual(demo.expected_totals(), server.sums())
                self.assertEqual(server.sums()["count"], 61)
                usage = server.get("/api/v1/usage/daily", **{"from": "2026-11-01", "to": "2026-12-31"})
                self.assertIn("alice@example.com", [row["person"] for row in usage["rows"]])
            finally:
                agent.program.stop()
                server.program.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
