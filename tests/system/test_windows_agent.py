"""Agent and doctor as Windows programs, run under Wine: real telemetry through the relay to a server of this system."""
import getpass
import http.server
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from scripts import demo  # noqa: E402
from tests.system.support import certificates, programs  # noqa: E402
from tests.system.support.wine import PROGRAM, Wine  # noqa: E402

BIN = pathlib.Path(os.environ.get("CT_BIN_WINDOWS", programs.ROOT / "build/mingw/bin"))
HOME = pathlib.PureWindowsPath(r"C:\Program Files\ClaudeTelemetry")
AGENT, DOCTOR = HOME / "claude-telemetry-agent.exe", HOME / "claude-telemetry-doctor.exe"
SERVICE = "claude-telemetry-agent"
USER = getpass.getuser()  # Wine's user has the name of ours


def setUpModule():
    if not shutil.which(PROGRAM):
        raise unittest.SkipTest("needs Wine: apt-get install wine64")
    for program in (BIN / AGENT.name, BIN / DOCTOR.name):
        if not program.exists():
            raise unittest.SkipTest(f"no {program}: make cross")
    global folder, wine
    holder = programs.Folder()
    folder = holder.__enter__()
    unittest.addModuleCleanup(holder.__exit__)
    wine = Wine(folder, whole_disk=False)
    (wine.c / "Program Files/ClaudeTelemetry").mkdir()
    for program in (BIN / AGENT.name, BIN / DOCTOR.name):
        shutil.copy(program, wine.c / "Program Files/ClaudeTelemetry")
    unittest.addModuleCleanup(wine.finish, "-k")


class WindowsAgent:
    """`run` in the foreground or as a service, with its files where Windows keeps them."""

    def __init__(self, name, server):
        self.data = wine.c / "ProgramData/ClaudeTelemetry"
        agent("revert")  # what an earlier one wrote
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.port = programs.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (self.data / "token").write_text(server.token)
        (self.data / "agent.yaml").write_text(f"""\
relay: {{ listen: 127.0.0.1:{self.port}, local_token_required: true, spool: {{ min_free_disk_mib: 1 }} }}
destinations:
  - name: central
    endpoint: {server.url}
    headers: {{ Authorization: "Bearer ${{file:C:/ProgramData/ClaudeTelemetry/token}}" }}
""")
        self.log = folder / f"{name}.log"
        self.process = None

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([PROGRAM, AGENT, "run"], env=wine.environment, cwd=wine.folder,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.wait()
        return self

    def wait(self):
        def up():
            if self.process and self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.log.read_text()}")
            return programs.http("GET", self.url + "/healthz")[0] == 200 and self.status()
        programs.wait_until(up, 60, "relay ready")

    def stop(self):
        """As Ctrl-C on its console does; its exit code."""
        if not self.process:
            return None
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        finally:
            self.kill()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def headers(self):
        """What Claude Code sends for this user: Wine cannot tell whose a connection is, so a token is asked for."""
        def written():
            settings = json.loads((wine.c / "users" / USER / ".claude/settings.json").read_text())
            name, value = settings["env"]["OTEL_EXPORTER_OTLP_HEADERS"].split("=")
            return {name: value}
        return programs.wait_until(written, 30, "user settings")

    def status(self):
        return json.loads((self.data / "run/status.json").read_text())

    def backlog(self):
        return self.status()["destinations"][0]["backlog_records"]


def agent(*words, code=0):
    said, got = wine.run(AGENT, *words)
    if got != code:
        raise AssertionError(f"{words}: {got}, expected {code}\n{wine.errors}{said[-500:]}")
    return said


class Windows(unittest.TestCase):
    def setUp(self):
        self.server = programs.Server(folder / self.id()).set_up()
        self.server.start()
        self.addCleanup(self.server.program.stop)

    def windows_agent(self):
        made = WindowsAgent(self.id(), self.server)
        self.addCleanup(made.kill)
        return made

    def test_recorded_telemetry_arrives_exactly_once_over_a_kill_and_an_outage(self):
        relay = self.windows_agent().start()

        def at_half():
            self.server.program.kill()
            relay.kill()
            wine.finish("-k")  # power off: nothing of Windows is left running
            relay.start()
        sent = demo.send_all(relay, at_half, relay.headers())
        self.assertEqual(sent, 69)
        self.assertIn("central: retrying", agent("status"))
        self.assertTrue(json.loads(agent("spool", "list", "--json"))["records"] > 0)
        self.server.start()
        programs.wait_until(lambda: relay.backlog() == 0, 60, "empty spool")
        self.assertIn("healthy", agent("status", "--brief"))
        self.assertEqual(relay.stop(), 0, relay.log.read_text())
        self.assertFalse((relay.data / "run/status.json").exists())
        have = self.server.sums()
        self.assertEqual({name: have[name] for name in demo.expected_totals()}, demo.expected_totals())
        self.assertTrue(json.loads(agent("spool", "verify", "--json"))["sound"])

    def test_it_lives_as_a_service(self):
        relay = self.windows_agent()
        self.assertEqual(wine.run("sc", "create", SERVICE, "binPath=", f'"{AGENT}" run', "start=", "demand")[1], 0)
        self.addCleanup(wine.run, "sc", "delete", SERVICE)
        # Wine ends its services with the last other program: somebody must be logged on.
        someone = subprocess.Popen([PROGRAM, "cmd"], env=wine.environment, cwd=wine.folder, stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(someone.communicate)
        self.assertEqual(wine.run("net", "start", SERVICE)[1], 0)
        self.addCleanup(wine.run, "net", "stop", SERVICE)
        relay.wait()
        sent = demo.send_all(relay, lambda: None, relay.headers())
        programs.wait_until(lambda: relay.backlog() == 0, 60, "empty spool")
        self.assertEqual(wine.run("net", "stop", SERVICE)[1], 0)
        programs.wait_until(lambda: not (relay.data / "run/status.json").exists(), 30, "a clean end")
        log = (relay.data / "log/agent.log").read_text()
        self.assertIn("runs version=", log)
        self.assertIn("stops", log)
        self.assertEqual((sent, self.server.sums()["count"]), (69, demo.expected_totals()["count"]))

    def test_settings_are_written_and_taken_back(self):
        self.windows_agent()
        user = wine.c / "users" / USER / ".claude/settings.json"
        user.parent.mkdir(exist_ok=True)
        user.write_bytes(b'{\r\n  "model": "opus"\r\n}\r\n')
        self.addCleanup(shutil.rmtree, user.parent)
        managed = wine.c / "Program Files/ClaudeCode/managed-settings.d/90-claude-telemetry.json"
        self.assertIn("would change", agent("apply", "--dry-run"))
        self.assertFalse(managed.exists())
        agent("apply")
        settings = json.loads(managed.read_text())["env"]
        self.assertEqual(settings["CLAUDE_CODE_ENABLE_TELEMETRY"], "1")
        before = managed.read_bytes()
        agent("apply")
        self.assertEqual(managed.read_bytes(), before)
        self.assertIn("OTEL_EXPORTER_OTLP_HEADERS", json.loads(user.read_text())["env"])
        agent("revert")
        self.assertFalse(managed.exists())
        self.assertEqual(user.read_bytes(), b'{\r\n  "model": "opus"\r\n}\r\n')

    def test_settings_that_somebody_changes_are_put_back_at_once(self):
        relay = self.windows_agent().start()
        relay.headers()  # its settings are written
        managed = wine.c / "Program Files/ClaudeCode/managed-settings.d/90-claude-telemetry.json"
        before = managed.read_bytes()
        # Twice: it also looks every 30 s, counted from the last time.
        for _ in range(2):
            managed.write_bytes(b'{"env": {}}')
            programs.wait_until(lambda: managed.read_bytes() == before, 15, "settings put back")
        self.assertEqual(relay.stop(), 0)

    def test_the_computers_proxy_is_used(self):
        asked = []

        class Proxy(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\CurrentVersion\Internet Settings"
        settings = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings"
        for key, name, kind, value in ((policy, "ProxySettingsPerUser", "REG_DWORD", "0"),
                                       (settings, "ProxyEnable", "REG_DWORD", "1"),
                                       (settings, "ProxyServer", "REG_SZ", f"127.0.0.1:{proxy.server_port}")):
            wine.run("reg", "add", key, "/v", name, "/t", kind, "/d", value, "/f", "/reg:64")
            self.addCleanup(wine.run, "reg", "delete", key, "/v", name, "/f", "/reg:64")
        relay = self.windows_agent()
        config = (relay.data / "agent.yaml").read_text()
        (relay.data / "agent.yaml").write_text(config.replace(self.server.url, "http://telemetry.invalid"))
        relay.start()
        name, path, headers, body = next(iter(demo.recordings()))
        self.assertEqual(programs.http("POST", relay.url + path, body, {**headers, **relay.headers()})[0], 200)
        programs.wait_until(lambda: asked and relay.backlog() == 0, 60, "delivery")
        self.assertEqual(asked[0], "http://telemetry.invalid" + path)
        report = json.loads(wine.run(DOCTOR, "--json")[0])
        seen = {check["id"]: check["seen"] for check in report["checks"]}
        self.assertIn(f"through the proxy 'http://127.0.0.1:{proxy.server_port}' (the computer's proxy settings, by policy)",
                      seen["destination.central.tcp"])
        self.assertEqual(relay.stop(), 0)

    def test_the_doctor_sees_which_claude_code_is_older_than_its_settings(self):
        relay = self.windows_agent().start()
        relay.headers()  # its settings are written
        settings = wine.c / "users" / USER / ".claude/settings.json"
        (wine.c / "Tools").mkdir()
        self.addCleanup(shutil.rmtree, wine.c / "Tools")
        shutil.copy(wine.c / "windows/system32/cmd.exe", wine.c / "Tools/claude.exe")
        claude = subprocess.Popen([PROGRAM, r"C:\Tools\claude.exe"], env=wine.environment, cwd=wine.folder,
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(claude.communicate)

        def judged():
            report = json.loads(wine.run(DOCTOR, "--json")[0])
            return {check["id"]: check for check in report["checks"]}["claude.restart"]
        found = programs.wait_until(lambda: (lambda c: c if "no Claude Code" not in c["seen"] else None)(judged()), 60,
                                    "a Claude Code that runs")
        self.assertEqual(found["status"], "ok", found)
        later = settings.stat().st_mtime + 3600
        os.utime(settings, (later, later))
        found = judged()
        self.assertEqual(found["status"], "warn", found)
        self.assertIn("settings.json", found["seen"])
        self.assertEqual(relay.stop(), 0)

    def test_a_policy_of_the_registry_counts_before_the_file(self):
        relay = self.windows_agent()
        policy = r"HKLM\SOFTWARE\Policies\ClaudeTelemetry"
        port = programs.free_port()
        wine.run("reg", "add", policy + r"\relay", "/v", "listen", "/d", f"127.0.0.1:{port}", "/f", "/reg:64")
        self.addCleanup(wine.run, "reg", "delete", policy, "/f", "/reg:64")
        relay.url = f"http://127.0.0.1:{port}"
        relay.start()
        self.assertEqual(relay.status()["relay"]["port"], port)
        wine.run("reg", "add", policy + r"\relay", "/v", "listne", "/d", "x", "/f", "/reg:64")
        self.assertEqual(wine.run(AGENT, "check-config")[1], 2)
        self.assertEqual(relay.stop(), 0)

    def test_a_private_authority_is_trusted_where_it_is_named_and_only_there(self):
        authority = certificates.Authority(folder / "authority")
        taken = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                taken.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that does not trust us hangs up

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("receiver"))
        receiver = Quiet(("127.0.0.1", 0), Handler)
        receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)

        relay = self.windows_agent()
        shutil.copy(authority.file, relay.data / "ca.pem")
        config = (relay.data / "agent.yaml").read_text().replace(
            self.server.url, f"https://127.0.0.1:{receiver.server_port}")
        (relay.data / "agent.yaml").write_text(config)
        relay.start()
        name, path, headers, body = next(iter(demo.recordings()))
        send = {**headers, **relay.headers()}
        self.assertEqual(programs.http("POST", relay.url + path, body, send)[0], 200)
        error = programs.wait_until(lambda: relay.status()["destinations"][0]["last_error"], 30, "a refusal")
        self.assertIn("TLS failed", error)
        self.assertRegex(error, "the certificate for '.*127.0.0.1.*', issued by '.+', is refused: ")
        self.assertEqual((relay.stop(), taken), (0, []))
        (relay.data / "agent.yaml").write_text(config + "    ca_file: C:/ProgramData/ClaudeTelemetry/ca.pem\n")
        relay.start()
        programs.wait_until(lambda: taken, 60, "delivery")
        self.assertEqual(relay.stop(), 0)

    def test_the_doctor_sees_the_machine(self):
        relay = self.windows_agent().start()
        relay.headers()  # its settings are written
        said, _ = wine.run(DOCTOR, "--json")
        report = json.loads(said)
        found = {check["id"]: check for check in report["checks"]}
        for good in ("settings.managed.json", "settings.managed.missing", "relay.running", "relay.accepts",
                     "spool.writable", "destination.central.tcp", "destination.central.auth", "destination.central.accepts",
                     "delivery.end_to_end", "disk.free"):
            self.assertEqual(found[good]["status"], "ok", found[good])
        self.assertEqual(relay.stop(), 0)
        report = json.loads(wine.run(DOCTOR, "--json")[0])
        self.assertEqual({check["id"]: check["status"] for check in report["checks"]}["relay.running"], "fail")
        told = " ".join(check["fix"] + check["seen"] for check in report["checks"])
        self.assertNotRegex(told, r"\b(sudo|chmod|chown|systemctl|launchctl|journalctl)\b")


if __name__ == "__main__":
    unittest.main(verbosity=2)
