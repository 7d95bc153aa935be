#include "core/otlp/json.h"
#include "core/otlp/otlp.h"
#include "tests/support/expect.h"

static struct error err;

static bool converts(const char *text)
{
    struct buffer out = {.max_bytes = 64 * KIB};
    bool ok = otlp_json_to_protobuf(OTLP_LOGS, bytes_of(text), &out, &err);
    ck_assert(ok || out.len == 0);
    buffer_clear(&out);
    return ok;
}

#define RECORD(fields) "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{" fields "}]}]}]}"

START_TEST(what_does_not_fit_is_refused_with_its_place)
{
    static const struct {
        const char *text, *cause;
    } cases[] = {
        {"", "line 1, column 1: the text ends too early"},
        {"[]", "line 1, column 1: 'request' must be an object"},
        {"{} 1", "line 1, column 4: text after the end of the document"},
        {"{\n \"resourceLogs\": 7}", "line 2, column 18: 'resourceLogs' must be an array"},
        {"{\"resourceLogs\":[7]}", "line 1, column 18: 'resourceLogs' must be an object"},
        {RECORD("\"traceId\":\"xy\""), "'traceId' must be an even number of hex digits"},
        {RECORD("\"traceId\":\"abc\""), "'traceId' must be an even number of hex digits"},
        {RECORD("\"timeUnixNano\":\"-1\""), "'timeUnixNano' must be an integer that is not neg"},
        {RECORD("\"timeUnixNano\":1.5"), "'timeUnixNano' must be an integer that is not neg"},
        {RECORD("\"flags\":4294967296"), "'flags' must be an integer that is not negative"},
        {RECORD("\"severityNumber\":\"INFO\""), "'severityNumber' must be a number, not a name"},
        {RECORD("\"severityText\":9"), "'severityText' must be a string"},
        {RECORD("\"body\":\"x\""), "'body' must be an object"},
        {RECORD("\"body\":{\"intValue\":\"9223372036854775808\"}"),
         "'intValue' must be an integer"},
        {RECORD("\"body\":{\"boolValue\":\"true\"}"), "'boolValue' must be true or false"},
        {RECORD("\"body\":{\"doubleValue\":true}"), "'doubleValue' must be a number"},
        {RECORD("\"body\":{\"bytesValue\":\"a*\"}"), "'bytesValue' must be base64"},
        {RECORD("\"body\":{\"bytesValue\":\"abcde\"}"), "'bytesValue' must be base64"},
        {RECORD("\"body\":{\"arrayValue\":{\"values\":[tru]}}"), "unknown word"},
        {RECORD("\"unknown\":[1,]"), "a value must stand here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_fail(converts(cases[i].text), FAIL_INVALID);
        ck_assert_msg(strstr(err.cause, cases[i].cause), "%s: %s", cases[i].text, err.cause);
    }
}
END_TEST

START_TEST(snake_case_names_are_unknown)
{
    struct buffer out = {.max_bytes = KIB};
    expect_ok(otlp_json_to_protobuf(OTLP_LOGS, bytes_of("{\"resource_logs\":[{}]}"), &out, &err));
    ck_assert_uint_eq(out.len, 0);
    buffer_clear(&out);
}
END_TEST

START_TEST(null_is_the_same_as_not_there)
{
    struct buffer out = {.max_bytes = KIB};
    uint64_t records;
    expect_ok(otlp_json_to_protobuf(
        OTLP_LOGS, bytes_of(RECORD("\"traceId\":null,\"attributes\":null,\"body\":null")), &out,
        &err));
    expect_ok(otlp_check(OTLP_LOGS, buffer_bytes(&out), &records, &err));
    ck_assert_uint_eq(records, 1);
    buffer_clear(&out);
}
END_TEST

START_TEST(the_ceiling_is_an_error_of_its_own)
{
    const char *text = RECORD("\"severityText\":\"some text\"");
    struct buffer whole = {.max_bytes = KIB};
    expect_ok(otlp_json_to_protobuf(OTLP_LOGS, bytes_of(text), &whole, &err));
    for (size_t room = 0; room < whole.len; room++) {
        struct buffer out = {.max_bytes = room};
        expect_fail(otlp_json_to_protobuf(OTLP_LOGS, bytes_of(text), &out, &err), FAIL_TOO_LARGE);
        ck_assert_uint_eq(out.len, 0);
        buffer_clear(&out);
    }
    buffer_clear(&whole);
}
END_TEST

START_TEST(every_cut_of_a_document_is_refused)
{
    const char *text = RECORD(
        "\"timeUnixNano\":\"5\",\"attributes\":[{\"key\":\"a\",\"value\":{\"intValue\":1}}]");
    ck_assert(converts(text));
    for (size_t len = 0; len < strlen(text); len++) {
        struct buffer out = {.max_bytes = KIB};
        expect_fail(otlp_json_to_protobuf(OTLP_LOGS, bytes_make(text, len), &out, &err),
                    FAIL_INVALID);
        ck_assert_uint_eq(out.len, 0);
        buffer_clear(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, what_does_not_fit_is_refused_with_its_place);
    tcase_add_test(tests, snake_case_names_are_unknown);
    tcase_add_test(tests, null_is_the_same_as_not_there);
    tcase_add_test(tests, the_ceiling_is_an_error_of_its_own);
    tcase_add_test(tests, every_cut_of_a_document_is_refused);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
