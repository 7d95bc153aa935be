#include "agent/settings_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/json/members.h"
#include "core/json/writer.h"

enum { FILE_BYTES = 1024 * 1024, MAX_INSTALLS = 256, MAX_VERDICTS = 4096, MAX_PEOPLE = 1024 };

static void read_installs(const cJSON *list, struct claude_installs *out)
{
    const cJSON *item;
    out->list = xcalloc(MAX_INSTALLS, sizeof *out->list);
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *path = json_at(item, "path");
        const cJSON *version = json_at(item, "version");
        if (out->count == MAX_INSTALLS || !cJSON_IsString(path))
            continue;
        struct claude_install *install = &out->list[out->count++];
        install->path = xstrdup(path->valuestring);
        install->known = cJSON_IsString(version) &&
                         claude_version_parse(version->valuestring, &install->version);
    }
}

static void read_verdicts(const cJSON *list, struct settings_verdicts *out)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (out->count == MAX_VERDICTS)
            return;
        out->list = xrealloc(out->list, (out->count + 1) * sizeof *out->list);
        struct settings_verdict *v = &out->list[out->count++];
        *v = (struct settings_verdict){.in_force = cJSON_IsTrue(json_at(item, "in_force"))};
        snprintf(v->user, sizeof v->user, "%s", json_text_at(item, "local_user"));
        snprintf(v->versions, sizeof v->versions, "%s", json_text_at(item, "versions"));
        snprintf(v->winner, sizeof v->winner, "%s", json_text_at(item, "winner"));
        snprintf(v->telemetry, sizeof v->telemetry, "%s", json_text_at(item, "telemetry"));
        snprintf(v->sentence, sizeof v->sentence, "%s", json_text_at(item, "sentence"));
    }
}

static void read_people(const cJSON *list, struct settings_status *out)
{
    const cJSON *item;
    out->people = xcalloc(MAX_PEOPLE, sizeof *out->people);
    cJSON_ArrayForEach(item, list)
    {
        if (out->person_count == MAX_PEOPLE || !json_text_at(item, "local_user")[0])
            continue;
        out->people[out->person_count++] =
            (struct settings_person){.local_user = xstrdup(json_text_at(item, "local_user")),
                                     .email = xstrdup(json_text_at(item, "email")),
                                     .source = xstrdup(json_text_at(item, "source"))};
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
        out->repairs_total = json_count_at(document, "repairs_total");
        out->last_repair_ns = json_count_at(document, "last_repair_ms") * NS_PER_MS;
        out->next_try_ns = json_count_at(document, "next_try_ms") * NS_PER_MS;
        snprintf(out->last_diff, sizeof out->last_diff, "%s", json_text_at(document, "last_diff"));
        snprintf(out->conflict_path, sizeof out->conflict_path, "%s",
                 json_text_at(document, "conflict_path"));
        snprintf(out->error, sizeof out->error, "%s", json_text_at(document, "error"));
        read_installs(json_at(document, "claude"), &out->installs);
        read_verdicts(json_at(document, "sources"), &out->verdicts);
        read_people(json_at(document, "people"), out);
        ok = cJSON_IsObject(document) || error_set(err, FAIL_CORRUPT, "'%s' is damaged", path);
        cJSON_Delete(document);
    }
    buffer_clear(&text);
    free(path);
    return ok;
}

void settings_status_put_sources(const struct settings_verdicts *verdicts, struct json_writer *w)
{
    json_put_key(w, "sources");
    json_array_open(w);
    for (size_t i = 0; i < verdicts->count; i++) {
        const struct settings_verdict *v = &verdicts->list[i];
        json_object_open(w);
        json_member_string(w, "local_user", v->user);
        json_member_string(w, "versions", v->versions);
        json_member_string(w, "winner", v->winner);
        json_member_string(w, "telemetry", v->telemetry);
        json_member_bool(w, "in_force", v->in_force);
        json_member_string(w, "sentence", v->sentence);
        json_object_close(w);
    }
    json_array_close(w);
}

static void put_people(const struct settings_status *status, struct json_writer *w)
{
    json_put_key(w, "people");
    json_array_open(w);
    for (size_t i = 0; i < status->person_count; i++) {
        json_object_open(w);
        json_member_string(w, "local_user", status->people[i].local_user);
        json_member_string(w, "email", status->people[i].email);
        json_member_string(w, "source", status->people[i].source);
        json_object_close(w);
    }
    json_array_close(w);
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
        json_member_string(w, "path", install->path);
        json_member_string(w, "version", version);
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
    json_member_uint(&w, "repairs_total", status->repairs_total);
    json_member_uint(&w, "last_repair_ms", status->last_repair_ns / NS_PER_MS);
    json_member_string(&w, "last_diff", status->last_diff);
    json_member_string(&w, "conflict_path", status->conflict_path);
    json_member_uint(&w, "next_try_ms", status->next_try_ns / NS_PER_MS);
    json_member_string(&w, "error", status->error);
    put_installs(&status->installs, &w);
    settings_status_put_sources(&status->verdicts, &w);
    put_people(status, &w);
    json_object_close(&w);

    char *path = xasprintf("%s/settings.json", run_dir);
    bool ok = json_writer_ok(&w) || error_set(err, FAIL_TOO_LARGE, "'%s' grows too large", path);
    ok = ok && fs->stat(fs->disk, run_dir, &folder, err) &&
         fs_replace_file_in(fs, run_dir, "settings.json", buffer_bytes(&text), 0600, err);
    free(path);
    buffer_clear(&text);
    return ok;
}

void settings_status_clear(struct settings_status *status)
{
    claude_installs_clear(&status->installs);
    settings_verdicts_clear(&status->verdicts);
    for (size_t i = 0; i < status->person_count; i++) {
        free(status->people[i].local_user);
        free(status->people[i].email);
        free(status->people[i].source);
    }
    free(status->people);
    status->people = NULL;
    status->person_count = 0;
}
