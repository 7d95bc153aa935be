#!/usr/bin/env python3
"""How long the overview page takes over many rows, beside the same sums computed from the rows,
and what ingest keeps while such sums are computed.

    python3 bench/overview.py [--people 200] [--days 90] [--copies 4] [--folder DIR]

Fills a server with a made-up company's days, copies them into the time before to have more rows
(--people 500 --days 31 --copies 12 are about ten million, a year of them), and measures the release
build from outside. With --folder what was filled is kept there, and used again.
"""
import argparse
import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import sqlite3
import statistics
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tests.support import company  # noqa: E402
from tests.system.support import programs  # noqa: E402

DAY_NS = 86400 * 10**9
TRIES = 15
ASKERS = 4
INGEST_S = 8


def earlier_key(key, shift_ms):
    """The same moment `shift_ms` earlier, and another record."""
    return (int.from_bytes(key[:6], "big") - shift_ms).to_bytes(6, "big") + os.urandom(10)


def copy_back(path, days, copies):
    """The same days again, `days` earlier each time: rows, daily sums and daily usage."""
    db = sqlite3.connect(path)
    db.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-400000")
    db.create_function("earlier_key", 2, earlier_key)
    names = {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
             for table in ("message", "rollup", "usage_event", "usage_metric")}
    sent, newest = db.execute("SELECT (SELECT max(id) FROM message), (SELECT max(day) FROM rollup)").fetchone()
    for copy in range(1, copies):
        shift = copy * days
        columns = ",".join(n for n in names["message"] if n != "id")
        values = ",".join({"key": f"earlier_key(key, {shift * DAY_NS // 10**6})", "time_ns": f"time_ns-{shift * DAY_NS}",
                           "join_hash": "NULL", "parent_join": "NULL"}.get(n, n) for n in names["message"] if n != "id")
        db.execute(f"INSERT INTO message({columns}) SELECT {values} FROM message WHERE id<=?1", (sent,))
        for table in ("rollup", "usage_event", "usage_metric"):
            values = ",".join(f"day-{shift}" if n == "day" else n for n in names[table])
            db.execute(f"INSERT INTO {table} SELECT {values} FROM {table} WHERE day>?1", (newest - days,))
        db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def count_rows(path):
    db = sqlite3.connect(path)
    rows = db.execute("SELECT count(*) FROM message").fetchone()[0]
    db.close()
    return rows


def cpu_ms(pid):
    """What the process has used of the processor, which other work on the machine hardly changes."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e6


def measure(server, ask):
    times, used = [], []
    try:
        ask()
        for _ in range(TRIES):
            began, before = time.monotonic(), cpu_ms(server.program.process.pid)
            ask()
            times.append((time.monotonic() - began) * 1000)
            used.append(cpu_ms(server.program.process.pid) - before)
    except urllib.error.HTTPError as refused:
        return f"answered {refused.code}"
    return f"best {min(times):7.1f} ms, median {statistics.median(times):7.1f} ms; of the processor {min(used):6.1f} ms"


def raw(server, path, **query):
    """Status and milliseconds, whatever the status."""
    url = f"{path}?{urllib.parse.urlencode(query, doseq=True)}"
    began = time.monotonic()
    status, _, _ = programs.http("GET", server.url + url, headers={"Authorization": f"Bearer {server.jwt}"}, timeout_s=60)
    return status, (time.monotonic() - began) * 1000


def send_for(server, bodies, seconds):
    """Posts one request after the other on one connection; the milliseconds of each."""
    times, end = [], time.monotonic() + seconds
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=60)
    for path, body in bodies:
        began = time.monotonic()
        connection.request("POST", path, body, {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {server.token}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        times.append((time.monotonic() - began) * 1000)
        if time.monotonic() > end:
            break
    connection.close()
    return times


def show_ingest(name, times):
    times.sort()
    print(f"{name:<28}{1000 * len(times) / sum(times):8.0f} requests/s, p50 {times[len(times) // 2]:6.1f} ms, "
          f"p99 {times[len(times) * 99 // 100]:6.1f} ms, worst {times[-1]:6.1f} ms")
    return 1000 * len(times) / sum(times)


def measure_ingest(server, people):
    """One sender alone; then beside askers who group every row by an attribute, without end."""
    bodies = company.requests(people, 2, seed=time.time_ns())
    alone = show_ingest("ingest alone", send_for(server, bodies, INGEST_S))
    stop, answers = threading.Event(), []

    def ask():
        while not stop.is_set():
            answers.append(raw(server, "/api/v1/messages/aggregate", groupBy="metadata.session.id", metric=["count", "p99(durationMs)"]))

    with concurrent.futures.ThreadPoolExecutor(ASKERS) as pool:
        for _ in range(ASKERS):
            pool.submit(ask)
        beside = show_ingest(f"ingest beside {ASKERS} askers", send_for(server, bodies, INGEST_S))
        stop.set()
    statuses = {status: sum(1 for s, _ in answers if s == status) for status, _ in answers}
    print(f"{'':<28}askers were answered {statuses}, the slowest after {max(ms for _, ms in answers) / 1000:.1f} s; "
          f"ingest kept {beside / alone:.2f}")


@contextlib.contextmanager
def folder_of(path):
    if not path:
        with programs.Folder() as folder:
            yield folder
    else:
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        yield pathlib.Path(path)


def fill(server, folder, o):
    marker = folder / "token"
    if marker.exists():
        server.token, server.email = marker.read_text(), "admin@example.com"
        return
    server.set_up().start()
    company.Sender(server.url, server.token).send(company.requests(o.people, o.days, prompts=o.prompts, traced_days=1))
    server.program.stop()
    copy_back(server.data / "messages.db", o.days, o.copies)
    marker.write_text(server.token)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--prompts", type=float, default=3)
    parser.add_argument("--folder")
    o = parser.parse_args()
    with folder_of(o.folder) as folder, contextlib.ExitStack() as stopping:
        server = programs.Server(folder)
        fill(server, pathlib.Path(folder), o)
        server.start()
        stopping.callback(server.program.stop)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
        form = urllib.parse.urlencode({"email": server.email, "password": programs.PASSWORD}).encode()
        opener.open(server.url + "/login", form).read()
        page = lambda path: opener.open(server.url + path).read()  # noqa: E731
        began = time.gmtime(time.time() - 29 * 86400)
        names = ["sum(costMicrocents)", "count", "uniq(person)"]
        ask = lambda clock, **what: server.get(  # noqa: E731
            "/api/v1/messages/aggregate", type="ai.generation",
            **{"metric": names, "from": time.strftime("%Y-%m-%d" + clock, began), **what})
        print(f"{count_rows(server.data / 'messages.db'):,} rows of {o.people} people")
        print(f"overview, 30 days           {measure(server, lambda: page('/'))}")
        print(f"overview, 365 days          {measure(server, lambda: page('/?days=365'))}")
        print(f"by model, 30 days, sums     {measure(server, lambda: ask('', groupBy='model'))}")
        print(f"by day, 30 days, sums       {measure(server, lambda: ask('', interval='day'))}")
        print(f"by person, 30 days, sums    {measure(server, lambda: ask('', groupBy='person'))}")
        print(f"sessions, 30 days, sums     {measure(server, lambda: ask('', metric='uniq(sessionId)'))}")
        status, ms = raw(server, "/api/v1/messages/aggregate", type="ai.generation", groupBy="model", metric=names,
                         **{"from": time.strftime("%Y-%m-%dT00:00:01Z", began)})
        print(f"by model, 30 days, rows     {ms:.0f} ms, answered {status}")
        print(f"messages, newest            {measure(server, lambda: page('/messages'))}")
        print(f"one person's messages       {measure(server, lambda: page('/messages?person=ada.abbas%40example.com'))}")
        measure_ingest(server, o.people)


if __name__ == "__main__":
    main()
