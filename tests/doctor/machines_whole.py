"""Whole machines: nothing may fail."""
import os
import unittest

from machines import PLIST, direct, grpc, peers, registry, through_proxy, toward, trusting, whole
from setups import BASE, NEWEST, OURS, TOKEN, UID, block, closed_port


@whole
def straight_to_a_receiver_of_grpc(s):
    grpc(s)


@whole
def straight_to_a_receiver(s):
    direct(s)


@whole
def straight_to_a_receiver_with_a_private_authority(s):
    direct(s, peers.TLS, NODE_EXTRA_CA_CERTS="/etc/ssl/corp.pem")
    s.write("etc/ssl/corp.pem", peers.TLS.pem.read_text())


@whole
def a_dropin(s):
    pass


@whole
def a_merge(s):
    s.install("2.0.30")
    s.remove(OURS)
    s.write(BASE, {"permissions": {"deny": ["WebFetch"]}, "env": block(s.relay.url)})


@whole
def user_env_only(s):
    s.configure(claude="settings: none")
    s.remove(OURS)
    s.user(block(s.relay.url))


@whole
def a_relay_that_stands_alone(s):
    s.write("etc/claude-telemetry/agent.yaml", f"relay: {{ listen: '127.0.0.1:{s.relay.port}', spool: {{ min_free_disk_mib: 0 }} }}\n")


@whole
def behind_a_proxy(s):
    s.write("etc/environment", "HTTPS_PROXY=http://proxy.example:3128\nHTTP_PROXY=http://proxy.example:3128\n"
            "NO_PROXY=localhost,127.0.0.1\n")


@whole
def behind_a_proxy_with_an_older_version(s):
    s.install("2.1.100")
    s.write("etc/environment", "HTTP_PROXY=http://proxy.example:3128\nno_proxy=127.0.0.1\n")


@whole
def two_people(s):
    s.write("etc/passwd", f"root:x:0:0::/root:/bin/sh\nalice:x:{UID}:{UID}::/home/alice:/bin/bash\nbob:x:{UID + 1}:{UID + 1}::/home/bob:/bin/zsh\n")
    s.write("home/bob/.claude/settings.json", {"model": "opus"})


@whole
def a_destination_behind_a_proxy(s):
    through_proxy(s, peers.NAMED.port, trusting(s))


@whole
def a_proxy_that_only_the_agents_service_knows(s):
    through_proxy(s, peers.NAMED.port, trusting(s))
    proxy = s.env.pop("HTTPS_PROXY")
    s.process(77, "/usr/bin/claude-telemetry-agent\0run\0", f"HTTPS_PROXY={proxy}\0")


@whole
def a_proxy_that_only_this_shell_knows(s):
    s.env["http_proxy"] = f"http://127.0.0.1:{closed_port()}"
    s.process(77, "/usr/bin/claude-telemetry-agent\0run\0", "PATH=/usr/bin\0")


@whole
def one_private_authority_for_server_and_destinations(s):
    trusting(s)
    toward(s, peers.NAMED.url.replace("127.0.0.1", "localhost"), f"server: {{ url: {peers.NAMED.url.replace('127.0.0.1', 'localhost')}, ca_file: /etc/ssl/private-corp.pem }}\n")
    s.write("var/lib/claude-telemetry/device.json", {"device_id": "d-1", "device_token": "ct_device",
                                                     "server_url": peers.NAMED.url.replace("127.0.0.1", "localhost")}, mode=0o600)


@whole
def a_foreign_dropin_beside_ours(s):
    s.dropin({"HTTPS_PROXY": "http://proxy.example:3128", "ANTHROPIC_MODEL": "x"}, "etc/claude-code/managed-settings.d/10-corp.json",
             permissions={"deny": []})


@whole
def a_shell_that_says_the_same(s):
    s.shell("export CLAUDE_CODE_ENABLE_TELEMETRY=1", 'export OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"')


@whole
def a_profile_with_other_keys_and_a_new_version(s):
    s.write("Library/Managed Preferences/com.anthropic.claudecode.plist", PLIST % "<key>permissions</key><dict/>")


@whole
def an_enrolled_device(s):
    s.configure(extra=f"server: {{ url: {s.destination.url} }}\n")
    s.enroll(s.destination)
    s.destination.stores = True
    s.status()


@whole
def a_server_that_cannot_be_asked_about_a_record(s):
    s.configure(extra=f"server: {{ url: {s.destination.url} }}\n")
    s.enroll(s.destination)


@whole
def a_relay_that_takes_the_mark_out(s):
    s.configure(extra=f"server: {{ url: {s.destination.url} }}\nprivacy: {{ drop_attributes: [session.id] }}\n")
    s.enroll(s.destination)
    s.destination.stores = False


@whole
def a_relay_that_wants_a_local_token(s):
    s.relay.local_token = "right"
    s.configure(relay="  local_token_required: true\n")
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_HEADERS="X-Relay-Token=right"))


@whole
def a_policy_of_windows(s):
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    registry(s, "HKEY_LOCAL_MACHINE", {"env": block(s.destination.url, OTEL_EXPORTER_OTLP_HEADERS=f"Authorization=Bearer {TOKEN}")})


@whole
def a_user_policy_of_windows(s):
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    registry(s, "HKEY_CURRENT_USER", {"env": block(s.destination.url, OTEL_EXPORTER_OTLP_HEADERS=f"Authorization=Bearer {TOKEN}")})


@whole
def managed_files_of_a_mac(s):
    """Where this build does not look, and a profile where it does."""
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    pairs = "".join(f"<key>{name}</key><string>{value}</string>"
                    for name, value in block(s.destination.url, OTEL_EXPORTER_OTLP_HEADERS=f"Authorization=Bearer {TOKEN}").items())
    s.write("Library/Managed Preferences/com.anthropic.claudecode.plist", PLIST % f"<key>env</key><dict>{pairs}</dict>")


def applied(s, version=NEWEST, **configuration):
    """As the real agent writes it for this configuration."""
    if not peers.AGENT:
        raise unittest.SkipTest("there is no agent to write the settings")
    s.install(version)
    s.configure(**configuration)
    s.remove(OURS)
    s.agent_run("apply")


def as_the_agent_writes_it(name, **configuration):
    def make(s):
        applied(s, **configuration)
    make.__name__ = "what_the_agent_writes_" + name
    whole(make)


as_the_agent_writes_it("for_the_newest")
as_the_agent_writes_it("for_a_version_without_dropins", version="2.0.30")
as_the_agent_writes_it("for_a_version_that_shells_can_bend", version="2.1.197")
as_the_agent_writes_it("for_people_alone", claude="settings: none")
as_the_agent_writes_it("as_a_policy_alone", claude="user_env: false")
as_the_agent_writes_it("as_a_merge", claude="settings: merge")
as_the_agent_writes_it("for_metrics_alone", claude="signals: [metrics]")
as_the_agent_writes_it("with_prompts_and_details", claude="log_user_prompts: true, log_tool_details: true")
as_the_agent_writes_it("with_attributes", claude="resource_attributes: { team: platform, cost_center: 'a b' }")
as_the_agent_writes_it("with_grpc_beside", relay="  grpc_listen: 127.0.0.1:0\n")


@whole
def what_the_agent_writes_in_direct_mode(s):
    applied(s, claude="mode: direct")
    s.relay.get_status = 404  # whoever has the port: nobody asks the relay


@whole
def what_the_agent_writes_for_two_people(s):
    s.write("etc/passwd", f"root:x:0:0::/root:/bin/sh\nalice:x:{UID}:{UID}::/home/alice:/bin/bash\nbob:x:{UID + 1}:{UID + 1}::/home/bob:/bin/zsh\n")
    s.write("home/bob/.claude/settings.json", {"model": "opus"})
    if os.getuid() == 0:
        for owned in ("home/bob", "home/bob/.claude", "home/bob/.claude/settings.json"):
            os.chown(s.path / owned, UID + 1, UID + 1)
    applied(s)


@whole
def what_the_agent_writes_behind_a_proxy(s):
    applied(s)
    s.write("etc/environment", "HTTPS_PROXY=http://proxy.example:3128\nHTTP_PROXY=http://proxy.example:3128\n")


@whole
def only_metrics(s):
    s.configure(claude="signals: [metrics]")
    s.dropin(block(s.relay.url, OTEL_LOGS_EXPORTER="none", OTEL_TRACES_EXPORTER="none",
                   CLAUDE_CODE_ENHANCED_TELEMETRY_BETA="0", ENABLE_ENHANCED_TELEMETRY_BETA="0"))


@whole
def no_claude_code_yet(s):
    s.remove("usr/lib/node_modules/@anthropic-ai/claude-code/package.json")
