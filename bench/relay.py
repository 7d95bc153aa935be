#!/usr/bin/env python3
"""The whole relay from outside: the release build with stock settings between a load generator and a destination,
each figure beside its goal and the relay's beside the floor of this machine measured in the same minutes.

  bench/relay.py [--seconds 5] [--backlog-mib 256] [--kills 5] [--rt] [--only NAME,...]

--rt runs everything under SCHED_RR (root), so that the machine's other work disturbs less. Needs build/bench (bench/run.sh)."""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.system.support import otlp, programs  # noqa: E402

TOOLS = ROOT / "build" / "bench"
MARK = "mark-000000000000-0000000000000000"
MB = 1e6


def write_body(path, records, record_bytes=700):
    lone = len(otlp.marked_request([MARK]))
    path.write_bytes(otlp.marked_request([MARK] * records, prompt="x" * max(0, record_bytes - lone)))
    return path


def proc(pid, name):
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def memory(pid, key):
    """VmRSS, RssAnon, ... in bytes."""
    line = next((line for line in proc(pid, "status").splitlines() if line.startswith(key + ":")), "x 0")
    return int(line.split()[1]) * 1024


def cpu_s(pid):
    fields = proc(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0


def written(pid):
    return int(next((line.split()[1] for line in proc(pid, "io").splitlines() if line.startswith("write_bytes")), 0))


def wakeups(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int(line.split()[1]) for task in tasks for line in (task / "status").read_text().splitlines()
               if line.startswith("voluntary_ctxt_switches"))


class Sink:
    """The destination; its counts outlive it."""

    def __init__(self, folder, port):
        self.counts, self.port, self.process = folder / "counts", port, None

    def start(self):
        self.process = subprocess.Popen([TOOLS / "relay_sink", str(self.port), self.counts], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        return self

    def stop(self):
        """Ends it; how long records were on their way."""
        if not self.process:
            return None
        self.process.terminate()
        told = self.process.communicate()[0]
        self.process = None
        return json.loads(told)

    def arrived(self, numbers):
        """How many of the records below `numbers` came."""
        with open(self.counts, "rb") as file:
            return numbers - file.read(numbers).count(0)

    def copies(self, numbers):
        """How many came once more than they should."""
        with open(self.counts, "rb") as file:
            return sum(file.read(numbers)) - self.arrived(numbers)

    def lost(self, acks):
        with open(self.counts, "rb") as file:
            counts = file.read()
        return sum(counts[first:first + records].count(0) for records, firsts in acks for first in firsts)


class Bench:
    def __init__(self, options):
        self.options, self.failures = options, 0
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="relay-bench-", dir=options.dir))
        self.small = write_body(self.folder / "small", 5)
        self.large = write_body(self.folder / "large", 1500)
        self.middling = write_body(self.folder / "middling", 150)
        self.agent = self.sink = None
        self.forget()

    # ---- Parts ----

    def forget(self):
        self.numbers, self.acks, self.peak = 0, [], 0


    def fresh(self, sink_up=True):
        """A relay with an empty spool and stock settings, and its destination."""
        self.end()
        shutil.rmtree(self.folder / "agent-root", ignore_errors=True)
        (self.folder / "counts").unlink(missing_ok=True)
        self.sink = Sink(self.folder, programs.free_port())
        if sink_up:
            self.sink.start()
        self.agent = programs.Agent(self.folder, f"http://127.0.0.1:{self.sink.port}")
        self.agent.config.write_text(self.agent.config.read_text().replace("  spool: { min_free_disk_mib: 0 }\n", ""))
        self.agent.start()
        self.forget()

    def end(self):
        if self.agent:
            self.agent.program.stop()
        if self.sink:
            self.sink.stop()
        self.agent = self.sink = None

    @property
    def pid(self):
        return self.agent.program.process.pid

    def begin_load(self, body, connections, seconds, rate=0, port=None):
        acks = self.folder / f"acks-{self.numbers}"
        process = subprocess.Popen([TOOLS / "relay_load", str(port or self.agent.port), body, str(connections), str(seconds),
                                    str(rate), str(self.numbers), acks], stdout=subprocess.PIPE, text=True)
        return process, acks

    def end_load(self, begun):
        process, acks = begun
        while process.poll() is None:
            if self.agent and self.agent.program.process:
                self.peak = max(self.peak, memory(self.pid, "VmRSS"))
            time.sleep(0.05)
        told = json.loads(process.stdout.read())
        data = acks.read_bytes()
        self.acks.append((told["records"], memoryview(data).cast("Q").tolist()))
        self.numbers += told["requests"] * told["records"]
        return told

    @property
    def acknowledged(self):
        """Records in all."""
        return sum(records * len(firsts) for records, firsts in self.acks)

    def warm_up(self):
        """Lets the relay write the zeros of its first two segments."""
        self.load(self.large, 4, 0.5)
        self.delivered()

    def load(self, *args, **more):
        return self.end_load(self.begin_load(*args, **more))

    def delivered(self, limit_s=120):
        """Waits until all that was acknowledged arrived, or nothing more comes; seconds it took."""
        begun, last, since = time.monotonic(), -1, time.monotonic()
        while time.monotonic() - begun < limit_s:
            self.peak = max(self.peak, memory(self.pid, "VmRSS"))
            seen = self.sink.arrived(self.numbers)
            if seen >= self.acknowledged and self.sink.lost(self.acks) == 0:
                break  # more may come than was acknowledged: what a kill cut off
            if seen != last:
                last, since = seen, time.monotonic()
            elif time.monotonic() - since > 30:
                break
            time.sleep(0.05)
        return time.monotonic() - begun

    def say(self, what, value, unit, goal=None, most=None, least=None):
        ok = (most is None or value <= most) and (least is None or value >= least)
        self.failures += not ok
        goal = goal or (f"<= {most:g}" if most is not None else f">= {least:g}" if least is not None else "")
        print(f"  {what:44} {value:12.6g} {unit:14} {goal:12} {'' if most is None and least is None else 'ok' if ok else 'MISSED'}", flush=True)

    def say_kept(self):
        self.say("acknowledged and lost", self.sink.lost(self.acks), "records", most=0)

    def start_again(self):
        """After a kill; seconds until it takes requests."""
        begun = time.monotonic()
        self.agent.program.start()
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.agent.port), 1).close()
                return time.monotonic() - begun
            except OSError:
                self.agent.program.check_alive()
                time.sleep(0.001)

    # ---- Scenarios ----

    def idle(self):
        self.fresh()
        time.sleep(12)  # the relay gives back after ten
        before, begun, switches = cpu_s(self.pid), time.monotonic(), wakeups(self.pid)
        time.sleep(10)
        wall = time.monotonic() - begun
        self.say("resident", memory(self.pid, "VmRSS") / MB, "MB", most=5)
        self.say("anonymous", memory(self.pid, "RssAnon") / MB, "MB", most=1.5)
        self.say("CPU", (cpu_s(self.pid) - before) * 1000 / wall, "ms/s", most=0.5)
        self.say("wake-ups", (wakeups(self.pid) - switches) / wall, "1/s", most=1)

    def floor(self, body, connections, seconds):
        process = subprocess.Popen([TOOLS / "relay_floor", self.folder / "floor"], stdout=subprocess.PIPE, text=True)
        try:
            self.forget()
            return self.load(body, connections, seconds, port=int(process.stdout.readline()))
        finally:
            process.kill()
            process.communicate()

    def closed_loop(self, body, connections, least_ratio=None, most_disk=1.10):
        seconds = self.options.seconds
        self.end()
        floor = self.floor(body, connections, seconds)
        self.fresh()
        self.warm_up()
        cpu, disk = cpu_s(self.pid), written(self.pid)
        told = self.load(body, connections, seconds)
        backlog = self.agent.backlog()
        late = self.delivered()
        records, payload = told["acked"] * told["records"], told["acked"] * told["body_bytes"]
        rate = told["acked"] / told["seconds"]
        self.say("accepted durably", rate, "requests/s")
        self.say("of the floor", rate / (floor["acked"] / floor["seconds"]), "", least=least_ratio)
        self.say("payload", payload / told["seconds"] / MB, "MB/s")
        self.say("acknowledged after p50", told["p50_us"] / 1000, "ms", goal=f"floor {floor['p50_us'] / 1000:g}")
        self.say("acknowledged after p99", told["p99_us"] / 1000, "ms", goal=f"floor {floor['p99_us'] / 1000:g}")
        self.say("CPU for a million records, delivery included", (cpu_s(self.pid) - cpu) / records * 1e6, "s")
        self.say("disk bytes for a payload byte", (written(self.pid) - disk) / payload, "", most=most_disk)
        self.say("not yet delivered when the load ends", backlog, "requests", goal=f"then {late:.1f} s")
        self.say("most resident", self.peak / MB, "MB", most=32)
        self.say_kept()

    def many(self):
        self.closed_loop(self.small, 16, 0.5)

    def one(self):
        self.closed_loop(self.small, 1, most_disk=2.5)

    def big(self):
        self.closed_loop(self.large, 4)

    def rate(self):
        self.fresh()
        self.warm_up()
        self.sink.stop()
        self.sink.start()
        cpu, disk = cpu_s(self.pid), written(self.pid)
        told = self.load(self.small, 16, self.options.seconds * 2, rate=500)
        self.delivered()
        records = told["acked"] * 5
        self.say("refused or broken", told["refused"] + told["broken"], "requests", most=0)
        self.say("acknowledged after p99", told["p99_us"] / 1000, "ms", most=2)
        self.say("CPU for a million records, delivery included", (cpu_s(self.pid) - cpu) / records * 1e6, "s")
        self.say("disk bytes for a payload byte", (written(self.pid) - disk) / (told["acked"] * told["body_bytes"]), "", most=2.5)
        self.say_kept()
        way = self.sink.stop()
        self.say("from client to destination p50", way["p50_ms"], "ms", most=50)
        self.say("from client to destination p99", way["p99_ms"], "ms", most=150)

    def outage(self):
        self.fresh(sink_up=False)
        told = self.load(self.small, 16, self.options.outage, rate=500)
        begun = time.monotonic()
        self.sink.start()
        self.delivered()
        self.say("outage", self.options.outage, "s")
        self.say("refused or broken", told["refused"] + told["broken"], "requests", most=0)
        self.say("all delivered after the outage", time.monotonic() - begun, "s", most=10)
        self.say_kept()

    def kills(self):
        self.fresh()
        chance, starts = random.Random(self.options.seed), []
        print(f"  seed {self.options.seed}")
        for _ in range(self.options.kills):
            begun = self.begin_load(self.small, 16, 30, rate=2000)
            time.sleep(chance.uniform(0.3, 1.2))
            self.agent.program.kill()
            begun[0].send_signal(signal.SIGTERM)
            self.end_load(begun)
            starts.append(self.start_again())
        self.delivered()
        self.say("taking requests after a kill", sorted(starts)[len(starts) // 2] * 1000, "ms (median)", most=50)
        self.say("copies too many", self.sink.copies(self.numbers) / self.options.kills, "records a kill", goal="one batch")
        self.say_kept()

    def backlog(self):
        self.fresh(sink_up=False)
        spool = self.agent.root / "var/lib/claude-telemetry/spool"
        body_bytes = self.middling.stat().st_size
        while self.acknowledged / 150 * body_bytes < self.options.backlog_mib * 2 ** 20 * 0.85:  # below the spool's limit
            if self.load(self.middling, 4, 0.5)["refused"]:
                break
        queued = self.acknowledged / 150 * body_bytes / MB
        kept = sum(file.stat().st_blocks * 512 for file in spool.rglob("*") if file.is_file())
        self.say("queued", queued, "MB", goal=f"on disk {kept / MB:.0f}")
        self.agent.program.kill()
        self.say("taking requests after a kill", self.start_again() * 1000, "ms", most=50)
        self.sink.start()
        begun = time.monotonic()
        self.delivered(600)
        self.say("delivered", queued / (time.monotonic() - begun), "MB/s")
        self.say("most resident", self.peak / MB, "MB", most=32)
        self.say_kept()
        begun = time.monotonic()
        while (left := sum(file.stat().st_blocks * 512 for file in spool.rglob("*") if file.is_file())) > 16 * MB:
            if time.monotonic() - begun > 30:
                break
            time.sleep(0.1)
        self.say("disk given back after", time.monotonic() - begun, "s", goal=f"{left / MB:.0f} MB left", most=10)


SCENARIOS = {"idle": "nothing happens", "many": "16 connections, 5 records a request", "one": "one connection",
             "big": "1 MB bodies, 4 connections", "rate": "500 requests a second", "outage": "destination refuses connections",
             "kills": "kill -9 under load", "backlog": "a long queue, a kill, delivery"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--outage", type=float, default=10)
    parser.add_argument("--backlog-mib", type=int, default=256)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(10 ** 6))
    parser.add_argument("--dir", help="where the spool lies; a temporary folder")
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--rt", action="store_true")
    options = parser.parse_args()
    if options.rt:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    bench = Bench(options)
    try:
        for name in options.only.split(","):
            print(f"{name}: {SCENARIOS[name]}")
            getattr(bench, name)()
    finally:
        bench.end()
        shutil.rmtree(bench.folder, ignore_errors=True)
    print(f"{bench.failures} goals missed; on a machine that does other work, times and CPU are no measure")


if __name__ == "__main__":
    main()
