#include "doctor/scene_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/status_file.h"
#include "base/calendar.h"
#include "core/json/members.h"

static void copy_text(const cJSON *object, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s", json_text_at(object, name));
}

static uint64_t time_ns(const cJSON *object, const char *name)
{
    const char *text = json_text_at(object, name);
    unsigned year, month, day, hour, minute, second;
    if (sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u", &year, &month, &day, &hour, &minute, &second) !=
            6 ||
        year < 1970)
        return 0;
    uint64_t days = (uint64_t)calendar_days(year, month, day);
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * NS_PER_S;
}

static void read_destinations(const cJSON *list, struct scene_status *out)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (out->destination_count == AGENT_MAX_DESTINATIONS)
            return;
        struct scene_destination *d = &out->destinations[out->destination_count++];
        copy_text(item, "name", d->name, sizeof d->name);
        copy_text(item, "state", d->state, sizeof d->state);
        copy_text(item, "last_error", d->last_error, sizeof d->last_error);
        d->backlog_records = json_count_at(item, "backlog_records");
        d->set_aside_records = json_count_at(item, "set_aside_records");
        d->quarantined_records_total = json_count_at(item, "quarantined_records_total");
        d->rejected_records_total = json_count_at(item, "rejected_records_total");
    }
}

static void read_members(const cJSON *status, struct scene_status *out)
{
    const cJSON *relay = json_at(status, "relay"), *server = json_at(status, "server");
    const cJSON *config = json_at(status, "config"), *spool = json_at(status, "spool");
    const cJSON *components = json_at(json_at(status, "health"), "components");
    uint64_t port = json_count_at(relay, "port");
    char enrollment[24];
    out->port = port <= 65535 ? (uint16_t)port : 0;
    out->updated_ns = time_ns(status, "updated_at");
    copy_text(config, "error_message", out->config_error, sizeof out->config_error);
    out->spool_bytes = json_count_at(spool, "bytes");
    out->oldest_age_s = json_count_at(spool, "oldest_age_seconds");
    out->evicted_total = json_count_at(spool, "evicted_total");
    copy_text(json_at(components, "relay"), "last_error", out->relay_error,
              sizeof out->relay_error);
    copy_text(json_at(components, "enrollment"), "status", enrollment, sizeof enrollment);
    out->is_enrolled = strcmp(enrollment, "enrolled") == 0;
    copy_text(server, "last_error", out->server_error, sizeof out->server_error);
    out->heartbeat_interval_s = json_count_at(server, "heartbeat_interval_seconds");
    read_destinations(json_at(status, "destinations"), out);
}

void scene_read_status(const char *run_dir, const struct fs *fs, struct scene_status *out)
{
    struct buffer text = {0};
    struct error err = {0};
    *out = (struct scene_status){0};
    if (!status_file_read(run_dir, fs, &text, &err)) {
        if (err.kind != FAIL_NOT_FOUND)
            snprintf(out->problem, sizeof out->problem, "%.230s", err.cause);
    } else {
        cJSON *status = cJSON_ParseWithLength((const char *)text.data, text.len);
        out->is_there = cJSON_IsObject(status);
        if (out->is_there)
            read_members(status, out);
        else
            snprintf(out->problem, sizeof out->problem, "the status file is no JSON object");
        cJSON_Delete(status);
    }
    buffer_clear(&text);
}
