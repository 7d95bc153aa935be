"""kill -9 of relay and server at random moments under load: the rows are the acknowledged records.

CT_ROUNDS sets the number of kills (make soak: hundreds), CT_SEED repeats a run.
"""
import os
import pathlib
import random
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import load, programs  # noqa: E402

ROUNDS = int(os.environ.get("CT_ROUNDS", "8"))
SEED = int(os.environ.get("CT_SEED", str(time.time_ns() % 1_000_000)))


class Kill9(unittest.TestCase):
    def test_rows_are_exactly_the_acknowledged_records(self):
        print(f"seed {SEED}, {ROUNDS} kills")
        chance = random.Random(SEED)
        with programs.Folder() as folder:
            server = programs.Server(folder).set_up().start()
            agent = programs.Agent(folder, server.url, server.token).start()
            generator = load.Load(agent.port)
            try:
                for number in range(ROUNDS):
                    time.sleep(chance.uniform(0.05, 0.6))
                    victims = [agent, server, None][number % 3]
                    for victim in [victims] if victims else [agent, server]:
                        victim.program.kill()
                    time.sleep(chance.uniform(0, 0.3))
                    for victim in [victims] if victims else [agent, server]:
                        victim.start()
                acked = generator.stop()
                programs.wait_until(lambda: self.delivered(agent), 90, "empty spool")
                self.assertGreater(len(acked), 100)
                self.check(server, acked)
            finally:
                generator.stop()
                agent.program.stop()
                server.program.stop()

    @staticmethod
    def delivered(agent):
        return agent.backlog() == 0

    def check(self, server, acked):
        """Every acknowledged mark has one row; at most what was in flight at a kill is there beside them."""
        rows = [row["metadata"]["request_id"] for row in server.messages(type="ai.generation")]
        self.assertEqual(len(rows), len(set(rows)), "a record was doubled")
        missing = acked - set(rows)
        self.assertFalse(missing, f"{len(missing)} acknowledged records are lost, e.g. {sorted(missing)[:3]}")
        extra = len(set(rows) - acked)
        self.assertLessEqual(extra, 5 * 4 * ROUNDS, "more than the requests in flight at the kills")
        sums = server.sums()
        self.assertEqual((sums["count"], sums["sum(costMicrocents)"]), (len(rows), 5 * len(rows)))
        print(f"{len(acked)} acknowledged, {len(rows)} rows, {extra} of requests cut before their answer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
