#include "agent/heartbeat/outage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/json/members.h"
#include "core/json/writer.h"

enum { FILE_BYTES = 4096 };

static char *path_of(const char *state_dir)
{
    return xasprintf("%s/outage.json", state_dir);
}

void outage_read(const struct fs *fs, const char *state_dir, uint64_t now_ns, struct outage *out)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    struct error ignored;
    char *path = path_of(state_dir);
    memset(out, 0, sizeof *out);
    if (fs_read_file(fs, path, &text, &ignored)) {
        cJSON *document = cJSON_ParseWithLength((const char *)text.data, text.len);
        const cJSON *since = json_at(document, "since_ms");
        const cJSON *why = json_at(document, "why");
        /* A clock that was set back must not make an outage of years. */
        if (cJSON_IsNumber(since) && since->valuedouble > 0 &&
            since->valuedouble <= (double)(now_ns / NS_PER_MS) && cJSON_IsString(why)) {
            out->since_ns = (uint64_t)since->valuedouble * NS_PER_MS;
            snprintf(out->why, sizeof out->why, "%s", why->valuestring);
        }
        cJSON_Delete(document);
    }
    buffer_clear(&text);
    free(path);
}

bool outage_write(const struct fs *fs, const char *state_dir, const struct outage *outage,
                  struct error *err)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    struct json_writer w = json_writer_make(&text);
    json_object_open(&w);
    json_member_uint(&w, "since_ms", outage->since_ns / NS_PER_MS);
    json_member_string(&w, "why", outage->why);
    json_object_close(&w);
    bool ok = json_writer_ok(&w) || error_set(err, FAIL_TOO_LARGE, "the reason is too long");
    ok = ok && fs_make_dirs(fs, state_dir, 0700, err) &&
         fs_replace_file_in(fs, state_dir, "outage.json", buffer_bytes(&text), 0600, err);
    buffer_clear(&text);
    return ok || error_wrap(err, "cannot keep since when the server is not reached");
}

bool outage_forget(const struct fs *fs, const char *state_dir, struct error *err)
{
    char *path = path_of(state_dir);
    bool ok = fs->remove(fs->disk, path, err) || err->kind == FAIL_NOT_FOUND;
    free(path);
    return ok || error_wrap(err, "cannot forget the outage that was told");
}
