"""Machines whose variables are broken."""
from machines import OTHER, broken, general_only, grpc, merged, peers
from setups import BASE, OURS, block


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
    grpc(s, peers.GRPC.url.removeprefix("http://"))


@broken("env.endpoint", "apply")
def the_endpoint_holds_a_blank(s):
    s.dropin(block(s.relay.url, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f" {s.relay.url}/v1/metrics"))


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
