"""Machines below a private root, whole or broken, with a relay and a destination that answer as told."""
import http.server
import json
import os
import pathlib
import re
import select
import shutil
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
import email.utils

UID = os.getuid() or 1000
NEWEST = "2.1.329"
OURS = "etc/claude-code/managed-settings.d/90-claude-telemetry.json"
BASE = "etc/claude-code/managed-settings.json"
TOKEN = "ct_good-token"


class Peer:
    """An HTTP server on a free port of 127.0.0.1 that plays a relay or a destination."""

    def __init__(self, tls=None):
        self.reset()
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body=b"", kind="application/x-protobuf", headers=()):
                self.send_response_only(status)
                self.send_header("Date", email.utils.formatdate(time.time() + peer.skew_s, usegmt=True))
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if peer.get_status != 200:
                    self.answer(peer.get_status)
                elif self.path == "/metrics":
                    text = "".join(f'claude_telemetry_destination_{name}{{destination="central"}} {value}\n' for name, value in
                                   (("sent_records_total", peer.sent), ("backlog_requests", peer.backlog)))
                    self.answer(200, text.encode(), "text/plain")
                elif self.path.startswith("/api/v1/doctor-marks/"):
                    peer.requests.append((self.path, dict(self.headers), b""))
                    if peer.stores is None:
                        return self.answer(404)
                    mark = self.path.rsplit("/", 1)[1]
                    self.answer(200, json.dumps({"mark": mark, "arrived": peer.stores}).encode(), "application/json")
                else:
                    self.answer(200, b"ok\n", "text/plain")

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                peer.requests.append((self.path, dict(self.headers), body))
                time.sleep(peer.delay_s)
                if peer.token and self.headers.get("Authorization") != f"Bearer {peer.token}":
                    return self.answer(401)
                if peer.local_token and self.headers.get("X-Relay-Token") != peer.local_token:
                    return self.answer(401)
                if body and peer.status == 200:
                    if peer.delivers:
                        peer.sent += 1
                    else:
                        peer.backlog += 1
                return self.answer(peer.status, peer.body, peer.kind, peer.headers)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self):
        self.status, self.body, self.kind, self.headers = 200, b"", "application/x-protobuf", ()
        self.get_status, self.token, self.local_token = 200, None, None
        self.skew_s, self.delay_s, self.delivers = 0, 0, True
        self.stores = None  # as our server: whether a doctor's record is stored; None: not our server
        self.sent, self.backlog, self.requests = 0, 0, []

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy:
    """An HTTP proxy for CONNECT on a free port; `to`: the port every tunnel leads to; `status`: its answer."""

    def __init__(self):
        self.reset()
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                line = self.rfile.readline().decode("latin-1")
                headers = {}
                while (header := self.rfile.readline().decode("latin-1").strip()):
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                proxy.asked.append((line.split()[1], headers))
                if proxy.status != 200:
                    self.wfile.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % proxy.status)
                    return
                with socket.create_connection(("127.0.0.1", proxy.to), timeout=20) as far:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    ends = [self.connection, far]
                    while True:
                        for end in select.select(ends, [], [], 20)[0]:
                            data = end.recv(65536)
                            if not data:
                                return
                            ends[end is self.connection].sendall(data)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self):
        self.status, self.to, self.asked = 200, None, []

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Grpc:
    """A gRPC server over plain HTTP/2: answers every call with `status` and `message`."""

    def __init__(self):
        self.reset()
        peer = self

        def frame(kind, flags, stream, payload=b""):
            return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

        def literal(name, value):  # HPACK, not indexed, not compressed
            return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                if self.rfile.read(24) != b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
                    self.wfile.write(frame(7, 0, 0, b"\0\0\0\0\0\0\0\1"))  # GOAWAY
                    return
                self.wfile.write(frame(4, 0, 0))
                while len(head := self.rfile.read(9)) == 9:
                    payload = self.rfile.read(int.from_bytes(head[:3], "big"))
                    kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
                    if kind == 4 and not flags & 1:
                        self.wfile.write(frame(4, 1, 0))
                    if kind == 1:
                        peer.calls.append(payload)
                    if stream and flags & 1:
                        trailers = literal(b"grpc-status", str(peer.status).encode()) + literal(b"grpc-message", peer.message.encode())
                        self.wfile.write(frame(1, 4, stream, b"\x88" + literal(b"content-type", b"application/grpc"))
                                         + frame(0, 0, stream, b"\0\0\0\0\0") + frame(1, 5, stream, trailers))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self):
        self.status, self.message, self.calls = 0, "", []

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Silent:
    """Takes connections and never says a word."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]

    def close(self):
        self.listener.close()


class Authority:
    """Certificates of one issuer, made with the openssl program."""

    def __init__(self, folder, organisation):
        self.folder = pathlib.Path(folder) / re.sub(r"\W+", "-", organisation)
        self.folder.mkdir()
        self.pem, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/O={organisation}/CN={organisation} CA",
                 "-keyout", self.key, "-out", self.pem)
        (self.folder / "index").write_text("")
        (self.folder / "config").write_text(f"""\
[ca]
default_ca = this
[this]
database = {self.folder}/index
new_certs_dir = {self.folder}
certificate = {self.pem}
private_key = {self.key}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
""")

    @staticmethod
    def run(*words):
        done = subprocess.run(["openssl", *words], capture_output=True)
        assert done.returncode == 0, done.stderr

    def issue(self, *names, first_day=-1, last_day=30):
        """(pem, key) for these names, valid from and to so many days from now."""
        day = lambda days: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))  # noqa: E731
        base = self.folder / f"{names[0]}{last_day}"
        subject = ",".join(("IP:" if name[0].isdigit() else "DNS:") + name for name in names)
        self.run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={subject}",
                 "-keyout", f"{base}.key", "-out", f"{base}.csr")
        self.run("ca", "-batch", "-notext", "-config", self.folder / "config", "-in", f"{base}.csr", "-out", f"{base}.pem",
                 "-startdate", day(first_day), "-enddate", day(last_day))
        return f"{base}.pem", f"{base}.key"


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def block(endpoint, **changes):
    """The whole telemetry block, as the agent writes it; None takes a variable out."""
    variables = {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1", "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        "ENABLE_ENHANCED_TELEMETRY_BETA": "1", "OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_HEADERS": "x-claude-telemetry=1",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "10000", "OTEL_METRIC_EXPORT_INTERVAL": "10000",
        "OTEL_LOGS_EXPORT_INTERVAL": "5000", "OTEL_TRACES_EXPORT_INTERVAL": "5000",
        "OTEL_TRACES_SAMPLER": "always_on", "OTEL_RESOURCE_ATTRIBUTES": "service.name=claude-code",
        "OTEL_LOG_USER_PROMPTS": "0", "OTEL_LOG_TOOL_DETAILS": "0",
    }
    for signal in ("METRICS", "LOGS", "TRACES"):
        variables[f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"] = f"{endpoint}/v1/{signal.lower()}"
        variables[f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"] = "http/protobuf"
    variables.update(changes)
    return {name: value for name, value in variables.items() if value is not None}


class Setup:
    """One machine. It starts out whole: relay, drop-in, one person, the newest Claude Code."""

    def __init__(self, relay, destination, doctor, agent=None):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="claude-telemetry-doctor-"))
        self.path.chmod(0o755)
        self.relay, self.destination, self.doctor, self.agent = relay, destination, doctor, agent
        relay.reset()
        destination.reset()
        destination.token = TOKEN
        self.env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        self.write("etc/passwd", f"root:x:0:0:root:/root:/bin/sh\nalice:x:{UID}:{UID}:Alice:/home/alice:/bin/bash\n")
        self.write("etc/login.defs", f"UID_MIN {min(UID, 1000)}\n")
        self.write("home/alice/.claude/settings.json", "{}\n", mode=0o600)
        self.write("etc/claude-telemetry/token", TOKEN, mode=0o600)
        self.install(NEWEST)
        self.configure()
        self.dropin(block(relay.url))

    def close(self):
        for folder, _, _ in os.walk(self.path):
            os.chmod(folder, 0o755)
        shutil.rmtree(self.path, ignore_errors=True)

    # -- files --
    def write(self, name, content, mode=0o644):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2) + "\n")
        path.chmod(mode)
        if os.getuid() == 0 and name.startswith("home/alice"):
            for owned in [path, *path.parents]:
                if owned == self.path / "home" or owned == self.path:
                    break
                os.chown(owned, UID, UID)
        return path

    def remove(self, name):
        (self.path / name).unlink()

    def install(self, version):
        self.write("usr/lib/node_modules/@anthropic-ai/claude-code/package.json",
                   {"name": "@anthropic-ai/claude-code", "version": version})

    def configure(self, extra="", claude="", destination="", relay="", spool="min_free_disk_mib: 0"):
        self.write("etc/claude-telemetry/agent.yaml", f"""\
identity: {{ email: alice@example.com }}
claude: {{ {claude} }}
relay:
  listen: 127.0.0.1:{self.relay.port}
  spool: {{ {spool} }}
{relay}destinations:
  - name: central
    endpoint: {self.destination.url}
    headers: {{ Authorization: "Bearer ${{file:/etc/claude-telemetry/token}}" }}
{destination}{extra}""")

    def enroll(self, peer):
        """With a server that says of itself what its Peer is told to say."""
        self.write("var/lib/claude-telemetry/device.json",
                   {"device_id": "d-1", "device_token": "ct_device", "server_url": peer.url}, mode=0o600)

    def dropin(self, variables, name=OURS, **keys):
        self.write(name, {"env": variables, **keys})

    def user(self, variables, **keys):
        self.write("home/alice/.claude/settings.json", {"env": variables, **keys}, mode=0o600)

    def shell(self, *lines):
        self.write("home/alice/.bashrc", "\n".join(lines) + "\n")

    def process(self, pid, command, environment, age_s=0):
        self.write("proc/stat", f"btime {int(time.time()) - age_s}\n")
        self.write(f"proc/{pid}/cmdline", command)
        self.write(f"proc/{pid}/environ", environment)
        self.write(f"proc/{pid}/stat", f"{pid} (x) S " + " ".join(["0"] * 18) + " 0 0\n")

    def status(self, **changes):
        value = {"updated_at": "2026-01-01T00:00:00.000Z", "relay": {"port": self.relay.port},
                 "config": {"error_message": ""}, "spool": {"bytes": 0, "oldest_age_seconds": 0, "evicted_total": 0},
                 "health": {"components": {"relay": {"healthy": True, "last_error": ""}}}, "destinations": [], "server": None}
        value.update(changes)
        self.write("run/claude-telemetry/status.json", value)

    def agent_run(self, *words):
        run = subprocess.run([self.agent, "--root", self.path, *words], env=self.env, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr

    # -- the doctor --
    def run(self, *options, limit_s=60):
        return subprocess.run([self.doctor, "--root", self.path, *options], env=self.env, capture_output=True, text=True,
                              timeout=limit_s, cwd="/", errors="replace")

    def report(self, *options):
        run = self.run("--json", *options)
        try:
            report = json.loads(run.stdout)
        except ValueError:
            raise AssertionError(f"no report (code {run.returncode}): {run.stdout[:300]} {run.stderr[:2000]}")
        report["exit_code"], report["stderr"] = run.returncode, run.stderr
        report["by_id"] = {check["id"]: check for check in report["checks"]}
        return report

    # -- carrying out a printed fix --
    def apply_fix(self, fix):
        """Does what the text says, to the letter. False when it is for a person to decide."""
        for line in fix.split("\n"):
            if not self._apply_line(line):
                return False
        return True

    def _apply_line(self, line):
        if match := re.match(r"run: (sudo .*)$", line):
            return self._shell(match[1].split("    ")[0])
        if match := re.match(r"""in '([^']+)' line \d+ set (\S+) to "(.*)"$""", line):
            return self._edit(match[1], match[2], match[3])
        if match := re.match(r"""in '([^']+)' add to "env": "([^"]+)": "(.*)"$""", line):
            return self._edit(match[1], match[2], match[3])
        if match := re.match(r"in '([^']+)' line (\d+) rename (\S+) to (\S+)$", line):
            return self._replace_line(match[1], int(match[2]), lambda text: text.replace(match[3], match[4]))
        if match := re.match(r"remove (\S+) from '([^']+)' line (\d+)", line):
            if match[2].endswith(".json"):
                return self._edit(match[2], match[1], None)
            return self._replace_line(match[2], int(match[3]), lambda text: "")
        return False

    def _shell(self, command):
        command = command.replace("sudo ", "")
        if "claude-telemetry-agent" in command:
            if not self.agent or not pathlib.Path(self.agent).exists():
                return False
            command = command.replace("claude-telemetry-agent", str(self.agent))
        if "systemctl" in command:
            return False
        run = subprocess.run(["/bin/sh", "-c", command], env=self.env, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, f"the fix `{command}` failed: {run.stdout} {run.stderr}"
        return True

    @staticmethod
    def _edit(path, name, value):
        document = json.loads(pathlib.Path(path).read_text() or "{}")
        variables = document.setdefault("env", {})
        if value is None:
            variables.pop(name)
        else:
            variables[name] = value
        pathlib.Path(path).write_text(json.dumps(document, indent=2) + "\n")
        return True

    @staticmethod
    def _replace_line(path, number, change):
        lines = pathlib.Path(path).read_text().split("\n")
        lines[number - 1] = change(lines[number - 1])
        pathlib.Path(path).write_text("\n".join(lines))
        return True
