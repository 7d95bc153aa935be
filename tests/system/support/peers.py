"""What the relay meets on its way: OTLP destinations that misbehave on demand, and a proxy."""
import collections
import gzip
import http.server
import re
import socket
import socketserver
import ssl
import struct
import threading

MARK = re.compile(rb"mark-\d+-\d")  # the byte behind it may be a digit too: ten records a request at most


class Destination:
    """Counts the marks of every request it answered with success. `trouble` is one of
    None, "silent" (takes the request, never answers) and "resets" (cuts the connection in the middle of the body)."""

    def __init__(self, port=0, certificate=None, trouble=None):
        self.marks, self.requests, self.connections = collections.Counter(), 0, 0
        self.trouble, self._lock, self._over = trouble, threading.Lock(), threading.Event()
        self._tls = None
        if certificate:
            self.use(certificate)
        destination = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                destination.take(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def get_request(self):
                connection, address = self.socket.accept()
                destination.connections += 1
                if destination._tls:
                    connection.settimeout(10)
                    connection = destination._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                return connection, address

            def handle_error(self, *_):
                pass  # who does not trust us, or is cut, hangs up

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def use(self, certificate):
        """Shows this (certificate, key) from the next connection on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self._tls = context

    def take(self, handler):
        with self._lock:
            self.requests += 1
        length = int(handler.headers["Content-Length"])
        if self.trouble == "resets":
            handler.rfile.read(length // 2)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            return
        body = handler.rfile.read(length)
        if self.trouble == "silent":
            self._over.wait(60)
            handler.close_connection = True
            return
        if handler.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        with self._lock:
            self.marks.update(MARK.findall(body))
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def recover(self):
        self.trouble = None
        self._over.set()

    def counts(self):
        with self._lock:
            return dict(self.marks)

    def close(self):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


class Proxy:
    """An HTTP proxy that tunnels CONNECT and forwards absolute URLs, to the ports that `hosts` (name -> port) says."""

    def __init__(self, hosts, port=0, refuses=False):
        self.asked, self.refuses = [], refuses
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = self.rfile.readline()
                    if not line:
                        return
                    head += line
                proxy.forward(self, head)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

            def handle_error(self, *_):
                pass

        self.hosts = hosts
        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def forward(self, handler, head):
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        host = re.sub(r"^http://|/.*$", "", target).partition(":")[0]
        self.asked.append((method, host))
        if self.refuses or host not in self.hosts:
            handler.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", self.hosts[host])) as upstream:
            if method == "CONNECT":
                handler.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                upstream.sendall(re.sub(rb"http://[^/]*/", b"/", head, count=1))
            back = threading.Thread(target=pump, args=(upstream, handler.connection), daemon=True)
            back.start()
            while data := handler.rfile.read1(65536):
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)
            back.join(10)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
