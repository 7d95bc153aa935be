#include <string.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "server/importers/chunks.h"
#include "server/importers/importer.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;

START_TEST(days_move_across_months_years_and_leap_days)
{
    static const struct {
        const char *day;
        int by;
        const char *to;
    } moves[] = {{"2026-11-20", 1, "2026-11-21"},   {"2026-12-31", 1, "2027-01-01"},
                 {"2028-02-28", 1, "2028-02-29"},   {"2026-02-28", 1, "2026-03-01"},
                 {"2026-03-01", -1, "2026-02-28"},  {"2000-02-29", 366, "2001-03-01"},
                 {"2026-11-20", -365, "2025-11-20"}};
    char day[API_DAY_BYTES];
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        importer_move_day(moves[i].day, moves[i].by, day);
        ck_assert_str_eq(day, moves[i].to);
    }
}
END_TEST

START_TEST(only_real_days_are_days)
{
    static const char *const bad[] = {"2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1",
                                      "2026-11-31", "20261120",   "2026-11-2x", ""};
    ck_assert(importer_is_day("2028-02-29"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!importer_is_day(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(ranges_are_cut_by_day_or_at_the_months_end)
{
    struct api_chunk chunk;
    ck_assert_uint_eq(chunk_count(API_ADMIN_CLAUDE_CODE, "2026-01-01", "2026-12-31"), 365);
    ck_assert_uint_eq(chunk_count(API_ENTERPRISE_COST, "2026-01-15", "2026-12-31"), 12);
    ck_assert_uint_eq(chunk_count(API_ANALYTICS_USAGE, "2026-01-31", "2026-02-01"), 2);
    ck_assert(chunk_next(API_ENTERPRISE_USAGE, "2026-01-15", "2026-03-10", &chunk));
    ck_assert_str_eq(chunk.to, "2026-02-01");
    ck_assert(chunk_next(API_ENTERPRISE_USAGE, "2026-03-01", "2026-03-10", &chunk));
    ck_assert_str_eq(chunk.to, "2026-03-11");
    ck_assert(chunk_next(API_ENTERPRISE_USERS, "2026-03-10", "2026-03-10", &chunk));
    ck_assert_str_eq(chunk.to, "2026-03-11");
    ck_assert(!chunk_next(API_ENTERPRISE_USERS, "2026-03-11", "2026-03-10", &chunk));
}
END_TEST

static bool read_key_of(const char *text, uint32_t mode, struct importer_key *key)
{
    char *dir = temp_dir_make();
    char *path = xasprintf("%s/key", dir);
    expect_ok(fs_replace_file(&fs_real, path, bytes_of(text), mode, &err));
    bool ok = importer_read_key(path, key, &err);
    free(path);
    temp_dir_remove(dir);
    return ok;
}

START_TEST(a_key_is_known_by_its_prefix_and_kept_from_others)
{
    struct importer_key key;
    expect_ok(read_key_of("sk-ant-admin01-abc\n", 0600, &key));
    ck_assert_str_eq(key.text, "sk-ant-admin01-abc");
    ck_assert_int_eq(key.kind, IMPORTER_ADMIN_KEY);
    expect_ok(read_key_of("sk-ant-api01-abc", 0400, &key));
    ck_assert_int_eq(key.kind, IMPORTER_ENTERPRISE_KEY);
    expect_fail(read_key_of("sk-ant-api03-abc", 0600, &key), FAIL_INVALID);
    expect_fail(read_key_of("sk-ant-admin01-a b", 0600, &key), FAIL_INVALID);
    expect_fail(read_key_of("sk-ant-admin01-abc", 0640, &key), FAIL_DENIED);
    ck_assert_ptr_nonnull(strstr(err.remedy, "chmod 600"));
    expect_fail(importer_read_key("/nonexistent/key", &key, &err), FAIL_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("importer_days");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, days_move_across_months_years_and_leap_days);
    tcase_add_test(tests, only_real_days_are_days);
    tcase_add_test(tests, ranges_are_cut_by_day_or_at_the_months_end);
    tcase_add_test(tests, a_key_is_known_by_its_prefix_and_kept_from_others);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
