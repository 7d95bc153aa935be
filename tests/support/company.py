"""A company's Claude Code telemetry, made up by a fixed seed in the shape of the recorded requests.

    for path, body in company.requests(people=40, days=30): POST body to path

One logs and one metrics request a session, and a traces request for the sessions of the last days. People
have a team, habits and a favourite model; weekends and holidays are quiet; a few never come back. As a
program it fills a running server:

    python3 tests/support/company.py --url http://127.0.0.1:4320 --token ct_... --people 200 --days 365
"""
import argparse
import concurrent.futures
import datetime
import http.client
import pathlib
import random
import struct
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import otlp  # noqa: E402

SEED = 20261120
DAY_S = 86400
TEAMS = [("platform", 18), ("payments", 26), ("mobile", 22), ("data", 20), ("web", 30), ("search", 14),
         ("infrastructure", 16), ("design systems", 4)]
FIRST = ("ada alan alice amir anna ben bo chen clara dana diego elif emma erik eva farah felix greta hana hugo ida igor "
         "ines ivan jana jin joao julia kai kofi lars lea leo lina luca maja marc maria mei mia mina nadia nils noor "
         "olga oscar otto paula pia raj rosa sam sara sofia sven tara theo tom uma vera viktor wei yara zoe").split()
LAST = ("abbas ahlberg baker bauer berg chen costa diaz dubois evans fischer fontaine garcia gupta haas hansen ito "
        "jansen kaya keller khan kim kovacs larsen lopez maier mori moreau nguyen novak okafor olsen park patel "
        "petrov ricci rossi santos sato schmidt silva singh tanaka vogel wagner weber yilmaz").split()
# name, USD per million tokens: input, output, cache read, cache write
MODELS = {"claude-opus-5-5": (5.0, 25.0, 0.5, 6.25), "claude-sonnet-4-6": (3.0, 15.0, 0.3, 3.75),
          "claude-haiku-4-5-20251001": (1.0, 5.0, 0.1, 1.25)}
TOOLS = [("Read", 34, 40), ("Bash", 26, 2100), ("Edit", 18, 90), ("Grep", 12, 160), ("Write", 5, 60), ("WebFetch", 3, 1900),
         ("mcp_tool", 2, 800)]
EDITS = {"Edit", "Write"}
LANGUAGES = [("TypeScript", 34), ("Python", 26), ("Go", 16), ("Kotlin", 9), ("SQL", 6), ("C", 5), ("Markdown", 4)]
ERRORS = [(529, "Overloaded"), (429, "This request would exceed your rate limit"), (500, "Internal server error"),
          (None, "Connection error.")]
VERSIONS = ["2.1.197", "2.1.250", "2.1.290", "2.1.329"]
TERMINALS = ["vscode", "xterm-256color", "iTerm.app", "cursor", "tmux"]


def _pick(rng, weighted):
    return rng.choices([w[0] for w in weighted], [w[1] for w in weighted])[0]


class Person:
    def __init__(self, number, rng, days):
        self.first, self.last = FIRST[number % len(FIRST)], LAST[(number * 7 + number // len(FIRST)) % len(LAST)]
        self.email = f"{self.first}.{self.last}@example.com"
        self.team = _pick(rng, TEAMS)
        self.user_id = "%064x" % rng.getrandbits(256)
        self.account = _uuid(rng)
        self.keenness = rng.betavariate(2, 3) * 2.2  # sessions a working day
        self.favourite = _pick(rng, [("claude-opus-5-5", 45), ("claude-sonnet-4-6", 45), ("claude-haiku-4-5-20251001", 10)])
        self.careful = rng.uniform(0.03, 0.25)  # share of edits turned down
        self.begins = 0 if rng.random() < 0.6 else rng.randrange(days)
        self.ends = days if rng.random() < 0.93 else rng.randrange(days)
        self.terminal = rng.choice(TERMINALS)
        self.os = rng.choice(["darwin", "darwin", "linux", "windows"])


def _uuid(rng):
    n = "%032x" % rng.getrandbits(128)
    return f"{n[:8]}-{n[8:12]}-4{n[13:16]}-8{n[17:20]}-{n[20:]}"


def _identifier(rng, prefix):
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789"
    return prefix + "01" + "".join(rng.choices(alphabet, k=22))


def people(count, days, seed=SEED):
    rng = random.Random(seed)
    return [Person(number, rng, days) for number in range(count)]


def _traced(record, trace_id, span_id):
    return record + otlp._field(9, trace_id) + otlp._field(10, span_id)


def _span(trace_id, span_id, parent, name, begin_ns, end_ns, values):
    fixed = lambda number, value: otlp._varint(number << 3 | 1) + struct.pack("<Q", value)  # noqa: E731
    return (otlp._field(1, trace_id) + otlp._field(2, span_id) + (otlp._field(4, parent) if parent else b"")
            + otlp._field(5, name.encode()) + otlp._varint(6 << 3) + b"\x01" + fixed(7, begin_ns) + fixed(8, end_ns)
            + otlp.attributes(9, values))


def _metric(name, unit, points, start_ns, now_ns):
    body = b""
    for values, number in points:
        body += otlp._field(1, otlp.attributes(7, values) + otlp._varint(2 << 3 | 1) + struct.pack("<Q", start_ns)
                            + otlp._varint(3 << 3 | 1) + struct.pack("<Q", now_ns)
                            + otlp._varint(4 << 3 | 1) + struct.pack("<d", number))
    body += otlp._varint(2 << 3) + b"\x01" + otlp._varint(3 << 3) + b"\x01"
    return otlp._field(1, name.encode()) + otlp._field(3, unit.encode()) + otlp._field(7, body)


def _wrap(resource, scope, records):
    lines = b"".join(otlp._field(2, record) for record in records)
    return otlp._field(1, otlp._field(1, otlp.attributes(1, resource))
                       + otlp._field(2, otlp._field(1, otlp._field(1, scope)) + lines))


class Session:
    """One session's records, as the three signals tell them."""

    def __init__(self, person, rng, begin_s, version, with_traces, told=None):
        self.person, self.rng, self.with_traces, self.told = person, rng, with_traces, told
        self.id, self.now_ns = _uuid(rng), int(begin_s * 1e9)
        self.begin_ns = self.now_ns
        self.resource = {"service.name": "claude-code", "service.version": version, "host.arch": "arm64",
                         "os.type": person.os, "team": person.team, "work_email": person.email}
        self.common = {"user.id": person.user_id, "session.id": self.id, "user.email": person.email,
                       "user.account_uuid": person.account, "terminal.type": person.terminal, "app.version": version}
        self.logs, self.spans = [], []
        self.tokens, self.cost, self.decisions, self.lines = {}, {}, {}, {"added": 0, "removed": 0}
        self.commits = self.pulls = 0
        self.model = person.favourite if rng.random() < 0.85 else "claude-haiku-4-5-20251001"
        self.language = _pick(rng, LANGUAGES)
        self.context = rng.randrange(12_000, 26_000)
        self.sequence = 0

    def log(self, event, values, trace):
        self.sequence += 1
        if self.told is not None:
            self.told.append({"event": event, "time_ns": self.now_ns, "person": self.person.email, "team": self.person.team,
                              "session": self.id, "version": self.resource["service.version"], **values})
        record = otlp.log_record(event, {**self.common, "event.sequence": self.sequence, **values}, self.now_ns)
        self.logs.append(_traced(record, *trace))

    def wait(self, ms):
        self.now_ns += int(ms * 1e6)

    def prompt(self):
        rng, trace_id, root = self.rng, self.rng.randbytes(16), self.rng.randbytes(8)
        begin_ns, prompt_id = self.now_ns, _uuid(rng)
        known = {"prompt.id": prompt_id}
        self.log("user_prompt", {**known, "prompt_length": rng.randrange(12, 900), "prompt": "<REDACTED>"}, (trace_id, root))
        for _ in range(1 + min(6, int(rng.expovariate(0.7)))):
            if not self.generation(known, trace_id, root):
                break
        if self.with_traces:
            self.spans.append(_span(trace_id, root, None, "claude_code.interaction", begin_ns, self.now_ns, {
                **self.common, **known, "interaction.sequence": 1, "interaction.duration_ms": (self.now_ns - begin_ns) // 10**6,
                "user_prompt": "<REDACTED>"}))
        self.wait(rng.expovariate(1 / 60_000))

    def generation(self, known, trace_id, root):
        rng, model = self.rng, self.model
        source = "repl_main_thread" if rng.random() < 0.85 else "agent:builtin:general-purpose"
        request = {**known, "request_id": _identifier(rng, "req_"), "model": model, "query_source": source,
                   "speed": "normal", "effort": "medium"}
        begin_ns = self.now_ns
        duration = int(rng.lognormvariate(8.6, 0.7)) + 400
        if rng.random() < 0.012:
            status, text = rng.choice(ERRORS)
            self.wait(duration)
            self.log("api_error", {**request, "error": text, "attempt": 11, "duration_ms": duration,
                                   **({"status_code": status} if status else {})}, (trace_id, root))
            return False
        fresh, output = rng.randrange(3, 900), int(rng.lognormvariate(5.6, 0.9)) + 20
        write = int(rng.lognormvariate(7.4, 0.8)) if rng.random() < 0.8 else 0
        read = self.context
        self.context = min(self.context + write, 190_000)
        prices = MODELS[model]
        micros = round(fresh * prices[0] + output * prices[1] + read * prices[2] + write * prices[3])
        self.wait(duration)
        self.log("api_request", {**request, "input_tokens": fresh, "output_tokens": output, "cache_read_tokens": read,
                                 "cache_creation_tokens": write, "cost_usd": micros / 1e6, "cost_usd_micros": micros,
                                 "duration_ms": duration, "ttft_ms": duration // 5}, (trace_id, root))
        for kind, count in (("input", fresh), ("output", output), ("cacheRead", read), ("cacheCreation", write)):
            self.tokens[kind] = self.tokens.get(kind, 0) + count
        self.cost[model] = self.cost.get(model, 0) + micros / 1e6
        if self.with_traces:
            self.spans.append(_span(trace_id, rng.randbytes(8), root, "claude_code.llm_request", begin_ns, self.now_ns, {
                **self.common, **request, "gen_ai.system": "anthropic", "gen_ai.request.model": model, "success": True,
                "input_tokens": fresh, "output_tokens": output, "cache_read_tokens": read,
                "cache_creation_tokens": write, "duration_ms": duration, "ttft_ms": duration // 5, "attempt": 1}))
        for _ in range(int(rng.random() < 0.75) + int(rng.random() < 0.25)):
            self.tool(request, trace_id, root)
        return rng.random() < 0.92

    def tool(self, request, trace_id, root):
        rng, span = self.rng, self.rng.randbytes(8)
        name = _pick(rng, TOOLS)
        duration = max(1, int(rng.lognormvariate(0, 0.8) * next(t[2] for t in TOOLS if t[0] == name)))
        rejected = name in EDITS and rng.random() < self.person.careful
        use = {**{k: request[k] for k in ("prompt.id", "request_id")}, "tool_name": name,
               "tool_use_id": _identifier(rng, "toolu_")}
        choice = ("reject", "user_reject") if rejected else ("accept", rng.choice(["config", "config", "user_temporary"]))
        begin_ns = self.now_ns
        self.log("tool_decision", {**use, "decision": choice[0], "source": choice[1]}, (trace_id, span))
        if name in EDITS:
            key = (name, choice[0], choice[1], self.language)
            self.decisions[key] = self.decisions.get(key, 0) + 1
        if rejected:
            return
        if name in EDITS:
            self.lines["added"] += rng.randrange(1, 60)
            self.lines["removed"] += rng.randrange(0, 25)
        self.wait(duration)
        good = rng.random() > (0.09 if name == "Bash" else 0.02)
        self.log("tool_result", {**use, "success": "true" if good else "false", "duration_ms": duration,
                                 "tool_result_size_bytes": rng.randrange(20, 9000)}, (trace_id, span))
        if self.with_traces:
            self.spans.append(_span(trace_id, span, root, "claude_code.tool", begin_ns, self.now_ns, {
                **self.common, **use, "duration_ms": duration, "gen_ai.tool.name": name}))
        if name == "Bash" and rng.random() < 0.05:
            self.commits += 1
            self.pulls += rng.random() < 0.3

    def requests(self):
        scope = b"com.anthropic.claude_code"
        yield "/v1/logs", _wrap(self.resource, scope + b".events", self.logs)
        yield "/v1/metrics", _wrap(self.resource, scope, self.metrics())
        if self.spans:
            yield "/v1/traces", _wrap(self.resource, scope + b".tracing", self.spans)

    def metrics(self):
        end = self.now_ns
        def make(name, unit, points):
            for values, number in points if self.told is not None else ():
                self.told.append({"metric": name, "time_ns": end, "person": self.person.email, "team": self.person.team,
                                  "session": self.id, "value": float(number), **values})
            return _metric("claude_code." + name, unit, [({**self.common, **values}, float(number))
                                                         for values, number in points], self.begin_ns, end)
        active_s = (end - self.begin_ns) / 1e9
        yield make("session.count", "", [({"start_type": "fresh"}, 1)])
        yield make("active_time.total", "s", [({"type": "cli"}, active_s * 0.4), ({"type": "user"}, active_s * 0.15)])
        if self.cost:
            # The metrics are told of the model that was asked last, the events of each: both say the same tokens.
            yield make("cost.usage", "USD", [({"model": m, "query_source": "main"}, c) for m, c in self.cost.items()])
            yield make("token.usage", "tokens", [({"model": self.model, "query_source": "main", "type": t}, n)
                                                 for t, n in self.tokens.items()])
        if any(self.lines.values()):
            yield make("lines_of_code.count", "", [({"model": self.model, "type": t}, n) for t, n in self.lines.items()])
        if self.decisions:
            yield make("code_edit_tool.decision", "", [
                ({"tool_name": tool, "decision": decision, "source": source, "language": language}, n)
                for (tool, decision, source, language), n in self.decisions.items()])
        if self.commits:
            yield make("commit.count", "", [({}, self.commits)])
        if self.pulls:
            yield make("pull_request.count", "", [({}, self.pulls)])


def requests(people_count=200, days=365, end_s=None, seed=SEED, prompts=6, traced_days=3, told=None):
    """(path, body) of every request, by day. `prompts`: how many a session has on average. `told`: a list
    that gets every event and metric point as a dict, to compute figures from that no program of ours has seen."""
    end_s = end_s or time.time()
    staff = people(people_count, days, seed)
    first_day = int(end_s // DAY_S) - days + 1
    for day in range(days):
        midnight = (first_day + day) * DAY_S
        weekday = datetime.datetime.fromtimestamp(midnight, datetime.timezone.utc).weekday()
        quiet = 0.06 if weekday >= 5 else 1.0
        version = VERSIONS[min(len(VERSIONS) - 1, day * len(VERSIONS) // days)]
        for number, person in enumerate(staff):
            rng = random.Random(f"{seed}/{number}/{midnight}")
            if not person.begins <= day <= person.ends or rng.random() > 0.88 * quiet:
                continue
            for _ in range(1 + int(rng.expovariate(1 / max(person.keenness, 0.05)))):
                begin_s = midnight + min(23.2, max(5.5, rng.gauss(13, 3))) * 3600
                if begin_s > end_s - 3600:
                    continue
                session = Session(person, rng, begin_s, version if rng.random() < 0.8 else rng.choice(VERSIONS),
                                  day >= days - traced_days, told)
                for _ in range(1 + int(rng.expovariate(1 / prompts))):
                    session.prompt()
                yield from session.requests()


class Sender:
    """Posts requests over kept-alive connections, a few at a time."""

    def __init__(self, url, token, threads=4):
        self.where, self.token, self.threads = urllib.parse.urlsplit(url), token, threads

    def _post(self, batch):
        connection = http.client.HTTPConnection(self.where.hostname, self.where.port, timeout=60)
        for path, body in batch:
            while True:
                connection.request("POST", path, body, {"Content-Type": "application/x-protobuf",
                                                        "Authorization": f"Bearer {self.token}"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status not in (429, 503):
                    break
                time.sleep(float(answer.headers.get("Retry-After", 1)))
            assert answer.status == 200, f"{path}: {answer.status} {text[:300]!r}"
        connection.close()
        return len(batch)

    def send(self, todo, batch_size=50):
        """Returns how many requests it sent."""
        sent, batch, waiting = 0, [], []
        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            for one in todo:
                batch.append(one)
                if len(batch) == batch_size:
                    waiting.append(pool.submit(self._post, batch))
                    batch = []
                    if len(waiting) > 2 * self.threads:
                        sent += waiting.pop(0).result()
            waiting.append(pool.submit(self._post, batch))
            return sent + sum(w.result() for w in waiting)


def main():
    parser = argparse.ArgumentParser(description="fill a server with a made-up company")
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--prompts", type=float, default=6)
    o = parser.parse_args()
    began = time.monotonic()
    sent = Sender(o.url, o.token).send(requests(o.people, o.days, prompts=o.prompts))
    print(f"{sent} requests in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
