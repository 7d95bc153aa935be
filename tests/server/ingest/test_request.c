#include "server/ingest/request.h"

#include <stdarg.h>

#include "tests/support/expect.h"

static struct http_header headers[4];
static struct http_request request;
static struct batch_range range;
static struct error err;

static void given(size_t count, ...)
{
    va_list args;
    va_start(args, count);
    for (size_t i = 0; i < count; i++) {
        headers[i].name = bytes_of(va_arg(args, const char *));
        headers[i].value = bytes_of(va_arg(args, const char *));
    }
    va_end(args);
    request = (struct http_request){.headers = headers, .header_count = count};
}

static bool read_range(const char *stream, const char *first, const char *last)
{
    given(3, "X-Batch-Stream", stream, "x-batch-first", first, "X-BATCH-LAST", last);
    return request_batch_range(&request, &range, &err);
}

START_TEST(both_paths_and_the_grpc_method_name_a_signal)
{
    enum otlp_signal signal;
    ck_assert(request_signal_of_path(bytes_of("/v1/logs"), &signal));
    ck_assert_int_eq(signal, OTLP_LOGS);
    ck_assert(request_signal_of_path(bytes_of("/api/v1/otlp/v1/traces"), &signal));
    ck_assert_int_eq(signal, OTLP_TRACES);
    ck_assert(request_signal_of_path(
        bytes_of("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"), &signal));
    ck_assert_int_eq(signal, OTLP_METRICS);
    ck_assert(!request_signal_of_path(bytes_of("/v1/logs/"), &signal));
    ck_assert(!request_signal_of_path(bytes_of("/api/v1/otlp"), &signal));
    ck_assert(!request_signal_of_path(bytes_of("/api/v1/messages"), &signal));
}
END_TEST

START_TEST(a_token_is_taken_from_either_header)
{
    given(1, "authorization", "bearer  ct_1 ");
    expect_text(request_credential(&request), "ct_1");
    given(1, "X-Span-Token", "ct_2");
    expect_text(request_credential(&request), "ct_2");
    given(2, "Authorization", "Basic YTpi", "X-Span-Token", "ct_3");
    expect_text(request_credential(&request), "ct_3");
    given(1, "Authorization", "Bearer");
    ck_assert_uint_eq(request_credential(&request).len, 0);
    given(0);
    ck_assert_uint_eq(request_credential(&request).len, 0);
}
END_TEST

START_TEST(a_range_is_read_and_its_stream_lower_cased)
{
    expect_ok(read_range("0F8FAD5B-D9CB-469F-A165-70867728950E", "7", "18446744073709551615"));
    ck_assert_str_eq(range.stream, "0f8fad5b-d9cb-469f-a165-70867728950e");
    ck_assert_uint_eq(range.first, 7);
    ck_assert_uint_eq(range.last, UINT64_MAX);
    given(0);
    expect_ok(request_batch_range(&request, &range, &err));
    ck_assert_str_eq(range.stream, "");
}
END_TEST

START_TEST(a_range_that_makes_no_sense_is_refused)
{
    static const char good[] = "0f8fad5b-d9cb-469f-a165-70867728950e";
    expect_fail(read_range("0f8fad5bd9cb469fa16570867728950e", "1", "2"), FAIL_INVALID);
    expect_fail(read_range("0f8fad5b-d9cb-469f-a165-70867728950g", "1", "2"), FAIL_INVALID);
    expect_fail(read_range("0f8fad5b+d9cb-469f-a165-70867728950e", "1", "2"), FAIL_INVALID);
    expect_fail(read_range("", "1", "2"), FAIL_INVALID);
    expect_fail(read_range(good, "2", "1"), FAIL_INVALID);
    expect_fail(read_range(good, "", "1"), FAIL_INVALID);
    expect_fail(read_range(good, "1", "0x2"), FAIL_INVALID);
    expect_fail(read_range(good, "1", "18446744073709551616"), FAIL_INVALID);
    given(2, "X-Batch-Stream", good, "X-Batch-First", "1");
    expect_fail(request_batch_range(&request, &range, &err), FAIL_INVALID);
    given(1, "X-Batch-Last", "1");
    expect_fail(request_batch_range(&request, &range, &err), FAIL_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, both_paths_and_the_grpc_method_name_a_signal);
    tcase_add_test(tests, a_token_is_taken_from_either_header);
    tcase_add_test(tests, a_range_is_read_and_its_stream_lower_cased);
    tcase_add_test(tests, a_range_that_makes_no_sense_is_refused);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
