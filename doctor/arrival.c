#include "doctor/arrival.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "core/http/client.h"
#include "doctor/format.h"
#include "doctor/proxies.h"
#include "doctor/remedy.h"
#include "platform/platform.h"

enum { ASK_MS = 3000 };

static bool same_origin(const char *a, const char *b)
{
    size_t len = format_origin_len(a);
    return len == format_origin_len(b) && strncasecmp(a, b, len) == 0;
}

/* The device's token opens no other server. */
static bool shows_device_token(const struct config *destination)
{
    for (size_t i = 0; i < config_map_count(destination, "headers"); i++) {
        const char *text;
        (void)config_map_at(destination, "headers", i, &text);
        if (strstr(text, "${device_token}"))
            return true;
    }
    return false;
}

bool arrival_is_server(const struct scene *scene, const struct config *destination)
{
    const char *server = config_text(scene->config->values, "server.url");
    struct buffer url = {.max_bytes = 8 * KIB};
    bool is_server = server && (shows_device_token(destination) ||
                                (agent_destination_url(destination, "logs", &url) &&
                                 buffer_text(&url) && same_origin(buffer_text(&url), server)));
    buffer_clear(&url);
    return is_server;
}

static enum arrival judge(const struct http_result *result, char reason[ARRIVAL_REASON_BYTES])
{
    enum arrival arrival = ARRIVAL_UNKNOWN;
    cJSON *answer = NULL;
    snprintf(reason, ARRIVAL_REASON_BYTES, "its server cannot say whether the record is stored");
    if (result->stage != HTTP_STAGE_DONE)
        snprintf(reason, ARRIVAL_REASON_BYTES, "its server does not answer: %.200s", result->error);
    else if (result->status == 401)
        snprintf(reason, ARRIVAL_REASON_BYTES, "its server does not know this device's token");
    else if (result->status == 200)
        answer = cJSON_ParseWithLength((const char *)result->body.data, result->body.len);
    const cJSON *arrived = cJSON_GetObjectItemCaseSensitive(answer, "arrived");
    if (cJSON_IsBool(arrived))
        arrival = cJSON_IsTrue(arrived) ? ARRIVAL_STORED : ARRIVAL_NOT_YET;
    cJSON_Delete(answer);
    return arrival;
}

/* What the configuration takes out of records cannot be found by. */
static const char *dropped(const struct config *values)
{
    static const char *const needed[] = {"session.id", "doctor.mark", "event.name"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (config_list_has(values, "privacy.drop_attributes", needed[i]))
            return needed[i];
    return NULL;
}

enum arrival arrival_ask(const struct scene *scene, const char *mark,
                         char reason[ARRIVAL_REASON_BYTES])
{
    char rights[REMEDY_BYTES];
    if (!scene->has_device) {
        if (scene->is_privileged)
            snprintf(reason, ARRIVAL_REASON_BYTES,
                     "this device has no token to ask the server with");
        else
            snprintf(reason, ARRIVAL_REASON_BYTES, "only %s can ask the server: %s", remedy_who(),
                     remedy(REMEDY_GET_RIGHTS, NULL, rights));
        return ARRIVAL_UNKNOWN;
    }
    const struct config *values = scene->config->values;
    const char *lost = dropped(values);
    if (lost) {
        snprintf(reason, ARRIVAL_REASON_BYTES,
                 "the server cannot be asked for it, since privacy.drop_attributes takes %s out",
                 lost);
        return ARRIVAL_UNKNOWN;
    }
    const char *ca = config_text(values, "server.ca_file");
    char *path = xasprintf("/api/v1/doctor-marks/%s", mark);
    char *url = agent_server_url(values, path);
    char *ca_file = ca ? config_path_under(scene->root, ca) : NULL;
    char *line = xasprintf("Authorization: Bearer %s", scene->device.token);
    const char *const headers[] = {line, NULL};
    struct buffer body = {.max_bytes = 64 * KIB}, answer_headers = {.max_bytes = 64 * KIB};
    struct http_result result;
    struct http_call call = {
        .method = "GET", .url = url, .headers = headers, .ca_file = ca_file, .timeout_ms = ASK_MS};
    http_client_perform(&call, &result, &body, &answer_headers);
    enum arrival arrival = judge(&result, reason);
    free(line);
    free(ca_file);
    free(url);
    free(path);
    buffer_clear(&body);
    buffer_clear(&answer_headers);
    return arrival;
}
