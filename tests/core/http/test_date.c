#include "core/http/client.h"
#include "core/http/date.h"
#include "tests/support/expect.h"

static void expect_date(uint64_t unix_s, const char *expected)
{
    char text[HTTP_DATE_BYTES];
    http_date_format(unix_s, text);
    ck_assert_str_eq(text, expected);
    uint64_t back;
    ck_assert(http_date_parse(bytes_of(text), &back));
    ck_assert_uint_eq(back, unix_s);
}

START_TEST(dates_are_written_and_read_back)
{
    expect_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    expect_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_date(1709164799, "Wed, 28 Feb 2024 23:59:59 GMT");
    expect_date(1735689599, "Tue, 31 Dec 2024 23:59:59 GMT");
    expect_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
}
END_TEST

START_TEST(the_two_old_forms_are_read)
{
    uint64_t unix_s;
    ck_assert(http_date_parse(bytes_of("Sunday, 06-Nov-94 08:49:37 GMT"), &unix_s));
    ck_assert_uint_eq(unix_s, 784111777);
    ck_assert(http_date_parse(bytes_of("Sun Nov  6 08:49:37 1994"), &unix_s));
    ck_assert_uint_eq(unix_s, 784111777);
}
END_TEST

START_TEST(what_is_no_date_is_refused)
{
    uint64_t unix_s;
    static const char *const bad[] = {"",
                                      "soon",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      "Sun, 06 Foo 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!http_date_parse(bytes_of(bad[i]), &unix_s), "'%s' was read", bad[i]);
}
END_TEST

static struct http_result with_headers(const char *text)
{
    return (struct http_result){.headers = bytes_of(text)};
}

START_TEST(headers_are_found_in_any_case_and_trimmed)
{
    struct http_result result =
        with_headers("Server: x\r\nX-One:  a b \r\nx-one: second\r\nEmpty:\r\n\r\n");
    expect_text(http_result_header(&result, "x-ONE"), "a b");
    ck_assert_ptr_nonnull(http_result_header(&result, "Empty").data);
    ck_assert_uint_eq(http_result_header(&result, "Empty").len, 0);
    ck_assert_ptr_null(http_result_header(&result, "X-On").data);
}
END_TEST

START_TEST(retry_after_is_seconds_or_a_date)
{
    uint64_t wait_ms = 0;
    const uint64_t wall_ns = UINT64_C(784111770) * 1000000000;
    struct http_result result = with_headers("Retry-After: 120\r\n");
    ck_assert(http_result_retry_after_ms(&result, wall_ns, &wait_ms));
    ck_assert_uint_eq(wait_ms, 120000);
    result = with_headers("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    ck_assert(http_result_retry_after_ms(&result, wall_ns, &wait_ms));
    ck_assert_uint_eq(wait_ms, 7000);
    ck_assert(http_result_retry_after_ms(&result, 2 * wall_ns, &wait_ms));
    ck_assert_uint_eq(wait_ms, 0);
    result = with_headers("Retry-After: -5\r\n");
    ck_assert(!http_result_retry_after_ms(&result, wall_ns, &wait_ms));
    result = with_headers("Retry-After: 99999999999999999999999\r\n");
    ck_assert(http_result_retry_after_ms(&result, wall_ns, &wait_ms));
    ck_assert_uint_eq(wait_ms, UINT64_C(366) * 86400 * 1000);
    result = with_headers("Date: x\r\n");
    ck_assert(!http_result_retry_after_ms(&result, wall_ns, &wait_ms));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("date");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, dates_are_written_and_read_back);
    tcase_add_test(tests, the_two_old_forms_are_read);
    tcase_add_test(tests, what_is_no_date_is_refused);
    tcase_add_test(tests, headers_are_found_in_any_case_and_trimmed);
    tcase_add_test(tests, retry_after_is_seconds_or_a_date);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
