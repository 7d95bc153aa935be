#include "agent/settings/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/settings/plan.h"
#include "agent/settings/sources.h"
#include "base/memory.h"
#include "core/json/edit.h"
#include "core/json/reader.h"
#include "platform/platform.h"

static const char our_dropin[] = "90-claude-telemetry.json";

void notes_clear_proxy(struct proxy_seen *seen)
{
    free(seen->proxy);
    free(seen->no_proxy);
    *seen = (struct proxy_seen){0};
}

static void keep_first(char **slot, struct bytes value)
{
    if (!*slot && value.len > 0)
        *slot = xstrndup((const char *)value.data, value.len);
}

static bool is_name(struct bytes key, const char *upper)
{
    return bytes_equal_ignoring_case(key, upper);
}

static void see_variable(struct proxy_seen *seen, struct bytes key, struct bytes value)
{
    if (is_name(key, "HTTP_PROXY") || is_name(key, "HTTPS_PROXY") || is_name(key, "ALL_PROXY"))
        keep_first(&seen->proxy, value);
    else if (is_name(key, "NO_PROXY"))
        keep_first(&seen->no_proxy, value);
}

static bool see_member(void *context, struct bytes key, struct bytes value)
{
    struct buffer text = {.max_bytes = 64 * KIB};
    if (value.len >= 2 && value.data[0] == '"' &&
        json_string_decode(bytes_make(value.data + 1, value.len - 2), &text))
        see_variable(context, key, buffer_bytes(&text));
    buffer_clear(&text);
    return true;
}

static void see_document(struct bytes document, struct proxy_seen *seen)
{
    static const char *const env[] = {"env"};
    struct error ignored;
    (void)!json_edit_each(document, env, 1, see_member, seen, &ignored);
}

static void see_settings(const struct fs *fs, const char *path, struct proxy_seen *seen)
{
    struct buffer text = {.max_bytes = SETTINGS_MAX_BYTES};
    struct error ignored;
    if (fs_read_file(fs, path, &text, &ignored))
        see_document(buffer_bytes(&text), seen);
    buffer_clear(&text);
}

/* A user's own file, walked as for writing: a link must not make us read another user's. */
static void see_user(const char *root, const struct fs *fs, const struct settings_user *user,
                     struct proxy_seen *seen)
{
    struct record place = {.home = xstrdup(user->home),
                           .path = xstrdup(".claude/settings.json"),
                           .user = xstrdup(user->name),
                           .uid = user->uid,
                           .gid = user->gid};
    struct present now;
    struct error ignored;
    if (present_read(root, fs, &place, &now, &ignored))
        see_document(buffer_bytes(&now.content), seen);
    present_clear(&now);
    record_clear(&place);
}

/* KEY=value lines, with or without "export" and quotes. */
static void see_environment_file(const struct fs *fs, const char *path, struct proxy_seen *seen)
{
    struct buffer text = {.max_bytes = 256 * KIB};
    struct error ignored;
    char *save = NULL;
    if (fs_read_file(fs, path, &text, &ignored) && buffer_text(&text)) {
        for (char *line = strtok_r((char *)text.data, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save)) {
            line += strspn(line, " \t");
            if (strncmp(line, "export ", 7) == 0)
                line += 7;
            size_t name = strcspn(line, "=");
            if (line[0] == '#' || line[name] != '=')
                continue;
            const char *value = line + name + 1;
            value += strspn(value, "\"'");
            see_variable(seen, bytes_make(line, name), bytes_make(value, strcspn(value, "\"'\r")));
        }
    }
    buffer_clear(&text);
}

struct dropin_walk {
    const char *dir;
    const struct fs *fs;
    void (*look)(void *context, const char *path, const char *name);
    void *context;
};

static bool visit_dropin(void *context, const char *name)
{
    struct dropin_walk *w = context;
    size_t len = strlen(name);
    if (name[0] != '.' && len > 5 && strcmp(name + len - 5, ".json") == 0 &&
        strcmp(name, our_dropin) != 0) {
        char *path = xasprintf("%s/%s", w->dir, name);
        w->look(w->context, path, name);
        free(path);
    }
    return true;
}

/* Calls `look` for managed-settings.json and the drop-ins of others. */
static void each_managed(const char *root, const struct fs *fs,
                         void (*look)(void *context, const char *path, const char *name),
                         void *context)
{
    char *managed = platform_claude_managed_dir(root);
    char *base = xasprintf("%s/managed-settings.json", managed);
    char *dir = xasprintf("%s/managed-settings.d", managed);
    struct dropin_walk walk = {.dir = dir, .fs = fs, .look = look, .context = context};
    struct error ignored;
    look(context, base, "");
    (void)!fs->list(fs->disk, dir, visit_dropin, &walk, &ignored);
    free(dir);
    free(base);
    free(managed);
}

struct proxy_search {
    const struct fs *fs;
    struct proxy_seen *seen;
};

static void see_managed(void *context, const char *path, const char *name)
{
    struct proxy_search *s = context;
    (void)name;
    see_settings(s->fs, path, s->seen);
}

void notes_find_proxy(const struct settings_options *o, const struct settings_user *user,
                      const struct fs *fs, struct proxy_seen *out)
{
    *out = (struct proxy_seen){0};
    if (user)
        see_user(o->root, fs, user, out);
    struct proxy_search search = {.fs = fs, .seen = out};
    each_managed(o->root, fs, see_managed, &search);
    char *environment = platform_under_root(o->root, "/etc/environment");
    see_environment_file(fs, environment, out);
    free(environment);
    keep_first(&out->proxy, bytes_of(o->proxy));
    keep_first(&out->no_proxy, bytes_of(o->no_proxy));
}

static void add(struct note_list *notes, char *note)
{
    notes->list = xrealloc(notes->list, (notes->count + 1) * sizeof *notes->list);
    notes->list[notes->count++] = note;
}

struct managed_look {
    const struct settings_options *options;
    const struct fs *fs;
    struct note_list *notes;
};

/* A document of others that stops Claude Code, or that wins over ours because it sorts later. */
static void judge_managed(void *context, const char *path, const char *name)
{
    struct managed_look *l = context;
    struct buffer text = {.max_bytes = SETTINGS_MAX_BYTES};
    struct fs_stat info;
    struct error err;
    struct source_facts facts = {0};
    if (fs_read_file(l->fs, path, &text, &err)) {
        settings_read_source(buffer_bytes(&text), &facts);
        if (*facts.problem)
            add(l->notes, xasprintf("'%s' is not valid JSON (%s): Claude Code 2.1.251 and later "
                                    "refuses to start until it is corrected",
                                    path, facts.problem));
        if (facts.names_helper)
            add(l->notes, xasprintf("'%s' names otelHeadersHelper: when it fails, Claude Code "
                                    "sends nothing at all; take it out",
                                    path));
        if (facts.replaces_all)
            add(l->notes, xasprintf("'%s' names policyHelper: what it prints replaces every "
                                    "managed setting, ours included",
                                    path));
        if (facts.has_otlp && strcmp(name, our_dropin) > 0)
            add(l->notes, xasprintf("'%s' sorts after our drop-in and sets telemetry variables: "
                                    "they win over ours; take them out",
                                    path));
        if (l->fs->stat(l->fs->disk, path, &info, &err) && info.mode != 0 && !(info.mode & 0004))
            add(l->notes, xasprintf("'%s' cannot be read by users (mode %04o), so Claude Code "
                                    "skips it; let everybody read it",
                                    path, (unsigned)info.mode));
    }
    buffer_clear(&text);
}

void notes_collect(const struct settings_options *o, const struct fs *fs, struct note_list *out)
{
    struct managed_look look = {.options = o, .fs = fs, .notes = out};
    if (o->place != SETTINGS_NONE)
        each_managed(o->root, fs, judge_managed, &look);
    for (size_t i = 0; i < o->user_count; i++) {
        const struct settings_user *user = &o->users[i];
        if (!user->email || !*user->email)
            add(out, xasprintf("user '%s' has no e-mail: what this user does cannot be given to "
                               "a person",
                               user->name));
    }
    if (o->mode == SETTINGS_DIRECT && !o->user_env && o->header_count > 0)
        add(out, xstrdup("the token lies in a file that every local user can read; set "
                         "claude.user_env: true, or use claude.mode: relay"));
    bool off = !o->metrics || !o->logs || !o->traces;
    if (off && !environment_none_is_safe(o->installs))
        add(out, xstrdup("signals that are switched off are left out instead of set to 'none', "
                         "because Claude Code 2.0.30 and older stops at 'none'"));
}
