#include "agent/settings/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/settings/notes.h"
#include "base/memory.h"
#include "core/json/edit.h"
#include "core/json/reader.h"
#include "core/json/writer.h"
#include "platform/platform.h"

static const char dropin_name[] = "managed-settings.d/90-claude-telemetry.json";
static const char merge_name[] = "managed-settings.json";
static const char user_path[] = ".claude/settings.json";
static const char empty_document[] = "{}\n";

enum { MODE_EVERYONE = 0644, MODE_OWNER = 0600 };

struct fs_place entry_place(const char *root, const struct record *r)
{
    return (struct fs_place){.base = root && *root ? root : "/",
                             .home = r->home,
                             .path = r->path,
                             .uid = r->uid,
                             .gid = r->gid};
}

void present_clear(struct present *p)
{
    buffer_clear(&p->content);
    *p = (struct present){0};
}

/* As root we read what users put there: never a file that is somebody else's under another name. */
static bool check_owner(const struct fs_stat *info, const struct record *r, const char *path,
                        struct error *err)
{
    if (r->user && info->links > 1) {
        error_set(err, FAIL_DENIED, "'%s' has %u hard links", path, (unsigned)info->links);
        return error_remedy(err, "replace it by a file of its own: cp -p, then mv");
    }
    return true;
}

bool present_read(const char *root, const struct fs *fs, const struct record *r,
                  struct present *out, struct error *err)
{
    struct fs_place place = entry_place(root, r);
    char *name = NULL;
    *out = (struct present){.content = {.max_bytes = SETTINGS_MAX_BYTES}};
    struct fs_folder *folder = fs->folder_open(fs->disk, &place, &name, err);
    if (!folder)
        return err->kind == FAIL_NOT_FOUND;
    struct fs_file *file = fs->folder_file(fs->disk, folder, name, FS_READ, 0, err);
    struct fs_stat info;
    bool ok = file && fs->file_stat(fs->disk, file, &info, err) &&
              check_owner(&info, r, r->path, err) &&
              fs_read_open_file(fs, file, r->path, &out->content, err);
    if (ok) {
        out->exists = true;
        out->mode = info.mode;
        out->uid = info.uid;
        out->gid = info.gid;
    }
    bool missing = !file && err->kind == FAIL_NOT_FOUND;
    fs->close(fs->disk, file);
    fs->folder_close(fs->disk, folder);
    free(name);
    return ok || missing;
}

void entry_clear(struct entry *e)
{
    record_clear(&e->record);
    present_clear(&e->before);
    buffer_clear(&e->after);
    free(e->shown);
    *e = (struct entry){0};
}

static bool is_blank(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r\n\xEF\xBB\xBF", text.data[i]) || text.data[i] == 0)
            return false;
    return true;
}

/* A value of `env` as text; false when it is not the string `wanted`. */
static bool value_is(struct bytes raw, const char *wanted)
{
    return raw.len >= 2 && raw.data[0] == '"' &&
           json_string_equals(bytes_make(raw.data + 1, raw.len - 2), wanted);
}

/* Marks which wanted variables the document holds already. */
struct comparison {
    const struct environment *wanted;
    bool *same;
};

static bool compare_one(void *context, struct bytes key, struct bytes value)
{
    struct comparison *c = context;
    for (size_t i = 0; i < c->wanted->count; i++)
        if (json_string_equals(key, c->wanted->list[i].name))
            c->same[i] = value_is(value, c->wanted->list[i].value);
    return true;
}

static const char *const env_path[] = {"env"};

static bool set_variable(struct buffer *text, const struct variable *v, struct error *err)
{
    const char *const path[] = {"env", v->name};
    struct buffer value = {.max_bytes = SETTINGS_MAX_BYTES};
    struct json_writer w = json_writer_make(&value);
    json_put_string(&w, v->value);
    bool ok = json_writer_ok(&w) ? json_edit_set(text, path, 2, buffer_bytes(&value), err)
                                 : error_set(err, FAIL_TOO_LARGE, "'%s' is too long", v->name);
    buffer_clear(&value);
    return ok;
}

/* Gives a variable its first value back, or takes it out when it had none. */
static bool restore_variable(struct buffer *text, const struct record *r, const char *name,
                             struct error *err)
{
    const char *const path[] = {"env", name};
    struct bytes first = {0};
    struct error ignored;
    bool had = r->existed && !is_blank(buffer_bytes(&r->original)) &&
               json_edit_find(buffer_bytes(&r->original), path, 2, &first, &ignored);
    return had ? json_edit_set(text, path, 2, first, err) : json_edit_remove(text, path, 2, err);
}

/* Writes the variables into entry->after, which holds the document to start from. */
static bool merge_variables(struct entry *e, const struct environment *wanted, struct error *err)
{
    for (size_t i = 0; i < e->record.name_count; i++)
        if (!environment_get(wanted, e->record.names[i]) &&
            !restore_variable(&e->after, &e->record, e->record.names[i], err))
            return false;
    bool *same = xcalloc(wanted->count, sizeof *same);
    struct comparison c = {.wanted = wanted, .same = same};
    bool ok = json_edit_each(buffer_bytes(&e->after), env_path, 1, compare_one, &c, err) ||
              err->kind == FAIL_NOT_FOUND;
    for (size_t i = 0; ok && i < wanted->count; i++)
        if (!same[i])
            ok = set_variable(&e->after, &wanted->list[i], err);
    free(same);
    return ok;
}

static bool same_bytes(const struct entry *e)
{
    return e->before.exists &&
           bytes_equal(buffer_bytes(&e->before.content), buffer_bytes(&e->after));
}

/* Plans one file that is to hold `wanted`. A failure is the entry's own problem. */
static void plan_wanted(struct entry *e, const struct environment *wanted, bool secret)
{
    struct error *err = &e->problem;
    struct bytes start = buffer_bytes(&e->before.content);
    e->after = (struct buffer){.max_bytes = SETTINGS_MAX_BYTES};
    if (e->record.owned || !e->before.exists || is_blank(start))
        start = bytes_of(empty_document);
    if (!json_edit_check(start, err) || !buffer_append(&e->after, start) ||
        !merge_variables(e, wanted, err)) {
        e->change = SETTINGS_BLOCKED;
        error_wrap(err, "'%s'", e->shown);
        error_remedy(err, "correct the file, for example with: python3 -m json.tool '%s'",
                     e->shown);
        return;
    }
    bool fresh = !e->before.exists;
    uint32_t usual = e->record.user ? MODE_OWNER : MODE_EVERYONE;
    e->mode = fresh || e->record.owned ? usual : e->before.mode;
    if (secret && e->record.user)
        e->mode &= (uint32_t)~077;
    e->uid = fresh ? e->record.uid : e->before.uid;
    e->gid = fresh ? e->record.gid : e->before.gid;
    bool settled = same_bytes(e) && e->mode == e->before.mode;
    e->change = fresh ? SETTINGS_CREATE : settled ? SETTINGS_UNCHANGED : SETTINGS_EDIT;
    uint64_t wish = environment_fingerprint(wanted);
    /* Records of earlier versions do not know the wish, but what was written. */
    bool as_wished =
        e->record.wish ? e->record.wish == wish
                       : record_fingerprint(buffer_bytes(&e->before.content)) != e->record.written;
    e->drifted = e->has_record && e->change != SETTINGS_UNCHANGED && as_wished;
    e->record.wish = wish;
    for (size_t i = 0; i < wanted->count; i++)
        record_add_name(&e->record, wanted->list[i].name);
}

/* Another's changes since we wrote stay; only our variables go back. */
static bool take_variables_out(struct entry *e)
{
    static const char *const first_env[] = {"env"};
    const struct record *r = &e->record;
    struct error *err = &e->problem, ignored;
    struct bytes found, original = buffer_bytes(&r->original);
    if (!buffer_append(&e->after, buffer_bytes(&e->before.content)))
        return error_set(err, FAIL_TOO_LARGE, "the file is too large");
    if (is_blank(buffer_bytes(&e->after)))
        return true;
    for (size_t i = 0; i < r->name_count; i++)
        if (!restore_variable(&e->after, r, r->names[i], err))
            return false;
    bool had_env = r->existed && !is_blank(original) &&
                   json_edit_find(original, first_env, 1, &found, &ignored);
    if (!had_env && json_edit_find(buffer_bytes(&e->after), first_env, 1, &found, &ignored) &&
        json_edit_same_but_space(found, bytes_of("{}")))
        return json_edit_remove(&e->after, first_env, 1, err);
    return true;
}

static bool settle_on_original(struct entry *e)
{
    const struct record *r = &e->record;
    buffer_reset(&e->after);
    e->mode = r->mode;
    e->uid = r->owner_uid;
    e->gid = r->owner_gid;
    e->change = !r->existed ? SETTINGS_REMOVE : !e->before.exists ? SETTINGS_CREATE : SETTINGS_EDIT;
    if (!r->existed && !e->before.exists)
        e->change = SETTINGS_UNCHANGED;
    return buffer_append(&e->after, buffer_bytes(&r->original)) ||
           error_set(&e->problem, FAIL_TOO_LARGE, "the first state is too large");
}

bool entry_plan_revert(struct entry *e)
{
    const struct record *r = &e->record;
    e->reverting = true;
    e->after = (struct buffer){.max_bytes = SETTINGS_MAX_BYTES};
    struct bytes now = buffer_bytes(&e->before.content);
    bool as_written = e->before.exists && record_fingerprint(now) == r->written;
    if (r->owned || as_written || !e->before.exists || r->written == 0)
        return settle_on_original(e);

    if (!take_variables_out(e)) {
        e->change = SETTINGS_BLOCKED;
        error_wrap(&e->problem, "'%s'", e->shown);
        return error_remedy(&e->problem,
                            "correct the file, then run: claude-telemetry-agent revert");
    }
    struct bytes left = buffer_bytes(&e->after);
    struct bytes first = r->existed && !is_blank(buffer_bytes(&r->original))
                             ? buffer_bytes(&r->original)
                             : bytes_of("{}");
    if (is_blank(left) || json_edit_same_but_space(left, first))
        return settle_on_original(e);
    e->mode = e->before.mode;
    e->uid = e->before.uid;
    e->gid = e->before.gid;
    e->change = same_bytes(e) ? SETTINGS_UNCHANGED : SETTINGS_EDIT;
    return true;
}

char *entry_shown(const char *root, const struct record *r)
{
    char *whole = xasprintf("%s/%s", r->home, r->path);
    char *shown = platform_under_root(root, whole);
    free(whole);
    return shown;
}

/* Starts an entry: what is there, and what was there at first. NULL when it cannot be looked at. */
static struct entry *open_entry(struct settings_plan *plan, struct records *records,
                                struct record wanted, const struct fs *fs)
{
    struct entry *e = &plan->entries[plan->count++];
    struct record *known = records_find(records, wanted.home, wanted.path);
    if (known) {
        record_clear(&wanted);
        e->record = *known; /* moved */
        *known = (struct record){.home = xstrdup(""), .path = xstrdup("")};
        e->has_record = true;
    } else {
        e->record = wanted;
    }
    e->shown = entry_shown(plan->root, &e->record);
    e->change = SETTINGS_BLOCKED;
    if (!present_read(plan->root, fs, &e->record, &e->before, &e->problem))
        return NULL;
    e->problem = (struct error){0};
    if (!known) {
        struct record *r = &e->record;
        r->existed = e->before.exists;
        r->mode = e->before.mode;
        r->owner_uid = e->before.uid;
        r->owner_gid = e->before.gid;
        r->original.max_bytes = SETTINGS_MAX_BYTES;
        (void)!buffer_append(&r->original, buffer_bytes(&e->before.content));
    }
    return e;
}

static void add_note(struct settings_plan *plan, char *note)
{
    plan->notes = xrealloc(plan->notes, (plan->note_count + 1) * sizeof *plan->notes);
    plan->notes[plan->note_count++] = note;
}

static enum settings_place choose_place(const struct settings_options *o,
                                        struct settings_plan *plan)
{
    if (o->place != SETTINGS_AUTO)
        return o->place;
    /* Read since 2.1.83, seen to work from 2.1.100 on. With nothing installed the next one is
     * newer. */
    static const struct claude_version reads_dropins = {2, 1, 100};
    if (!o->installs || claude_all_at_least(o->installs, reads_dropins))
        return SETTINGS_DROPIN;
    for (size_t i = 0; i < o->installs->count; i++) {
        const struct claude_install *in = &o->installs->list[i];
        if (!in->known)
            add_note(plan, xasprintf("the version of Claude Code at '%s' cannot be read: the "
                                     "settings go into managed-settings.json, which every "
                                     "version reads",
                                     in->path));
        else if (claude_version_compare(in->version, reads_dropins) < 0)
            add_note(plan,
                     xasprintf("Claude Code %u.%u.%u at '%s' may not read drop-ins: the "
                               "settings go into managed-settings.json",
                               in->version.major, in->version.minor, in->version.patch, in->path));
    }
    return SETTINGS_MERGE;
}

static struct record managed_record(enum settings_place place)
{
    char *dir = platform_claude_managed_dir("");
    char *slash = strrchr(dir, '/');
    struct record r = {.owned = place == SETTINGS_DROPIN};
    r.path = xasprintf("%s/%s", slash + 1, r.owned ? dropin_name : merge_name);
    *slash = '\0';
    r.home = dir;
    return r;
}

static bool plan_managed(struct settings_plan *plan, struct records *records,
                         const struct settings_options *o, const struct fs *fs, struct error *err)
{
    enum settings_place place = choose_place(o, plan);
    if (place == SETTINGS_NONE)
        return true;
    struct proxy_seen seen;
    notes_find_proxy(o, NULL, fs, &seen);
    struct proxy_facts proxy = {.proxy = seen.proxy, .no_proxy = seen.no_proxy};
    struct environment wanted;
    bool ok = environment_managed(o, &proxy, &wanted, err);
    notes_clear_proxy(&seen);
    if (!ok)
        return false;
    struct entry *e = open_entry(plan, records, managed_record(place), fs);
    if (e)
        plan_wanted(e, &wanted, false);
    environment_clear(&wanted);
    return true;
}

static bool plan_user(struct settings_plan *plan, struct records *records,
                      const struct settings_options *o, const struct settings_user *user,
                      const struct fs *fs, struct error *err)
{
    char *home = platform_under_root(plan->root, user->home);
    struct fs_stat info;
    struct error missing;
    bool there = fs->stat(fs->disk, home, &info, &missing);
    free(home);
    if (!there) {
        add_note(plan, xasprintf("user '%s': no settings, because the home '%s' is not there",
                                 user->name, user->home));
        return true;
    }
    struct proxy_seen seen;
    notes_find_proxy(o, user, fs, &seen);
    struct proxy_facts proxy = {.proxy = seen.proxy, .no_proxy = seen.no_proxy};
    struct environment wanted;
    bool ok = environment_user(o, user, &proxy, &wanted, err);
    notes_clear_proxy(&seen);
    if (!ok)
        return error_wrap(err, "user '%s'", user->name);
    struct record r = {.home = xstrdup(user->home),
                       .path = xstrdup(user_path),
                       .user = xstrdup(user->name),
                       .uid = user->uid,
                       .gid = user->gid};
    struct entry *e = open_entry(plan, records, r, fs);
    if (e)
        plan_wanted(e, &wanted, user->header_count > 0 || o->header_count > 0);
    environment_clear(&wanted);
    return true;
}

/* Files we once wrote and no longer want go back to their first state. */
static void plan_leftovers(struct settings_plan *plan, struct records *records, const struct fs *fs)
{
    for (size_t i = 0; i < records->count; i++) {
        struct record *r = &records->list[i];
        if (*r->path == '\0')
            continue;
        struct record key = {.home = xstrdup(r->home), .path = xstrdup(r->path)};
        struct entry *e = open_entry(plan, records, key, fs);
        if (e)
            (void)entry_plan_revert(e);
    }
}

struct settings_plan *settings_plan_create(const struct settings_options *o, const struct fs *fs,
                                           struct error *err)
{
    struct records records;
    if (!records_read(o->root, fs, &records, err))
        return NULL;
    struct settings_plan *plan = xcalloc(1, sizeof *plan);
    plan->root = xstrdup(o->root ? o->root : "/");
    plan->entries = xcalloc(1 + o->user_count + records.count, sizeof *plan->entries);
    bool ok = plan_managed(plan, &records, o, fs, err);
    for (size_t i = 0; ok && o->user_env && i < o->user_count; i++)
        ok = plan_user(plan, &records, o, &o->users[i], fs, err);
    if (ok) {
        plan_leftovers(plan, &records, fs);
        struct note_list notes = {0};
        notes_collect(o, fs, &notes);
        for (size_t i = 0; i < notes.count; i++)
            add_note(plan, notes.list[i]);
        free(notes.list);
    }
    records_clear(&records);
    if (!ok) {
        settings_plan_destroy(plan);
        return NULL;
    }
    return plan;
}

void settings_plan_destroy(struct settings_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->count; i++)
        entry_clear(&plan->entries[i]);
    for (size_t i = 0; i < plan->note_count; i++)
        free(plan->notes[i]);
    free(plan->notes);
    free(plan->entries);
    free(plan->root);
    free(plan);
}

size_t settings_plan_count(const struct settings_plan *plan)
{
    return plan->count;
}

struct settings_file settings_plan_file(const struct settings_plan *plan, size_t at)
{
    const struct entry *e = &plan->entries[at];
    return (struct settings_file){
        .path = e->shown,
        .user = e->record.user,
        .change = e->change,
        .before = buffer_bytes(&e->before.content),
        .after = buffer_bytes(&e->after),
        .mode = e->mode,
        .uid = e->uid,
        .gid = e->gid,
        .drifted = e->drifted,
        .problem = &e->problem,
    };
}

static size_t count_of(const struct settings_plan *plan, bool blocked)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->count; i++) {
        enum settings_change change = plan->entries[i].change;
        n += blocked ? change == SETTINGS_BLOCKED
                     : change != SETTINGS_BLOCKED && change != SETTINGS_UNCHANGED;
    }
    return n;
}

size_t settings_plan_pending(const struct settings_plan *plan)
{
    return count_of(plan, false);
}

size_t settings_plan_blocked(const struct settings_plan *plan)
{
    return count_of(plan, true);
}

void settings_plan_leave(struct settings_plan *plan, size_t at)
{
    plan->entries[at].change = SETTINGS_UNCHANGED;
    plan->entries[at].reverting = false;
}

size_t settings_plan_note_count(const struct settings_plan *plan)
{
    return plan->note_count;
}

const char *settings_plan_note(const struct settings_plan *plan, size_t at)
{
    return plan->notes[at];
}
