#include "agent/settings_status.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/writer.h"

enum { FILE_BYTES = 256 * 1024, MAX_INSTALLS = 256 };

static void read_installs(const cJSON *list, struct claude_installs *out)
{
    const cJSON *item;
    out->list = xcalloc(MAX_INSTALLS, sizeof *out->list);
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *path = cJSON_GetObjectItemCaseSensitive(item, "path");
        const cJSON *version = cJSON_GetObjectItemCaseSensitive(item, "version");
        if (out->count == MAX_INSTALLS || !cJSON_IsString(path))
            continue;
        struct claude_install *install = &out->list[out->count++];
        install->path = xstrdup(path->valuestring);
        install->known = cJSON_IsString(version) &&
                         claude_version_parse(version->valuestring, &install->version);
    }
}

bool settings_status_read(const char *run_dir, const struct fs *fs, struct settings_status *out,
                          struct error *err)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    char *path = xasprintf("%s/settings.json", run_dir);
    memset(out, 0, sizeof *out);
    bool ok = fs_read_file(fs, path, &text, err);
    if (ok) {
        cJSON *document = cJSON_ParseWithLength((const char *)text.data, text.len);
        const cJSON *repairs = cJSON_GetObjectItemCaseSensitive(document, "repairs_total");
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(document, "error");
        if (cJSON_IsNumber(repairs) && repairs->valuedouble > 0)
            out->repairs_total = (uint64_t)repairs->valuedouble;
        if (cJSON_IsString(error))
            snprintf(out->error, sizeof out->error, "%s", error->valuestring);
        read_installs(cJSON_GetObjectItemCaseSensitive(document, "claude"), &out->installs);
        ok = cJSON_IsObject(document) || error_set(err, FAIL_CORRUPT, "'%s' is damaged", path);
        cJSON_Delete(document);
    }
    buffer_clear(&text);
    free(path);
    return ok;
}

static void put_installs(const struct claude_installs *installs, struct json_writer *w)
{
    json_put_key(w, "claude");
    json_array_open(w);
    for (size_t i = 0; i < installs->count; i++) {
        const struct claude_install *install = &installs->list[i];
        char version[48] = "";
        if (install->known)
            snprintf(version, sizeof version, "%u.%u.%u", install->version.major,
                     install->version.minor, install->version.patch);
        json_object_open(w);
        json_put_key(w, "path");
        json_put_string(w, install->path);
        json_put_key(w, "version");
        json_put_string(w, version);
        json_object_close(w);
    }
    json_array_close(w);
}

bool settings_status_write(const char *run_dir, const struct fs *fs,
                           const struct settings_status *status, struct error *err)
{
    struct buffer text = {.max_bytes = FILE_BYTES};
    struct json_writer w = json_writer_make(&text);
    struct fs_stat folder;
    json_object_open(&w);
    json_put_key(&w, "repairs_total");
    json_put_uint(&w, status->repairs_total);
    json_put_key(&w, "error");
    json_put_string(&w, status->error);
    put_installs(&status->installs, &w);
    json_object_close(&w);

    char *path = xasprintf("%s/settings.json", run_dir);
    bool ok = json_writer_ok(&w) || error_set(err, FAIL_TOO_LARGE, "'%s' grows too large", path);
    ok = ok && fs->stat(fs->disk, run_dir, &folder, err) &&
         fs_replace_file_in(fs, run_dir, "settings.json", buffer_bytes(&text), 0644, err);
    free(path);
    buffer_clear(&text);
    return ok;
}

void settings_status_clear(struct settings_status *status)
{
    claude_installs_clear(&status->installs);
}
