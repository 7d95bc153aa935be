#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/http/client.h"
#include "core/http/internal.h"
#include "platform/platform.h"

enum { ANSWER_HEADER_BYTES = 64 * 1024, ERROR_BODY_BYTES = 4096 };

struct bytes http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (bytes_equal_ignoring_case(request->headers[i].name, name))
            return request->headers[i].value;
    return bytes_make(NULL, 0);
}

static struct bytes keep(uint8_t **at, struct bytes from)
{
    uint8_t *start = *at;
    if (from.len > 0)
        memcpy(start, from.data, from.len);
    *at += from.len;
    return bytes_make(start, from.len);
}

struct http_exchange *exchange_create(struct connection *connection,
                                      const struct http_request *parts)
{
    size_t table = parts->header_count * sizeof(struct http_header);
    size_t text = parts->method.len + parts->path.len + parts->query.len;
    for (size_t i = 0; i < parts->header_count; i++)
        text += parts->headers[i].name.len + parts->headers[i].value.len;

    struct http_exchange *exchange = xcalloc(1, sizeof *exchange);
    exchange->head = xmalloc(table + text);
    struct http_header *headers = (struct http_header *)(void *)exchange->head;
    uint8_t *at = exchange->head + table;

    struct http_request *request = &exchange->request;
    *request = *parts;
    request->method = keep(&at, parts->method);
    request->path = keep(&at, parts->path);
    request->query = keep(&at, parts->query);
    for (size_t i = 0; i < parts->header_count; i++) {
        headers[i].name = keep(&at, parts->headers[i].name);
        headers[i].value = keep(&at, parts->headers[i].value);
    }
    request->headers = headers;
    request->body = bytes_make(NULL, 0);
    request->is_tls = connection->tls != NULL;
    exchange->local = connection->local;
    exchange->remote = connection->remote;
    request->local_address = &exchange->local;
    request->remote_address = &exchange->remote;
    request->connection = connection->number;

    exchange->connection = connection;
    exchange->thread = pthread_self();
    exchange->link = connection->server->link;
    exchange->budget = connection->server->options.budget;
    exchange->begun_ns = clock_monotonic_ns(&platform_clock);
    atomic_fetch_add(&exchange->link->references, 1);
    return exchange;
}

void server_link_drop(struct server_link *link)
{
    if (atomic_fetch_sub(&link->references, 1) != 1)
        return;
    pthread_mutex_destroy(&link->mutex);
    free(link);
}

static void answer_clear(struct answer *answer)
{
    free(answer->content_type);
    free(answer->grpc_message);
    buffer_clear(&answer->headers);
    buffer_clear(&answer->body);
    *answer = (struct answer){0};
}

void exchange_destroy(struct http_exchange *exchange)
{
    if (!exchange)
        return;
    server_link_drop(exchange->link);
    answer_clear(&exchange->answer);
    exchange_drop_body(exchange);
    free(exchange->head);
    free(exchange);
}

/* A header of ours must not become two: control characters turn into spaces. */
static void append_clean(struct buffer *out, const char *text)
{
    for (; *text; text++)
        if (!buffer_append_byte(out, (uint8_t)*text < ' ' ? ' ' : (uint8_t)*text))
            return;
}

static void copy_answer(struct answer *copy, const struct http_answer *answer)
{
    *copy = (struct answer){.status = answer->status,
                            .close = answer->close,
                            .grpc_status = answer->grpc_status};
    copy->content_type = xstrdup(answer->content_type);
    copy->grpc_message = xstrdup(answer->grpc_message);
    copy->headers.max_bytes = ANSWER_HEADER_BYTES;
    for (size_t i = 0; answer->headers && answer->headers[i] && answer->headers[i + 1]; i += 2) {
        size_t before = copy->headers.len;
        append_clean(&copy->headers, answer->headers[i]);
        bool kept = buffer_append_byte(&copy->headers, '\0');
        append_clean(&copy->headers, answer->headers[i + 1]);
        if (!kept || !buffer_append_byte(&copy->headers, '\0'))
            copy->headers.len = before;
    }
    copy->body.max_bytes = answer->body.len;
    bool fits = buffer_append(&copy->body, answer->body);
    assert(fits);
    (void)fits;
}

static void deliver(void *context)
{
    struct http_exchange *exchange = context;
    exchange->ready = true;
    if (exchange->connection)
        connection_answer(exchange);
    else
        exchange_destroy(exchange);
}

void http_respond(struct http_exchange *exchange, const struct http_answer *answer)
{
    assert(!exchange->answered);
    copy_answer(&exchange->answer, answer);
    exchange->answered = true;

    if (pthread_equal(exchange->thread, pthread_self())) {
        if (exchange->in_handler)
            exchange->ready = true;
        else
            deliver(exchange);
        return;
    }
    struct server_link *link = exchange->link;
    atomic_fetch_add(&link->references, 1); /* once posted, the exchange may be gone at any time */
    pthread_mutex_lock(&link->mutex);
    struct loop *loop = link->loop;
    if (loop)
        loop_post(loop, deliver, exchange);
    pthread_mutex_unlock(&link->mutex);
    if (!loop)
        exchange_destroy(exchange);
    server_link_drop(link);
}

void http_respond_text(struct http_exchange *exchange, int status, const char *text)
{
    http_respond(exchange, &(struct http_answer){.status = status,
                                                 .content_type = "text/plain; charset=utf-8",
                                                 .body = bytes_of(text)});
}

void http_respond_json(struct http_exchange *exchange, int status, struct bytes json)
{
    http_respond(exchange, &(struct http_answer){.status = status,
                                                 .content_type = "application/json",
                                                 .body = json});
}

/* gRPC has its own words for what HTTP says with a status. */
static int grpc_status_of(int status)
{
    switch (status) {
    case 413:
        return 8; /* RESOURCE_EXHAUSTED */
    case 415:
        return 12; /* UNIMPLEMENTED */
    case 503:
        return 14; /* UNAVAILABLE */
    case 408:
        return 4; /* DEADLINE_EXCEEDED */
    default:
        return 3; /* INVALID_ARGUMENT */
    }
}

void exchange_fail(struct http_exchange *exchange, int status, const char *reason, bool close)
{
    struct http_server *server = exchange->connection->server;
    const struct http_handlers *handlers = &server->options.handlers;
    struct buffer body = {.max_bytes = ERROR_BODY_BYTES};
    static const char *const try_again[] = {"retry-after", "1", NULL};
    const char *content_type = "text/plain; charset=utf-8";
    if (handlers->make_error)
        handlers->make_error(handlers->context, &exchange->request, status, reason, &body,
                             &content_type);
    else if (!buffer_append_text(&body, reason) || !buffer_append_text(&body, "\n"))
        buffer_reset(&body);

    static const char *const codings[] = {"accept-encoding", "gzip, identity", NULL}; /* RFC 9110 */
    answer_clear(&exchange->answer);
    copy_answer(&exchange->answer, &(struct http_answer){.status = status,
                                                         .content_type = content_type,
                                                         .body = buffer_bytes(&body),
                                                         .headers = status == 503   ? try_again
                                                                    : status == 415 ? codings
                                                                                    : NULL,
                                                         .close = close,
                                                         .grpc_status = grpc_status_of(status),
                                                         .grpc_message = reason});
    exchange->answered = exchange->ready = true;
    buffer_clear(&body);
}

/* How the body is coded: 0 plain, 1 gzip, -1 in a way not known here. */
static int coding_of(const struct http_request *request)
{
    int coding = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (!bytes_equal_ignoring_case(header->name, "content-encoding") ||
            bytes_equal_ignoring_case(header->value, "identity") || header->value.len == 0)
            continue;
        bool gzip = bytes_equal_ignoring_case(header->value, "gzip") ||
                    bytes_equal_ignoring_case(header->value, "x-gzip");
        coding = gzip && coding == 0 ? 1 : -1;
    }
    return coding;
}

void exchange_note_answer(struct http_exchange *exchange)
{
    struct http_server *server = exchange->connection->server;
    const struct http_handlers *handlers = &server->options.handlers;
    int status = exchange->answer.status;
    server_count_answer(server, status);
    if (handlers->on_answered)
        handlers->on_answered(handlers->context, &exchange->request, status,
                              clock_monotonic_ns(&platform_clock) - exchange->begun_ns);
}

bool exchange_begin(struct http_exchange *exchange, bool has_length, uint64_t content_length)
{
    struct http_server *server = exchange->connection->server;
    const struct http_handlers *handlers = &server->options.handlers;
    server_count(server, COUNT_REQUESTS, 1);
    struct http_verdict verdict = {.max_body_bytes = server->options.max_body_bytes};
    if (handlers->on_head) {
        exchange->in_handler = true;
        handlers->on_head(handlers->context, exchange, &exchange->request, &verdict);
        exchange->in_handler = false;
    }
    assert(exchange->ready || !verdict.refuse);
    exchange->max_body_bytes = verdict.max_body_bytes;
    if (exchange->ready)
        return false;

    int coding = coding_of(&exchange->request);
    exchange->body.max_bytes = verdict.max_body_bytes;
    if (coding == 1) /* what does not compress grows by a header and 5 bytes per 16 KiB */
        exchange->body.max_bytes += verdict.max_body_bytes / 1024 + 64;
    if (coding < 0)
        exchange_fail(exchange, 415, "the only content codings known here are identity and gzip",
                      false);
    else if (has_length && content_length > exchange->body.max_bytes)
        exchange_fail(exchange, 413, "the body is larger than this server takes", false);
    return !exchange->ready;
}

bool exchange_inflate(struct http_exchange *exchange)
{
    struct error err;
    struct buffer plain = {.max_bytes = exchange->max_body_bytes};
    if (!http_gunzip(buffer_bytes(&exchange->body), &plain, &err)) {
        buffer_clear(&plain);
        exchange_fail(exchange, err.kind == FAIL_TOO_LARGE ? 413 : 400, err.cause, false);
        return false;
    }
    buffer_clear(&exchange->body);
    exchange->body = plain;
    if (!exchange_charge(exchange)) {
        exchange_fail(exchange, 503, BUDGET_REASON, false);
        return false;
    }
    return true;
}

void exchange_complete(struct http_exchange *exchange)
{
    const struct http_handlers *handlers = &exchange->connection->server->options.handlers;
    bool packed = coding_of(&exchange->request) == 1 && exchange->body.len > 0;
    if (packed && !exchange_inflate(exchange))
        return;
    exchange->request.body = buffer_bytes(&exchange->body);
    exchange->handed_over = true;
    exchange->in_handler = true;
    handlers->on_request(handlers->context, exchange, &exchange->request);
    exchange->in_handler = false;
}
