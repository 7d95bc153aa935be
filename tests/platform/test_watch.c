/* The system's notices of changed folders, with a loop that waits for them as the agent's does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/event/loop.h"
#include "platform/fs.h"
#include "platform/watch.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

enum { LIMIT_MS = 20000 };

static struct error err;
static char *dir;
static struct loop *loop;
static struct loop_timer *limit;
static struct platform_watch *folders;
static struct loop_watch *notices;
static const char *awaited;
static bool seen;

static void on_event(void *context, const char *name)
{
    (void)context;
    /* The folder itself says that something in it changed where the system tells no more. */
    if (strcmp(name, awaited) == 0 || name[0] == '\0') {
        seen = true;
        loop_stop(loop);
    }
}

static void on_notice(void *context, int fd, unsigned events)
{
    (void)context;
    (void)fd;
    (void)events;
    platform_watch_drain(folders, on_event, NULL);
}

static void on_limit(void *context)
{
    (void)context;
    loop_stop(loop);
}

static void setup(void)
{
    dir = temp_dir_make();
    loop = loop_create(&err);
    ck_assert_msg(loop != NULL, "%s", err.cause);
    limit = loop_timer_create(loop, on_limit, NULL);
    folders = platform_watch_create();
    ck_assert_int_ge(platform_watch_fd(folders), 0);
    notices = loop_watch_add(loop, platform_watch_fd(folders), LOOP_READABLE, on_notice, NULL);
}

static void teardown(void)
{
    loop_watch_remove(notices);
    platform_watch_destroy(folders);
    loop_timer_destroy(limit);
    loop_destroy(loop);
    temp_dir_remove(dir);
}

static void write_file(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

static bool is_told(const char *name)
{
    awaited = name;
    seen = false;
    loop_timer_set(limit, LIMIT_MS);
    loop_run(loop);
    loop_timer_cancel(limit);
    return seen;
}

/* Adding may take effect a moment later: what is written until then need not be told. */
static void start_watching(void)
{
    bool is_watched = false;
    platform_watch_add(folders, dir);
    for (int i = 0; i < 200 && !is_watched; i++) {
        write_file("probe", "x");
        awaited = "probe";
        seen = false;
        loop_timer_set(limit, 100);
        loop_run(loop);
        is_watched = seen;
    }
    ck_assert(is_watched);
}

START_TEST(a_file_that_is_made_replaced_changed_or_removed_is_told)
{
    write_file("changed.json", "{}");
    write_file("removed.json", "{}");
    start_watching();
    platform_watch_add(folders, dir); /* again: as after each look */
    write_file("changed.json", "{ \"a\": 1 }");
    ck_assert(is_told("changed.json"));
    write_file("made.json", "{}");
    ck_assert(is_told("made.json"));
    char *path = xasprintf("%s/replaced.json", dir), *removed = xasprintf("%s/removed.json", dir);
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("[]"), 0600, &err));
    ck_assert(is_told("replaced.json"));
    expect_ok(fs_real.remove(fs_real.disk, removed, &err));
    ck_assert(is_told("removed.json"));
    free(removed);
    free(path);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_passed_over)
{
    char *missing = xasprintf("%s/missing", dir);
    platform_watch_add(folders, missing);
    start_watching();
    free(missing);
}
END_TEST

START_TEST(a_watched_folder_can_be_removed_and_made_anew)
{
    char *folder = xasprintf("%s/.claude", dir), *outer = dir;
    expect_ok(fs_real.make_dir(fs_real.disk, folder, 0700, &err));
    dir = folder;
    start_watching();
    temp_dir_remove(folder);
    dir = xasprintf("%s/.claude", outer);
    expect_ok(fs_real.make_dir(fs_real.disk, dir, 0700, &err));
    start_watching();
    free(dir);
    dir = outer;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *t = tcase_create("watch");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_file_that_is_made_replaced_changed_or_removed_is_told);
    tcase_add_test(t, a_folder_that_is_not_there_is_passed_over);
    tcase_add_test(t, a_watched_folder_can_be_removed_and_made_anew);
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
