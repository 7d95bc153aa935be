"""What the people who run the server rely on: the audit log, alerts, limits, backups."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from scripts import demo  # noqa: E402
from tests.system.support import programs  # noqa: E402

LOGS = (demo.DATA / "s01-basic-0001-logs.bin").read_bytes()


class OperationsTest(unittest.TestCase):
    def setUp(self):
        folder = programs.Folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.server = programs.Server(self.folder).set_up().start()
        self.addCleanup(self.server.program.stop)

    def send(self, body=LOGS, token=None):
        return programs.http("POST", self.server.url + "/v1/logs", body,
                             {"Content-Type": "application/x-protobuf",
                              "Authorization": f"Bearer {token or self.server.token}"})


class Audit(OperationsTest):
    def log_in(self, email, role):
        self.server.cli("user", "create", "--email", email, "--role", role, "--password-stdin",
                        stdin=programs.PASSWORD)
        body = json.dumps({"email": email, "password": programs.PASSWORD}).encode()
        status, _, answer = programs.http("POST", self.server.url + "/api/v1/auth/login", body, {})
        self.assertEqual(200, status, answer)
        return json.loads(answer)["token"]

    def entries(self, **query):
        return self.server.get("/api/v1/audit", **query)["items"]

    def test_logins_body_reads_exports_and_commands_are_written_down_and_secrets_are_not(self):
        self.assertEqual(200, self.send()[0])
        analyst, auditor = self.log_in("ana@example.com", "analyst"), self.log_in("aud@example.com", "auditor")
        path = "/api/v1/messages?take=1"
        for jwt in analyst, auditor:
            self.assertEqual(200, programs.http("GET", self.server.url + path, None,
                                                {"Authorization": f"Bearer {jwt}"})[0])
        self.server.get("/api/v1/messages/aggregate", accept="text/csv", metric="count")
        self.server.cli("token", "revoke", self.server.token[:12])
        self.server.cli("erase", "--email", "gone@example.com")

        self.assertEqual(["aud@example.com"], [e["who"] for e in self.entries(action="message.read")])
        self.assertEqual(path, self.entries(action="message.read")[0]["subject"])
        self.assertEqual("/api/v1/messages/aggregate?metric=count", self.entries(action="export")[0]["subject"])
        actions = {e["action"] for e in self.entries()}
        self.assertLessEqual({"login", "system.create", "token.create", "token.revoke", "user.create",
                              "erase"}, actions)
        everything = json.dumps(self.entries(take=1000))
        for secret in self.server.token, programs.PASSWORD, "gone@example.com", auditor:
            self.assertNotIn(secret, everything)
        status, _, _ = programs.http("GET", self.server.url + "/api/v1/audit", None,
                                     {"Authorization": f"Bearer {analyst}"})
        self.assertEqual(403, status)

        first = self.server.get("/api/v1/audit", take=2)
        second = self.server.get("/api/v1/audit", take=2, cursor=first["nextCursor"])
        ids = [e["id"] for e in first["items"] + second["items"]]
        self.assertEqual(ids, list(range(ids[0], ids[0] - 4, -1)))
        self.assertIn("none changed", self.server.cli("audit", "verify"))
        self.assertIn("token.revoke", self.server.cli("audit", "list"))


if __name__ == "__main__":
    unittest.main()
