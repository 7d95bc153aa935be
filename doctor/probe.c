#include "doctor/probe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/http/client.h"
#include "core/http/date.h"
#include "doctor/helper.h"
#include "doctor/judge.h"
#include "doctor/probe_answer.h"
#include "doctor/proxies.h"
#include "doctor/receiver.h"
#include "doctor/remedy.h"
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
    out->answer_ms = result.answer_ms;
    out->status = result.status;
    if (result.stage == HTTP_STAGE_DONE) {
        uint64_t said = 0, now = clock_wall_ns(clock);
        out->has_time = http_date_parse(http_result_header(&result, "Date"), &said);
        if (out->has_time)
            out->skew_s = (int64_t)said - (int64_t)(now / NS_PER_S);
    }
    probe_judge(call, &result, &certificate, out);
    buffer_clear(&body);
    buffer_clear(&headers);
}

void probe_perform_timed(const struct probe_call *call, const struct clock *clock,
                         struct probe *out)
{
    struct probe again = {0};
    probe_perform(call, clock, out);
    if (out->broken != PROBE_DONE || out->answer_ms <= PROBE_SLOW_MS)
        return;
    probe_perform(call, clock, &again);
    if (again.broken != PROBE_DONE || again.answer_ms < out->answer_ms)
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
    return path ? config_path_under(scene->root, path) : NULL;
}

static void ask_destination(const struct scene *scene, size_t index, struct probe *out)
{
    const struct config *d = config_section_at(scene->config->values, "destinations", index);
    char *lines[MAX_HEADERS + 2] = {0};
    struct error err = {0};
    struct probe_call call = {.headers = (const char *const *)lines};
    char url[600], rights[REMEDY_BYTES];
    if (!scene->accounts || !destination_url(scene, d, url, sizeof url, &err)) {
        probe_broken(out, PROBE_CREDENTIAL, err.remedy, "%s", err.cause);
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
    struct platform_proxy system = {0};
    call.proxy = config_text(d, "proxy");
    if (!call.proxy)
        call.proxy = proxies_of_agent(scene, url, &system);
    call.source = system.source;
    probe_perform(&call, scene->clock, out);
    free(ca_file);
    if (!shown && out->broken >= PROBE_AUTH) {
        probe_broken(out, PROBE_CREDENTIAL, err.remedy, "%s", err.cause);
        if (err.kind == FAIL_DENIED)
            snprintf(out->fix, sizeof out->fix, "%s", remedy(REMEDY_GET_RIGHTS, NULL, rights));
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
    if (out->broken == PROBE_DONE && out->answer_ms > PROBE_SLOW_MS)
        probe_broken(
            out, PROBE_ACCEPTS, "look at the disk that holds the spool: iostat -x 1 5",
            "it took %u ms to answer; Claude Code waits 2 s in all at its end and loses what "
            "is not taken by then",
            (unsigned)out->answer_ms);
}

static void ask_server(const struct scene *scene, struct probe *out)
{
    char *url = agent_server_url(scene->config->values, "/healthz");
    char *ca_file = rooted_ca(scene, NULL);
    struct platform_proxy system;
    struct probe_call call = {.url = url,
                              .is_get = true,
                              .ca_file = ca_file,
                              .proxy = proxies_of_agent(scene, url, &system),
                              .source = system.source};
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
        finding_add(f, CHECK_OK, NULL, "'%s': %s%s", probe->url,
                    probe->broken == PROBE_DONE ? probe->seen : "fine up to here",
                    stage == PROBE_TCP ? probe->through : "");
}
