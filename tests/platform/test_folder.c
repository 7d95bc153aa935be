#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

enum { ALICE = 31001, MALLORY = 31002 };

static char *root;
static struct error err;
static struct fs_place place;
static char *kept[64];
static size_t kept_count;

/* Below the private root; the string lives until the test is over. */
static char *below(const char *path)
{
    ck_assert_uint_lt(kept_count, sizeof kept / sizeof *kept);
    return kept[kept_count++] = xasprintf("%s/%s", root, path);
}

static void put_file(const char *path, const char *content)
{
    expect_ok(fs_replace_file(&fs_real, below(path), bytes_of(content), 0644, &err));
}

static void set_up(void)
{
    root = temp_dir_make();
    place = (struct fs_place){.base = root,
                              .home = "/home/alice",
                              .path = ".claude/settings.json",
                              .uid = geteuid() == 0 ? ALICE : (uint32_t)geteuid(),
                              .gid = geteuid() == 0 ? ALICE : (uint32_t)getegid()};
    expect_ok(fs_make_dirs(&fs_real, below("home/alice/.claude"), 0755, &err));
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(below("home/alice"), ALICE, ALICE), 0);
        ck_assert_int_eq(chown(below("home/alice/.claude"), ALICE, ALICE), 0);
    }
    put_file("home/alice/.claude/settings.json", "alice's");
}

static void tear_down(void)
{
    temp_dir_remove(root);
    while (kept_count > 0)
        free(kept[--kept_count]);
}

static void expect_content(const char *expected)
{
    char *name = NULL;
    struct buffer content = {.max_bytes = 100};
    struct fs_folder *folder = fs_real.folder_open(NULL, &place, &name, &err);
    ck_assert_msg(folder != NULL, "%s", err.cause);
    struct fs_file *file = fs_real.folder_file(NULL, folder, name, FS_READ, 0, &err);
    ck_assert_msg(file != NULL, "%s", err.cause);
    expect_ok(fs_read_open_file(&fs_real, file, name, &content, &err));
    expect_text(buffer_bytes(&content), expected);
    fs_real.close(NULL, file);
    fs_real.folder_close(NULL, folder);
    buffer_clear(&content);
    free(name);
}

static void expect_refused(enum error_kind kind)
{
    char *name = NULL;
    struct fs_folder *folder = fs_real.folder_open(NULL, &place, &name, &err);
    ck_assert_msg(folder == NULL, "the walk went through");
    ck_assert_msg(err.kind == kind, "%s", err.cause);
    free(name);
}

static void link_to(const char *target, const char *path)
{
    unlink(below(path));
    ck_assert_int_eq(symlink(target, below(path)), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(lchown(below(path), ALICE, ALICE), 0);
}

START_TEST(a_plain_path_is_walked)
{
    expect_content("alice's");
}
END_TEST

START_TEST(a_missing_folder_is_not_found)
{
    place.path = ".config/x";
    expect_refused(FAIL_NOT_FOUND);
    place.home = "/home/bob";
    expect_refused(FAIL_NOT_FOUND);
}
END_TEST

START_TEST(links_inside_the_home_are_followed)
{
    expect_ok(fs_make_dirs(&fs_real, below("home/alice/dotfiles"), 0755, &err));
    put_file("home/alice/dotfiles/settings.json", "dotfiles");
    link_to("../dotfiles/settings.json", "home/alice/.claude/settings.json");
    expect_content("dotfiles");
    link_to("/home/alice/dotfiles/settings.json", "home/alice/.claude/settings.json");
    expect_content("dotfiles");
}
END_TEST

START_TEST(links_out_of_the_home_are_refused)
{
    static const char *const targets[] = {"../../../etc/passwd", "/etc/passwd",
                                          "/home/alicex/f",      "/home/alice/../bob/f",
                                          "../../alice2/f",      "/"};
    put_file("home/bobs", "bob's");
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        link_to(targets[i], "home/alice/.claude/settings.json");
        expect_refused(FAIL_DENIED);
    }
}
END_TEST

START_TEST(a_folder_that_is_a_link_out_is_refused)
{
    expect_ok(fs_make_dirs(&fs_real, below("srv/x"), 0755, &err));
    ck_assert_int_eq(unlink(below("home/alice/.claude/settings.json")), 0);
    ck_assert_int_eq(rmdir(below("home/alice/.claude")), 0);
    link_to("/srv/x", "home/alice/.claude");
    expect_refused(FAIL_DENIED);
}
END_TEST

START_TEST(links_in_a_circle_end)
{
    link_to("settings.json", "home/alice/.claude/settings.json");
    expect_refused(FAIL_DENIED);
}
END_TEST

START_TEST(a_home_behind_a_link_of_roots_is_fine)
{
    expect_ok(fs_make_dirs(&fs_real, below("var"), 0755, &err));
    ck_assert_int_eq(rename(below("home"), below("var/home")), 0);
    ck_assert_int_eq(symlink("var/home", below("home")), 0);
    expect_content("alice's");
    ck_assert_int_eq(unlink(below("home")), 0);
    ck_assert_int_eq(symlink("/var/home", below("home")), 0);
    expect_content("alice's");
}
END_TEST

START_TEST(folders_that_others_may_write_to_are_refused)
{
    ck_assert_int_eq(chmod(below("home/alice/.claude"), 0777), 0);
    expect_refused(FAIL_DENIED);
    ck_assert_int_eq(chmod(below("home/alice/.claude"), 0755), 0);
    ck_assert_int_eq(chmod(below("home"), 0777), 0);
    expect_refused(FAIL_DENIED);
    ck_assert_int_eq(chmod(below("home"), 01777),
                     0); /* as /tmp: others cannot rename what is in it */
    expect_content("alice's");
}
END_TEST

START_TEST(folders_and_links_of_other_users_are_refused)
{
    if (geteuid() != 0)
        return; /* nothing can be given away without rights */
    ck_assert_int_eq(chown(below("home/alice/.claude"), MALLORY, MALLORY), 0);
    expect_refused(FAIL_DENIED);
    ck_assert_int_eq(chown(below("home/alice/.claude"), ALICE, ALICE), 0);
    ck_assert_int_eq(chown(below("home/alice/.claude"), ALICE, MALLORY), 0);
    ck_assert_int_eq(chmod(below("home/alice/.claude"), 0775), 0);
    expect_refused(FAIL_DENIED);
    ck_assert_int_eq(rename(below("home/alice"), below("home/real")), 0);
    ck_assert_int_eq(symlink("real", below("home/alice")), 0);
    ck_assert_int_eq(lchown(below("home/alice"), MALLORY, MALLORY), 0);
    expect_refused(FAIL_DENIED);
}
END_TEST

START_TEST(what_is_no_file_is_not_opened)
{
    char *name = NULL;
    unlink(below("home/alice/.claude/settings.json"));
    ck_assert_int_eq(mkfifo(below("home/alice/.claude/settings.json"), 0666), 0);
    struct fs_folder *folder = fs_real.folder_open(NULL, &place, &name, &err);
    ck_assert_ptr_nonnull(folder);
    ck_assert_ptr_null(fs_real.folder_file(NULL, folder, name, FS_READ, 0, &err));
    ck_assert_int_eq(err.kind, FAIL_DENIED);
    fs_real.folder_close(NULL, folder);
    free(name);
}
END_TEST

START_TEST(extended_attributes_come_along)
{
    char *name = NULL, value[8] = "";
    const char *old_path = below("home/alice/.claude/settings.json");
    if (setxattr(old_path, "user.origin", "corp", 4, 0) != 0)
        return; /* this disk keeps none */
    struct fs_folder *folder = fs_real.folder_open(NULL, &place, &name, &err);
    struct fs_file *old = fs_real.folder_file(NULL, folder, name, FS_READ, 0, &err);
    struct fs_file *new =
        fs_real.folder_file(NULL, folder, "new", FS_WRITE | FS_CREATE, 0600, &err);
    expect_ok(fs_real.file_copy_attributes(NULL, old, new, &err));
    expect_ok(fs_real.file_own(NULL, new, place.uid, place.gid, 0640, &err));
    struct fs_stat info;
    expect_ok(fs_real.file_stat(NULL, new, &info, &err));
    ck_assert_uint_eq(info.mode, 0640);
    ck_assert_uint_eq(info.uid, place.uid);
    ck_assert_int_eq(getxattr(below("home/alice/.claude/new"), "user.origin", value, 8), 4);
    ck_assert_str_eq(value, "corp");
    fs_real.close(NULL, old);
    fs_real.close(NULL, new);
    fs_real.folder_close(NULL, folder);
    free(name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("folder");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_plain_path_is_walked);
    tcase_add_test(tests, a_missing_folder_is_not_found);
    tcase_add_test(tests, links_inside_the_home_are_followed);
    tcase_add_test(tests, links_out_of_the_home_are_refused);
    tcase_add_test(tests, a_folder_that_is_a_link_out_is_refused);
    tcase_add_test(tests, links_in_a_circle_end);
    tcase_add_test(tests, a_home_behind_a_link_of_roots_is_fine);
    tcase_add_test(tests, folders_that_others_may_write_to_are_refused);
    tcase_add_test(tests, folders_and_links_of_other_users_are_refused);
    tcase_add_test(tests, what_is_no_file_is_not_opened);
    tcase_add_test(tests, extended_attributes_come_along);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
