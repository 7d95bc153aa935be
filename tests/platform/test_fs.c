#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static char *dir;
static struct error err;

static void set_up(void)
{
    dir = temp_dir_make();
}

static void tear_down(void)
{
    temp_dir_remove(dir);
}

static char *below(const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

START_TEST(replace_keeps_mode_and_leaves_no_litter)
{
    char *path = below("f"), *part = below("f.new");
    struct buffer content = {.max_bytes = 100};
    struct fs_stat info;
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("one"), 0600, &err));
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("two"), 0600, &err));
    expect_ok(fs_read_file(&fs_real, path, &content, &err));
    expect_text(buffer_bytes(&content), "two");
    expect_ok(fs_real.stat(NULL, path, &info, &err));
    ck_assert_uint_eq(info.mode & 0177, 0); /* where there are modes: 0600 */
    expect_fail(fs_real.stat(NULL, part, &info, &err), FAIL_NOT_FOUND);
    buffer_clear(&content);
    free(path);
    free(part);
}
END_TEST

START_TEST(a_file_of_exactly_the_ceiling_is_read_and_one_byte_more_is_not)
{
    char *path = below("f");
    struct buffer content = {.max_bytes = 5};
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("12345"), 0600, &err));
    expect_ok(fs_read_file(&fs_real, path, &content, &err));
    expect_text(buffer_bytes(&content), "12345");
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("123456"), 0600, &err));
    expect_fail(fs_read_file(&fs_real, path, &content, &err), FAIL_TOO_LARGE);
    buffer_clear(&content);
    free(path);
}
END_TEST

#if !defined(_WIN32) /* where making a link takes a privilege */
START_TEST(a_link_laid_out_as_a_trap_is_not_written_through)
{
    char *victim = xasprintf("%s/victim", dir), *path = xasprintf("%s/file", dir);
    char *trap = xasprintf("%s.new", path);
    struct buffer text = {.max_bytes = 100};
    expect_ok(fs_replace_file(&fs_real, victim, bytes_of("precious"), 0600, &err));
    ck_assert_int_eq(symlink(victim, trap), 0);
    ck_assert(!fs_replace_file(&fs_real, path, bytes_of("ours"), 0600, &err));
    expect_ok(fs_read_file(&fs_real, victim, &text, &err));
    expect_text(buffer_bytes(&text), "precious");
    expect_ok(
        fs_replace_file(&fs_real, path, bytes_of("ours"), 0600, &err)); /* it is cleared away */
    buffer_clear(&text);
    free(trap);
    free(path);
    free(victim);
}
END_TEST
#endif

#if !defined(_WIN32)
START_TEST(a_file_in_anothers_folder_is_its_owners_and_no_link_is_followed)
{
    char *folder = below("theirs"), *aside = below("aside");
    char *part = below("theirs/state.new"), *file = below("theirs/state");
    struct fs_stat info;
    struct buffer text = {.max_bytes = 64};
    uint32_t them = geteuid() == 0 ? 31009 : (uint32_t)geteuid();
    expect_ok(fs_real.make_dir(NULL, folder, 0700, &err));
    ck_assert_int_eq(chown(folder, them, (gid_t)-1), 0);
    expect_ok(fs_replace_file_in(&fs_real, folder, "state", bytes_of("one"), 0640, &err));
    expect_ok(fs_real.stat(NULL, file, &info, &err));
    ck_assert_uint_eq(info.uid, them);
    ck_assert_uint_eq(info.mode, 0640);

    /* The owner puts a link to somebody else's file where ours will lie: it is replaced or refused,
     * never followed. */
    expect_ok(fs_replace_file(&fs_real, aside, bytes_of("precious"), 0600, &err));
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(symlink("../aside", file), 0);
    expect_ok(fs_replace_file_in(&fs_real, folder, "state", bytes_of("two"), 0600, &err));
    expect_ok(fs_real.stat(NULL, file, &info, &err));
    ck_assert(info.is_regular);
    if (geteuid() == 0) {
        ck_assert_int_eq(symlink("../aside", part), 0);
        ck_assert_int_eq(lchown(part, them, (gid_t)-1), 0);
        expect_fail(fs_replace_file_in(&fs_real, folder, "state", bytes_of("three"), 0600, &err),
                    FAIL_DENIED);
    }
    expect_ok(fs_read_file(&fs_real, aside, &text, &err));
    ck_assert_str_eq(buffer_text(&text), "precious");
    buffer_clear(&text);
    free(file);
    free(part);
    free(aside);
    free(folder);
}
END_TEST
#endif

START_TEST(a_lock_is_refused_to_a_second_holder)
{
    char *path = below("lock");
    struct fs_file *a = fs_real.open(NULL, path, FS_WRITE | FS_CREATE, 0600, &err);
    struct fs_file *b = fs_real.open(NULL, path, FS_WRITE, 0, &err);
    expect_ok(fs_real.lock(NULL, a, &err));
    expect_fail(fs_real.lock(NULL, b, &err), FAIL_BUSY);
    fs_real.close(NULL, a);
    expect_ok(fs_real.lock(NULL, b, &err));
    fs_real.close(NULL, b);
    free(path);
}
END_TEST

START_TEST(folders_are_made_all_the_way_down)
{
    char *path = below("a/b/c");
    struct fs_stat info;
    expect_ok(fs_make_dirs(&fs_real, path, 0700, &err));
    expect_ok(fs_make_dirs(&fs_real, path, 0700, &err));
    expect_ok(fs_real.stat(NULL, path, &info, &err));
    ck_assert(info.is_directory);
    free(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fs");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, replace_keeps_mode_and_leaves_no_litter);
    tcase_add_test(tests, a_file_of_exactly_the_ceiling_is_read_and_one_byte_more_is_not);
#if !defined(_WIN32)
    tcase_add_test(tests, a_link_laid_out_as_a_trap_is_not_written_through);
    tcase_add_test(tests, a_file_in_anothers_folder_is_its_owners_and_no_link_is_followed);
#endif
    tcase_add_test(tests, a_lock_is_refused_to_a_second_holder);
    tcase_add_test(tests, folders_are_made_all_the_way_down);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
