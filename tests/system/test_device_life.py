"""A device from enrolment on: behind a proxy and a private authority, through an outage, as a copy, asked by the doctor, with a renewed token.

The real agent and the real server; the proxy is the only one that knows the server's name.
"""
import contextlib
import json
import os
import pathlib
import select
import socket
import sqlite3
import subprocess
import sys
import threading
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402

NAME = "telemetry.corp.test"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY",
             "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
EXPORT = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}).encode()

# CONTRACT: what a heartbeat holds, and of which kind.
TIME, TEXT, COUNT, YES = (str, type(None)), str, int, bool
HEARTBEAT = {
    "instance_uid": TEXT, "sequence_num": COUNT, "sent_at": str, "agent_version": TEXT, "agent_disconnect": YES,
    "health": {"healthy": YES, "status": TEXT, "last_error": TEXT, "start_time": str,
               "components": {"relay": {"healthy": YES, "status": TEXT, "last_error": TEXT}}},
    "config": {"hash": TEXT, "status": TEXT, "error_message": TEXT, "drift_repairs_total": COUNT},
    "claude": [{"path": TEXT, "version": TEXT, "last_event_at": TIME}],
    "users": [{"local_user": TEXT, "email": TEXT}],
    "signals": {name: {"last_received_at": TIME, "records_total": COUNT} for name in ("logs", "metrics", "traces")},
    "spool": {"records": COUNT, "bytes": COUNT, "oldest_age_seconds": COUNT, "evicted_total": COUNT,
              "quarantined_total": COUNT, "disk_free_bytes": COUNT},
    "destinations": [{"name": TEXT, "state": TEXT, "last_success_at": TIME, "last_status": COUNT, "last_error": TEXT,
                      "consecutive_failures": COUNT, "sent_records_total": COUNT, "backlog_records": COUNT}],
    "ledger": [{"reason": TEXT, "signal": TEXT, "records": COUNT, "from": TIME, "to": TIME}],
    "doctor": {"failed": COUNT, "warned": COUNT, "ran_at": str},
}


class Proxy:
    """CONNECT only, to one name, which leads to the server; counts who asked for what."""

    def __init__(self, port):
        self.target, self.asked = ("127.0.0.1", port), []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.socket.accept()[0],), daemon=True).start()

    def serve(self, client):
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096) or head[:0]
            asked = head.split(b"\r\n")[0].decode()
            self.asked.append(asked)
            if not asked.startswith(f"CONNECT {NAME}:443 "):
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(self.target) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                while True:
                    for side in select.select([client, server], [], [])[0]:
                        data = side.recv(65536)
                        if not data:
                            return
                        (server if side is client else client).sendall(data)

    def close(self):
        self.socket.close()


class Forgetful(Proxy):
    """In front of the server: loses the answers to the next `losing` heartbeats, which the server has taken."""

    def __init__(self, port):
        self.losing = self.lost = 0
        super().__init__(port)

    def serve(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(self.target) as server:
            beating = False
            while True:
                for side in select.select([client, server], [], [])[0]:
                    data = side.recv(65536)
                    if not data:
                        return
                    if side is client and data.startswith(b"POST "):
                        beating = data.startswith(b"POST /api/v1/heartbeat ")
                    elif side is server and beating and self.losing > 0:
                        self.losing -= 1
                        self.lost += 1
                        return
                    (server if side is client else client).sendall(data)


class DeviceLife(unittest.TestCase):
    def setUp(self):
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        patch = mock.patch.dict(os.environ, clean, clear=True)
        patch.start()
        self.addCleanup(patch.stop)
        self.server = programs.Server(self.folder).set_up()
        self.secret = self.server.cli("enrollment-secret", "create")

    def start_server(self):
        self.server.start()
        self.addCleanup(self.server.program.stop)

    def agent(self, url, more=""):
        agent = programs.Agent(self.folder, url, self.server.token)
        etc = agent.root / "etc/claude-telemetry"
        (etc / "enrollment-secret").write_text(self.secret)
        (agent.root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        agent.config.write_text(
            f"server:\n  url: {url}\n  enrollment_secret_file: /etc/claude-telemetry/enrollment-secret\n{more}"
            "identity: { email: alice@example.com }\n"
            + agent.config.read_text().replace("${file:/etc/claude-telemetry/token}", "${device_token}"))
        self.addCleanup(agent.program.stop)
        return agent

    def devices(self):
        return self.server.get("/api/v1/devices")["items"]

    def green(self, count=1):
        return programs.wait_until(lambda: (d := self.devices()) and len(d) == count and all(
            x["state"] in ("green", "grey") and x["lastSeenAt"] for x in d) and d, 30, "a green device")

    def beats(self):
        rows = self.server.messages(type="agent.heartbeat")
        return [json.loads(self.server.get("/api/v1/messages/" + row["id"])["body"]) for row in rows]

    def expect(self, shape, value, path="heartbeat"):
        if isinstance(shape, dict):
            for key, inner in shape.items():
                self.assertIn(key, value, path)
                self.expect(inner, value[key], f"{path}.{key}")
        elif isinstance(shape, list):
            self.assertIsInstance(value, list, path)
            for item in value:
                self.expect(shape[0], item, path + "[]")
        else:
            self.assertIsInstance(value, shape, path)

    def test_a_proxy_and_a_private_authority_in_between_change_nothing(self):
        ca = self.folder / "ca.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=corp", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1",
                        "-keyout", self.folder / "key.pem", "-out", ca], check=True, capture_output=True)
        self.server.program.command += ["--tls-cert", str(ca), "--tls-key", str(self.folder / "key.pem")]
        self.server.url = f"https://127.0.0.1:{self.server.port}"
        proxy = Proxy(self.server.port)
        self.addCleanup(proxy.close)
        agent = self.agent(f"https://{NAME}", more="  ca_file: /etc/corp.pem\n")
        (agent.root / "etc/corp.pem").write_bytes(ca.read_bytes())
        with mock.patch.dict(os.environ, {"HTTPS_PROXY": proxy.url, "https_proxy": proxy.url}):
            agent.start()  # the server is not there yet: it is tried again
        with mock.patch.dict(os.environ, {"SSL_CERT_FILE": str(ca)}):  # for this test's own questions
            self.start_server()
            device = self.green()[0]
            self.assertEqual(device["owner"], "alice@example.com")
            status, _, _ = programs.http("POST", agent.url + "/v1/logs", EXPORT, {"Content-Type": "application/json"})
            self.assertEqual(status, 200)
            programs.wait_until(lambda: self.server.messages(type="log"), what="a row by the device's token")
        self.assertEqual({line.split(" ")[1] for line in proxy.asked}, {f"{NAME}:443"})

    def test_a_heartbeat_is_what_the_contract_says_and_an_outage_is_explained(self):
        self.start_server()
        agent = self.agent(self.server.url)
        home = agent.root / "home/alice/.local/share/claude/versions"
        home.mkdir(parents=True)
        (home / "2.1.329").write_text("")
        (agent.root / "etc/passwd").write_text("alice:x:1001:1001::/home/alice:/bin/bash\n")
        agent.config.write_text(agent.config.read_text().replace("claude: { settings: none, user_env: false }",
                                                                 "claude: { settings: dropin, user_env: false }"))
        agent.start()
        device = self.green()[0]
        status, _, answer = programs.http("POST", f"{self.server.url}/api/v1/devices/{device['id']}/doctor", b"",
                                          {"Authorization": f"Bearer {self.server.jwt}"})
        self.assertEqual(status, 200, answer)
        programs.http("POST", agent.url + "/v1/logs", EXPORT, {"Content-Type": "application/json"})

        # The server asks for a minute between heartbeats; a restarted agent with this in its memory is quicker.
        self.assertEqual(agent.program.stop(), 0)
        kept = agent.root / "var/lib/claude-telemetry/device.json"
        document = json.loads(kept.read_text())
        self.assertEqual(document["heartbeat_interval_seconds"], 60)
        kept.write_text(json.dumps({**document, "heartbeat_interval_seconds": 1}))
        self.assertEqual(self.server.program.stop(), 0)
        agent.start()
        programs.wait_until(lambda: agent.status()["server"]["offline_since"], what="the outage noticed")

        # An outage outlives a restart in the middle of it: here one that began an hour ago.
        self.assertEqual(agent.program.stop(), 0)
        outage = kept.with_name("outage.json")
        began = json.loads(outage.read_text())
        outage.write_text(json.dumps({**began, "since_ms": began["since_ms"] - 3600 * 1000}))
        agent.start()
        self.start_server()
        explained = programs.wait_until(lambda: [b for b in self.beats() if b.get("offline_reason")], 30,
                                        "a heartbeat that explains the outage")[0]
        self.assertRegex(explained["offline_reason"], r"^36\d\d s: connect: ")
        programs.wait_until(lambda: not outage.exists(), what="the outage forgotten once told")

        # The doctor that the server asked for has run, and is answered.
        programs.wait_until(lambda: self.server.get("/api/v1/devices/" + device["id"])["doctorReport"], 60,
                            "the doctor's report")
        self.assertEqual(agent.program.stop(), 0)
        programs.wait_until(lambda: any(b["agent_disconnect"] for b in self.beats()), what="the goodbye")
        last = [b for b in self.beats() if b["agent_disconnect"] and b["doctor"]][0]
        self.expect(HEARTBEAT, last)
        self.assertEqual(last["claude"][0]["version"], "2.1.329")
        self.assertEqual(last["users"][0], {"local_user": "alice", "email": "alice@example.com", "source": "config"})
        self.assertEqual(last["settings"]["sources"][0]["winner"], "files")
        shown = self.server.get("/api/v1/devices/" + device["id"])
        self.assertEqual(shown["stateCode"], "disconnected")

    def test_the_policies_that_claude_code_obeys_are_shown_on_their_machine(self):
        self.start_server()
        agent = self.agent(self.server.url)
        agent.start()
        device = self.green()[0]
        recordings = programs.ROOT / "tests/data/otlp"
        kind = {"Content-Type": "application/x-protobuf"}
        other = {**kind, "Authorization": f"Bearer {self.server.token}"}  # of no device that we know
        for url, name, headers in ((self.server.url, "s10-mcp-0001-logs.bin", other),
                                   (agent.url, "s22-traceparent-0001-logs.bin", kind)):
            status, _, _ = programs.http("POST", url + "/v1/logs", (recordings / name).read_bytes(), headers)
            self.assertEqual(status, 200)
        shown = programs.wait_until(lambda: self.server.get("/api/v1/devices/" + device["id"])["managedSettings"],
                                    what="the event on its device")
        self.assertEqual(len(shown), 1)
        self.assertEqual((shown[0]["person"], shown[0]["version"], shown[0]["sources"], shown[0]["sourceBehavior"],
                          shown[0]["trigger"]), ("alice@example.com", "2.1.329", "none", "first-wins", "startup"))
        rows = self.server.messages(**{"metadata.device.id": device["id"], "type": "ai.event"})
        self.assertEqual([row["metadata"]["event.name"] for row in rows], ["managed_settings_resolved"])

    def database(self, sql):
        with contextlib.closing(sqlite3.connect(self.server.data / "control.db", timeout=30)) as db, db:
            return db.execute(sql).fetchall()

    def grow_old(self):
        """The device's token in force is from 91 days ago."""
        self.database(f"UPDATE token SET created_ns=created_ns-{91 * 86400 * 10**9} WHERE id=(SELECT token FROM device)")

    def deliver(self, agent, count):
        status, _, _ = programs.http("POST", agent.url + "/v1/logs", EXPORT.replace(b'"x"', b'"%d"' % count),
                                     {"Content-Type": "application/json"})
        self.assertEqual(status, 200)
        programs.wait_until(lambda: len(self.server.messages(type="log")) == count, 30, f"row {count}")

    def test_an_old_token_is_renewed_and_a_lost_answer_locks_nobody_out(self):
        self.start_server()
        proxy = Forgetful(self.server.port)
        self.addCleanup(proxy.close)
        agent = self.agent(proxy.url)
        kept = agent.root / "var/lib/claude-telemetry/device.json"
        token = lambda: json.loads(kept.read_text())["device_token"]  # noqa: E731
        tokens = lambda: self.database("SELECT revoked_ns=0, count(*) FROM token WHERE device<>0 GROUP BY 1 ORDER BY 1")  # noqa: E731
        refused = lambda old: programs.http("POST", self.server.url + "/v1/logs", b"{}", {  # noqa: E731
            "Content-Type": "application/json", "Authorization": f"Bearer {old}"})[0] == 403
        agent.start()
        self.green()
        self.deliver(agent, 1)
        first = token()
        self.assertEqual(agent.program.stop(), 0)
        self.grow_old()
        agent.start()  # and a heartbeat within a second
        programs.wait_until(lambda: token() != first, what="a renewed token")
        second = token()
        self.deliver(agent, 2)
        self.assertEqual(tokens(), [(0, 1), (1, 1)])
        programs.wait_until(lambda: refused(first), what="the old token refused")

        # The answers are lost: it goes on with what it has, and takes the one that arrives.
        self.assertEqual(agent.program.stop(), 0)
        kept.write_text(json.dumps({**json.loads(kept.read_text()), "heartbeat_interval_seconds": 1}))
        self.grow_old()
        proxy.losing = 1000
        agent.start()
        programs.wait_until(lambda: proxy.lost >= 2, 30, "two lost answers")
        self.deliver(agent, 3)
        self.assertEqual(token(), second)
        self.assertEqual(tokens(), [(0, 1), (1, 2)])  # one of them pending
        proxy.losing = 0
        programs.wait_until(lambda: token() != second, 30, "a token that arrives")
        self.deliver(agent, 4)
        self.assertEqual(tokens(), [(0, 2), (1, 1)])
        programs.wait_until(lambda: refused(second), what="the second token refused")
        self.assertEqual(agent.program.stop(), 0)
        before = len(self.beats())
        agent.start()
        programs.wait_until(lambda: len(self.beats()) > before, what="a heartbeat by the third token")
        self.assertEqual(len(self.devices()), 1)
        self.assertEqual(tokens(), [(0, 2), (1, 1)])

    def test_a_copy_of_a_machine_enrols_as_itself(self):
        self.start_server()
        agent = self.agent(self.server.url)
        agent.start()
        first = self.green()[0]
        self.assertEqual(agent.program.stop(), 0)
        (agent.root / "etc/machine-id").write_text("fedcba9876543210fedcba9876543210\n")
        agent.start()
        both = self.green(2)
        self.assertIn(first["id"], [d["id"] for d in both])
        self.assertIn("another machine", agent.program.log.read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
