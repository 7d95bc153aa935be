#include "server/ingest/ingest.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/ingest/request.h"
#include "server/ingest/rows.h"
#include "server/ingest/writer.h"

enum { DEFAULT_QUEUE_REQUESTS = 1024 };
#define DEFAULT_REQUEST_BYTES (64 * MIB)
#define DEFAULT_QUEUE_BYTES (256 * MIB)
/* How long after a failed commit the store counts as down without another try. */
#define DOWN_NS (10 * NS_PER_S)

struct atomic_counters {
    atomic_uint_fast64_t requests[OTLP_SIGNAL_COUNT], records[OTLP_SIGNAL_COUNT];
    atomic_uint_fast64_t rejected_records, malformed, refused_credentials, limited, turned_away;
    atomic_uint_fast64_t replayed, overlapping, rows_inserted, rows_merged, rows_repeated;
};

struct ingest {
    struct message_store *store;
    struct gate *gate;
    const struct clock *clock;
    struct log *log;
    const struct prices *prices;
    size_t max_request_bytes;
    struct writer *writer;
    struct writer_meters meters;
    struct atomic_counters counters;
};

/* A decoded request between on_request and its answer. */
struct delivery {
    struct writer_job job; /* first, so the pointers convert */
    struct ingest *ingest;
    struct http_exchange *exchange;
    enum otlp_signal signal;
    enum otlp_encoding encoding;
    bool is_grpc;
    struct rows rows;
    struct batch_range range;
    char system[CONTROL_NAME_BYTES];
    uint8_t token_sha256[CONTROL_HASH_BYTES];
    struct gate_stored brought;
    uint64_t received_ns;
};

struct ingest *ingest_create(const struct ingest_options *options)
{
    struct ingest *in = xcalloc(1, sizeof *in);
    in->store = options->store;
    in->gate = options->gate;
    in->clock = options->clock;
    in->log = options->log;
    in->prices = options->prices;
    in->max_request_bytes =
        options->max_request_bytes ? options->max_request_bytes : DEFAULT_REQUEST_BYTES;
    in->meters = (struct writer_meters){.commit_time = histogram_of_time(),
                                        .commit_rows = histogram_of_sizes(),
                                        .commit_requests = histogram_of_sizes(),
                                        .wait_time = histogram_of_time()};
    in->writer = writer_create(&(struct writer_options){
        .store = options->store,
        .gate = options->gate,
        .clock = options->clock,
        .log = options->log,
        .meters = &in->meters,
        .max_jobs = options->max_queue_requests ? options->max_queue_requests
                                                : (size_t)DEFAULT_QUEUE_REQUESTS,
        .max_bytes = options->max_queue_bytes ? options->max_queue_bytes : DEFAULT_QUEUE_BYTES,
    });
    return in;
}

void ingest_destroy(struct ingest *in)
{
    if (!in)
        return;
    writer_destroy(in->writer);
    free(in);
}

bool ingest_owns(struct bytes path)
{
    enum otlp_signal signal;
    return request_signal_of_path(path, &signal);
}

/* ---- Answers ---- */

struct reply {
    int status;
    const char *message;        /* of a google.rpc.Status; NULL with 200 */
    const char *const *headers; /* pairs, or NULL */
    enum otlp_signal signal;    /* with 200 */
    uint64_t rejected;          /* with 200 */
};

static void answer(struct http_exchange *exchange, enum otlp_encoding encoding, bool is_grpc,
                   const struct reply *reply)
{
    struct buffer body = {.max_bytes = 4 * KIB};
    bool good = reply->status == 200;
    bool written = good
                       ? otlp_put_response(reply->signal, encoding, (int64_t)reply->rejected,
                                           reply->message, &body)
                       : is_grpc || otlp_put_status(encoding, reply->status, reply->message, &body);
    if (!written)
        buffer_reset(&body); /* the status says enough */
    http_respond(exchange, &(struct http_answer){
                               .status = reply->status,
                               .content_type = otlp_content_type(encoding),
                               .body = buffer_bytes(&body),
                               .headers = reply->headers,
                               .grpc_status = good ? 0 : otlp_grpc_code(reply->status),
                               .grpc_message = good ? NULL : reply->message,
                           });
    buffer_clear(&body);
}

static void refuse(struct http_exchange *exchange, const struct http_request *request, int status,
                   const char *message, const char *const *headers)
{
    struct reply reply = {.status = status, .message = message, .headers = headers};
    answer(exchange, request_encoding(request), request->is_grpc, &reply);
}

static const char *const wait_a_second[] = {"retry-after", "1", NULL};

static void turn_away(struct ingest *in, struct http_exchange *exchange,
                      const struct http_request *request, const char *why)
{
    atomic_fetch_add(&in->counters.turned_away, 1);
    refuse(exchange, request, 503, why, wait_a_second);
}

void ingest_make_error(void *context, const struct http_request *request, int status,
                       const char *reason, struct buffer *body, const char **content_type)
{
    (void)context;
    enum otlp_encoding encoding = request_encoding(request);
    *content_type = otlp_content_type(encoding);
    if (!otlp_put_status(encoding, status, reason, body))
        buffer_reset(body);
}

/* ---- The head ---- */

/* Opens the gate, or answers with the refusal. */
static bool pass_gate(struct ingest *in, struct http_exchange *exchange,
                      const struct http_request *request, struct control_token *token)
{
    struct error err = {0};
    uint32_t wait_s = 1;
    char source[SOURCE_BYTES], seconds[16];
    source_of_address(request->remote_address, source);
    static const char *const challenge[] = {"www-authenticate", "Bearer", NULL};

    switch (gate_check(in->gate, request_credential(request), source, token, &wait_s, &err)) {
    case GATE_OPEN:
        return true;
    case GATE_MISSING:
        atomic_fetch_add(&in->counters.refused_credentials, 1);
        refuse(exchange, request, 401,
               "no token: send it as Authorization: Bearer TOKEN or X-Span-Token: TOKEN",
               challenge);
        return false;
    case GATE_MISTYPED:
        atomic_fetch_add(&in->counters.refused_credentials, 1);
        refuse(exchange, request, 401,
               "the token is mistyped or cut off: its checksum does not match", challenge);
        return false;
    case GATE_UNKNOWN:
        atomic_fetch_add(&in->counters.refused_credentials, 1);
        refuse(exchange, request, 401, "the token is not known here", challenge);
        return false;
    case GATE_REVOKED:
        atomic_fetch_add(&in->counters.refused_credentials, 1);
        refuse(exchange, request, 403, "the token was revoked: create another one", NULL);
        return false;
    case GATE_LIMITED:
        atomic_fetch_add(&in->counters.limited, 1);
        snprintf(seconds, sizeof seconds, "%u", (unsigned)wait_s);
        refuse(exchange, request, 429, "the token sends more records than its rate allows",
               (const char *const[]){"retry-after", seconds, NULL});
        return false;
    case GATE_NO_ANSWER:
        break;
    }
    log_failure(in->log, LOG_ERROR_LEVEL, "ingest", "cannot look a token up", &err);
    turn_away(in, exchange, request, "the server cannot look tokens up now");
    return false;
}

void ingest_on_head(void *context, struct http_exchange *exchange,
                    const struct http_request *request, struct http_verdict *verdict)
{
    struct ingest *in = context;
    struct control_token token;
    enum otlp_encoding encoding;
    enum otlp_signal signal;
    verdict->refuse = true;
    verdict->max_body_bytes = in->max_request_bytes;
    if (!request_signal_of_path(request->path, &signal)) {
        refuse(exchange, request, 404, "no such path: use /v1/logs, /v1/metrics or /v1/traces",
               NULL);
        return;
    }
    if (!bytes_equal_text(request->method, "POST")) {
        static const char *const allow[] = {"allow", "POST", NULL};
        refuse(exchange, request, 405, "OTLP is sent with POST", allow);
        return;
    }
    if (!pass_gate(in, exchange, request, &token))
        return;
    if (!request->is_grpc &&
        !otlp_encoding_of(http_request_header(request, "content-type"), &encoding)) {
        refuse(exchange, request, 415,
               "the content type must be application/x-protobuf or application/json", NULL);
        return;
    }
    if (writer_is_full(in->writer)) {
        turn_away(in, exchange, request, "the server is busy");
        return;
    }
    verdict->refuse = false;
}

/* ---- The body ---- */

static void malformed(struct ingest *in, struct http_exchange *exchange,
                      const struct http_request *request, const struct control_token *token,
                      const struct error *err)
{
    gate_malformed(in->gate, token->sha256);
    atomic_fetch_add(&in->counters.malformed, 1);
    int status = err->kind == FAIL_TOO_LARGE ? 413 : 400;
    refuse(exchange, request, status, err->cause, NULL);
}

static void delivery_destroy(struct delivery *d)
{
    rows_clear(&d->rows);
    free(d);
}

static void count_stored(struct ingest *in, const struct delivery *d,
                         const struct put_result *result)
{
    atomic_fetch_add(&in->counters.requests[d->signal], 1);
    atomic_fetch_add(&in->counters.records[d->signal], d->rows.records);
    atomic_fetch_add(&in->counters.rejected_records, d->rows.rejected);
    atomic_fetch_add(&in->counters.rows_inserted, result->inserted);
    atomic_fetch_add(&in->counters.rows_merged, result->merged);
    atomic_fetch_add(&in->counters.rows_repeated, result->repeated);
    if (result->outcome == PUT_REPLAYED)
        atomic_fetch_add(&in->counters.replayed, 1);
}

static void answer_stored(struct delivery *d, const struct put_result *result)
{
    static const char *const replayed[] = {"x-batch-replayed", "1", NULL};
    char message[160];
    struct reply reply = {.status = 200, .signal = d->signal, .rejected = d->rows.rejected};
    count_stored(d->ingest, d, result);
    if (d->rows.records > 0)
        gate_stored(d->ingest->gate, d->token_sha256, &d->brought);
    if (result->outcome == PUT_REPLAYED)
        reply.headers = replayed;
    if (d->rows.rejected > 0) {
        snprintf(message, sizeof message,
                 "%llu records are too large together with the rest of their request",
                 (unsigned long long)d->rows.rejected);
        reply.message = message;
    }
    answer(d->exchange, d->encoding, d->is_grpc, &reply);
}

static void answer_overlap(struct delivery *d)
{
    char message[240];
    snprintf(message, sizeof message,
             "records %llu to %llu of stream %s are stored in part: send those that are not, alone",
             (unsigned long long)d->range.first, (unsigned long long)d->range.last,
             d->range.stream);
    atomic_fetch_add(&d->ingest->counters.overlapping, 1);
    answer(d->exchange, d->encoding, d->is_grpc,
           &(struct reply){.status = 409, .message = message});
}

static void answer_failure(struct delivery *d, const struct error *err)
{
    bool theirs = err->kind == FAIL_INVALID || err->kind == FAIL_TOO_LARGE;
    struct reply reply = {.status = 503, .message = "the store is not available"};
    reply.headers = wait_a_second;
    if (theirs)
        reply =
            (struct reply){.status = err->kind == FAIL_INVALID ? 400 : 413, .message = err->cause};
    if (theirs)
        gate_malformed(d->ingest->gate, d->token_sha256);
    atomic_fetch_add(theirs ? &d->ingest->counters.malformed : &d->ingest->counters.turned_away, 1);
    answer(d->exchange, d->encoding, d->is_grpc, &reply);
}

/* On the writer's thread. */
static void delivered(struct writer_job *job, bool stored, const struct put_result *result,
                      const struct error *err)
{
    struct delivery *d = (struct delivery *)job;
    if (!stored)
        answer_failure(d, err);
    else if (result->outcome == PUT_OVERLAPS)
        answer_overlap(d);
    else
        answer_stored(d, result);
    delivery_destroy(d);
}

/* Whether usage is in the rows, for whoever watches that it keeps coming. */
static struct gate_stored look_at(const struct delivery *d)
{
    struct gate_stored brought = {.signal = d->signal};
    for (size_t i = 0; i < d->rows.message_count; i++) {
        const struct message *m = &d->rows.messages[i];
        brought.tokens |= m->input_tokens > 0 || m->output_tokens > 0;
        brought.cost |= m->cost_microcents > 0 || m->cost_computed_microcents > 0;
    }
    for (size_t i = 0; i < d->rows.usage_count; i++) {
        struct bytes metric = d->rows.usage[i].metric;
        brought.tokens |= bytes_equal_text(metric, "claude_code.token.usage");
        brought.cost |= bytes_equal_text(metric, "claude_code.cost.usage");
    }
    return brought;
}

static void fill_batch(struct delivery *d, const struct control_token *token)
{
    memcpy(d->token_sha256, token->sha256, sizeof d->token_sha256);
    d->brought = look_at(d);
    d->job.done = delivered;
    d->job.bytes = d->rows.arena.used_bytes;
    d->job.batch = (struct message_batch){
        .system_id = token->system_id,
        .system = bytes_of(d->system),
        .received_ns = d->received_ns,
        .token_id = token->id,
        .retention_days = token->retention_days,
        .stream = bytes_of(d->range.stream),
        .signal = d->signal,
        .first = d->range.first,
        .last = d->range.last,
        .messages = d->rows.messages,
        .message_count = d->rows.message_count,
        .usage = d->rows.usage,
        .usage_count = d->rows.usage_count,
    };
}

void ingest_on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct ingest *in = context;
    struct control_token token;
    struct error err = {0};
    if (!pass_gate(in, exchange, request, &token))
        return; /* revoked since the head came */

    struct delivery *d = xcalloc(1, sizeof *d);
    d->ingest = in;
    d->exchange = exchange;
    d->encoding = request_encoding(request);
    d->is_grpc = request->is_grpc;
    d->received_ns = clock_wall_ns(in->clock);
    snprintf(d->system, sizeof d->system, "%s", token.system);
    struct message_context mapping = {
        .system_id = token.system_id,
        .received_ns = d->received_ns,
        .owner = bytes_of(token.person),
        .device_id = bytes_of(token.device),
        .max_body_bytes = control_plan_body_bytes(token.plan),
        .prices = in->prices,
    };
    if (!request_signal_of_path(request->path, &d->signal) ||
        !request_batch_range(request, &d->range, &err) ||
        !rows_decode(d->signal, d->encoding, request->body, in->max_request_bytes, &mapping,
                     &d->rows, &err)) {
        malformed(in, exchange, request, &token, &err);
        delivery_destroy(d);
        return;
    }
    uint64_t records = d->rows.records; /* once submitted, the delivery is the writer's */
    fill_batch(d, &token);
    if (!writer_submit(in->writer, &d->job)) {
        turn_away(in, exchange, request, "the server is busy");
        delivery_destroy(d);
        return;
    }
    gate_charge(in->gate, &token, records);
}

/* ---- For others ---- */

bool ingest_store_is_down(const struct ingest *in)
{
    struct writer_counters w;
    writer_counters(in->writer, &w);
    return w.failing && clock_monotonic_ns(in->clock) - w.last_failed_ns < DOWN_NS;
}

void ingest_run_on_writer(struct ingest *in, void (*job)(void *context), void *context)
{
    writer_run(in->writer, job, context);
}

const struct writer_meters *ingest_meters(const struct ingest *in)
{
    return &in->meters;
}

void ingest_counters(const struct ingest *in, struct ingest_counters *out)
{
    const struct atomic_counters *c = &in->counters;
    struct writer_counters w;
    writer_counters(in->writer, &w);
    *out = (struct ingest_counters){
        .rejected_records = atomic_load(&c->rejected_records),
        .malformed = atomic_load(&c->malformed),
        .refused_credentials = atomic_load(&c->refused_credentials),
        .limited = atomic_load(&c->limited),
        .turned_away = atomic_load(&c->turned_away),
        .replayed = atomic_load(&c->replayed),
        .overlapping = atomic_load(&c->overlapping),
        .rows_inserted = atomic_load(&c->rows_inserted),
        .rows_merged = atomic_load(&c->rows_merged),
        .rows_repeated = atomic_load(&c->rows_repeated),
        .commits = w.commits,
        .failed_commits = w.failed_commits,
        .commit_ns = w.commit_ns,
        .queue_requests = w.jobs,
        .queue_bytes = w.bytes,
    };
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        out->requests[i] = atomic_load(&c->requests[i]);
        out->records[i] = atomic_load(&c->records[i]);
    }
}
