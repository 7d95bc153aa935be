"""Several servers on one PostgreSQL: every command, both kinds of login, one that dies, the database away for a while."""
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import load, postgres, programs  # noqa: E402
from tests.system.support.programs import PASSWORD, SERVER, http, wait_until  # noqa: E402


CLOCKED = programs.BIN.parent / "tests" / "clocked-server"


def setUpModule():
    global cluster
    cluster = postgres.Cluster()
    unittest.addModuleCleanup(cluster.__exit__, None, None, None)
    cluster.__enter__()


class Turns:
    """A balancer in front of the servers: sends each connection to the next one that answers."""

    def __init__(self, ports):
        self.ports, self.turn = ports, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.taken = dict.fromkeys(ports, 0)
        threading.Thread(target=self._accept, daemon=True).start()

    def _connect(self):
        for _ in self.ports:
            self.turn = (self.turn + 1) % len(self.ports)
            port = self.ports[self.turn]
            try:
                there = socket.create_connection(("127.0.0.1", port), 5)
            except OSError:
                continue
            self.taken[port] += 1
            return there
        return None

    def _accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            there = self._connect()
            if not there:
                here.close()
                continue
            threading.Thread(target=self._pass_on, args=(here, there), daemon=True).start()

    def _pass_on(self, here, there):
        """Both ways until both ends are done."""
        back = threading.Thread(target=self._pump, args=(there, here), daemon=True)
        back.start()
        self._pump(here, there)
        back.join()
        here.close()
        there.close()

    @staticmethod
    def _pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Servers(unittest.TestCase):
    def setUp(self):
        cluster.ask("DROP SCHEMA IF EXISTS messages CASCADE; DROP SCHEMA IF EXISTS control CASCADE")
        root = pathlib.Path(self.enterContext(programs.Folder()))
        self.servers = [programs.Server(root / name, stores=("--store", cluster.url)) for name in "ab"]
        self.first, self.second = self.servers
        self.first.set_up()
        self.second.token, self.second.email = self.first.token, self.first.email

    def start(self):
        for server in self.servers:
            server.program.start()  # at once: both find a database with no tables for the first time
            self.addCleanup(server.program.kill)
        for server in self.servers:
            server.wait()

    def test_what_one_did_the_other_knows(self):
        self.start()
        # Tokens of the API are signed by one key, and the cookie of one is good at the other.
        self.first.get("/api/v1/devices")
        self.second.jwt = self.first.jwt
        self.second.get("/api/v1/devices")
        # A command with --store is heard by both.
        token = self.second.cli("token", "create", "--system", "claude-code")
        for server in self.servers:
            self.assertEqual(self.send(server, token)[0], 200)
        prefix = token[:10]
        listed = self.first.cli("token", "list", "--json")
        self.assertIn(prefix, listed)
        row = next(row for row in json.loads(listed) if prefix.startswith(row["prefix"]) or row["prefix"].startswith(prefix))
        self.first.cli("token", "revoke", row["prefix"])
        for server in self.servers:
            wait_until(lambda server=server: self.send(server, token)[0] == 403, 15, "revoked everywhere")
        self.first.cli("user", "logout", "--email", self.first.email)
        for server in self.servers:
            status, _, _ = http("GET", server.url + "/api/v1/devices", headers={"Authorization": f"Bearer {self.first.jwt}"})
            self.assertEqual(status, 401)
        self.assertIn("entries", self.second.cli("audit", "verify"))
        self.assertIn("pg_dump", self.first.cli("backup", "--out", self.first.data / "copy", code=2))

    def send(self, server, token):
        return http("POST", server.url + "/v1/logs", b"", {"Authorization": f"Bearer {token}", "Content-Type": "application/x-protobuf"})

    def test_one_judges_and_another_takes_over(self):
        for server in self.servers:  # housekeeping looks ten times a second in it
            server.program.command[0] = CLOCKED
        self.start()
        owner = "SELECT owner FROM control.lease WHERE name='housekeeping'"
        ids = {(server.data / "server-id").read_text(): server for server in self.servers}
        self.assertEqual(len(ids), 2)
        wait_until(lambda: cluster.ask(owner) in ids, 30, "somebody judges")
        for end in (programs.Program.kill, programs.Program.stop):
            chief = ids[cluster.ask(owner)]
            other = next(server for server in self.servers if server is not chief)
            end(chief.program)
            wait_until(lambda other=other: cluster.ask(owner) == (other.data / "server-id").read_text(), 30, "the other judges")
            chief.start()

    def test_nothing_is_lost_or_doubled_while_servers_and_the_database_die(self):
        self.start()
        turns = Turns([server.port for server in self.servers])
        self.addCleanup(turns.listener.close)
        agent = programs.Agent(self.first.data.parent, f"http://127.0.0.1:{turns.port}", self.first.token).start()
        self.addCleanup(agent.program.kill)
        # For these the server has to ask the store.
        unseen = [self.first.cli("token", "create", "--system", "claude-code") for _ in range(2)]
        generator = load.Load(agent.port)
        try:
            for number in range(4):
                time.sleep(0.5)  # of load, not for anything
                if number % 2:
                    cluster.program.stop(signal.SIGQUIT)
                    try:
                        self.outage_is_told(self.second, unseen.pop())
                    finally:
                        cluster.start()
                else:
                    victim = self.servers[number // 2]
                    victim.program.kill()
                    time.sleep(0.2)
                    victim.start()
        finally:
            acked = generator.stop()
        for server in self.servers:
            server.wait()  # without a restart of its own
        wait_until(lambda: agent.backlog() == 0, 90, "empty spool")
        self.assertGreater(len(acked), 50)
        rows = [row["metadata"]["request_id"] for row in self.second.messages(type="ai.generation")]
        self.assertEqual(len(rows), len(set(rows)), "a record was doubled")
        self.assertFalse(acked - set(rows), "acknowledged records are lost")
        self.assertGreater(min(turns.taken.values()), 0, turns.taken)
        print(f"{len(acked)} acknowledged, {len(rows)} rows, connections {turns.taken}")

    def outage_is_told(self, server, token):
        """While the database is away: 503 that says when to come again, from both ways in."""
        wait_until(lambda: http("GET", server.url + "/readyz")[0] == 503, 30, "not ready")
        body = json.dumps({"email": server.email, "password": PASSWORD}).encode()
        for path, content, kind in (("/api/v1/auth/login", body, "application/json"), ("/v1/logs", b"", "application/x-protobuf")):
            status, headers, answer = http("POST", server.url + path, content, {"Content-Type": kind, "Authorization": "Bearer " + token})
            self.assertEqual(status, 503, (path, answer))
            self.assertTrue({name.lower() for name in headers} >= {"retry-after"}, (path, headers))

    def test_a_password_stays_out_of_errors_and_logs(self):
        url = cluster.url.replace("ct@", "nobody-here:hunter22@") + "&connect_timeout=2"
        for words in (["serve", "--listen", "127.0.0.1:0"], ["token", "list"], ["user", "list"]):
            run = subprocess.run([SERVER, *words, "--data", self.first.data, "--store", url], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 1, run.stderr)
            self.assertNotIn("hunter22", run.stderr + run.stdout)
            self.assertIn("fix:", run.stderr)
        run = subprocess.run([SERVER, "token", "list", "--data", self.first.data, "--store", "postgres://ct:hunter22@[::1/x"], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertNotIn("hunter22", run.stderr)

    def test_the_password_comes_from_a_file_and_errors_say_so(self):
        root = self.first.data.parent
        for sql in ("CREATE ROLE app LOGIN PASSWORD 'hunter22'", "CREATE DATABASE app OWNER app", "CREATE DATABASE others",
                    "CREATE DATABASE latin OWNER app ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"):
            cluster.ask(sql)
        (cluster.data / "pg_hba.conf").write_text("local all ct trust\nlocal all all scram-sha-256\n")
        cluster.ask("SELECT pg_reload_conf()")
        secret = root / "pgpass"
        secret.write_text("*:*:*:app:hunter22\n")
        secret.chmod(0o600)

        def create(database, **env):
            run = subprocess.run([SERVER, "system", "create", "x", "--data", root / "d", "--store", f"postgresql://app@/{database}?host={cluster.folder}"],
                                 env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, timeout=60)
            return run.returncode, run.stdout + run.stderr

        code, said = create("app")
        self.assertEqual(code, 1, said)
        self.assertIn("PGPASSFILE", said)
        self.assertEqual(create("app", PGPASSWORD="wrong")[0], 1)
        self.assertEqual(create("app", PGPASSFILE=str(secret))[0], 0)
        code, said = create("latin", PGPASSFILE=str(secret))
        self.assertEqual(code, 2, said)
        self.assertIn("--encoding=UTF8", said)
        code, said = create("others", PGPASSFILE=str(secret))
        self.assertEqual(code, 1, said)
        self.assertIn("owner of the database", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
