"""A bounded load of marked records that remembers which of them were acknowledged."""
import http.client
import itertools
import threading
import time

from . import otlp


class Load:
    """Clients post marked requests to PORT until stop(); `acked` holds the marks answered with 200."""

    def __init__(self, port, clients=4, records=5, pause_s=0.005, limit_s=600):
        self.acked, self.refused, self.broken = set(), 0, 0
        self._port, self._records, self._pause_s = port, records, pause_s
        self._end = time.monotonic() + limit_s
        self._numbers, self._lock, self._stop = itertools.count(), threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _client(self):
        connection = None
        while not self._stop.is_set() and time.monotonic() < self._end:
            with self._lock:
                first = next(self._numbers)
            marks = [f"mark-{first}-{i}" for i in range(self._records)]
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                connection.request("POST", "/v1/logs", otlp.marked_request(marks), {"Content-Type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                with self._lock:
                    if answer.status == 200:
                        self.acked.update(marks)
                    else:
                        self.refused += 1
            except (OSError, http.client.HTTPException):
                connection = None
                with self._lock:
                    self.broken += 1
                time.sleep(0.02)
            time.sleep(self._pause_s)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(15)
        return self.acked
