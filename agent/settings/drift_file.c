/* What is remembered of drift between two runs of `apply --repair`. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/settings/drift.h"
#include "base/memory.h"
#include "core/json/members.h"
#include "core/json/writer.h"
#include "platform/platform.h"

enum { FILE_BYTES = 256 * 1024, MAX_FILES = 1024 };

static char *path_of(const char *root)
{
    char *folder = platform_first_state_dir(root);
    char *path = xasprintf("%s/drift.json", folder);
    free(folder);
    return path;
}

/* A clock that was set back must not keep us waiting. */
static uint64_t not_beyond(uint64_t ms, uint64_t limit_ms)
{
    return ms > limit_ms ? 0 : ms;
}

static void read_file(struct drift *d, const cJSON *item, uint64_t now_ms)
{
    const cJSON *path = json_at(item, "path");
    const cJSON *times = json_at(item, "repaired_ms"), *time;
    if (!cJSON_IsString(path) || d->count == MAX_FILES)
        return;
    d->files = xrealloc(d->files, (d->count + 1) * sizeof *d->files);
    struct drift_file *f = &d->files[d->count++];
    *f = (struct drift_file){.path = xstrdup(path->valuestring),
                             .pause_ms = json_count_at(item, "pause_ms"),
                             .resume_ms = not_beyond(json_count_at(item, "resume_ms"),
                                                     now_ms + DRIFT_LONGEST_PAUSE_MS),
                             .conflict = json_count_at(item, "conflict") > 0};
    cJSON_ArrayForEach(time, times)
    {
        if (f->repairs < DRIFT_REPAIRS && cJSON_IsNumber(time) && time->valuedouble > 0)
            f->repaired_ms[f->repairs++] = not_beyond((uint64_t)time->valuedouble, now_ms);
    }
    if (f->pause_ms > DRIFT_LONGEST_PAUSE_MS)
        f->pause_ms = DRIFT_LONGEST_PAUSE_MS;
}

void drift_read(struct drift *d, const char *root, const struct fs *fs, uint64_t now_ms)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    struct error ignored;
    char *path = path_of(root);
    *d = (struct drift){0};
    if (fs_read_file(fs, path, &text, &ignored)) {
        cJSON *document = cJSON_ParseWithLength((const char *)text.data, text.len);
        const cJSON *diff = json_at(document, "last_diff"), *item;
        d->repairs_total = json_count_at(document, "repairs_total");
        d->last_ns = json_count_at(document, "last_ms") * NS_PER_MS;
        if (cJSON_IsString(diff))
            snprintf(d->last_diff, sizeof d->last_diff, "%s", diff->valuestring);
        cJSON_ArrayForEach(item, json_at(document, "files")) read_file(d, item, now_ms);
        cJSON_Delete(document);
    }
    buffer_clear(&text);
    free(path);
}

static void put_file(struct json_writer *w, const struct drift_file *f)
{
    json_object_open(w);
    json_member_string(w, "path", f->path);
    json_put_key(w, "repaired_ms");
    json_array_open(w);
    for (size_t i = 0; i < f->repairs; i++)
        json_put_uint(w, f->repaired_ms[i]);
    json_array_close(w);
    json_member_uint(w, "pause_ms", f->pause_ms);
    json_member_uint(w, "resume_ms", f->resume_ms);
    json_member_uint(w, "conflict", f->conflict);
    json_object_close(w);
}

bool drift_write(const struct drift *d, const char *root, const struct fs *fs, struct error *err)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    struct json_writer w = json_writer_make(&text);
    char *path = path_of(root);
    json_object_open(&w);
    json_member_uint(&w, "repairs_total", d->repairs_total);
    json_member_uint(&w, "last_ms", d->last_ns / NS_PER_MS);
    json_member_string(&w, "last_diff", d->last_diff);
    json_put_key(&w, "files");
    json_array_open(&w);
    for (size_t i = 0; i < d->count; i++)
        put_file(&w, &d->files[i]);
    json_array_close(&w);
    json_object_close(&w);
    bool ok = json_writer_ok(&w) || error_set(err, FAIL_TOO_LARGE, "'%s' grows too large", path);
    ok = ok && fs_replace_file(fs, path, buffer_bytes(&text), 0600, err);
    buffer_clear(&text);
    free(path);
    return ok;
}

void drift_forget(const char *root, const struct fs *fs)
{
    char *path = path_of(root), *folder = platform_first_state_dir(root);
    struct error ignored;
    (void)!fs->remove(fs->disk, path, &ignored);
    (void)!fs->remove(fs->disk, folder, &ignored); /* goes when it is empty */
    free(folder);
    free(path);
}
