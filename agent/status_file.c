#include "agent/status_file.h"

#include <stdlib.h>

#include "base/memory.h"
#include "core/json/writer.h"

enum { STATUS_BYTES = 1024 * 1024 };

struct status_file {
    const struct fs *fs;
    char *dir;
    char *path;
    char *fresh;        /* what becomes `path` */
    struct buffer last; /* members as written */
};

struct status_file *status_file_create(const char *run_dir, const struct fs *fs)
{
    struct status_file *f = xcalloc(1, sizeof *f);
    f->fs = fs;
    f->dir = xstrdup(run_dir);
    f->path = xasprintf("%s/status.json", run_dir);
    f->fresh = xasprintf("%s/status.json.new", run_dir);
    f->last.max_bytes = STATUS_BYTES;
    return f;
}

void status_file_destroy(struct status_file *f)
{
    if (!f)
        return;
    buffer_clear(&f->last);
    free(f->dir);
    free(f->path);
    free(f->fresh);
    free(f);
}

/* Whole or not at all for a reader, but not durable: after power loss the agent writes it anew. */
static bool replace(struct status_file *f, struct bytes content, struct error *err)
{
    const struct fs *fs = f->fs;
    struct fs_file *file = fs->open(fs->disk, f->fresh, FS_WRITE | FS_CREATE, 0644, err);
    if (!file)
        return false;
    bool ok = fs->truncate(fs->disk, file, 0, err) && fs->write_at(fs->disk, file, 0, content, err);
    fs->close(fs->disk, file);
    return ok && fs->rename(fs->disk, f->fresh, f->path, err);
}

bool status_file_put(struct status_file *f, struct bytes members, uint64_t now_ns, bool *wrote,
                     struct error *err)
{
    if (wrote)
        *wrote = false;
    if (f->last.len > 0 && bytes_equal(buffer_bytes(&f->last), members))
        return true;

    struct buffer document = {.max_bytes = STATUS_BYTES + 256};
    struct json_writer w = json_writer_make(&document);
    json_object_open(&w);
    json_put_key(&w, "updated_at");
    json_put_time(&w, now_ns);
    bool ok = json_writer_ok(&w) && buffer_append_byte(&document, ',') &&
              buffer_append(&document, members) && buffer_append_text(&document, "}\n");
    if (!ok)
        error_set(err, FAIL_TOO_LARGE, "the status is too large");
    ok = ok && fs_make_dirs(f->fs, f->dir, 0755, err) && replace(f, buffer_bytes(&document), err);
    buffer_clear(&document);
    if (!ok)
        return false;
    buffer_reset(&f->last);
    if (wrote)
        *wrote = true;
    return buffer_append(&f->last, members) || error_set(err, FAIL_TOO_LARGE, "status too large");
}

void status_file_remove(struct status_file *f)
{
    struct error err = {0};
    if (f->last.len == 0)
        return; /* what lies there is not ours, but a running agent's */
    if (f->fs->remove(f->fs->disk, f->path, &err))
        buffer_reset(&f->last);
}

bool status_file_read(const char *run_dir, const struct fs *fs, struct buffer *out,
                      struct error *err)
{
    char *path = xasprintf("%s/status.json", run_dir);
    out->max_bytes = STATUS_BYTES + 256;
    bool ok = fs_read_file(fs, path, out, err);
    free(path);
    return ok;
}
