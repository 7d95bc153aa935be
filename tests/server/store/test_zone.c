/* Zones are compared with what the C library says, over a century and every change in it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/fs.h"
#include "server/store/day.h"
#include "server/store/messages.h"
#include "server/store/zone.h"
#include "tests/support/expect.h"

static struct error err;

static const char *const NAMES[] = {"Europe/Berlin",       "America/New_York",  "Asia/Kolkata",
                                    "Australia/Lord_Howe", "America/Sao_Paulo", "Europe/Dublin",
                                    "Pacific/Apia",        "Africa/Casablanca", "Etc/GMT+5"};

START_TEST(offsets_are_the_c_librarys)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct zone *zone = zone_create(NAMES[i], &err);
        ck_assert_msg(zone != NULL, "%s", err.cause);
        setenv("TZ", NAMES[i], 1);
        tzset();
        for (int64_t at = INT64_C(0); at < INT64_C(4102444800); at += 3600 * 49 + 13) {
            time_t t = (time_t)at;
            struct tm local;
            localtime_r(&t, &local);
            ck_assert_msg(zone_offset_s(zone, at) == local.tm_gmtoff, "%s at %lld: %d, not %ld",
                          NAMES[i], (long long)at, zone_offset_s(zone, at), local.tm_gmtoff);
        }
        zone_destroy(zone);
    }
}
END_TEST

START_TEST(days_begin_when_the_date_changes)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct zone *zone = zone_create(NAMES[i], &err);
        ck_assert_ptr_nonnull(zone);
        for (int64_t at = INT64_C(1600000000); at < INT64_C(1900000000); at += 3600 * 23) {
            char of_time[ZONE_TEXT_BYTES], of_start[ZONE_TEXT_BYTES], before[ZONE_TEXT_BYTES];
            int64_t start = zone_interval_start(zone, INTERVAL_DAY, at);
            ck_assert(start <= at && at - start < 26 * 3600);
            zone_interval_text(zone, INTERVAL_DAY, at, of_time);
            zone_interval_text(zone, INTERVAL_DAY, start, of_start);
            zone_interval_text(zone, INTERVAL_DAY, start - 1, before);
            ck_assert_str_eq(of_time, of_start);
            ck_assert_str_ne(before, of_start);
        }
        zone_destroy(zone);
    }
}
END_TEST

START_TEST(intervals_are_shown_as_people_write_them)
{
    struct zone *berlin = zone_create("Europe/Berlin", &err);
    char text[ZONE_TEXT_BYTES];
    int64_t at = INT64_C(1792890000); /* 2026-10-25T01:00:00Z, just when clocks go back */
    ck_assert_ptr_nonnull(berlin);
    zone_interval_text(berlin, INTERVAL_HOUR, zone_interval_start(berlin, INTERVAL_HOUR, at - 1),
                       text);
    ck_assert_str_eq(text, "2026-10-25T02:00:00+02:00");
    zone_interval_text(berlin, INTERVAL_HOUR, zone_interval_start(berlin, INTERVAL_HOUR, at), text);
    ck_assert_str_eq(text, "2026-10-25T02:00:00+01:00");
    zone_interval_text(NULL, INTERVAL_HOUR, at, text);
    ck_assert_str_eq(text, "2026-10-25T01:00:00Z");
    zone_interval_text(berlin, INTERVAL_WEEK, zone_interval_start(berlin, INTERVAL_WEEK, at), text);
    ck_assert_str_eq(text, "2026-10-19");
    zone_interval_text(berlin, INTERVAL_MONTH, zone_interval_start(berlin, INTERVAL_MONTH, at),
                       text);
    ck_assert_str_eq(text, "2026-10-01");
    ck_assert_int_eq(zone_interval_start(berlin, INTERVAL_DAY, at + 80000) -
                         zone_interval_start(berlin, INTERVAL_DAY, at),
                     25 * 3600);
    zone_destroy(berlin);
}
END_TEST

START_TEST(names_and_files_from_outside_are_not_trusted)
{
    static const char *const BAD[] = {"",       "../../etc/passwd", "/etc/passwd",
                                      "Europe", "Nowhere/At",       "Europe/Berlin\n"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        ck_assert_ptr_null(zone_create(BAD[i], &err));
    ck_assert_str_ne(err.remedy, "");

    struct buffer file = {.max_bytes = MIB};
    expect_ok(fs_read_file(&fs_real, "/usr/share/zoneinfo/Europe/Berlin", &file, &err));
    for (size_t len = 0; len < file.len; len++) { /* every cut */
        struct zone *zone = zone_parse(bytes_make(file.data, len), &err);
        if (zone)
            zone_offset_s(zone, 1792890000);
        zone_destroy(zone);
    }
    uint32_t random = 1;
    for (int round = 0; round < 3000; round++) { /* and some flipped bits */
        random = random * 1664525u + 1013904223u;
        size_t at = (random >> 8) % file.len;
        file.data[at] ^= (uint8_t)(1 << (random >> 5) % 8);
        struct zone *zone = zone_parse(buffer_bytes(&file), &err);
        if (zone)
            zone_interval_start(zone, INTERVAL_DAY, 1792890000);
        zone_destroy(zone);
    }
    buffer_clear(&file);
}
END_TEST

START_TEST(days_have_numbers_and_dates)
{
    char text[DAY_TEXT_BYTES];
    int64_t day;
    for (int64_t number = -1000; number < 60000; number += 7) {
        day_text(number, text);
        if (number >= 0) {
            ck_assert(day_of_text(bytes_of(text), &day));
            ck_assert_int_eq(day, number);
        }
    }
    ck_assert(day_of_text(bytes_of("2028-02-29"), &day));
    ck_assert(!day_of_text(bytes_of("2027-02-29"), &day));
    ck_assert(!day_of_text(bytes_of("2027-2-9"), &day));
    ck_assert(!day_of_text(bytes_of("2027-02-09x"), &day));
    ck_assert(day_of_text(bytes_of("1970-01-02"), &day) && day == 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("zone");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, offsets_are_the_c_librarys);
    tcase_add_test(tests, days_begin_when_the_date_changes);
    tcase_add_test(tests, intervals_are_shown_as_people_write_them);
    tcase_add_test(tests, names_and_files_from_outside_are_not_trusted);
    tcase_add_test(tests, days_have_numbers_and_dates);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
