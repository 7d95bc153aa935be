"""A small Messages API on loopback: enough for the real Claude Code to run a prompt offline.

The first request of a conversation that offers a Bash tool is answered with one tool call, the next
with text, so one prompt gives two generations and one tool. Usage figures are fixed, so a test
knows what the bill must be: see TOOL_USAGE and TEXT_USAGE.
"""
import http.server
import itertools
import json
import threading

TOOL_USAGE = {"input_tokens": 120, "output_tokens": 45,
              "cache_creation_input_tokens": 2500, "cache_read_input_tokens": 1000}
TEXT_USAGE = {"input_tokens": 30, "output_tokens": 12,
              "cache_creation_input_tokens": 80, "cache_read_input_tokens": 3500}


class FakeMessages:
    """Serves on a free port of 127.0.0.1 from construction until close()."""

    def __init__(self, command="echo hello", text="All done."):
        self.command, self.text = command, text
        self.generations = []  # (request id, model, usage) in the order answered
        self._numbers = itertools.count(1)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self._plain(200, b"")

            def do_GET(self):
                self._plain(200, b"{}")

            def do_POST(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                if self.path.split("?")[0].endswith("/count_tokens"):
                    return self._plain(200, b'{"input_tokens": 10}')
                if not self.path.split("?")[0].endswith("/messages"):
                    return self._plain(200, b"{}")
                owner._answer(self, json.loads(body))

            def _plain(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler, request):
        number = next(self._numbers)
        request_id = f"req_test{number:06d}"
        tools = {tool.get("name") for tool in request.get("tools") or []}
        asked = any(isinstance(m.get("content"), list)
                    and any(part.get("type") == "tool_result" for part in m["content"])
                    for m in request["messages"])
        if "Bash" in tools and not asked:
            block = {"type": "tool_use", "id": f"toolu_test{number:06d}", "name": "Bash", "input": {}}
            delta = {"type": "input_json_delta",
                     "partial_json": json.dumps({"command": self.command, "description": "test"})}
            usage, stop = TOOL_USAGE, "tool_use"
        else:
            block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": self.text}
            usage, stop = TEXT_USAGE, "end_turn"
        self.generations.append((request_id, request["model"], usage))

        message = {"id": f"msg_test{number:06d}", "type": "message", "role": "assistant",
                   "model": request["model"], "content": [], "stop_reason": None,
                   "stop_sequence": None, "usage": dict(usage, output_tokens=1)}
        if not request.get("stream"):
            whole = dict(message, stop_reason=stop, usage=usage)
            whole["content"] = [dict(block, text=self.text) if block["type"] == "text"
                                else dict(block, input={"command": self.command})]
            self._send(handler, request_id, "application/json", json.dumps(whole).encode())
            return
        events = [
            ("message_start", {"message": message}),
            ("content_block_start", {"index": 0, "content_block": block}),
            ("content_block_delta", {"index": 0, "delta": delta}),
            ("content_block_stop", {"index": 0}),
            ("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None},
                               "usage": {"output_tokens": usage["output_tokens"]}}),
            ("message_stop", {}),
        ]
        text = "".join(f"event: {name}\ndata: {json.dumps(dict(data, type=name))}\n\n"
                       for name, data in events)
        self._send(handler, request_id, "text/event-stream", text.encode())

    @staticmethod
    def _send(handler, request_id, content_type, body):
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("request-id", request_id)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
