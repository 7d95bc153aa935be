"""The portal in a real browser: click paths, colour schemes, widths, keyboard, axe, no console errors."""
import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.support import company  # noqa: E402
from tests.system.support import npm, otlp, programs  # noqa: E402

DRIVER = pathlib.Path(__file__).resolve().parent / "portal" / "drive.js"
PACKAGES = ["playwright-core@1.65.1", "axe-core@4.14.1"]
VIEWER = "viewer@example.com"
EVIL = "<script>alert(1)</script>\"'&"


def fill(server):
    """A small company, two devices, and texts that would be markup if anyone forgot to escape them."""
    company.Sender(server.url, server.token).send(company.requests(30, 30, prompts=2))
    record = otlp.log_record("api_request", {"model": EVIL, "request_id": "req_evil", "input_tokens": 1, "cost_usd": 90.0,
                                             "session.id": EVIL, "user.email": "mallory@example.com"},
                             time.time_ns() - 3600 * 10**9)
    body = otlp.logs_request([record], {"service.name": EVIL, "team": EVIL})
    headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {server.token}"}
    status, _, answer = programs.http("POST", server.url + "/v1/logs", body, headers)
    assert status == 200, answer
    secret = server.cli("enrollment-secret", "create", "--system", "claude-code").split()[-1]
    return [enroll(server, secret, host, healthy) for host, healthy in (("ada-laptop", True), (EVIL, False))]


def enroll(server, secret, host, healthy):
    post = lambda path, body, **headers: json.loads(programs.http(  # noqa: E731
        "POST", server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})[2])
    device = {"hardware_id": host, "hostname": host, "os": "linux", "os_version": "12", "arch": "amd64", "agent_version": "0.1.0"}
    enrolled = post("/api/v1/enroll", {"enrollment_secret": secret, "device": device,
                                       "users": [{"local_user": "ada", "email": "ada.abbas@example.com"}]})
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    post("/api/v1/heartbeat", {
        "instance_uid": "1", "sequence_num": 1, "sent_at": now, "agent_version": "0.1.0",
        "health": {"healthy": healthy, "status": "running", "last_error": "" if healthy else EVIL},
        "destinations": [{"name": "central", "state": "ok", "backlog_records": 0}],
        "claude": [{"path": "/usr/bin/claude", "version": "2.1.329", "last_event_at": now}]},
        Authorization=f"Bearer {enrolled['device_token']}")
    return enrolled["device_id"]


class Portal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = programs.Folder()
        cls.addClassCleanup(holder.__exit__, None, None, None)
        cls.server = programs.Server(holder.__enter__(), config="privacy: { viewers: cohorts }\n").set_up().start()
        cls.addClassCleanup(cls.server.program.stop)
        cls.server.cli("user", "create", "--email", VIEWER, "--role", "viewer", "--password-stdin", stdin=programs.PASSWORD)
        cls.devices = fill(cls.server)

    def browse(self, email=None):
        """An opener that is logged in, as a browser without scripts."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        form = urllib.parse.urlencode({"email": email or self.server.email, "password": programs.PASSWORD})
        opener.open(self.server.url + "/login", form.encode(), timeout=20).read()
        return lambda path: opener.open(self.server.url + path, timeout=20)

    def test_texts_from_outside_are_never_markup(self):
        get = self.browse()
        paths = ["/", "/reports", "/messages", "/messages?" + urllib.parse.urlencode({"sessionId": EVIL, "toolName": EVIL}),
                 "/?" + urllib.parse.urlencode({"model": EVIL}), "/fleet", "/integrations", "/coverage", "/fleet?" + urllib.parse.urlencode({"search": EVIL}),
                 *(f"/fleet/{device}" for device in self.devices)]
        listed = get("/messages?" + urllib.parse.urlencode({"sessionId": EVIL})).read().decode()
        links = re.findall(r'"(/messages/[0-9A-Z]{26})"', listed)
        self.assertEqual(1, len(links), "a session is found by a name that needs escaping")
        for path in paths + links:
            answer = get(path)
            text = answer.read().decode()
            self.assertNotIn("<script>alert", text, path)
            self.assertNotIn('"\'&"', text, path)
            policy = answer.headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertIsNone(re.search(r"<[^>]* (style|on\w+)=", text), f"{path} has inline style or script")
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;", get("/").read().decode())

    def test_sheets_as_csv_are_what_the_api_says(self):
        get = self.browse()
        lines = get("/reports.csv?sheet=models").read().decode().splitlines()
        total = sum(int(line.rsplit(",", 7)[1]) for line in lines[1:])
        self.assertEqual(self.server.sums()["sum(costMicrocents)"], total)
        self.assertEqual("attachment; filename=\"models.csv\"", get("/reports.csv?sheet=models").headers["Content-Disposition"])

    def test_a_viewer_sees_cohorts_of_five_and_no_names(self):
        get = self.browse(VIEWER)
        for sheet in ("teams", "tools", "languages"):
            for line in get(f"/reports.csv?sheet={sheet}").read().decode().splitlines()[1:]:
                self.assertGreaterEqual(int(line.rsplit(",", 1)[1]), 5, line)
        for path in ("/integrations", "/coverage", "/coverage.csv?sheet=days"):
            self.assertNotIn("ada.abbas", get(path).read().decode())
        for path in ("/reports.csv?sheet=people", "/coverage.csv?sheet=silent", "/messages", "/fleet", "/?person=ada.abbas@example.com"):
            with self.assertRaises(urllib.error.HTTPError, msg=path) as refused:
                get(path)
            self.assertEqual(403, refused.exception.code)

    def test_sums_leave_out_people_and_nothing_else(self):
        get = self.browse()
        for path in ("/?names=sums", "/reports?names=sums", "/coverage?names=sums"):
            page = get(path).read().decode()
            self.assertNotIn("ada.abbas", page, path)
            self.assertNotIn("fewer than 5", page, path)
        for sheet in ("models", "tools"):
            shown, all_there_is = (get(f"/reports.csv?sheet={sheet}{names}").read() for names in ("&names=sums", ""))
            self.assertEqual(all_there_is, shown)
        for path in ("/reports.csv?sheet=people&names=sums", "/messages?names=sums"):
            with self.assertRaises(urllib.error.HTTPError, msg=path) as refused:
                get(path)
            self.assertEqual(403, refused.exception.code)

    def test_bad_parameters_are_explained(self):
        get = self.browse()
        for path in ("/?from=yesterday", "/?days=100000", "/?names=all", "/messages?after=1.x", "/reports.csv?sheet=x",
                     "/coverage?system=claude-code", "/coverage.csv?sheet=x",
                     "/?from=2026-05-02&to=2026-05-01"):
            with self.assertRaises(urllib.error.HTTPError, msg=path) as refused:
                get(path)
            self.assertEqual(400, refused.exception.code, path)
        for path in ("/messages/00000000000000000000000000", "/fleet/none", "/assets/none.js"):
            with self.assertRaises(urllib.error.HTTPError, msg=path) as refused:
                get(path)
            self.assertEqual(404, refused.exception.code, path)

    def test_in_a_browser(self):
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if not chromium or not shutil.which("node"):
            self.skipTest("no Chromium or no Node.js here: apt-get install chromium nodejs npm")
        try:
            modules = npm.install("portal", *PACKAGES)
        except npm.Unavailable as why:
            self.skipTest(f"playwright-core and axe-core cannot be had here: {why}")
        charts = len(programs.http("GET", self.server.url + "/assets/uplot.js")[2]) > 0
        shots = os.environ.get("CT_SHOTS", "")
        settings = {"url": self.server.url, "email": self.server.email, "password": programs.PASSWORD, "viewer": VIEWER,
                    "device": self.devices[0], "modules": str(modules), "chromium": chromium, "charts": charts, "shots": shots}
        run = subprocess.run(["node", DRIVER, json.dumps(settings)], capture_output=True, text=True, timeout=400)
        self.assertEqual(0, run.returncode, run.stderr[-3000:])
        found = json.loads(run.stdout)
        self.assertGreater(len(found), 10)
        for name, problems in found.items():
            with self.subTest(name):
                self.assertEqual([], problems)


if __name__ == "__main__":
    unittest.main()
