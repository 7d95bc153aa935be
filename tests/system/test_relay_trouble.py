"""The network as it is: proxies, wrong certificates, names that do not resolve, silence, resets, outages. One agent
meets all of it at once: a destination in trouble holds up no other, and gets everything once its trouble ends.

CT_OUTAGE_S is the length of the outages (make soak: minutes)."""
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import load, otlp, programs  # noqa: E402
from tests.system.support.certificates import Authority  # noqa: E402
from tests.system.support.peers import Destination, Proxy  # noqa: E402

OUTAGE_S = float(os.environ.get("CT_OUTAGE_S", "8"))
RECORDS, REQUESTS = 5, 20
BACK_WITHIN_S = 20


class Trouble(unittest.TestCase):
    def setUp(self):
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)
        self.ours, self.theirs = Authority(self.folder / "ours"), Authority(self.folder / "theirs", "somebody else")

    def keep(self, peer):
        self.addCleanup(peer.close)
        return peer

    def destination(self, **how):
        return self.keep(Destination(**how))

    def agent(self, destinations, environment=None):
        """An agent for `destinations` (name -> further lines of YAML), its environment with our variables alone."""
        agent = programs.Agent(self.folder, "http://127.0.0.1:1")
        (agent.root / "ca.pem").write_bytes(self.ours.file.read_bytes())
        self.configure(agent, destinations)
        settings = [f"{name}={value}" for name, value in (environment or {}).items()]
        agent.program.command = ["/usr/bin/env", "-i", f"PATH={os.environ['PATH']}", *settings, *agent.program.command]
        self.addCleanup(agent.program.stop)
        return agent

    @staticmethod
    def configure(agent, destinations):
        head = agent.config.read_text().partition("destinations:")[0]
        each = [f"  - {{ name: {name}, ca_file: /ca.pem, {more} }}" for name, more in destinations.items()]
        agent.config.write_text(head + "destinations:\n" + "\n".join(each) + "\n")

    @staticmethod
    def send(agent, first=0, count=REQUESTS):
        sent = set()
        for number in range(first, first + count):
            marks = [f"mark-{number}-{i}" for i in range(RECORDS)]
            status, _, _ = programs.http("POST", agent.url + "/v1/logs", otlp.marked_request(marks),
                                         {"Content-Type": "application/x-protobuf"})
            assert status == 200, status
            sent.update(mark.encode() for mark in marks)
        return sent

    def expect_each_once(self, destination, sent, limit_s=BACK_WITHIN_S, what="delivery"):
        programs.wait_until(lambda: len(destination.counts()) >= len(sent), limit_s, what)
        self.assertEqual(destination.counts(), {mark: 1 for mark in sent}, what)

    def test_every_trouble_at_once_holds_up_nobody_and_loses_nothing(self):
        loopback = "IP:127.0.0.1"
        good = self.ours.issue("good", loopback)
        named = self.ours.issue("named", "DNS:collector.example.test,DNS:other.example.test")
        peers = {
            "plain": self.destination(),
            "tls": self.destination(certificate=good),
            "proxied": self.destination(certificate=named),
            "proxied-plain": self.destination(),
            "unknown-authority": self.destination(certificate=self.theirs.issue("stranger", loopback)),
            "wrong-host": self.destination(certificate=named),
            "expired": self.destination(certificate=self.ours.issue("expired", loopback, days=-1)),
            "silent": self.destination(trouble="silent"),
            "resets": self.destination(trouble="resets"),
            "no-proxy": self.destination(),
            "dead-proxy": self.destination(certificate=named),
            "refusing-proxy": self.destination(certificate=named),
        }
        proxy = self.keep(Proxy({"collector.example.test": peers["proxied"].port, "plain.example.test": peers["proxied-plain"].port}))
        refusing = self.keep(Proxy({"other.example.test": peers["refusing-proxy"].port}, refuses=True))
        dead, refused = programs.free_port(), programs.free_port()

        def at(name, scheme="https"):
            return f"endpoint: '{scheme}://127.0.0.1:{peers[name].port}'"
        config = {
            "plain": at("plain", "http"), "tls": at("tls"),
            "proxied": "endpoint: https://collector.example.test", "proxied-plain": "endpoint: http://plain.example.test",
            "unknown-authority": at("unknown-authority"), "wrong-host": at("wrong-host"), "expired": at("expired"),
            "silent": at("silent", "http") + ", timeout_seconds: 1", "resets": at("resets", "http"),
            "no-proxy": "endpoint: https://direct.invalid",
            "dead-proxy": f"endpoint: https://other.example.test, proxy: 'http://127.0.0.1:{dead}'",
            "refusing-proxy": f"endpoint: https://other.example.test, proxy: '{refusing.url}'",
            "refused": f"endpoint: 'http://127.0.0.1:{refused}'",
        }
        agent = self.agent(config, {"HTTPS_PROXY": proxy.url, "http_proxy": proxy.url, "NO_PROXY": "direct.invalid"}).start()
        started = time.monotonic()
        sent = self.send(agent)
        fine = ("plain", "tls", "proxied", "proxied-plain")
        for name in fine:
            self.expect_each_once(peers[name], sent, 5, f"delivery to {name} beside destinations in trouble")
        self.assertLess(time.monotonic() - started, 5)

        said = {"unknown-authority": "TLS", "wrong-host": "TLS", "expired": "TLS", "no-proxy": "resolve", "silent": "",
                "resets": "", "dead-proxy": "connect", "refusing-proxy": "407", "refused": "connect"}

        def all_in_trouble():
            states = {d["name"]: d for d in agent.status()["destinations"]}
            wrong = {name: states[name] for name, word in said.items()
                     if states[name]["state"] != "retrying" or word.lower() not in states[name]["last_error"].lower()
                     or not states[name]["last_error"] or states[name]["backlog_records"] != REQUESTS * RECORDS}
            if wrong:
                raise ValueError(wrong)
            return all(states[name]["state"] == "ok" for name in fine)
        programs.wait_until(all_in_trouble, 15, "every trouble seen and named")
        asked = {host for _, host in proxy.asked}
        self.assertEqual(asked, {"collector.example.test", "plain.example.test"}, "loopback and NO_PROXY go past the proxy")

        for name in ("unknown-authority", "wrong-host", "expired"):
            self.assertEqual(peers[name].requests, 0, "nothing is sent before the certificate is right")
            peers[name].use(good)
        peers["silent"].recover()
        peers["resets"].recover()
        refusing.refuses = False
        self.keep(Proxy({"other.example.test": peers["dead-proxy"].port}, port=dead))
        peers["refused"] = self.destination(port=refused)
        config["no-proxy"] = at("no-proxy", "http")
        self.configure(agent, config)
        agent.program.process.send_signal(signal.SIGHUP)
        sent |= self.send(agent, REQUESTS, 5)
        for name, peer in peers.items():
            self.expect_each_once(peer, sent, what=f"delivery to {name} after its trouble")
        programs.wait_until(lambda: agent.backlog() == 0, what="an empty queue")
        self.assertEqual(agent.status()["ledger"], [])

    def test_the_backlog_of_an_outage_is_delivered_within_ten_seconds(self):
        port = programs.free_port()
        agent = self.agent({"central": f"endpoint: 'http://127.0.0.1:{port}'"}).start()
        generator = load.Load(agent.port, clients=2, records=RECORDS, pause_s=0.02)
        try:
            time.sleep(OUTAGE_S)  # the outage itself
            destination = self.destination(port=port)
            back = time.monotonic()
            due = {mark.encode() for mark in set(generator.acked)}
            programs.wait_until(lambda: due <= set(destination.counts()), 10, "the backlog")
            print(f"{len(due)} records of {OUTAGE_S:.0f} s came within {time.monotonic() - back:.1f} s")
        finally:
            acked = {mark.encode() for mark in generator.stop()}
        self.assertEqual((generator.refused, generator.broken), (0, 0), "clients never see the outage")
        self.expect_each_once(destination, acked)
        self.assertEqual(agent.status()["ledger"], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
