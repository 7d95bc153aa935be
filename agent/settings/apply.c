#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/settings/drift.h"
#include "agent/settings/legacy.h"
#include "agent/settings/plan.h"
#include "base/memory.h"
#include "core/json/edit.h"
#include "platform/platform.h"

enum { MODE_FOLDER = 0755, MODE_PRIVATE_FOLDER = 0700 };

static const char temporary_suffix[] = ".claude-telemetry-new"; /* not ".json": it is never read */

/* Calls `step` with every folder on the way to the file, outermost first, as paths below home. */
static bool each_folder(const char *root, const struct fs *fs, struct record *r,
                        bool (*step)(const char *root, const struct fs *fs, struct record *r,
                                     const char *folder, struct error *err),
                        struct error *err)
{
    bool ok = true;
    for (const char *at = r->path; ok && (at = strchr(at, '/')); at++) {
        char *folder = xstrndup(r->path, (size_t)(at - r->path));
        ok = step(root, fs, r, folder, err);
        free(folder);
    }
    return ok;
}

static bool note_missing(const char *root, const struct fs *fs, struct record *r,
                         const char *folder, struct error *err)
{
    char *inside = xasprintf("%s/.", folder), *probe = xasprintf("%s/x", folder);
    struct fs_place place = entry_place(root, r);
    place.path = probe;
    char *name = NULL;
    struct fs_folder *open = fs->folder_open(fs->disk, &place, &name, err);
    bool missing = !open && err->kind == FAIL_NOT_FOUND;
    if (missing)
        record_add_folder(r, folder);
    fs->folder_close(fs->disk, open);
    free(name);
    free(inside);
    free(probe);
    return open || missing;
}

static bool make_one(const char *root, const struct fs *fs, struct record *r, const char *folder,
                     struct error *err)
{
    struct fs_place place = entry_place(root, r);
    place.path = folder;
    char *name = NULL;
    struct fs_folder *open = fs->folder_open(fs->disk, &place, &name, err);
    if (!open)
        return false;
    uint32_t mode = r->user ? MODE_PRIVATE_FOLDER : MODE_FOLDER;
    bool made = fs->folder_make(fs->disk, open, name, mode, err);
    bool ok = made || err->kind == FAIL_BUSY;
    if (made && r->user)
        ok = fs->folder_own(fs->disk, open, name, r->uid, r->gid, err);
    if (made && ok)
        ok = fs->folder_sync(fs->disk, open, err);
    fs->folder_close(fs->disk, open);
    free(name);
    return ok;
}

/* Folders that we made go, innermost first, as far as nobody put anything into them. */
static void remove_folders(const char *root, const struct fs *fs, const struct record *r)
{
    for (size_t i = r->folder_count; i-- > 0;) {
        struct fs_place place = entry_place(root, r);
        struct error ignored;
        char *name = NULL;
        place.path = r->folders[i];
        struct fs_folder *open = fs->folder_open(fs->disk, &place, &name, &ignored);
        if (open && fs->folder_remove(fs->disk, open, name, &ignored))
            (void)!fs->folder_sync(fs->disk, open, &ignored);
        fs->folder_close(fs->disk, open);
        free(name);
    }
}

static bool still_as_planned(const char *root, const struct fs *fs, const struct entry *e,
                             struct error *err)
{
    struct present now;
    bool ok = present_read(root, fs, &e->record, &now, err);
    if (ok && (now.exists != e->before.exists ||
               !bytes_equal(buffer_bytes(&now.content), buffer_bytes(&e->before.content)))) {
        error_set(err, FAIL_BUSY, "'%s' was changed by someone else at this moment", e->shown);
        ok = error_remedy(err, "run the command again");
    }
    present_clear(&now);
    return ok;
}

/* Writes the new content beside the file, under a name that Claude Code does not read. */
static bool write_beside(const struct fs *fs, struct fs_folder *folder, const char *name,
                         const char *beside, const struct entry *e, struct error *err)
{
    struct error ignored;
    unsigned how = FS_WRITE | FS_CREATE | FS_EXCLUSIVE;
    (void)!fs->folder_remove(fs->disk, folder, beside,
                             &ignored); /* of an apply that was cut short */
    struct fs_file *file = fs->folder_file(fs->disk, folder, beside, how, 0600, err);
    if (!file)
        return false;
    struct fs_file *old =
        e->before.exists ? fs->folder_file(fs->disk, folder, name, FS_READ, 0, &ignored) : NULL;
    bool ok = fs->write_at(fs->disk, file, 0, buffer_bytes(&e->after), err) &&
              (!old || fs->file_copy_attributes(fs->disk, old, file, err)) &&
              fs->file_own(fs->disk, file, e->uid, e->gid, e->mode, err) &&
              fs->sync(fs->disk, file, err);
    fs->close(fs->disk, old);
    fs->close(fs->disk, file);
    return ok;
}

/* What lies on the disk now is what we meant, and Claude Code can read it. */
static bool read_back(const struct fs *fs, struct fs_folder *folder, const char *beside,
                      const struct entry *e, struct error *err)
{
    struct buffer seen = {.max_bytes = SETTINGS_MAX_BYTES};
    struct fs_file *file = fs->folder_file(fs->disk, folder, beside, FS_READ, 0, err);
    bool ok = file && fs_read_open_file(fs, file, beside, &seen, err);
    if (ok && !bytes_equal(buffer_bytes(&seen), buffer_bytes(&e->after)))
        ok =
            error_set(err, FAIL_CORRUPT, "what was written to '%s' reads back otherwise", e->shown);
    if (ok && !e->reverting)
        ok = json_edit_check(buffer_bytes(&seen), err);
    fs->close(fs->disk, file);
    buffer_clear(&seen);
    return ok;
}

static bool replace(const struct fs *fs, struct fs_folder *folder, const char *name,
                    const struct entry *e, struct error *err)
{
    char *beside = xasprintf(".%s%s", name, temporary_suffix);
    struct error ignored;
    bool ok = write_beside(fs, folder, name, beside, e, err) &&
              read_back(fs, folder, beside, e, err) &&
              fs->folder_rename(fs->disk, folder, beside, name, err);
    if (!ok)
        (void)!fs->folder_remove(fs->disk, folder, beside, &ignored);
    free(beside);
    return ok && fs->folder_sync(fs->disk, folder, err);
}

static bool make_home(const char *root, const struct fs *fs, const struct record *r,
                      struct error *err)
{
    if (r->user)
        return true; /* somebody's home is not ours to make */
    char *home = platform_under_root(root, r->home);
    struct fs_stat info;
    bool ok = fs->stat(fs->disk, home, &info, err) || fs_make_dirs(fs, home, MODE_FOLDER, err);
    free(home);
    return ok;
}

static bool change_file(const char *root, const struct fs *fs, struct entry *e, struct error *err)
{
    struct fs_place place = entry_place(root, &e->record);
    char *name = NULL;
    struct fs_folder *folder = fs->folder_open(fs->disk, &place, &name, err);
    if (!folder)
        return false;
    bool ok = e->change == SETTINGS_REMOVE ? fs->folder_remove(fs->disk, folder, name, err) &&
                                                 fs->folder_sync(fs->disk, folder, err)
                                           : replace(fs, folder, name, e, err);
    fs->folder_close(fs->disk, folder);
    free(name);
    return ok;
}

static bool write_forward(const char *root, const struct fs *fs, struct entry *e, struct error *err)
{
    e->record.written = record_fingerprint(buffer_bytes(&e->after));
    return make_home(root, fs, &e->record, err) &&
           each_folder(root, fs, &e->record, note_missing, err) &&
           record_store(root, fs, &e->record, err) &&
           each_folder(root, fs, &e->record, make_one, err) && change_file(root, fs, e, err);
}

static bool write_back(const char *root, const struct fs *fs, struct entry *e, struct error *err)
{
    if (e->change == SETTINGS_CREATE && (!make_home(root, fs, &e->record, err) ||
                                         !each_folder(root, fs, &e->record, make_one, err)))
        return false;
    if (e->change != SETTINGS_UNCHANGED && !change_file(root, fs, e, err))
        return false;
    if (!e->record.existed)
        remove_folders(root, fs, &e->record);
    return record_remove(root, fs, &e->record, err);
}

bool entry_write(const char *root, const struct fs *fs, struct entry *e, struct error *err)
{
    if (e->change == SETTINGS_BLOCKED) {
        *err = e->problem;
        return false;
    }
    if (!still_as_planned(root, fs, e, err))
        return false;
    bool ok = e->reverting ? write_back(root, fs, e, err) : write_forward(root, fs, e, err);
    return ok || error_wrap(err, "cannot write '%s'", e->shown);
}

static bool write_all(const char *root, const struct fs *fs, struct entry *entries, size_t count,
                      struct settings_result *result, struct error *err)
{
    *result = (struct settings_result){0};
    for (size_t i = 0; i < count; i++) {
        struct entry *e = &entries[i];
        struct error problem;
        if (e->change == SETTINGS_UNCHANGED && !e->reverting)
            continue;
        if (entry_write(root, fs, e, &problem)) {
            result->written += e->change == SETTINGS_CREATE || e->change == SETTINGS_EDIT;
            result->removed += e->change == SETTINGS_REMOVE;
            result->repaired += e->drifted;
        } else if (result->failed++ == 0) {
            *err = problem;
        }
    }
    return result->failed == 0;
}

bool settings_apply(struct settings_plan *plan, const struct fs *fs, struct settings_result *result,
                    struct error *err)
{
    *result = (struct settings_result){0};
    return legacy_move(plan->root, fs, err) &&
           write_all(plan->root, fs, plan->entries, plan->count, result, err);
}

/* A home that is gone needs nothing put back; its record would be in the way for ever. */
static bool place_is_gone(const char *root, const struct fs *fs, const struct record *r)
{
    char *home = platform_under_root(root, r->home);
    struct fs_stat info;
    struct error err;
    bool gone = r->user && !fs->stat(fs->disk, home, &info, &err) && err.kind == FAIL_NOT_FOUND;
    free(home);
    return gone;
}

bool settings_revert(const char *root, const struct fs *fs, struct settings_result *result,
                     struct error *err)
{
    struct records records;
    *result = (struct settings_result){0};
    if (!legacy_move(root, fs, err) || !records_read(root, fs, &records, err))
        return false;
    struct entry *entries = xcalloc(records.count + 1, sizeof *entries);
    size_t count = 0;
    for (size_t i = 0; i < records.count; i++) {
        struct entry *e = &entries[count++];
        e->record = records.list[i]; /* moved */
        records.list[i] = (struct record){0};
        e->has_record = true;
        e->shown = entry_shown(root, &e->record);
        e->change = SETTINGS_BLOCKED;
        if (place_is_gone(root, fs, &e->record)) {
            e->change = SETTINGS_UNCHANGED;
            e->reverting = true;
            e->record.existed = true; /* no folders to look after either */
        } else if (present_read(root, fs, &e->record, &e->before, &e->problem)) {
            (void)entry_plan_revert(e);
        }
    }
    bool ok = write_all(root, fs, entries, count, result, err);
    if (ok)
        drift_forget(root, fs);
    for (size_t i = 0; i < count; i++)
        entry_clear(&entries[i]);
    free(entries);
    records_clear(&records);
    return ok;
}

bool settings_verify(const struct settings_options *options, const struct fs *fs, size_t *drifted,
                     struct buffer *diff, struct error *err)
{
    struct settings_plan *plan = settings_plan_create(options, fs, err);
    if (!plan)
        return false;
    *drifted = settings_plan_pending(plan);
    bool ok = !diff || settings_diff(plan, diff) ||
              error_set(err, FAIL_TOO_LARGE, "the difference is too long to show");
    settings_plan_destroy(plan);
    return ok;
}
