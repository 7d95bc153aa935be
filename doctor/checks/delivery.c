/*
 * The whole way: one marked record through the relay, and whether every
 * destination took it, as the relay's own counters tell.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/http/client.h"
#include "core/otlp/wire.h"
#include "doctor/judge.h"
#include "doctor/probe.h"
#include "platform/platform.h"

enum { WAIT_MS = 8000, LOOK_MS = 100, METRICS_BYTES = 4 * 1024 * 1024 };

/* ---- One record ---- */

static bool put_attribute(struct buffer *out, uint32_t field, const char *key, const char *value)
{
    struct buffer text = {.max_bytes = 1024}, pair = {.max_bytes = 2048};
    bool ok = wire_put_bytes(&text, 1, bytes_of(value)) &&
              wire_put_bytes(&pair, 1, bytes_of(key)) &&
              wire_put_bytes(&pair, 2, buffer_bytes(&text)) &&
              wire_put_bytes(out, field, buffer_bytes(&pair));
    buffer_clear(&text);
    buffer_clear(&pair);
    return ok;
}

/* ExportLogsServiceRequest{resource_logs{resource, scope_logs{log_records{...}}}}. */
static bool make_request(const char *mark, uint64_t now_ns, struct buffer *out)
{
    struct buffer resource = {.max_bytes = 4096}, record = {.max_bytes = 4096};
    struct buffer scope = {.max_bytes = 8192}, all = {.max_bytes = 16384},
                  body = {.max_bytes = 256};
    bool ok = put_attribute(&resource, 1, "service.name", "claude-telemetry-doctor") &&
              wire_put_i64(&record, 1, now_ns) && wire_put_i64(&record, 11, now_ns) &&
              wire_put_bytes(&body, 1, bytes_of("claude_telemetry.doctor")) &&
              wire_put_bytes(&record, 5, buffer_bytes(&body)) &&
              put_attribute(&record, 6, "event.name", "claude_telemetry.doctor") &&
              put_attribute(&record, 6, "doctor.mark", mark) &&
              wire_put_bytes(&scope, 2, buffer_bytes(&record)) &&
              wire_put_bytes(&all, 1, buffer_bytes(&resource)) &&
              wire_put_bytes(&all, 2, buffer_bytes(&scope)) &&
              wire_put_bytes(out, 1, buffer_bytes(&all));
    buffer_clear(&resource);
    buffer_clear(&record);
    buffer_clear(&scope);
    buffer_clear(&all);
    buffer_clear(&body);
    return ok;
}

/* ---- The relay's counters ---- */

static bool read_metrics(const struct scene *scene, struct buffer *out)
{
    struct buffer headers = {.max_bytes = 64 * KIB};
    struct http_result result;
    char url[80];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/metrics", scene_relay_port(scene));
    struct http_call call = {.method = "GET", .url = url, .timeout_ms = 3000};
    buffer_reset(out);
    http_client_perform(&call, &result, out, &headers);
    bool ok = result.stage == HTTP_STAGE_DONE && result.status == 200 && buffer_text(out);
    buffer_clear(&headers);
    return ok;
}

static uint64_t counter(const struct buffer *metrics, const char *name, const char *destination)
{
    char line[200];
    snprintf(line, sizeof line, "claude_telemetry_%s{destination=\"%s\"} ", name, destination);
    const char *at = strstr((const char *)metrics->data, line);
    return at ? strtoull(at + strlen(line), NULL, 10) : 0;
}

struct awaited {
    const char *name;
    uint64_t sent_before;
    bool has_arrived;
};

/* Which destinations should take a log record now. */
static size_t await_which(const struct scene *scene, const struct buffer *metrics,
                          struct awaited list[AGENT_MAX_DESTINATIONS], struct finding *f)
{
    const struct config *values = scene->config->values;
    size_t count = 0;
    for (size_t i = 0; i < config_section_count(values, "destinations"); i++) {
        const struct config *d = config_section_at(values, "destinations", i);
        struct buffer url = {.max_bytes = 8 * KIB};
        bool takes = config_bool(d, "enabled") && agent_destination_url(d, "logs", &url);
        buffer_clear(&url);
        if (!takes)
            continue;
        const struct probe *p = probe_destination(scene->probes, i);
        const char *name = config_text(d, "name");
        if (p->broken != PROBE_DONE && p->broken != PROBE_CREDENTIAL)
            finding_add(f, CHECK_SKIP, NULL, "'%s' cannot take it: see destination.%s", name, name);
        else
            list[count++] =
                (struct awaited){.name = name,
                                 .sent_before =
                                     counter(metrics, "destination_sent_records_total", name)};
    }
    return count;
}

static bool all_arrived(const struct buffer *metrics, struct awaited *list, size_t count)
{
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        uint64_t sent = counter(metrics, "destination_sent_records_total", list[i].name);
        uint64_t waiting = counter(metrics, "destination_backlog_requests", list[i].name);
        list[i].has_arrived = sent > list[i].sent_before && waiting == 0;
        all = all && list[i].has_arrived;
    }
    return all;
}

static void send_and_await(const struct scene *scene, struct awaited *list, size_t count,
                           struct buffer *metrics, struct finding *f)
{
    char mark[PLATFORM_UUID_BYTES], url[80];
    const char *const headers[] = {"Content-Type: application/x-protobuf", NULL};
    struct buffer request = {.max_bytes = 32 * KIB}, body = {.max_bytes = 64 * KIB},
                  answer_headers = {.max_bytes = 64 * KIB};
    struct http_result result = {0};
    platform_uuid(mark);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/logs", scene_relay_port(scene));
    if (make_request(mark, clock_wall_ns(scene->clock), &request)) {
        struct http_call call = {.method = "POST",
                                 .url = url,
                                 .headers = headers,
                                 .body = buffer_bytes(&request),
                                 .timeout_ms = 5000};
        http_client_perform(&call, &result, &body, &answer_headers);
    }
    if (result.status != 200) {
        finding_add(f, CHECK_FAIL, "see relay.accepts", "the relay answered %d to a record: %s",
                    result.status, result.error ? result.error : "");
    } else {
        for (int waited = 0; waited < WAIT_MS && !all_arrived(metrics, list, count);
             waited += LOOK_MS) {
            nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * (long)NS_PER_MS}, NULL);
            if (!read_metrics(scene, metrics))
                break;
        }
        for (size_t i = 0; i < count; i++)
            if (list[i].has_arrived)
                finding_add(f, CHECK_OK, NULL, "'%s' took the record %s", list[i].name, mark);
            else
                finding_add(f, CHECK_FAIL,
                            "run: claude-telemetry-agent status    for what it says "
                            "of this destination",
                            "'%s' did not take the record %s within %d s", list[i].name, mark,
                            WAIT_MS / 1000);
    }
    buffer_clear(&request);
    buffer_clear(&body);
    buffer_clear(&answer_headers);
}

static void check_end_to_end(const struct scene *scene, const struct check_target *target,
                             struct finding *f)
{
    struct awaited list[AGENT_MAX_DESTINATIONS] = {0};
    struct buffer metrics = {.max_bytes = METRICS_BYTES};
    (void)target;
    if (!scene_has_agent(scene))
        finding_add(f, CHECK_SKIP, NULL, "no agent is configured on this machine");
    else if (probe_relay(scene->probes)->broken != PROBE_DONE)
        finding_add(f, CHECK_SKIP, NULL, "not reached: see relay.running");
    else if (probe_export(scene->probes)->broken != PROBE_DONE)
        finding_add(f, CHECK_SKIP, NULL, "not reached: see relay.accepts and relay.token");
    else if (!read_metrics(scene, &metrics))
        finding_add(f, CHECK_SKIP, NULL, "the relay does not tell its counters");
    else {
        size_t count = await_which(scene, &metrics, list, f);
        if (count > 0)
            send_and_await(scene, list, count, &metrics, f);
        else if (f->seen[0] == '\0')
            finding_add(f, CHECK_SKIP, NULL, "no destination takes log records");
    }
    buffer_clear(&metrics);
}

static const struct check checks[] = {
    {"delivery.end_to_end", "A record goes all the way",
     "every part may look well and a record still not arrive", check_end_to_end},
};
CHECK_FAMILY(delivery_checks, checks);
