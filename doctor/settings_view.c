#include "doctor/settings_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/edit.h"
#include "core/json/reader.h"
#include "doctor/format.h"
#include "doctor/settings_read.h"
#include "platform/platform.h"

enum { MAX_DROPINS = 256, MAX_PROJECTS = 64, MAX_STATE_BYTES = 32 * 1024 * 1024 };

const char *view_layer_name(enum view_layer layer)
{
    static const char *const names[] = {
        [VIEW_PROJECT] = "project settings",
        [VIEW_SHELL] = "the shell",
        [VIEW_USER] = "user settings",
        [VIEW_POLICY] = "the user policy",
        [VIEW_FILES] = "managed files",
        [VIEW_MDM] = "the MDM profile",
        [VIEW_REMOTE] = "server-managed settings",
    };
    return names[layer];
}

bool view_at_least(const struct settings_view *view, unsigned major, unsigned minor, unsigned patch)
{
    return claude_version_compare(view->version, (struct claude_version){major, minor, patch}) >= 0;
}

/* ---- What is read ---- */

struct reader {
    struct settings_view *view;
    const struct view_options *options;
    const struct fs *fs;
};

static void read_at(const struct reader *r, enum view_layer layer, const char *system_path)
{
    char *path = platform_under_root(r->options->root, system_path);
    view_read_settings(r->view, layer, path, r->options->uid, r->options->gid, r->fs);
    free(path);
}

struct dropins {
    char *names[MAX_DROPINS];
    size_t count;
};

static bool add_dropin(void *context, const char *name)
{
    struct dropins *found = context;
    size_t len = strlen(name);
    if (name[0] != '.' && len > 5 && strcmp(name + len - 5, ".json") == 0 &&
        found->count < MAX_DROPINS)
        found->names[found->count++] = xstrdup(name);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A folder that the person may not enter hides every file in it. */
static void check_folder(const struct reader *r, const char *dir)
{
    struct fs_stat stat;
    struct error err = {0};
    bool there = r->fs->stat(r->fs->disk, dir, &stat, &err);
    uint32_t uid = r->options->uid;
    if (!there || !stat.is_directory || uid == 0 || stat.mode == 0)
        return;
    uint32_t bits = stat.uid == uid               ? stat.mode >> 6
                    : stat.gid == r->options->gid ? stat.mode >> 3
                                                  : stat.mode;
    if ((bits & 5U) == 5U)
        return;
    struct view_document *document = view_add_document(r->view, VIEW_FILES, dir);
    document->is_there = document->is_unreadable = document->is_folder = true;
    snprintf(document->problem, sizeof document->problem, "the mode of the folder is %04o",
             stat.mode & 07777);
}

static void read_managed_files(const struct reader *r)
{
    struct dropins *found = xcalloc(1, sizeof *found);
    struct error ignored;
    char *managed = platform_claude_managed_dir(r->options->root);
    char *base = xasprintf("%s/managed-settings.json", managed);
    char *dir = xasprintf("%s/managed-settings.d", managed);
    check_folder(r, managed);
    view_read_settings(r->view, VIEW_FILES, base, r->options->uid, r->options->gid, r->fs);
    check_folder(r, dir);
    (void)!r->fs->list(r->fs->disk, dir, add_dropin, found, &ignored);
    qsort(found->names, found->count, sizeof *found->names, by_text);
    for (size_t i = 0; i < found->count; i++) {
        char *path = xasprintf("%s/%s", dir, found->names[i]);
        view_read_settings(r->view, VIEW_FILES, path, r->options->uid, r->options->gid, r->fs);
        struct view_document *document = r->view->documents[r->view->document_count - 1];
        document->is_dropin = true;
        document->is_unread = !view_at_least(r->view, 2, 1, 83);
        document->is_ours = strcmp(found->names[i], "90-claude-telemetry.json") == 0;
        free(path);
        free(found->names[i]);
    }
    free(found);
    free(dir);
    free(base);
    free(managed);
}

static void read_profiles(const struct reader *r)
{
    static const char folder[] = "/Library/Managed Preferences";
    static const char list[] = "com.anthropic.claudecode.plist";
    char *all = xasprintf("%s/%s", folder, list);
    char *own = r->options->user ? xasprintf("%s/%s/%s", folder, r->options->user, list) : NULL;
    size_t before = r->view->entry_count;
    if (own)
        read_at(r, VIEW_MDM, own);
    if (r->view->entry_count == before) /* the person's own list replaces the machine's */
        read_at(r, VIEW_MDM, all);
    view_read_policy(r->view, VIEW_MDM, "HKEY_LOCAL_MACHINE", r->options->root, r->fs);
    free(own);
    free(all);
}

static void read_user_policy(const struct reader *r)
{
    const char *sid = r->options->sid;
    char *hive = sid ? xasprintf("HKEY_USERS\\%s", sid) : xstrdup("HKEY_CURRENT_USER");
    view_read_policy(r->view, VIEW_POLICY, hive, r->options->root, r->fs);
    free(hive);
}

/* Where a shell moves Claude Code's own folder to; the caller frees. */
static char *claude_dir(const struct reader *r)
{
    const struct view_entry *moved = NULL;
    for (size_t i = 0; i < r->view->entry_count; i++)
        if (strcmp(r->view->entries[i].name, "CLAUDE_CONFIG_DIR") == 0)
            moved = &r->view->entries[i];
    if (moved && moved->value && moved->value[0] == '/')
        return xstrdup(moved->value);
    return xasprintf("%s/.claude", r->options->home);
}

static void read_person(const struct reader *r)
{
    char *dir = claude_dir(r);
    char *settings = xasprintf("%s/settings.json", dir);
    read_at(r, VIEW_USER, settings);
    free(settings);
    free(dir);
}

/* `project` as the system names it, without the root. */
static void read_project(const struct reader *r, const char *project)
{
    static const char *const names[] = {".claude/settings.json", ".claude/settings.local.json"};
    struct fs_stat stat;
    struct error ignored;
    if (r->options->home && strcmp(project, r->options->home) == 0)
        return; /* those are the user's settings */
    for (size_t i = 0; i < 2; i++) {
        char *below = xasprintf("%s/%s", project, names[i]);
        char *path = platform_under_root(r->options->root, below);
        if (r->fs->stat(r->fs->disk, path, &stat, &ignored))
            view_read_settings(r->view, VIEW_PROJECT, path, r->options->uid, r->options->gid,
                               r->fs);
        free(path);
        free(below);
    }
}

struct project_list {
    const struct reader *reader;
    size_t count;
};

static bool read_known_project(void *context, struct bytes key, struct bytes value)
{
    struct project_list *list = context;
    struct buffer project = {.max_bytes = 4096};
    (void)value;
    if (json_string_decode(key, &project) && project.len > 0 && project.data[0] == '/' &&
        buffer_text(&project))
        read_project(list->reader, buffer_text(&project));
    buffer_clear(&project);
    return ++list->count < MAX_PROJECTS;
}

/* The folders that Claude Code has worked in, as it keeps them in ~/.claude.json. */
static void read_projects(const struct reader *r)
{
    static const char *const member[] = {"projects"};
    struct project_list list = {r, 0};
    struct buffer text = {.max_bytes = MAX_STATE_BYTES};
    struct error ignored;
    char *below = xasprintf("%s/.claude.json", r->options->home);
    char *path = platform_under_root(r->options->root, below);
    if (fs_read_file(r->fs, path, &text, &ignored))
        (void)!json_edit_each(buffer_bytes(&text), member, 1, read_known_project, &list, &ignored);
    buffer_clear(&text);
    free(path);
    free(below);
}

static void read_own_environment(const struct reader *r)
{
    struct buffer all = {.max_bytes = 4 * MIB};
    for (const char *const *line = r->options->environment; line && *line; line++)
        if (!buffer_append_text(&all, *line) || !buffer_append_byte(&all, '\0'))
            break;
    view_read_environment(r->view, "the environment of this shell", buffer_bytes(&all));
    buffer_clear(&all);
}

/* ---- What is in force ---- */

static bool is_unit(const char *name)
{
    return strncmp(name, "OTEL_EXPORTER_OTLP_", 19) == 0 || strncmp(name, "OTEL_LOG_", 9) == 0 ||
           strcmp(name, "OTEL_LOGS_EXPORTER") == 0 ||
           strcmp(name, "ENABLE_BETA_TRACING_DETAILED") == 0 ||
           strcmp(name, "BETA_TRACING_ENDPOINT") == 0;
}

static enum settings_source source_of(enum view_layer layer)
{
    return layer == VIEW_REMOTE  ? SOURCE_REMOTE
           : layer == VIEW_MDM   ? SOURCE_MDM
           : layer == VIEW_FILES ? SOURCE_FILES
                                 : SOURCE_USER_POLICY;
}

static bool managed_in_force(const struct settings_view *view, const struct view_entry *e)
{
    enum settings_source source = source_of(e->document->layer);
    const struct source_verdict *v = &view->verdict;
    if (e->document->is_unread)
        return false;
    if (!view_at_least(view, 2, 1, 223) || source == SOURCE_USER_POLICY)
        return v->winner == source;
    if (!is_unit(e->name))
        return true;
    bool helper_lost = view->facts[source].names_helper && v->winner != source;
    return v->telemetry == source && !helper_lost;
}

/* From 2.1.217 on what managed settings name keeps the person's per-signal variables out. */
static const char *locked_out(const struct settings_view *view, const struct view_entry *e)
{
    static const char *const kinds[] = {"_ENDPOINT", "_PROTOCOL", "_HEADERS"};
    static const char *const general[] = {"OTEL_EXPORTER_OTLP_ENDPOINT",
                                          "OTEL_EXPORTER_OTLP_PROTOCOL",
                                          "OTEL_EXPORTER_OTLP_HEADERS"};
    if (!view_at_least(view, 2, 1, 217) || strncmp(e->name, "OTEL_EXPORTER_OTLP_", 19) != 0)
        return NULL;
    for (size_t k = 0; k < 3; k++) {
        size_t len = strlen(e->name), n = strlen(kinds[k]);
        if (len < n || strcmp(e->name + len - n, kinds[k]) != 0)
            continue;
        for (size_t i = 0; i < view->entry_count; i++) {
            const struct view_entry *m = &view->entries[i];
            if (m->document->layer < VIEW_POLICY || !m->in_force)
                continue;
            if (strcmp(m->name, general[k]) == 0)
                return "managed settings name the general variable";
            if (k == 0 && strcmp(m->name, general[2]) == 0)
                return "managed settings name the headers";
        }
    }
    return NULL;
}

static void decide(struct settings_view *view)
{
    for (size_t i = 0; i < view->entry_count; i++) {
        struct view_entry *e = &view->entries[i];
        if (e->value && *e->value == '\0')
            e->why = "an empty value does not count as set";
        else if (e->document->layer == VIEW_PROJECT)
            e->why = "project settings cannot set it";
        else if (e->document->layer >= VIEW_POLICY && !managed_in_force(view, e))
            e->why = e->document->is_unread ? "this version does not read drop-ins"
                                            : "another managed source wins";
        e->in_force = !e->why;
    }
    for (size_t i = 0; i < view->entry_count; i++) {
        struct view_entry *e = &view->entries[i];
        if (e->in_force && e->document->layer < VIEW_POLICY) {
            e->why = locked_out(view, e);
            e->in_force = !e->why;
        }
    }
}

struct settings_view *settings_view_create(const struct view_options *options, const struct fs *fs)
{
    struct settings_view *view = xcalloc(1, sizeof *view);
    struct reader r = {view, options, fs};
    view->user = xstrdup(options->user);
    view->home = xstrdup(options->home);
    view->uid = options->uid;
    view->gid = options->gid;
    view->has_version = options->has_version;
    view->version = options->version;

    if (options->project)
        read_project(&r, options->project);
    if (options->home)
        read_projects(&r);
    view_read_profiles(view, options->root, options->home, fs);
    if (options->environment)
        read_own_environment(&r);
    for (size_t i = 0; i < options->running_count; i++)
        if (options->running[i].uid == options->uid)
            view_read_environment(view, options->running[i].where, options->running[i].text);
    if (options->home)
        read_person(&r);
    read_user_policy(&r);
    read_managed_files(&r);
    read_profiles(&r);
    if (options->home) {
        char *remote = xasprintf("%s/.claude/remote-settings.json", options->home);
        read_at(&r, VIEW_REMOTE, remote);
        free(remote);
    }
    settings_read_sources(options->root, options->user, options->sid, options->home, fs,
                          view->facts);
    settings_decide_source(view->facts, view->version, &view->verdict);
    decide(view);
    return view;
}

void settings_view_destroy(struct settings_view *view)
{
    if (!view)
        return;
    for (size_t i = 0; i < view->entry_count; i++) {
        free(view->entries[i].name);
        free(view->entries[i].value);
    }
    for (size_t i = 0; i < view->document_count; i++) {
        free(view->documents[i]->path);
        free(view->documents[i]->helper);
        free(view->documents[i]);
    }
    free(view->entries);
    free(view->documents);
    free(view->user);
    free(view->home);
    free(view);
}

/* ---- Questions ---- */

const struct view_entry *view_effective(const struct settings_view *view, const char *name)
{
    for (size_t i = view->entry_count; i > 0; i--)
        if (view->entries[i - 1].in_force && strcmp(view->entries[i - 1].name, name) == 0)
            return &view->entries[i - 1];
    return NULL;
}

const char *view_value(const struct settings_view *view, const char *name)
{
    const struct view_entry *e = view_effective(view, name);
    return e ? e->value : NULL;
}

const struct view_entry *view_overridden(const struct settings_view *view,
                                         const struct view_entry *effective)
{
    for (const struct view_entry *e = effective; e > view->entries;) {
        e--;
        bool says_else = !e->value || !effective->value || strcmp(e->value, effective->value) != 0;
        if (strcmp(e->name, effective->name) == 0 && says_else &&
            e->document->layer != VIEW_PROJECT)
            return e;
    }
    return NULL;
}

const struct view_entry *view_signal(const struct settings_view *view, const char *signal,
                                     const char *what)
{
    char name[80];
    snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s_%s",
             strcmp(signal, "logs") == 0      ? "LOGS"
             : strcmp(signal, "metrics") == 0 ? "METRICS"
                                              : "TRACES",
             what);
    const struct view_entry *own = view_effective(view, name);
    if (own)
        return own;
    snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s", what);
    return view_effective(view, name);
}

bool view_signal_url(const struct settings_view *view, const char *signal, struct buffer *out)
{
    const struct view_entry *e = view_signal(view, signal, "ENDPOINT");
    if (!e || !e->value)
        return false;
    if (strcmp(e->name, "OTEL_EXPORTER_OTLP_ENDPOINT") != 0)
        return buffer_append_text(out, e->value) && buffer_text(out);
    size_t len = strlen(e->value);
    while (len > 0 && e->value[len - 1] == '/')
        len--;
    return buffer_append_format(out, "%.*s/v1/%s", (int)len, e->value, signal) && buffer_text(out);
}

const char *view_place(const struct view_entry *entry, char out[VIEW_PLACE_BYTES])
{
    if (entry->document->path[0] != '/')
        snprintf(out, VIEW_PLACE_BYTES, "%s", entry->document->path);
    else if (entry->line > 0)
        snprintf(out, VIEW_PLACE_BYTES, "'%s' line %u", entry->document->path, entry->line);
    else
        snprintf(out, VIEW_PLACE_BYTES, "'%s'", entry->document->path);
    return out;
}

const char *view_shown(const struct view_entry *entry)
{
    if (!entry->value)
        return "(worked out by the shell)";
    return format_is_secret_variable(entry->name) ? "***" : entry->value;
}

const char **view_names(const struct settings_view *view, size_t *count)
{
    const char **names = xcalloc(view->entry_count + 1, sizeof *names);
    *count = 0;
    for (size_t i = 0; i < view->entry_count; i++) {
        bool known = false;
        for (size_t j = 0; j < *count && !known; j++)
            known = strcmp(names[j], view->entries[i].name) == 0;
        if (!known)
            names[(*count)++] = view->entries[i].name;
    }
    qsort(names, *count, sizeof *names, by_text);
    return names;
}
