/* Requests of HTTP/1 on a connection: head, body, answer, and the next one. */
#include <stdio.h>

#include "core/http/http2.h"
#include "core/http/internal.h"
#include "core/http/status.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

void http1_await_head(struct connection *c)
{
    c->state = CONNECTION_HEAD;
    c->scan = (struct http1_scan){0};
    c->head_started = false;
    c->quiet_since_ms = loop_now_ms(c->server->loop);
    connection_set_deadline(c, c->server->options.idle_timeout_ms);
}

static void put_text(struct connection *c, const char *text)
{
    connection_put(c, bytes_of(text));
}

static void put_answer(struct connection *c, const struct http_exchange *exchange, bool keep)
{
    const struct answer *answer = &exchange->answer;
    char line[256];
    snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\nDate: %s\r\n", answer->status,
             http_status_text(answer->status), server_date(c->server));
    put_text(c, line);
    if (answer->content_type) {
        put_text(c, "Content-Type: ");
        put_text(c, answer->content_type);
        put_text(c, "\r\n");
    }
    if (answer->status != 204 && answer->status != 304) {
        snprintf(line, sizeof line, "Content-Length: %zu\r\n", answer->body.len);
        put_text(c, line);
    }
    for (size_t at = 0; at < answer->headers.len;) {
        const char *name = (const char *)answer->headers.data + at;
        const char *value = name + strlen(name) + 1;
        put_text(c, name);
        put_text(c, ": ");
        put_text(c, value);
        put_text(c, "\r\n");
        at += strlen(name) + strlen(value) + 2;
    }
    if (!keep)
        put_text(c, "Connection: close\r\n");
    else if (c->minor == 0)
        put_text(c, "Connection: keep-alive\r\n");
    put_text(c, "\r\n");
    bool bodiless = bytes_equal_text(exchange->request.method, "HEAD") || answer->status == 204 ||
                    answer->status == 304;
    if (!bodiless)
        connection_put(c, buffer_bytes(&answer->body));
}

/* Whether what is left of a refused body is worth reading to keep the connection. */
static bool may_discard(const struct connection *c)
{
    if (c->expects_continue) /* whether the body comes at all is the client's choice */
        return false;
    return c->is_chunked || c->body_left <= DISCARD_BYTES;
}

static void send_answer(struct connection *c, bool body_is_read)
{
    struct http_exchange *exchange = c->exchange;
    c->exchange = NULL;
    exchange_note_answer(exchange);
    bool keep = c->keep_alive && !exchange->answer.close && !c->server->draining &&
                (body_is_read || may_discard(c));
    put_answer(c, exchange, keep);
    exchange_destroy(exchange);

    if (!keep) {
        connection_finish(c);
    } else if (body_is_read) {
        http1_await_head(c);
    } else {
        c->state = CONNECTION_DISCARD;
        c->chunks = (struct http1_chunks){0};
        c->discard_left = DISCARD_BYTES;
        connection_set_deadline(c, c->server->options.body_grace_ms);
    }
}

void http1_answer(struct connection *c)
{
    send_answer(c, true);
}

/* Refuses what is at hand and whatever follows on this connection. */
static void fail(struct connection *c, int status, const char *reason)
{
    if (!c->exchange)
        c->exchange = exchange_create(c, &(struct http_request){.http_major = 1});
    c->body_left = 0;
    exchange_fail(c->exchange, status, reason, true);
    send_answer(c, true);
}

static void body_complete(struct connection *c)
{
    c->state = CONNECTION_WAIT;
    connection_no_deadline(c);
    exchange_complete(c->exchange);
    if (c->exchange->ready)
        send_answer(c, true);
}

static void begin_body(struct connection *c, const struct http1_head *head, bool more_is_here)
{
    c->state = CONNECTION_BODY;
    c->chunks = (struct http1_chunks){0};
    c->window_bytes = 0;
    connection_set_deadline(c, c->server->options.body_grace_ms);
    struct buffer *body = &c->exchange->body;
    if (!c->is_chunked) {
        body->max_bytes = (size_t)c->body_left;
        size_t first = body->max_bytes < BODY_STEP_BYTES ? body->max_bytes : BODY_STEP_BYTES;
        bool fits = buffer_reserve(body, first);
        (void)fits;
    }
    if (!exchange_charge(c->exchange)) {
        fail(c, 503, BUDGET_REASON);
        return;
    }
    if (head->expects_continue && !more_is_here)
        put_text(c, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void on_head(struct connection *c, struct bytes head_bytes, bool more_is_here)
{
    struct http1_head head;
    const char *reason = "";
    c->served_any = true;
    int bad = http1_head_parse(head_bytes, &head, &reason);
    c->minor = head.minor;
    c->keep_alive = head.keep_alive;
    c->is_chunked = head.is_chunked;
    c->expects_continue = head.expects_continue;
    c->body_left = head.content_length;
    c->exchange = exchange_create(c, &(struct http_request){.method = head.method,
                                                            .path = head.path,
                                                            .query = head.query,
                                                            .headers = head.headers,
                                                            .header_count = head.header_count,
                                                            .http_major = 1});
    if (bad != 0) {
        fail(c, bad, reason);
        return;
    }
    bool has_body = head.is_chunked || head.content_length > 0;
    if (!exchange_begin(c->exchange, head.has_length, head.content_length))
        send_answer(c, !has_body);
    else if (has_body)
        begin_body(c, &head, more_is_here);
    else
        body_complete(c);
}

/* True when the input starts like, or is, the preface of HTTP/2. */
static bool take_preface(struct connection *c, struct bytes *input)
{
    size_t len = sizeof preface - 1;
    if (c->served_any || c->tls || input->len == 0 ||
        memcmp(input->data, preface, input->len < len ? input->len : len) != 0)
        return false;
    if (input->len >= len)
        http2_start(c); /* which reads the preface itself */
    return true;
}

static bool take_head(struct connection *c, struct bytes *input)
{
    if (take_preface(c, input)) {
        c->head_started = true;
        return c->state == CONNECTION_HTTP2;
    }
    switch (http1_scan(&c->scan, *input)) {
    case HTTP1_SCAN_MORE:
        if (!c->head_started && c->served_any)
            connection_set_deadline(c, c->server->options.header_timeout_ms);
        c->head_started = true;
        return false;
    case HTTP1_SCAN_BAD:
        fail(c, 400, "the request is not HTTP, or a line does not end in CR LF");
        return true;
    case HTTP1_SCAN_TOO_LARGE:
        fail(c, 431, "the head of the request exceeds 16 KiB");
        return true;
    case HTTP1_SCAN_DONE:
        break;
    }
    size_t used = c->scan.at;
    struct bytes head = bytes_make(input->data + c->scan.start, used - c->scan.start);
    *input = bytes_make(input->data + used, input->len - used);
    on_head(c, head, input->len > 0);
    return true;
}

static void take_chunks(struct connection *c, struct bytes *input)
{
    size_t before = input->len;
    struct bytes data;
    for (;;) {
        switch (http1_chunks_next(&c->chunks, input, &data)) {
        case HTTP1_CHUNKS_DATA:
            if (!buffer_append(&c->exchange->body, data)) {
                fail(c, 413, "the body is larger than this server takes");
                return;
            }
            if (!exchange_charge(c->exchange)) {
                fail(c, 503, BUDGET_REASON);
                return;
            }
            break;
        case HTTP1_CHUNKS_MORE:
            c->window_bytes += before - input->len;
            return;
        case HTTP1_CHUNKS_DONE:
            body_complete(c);
            return;
        case HTTP1_CHUNKS_BAD:
            fail(c, 400, "the chunked body is malformed");
            return;
        }
    }
}

static void take_body(struct connection *c, struct bytes *input)
{
    if (c->is_chunked) {
        take_chunks(c, input);
        return;
    }
    struct bytes part =
        bytes_make(input->data, input->len < c->body_left ? input->len : (size_t)c->body_left);
    bool fits = buffer_append(&c->exchange->body, part);
    (void)fits; /* the ceiling is the length */
    if (!exchange_charge(c->exchange)) {
        fail(c, 503, BUDGET_REASON);
        return;
    }
    *input = bytes_make(input->data + part.len, input->len - part.len);
    c->window_bytes += part.len;
    c->body_left -= part.len;
    if (c->body_left == 0)
        body_complete(c);
}

uint8_t *http1_body_room(struct connection *c, size_t *room)
{
    if (c->state != CONNECTION_BODY || c->is_chunked || c->in.len > 0)
        return NULL;
    struct buffer *body = &c->exchange->body;
    if (body->len == body->capacity) {
        size_t step = c->body_left < BODY_STEP_BYTES ? (size_t)c->body_left : BODY_STEP_BYTES;
        if (!buffer_reserve(body, step))
            return NULL;
    }
    if (body->capacity != c->exchange->charged && c->exchange->budget)
        return NULL; /* http1_take() brings it to account, or refuses */
    size_t free_bytes = body->capacity - body->len;
    *room = free_bytes < c->body_left ? free_bytes : (size_t)c->body_left;
    return body->data + body->len;
}

void http1_body_read(struct connection *c, size_t count)
{
    c->exchange->body.len += count;
    c->window_bytes += count;
    c->body_left -= count;
    if (count > 0 && c->body_left == 0)
        body_complete(c);
}

/* Reads past what is left of a refused body. */
static void take_discarded(struct connection *c, struct bytes *input)
{
    size_t before = input->len;
    bool done = false, bad = false;
    if (c->is_chunked) {
        struct bytes data;
        enum http1_chunks_result result;
        do
            result = http1_chunks_next(&c->chunks, input, &data);
        while (result == HTTP1_CHUNKS_DATA);
        done = result == HTTP1_CHUNKS_DONE;
        bad = result == HTTP1_CHUNKS_BAD;
    } else {
        size_t part = input->len < c->body_left ? input->len : (size_t)c->body_left;
        *input = bytes_make(input->data + part, input->len - part);
        c->body_left -= part;
        done = c->body_left == 0;
    }
    size_t used = before - input->len;
    bad = bad || used > c->discard_left;
    c->discard_left -= used < c->discard_left ? used : c->discard_left;
    if (bad)
        connection_finish(c);
    else if (done)
        http1_await_head(c);
}

void http1_take(struct connection *c, struct bytes *input)
{
    while (input->len > 0) {
        if (c->state == CONNECTION_BODY) {
            take_body(c, input);
        } else if (c->state == CONNECTION_DISCARD) {
            take_discarded(c, input);
        } else if (c->state == CONNECTION_HEAD) {
            c->resume = connection_unsent(c) > OUT_PAUSE_BYTES;
            if (c->resume || !take_head(c, input))
                return;
        } else {
            return;
        }
    }
}

void http1_timeout(struct connection *c)
{
    const struct http_server_options *options = &c->server->options;
    if (c->state == CONNECTION_HEAD) {
        if (c->head_started)
            fail(c, 408, "the head of the request took too long");
        else
            c->state = CONNECTION_CLOSED; /* silence between requests, or nothing ever came */
        return;
    }
    /* Judged by windows, so that a fast start does not buy a slow rest. */
    uint64_t needed = (uint64_t)options->body_min_bytes_per_s * options->body_grace_ms / 1000;
    if (c->window_bytes < needed) {
        fail(c, 408, "the body of the request came too slowly");
        return;
    }
    c->window_bytes = 0;
    connection_set_deadline(c, options->body_grace_ms);
}
