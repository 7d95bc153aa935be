"""A restart under load: with the service manager holding the socket nothing is refused, and gRPC streams end in order."""
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import otlp, programs  # noqa: E402
from tests.system.support.peers import Destination  # noqa: E402

RESTARTS = int(os.environ.get("CT_RESTARTS", "3"))


class Knocker:
    """Posts marked requests, each on a connection of its own, and remembers what became of them."""

    def __init__(self, port, clients=3):
        self.acked, self.failures, self.longest_s, self._over = set(), [], 0.0, threading.Event()
        self._port, self._lock = port, threading.Lock()
        self._threads = [threading.Thread(target=self._client, args=(i,)) for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def _client(self, number):
        for i in range(10 ** 9):
            if self._over.is_set():
                return
            mark = f"mark-{number}{i:06}-0"
            begun = time.monotonic()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
                connection.request("POST", "/v1/logs", otlp.marked_request([mark]), {"Content-Type": "application/x-protobuf"})
                status = connection.getresponse().status
                connection.close()
            except (OSError, http.client.HTTPException) as fault:
                status = repr(fault)
            with self._lock:
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
                if status == 200:
                    self.acked.add(mark.encode())
                else:
                    self.failures.append(status)
            time.sleep(0.002)

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


class Restart(unittest.TestCase):
    def setUp(self):
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)

    def run_agent(self, agent, listening):
        def give_socket():
            os.dup2(listening.fileno(), 3)
        with open(agent.program.log, "ab") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', programs.AGENT, "run", "--root", agent.root],
                env={"LISTEN_FDS": "1", "PATH": os.environ["PATH"]}, preexec_fn=give_socket, close_fds=False,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def restart_under_load(self, destination_url, restarts=RESTARTS):
        listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.addCleanup(listening.close)
        port = listening.getsockname()[1]
        agent = programs.Agent(self.folder, destination_url, port=port)
        process = self.run_agent(agent, listening)
        knocker = Knocker(port)
        try:
            for _ in range(restarts):
                before = len(knocker.acked)
                programs.wait_until(lambda: len(knocker.acked) > before + 50, 20, "load")
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(20), 0)
                process = self.run_agent(agent, listening)
            before = len(knocker.acked)
            programs.wait_until(lambda: len(knocker.acked) > before + 50, 20, "load")
        finally:
            knocker.stop()
            process.terminate()
            process.wait(20)
        print(f"{restarts} restarts, {len(knocker.acked)} requests, the slowest took {knocker.longest_s * 1000:.0f} ms")
        self.assertEqual(knocker.failures, [])
        return knocker

    def test_no_request_is_refused_while_the_service_manager_holds_the_socket(self):
        destination = Destination()
        self.addCleanup(destination.close)
        knocker = self.restart_under_load(f"http://127.0.0.1:{destination.port}")
        self.assertEqual(destination.counts(), {mark: 1 for mark in knocker.acked})

    def test_a_destination_that_does_not_answer_keeps_no_client_waiting(self):
        destination = Destination(trouble="silent")
        self.addCleanup(destination.close)
        knocker = self.restart_under_load(f"http://127.0.0.1:{destination.port}", 1)
        self.assertLess(knocker.longest_s, 3, "the relay answers while it says goodbye to destinations")


if __name__ == "__main__":
    unittest.main(verbosity=2)
