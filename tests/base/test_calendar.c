/* The calendar against the C library's, a day at a time, and its inverse. */
#include <time.h>

#include "base/calendar.h"
#include "tests/support/expect.h"

START_TEST(every_day_until_2770_is_the_c_librarys)
{
    for (int64_t day = 0; day <= 2 * 146097; day++) {
        time_t at = (time_t)day * 86400;
        struct tm utc;
        int64_t year;
        unsigned month, of_month;
        bool same = gmtime_r(&at, &utc) != NULL;
        calendar_date(day, &year, &month, &of_month);
        same = same && year == utc.tm_year + 1900 && month == (unsigned)utc.tm_mon + 1 &&
               of_month == (unsigned)utc.tm_mday && calendar_days(year, month, of_month) == day;
        if (!same) /* a check for each day would take the time */
            ck_abort_msg("day %lld is not the C library's", (long long)day);
    }
}
END_TEST

START_TEST(a_day_before_1970_is_found_again)
{
    int64_t year;
    unsigned month, of_month;
    calendar_date(-1, &year, &month, &of_month);
    ck_assert(year == 1969 && month == 12 && of_month == 31);
    for (int64_t day = -1000000; day < 0; day += 70) {
        calendar_date(day, &year, &month, &of_month);
        ck_assert_int_eq(calendar_days(year, month, of_month), day);
    }
}
END_TEST

START_TEST(leap_years_follow_the_gregorian_rule)
{
    ck_assert_uint_eq(calendar_days_in_month(2027, 2), 28);
    ck_assert_uint_eq(calendar_days_in_month(2028, 2), 29);
    ck_assert_uint_eq(calendar_days_in_month(2100, 2), 28);
    ck_assert_uint_eq(calendar_days_in_month(2000, 2), 29);
    ck_assert_uint_eq(calendar_days_in_month(2026, 12), 31);
    ck_assert_uint_eq(calendar_days_in_month(2026, 11), 30);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("calendar");
    TCase *tests = tcase_create("calendar");
    tcase_add_test(tests, every_day_until_2770_is_the_c_librarys);
    tcase_add_test(tests, a_day_before_1970_is_found_again);
    tcase_add_test(tests, leap_years_follow_the_gregorian_rule);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
