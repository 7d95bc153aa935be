"""Machines whose settings files are broken."""
import json
import os
import unittest

from machines import PLIST, broken, grpc, helper, registry, whole
from setups import BASE, OURS, TOKEN, UID, block


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
