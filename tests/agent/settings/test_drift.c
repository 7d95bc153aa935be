#include <stdio.h>
#include <stdlib.h>

#include "agent/settings/drift.h"
#include "base/clock.h"
#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND };

static struct drift drift;
static uint64_t now;

static void set_up(void)
{
    drift = (struct drift){0};
    now = 5 * MINUTE;
}

static void tear_down(void)
{
    drift_clear(&drift);
}

START_TEST(drift_now_and_then_is_always_repaired)
{
    for (int i = 0; i < 50; i++) {
        ck_assert(drift_may_repair(&drift, "/a", now));
        drift_settled(&drift, "/a", now + SECOND);
        now += 4 * MINUTE;
    }
    ck_assert_ptr_null(drift_conflict(&drift));
}
END_TEST

/* A program that rewrites the file every 30 seconds, for a day. */
START_TEST(a_program_that_keeps_rewriting_is_not_fought_for_ever)
{
    int repairs = 0;
    uint64_t end = now + UINT64_C(24) * 60 * MINUTE;
    for (; now < end; now += 30 * SECOND)
        repairs += drift_may_repair(&drift, "/a", now);
    const struct drift_file *file = drift_conflict(&drift);
    ck_assert_ptr_nonnull(file);
    ck_assert_str_eq(file->path, "/a");
    ck_assert_int_ge(repairs, 10);
    ck_assert_int_le(repairs, 35);
    ck_assert_uint_le(file->resume_ms, now + DRIFT_LONGEST_PAUSE_MS);
}
END_TEST

START_TEST(the_first_repairs_are_prompt_and_then_it_waits)
{
    for (int i = 0; i < DRIFT_REPAIRS; i++) {
        ck_assert(drift_may_repair(&drift, "/a", now));
        ck_assert((drift_conflict(&drift) != NULL) == (i == DRIFT_REPAIRS - 1));
        now += SECOND;
    }
    ck_assert(!drift_may_repair(&drift, "/a", now));
    ck_assert(drift_may_repair(&drift, "/b", now)); /* another file is not held back */
    ck_assert(drift_may_repair(&drift, "/a", now + DRIFT_FIRST_PAUSE_MS));
}
END_TEST

START_TEST(a_conflict_is_over_once_the_file_holds_still)
{
    for (int i = 0; i < DRIFT_REPAIRS; i++)
        ck_assert(drift_may_repair(&drift, "/a", now));
    drift_settled(&drift, "/a", now + MINUTE);
    ck_assert_ptr_nonnull(drift_conflict(&drift));
    drift_settled(&drift, "/a", now + DRIFT_WINDOW_MS);
    ck_assert_ptr_null(drift_conflict(&drift));
    ck_assert(drift_may_repair(&drift, "/a", now + DRIFT_WINDOW_MS + SECOND));
    ck_assert_ptr_null(drift_conflict(&drift));
}
END_TEST

START_TEST(what_is_known_outlives_the_process)
{
    struct error err;
    char *root = temp_dir_make();
    char *folder = xasprintf("%s/var/lib/claude-telemetry-settings", root);
    struct settings_result repaired = {.repaired = 3};
    now = UINT64_C(365) * 24 * 60 * MINUTE;
    expect_fail(drift_write(&drift, root, &fs_real, &err), FAIL_NOT_FOUND);
    expect_ok(fs_make_dirs(&fs_real, folder, 0700, &err));
    for (int i = 0; i < DRIFT_REPAIRS; i++, now += SECOND)
        ck_assert(drift_may_repair(&drift, "/a", now));
    drift_note(&drift, &repaired, 77 * NS_PER_S);
    snprintf(drift.last_diff, sizeof drift.last_diff, "- \"x\"\n");
    for (int run = 0; run < 3; run++) { /* as often as there are processes */
        expect_ok(drift_write(&drift, root, &fs_real, &err));
        drift_clear(&drift);
        drift_read(&drift, root, &fs_real, now);
        ck_assert_ptr_nonnull(drift_conflict(&drift));
        ck_assert(!drift_may_repair(&drift, "/a", now));
    }
    ck_assert_uint_eq(drift.repairs_total, 3);
    ck_assert_uint_eq(drift.last_ns, 77 * NS_PER_S);
    ck_assert_str_eq(drift.last_diff, "- \"x\"\n");
    ck_assert(drift_may_repair(&drift, "/a", now + DRIFT_FIRST_PAUSE_MS));

    drift_clear(&drift); /* the clock was set back: nobody waits for a year */
    drift_read(&drift, root, &fs_real, 1);
    ck_assert(drift_may_repair(&drift, "/a", 2));
    drift_clear(&drift);
    char *file = xasprintf("%s/drift.json", folder);
    expect_ok(fs_replace_file(&fs_real, file, bytes_of("{ torn"), 0600, &err));
    drift_read(&drift, root, &fs_real, now);
    ck_assert_uint_eq(drift.count, 0);
    free(file);
    free(folder);
    temp_dir_remove(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drift");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, drift_now_and_then_is_always_repaired);
    tcase_add_test(tests, a_program_that_keeps_rewriting_is_not_fought_for_ever);
    tcase_add_test(tests, the_first_repairs_are_prompt_and_then_it_waits);
    tcase_add_test(tests, a_conflict_is_over_once_the_file_holds_still);
    tcase_add_test(tests, what_is_known_outlives_the_process);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
