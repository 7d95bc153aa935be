#include "platform/fs.h"

#include <string.h>

#include "base/memory.h"

#include <stdlib.h>

enum { READ_STEP_BYTES = 64 * 1024 };

bool fs_read_open_file(const struct fs *fs, struct fs_file *file, const char *path,
                       struct buffer *out, struct error *err)
{
    buffer_reset(out);
    bool ok = false;
    for (;;) {
        size_t room = out->max_bytes - out->len;
        size_t step = room < READ_STEP_BYTES ? room : READ_STEP_BYTES;
        size_t got = 0;
        uint8_t beyond;
        if (step == 0) { /* full: the file may end exactly here */
            if (!fs->read_at(fs->disk, file, out->len, &beyond, 1, &got, err))
                break;
            ok = got == 0;
            if (!ok)
                error_set(err, FAIL_TOO_LARGE, "'%s' is larger than %zu bytes", path,
                          out->max_bytes);
            break;
        }
        if (!buffer_reserve(out, step)) {
            error_set(err, FAIL_TOO_LARGE, "'%s' is larger than %zu bytes", path, out->max_bytes);
            break;
        }
        if (!fs->read_at(fs->disk, file, out->len, out->data + out->len, step, &got, err))
            break;
        out->len += got;
        if (got < step) {
            ok = true;
            break;
        }
    }
    if (!ok)
        buffer_reset(out);
    return ok;
}

bool fs_read_file(const struct fs *fs, const char *path, struct buffer *out, struct error *err)
{
    buffer_reset(out);
    struct fs_file *file = fs->open(fs->disk, path, FS_READ, 0, err);
    if (!file)
        return false;
    bool ok = fs_read_open_file(fs, file, path, out, err);
    fs->close(fs->disk, file);
    return ok;
}

/* The folder that holds `path`, as a new string. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    if (slash == path)
        return xstrdup("/");
    return xstrndup(path, (size_t)(slash - path));
}

static bool write_durably(const struct fs *fs, const char *path, struct bytes content,
                          uint32_t mode, struct error *err)
{
    struct fs_file *file = fs->open(fs->disk, path, FS_WRITE | FS_CREATE, mode, err);
    if (!file)
        return false;
    bool ok = fs->truncate(fs->disk, file, 0, err) &&
              fs->write_at(fs->disk, file, 0, content, err) && fs->sync(fs->disk, file, err);
    fs->close(fs->disk, file);
    return ok;
}

bool fs_replace_file(const struct fs *fs, const char *path, struct bytes content, uint32_t mode,
                     struct error *err)
{
    char *part = xasprintf("%s.new", path);
    char *dir = parent_of(path);
    struct error ignored;

    bool ok = write_durably(fs, part, content, mode, err);
    if (ok)
        ok = fs->rename(fs->disk, part, path, err) && fs->sync_dir(fs->disk, dir, err);
    else
        (void)!fs->remove(fs->disk, part, &ignored);
    if (!ok)
        error_wrap(err, "cannot write '%s'", path);
    free(dir);
    free(part);
    return ok;
}

/* Opens `path` as a folder for work on its entry `name`; FAIL_DENIED when a link lies there. */
static struct fs_folder *open_folder(const struct fs *fs, const char *path, const char *name,
                                     struct fs_stat *owner, struct error *err)
{
    const struct fs_place place = {.base = path, .home = "", .path = name};
    char *entry = NULL;
    if (!fs->stat(fs->disk, path, owner, err))
        return NULL;
    if (!owner->is_directory) {
        error_set(err, FAIL_DENIED, "'%s' is not a folder", path);
        return NULL;
    }
    struct fs_folder *folder = fs->folder_open(fs->disk, &place, &entry, err);
    free(entry);
    return folder;
}

bool fs_replace_file_in(const struct fs *fs, const char *path, const char *name,
                        struct bytes content, uint32_t mode, struct error *err)
{
    char *part = xasprintf("%s.new", name);
    struct fs_stat owner;
    struct error ignored;
    struct fs_folder *folder = open_folder(fs, path, part, &owner, err);
    bool ok = false;
    if (folder) {
        (void)!fs->folder_remove(fs->disk, folder, part, &ignored); /* of a write cut short */
        struct fs_file *file =
            fs->folder_file(fs->disk, folder, part, FS_WRITE | FS_CREATE | FS_EXCLUSIVE, 0600, err);
        ok = file && fs->write_at(fs->disk, file, 0, content, err) &&
             fs->file_own(fs->disk, file, owner.uid, owner.gid, mode, err) &&
             fs->sync(fs->disk, file, err);
        fs->close(fs->disk, file);
        ok = ok && fs->folder_rename(fs->disk, folder, part, name, err);
        if (!ok)
            (void)!fs->folder_remove(fs->disk, folder, part, &ignored);
        ok = ok && fs->folder_sync(fs->disk, folder, err);
    }
    fs->folder_close(fs->disk, folder);
    free(part);
    return ok || error_wrap(err, "cannot write '%s/%s'", path, name);
}

bool fs_make_dirs(const struct fs *fs, const char *path, uint32_t mode, struct error *err)
{
    char *copy = xstrdup(path);
    bool ok = true;
    for (char *at = copy; ok && *at; at++) {
        if (*at != '/' || at == copy)
            continue;
        *at = '\0';
        struct fs_stat known;
        struct error ignored;
        if (!fs->stat(fs->disk, copy, &known, &ignored))
            ok = fs->make_dir(fs->disk, copy, mode, err);
        *at = '/';
    }
    ok = ok && fs->make_dir(fs->disk, copy, mode, err);
    free(copy);
    return ok;
}
