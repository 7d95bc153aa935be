"""Anthropic's usage APIs on loopback, after their documented schema: the Admin API's Claude Code report,
the Enterprise Analytics API (users, user_usage_report, user_cost_report) and the usage/cost analytics beta.

Figures are a function of person, day and revision, so a test can compute what must be stored. Faults
are queued with fault(): each is used up by one request, in order. What the references forbid is refused:
parameters that are unknown or out of range, days that are too old, a cursor of another question.
"""
import datetime
import decimal
import hashlib
import http.server
import itertools
import json
import re
import threading
import time
import urllib.parse

ADMIN_KEY = "sk-ant-admin01-test-key"
ENTERPRISE_KEY = "sk-ant-api01-test-key"
MODELS = ["claude-opus-5-5", "claude-haiku-4-5"]
FIRST_ENTERPRISE_DAY = "2026-01-01"
COMMON = {"limit", "page"}
REPORT = COMMON | {"starting_at", "ending_at", "group_by[]", "models[]", "products[]", "order", "order_by", "exclude_deleted_users"}
PARAMETERS = {
    "usage_report/claude_code": COMMON | {"starting_at"},
    "analytics/users": COMMON | {"date", "starting_date", "ending_date", "filter[]", "group_by[]", "order", "order_by"},
    "analytics/user_usage_report": REPORT | {"bucket_width", "user_ids[]"},
    "analytics/user_cost_report": REPORT | {"bucket_width", "user_ids[]"},
    "analytics/usage": REPORT | {"time_bucket_width", "actor_ids[]", "actor_types[]"},
    "analytics/cost": REPORT | {"time_bucket_width", "actor_ids[]", "actor_types[]"},
}
BETA_DIMENSIONS = ["actor", "actor_type", "agent_id", "api_key_id", "claude_tag_category", "claude_tag_user_id", "context_window",
                   "deployment_id", "environment_id", "inference_geo", "model", "product", "rbac_group_id", "service_tier", "session_id",
                   "slack_channel_id", "speed", "user_profile_id", "workspace_id"]
REPORT_DIMENSIONS = ["context_window", "inference_geo", "model", "product", "rbac_group_id", "slack_channel_id", "speed"]


class FakeAnalytics:
    """Serves from construction until close(). `today` is the organisation's current UTC day."""

    def __init__(self, people=3, today="2026-11-20", newest="2026-11-20"):
        self.people = [f"dev{number:04d}@example.com" for number in range(people)]
        self.today, self.newest = today, newest
        self.deleted = set()      # people whose accounts are gone: no e-mail any more
        self.api_keys = []        # names of keys that Claude Code was used with
        self.revisions = {}       # day -> revision number; later ones grow
        self.requests = []        # (path, query, headers) in order
        self.page_limit = None    # forces smaller pages than asked for
        self.two_terminals = set()  # people whose day the Admin API tells in two rows, one of them remote
        self.uncounted = set()    # people whose distinct sessions are null
        self.change = None        # called with each row before it is sent: for a schema that has moved on
        self._faults, self._lock = [], threading.Lock()
        self._question, self._chain = None, (None,)
        self._numbers = itertools.count(1)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                owner._answer(self)

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # a client that went away in the middle is part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def fault(self, kind, times=1, **details):
        """kind: status (status=, message=, retry_after=), html, truncated, slow (seconds=), trickle (seconds=), reset."""
        with self._lock:
            self._faults += [(kind, details)] * times

    # ---- what the organisation did ----

    def figures(self, person, day, model):
        """Tokens and cost of a person, day and model."""
        seed = self._number(person) * 31 + datetime.date.fromisoformat(day).toordinal() * 7 + MODELS.index(model)
        grown = self.revisions.get(day, 0)
        return {"input": seed % 1000 + 1 + grown, "output": seed % 300 + 1, "cache_read": seed % 5000,
                "cache_creation": seed % 700, "cents": decimal.Decimal(seed % 900 + grown) + decimal.Decimal("0.123456")}

    def activity(self, person, day):
        seed = self._number(person) * 17 + datetime.date.fromisoformat(day).toordinal()
        return {"sessions": seed % 9 + 1, "added": seed % 400, "removed": seed % 90, "commits": seed % 5,
                "pull_requests": seed % 2, "accepted": seed % 30, "rejected": seed % 4}

    def _number(self, person):
        return self.people.index(person) if person in self.people else 1000 + self.api_keys.index(person)

    # ---- the wire ----

    def _answer(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        with self._lock:
            self.requests.append((url.path, query, dict(handler.headers)))
            kind, details = self._faults.pop(0) if self._faults else (None, {})
        if kind == "status":
            return self._error(handler, details["status"], details.get("message", "try again"), details.get("retry_after"))
        if kind == "html":
            return self._send(handler, details.get("status", 502), b"<html><body>Bad gateway</body></html>", "text/html")
        if kind == "slow":
            time.sleep(details["seconds"])
        if kind == "reset":
            handler.connection.close()
            return None
        status, body = self._document(url.path, query, handler.headers)
        text = json.dumps(body).encode()
        if kind == "truncated":
            return self._send(handler, 200, text[:len(text) // 2])
        if kind == "trickle":
            return self._send(handler, 200, text, pause_s=details["seconds"])
        return self._send(handler, status, text)

    def _document(self, path, query, headers):
        key = headers.get("x-api-key", "")
        enterprise = path.startswith("/v1/organizations/analytics/")
        beta = path in ("/v1/organizations/analytics/usage", "/v1/organizations/analytics/cost")
        good = {ADMIN_KEY} if not enterprise else {ADMIN_KEY, ENTERPRISE_KEY} if beta else {ENTERPRISE_KEY}
        if key not in good:
            return 401, self._error_body("authentication_error", "invalid x-api-key")
        if headers.get("anthropic-version") != "2023-06-01":
            return 400, self._error_body("invalid_request_error", "anthropic-version: header is required")
        if "/" not in headers.get("User-Agent", ""):
            return 400, self._error_body("invalid_request_error", "User-Agent: name and version are required")
        if beta and headers.get("anthropic-beta") != "analytics-usage-cost-2026-08-24":
            return 400, self._error_body("invalid_request_error", "this endpoint needs a beta header")
        handlers = {"/v1/organizations/usage_report/claude_code": self._admin,
                    "/v1/organizations/analytics/users": self._users,
                    "/v1/organizations/analytics/user_usage_report": self._user_report,
                    "/v1/organizations/analytics/user_cost_report": self._user_report,
                    "/v1/organizations/analytics/usage": self._beta,
                    "/v1/organizations/analytics/cost": self._beta}
        if path not in handlers:
            return 404, self._error_body("not_found_error", "not found")
        try:
            unknown = set(query) - PARAMETERS[path.removeprefix("/v1/organizations/")]
            if unknown:
                raise ValueError(f"{sorted(unknown)[0]}: extra inputs are not permitted")
            self._question = hashlib.sha256(repr((path, sorted(i for i in query.items() if i[0] != "page"))).encode()).hexdigest()[:8]
            if "page" in query and self._chain[0] == self._question:
                return 200, self._page(self._chain[1], query, *self._chain[2:])  # as it was when the chain began
            return handlers[path](path, query)
        except (KeyError, ValueError) as fault:
            return 400, self._error_body("invalid_request_error", str(fault))

    def _admin(self, _, query):
        text = query["starting_at"][0]
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise ValueError("starting_at: expected a day as YYYY-MM-DD")
        day = self._day(text)
        rows = []
        for person in self.people + self.api_keys:
            for part in ((0, 1) if person in self.two_terminals else (None,)):
                rows.append(self._admin_row(person, day, part))
        return 200, self._page(rows, query, 20, 1000, has_more=True)

    def _admin_row(self, person, day, part):
        """A person's day, or, for one with two terminals, the first or second part of it."""
        def share(number):
            half = number // 2
            return number if part is None else (half, number - half)[part]

        done = {name: share(count) for name, count in self.activity(person, day).items()}
        actor = ({"type": "user_actor", "email_address": person} if person in self.people
                 else {"type": "api_actor", "api_key_name": person})
        models = []
        for model in MODELS:
            f = self.figures(person, day, model)
            cents = f["cents"] if part is None else (f["cents"] / 2).quantize(decimal.Decimal("0.000001"), decimal.ROUND_DOWN)
            cents = f["cents"] - cents if part == 1 else cents
            models.append({"model": model, "tokens": {k: share(f[k]) for k in ("input", "output", "cache_read", "cache_creation")},
                           "estimated_cost": {"currency": "USD", "amount": float(cents)}})
        edits = {"accepted": done["accepted"] // 2, "rejected": done["rejected"] // 2}
        writes = {k: done[k] - edits[k] for k in edits}
        return {"date": f"{day}T00:00:00Z", "actor": actor, "organization_id": "7c0a2ae2-5d4c-4c1b-9d0f-0a1b2c3d4e5f",
                "customer_type": "api", "subscription_type": None, "terminal_type": "vscode", "is_remote": part == 1,
                "core_metrics": {"num_sessions": done["sessions"],
                                 "lines_of_code": {"added": done["added"], "removed": done["removed"]},
                                 "commits_by_claude_code": done["commits"],
                                 "pull_requests_by_claude_code": done["pull_requests"]},
                "tool_actions": {"edit_tool": edits, "multi_edit_tool": {"accepted": 0, "rejected": 0},
                                 "write_tool": writes, "notebook_edit_tool": {"accepted": 0, "rejected": 0}},
                "model_breakdown": models}

    def _users(self, _, query):
        day = self._day(query["date"][0])
        self._check_age(day, "date")
        if day > self.newest:
            raise ValueError(f"date: data for {day} is not available yet; the newest available day is {self.newest}")
        rows = []
        for person in self.people:
            if person in self.deleted:
                continue
            done = self.activity(person, day)
            edits = {"accepted_count": done["accepted"], "rejected_count": done["rejected"]}
            none = {"accepted_count": 0, "rejected_count": 0}
            rows.append({
                "user": {"id": self.account(person), "email_address": person, "type": "user"},
                "last_activity_date": day, "web_search_count": 0, "distinct_user_count": None,
                "rbac_group_id": None, "rbac_group_name": None,
                "claude_code_metrics": {
                    "core_metrics": {"commit_count": done["commits"], "pull_request_count": done["pull_requests"],
                                     "distinct_session_count": None if person in self.uncounted else done["sessions"],
                                     "lines_of_code": {"added_count": done["added"], "removed_count": done["removed"]}},
                    "tool_actions": {"edit_tool": edits, "multi_edit_tool": none, "notebook_edit_tool": none, "write_tool": none}},
                "chat_metrics": {"message_count": 3, "thinking_message_count": 1, "distinct_conversation_count": 2,
                                 "distinct_projects_used_count": None},
                "cowork_metrics": {"action_count": 4, "message_count": 2, "edit_tool_count": 9, "write_tool_count": 9},
                "design_metrics": {"message_count": 0, "distinct_session_count": 0},
                "office_metrics": {"excel": {"message_count": 1}, "word": {"message_count": 0}},
                "science_metrics": {"message_count": 0, "distinct_session_count": 5}})
        return 200, self._page(rows, query, 100, 1000)

    def _user_report(self, path, query):
        cost = path.endswith("cost_report")
        if query.get("bucket_width", [None])[0] not in (None, "1d"):
            raise ValueError("bucket_width: expected 1d")
        bucketed, grouped = "bucket_width" in query, query.get("group_by[]", [])
        products = query.get("products[]", ["chat", "claude_code"])
        rows = []
        for day in self._days(query):
            for person, model, product in itertools.product(self.people, MODELS, ("claude_code", "chat")):
                if product not in products:
                    continue
                f = self.figures(person, day, model)
                dimensions = {"model": model, "product": product}
                row = {"starting_at": f"{day}T00:00:00Z" if bucketed else None,
                       "ending_at": f"{self._next(day)}T00:00:00Z" if bucketed else None,
                       "actor": {"type": "user_actor", "user_id": self.account(person),
                                 "email": None if person in self.deleted else person,
                                 "name": None, "deleted": person in self.deleted},
                       **{name: dimensions.get(name) if name in grouped else None for name in REPORT_DIMENSIONS},
                       "requests": None if product == "chat" else 1}
                row.update({"amount": f"{f['cents']:.6f}", "list_amount": "999.000000", "currency": "USD", "cost_type": None,
                            "token_type": None} if cost else self._usage(f))
                rows.append(row)
        return 200, self._page(rows, query, 20, 1000, has_more=True, refreshed=True)

    def _beta(self, path, query):
        cost = path.endswith("/cost")
        if query.get("time_bucket_width") != ["1d"]:
            raise ValueError("time_bucket_width: expected 1d")
        grouped = query.get("group_by[]", [])
        for name in grouped:
            if name not in BETA_DIMENSIONS + (["cost_type", "token_type"] if cost else []):
                raise ValueError(f"group_by: {name} is no dimension")
        rows = []
        for day in self._days(query):
            for person, model in itertools.product([*self.people, None], MODELS):
                f = self.figures(person or self.people[0], day, model)
                dimensions = {"actor": {"type": "user_actor", "user_id": self.account(person),
                                        "email_address": None if person in self.deleted else person,
                                        "name": None, "deleted": person in self.deleted} if person else
                              {"type": "service_account_actor", "service_account_id": "svac_01"},
                              "product": "claude_code", "model": model}
                row = {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{self._next(day)}T00:00:00Z",
                       "group": {name: dimensions.get(name) if name in grouped else None for name in BETA_DIMENSIONS}}
                if cost:
                    row["cost"] = {"amount": f"{f['cents']:.6f}", "list_amount": "999.000000", "currency": "USD", "requests": 1}
                else:
                    row["usage"] = dict(self._usage(f), requests=1)
                rows.append(row)
        return 200, self._page(rows, query, 100, 1000, refreshed=True)

    @staticmethod
    def _usage(f):
        half = f["cache_creation"] // 2
        return {"uncached_input_tokens": f["input"], "cache_read_input_tokens": f["cache_read"],
                "cache_creation": {"ephemeral_1h_input_tokens": half, "ephemeral_5m_input_tokens": f["cache_creation"] - half},
                "output_tokens": f["output"], "server_tool_use": {"web_search_requests": 0},
                "total_tokens": f["input"] + f["output"] + f["cache_read"] + f["cache_creation"]}

    @staticmethod
    def account(person):
        return "user_" + re.sub(r"\W", "", person)

    @staticmethod
    def _next(day):
        return str(datetime.date.fromisoformat(day) + datetime.timedelta(days=1))

    @staticmethod
    def _day(text):
        return str(datetime.date.fromisoformat(text[:10]))

    def _check_age(self, day, name):
        oldest = str(datetime.date.fromisoformat(self.today) - datetime.timedelta(days=365))
        if day < max(oldest, FIRST_ENTERPRISE_DAY):
            raise ValueError(f"{name}: data is kept for 365 days, from {FIRST_ENTERPRISE_DAY} on")

    def _days(self, query):
        for name in ("starting_at", "ending_at"):
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", query[name][0]):
                raise ValueError(f"{name}: expected a time as RFC 3339, at a day's begin")
        day, end = self._day(query["starting_at"][0]), self._day(query["ending_at"][0])
        self._check_age(day, "starting_at")
        if (datetime.date.fromisoformat(end) - datetime.date.fromisoformat(day)).days > 31:
            raise ValueError("ending_at: the range is longer than 31 days")
        while day < end and day <= self.today:
            yield day
            day = self._next(day)

    def _page(self, rows, query, default, most, has_more=False, refreshed=False):
        self._chain = (self._question, rows, default, most, has_more, refreshed)
        limit = int(query.get("limit", [default])[0])
        if not 1 <= limit <= most:
            raise ValueError(f"limit: must be between 1 and {most}")
        limit = min(limit, self.page_limit or limit)
        start = 0
        if "page" in query:
            start, question = query["page"][0].removeprefix("page_").split("+")
            if question != self._question:
                raise ValueError("page: the cursor belongs to another question")
            start = int(start)
        end = start + limit
        more = end < len(rows)
        for row in rows[start:end] if self.change else []:
            self.change(row)
        body = {"data": rows[start:end], "next_page": f"page_{end}+{self._question}" if more else None}
        if has_more:
            body["has_more"] = more
        if refreshed:
            body["data_refreshed_at"] = f"{self.today}T04:00:00Z"
            body["organization_id"] = "7c0a2ae2-5d4c-4c1b-9d0f-0a1b2c3d4e5f"
        return body

    def _error_body(self, kind, message):
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{next(self._numbers)}"}

    def _error(self, handler, status, message, retry_after):
        kinds = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
                 410: "invalid_request_error", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}
        body = json.dumps(self._error_body(kinds.get(status, "api_error"), message)).encode()
        self._send(handler, status, body, headers={"retry-after": str(retry_after)} if retry_after is not None else {})

    def _send(self, handler, status, body, content_type="application/json", headers=None, pause_s=0):
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("request-id", f"req_{next(self._numbers)}")
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        pieces = 10 if pause_s else 1
        for i in range(pieces):
            time.sleep(pause_s / pieces)
            handler.wfile.write(body[len(body) * i // pieces:len(body) * (i + 1) // pieces])
