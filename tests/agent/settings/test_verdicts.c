#include "agent/settings/verdicts.h"
#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static char *root;
static struct error err;
static struct settings_options options;
static struct settings_verdicts verdicts;
static struct claude_install list[3];
static struct claude_installs installs;
static const struct settings_user users[] = {{.name = "alice", .home = "/home/alice"},
                                             {.name = "bob", .home = "/home/bob"}};

static void set_up(void)
{
    static const struct claude_install all[] = {
        {.path = (char *)"/a", .known = true, .version = {2, 1, 329}},
        {.path = (char *)"/b", .known = true, .version = {2, 1, 197}},
        {.path = (char *)"/c", .known = true, .version = {2, 1, 250}},
    };
    root = temp_dir_make();
    memcpy(list, all, sizeof all);
    installs = (struct claude_installs){.list = list, .count = 3};
    options = (struct settings_options){.root = root,
                                        .users = users,
                                        .user_count = 2,
                                        .installs = &installs};
}

static void tear_down(void)
{
    settings_verdicts_clear(&verdicts);
    temp_dir_remove(root);
}

static void put_file(const char *path, const char *content)
{
    char *whole = xasprintf("%s/%s", root, path), *folder = xstrdup(whole);
    *strrchr(folder, '/') = '\0';
    expect_ok(fs_make_dirs(&fs_real, folder, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, whole, bytes_of(content), 0644, &err));
    free(folder);
    free(whole);
}

static void put_ours(void)
{
    put_file("etc/claude-code/managed-settings.d/90-claude-telemetry.json",
             "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"otlp\"}}");
}

START_TEST(where_nothing_else_is_managed_ours_counts_for_every_version)
{
    put_ours();
    settings_verdicts_read(&options, false, &fs_real, &verdicts);
    ck_assert_uint_eq(verdicts.count, 2);
    ck_assert_str_eq(verdicts.list[0].user, "alice");
    ck_assert_str_eq(verdicts.list[0].versions, "2.1.197, 2.1.250, 2.1.329");
    ck_assert_str_eq(verdicts.list[0].winner, "files");
    ck_assert(verdicts.list[0].in_force && verdicts.list[1].in_force);
}
END_TEST

START_TEST(a_policy_of_one_person_hides_ours_from_that_persons_old_versions)
{
    put_ours();
    put_file("home/alice/.claude/remote-settings.json", "{\"permissions\":{}}");
    settings_verdicts_read(&options, false, &fs_real, &verdicts);
    ck_assert_uint_eq(verdicts.count, 3);
    ck_assert_str_eq(verdicts.list[0].versions, "2.1.197");
    ck_assert(!verdicts.list[0].in_force);
    ck_assert_ptr_nonnull(strstr(verdicts.list[0].sentence, "hides our file"));
    ck_assert_str_eq(verdicts.list[1].versions, "2.1.250, 2.1.329");
    ck_assert_str_eq(verdicts.list[1].winner, "remote");
    ck_assert_str_eq(verdicts.list[1].telemetry, "files");
    ck_assert(verdicts.list[1].in_force);
    ck_assert_str_eq(verdicts.list[2].user, "bob");
    ck_assert_str_eq(verdicts.list[2].winner, "files");
}
END_TEST

START_TEST(a_plan_is_judged_as_if_it_were_carried_out)
{
    settings_verdicts_read(&options, false, &fs_real, &verdicts);
    ck_assert(!verdicts.list[0].in_force);
    settings_verdicts_clear(&verdicts);
    settings_verdicts_read(&options, true, &fs_real, &verdicts);
    ck_assert(verdicts.list[0].in_force);
    settings_verdicts_clear(&verdicts);
    options.place = SETTINGS_NONE;
    settings_verdicts_read(&options, true, &fs_real, &verdicts);
    ck_assert_str_eq(verdicts.list[0].winner, "none");
}
END_TEST

START_TEST(where_nothing_is_installed_the_newest_behaviour_is_told)
{
    put_ours();
    installs.count = 0;
    settings_verdicts_read(&options, false, &fs_real, &verdicts);
    ck_assert_uint_eq(verdicts.count, 2);
    ck_assert_str_eq(verdicts.list[0].versions, "");
    ck_assert(verdicts.list[0].in_force);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdicts");
    TCase *tests = tcase_create("verdicts");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, where_nothing_else_is_managed_ours_counts_for_every_version);
    tcase_add_test(tests, a_policy_of_one_person_hides_ours_from_that_persons_old_versions);
    tcase_add_test(tests, a_plan_is_judged_as_if_it_were_carried_out);
    tcase_add_test(tests, where_nothing_is_installed_the_newest_behaviour_is_told);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
