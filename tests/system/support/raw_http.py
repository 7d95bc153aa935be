"""HTTP by the byte: what a test sends is exactly what arrives."""
import socket


class Raw:
    """One connection. answer() is (status, headers in lower case, body), or None when it ended instead."""

    def __init__(self, port, limit_s=25):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(limit_s)
        self._seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # refused already: answer() tells
        return self

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._seen += data
        return data

    def answer(self, without_body=False):
        while b"\r\n\r\n" not in self._seen:
            if not self._more():
                return None
        head, self._seen = self._seen.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        length = 0 if without_body or status < 200 else int(headers.get("content-length", 0))
        while len(self._seen) < length and self._more():
            pass
        body, self._seen = self._seen[:length], self._seen[length:]
        return status, headers, body

    def is_closed(self):
        """Waits for the end; false when the connection stays open instead."""
        self.socket.settimeout(5)
        try:
            while self._more():
                pass
            return True
        except TimeoutError:
            return False
