#include <stdio.h>
#include <unistd.h>

#include "agent/settings/watch.h"
#include "base/memory.h"
#include "platform/platform.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

enum { LIMIT_MS = 10 * 1000, STEP_MS = 5 };

static char *root, *home_file, *dropin;
static struct error err;
static struct loop *loop;
static struct settings_watch *watch;
static struct settings_user user;
static struct settings_options wanted;
static struct settings_watch_options options;
static bool wanted_fails;

static bool give_wanted(void *context, struct settings_options *out, struct error *e)
{
    (void)context;
    *out = wanted;
    return !wanted_fails || error_set(e, FAIL_IO, "nothing is known");
}

static void set_up(void)
{
    root = temp_dir_make();
    home_file = xasprintf("%s/home/alice/.claude/settings.json", root);
    dropin = xasprintf("%s/etc/claude-code/managed-settings.d/90-claude-telemetry.json", root);
    char *home = xasprintf("%s/home/alice", root);
    expect_ok(fs_make_dirs(&fs_real, home, 0755, &err));
    free(home);
    user = (struct settings_user){.name = "alice",
                                  .uid = (uint32_t)geteuid(),
                                  .gid = (uint32_t)getegid(),
                                  .home = "/home/alice",
                                  .email = "alice@example.com"};
    wanted = (struct settings_options){.root = root,
                                       .endpoint = "http://127.0.0.1:14318",
                                       .metrics = true,
                                       .logs = true,
                                       .traces = true,
                                       .user_env = true,
                                       .users = &user,
                                       .user_count = 1};
    wanted_fails = false;
    options = (struct settings_watch_options){.root = root,
                                              .wanted = give_wanted,
                                              .fs = &fs_real,
                                              .clock = &platform_clock,
                                              .settle_ms = 10,
                                              .look_ms = LIMIT_MS * 10};
    loop = loop_create(&err);
}

static void start(void)
{
    watch = settings_watch_create(loop, &options, &err);
    ck_assert_ptr_nonnull(watch);
}

static void tear_down(void)
{
    settings_watch_destroy(watch);
    watch = NULL;
    loop_destroy(loop);
    temp_dir_remove(root);
    free(home_file);
    free(dropin);
}

/* Runs the loop until the condition holds. */
struct waiting {
    bool (*condition)(void);
    struct loop_timer *timer;
    uint64_t end_ms;
    bool held;
};

static void check(void *context)
{
    struct waiting *w = context;
    w->held = w->condition();
    if (w->held || loop_now_ms(loop) > w->end_ms)
        loop_stop(loop);
    else
        loop_timer_set(w->timer, STEP_MS);
}

static void wait_for(bool (*condition)(void))
{
    struct waiting w = {.condition = condition};
    w.timer = loop_timer_create(loop, check, &w);
    w.end_ms = loop_now_ms(loop) + LIMIT_MS;
    loop_timer_set(w.timer, STEP_MS);
    loop_run(loop);
    loop_timer_destroy(w.timer);
    ck_assert_msg(w.held, "waited in vain");
}

static bool whole(const char *path)
{
    struct buffer text = {.max_bytes = MIB};
    struct error missing;
    bool ok = fs_read_file(&fs_real, path, &text, &missing) && buffer_text(&text) &&
              strstr(buffer_text(&text), wanted.endpoint);
    buffer_clear(&text);
    return ok;
}

static bool all_written(void)
{
    return whole(home_file) && whole(dropin);
}

static uint64_t repairs(void)
{
    struct settings_watch_status status;
    settings_watch_status(watch, &status);
    return status.repairs_total;
}

static bool repaired(void)
{
    return repairs() >= 1 && all_written();
}

static bool home_repaired(void)
{
    return whole(home_file);
}

static bool failed(void)
{
    struct settings_watch_status status;
    settings_watch_status(watch, &status);
    return status.failures_total > 0;
}

static bool in_conflict(void)
{
    struct settings_watch_status status;
    settings_watch_status(watch, &status);
    if (status.conflict)
        return strstr(status.conflict_path, "90-claude-telemetry.json") != NULL;
    if (whole(dropin))
        expect_ok(fs_replace_file(&fs_real, dropin, bytes_of("{}"), 0644, &err));
    return false;
}

START_TEST(settings_are_written_at_the_start_and_that_is_no_repair)
{
    start();
    wait_for(all_written);
    ck_assert_uint_eq(repairs(), 0);
}
END_TEST

START_TEST(a_change_is_noticed_and_put_back)
{
    struct settings_watch_status status;
    start();
    wait_for(all_written);
    expect_ok(fs_replace_file(&fs_real, home_file, bytes_of("{\"model\":\"opus\"}"), 0600, &err));
    wait_for(repaired);
    settings_watch_status(watch, &status);
    ck_assert_uint_eq(status.repairs_total, 1);
    ck_assert_ptr_nonnull(strstr(status.last_diff, "+    \"OTEL_LOGS_EXPORTER\": \"otlp\""));
    ck_assert(!status.conflict);
}
END_TEST

START_TEST(a_removed_folder_comes_back)
{
    start();
    wait_for(all_written);
    char *command = xasprintf("rm -rf '%s/etc/claude-code'", root);
    ck_assert_int_eq(system(command), 0);
    free(command);
    wait_for(repaired);
}
END_TEST

/* The file behind a link lies in a folder that nobody watches. */
START_TEST(without_notices_the_regular_look_finds_it)
{
    char *folder = xasprintf("%s/home/alice/dotfiles", root);
    char *claude = xasprintf("%s/home/alice/.claude", root);
    char *target = xasprintf("%s/settings.json", folder);
    expect_ok(fs_make_dirs(&fs_real, folder, 0755, &err));
    expect_ok(fs_make_dirs(&fs_real, claude, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, target, bytes_of("{}"), 0600, &err));
    ck_assert_int_eq(symlink("../dotfiles/settings.json", home_file), 0);
    options.look_ms = 20;
    start();
    wait_for(all_written);
    expect_ok(fs_replace_file(&fs_real, target, bytes_of("{}"), 0600, &err));
    wait_for(repaired);
    free(target);
    free(claude);
    free(folder);
}
END_TEST

START_TEST(a_change_of_what_is_wanted_is_no_repair)
{
    start();
    wait_for(all_written);
    wanted.endpoint = "http://127.0.0.1:14319";
    settings_watch_poke(watch);
    wait_for(all_written);
    ck_assert_uint_eq(repairs(), 0);
}
END_TEST

START_TEST(a_program_that_keeps_rewriting_is_a_conflict)
{
    start();
    wait_for(all_written);
    wait_for(in_conflict);
    ck_assert_uint_eq(repairs(), 4);
    expect_ok(fs_replace_file(&fs_real, dropin, bytes_of("{}"), 0644, &err));
    expect_ok(fs_replace_file(&fs_real, home_file, bytes_of("{}"), 0600, &err));
    wait_for(home_repaired); /* other files are still looked after */
    ck_assert_uint_eq(repairs(), 5);
    ck_assert(!whole(dropin));
}
END_TEST

START_TEST(a_failure_is_counted_and_tried_again)
{
    struct settings_watch_status status;
    wanted_fails = true;
    options.look_ms = 20;
    start();
    wait_for(failed);
    settings_watch_status(watch, &status);
    ck_assert_str_eq(status.last_error.cause, "nothing is known");
    wanted_fails = false;
    wait_for(all_written);
    settings_watch_status(watch, &status);
    ck_assert_int_eq(status.last_error.kind, FAIL_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, settings_are_written_at_the_start_and_that_is_no_repair);
    tcase_add_test(tests, a_change_is_noticed_and_put_back);
    tcase_add_test(tests, a_removed_folder_comes_back);
    tcase_add_test(tests, without_notices_the_regular_look_finds_it);
    tcase_add_test(tests, a_change_of_what_is_wanted_is_no_repair);
    tcase_add_test(tests, a_program_that_keeps_rewriting_is_a_conflict);
    tcase_add_test(tests, a_failure_is_counted_and_tried_again);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
