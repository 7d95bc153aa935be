"""Broken machines, each with the check that must name it; whole machines, where nothing may fail.

Every row of `BROKEN` is a machine with one thing wrong. The doctor must fail exactly the checks named
(one, nearly always), its fix must hold the words given, and where the fix is a command or an edit it is
carried out to the letter, after which the check must pass.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

from setups import BASE, NEWEST, OURS, TOKEN, UID, Authority, Grpc, Peer, Proxy, Setup, Silent, block, closed_port

DOCTOR = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "claude-telemetry-doctor"
AGENT = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else None
BROKEN, WHOLE = [], []
OTHER = "http://127.0.0.1:9"


def broken(check, fix, by_hand=False, warns=False, says=""):
    """A machine on which exactly `check` fails (or warns). by_hand: nothing to carry out."""
    def register(make):
        BROKEN.append((make.__name__, check, fix, by_hand, warns, says, make))
        return make
    return register


def whole(make):
    WHOLE.append((make.__name__, make))
    return make


# ---- Managed settings ----

@broken("settings.managed.json", "claude-telemetry-agent")
def our_dropin_is_cut_off(s):
    s.write(OURS, '{"env": {"OTEL_LOGS_EXPORTER": "otl')


@broken("settings.managed.json", "10-other.json", by_hand=True)
def a_dropin_has_a_trailing_comma(s):
    s.write("etc/claude-code/managed-settings.d/10-other.json", '{"permissions": {},}')


@broken("settings.managed.json", "without comments", by_hand=True)
def the_managed_file_has_a_comment(s):
    s.write(BASE, '{\n  // ours\n  "env": {}\n}')


@broken("settings.managed.json", "one JSON object", by_hand=True)
def the_managed_file_is_an_array(s):
    s.write(BASE, "[]")


@broken("settings.managed.json", "rmdir")
def a_folder_stands_where_the_file_should(s):
    (s.path / BASE).mkdir()


@broken("settings.managed.missing", "apply")
def nothing_was_ever_applied(s):
    s.remove(OURS)


@broken("settings.managed.missing", "apply")
def the_managed_file_is_empty(s):
    s.remove(OURS)
    s.write(BASE, "")


@broken("settings.managed.missing", "apply")
def the_managed_file_is_a_dangling_link(s):
    s.remove(OURS)
    (s.path / BASE).symlink_to("/nowhere/settings.json")


@broken("settings.managed.missing", "apply")
def the_managed_file_has_a_wrong_name(s):
    s.remove(OURS)
    s.write("etc/claude-code/managed_settings.json", {"env": block(s.relay.url)})


@broken("settings.managed.missing", "apply")
def the_managed_file_says_nothing_of_telemetry(s):
    s.remove(OURS)
    s.write(BASE, {"permissions": {"deny": []}})


@broken("settings.managed.readable", "chmod 644")
def the_managed_file_is_for_root_only(s):
    (s.path / OURS).chmod(0o600 if os.getuid() == 0 else 0)


@broken("settings.managed.readable", "chmod 755")
def the_managed_folder_is_for_root_only(s):
    (s.path / "etc/claude-code").chmod(0o700 if os.getuid() == 0 else 0o200)


@broken("settings.managed.readable", "chmod 644")
def one_dropin_is_for_root_only(s):
    s.write("etc/claude-code/managed-settings.d/10-other.json", {"env": {}}, mode=0o600 if os.getuid() == 0 else 0)


@broken("settings.managed.writable", "chmod o-w")
def everybody_may_write_the_policy(s):
    (s.path / OURS).chmod(0o666)


@broken("settings.managed.writable", "chown root", warns=True, says="belongs to alice")
def a_person_owns_the_policy(s):
    if os.getuid() != 0:
        raise unittest.SkipTest("only root can give a file away")
    os.chown(s.path / OURS, UID, UID)


@broken("settings.dropin.ignored", "apply")
def an_old_version_does_not_read_dropins(s):
    s.install("2.0.30")


@broken("settings.precedence", "claude update", by_hand=True)
def a_profile_hides_our_file_from_an_older_version(s):
    s.install("2.1.197")
    s.write("Library/Managed Preferences/com.anthropic.claudecode.plist", PLIST % "<key>permissions</key><dict/>")


@broken("settings.precedence", "remove the OTEL_ variables", by_hand=True)
def a_profile_sets_one_variable_of_its_own(s):
    s.write("Library/Managed Preferences/com.anthropic.claudecode.plist",
            PLIST % "<key>env</key><dict><key>OTEL_EXPORTER_OTLP_ENDPOINT</key><string>http://x.example:4318</string></dict>")


def registry(s, hive, document):
    """A policy of Windows, in the file that stands for the registry below another root."""
    text = json.dumps(document).replace("\\", "\\\\").replace('"', '\\"')
    s.write("registry.reg", f'Windows Registry Editor Version 5.00\r\n\r\n[{hive}\\SOFTWARE\\Policies\\ClaudeCode]\r\n"Settings"="{text}"\r\n')


@broken("settings.precedence", "HKEY_LOCAL_MACHINE", by_hand=True)
def a_machine_policy_of_windows_sets_telemetry_elsewhere(s):
    registry(s, "HKEY_LOCAL_MACHINE", {"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x.example:4318"}})


@broken("env.telemetry", "HKEY_LOCAL_MACHINE", by_hand=True)
def a_machine_policy_of_windows_lacks_the_switch(s):
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    registry(s, "HKEY_LOCAL_MACHINE", {"env": block(s.destination.url, CLAUDE_CODE_ENABLE_TELEMETRY="no",
                                                    OTEL_EXPORTER_OTLP_HEADERS=f"Authorization=Bearer {TOKEN}")})


@broken("settings.precedence", "remote-settings.json", by_hand=True)
def the_console_sets_telemetry_elsewhere(s):
    s.write("home/alice/.claude/remote-settings.json", {"env": {"OTEL_LOGS_EXPORTER": "otlp"}})


@broken("settings.precedence", "otelHeadersHelper", by_hand=True)
def a_losing_source_names_a_helper(s):
    s.write("Library/Managed Preferences/com.anthropic.claudecode.plist", PLIST % "<key>permissions</key><dict/>")
    s.write("usr/bin/print-headers", "#!/bin/sh\n", mode=0o755)
    s.dropin(block(s.relay.url), otelHeadersHelper="/usr/bin/print-headers")


PLIST = ('<?xml version="1.0"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
         '<plist version="1.0"><dict>%s</dict></plist>')


@broken("settings.dropin.order", "remove OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
def a_later_dropin_diverts_logs(s):
    s.dropin({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://x.example:4318/v1/logs"}, "etc/claude-code/managed-settings.d/99-x.json")


@broken("settings.user.json", "settings.json", by_hand=True)
def the_persons_settings_are_no_json(s):
    s.write("home/alice/.claude/settings.json", "{,}", mode=0o600)


@broken("settings.user.override", "remove OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
def a_person_diverts_logs_in_an_older_version(s):
    s.install("2.1.197")
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=None))
    s.user({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://x.example:4318/v1/logs"})


@broken("settings.helper", "otelHeadersHelper", by_hand=True)
def the_headers_helper_does_not_exist(s):
    s.dropin(block(s.relay.url), otelHeadersHelper="/usr/bin/no-such-helper")


@broken("settings.helper", "otelHeadersHelper", by_hand=True)
def the_headers_helper_is_not_executable(s):
    s.write("usr/bin/helper", "#!/bin/sh\n")
    s.dropin(block(s.relay.url), otelHeadersHelper="/usr/bin/helper")


@broken("settings.helper", "http/protobuf", by_hand=True)
def the_headers_helper_is_not_asked_with_grpc(s):
    s.write("usr/bin/helper", "#!/bin/sh\n", mode=0o755)
    grpc(s)
    document = json.loads((s.path / BASE).read_text())
    s.write(BASE, {**document, "otelHeadersHelper": "/usr/bin/helper"})


def helper(s, script, mode=0o755):
    """Straight to a receiver, with headers from a program of the person's machine."""
    direct(s, OTEL_EXPORTER_OTLP_HEADERS=None)
    s.write("usr/bin/print-headers", "#!/bin/sh\n" + script + "\n", mode=mode)
    document = json.loads((s.path / BASE).read_text())
    s.write(BASE, {**document, "otelHeadersHelper": "/usr/bin/print-headers"})


@broken("settings.helper", "end with code 0", by_hand=True, says="status 3")
def the_headers_helper_fails(s):
    helper(s, "exit 3")


@broken("settings.helper", "JSON object", by_hand=True, says="prints nothing")
def the_headers_helper_prints_nothing(s):
    helper(s, "true")


@broken("settings.helper", "JSON object", by_hand=True, says="no JSON object")
def the_headers_helper_prints_no_json(s):
    helper(s, "echo 'Authorization: Bearer planted-secret'")


@broken("settings.helper", "JSON object", by_hand=True, says="no text")
def the_headers_helper_prints_a_number(s):
    helper(s, """echo '{"X-Number": 4711}'""")


@broken("settings.helper", "JSON object", by_hand=True, says="line break")
def the_headers_helper_prints_a_line_break(s):
    helper(s, r"""printf '{"Authorization": "Bearer planted-secret\\n"}'""")


@broken("settings.helper", "remove otelHeadersHelper", by_hand=True, warns=True, says="within 6 s")
def the_headers_helper_hangs(s):
    helper(s, "sleep 60 & sleep 60")


@broken("receiver.auth", "valid token", by_hand=True)
def the_headers_helper_gives_a_wrong_token(s):
    helper(s, """echo '{"Authorization": "Bearer planted-secret"}'""")


@whole
def headers_from_a_helper(s):
    s.env["HOME"] = f"{s.path}/home/alice"  # the person's own, when the person runs the doctor
    helper(s, f"""test "$HOME" = "{s.path}/home/alice" && echo '{{"Authorization": "Bearer {TOKEN}"}}'""")


@whole
def a_helper_that_stands_in_for_a_header(s):
    helper(s, f"""echo '{{"authorization": "Bearer {TOKEN}"}}'""")
    document = json.loads((s.path / BASE).read_text())
    document["env"]["OTEL_EXPORTER_OTLP_HEADERS"] = "Authorization=Bearer old"
    s.write(BASE, document)


@broken("settings.project", "remove OTEL_LOG_RAW_API_BODIES")
def a_project_sets_a_variable_in_vain(s):
    s.write("home/alice/.claude.json", {"projects": {"/work/shop": {}}})
    s.write("work/shop/.claude/settings.json", {"env": {"OTEL_LOG_RAW_API_BODIES": "1"}})


# ---- Variables ----

@broken("env.telemetry", "apply")
def the_main_switch_is_missing(s):
    s.dropin(block(s.relay.url, CLAUDE_CODE_ENABLE_TELEMETRY=None))


@broken("env.telemetry", "apply")
def the_main_switch_is_2(s):
    s.dropin(block(s.relay.url, CLAUDE_CODE_ENABLE_TELEMETRY="2"))


@broken("env.exporters", "apply")
def the_logs_exporter_is_missing(s):
    s.dropin(block(s.relay.url, OTEL_LOGS_EXPORTER=None))


@broken("env.exporters", "apply")
def the_metrics_exporter_is_none(s):
    s.dropin(block(s.relay.url, OTEL_METRICS_EXPORTER="none"))


@broken("env.exporters", "rename OTEL_LOG_EXPORTER to OTEL_LOGS_EXPORTER")
def the_logs_exporter_is_called_wrongly(s):
    s.dropin(block(s.relay.url, OTEL_LOGS_EXPORTER=None, OTEL_LOG_EXPORTER="otlp"))


@broken("env.exporters", "apply")
def an_exporter_is_misspelt(s):
    s.dropin(block(s.relay.url, OTEL_METRICS_EXPORTER="oltp"))


@broken("env.exporters", "apply")
def an_exporter_is_the_console(s):
    s.dropin(block(s.relay.url, OTEL_LOGS_EXPORTER="console"))


@broken("env.exporters", "remove OTEL_LOGS_EXPORTER")
def a_shell_turns_logs_off(s):
    s.dropin(block(s.relay.url, OTEL_LOGS_EXPORTER=None))
    s.shell("export OTEL_LOGS_EXPORTER=none")


@broken("env.protocol", "apply")
def the_protocol_is_unknown(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="http"))


@broken("env.protocol", "apply")
def the_protocol_is_in_upper_case(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="HTTP/PROTOBUF"))


@broken("env.protocol", "apply")
def the_protocol_is_missing_in_an_older_version(s):
    s.install("2.1.310")
    s.dropin({k: v for k, v in block(s.relay.url).items() if "PROTOCOL" not in k})


@broken("env.protocol", "apply")
def grpc_goes_to_the_http_relay(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="grpc"))


@broken("env.endpoint", "apply")
def the_endpoint_has_no_scheme(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f"127.0.0.1:{s.relay.port}/v1/logs"))


@broken("env.endpoint", "apply")
def the_endpoint_is_in_quotes(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f'"{s.relay.url}/v1/logs"'))


@broken("env.endpoint", "apply")
def the_endpoint_is_empty(s):
    s.dropin(general_only(s, OTEL_EXPORTER_OTLP_ENDPOINT=""))


@broken("env.endpoint", "http://", by_hand=True)
def the_grpc_endpoint_has_no_scheme(s):
    grpc(s, GRPC.url.removeprefix("http://"))


@broken("env.endpoint", "apply")
def the_endpoint_holds_a_blank(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f" {s.relay.url}/v1/metrics"))


def general_only(s, **changes):
    return block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=None, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=None,
                 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=None, **changes)


@broken("env.endpoint", "apply")
def the_general_endpoint_has_a_signal_path(s):
    s.dropin(general_only(s, OTEL_EXPORTER_OTLP_ENDPOINT=s.relay.url + "/v1/logs"))


@broken("env.endpoint", "apply")
def the_endpoint_of_one_signal_has_no_path(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=s.relay.url))


@broken("env.endpoint", "apply")
def the_endpoint_has_a_query(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=s.relay.url + "/v1/logs?token=x"))


@broken("env.endpoint", "apply")
def the_endpoint_is_missing(s):
    s.dropin(general_only(s, OTEL_EXPORTER_OTLP_ENDPOINT=None))


@broken("env.endpoint", "apply")
def the_endpoint_speaks_tls_to_the_plain_relay(s):
    s.dropin(block(s.relay.url.replace("http:", "https:")))


@broken("env.endpoint", "apply")
def the_policy_sends_past_the_relay(s):
    s.dropin(block("http://collector.example:4318"))


@broken("env.endpoint", "4318")
def http_goes_to_the_grpc_port(s):
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    s.write(BASE, {"env": general_only(s, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317")})


@broken("relay.port", "apply")
def the_settings_name_an_old_port(s):
    s.dropin(block(OTHER))


@broken("env.shell.override", "remove OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
def a_shell_diverts_logs_in_an_older_version(s):
    s.install("2.1.197")
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=None))
    s.shell("# mine", "export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://x.example:4318/v1/logs")


@broken("env.shell.override", "remove OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", warns=True)
def a_shell_would_divert_logs_of_an_older_version(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=None))
    s.shell("export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://x.example:4318/v1/logs")


@broken("env.headers.format", "remove OTEL_EXPORTER_OTLP_HEADERS")
def a_shells_malformed_headers_stop_everything(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_HEADERS=""))
    s.shell('export OTEL_EXPORTER_OTLP_HEADERS="x y=1"')


def merged(s, **changes):
    """The block in managed-settings.json, without an agent that would write it anew."""
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    s.write(BASE, {"env": block(s.relay.url, **changes)})


@broken("env.headers.format", "Authorization=Bearer TOKEN", by_hand=True)
def a_header_has_a_colon(s):
    merged(s, OTEL_EXPORTER_OTLP_HEADERS="Authorization: Bearer planted-secret")


@broken("env.headers.format", "NAME=VALUE", by_hand=True)
def the_headers_are_json(s):
    merged(s, OTEL_EXPORTER_OTLP_HEADERS='{"Authorization": "Bearer planted-secret"}')


@broken("env.headers.format", "line breaks", by_hand=True)
def the_headers_hold_a_line_break(s):
    merged(s, OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer planted-secret\n")


@broken("env.headers.format", "NAME=VALUE", by_hand=True)
def the_headers_leave_ascii(s):
    merged(s, OTEL_EXPORTER_OTLP_HEADERS="X-Team=Zo\u00eb")


@broken("env.headers.format", "percent", by_hand=True)
def a_header_is_percent_encoded(s):
    merged(s, OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20planted-secret")


@broken("env.headers.format", "without quotes", by_hand=True)
def a_header_is_quoted(s):
    merged(s, OTEL_EXPORTER_OTLP_HEADERS='Authorization="Bearer planted-secret"')


@broken("env.resource_attributes.format", "department=Data%20Eng")
def an_attribute_holds_a_blank(s):
    merged(s, OTEL_RESOURCE_ATTRIBUTES="department=Data Eng,user.name=alice")


@broken("env.resource_attributes.format", "100%25")
def an_attribute_holds_a_bare_percent(s):
    merged(s, OTEL_RESOURCE_ATTRIBUTES="share=100%,team=a")


@broken("env.resource_attributes.format", "team=a")
def an_attribute_has_no_value(s):
    merged(s, OTEL_RESOURCE_ATTRIBUTES="team=a,garbage")


@broken("env.traces_beta", "apply")
def traces_lack_the_beta_switch(s):
    s.dropin(block(s.relay.url, CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=None, ENABLE_ENHANCED_TELEMETRY_BETA=None))


@broken("env.traces_beta", "apply")
def traces_lack_the_exporter(s):
    s.dropin(block(s.relay.url, OTEL_TRACES_EXPORTER=None))


@broken("env.intervals", "apply")
def the_metric_interval_is_0(s):
    s.dropin(block(s.relay.url, OTEL_METRIC_EXPORT_INTERVAL="0"))


@broken("env.intervals", "remove OTEL_LOGS_EXPORT_INTERVAL")
def a_shell_gives_an_interval_with_a_unit(s):
    s.dropin(block(s.relay.url, OTEL_LOGS_EXPORT_INTERVAL=None))
    s.shell("export OTEL_LOGS_EXPORT_INTERVAL=5s")


@broken("env.timeouts", "remove OTEL_EXPORTER_OTLP_TIMEOUT")
def a_shell_gives_a_tiny_timeout(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_TIMEOUT=None))
    s.shell("OTEL_EXPORTER_OTLP_TIMEOUT=1")


@broken("env.timeouts", "remove CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS")
def a_shell_cuts_the_end_of_sessions(s):
    s.shell("export CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS=1")


@broken("env.sampler", "remove OTEL_TRACES_SAMPLER")
def a_shell_turns_the_sampler_off(s):
    s.dropin(block(s.relay.url, OTEL_TRACES_SAMPLER=None))
    s.shell("export OTEL_TRACES_SAMPLER=always_off")


@broken("env.limits", "remove OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT")
def a_shell_limits_attributes(s):
    s.write("home/alice/.config/fish/config.fish", "set -gx OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT 4\n")


@broken("env.limits", "remove OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
def the_machines_environment_limits_values(s):
    s.write("etc/environment", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=10\n")


@broken("env.content", "apply")
def prompts_are_wanted_and_left_out(s):
    s.configure(claude="log_user_prompts: true")


@broken("env.certificates", "NODE_EXTRA_CA_CERTS", by_hand=True)
def the_certificate_is_named_in_the_wrong_variable(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_CERTIFICATE="/etc/ssl/corp.pem"))


@broken("env.certificates", "NODE_EXTRA_CA_CERTS", by_hand=True)
def the_extra_certificates_do_not_exist(s):
    s.dropin(block(s.relay.url, NODE_EXTRA_CA_CERTS="/etc/ssl/no-such.pem"))


@broken("proxy.loopback", "apply")
def an_older_version_sends_loopback_through_the_proxy(s):
    s.install("2.1.100")
    s.write("etc/environment", "HTTP_PROXY=http://proxy.example:3128\n")


@broken("proxy.loopback", '"NO_PROXY": "localhost,127.0.0.1')
def grpc_to_this_machine_goes_through_the_proxy(s):
    grpc(s)
    s.write("etc/environment", "HTTP_PROXY=http://proxy.example:3128\nNO_PROXY=localhost\n")


@broken("env.typo", "OTEL_METRIC_EXPORT_INTERVAL", warns=True)
def a_variable_is_misspelt(s):
    s.shell("export OTEL_METRICS_EXPORT_INTERVAL=1000")


@broken("env.disable_flags", "", by_hand=True, warns=True)
def a_flag_is_mistaken_for_a_switch(s):
    s.shell("export DISABLE_TELEMETRY=1")


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

def toward(s, url, extra=""):
    text = (s.path / "etc/claude-telemetry/agent.yaml").read_text()
    s.write("etc/claude-telemetry/agent.yaml", text.replace(s.destination.url, url) + extra)


@broken("destination.central.dns", "DNS", by_hand=True)
def the_destinations_name_is_unknown(s):
    toward(s, "http://no-such-host.invalid:4318")


@broken("destination.central.tcp", "firewall", by_hand=True)
def the_destination_is_down(s):
    toward(s, f"http://127.0.0.1:{closed_port()}")


@broken("destination.central.tls", "ca_file", by_hand=True)
def the_destinations_certificate_is_private(s):
    toward(s, TLS.url)


@broken("destination.central.tls", "http://", by_hand=True)
def the_destination_speaks_no_tls(s):
    toward(s, s.destination.url.replace("http:", "https:"))


@broken("destination.central.tls", "renew the certificate", by_hand=True, says="has expired 3 days ago")
def the_destinations_certificate_has_expired(s):
    toward(s, EXPIRED.url, trusting(s))


@broken("destination.central.tls", "set-ntp", by_hand=True, says="not valid yet")
def the_destinations_certificate_is_of_the_future(s):
    toward(s, FUTURE.url, trusting(s))


@broken("destination.central.tls", "a name that the certificate has", by_hand=True, says="central.example")
def the_destinations_certificate_is_for_another_name(s):
    toward(s, NAMED.url, trusting(s))


@broken("destination.central.tls", "its TLS", by_hand=True)
def the_destination_hangs_in_the_handshake(s):
    toward(s, f"https://127.0.0.1:{SILENT.port}")


@broken("destination.central.tls", "leave this host alone", by_hand=True, says="opened on the way")
def a_corporate_proxy_opens_tls(s):
    through_proxy(s, OPENED.port)


@broken("destination.central.tls", "Private Corp", by_hand=True, says="the proxy 'http://127.0.0.1:")
def a_private_authority_behind_a_proxy(s):
    through_proxy(s, NAMED.port)


@broken("destination.central.tcp", "user and password", by_hand=True, says="wants a password")
def the_proxy_wants_a_password(s):
    through_proxy(s, NAMED.port)
    PROXY.status = 407


@broken("destination.central.tcp", "let the proxy", by_hand=True, says="refuses to connect")
def the_proxy_refuses_the_destination(s):
    through_proxy(s, NAMED.port)
    PROXY.status = 403


@broken("destination.central.tcp", "NO_PROXY", by_hand=True, says="no connection to the proxy")
def the_proxy_is_down(s):
    through_proxy(s, NAMED.port)
    s.env["HTTPS_PROXY"] = f"http://user:planted-secret@127.0.0.1:{closed_port()}"


@broken("destination.central.dns", "proxy's name", by_hand=True)
def the_proxys_name_is_unknown(s):
    through_proxy(s, NAMED.port)
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


def trusting(s):
    """The authority of EXPIRED, NAMED and their like, as the agent's configuration names it."""
    s.write("etc/ssl/private-corp.pem", PRIVATE.pem.read_text())
    return "    ca_file: /etc/ssl/private-corp.pem\n"


def through_proxy(s, port, extra=""):
    """The destination by a name that only the proxy knows."""
    toward(s, "https://central.example", extra)
    s.env["HTTPS_PROXY"] = PROXY.url
    PROXY.to = port


# ---- Claude Code without a relay between ----

def direct(s, peer=None, **changes):
    """Settings by hand, straight to a receiver; no agent."""
    (s.path / "etc/claude-telemetry/agent.yaml").unlink()
    s.remove(OURS)
    url = peer if isinstance(peer, str) else (peer or s.destination).url
    s.write(BASE, {"env": block(url, **{"OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {TOKEN}", **changes})})


@broken("receiver.tcp", "start the receiver", by_hand=True)
def the_receiver_is_down(s):
    direct(s, f"http://127.0.0.1:{closed_port()}")


@broken("receiver.tls", "NODE_EXTRA_CA_CERTS", by_hand=True)
def the_receivers_certificate_is_private(s):
    direct(s, TLS)


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
    direct(s, f"http://127.0.0.1:{SILENT.port}")


@broken("receiver.accepts", "rejects", by_hand=True)
def the_receiver_rejects_records(s):
    direct(s)
    s.destination.body = b"\x0a\x0b\x08\x01\x12\x07too old"


@broken("proxy.endpoint", "", by_hand=True, warns=True, says="through the proxy")
def a_proxy_carries_telemetry_to_a_receiver(s):
    direct(s, "https://central.example", NODE_EXTRA_CA_CERTS="/etc/ssl/private-corp.pem")
    trusting(s)
    PROXY.to = NAMED.port
    s.write("etc/environment", f"HTTPS_PROXY={PROXY.url}\n")


@broken("receiver.accepts", "relay on this machine", by_hand=True)
def the_receiver_is_slow(s):
    direct(s)
    s.destination.delay_s = 1.7


@broken("receiver.accepts", "portal", by_hand=True)
def a_portal_answers_for_the_receiver(s):
    direct(s)
    s.destination.body, s.destination.kind = b"<!DOCTYPE html>", "text/html; charset=utf-8"


def grpc(s, url=None):
    """Straight to a receiver of gRPC."""
    direct(s, url or GRPC.url, **{name: "grpc" for name in block("") if "PROTOCOL" in name},
           **{name: None for name in block("") if re.match(r"OTEL_EXPORTER_OTLP_.*_ENDPOINT", name)})


@broken("receiver.auth", "valid token", by_hand=True, says="gRPC status 16")
def the_grpc_receiver_refuses_the_token(s):
    grpc(s)
    GRPC.status, GRPC.message = 16, "no such token"


@broken("receiver.accepts", "another gRPC service", by_hand=True)
def another_grpc_service_answers(s):
    grpc(s)
    GRPC.status = 12


@broken("receiver.accepts", "receiver's own health", by_hand=True)
def the_grpc_receiver_is_overloaded(s):
    grpc(s)
    GRPC.status = 14


@broken("receiver.accepts", "http/protobuf", by_hand=True, says="no gRPC is spoken there")
def grpc_goes_to_an_http_port(s):
    grpc(s, s.destination.url)


@broken("receiver.accepts", "grpc", by_hand=True, says="gRPC port")
def http_goes_to_a_grpc_port_of_another_number(s):
    direct(s, GRPC.url)


@broken("receiver.tcp", "start the receiver", by_hand=True)
def the_grpc_receiver_is_down(s):
    grpc(s, f"http://127.0.0.1:{closed_port()}")


# ---- Whole machines ----

@whole
def straight_to_a_receiver_of_grpc(s):
    grpc(s)


@whole
def straight_to_a_receiver(s):
    direct(s)


@whole
def straight_to_a_receiver_with_a_private_authority(s):
    direct(s, TLS, NODE_EXTRA_CA_CERTS="/etc/ssl/corp.pem")
    s.write("etc/ssl/corp.pem", TLS.pem.read_text())


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
    through_proxy(s, NAMED.port, trusting(s))


@whole
def a_proxy_that_only_the_agents_service_knows(s):
    through_proxy(s, NAMED.port, trusting(s))
    proxy = s.env.pop("HTTPS_PROXY")
    s.process(77, "/usr/bin/claude-telemetry-agent\0run\0", f"HTTPS_PROXY={proxy}\0")


@whole
def a_proxy_that_only_this_shell_knows(s):
    s.env["http_proxy"] = f"http://127.0.0.1:{closed_port()}"
    s.process(77, "/usr/bin/claude-telemetry-agent\0run\0", "PATH=/usr/bin\0")


@whole
def one_private_authority_for_server_and_destinations(s):
    trusting(s)
    toward(s, NAMED.url.replace("127.0.0.1", "localhost"), f"server: {{ url: {NAMED.url.replace('127.0.0.1', 'localhost')}, ca_file: /etc/ssl/private-corp.pem }}\n")
    s.write("var/lib/claude-telemetry/device.json", {"device_id": "d-1", "device_token": "ct_device",
                                                     "server_url": NAMED.url.replace("127.0.0.1", "localhost")}, mode=0o600)


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
    if not AGENT:
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


# ---- The silent failures that were reproduced with the real Claude Code ----

# By their number in docs/doctor.md: the machines above on which each is made, and so named by its check.
REPRODUCED = {
    1: "our_dropin_is_cut_off a_dropin_has_a_trailing_comma the_managed_file_has_a_comment the_managed_file_is_an_array",
    2: "the_managed_file_is_empty",
    3: "the_managed_file_is_for_root_only the_managed_folder_is_for_root_only",
    4: "one_dropin_is_for_root_only",
    5: "the_managed_file_is_a_dangling_link the_managed_file_has_a_wrong_name nothing_was_ever_applied",
    6: "an_old_version_does_not_read_dropins",
    7: "a_later_dropin_diverts_logs",
    8: "a_profile_hides_our_file_from_an_older_version a_profile_sets_one_variable_of_its_own the_console_sets_telemetry_elsewhere",
    9: "the_main_switch_is_missing the_main_switch_is_2",
    10: "the_logs_exporter_is_missing the_metrics_exporter_is_none the_logs_exporter_is_called_wrongly",
    11: "an_exporter_is_misspelt",
    12: "the_protocol_is_unknown the_protocol_is_in_upper_case",
    13: "the_protocol_is_missing_in_an_older_version",
    14: "the_endpoint_has_no_scheme the_endpoint_is_in_quotes the_endpoint_holds_a_blank the_endpoint_is_empty",
    15: "the_general_endpoint_has_a_signal_path",
    16: "the_endpoint_of_one_signal_has_no_path",
    17: "the_endpoint_speaks_tls_to_the_plain_relay http_goes_to_the_grpc_port the_grpc_endpoint_has_no_scheme",
    18: "the_receiver_is_down",
    19: "the_receiver_refuses_the_token the_receiver_answers_403",
    20: "the_receiver_is_overloaded the_receiver_answers_429",
    21: "the_receiver_is_slow the_receiver_hangs",
    22: "a_portal_answers_for_the_receiver the_receiver_rejects_records",
    23: "a_header_has_a_colon the_headers_are_json",
    24: "the_headers_hold_a_line_break the_headers_leave_ascii",
    25: "a_header_is_percent_encoded",
    26: "a_shells_malformed_headers_stop_everything a_running_session_has_malformed_headers",
    27: "the_metric_interval_is_0",
    28: "a_shell_gives_an_interval_with_a_unit",
    29: "a_shell_diverts_logs_in_an_older_version a_shell_would_divert_logs_of_an_older_version",
    30: "a_shell_turns_the_sampler_off a_shell_gives_a_tiny_timeout a_shell_cuts_the_end_of_sessions",
    31: "a_shell_limits_attributes the_machines_environment_limits_values",
    32: "an_attribute_holds_a_blank",
    33: "traces_lack_the_beta_switch traces_lack_the_exporter",
    34: "an_older_version_sends_loopback_through_the_proxy grpc_to_this_machine_goes_through_the_proxy",
    35: "a_proxy_carries_telemetry_to_a_receiver",
    36: "the_receivers_certificate_is_private the_certificate_is_named_in_the_wrong_variable",
    37: "the_headers_helper_fails the_headers_helper_does_not_exist the_headers_helper_is_not_executable the_headers_helper_prints_no_json",
    38: "the_headers_helper_is_not_asked_with_grpc",
    39: "a_session_is_older_than_the_settings",
    40: "a_project_sets_a_variable_in_vain",
    41: "an_exporter_is_the_console",
    43: "prompts_are_wanted_and_left_out",
}
UNSEEN = {42, 44}  # leave no trace on the machine
MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "doctor.md"


class Reproduced(unittest.TestCase):
    def test_each_silent_failure_is_named_by_the_check_that_the_manual_says(self):
        told = {int(number): set(re.findall(r"`([a-z_.*]+)`", checks))
                for number, checks in re.findall(r"^\| (\d+) \|[^|]*\|([^|]*)\|$", MANUAL.read_text(), re.M)}
        self.assertEqual(set(told), set(range(1, 45)))
        checks = {name: check for name, check, *_ in BROKEN}
        for number, names in REPRODUCED.items():
            self.assertEqual({checks[name] for name in names.split()}, told[number], f"failure {number}")
        self.assertEqual({number for number, ids in told.items() if not ids}, UNSEEN)
        self.assertEqual(set(told) - set(REPRODUCED), UNSEEN)


class Table(unittest.TestCase):
    def check_broken(self, check, fix, by_hand, warns, says, make):
        PROXY.reset()
        GRPC.reset()
        with_setup = Setup(RELAY, DESTINATION, DOCTOR, AGENT)
        try:
            make(with_setup)
            report = with_setup.report()
            failed = [c["id"] for c in report["checks"] if c["status"] == "fail"]
            seen = {c["id"]: c["seen"] for c in report["checks"] if c["status"] in ("fail", "warn")}
            self.assertEqual(failed, [] if warns else [check], f"{seen}\n{report['stderr']}")
            found = report["by_id"][check]
            self.assertEqual(found["status"], "warn" if warns else "fail", found)
            self.assertIn(fix, found["fix"])
            self.assertIn(says, found["seen"])
            for told in report["checks"]:
                if told["status"] in ("fail", "warn"):
                    self.assertTrue(told["seen"] and told["why"] and told["fix"], told)
            self.assertEqual(report["exit_code"], 0 if warns else 1)
            self.assertNotIn("planted-secret", json.dumps(report))
            if by_hand or not with_setup.apply_fix(found["fix"]):
                self.assertTrue(by_hand or "claude-telemetry-agent" in found["fix"], f"nobody can carry out: {found['fix']}")
                return
            again = with_setup.report()
            self.assertIn(again["by_id"][check]["status"], ("ok", "skip"), again["by_id"][check])
        finally:
            with_setup.close()

    def check_whole(self, make):
        PROXY.reset()
        GRPC.reset()
        setup = Setup(RELAY, DESTINATION, DOCTOR, AGENT)
        try:
            make(setup)
            report = setup.report()
            failed = {c["id"]: c["seen"] for c in report["checks"] if c["status"] == "fail"}
            self.assertEqual(failed, {}, report["stderr"])
            self.assertEqual(report["exit_code"], 0)
        finally:
            setup.close()


def add(name, call, *args):
    setattr(Table, "test_" + name, lambda self: getattr(self, call)(*args))


for name, *row in BROKEN:
    add(name, "check_broken", *row)
for name, make in WHOLE:
    add("nothing_fails_with_" + name, "check_whole", make)


def run_shards(count):
    """The machines in `count` processes, each with peers of its own: most of the time is waiting."""
    shards = [subprocess.Popen([sys.executable, __file__, *sys.argv[1:]], env={**os.environ, "SHARD": f"{i}/{count}"},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for i in range(count)]
    told = [shard.communicate()[0] for shard in shards]
    print("".join(told))
    return max(abs(shard.returncode) for shard in shards)


def keep_shard(index, count):
    for position, name in enumerate(sorted(name for name in vars(Table) if name.startswith("test_"))):
        if position % count != index:
            delattr(Table, name)


if __name__ == "__main__":
    if len(sys.argv) <= 3 and "SHARD" not in os.environ:
        sys.exit(run_shards(4))
    if "SHARD" in os.environ:
        keep_shard(*map(int, os.environ["SHARD"].split("/")))
    with tempfile.TemporaryDirectory() as folder:
        RELAY, DESTINATION, PROXY, SILENT, GRPC = Peer(), Peer(), Proxy(), Silent(), Grpc()
        EXAMPLE, PRIVATE, OPENER = (Authority(folder, name) for name in ("Example Corp", "Private Corp", "Zscaler Inc."))
        TLS = Peer(EXAMPLE.issue("127.0.0.1"))
        TLS.pem = EXAMPLE.pem
        NAMED = Peer(PRIVATE.issue("central.example", "localhost"))
        EXPIRED = Peer(PRIVATE.issue("127.0.0.1", first_day=-9, last_day=-2.5))
        FUTURE = Peer(PRIVATE.issue("127.0.0.1", first_day=2))
        OPENED = Peer(OPENER.issue("central.example"))
        for peer in (TLS, NAMED):
            peer.token = TOKEN
        assert len(BROKEN) >= 40
        result = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False).result
        for peer in (RELAY, DESTINATION, PROXY, SILENT, GRPC, TLS, NAMED, EXPIRED, FUTURE, OPENED):
            peer.close()
    sys.exit(0 if result.wasSuccessful() else 1)
