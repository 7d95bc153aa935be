"""The agent as a whole program: its commands, signals, sockets and files, below a private root."""
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402

AGENT = programs.AGENT


def an_export():
    """A small OTLP/JSON logs request."""
    record = {"timeUnixNano": "1700000000000000000", "body": {"stringValue": "hello"}}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


JSON = {"Content-Type": "application/json"}


class FakeServer:
    """Answers OTLP, enrolment and heartbeats, and remembers what it was told."""

    def __init__(self, port=0):
        self.requests = []
        self.answers = {}
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fake.requests.append((self.path, dict(self.headers), body))
                status, answer = fake.answers.get(self.path, (200, b"{}"))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def to(self, path):
        return [json.loads(body) for at, _, body in self.requests if at == path]

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def run(*words, root, code=0):
    done = subprocess.run([AGENT, *words, "--root", root], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


class Agent(unittest.TestCase):
    def setUp(self):
        self.holder = programs.Folder()
        self.folder = self.holder.__enter__()
        self.addCleanup(self.holder.__exit__)

    def agent(self, destination="http://127.0.0.1:1", **more):
        agent = programs.Agent(self.folder, destination, **more)
        self.addCleanup(agent.program.stop)
        return agent

    def server(self):
        server = FakeServer()
        self.addCleanup(server.close)
        return server

    def send(self, agent):
        status, _, body = programs.http("POST", agent.url + "/v1/logs", an_export(), JSON)
        self.assertEqual(status, 200, body)

    def test_what_was_acknowledged_survives_kill_9(self):
        agent = self.agent().start()
        self.send(agent)
        agent.program.kill()

        listed = json.loads(run("spool", "list", "--json", root=agent.root).stdout)
        self.assertEqual((listed["requests"], listed["records"], listed["damaged"]), (1, 1, 0))
        self.assertIn("1 requests, 1 records", run("spool", "list", root=agent.root).stdout)
        self.assertTrue(json.loads(run("spool", "verify", "--json", root=agent.root).stdout)["sound"])
        out = self.folder / "exported"
        run("spool", "export", "--output", out, root=agent.root)
        self.assertEqual(len(list(out.iterdir())), 1)
        self.assertIn("not running", run("status", "--brief", root=agent.root, code=1).stdout)

        server = self.server()
        agent.config.write_text(agent.config.read_text().replace("http://127.0.0.1:1", server.url))
        agent.start()
        programs.wait_until(lambda: server.requests, what="delivery")
        programs.wait_until(lambda: agent.status()["destinations"][0]["backlog_records"] == 0, what="empty spool")
        self.assertIn("healthy", run("status", "--brief", root=agent.root).stdout)

    def test_a_taken_port_gives_the_next_one_and_the_status_tells(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            agent = self.agent(port=taken.getsockname()[1])
            agent.program.start()
            relay = programs.wait_until(lambda: agent.status().get("relay"), what="status")
        self.assertGreater(relay["port"], agent.port)
        self.assertEqual(programs.http("GET", relay["url"] + "/healthz")[0], 200)

    def test_a_second_agent_on_the_same_spool_does_not_start(self):
        agent = self.agent().start()
        second = run("run", root=agent.root, code=1)
        self.assertIn("claude-telemetry-agent: ", second.stderr)
        self.assertTrue(agent.status()["running"])  # its status file is still there

    def test_reload_keeps_connections_and_takes_over_destinations(self):
        first, second = self.server(), self.server()
        agent = self.agent(first.url).start()
        connection = http.client.HTTPConnection("127.0.0.1", agent.port)
        connection.request("POST", "/v1/logs", an_export(), JSON)
        self.assertEqual(connection.getresponse().read() and 200, 200)
        held = connection.sock
        programs.wait_until(lambda: first.requests, what="first delivery")

        agent.config.write_text(agent.config.read_text().replace(first.url, second.url))
        agent.program.process.send_signal(signal.SIGHUP)
        programs.wait_until(lambda: "read again" in agent.program.log.read_text(), what="reload")
        connection.request("POST", "/v1/logs", an_export(), JSON)
        self.assertEqual(connection.getresponse().status, 200)
        self.assertIs(connection.sock, held)
        programs.wait_until(lambda: second.requests, what="second delivery")
        connection.close()

        agent.config.write_text("relay: {listne: x}\n")
        agent.program.process.send_signal(signal.SIGHUP)
        config = lambda: agent.status()["config"]  # noqa: E731
        programs.wait_until(lambda: config()["status"] == "failed", what="failed reload")
        self.assertIn("relay.listen", config()["error_message"])
        self.assertEqual(programs.http("GET", agent.url + "/healthz")[0], 200)

    def test_a_broken_configuration_is_named(self):
        agent = self.agent()
        run("check-config", root=agent.root)
        agent.config.write_text("relay:\n  spool: {max_mb: 5}\nclaude: {mode: relai}\n")
        for command in (["check-config"], ["run"]):
            said = run(*command, root=agent.root, code=2).stderr
            for part in (str(agent.config), "line 2", "'relay.spool.max_mb'", "'relay.spool.max_mib'", "line 3",
                         "relay, direct", "  fix: "):
                self.assertIn(part, said)
        document = json.loads(run("check-config", "--json", root=agent.root, code=2).stdout)
        self.assertEqual((document["valid"], len(document["problems"])), (False, 2))

    def test_usage(self):
        for words in (["nonsense"], ["run", "--brief"], ["spool"], ["spool", "eat"], ["--config"], ["run", "again"]):
            self.assertIn("  fix: ", run(*words, root="/nonexistent", code=2).stderr, words)
        for words in ([], ["run"], ["apply"], ["revert"], ["enroll"], ["status"], ["spool"], ["check-config"]):
            self.assertIn("--root DIR", run(*words, "--help", root="/nonexistent").stdout, words)
        version = subprocess.run([AGENT, "--version"], capture_output=True, text=True, check=True).stdout
        self.assertRegex(version, r"^claude-telemetry-agent \d+\.\d+\.\d+\n$")

    def test_enrolment_heartbeat_and_goodbye(self):
        server = self.server()
        server.answers["/api/v1/enroll"] = (200, json.dumps(
            {"device_id": "d-1", "device_token": "ct_first", "heartbeat_interval_seconds": 1}).encode())
        server.answers["/api/v1/heartbeat"] = (200, json.dumps(
            {"server_time": "2026-01-01T00:00:00Z", "heartbeat_interval_seconds": 1, "device_token": "ct_second",
             "commands": []}).encode())
        agent = self.agent(server.url, extra=f"""\
server: {{ url: {server.url}, enrollment_secret_file: /etc/claude-telemetry/enrollment-secret }}
identity: {{ email: Alice@Example.com }}
""")
        agent.config.write_text(agent.config.read_text().replace("${file:/etc/claude-telemetry/token}", "${device_token}"))
        agent.start()
        self.send(agent)
        (agent.root / "etc/claude-telemetry/enrollment-secret").write_text("s3cret\n")  # comes late
        agent.program.process.send_signal(signal.SIGHUP)
        run("enroll", root=agent.root)
        agent.program.stop()
        agent.start()
        programs.wait_until(lambda: len(server.to("/api/v1/heartbeat")) >= 2, what="two heartbeats")
        programs.wait_until(lambda: any(path == "/v1/logs" for path, _, _ in server.requests), what="delivery")

        enrolment = server.to("/api/v1/enroll")[0]
        self.assertEqual(enrolment["enrollment_secret"], "s3cret")
        self.assertEqual(set(enrolment["device"]),
                         {"hardware_id", "hostname", "os", "os_version", "arch", "agent_version"})
        tokens = [headers["Authorization"] for path, headers, _ in server.requests if path == "/api/v1/heartbeat"]
        self.assertEqual(tokens[:2], ["Bearer ct_first", "Bearer ct_second"])
        beat = server.to("/api/v1/heartbeat")[-1]
        for key in ("instance_uid", "sequence_num", "sent_at", "agent_version", "health", "config", "claude", "users",
                    "signals", "spool", "destinations", "ledger", "doctor", "agent_disconnect"):
            self.assertIn(key, beat)
        self.assertEqual(agent.program.stop(), 0)
        self.assertTrue(server.to("/api/v1/heartbeat")[-1]["agent_disconnect"])

        kept = agent.root / "var/lib/claude-telemetry/device.json"
        self.assertEqual(json.loads(kept.read_text())["device_token"], "ct_second")
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o600)
        for secret in ("s3cret", "ct_first", "ct_second"):
            self.assertNotIn(secret, agent.program.log.read_text())

    def test_settings_written_by_apply_are_reported_by_the_service_without_rights(self):
        agent = self.agent()
        home = agent.root / "home/alice"
        home.mkdir(parents=True)
        (agent.root / "etc/passwd").write_text(f"alice:x:{os.getuid() or 1001}:{os.getgid()}::/home/alice:/bin/bash\n")
        if os.getuid() == 0:
            os.chown(home, 1001, 0)
        agent.config.write_text(agent.config.read_text().replace("claude: { settings: none, user_env: false }\n", ""))
        agent.program.command.append("--no-settings")
        agent.start()
        would = run("apply", "--dry-run", root=agent.root).stdout
        self.assertIn("2 of 2 files would change", would)
        self.assertFalse((home / ".claude").exists())
        run("apply", root=agent.root)
        settings = home / ".claude/settings.json"
        self.assertEqual(json.loads(settings.read_text())["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"], agent.url)
        self.assertIn("2 of 2 as they should be already", run("apply", root=agent.root).stdout)

        document = json.loads(settings.read_text())
        document["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://elsewhere"
        settings.write_text(json.dumps(document))
        run("apply", root=agent.root)
        agent.program.process.send_signal(signal.SIGHUP)
        programs.wait_until(lambda: agent.status()["config"]["drift_repairs_total"] == 1, what="repair reported")
        source = agent.status()["settings"]["sources"][0]
        self.assertEqual((source["local_user"], source["winner"], source["in_force"]), ("alice", "files", True))
        self.assertIn("settings     alice: the managed settings files win", run("status", root=agent.root).stdout)

        # Somebody who rewrites it again and again is named, and not fought for ever.
        for _ in range(3):
            settings.write_text(json.dumps(document))
            run("apply", "--repair", root=agent.root)
        settings.write_text(json.dumps(document))
        said = run("apply", "--repair", root=agent.root).stdout
        self.assertIn("another program keeps rewriting", said)
        settings.write_text(json.dumps(document))
        self.assertIn("it is left alone for", run("apply", "--repair", root=agent.root).stdout)
        self.assertEqual(json.loads(settings.read_text())["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://elsewhere")
        programs.wait_until(lambda: agent.status()["settings"]["drift"]["conflict_path"].endswith("/settings.json"),
                            what="conflict reported")
        self.assertIn("keeps rewriting", agent.status()["health"]["last_error"])
        if os.geteuid() == 0:  # what cannot even be planned is told, too
            first = agent.root / "var/lib/claude-telemetry-settings"
            os.chown(first, 1002, 0)
            run("apply", "--repair", root=agent.root, code=1)
            programs.wait_until(lambda: "not safe" in agent.status()["health"]["last_error"], what="failure reported")
            os.chown(first, 0, 0)
        run("apply", root=agent.root)  # asked for by a person, it is written
        self.assertEqual(json.loads(settings.read_text())["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"], agent.url)
        run("revert", root=agent.root)
        self.assertFalse(settings.exists())

    def test_status_file_is_for_everyone_and_gone_after_a_clean_stop(self):
        agent = self.agent(token="very-secret").start()
        path = agent.root / "run/claude-telemetry/status.json"
        programs.wait_until(path.exists, what="status file")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644)
        self.send(agent)
        programs.wait_until(lambda: agent.status()["signals"]["logs"]["records_total"] == 1, what="count")
        self.assertNotIn("very-secret", path.read_text())
        self.assertEqual(agent.program.stop(), 0)
        self.assertFalse(path.exists())
        run("status", root=agent.root, code=1)

    def test_the_service_manager_is_told_and_its_socket_taken(self):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self.folder / "notify"))
        notify.settimeout(15)
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        agent = self.agent()

        def give_socket():
            os.dup2(listening.fileno(), 3)

        environment = {"NOTIFY_SOCKET": str(self.folder / "notify"), "LISTEN_FDS": "1", "WATCHDOG_USEC": "400000",
                       "PATH": os.environ["PATH"]}
        with open(agent.program.log, "wb") as log:
            process = subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', AGENT, "run", "--root", agent.root],
                                       env=environment, preexec_fn=give_socket, close_fds=False, stdout=log, stderr=log)
        try:
            self.assertEqual(notify.recv(100), b"READY=1")
            self.assertEqual(notify.recv(100), b"WATCHDOG=1")
            self.assertEqual(agent.status()["relay"]["port"], port)
            self.assertEqual(programs.http("GET", f"http://127.0.0.1:{port}/healthz")[0], 200)
            process.send_signal(signal.SIGTERM)
            told = notify.recv(100)
            while told == b"WATCHDOG=1":
                told = notify.recv(100)
            self.assertEqual(told, b"STOPPING=1")
            self.assertEqual(process.wait(15), 0)
        finally:
            process.kill()
            process.wait()
            notify.close()
            listening.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
