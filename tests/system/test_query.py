"""Questions about a made-up company: every figure against one computed here from what the generator told."""
import collections
import csv
import datetime
import io
import json
import pathlib
import re
import statistics
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import zoneinfo

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.support import company  # noqa: E402
from tests.system.support import otlp, programs  # noqa: E402

AGGREGATE = "/api/v1/messages/aggregate"
DAY_NS = 86400 * 10**9
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")


def day_of(ns):
    return datetime.datetime.fromtimestamp(ns // 10**9, datetime.timezone.utc).strftime("%Y-%m-%d")


def total(rows, key, value):
    sums = collections.defaultdict(int)
    for row in rows:
        sums[key(row)] += value(row)
    return dict(sums)


def percentile(values, fraction):
    values = sorted(values)
    at = fraction * (len(values) - 1)
    low = int(at)
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (at - low)


class Company(unittest.TestCase):
    @classmethod
    def server_stores(cls):
        """Options of the server; another test asks the same of other stores."""
        return ()

    @classmethod
    def setUpClass(cls):
        holder = programs.Folder()
        cls.addClassCleanup(holder.__exit__, None, None, None)
        cls.server = programs.Server(holder.__enter__(), config="privacy: { viewers: cohorts }\n", stores=cls.server_stores())
        cls.server.set_up().start()
        cls.addClassCleanup(cls.server.program.stop)
        cls.jwts = {}
        for role in ("viewer", "analyst", "auditor"):
            cls.server.cli("user", "create", "--email", f"{role}@example.com", "--role", role, "--password-stdin", stdin=programs.PASSWORD)
        cls.told = []
        # Ends yesterday at noon: the days asked about are over, and none is half a day of the test's own clock.
        cls.end_s = time.time() // 86400 * 86400 - 12 * 3600
        company.Sender(cls.server.url, cls.server.token).send(company.requests(30, 14, end_s=cls.end_s, prompts=3, told=cls.told))
        cls.days = sorted({day_of(t["time_ns"]) for t in cls.told})
        cls.range = {"from": cls.days[0], "to": day_of(int(cls.end_s * 10**9) + DAY_NS)}
        cls.asked = [t for t in cls.told if t.get("event") == "api_request"]
        cls.send_oddities()

    @classmethod
    def send_oddities(cls):
        """Rows of long before: a name in free text, a formula, a model that few use; and the hour that comes twice."""
        at, records = int(cls.end_s * 10**9) - 80 * DAY_NS, []
        for minutes in (0, 60, 120, 24 * 60):  # from 00:30 UTC of the day on which summer time ends
            moment = datetime.datetime(2025, 10, 26, 0, 30, tzinfo=datetime.timezone.utc).timestamp() + 60 * minutes
            records.append(otlp.log_record("user_prompt", {"prompt_length": minutes, "session.id": "night"}, int(moment) * 10**9))
        for number in range(7):
            for model in ["model-all"] + ["model-few"] * (number < 3):
                records.append(otlp.log_record("api_request", {
                    "model": model, "request_id": f"req_{model}_{number}", "input_tokens": 10 + number, "cost_usd": 0.5,
                    "user.email": f"p{number}@example.com", "session.id": f"s{number}", "user.id": f"{number:064x}",
                    "error": "asked by Mallory.Doe@Example.com", "skill.name": "=1+1"}, at + number))
        body = otlp.logs_request(records, {"service.name": "claude-code"})
        status, _, answer = programs.http("POST", cls.server.url + "/v1/logs", body, {
            "Content-Type": "application/x-protobuf", "Authorization": f"Bearer {cls.server.token}"})
        assert status == 200, answer
        cls.odd = {"from": day_of(at), "to": day_of(at + DAY_NS), "type": "ai.generation"}

    def ask(self, role, path, accept="application/json", **query):
        if role not in self.jwts:
            body = json.dumps({"email": f"{role}@example.com", "password": programs.PASSWORD}).encode()
            self.jwts[role] = json.loads(programs.http("POST", self.server.url + "/api/v1/auth/login", body, {})[2])["token"]
        url = self.server.url + path + "?" + urllib.parse.urlencode(query, doseq=True)
        status, _, answer = programs.http("GET", url, headers={"Authorization": f"Bearer {self.jwts[role]}", "Accept": accept}, timeout_s=60)
        return status, json.loads(answer) if accept == "application/json" else answer.decode()

    def rows(self, role="analyst", **query):
        status, answer = self.ask(role, AGGREGATE, **query)
        self.assertEqual(200, status, answer)
        return answer["rows"]

    def browse(self, role="analyst"):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
        form = urllib.parse.urlencode({"email": f"{role}@example.com", "password": programs.PASSWORD}).encode()
        opener.open(self.server.url + "/login", form, timeout=20).read()
        return lambda path: opener.open(self.server.url + path, timeout=60).read().decode()

    def sheet(self, name, **query):
        last = (datetime.date.fromisoformat(self.range["to"]) - datetime.timedelta(1)).isoformat()
        text = self.browse()("/reports.csv?" + urllib.parse.urlencode({"sheet": name, "from": self.range["from"], "to": last, **query}))
        lines = list(csv.DictReader(io.StringIO(text)))
        return {next(iter(line.values())): line for line in lines}


class Figures(Company):
    def test_sums_by_several_groups(self):
        rows = self.rows(type="ai.generation", groupBy=["model", "metadata.user.email", "metadata.team"], **self.range,
                         metric=["sum(costMicrocents)", "count", "sum(cacheReadTokens)", "avg(durationMs)", "max(outputTokens)"])
        key = lambda t: (t["model"], t["person"], t["team"])  # noqa: E731
        self.assertEqual(total(self.asked, key, lambda t: t["cost_usd_micros"]),
                         {(r["model"], r["metadata.user.email"], r["metadata.team"]): r["sum(costMicrocents)"] for r in rows})
        self.assertEqual(len(self.asked), sum(r["count"] for r in rows))
        one = rows[len(rows) // 2]
        mine = [t for t in self.asked if key(t) == (one["model"], one["metadata.user.email"], one["metadata.team"])]
        self.assertEqual(sum(t["cache_read_tokens"] for t in mine), one["sum(cacheReadTokens)"])
        self.assertEqual(max(t["output_tokens"] for t in mine), one["max(outputTokens)"])
        self.assertAlmostEqual(statistics.fmean(t["duration_ms"] for t in mine), one["avg(durationMs)"], places=6)

    def test_percentiles_and_distinct_values(self):
        rows = self.rows(type="ai.generation", groupBy="model", metric=["p50(durationMs)", "p99(durationMs)", "uniq(person)",
                                                                       "uniq(sessionId)", "uniq(metadata.terminal.type)"], **self.range)
        for row in rows:
            mine = [t for t in self.asked if t["model"] == row["model"]]
            self.assertAlmostEqual(percentile([t["duration_ms"] for t in mine], 0.5), row["p50(durationMs)"], places=6)
            self.assertAlmostEqual(percentile([t["duration_ms"] for t in mine], 0.99), row["p99(durationMs)"], places=6)
            self.assertEqual(len({t["person"] for t in mine}), row["uniq(person)"])
            self.assertEqual(len({t["session"] for t in mine}), row["uniq(sessionId)"])

    def test_the_hour_that_comes_twice_is_two_and_its_day_is_one(self):
        query = {"type": "ai.prompt", "sessionId": "night", "metric": "count", "tz": "Europe/Berlin", "from": "2025-10-20", "to": "2025-11-01"}
        self.assertEqual({"2025-10-26T02:00:00+02:00": 1, "2025-10-26T02:00:00+01:00": 1, "2025-10-26T03:00:00+01:00": 1,
                          "2025-10-27T01:00:00+01:00": 1}, {r["interval"]: r["count"] for r in self.rows(interval="hour", **query)})
        self.assertEqual({"2025-10-26": 3, "2025-10-27": 1}, {r["interval"]: r["count"] for r in self.rows(interval="day", **query)})
        self.assertEqual({"2025-10-20": 3, "2025-10-27": 1}, {r["interval"]: r["count"] for r in self.rows(interval="week", **query)})

    def test_intervals_in_zones(self):
        for name in ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia"):
            zone = zoneinfo.ZoneInfo(name)
            local = lambda t: datetime.datetime.fromtimestamp(t["time_ns"] // 10**9, zone)  # noqa: E731,B023
            starts = {"day": lambda t: local(t).strftime("%Y-%m-%d"), "month": lambda t: local(t).strftime("%Y-%m-01"),
                      "week": lambda t: (local(t).date() - datetime.timedelta(local(t).weekday())).isoformat()}
            for interval, start in starts.items():
                rows = self.rows(type="ai.generation", metric="count", interval=interval, tz=name, **self.range)
                self.assertEqual(total(self.asked, start, lambda t: 1), {r["interval"]: r["count"] for r in rows}, (name, interval))
        hours = self.rows(type="ai.generation", metric="count", interval="hour", tz="Asia/Kolkata", **self.range)
        self.assertEqual(len(self.asked), sum(r["count"] for r in hours))
        self.assertTrue(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00\+05:30", r["interval"]) for r in hours), hours[:2])

    def test_top_keeps_the_largest_and_the_rest_is_one_row(self):
        everything = self.rows(type="ai.generation", groupBy="person", metric="sum(costMicrocents)", **self.range)
        top = self.rows(type="ai.generation", groupBy="person", metric="sum(costMicrocents)", top=3, **self.range)
        self.assertEqual(everything[:3], top[:3])
        self.assertEqual(("other", True), (top[3]["person"], top[3]["isOther"]))
        self.assertEqual(sum(r["sum(costMicrocents)"] for r in everything[3:]), top[3]["sum(costMicrocents)"])

    def test_every_page_of_a_list_is_found_once_while_rows_arrive(self):
        query = {"type": "ai.generation", "take": 97, "from": self.range["from"]}
        seen, cursor = [], None
        while True:
            status, page = self.ask("analyst", "/api/v1/messages", **query, **({"cursor": cursor} if cursor else {}))
            self.assertEqual(200, status)
            seen += [item["id"] for item in page["items"]]
            cursor = page["nextCursor"]
            if not cursor:
                break
            record = otlp.log_record("api_request", {"model": "late", "request_id": f"req_late_{len(seen)}", "input_tokens": 1},
                                     int(self.end_s * 10**9) + 13 * 3600 * 10**9 + len(seen))
            programs.http("POST", self.server.url + "/v1/logs", otlp.logs_request([record], {"service.name": "x"}),
                          {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {self.server.token}"})
        self.assertEqual((len(self.asked), len(set(seen))), (len(seen), len(seen)))

    def test_activity_log_s_parameters(self):
        team = self.asked[0]["team"]
        status, page = self.ask("analyst", "/api/v1/messages", **{"meta.team": team, "type": "ai.generation", "skip": 2, "take": 3}, **self.range)
        _, first = self.ask("analyst", "/api/v1/messages", **{"metadata.team": team, "type": "ai.generation", "take": 5}, **self.range)
        self.assertEqual((200, 2, 3), (status, page["skip"], page["take"]))
        self.assertEqual(first["items"][2:], page["items"])

    def test_wrong_questions_name_the_right_ones(self):
        for query, words in [({"groupBy": "color"}, ("model", "metadata.KEY")), ({"metric": "sum(model)"}, ("costMicrocents",)),
                             ({"metric": "median(durationMs)"}, ("p50", "uniq")), ({"colour": "red"}, ("from", "metadata.KEY")),
                             ({"interval": "year"}, ("week",)), ({"tz": "Mars/Olympus"}, ("Mars/Olympus",)), ({"from": "May"}, ("2026-05-01",)),
                             ({"type": "ai.gen"}, ("ai.generation",)), ({"top": "0"}, ("1",)), ({"names": "all"}, ("cohorts",)),
                             ({"source": "best"}, ("admin_api",)), ({"from": "2026-05-02", "to": "2026-05-01"}, ("after",))]:
            status, answer = self.ask("analyst", AGGREGATE, **query)
            self.assertEqual(400, status, query)
            text = json.dumps(answer)
            for word in words:
                self.assertIn(word, text, query)

    def test_the_openapi_document_holds_for_the_running_server(self):
        _, document = self.ask("analyst", "/api/openapi.json")
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                url = self.server.url + re.sub(r"\{\w+\}", "nobody", path)
                status, _, _ = programs.http(method.upper(), url, b"{}" if method == "post" else None, {"Content-Type": "application/json"})
                expected = {401} if "security" in operation else {200, 400, 401, 403, 422, 503}
                self.assertIn(status, expected, f"{method} {path}")
                if method == "get" and "security" in operation and "{" not in path and "refusals" not in path and "audit" not in path:
                    status, answer = self.ask("auditor", path)
                    self.assertEqual(200, status, path)
                    self.assertTrue({str(status)} <= set(operation["responses"]), path)


class Reports(Company):
    def test_people_teams_days_and_models(self):
        points = [t for t in self.told if "metric" in t]
        metric = lambda name, key, want=lambda t: True: total(  # noqa: E731
            [t for t in points if t["metric"] == name and want(t)], key, lambda t: t["value"])
        for sheet, key in (("people", lambda t: t["person"]), ("teams", lambda t: t["team"]), ("days", lambda t: day_of(t["time_ns"]))):
            lines = self.sheet(sheet)
            get = lambda column: {name: float(line[column]) for name, line in lines.items() if float(line[column] or 0)}  # noqa: E731,B023
            self.assertEqual(total(self.asked, key, lambda t: t["cost_usd_micros"]), get("costMicrocents"), sheet)
            self.assertEqual(total(self.asked, key, lambda t: sum(t[k] for k in TOKENS)), get("tokens"), sheet)
            self.assertEqual(metric("commit.count", key), get("commits"), sheet)
            self.assertEqual(metric("pull_request.count", key), get("pullRequests"), sheet)
            self.assertEqual(metric("lines_of_code.count", key, lambda t: t["type"] == "added"), get("linesAdded"), sheet)
            self.assertEqual({k: v for k, v in metric("lines_of_code.count", key, lambda t: t["type"] == "removed").items() if v},
                             get("linesRemoved"), sheet)
            active = metric("active_time.total", key)
            self.assertEqual(set(active), set(get("activeSeconds")), sheet)
            for name, seconds in get("activeSeconds").items():
                self.assertAlmostEqual(active[name], seconds, places=3)
            reads = total(self.asked, key, lambda t: t["cache_read_tokens"])
            inputs = total(self.asked, key, lambda t: sum(t[k] for k in TOKENS if k != "output_tokens"))
            for name, line in lines.items():
                if name in inputs:
                    self.assertAlmostEqual(reads[name] / inputs[name], float(line["cacheShare"]), places=9)
        sessions = {name: float(line["sessions"]) for name, line in self.sheet("people").items()}
        self.assertEqual({p: float(len({t["session"] for t in self.told if t["person"] == p})) for p in sessions}, sessions)
        models = {name: int(line["costMicrocents"]) for name, line in self.sheet("models").items()}
        self.assertEqual(total(self.asked, lambda t: t["model"], lambda t: t["cost_usd_micros"]), models)

    def test_people_in_a_day_a_week_and_a_month(self):
        active = collections.defaultdict(set)
        for t in self.told:
            active[day_of(t["time_ns"])].add(t["person"])
        for name, line in self.sheet("days").items():
            day = datetime.date.fromisoformat(name)
            for column, back in (("people", 1), ("weeklyPeople", 7), ("monthlyPeople", 30)):
                seen = set().union(*(active[(day - datetime.timedelta(n)).isoformat()] for n in range(back)))
                self.assertEqual(len(seen), int(line[column]), (name, column))

    def test_tools_edits_errors_latency_versions(self):
        results = [t for t in self.told if t.get("event") == "tool_result"]
        for name, line in self.sheet("tools").items():
            mine = [t for t in results if t["tool_name"] == name]
            self.assertEqual(len(mine), int(line["uses"]))
            self.assertAlmostEqual(sum(t["success"] == "true" for t in mine) / len(mine), float(line["successRate"]), places=9)
            self.assertAlmostEqual(percentile([t["duration_ms"] for t in mine], 0.95), float(line["p95Ms"]), places=6)
        edits = [t for t in self.told if t.get("metric") == "code_edit_tool.decision"]
        for sheet, key in (("edits", "tool_name"), ("languages", "language")):
            lines = self.sheet(sheet)
            self.assertEqual({t[key] for t in edits}, set(lines))
            for name, line in lines.items():
                taken = sum(t["value"] for t in edits if t[key] == name and t["decision"] == "accept")
                refused = sum(t["value"] for t in edits if t[key] == name and t["decision"] == "reject")
                self.assertEqual((taken, refused), (float(line["accepted"]), float(line["rejected"])))
                self.assertAlmostEqual(taken / (taken + refused), float(line["acceptRate"]), places=9)
        errors = total([t for t in self.told if t.get("event") == "api_error"],
                       lambda t: f"{t.get('status_code', '')} {t['error']}".strip(), lambda t: 1)
        self.assertEqual(errors, {name: int(line["count"]) for name, line in self.sheet("errors").items()})
        for name, line in self.sheet("latency").items():
            mine = [t["duration_ms"] for t in self.asked if t["model"] == name]
            for column, fraction in (("p50Ms", 0.5), ("p90Ms", 0.9), ("p95Ms", 0.95), ("p99Ms", 0.99)):
                self.assertAlmostEqual(percentile(mine, fraction), float(line[column]), places=6)
        self.assertEqual(total(self.asked, lambda t: t["version"], lambda t: 1),
                         {name: int(line["requests"]) for name, line in self.sheet("versions").items()})
        self.assertEqual(total(self.asked, lambda t: t["query_source"], lambda t: 1),
                         {name: int(line["requests"]) for name, line in self.sheet("sources").items()})

    def test_filters_hold_for_every_sheet(self):
        team = max({t["team"] for t in self.asked})
        mine = [t for t in self.asked if t["team"] == team]
        self.assertEqual(total(mine, lambda t: t["person"], lambda t: t["cost_usd_micros"]),
                         {n: float(line["costMicrocents"]) for n, line in self.sheet("people", team=team).items()})
        self.assertEqual(len(mine), sum(int(line["requests"]) for line in self.sheet("versions", team=team).values()))
        model = mine[0]["model"]
        both = [t for t in mine if t["model"] == model]
        self.assertEqual(len(both), int(self.sheet("latency", team=team, model=model)[model]["requests"]))


class Privacy(Company):
    def test_a_viewer_is_shown_no_group_of_fewer_than_five(self):
        for group in (["model"], ["metadata.team"], ["metadata.team", "model"], ["toolName"], ["metadata.error"], []):
            for interval in ({}, {"interval": "day"}):
                query = {"groupBy": group, "metric": ["count", "uniq(person)"], **interval, **self.range}
                shown, every = self.rows("viewer", **query), self.rows("analyst", **query)
                self.assertTrue(all(r["uniq(person)"] >= 5 for r in shown), (group, interval))
                self.assertTrue(all(r in every for r in shown), "a row shown is the row there is")
                if not group and not interval:
                    self.assertEqual(every, shown)

    def test_a_viewer_s_sums_do_not_give_a_small_group_away(self):
        metric = {"metric": ["sum(costMicrocents)", "uniq(person)"]}
        self.assertEqual([], self.rows("viewer", groupBy="model", **metric, **self.odd), "three people's model takes the other with it")
        whole = self.rows("viewer", **metric, **self.odd)
        self.assertEqual([{"sum(costMicrocents)": 5000000, "uniq(person)": 7}], whole)
        status, answer = self.ask("viewer", AGGREGATE, **metric, model="model-all", **self.odd)
        self.assertEqual(403, status, "all less this were three people's")
        self.assertIn("fewer than 5", answer["error"]["message"])
        status, answer = self.ask("viewer", AGGREGATE, **metric, model="model-few", **self.odd)
        self.assertEqual((200, [], 1), (status, answer["rows"], answer["withheldRows"]))

    def test_no_filter_or_group_of_a_viewer_names_anybody(self):
        for name in ("person", "sessionId", "promptId", "traceId", "metadata.user.email", "meta.user.id", "metadata.work_email",
                     "metadata.user.account_uuid", "metadata.session.id", "metadata.host.name", "metadata.prompt"):
            for query in ({"groupBy": name}, {name: "x"}, {"groupBy": name, "names": "named"}, {"metric": f"max({name})"}):
                status, answer = self.ask("viewer", AGGREGATE, **query)
                self.assertIn(status, (400, 403), (query, answer))
        self.assertEqual(403, self.ask("viewer", AGGREGATE, **{"from": self.days[0] + "T10:00:00Z"})[0], "a moment is no cohort")

    def test_addresses_in_free_text_are_not_shown(self):
        text = json.dumps(self.rows("viewer", groupBy="metadata.error", **self.odd))
        self.assertNotIn("allory", text)
        self.assertIn("asked by somebody", text)
        hidden = self.rows("analyst", groupBy="metadata.error", names="pseudonymous", **self.odd)[0]["metadata.error"]
        self.assertRegex(hidden, r"^asked by person [0-9a-f]{10}$")
        self.assertIn("Mallory.Doe", json.dumps(self.rows("analyst", groupBy="metadata.error", **self.odd)))

    def test_a_pseudonym_is_the_same_everywhere_and_leads_nowhere(self):
        query = {"metric": "sum(costMicrocents)", "type": "ai.generation", **self.range}
        named = self.rows(groupBy="person", **query)
        hidden = self.rows(groupBy="person", names="pseudonymous", **query)
        self.assertEqual([r["sum(costMicrocents)"] for r in named], [r["sum(costMicrocents)"] for r in hidden])
        names = {n["person"]: h["person"] for n, h in zip(named, hidden)}
        self.assertEqual(len(named), len(set(names.values())))
        by_mail = self.rows(groupBy="metadata.user.email", names="pseudonymous", **query)
        self.assertEqual(set(names.values()), {r["metadata.user.email"] for r in by_mail})
        _, daily = self.ask("analyst", "/api/v1/usage/daily", groupBy="person", names="pseudonymous", **self.range)
        self.assertEqual(set(names.values()), {r["person"] for r in daily["rows"]})
        table = self.ask("analyst", AGGREGATE, accept="text/csv", groupBy=["person", "metadata.user.id"], names="pseudonymous", **query)[1]
        self.assertEqual(set(names.values()), {line["person"] for line in csv.DictReader(io.StringIO(table))})
        self.assertNotIn("@example.com", table)
        page = self.browse()("/reports?names=pseudonymous&" + urllib.parse.urlencode(self.range))
        self.assertTrue(set(list(names.values())[:5]) & set(re.findall(r"person [0-9a-f]{10}", page)))
        _, listed = self.ask("auditor", "/api/v1/messages", names="pseudonymous", take=200, **query and self.range)
        self.assertNotIn("@example.com", json.dumps(listed))
        self.assertTrue({i["person"] for i in listed["items"]} <= set(names.values()))
        self.assertNotIn(self.told[-1]["session"], json.dumps(listed))
        for asked in ({"person": named[0]["person"]}, {"metadata.user.email": named[0]["person"]}):
            self.assertEqual(403, self.ask("analyst", AGGREGATE, names="pseudonymous", **asked)[0])
        self.assertEqual(403, self.ask("analyst", "/api/v1/messages", names="cohorts")[0])

    def test_daily_usage_in_cohorts(self):
        status, answer = self.ask("viewer", "/api/v1/usage/daily", groupBy="model", **self.range)
        self.assertEqual((200, "cohorts"), (status, answer["names"]))
        _, named = self.ask("analyst", "/api/v1/usage/daily", groupBy=["model", "person"], **self.range)
        people = collections.defaultdict(set)
        for row in named["rows"]:
            people[row["day"], row["model"]].add(row["person"])
        self.assertTrue(all(len(people[row["day"], row["model"]]) >= 5 for row in answer["rows"]))
        self.assertGreater(len(answer["rows"]), 0)
        self.assertGreater(answer["withheldRows"], 0)
        self.assertEqual(403, self.ask("viewer", "/api/v1/usage/daily", groupBy="person")[0])

    def test_the_portal_withholds_what_the_api_withholds(self):
        get = self.browse("viewer")
        last = (datetime.date.fromisoformat(self.odd["to"]) - datetime.timedelta(1)).isoformat()
        span = urllib.parse.urlencode({"from": self.odd["from"], "to": last})
        self.assertEqual(1, len(get(f"/reports.csv?sheet=models&{span}").splitlines()))
        with self.assertRaises(urllib.error.HTTPError) as refused:
            get(f"/reports.csv?sheet=models&model=model-all&{span}")
        self.assertEqual(403, refused.exception.code)

    def test_a_formula_stays_text_in_a_table(self):
        table = self.ask("analyst", AGGREGATE, accept="text/csv", groupBy="metadata.skill.name", **self.odd)[1]
        self.assertIn("'=1+1", table)


if __name__ == "__main__":
    unittest.main()
