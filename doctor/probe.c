#include "doctor/probe.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/http/client.h"
#include "core/http/date.h"
#include "core/otlp/answer.h"
#include "doctor/helper.h"
#include "doctor/judge.h"
#include "doctor/proxies.h"
#include "doctor/receiver.h"
#include "doctor/tls_fault.h"
#include "platform/platform.h"

enum { CONNECT_MS = 4000, WHOLE_MS = 8000, MAX_HEADERS = 64 };

/* One question that is asked once. */
struct question {
    pthread_mutex_t lock;
    bool is_asked;
    struct probe probe;
};

struct helper_question {
    pthread_mutex_t lock;
    bool is_asked;
    struct helper_answer answer;
};

struct probes {
    const struct scene *scene;
    struct question destinations[AGENT_MAX_DESTINATIONS];
    struct question relay, export, server, receiver;
    struct helper_question helpers[SCENE_MAX_VIEWS];
};

static void question_init(struct question *q)
{
    pthread_mutex_init(&q->lock, NULL);
}

struct probes *probes_create(const struct scene *scene)
{
    struct probes *p = xcalloc(1, sizeof *p);
    p->scene = scene;
    for (size_t i = 0; i < AGENT_MAX_DESTINATIONS; i++)
        question_init(&p->destinations[i]);
    question_init(&p->relay);
    question_init(&p->export);
    question_init(&p->server);
    question_init(&p->receiver);
    for (size_t i = 0; i < SCENE_MAX_VIEWS; i++)
        pthread_mutex_init(&p->helpers[i].lock, NULL);
    return p;
}

void probes_destroy(struct probes *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < AGENT_MAX_DESTINATIONS; i++)
        pthread_mutex_destroy(&p->destinations[i].lock);
    pthread_mutex_destroy(&p->relay.lock);
    pthread_mutex_destroy(&p->export.lock);
    pthread_mutex_destroy(&p->server.lock);
    pthread_mutex_destroy(&p->receiver.lock);
    for (size_t i = 0; i < SCENE_MAX_VIEWS; i++) {
        pthread_mutex_destroy(&p->helpers[i].lock);
        helper_answer_clear(&p->helpers[i].answer);
    }
    free(p);
}

/* ---- What an answer means ---- */

static void broken(struct probe *out, enum probe_stage stage, const char *fix, const char *seen,
                   ...) PRINTF_LIKE(4, 5);
static void broken(struct probe *out, enum probe_stage stage, const char *fix, const char *seen,
                   ...)
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
static const char *proxy_of(const struct probe_call *call, char out[200])
{
    const char *proxy = call->proxy;
    if (!proxy) {
        const char *name = proxies_variable(call->url, PROXIES_OF_CURL, environment_proxy, NULL);
        proxy = name ? getenv(name) : "";
    }
    bool is_local = strstr(call->url, "://127.") || strstr(call->url, "://localhost") ||
                    strstr(call->url, "://[::1]");
    if (!*proxy || is_local)
        return NULL;
    shown_proxy(proxy, out);
    return out;
}

static void no_connection(const struct http_result *result, const char *host, const char *port,
                          const char *proxy, struct probe *out)
{
    char fix[600];
    bool refused = strstr(result->error, "CONNECT tunnel failed") ||
                   strstr(result->error, "from proxy after CONNECT");
    if (proxy && strstr(result->error, "407"))
        broken(out, PROBE_TCP,
               "put the proxy's user and password into HTTPS_PROXY, before its host",
               "the proxy '%s' wants a password (407)", proxy);
    else if (proxy && refused) {
        snprintf(fix, sizeof fix,
                 "let the proxy '%s' connect to port %s of '%s', or name the host in NO_PROXY",
                 proxy, port, host);
        broken(out, PROBE_TCP, fix, "the proxy '%s' refuses to connect to '%s': %s", proxy, host,
               result->error);
    } else if (proxy) {
        snprintf(fix, sizeof fix,
                 "correct the proxy's address, or name '%s' in NO_PROXY where no proxy is needed",
                 host);
        broken(out, PROBE_TCP, fix, "no connection to the proxy '%s': %s", proxy, result->error);
    } else {
        snprintf(fix, sizeof fix,
                 "start the receiver, or let port %s of '%s' through the firewall; behind a proxy "
                 "set HTTPS_PROXY for the agent",
                 port, host);
        broken(out, PROBE_TCP, fix, "no connection to port %s of '%s': %s", port, host,
               result->error);
    }
}

static void no_answer(const struct probe_call *call, const struct http_result *result,
                      const struct http_certificate *certificate, struct probe *out)
{
    char host[256], port[16], fix[600], named[200];
    const char *proxy = proxy_of(call, named);
    origin_of(call->url, host, port);
    switch (result->stage) {
    case HTTP_STAGE_RESOLVE:
        if (proxy && strstr(result->error, "proxy")) {
            broken(out, PROBE_DNS, "correct the proxy's name, or check this machine's DNS",
                   "the name of the proxy '%s' is not known: %s", proxy, result->error);
            break;
        }
        snprintf(fix, sizeof fix,
                 "correct the host name, or check this machine's DNS: getent hosts %s", host);
        broken(out, PROBE_DNS, fix, "the name '%s' is not known: %s", host, result->error);
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
        if (call->is_grpc && result->duration_ms < CONNECT_MS) {
            broken(out, PROBE_ACCEPTS,
                   "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or name the receiver's gRPC "
                   "port (usually 4317)",
                   "connected to port %s of '%s', but no gRPC is spoken there: %s", port, host,
                   result->error);
            break;
        }
        if (strstr(result->error, "HTTP/0.9")) {
            broken(out, PROBE_ACCEPTS,
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
        broken(out, PROBE_ACCEPTS, fix, "connected, but %s", result->error);
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
        broken(out, PROBE_ACCEPTS,
               "open the address in a browser: sign in to the network's portal, or correct the "
               "endpoint",
               "%d, but with a web page: a captive portal or another service answers",
               result->status);
        return;
    }
    (void)otlp_encoding_of(type, &encoding);
    if (!call->is_get && otlp_read_response(encoding, result->body, &partial) &&
        (partial.rejected > 0 || partial.message.len > 0)) {
        broken(out, PROBE_ACCEPTS, "ask the receiver's operator what it rejects and why",
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
        broken(out, PROBE_AUTH, "",
               "answered gRPC status %ld: the credential is missing, wrong or revoked: %.*s",
               status, said, words);
    else if (status == UNAVAILABLE || status == EXHAUSTED)
        broken(out, PROBE_ACCEPTS, "look at the receiver's own health and limits",
               "answered gRPC status %ld: it takes nothing now: %.*s", status, said, words);
    else if (status == UNIMPLEMENTED)
        broken(out, PROBE_ACCEPTS, "correct the endpoint: it names another gRPC service",
               "answered gRPC status 12: there is no OTLP receiver: %.*s", said, words);
    else if (status > 0)
        broken(out, PROBE_ACCEPTS, "ask the receiver's operator why it refuses an empty export",
               "answered gRPC status %ld: %.*s", status, said, words);
    else
        broken(out, PROBE_ACCEPTS,
               "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or name the receiver's gRPC port",
               "answered %d over HTTP/2, but no gRPC is spoken there", result->status);
}

static void judge_answer(const struct probe_call *call, const struct http_result *result,
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
        broken(out, PROBE_AUTH, "", "answered %d: the credential is missing, wrong or revoked%s",
               result->status, text);
    else if (result->status == 407)
        broken(out, PROBE_TCP, "set the proxy's user and password in HTTPS_PROXY",
               "the proxy wants a password (407)");
    else if (result->status >= 300 && result->status < 400)
        broken(out, PROBE_ACCEPTS, "set the endpoint to the address it names",
               "answered %d, a redirect to '%.*s', which no client follows", result->status,
               (int)(location.len > 200 ? 200 : location.len), (const char *)location.data);
    else if (result->status == 404 || result->status == 405)
        broken(out, PROBE_ACCEPTS,
               "correct the endpoint's path: for OTLP/HTTP it ends in /v1/logs, /v1/metrics and "
               "/v1/traces",
               "answered %d: there is no OTLP receiver at this path%s", result->status, text);
    else if (result->status == 429 || result->status >= 500)
        broken(out, PROBE_ACCEPTS, "look at the receiver's own health and limits",
               "answered %d: it takes nothing now%s", result->status, text);
    else if (result->status < 200 || result->status >= 300)
        broken(out, PROBE_ACCEPTS, "ask the receiver's operator why it refuses an empty export",
               "answered %d%s", result->status, text);
    else
        judge_success(call, result, out);
}

void probe_perform(const struct probe_call *call, const struct clock *clock, struct probe *out)
{
    struct buffer body = {.max_bytes = MIB}, headers = {.max_bytes = 64 * KIB};
    struct http_result result;
    struct http_certificate certificate = {0};
    static const uint8_t empty_message[5] = {0}; /* not compressed, of length 0 */
    struct http_call request = {.method = call->is_get ? "GET" : "POST",
                                .url = call->url,
                                .headers = call->headers,
                                .body = call->is_grpc ? bytes_make(empty_message, 5)
                                                      : bytes_of(call->body),
                                .is_grpc = call->is_grpc,
                                .ca_file = call->ca_file,
                                .proxy = call->proxy,
                                .certificate = &certificate,
                                .timeout_ms = WHOLE_MS,
                                .connect_timeout_ms = CONNECT_MS};
    snprintf(out->url, sizeof out->url, "%s", call->url);
    out->is_tls = strncmp(call->url, "https:", 6) == 0;
    http_client_perform(&request, &result, &body, &headers);
    out->duration_ms = result.duration_ms;
    out->status = result.status;
    if (result.stage == HTTP_STAGE_DONE) {
        uint64_t said = 0, now = clock_wall_ns(clock);
        out->has_time = http_date_parse(http_result_header(&result, "Date"), &said);
        if (out->has_time)
            out->skew_s = (int64_t)said - (int64_t)(now / NS_PER_S);
        if (call->is_grpc && result.status == 200)
            judge_grpc(&result, out);
        else
            judge_answer(call, &result, out);
    } else {
        no_answer(call, &result, &certificate, out);
    }
    buffer_clear(&body);
    buffer_clear(&headers);
}

void probe_perform_timed(const struct probe_call *call, const struct clock *clock,
                         struct probe *out)
{
    struct probe again = {0};
    probe_perform(call, clock, out);
    if (out->broken != PROBE_DONE || out->duration_ms <= PROBE_SLOW_MS)
        return;
    probe_perform(call, clock, &again);
    if (again.broken != PROBE_DONE || again.duration_ms < out->duration_ms)
        *out = again;
}

/* ---- Whom to ask ---- */

/* The header lines of a destination, credentials filled in; each is the caller's. */
static bool make_headers(const struct scene *scene, const struct config *destination,
                         char *lines[MAX_HEADERS + 2], struct error *err)
{
    size_t count = config_map_count(destination, "headers"), n = 0;
    lines[n++] = xstrdup("Content-Type: application/x-protobuf");
    for (size_t i = 0; i < count && i < MAX_HEADERS; i++) {
        const char *text, *name = config_map_at(destination, "headers", i, &text);
        struct buffer value = {.max_bytes = 16 * KIB};
        struct relay_person person = {0};
        const struct local_users *users = accounts_users(scene->accounts);
        for (size_t u = 0; u < users->count && !person.email[0]; u++)
            if (users->list[u].email) {
                snprintf(person.email, sizeof person.email, "%s", users->list[u].email);
                snprintf(person.local_user, sizeof person.local_user, "%s", users->list[u].name);
            }
        bool ok = accounts_expand(scene->accounts, text, &person, &value, err);
        if (ok)
            lines[n++] = xasprintf("%s: %s", name, buffer_text(&value));
        buffer_clear(&value);
        if (!ok)
            return error_wrap(err, "header %s", name);
    }
    return true;
}

static void wipe(char *lines[MAX_HEADERS + 2])
{
    for (size_t i = 0; i < MAX_HEADERS + 2 && lines[i]; i++)
        free(lines[i]);
}

static bool destination_url(const struct scene *scene, const struct config *destination, char *url,
                            size_t size, struct error *err)
{
    struct buffer template = {.max_bytes = 8 * KIB}, text = {.max_bytes = 8 * KIB};
    bool found = false;
    for (size_t i = 0; i < 3 && !found; i++) {
        buffer_reset(&template);
        found = agent_destination_url(destination, judge_signals[i], &template) &&
                buffer_text(&template);
    }
    bool ok = found ? accounts_expand(scene->accounts, buffer_text(&template), NULL, &text, err)
                    : error_set(err, FAIL_INVALID, "it takes no signal");
    if (ok)
        snprintf(url, size, "%s", buffer_text(&text));
    buffer_clear(&template);
    buffer_clear(&text);
    return ok;
}

/* The company's authority counts for every destination without one, as in the relay. */
static char *rooted_ca(const struct scene *scene, const char *path)
{
    if (!path)
        path = config_text(scene->config->values, "server.ca_file");
    return path ? platform_under_root(scene->root, path) : NULL;
}

static void ask_destination(const struct scene *scene, size_t index, struct probe *out)
{
    const struct config *d = config_section_at(scene->config->values, "destinations", index);
    char *lines[MAX_HEADERS + 2] = {0};
    struct error err = {0};
    struct probe_call call = {.headers = (const char *const *)lines};
    char url[600];
    if (!scene->accounts || !destination_url(scene, d, url, sizeof url, &err)) {
        broken(out, PROBE_CREDENTIAL, err.remedy, "%s", err.cause);
        return;
    }
    bool shown = make_headers(scene, d, lines, &err);
    if (!shown) { /* still worth asking how far one gets */
        wipe(lines);
        memset(lines, 0, sizeof lines);
        lines[0] = xstrdup("Content-Type: application/x-protobuf");
    }
    char *ca_file = rooted_ca(scene, config_text(d, "ca_file"));
    call.url = url;
    call.ca_file = ca_file;
    call.proxy = config_text(d, "proxy");
    if (!call.proxy)
        call.proxy = proxies_of_agent(scene, url);
    probe_perform(&call, scene->clock, out);
    free(ca_file);
    if (!shown && out->broken >= PROBE_AUTH) {
        broken(out, PROBE_CREDENTIAL, err.remedy, "%s", err.cause);
        if (err.kind == FAIL_DENIED)
            snprintf(out->fix, sizeof out->fix, "run the doctor with sudo");
    }
    wipe(lines);
}

static void ask_relay(const struct scene *scene, struct probe *out)
{
    char url[80];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/healthz", scene_relay_port(scene));
    struct probe_call call = {.url = url, .is_get = true};
    probe_perform(&call, scene->clock, out);
}

/* Of the first person whose settings name one. */
bool probe_relay_token_line(const struct scene *scene, char out[PROBE_LINE_BYTES])
{
    static const char name[] = "X-Relay-Token=";
    for (size_t i = 0; i < scene->view_count; i++) {
        const char *headers = view_value(scene->views[i], "OTEL_EXPORTER_OTLP_HEADERS");
        const char *token = headers ? strstr(headers, name) : NULL;
        if (!token)
            continue;
        token += strlen(name);
        snprintf(out, PROBE_LINE_BYTES, "X-Relay-Token: %.*s", (int)strcspn(token, ","), token);
        return true;
    }
    return false;
}

static void ask_export(const struct scene *scene, struct probe *out)
{
    char url[80], header[PROBE_LINE_BYTES];
    const char *lines[] = {"Content-Type: application/x-protobuf", NULL, NULL};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/logs", scene_relay_port(scene));
    if (probe_relay_token_line(scene, header))
        lines[1] = header;
    struct probe_call call = {.url = url, .headers = lines};
    probe_perform_timed(&call, scene->clock, out);
    if (out->broken == PROBE_DONE && out->duration_ms > PROBE_SLOW_MS)
        broken(out, PROBE_ACCEPTS, "look at the disk that holds the spool: iostat -x 1 5",
               "it took %u ms to answer; Claude Code waits 2 s in all at its end and loses what "
               "is not taken by then",
               (unsigned)out->duration_ms);
}

static void ask_server(const struct scene *scene, struct probe *out)
{
    char *url = agent_server_url(scene->config->values, "/healthz");
    char *ca_file = rooted_ca(scene, NULL);
    struct probe_call call = {.url = url,
                              .is_get = true,
                              .ca_file = ca_file,
                              .proxy = proxies_of_agent(scene, url)};
    probe_perform(&call, scene->clock, out);
    free(ca_file);
    free(url);
}

/* Asks once; everybody else waits for the answer. */
static const struct probe *once(struct question *q, const struct scene *scene,
                                void (*ask)(const struct scene *scene, struct probe *out))
{
    pthread_mutex_lock(&q->lock);
    if (!q->is_asked)
        ask(scene, &q->probe);
    q->is_asked = true;
    pthread_mutex_unlock(&q->lock);
    return &q->probe;
}

const struct probe *probe_destination(struct probes *p, size_t index)
{
    struct question *q = &p->destinations[index];
    pthread_mutex_lock(&q->lock);
    if (!q->is_asked)
        ask_destination(p->scene, index, &q->probe);
    q->is_asked = true;
    pthread_mutex_unlock(&q->lock);
    return &q->probe;
}

const struct probe *probe_relay(struct probes *p)
{
    return once(&p->relay, p->scene, ask_relay);
}

const struct probe *probe_export(struct probes *p)
{
    return once(&p->export, p->scene, ask_export);
}

const struct probe *probe_server(struct probes *p)
{
    return once(&p->server, p->scene, ask_server);
}

const struct probe *probe_receiver(struct probes *p)
{
    return once(&p->receiver, p->scene, receiver_ask);
}

const struct helper_answer *probe_helper(struct probes *p, size_t view)
{
    struct helper_question *q = &p->helpers[view];
    pthread_mutex_lock(&q->lock);
    if (!q->is_asked)
        helper_ask(p->scene, p->scene->views[view], &q->answer);
    q->is_asked = true;
    pthread_mutex_unlock(&q->lock);
    return &q->answer;
}

void probe_each_helper_line(struct probes *p, void (*visit)(void *context, const char *line),
                            void *context)
{
    for (size_t v = 0; v < SCENE_MAX_VIEWS; v++) {
        struct helper_question *q = &p->helpers[v];
        if (pthread_mutex_trylock(&q->lock) != 0)
            continue; /* a check that was given up still waits for it */
        for (size_t i = 0; i < q->answer.count; i++)
            visit(context, q->answer.lines[i]);
        pthread_mutex_unlock(&q->lock);
    }
}

/* ---- Telling ---- */

void probe_tell(const struct probe *probe, enum probe_stage stage, const char *name,
                struct finding *f)
{
    static const char *const words[] = {[PROBE_CREDENTIAL] = "credential",
                                        [PROBE_DNS] = "dns",
                                        [PROBE_TCP] = "tcp",
                                        [PROBE_TLS] = "tls",
                                        [PROBE_AUTH] = "auth",
                                        [PROBE_ACCEPTS] = "accepts",
                                        [PROBE_DONE] = ""};
    if (stage == PROBE_TLS && !probe->is_tls && probe->broken > PROBE_TCP)
        finding_add(f, CHECK_SKIP, NULL, "'%s' is plain HTTP", probe->url);
    else if (probe->broken == PROBE_CREDENTIAL && stage >= PROBE_AUTH)
        finding_add(f, CHECK_SKIP, NULL, "the credential could not be read: %s", probe->seen);
    else if (probe->broken == stage)
        finding_add(f, CHECK_FAIL, probe->fix, "'%s': %s", probe->url, probe->seen);
    else if (probe->broken != PROBE_CREDENTIAL && probe->broken < stage)
        finding_add(f, CHECK_SKIP, NULL, "not reached: see %s.%s", name, words[probe->broken]);
    else
        finding_add(f, CHECK_OK, NULL, "'%s': %s", probe->url,
                    probe->broken == PROBE_DONE ? probe->seen : "fine up to here");
}
