#include "doctor/receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doctor/format.h"
#include "doctor/judge.h"
#include "doctor/proxies.h"
#include "platform/platform.h"

enum { MAX_LINES = 32, SLOW_MS = 1500 };

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

const struct settings_view *receiver_view(const struct scene *scene, const char **signal,
                                          const char **reason)
{
    *reason = "Claude Code sends to the relay on this machine";
    if (scene_uses_relay(scene))
        return NULL;
    *reason = "no settings say where to send to";
    for (size_t v = 0; v < scene->view_count; v++) {
        const struct settings_view *view = scene->views[v];
        for (size_t i = 0; i < 3; i++) {
            const struct view_entry *protocol = view_signal(view, judge_signals[i], "PROTOCOL");
            if (judge_blocked(scene, view) || !judge_sends(view, judge_signals[i]) ||
                !is_well_formed(view, judge_signals[i]))
                continue;
            if (protocol && protocol->value && strcmp(protocol->value, "grpc") == 0) {
                *reason = "a receiver of gRPC is not asked";
                continue;
            }
            *signal = judge_signals[i];
            return view;
        }
    }
    return NULL;
}

static size_t make_lines(const char *headers, char *lines[MAX_LINES + 2])
{
    size_t n = 0;
    lines[n++] = xstrdup("Content-Type: application/x-protobuf");
    for (const char *at = headers; at && *at && n < MAX_LINES;) {
        size_t len = strcspn(at, ",");
        const char *equals = memchr(at, '=', len);
        if (equals)
            lines[n++] = xasprintf("%.*s: %.*s", (int)(equals - at), at,
                                   (int)(at + len - equals - 1), equals + 1);
        at += len + (at[len] == ',');
    }
    return n;
}

void receiver_ask(const struct scene *scene, struct probe *out)
{
    const char *signal, *reason;
    const struct settings_view *view = receiver_view(scene, &signal, &reason);
    struct buffer url = {.max_bytes = 8 * KIB};
    char *lines[MAX_LINES + 2] = {0};
    if (!view || !view_signal_url(view, signal, &url)) {
        out->broken = PROBE_DONE;
        buffer_clear(&url);
        return;
    }
    const struct view_entry *headers = view_signal(view, signal, "HEADERS");
    const char *extra = view_value(view, "NODE_EXTRA_CA_CERTS");
    char *ca_file = extra ? platform_under_root(scene->root, extra) : NULL;
    size_t count = make_lines(headers ? headers->value : NULL, lines);
    struct probe_call call = {.url = buffer_text(&url),
                              .headers = (const char *const *)lines,
                              .ca_file = ca_file,
                              .proxy = proxies_of_view(view, buffer_text(&url))};
    probe_perform(&call, scene->clock, out);
    if (out->broken == PROBE_TLS && strstr(out->fix, "ca_file"))
        snprintf(out->fix, sizeof out->fix,
                 "put the authority's PEM file on this machine and name it in NODE_EXTRA_CA_CERTS, "
                 "beside the endpoint");
    if (out->broken == PROBE_DONE && out->duration_ms > SLOW_MS) {
        out->broken = PROBE_ACCEPTS;
        snprintf(out->seen, sizeof out->seen,
                 "it took %u ms to answer: Claude Code waits 2 s in all at its end, and loses what "
                 "is not taken by then",
                 (unsigned)out->duration_ms);
        snprintf(out->fix, sizeof out->fix,
                 "let Claude Code send to the relay on this machine: claude.mode: relay");
    }
    for (size_t i = 0; i < count; i++)
        free(lines[i]);
    free(ca_file);
    buffer_clear(&url);
}
