"""The doctor beside the real agent and the real server."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import otlp  # noqa: E402
from tests.system.support.programs import BIN, Agent, Folder, Server, free_port, http, wait_until  # noqa: E402

DOCTOR = BIN / "claude-telemetry-doctor"


def machine(folder, server_url, token, secret=None):
    """An agent that writes the settings of the one person on its machine."""
    agent = Agent(folder, server_url, token)
    uid = os.getuid() or 1000
    text = agent.config.read_text().replace("claude: { settings: none, user_env: false }", "claude: { settings: auto }")
    text += "identity: { email: alice@example.com }\n"
    if secret:
        (agent.root / "etc/claude-telemetry/enrollment-secret").write_text(secret)
        text += f"server: {{ url: {server_url}, enrollment_secret_file: /etc/claude-telemetry/enrollment-secret }}\n"
    agent.config.write_text(text)
    (agent.root / "etc/passwd").write_text(f"alice:x:{uid}:{uid}::/home/alice:/bin/sh\n")
    (agent.root / "etc/login.defs").write_text(f"UID_MIN {min(uid, 1000)}\n")
    (agent.root / "home/alice").mkdir(parents=True)
    if os.getuid() == 0:
        os.chown(agent.root / "home/alice", uid, uid)
    package = agent.root / "usr/lib/node_modules/@anthropic-ai/claude-code"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "@anthropic-ai/claude-code", "version": "2.1.329"}')
    return agent


def doctor(agent, *options):
    run = subprocess.run([DOCTOR, "--json", "--root", agent.root, *options], capture_output=True, text=True, timeout=60,
                         env={"PATH": "/usr/bin:/bin"}, cwd="/")
    return {check["id"]: check for check in json.loads(run.stdout)["checks"]}, run


def failed(checks):
    return {check["id"]: check["seen"] for check in checks.values() if check["status"] == "fail"}


class Whole(unittest.TestCase):
    def expect_marks_told_to_devices_only(self, server, agent, mark):
        token = json.loads((agent.root / "var/lib/claude-telemetry/device.json").read_text())["device_token"]
        ask = lambda mark, bearer: http("GET", f"{server.url}/api/v1/doctor-marks/{mark}",  # noqa: E731
                                        headers={"Authorization": f"Bearer {bearer}"} if bearer else {})
        status, _, body = ask(mark, token)
        answer = json.loads(body)
        self.assertEqual((status, answer["mark"], answer["arrived"]), (200, mark, True))
        self.assertRegex(answer["receivedAt"], r"^\d{4}-\d\d-\d\dT")
        other = "0" * 8 + mark[8:]
        self.assertEqual(json.loads(ask(other, token)[2]), {"mark": other, "arrived": False, "receivedAt": None})
        self.assertEqual([ask(mark, bearer)[0] for bearer in (None, server.token, server.jwt, "ct_x")], [401] * 4)
        self.assertEqual(ask("no-mark", token)[0], 400)

    def expect_report_on_command(self, server, agent):
        device = server.get("/api/v1/devices")["items"][0]["id"]
        before = server.get(f"/api/v1/devices/{device}")["doctorReportAt"]
        status, _, answer = http("POST", f"{server.url}/api/v1/devices/{device}/doctor", b"", {"Authorization": f"Bearer {server.jwt}"})
        self.assertEqual(status, 200, answer)
        agent.program.stop()
        agent.start()  # the command comes with the first heartbeat

        def told():
            found = server.get(f"/api/v1/devices/{device}")
            return found if found["doctorReportAt"] != before else None
        found = wait_until(told, limit_s=60, what="the report that was asked for")
        self.assertEqual(found["doctorReport"]["command_id"], json.loads(answer)["commandId"])
        self.assertEqual(found["doctorReport"]["report"]["version"], 1)
        self.assertNotIn("fail", {check["status"] for check in found["doctorReport"]["report"]["checks"] if check["id"].startswith("settings")})

    def test_a_whole_machine_passes_and_its_record_is_on_the_server(self):
        with Folder() as folder:
            server = Server(folder).set_up().start()
            agent = machine(folder, server.url, server.token, server.cli("enrollment-secret", "create").split()[-1])
            try:
                agent.start()
                wait_until(lambda: not failed(doctor(agent, "--only", "settings,enrollment,env,relay")[0]), what="settings applied, device enrolled")
                checks, run = doctor(agent, "--send")
                self.assertEqual(failed(checks), {}, run.stderr)
                self.assertEqual(checks["delivery.end_to_end"]["status"], "ok", checks["delivery.end_to_end"])
                self.assertIn("'central' has stored the record", checks["delivery.end_to_end"]["seen"])
                mark = checks["delivery.end_to_end"]["seen"].split()[-1]
                self.assertEqual(len(server.messages(**{"metadata.doctor.mark": mark})), 1)
                self.expect_marks_told_to_devices_only(server, agent, mark)
                self.assertEqual(len(server.messages(type="agent.doctor")), 1)

                self.expect_report_on_command(server, agent)

                server.program.stop()
                checks, _ = doctor(agent)
                self.assertEqual(set(failed(checks)), {"server.reachable", "destination.central.tcp"})
                agent.program.kill()
                checks, _ = doctor(agent)
                self.assertIn("relay.running", failed(checks))
            finally:
                agent.program.stop()
                server.program.stop()

    def test_damage_in_the_spool_is_found(self):
        with Folder() as folder:
            agent = machine(folder, f"http://127.0.0.1:{free_port()}", "none")
            try:
                agent.start()
                for i in range(3):
                    status, _, _ = http("POST", agent.url + "/v1/logs", otlp.marked_request([f"r{i}"]), {"Content-Type": "application/x-protobuf"})
                    self.assertEqual(status, 200)
                agent.program.kill()
                self.assertEqual(doctor(agent, "--only", "spool.integrity")[0]["spool.integrity"]["status"], "ok")
                segment = next(p for p in sorted((agent.root / "var/lib/claude-telemetry/spool").rglob("*"))
                               if p.is_file() and b"r1" in p.read_bytes())
                data = bytearray(segment.read_bytes())
                data[data.index(b"api_request")] ^= 0xFF
                segment.write_bytes(data)
                check = doctor(agent, "--only", "spool.integrity")[0]["spool.integrity"]
                self.assertEqual(check["status"], "fail", check)
                self.assertIn("1 records", check["seen"])
                self.assertIn("spool export", check["fix"])
            finally:
                agent.program.stop()


if __name__ == "__main__":
    unittest.main()
