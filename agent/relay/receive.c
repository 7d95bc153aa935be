#include "agent/relay/receive.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relay/gate.h"
#include "agent/relay/owners.h"
#include "agent/relay/stamper.h"
#include "base/memory.h"
#include "core/event/loop.h"
#include "core/http/server.h"
#include "core/log/log.h"
#include "core/otlp/answer.h"
#include "core/otlp/json.h"
#include "core/otlp/otlp.h"

enum {
    DEFAULT_REQUEST_BYTES = 64 * 1024 * 1024,
    PAGE_BODY_BYTES = 64 * 1024, /* of requests that need none */
    SCRATCH_KEPT_BYTES = 256 * 1024,
    GROWTH = 2, /* JSON can be shorter than its protobuf, stamps add some */
    METRICS_CEILING_BYTES = 1024 * 1024,
    ANSWER_CEILING_BYTES = 4096,
    SMALL_BODIES_BYTES = 16 * MIB,
};

/* A request that waits for the commit. */
struct waiting {
    struct http_exchange *exchange;
    enum otlp_signal signal;
    enum otlp_encoding encoding;
    bool is_grpc;
};

struct receive {
    struct loop *loop;          /* borrowed */
    struct spool *spool;        /* borrowed */
    struct http_budget *bodies; /* borrowed */
    const struct clock *clock;  /* borrowed */
    struct log *log;            /* borrowed */
    receive_metrics *metrics;
    void *metrics_context;
    struct http_server *server;
    struct http_server *grpc_server; /* NULL without a further address */

    struct relay_callbacks callbacks;
    enum relay_token_policy token_policy;
    size_t max_request_bytes;
    struct stamper *stamper;
    struct owners *owners;

    struct buffer from_json, stamped; /* scratch of one request */
    struct waiting *waiting;
    size_t waiting_count, waiting_capacity;

    unsigned draining_servers; /* not done yet */
    void (*drained)(void *context);
    void *drained_context;

    pthread_mutex_t lock; /* guards what receive_state() reads */
    struct relay_signal_state signals[OTLP_SIGNAL_COUNT];
    uint64_t refused_total[RELAY_REFUSED_COUNT];
    uint64_t unknown_owner_total;
    char spool_error[240];
};

const char *relay_refusal_name(enum relay_refusal refusal)
{
    static const char *const names[] = {"malformed", "token", "origin",     "path",
                                        "size",      "type",  "unavailable"};
    return names[refusal];
}

/* ---- Answers ---- */

static void count_refusal(struct receive *r, enum relay_refusal reason)
{
    pthread_mutex_lock(&r->lock);
    r->refused_total[reason]++;
    pthread_mutex_unlock(&r->lock);
}

/* A refusal in the request's own encoding: google.rpc.Status. */
static void answer_refusal(struct http_exchange *exchange, enum otlp_encoding encoding, int status,
                           const char *message, const char *const *headers)
{
    struct buffer body = {.max_bytes = ANSWER_CEILING_BYTES};
    bool told = otlp_put_status(encoding, status, message, &body);
    http_respond(exchange, &(struct http_answer){
                               .status = status,
                               .content_type = otlp_content_type(encoding),
                               .body = told ? buffer_bytes(&body) : (struct bytes){0},
                               .headers = headers,
                               .grpc_status = otlp_grpc_code(status),
                               .grpc_message = message,
                           });
    buffer_clear(&body);
}

static void refuse(struct receive *r, struct http_exchange *exchange, const struct gate *gate)
{
    const char *allow[] = {"Allow", gate->allow, NULL};
    const char *authenticate[] = {"WWW-Authenticate", "Bearer", NULL};
    const char *const *headers = gate->allow ? allow : gate->status == 401 ? authenticate : NULL;
    count_refusal(r, gate->reason);
    if (gate->route == GATE_OTLP || gate->route == GATE_GRPC) {
        answer_refusal(exchange, gate->encoding, gate->status, gate->message, headers);
        return;
    }
    char text[200];
    snprintf(text, sizeof text, "%s\n", gate->message);
    http_respond(exchange, &(struct http_answer){.status = gate->status,
                                                 .content_type = "text/plain; charset=utf-8",
                                                 .body = bytes_of(text),
                                                 .headers = headers,
                                                 .grpc_status = otlp_grpc_code(gate->status),
                                                 .grpc_message = gate->message});
}

/* Never a long Retry-After: the stock client drops what it cannot send within seconds. */
static void answer_unavailable(struct receive *r, struct http_exchange *exchange,
                               enum otlp_encoding encoding)
{
    static const char *const soon[] = {"Retry-After", "1", NULL};
    count_refusal(r, RELAY_REFUSED_UNAVAILABLE);
    answer_refusal(exchange, encoding, 503, "cannot keep more at the moment, try again", soon);
}

static void answer_taken(const struct waiting *w)
{
    struct buffer body = {.max_bytes = ANSWER_CEILING_BYTES};
    bool told = otlp_put_response(w->signal, w->encoding, 0, NULL, &body);
    http_respond(w->exchange, &(struct http_answer){
                                  .status = 200,
                                  .content_type = otlp_content_type(w->encoding),
                                  .body = told ? buffer_bytes(&body) : (struct bytes){0},
                              });
    buffer_clear(&body);
}

/* What the HTTP server refuses by itself reads like our own refusals. */
static void make_error(void *context, const struct http_request *request, int status,
                       const char *reason, struct buffer *body, const char **content_type)
{
    struct receive *r = context;
    if (status == 413)
        count_refusal(r, RELAY_REFUSED_SIZE);
    else if (status == 415)
        count_refusal(r, RELAY_REFUSED_TYPE);
    else if (status == 400)
        count_refusal(r, RELAY_REFUSED_MALFORMED);
    enum otlp_encoding encoding = OTLP_PROTOBUF;
    if (request && request->headers)
        (void)otlp_encoding_of(http_request_header(request, "content-type"), &encoding);
    if (otlp_put_status(encoding, status, reason, body))
        *content_type = otlp_content_type(encoding);
}

/* ---- Who asks ---- */

static bool good_token(const struct receive *r, const struct http_request *request,
                       struct relay_person *person)
{
    struct bytes token = gate_token(request);
    return token.len > 0 && r->callbacks.check_token &&
           r->callbacks.check_token(r->callbacks.context, token, person);
}

/*
 * Whose telemetry this is: the socket's owner as the system says, else the
 * token's, else the only person of the machine. False: it may not come in,
 * because its owner cannot be told and a token is asked for in that case.
 */
static bool find_person(struct receive *r, const struct http_request *request,
                        struct relay_person *person, bool *known)
{
    const struct relay_callbacks *c = &r->callbacks;
    *known = false;
    *person = (struct relay_person){0};
    if (!c->person_of_uid && (r->token_policy != RELAY_TOKEN_AUTO || !c->check_token))
        return true; /* nobody asks */
    uint32_t uid = 0;
    if (owners_find(r->owners, request, &uid)) {
        *known = c->person_of_uid && c->person_of_uid(c->context, &uid, person);
        return true;
    }
    pthread_mutex_lock(&r->lock);
    r->unknown_owner_total++;
    pthread_mutex_unlock(&r->lock);
    *known = good_token(r, request, person);
    if (*known)
        return true;
    *person = (struct relay_person){0};
    *known = c->person_of_uid && c->person_of_uid(c->context, NULL, person);
    return r->token_policy != RELAY_TOKEN_AUTO || !c->check_token;
}

/* ---- One request ---- */

static void want_token(struct gate *gate)
{
    gate->status = 401;
    gate->reason = RELAY_REFUSED_TOKEN;
    gate->message = "wrong or missing local token; run `claude-telemetry-agent apply`";
}

static void on_head(void *context, struct http_exchange *exchange,
                    const struct http_request *request, struct http_verdict *verdict)
{
    struct receive *r = context;
    struct gate gate = gate_look(request);
    bool is_otlp = gate.route == GATE_OTLP || gate.route == GATE_GRPC;
    struct relay_person ignored = {0};
    if (gate.status == 0 && is_otlp && r->token_policy == RELAY_TOKEN_ALWAYS &&
        !good_token(r, request, &ignored))
        want_token(&gate);
    verdict->max_body_bytes = is_otlp ? r->max_request_bytes : PAGE_BODY_BYTES;
    verdict->refuse = gate.status != 0;
    if (verdict->refuse)
        refuse(r, exchange, &gate);
}

static void commit_all(void *context)
{
    struct receive *r = context;
    struct error err;
    bool kept = spool_commit(r->spool, &err);
    if (!kept)
        log_failure(r->log, LOG_ERROR_LEVEL, "relay", "cannot keep requests", &err);
    pthread_mutex_lock(&r->lock);
    snprintf(r->spool_error, sizeof r->spool_error, "%s", kept ? "" : err.cause);
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < r->waiting_count; i++) {
        if (kept)
            answer_taken(&r->waiting[i]);
        else
            answer_unavailable(r, r->waiting[i].exchange, r->waiting[i].encoding);
    }
    r->waiting_count = 0;
}

static void wait_for_commit(struct receive *r, struct waiting waiting)
{
    if (r->waiting_count == 0)
        loop_after_wakeup(r->loop, commit_all, r);
    if (r->waiting_count == r->waiting_capacity) {
        r->waiting_capacity = r->waiting_capacity ? r->waiting_capacity * 2 : 64;
        r->waiting = xrealloc(r->waiting, r->waiting_capacity * sizeof *r->waiting);
    }
    r->waiting[r->waiting_count++] = waiting;
}

/* Checked, converted and stamped: the bytes to keep, borrowed from the request or the scratch. */
static bool make_payload(struct receive *r, const struct gate *gate,
                         const struct http_request *request, const struct relay_person *person,
                         struct bytes *payload, uint64_t *items, struct error *err)
{
    *payload = request->body;
    if (gate->encoding == OTLP_JSON) {
        if (!otlp_json_to_protobuf(gate->signal, request->body, &r->from_json, err))
            return false;
        *payload = buffer_bytes(&r->from_json);
    }
    if (!otlp_check(gate->signal, *payload, items, err))
        return false;
    if (*items == 0)
        return true;
    bool claims_count = r->callbacks.person_of_uid == NULL;
    if (!stamper_apply(r->stamper, gate->signal, *payload, person, claims_count, &r->stamped, err))
        return false;
    *payload = buffer_bytes(&r->stamped);
    return true;
}

static void take(struct receive *r, struct http_exchange *exchange, struct gate *gate,
                 const struct http_request *request)
{
    struct waiting waiting = {exchange, gate->signal, gate->encoding, gate->route == GATE_GRPC};
    struct relay_person person;
    bool known = false;
    if (!find_person(r, request, &person, &known)) {
        want_token(gate);
        refuse(r, exchange, gate);
        return;
    }
    struct bytes payload;
    uint64_t items = 0;
    struct error err = {0};
    if (!make_payload(r, gate, request, known ? &person : NULL, &payload, &items, &err)) {
        bool large = err.kind == FAIL_TOO_LARGE;
        count_refusal(r, large ? RELAY_REFUSED_SIZE : RELAY_REFUSED_MALFORMED);
        answer_refusal(exchange, gate->encoding, large ? 413 : 400, err.cause, NULL);
        return;
    }
    uint64_t now_ns = clock_wall_ns(r->clock);
    pthread_mutex_lock(&r->lock);
    r->signals[gate->signal].last_received_ns = now_ns;
    r->signals[gate->signal].requests_total++;
    pthread_mutex_unlock(&r->lock);
    if (items == 0) {
        answer_taken(&waiting); /* nothing to keep */
        return;
    }

    char user[SPOOL_USER_BYTES];
    struct spool_record record = {
        .received_ns = now_ns,
        .signal = gate->signal,
        .item_count = items < UINT32_MAX ? (uint32_t)items : UINT32_MAX,
        .user = stamper_user(known ? &person : NULL, user),
        .payload = payload,
    };
    if (spool_append(r->spool, &record, &err)) {
        wait_for_commit(r, waiting);
        return;
    }
    if (err.kind == FAIL_TOO_LARGE) { /* it would never fit, however often it is sent */
        count_refusal(r, RELAY_REFUSED_SIZE);
        answer_refusal(exchange, gate->encoding, 413, err.cause, NULL);
        return;
    }
    pthread_mutex_lock(&r->lock);
    bool first = r->spool_error[0] == '\0';
    snprintf(r->spool_error, sizeof r->spool_error, "%s", err.cause);
    pthread_mutex_unlock(&r->lock);
    if (first)
        log_failure(r->log, LOG_ERROR_LEVEL, "relay", "cannot keep a request", &err);
    answer_unavailable(r, exchange, gate->encoding);
}

static void shrink(struct buffer *scratch)
{
    if (scratch->capacity > SCRATCH_KEPT_BYTES)
        buffer_clear(scratch);
    else
        buffer_reset(scratch);
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct receive *r = context;
    struct gate gate = gate_look(request);
    switch (gate.route) {
    case GATE_OTLP:
    case GATE_GRPC:
        take(r, exchange, &gate, request);
        shrink(&r->from_json);
        shrink(&r->stamped);
        return;
    case GATE_METRICS: {
        struct buffer text = {.max_bytes = METRICS_CEILING_BYTES};
        r->metrics(r->metrics_context, &text);
        http_respond(exchange, &(struct http_answer){.status = 200,
                                                     .content_type = "text/plain; version=0.0.4",
                                                     .body = buffer_bytes(&text)});
        buffer_clear(&text);
        return;
    }
    case GATE_HEALTH:
    case GATE_NONE: /* refused at its head */
        http_respond_json(exchange, 200, bytes_of("{\"status\":\"ok\"}"));
        return;
    }
}

/* ---- Lifecycle ---- */

void receive_configure(struct receive *r, const struct relay_options *options)
{
    stamper_destroy(r->stamper);
    r->stamper = stamper_create(options);
    r->callbacks = options->callbacks;
    r->token_policy = options->token_policy;
    r->max_request_bytes =
        options->max_request_bytes ? options->max_request_bytes : DEFAULT_REQUEST_BYTES;
    r->from_json.max_bytes = r->max_request_bytes * GROWTH;
    /* The largest request twice, packed and inflated, and still room for small ones. */
    http_budget_resize(r->bodies, 2 * r->max_request_bytes + SMALL_BODIES_BYTES);
    r->stamped.max_bytes = r->max_request_bytes * GROWTH + MIB;
}

/* "HOST:PORT" with the port `by` higher. False when there is none. */
static bool next_address(const char *address, unsigned by, char *out, size_t size)
{
    const char *colon = strrchr(address, ':');
    if (!colon)
        return false;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (port == 0 || port + by > UINT16_MAX)
        return false;
    snprintf(out, size, "%.*s:%lu", (int)(colon - address), address, port + by);
    return true;
}

/* Taken by another program: the next free one. */
static bool listen_near(struct http_server *server, const char *address, unsigned tries,
                        struct error *err)
{
    enum { ADDRESS_BYTES = 128 };
    char other[ADDRESS_BYTES];
    bool ok = http_server_listen(server, address, false, err);
    for (unsigned by = 1; !ok && err->kind == FAIL_BUSY && by <= tries; by++) {
        if (!next_address(address, by, other, sizeof other))
            break;
        ok = http_server_listen(server, other, false, err);
    }
    return ok;
}

static bool open_sockets(struct receive *r, const struct relay_options *o, struct error *err)
{
    for (size_t i = 0; i < o->adopted_count; i++)
        if (!http_server_adopt(r->server, o->adopted_fds[i], err))
            return error_wrap(err, "cannot use the socket handed over by the service manager");
    for (size_t i = 0; o->adopted_count == 0 && i < o->listen_count; i++)
        if (!listen_near(r->server, o->listen[i], o->port_tries, err)) {
            error_wrap(err, "cannot listen on %s", o->listen[i]);
            return error_remedy(err, "set relay.listen to a free port");
        }
    if (r->grpc_server && !http_server_listen(r->grpc_server, o->grpc_listen, false, err)) {
        error_wrap(err, "cannot listen on %s", o->grpc_listen);
        return error_remedy(err, "set relay.grpc_listen to a free port, or to \"\"");
    }
    return true;
}

struct receive *receive_create(const struct relay_options *options, struct loop *loop,
                               struct spool *spool, struct http_budget *bodies,
                               const struct clock *clock, struct log *log, receive_metrics *metrics,
                               void *metrics_context, struct error *err)
{
    struct receive *r = xcalloc(1, sizeof *r);
    r->loop = loop;
    r->spool = spool;
    r->clock = clock;
    r->log = log;
    r->metrics = metrics;
    r->metrics_context = metrics_context;
    pthread_mutex_init(&r->lock, NULL);
    r->owners = owners_create();
    r->bodies = bodies;
    receive_configure(r, options);

    struct http_server_options server = {
        .handlers = {.context = r,
                     .on_head = on_head,
                     .on_request = on_request,
                     .make_error = make_error},
        .max_body_bytes = r->max_request_bytes,
        .budget = r->bodies,
    };
    r->server = http_server_create(loop, &server, err);
    if (r->server && options->grpc_listen && *options->grpc_listen)
        r->grpc_server = http_server_create(loop, &server, err);
    bool made = r->server && (r->grpc_server || !options->grpc_listen || !*options->grpc_listen);
    if (!made || !open_sockets(r, options, err)) {
        receive_destroy(r);
        return NULL;
    }
    return r;
}

void receive_destroy(struct receive *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->waiting_count; i++) /* the loop ended between append and commit */
        answer_unavailable(r, r->waiting[i].exchange, r->waiting[i].encoding);
    if (r->server)
        http_server_destroy(r->server);
    if (r->grpc_server)
        http_server_destroy(r->grpc_server);
    stamper_destroy(r->stamper);
    owners_destroy(r->owners);
    buffer_clear(&r->from_json);
    buffer_clear(&r->stamped);
    free(r->waiting);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

uint16_t receive_port(const struct receive *r)
{
    return http_server_port(r->server);
}

uint16_t receive_grpc_port(const struct receive *r)
{
    return r->grpc_server ? http_server_port(r->grpc_server) : 0;
}

static void server_drained(void *context)
{
    struct receive *r = context;
    if (--r->draining_servers == 0)
        r->drained(r->drained_context);
}

void receive_drain(struct receive *r, uint32_t limit_ms, void (*done)(void *context), void *context)
{
    r->drained = done;
    r->drained_context = context;
    r->draining_servers = r->grpc_server ? 2 : 1;
    http_server_drain(r->server, limit_ms, server_drained, r);
    if (r->grpc_server)
        http_server_drain(r->grpc_server, limit_ms, server_drained, r);
}

void receive_state(struct receive *r, struct relay_state *out)
{
    struct http_server_counters counters;
    struct http_budget_state bodies;
    http_server_counters(r->server, &counters);
    http_budget_read(r->bodies, &bodies);
    out->connections_open = counters.connections_open;
    out->port = receive_port(r);
    out->grpc_port = receive_grpc_port(r);
    pthread_mutex_lock(&r->lock);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++) {
        out->signals[s].last_received_ns = r->signals[s].last_received_ns;
        out->signals[s].requests_total = r->signals[s].requests_total;
    }
    memcpy(out->refused_total, r->refused_total, sizeof r->refused_total);
    out->refused_total[RELAY_REFUSED_UNAVAILABLE] += bodies.refused_total;
    out->unknown_owner_total = r->unknown_owner_total;
    memcpy(out->spool_error, r->spool_error, sizeof r->spool_error);
    pthread_mutex_unlock(&r->lock);
}
