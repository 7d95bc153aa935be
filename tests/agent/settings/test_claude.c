#include <unistd.h>

#include "agent/settings/claude.h"
#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static char *root;
static struct error err;
static struct claude_installs installs;
static const char *const homes[] = {"/home/alice", "/root"};

static void set_up(void)
{
    root = temp_dir_make();
    installs = (struct claude_installs){0};
}

static void tear_down(void)
{
    claude_installs_clear(&installs);
    temp_dir_remove(root);
}

static void put_file(const char *path, const char *content)
{
    char *whole = xasprintf("%s/%s", root, path);
    char *folder = xstrdup(whole);
    *strrchr(folder, '/') = '\0';
    expect_ok(fs_make_dirs(&fs_real, folder, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, whole, bytes_of(content), 0755, &err));
    free(folder);
    free(whole);
}

static void put_link(const char *target, const char *path)
{
    put_file(path, "");
    char *whole = xasprintf("%s/%s", root, path);
    ck_assert_int_eq(unlink(whole), 0);
    ck_assert_int_eq(symlink(target, whole), 0);
    free(whole);
}

static void expect_found(const char *path_end, bool known, unsigned major, unsigned minor,
                         unsigned patch)
{
    claude_find_installs(root, homes, 2, &fs_real, &installs);
    ck_assert_uint_eq(installs.count, 1);
    const struct claude_install *in = &installs.list[0];
    size_t len = strlen(in->path), end = strlen(path_end);
    ck_assert_msg(len > end && strcmp(in->path + len - end, path_end) == 0, "%s", in->path);
    ck_assert(in->known == known);
    struct claude_version expected = {major, minor, patch};
    if (known)
        ck_assert_int_eq(claude_version_compare(in->version, expected), 0);
}

START_TEST(versions_compare_as_numbers)
{
    struct claude_version a, b;
    ck_assert(claude_version_parse("2.1.99", &a));
    ck_assert(claude_version_parse("2.1.100-beta.1", &b));
    ck_assert_int_lt(claude_version_compare(a, b), 0);
    static const char *const bad[] = {"",       "2",      "2.1",    "2.1.x", "v2.1.3",
                                      "2.1.3x", "-1.2.3", "latest", "2..3",  "99999999999.1.1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!claude_version_parse(bad[i], &a), "%s", bad[i]);
}
END_TEST

START_TEST(a_global_npm_package_is_found)
{
    put_file("usr/lib/node_modules/@anthropic-ai/claude-code/package.json",
             "{\"name\":\"@anthropic-ai/claude-code\",\"version\":\"2.1.197\"}");
    put_link("../lib/node_modules/@anthropic-ai/claude-code/cli.js", "usr/bin/claude");
    claude_find_installs(root, homes, 2, &fs_real, &installs);
    ck_assert_uint_ge(installs.count, 1);
    for (size_t i = 0; i < installs.count; i++)
        ck_assert(installs.list[i].known && installs.list[i].version.patch == 197);
}
END_TEST

START_TEST(a_package_of_a_node_version_manager_is_found)
{
    put_file("home/alice/.nvm/versions/node/v20.1.0/lib/node_modules/@anthropic-ai/claude-code/"
             "package.json",
             "{\"version\":\"2.0.30\"}");
    expect_found("lib/node_modules/@anthropic-ai/claude-code", true, 2, 0, 30);
}
END_TEST

START_TEST(a_native_installation_is_found)
{
    put_file("root/.local/share/claude/versions/2.1.329", "ELF");
    put_link("/root/.local/share/claude/versions/2.1.329", "root/.local/bin/claude");
    expect_found("/versions/2.1.329", true, 2, 1, 329);
}
END_TEST

START_TEST(a_link_among_the_programs_leads_to_an_installation)
{
    put_file("srv/tools/node_modules/@anthropic-ai/claude-code/package.json",
             "{\"version\":\"2.1.250\"}");
    put_link("/srv/tools/node_modules/@anthropic-ai/claude-code/cli.js", "usr/local/bin/claude");
    expect_found("/claude-code", true, 2, 1, 250);
}
END_TEST

START_TEST(an_unreadable_version_is_unknown_and_not_overlooked)
{
    put_file("usr/lib/node_modules/@anthropic-ai/claude-code/package.json", "{\"version\":");
    expect_found("/claude-code", false, 0, 0, 0);
    ck_assert(!claude_all_at_least(&installs, (struct claude_version){0, 0, 0}));
}
END_TEST

START_TEST(a_program_of_unknown_origin_is_unknown)
{
    put_file("usr/local/bin/claude", "#!/bin/sh\n");
    expect_found("/usr/local/bin/claude", false, 0, 0, 0);
}
END_TEST

START_TEST(an_empty_machine_has_none)
{
    claude_find_installs(root, homes, 2, &fs_real, &installs);
    ck_assert_uint_eq(installs.count, 0);
    put_link("nowhere", "usr/bin/claude");
    claude_find_installs(root, homes, 2, &fs_real, &installs);
    ck_assert_uint_eq(installs.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("claude");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, versions_compare_as_numbers);
    tcase_add_test(tests, a_global_npm_package_is_found);
    tcase_add_test(tests, a_package_of_a_node_version_manager_is_found);
    tcase_add_test(tests, a_native_installation_is_found);
    tcase_add_test(tests, a_link_among_the_programs_leads_to_an_installation);
    tcase_add_test(tests, an_unreadable_version_is_unknown_and_not_overlooked);
    tcase_add_test(tests, a_program_of_unknown_origin_is_unknown);
    tcase_add_test(tests, an_empty_machine_has_none);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
