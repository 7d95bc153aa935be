"""Machines whose agent, relay, destinations or receivers are broken."""
import os
import time
import unittest

from machines import broken, direct, grpc, peers, through_proxy, toward, trusting
from setups import BASE, OURS, UID, block, closed_port


# ---- Claude Code and the agent ----

@broken("claude.version", "claude update", by_hand=True)
def the_version_sends_nothing(s):
    s.install("2.0.64")
    s.remove(OURS)
    s.write(BASE, {"env": block(s.relay.url)})


@broken("claude.installed", "npm install", by_hand=True, warns=True)
def claude_code_is_not_installed(s):
    s.remove("usr/lib/node_modules/@anthropic-ai/claude-code/package.json")


@broken("claude.restart", "start it again", by_hand=True, warns=True)
def a_session_is_older_than_the_settings(s):
    ticks = os.sysconf("SC_CLK_TCK")
    s.write("proc/stat", f"btime {int(time.time()) - 1000}\n")
    s.write("proc/4242/cmdline", "claude\0")
    s.write("proc/4242/environ", "")
    s.write("proc/4242/stat", "4242 (claude) S " + " ".join(["0"] * 18) + f" {100 * ticks} 0\n")
    if os.getuid() == 0:
        os.chown(s.path / "proc/4242", UID, UID)


@broken("env.headers.format", "unset OTEL_EXPORTER_OTLP_HEADERS", by_hand=True)
def a_running_session_has_malformed_headers(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_HEADERS=None))
    s.write("proc/stat", f"btime {int(time.time())}\n")
    s.write("proc/4243/cmdline", "node\0/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js\0")
    s.write("proc/4243/environ", "OTEL_EXPORTER_OTLP_HEADERS=a b=1\0")
    if os.getuid() == 0:
        os.chown(s.path / "proc/4243", UID, UID)


@broken("config.valid", "max_mib", by_hand=True)
def the_configuration_has_an_unknown_key(s):
    s.configure(spool="max_mb: 4")


@broken("service.enabled", "systemctl enable --now", by_hand=True)
def the_service_is_not_enabled(s):
    s.write("usr/lib/systemd/system/claude-telemetry-agent.service", "[Service]\n")


@broken("service.enabled", "unmask", by_hand=True)
def the_service_is_masked(s):
    s.write("usr/lib/systemd/system/claude-telemetry-agent.service", "[Service]\n")
    (s.path / "etc/systemd/system").mkdir(parents=True)
    (s.path / "etc/systemd/system/claude-telemetry-agent.service").symlink_to("/dev/null")


@broken("identity.email", "identity.email", by_hand=True)
def the_mdm_left_its_variable_in(s):
    text = (s.path / "etc/claude-telemetry/agent.yaml").read_text()
    text = text.replace("email: alice@example.com", "email_from: [mdm], email_domain: example.com")
    s.write("etc/claude-telemetry/agent.yaml", text)


@broken("enrollment.device", "enroll", by_hand=True)
def the_device_was_never_enrolled(s):
    s.configure(extra=f"server: {{ url: {s.destination.url} }}\n")


@broken("enrollment.token_age", "enroll", by_hand=True, warns=True, says="400 days old")
def the_devices_token_is_old(s):
    s.configure(extra=f"server: {{ url: {s.destination.url} }}\n")
    s.enroll(s.destination)
    then = time.time() - 400.5 * 86400
    os.utime(s.path / "var/lib/claude-telemetry/device.json", (then, then))


@broken("config.secrets", "chmod o-rwx", warns=True)
def everybody_can_read_the_token(s):
    (s.path / "etc/claude-telemetry/token").chmod(0o604)


@broken("server.reachable", "", by_hand=True)
def the_server_is_down(s):
    port = closed_port()
    s.configure(extra=f"server: {{ url: http://127.0.0.1:{port} }}\n")
    s.write("var/lib/claude-telemetry/device.json",
            {"device_id": "d-1", "device_token": "ct_device", "server_url": f"http://127.0.0.1:{port}"}, mode=0o600)


# ---- Relay and spool ----

@broken("relay.running", "systemctl", by_hand=True)
def the_relay_is_down(s):
    port = closed_port()
    text = (s.path / "etc/claude-telemetry/agent.yaml").read_text()
    s.write("etc/claude-telemetry/agent.yaml", text.replace(f"127.0.0.1:{s.relay.port}", f"127.0.0.1:{port}"))
    s.dropin(block(f"http://127.0.0.1:{port}"))


@broken("relay.running", "ss -ltnp", by_hand=True)
def another_program_has_the_port(s):
    s.relay.get_status = 404


@broken("relay.token", "apply", by_hand=True)
def the_local_token_is_wrong(s):
    s.relay.local_token = "right"
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_HEADERS="X-Relay-Token=wrong"))


@broken("relay.accepts", "receiver's own health", by_hand=True)
def the_relay_refuses(s):
    s.relay.status = 503


@broken("relay.accepts", "disk", by_hand=True)
def the_relay_is_slow(s):
    s.relay.delay_s = 1.7


@broken("relay.status", "space", by_hand=True)
def the_relay_cannot_write(s):
    s.status(health={"components": {"relay": {"healthy": False, "last_error": "No space left on device"}}})


@broken("spool.writable", "sudo mv")
def a_file_stands_where_the_spool_should(s):
    s.write("var/lib/claude-telemetry/spool", "x")


@broken("spool.writable", "chmod 700")
def the_spool_cannot_be_written(s):
    (s.path / "var/lib/claude-telemetry/spool").mkdir(parents=True)
    (s.path / "var/lib/claude-telemetry/spool").chmod(0o500)


@broken("spool.backlog", "destination.central", by_hand=True)
def records_wait_for_days(s):
    s.status(spool={"bytes": 1000, "oldest_age_seconds": 200000, "evicted_total": 0},
             destinations=[{"name": "central", "state": "retrying", "last_error": "", "backlog_records": 7}])


@broken("spool.backlog", "max_mib", by_hand=True)
def the_spool_is_nearly_full(s):
    s.configure(spool="max_mib: 10, min_free_disk_mib: 0")
    s.status(spool={"bytes": 9 * 1024 * 1024, "oldest_age_seconds": 10, "evicted_total": 0})


@broken("spool.losses", "spool list", by_hand=True, warns=True)
def records_were_refused(s):
    s.status(destinations=[{"name": "central", "state": "ok", "last_error": "", "quarantined_records_total": 3}])


@broken("disk.free", "min_free_disk_mib", by_hand=True)
def the_disk_is_nearly_full(s):
    s.configure(spool="min_free_disk_mib: 1048576")
    usage = os.statvfs(s.path)
    if usage.f_bavail * usage.f_frsize >= 2**40:
        raise unittest.SkipTest("more than a tebibyte is free here")


# ---- Destinations ----

@broken("destination.central.dns", "DNS", by_hand=True)
def the_destinations_name_is_unknown(s):
    toward(s, "http://no-such-host.invalid:4318")


@broken("destination.central.tcp", "firewall", by_hand=True)
def the_destination_is_down(s):
    toward(s, f"http://127.0.0.1:{closed_port()}")


@broken("destination.central.tls", "ca_file", by_hand=True)
def the_destinations_certificate_is_private(s):
    toward(s, peers.TLS.url)


@broken("destination.central.tls", "http://", by_hand=True)
def the_destination_speaks_no_tls(s):
    toward(s, s.destination.url.replace("http:", "https:"))


@broken("destination.central.tls", "renew the certificate", by_hand=True, says="has expired 3 days ago")
def the_destinations_certificate_has_expired(s):
    toward(s, peers.EXPIRED.url, trusting(s))


@broken("destination.central.tls", "set-ntp", by_hand=True, says="not valid yet")
def the_destinations_certificate_is_of_the_future(s):
    toward(s, peers.FUTURE.url, trusting(s))


@broken("destination.central.tls", "a name that the certificate has", by_hand=True, says="central.example")
def the_destinations_certificate_is_for_another_name(s):
    toward(s, peers.NAMED.url, trusting(s))


@broken("destination.central.tls", "its TLS", by_hand=True)
def the_destination_hangs_in_the_handshake(s):
    toward(s, f"https://127.0.0.1:{peers.SILENT.port}")


@broken("destination.central.tls", "leave this host alone", by_hand=True, says="opened on the way")
def a_corporate_proxy_opens_tls(s):
    through_proxy(s, peers.OPENED.port)


@broken("destination.central.tls", "Private Corp", by_hand=True, says="the proxy 'http://127.0.0.1:")
def a_private_authority_behind_a_proxy(s):
    through_proxy(s, peers.NAMED.port)


@broken("destination.central.tcp", "user and password", by_hand=True, says="wants a password")
def the_proxy_wants_a_password(s):
    through_proxy(s, peers.NAMED.port)
    peers.PROXY.status = 407


@broken("destination.central.tcp", "let the proxy", by_hand=True, says="refuses to connect")
def the_proxy_refuses_the_destination(s):
    through_proxy(s, peers.NAMED.port)
    peers.PROXY.status = 403


@broken("destination.central.tcp", "NO_PROXY", by_hand=True, says="no connection to the proxy")
def the_proxy_is_down(s):
    through_proxy(s, peers.NAMED.port)
    s.env["HTTPS_PROXY"] = f"http://user:planted-secret@127.0.0.1:{closed_port()}"


@broken("destination.central.dns", "proxy's name", by_hand=True)
def the_proxys_name_is_unknown(s):
    through_proxy(s, peers.NAMED.port)
    s.env["HTTPS_PROXY"] = "http://no-such-proxy.invalid:3128"


@broken("destination.central.auth", "valid token", by_hand=True)
def the_destination_refuses_the_token(s):
    s.destination.token = "another"


@broken("destination.central.accepts", "path", by_hand=True)
def the_destination_knows_no_such_path(s):
    s.destination.status = 404


@broken("destination.central.accepts", "receiver's own health", by_hand=True)
def the_destination_is_overloaded(s):
    s.destination.status, s.destination.headers = 503, (("Retry-After", "30"),)


@broken("destination.central.accepts", "portal", by_hand=True)
def a_portal_answers_instead(s):
    s.destination.body, s.destination.kind = b"<html>sign in</html>", "text/html"


@broken("destination.central.accepts", "address it names", by_hand=True)
def the_destination_redirects(s):
    s.destination.status, s.destination.headers = 302, (("Location", "https://login.example/"),)


@broken("destination.central.accepts", "rejects", by_hand=True)
def the_destination_rejects_records(s):
    s.destination.body = b"\x0a\x0b\x08\x01\x12\x07too old"


@broken("delivery.end_to_end", "status", by_hand=True)
def the_record_never_arrives(s):
    s.relay.delivers = False


@broken("delivery.end_to_end", "same server", by_hand=True)
def the_record_is_taken_and_never_stored(s):
    s.configure(extra=f"server: {{ url: {s.destination.url} }}\n")
    s.enroll(s.destination)
    s.destination.stores = False


@broken("clock.skew", "set-ntp", by_hand=True)
def the_clock_is_an_hour_ahead(s):
    s.destination.skew_s = -3600


# ---- Claude Code without a relay between ----

@broken("receiver.tcp", "start the receiver", by_hand=True)
def the_receiver_is_down(s):
    direct(s, f"http://127.0.0.1:{closed_port()}")


@broken("receiver.tls", "NODE_EXTRA_CA_CERTS", by_hand=True)
def the_receivers_certificate_is_private(s):
    direct(s, peers.TLS)


@broken("receiver.tls", "http://", by_hand=True)
def tls_goes_to_a_plain_port(s):
    direct(s, s.destination.url.replace("http:", "https:"))


@broken("receiver.auth", "valid token", by_hand=True)
def the_receiver_refuses_the_token(s):
    direct(s, OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer planted-secret")


@broken("receiver.auth", "OTEL_EXPORTER_OTLP_HEADERS", by_hand=True)
def the_receiver_gets_no_token(s):
    direct(s, OTEL_EXPORTER_OTLP_HEADERS=None)


@broken("receiver.accepts", "receiver's own health", by_hand=True)
def the_receiver_is_overloaded(s):
    direct(s)
    s.destination.status = 503


def answering(status):
    def make(s):
        direct(s)
        s.destination.status = status
    make.__name__ = f"the_receiver_answers_{status}"
    return make


for status, part, words in ((400, "accepts", "refuses"), (403, "auth", "valid token"), (404, "accepts", "path"), (413, "accepts", "refuses"),
                            (429, "accepts", "limits"), (500, "accepts", "own health"), (302, "accepts", "address it names")):
    broken("receiver." + part, words, by_hand=True, says=str(status))(answering(status))


@broken("receiver.accepts", "does not answer", by_hand=True)
def the_receiver_hangs(s):
    direct(s, f"http://127.0.0.1:{peers.SILENT.port}")


@broken("receiver.accepts", "rejects", by_hand=True)
def the_receiver_rejects_records(s):
    direct(s)
    s.destination.body = b"\x0a\x0b\x08\x01\x12\x07too old"


@broken("proxy.endpoint", "", by_hand=True, warns=True, says="through the proxy")
def a_proxy_carries_telemetry_to_a_receiver(s):
    direct(s, "https://central.example", NODE_EXTRA_CA_CERTS="/etc/ssl/private-corp.pem")
    trusting(s)
    peers.PROXY.to = peers.NAMED.port
    s.write("etc/environment", f"HTTPS_PROXY={peers.PROXY.url}\n")


@broken("receiver.accepts", "relay on this machine", by_hand=True)
def the_receiver_is_slow(s):
    direct(s)
    s.destination.delay_s = 1.7


@broken("receiver.accepts", "portal", by_hand=True)
def a_portal_answers_for_the_receiver(s):
    direct(s)
    s.destination.body, s.destination.kind = b"<!DOCTYPE html>", "text/html; charset=utf-8"


@broken("receiver.auth", "valid token", by_hand=True, says="gRPC status 16")
def the_grpc_receiver_refuses_the_token(s):
    grpc(s)
    peers.GRPC.status, peers.GRPC.message = 16, "no such token"


@broken("receiver.accepts", "another gRPC service", by_hand=True)
def another_grpc_service_answers(s):
    grpc(s)
    peers.GRPC.status = 12


@broken("receiver.accepts", "receiver's own health", by_hand=True)
def the_grpc_receiver_is_overloaded(s):
    grpc(s)
    peers.GRPC.status = 14


@broken("receiver.accepts", "http/protobuf", by_hand=True, says="no gRPC is spoken there")
def grpc_goes_to_an_http_port(s):
    grpc(s, s.destination.url)


@broken("receiver.accepts", "grpc", by_hand=True, says="gRPC port")
def http_goes_to_a_grpc_port_of_another_number(s):
    direct(s, peers.GRPC.url)


@broken("receiver.tcp", "start the receiver", by_hand=True)
def the_grpc_receiver_is_down(s):
    grpc(s, f"http://127.0.0.1:{closed_port()}")


@broken("clock.skew", "set-ntp", by_hand=True)
def the_clock_is_an_hour_behind_the_receivers(s):
    direct(s)
    s.destination.skew_s = 3600
