#include "agent/settings/legacy.h"

#include <stdlib.h>
#include <string.h>

#include "agent/settings/record.h"
#include "base/memory.h"
#include "platform/platform.h"

enum { MAX_RECORDS = 4096, MAX_RECORD_BYTES = 32 * 1024 * 1024 };

static const char folder_name[] = "settings";

struct move {
    const char *root;
    const struct fs *fs;
    char *state;
    struct fs_folder *from; /* held open: what happens to its name no longer matters */
    uint32_t owner;
    struct records *into; /* NULL: to the folder where they lie now */
    char *names[MAX_RECORDS];
    size_t count;
};

/* An entry of the state folder, or of the folder in it that held the records. */
static struct fs_folder *open_at(const struct move *m, const char *path, struct error *err)
{
    const struct fs_place place = {.base = m->state, .home = "", .path = path};
    char *name = NULL;
    struct fs_folder *folder = m->fs->folder_open(m->fs->disk, &place, &name, err);
    free(name);
    return folder;
}

static bool collect(void *context, const char *name)
{
    struct move *m = context;
    if (record_is_file(name))
        m->names[m->count++] = xstrdup(name);
    return m->count < MAX_RECORDS;
}

/* Only what root wrote: a record says what root is to write back. */
static bool check_file(const struct move *m, struct fs_file *file, const char *path,
                       struct error *err)
{
    struct fs_stat info;
    if (!m->fs->file_stat(m->fs->disk, file, &info, err))
        return false;
    if (info.uid == m->owner && info.links == 1 && !(info.mode & 022))
        return true;
    error_set(err, FAIL_DENIED, "'%s' may have been written by someone else", path);
    return error_remedy(err,
                        "look at it, and remove it: then today's settings are the first state");
}

static bool take_one(struct move *m, const char *name, struct error *err)
{
    struct buffer text = {.max_bytes = MAX_RECORD_BYTES};
    struct record record = {0};
    char *path = xasprintf("%s/%s/%s", m->state, folder_name, name);
    struct fs_file *file = m->fs->folder_file(m->fs->disk, m->from, name, FS_READ, 0, err);
    bool ok = file && check_file(m, file, path, err) &&
              fs_read_open_file(m->fs, file, path, &text, err) &&
              record_parse(path, buffer_bytes(&text), &record, err);
    if (ok && m->into) {
        records_add(m->into, &record);
    } else if (ok) {
        ok = record_store(m->root, m->fs, &record, err) &&
             m->fs->folder_remove(m->fs->disk, m->from, name, err);
    }
    m->fs->close(m->fs->disk, file);
    record_clear(&record);
    buffer_clear(&text);
    free(path);
    return ok;
}

static bool take_all(struct move *m, const char *legacy, struct error *err)
{
    struct error ignored;
    m->from = open_at(m, "settings/any", err);
    if (!m->from) {
        err->remedy[0] = '\0'; /* giving it to root would bless what somebody else put there */
        error_remedy(err, "look at '%s', and remove it: then today's settings are the first state",
                     legacy);
        return error_wrap(err, "'%s' cannot be trusted", legacy);
    }
    bool ok = m->fs->list(m->fs->disk, legacy, collect, m, err);
    for (size_t i = 0; ok && i < m->count; i++)
        ok = take_one(m, m->names[i], err);
    struct fs_folder *state = ok && !m->into ? open_at(m, folder_name, &ignored) : NULL;
    if (state)
        (void)!m->fs->folder_remove(m->fs->disk, state, folder_name, &ignored);
    m->fs->folder_close(m->fs->disk, state);
    m->fs->folder_close(m->fs->disk, m->from);
    for (size_t i = 0; i < m->count; i++)
        free(m->names[i]);
    return ok;
}

static bool take(const char *root, const struct fs *fs, struct records *into, struct error *err)
{
    struct move *m = xcalloc(1, sizeof *m);
    m->root = root;
    m->fs = fs;
    m->state = platform_state_dir(root);
    m->into = into;
    char *legacy = xasprintf("%s/%s", m->state, folder_name);
    char *now = platform_first_state_dir(root);
    struct fs_stat info;
    struct error missing;
    bool ok = true;
    if (strcmp(legacy, now) != 0 && fs->stat(fs->disk, legacy, &info, &missing)) {
        m->owner = info.uid;
        ok = take_all(m, legacy, err);
    }
    free(now);
    free(legacy);
    free(m->state);
    free(m);
    return ok;
}

bool legacy_read(const char *root, const struct fs *fs, struct records *into, struct error *err)
{
    return take(root, fs, into, err);
}

bool legacy_move(const char *root, const struct fs *fs, struct error *err)
{
    return take(root, fs, NULL, err);
}
