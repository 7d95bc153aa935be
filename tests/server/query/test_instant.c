#include "server/query/instant.h"

#include <time.h>

#include "base/clock.h"
#include "tests/support/expect.h"

static uint64_t parsed(const char *text)
{
    uint64_t ns = 1;
    ck_assert_msg(instant_parse(bytes_of(text), &ns), "%s", text);
    return ns;
}

START_TEST(dates_and_times_of_rfc_3339_are_read)
{
    ck_assert_uint_eq(parsed("1970-01-01"), 0);
    ck_assert_uint_eq(parsed("2026-11-20T23:14:30.753Z"), UINT64_C(1795216470753000000));
    ck_assert_uint_eq(parsed("2026-11-21T01:14:30+02:00"), UINT64_C(1795216470000000000));
    ck_assert_uint_eq(parsed("2026-11-21T01:14:30 02:00"), UINT64_C(1795216470000000000));
    ck_assert_uint_eq(parsed("2026-11-20T18:14:30-05:00"), UINT64_C(1795216470000000000));
    ck_assert_uint_eq(parsed("2026-11-20t23:14:30.1234567891z"), UINT64_C(1795216470123456789));
    ck_assert_uint_eq(parsed("2024-02-29") + 86400 * NS_PER_S, parsed("2024-03-01"));
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-5-1",
                                        "2026-13-01",
                                        "2026-02-29",
                                        "2026-00-10",
                                        "2026-01-32",
                                        "1969-12-31",
                                        "2026-01-01T",
                                        "2026-01-01T10:00Z",
                                        "2026-01-01T10:00:00",
                                        "2026-01-01T24:00:00Z",
                                        "2026-01-01T10:00:00.Z",
                                        "2026-01-01T10:00:00Zx",
                                        "2026-01-01T10:00:00+0200",
                                        "1970-01-01T00:00:00+01:00",
                                        "yesterday",
                                        "2026-01-01 "};
    uint64_t ns;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!instant_parse(bytes_of(wrong[i]), &ns), "%s", wrong[i]);
    ck_assert(instant_parse_day(bytes_of("2026-05-01"), &ns));
    ck_assert(!instant_parse_day(bytes_of("2026-05-01T00:00:00Z"), &ns));
}
END_TEST

START_TEST(days_agree_with_the_c_library)
{
    for (uint64_t day = 0; day < 80000; day += 13) {
        char ours[INSTANT_DAY_BYTES], theirs[INSTANT_DAY_BYTES + 8];
        time_t at = (time_t)(day * 86400 + 86399);
        struct tm tm;
        gmtime_r(&at, &tm);
        strftime(theirs, sizeof theirs, "%Y-%m-%d", &tm);
        instant_day((uint64_t)at * NS_PER_S, ours);
        ck_assert_str_eq(ours, theirs);
        ck_assert_uint_eq(parsed(ours), day * 86400 * NS_PER_S);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("instant");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, dates_and_times_of_rfc_3339_are_read);
    tcase_add_test(tests, what_is_no_time_is_refused);
    tcase_add_test(tests, days_agree_with_the_c_library);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
