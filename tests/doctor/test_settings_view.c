#include "base/memory.h"
#include "doctor/settings_view.h"
#include "platform/processes.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static char *root;
static struct error err;
static const struct claude_version newest = {2, 1, 329}, older = {2, 1, 197}, oldest = {2, 0, 30};

static void set_up(void)
{
    root = temp_dir_make();
}

static void tear_down(void)
{
    temp_dir_remove(root);
}

static void write_at(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", root, name), *dir = xstrdup(path);
    *strrchr(dir, '/') = '\0';
    expect_ok(fs_make_dirs(&fs_real, dir, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, path, bytes_of(text), 0644, &err));
    free(dir);
    free(path);
}

static const char base[] = "etc/claude-code/managed-settings.json";
static const char user[] = "home/alice/.claude/settings.json";

static struct settings_view *look(struct claude_version version)
{
    struct view_options options = {.root = root,
                                   .user = "alice",
                                   .home = "/home/alice",
                                   .uid = platform_own_uid(),
                                   .has_version = true,
                                   .version = version};
    return settings_view_create(&options, &fs_real);
}

static void expect_value(struct claude_version version, const char *name, const char *expected)
{
    struct settings_view *view = look(version);
    const char *value = view_value(view, name);
    ck_assert_msg((value != NULL) == (expected != NULL), "%s is %s", name, value ? value : "unset");
    if (expected)
        ck_assert_str_eq(value, expected);
    settings_view_destroy(view);
}

START_TEST(managed_beats_user_beats_shell)
{
    write_at("home/alice/.bashrc", "export OTEL_LOGS_EXPORTER=shell OTHER=1\n");
    expect_value(newest, "OTEL_LOGS_EXPORTER", "shell");
    write_at(user, "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"user\"}}");
    expect_value(newest, "OTEL_LOGS_EXPORTER", "user");
    write_at(base, "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"managed\"}}");
    expect_value(newest, "OTEL_LOGS_EXPORTER", "managed");
}
END_TEST

START_TEST(an_empty_managed_value_lets_the_shell_through)
{
    write_at("home/alice/.profile", "OTEL_EXPORTER_OTLP_HEADERS='a=1'; export X\n");
    write_at(base, "{\"env\":{\"OTEL_EXPORTER_OTLP_HEADERS\":\"\"}}");
    expect_value(newest, "OTEL_EXPORTER_OTLP_HEADERS", "a=1");
}
END_TEST

START_TEST(numbers_and_booleans_count_and_null_does_not)
{
    write_at(base, "\xEF\xBB\xBF{\"env\":{\"OTEL_METRIC_EXPORT_INTERVAL\":1000,"
                   "\"OTEL_SDK_DISABLED\":false,\"OTEL_LOGS_EXPORTER\":null}}");
    expect_value(newest, "OTEL_METRIC_EXPORT_INTERVAL", "1000");
    expect_value(newest, "OTEL_SDK_DISABLED", "false");
    expect_value(newest, "OTEL_LOGS_EXPORTER", NULL);
}
END_TEST

START_TEST(dropins_win_in_string_order)
{
    write_at("etc/claude-code/managed-settings.d/10-a.json",
             "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"10\"}}");
    write_at("etc/claude-code/managed-settings.d/9-b.json",
             "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"9\"}}");
    write_at("etc/claude-code/managed-settings.d/.99-c.json",
             "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"hidden\"}}");
    write_at("etc/claude-code/managed-settings.d/99-d.json.tmp",
             "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"tmp\"}}");
    write_at(base, "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"base\"}}");
    expect_value(newest, "OTEL_LOGS_EXPORTER", "9");
    expect_value(oldest, "OTEL_LOGS_EXPORTER", "base");
}
END_TEST

START_TEST(from_2_1_217_on_a_managed_endpoint_keeps_per_signal_ones_out)
{
    write_at("home/alice/.zshrc", "export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://x/v1/logs\n");
    write_at(base, "{\"env\":{\"OTEL_EXPORTER_OTLP_ENDPOINT\":\"http://m:1/\"}}");
    struct buffer url = {.max_bytes = 200};
    struct settings_view *view = look(older);
    ck_assert(view_signal_url(view, "logs", &url));
    expect_text(buffer_bytes(&url), "http://x/v1/logs");
    settings_view_destroy(view);

    buffer_reset(&url);
    view = look(newest);
    ck_assert(view_signal_url(view, "logs", &url));
    expect_text(buffer_bytes(&url), "http://m:1/v1/logs");
    settings_view_destroy(view);
    buffer_clear(&url);
}
END_TEST

START_TEST(project_settings_cannot_set_telemetry)
{
    write_at("home/alice/.claude.json", "{\"projects\":{\"/work/p\":{},\"/home/alice\":{}}}");
    write_at("work/p/.claude/settings.local.json", "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"otlp\"}}");
    struct settings_view *view = look(newest);
    ck_assert_uint_eq(view->entry_count, 1);
    ck_assert_int_eq(view->entries[0].document->layer, VIEW_PROJECT);
    ck_assert_ptr_null(view_effective(view, "OTEL_LOGS_EXPORTER"));
    settings_view_destroy(view);
}
END_TEST

static const char profile[] =
    "<plist version=\"1.0\"><dict><key>env</key><dict><key>OTEL_LOGS_EXPORTER</key>"
    "<string>mdm</string></dict></dict></plist>";

START_TEST(telemetry_is_taken_whole_from_the_highest_source_that_names_any)
{
    write_at(base, "{\"env\":{\"OTEL_LOGS_EXPORTER\":\"otlp\",\"OTEL_EXPORTER_OTLP_ENDPOINT\":"
                   "\"http://m:1\",\"OTEL_METRICS_EXPORTER\":\"otlp\"}}");
    write_at("Library/Managed Preferences/com.anthropic.claudecode.plist", profile);
    expect_value(newest, "OTEL_LOGS_EXPORTER", "mdm");
    expect_value(newest, "OTEL_EXPORTER_OTLP_ENDPOINT", NULL);
    expect_value(newest, "OTEL_METRICS_EXPORTER", "otlp"); /* not of the unit: merges */
    expect_value(older, "OTEL_METRICS_EXPORTER", NULL);    /* one source wins whole */
}
END_TEST

START_TEST(each_value_tells_its_place_and_what_it_overrides)
{
    char place[VIEW_PLACE_BYTES];
    write_at("home/alice/.bashrc", "# x\n\nexport OTEL_TRACES_SAMPLER=\"always_off\" # why\n");
    write_at(user, "{\n \"env\": {\n  \"OTEL_TRACES_SAMPLER\": \"always_on\"}}");
    struct settings_view *view = look(newest);
    const struct view_entry *e = view_effective(view, "OTEL_TRACES_SAMPLER");
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->line, 3);
    ck_assert_ptr_nonnull(strstr(view_place(e, place), "settings.json' line 3"));
    const struct view_entry *under = view_overridden(view, e);
    ck_assert_ptr_nonnull(under);
    ck_assert_str_eq(under->value, "always_off");
    ck_assert_ptr_nonnull(strstr(view_place(under, place), ".bashrc' line 3"));
    settings_view_destroy(view);
}
END_TEST

static const struct {
    const char *file, *line, *value; /* NULL: an expression */
} shell_rows[] = {
    {".bashrc", "export OTEL_LOGS_EXPORTER=otlp", "otlp"},
    {".bashrc", "  OTEL_LOGS_EXPORTER='a b'", "a b"},
    {".profile", "export OTEL_LOGS_EXPORTER=\"a\\\"b\"; x", "a\"b"},
    {".zshenv", "declare -x OTEL_LOGS_EXPORTER=x", "x"},
    {".config/fish/config.fish", "set -gx OTEL_LOGS_EXPORTER otlp", "otlp"},
    {".config/fish/config.fish", "set --global --export OTEL_LOGS_EXPORTER otlp", "otlp"},
    {".bashrc", "export OTEL_LOGS_EXPORTER=$(cat x)", NULL},
    {".bashrc", "export OTEL_LOGS_EXPORTER=\"$X\"", NULL},
};

START_TEST(shells_assignments_are_read_as_shells_do)
{
    char *path = xasprintf("home/alice/%s", shell_rows[_i].file);
    write_at(path, shell_rows[_i].line);
    struct settings_view *view = look(newest);
    const struct view_entry *e = view_effective(view, "OTEL_LOGS_EXPORTER");
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->value != NULL, shell_rows[_i].value != NULL);
    if (e->value)
        ck_assert_str_eq(e->value, shell_rows[_i].value);
    settings_view_destroy(view);
    free(path);
}
END_TEST

START_TEST(what_is_no_assignment_is_passed_over)
{
    write_at("home/alice/.bashrc",
             "# export OTEL_LOGS_EXPORTER=a\necho OTEL_LOGS_EXPORTER=b\nOTEL_LOGS_EXPORTER\n"
             "unset OTEL_LOGS_EXPORTER\n");
    expect_value(newest, "OTEL_LOGS_EXPORTER", NULL);
}
END_TEST

START_TEST(documents_tell_what_is_wrong_with_them)
{
    write_at(base, "");
    write_at(user, "{\"a\":1,}");
    struct settings_view *view = look(newest);
    bool empty = false, broken = false;
    for (size_t i = 0; i < view->document_count; i++) {
        const struct view_document *d = view->documents[i];
        empty = empty || (d->layer == VIEW_FILES && d->is_empty && !d->is_broken);
        broken = broken || (d->layer == VIEW_USER && d->is_broken && strstr(d->problem, "line 1"));
    }
    ck_assert(empty && broken);
    settings_view_destroy(view);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings_view");
    TCase *t = tcase_create("settings_view");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, managed_beats_user_beats_shell);
    tcase_add_test(t, an_empty_managed_value_lets_the_shell_through);
    tcase_add_test(t, numbers_and_booleans_count_and_null_does_not);
    tcase_add_test(t, dropins_win_in_string_order);
    tcase_add_test(t, from_2_1_217_on_a_managed_endpoint_keeps_per_signal_ones_out);
    tcase_add_test(t, project_settings_cannot_set_telemetry);
    tcase_add_test(t, telemetry_is_taken_whole_from_the_highest_source_that_names_any);
    tcase_add_test(t, each_value_tells_its_place_and_what_it_overrides);
    tcase_add_loop_test(t, shells_assignments_are_read_as_shells_do, 0,
                        sizeof shell_rows / sizeof *shell_rows);
    tcase_add_test(t, what_is_no_assignment_is_passed_over);
    tcase_add_test(t, documents_tell_what_is_wrong_with_them);
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
