#include "doctor/format.h"
#include "tests/support/expect.h"

/* What the real Claude Code was seen to do with each value. */
static const struct {
    const char *value;
    bool bad;
    const char *says;
} header_rows[] = {
    {"Authorization=Bearer abc.DEF-123", false, ""},
    {"a=1,b=2, c=3", false, ""},
    {"Authorization=Basic dXNlcjpwYXNz==", false, ""},
    {"x-claude-telemetry=1", false, ""},
    {"", false, ""},
    {"Authorization: Bearer abc", true, "colon"},
    {"Authorization: Bearer abc=", true, "colon"},
    {"{\"Authorization\":\"x\"}", true, "JSON"},
    {"Authorization", true, "no '='"},
    {"X Team=1", true, "blank"},
    {"a=1\nb=2", true, "line break"},
    {"a=Zo\xC3\xAB", true, "outside ASCII"},
    {"a=Bearer%20abc", true, "undecoded"},
    {"a=\"x\"", true, "quotes"},
    {"a=x;b", true, "semicolon"},
    {"=x", true, "empty name"},
    {"good=1,bad", true, "no '='"},
};

START_TEST(headers_are_judged_as_they_are_sent)
{
    struct format_verdict v = format_headers(header_rows[_i].value);
    ck_assert_msg(v.is_bad == header_rows[_i].bad, "%s", header_rows[_i].value);
    ck_assert_msg(strstr(v.seen, header_rows[_i].says), "%s: %s", header_rows[_i].value, v.seen);
    ck_assert_int_eq(v.fix[0] != '\0', header_rows[_i].bad);
}
END_TEST

START_TEST(a_header_verdict_never_repeats_the_value)
{
    static const char *const values[] = {
        "Authorization: Bearer hush-hush",
        "{\"a\":\"hush-hush\"}",
        "a=hush-hush\n",
        "a=hush-hush%20",
        "a=\"hush-hush\"",
        "a=hush-hush;x",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct format_verdict v = format_headers(values[i]);
        ck_assert(v.is_bad);
        ck_assert_ptr_null(strstr(v.seen, "hush"));
        ck_assert_ptr_null(strstr(v.fix, "hush"));
    }
}
END_TEST

static const struct {
    const char *value;
    bool drops_all;
    const char *says, *better;
} attribute_rows[] = {
    {"team=a,user.email=alice@example.com", true, "", ""},
    {"department=Data%20Eng", true, "", ""},
    {"department=Data Eng,user.name=alice", true, "every attribute",
     "department=Data%20Eng,user.name=alice"},
    {"department=Data Eng", false, "this attribute", "department=Data%20Eng"},
    {"user.name=alice,garbage,x=1", true, "this attribute", "user.name=alice,x=1"},
    {"x=100%", false, "percent", "x=100%25"},
    {"name=Zo\xC3\xAB", true, "outside ASCII", "name=Zo%C3%AB"},
    {"name=\"a\"", true, "quote", "name=%22a%22"},
    {"a=1, b=2", true, "blank", "a=1,b=2"},
    {"a=b=c", true, "second '='", "a=b%3Dc"},
};

START_TEST(attributes_are_judged_and_encoded)
{
    struct format_verdict v =
        format_attributes(attribute_rows[_i].value, attribute_rows[_i].drops_all);
    ck_assert_int_eq(v.is_bad, attribute_rows[_i].says[0] != '\0');
    ck_assert_msg(strstr(v.seen, attribute_rows[_i].says), "%s", v.seen);
    ck_assert_str_eq(v.fix, attribute_rows[_i].better);
    if (v.is_bad) /* what is proposed is good */
        ck_assert(!format_attributes(v.fix, true).is_bad);
}
END_TEST

static const struct {
    const char *value, *signal, *protocol, *says, *better;
} endpoint_rows[] = {
    {"http://127.0.0.1:14318", NULL, "http/protobuf", "", ""},
    {"http://127.0.0.1:14318/", NULL, "http/protobuf", "", ""},
    {"https://otel.example/otlp", NULL, "http/json", "", ""},
    {"http://127.0.0.1:4318/v1/logs", "logs", "http/protobuf", "", ""},
    {"http://127.0.0.1:4317", NULL, "grpc", "", ""},
    {"http://127.0.0.1:4317", "logs", "grpc", "", ""},
    {"http://[::1]:14318", NULL, NULL, "", ""},
    {"", NULL, NULL, "empty", NULL},
    {"127.0.0.1:4318", NULL, "http/protobuf", "no scheme", "http://127.0.0.1:4318"},
    {"localhost:4317", NULL, "grpc", "TLS", NULL},
    {"\"http://x\"", NULL, NULL, "quotes", NULL},
    {"http://x .example", NULL, NULL, "blank", NULL},
    {"http://", NULL, NULL, "no host", NULL},
    {"http://x:0/", NULL, NULL, "port", NULL},
    {"http://x:99999", NULL, NULL, "port", NULL},
    {"http://x:4318/v1/logs", NULL, "http/protobuf", "/v1/logs/v1/logs", "http://x:4318"},
    {"http://x/otlp/v1/traces/", NULL, NULL, "/v1/traces/v1/traces", "http://x/otlp"},
    {"http://x:4318", "logs", "http/protobuf", "posts to /", "http://x:4318/v1/logs"},
    {"http://x:4318/", "metrics", NULL, "posts to /", "http://x:4318/v1/metrics"},
    {"http://x:4318/v1/logs?token=abc", "logs", NULL, "query", "http://x:4318/v1/logs"},
    {"http://x:4317", NULL, "http/protobuf", "gRPC", "http://x:4318"},
    {"http://x:4318", NULL, "grpc", "OTLP/HTTP", "http://x:4317"},
};

START_TEST(endpoints_are_judged_by_where_they_lead)
{
    const char *value = endpoint_rows[_i].value, *signal = endpoint_rows[_i].signal;
    struct format_verdict v = format_endpoint(value, signal, endpoint_rows[_i].protocol);
    ck_assert_msg(v.is_bad == (endpoint_rows[_i].says[0] != '\0'), "%s: %s", value, v.seen);
    ck_assert_msg(strstr(v.seen, endpoint_rows[_i].says), "%s: %s", value, v.seen);
    if (endpoint_rows[_i].better) {
        ck_assert_str_eq(v.fix, endpoint_rows[_i].better);
        if (v.is_bad)
            ck_assert(!format_endpoint(v.fix, signal, endpoint_rows[_i].protocol).is_bad);
    }
}
END_TEST

START_TEST(protocols_and_exporters_are_exact_words)
{
    ck_assert(!format_protocol("http/protobuf").is_bad);
    ck_assert(!format_protocol("http/json").is_bad);
    ck_assert(!format_protocol("grpc").is_bad);
    ck_assert(format_protocol("http").is_bad);
    ck_assert_str_eq(format_protocol("GRPC").fix, "grpc");
    ck_assert_str_eq(format_protocol("HTTP/PROTOBUF").fix, "http/protobuf");
    ck_assert(!format_exporter("otlp", false).is_bad);
    ck_assert(!format_exporter("none", false).is_bad);
    ck_assert(!format_exporter("otlp,prometheus", true).is_bad);
    ck_assert(format_exporter("prometheus", false).is_bad);
    ck_assert(format_exporter("oltp", true).is_bad);
    ck_assert(format_exporter("console", true).is_bad);
    ck_assert(format_exporter("otlp,console", true).is_bad);
}
END_TEST

START_TEST(numbers_are_whole_and_large_enough)
{
    ck_assert(!format_number("5000", 1, "x").is_bad);
    ck_assert(format_number("0", 1, "lost").is_bad);
    ck_assert_ptr_nonnull(strstr(format_number("5s", 1, "lost").seen, "counts as 0: lost"));
    ck_assert(format_number("", 1, "x").is_bad);
    ck_assert(format_number("-5", 1, "x").is_bad);
    ck_assert(format_number("499", 500, "x").is_bad);
    ck_assert(!format_number("500", 500, "x").is_bad);
}
END_TEST

START_TEST(switches_are_on_for_four_words)
{
    ck_assert(format_is_on("1") && format_is_on("true") && format_is_on("YES"));
    ck_assert(format_is_on("on"));
    ck_assert(!format_is_on("2") && !format_is_on("") && !format_is_on("enabled"));
}
END_TEST

START_TEST(a_misspelt_variable_is_told_from_others)
{
    ck_assert_str_eq(format_variable_meant("OTEL_LOG_EXPORTER"), "OTEL_LOGS_EXPORTER");
    ck_assert_str_eq(format_variable_meant("OTEL_METRICS_EXPORT_INTERVAL"),
                     "OTEL_METRIC_EXPORT_INTERVAL");
    ck_assert_str_eq(format_variable_meant("OTEL_EXPORTER_OTPL_ENDPOINT"),
                     "OTEL_EXPORTER_OTLP_ENDPOINT");
    ck_assert_ptr_null(format_variable_meant("OTEL_LOGS_EXPORTER"));
    ck_assert_ptr_null(format_variable_meant("OTEL_EXPORTER_JAEGER_ENDPOINT"));
    ck_assert_ptr_null(format_variable_meant("CLAUDE_CODE_USE_BEDROCK"));
    ck_assert_ptr_null(format_variable_meant("PATH"));
    ck_assert(format_is_telemetry_variable("OTEL_LOG_EXPORTER"));
    ck_assert(format_is_telemetry_variable("HTTP_PROXY"));
    ck_assert(!format_is_telemetry_variable("ANTHROPIC_API_KEY"));
    ck_assert(format_is_secret_variable("OTEL_EXPORTER_OTLP_LOGS_HEADERS"));
    ck_assert(!format_is_secret_variable("OTEL_LOGS_EXPORTER"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format");
    TCase *t = tcase_create("format");
    tcase_add_loop_test(t, headers_are_judged_as_they_are_sent, 0,
                        sizeof header_rows / sizeof *header_rows);
    tcase_add_test(t, a_header_verdict_never_repeats_the_value);
    tcase_add_loop_test(t, attributes_are_judged_and_encoded, 0,
                        sizeof attribute_rows / sizeof *attribute_rows);
    tcase_add_loop_test(t, endpoints_are_judged_by_where_they_lead, 0,
                        sizeof endpoint_rows / sizeof *endpoint_rows);
    tcase_add_test(t, protocols_and_exporters_are_exact_words);
    tcase_add_test(t, numbers_are_whole_and_large_enough);
    tcase_add_test(t, switches_are_on_for_four_words);
    tcase_add_test(t, a_misspelt_variable_is_told_from_others);
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
