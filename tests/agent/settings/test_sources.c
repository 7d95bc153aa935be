#include "agent/settings/sources.h"
#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static const char nothing[] = "";
static const char permissions[] = "{\"permissions\":{\"deny\":[]}}";
static const char full[] = "{\"env\":{\"OTEL_EXPORTER_OTLP_ENDPOINT\":\"http://x\",\"OTEL_LOGS_"
                           "EXPORTER\":\"otlp\"}}";
static const char metrics_only[] = "{\"env\":{\"OTEL_METRICS_EXPORTER\":\"otlp\"}}";
static const char helper[] = "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"otlp\"},\"otelHeadersHelper\":\"/"
                             "x\"}";

/* The rows measured with the real Claude Code, and the same rule for the other sources. */
static const struct {
    const char *remote, *mdm, *files, *user;
    enum settings_source old_winner; /* 2.1.197 */
    bool old_ours;
    enum settings_source new_winner, new_telemetry; /* 2.1.329 */
    bool new_ours;
} rows[] = {
    {nothing, nothing, full, nothing, SOURCE_FILES, true, SOURCE_FILES, SOURCE_FILES, true},
    {nothing, full, nothing, nothing, SOURCE_MDM, false, SOURCE_MDM, SOURCE_MDM, false},
    {nothing, nothing, nothing, full, SOURCE_USER_POLICY, false, SOURCE_USER_POLICY,
     SOURCE_USER_POLICY, false},
    {nothing, permissions, full, nothing, SOURCE_MDM, false, SOURCE_MDM, SOURCE_FILES, true},
    {nothing, full, full, nothing, SOURCE_MDM, false, SOURCE_MDM, SOURCE_MDM, false},
    {nothing, permissions, helper, nothing, SOURCE_MDM, false, SOURCE_MDM, SOURCE_FILES, false},
    {nothing, helper, full, nothing, SOURCE_MDM, false, SOURCE_MDM, SOURCE_MDM, false},
    {permissions, nothing, full, nothing, SOURCE_REMOTE, false, SOURCE_REMOTE, SOURCE_FILES, true},
    {full, permissions, full, nothing, SOURCE_REMOTE, false, SOURCE_REMOTE, SOURCE_REMOTE, false},
    {nothing, metrics_only, full, nothing, SOURCE_MDM, false, SOURCE_MDM, SOURCE_FILES, true},
    {nothing, nothing, full, full, SOURCE_FILES, true, SOURCE_FILES, SOURCE_FILES, true},
    {nothing, nothing, nothing, nothing, SOURCE_NONE, false, SOURCE_NONE, SOURCE_NONE, false},
    {nothing, "{\"wslInheritsWindowsSettings\":true}", full, nothing, SOURCE_FILES, true,
     SOURCE_FILES, SOURCE_FILES, true},
};

START_TEST(the_winner_is_the_one_claude_code_obeys)
{
    struct source_facts facts[SOURCE_COUNT] = {0};
    struct source_verdict verdict;
    settings_read_source(bytes_of(rows[_i].remote), &facts[SOURCE_REMOTE]);
    settings_read_source(bytes_of(rows[_i].mdm), &facts[SOURCE_MDM]);
    settings_read_source(bytes_of(rows[_i].files), &facts[SOURCE_FILES]);
    settings_read_source(bytes_of(rows[_i].user), &facts[SOURCE_USER_POLICY]);

    settings_decide_source(facts, (struct claude_version){2, 1, 197}, &verdict);
    ck_assert_int_eq(verdict.winner, rows[_i].old_winner);
    ck_assert(verdict.ours_in_force == rows[_i].old_ours);
    ck_assert_ptr_nonnull(strstr(verdict.sentence, verdict.winner == SOURCE_FILES ? "files" : ""));

    settings_decide_source(facts, (struct claude_version){2, 1, 329}, &verdict);
    ck_assert_int_eq(verdict.winner, rows[_i].new_winner);
    ck_assert_int_eq(verdict.telemetry, rows[_i].new_telemetry);
    ck_assert(verdict.ours_in_force == rows[_i].new_ours);
    ck_assert_uint_gt(strlen(verdict.sentence), 20);
}
END_TEST

START_TEST(the_merge_of_env_begins_with_2_1_223)
{
    struct source_facts facts[SOURCE_COUNT] = {0};
    struct source_verdict verdict;
    settings_read_source(bytes_of(permissions), &facts[SOURCE_MDM]);
    settings_read_source(bytes_of(full), &facts[SOURCE_FILES]);
    settings_decide_source(facts, (struct claude_version){2, 1, 222}, &verdict);
    ck_assert(!verdict.ours_in_force);
    ck_assert_ptr_nonnull(strstr(verdict.sentence, "2.1.223"));
    settings_decide_source(facts, (struct claude_version){2, 1, 223}, &verdict);
    ck_assert(verdict.ours_in_force);
}
END_TEST

START_TEST(a_source_that_is_no_object_tells_its_problem)
{
    struct source_facts facts = {0};
    settings_read_source(bytes_of("{\"a\":1,}"), &facts);
    ck_assert_ptr_nonnull(strstr(facts.problem, "line 1"));
    ck_assert(!facts.has_keys);
}
END_TEST

START_TEST(a_profile_is_found_where_a_mac_keeps_it)
{
    static const char list[] = "<plist version=\"1.0\"><dict><key>env</key><dict><key>OTEL_LOGS_"
                               "EXPORTER</key><string>otlp</string></dict></dict></plist>";
    struct source_facts facts[SOURCE_COUNT];
    struct error err;
    char *root = temp_dir_make();
    char *folder = xasprintf("%s/Library/Managed Preferences/alice", root);
    char *path = xasprintf("%s/com.anthropic.claudecode.plist", folder);
    expect_ok(fs_make_dirs(&fs_real, folder, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, path, bytes_of(list), 0644, &err));
    settings_read_sources(root, "alice", NULL, "/Users/alice", &fs_real, facts);
    ck_assert(facts[SOURCE_MDM].has_keys && facts[SOURCE_MDM].has_otlp);
    ck_assert_str_eq(facts[SOURCE_MDM].where, path);
    settings_read_sources(root, "bob", NULL, "/Users/bob", &fs_real, facts);
    ck_assert(!facts[SOURCE_MDM].has_keys);
    free(path);
    free(folder);
    temp_dir_remove(root);
}
END_TEST

static void put_registry(const char *root, const char *text)
{
    struct error err;
    char *file = xasprintf("%s/registry.reg", root);
    char *whole = xasprintf("Windows Registry Editor Version 5.00\r\n\r\n%s", text);
    expect_ok(fs_replace_file(&fs_real, file, bytes_of(whole), 0644, &err));
    free(whole);
    free(file);
}

START_TEST(a_policy_is_found_where_windows_keeps_it)
{
    struct source_facts facts[SOURCE_COUNT];
    char *root = temp_dir_make();
    put_registry(root,
                 "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeCode]\r\n"
                 "\"Settings\"=\"{\\\"env\\\":{\\\"OTEL_LOGS_EXPORTER\\\":\\\"otlp\\\"}}\"\r\n"
                 "[HKEY_USERS\\S-1-5-21-1\\SOFTWARE\\Policies\\ClaudeCode]\r\n"
                 "\"Settings\"=\"{\\\"model\\\":\\\"x\\\"}\"\r\n");
    settings_read_sources(root, "alice", "S-1-5-21-1", "C:/Users/alice", &fs_real, facts);
    ck_assert(facts[SOURCE_MDM].has_otlp);
    ck_assert_ptr_nonnull(strstr(facts[SOURCE_MDM].where, "HKEY_LOCAL_MACHINE"));
    ck_assert(facts[SOURCE_USER_POLICY].has_keys && !facts[SOURCE_USER_POLICY].has_otlp);
    settings_read_sources(root, "bob", "S-1-5-21-2", "C:/Users/bob", &fs_real, facts);
    ck_assert(!facts[SOURCE_USER_POLICY].has_keys);
    temp_dir_remove(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sources");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, the_winner_is_the_one_claude_code_obeys, 0,
                        (int)(sizeof rows / sizeof *rows));
    tcase_add_test(tests, the_merge_of_env_begins_with_2_1_223);
    tcase_add_test(tests, a_source_that_is_no_object_tells_its_problem);
    tcase_add_test(tests, a_profile_is_found_where_a_mac_keeps_it);
    tcase_add_test(tests, a_policy_is_found_where_windows_keeps_it);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
