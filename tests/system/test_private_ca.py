"""A destination whose certificate a private authority signed: refused, then trusted as curl would trust it."""
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import threading
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402

EXPORT = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}).encode()
VARIABLES = ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


class PrivateAuthority(unittest.TestCase):
    def setUp(self):
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        patch = mock.patch.dict(os.environ, clean, clear=True)
        patch.start()
        self.addCleanup(patch.stop)
        self.ca = self.folder / "ca.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=private", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", self.folder / "key.pem", "-out", self.ca], check=True, capture_output=True)
        self.taken = []
        self.url = self.serve()

    def serve(self):
        taken = self.taken

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                taken.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that does not trust us hangs up

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, self.folder / "key.pem")
        server = Quiet(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"https://127.0.0.1:{server.server_port}"

    def send_through(self, extra=""):
        agent = programs.Agent(self.folder, self.url, extra=extra)
        self.addCleanup(agent.program.stop)
        agent.start()
        status, _, _ = programs.http("POST", agent.url + "/v1/logs", EXPORT, {"Content-Type": "application/json"})
        self.assertEqual(200, status)
        return agent

    def test_an_authority_that_nobody_named_is_not_trusted(self):
        agent = self.send_through()
        programs.wait_until(lambda: "TLS" in agent.status()["destinations"][0]["last_error"], what="a refused certificate")
        self.assertEqual([], self.taken)

    def test_the_servers_authority_counts_for_destinations(self):
        inside = self.folder / "agent-root/etc/corp.pem"
        inside.parent.mkdir(parents=True)
        inside.write_bytes(self.ca.read_bytes())
        self.send_through("server: { ca_file: /etc/corp.pem }\n")
        programs.wait_until(lambda: self.taken, what="delivery")

    def test_the_environments_authority_counts_as_for_curl(self):
        for name in ("CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            with mock.patch.dict(os.environ, {name: str(self.ca)}):
                agent = self.send_through()
                programs.wait_until(lambda: self.taken, what=f"delivery with {name}")
                agent.program.stop()
            self.taken.clear()


if __name__ == "__main__":
    unittest.main()
