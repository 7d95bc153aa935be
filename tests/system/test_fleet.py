"""Enrolment, heartbeats, device states and the remote doctor, from outside and with the real agent."""
import datetime
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Fleet(unittest.TestCase):
    def setUp(self):
        folder = programs.Folder()
        self.addCleanup(folder.__exit__)
        self.folder = folder.__enter__()
        self.server = programs.Server(self.folder).set_up()
        self.secret = self.server.cli("enrollment-secret", "create")
        self.server.start()
        self.addCleanup(self.server.program.stop)

    def post(self, path, body, token=None):
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = programs.http("POST", self.server.url + path, text, headers)
        return status, json.loads(answer)

    def enroll(self, secret=None, hardware="hw-1", **device):
        return self.post("/api/v1/enroll", {
            "enrollment_secret": secret or self.secret,
            "device": {"hardware_id": hardware, "hostname": "alices-laptop", "os": "linux", "os_version": "12",
                       "arch": "amd64", "agent_version": "0.1.0", **device},
            "users": [{"local_user": "alice", "email": "Alice@example.com"}]})

    def beat(self, token, number=1, **more):
        return self.post("/api/v1/heartbeat", {
            "instance_uid": "11111111-0000-4000-8000-000000000000", "sequence_num": number, "sent_at": now(),
            "agent_version": "0.1.0", "health": {"healthy": True}, "users": [{"local_user": "alice", "email": "alice@example.com"}],
            **more}, token)

    def device(self):
        devices = self.server.get("/api/v1/devices")["items"]
        self.assertEqual(len(devices), 1, devices)
        return devices[0]

    def test_a_machine_enrols_reports_and_is_seen(self):
        status, answer = self.enroll()
        self.assertEqual(status, 200, answer)
        self.assertTrue(answer["device_token"].startswith("ct_"))
        self.assertEqual(answer["heartbeat_interval_seconds"], 60)
        self.assertEqual(self.device()["state"], "grey")
        self.assertEqual(self.device()["stateCode"], "never_seen")

        sent = now()
        status, beat = self.beat(answer["device_token"], sent_at=sent)
        self.assertEqual((status, beat["commands"]), (200, []))
        device = self.device()
        self.assertEqual((device["state"], device["owner"], device["id"]), ("green", "alice@example.com", answer["device_id"]))
        rows = self.server.messages(type="agent.heartbeat", **{"metadata.device.id": answer["device_id"]})
        self.assertEqual(len(rows), 1)
        self.assertEqual(rows[0]["metadata"]["host.name"], "alices-laptop")
        self.assertEqual(self.beat(answer["device_token"], sent_at=sent)[0], 200)  # the same one again
        self.assertEqual(len(self.server.messages(type="agent.heartbeat")), 1)

    def test_the_list_of_devices_is_cut_as_asked_and_a_wrong_question_is_refused(self):
        for number in range(5):
            self.enroll(hardware=f"hw-{number}", hostname=f"host-{number}")
        names = [one["hostname"] for one in self.server.get("/api/v1/devices")["items"]]
        page = self.server.get("/api/v1/devices", state="grey", skip=1, take=3)
        self.assertEqual((names[1:4], len(names)), ([one["hostname"] for one in page["items"]], page["counts"]["grey"]))
        for question in ("state=purple", "take=0", "take=-1", "skip=x", "sate=red"):
            with self.subTest(question):
                status, _, answer = programs.http("GET", f"{self.server.url}/api/v1/devices?{question}",
                                                  headers={"Authorization": f"Bearer {self.server.jwt}"})
                self.assertEqual(400, status, answer)

    def test_enrolling_again_rotates_the_token_and_keeps_the_device(self):
        _, first = self.enroll()
        _, second = self.enroll()
        self.assertEqual(first["device_id"], second["device_id"])
        self.assertNotEqual(first["device_token"], second["device_token"])
        programs.wait_until(lambda: self.beat(first["device_token"])[0] == 401, what="the old token refused")
        self.assertEqual(self.beat(second["device_token"])[0], 200)

    def test_a_device_is_taken_out_beside_the_running_server(self):
        _, answer = self.enroll(hostname="lost-laptop")
        self.beat(answer["device_token"])
        listed = json.loads(self.server.cli("device", "list", "--json"))
        self.assertEqual([(d["id"], d["hostname"]) for d in listed], [(answer["device_id"], "lost-laptop")])
        self.assertIn("lost-laptop", self.server.cli("device", "list"))
        self.assertIn("removed", self.server.cli("device", "remove", answer["device_id"]))
        programs.wait_until(lambda: self.beat(answer["device_token"])[0] in (401, 403), what="its token refused")
        self.assertEqual(self.server.get("/api/v1/devices")["items"], [])
        self.assertEqual(json.loads(self.server.cli("device", "list", "--json")), [])
        self.assertIn("device.remove", self.server.cli("audit", "list"))
        status, back = self.enroll(hostname="found-laptop")
        self.assertEqual(status, 200)
        self.assertNotEqual(back["device_id"], answer["device_id"])

    def test_other_hardware_does_not_take_over_a_device_in_use(self):
        _, first = self.enroll()
        status, answer = self.enroll(hostname="copy-of-alices-laptop")
        self.assertEqual((status, answer["error"]["code"]), (409, "other_hardware"))
        self.assertEqual(self.enroll(arch="arm64")[0], 409)
        self.assertEqual(self.enroll(hardware="hw-2", device_id=first["device_id"])[0], 409)
        self.assertEqual(self.beat(first["device_token"])[0], 200)  # nothing was taken from it
        self.beat(first["device_token"], 2, agent_disconnect=True)
        status, renamed = self.enroll(hostname="alices-new-name")
        self.assertEqual((status, renamed["device_id"]), (200, first["device_id"]))

    def test_a_refused_credential_turns_the_device_red_and_back(self):
        _, answer = self.enroll()
        bad = {"destinations": [{"name": "span", "state": "auth_failed", "backlog_records": 12}]}
        self.beat(answer["device_token"], 1, **bad)
        device = self.device()
        self.assertEqual((device["state"], device["stateCode"]), ("red", "destination_auth_failed"))
        self.assertIn("span", device["reason"])
        self.assertTrue(device["action"])
        self.beat(answer["device_token"], 2)
        whole = self.server.get("/api/v1/devices/" + device["id"])
        self.assertEqual(whole["state"], "green")
        self.assertEqual([(c["from"], c["to"]) for c in whole["changes"]], [("red", "green"), ("grey", "red")])
        self.beat(answer["device_token"], 3, agent_disconnect=True)
        self.assertEqual(self.device()["stateCode"], "disconnected")

    def test_the_doctor_is_asked_answers_and_is_read(self):
        _, answer = self.enroll()
        self.beat(answer["device_token"])
        status, _, text = programs.http("POST", f"{self.server.url}/api/v1/devices/{answer['device_id']}/doctor", b"",
                                        {"Authorization": f"Bearer {self.server.jwt or (self.server.get('/api/v1/devices') and self.server.jwt)}"})
        self.assertEqual(status, 200, text)
        command = json.loads(text)["commandId"]
        _, beat = self.beat(answer["device_token"], 2)
        self.assertEqual(beat["commands"], [{"id": command, "type": "doctor"}])
        report = {"version": 1, "summary": {"ok": 3, "warn": 0, "fail": 1, "skip": 0}, "checks": []}
        self.assertEqual(self.post("/api/v1/doctor-reports", {"command_id": command, "report": report}, answer["device_token"])[0], 200)
        self.assertEqual(self.beat(answer["device_token"], 3)[1]["commands"], [])
        whole = self.server.get("/api/v1/devices/" + answer["device_id"])
        self.assertEqual(whole["doctorReport"]["report"]["summary"]["fail"], 1)
        self.assertEqual(len(self.server.messages(type="agent.doctor")), 1)

    def test_bad_secrets_tokens_and_documents_are_told_apart(self):
        self.assertEqual(self.enroll("wrong")[0], 401)
        self.server.cli("enrollment-secret", "revoke", self.secret[:10])
        status, answer = self.enroll()
        self.assertEqual((status, answer["error"]["code"]), (401, "secret_ended"))
        self.assertEqual(self.post("/api/v1/enroll", b"{")[0], 400)
        self.assertEqual(self.post("/api/v1/enroll", {"enrollment_secret": "x"})[0], 400)
        self.assertEqual(self.beat("nonsense")[0], 401)
        self.assertEqual(self.beat(self.server.token)[0], 401)  # an ingest token is no device's
        for _ in range(12):
            status, _ = self.enroll("wrong again")
        self.assertEqual(status, 429)
        fresh = self.server.cli("enrollment-secret", "create")
        self.assertEqual(self.enroll(fresh, hardware="hw-2")[0], 200)  # behind the same address

    def test_the_real_agent_enrols_reports_and_says_goodbye(self):
        agent = programs.Agent(self.folder, self.server.url, self.server.token)
        etc = agent.root / "etc/claude-telemetry"
        secret = etc / "enrollment-secret"
        secret.write_text(self.secret)
        secret.chmod(0o600)
        (agent.root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        agent.config.write_text(
            f"server:\n  url: {self.server.url}\n  enrollment_secret_file: /etc/claude-telemetry/enrollment-secret\n"
            "identity: { email: alice@example.com }\n"
            + agent.config.read_text().replace("${file:/etc/claude-telemetry/token}", "${device_token}"))
        agent.start()
        try:
            device = programs.wait_until(lambda: (d := self.server.get("/api/v1/devices")["items"]) and d[0]["state"] == "green" and d[0],
                                         30, "a green device")
            capture = (programs.ROOT / "tests/data/otlp/s01-basic-0001-logs.bin").read_bytes()
            status, _, _ = programs.http("POST", agent.url + "/v1/logs", capture, {"Content-Type": "application/x-protobuf"})
            self.assertEqual(status, 200)
            programs.wait_until(lambda: len(self.server.messages(type="ai.generation")) == 2, what="rows by the device's token")
        finally:
            self.assertEqual(agent.program.stop(), 0, agent.program.log.read_text()[-800:])
        programs.wait_until(lambda: self.device()["stateCode"] == "disconnected", what="the goodbye")
        self.assertEqual(device["owner"], "alice@example.com")


if __name__ == "__main__":
    unittest.main(verbosity=2)
