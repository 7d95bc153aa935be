"""The server with everything in PostgreSQL: the questions of test_query, and crashes of server and database under load."""
import os
import pathlib
import random
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system import test_query  # noqa: E402
from tests.system.support import load, otlp, postgres, programs  # noqa: E402

ROUNDS = int(os.environ.get("CT_ROUNDS", "6"))
SEED = int(os.environ.get("CT_SEED", str(time.time_ns() % 1_000_000)))


def setUpModule():
    global cluster
    cluster = postgres.Cluster()
    unittest.addModuleCleanup(cluster.__exit__, None, None, None)
    cluster.__enter__()


def stores():
    """Options of a server whose tables are in the database, which is emptied."""
    cluster.ask("SET client_min_messages=warning; DROP SCHEMA IF EXISTS messages CASCADE; DROP SCHEMA IF EXISTS control CASCADE")
    return ("--store", cluster.url)


class Questions(test_query.Figures, test_query.Reports):
    """The same questions and answers as of SQLite."""

    @classmethod
    def server_stores(cls):
        return stores()


class TwoServers(unittest.TestCase):
    def test_a_batch_repeated_at_the_other_server_is_recognised(self):
        with programs.Folder() as one_folder, programs.Folder() as other_folder:
            one = programs.Server(one_folder, stores=stores()).set_up().start()
            other = programs.Server(other_folder, stores=one.stores)
            try:
                other.start()
                batch = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {one.token}",
                         "X-Batch-Stream": "0a0b0c0d-0000-4000-8000-000000000001"}
                for first, servers in ((1, (one, other)), (3, (other, one))):
                    body = otlp.marked_request([f"mark-{first}", f"mark-{first + 1}"])
                    headers = {**batch, "X-Batch-First": str(first), "X-Batch-Last": str(first + 1)}
                    answers = [programs.http("POST", server.url + "/v1/logs", body, headers) for server in servers]
                    self.assertEqual([status for status, _, _ in answers], [200, 200])
                    self.assertEqual([answer[1].get("X-Batch-Replayed") for answer in answers], [None, "1"])
                self.assertEqual({row["metadata"]["request_id"] for row in one.messages(type="ai.generation")},
                                 {f"mark-{n}" for n in range(1, 5)})
                other.email = one.email
                self.assertEqual(other.sums(), one.sums())
            finally:
                one.program.stop()
                other.program.stop()


class Crashes(unittest.TestCase):
    def crash_database(self):
        cluster.program.stop(signal.SIGQUIT)  # at once and without a checkpoint, but with all its processes

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
                    victim = [server, cluster, server][number % 3]
                    if victim is cluster:
                        self.crash_database()
                    else:
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
                self.assertIn("pg_dump", server.cli("backup", "--out", pathlib.Path(folder) / "copy", code=2))
            finally:
                generator.stop()
                agent.program.stop()
                server.program.stop()

    def test_a_database_that_is_down_refuses_and_loses_nothing(self):
        with programs.Folder() as folder:
            server = programs.Server(folder, stores=stores()).set_up().start()
            headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {server.token}"}

            def send(mark):
                return programs.http("POST", server.url + "/v1/logs", otlp.marked_request([mark]), headers)[0]
            try:
                self.assertEqual(send("before"), 200)
                self.crash_database()
                self.assertEqual(send("meanwhile"), 503)
                self.assertEqual(programs.http("GET", server.url + "/readyz")[0], 503)
                self.assertIn("PostgreSQL", server.program.log.read_text())
                cluster.start()
                programs.wait_until(lambda: send("after") == 200, 30, "rows are stored again")
                self.assertEqual({row["metadata"]["request_id"] for row in server.messages(type="ai.generation")}, {"before", "after"})
            finally:
                server.program.stop()
                if not cluster.program.process:
                    cluster.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)
