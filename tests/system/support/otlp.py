"""OTLP requests made by hand: the few messages that load and fault tests send."""
import struct
import time


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _value(value):
    if isinstance(value, bool):
        return _varint(2 << 3) + _varint(value)
    if isinstance(value, int):
        return _varint(3 << 3) + _varint(value & 0xFFFFFFFFFFFFFFFF)
    if isinstance(value, float):
        return _varint(4 << 3 | 1) + struct.pack("<d", value)
    return _field(1, value.encode())


def attributes(number, values):
    return b"".join(_field(number, _field(1, key.encode()) + _field(2, _value(value))) for key, value in values.items())


def log_record(event, values, time_ns=None):
    """An event as Claude Code sends it."""
    now = struct.pack("<Q", time_ns or time.time_ns())
    return (_varint(1 << 3 | 1) + now + _varint(11 << 3 | 1) + now
            + _field(5, _value("claude_code." + event)) + attributes(6, {"event.name": event, **values}))


def logs_request(records, resource=None):
    scope = _field(1, _field(1, b"com.anthropic.claude_code.events"))
    lines = b"".join(_field(2, record) for record in records)
    return _field(1, _field(1, attributes(1, resource or {"service.name": "claude-code"})) + _field(2, scope + lines))


def marked_request(marks, **more):
    """One api_request event per mark, told apart by request_id; a request of the recorded size unless there is `more`."""
    return logs_request([log_record("api_request", {
        "session.id": "5a5a5a5a-0000-4000-8000-000000000001", "user.id": "f" * 64, "terminal.type": "xterm",
        "request_id": mark, "model": "claude-opus-5-5", "query_source": "sdk", "input_tokens": 1,
        "output_tokens": 2, "cache_read_tokens": 3, "cache_creation_tokens": 4, "cost_usd": 0.000005,
        "cost_usd_micros": 5, "duration_ms": 10, **more}) for mark in marks])
