"""The importers of the real server against a faithful fake of Anthropic's usage APIs."""
import datetime
import decimal
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402
from tests.system.support.fake_analytics import ADMIN_KEY, ENTERPRISE_KEY, MODELS, FakeAnalytics  # noqa: E402

TODAY = datetime.datetime.now(datetime.timezone.utc).date()


def day(ago):
    return str(TODAY - datetime.timedelta(days=ago))


class ImportTest(unittest.TestCase):
    def setUp(self):
        folder = programs.Folder()
        self.folder = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.api = FakeAnalytics(people=3, today=day(0), newest=day(1))
        self.addCleanup(self.api.close)
        self.server = programs.Server(self.folder)
        self.config = self.folder / "server.yaml"

    def write_key(self, text, name="key", mode=0o600):
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(mode)
        return path

    def configure(self, admin=ADMIN_KEY, enterprise=None, beta="none", extra="", **keys):
        lines = ["integrations:", f"  base_url: {self.api.url}", "  request_interval_ms: 0", "  retry_first_ms: 20",
                 "  timeout_ms: 2000", f"  analytics_beta: {beta}"]
        if admin:
            lines.append(f"  admin_api: {{ key_file: {self.write_key(admin, 'admin-key', **keys)} }}")
        if enterprise:
            lines.append(f"  enterprise_api: {{ key_file: {self.write_key(enterprise, 'enterprise-key', **keys)} }}")
        self.config.write_text("\n".join(lines) + "\n" + extra)
        return self

    def command(self, *words):
        return [programs.SERVER, *words, "--data", self.server.data, "--config", self.config]

    def run_import(self, *words, code=0):
        done = subprocess.run(self.command("import", "run", "--json", *words), capture_output=True, text=True, timeout=120)
        self.assertEqual(code, done.returncode, done.stderr)
        return json.loads(done.stdout) if done.stdout else {}, done.stderr

    def status(self, code=0):
        done = subprocess.run(self.command("import", "status", "--json"), capture_output=True, text=True, timeout=30)
        self.assertEqual(code, done.returncode, done.stderr)
        reports = {}
        for item in json.loads(done.stdout)["items"]:
            reports[item["name"]] = item
            reports.update({report["name"]: report for report in item["reports"]})
        return reports

    def serve(self):
        """The server, running, with this test's configuration."""
        self.server.program.command += ["--config", str(self.config)]
        self.server.set_up()
        self.server.start()
        self.addCleanup(self.server.program.stop)
        return self.server

    def daily(self, first, last, **query):
        end = (datetime.date.fromisoformat(last) + datetime.timedelta(1)).isoformat()
        rows = self.server.get("/api/v1/usage/daily", **{"from": first, "to": end, "groupBy": "person", **query})["rows"]
        return {(row["day"], row["person"]): row for row in rows}

    def expected(self, person, of):
        """What usage/daily must say of a person's day: tokens and microcents."""
        figures = [self.api.figures(person, of, model) for model in MODELS]
        cents = sum(f["cents"] for f in figures)
        return {"inputTokens": sum(f["input"] for f in figures), "outputTokens": sum(f["output"] for f in figures),
                "cacheReadTokens": sum(f["cache_read"] for f in figures),
                "cacheCreateTokens": sum(f["cache_creation"] for f in figures),
                "costMicrocents": int((cents * 10000).to_integral_value(decimal.ROUND_HALF_UP))}

    def check_figures(self, row, person, of, source):
        self.assertEqual(self.expected(person, of), {k: row[k] for k in self.expected(person, of)})
        self.assertEqual(source, row["sources"]["tokens"])

    def send_event(self, person, of, tokens, session, account=None):
        """One api_request event of Claude Code."""
        nanoseconds = int(datetime.datetime.fromisoformat(of + "T12:00:00+00:00").timestamp()) * 10**9
        told = {"event.name": "api_request", "session.id": session, "model": MODELS[0], "input_tokens": tokens,
                "output_tokens": 1, "cost_usd": 0.25, "request_id": f"req_{session}_{of}_{tokens}"}
        told.update({"user.email": person} if person else {})
        told.update({"user.account_id": account} if account else {})
        record = {"timeUnixNano": str(nanoseconds), "body": {"stringValue": "claude_code.api_request"},
                  "attributes": [{"key": k, "value": {"stringValue": str(v)}} for k, v in told.items()]}
        body = json.dumps({"resourceLogs": [{"resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "claude-code"}}]},
            "scopeLogs": [{"logRecords": [record]}]}]}).encode()
        status, _, answer = programs.http("POST", self.server.url + "/v1/logs", body, {
            "Content-Type": "application/json", "Authorization": f"Bearer {self.server.token}"})
        self.assertEqual(200, status, answer)

    def asked(self, first=0):
        """(path, day or start, page) of the requests from number `first` on."""
        return [(path.rsplit("/", 1)[1], (query.get("starting_at") or query.get("date"))[0][:10], query.get("page", [""])[0].split("+")[0])
                for path, query, _ in self.api.requests[first:]]


class Histories(ImportTest):
    def test_a_year_for_many_people_in_one_command_and_again_changes_nothing(self):
        self.api.people = [f"dev{number:04d}@example.com" for number in range(60)]
        self.configure()
        first = day(365)
        done, progress = self.run_import("--from", first)
        self.assertEqual(365, done["chunks"])
        self.assertIn("chunk 200 of 365", progress)
        before = self.status()["admin_claude_code"]
        self.assertEqual((day(1), "green"), (before["newestDay"], before["state"]))
        again, _ = self.run_import("--from", first)
        self.assertEqual(done, again)
        after = self.status()["admin_claude_code"]
        self.assertEqual(before["rows"], after["rows"])
        self.assertEqual(60 * 365 * 3, after["rows"])  # a row per model, and one for what is not per model

    def test_every_report_of_an_enterprise_key_and_of_the_beta(self):
        self.configure(admin=None, enterprise=ENTERPRISE_KEY)
        self.run_import("--from", day(40))
        status = self.status()
        for report in ("enterprise_users", "enterprise_usage", "enterprise_cost"):
            self.assertEqual((day(1), "green"), (status[report]["newestDay"], status[report]["state"]), report)
        self.configure(admin=None, enterprise=ENTERPRISE_KEY, beta="enterprise_api")
        self.run_import("--from", day(5), "--report", "analytics_cost")
        self.assertEqual(3 * 5 * 2, self.status()["analytics_cost"]["rows"])

    def test_a_late_revision_takes_the_place_of_what_was_told_before(self):
        self.configure()
        self.run_import("--from", day(3))
        self.api.revisions[day(2)] = 5
        self.run_import()
        self.serve()
        rows = self.daily(day(3), day(1))
        for person in self.api.people:
            for of in (day(1), day(2), day(3)):
                row = rows[of, person]
                self.assertEqual(self.expected(person, of), {k: row[k] for k in self.expected(person, of)})
                self.assertEqual("admin_api", row["source"])
                self.assertTrue(row["provisional"])


class Shapes(ImportTest):
    """What the schema allows and most rows do not do."""

    def test_a_day_told_in_two_rows_is_their_sum(self):
        self.configure(extra="  daily: false\n")
        person = self.api.people[0]
        self.api.two_terminals = {person}
        self.run_import("--from", day(2))
        self.serve()
        row = self.daily(day(2), day(2))[day(2), person]
        self.check_figures(row, person, day(2), "admin_api")
        done = self.api.activity(person, day(2))
        self.assertEqual((done["sessions"], done["commits"], done["accepted"], done["rejected"], done["added"]),
                         tuple(row[k] for k in ("sessions", "commits", "editsAccepted", "editsRejected", "linesAdded")))

    def test_a_count_that_is_not_told_is_none(self):
        self.configure(admin=None, enterprise=ENTERPRISE_KEY, extra="  daily: false\n")
        person = self.api.people[0]
        self.api.uncounted = {person}
        self.run_import("--from", day(2))
        self.serve()
        row = self.daily(day(2), day(2))[day(2), person]
        self.assertEqual((0, self.api.activity(person, day(2))["commits"]), (row["sessions"], row["commits"]))
        self.assertIsNone(self.status()["enterprise_users"]["drift"])

    def test_what_is_new_in_the_schema_is_passed_over(self):
        def grow(row):
            row["actor"]["badge"] = {"colour": ["red"]}
            row.update(customer_type="barter", terminal_type=None, novelty=[{"model_breakdown": [{"tokens": {"input": 5}}]}])
            row["tool_actions"]["robot_tool"] = {"accepted": 0, "rejected": 0, "ignored": 7}
            row["model_breakdown"].append({"model": "claude-next", "tokens": {"input": 0, "output": 0, "thoughts": 4},
                                           "estimated_cost": {"currency": "USD", "amount": 0}})
        self.api.change = grow
        self.configure(extra="  daily: false\n")
        self.run_import("--from", day(2))
        self.assertEqual(("green", None), tuple(self.status()["admin_api"][k] for k in ("state", "drift")))
        self.serve()
        for person in self.api.people:
            self.check_figures(self.daily(day(2), day(2))[day(2), person], person, day(2), "admin_api")

    def test_a_figure_of_another_type_is_told_as_drift(self):
        self.api.change = lambda row: row["core_metrics"].update(num_sessions="many")
        self.configure()
        self.run_import("--from", day(2))
        self.assertIn("no count at", self.status()["admin_api"]["drift"])
        self.assertIn("core_metrics.num_sessions", self.status()["admin_api"]["drift"])
        self.api.change = lambda row: row["core_metrics"].pop("num_sessions")
        self.run_import("--from", day(2))
        self.assertIn("nowhere: core_metrics.num_sessions", self.status()["admin_api"]["drift"])

    def test_a_figure_that_is_gone_changes_nothing_that_is_stored(self):
        self.configure(extra="  daily: false\n")
        self.run_import("--from", day(3))

        def rename(row):
            for model in row["model_breakdown"]:
                model["tokens"]["input_tokens"] = model["tokens"].pop("input")
        self.api.change = rename
        asked = len(self.api.requests)
        _, told = self.run_import("--from", day(3), code=1)
        self.assertIn("no longer tells 'model_breakdown[].tokens.input'", told)
        self.assertIn("update claude-telemetry-server", told)
        self.assertEqual(asked + 1, len(self.api.requests))  # asking again would change nothing
        status = self.status()["admin_api"]
        self.assertEqual(("yellow", 27), (status["state"], status["rows"]))
        self.assertIn("no longer tells", status["error"])
        self.serve()
        person = self.api.people[0]
        self.check_figures(self.daily(day(3), day(3))[day(3), person], person, day(3), "admin_api")


class Precedence(ImportTest):
    def setUp(self):
        super().setUp()
        self.person = self.api.people[0]

    def test_enterprise_before_admin_before_otel_each_kept_and_shown_alone(self):
        self.configure(admin=ADMIN_KEY, enterprise=ENTERPRISE_KEY, extra="  daily: false\n")
        self.serve()
        of = day(12)
        self.send_event(self.person, of, 5000, "s1")
        self.send_event("solo@example.com", of, 77, "s2")
        key = (of, self.person)
        self.assertEqual((5000, "otel"), tuple(self.daily(of, of)[key][k] for k in ("inputTokens", "source")))

        self.run_import("--from", of, "--report", "admin_claude_code")
        row = self.daily(of, of)[key]
        self.check_figures(row, self.person, of, "admin_api")
        self.assertFalse(row["provisional"])  # the Admin API settles within three days
        self.assertEqual("admin_api", row["sources"]["edits"])
        self.assertEqual(1, row["requests"])  # the Admin API tells none: OpenTelemetry's

        self.run_import("--from", of)
        row = self.daily(of, of)[key]
        self.check_figures(row, self.person, of, "enterprise_api")
        self.assertTrue(row["provisional"])  # its tokens and cost may change for thirty days
        done = self.api.activity(self.person, of)
        self.assertEqual((done["sessions"], done["commits"], done["accepted"], done["added"]),
                         tuple(row[k] for k in ("sessions", "commits", "editsAccepted", "linesAdded")))
        self.assertEqual({"tokens": "enterprise_api", "activity": "enterprise_api", "edits": "enterprise_api"}, row["sources"])

        solo = self.daily(of, of)[of, "solo@example.com"]
        self.assertEqual((77, "otel", False), (solo["inputTokens"], solo["source"], solo["provisional"]))
        alone = self.daily(of, of, source="otel")
        self.assertEqual({(of, self.person), (of, "solo@example.com")}, set(alone))
        self.assertEqual((5000, 250000), (alone[key]["inputTokens"], alone[key]["costMicrocents"]))
        for source in ("admin_api", "enterprise_api"):
            rows = self.daily(of, of, source=source)
            self.check_figures(rows[key], self.person, of, source)
            self.assertNotIn((of, "solo@example.com"), rows)

    def test_models_and_totals_follow_the_same_choice(self):
        self.configure(extra="  daily: false\n")
        self.serve()
        of = day(2)
        self.send_event(self.person, of, 5000, "s1")
        self.send_event("solo@example.com", of, 77, "s2")
        self.run_import("--from", of)
        tokens = sum(self.expected(person, of)["inputTokens"] for person in self.api.people) + 77
        rows = self.server.get("/api/v1/usage/daily", **{"from": of, "to": of, "groupBy": "model"})["rows"]
        self.assertEqual(tokens, sum(row["inputTokens"] for row in rows))
        mixed = [row for row in rows if row["model"] == MODELS[0]][0]
        self.assertEqual("admin_api+otel", mixed["source"])

    def test_the_beta_and_the_reports_before_it_count_once(self):
        of = day(9)
        self.configure(admin=None, enterprise=ENTERPRISE_KEY, extra="  daily: false\n")
        self.run_import("--from", of)
        self.api.revisions[of] = 3  # so that the two can be told apart
        self.configure(admin=None, enterprise=ENTERPRISE_KEY, beta="enterprise_api", extra="  daily: false\n")
        self.run_import("--from", of)
        self.serve()
        self.check_figures(self.daily(of, of)[of, self.person], self.person, of, "enterprise_api")

    def test_the_beta_with_an_admin_key_is_the_admin_apis(self):
        of = day(9)
        self.configure(beta="admin_api", extra="  daily: false\n")
        self.run_import("--from", of)
        self.serve()
        row = self.daily(of, of)[of, self.person]
        self.check_figures(row, self.person, of, "admin_api")
        self.assertTrue(row["provisional"])

    def test_accounts_keys_and_deleted_people_find_their_person(self):
        of = day(9)
        gone, never_seen = self.api.people[1], self.api.people[2]
        self.api.deleted = {gone, never_seen}
        self.api.api_keys = ["ci", "unknown-key"]
        self.configure(admin=ADMIN_KEY, enterprise=ENTERPRISE_KEY,
                       extra="  daily: false\n  api_keys: { ci: Builder@Example.com }\n")
        self.serve()
        self.send_event(gone, day(20), 1, "s1", account=self.api.account(gone))
        self.run_import("--from", of, "--report", "enterprise_usage")
        self.run_import("--from", of, "--report", "enterprise_cost")
        rows = self.daily(of, of)
        self.check_figures(rows[of, gone], gone, of, "enterprise_api")
        unattributed = rows[of, None]
        self.assertEqual("account:" + self.api.account(never_seen), unattributed["actor"])
        self.check_figures(unattributed, never_seen, of, "enterprise_api")
        self.run_import("--from", of, "--report", "admin_claude_code")
        rows = self.server.get("/api/v1/usage/daily", **{"from": of, "to": of, "source": "admin_api"})["rows"]
        by_name = {row["person"] or row["actor"]: row for row in rows}
        self.check_figures(by_name["builder@example.com"], "ci", of, "admin_api")
        self.check_figures(by_name["api_key:unknown-key"], "unknown-key", of, "admin_api")


class Coverage(ImportTest):
    def login(self, email, role):
        self.server.cli("user", "create", "--email", email, "--role", role, "--password-stdin", stdin=programs.PASSWORD)
        body = json.dumps({"email": email, "password": programs.PASSWORD}).encode()
        _, _, answer = programs.http("POST", self.server.url + "/api/v1/auth/login", body, {"Content-Type": "application/json"})
        return {"Authorization": "Bearer " + json.loads(answer)["token"]}

    def enroll(self, person):
        secret = self.server.cli("enrollment-secret", "create", "--system", "claude-code")
        body = json.dumps({"enrollment_secret": secret.split()[0],
                           "device": {"hardware_id": "hw-1", "hostname": "laptop-7", "os": "linux", "os_version": "12",
                                      "arch": "amd64", "agent_version": "0.1.0"},
                           "users": [{"local_user": "dev", "email": person}]}).encode()
        status, _, answer = programs.http("POST", self.server.url + "/api/v1/enroll", body, {"Content-Type": "application/json"})
        self.assertEqual(200, status, answer)
        return json.loads(answer)["device_id"]

    def test_who_is_missing_from_opentelemetry_and_on_which_machine(self):
        self.configure(extra="  daily: false\n")
        self.serve()
        of = day(2)
        seen, enrolled, unknown = self.api.people
        self.api.api_keys = ["ci"]
        self.send_event(seen, of, 400, "s1")
        self.send_event("solo@example.com", of, 77, "s2")
        device = self.enroll(enrolled)
        self.run_import("--from", of, "--to", of)
        answer = self.server.get("/api/v1/coverage", **{"from": of, "to": of})
        self.assertEqual({"total": 5, "otel": 2, "admin_api": 4, "enterprise_api": 0, "unattributed": 1}, answer["personDays"])
        self.assertEqual(2, answer["silent"])
        silent = {row["person"]: row for row in answer["silentFailures"]}
        self.assertEqual({enrolled, unknown}, set(silent))
        self.assertEqual((device, "laptop-7"), (silent[enrolled]["device"]["id"], silent[enrolled]["device"]["hostname"]))
        self.assertIsNone(silent[unknown]["device"])
        self.assertIn("install the agent", silent[unknown]["action"])
        tokens = sum(v for k, v in self.expected(unknown, of).items() if k.endswith("Tokens"))
        self.assertEqual((tokens, "admin_api"), (silent[unknown]["tokens"], silent[unknown]["source"]))
        api = sum(v for person in self.api.people + ["ci"] for k, v in self.expected(person, of).items() if k.endswith("Tokens"))
        self.assertEqual((401, api), (answer["tokens"]["otel"], answer["tokens"]["api"]))
        self.assertAlmostEqual(401 / api, answer["tokens"]["ratio"])
        self.assertEqual([(of, 2)], [(d["day"], d["silent"]) for d in answer["days"]])

        table = self.server.get("/api/v1/coverage", accept="text/csv", **{"from": of, "to": of}).splitlines()
        self.assertEqual(3, len(table))
        self.assertTrue(table[1].startswith(f"{of},{enrolled},admin_api,"), table[1])

        analyst = self.login("analyst@example.com", "analyst")
        shown = lambda path: programs.http("GET", self.server.url + path, headers=analyst)[2].decode()  # noqa: E731
        page = shown(f"/coverage?from={of}&to={of}")
        self.assertIn(f'<a href="/fleet/{device}">laptop-7</a>', page)
        self.assertIn(unknown, page)
        self.assertEqual(table, shown(f"/coverage.csv?sheet=silent&from={of}&to={of}").splitlines())
        self.assertTrue(shown(f"/coverage.csv?sheet=days&from={of}&to={of}").splitlines()[1].startswith(f"{of},5,2,0,4,1,2,401,{api},"))

    def test_aggregates_by_person_take_a_day_from_the_source_that_is_believed(self):
        self.configure(extra="  daily: false\n")
        self.serve()
        of, other = day(2), day(3)
        seen, unseen = self.api.people[0], self.api.people[1]
        self.send_event(seen, of, 400, "s1")
        self.send_event(seen, other, 55, "s0")
        self.send_event("solo@example.com", of, 77, "s2")
        end = day(1)
        ask = lambda **q: self.server.get("/api/v1/messages/aggregate", type="ai.generation",  # noqa: E731
                                          metric=["sum(inputTokens)", "sum(costMicrocents)", "count"], **{"from": other, "to": end, **q})["rows"]
        before = {r["person"]: r for r in ask(groupBy="person")}
        self.assertEqual(({seen: 455, "solo@example.com": 77}, True),
                         ({p: r["sum(inputTokens)"] for p, r in before.items()}, all("source" not in r for r in before.values())))
        self.run_import("--from", of, "--to", of)
        api = {person: self.expected(person, of) for person in self.api.people}
        rows = {r["person"]: r for r in ask(groupBy="person", interval="day")}
        days = {(r["person"], r["interval"]): r for r in ask(groupBy="person", interval="day")}
        self.assertEqual((api[seen]["inputTokens"], "admin_api"), (days[seen, of]["sum(inputTokens)"], days[seen, of]["source"]))
        self.assertEqual((55, "otel"), (days[seen, other]["sum(inputTokens)"], days[seen, other]["source"]))
        self.assertEqual((77, "otel"), (rows["solo@example.com"]["sum(inputTokens)"], rows["solo@example.com"]["source"]))
        self.assertTrue(days[seen, of]["provisional"])
        whole = {r["person"]: r for r in ask(groupBy="person")}
        self.assertEqual(api[seen]["inputTokens"] + 55, whole[seen]["sum(inputTokens)"])
        self.assertEqual("admin_api+otel", whole[seen]["source"])
        self.assertEqual(api[unseen]["costMicrocents"], whole[unseen]["sum(costMicrocents)"])
        top = ask(groupBy="person", top=1)
        self.assertEqual(sum(r["sum(inputTokens)"] for r in whole.values()), sum(r["sum(inputTokens)"] for r in top))
        self.assertTrue(top[-1]["isOther"])
        self.assertEqual([455], [r["sum(inputTokens)"] for r in ask(person=seen, source="otel")])
        self.assertEqual([api[seen]["inputTokens"]], [r["sum(inputTokens)"] for r in ask(person=seen, source="admin_api")])
        # The portal's first page says the same.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
        form = urllib.parse.urlencode({"email": self.server.email, "password": programs.PASSWORD}).encode()
        opener.open(self.server.url + "/login", form, timeout=20).read()
        page = opener.open(f"{self.server.url}/?from={other}&to={of}&person={urllib.parse.quote(seen)}", timeout=20).read().decode()
        self.assertIn("its figures stand in", page)
        self.assertIn(f"${whole[seen]['sum(costMicrocents)'] / 1e6:,.2f}", page)

    def test_a_viewer_sees_counts_without_names(self):
        self.configure(extra="  daily: false\n")
        self.serve()
        self.run_import("--from", day(2))
        viewer = self.login("viewer@example.com", "viewer")
        status, _, answer = programs.http("GET", self.server.url + "/api/v1/coverage", headers=viewer)
        self.assertEqual((200, 6), (status, json.loads(answer)["silent"]))
        self.assertNotIn(b"@example.com", answer)
        for path in ("/coverage", "/coverage.csv?sheet=days"):
            status, _, answer = programs.http("GET", self.server.url + path, headers=viewer)
            self.assertEqual(200, status)
            self.assertFalse([person for person in self.api.people if person.encode() in answer])
        status, _, answer = programs.http("GET", self.server.url + "/coverage.csv?sheet=silent", headers=viewer)
        self.assertEqual(403, status, answer)
        status, _, answer = programs.http("GET", self.server.url + "/api/v1/coverage", headers={**viewer, "Accept": "text/csv"})
        self.assertEqual(403, status, answer)

    def test_wrong_questions_say_what_is_right(self):
        self.configure(extra="  daily: false\n")
        self.serve()
        analyst = self.login("analyst@example.com", "analyst")
        for path in ("coverage?from=x", "coverage?days=3", "coverage?from=2020-01-01", "usage/daily?source=best"):
            status, _, answer = programs.http("GET", f"{self.server.url}/api/v1/{path}", headers=analyst)
            self.assertEqual(400, status, path)
            self.assertIn("error", json.loads(answer))


class Daily(ImportTest):
    def integrations(self):
        return {item["name"]: item for item in self.server.get("/api/v1/integrations")["items"]}

    def state(self, name):
        return self.integrations()[name]["state"]

    def test_serve_imports_at_once_what_was_never_imported(self):
        self.configure(admin=ADMIN_KEY, enterprise=ENTERPRISE_KEY)
        self.serve()
        programs.wait_until(lambda: self.state("enterprise_api") == self.state("admin_api") == "green", limit_s=40, what="both green")
        admin, enterprise = (self.integrations()[name] for name in ("admin_api", "enterprise_api"))
        self.assertEqual((day(1), 3 * 3 * 3), (admin["newestDay"], admin["rows"]))
        self.assertEqual({"enterprise_users", "enterprise_usage", "enterprise_cost"}, {r["name"] for r in enterprise["reports"]})
        days = {of for path, of, _ in self.asked() if path == "users"}
        self.assertEqual({day(ago) for ago in range(1, 8)}, days)
        self.assertIsNone(admin["error"])
        self.assertTrue(admin["advice"])
        self.assertIn("subscription", admin["advice"])

    def test_a_refused_key_is_red_in_the_apis_words_until_the_file_changes(self):
        self.configure(admin="sk-ant-admin01-revoked")
        self.serve()
        programs.wait_until(lambda: self.state("admin_api") == "red", limit_s=40, what="red")
        item = self.integrations()["admin_api"]
        self.assertIn("invalid x-api-key", item["error"])
        self.assertEqual("credential_rejected", item["code"])
        self.assertTrue(item["action"])
        self.write_key(ADMIN_KEY, "admin-key")
        programs.wait_until(lambda: self.state("admin_api") == "green", limit_s=40, what="green again")

    def test_without_a_key_an_integration_is_grey_and_says_how_to_set_it_up(self):
        self.configure(admin=None)
        self.serve()
        item = self.integrations()["admin_api"]
        self.assertEqual(("grey", "not_configured", False), (item["state"], item["code"], item["configured"]))
        self.assertIn("integrations.admin_api.key_file", item["action"])
        self.assertEqual("grey", self.state("otel"))
        self.send_event("solo@example.com", day(0), 1, "s1")
        programs.wait_until(lambda: self.state("otel") == "green", what="otel green")

    def test_two_importers_do_not_run_at_once_and_serve_stops_in_the_middle(self):
        self.configure()
        self.config.write_text(self.config.read_text().replace("timeout_ms: 2000", "timeout_ms: 60000"))
        self.api.fault("slow", seconds=25)
        self.serve()
        programs.wait_until(lambda: self.api.requests, limit_s=20, what="the server's import")
        begun = time.monotonic()
        done = subprocess.run(self.command("import", "run"), capture_output=True, text=True, timeout=60)
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn("another process is importing", done.stderr)
        self.assertEqual(1, len(self.api.requests))
        self.assertLess(time.monotonic() - begun, 24)
        begun = time.monotonic()
        self.server.program.stop()
        self.assertLess(time.monotonic() - begun, 12)


class Interruptions(ImportTest):
    def wait_for_requests(self, count):
        programs.wait_until(lambda: len(self.api.requests) >= count, what=f"{count} requests")

    def check_resumed(self, killed_at):
        """The finished pages are not asked for again, and nothing is missing or double."""
        self.run_import("--from", day(6), "--to", day(2))
        asked = self.asked()
        pages = asked[:killed_at], asked[killed_at:]
        again = set(pages[0]) & set(pages[1])
        self.assertLessEqual(len(again), 1, again)  # the page that was under way, at most
        self.assertEqual(len(self.api.people) * 5 * 3, self.status()["admin_claude_code"]["rows"])

    def start_slowly(self):
        self.api.people = [f"dev{number:04d}@example.com" for number in range(9)]
        self.api.page_limit = 2
        self.configure()
        for _ in range(25):
            self.api.fault("slow", seconds=0.05)
        program = programs.Program(self.command("import", "run", "--from", day(6), "--to", day(2)), self.folder / "import.log")
        program.start()
        self.wait_for_requests(8)
        return program

    def test_kill_in_the_middle_goes_on_at_the_page(self):
        program = self.start_slowly()
        program.kill()
        time_left = len(self.api.requests)
        self.check_resumed(time_left)

    def test_kills_at_random_pages_lose_and_double_nothing(self):
        seed = int(os.environ.get("SEED", time.time_ns() % 10**6))
        print(f"SEED={seed}")
        rng = random.Random(seed)
        self.api.people = [f"dev{number:04d}@example.com" for number in range(7)]
        self.api.page_limit = 5
        self.configure(admin=None, enterprise=ENTERPRISE_KEY)
        words = self.command("import", "run", "--from", day(7), "--to", day(2))
        for _ in range(3):  # each waits until the killed one's lock has ended
            kill_at = len(self.api.requests) + rng.randrange(1, 15)
            program = programs.Program(words, self.folder / "import.log").start()
            programs.wait_until(lambda: len(self.api.requests) >= kill_at or program.process.poll() is not None, limit_s=60,
                                what="the request to be killed at")
            time.sleep(rng.random() / 50)  # anywhere between the question and the next one
            program.kill()
        self.run_import("--from", day(7), "--to", day(2))
        status, people = self.status(), len(self.api.people)
        self.assertEqual((people * 6, people * 12, people * 12),
                         tuple(status[report]["rows"] for report in ("enterprise_users", "enterprise_usage", "enterprise_cost")))
        self.serve()
        rows = self.daily(day(7), day(2))
        for of in (day(7), day(5), day(2)):
            for person in self.api.people:
                self.check_figures(rows[of, person], person, of, "enterprise_api")

    def test_sigterm_stops_cleanly_and_the_next_run_goes_on(self):
        program = self.start_slowly()
        self.assertEqual(1, program.stop(signal.SIGTERM))
        self.assertIn("run it again", program.log.read_text())
        self.check_resumed(len(self.api.requests))

    def test_a_slow_answer_does_not_keep_it_from_stopping(self):
        self.configure()
        self.config.write_text(self.config.read_text().replace("timeout_ms: 2000", "timeout_ms: 60000"))
        self.api.fault("slow", seconds=8)
        program = programs.Program(self.command("import", "run", "--from", day(2)), self.folder / "import.log").start()
        self.wait_for_requests(1)
        begun = time.monotonic()
        program.stop(signal.SIGTERM)
        self.assertLess(time.monotonic() - begun, 5)


class Faults(ImportTest):
    def check_overcome(self, words, *faults, requests_more=1):
        self.configure()
        for kind, details in faults:
            self.api.fault(kind, **details)
        done, progress = self.run_import("--from", day(2))
        self.assertIn(words, progress)
        self.assertEqual(2 + requests_more, len(self.api.requests))
        self.assertEqual((18, "green"), (self.status()["admin_claude_code"]["rows"], self.status()["admin_claude_code"]["state"]))

    def test_429_waits_as_long_as_it_says(self):
        begun = time.monotonic()
        self.check_overcome("429: slow down", ("status", dict(status=429, message="slow down", retry_after=1)))
        self.assertGreaterEqual(time.monotonic() - begun, 1)

    def test_529_and_500_are_repeated(self):
        self.check_overcome("529", ("status", dict(status=529)), ("status", dict(status=500)), requests_more=2)

    def test_an_html_page_in_between_is_no_data(self):
        self.check_overcome("waiting", ("html", dict(status=502)), ("html", dict(status=200)), requests_more=2)

    def test_a_body_cut_off_leaves_nothing_behind(self):
        self.check_overcome("not a page of admin_claude_code", ("truncated", {}))

    def test_a_connection_cut_is_repeated(self):
        self.check_overcome("waiting", ("reset", {}))

    def test_a_slow_body_ends_at_the_timeout_and_is_repeated(self):
        self.check_overcome("waiting", ("slow", dict(seconds=3)))

    def test_a_body_that_trickles_in_past_the_timeout_is_repeated(self):
        self.check_overcome("waiting", ("trickle", dict(seconds=3)))

    def test_a_server_that_stays_broken_ends_the_run_and_says_what_to_do(self):
        self.configure()
        self.run_import("--from", day(3))
        self.api.fault("html", times=8, status=503)
        _, told = self.run_import("--from", day(3), code=1)
        self.assertIn("503", told)
        self.assertIn("fix:", told)
        status = self.status()["admin_claude_code"]
        self.assertEqual((27, day(1)), (status["rows"], status["newestDay"]))
        self.assertIn("503", status["error"])
        self.run_import("--from", day(3))
        self.assertIsNone(self.status()["admin_claude_code"]["error"])

    def test_410_begins_the_chain_again(self):
        self.api.page_limit = 1
        self.configure(admin=None, enterprise=ENTERPRISE_KEY)
        self.api.fault("slow", seconds=0)
        self.api.fault("status", status=410, message="the cursor has expired")
        self.run_import("--from", day(1), "--report", "enterprise_usage")
        self.assertEqual(["", "page_1", ""], [page for _, _, page in self.asked()[:3]])
        self.assertEqual(6, self.status()["enterprise_usage"]["rows"])

    def test_a_day_not_there_yet_is_no_fault(self):
        self.api.newest = day(3)
        self.configure(admin=None, enterprise=ENTERPRISE_KEY)
        self.run_import("--from", day(5), "--report", "enterprise_users")
        status = self.status()["enterprise_users"]
        self.assertEqual((day(3), "green", None), (status["newestDay"], status["state"], status["error"]))

    def test_one_report_that_fails_does_not_stop_the_others(self):
        self.configure(admin=ADMIN_KEY, enterprise=ENTERPRISE_KEY)
        self.api.fault("status", status=404, message="this plan has no such report")
        _, told = self.run_import("--from", day(2), code=1)
        self.assertIn("this plan has no such report", told)
        status = self.status()
        self.assertEqual("this plan has no such report", status["enterprise_users"]["error"].rsplit(": ", 1)[1])
        self.assertEqual((18, "green"), (status["admin_claude_code"]["rows"], status["admin_claude_code"]["state"]))


class Keys(ImportTest):
    def test_a_refused_key_turns_red_with_the_apis_words_and_recovers_with_a_new_one(self):
        self.configure(admin="sk-ant-admin01-revoked")
        _, told = self.run_import("--from", day(2), code=1)
        self.assertIn("invalid x-api-key", told)
        self.assertIn("fix:", told)
        self.assertNotIn("revoked", told)
        status = self.status(code=1)["admin_api"]
        self.assertEqual(("red", "credential_rejected"), (status["state"], status["code"]))
        self.assertIn("invalid x-api-key", status["error"])
        self.write_key(ADMIN_KEY, "admin-key")
        self.run_import("--from", day(2))
        self.assertEqual(("green", None), tuple(self.status()["admin_api"][k] for k in ("state", "error")))

    def check_refused(self, words):
        _, told = self.run_import("--from", day(2), code=1)
        self.assertIn(words, told)
        self.assertIn("fix:", told)
        self.assertEqual([], self.api.requests)
        self.assertEqual("red", self.status(code=1)["admin_api"]["state"])

    def test_a_key_of_another_kind_is_not_sent(self):
        self.configure(admin="sk-ant-api03-inference")
        self.check_refused("holds no key for usage reports")
        self.configure(admin=ENTERPRISE_KEY)
        self.check_refused("is not an Admin key")

    def test_a_key_that_others_can_read_is_not_sent(self):
        self.configure(mode=0o644)
        self.check_refused("others than its owner can read")

    def test_a_key_file_that_is_missing_says_so(self):
        self.configure()
        (self.folder / "admin-key").unlink()
        self.check_refused("cannot read the key file")

    def test_the_key_is_sent_as_documented_and_printed_nowhere(self):
        self.configure()
        _, told = self.run_import("--from", day(2))
        headers = self.api.requests[0][2]
        self.assertEqual(ADMIN_KEY, headers["x-api-key"])
        self.assertRegex(headers["User-Agent"], r"^claude-telemetry/\d+\.\d+\.\d+ \(.+\)$")
        self.assertNotIn(ADMIN_KEY, told)
        self.assertNotIn(ADMIN_KEY.encode(), b"".join(p.read_bytes() for p in self.server.data.rglob("*") if p.is_file()))


class CommandLine(ImportTest):
    def check_usage_error(self, words, *arguments):
        done = subprocess.run(self.command("import", "run", *arguments), capture_output=True, text=True, timeout=30)
        self.assertEqual((2, ""), (done.returncode, done.stdout))
        self.assertIn(words, done.stderr)
        self.assertIn("fix:", done.stderr)

    def test_wrong_usage_is_2_and_says_what_to_do(self):
        self.configure(admin=None)
        self.check_usage_error("no integration is configured")
        self.configure()
        self.check_usage_error("no range of days", "--from", "yesterday")
        self.check_usage_error("no range of days", "--from", "2026-02-30")
        self.check_usage_error("no range of days", "--from", "2026-05-02", "--to", "2026-05-01")
        self.check_usage_error("is no report", "--report", "messages")
        self.check_usage_error("no configured integration reads", "--report", "enterprise_cost")
        self.configure(beta="enterprise_api")
        self.check_usage_error("there is no key file")
        self.configure(extra="  api_keys: { ci: nobody }\n")
        self.check_usage_error("is no e-mail address")


if __name__ == "__main__":
    unittest.main()
