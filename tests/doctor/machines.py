"""The peers around every machine, how a machine is made, and what several machines share."""
import json
import re
import types

from setups import BASE, OURS, TOKEN, block

BROKEN, WHOLE = [], []
OTHER = "http://127.0.0.1:9"
peers = types.SimpleNamespace()  # PROXY, TLS, ...: made by test_table.py, which also says AGENT


def broken(check, fix, by_hand=False, warns=False, says=""):
    """A machine on which exactly `check` fails (or warns). by_hand: nothing to carry out."""
    def register(make):
        BROKEN.append((make.__name__, check, fix, by_hand, warns, says, make))
        return make
    return register


def whole(make):
    WHOLE.append((make.__name__, make))
    return make


def registry(s, hive, document):
    """A policy of Windows, in the file that stands for the registry below another root."""
    text = json.dumps(document).replace("\\", "\\\\").replace('"', '\\"')
    s.write("registry.reg", f'Windows Registry Editor Version 5.00\r\n\r\n[{hive}\\SOFTWARE\\Policies\\ClaudeCode]\r\n"Settings"="{text}"\r\n')


PLIST = ('<?xml version="1.0"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
         '<plist version="1.0"><dict>%s</dict></plist>')


def helper(s, script, mode=0o755):
    """Straight to a receiver, with headers from a program of the person's machine."""
    direct(s, OTEL_EXPORTER_OTLP_HEADERS=None)
    s.write("usr/bin/print-headers", "#!/bin/sh\n" + script + "\n", mode=mode)
    document = json.loads((s.path / BASE).read_text())
    s.write(BASE, {**document, "otelHeadersHelper": "/usr/bin/print-headers"})


def general_only(s, **changes):
    return block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=None, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=None,
                 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=None, **changes)


def merged(s, **changes):
    """The block in managed-settings.json, without an agent that would write it anew."""
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    s.write(BASE, {"env": block(s.relay.url, **changes)})


def toward(s, url, extra=""):
    text = (s.path / "etc/claude-telemetry/agent.yaml").read_text()
    s.write("etc/claude-telemetry/agent.yaml", text.replace(s.destination.url, url) + extra)


def trusting(s):
    """The authority of EXPIRED, NAMED and their like, as the agent's configuration names it."""
    s.write("etc/ssl/private-corp.pem", peers.PRIVATE.pem.read_text())
    return "    ca_file: /etc/ssl/private-corp.pem\n"


def through_proxy(s, port, extra=""):
    """The destination by a name that only the proxy knows."""
    toward(s, "https://central.example", extra)
    s.env["HTTPS_PROXY"] = peers.PROXY.url
    peers.PROXY.to = port


def direct(s, peer=None, **changes):
    """Settings by hand, straight to a receiver; no agent."""
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    url = peer if isinstance(peer, str) else (peer or s.destination).url
    s.write(BASE, {"env": block(url, **{"OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {TOKEN}", **changes})})


def grpc(s, url=None):
    """Straight to a receiver of gRPC."""
    direct(s, url or peers.GRPC.url, **{name: "grpc" for name in block("") if "PROTOCOL" in name},
           **{name: None for name in block("") if re.match(r"OTEL_EXPORTER_OTLP_.*_ENDPOINT", name)})
