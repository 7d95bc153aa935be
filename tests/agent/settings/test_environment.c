#include <stdio.h>

#include "agent/settings/environment.h"
#include "tests/support/expect.h"

static struct error err;
static struct environment block;
static struct settings_options options;

static void set_up(void)
{
    block = (struct environment){0};
    options = (struct settings_options){.endpoint = "http://127.0.0.1:14318",
                                        .metrics = true,
                                        .logs = true,
                                        .traces = true};
}

static void tear_down(void)
{
    environment_clear(&block);
}

static void expect_value(const char *name, const char *expected)
{
    const char *value = environment_get(&block, name);
    ck_assert_msg(value && strcmp(value, expected) == 0, "%s is '%s', not '%s'", name,
                  value ? value : "(left out)", expected);
}

/* What a shell or a user's settings could otherwise bend. */
static const char *const spelled_out[] = {
    "CLAUDE_CODE_ENABLE_TELEMETRY",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_LOGS_EXPORT_INTERVAL",
    "OTEL_TRACES_EXPORT_INTERVAL",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_TRACES_SAMPLER",
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS",
    "OTEL_METRICS_INCLUDE_SESSION_ID",
    "OTEL_METRICS_INCLUDE_ACCOUNT_UUID",
    "OTEL_LOG_USER_PROMPTS",
    "OTEL_LOG_ASSISTANT_RESPONSES",
    "OTEL_LOG_TOOL_DETAILS",
    "OTEL_LOG_TOOL_CONTENT",
    "OTEL_LOG_RAW_API_BODIES",
    "ENABLE_BETA_TRACING_DETAILED",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
};

START_TEST(every_variable_that_could_be_bent_is_spelled_out_and_not_empty)
{
    expect_ok(environment_managed(&options, NULL, &block, &err));
    for (size_t i = 0; i < sizeof spelled_out / sizeof *spelled_out; i++) {
        const char *value = environment_get(&block, spelled_out[i]);
        ck_assert_msg(value && *value, "%s is missing or empty", spelled_out[i]);
    }
    for (size_t i = 0; i < block.count; i++)
        for (size_t j = i + 1; j < block.count; j++)
            ck_assert_str_ne(block.list[i].name, block.list[j].name);
    ck_assert_ptr_null(environment_get(&block, "NO_PROXY"));
}
END_TEST

START_TEST(values_are_those_claude_code_takes)
{
    options.endpoint = "http://127.0.0.1:14318/";
    expect_ok(environment_managed(&options, NULL, &block, &err));
    expect_value("CLAUDE_CODE_ENABLE_TELEMETRY", "1");
    expect_value("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    expect_value("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:14318/v1/logs");
    expect_value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:14318/v1/traces");
    expect_value("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:14318/v1/metrics");
    expect_value("OTEL_EXPORTER_OTLP_HEADERS", "x-claude-telemetry=1");
    expect_value("OTEL_LOG_USER_PROMPTS", "0");
    expect_value("OTEL_LOG_ASSISTANT_RESPONSES", "0");
    expect_value("OTEL_LOG_TOOL_DETAILS", "0");
    expect_value("OTEL_RESOURCE_ATTRIBUTES", "service.name=claude-code");
}
END_TEST

START_TEST(verbatim_endpoints_are_used_as_they_are)
{
    options.endpoint = NULL;
    options.metrics = false;
    options.logs_endpoint = "https://api.activitylog.com/api/v1/otlp/v1/logs";
    options.traces_endpoint = "https://api.activitylog.com/api/v1/otlp/v1/traces";
    expect_ok(environment_managed(&options, NULL, &block, &err));
    expect_value("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", options.logs_endpoint);
    expect_value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", options.traces_endpoint);
}
END_TEST

static const char *const bad_endpoints[] = {NULL,      "",           "127.0.0.1:4318",
                                            "http://", "http://a b", "\"http://x\"",
                                            "grpc://x"};

START_TEST(an_endpoint_that_would_silence_claude_code_is_refused)
{
    options.endpoint = bad_endpoints[_i];
    expect_fail(environment_managed(&options, NULL, &block, &err), FAIL_INVALID);
}
END_TEST

static const struct {
    struct settings_pair pair;
    const char *text;
} attributes[] = {
    {{"team", "platform"}, "team=platform"},
    {{"department", "Data Eng"}, "department=Data%20Eng"},
    {{"name", "Doe, Jane; \"x\" = \\"}, "name=Doe%2C%20Jane%3B%20%22x%22%20%3D%20%5C"},
    {{"name", "Zo\xC3\xAB"}, "name=Zo%C3%AB"},
    {{"user.email", "a+b@example.com"}, "user.email=a%2Bb@example.com"},
    {{"x", "100%"}, "x=100%25"},
    {{"a b,c", "1"}, "a%20b%2Cc=1"},
    {{"line", "a\nb"}, "line=a%0Ab"},
    {{"", "1"}, ""},
    {{"empty", ""}, ""},
};

START_TEST(attributes_are_encoded_strictly)
{
    struct buffer text = {.max_bytes = 1024};
    ck_assert(encode_attributes(&attributes[_i].pair, 1, &text));
    expect_text(buffer_bytes(&text), attributes[_i].text);
    buffer_clear(&text);
}
END_TEST

START_TEST(a_long_attribute_is_cut_at_a_character)
{
    char value[400];
    struct buffer text = {.max_bytes = 4096};
    memset(value, 'a', sizeof value);
    memcpy(value + 252, "\xC3\xAB", 2); /* six characters encoded: passes the limit half-way */
    value[399] = '\0';
    struct settings_pair pairs[] = {{"k", value}, {"z", "1"}};
    ck_assert(encode_attributes(pairs, 2, &text));
    ck_assert_uint_eq(text.len, strlen("k=") + 252 + strlen(",z=1"));
    buffer_clear(&text);
}
END_TEST

START_TEST(the_last_of_two_equal_names_counts)
{
    struct buffer text = {.max_bytes = 1024};
    struct settings_pair pairs[] = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
    ck_assert(encode_attributes(pairs, 3, &text));
    expect_text(buffer_bytes(&text), "b=2,a=3");
    buffer_clear(&text);
}
END_TEST

static const struct settings_pair bad_headers[] = {
    {"X Y", "v"},         {"", "v"},
    {"X\n", "v"},         {"X", ""},
    {"X", "a,b"},         {"X", "a\r\nInject"},
    {"X", "caf\xC3\xA9"}, {"X", " v"},
    {"X", "v%20"},        {"X:", "v"},
};

START_TEST(a_header_that_claude_code_would_choke_on_is_refused_without_its_value)
{
    struct buffer text = {.max_bytes = 1024};
    expect_fail(encode_headers(&bad_headers[_i], 1, &text, &err), FAIL_INVALID);
    if (strlen(bad_headers[_i].value) > 2)
        ck_assert_ptr_null(strstr(err.cause, bad_headers[_i].value));
    buffer_clear(&text);
}
END_TEST

START_TEST(headers_are_written_as_claude_code_reads_them)
{
    struct buffer text = {.max_bytes = 1024};
    struct settings_pair pairs[] = {{"X-Span-Token", "abc=="}, {"Authorization", "Bearer al_x.y"}};
    expect_ok(encode_headers(pairs, 2, &text, &err));
    expect_text(buffer_bytes(&text), "X-Span-Token=abc==,Authorization=Bearer al_x.y");
    buffer_clear(&text);
}
END_TEST

START_TEST(none_is_written_only_where_every_version_survives_it)
{
    struct claude_install found[] = {{.known = true, .version = {2, 1, 329}},
                                     {.known = true, .version = {2, 0, 30}}};
    struct claude_installs installs = {.list = found, .count = 1};
    options.traces = false;
    options.installs = &installs;
    expect_ok(environment_managed(&options, NULL, &block, &err));
    expect_value("OTEL_TRACES_EXPORTER", "none");
    expect_value("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA", "0");
    environment_clear(&block);

    installs.count = 2;
    expect_ok(environment_managed(&options, NULL, &block, &err));
    ck_assert_ptr_null(environment_get(&block, "OTEL_TRACES_EXPORTER"));
    for (size_t i = 0; i < block.count; i++)
        ck_assert_str_ne(block.list[i].value, "none");
    environment_clear(&block);

    installs.count = 0;
    expect_ok(environment_managed(&options, NULL, &block, &err));
    ck_assert_ptr_null(environment_get(&block, "OTEL_TRACES_EXPORTER"));
}
END_TEST

START_TEST(a_person_without_an_address_leaves_no_gap_for_a_shell)
{
    struct settings_pair work_email = {"work_email", ""};
    struct settings_user user = {.name = "bob",
                                 .home = "/home/bob",
                                 .attributes = &work_email,
                                 .attribute_count = 1};
    options.mode = SETTINGS_DIRECT;
    expect_ok(environment_user(&options, &user, NULL, &block, &err));
    expect_value("OTEL_RESOURCE_ATTRIBUTES", "service.name=claude-code");
}
END_TEST

START_TEST(what_differs_per_person_stays_out_of_the_managed_block)
{
    struct settings_pair token = {"x-local-token", "t"};
    struct settings_user user = {.name = "alice",
                                 .email = "alice@example.com",
                                 .home = "/home/alice",
                                 .headers = &token,
                                 .header_count = 1};
    options.user_env = true;
    options.users = &user;
    options.user_count = 1;
    expect_ok(environment_managed(&options, NULL, &block, &err));
    ck_assert_ptr_null(environment_get(&block, "OTEL_EXPORTER_OTLP_HEADERS"));
    environment_clear(&block);
    expect_ok(environment_user(&options, &user, NULL, &block, &err));
    expect_value("OTEL_EXPORTER_OTLP_HEADERS", "x-local-token=t");
    expect_value("OTEL_RESOURCE_ATTRIBUTES", "user.email=alice@example.com");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("environment");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, every_variable_that_could_be_bent_is_spelled_out_and_not_empty);
    tcase_add_test(tests, values_are_those_claude_code_takes);
    tcase_add_test(tests, verbatim_endpoints_are_used_as_they_are);
    tcase_add_loop_test(tests, an_endpoint_that_would_silence_claude_code_is_refused, 0,
                        (int)(sizeof bad_endpoints / sizeof *bad_endpoints));
    tcase_add_loop_test(tests, attributes_are_encoded_strictly, 0,
                        (int)(sizeof attributes / sizeof *attributes));
    tcase_add_test(tests, a_long_attribute_is_cut_at_a_character);
    tcase_add_test(tests, the_last_of_two_equal_names_counts);
    tcase_add_loop_test(tests,
                        a_header_that_claude_code_would_choke_on_is_refused_without_its_value, 0,
                        (int)(sizeof bad_headers / sizeof *bad_headers));
    tcase_add_test(tests, headers_are_written_as_claude_code_reads_them);
    tcase_add_test(tests, none_is_written_only_where_every_version_survives_it);
    tcase_add_test(tests, a_person_without_an_address_leaves_no_gap_for_a_shell);
    tcase_add_test(tests, what_differs_per_person_stays_out_of_the_managed_block);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
