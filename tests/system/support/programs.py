"""Starts our programs below a private root, on free ports of 127.0.0.1, and stops them by pid."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("CT_BIN", ROOT / "build" / "release" / "bin"))
AGENT = BIN / "claude-telemetry-agent"
SERVER = BIN / "claude-telemetry-server"
PASSWORD = "correct horse battery staple"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(check, limit_s=15, what="condition"):
    """Calls check() until it is true; its last falsy value or exception is in the failure."""
    end, last = time.monotonic() + limit_s, None
    while time.monotonic() < end:
        try:
            last = check()
            if last:
                return last
        except (OSError, urllib.error.URLError, ValueError) as fault:
            last = fault
        time.sleep(0.05)
    raise AssertionError(f"{what} not reached in {limit_s} s: {last!r}")


def http(method, url, body=None, headers=None, timeout_s=10):
    """(status, headers, body) whatever the status."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


class Program:
    """One of ours in the foreground, its output in a file for failures to show."""

    def __init__(self, command, log):
        self.command, self.log = [str(c) for c in command], pathlib.Path(log)
        self.process = None

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return self

    def check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command[0]} ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")

    def stop(self, how=signal.SIGTERM, limit_s=15):
        """Ends it and returns its exit code."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.command[0]} did not stop in {limit_s} s:\n{self.log.read_text()[-2000:]}")
        self.process = None
        return code

    def kill(self):
        return self.stop(signal.SIGKILL)


class Server:
    """claude-telemetry-server on SQLite in `folder`, with one system, token and admin; `config` is its YAML, `stores`
    the options that put its tables elsewhere."""

    def __init__(self, folder, port=None, config="", stores=()):
        self.stores = stores
        self.data = pathlib.Path(folder) / "server"
        self.data.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = pathlib.Path(folder) / "server.yaml"
        settings.write_text(config)
        self.program = Program([SERVER, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, "--config", settings, *stores],
                               pathlib.Path(folder) / "server.log")
        self.token = self.jwt = None

    def cli(self, *words, stdin=None, code=0):
        """What it prints: to standard error when it is expected to fail."""
        run = subprocess.run([SERVER, *words, "--data", self.data, *self.stores], input=stdin, capture_output=True,
                             text=True, timeout=60)
        assert run.returncode == code, f"{words}: {run.returncode}: {run.stderr}"
        return (run.stderr if code else run.stdout).strip()

    def set_up(self, system="claude-code", email="admin@example.com", plan="enterprise"):
        self.cli("system", "create", system)
        self.token = self.cli("token", "create", "--system", system, "--plan", plan)
        self.cli("user", "create", "--email", email, "--role", "admin", "--password-stdin", stdin=PASSWORD)
        self.email = email
        return self

    def start(self):
        self.program.start()
        self.wait()
        return self

    def wait(self):
        def up():
            self.program.check_alive()
            return http("GET", self.url + "/readyz")[0] == 200
        wait_until(up, what="server ready")

    def get(self, path, accept="application/json", **query):
        if not self.jwt:
            body = json.dumps({"email": self.email, "password": PASSWORD}).encode()
            status, _, answer = http("POST", self.url + "/api/v1/auth/login", body, {"Content-Type": "application/json"})
            assert status == 200, answer
            self.jwt = json.loads(answer)["token"]
        url = self.url + path + ("?" + urllib.parse.urlencode(query, doseq=True) if query else "")
        status, _, answer = http("GET", url, headers={"Authorization": f"Bearer {self.jwt}", "Accept": accept})
        assert status == 200, f"{url}: {status} {answer[:500]}"
        return json.loads(answer) if accept == "application/json" else answer.decode()

    def messages(self, **query):
        items, cursor = [], None
        while True:
            page = self.get("/api/v1/messages", take=200, **query, **({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page.get("nextCursor")
            if not cursor:
                return items

    def sums(self, **query):
        """Counts, tokens and cost of the generations."""
        names = ["count", "sum(inputTokens)", "sum(outputTokens)", "sum(cacheReadTokens)",
                 "sum(cacheCreateTokens)", "sum(costMicrocents)"]
        rows = self.get("/api/v1/messages/aggregate", type="ai.generation", metric=names, **query)["rows"]
        return {name: (rows[0].get(name) or 0) if rows else 0 for name in names}


class Agent:
    """claude-telemetry-agent run below `folder`, forwarding to one destination."""

    def __init__(self, folder, destination, token=None, port=None, extra=""):
        self.root = pathlib.Path(folder) / "agent-root"
        (self.root / "etc/claude-telemetry").mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = self.root / "etc/claude-telemetry/agent.yaml"
        secret = self.root / "etc/claude-telemetry/token"
        secret.write_text(token or "none")
        secret.chmod(0o600)
        self.config.write_text(f"""\
claude: {{ settings: none, user_env: false }}
relay:
  listen: 127.0.0.1:{self.port}
  spool: {{ min_free_disk_mib: 0 }}
destinations:
  - name: central
    endpoint: {destination}
    headers: {{ Authorization: "Bearer ${{file:/etc/claude-telemetry/token}}" }}
{extra}""")
        self.program = Program([AGENT, "run", "--root", self.root], pathlib.Path(folder) / "agent.log")

    def start(self):
        self.program.start()
        self.wait()
        return self

    def wait(self):
        def up():
            self.program.check_alive()
            return http("GET", self.url + "/healthz")[0] == 200
        wait_until(up, what="relay up")

    def backlog(self):
        """Requests that wait for any destination, as of now: the status file may be seconds old."""
        _, _, text = http("GET", self.url + "/metrics")
        counts = re.findall(r"^claude_telemetry_destination_backlog_requests\{.*\} (\d+)$", text.decode(), re.M)
        return sum(int(count) for count in counts)

    def status(self):
        run = subprocess.run([AGENT, "status", "--json", "--root", self.root], capture_output=True, text=True, timeout=30)
        return json.loads(run.stdout)


class Folder:
    """A private folder, removed at the end unless CT_KEEP is set."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="claude-telemetry-system-"))
        return self.path

    def __exit__(self, *_):
        if os.environ.get("CT_KEEP"):
            print("kept", self.path)
        else:
            shutil.rmtree(self.path, ignore_errors=True)
