#include "doctor/send.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/http/client.h"
#include "core/json/writer.h"
#include "doctor/proxies.h"
#include "doctor/redact.h"
#include "doctor/remedy.h"
#include "platform/platform.h"

static bool make_body(const struct report *report, struct buffer *out)
{
    struct buffer json = {.max_bytes = REPORT_BYTES},
                  clean = {.max_bytes = 2 * (size_t)REPORT_BYTES};
    struct secrets secrets = {0};
    struct json_writer w = json_writer_make(out);
    char uid[PLATFORM_UUID_BYTES];
    secrets_collect(&secrets, report->scene);
    struct redact_options redaction = {.secrets = &secrets};
    bool ok = report_put_json(report, &json) && redact(buffer_bytes(&json), &redaction, &clean);
    platform_uuid(uid);
    json_object_open(&w);
    json_put_key(&w, "command_id");
    json_put_string(&w, "");
    json_put_key(&w, "instance_uid");
    json_put_string(&w, uid);
    json_put_key(&w, "ran_at");
    json_put_time(&w, clock_wall_ns(report->scene->clock));
    json_put_key(&w, "report");
    json_put_raw(&w, buffer_bytes(&clean));
    json_object_close(&w);
    secrets_clear(&secrets);
    buffer_clear(&json);
    buffer_clear(&clean);
    return ok && json_writer_ok(&w);
}

static bool post(const struct report *report, const char *url, struct bytes body, struct error *err)
{
    const struct scene *scene = report->scene;
    char *line = xasprintf("Authorization: Bearer %s", scene->device.token);
    const char *const headers[] = {line, "Content-Type: application/json", NULL};
    struct buffer answer = {.max_bytes = MIB}, answer_headers = {.max_bytes = 64 * KIB};
    struct http_result result;
    const char *ca = config_text(scene->config->values, "server.ca_file");
    char *ca_file = ca ? config_path_under(scene->root, ca) : NULL;
    struct platform_proxy system;
    struct http_call call = {.method = "POST",
                             .url = url,
                             .headers = headers,
                             .body = body,
                             .ca_file = ca_file,
                             .proxy = proxies_of_agent(scene, url, &system),
                             .timeout_ms = 20000,
                             .connect_timeout_ms = 5000};
    http_client_perform(&call, &result, &answer, &answer_headers);
    bool ok = result.stage == HTTP_STAGE_DONE && result.status >= 200 && result.status < 300;
    if (!ok && result.stage != HTTP_STAGE_DONE)
        error_set(err, FAIL_IO, "cannot send the report to '%s': %s", url, result.error);
    else if (!ok)
        error_set(err, FAIL_DENIED, "'%s' answered %d to the report", url, result.status);
    if (!ok)
        error_remedy(err, "see the checks server.reachable and enrollment.device");
    free(line);
    free(ca_file);
    buffer_clear(&answer);
    buffer_clear(&answer_headers);
    return ok;
}

bool report_send(const struct report *report, struct error *err)
{
    const struct scene *scene = report->scene;
    char rights[REMEDY_BYTES];
    char *url =
        scene->config ? agent_server_url(scene->config->values, "/api/v1/doctor-reports") : NULL;
    struct buffer body = {.max_bytes = 2 * (size_t)REPORT_BYTES + 4096};
    bool ok = false;
    if (!url) {
        error_set(err, FAIL_INVALID, "there is no server to send the report to");
        error_remedy(err, "set server.url in the agent's configuration");
    } else if (!scene->has_device) {
        error_set(err, FAIL_DENIED, "this device's token cannot be read");
        error_remedy(err, "enrol the device, and %s", remedy(REMEDY_GET_RIGHTS, NULL, rights));
    } else
        ok = (make_body(report, &body) ||
              error_set(err, FAIL_TOO_LARGE, "the report is too large")) &&
             post(report, url, buffer_bytes(&body), err);
    buffer_clear(&body);
    free(url);
    return ok;
}
