"""Anthropic's usage APIs on loopback, after their documented schema: the Admin API's Claude Code report,
the Enterprise Analytics API (users, user_usage_report, user_cost_report) and the usage/cost analytics beta.

Figures are a function of person, day and revision, so a test can compute what must be stored. Faults
are queued with fault(): each is used up by one request, in order.
"""
import datetime
import decimal
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
        self._faults, self._lock = [], threading.Lock()
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
        """kind: status (status=, message=, retry_after=), html, truncated, slow (seconds=), reset."""
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
            return handlers[path](path, query)
        except (KeyError, ValueError) as fault:
            return 400, self._error_body("invalid_request_error", str(fault))

    def _admin(self, _, query):
        day = self._day(query["starting_at"][0])
        rows = []
        for person in self.people + self.api_keys:
            done = self.activity(person, day)
            actor = ({"type": "user_actor", "email_address": person} if person in self.people
                     else {"type": "api_actor", "api_key_name": person})
            rows.append({
                "date": f"{day}T00:00:00Z", "actor": actor,
                "organization_id": "org-test", "customer_type": "api", "subscription_type": None,
                "terminal_type": "vscode", "is_remote": False,
                "core_metrics": {"num_sessions": done["sessions"],
                                 "lines_of_code": {"added": done["added"], "removed": done["removed"]},
                                 "commits_by_claude_code": done["commits"],
                                 "pull_requests_by_claude_code": done["pull_requests"]},
                "tool_actions": {"edit_tool": {"accepted": done["accepted"], "rejected": done["rejected"]}},
                "model_breakdown": [
                    {"model": model, "tokens": {k: f[k] for k in ("input", "output", "cache_read", "cache_creation")},
                     "estimated_cost": {"currency": "USD", "amount": float(f["cents"])}}
                    for model in MODELS for f in [self.figures(person, day, model)]]})
        return 200, self._page(rows, query, 20, 1000, has_more=True)

    def _users(self, _, query):
        day = self._day(query["date"][0])
        if day > self.newest:
            raise ValueError(f"date: data for {day} is not available yet; the newest available day is {self.newest}")
        rows = []
        for person in self.people:
            if person in self.deleted:
                continue
            done = self.activity(person, day)
            rows.append({
                "user": {"id": self.account(person), "email_address": person, "type": "user"},
                "claude_code_metrics": {
                    "core_metrics": {"commit_count": done["commits"], "pull_request_count": done["pull_requests"],
                                     "distinct_session_count": done["sessions"],
                                     "lines_of_code": {"added_count": done["added"], "removed_count": done["removed"]}},
                    "tool_actions": {"edit_tool": {"accepted_count": done["accepted"], "rejected_count": done["rejected"]}}},
                "chat_metrics": {"message_count": 3}})
        return 200, self._page(rows, query, 100, 1000)

    def _user_report(self, path, query):
        cost = path.endswith("cost_report")
        rows = []
        for day in self._days(query):
            for person, model in itertools.product(self.people, MODELS):
                f = self.figures(person, day, model)
                row = {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{self._next(day)}T00:00:00Z",
                       "actor": {"type": "user_actor", "user_id": self.account(person),
                                 "email": None if person in self.deleted else person,
                                 "name": None, "deleted": person in self.deleted},
                       "product": "claude_code", "model": model, "requests": 1}
                row.update({"amount": f"{f['cents']:.6f}", "list_amount": "999.000000", "currency": "USD",
                            "cost_type": "tokens"} if cost else self._usage(f))
                rows.append(row)
                if not cost:
                    rows.append(dict(row, product="chat", output_tokens=777))
        return 200, self._page(rows, query, 20, 1000, has_more=True, refreshed=True)

    def _beta(self, path, query):
        cost = path.endswith("/cost")
        if query.get("time_bucket_width") != ["1d"]:
            raise ValueError("time_bucket_width: expected 1d")
        rows = []
        for day in self._days(query):
            for person, model in itertools.product(self.people, MODELS):
                f = self.figures(person, day, model)
                row = {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{self._next(day)}T00:00:00Z",
                       "group": {"actor": {"type": "user_actor", "user_id": self.account(person),
                                           "email_address": None if person in self.deleted else person,
                                           "name": None, "deleted": person in self.deleted},
                                 "product": "claude_code", "model": model}}
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
                "output_tokens": f["output"]}

    @staticmethod
    def account(person):
        return "user_" + re.sub(r"\W", "", person)

    @staticmethod
    def _next(day):
        return str(datetime.date.fromisoformat(day) + datetime.timedelta(days=1))

    @staticmethod
    def _day(text):
        return str(datetime.date.fromisoformat(text[:10]))

    def _days(self, query):
        day, end = self._day(query["starting_at"][0]), self._day(query["ending_at"][0])
        if (datetime.date.fromisoformat(end) - datetime.date.fromisoformat(day)).days > 31:
            raise ValueError("ending_at: the range is longer than 31 days")
        while day < end and day <= self.today:
            yield day
            day = self._next(day)

    def _page(self, rows, query, default, most, has_more=False, refreshed=False):
        limit = int(query.get("limit", [default])[0])
        if not 1 <= limit <= most:
            raise ValueError(f"limit: must be between 1 and {most}")
        limit = min(limit, self.page_limit or limit)
        start = int(query["page"][0].removeprefix("page_")) if "page" in query else 0
        end = start + limit
        more = end < len(rows)
        body = {"data": rows[start:end], "next_page": f"page_{end}" if more else None}
        if has_more:
            body["has_more"] = more
        if refreshed:
            body["data_refreshed_at"] = f"{self.today}T04:00:00Z"
        return body

    def _error_body(self, kind, message):
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{next(self._numbers)}"}

    def _error(self, handler, status, message, retry_after):
        kinds = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
                 410: "invalid_request_error", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}
        body = json.dumps(self._error_body(kinds.get(status, "api_error"), message)).encode()
        self._send(handler, status, body, headers={"retry-after": str(retry_after)} if retry_after is not None else {})

    @staticmethod
    def _send(handler, status, body, content_type="application/json", headers=None):
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
