#include "doctor/probe_answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/otlp/answer.h"
#include "doctor/format.h"
#include "doctor/proxies.h"
#include "doctor/tls_fault.h"

enum { AT_ONCE_MS = 4000 }; /* sooner than this it is no time-out */

void probe_broken(struct probe *out, enum probe_stage stage, const char *fix, const char *seen, ...)
{
    va_list args;
    out->broken = stage;
    snprintf(out->fix, sizeof out->fix, "%s", fix);
    va_start(args, seen);
    vsnprintf(out->seen, sizeof out->seen, seen, args);
    va_end(args);
}

static void origin_of(const char *url, char host[256], char port[16])
{
    const char *at = strstr(url, "://");
    at = at ? at + 3 : url;
    size_t len = strcspn(at, "/?#");
    const char *colon = NULL;
    for (size_t i = 0; i < len; i++)
        colon = at[i] == ':' ? at + i : at[i] == ']' ? NULL : colon;
    size_t host_len = colon ? (size_t)(colon - at) : len;
    snprintf(host, 256, "%.*s", (int)host_len, at);
    if (colon)
        snprintf(port, 16, "%.*s", (int)(at + len - colon - 1), colon + 1);
    else
        snprintf(port, 16, "%s", strncmp(url, "https:", 6) == 0 ? "443" : "80");
}

/* "http://proxy.example:3128", without user and password. */
static void shown_proxy(const char *proxy, char out[200])
{
    const char *host = strstr(proxy, "://"), *user;
    host = host ? host + 3 : proxy;
    user = strrchr(host, '@');
    snprintf(out, 200, "%.*s%.150s", (int)(host - proxy), proxy, user ? user + 1 : host);
}

static const char *environment_proxy(const void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

/* The proxy that carried the call; NULL when none did. */
static const char *proxy_of(const struct probe_call *call, struct platform_proxy *system,
                            char out[200])
{
    const char *proxy = call->proxy;
    *system = (struct platform_proxy){0};
    if (!proxy) {
        const char *name = proxies_variable(call->url, PROXIES_OF_CURL, environment_proxy, NULL);
        proxy = name ? getenv(name) : proxies_of_system(call->url, system);
    } else if (call->source) {
        snprintf(system->source, sizeof system->source, "%s", call->source);
    }
    if (!*proxy || format_is_local(call->url))
        return NULL;
    shown_proxy(proxy, out);
    return out;
}

static void tell_proxy(const struct probe_call *call, struct probe *out)
{
    struct platform_proxy system;
    char named[200];
    if (proxy_of(call, &system, named))
        snprintf(out->through, sizeof out->through, " through the proxy '%s'%s%s%s", named,
                 system.source[0] ? " (" : "", system.source, system.source[0] ? ")" : "");
    else if (system.problem[0])
        snprintf(out->through, sizeof out->through, " without a proxy; %s", system.problem);
}

static void no_connection(const struct http_result *result, const char *host, const char *port,
                          const char *proxy, struct probe *out)
{
    char fix[600];
    bool refused = strstr(result->error, "CONNECT tunnel failed") ||
                   strstr(result->error, "from proxy after CONNECT");
    if (proxy && strstr(result->error, "407"))
        probe_broken(out, PROBE_TCP,
                     "put the proxy's user and password into HTTPS_PROXY, before its host",
                     "the proxy '%s' wants a password (407)", proxy);
    else if (proxy && refused) {
        snprintf(fix, sizeof fix,
                 "let the proxy '%s' connect to port %s of '%s', or name the host in NO_PROXY",
                 proxy, port, host);
        probe_broken(out, PROBE_TCP, fix, "the proxy '%s' refuses to connect to '%s': %s", proxy,
                     host, result->error);
    } else if (proxy) {
        snprintf(fix, sizeof fix,
                 "correct the proxy's address, or name '%s' in NO_PROXY where no proxy is needed",
                 host);
        probe_broken(out, PROBE_TCP, fix, "no connection to the proxy '%s': %s", proxy,
                     result->error);
    } else {
        snprintf(fix, sizeof fix,
                 "start the receiver, or let port %s of '%s' through the firewall; behind a proxy "
                 "set HTTPS_PROXY for the agent",
                 port, host);
        probe_broken(out, PROBE_TCP, fix, "no connection to port %s of '%s': %s", port, host,
                     result->error);
    }
}

static void no_answer(const struct probe_call *call, const struct http_result *result,
                      const struct http_certificate *certificate, struct probe *out)
{
    char host[256], port[16], fix[600], named[200];
    struct platform_proxy system;
    const char *proxy = proxy_of(call, &system, named);
    origin_of(call->url, host, port);
    switch (result->stage) {
    case HTTP_STAGE_RESOLVE:
        if (proxy && strstr(result->error, "proxy")) {
            probe_broken(out, PROBE_DNS, "correct the proxy's name, or check this machine's DNS",
                         "the name of the proxy '%s' is not known: %s", proxy, result->error);
            break;
        }
        snprintf(fix, sizeof fix,
                 "correct the host name, or check this machine's DNS: getent hosts %s", host);
        probe_broken(out, PROBE_DNS, fix, "the name '%s' is not known: %s", host, result->error);
        break;
    case HTTP_STAGE_CONNECT:
        no_connection(result, host, port, proxy, out);
        break;
    case HTTP_STAGE_TLS: {
        const struct tls_fault fault = {.certificate = certificate,
                                        .error = result->error,
                                        .host = host,
                                        .port = port,
                                        .proxy = proxy,
                                        .ca_file = call->ca_file};
        out->broken = PROBE_TLS;
        tls_fault_tell(&fault, out->seen, sizeof out->seen, out->fix, sizeof out->fix);
        break;
    }
    default:
        if (call->is_grpc && result->duration_ms < AT_ONCE_MS) {
            probe_broken(
                out, PROBE_ACCEPTS,
                "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or name the receiver's gRPC "
                "port (usually 4317)",
                "connected to port %s of '%s', but no gRPC is spoken there: %s", port, host,
                result->error);
            break;
        }
        if (strstr(result->error, "HTTP/0.9")) {
            probe_broken(
                out, PROBE_ACCEPTS,
                "set OTEL_EXPORTER_OTLP_PROTOCOL to grpc, or name the receiver's HTTP port "
                "(usually 4318)",
                "connected to port %s of '%s', but no HTTP/1.1 is spoken there, as on a gRPC "
                "port",
                port, host);
            break;
        }
        snprintf(fix, sizeof fix,
                 "look at the receiver on port %s of '%s': it takes connections "
                 "and does not answer them",
                 port, host);
        probe_broken(out, PROBE_ACCEPTS, fix, "connected, but %s", result->error);
    }
}

static bool is_web_page(const struct http_result *result)
{
    struct bytes type = http_result_header(result, "Content-Type");
    struct bytes body = result->body;
    while (body.len > 0 && strchr(" \t\r\n", body.data[0])) {
        body.data++;
        body.len--;
    }
    return bytes_starts_with(type, "text/html") || bytes_starts_with(body, "<");
}

static void judge_success(const struct probe_call *call, const struct http_result *result,
                          struct probe *out)
{
    struct otlp_partial_success partial = {0};
    struct bytes type = http_result_header(result, "Content-Type");
    enum otlp_encoding encoding = OTLP_PROTOBUF;
    if (is_web_page(result)) {
        probe_broken(
            out, PROBE_ACCEPTS,
            "open the address in a browser: sign in to the network's portal, or correct the "
            "endpoint",
            "%d, but with a web page: a captive portal or another service answers", result->status);
        return;
    }
    (void)otlp_encoding_of(type, &encoding);
    if (!call->is_get && otlp_read_response(encoding, result->body, &partial) &&
        (partial.rejected > 0 || partial.message.len > 0)) {
        probe_broken(out, PROBE_ACCEPTS, "ask the receiver's operator what it rejects and why",
                     "%d, but it rejects records: %.*s", result->status,
                     (int)(partial.message.len > 300 ? 300 : partial.message.len),
                     (const char *)partial.message.data);
        return;
    }
    out->broken = PROBE_DONE;
    snprintf(out->seen, sizeof out->seen, "answered %d in %u ms", result->status,
             (unsigned)result->duration_ms);
}

/* gRPC tells how it went in a trailer of a 200: status codes of grpc/grpc doc/statuscodes.md. */
static void judge_grpc(const struct http_result *result, struct probe *out)
{
    enum {
        PERMISSION_DENIED = 7,
        EXHAUSTED = 8,
        UNIMPLEMENTED = 12,
        UNAVAILABLE = 14,
        UNAUTHENTICATED = 16
    };
    struct bytes code = http_result_header(result, "grpc-status");
    struct bytes message = http_result_header(result, "grpc-message");
    int said = message.len > 200 ? 200 : (int)message.len;
    long status = code.len > 0 && code.len < 4 ? strtol((const char *)code.data, NULL, 10) : -1;
    const char *words = said > 0 ? (const char *)message.data : "";
    if (status == 0) {
        out->broken = PROBE_DONE;
        snprintf(out->seen, sizeof out->seen, "answered gRPC status 0 in %u ms",
                 (unsigned)result->duration_ms);
    } else if (status == UNAUTHENTICATED || status == PERMISSION_DENIED)
        probe_broken(out, PROBE_AUTH, "put a valid credential where this one comes from",
                     "answered gRPC status %ld: the credential is missing, wrong or revoked: %.*s",
                     status, said, words);
    else if (status == UNAVAILABLE || status == EXHAUSTED)
        probe_broken(out, PROBE_ACCEPTS, "look at the receiver's own health and limits",
                     "answered gRPC status %ld: it takes nothing now: %.*s", status, said, words);
    else if (status == UNIMPLEMENTED)
        probe_broken(out, PROBE_ACCEPTS, "correct the endpoint: it names another gRPC service",
                     "answered gRPC status 12: there is no OTLP receiver: %.*s", said, words);
    else if (status > 0)
        probe_broken(out, PROBE_ACCEPTS,
                     "ask the receiver's operator why it refuses an empty export",
                     "answered gRPC status %ld: %.*s", status, said, words);
    else
        probe_broken(
            out, PROBE_ACCEPTS,
            "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or name the receiver's gRPC port",
            "answered %d over HTTP/2, but no gRPC is spoken there", result->status);
}

static void judge_http(const struct probe_call *call, const struct http_result *result,
                       struct probe *out)
{
    enum otlp_encoding encoding = OTLP_PROTOBUF;
    struct bytes type = http_result_header(result, "Content-Type"), said = {0};
    struct bytes location = http_result_header(result, "Location");
    char text[240];
    if (otlp_encoding_of(type, &encoding))
        said = otlp_read_status_message(encoding, result->body);
    snprintf(text, sizeof text, "%s%.*s", said.len > 0 ? ": " : "",
             (int)(said.len > 200 ? 200 : said.len), said.len > 0 ? (const char *)said.data : "");

    if (result->status == 401 || result->status == 403)
        probe_broken(out, PROBE_AUTH, "put a valid credential where this one comes from",
                     "answered %d: the credential is missing, wrong or revoked%s", result->status,
                     text);
    else if (result->status == 407)
        probe_broken(out, PROBE_TCP, "set the proxy's user and password in HTTPS_PROXY",
                     "the proxy wants a password (407)");
    else if (result->status >= 300 && result->status < 400)
        probe_broken(out, PROBE_ACCEPTS, "set the endpoint to the address it names",
                     "answered %d, a redirect to '%.*s', which no client follows", result->status,
                     (int)(location.len > 200 ? 200 : location.len), (const char *)location.data);
    else if (result->status == 404 || result->status == 405)
        probe_broken(
            out, PROBE_ACCEPTS,
            "correct the endpoint's path: for OTLP/HTTP it ends in /v1/logs, /v1/metrics and "
            "/v1/traces",
            "answered %d: there is no OTLP receiver at this path%s", result->status, text);
    else if (result->status == 429 || result->status >= 500)
        probe_broken(out, PROBE_ACCEPTS, "look at the receiver's own health and limits",
                     "answered %d: it takes nothing now%s", result->status, text);
    else if (result->status < 200 || result->status >= 300)
        probe_broken(out, PROBE_ACCEPTS,
                     "ask the receiver's operator why it refuses an empty export", "answered %d%s",
                     result->status, text);
    else
        judge_success(call, result, out);
}

void probe_judge(const struct probe_call *call, const struct http_result *result,
                 const struct http_certificate *certificate, struct probe *out)
{
    tell_proxy(call, out);
    if (result->stage != HTTP_STAGE_DONE)
        no_answer(call, result, certificate, out);
    else if (call->is_grpc && result->status == 200)
        judge_grpc(result, out);
    else
        judge_http(call, result, out);
}
