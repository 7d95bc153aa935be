#include "doctor/receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "doctor/format.h"
#include "doctor/helper.h"
#include "doctor/judge.h"
#include "doctor/proxies.h"
#include "platform/platform.h"

enum { MAX_LINES = 64 };

/* Its own checks say what is wrong with the form; asking would only say it again. */
static bool is_well_formed(const struct settings_view *view, const char *signal)
{
    const struct view_entry *endpoint = view_signal(view, signal, "ENDPOINT");
    const struct view_entry *protocol = view_signal(view, signal, "PROTOCOL");
    const struct view_entry *headers = view_signal(view, signal, "HEADERS");
    const char *own =
        endpoint && strcmp(endpoint->name, "OTEL_EXPORTER_OTLP_ENDPOINT") != 0 ? signal : NULL;
    return endpoint && endpoint->value &&
           !format_endpoint(endpoint->value, own, protocol ? protocol->value : NULL).is_bad &&
           !(protocol && protocol->value && format_protocol(protocol->value).is_bad) &&
           !(headers && headers->value && format_headers(headers->value).is_bad);
}

static bool is_grpc(const struct settings_view *view, const char *signal)
{
    const struct view_entry *protocol = view_signal(view, signal, "PROTOCOL");
    return protocol && protocol->value && strcmp(protocol->value, "grpc") == 0;
}

bool receiver_find(const struct scene *scene, struct receiver *out, const char **reason)
{
    *reason = "Claude Code sends to the relay on this machine";
    if (scene_uses_relay(scene))
        return false;
    *reason = "no settings say where to send to";
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < 3; i++) {
            const struct settings_view *view = scene->views[v];
            const char *signal = judge_signals[i];
            if (judge_blocked(scene, view) || !judge_sends(view, signal) ||
                !is_well_formed(view, signal))
                continue;
            *out = (struct receiver){view, v, signal, is_grpc(view, signal)};
            return true;
        }
    return false;
}

/* ---- What is shown ---- */

struct lines {
    char *list[MAX_LINES + 1]; /* NULL-terminated */
    size_t count;
};

static void add_line(struct lines *l, char *line)
{
    if (l->count < MAX_LINES)
        l->list[l->count++] = line;
    else
        free(line);
}

static void add_pairs(struct lines *l, const char *headers)
{
    for (const char *at = headers; at && *at;) {
        size_t len = strcspn(at, ",");
        const char *equals = memchr(at, '=', len);
        if (equals)
            add_line(l, xasprintf("%.*s: %.*s", (int)(equals - at), at,
                                  (int)(at + len - equals - 1), equals + 1));
        at += len + (at[len] == ',');
    }
}

/* What the helper prints stands in for what the settings say of the same name. */
static void add_helpers(struct lines *l, const struct helper_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        size_t len = strcspn(answer->lines[i], ":") + 1;
        for (size_t k = 0; k < l->count; k++)
            if (strncasecmp(l->list[k], answer->lines[i], len) == 0) {
                free(l->list[k]);
                l->list[k--] = l->list[--l->count];
                l->list[l->count] = NULL;
            }
        add_line(l, xstrdup(answer->lines[i]));
    }
}

static void make_lines(const struct scene *scene, const struct receiver *r, struct lines *l)
{
    const struct view_entry *headers = view_signal(r->view, r->signal, "HEADERS");
    add_line(l, xstrdup(r->is_grpc ? "Content-Type: application/grpc"
                                   : "Content-Type: application/x-protobuf"));
    add_pairs(l, headers ? headers->value : NULL);
    if (r->is_grpc) /* does not ask a helper */
        add_line(l, xstrdup("TE: trailers"));
    else
        add_helpers(l, probe_helper(scene->probes, r->view_index));
}

static char *authority_file(const struct scene *scene, const struct receiver *r)
{
    const char *path = view_value(r->view, "NODE_EXTRA_CA_CERTS");
    const struct view_entry *own = view_signal(r->view, r->signal, "CERTIFICATE");
    if (r->is_grpc && own && own->value)
        path = own->value;
    return path ? platform_under_root(scene->root, path) : NULL;
}

/* The address of a signal's gRPC method, of an endpoint that names the server. */
static bool grpc_url(const struct receiver *r, struct buffer *out)
{
    static const char *const methods[] = {"logs.v1.LogsService", "metrics.v1.MetricsService",
                                          "trace.v1.TraceService"};
    const struct view_entry *endpoint = view_signal(r->view, r->signal, "ENDPOINT");
    size_t signal = 0;
    while (strcmp(judge_signals[signal], r->signal) != 0)
        signal++;
    const char *host = endpoint ? strstr(endpoint->value, "://") : NULL;
    if (!host)
        return false;
    size_t len = (size_t)(host + 3 - endpoint->value) + strcspn(host + 3, "/?#");
    return buffer_append_format(out, "%.*s/opentelemetry.proto.collector.%s/Export", (int)len,
                                endpoint->value, methods[signal]) &&
           buffer_text(out);
}

static void judge_pace(struct probe *out)
{
    if (out->broken != PROBE_DONE || out->answer_ms <= PROBE_SLOW_MS)
        return;
    out->broken = PROBE_ACCEPTS;
    snprintf(out->seen, sizeof out->seen,
             "it took %u ms to answer: Claude Code waits 2 s in all at its end, and loses what "
             "is not taken by then",
             (unsigned)out->answer_ms);
    snprintf(out->fix, sizeof out->fix,
             "let Claude Code send to the relay on this machine: claude.mode: relay");
}

/* Without the helper's headers a refusal says nothing. */
static void judge_credential(const struct scene *scene, const struct receiver *r, struct probe *out)
{
    const struct helper_answer *answer = probe_helper(scene->probes, r->view_index);
    if (r->is_grpc || out->broken != PROBE_AUTH || answer->state == HELPER_NONE ||
        answer->state == HELPER_GOOD)
        return;
    out->broken = PROBE_CREDENTIAL;
    snprintf(out->seen, sizeof out->seen,
             "the headers come from otelHeadersHelper, see "
             "settings.helper");
    out->fix[0] = '\0';
}

void receiver_ask(const struct scene *scene, struct probe *out)
{
    const char *reason;
    struct receiver r;
    struct lines lines = {0};
    struct buffer url = {.max_bytes = 8 * KIB};
    out->broken = PROBE_DONE;
    bool found = receiver_find(scene, &r, &reason) &&
                 (r.is_grpc ? grpc_url(&r, &url) : view_signal_url(r.view, r.signal, &url));
    if (found) {
        char *ca_file = authority_file(scene, &r);
        make_lines(scene, &r, &lines);
        struct probe_call call = {.url = buffer_text(&url),
                                  .headers = (const char *const *)lines.list,
                                  .ca_file = ca_file,
                                  .proxy = proxies_of_view(r.view, buffer_text(&url)),
                                  .is_grpc = r.is_grpc};
        probe_perform_timed(&call, scene->clock, out);
        if (out->broken == PROBE_TLS && strstr(out->fix, "ca_file"))
            snprintf(out->fix, sizeof out->fix,
                     "put the authority's PEM file on this machine and name it in %s, beside the "
                     "endpoint",
                     r.is_grpc ? "OTEL_EXPORTER_OTLP_CERTIFICATE" : "NODE_EXTRA_CA_CERTS");
        judge_pace(out);
        judge_credential(scene, &r, out);
        free(ca_file);
    }
    for (size_t i = 0; i < lines.count; i++)
        free(lines.list[i]);
    buffer_clear(&url);
}
