/*
 * The whole way: one marked record through the relay, and whether every destination took it, as
 * the relay's own counters tell. Our server is asked itself whether the record is stored; of
 * others a 200 is the last that can be seen from here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/http/client.h"
#include "core/otlp/wire.h"
#include "doctor/arrival.h"
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
              put_attribute(&record, 6, "session.id", mark) && /* the server finds rows by it */
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

/* Of all signals together. */
static uint64_t received_requests(const struct buffer *metrics)
{
    static const char line[] = "claude_telemetry_received_requests_total{";
    uint64_t sum = 0;
    const char *at = (const char *)metrics->data;
    while ((at = strstr(at, line))) {
        at += strcspn(at, "}\n");
        sum += *at == '}' ? strtoull(at + 1, NULL, 10) : 0;
    }
    return sum;
}

/* ---- Who should take it ---- */

struct awaited {
    const char *name;
    bool is_server; /* ours: it can be asked */
    uint64_t sent_before, backlog_before, backlog;
    bool is_taken;
    enum arrival arrival; /* of our server, once it is taken */
    char reason[ARRIVAL_REASON_BYTES];
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
                                 .is_server = arrival_is_server(scene, d),
                                 .arrival = ARRIVAL_NOT_YET,
                                 .sent_before =
                                     counter(metrics, "destination_sent_records_total", name),
                                 .backlog_before =
                                     counter(metrics, "destination_backlog_requests", name)};
    }
    return count;
}

/*
 * The queue is first in, first out: once no more requests wait than came after the record, the
 * record is not among them, however busy the machine is.
 */
static void look(const struct buffer *metrics, uint64_t received_then, struct awaited *a)
{
    uint64_t sent = counter(metrics, "destination_sent_records_total", a->name);
    uint64_t received = received_requests(metrics);
    uint64_t later = received > received_then ? received - received_then : 0;
    a->backlog = counter(metrics, "destination_backlog_requests", a->name);
    a->is_taken = a->is_taken || (sent > a->sent_before && a->backlog <= later);
}

static bool is_settled(const struct awaited *a)
{
    return a->is_taken && !(a->is_server && a->arrival == ARRIVAL_NOT_YET);
}

static void await(const struct scene *scene, const char *mark, struct awaited *list, size_t count,
                  struct buffer *metrics)
{
    uint64_t start = clock_monotonic_ns(scene->clock), received_then = 0;
    bool all = false;
    for (bool first = true; !all; first = false) {
        if (!first)
            nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * (long)NS_PER_MS}, NULL);
        if (!read_metrics(scene, metrics))
            return;
        if (first)
            received_then = received_requests(metrics);
        all = true;
        for (size_t i = 0; i < count; i++) {
            look(metrics, received_then, &list[i]);
            if (list[i].is_taken && list[i].is_server && list[i].arrival == ARRIVAL_NOT_YET)
                list[i].arrival = arrival_ask(scene, mark, list[i].reason);
            all = all && is_settled(&list[i]);
        }
        if (clock_monotonic_ns(scene->clock) - start > WAIT_MS * NS_PER_MS)
            return;
    }
}

/* ---- Telling ---- */

static void tell(const struct awaited *a, const char *mark, struct finding *f)
{
    if (!a->is_taken && a->backlog_before > 1 && a->backlog < a->backlog_before)
        finding_add(f, CHECK_WARN, "wait for it, and run the doctor again",
                    "'%s' is catching up: %" PRIu64 " requests wait before the record %s", a->name,
                    a->backlog, mark);
    else if (!a->is_taken)
        finding_add(f, CHECK_FAIL,
                    "run: claude-telemetry-agent status    for what it says of this destination",
                    "'%s' did not take the record %s within %d s", a->name, mark, WAIT_MS / 1000);
    else if (!a->is_server)
        finding_add(f, CHECK_OK, NULL,
                    "'%s' took the record (what a foreign receiver keeps cannot be seen from "
                    "here): %s",
                    a->name, mark);
    else if (a->arrival == ARRIVAL_STORED)
        finding_add(f, CHECK_OK, NULL, "'%s' has stored the record %s", a->name, mark);
    else if (a->arrival == ARRIVAL_UNKNOWN)
        finding_add(f, CHECK_OK, NULL, "'%s' took the record, and %s: %s", a->name, a->reason,
                    mark);
    else
        finding_add(f, CHECK_FAIL,
                    "see whether destination and server.url lead to the same server, and look at "
                    "that server: claude-telemetry-server's log, and GET /readyz",
                    "'%s' answered 200 to the record %s, and the server has not stored it within "
                    "%d s",
                    a->name, mark, WAIT_MS / 1000);
}

static bool send_record(const struct scene *scene, const char *mark, struct finding *f)
{
    char url[80], token[PROBE_LINE_BYTES];
    const char *headers[] = {"Content-Type: application/x-protobuf", NULL, NULL};
    struct buffer request = {.max_bytes = 32 * KIB}, body = {.max_bytes = 64 * KIB},
                  answer_headers = {.max_bytes = 64 * KIB};
    struct http_result result = {.error = ""};
    if (probe_relay_token_line(scene, token))
        headers[1] = token;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/logs", scene_relay_port(scene));
    if (make_request(mark, clock_wall_ns(scene->clock), &request)) {
        struct http_call call = {.method = "POST",
                                 .url = url,
                                 .headers = headers,
                                 .body = buffer_bytes(&request),
                                 .timeout_ms = 5000};
        http_client_perform(&call, &result, &body, &answer_headers);
    }
    bool ok = result.status == 200;
    if (!ok)
        finding_add(f, CHECK_FAIL, "see relay.accepts", "the relay answered %d to a record: %s",
                    result.status, result.error);
    buffer_clear(&request);
    buffer_clear(&body);
    buffer_clear(&answer_headers);
    return ok;
}

static void check_end_to_end(const struct scene *scene, const struct check_target *target,
                             struct finding *f)
{
    struct awaited list[AGENT_MAX_DESTINATIONS];
    struct buffer metrics = {.max_bytes = METRICS_BYTES};
    (void)target;
    if (!scene_has_agent(scene))
        finding_add(f, CHECK_SKIP, NULL, "no agent is configured on this machine");
    else if (!scene_uses_relay(scene))
        finding_add(f, CHECK_SKIP, NULL,
                    "Claude Code sends past the relay (claude.mode: direct): see receiver.accepts");
    else if (probe_relay(scene->probes)->broken != PROBE_DONE)
        finding_add(f, CHECK_SKIP, NULL, "not reached: see relay.running");
    else if (probe_export(scene->probes)->broken != PROBE_DONE)
        finding_add(f, CHECK_SKIP, NULL, "not reached: see relay.accepts and relay.token");
    else if (!read_metrics(scene, &metrics))
        finding_add(f, CHECK_SKIP, NULL, "the relay does not tell its counters");
    else {
        char mark[PLATFORM_UUID_BYTES];
        size_t count = await_which(scene, &metrics, list, f);
        platform_uuid(mark);
        if (count > 0 && send_record(scene, mark, f)) {
            await(scene, mark, list, count, &metrics);
            for (size_t i = 0; i < count; i++)
                tell(&list[i], mark, f);
        } else if (f->seen[0] == '\0')
            finding_add(f, CHECK_SKIP, NULL, "no destination takes log records");
    }
    buffer_clear(&metrics);
}

static const struct check checks[] = {
    {"delivery.end_to_end", "A record goes all the way",
     "every part may look well and a record still not arrive", check_end_to_end},
};
CHECK_FAMILY(delivery_checks, checks);
