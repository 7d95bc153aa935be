#!/usr/bin/env python3
"""Real recorded Claude Code telemetry -> relay -> spool -> server -> a usage table.

Starts a server on SQLite and an agent below a private root, both on free ports of 127.0.0.1, sends
every recorded request to the relay as Claude Code would, and shows what it cost. Stays up until
Ctrl-C; with --once it compares every total with the expected results and exits 0 or 1.
--outage S stops the server in the middle for S seconds: nothing may be lost or doubled.
"""
import argparse
import collections
import json
import pathlib
import secrets
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.system.support import programs  # noqa: E402

DATA = ROOT / "tests" / "data" / "otlp"
TOKENS = {"sum(inputTokens)": "input_tokens", "sum(outputTokens)": "output_tokens",
          "sum(cacheReadTokens)": "cache_read_tokens", "sum(cacheCreateTokens)": "cache_creation_tokens"}


def expected_totals():
    """What the recordings hold: an event and a span of one request are one generation.

    Older versions give no request id; there an event and a span of one session with the same
    tokens are one.
    """
    files = json.loads((DATA / "EXPECTED.json").read_text())["files"]
    events, spans, seen = {}, {}, collections.Counter()
    for content in files.values():
        for row in content.get("rows", []):
            if row.get("event") == "api_request":
                kind, prefix = events, ""
            elif row.get("name") == "claude_code.llm_request":
                kind, prefix = spans, "attr_"
            else:
                continue
            figures = {metric: int(row.get(prefix + name) or 0) for metric, name in TOKENS.items()}
            tokens = tuple(figures.values())
            figures["sum(costMicrocents)"] = int(row.get("cost_micro_usd") or 0)
            key = row.get(prefix + "request_id")
            if not key:
                key = (row.get(prefix + "session_id"), tokens)
                seen[id(kind), key] += 1
                key = (*key, seen[id(kind), key])
            kind[key] = figures
    rows = list({**spans, **events}.values())  # where both tell, the event counts
    totals = collections.Counter(count=len(rows))
    for row in rows:
        totals.update(row)
    return dict(totals)


def recordings():
    manifest = json.loads((DATA / "MANIFEST.json").read_text())
    for one in sorted(manifest["files"], key=lambda f: f["received_at"]):
        headers = {"Content-Type": one["content_type"] if one["protocol"] != "grpc" else "application/x-protobuf"}
        if one["content_encoding"] == "gzip":
            headers["Content-Encoding"] = "gzip"
        yield one["file"], f"/v1/{one['signal']}", headers, (DATA / one["file"]).read_bytes()


def send_all(agent, at_half, more_headers=()):
    todo = list(recordings())
    for number, (name, path, headers, body) in enumerate(todo):
        status, _, answer = programs.http("POST", agent.url + path, body, {**headers, **dict(more_headers)})
        if status != 200:
            raise SystemExit(f"the relay answered {status} to {name}: {answer[:300]!r}")
        if number == len(todo) // 2:
            at_half()
    return len(todo)


def table(title, rows, first):
    print(f"\n{title:<34}{'requests':>9}{'input':>10}{'output':>10}{'cache read':>12}{'cache write':>12}{'USD':>12}")
    for row in rows:
        print(f"{str(row.get(first) or '(unknown)')[:33]:<34}{row['count']:>9,}{row['sum(inputTokens)'] or 0:>10,}"
              f"{row['sum(outputTokens)'] or 0:>10,}{row['sum(cacheReadTokens)'] or 0:>12,}"
              f"{row['sum(cacheCreateTokens)'] or 0:>12,}{(row['sum(costMicrocents)'] or 0) / 1e6:>12.6f}")


def show_usage(server):
    metrics = ["sum(costMicrocents)", "count", *TOKENS]
    for title, field in (("model", "model"), ("person", "person")):
        answer = server.get("/api/v1/messages/aggregate", type="ai.generation", groupBy=field, metric=metrics)
        table(title, answer["rows"], field)


def verify(server):
    want, have = expected_totals(), server.sums()
    wrong = {name: (have[name], value) for name, value in want.items() if have[name] != value}
    for name, (got, value) in wrong.items():
        print(f"{name}: {got}, expected {value}", file=sys.stderr)
    print("\nverified: every total equals the recordings' expected results" if not wrong else "\nTOTALS DIFFER")
    return not wrong


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--once", action="store_true", help="verify the totals and exit 0 or 1")
    options.add_argument("--outage", type=float, default=0, help="stop the server for this many seconds in the middle")
    args = options.parse_args()

    folder = ROOT / "build" / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    programs.PASSWORD = secrets.token_urlsafe(12)
    server = programs.Server(folder).set_up()
    agent = programs.Agent(folder, server.url, server.token)

    def at_half():
        if args.outage:
            print(f"server killed for {args.outage:g} s")
            server.program.kill()
            time.sleep(args.outage)
            server.start()

    try:
        server.start()
        agent.start()
        sent = send_all(agent, at_half)
        programs.wait_until(lambda: agent.backlog() == 0, 60, "empty spool")
        print(f"{sent} recorded requests through the relay {agent.url} into {server.url}")
        show_usage(server)
        ok = verify(server)
        if args.once:
            return 0 if ok else 1
        print(f"\nportal and API   {server.url}\nlogin            {server.email}  {programs.PASSWORD}"
              f"\nsend telemetry   OTEL_EXPORTER_OTLP_ENDPOINT={agent.url}\nstop             Ctrl-C", flush=True)
        while True:
            time.sleep(1)
            server.program.check_alive()
            agent.program.check_alive()
    except KeyboardInterrupt:
        return 0
    except AssertionError as fault:
        print(f"make run: {fault}\n  fix: see {folder}/server.log and {folder}/agent.log", file=sys.stderr)
        return 1
    finally:
        for program in (agent.program, server.program):
            if program.process:
                program.stop()


if __name__ == "__main__":
    sys.exit(main())
