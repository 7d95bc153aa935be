#!/usr/bin/env python3
"""How long the overview page takes over many rows, beside the same sums computed from the rows.

    python3 bench/overview.py [--people 200] [--days 90] [--copies 4]

Fills a server with a made-up company's days, copies them into the time before to have more rows
(--copies 4 of 90 days are about a year), and measures the release build from outside.
"""
import argparse
import pathlib
import sqlite3
import statistics
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tests.support import company  # noqa: E402
from tests.system.support import programs  # noqa: E402

DAY_NS = 86400 * 10**9
TRIES = 9


def copy_back(path, days, copies):
    """The same days again, `days` earlier each time: rows, daily sums and daily usage."""
    db = sqlite3.connect(path)
    names = {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
             for table in ("message", "rollup", "usage_event", "usage_metric")}
    for copy in range(1, copies):
        shift = copy * days
        columns = ",".join(n for n in names["message"] if n != "id")
        values = ",".join({"key": "randomblob(16)", "time_ns": f"time_ns-{shift * DAY_NS}", "join_hash": "NULL",
                           "parent_join": "NULL"}.get(n, n) for n in names["message"] if n != "id")
        db.execute(f"INSERT INTO message({columns}) SELECT {values} FROM message WHERE id<=?1", (base(db, copy),))
        for table in ("rollup", "usage_event", "usage_metric"):
            values = ",".join(f"day-{shift}" if n == "day" else n for n in names[table])
            db.execute(f"INSERT INTO {table} SELECT {values} FROM {table} WHERE day>?1", (newest(db) - days,))
        db.commit()
    rows = db.execute("SELECT count(*) FROM message").fetchone()[0]
    db.close()
    return rows


def base(db, copy):
    """The largest id of the days that were really sent."""
    if copy == 1:
        base.id = db.execute("SELECT max(id) FROM message").fetchone()[0]
    return base.id


def newest(db):
    return db.execute("SELECT max(day) FROM rollup").fetchone()[0]


def measure(ask):
    ask()
    times = []
    for _ in range(TRIES):
        began = time.monotonic()
        ask()
        times.append((time.monotonic() - began) * 1000)
    return f"median {statistics.median(times):7.1f} ms, worst {max(times):7.1f} ms"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--copies", type=int, default=4)
    o = parser.parse_args()
    with programs.Folder() as folder:
        server = programs.Server(folder).set_up().start()
        company.Sender(server.url, server.token).send(company.requests(o.people, o.days, prompts=3, traced_days=1))
        server.program.stop()
        rows = copy_back(server.data / "messages.db", o.days, o.copies)
        server.start()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
        form = urllib.parse.urlencode({"email": server.email, "password": programs.PASSWORD}).encode()
        opener.open(server.url + "/login", form).read()
        page = lambda path: opener.open(server.url + path).read()  # noqa: E731
        began = time.gmtime(time.time() - 29 * 86400)
        names = ["sum(costMicrocents)", "count", "uniq(person)"]
        ask = lambda clock, **what: server.get(  # noqa: E731
            "/api/v1/messages/aggregate", type="ai.generation",
            **{"metric": names, "from": time.strftime("%Y-%m-%d" + clock, began), **what})
        print(f"{rows:,} rows of {o.people} people")
        print(f"overview, 30 days           {measure(lambda: page('/'))}")
        print(f"overview, 365 days          {measure(lambda: page('/?days=365'))}")
        print(f"by model, 30 days, sums     {measure(lambda: ask('', groupBy='model'))}")
        print(f"by day, 30 days, sums       {measure(lambda: ask('', interval='day'))}")
        print(f"by person, 30 days, sums    {measure(lambda: ask('', groupBy='person'))}")
        print(f"sessions, 30 days, sums     {measure(lambda: ask('', metric='uniq(sessionId)'))}")
        print(f"by model, 30 days, rows     {measure(lambda: ask('T00:00:01Z', groupBy='model'))}")
        print(f"messages, newest            {measure(lambda: page('/messages'))}")
        print(f"one person's messages       {measure(lambda: page('/messages?person=ada.abbas%40example.com'))}")
        server.program.stop()


if __name__ == "__main__":
    main()
