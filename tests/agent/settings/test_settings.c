#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/settings/settings.h"
#include "base/memory.h"
#include "core/json/edit.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

enum { ALICE = 31001, BOB = 31002, MAX_KEPT = 512 };

#define DROPIN "etc/claude-code/managed-settings.d/90-claude-telemetry.json"
#define MERGED "etc/claude-code/managed-settings.json"
#define ALICES "home/alice/.claude/settings.json"
#define BOBS "home/bob/.claude/settings.json"

static char *root;
static struct error err;
static struct settings_options options;
static struct settings_user users[2];
static struct settings_result result;
static struct fs fs;
static char *kept[MAX_KEPT];
static size_t kept_count;

static char *keep(char *text)
{
    ck_assert_uint_lt(kept_count, MAX_KEPT);
    return kept[kept_count++] = text;
}

static char *below(const char *path)
{
    return keep(xasprintf("%s/%s", root, path));
}

static uint32_t owner(uint32_t uid)
{
    return geteuid() == 0 ? uid : (uint32_t)geteuid();
}

static void make_home(const char *home, uint32_t uid)
{
    expect_ok(fs_make_dirs(&fs_real, below(home), 0755, &err));
    if (geteuid() == 0)
        ck_assert_int_eq(chown(below(home), uid, uid), 0);
}

static void set_up(void)
{
    root = temp_dir_make();
    fs = fs_real;
    make_home("home/alice", ALICE);
    make_home("home/bob", BOB);
    users[0] = (struct settings_user){.name = "alice",
                                      .uid = owner(ALICE),
                                      .gid = owner(ALICE),
                                      .home = "/home/alice",
                                      .email = "alice@example.com"};
    users[1] = (struct settings_user){.name = "bob",
                                      .uid = owner(BOB),
                                      .gid = owner(BOB),
                                      .home = "/home/bob"};
    options = (struct settings_options){.root = root,
                                        .endpoint = "http://127.0.0.1:14318",
                                        .metrics = true,
                                        .logs = true,
                                        .traces = true,
                                        .user_env = true,
                                        .users = users,
                                        .user_count = 2};
}

static void tear_down(void)
{
    temp_dir_remove(root);
    while (kept_count > 0)
        free(kept[--kept_count]);
}

/* A file of alice's or of the machine's, as somebody else wrote it. */
static void put_file(const char *path, const char *content, uint32_t mode)
{
    char *folder = keep(xstrdup(below(path)));
    *strrchr(folder, '/') = '\0';
    bool alices = strncmp(path, "home/alice", 10) == 0;
    struct fs_stat info;
    if (!fs_real.stat(NULL, folder, &info, &err)) {
        expect_ok(fs_make_dirs(&fs_real, folder, 0755, &err));
        if (alices && geteuid() == 0)
            ck_assert_int_eq(chown(folder, ALICE, ALICE), 0);
    }
    expect_ok(fs_replace_file(&fs_real, below(path), bytes_of(content), 0644, &err));
    ck_assert_int_eq(chmod(below(path), mode), 0);
    if (alices && geteuid() == 0)
        ck_assert_int_eq(chown(below(path), ALICE, ALICE), 0);
}

static const char *content_of(const char *path)
{
    struct buffer text = {.max_bytes = 16 * MIB};
    expect_ok(fs_read_file(&fs_real, below(path), &text, &err));
    char *copy = keep(xstrndup((const char *)text.data, text.len));
    buffer_clear(&text);
    return copy;
}

static bool exists(const char *path)
{
    struct fs_stat info;
    return fs_real.stat(NULL, below(path), &info, &err);
}

static struct fs_stat stat_of(const char *path)
{
    struct fs_stat info = {0};
    expect_ok(fs_real.stat(NULL, below(path), &info, &err));
    return info;
}

/* The text of env.NAME, or "" when it is not there. */
static const char *env_of(const char *path, const char *name)
{
    const char *const where[] = {"env", name};
    struct bytes value;
    struct error missing;
    const char *text = content_of(path);
    if (!json_edit_find(bytes_of(text), where, 2, &value, &missing))
        return "";
    return keep(xstrndup((const char *)value.data, value.len));
}

static bool apply(void)
{
    struct settings_plan *plan = settings_plan_create(&options, &fs, &err);
    ck_assert_msg(plan != NULL, "%s", err.cause);
    bool ok = settings_apply(plan, &fs, &result, &err);
    settings_plan_destroy(plan);
    return ok;
}

static size_t pending(void)
{
    size_t drifted = 99;
    expect_ok(settings_verify(&options, &fs, &drifted, NULL, &err));
    return drifted;
}

static void expect_notes(const char *words, bool there)
{
    struct settings_plan *plan = settings_plan_create(&options, &fs, &err);
    bool found = false;
    for (size_t i = 0; i < settings_plan_note_count(plan); i++)
        found = found || strstr(settings_plan_note(plan, i), words);
    settings_plan_destroy(plan);
    ck_assert_msg(found == there, "note '%s' is%s there", words, found ? "" : " not");
}

START_TEST(a_fresh_machine_gets_a_dropin_and_every_user_a_file)
{
    expect_ok(apply());
    ck_assert_uint_eq(result.written, 3);
    ck_assert_str_eq(env_of(DROPIN, "OTEL_EXPORTER_OTLP_ENDPOINT"), "\"http://127.0.0.1:14318\"");
    ck_assert_str_eq(env_of(DROPIN, "OTEL_LOGS_EXPORTER"), "\"otlp\"");
    ck_assert_uint_eq(stat_of(DROPIN).mode, 0644);
    ck_assert_uint_eq(stat_of("etc/claude-code/managed-settings.d").mode, 0755);
    ck_assert_uint_eq(stat_of("etc/claude-code").mode, 0755);
    ck_assert_uint_eq(stat_of(ALICES).mode, 0600);
    ck_assert_uint_eq(stat_of(ALICES).uid, owner(ALICE));
    ck_assert_uint_eq(stat_of("home/alice/.claude").uid, owner(ALICE));
    ck_assert_uint_eq(stat_of(BOBS).uid, owner(BOB));
    ck_assert_ptr_nonnull(strstr(env_of(ALICES, "OTEL_RESOURCE_ATTRIBUTES"), "alice@example.com"));
    ck_assert_ptr_null(strstr(env_of(BOBS, "OTEL_RESOURCE_ATTRIBUTES"), "@"));
    ck_assert(!exists(MERGED));
}
END_TEST

START_TEST(a_second_apply_changes_nothing)
{
    put_file(ALICES, "{\n  \"model\": \"opus\"\n}\n", 0644);
    expect_ok(apply());
    const char *before = content_of(ALICES);
    ck_assert_uint_eq(pending(), 0);
    expect_ok(apply());
    ck_assert_uint_eq(result.written, 0);
    ck_assert_str_eq(content_of(ALICES), before);
}
END_TEST

START_TEST(revert_leaves_nothing_behind)
{
    expect_ok(apply());
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_uint_eq(result.removed, 3);
    ck_assert(!exists("etc/claude-code"));
    ck_assert(!exists("home/alice/.claude"));
    ck_assert(!exists("home/bob/.claude"));
    ck_assert(!exists("var/lib/claude-telemetry-settings"));
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_uint_eq(result.removed + result.written, 0);
}
END_TEST

/* Documents of others, which come back byte for byte. */
static const char *const documents[] = {
    "{}",
    "{}\n",
    "",
    "\n",
    "{\"permissions\":{\"deny\":[\"Bash(rm:*)\"]},\"env\":{\"FOO\":\"1\"}}",
    "{\n  \"model\": \"opus\",\n  \"env\": {}\n}\n",
    "{\n\t\"env\": {\n\t\t\"OTEL_LOGS_EXPORTER\": \"console\",\n\t\t\"Z\": 1\n\t}\n}",
    "{\r\n  \"env\": {\r\n    \"A\": \"b\"\r\n  }\r\n}\r\n",
    "\xEF\xBB\xBF{ \"a\": [1, 2, {\"b\": null}] }",
    "{ \"env\" : { \"OTEL_LOG_USER_PROMPTS\" : true , \"OTEL_LOG_USER_PROMPTS\" : 2 } }",
};

START_TEST(revert_gives_the_first_bytes_back)
{
    put_file(ALICES, documents[_i], 0640);
    put_file(MERGED, documents[_i], 0644);
    options.place = SETTINGS_MERGE;
    expect_ok(apply());
    ck_assert_str_eq(env_of(ALICES, "OTEL_LOGS_EXPORTER"), "\"otlp\"");
    ck_assert_str_eq(env_of(MERGED, "OTEL_LOGS_EXPORTER"), "\"otlp\"");
    ck_assert_uint_eq(stat_of(ALICES).mode, 0640);
    ck_assert_uint_eq(stat_of(ALICES).uid, owner(ALICE));
    ck_assert_uint_eq(pending(), 0);

    options.log_user_prompts = true; /* a second, different apply must not become the first state */
    expect_ok(apply());
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of(ALICES), documents[_i]);
    ck_assert_str_eq(content_of(MERGED), documents[_i]);
    ck_assert_uint_eq(stat_of(ALICES).mode, 0640);
    ck_assert_uint_eq(stat_of(ALICES).uid, owner(ALICE));
}
END_TEST

START_TEST(revert_keeps_what_others_changed_since)
{
    put_file(ALICES, "{\n  \"env\": {\n    \"FOO\": \"1\"\n  }\n}\n", 0600);
    expect_ok(apply());
    struct buffer text = {.max_bytes = MIB};
    static const char *const model[] = {"model"};
    ck_assert(buffer_append_text(&text, content_of(ALICES)));
    expect_ok(json_edit_set(&text, model, 1, bytes_of("\"opus\""), &err));
    put_file(ALICES, buffer_text(&text), 0600);
    buffer_clear(&text);

    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of(ALICES),
                     "{\n  \"env\": {\n    \"FOO\": \"1\"\n  },\n  \"model\": \"opus\"\n}\n");
}
END_TEST

START_TEST(revert_of_a_file_we_made_keeps_what_its_user_added)
{
    expect_ok(apply());
    struct buffer text = {.max_bytes = MIB};
    static const char *const model[] = {"model"};
    ck_assert(buffer_append_text(&text, content_of(ALICES)));
    expect_ok(json_edit_set(&text, model, 1, bytes_of("\"opus\""), &err));
    put_file(ALICES, buffer_text(&text), 0600);
    buffer_clear(&text);
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of(ALICES), "{\n  \"model\": \"opus\"\n}\n");
}
END_TEST

START_TEST(only_what_others_changed_counts_as_put_back)
{
    put_file(ALICES, "{ \"a\": 1 }", 0600);
    expect_ok(apply());
    ck_assert_uint_eq(result.repaired, 0); /* written for the first time */
    options.log_user_prompts = true;
    expect_ok(apply());
    ck_assert_uint_eq(result.written, 3);
    ck_assert_uint_eq(result.repaired, 0); /* another wish */
    put_file(ALICES, "{ \"a\": 2 }", 0600);
    options.log_user_prompts = false;
    expect_ok(apply());
    ck_assert_uint_eq(result.repaired, 0); /* both at once: the wish */
    put_file(ALICES, "{ \"a\": 3 }", 0600);
    ck_assert_int_eq(chmod(below(BOBS), 0666), 0);
    ck_assert_int_eq(unlink(below(DROPIN)), 0);
    expect_ok(apply());
    ck_assert_uint_eq(result.repaired, 2); /* a mode is not ours to want in a file that was there */
}
END_TEST

START_TEST(tampering_is_drift_and_apply_repairs_it)
{
    static const char *const endpoint[] = {"env", "OTEL_EXPORTER_OTLP_ENDPOINT"};
    put_file(ALICES, "{\"model\":\"opus\"}", 0600);
    expect_ok(apply());
    const char *good = content_of(ALICES), *good_dropin = content_of(DROPIN);
    struct buffer text = {.max_bytes = MIB};
    ck_assert(buffer_append_text(&text, good));
    expect_ok(json_edit_set(&text, endpoint, 2, bytes_of("\"http://evil\""), &err));
    put_file(ALICES, buffer_text(&text), 0600);
    buffer_clear(&text);
    put_file(DROPIN, "not json", 0600);
    ck_assert_int_eq(unlink(below(BOBS)), 0);

    ck_assert_uint_eq(pending(), 3);
    expect_ok(apply());
    ck_assert_str_eq(content_of(ALICES), good);
    ck_assert_str_eq(content_of(DROPIN), good_dropin);
    ck_assert_uint_eq(stat_of(DROPIN).mode, 0644);
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of(ALICES), "{\"model\":\"opus\"}");
}
END_TEST

/* {content, words of the problem} */
static const struct {
    const char *content, *words;
} broken[] = {
    {"{\n  \"a\": 1,\n}\n", "line 3, column 1"},
    {"{\n  // comment\n}\n", "line 2, column 3"},
    {"{\"env\": {\"A\": \"half", "line 1"},
    {"[]", "not an object"},
    {"null", "not an object"},
    {"{\"env\": \"x\"}", "'env' is not an object"},
    {"\xFF\xFE{\0}", "line 1, column 1"},
};

START_TEST(invalid_json_is_left_alone_and_the_other_files_go_on)
{
    put_file(ALICES, broken[_i].content, 0600);
    put_file(MERGED, broken[_i].content, 0644);
    options.place = SETTINGS_MERGE;
    expect_fail(apply(), FAIL_INVALID);
    ck_assert_msg(strstr(err.cause, broken[_i].words), "'%s' lacks '%s'", err.cause,
                  broken[_i].words);
    ck_assert_msg(strstr(err.cause, "managed-settings.json"), "%s", err.cause);
    ck_assert_uint_gt(strlen(err.remedy), 0);
    ck_assert_str_eq(content_of(ALICES), broken[_i].content);
    ck_assert_str_eq(content_of(MERGED), broken[_i].content);
    ck_assert_uint_eq(result.failed, 2);
    ck_assert_uint_eq(result.written, 1);
    ck_assert(exists(BOBS));
}
END_TEST

START_TEST(attributes_of_a_merged_file_stay)
{
    char value[8] = "";
    put_file(MERGED, "{\"cleanupPeriodDays\": 20}", 0604);
    if (setxattr(below(MERGED), "user.origin", "corp", 4, 0) != 0)
        return; /* this disk keeps none */
    options.place = SETTINGS_MERGE;
    expect_ok(apply());
    ck_assert_int_eq(getxattr(below(MERGED), "user.origin", value, 8), 4);
    ck_assert_uint_eq(stat_of(MERGED).mode, 0604);
    ck_assert_ptr_nonnull(strstr(content_of(MERGED), "{\"cleanupPeriodDays\": 20, \"env\""));
}
END_TEST

START_TEST(a_link_out_of_the_home_is_refused_and_its_target_untouched)
{
    put_file("etc/precious", "{}", 0644);
    put_file(ALICES, "{}", 0644);
    ck_assert_int_eq(unlink(below(ALICES)), 0);
    ck_assert_int_eq(symlink("/etc/precious", below(ALICES)), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(lchown(below(ALICES), ALICE, ALICE), 0);
    expect_fail(apply(), FAIL_DENIED);
    ck_assert_uint_eq(result.written, 2);
    ck_assert_str_eq(content_of("etc/precious"), "{}");
}
END_TEST

START_TEST(a_link_within_the_home_is_kept_and_its_target_edited)
{
    put_file("home/alice/dotfiles/settings.json", "{}", 0644);
    put_file(ALICES, "{}", 0644);
    ck_assert_int_eq(unlink(below(ALICES)), 0);
    ck_assert_int_eq(symlink("../dotfiles/settings.json", below(ALICES)), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(lchown(below(ALICES), ALICE, ALICE), 0);
    expect_ok(apply());
    ck_assert(stat_of(ALICES).is_symlink);
    ck_assert_str_eq(env_of("home/alice/dotfiles/settings.json", "OTEL_LOGS_EXPORTER"), "\"otlp\"");
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of("home/alice/dotfiles/settings.json"), "{}");
}
END_TEST

START_TEST(a_hard_link_is_refused)
{
    put_file(ALICES, "{}", 0644);
    ck_assert_int_eq(link(below(ALICES), below("home/alice/other")), 0);
    expect_fail(apply(), FAIL_DENIED);
    ck_assert_str_eq(content_of(ALICES), "{}");
}
END_TEST

START_TEST(a_fifo_or_a_folder_in_its_place_does_not_hold_us_up)
{
    put_file(ALICES, "{}", 0644);
    ck_assert_int_eq(unlink(below(ALICES)), 0);
    ck_assert_int_eq(mkfifo(below(ALICES), 0644), 0);
    expect_fail(apply(), FAIL_DENIED);
    ck_assert_int_eq(unlink(below(ALICES)), 0);
    ck_assert_int_eq(mkdir(below(ALICES), 0755), 0);
    expect_fail(apply(), FAIL_DENIED);
}
END_TEST

START_TEST(a_vanished_home_is_no_failure)
{
    ck_assert_int_eq(rmdir(below("home/bob")), 0);
    expect_ok(apply());
    expect_notes("user 'bob': no settings", true);
    ck_assert(!exists("home/bob"));

    expect_ok(settings_revert(root, &fs, &result, &err));
    make_home("home/bob", BOB);
    expect_ok(apply());
    ck_assert_int_eq(unlink(below(BOBS)), 0);
    ck_assert_int_eq(rmdir(below("home/bob/.claude")), 0);
    ck_assert_int_eq(rmdir(below("home/bob")), 0);
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert(!exists("var/lib/claude-telemetry-settings"));
}
END_TEST

START_TEST(ten_thousand_entries_are_merged)
{
    struct buffer text = {.max_bytes = 4 * MIB};
    ck_assert(buffer_append_text(&text, "{\n  \"env\": {"));
    for (int i = 0; i < 10000; i++)
        ck_assert(buffer_append_format(&text, "%s\n    \"KEY_%d\": \"%d\"", i ? "," : "", i, i));
    ck_assert(buffer_append_text(&text, "\n  }\n}\n"));
    put_file(ALICES, buffer_text(&text), 0600);
    expect_ok(apply());
    ck_assert_str_eq(env_of(ALICES, "OTEL_LOGS_EXPORTER"), "\"otlp\"");
    ck_assert_str_eq(env_of(ALICES, "KEY_9999"), "\"9999\"");
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of(ALICES), buffer_text(&text));
    buffer_clear(&text);
}
END_TEST

START_TEST(an_old_claude_gets_a_merge_and_a_newer_one_moves_it_to_a_dropin)
{
    struct claude_install old = {.path = keep(xstrdup("/x")), .known = true, .version = {2, 0, 30}};
    struct claude_installs installs = {.list = &old, .count = 1};
    options.installs = &installs;
    options.traces = false;
    put_file(MERGED, "{\"model\": \"opus\"}", 0644);
    expect_ok(apply());
    ck_assert(!exists(DROPIN));
    ck_assert_str_eq(env_of(MERGED, "OTEL_LOGS_EXPORTER"), "\"otlp\"");
    ck_assert_str_eq(env_of(MERGED, "OTEL_TRACES_EXPORTER"), ""); /* 'none' would stop it */
    expect_notes("2.0.30 at '/x' may not read drop-ins", true);

    old.version = (struct claude_version){2, 1, 329};
    expect_ok(apply());
    ck_assert_str_eq(env_of(DROPIN, "OTEL_TRACES_EXPORTER"), "\"none\"");
    ck_assert_str_eq(content_of(MERGED), "{\"model\": \"opus\"}");

    old.known = false;
    expect_ok(apply());
    ck_assert(!exists(DROPIN));
    ck_assert_str_eq(env_of(MERGED, "OTEL_LOGS_EXPORTER"), "\"otlp\"");
}
END_TEST

START_TEST(variables_no_longer_wanted_get_their_first_value_back)
{
    struct claude_install new = {.path = keep(xstrdup("/x")),
                                 .known = true,
                                 .version = {2, 1, 329}};
    struct claude_installs installs = {.list = &new, .count = 1};
    options.installs = &installs;
    options.traces = false;
    put_file(ALICES, "{\"env\":{\"OTEL_TRACES_EXPORTER\":\"console\"}}", 0600);
    expect_ok(apply());
    ck_assert_str_eq(env_of(ALICES, "OTEL_TRACES_EXPORTER"), "\"none\"");
    options.installs = NULL;
    expect_ok(apply());
    ck_assert_str_eq(env_of(ALICES, "OTEL_TRACES_EXPORTER"), "\"console\"");
}
END_TEST

START_TEST(user_files_go_back_when_they_are_no_longer_wanted)
{
    put_file(ALICES, "{\"a\":1}", 0600);
    expect_ok(apply());
    options.user_env = false;
    options.place = SETTINGS_NONE;
    expect_ok(apply());
    ck_assert_str_eq(content_of(ALICES), "{\"a\":1}");
    ck_assert(!exists("home/bob/.claude"));
    ck_assert(!exists("etc/claude-code"));
}
END_TEST

START_TEST(a_token_of_one_user_is_in_that_users_file_only)
{
    const struct settings_pair token[] = {{"X-Span-Token", "secret-of-alice"}};
    users[0].headers = token;
    users[0].header_count = 1;
    options.mode = SETTINGS_DIRECT;
    options.endpoint = "https://otel.span.app:443";
    put_file(ALICES, "{}", 0644);
    expect_ok(apply());
    ck_assert_str_eq(env_of(ALICES, "OTEL_EXPORTER_OTLP_HEADERS"),
                     "\"X-Span-Token=secret-of-alice\"");
    ck_assert_uint_eq(stat_of(ALICES).mode, 0600);
    ck_assert_ptr_null(strstr(content_of(BOBS), "secret"));
    ck_assert_ptr_null(strstr(content_of(DROPIN), "secret"));
    ck_assert_str_eq(env_of(DROPIN, "OTEL_EXPORTER_OTLP_HEADERS"), "");
    ck_assert_str_eq(env_of(DROPIN, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
                     "\"https://otel.span.app:443/v1/logs\"");
}
END_TEST

START_TEST(the_diff_shows_variables_and_masks_secrets)
{
    const struct settings_pair token[] = {{"X-Span-Token", "secret-of-alice"}};
    struct buffer diff = {.max_bytes = MIB};
    users[0].headers = token;
    users[0].header_count = 1;
    put_file(ALICES,
             "{\"env\":{\"ANTHROPIC_API_KEY\":\"sk-private\",\"OTEL_LOGS_EXPORTER\":\"console\"}}",
             0600);
    struct settings_plan *plan = settings_plan_create(&options, &fs, &err);
    ck_assert(settings_diff(plan, &diff));
    const char *text = buffer_text(&diff);
    ck_assert_ptr_nonnull(strstr(text, "-    \"OTEL_LOGS_EXPORTER\": \"console\"\n"));
    ck_assert_ptr_nonnull(strstr(text, "+    \"OTEL_LOGS_EXPORTER\": \"otlp\"\n"));
    ck_assert_ptr_nonnull(strstr(text, "+    \"OTEL_EXPORTER_OTLP_HEADERS\": \"***\"\n"));
    ck_assert_ptr_nonnull(strstr(text, "--- /dev/null\n"));
    ck_assert_ptr_null(strstr(text, "secret"));
    ck_assert_ptr_null(strstr(text, "sk-private"));
    ck_assert(!exists(DROPIN)); /* a plan writes nothing */
    ck_assert(!exists("var/lib/claude-telemetry"));
    expect_ok(settings_apply(plan, &fs, &result, &err));
    settings_plan_destroy(plan);
    buffer_reset(&diff);
    plan = settings_plan_create(&options, &fs, &err);
    ck_assert(settings_diff(plan, &diff));
    ck_assert_uint_eq(diff.len, 0);
    settings_plan_destroy(plan);
    buffer_clear(&diff);
}
END_TEST

START_TEST(a_file_changed_since_the_plan_is_left_alone)
{
    put_file(ALICES, "{\"a\":1}", 0600);
    struct settings_plan *plan = settings_plan_create(&options, &fs, &err);
    put_file(ALICES, "{\"a\":2}", 0600);
    expect_fail(settings_apply(plan, &fs, &result, &err), FAIL_BUSY);
    ck_assert_str_eq(content_of(ALICES), "{\"a\":2}");
    settings_plan_destroy(plan);
}
END_TEST

START_TEST(no_proxy_covers_loopback_where_a_proxy_is_configured)
{
    expect_ok(apply());
    ck_assert_str_eq(env_of(DROPIN, "NO_PROXY"), "");
    put_file("etc/environment",
             "PATH=/bin\nHTTPS_PROXY=\"http://proxy:3128\"\nno_proxy=.corp,localhost\n", 0644);
    expect_ok(apply());
    ck_assert_str_eq(env_of(DROPIN, "NO_PROXY"), "\".corp,localhost,127.0.0.1,::1\"");
    ck_assert_str_eq(env_of(DROPIN, "no_proxy"), "\".corp,localhost,127.0.0.1,::1\"");
    ck_assert_uint_eq(pending(), 0);
}
END_TEST

START_TEST(a_proxy_of_one_user_is_met_in_that_users_file)
{
    put_file(ALICES, "{\"env\":{\"HTTPS_PROXY\":\"http://p\",\"NO_PROXY\":\"intra\"}}", 0600);
    expect_ok(apply());
    ck_assert_str_eq(env_of(ALICES, "NO_PROXY"), "\"intra,127.0.0.1,localhost,::1\"");
    ck_assert_str_eq(env_of(BOBS, "NO_PROXY"), "");
    ck_assert_str_eq(env_of(DROPIN, "NO_PROXY"), "");
    ck_assert_uint_eq(pending(), 0);
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of(ALICES),
                     "{\"env\":{\"HTTPS_PROXY\":\"http://p\",\"NO_PROXY\":\"intra\"}}");
}
END_TEST

START_TEST(notes_tell_what_bends_our_settings)
{
    put_file("etc/claude-code/managed-settings.d/95-other.json",
             "{\"env\":{\"OTEL_EXPORTER_OTLP_ENDPOINT\":\"http://x\"}}", 0644);
    put_file("etc/claude-code/managed-settings.d/10-broken.json", "{,}", 0644);
    put_file(MERGED, "{\"otelHeadersHelper\":\"/x\",\"policyHelper\":{}}", 0600);
    put_file("home/alice/.claude/remote-settings.json",
             "{\"env\":{\"OTEL_EXPORTER_OTLP_ENDPOINT\":\"http://y\"}}", 0600);
    expect_notes("95-other.json' sorts after our drop-in", true);
    expect_notes("10-broken.json' is not valid JSON (line 1, column 2", true);
    expect_notes("names otelHeadersHelper", true);
    expect_notes("names policyHelper", true);
    expect_notes("cannot be read by users (mode 0600)", true);
    expect_notes("user 'bob' has no e-mail", true);
}
END_TEST

/* A disk that is full from the nth write on. */
static struct {
    int writes_left;
} full;

static bool write_until_full(void *disk, struct fs_file *file, uint64_t offset,
                             struct bytes content, struct error *e)
{
    if (full.writes_left-- > 0)
        return fs_real.write_at(disk, file, offset, content, e);
    return error_set_os(e, 28, "cannot write a file"); /* ENOSPC */
}

START_TEST(a_full_disk_leaves_every_old_file_whole)
{
    bool done = false;
    for (int room = 0; !done; room++) {
        ck_assert_int_lt(room, 20);
        put_file(ALICES, "{\"a\":1}", 0600);
        full.writes_left = room;
        fs.write_at = write_until_full;
        done = apply();
        if (!done) {
            ck_assert_int_eq(err.kind, FAIL_NO_SPACE);
            ck_assert(strcmp(content_of(ALICES), "{\"a\":1}") == 0 ||
                      *env_of(ALICES, "OTEL_LOGS_EXPORTER"));
            ck_assert(!exists("home/alice/.claude/.settings.json.claude-telemetry-new"));
            ck_assert(!exists("etc/claude-code/managed-settings.d/"
                              ".90-claude-telemetry.json.claude-telemetry-new"));
        }
        fs = fs_real;
        expect_ok(settings_revert(root, &fs, &result, &err));
        ck_assert_str_eq(content_of(ALICES), "{\"a\":1}");
        ck_assert(!exists("etc/claude-code"));
    }
}
END_TEST

/* Stops at the nth rename, as if the power went: what was first stays restorable. */
static bool rename_until_cut(void *disk, struct fs_folder *folder, const char *from, const char *to,
                             struct error *e)
{
    if (full.writes_left-- > 0)
        return fs_real.folder_rename(disk, folder, from, to, e);
    return error_set_os(e, 5, "cut short"); /* EIO */
}

START_TEST(an_apply_cut_short_can_be_finished_and_reverted)
{
    for (int room = 0; room < 3; room++) {
        put_file(ALICES, "{ }", 0600);
        full.writes_left = room;
        fs.folder_rename = rename_until_cut;
        ck_assert(!apply());
        fs = fs_real;
        if (room == 1) {
            expect_ok(apply());
            ck_assert_uint_eq(pending(), 0);
        }
        expect_ok(settings_revert(root, &fs, &result, &err));
        ck_assert_str_eq(content_of(ALICES), "{ }");
        ck_assert(!exists("etc/claude-code"));
        ck_assert(!exists("home/bob/.claude"));
    }
}
END_TEST

static bool garble(void *disk, struct fs_file *file, uint64_t offset, struct bytes content,
                   struct error *e)
{
    char *copy = keep(xstrndup((const char *)content.data, content.len));
    copy[content.len / 2] ^= 1;
    return fs_real.write_at(disk, file, offset, bytes_make(copy, content.len), e);
}

START_TEST(what_reads_back_otherwise_is_never_put_in_place)
{
    put_file(ALICES, "{\"a\":1}", 0600);
    fs.write_at = garble;
    ck_assert(!apply());
    ck_assert_str_eq(content_of(ALICES), "{\"a\":1}");
    ck_assert(!exists(DROPIN));
}
END_TEST

START_TEST(a_damaged_record_of_the_first_state_stops_apply)
{
    expect_ok(apply());
    struct settings_plan *plan;
    char *folder = below("var/lib/claude-telemetry-settings");
    char *command = keep(xasprintf("for f in '%s'/*; do printf x >> \"$f\"; done", folder));
    ck_assert_int_eq(system(command), 0);
    plan = settings_plan_create(&options, &fs, &err);
    ck_assert_ptr_null(plan);
    ck_assert_int_eq(err.kind, FAIL_CORRUPT);
    ck_assert_uint_gt(strlen(err.remedy), 0);
    ck_assert_uint_eq(stat_of("var/lib/claude-telemetry-settings").mode, 0700);
}
END_TEST

#define FIRST "var/lib/claude-telemetry-settings"
#define LEGACY "var/lib/claude-telemetry/settings"

static void shell(const char *command)
{
    ck_assert_int_eq(system(keep(xasprintf("cd '%s' && %s", root, command))), 0);
}

/* What an earlier version left: its records in the service's folder. */
static void age_records(void)
{
    shell("mkdir -p var/lib/claude-telemetry && mv " FIRST " " LEGACY);
    if (geteuid() == 0)
        shell("chown 31009 var/lib/claude-telemetry");
}

START_TEST(first_states_of_an_earlier_version_are_taken_over)
{
    put_file(ALICES, "{ \"a\": 1 }", 0600);
    expect_ok(apply());
    age_records();
    ck_assert_uint_eq(pending(), 0); /* looking moves nothing */
    ck_assert(exists(LEGACY) && !exists(FIRST));
    expect_ok(apply());
    ck_assert_uint_eq(result.written, 0);
    ck_assert(!exists(LEGACY) && exists(FIRST));
    ck_assert_uint_eq(stat_of(FIRST).mode, 0700);
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of(ALICES), "{ \"a\": 1 }");
    ck_assert(!exists("etc/claude-code"));
}
END_TEST

START_TEST(revert_finds_first_states_of_an_earlier_version)
{
    put_file(ALICES, "{ \"a\": 1 }", 0600);
    expect_ok(apply());
    age_records();
    expect_ok(settings_revert(root, &fs, &result, &err));
    ck_assert_str_eq(content_of(ALICES), "{ \"a\": 1 }");
    ck_assert(!exists(LEGACY) && !exists(FIRST));
}
END_TEST

/* What the service, taken over by somebody, could put where root looks for its records. */
static const char *const forgeries[] = {
    "chown -R 31009 " LEGACY,   /* a folder of its own */
    "chown 31009 " LEGACY "/*", /* files of its own */
    "chmod 0777 " LEGACY,       /* one that it may write to */
    "chmod 0666 " LEGACY "/*",  /* files that it may write to */
    "mv " LEGACY " aside && ln -s ../../../aside " LEGACY " && chown -h 31009 " LEGACY,
    "mkdir x && for f in " LEGACY "/*; do ln $f x/; done",         /* files with a second name */
    "sed -i 's|claude-code/managed|cron.d/managed|' " LEGACY "/*", /* another place to write to */
};

START_TEST(forged_first_states_are_refused)
{
    if (geteuid() != 0)
        return; /* nobody else to be */
    put_file(ALICES, "{ \"a\": 1 }", 0600);
    expect_ok(apply());
    age_records();
    shell(forgeries[_i]);
    ck_assert(!settings_revert(root, &fs, &result, &err));
    ck_assert_msg(err.kind == FAIL_DENIED || err.kind == FAIL_CORRUPT, "%s", err.cause);
    ck_assert_uint_gt(strlen(err.remedy), 0);
    ck_assert_ptr_null(strstr(err.remedy, "chown")); /* never bless what somebody else wrote */
    ck_assert(exists(DROPIN));
    ck_assert(!exists("etc/cron.d"));
    ck_assert_ptr_null(settings_plan_create(&options, &fs, &err));
}
END_TEST

START_TEST(a_folder_of_first_states_that_is_not_roots_is_refused)
{
    if (geteuid() != 0)
        return;
    expect_ok(apply());
    shell("chown 31009 " FIRST);
    ck_assert_ptr_null(settings_plan_create(&options, &fs, &err));
    ck_assert_int_eq(err.kind, FAIL_DENIED);
    ck_assert_ptr_null(strstr(err.remedy, "chown"));
    ck_assert(!settings_revert(root, &fs, &result, &err));
    shell("mv " FIRST " aside && ln -s ../../aside " FIRST " && chown -h 31009 " FIRST);
    ck_assert_ptr_null(settings_plan_create(&options, &fs, &err));
    shell("rm " FIRST " && mv aside " FIRST " && chown 0 " FIRST);
    expect_ok(settings_revert(root, &fs, &result, &err));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_fresh_machine_gets_a_dropin_and_every_user_a_file);
    tcase_add_test(tests, a_second_apply_changes_nothing);
    tcase_add_test(tests, revert_leaves_nothing_behind);
    tcase_add_loop_test(tests, revert_gives_the_first_bytes_back, 0,
                        (int)(sizeof documents / sizeof *documents));
    tcase_add_test(tests, revert_keeps_what_others_changed_since);
    tcase_add_test(tests, revert_of_a_file_we_made_keeps_what_its_user_added);
    tcase_add_test(tests, only_what_others_changed_counts_as_put_back);
    tcase_add_test(tests, tampering_is_drift_and_apply_repairs_it);
    tcase_add_loop_test(tests, invalid_json_is_left_alone_and_the_other_files_go_on, 0,
                        (int)(sizeof broken / sizeof *broken));
    tcase_add_test(tests, attributes_of_a_merged_file_stay);
    tcase_add_test(tests, a_link_out_of_the_home_is_refused_and_its_target_untouched);
    tcase_add_test(tests, a_link_within_the_home_is_kept_and_its_target_edited);
    tcase_add_test(tests, a_hard_link_is_refused);
    tcase_add_test(tests, a_fifo_or_a_folder_in_its_place_does_not_hold_us_up);
    tcase_add_test(tests, a_vanished_home_is_no_failure);
    tcase_add_test(tests, ten_thousand_entries_are_merged);
    tcase_add_test(tests, an_old_claude_gets_a_merge_and_a_newer_one_moves_it_to_a_dropin);
    tcase_add_test(tests, variables_no_longer_wanted_get_their_first_value_back);
    tcase_add_test(tests, user_files_go_back_when_they_are_no_longer_wanted);
    tcase_add_test(tests, a_token_of_one_user_is_in_that_users_file_only);
    tcase_add_test(tests, the_diff_shows_variables_and_masks_secrets);
    tcase_add_test(tests, a_file_changed_since_the_plan_is_left_alone);
    tcase_add_test(tests, no_proxy_covers_loopback_where_a_proxy_is_configured);
    tcase_add_test(tests, a_proxy_of_one_user_is_met_in_that_users_file);
    tcase_add_test(tests, notes_tell_what_bends_our_settings);
    tcase_add_test(tests, a_full_disk_leaves_every_old_file_whole);
    tcase_add_test(tests, an_apply_cut_short_can_be_finished_and_reverted);
    tcase_add_test(tests, what_reads_back_otherwise_is_never_put_in_place);
    tcase_add_test(tests, a_damaged_record_of_the_first_state_stops_apply);
    tcase_add_test(tests, first_states_of_an_earlier_version_are_taken_over);
    tcase_add_test(tests, revert_finds_first_states_of_an_earlier_version);
    tcase_add_loop_test(tests, forged_first_states_are_refused, 0,
                        (int)(sizeof forgeries / sizeof *forgeries));
    tcase_add_test(tests, a_folder_of_first_states_that_is_not_roots_is_refused);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
