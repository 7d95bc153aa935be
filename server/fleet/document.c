#include "server/fleet/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "core/json/reader.h"
#include "server/fleet/claude_version.h"
#include "server/query/instant.h"

/* NULL when the text is no strict JSON object, with the place of the fault. */
static cJSON *parse(struct bytes json, const char *what, struct error *err)
{
    struct json_reader r = json_reader_make(json);
    enum json_token token = json_next(&r);
    bool is_object = token == JSON_OBJECT_OPEN;
    while (token != JSON_END && token != JSON_ERROR)
        token = json_next(&r);
    cJSON *document = NULL;
    if (token == JSON_ERROR)
        json_fail(&r, err);
    else if (!is_object)
        error_set(err, FAIL_INVALID, "a JSON object is expected");
    else
        document = cJSON_ParseWithLength((const char *)json.data, json.len);
    if (!document && err->kind == FAIL_NONE)
        error_set(err, FAIL_INVALID, "the JSON cannot be read");
    if (!document)
        error_wrap(err, "the %s", what);
    return document;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

/* True when there was a text; it is cut to fit. */
static bool take_text(const cJSON *object, const char *name, char *out, size_t size)
{
    const cJSON *item = member(object, name);
    if (!cJSON_IsString(item))
        return false;
    snprintf(out, size, "%s", item->valuestring);
    return true;
}

/* Counts stay exact up to 2^53, far beyond what a device counts. */
static uint64_t take_count(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
    return cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < 9e15
               ? (uint64_t)item->valuedouble
               : 0;
}

static uint64_t take_time(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
    uint64_t ns = 0;
    return cJSON_IsString(item) && instant_parse(bytes_of(item->valuestring), &ns) ? ns : 0;
}

static void lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text + ('a' - 'A'));
}

/* The owner is the machine's only person, or nobody: on a shared machine rows carry their own. */
static void take_owner(const cJSON *document, char *out, size_t size)
{
    const cJSON *user, *users = member(document, "users");
    unsigned found = 0;
    out[0] = '\0';
    cJSON_ArrayForEach(user, users)
    {
        char email[256] = "";
        if (!take_text(user, "email", email, sizeof email) || !strchr(email, '@'))
            continue;
        lower(email);
        if (strcmp(email, out) == 0)
            continue;
        if (++found == 1)
            snprintf(out, size, "%s", email);
    }
    if (found > 1)
        out[0] = '\0';
}

bool enroll_request_read(struct bytes json, struct enroll_request *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    cJSON *document = parse(json, "enrolment", err);
    if (!document)
        return false;
    const cJSON *device = member(document, "device");
    struct fleet_device *d = &out->device;
    bool complete = take_text(document, "enrollment_secret", out->secret, sizeof out->secret) &&
                    take_text(device, "hardware_id", d->hardware_id, sizeof d->hardware_id) &&
                    take_text(device, "hostname", d->hostname, sizeof d->hostname);
    take_text(device, "os", d->os, sizeof d->os);
    take_text(device, "os_version", d->os_version, sizeof d->os_version);
    take_text(device, "arch", d->arch, sizeof d->arch);
    take_text(device, "agent_version", d->agent_version, sizeof d->agent_version);
    take_owner(document, d->owner, sizeof d->owner);
    if (!take_text(device, "device_id", out->device_id, sizeof out->device_id))
        take_text(document, "device_id", out->device_id, sizeof out->device_id);
    cJSON_Delete(document);
    if (complete && d->hardware_id[0])
        return true;
    error_set(
        err, FAIL_INVALID,
        "the enrolment lacks enrollment_secret, device.hardware_id or device.hostname as texts");
    return error_remedy(err, "send {\"enrollment_secret\":\"…\",\"device\":{\"hardware_id\":\"…\","
                             "\"hostname\":\"…\",…},\"users\":[…]}");
}

static void take_destinations(const cJSON *document, struct heartbeat_document *out)
{
    const cJSON *destination, *destinations = member(document, "destinations");
    cJSON_ArrayForEach(destination, destinations)
    {
        char state[32] = "";
        take_text(destination, "state", state, sizeof state);
        bool stuck = strcmp(state, "auth_failed") == 0 || strcmp(state, "blocked") == 0;
        uint64_t backlog = take_count(destination, "backlog_records");
        if (backlog > out->backlog_records)
            out->backlog_records = backlog;
        if (!stuck || out->failed_destination[0])
            continue;
        memcpy(out->failed_destination_state, state, sizeof state);
        take_text(destination, "name", out->failed_destination, sizeof out->failed_destination);
    }
}

static void take_claude(const cJSON *document, struct heartbeat_document *out)
{
    const cJSON *install, *installs = member(document, "claude");
    cJSON_ArrayForEach(install, installs)
    {
        char version[64] = "";
        uint64_t last_ns = take_time(install, "last_event_at");
        if (last_ns > out->last_event_ns)
            out->last_event_ns = last_ns;
        if (take_text(install, "version", version, sizeof version) &&
            claude_version_fault(bytes_of(version)).len > 0)
            memcpy(out->bad_version, version, sizeof version);
    }
}

bool heartbeat_read(struct bytes json, struct heartbeat_document *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    cJSON *document = parse(json, "heartbeat", err);
    if (!document)
        return false;
    const cJSON *health = member(document, "health"), *config = member(document, "config");
    const cJSON *spool = member(document, "spool"), *signals = member(document, "signals");
    char config_status[32] = "";

    bool complete =
        take_text(document, "instance_uid", out->instance_uid, sizeof out->instance_uid);
    out->sequence_num = take_count(document, "sequence_num");
    out->sent_ns = take_time(document, "sent_at");
    take_text(document, "agent_version", out->agent_version, sizeof out->agent_version);
    take_owner(document, out->owner, sizeof out->owner);
    const cJSON *goodbye = member(document, "agent_disconnect"); /* OpAMP's is an empty message */
    out->goodbye = cJSON_IsTrue(goodbye) || cJSON_IsObject(goodbye);
    out->healthy = !cJSON_IsFalse(member(health, "healthy"));
    take_text(health, "last_error", out->last_error, sizeof out->last_error);
    take_text(config, "status", config_status, sizeof config_status);
    out->config_failed = strcmp(config_status, "failed") == 0;
    take_text(document, "offline_reason", out->offline_reason, sizeof out->offline_reason);
    take_text(config, "error_message", out->config_error, sizeof out->config_error);
    out->drift_repairs_total = take_count(config, "drift_repairs_total");
    out->backlog_records = take_count(spool, "records");
    out->oldest_backlog_s = take_count(spool, "oldest_age_seconds");
    out->evicted_total = take_count(spool, "evicted_total");
    out->disk_free_bytes = take_count(spool, "disk_free_bytes");
    out->logs_last_ns = take_time(member(signals, "logs"), "last_received_at");
    out->metrics_last_ns = take_time(member(signals, "metrics"), "last_received_at");
    out->doctor_failed = (uint32_t)take_count(member(document, "doctor"), "failed");
    take_destinations(document, out);
    take_claude(document, out);
    if (out->last_event_ns == 0)
        out->last_event_ns =
            out->logs_last_ns > out->metrics_last_ns ? out->logs_last_ns : out->metrics_last_ns;
    cJSON_Delete(document);
    if (!complete)
        return error_set(err, FAIL_INVALID, "the heartbeat lacks instance_uid as a text");
    return true;
}

bool doctor_summary_read(struct bytes json, struct doctor_summary *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    cJSON *document = parse(json, "doctor's report", err);
    if (!document)
        return false;
    const cJSON *report = member(document, "report");
    const cJSON *summary = member(cJSON_IsObject(report) ? report : document, "summary");
    take_text(document, "command_id", out->command_id, sizeof out->command_id);
    out->failed = (uint32_t)take_count(summary, "fail");
    out->warned = (uint32_t)take_count(summary, "warn");
    cJSON_Delete(document);
    return true;
}

void heartbeat_to_health(const struct heartbeat_document *h, const struct fleet_device *device,
                         uint64_t now_ns, struct health_device *out)
{
    static const uint64_t day_ns = 86400 * NS_PER_S, hour_ns = 3600 * NS_PER_S;
    bool metrics_fresh = h->metrics_last_ns > 0 && now_ns < h->metrics_last_ns + day_ns;
    bool logs_fresh = h->logs_last_ns > 0 && now_ns < h->logs_last_ns + day_ns;
    *out = (struct health_device){
        .last_seen_ns = device->last_seen_ns,
        .last_data_ns = device->last_data_ns,
        .enrolled_ns = device->enrolled_ns,
        .last_event_ns = h->last_event_ns,
        .in_use_ns =
            h->last_event_ns > device->last_data_ns ? h->last_event_ns : device->last_data_ns,
        .interval_s = device->interval_s,
        .disconnected = device->disconnected,
        .healthy = h->healthy,
        .last_error = h->last_error,
        .failed_destination = h->failed_destination[0] ? h->failed_destination : NULL,
        .failed_destination_state = h->failed_destination_state,
        .backlog_records = h->backlog_records,
        .oldest_backlog_s = h->oldest_backlog_s,
        .backlog_growing_s = device->backlog_growing_ns && now_ns > device->backlog_growing_ns
                                 ? (now_ns - device->backlog_growing_ns) / NS_PER_S
                                 : 0,
        .evicted_delta =
            device->evicted_ns && now_ns < device->evicted_ns + hour_ns ? device->evicted_delta : 0,
        .disk_free_bytes = h->disk_free_bytes,
        .clock_skew_s = device->clock_skew_s,
        .config_failed = h->config_failed,
        .config_error = h->config_error,
        .drift_repairs_delta = device->drift_repairs_delta,
        .logs_missing = metrics_fresh && !logs_fresh,
        .bad_version = h->bad_version[0] ? h->bad_version : NULL,
        .doctor_failed = h->doctor_failed,
    };
}
