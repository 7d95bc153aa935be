#include "agent/settings/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/edit.h"
#include "core/plist/plist.h"
#include "core/registry/registry.h"
#include "platform/platform.h"

enum { MAX_SOURCE_BYTES = 16 * 1024 * 1024 };

static const struct claude_version env_merges = {2, 1, 223};

const char *settings_source_name(enum settings_source source)
{
    static const char *const names[] = {
        [SOURCE_REMOTE] = "server-managed settings",
        [SOURCE_MDM] = "the MDM profile or machine policy",
        [SOURCE_FILES] = "the managed settings files",
        [SOURCE_USER_POLICY] = "the user policy",
        [SOURCE_NONE] = "nothing",
    };
    return names[source];
}

/* The variables that are taken together from one source. */
static bool is_otlp(struct bytes key)
{
    return bytes_starts_with(key, "OTEL_EXPORTER_OTLP_") || bytes_starts_with(key, "OTEL_LOG_") ||
           bytes_equal_text(key, "OTEL_LOGS_EXPORTER") ||
           bytes_equal_text(key, "ENABLE_BETA_TRACING_DETAILED") ||
           bytes_equal_text(key, "BETA_TRACING_ENDPOINT");
}

static bool read_variable(void *context, struct bytes key, struct bytes value)
{
    struct source_facts *out = context;
    (void)value;
    out->has_otlp = out->has_otlp || is_otlp(key);
    return true;
}

static bool read_key(void *context, struct bytes key, struct bytes value)
{
    struct source_facts *out = context;
    (void)value;
    if (!bytes_equal_text(key, "wslInheritsWindowsSettings")) /* alone it is no policy */
        out->has_keys = true;
    if (bytes_equal_text(key, "otelHeadersHelper"))
        out->names_helper = true;
    if (bytes_equal_text(key, "policyHelper"))
        out->replaces_all = true;
    return true;
}

void settings_read_source(struct bytes json, struct source_facts *out)
{
    static const char *const env[] = {"env"};
    struct error err;
    bool blank = true;
    for (size_t i = 0; i < json.len && blank; i++)
        blank = strchr(" \t\r\n", json.data[i]) != NULL;
    if (blank)
        return; /* Claude Code takes an empty file for {} */
    if (!json_edit_each(json, NULL, 0, read_key, out, &err)) {
        snprintf(out->problem, sizeof out->problem, "%.250s", err.cause);
        return;
    }
    (void)!json_edit_each(json, env, 1, read_variable, out, &err);
}

static bool read_file(const char *path, const struct fs *fs, struct source_facts *out)
{
    struct buffer text = {.max_bytes = MAX_SOURCE_BYTES};
    struct error err;
    bool there = fs_read_file(fs, path, &text, &err);
    if (there) {
        if (!*out->where)
            snprintf(out->where, sizeof out->where, "%.250s", path);
        settings_read_source(buffer_bytes(&text), out);
    } else if (err.kind != FAIL_NOT_FOUND) {
        snprintf(out->where, sizeof out->where, "%.250s", path);
        snprintf(out->problem, sizeof out->problem, "%.250s", err.cause);
    }
    buffer_clear(&text);
    return there;
}

struct folder_read {
    const char *dir;
    const struct fs *fs;
    struct source_facts *out;
};

static bool read_dropin(void *context, const char *name)
{
    struct folder_read *r = context;
    size_t len = strlen(name);
    if (name[0] != '.' && len > 5 && strcmp(name + len - 5, ".json") == 0) {
        char *path = xasprintf("%s/%s", r->dir, name);
        (void)read_file(path, r->fs, r->out);
        free(path);
    }
    return true;
}

static void read_files(const char *root, const struct fs *fs, struct source_facts *out)
{
    char *managed = platform_claude_managed_dir(root);
    char *base = xasprintf("%s/managed-settings.json", managed);
    char *dir = xasprintf("%s/managed-settings.d", managed);
    struct folder_read dropins = {.dir = dir, .fs = fs, .out = out};
    struct error ignored;
    (void)read_file(base, fs, out);
    (void)!fs->list(fs->disk, dir, read_dropin, &dropins, &ignored);
    free(dir);
    free(base);
    free(managed);
}

static bool read_profile(const char *root, const char *file, const struct fs *fs,
                         struct source_facts *out)
{
    struct buffer text = {.max_bytes = MAX_SOURCE_BYTES}, json = {.max_bytes = MAX_SOURCE_BYTES};
    struct error err;
    char *path = platform_under_root(root, file);
    bool there = fs_read_file(fs, path, &text, &err);
    if (there) {
        snprintf(out->where, sizeof out->where, "%.250s", path);
        if (plist_to_json(buffer_bytes(&text), &json, &err))
            settings_read_source(buffer_bytes(&json), out);
        else
            snprintf(out->problem, sizeof out->problem, "%.250s", err.cause);
    }
    free(path);
    buffer_clear(&text);
    buffer_clear(&json);
    return there && out->has_keys;
}

/* A Mac's managed preferences: the user's own list is looked at first. */
static void read_profiles(const char *root, const char *user, const struct fs *fs,
                          struct source_facts *out)
{
    static const char folder[] = "/Library/Managed Preferences";
    static const char list[] = "com.anthropic.claudecode.plist";
    char *own = xasprintf("%s/%s/%s", folder, user ? user : "", list);
    char *all = xasprintf("%s/%s", folder, list);
    if (!user || strchr(user, '/') || !read_profile(root, own, fs, out))
        (void)read_profile(root, all, fs, out);
    free(all);
    free(own);
}

/* Windows: a text of JSON in the value "Settings" of a policy key. */
static void read_policy(const char *root, const char *hive, const struct fs *fs,
                        struct source_facts *out)
{
    struct error err = {0};
    char *path = xasprintf("%s\\SOFTWARE\\Policies\\ClaudeCode", hive);
    struct registry_key *key = registry_read(root, path, fs, &err);
    const char *settings = registry_text_of(key, "Settings");
    if (settings) {
        snprintf(out->where, sizeof out->where, "%.240s!Settings", path);
        settings_read_source(bytes_of(settings), out);
    }
    registry_destroy(key);
    free(path);
}

void settings_read_sources(const char *root, const char *user, const char *sid, const char *home,
                           const struct fs *fs, struct source_facts facts[SOURCE_COUNT])
{
    char *hive = sid ? xasprintf("HKEY_USERS\\%s", sid) : xstrdup("HKEY_CURRENT_USER");
    memset(facts, 0, SOURCE_COUNT * sizeof *facts);
    read_profiles(root, user, fs, &facts[SOURCE_MDM]);
    if (!facts[SOURCE_MDM].has_keys)
        read_policy(root, "HKEY_LOCAL_MACHINE", fs, &facts[SOURCE_MDM]);
    read_policy(root, hive, fs, &facts[SOURCE_USER_POLICY]);
    free(hive);
    if (home) {
        char *below = xasprintf("%s/.claude/remote-settings.json", home);
        char *path = platform_under_root(root, below);
        (void)read_file(path, fs, &facts[SOURCE_REMOTE]);
        free(path);
        free(below);
    }
    read_files(root, fs, &facts[SOURCE_FILES]);
}

static enum settings_source first_with_keys(const struct source_facts facts[SOURCE_COUNT])
{
    for (int i = 0; i < SOURCE_COUNT; i++)
        if (facts[i].has_keys)
            return (enum settings_source)i;
    return SOURCE_NONE;
}

/* From 2.1.223 on: the highest admin source that names any variable of the unit. */
static enum settings_source first_with_otlp(const struct source_facts facts[SOURCE_COUNT],
                                            enum settings_source winner)
{
    for (int i = 0; i < SOURCE_USER_POLICY; i++)
        if (facts[i].has_otlp || facts[i].names_helper)
            return (enum settings_source)i;
    return winner == SOURCE_USER_POLICY && facts[winner].has_otlp ? winner : SOURCE_NONE;
}

static void say(struct source_verdict *v, const struct source_facts facts[SOURCE_COUNT],
                struct claude_version version, bool merges)
{
    const char *winner = settings_source_name(v->winner);
    const char *where = v->winner < SOURCE_COUNT && *facts[v->winner].where ? facts[v->winner].where
                                                                            : "this machine";
    char which[32];
    snprintf(which, sizeof which, "%u.%u.%u", version.major, version.minor, version.patch);
    if (v->winner == SOURCE_NONE)
        snprintf(v->sentence, sizeof v->sentence,
                 "no managed source is in force: Claude Code %s sees no telemetry settings", which);
    else if (v->ours_in_force && v->winner == SOURCE_FILES)
        snprintf(v->sentence, sizeof v->sentence,
                 "the managed settings files win, and our block is in force (Claude Code %s)",
                 which);
    else if (v->ours_in_force)
        snprintf(v->sentence, sizeof v->sentence,
                 "%s wins ('%s'), and Claude Code %s still takes the telemetry variables from our "
                 "file",
                 winner, where, which);
    else if (v->winner == SOURCE_FILES)
        snprintf(v->sentence, sizeof v->sentence,
                 "the managed settings files win, but they hold no telemetry block of ours");
    else if (!merges)
        snprintf(v->sentence, sizeof v->sentence,
                 "%s ('%s') hides our file from Claude Code %s: put the same variables there, or "
                 "update Claude Code to 2.1.223 or later",
                 winner, where, which);
    else
        snprintf(v->sentence, sizeof v->sentence,
                 "%s sets telemetry variables of its own ('%s'), and Claude Code %s takes all of "
                 "them from there: our block has no effect; put the whole block into that source, "
                 "or take the OTEL_ variables and otelHeadersHelper out of it",
                 settings_source_name(v->telemetry),
                 v->telemetry < SOURCE_COUNT ? facts[v->telemetry].where : where, which);
}

void settings_decide_source(const struct source_facts facts[SOURCE_COUNT],
                            struct claude_version version, struct source_verdict *out)
{
    *out = (struct source_verdict){.winner = first_with_keys(facts), .telemetry = SOURCE_NONE};
    bool merges = claude_version_compare(version, env_merges) >= 0;
    if (merges)
        out->telemetry = first_with_otlp(facts, out->winner);
    else if (out->winner != SOURCE_NONE && facts[out->winner].has_otlp)
        out->telemetry = out->winner;
    /* A helper named by a source that does not win claims the variables and delivers none. */
    bool lost = out->telemetry == SOURCE_FILES && facts[SOURCE_FILES].names_helper &&
                out->winner != SOURCE_FILES;
    out->ours_in_force = out->telemetry == SOURCE_FILES && facts[SOURCE_FILES].has_otlp && !lost;
    if (!merges && out->winner != SOURCE_FILES)
        out->ours_in_force = false;
    say(out, facts, version, merges);
}
