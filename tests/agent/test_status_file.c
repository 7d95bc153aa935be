#include "agent/status_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *root, *dir, *path;
static struct status_file *file;

static void set_up(void)
{
    root = temp_dir_make();
    dir = xasprintf("%s/run/claude-telemetry", root);
    path = xasprintf("%s/status.json", dir);
    file = status_file_create(dir, &fs_real);
}

static void tear_down(void)
{
    status_file_destroy(file);
    free(path);
    free(dir);
    temp_dir_remove(root);
}

static void expect_content(const char *expected)
{
    struct buffer text = {0};
    expect_ok(status_file_read(dir, &fs_real, &text, &err));
    expect_text(buffer_bytes(&text), expected);
    buffer_clear(&text);
}

static bool put(const char *members, uint64_t now_ns)
{
    bool wrote;
    expect_ok(status_file_put(file, bytes_of(members), now_ns, &wrote, &err));
    return wrote;
}

START_TEST(it_is_written_when_something_changed)
{
    struct fs_stat stat;
    ck_assert(put("\"a\":1,\"long\":\"xxxxxxxxxxxxxxxx\"", 1 * UINT64_C(1000000000)));
    expect_ok(fs_real.stat(NULL, path, &stat, &err));
    ck_assert_uint_eq(stat.mode & 0777, 0644);
    ck_assert(!put("\"a\":1,\"long\":\"xxxxxxxxxxxxxxxx\"", 2 * UINT64_C(1000000000)));
    ck_assert(put("\"a\":2", 3 * UINT64_C(1000000000)));
    expect_content("{\"updated_at\":\"1970-01-01T00:00:03.000Z\",\"a\":2}\n");
}
END_TEST

START_TEST(only_who_wrote_it_takes_it_away)
{
    struct buffer text = {0};
    struct status_file *other = status_file_create(dir, &fs_real);
    put("\"a\":1", 0);
    status_file_remove(other);
    expect_ok(status_file_read(dir, &fs_real, &text, &err));
    status_file_remove(file);
    expect_fail(status_file_read(dir, &fs_real, &text, &err), FAIL_NOT_FOUND);
    buffer_clear(&text);
    status_file_destroy(other);
}
END_TEST

START_TEST(after_a_failure_it_is_tried_again)
{
    bool wrote = true;
    char *blocked = xasprintf("%s/file", root);
    expect_ok(fs_replace_file(&fs_real, blocked, bytes_of("in the way"), 0600, &err));
    struct status_file *other = status_file_create(blocked, &fs_real);
    ck_assert(!status_file_put(other, bytes_of("\"a\":1"), 0, &wrote, &err));
    ck_assert(!wrote);
    expect_ok(fs_real.remove(NULL, blocked, &err));
    expect_ok(status_file_put(other, bytes_of("\"a\":1"), 0, &wrote, &err));
    ck_assert(wrote);
    status_file_destroy(other);
    free(blocked);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status file");
    TCase *tests = tcase_create("status file");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, it_is_written_when_something_changed);
    tcase_add_test(tests, only_who_wrote_it_takes_it_away);
    tcase_add_test(tests, after_a_failure_it_is_tried_again);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
