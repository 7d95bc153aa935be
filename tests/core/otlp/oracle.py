#!/usr/bin/env python3
"""Compares core/otlp, through otlp_tool, with protoc and with EXPECTED.json, over recorded requests.

Usage: oracle.py OTLP_TOOL DATA_DIR
"""
import base64
import gzip
import hashlib
import json
import math
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
KINDS = ["string", "bool", "int", "double", "array", "map", "bytes"]
METRIC_KINDS = ["gauge", "sum", "histogram", "exponential", "summary"]
ESCAPES = {"n": 10, "r": 13, "t": 9, '"': 34, "'": 39, "\\": 92}


def run(command, data):
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.stderr.decode()}")
    return done.stdout


# --- protoc's text form, as {field: [values]} ------------------------------------------------


def unquote(text):
    out = bytearray()
    for part in re.finditer(r"\\([0-7]{3}|.)|([^\\]+)", text):
        if part[2] is not None:
            out += part[2].encode("latin-1")
        elif len(part[1]) == 3:
            out.append(int(part[1], 8))
        else:
            out.append(ESCAPES[part[1]])
    return bytes(out)


def parse_text(text):
    stack = [{}]
    for line in text.decode("latin-1").split("\n"):
        line = line.strip()
        if line.endswith("{"):
            child = {}
            stack[-1].setdefault(line[:-1].strip(), []).append(child)
            stack.append(child)
        elif line == "}":
            stack.pop()
        elif line:
            name, value = line.split(": ", 1)
            stack[-1].setdefault(name, []).append(unquote(value[1:-1]) if value[0] == '"' else value)
    return stack[0]


def protoc(signal, data):
    message = "oracle." + signal.capitalize() + "Request"
    return parse_text(run(["protoc", f"-I{HERE}", f"--decode={message}", "oracle.proto"], data))


# --- what otlp_tool prints, made from protoc's decode -----------------------------------------


def clean(data):
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")


def text(message, name):
    return clean(message.get(name, [b""])[-1])


def number(message, name):
    return int(message.get(name, ["0"])[-1])


def real(message, name):
    value = float(message.get(name, ["0"])[-1])
    return value if math.isfinite(value) else None


def any_value(message):
    for index, kind in enumerate(KINDS, 1):
        if kind not in message:
            continue
        raw = message[kind][-1]
        if kind == "string":
            return index, clean(raw)
        if kind == "bool":
            return index, raw == "true"
        if kind == "int":
            return index, int(raw)
        if kind == "double":
            return index, real(message, kind)
        if kind == "array":
            return index, [any_value(v)[1] for v in raw.get("values", [])]
        if kind == "map":
            return index, {text(v, "key"): any_value(v.get("value", [{}])[-1])[1] for v in raw.get("values", [])}
        return index, base64.b64encode(raw).decode()
    return 0, None


def attributes(message):
    return [
        [text(pair, "key"), *any_value(pair.get("value", [{}])[-1])] for pair in message.get("attributes", [])
    ]


def identifier(message, name):
    raw = message.get(name, [b""])[-1]
    return raw.hex() if any(raw) and len(raw) == (16 if name == "trace_id" else 8) else None


def log_row(record):
    return [{
        "time": number(record, "time") or number(record, "observed"),
        "observed": number(record, "observed"),
        "severity": number(record, "severity"),
        "severity_text": text(record, "severity_text"),
        "event_name": text(record, "event_name"),
        "trace_id": identifier(record, "trace_id"),
        "span_id": identifier(record, "span_id"),
        "body": any_value(record.get("body", [{}])[-1])[1],
        "attributes": attributes(record),
    }]


def span_row(span):
    status = span.get("status", [{}])[-1]
    events = [
        {"name": text(e, "name"), "time": number(e, "time"), "attributes": attributes(e)}
        for e in span.get("events", [])
    ]
    return [{
        "trace_id": identifier(span, "trace_id"),
        "span_id": identifier(span, "span_id"),
        "parent_span_id": identifier(span, "parent_span_id"),
        "name": text(span, "name"),
        "kind": number(span, "kind"),
        "start": number(span, "start"),
        "end": number(span, "end"),
        "status": number(status, "code"),
        "status_message": text(status, "message"),
        "attributes": attributes(span),
        "event_count": len(events),
        "events": events,
    }]


def point_rows(metric):
    rows = []
    for kind, name in enumerate(METRIC_KINDS):
        for data in metric.get(name, []):
            for point in data.get("points", []):
                value = real(point, "sum") if kind > 1 else real(point, "as_int" if "as_int" in point else "as_double")
                rows.append({
                    "metric": text(metric, "name"),
                    "unit": text(metric, "unit"),
                    "kind": kind,
                    "temporality": number(data, "temporality"),
                    "monotonic": data.get("monotonic", ["false"])[-1] == "true",
                    "start": number(point, "start"),
                    "time": number(point, "time"),
                    "count": number(point, "count"),
                    "value": value,
                    "gap": number(point, "flags") % 2 == 1,
                    "attributes": attributes(point),
                })
    return rows


def rows_of(signal, request):
    make = {"logs": log_row, "traces": span_row, "metrics": point_rows}[signal]
    rows = []
    for resource in request.get("resources", []):
        for scope_records in resource.get("scopes", []):
            scope = scope_records.get("scope", [{}])[-1]
            place = {
                "resource": attributes(resource.get("resource", [{}])[-1]),
                "scope_name": text(scope, "name"),
                "scope_version": text(scope, "version"),
            }
            for record in scope_records.get("records", []):
                rows += [{**place, **row} for row in make(record)]
    return rows


# --- OTLP/JSON as Python reads it, in the shape of protoc's decode -----------------------------

SHORT = {
    "resourceLogs": "resources", "resourceSpans": "resources", "resourceMetrics": "resources",
    "scopeLogs": "scopes", "scopeSpans": "scopes", "scopeMetrics": "scopes",
    "logRecords": "records", "spans": "records", "metrics": "records",
    "stringValue": "string", "boolValue": "bool", "intValue": "int", "doubleValue": "double",
    "arrayValue": "array", "kvlistValue": "map", "bytesValue": "bytes",
    "timeUnixNano": "time", "observedTimeUnixNano": "observed", "startTimeUnixNano": "start",
    "endTimeUnixNano": "end", "severityNumber": "severity", "droppedAttributesCount": "dropped",
    "droppedEventsCount": "dropped_events", "droppedLinksCount": "dropped_links",
    "dataPoints": "points", "aggregationTemporality": "temporality", "isMonotonic": "monotonic",
    "explicitBounds": "bounds", "quantileValues": "quantiles", "filteredAttributes": "attributes",
    "exponentialHistogram": "exponential",
}
TEXT = {"key", "stringValue", "schemaUrl", "severityText", "eventName", "traceState", "name", "version",
        "description", "unit", "message"}
PRESENT = {"string", "bool", "int", "double", "bytes", "as_double", "as_int", "sum", "min", "max"}


def leaf(name, value):
    if name in ("traceId", "spanId", "parentSpanId"):
        return bytes.fromhex(value)
    if name == "bytesValue":
        return base64.b64decode(value)
    if name in TEXT:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    return str(value).lower() if isinstance(value, bool) else str(value)


def tree_of(document):
    tree = {}
    for name, value in document.items():
        short = SHORT.get(name) or re.sub("[A-Z]", lambda m: "_" + m[0].lower(), name)
        if value is None or name.startswith("unknown"):
            continue
        values = value if isinstance(value, list) else [value]
        made = [tree_of(v) if isinstance(v, dict) else leaf(name, v) for v in values]
        if short in PRESENT or isinstance(value, list):
            tree.setdefault(short, []).extend(made)
        elif made[0] not in ("0", "false", b""):
            tree[short] = made
    return {name: made for name, made in tree.items() if made}


def same_tree(seen, wanted, what):
    if isinstance(seen, str) and isinstance(wanted, str):
        if seen != wanted and not repr(float(seen)) == repr(float(wanted)):
            raise AssertionError(f"{what} is {seen}, not {wanted}")
    elif isinstance(seen, dict) and isinstance(wanted, dict):
        same(sorted(seen), sorted(wanted), f"{what}: fields")
        for name in seen:
            same(len(seen[name]), len(wanted[name]), f"{what}.{name}: count")
            for index, pair in enumerate(zip(seen[name], wanted[name])):
                same_tree(*pair, f"{what}.{name}[{index}]")
    else:
        same(seen, wanted, what)


# --- the comparisons ---------------------------------------------------------------------------


def same(seen, wanted, what):
    if seen == wanted:
        return
    if isinstance(seen, list) and isinstance(wanted, list) and len(seen) == len(wanted):
        for index, pair in enumerate(zip(seen, wanted)):
            same(*pair, f"{what}[{index}]")
    if isinstance(seen, dict) and isinstance(wanted, dict) and seen.keys() == wanted.keys():
        for key in seen:
            same(seen[key], wanted[key], f"{what}.{key}")
    raise AssertionError(f"{what} is {seen!r}, not {wanted!r}")


def without(tree, keys):
    """The tree with attributes of these keys gone; inside values nothing is an attribute."""
    out = {}
    for name, values in tree.items():
        if name in ("attributes", "metadata"):
            values = [pair for pair in values if text(pair, "key") not in keys]
        elif name != "body":
            values = [without(v, keys) if isinstance(v, dict) else v for v in values]
        if values:
            out[name] = values
    return out


def expect_rewritten(tool, signal, data):
    """Stamps are on every resource, named keys are gone everywhere, all else is as it was."""
    stamps = {"user.email": "stamped@example.com", "host.arch": "\u00fc"}
    drops = ["session.id", "prompt", "model"]
    words = [f"{k}={v}" for k, v in stamps.items()] + drops
    wanted = without(protoc(signal, data), {*stamps, *drops})
    for resource_records in wanted["resources"]:
        for resource in resource_records.setdefault("resource", [{}]):
            resource.setdefault("attributes", []).extend(
                {"key": [k.encode()], "value": [{"string": [v.encode()]}]} for k, v in stamps.items()
            )
    out = run([tool, "rewrite", signal, *words], data)
    same(protoc(signal, out), wanted, "rewritten")
    same(run([tool, "rewrite", signal, *words], out), out, "rewritten twice")
    same(run([tool, "rewrite", signal], data), data, "rewritten with nothing to do")
    same(run([tool, "rewrite", signal, "no.such.key"], data), data, "rewritten without effect")


def expect_halves(tool, signal, data, rows):
    if len(rows) < 2:
        return
    first, second = (run([tool, "split", signal, half], data) for half in "12")
    middle = len(rows) - len(rows) // 2
    same(rows_of(signal, protoc(signal, first)), rows[:middle], "first half")
    same(rows_of(signal, protoc(signal, second)), rows[middle:], "second half")
    same(json.loads(run([tool, "dump", signal], first + second))["rows"], rows, "halves together")


def as_number(value):
    return float(value) if isinstance(value, str) else value


def derived(own, key):
    """Measures of a text attribute that EXPECTED.json carries instead of the text itself."""
    if key.endswith("_utf8_bytes"):
        return len(own[key.removesuffix("_utf8_bytes")].encode())
    return hashlib.sha256(own[key.removesuffix("_sha256")].encode()).hexdigest()


def expect_row(row, wanted, what):
    """One row of EXPECTED.json: names with '_' for '.', numbers whatever their type was."""
    own = {key.replace(".", "_"): value for key, _, value in row["attributes"]}
    merged = {key: value for key, _, value in row["resource"] + row["attributes"]}
    direct = {
        "event": own.get("event_name"), "body": row.get("body"), "time_unix_nano": str(row.get("time")),
        "trace_id": row["trace_id"], "span_id": row["span_id"], "name": row.get("name"),
        "parent_span_id": row.get("parent_span_id"), "kind": row.get("kind"),
        "start_unix_nano": str(row.get("start")), "end_unix_nano": str(row.get("end")),
        "status_code": row.get("status"), "status_message": row.get("status_message") or None,
        "events": [e["name"] for e in row.get("events", [])], "attribute_count": len(row["attributes"]),
    }
    if "event" in wanted:
        del direct["status_code"]  # of a log record: an attribute
    for key, value in wanted.items():
        if key == "i":
            continue
        if key.endswith(("_utf8_bytes", "_sha256")):
            seen = derived(own, key)
        elif key == "user":
            seen = {name: merged.get(name) for name in value}
        elif key == "cost_micro_usd":
            seen = math.floor(as_number(own["cost_usd"]) * 1e6 + 0.5)
        elif key in direct:
            seen = direct[key]
        else:
            seen = own.get(key.removeprefix("attr_") if "name" in wanted else key)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                seen = as_number(seen)
        same(seen, value, f"{what}.{key}")


def expect_totals(signal, rows, wanted):
    if signal == "logs":
        requests = [
            {key: value for key, _, value in row["attributes"]}
            for row in rows
            if ["event.name", 1, "api_request"] in row["attributes"]
        ]
        totals = wanted["api_request"]
        same(len(requests), totals["count"], "api_request.count")
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"):
            same(sum(int(as_number(r[name])) for r in requests), totals[name], name)
        micro = sum(math.floor(as_number(r["cost_usd"]) * 1e6 + 0.5) for r in requests)
        same(micro, totals["cost_micro_usd"], "cost")
        return
    keys = {part.split("=")[0] for m in wanted["metrics"].values() for by in m["by"] for part in by.split(",")}
    for name, metric in wanted["metrics"].items():
        points = [row for row in rows if row["metric"] == name]
        same(len(points), metric["points"], name)
        same({METRIC_KINDS[p["kind"]] for p in points}, {metric["kind"]}, name)
        same({p["temporality"] for p in points}, {metric["temporality"]}, name)
        same({p["unit"] for p in points}, {metric["unit"]}, name)
        sums = {}
        for point in points:
            by = frozenset(f"{k}={v}" for k, _, v in point["attributes"] if k in keys)
            sums[by] = sums.get(by, 0) + point["value"]
        for by, value in metric["by"].items():
            seen = sums.pop(frozenset(filter(None, by.split(","))), None)
            assert seen is not None and math.isclose(seen, value, rel_tol=1e-12), f"{name} by {by}: {seen}, not {value}"
        assert not sums, f"{name}: also {sums}"


def expect_converted(tool, signal, document):
    data = run([tool, "convert", signal], document)
    same_tree(protoc(signal, data), tree_of(json.loads(document)), "converted")
    return data


def expect_every_field(tool, path):
    """A request by hand that has every field: converted, decoded, rewritten and halved."""
    signal = path.stem
    data = expect_converted(tool, signal, path.read_bytes())
    seen = json.loads(run([tool, "dump", signal], data))
    rows = rows_of(signal, protoc(signal, data))
    same(seen["rows"], rows, "rows")
    same(seen["records"], len(rows), "count")
    expect_rewritten(tool, signal, data)
    expect_halves(tool, signal, data, rows)
    return len(rows)


def expect_capture(tool, directory, entry, wanted):
    signal = entry["signal"]
    data = (directory / entry["file"]).read_bytes()
    if entry["content_encoding"] == "gzip":
        data = gzip.decompress(data)
    if "json" in entry["content_type"]:
        data = expect_converted(tool, signal, data)
    seen = json.loads(run([tool, "dump", signal], data))
    rows = seen["rows"]
    same(rows, rows_of(signal, protoc(signal, data)), "rows")
    count = {"logs": "records", "traces": "spans", "metrics": "data_points"}[signal]
    same(seen["records"], wanted[count], "count")
    same(len(rows), wanted[count], "rows")
    for index, row in enumerate(wanted.get("rows", [])):
        expect_row(rows[index], row, f"row {index}")
    if signal != "traces":
        expect_totals(signal, rows, wanted)
    expect_rewritten(tool, signal, data)
    expect_halves(tool, signal, data, rows)
    return len(rows)


def main():
    tool, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    manifest = json.loads((directory / "MANIFEST.json").read_text())
    expected = json.loads((directory / "EXPECTED.json").read_text())["files"]
    faults, records = [], 0
    for entry in manifest["files"]:
        try:
            records += expect_capture(tool, directory, entry, expected[entry["file"]])
        except AssertionError as fault:
            faults.append(f"{entry['file']}: {str(fault)[:600]}")
    for path in sorted((HERE / "every_field").glob("*.json")):
        try:
            records += expect_every_field(tool, path)
        except AssertionError as fault:
            faults.append(f"{path.name}: {str(fault)[:600]}")
    print("\n".join(faults))
    print(f"{len(manifest['files'])} requests, {records} records, {len(faults)} differ")
    return 1 if faults or not records else 0


if __name__ == "__main__":
    sys.exit(main())
