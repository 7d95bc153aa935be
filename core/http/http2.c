#include "core/http/http2.h"

#include <stdio.h>
#include <stdlib.h>

#include <nghttp2/nghttp2.h>

#include "base/memory.h"
#include "core/http/grpc.h"

enum {
    MAX_STREAMS = 100,
    STREAM_WINDOW_BYTES = 1024 * 1024,
    SESSION_WINDOW_BYTES = 4 * 1024 * 1024,
    MAX_ANSWER_HEADERS = 40,
    RESETS_BURST = 1000,
    RESETS_PER_S = 33,
    MAX_CONTINUATIONS = 8,
};

struct span {
    size_t name, name_len, value, value_len; /* offsets into the stream's text */
};

struct http2_stream {
    struct http2 *http2;
    struct http2_stream *next, **link;
    int32_t id;
    struct buffer text; /* header names and values until the exchange has them */
    struct span spans[HTTP1_HEADERS];
    size_t span_count;
    bool too_large, has_ended, is_grpc;
    struct http_exchange *exchange;
    size_t held; /* bytes of its body, counted in http2->held */
    size_t sent; /* of the answer: gRPC frame and body */
};

struct http2 {
    struct connection *connection;
    nghttp2_session *session;
    struct http2_stream *streams;
    size_t receiving; /* streams whose request is not complete */
    size_t held;      /* body bytes of all streams */
    uint64_t window_bytes;
    bool is_timing_body; /* the deadline is that of the minimum rate */
};

static void set_deadline(struct http2 *h)
{
    const struct http_server_options *options = &h->connection->server->options;
    if (h->receiving > 0) {
        if (!h->is_timing_body) {
            h->window_bytes = 0;
            connection_set_deadline(h->connection, options->body_grace_ms);
        }
        h->is_timing_body = true;
        return;
    }
    h->is_timing_body = false;
    connection_set_deadline(h->connection, options->idle_timeout_ms);
}

static void stream_ended(struct http2_stream *stream)
{
    if (!stream->has_ended)
        stream->http2->receiving--;
    stream->has_ended = true;
}

static void stream_destroy(struct http2_stream *stream)
{
    struct http_exchange *exchange = stream->exchange;
    if (exchange && exchange->handed_over && !exchange->ready) {
        exchange->connection = NULL; /* the handler still owes its answer */
        exchange->stream = NULL;
    } else {
        exchange_destroy(exchange);
    }
    stream_ended(stream);
    stream->http2->held -= stream->held;
    *stream->link = stream->next;
    if (stream->next)
        stream->next->link = stream->link;
    buffer_clear(&stream->text);
    free(stream);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *h = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct http2_stream *stream = xcalloc(1, sizeof *stream);
    stream->http2 = h;
    stream->id = frame->hd.stream_id;
    stream->text.max_bytes = HTTP1_HEAD_BYTES;
    stream->next = h->streams;
    stream->link = &h->streams;
    if (stream->next)
        stream->next->link = &stream->next;
    h->streams = stream;
    h->receiving++;
    nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context)
{
    (void)flags;
    (void)context;
    struct http2_stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!stream || stream->exchange) /* trailers are of no use to us */
        return 0;
    if (name_len == 10 && memcmp(name, ":authority", 10) == 0) {
        name = (const uint8_t *)"host"; /* handlers look in one place */
        name_len = 4;
    }
    struct span span = {stream->text.len, name_len, stream->text.len + name_len, value_len};
    if (stream->span_count == HTTP1_HEADERS ||
        !buffer_append(&stream->text, bytes_make(name, name_len)) ||
        !buffer_append(&stream->text, bytes_make(value, value_len)))
        stream->too_large = true;
    else
        stream->spans[stream->span_count++] = span;
    return 0;
}

static void split_path(struct bytes target, struct http_request *parts)
{
    const uint8_t *mark = target.len > 0 ? memchr(target.data, '?', target.len) : NULL;
    parts->path = bytes_make(target.data, mark ? (size_t)(mark - target.data) : target.len);
    if (mark)
        parts->query = bytes_make(mark + 1, target.len - parts->path.len - 1);
}

static uint64_t number_of(struct bytes text)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len && number < UINT64_MAX / 16; i++)
        number = number * 10 + (uint64_t)(text.data[i] - '0'); /* nghttp2 let digits pass only */
    return number;
}

static void make_exchange(struct http2_stream *stream)
{
    struct http_header headers[HTTP1_HEADERS];
    struct http_request parts = {.headers = headers, .http_major = 2};
    for (size_t i = 0; i < stream->span_count; i++) {
        const struct span *span = &stream->spans[i];
        struct bytes name = bytes_make(stream->text.data + span->name, span->name_len);
        struct bytes value = bytes_make(stream->text.data + span->value, span->value_len);
        if (bytes_equal_text(name, ":method"))
            parts.method = value;
        else if (bytes_equal_text(name, ":path"))
            split_path(value, &parts);
        else if (name.len > 0 && name.data[0] != ':')
            headers[parts.header_count++] = (struct http_header){name, value};
    }
    stream->is_grpc = parts.is_grpc =
        grpc_is_content_type(http_request_header(&parts, "content-type"));
    stream->exchange = exchange_create(stream->http2->connection, &parts);
    stream->exchange->stream = stream;
    buffer_clear(&stream->text);
}

static void on_request_head(struct http2_stream *stream)
{
    make_exchange(stream);
    struct http_exchange *exchange = stream->exchange;
    if (stream->too_large) {
        exchange_fail(exchange, 431, "the head of the request exceeds 16 KiB", false);
    } else {
        struct bytes length = http_request_header(&exchange->request, "content-length");
        if (exchange_begin(exchange, length.len > 0 && !stream->is_grpc, number_of(length))) {
            if (stream->is_grpc)
                exchange->body.max_bytes += GRPC_FRAME_BYTES;
            return;
        }
    }
    http2_answer(exchange);
}

/* Takes the frame off a gRPC body; an answer is set when that cannot be done. */
static void unwrap(struct http_exchange *exchange)
{
    bool is_packed;
    if (!grpc_read_frame(buffer_bytes(&exchange->body), &is_packed)) {
        exchange_fail(exchange, 400, "the body is not exactly one gRPC message", false);
        return;
    }
    struct bytes encoding = http_request_header(&exchange->request, "grpc-encoding");
    if (is_packed && !bytes_equal_text(encoding, "gzip")) {
        exchange_fail(exchange, 415, "the only message encoding known here is gzip", false);
        return;
    }
    buffer_consume(&exchange->body, GRPC_FRAME_BYTES);
    if (is_packed)
        exchange_inflate(exchange);
}

static void on_request_end(struct http2_stream *stream)
{
    struct http_exchange *exchange = stream->exchange;
    stream_ended(stream);
    if (!exchange || exchange->ready)
        return;
    if (stream->is_grpc)
        unwrap(exchange);
    if (!exchange->ready)
        exchange_complete(exchange);
    if (exchange->ready)
        http2_answer(exchange);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)context;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct http2_stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!stream)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !stream->exchange)
        on_request_head(stream);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        on_request_end(stream);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *context)
{
    (void)flags;
    struct http2 *h = context;
    h->window_bytes += len;
    struct http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (!stream || !stream->exchange || stream->exchange->ready)
        return 0; /* the rest of a refused body */
    /* One body may be as large as allowed; many at once share a little more than that. */
    size_t ceiling = h->connection->server->options.max_body_bytes + SESSION_WINDOW_BYTES;
    if (h->held + len > ceiling)
        exchange_fail(stream->exchange, 503, "too much is being received on this connection",
                      false);
    else if (!buffer_append(&stream->exchange->body, bytes_make(data, len)))
        exchange_fail(stream->exchange, 413, "the body is larger than this server takes", false);
    else if (!exchange_charge(stream->exchange))
        exchange_fail(stream->exchange, 503, BUDGET_REASON, false);
    if (stream->exchange->ready) {
        http2_answer(stream->exchange);
        return 0;
    }
    stream->held += len;
    h->held += len;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    (void)code;
    (void)context;
    struct http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream)
        stream_destroy(stream);
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)context;
    bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    struct http2_stream *stream =
        ends ? nghttp2_session_get_stream_user_data(session, frame->hd.stream_id) : NULL;
    if (stream && !stream->has_ended) /* answered early: the client need not send the rest */
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_NO_ERROR);
    return 0;
}

static nghttp2_nv header(const char *name, size_t name_len, const char *value, size_t value_len)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .namelen = name_len,
                        .value = (uint8_t *)(uintptr_t)value,
                        .valuelen = value_len};
}

static nghttp2_nv text_header(const char *name, const char *value)
{
    return header(name, strlen(name), value, strlen(value));
}

/* The trailers of a gRPC answer, or what stands in its head when there is no message. */
static size_t grpc_trailers(const struct answer *answer, char *number, size_t size,
                            struct buffer *message, nghttp2_nv *out)
{
    snprintf(number, size, "%d", answer->grpc_status);
    out[0] = text_header("grpc-status", number);
    if (!answer->grpc_message || !grpc_encode_message(answer->grpc_message, message))
        return 1;
    out[1] = header("grpc-message", 12, (const char *)message->data, message->len);
    return 2;
}

static size_t copy_out(struct http2_stream *stream, uint8_t *out, size_t room)
{
    const struct answer *answer = &stream->exchange->answer;
    size_t done = 0;
    uint8_t frame[GRPC_FRAME_BYTES];
    grpc_write_frame(frame, answer->body.len);
    size_t prefix = stream->is_grpc ? GRPC_FRAME_BYTES : 0;
    while (stream->sent < prefix && done < room)
        out[done++] = frame[stream->sent++];
    size_t left = answer->body.len - (stream->sent - prefix);
    size_t part = left < room - done ? left : room - done;
    if (stream->sent >= prefix && part > 0) {
        memcpy(out + done, answer->body.data + (stream->sent - prefix), part);
        stream->sent += part;
        done += part;
    }
    return done;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)context;
    struct http2_stream *stream = source->ptr;
    size_t done = copy_out(stream, out, room);
    const struct answer *answer = &stream->exchange->answer;
    if (stream->sent < answer->body.len + (stream->is_grpc ? GRPC_FRAME_BYTES : 0))
        return (ssize_t)done;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->is_grpc) {
        char number[16];
        nghttp2_nv trailers[2];
        struct buffer message = {.max_bytes = 2048};
        size_t count = grpc_trailers(answer, number, sizeof number, &message, trailers);
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, trailers, count);
        buffer_clear(&message);
    }
    return (ssize_t)done;
}

/* Headers of HTTP/1 connections have no place here, and names are lower case. */
static size_t add_headers(struct answer *answer, nghttp2_nv *out, size_t count)
{
    for (size_t at = 0; at < answer->headers.len && count < MAX_ANSWER_HEADERS;) {
        char *name = (char *)answer->headers.data + at;
        char *value = name + strlen(name) + 1;
        at += strlen(name) + strlen(value) + 2;
        for (char *c = name; *c; c++)
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c - 'A' + 'a');
        if (strcmp(name, "connection") != 0 && strcmp(name, "transfer-encoding") != 0 &&
            strcmp(name, "keep-alive") != 0)
            out[count++] = text_header(name, value);
    }
    return count;
}

static void submit_grpc(struct http2_stream *stream)
{
    struct answer *answer = &stream->exchange->answer;
    char number[16];
    struct buffer message = {.max_bytes = 2048};
    nghttp2_nv headers[MAX_ANSWER_HEADERS + 4] = {text_header(":status", "200"),
                                                  text_header("content-type", "application/grpc")};
    size_t count = add_headers(answer, headers, 2);
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};
    bool has_message = answer->grpc_status == 0;
    if (!has_message)
        count += grpc_trailers(answer, number, sizeof number, &message, headers + count);
    nghttp2_submit_response(stream->http2->session, stream->id, headers, count,
                            has_message ? &provider : NULL);
    buffer_clear(&message);
}

static void submit_plain(struct http2_stream *stream)
{
    struct http_exchange *exchange = stream->exchange;
    struct answer *answer = &exchange->answer;
    char status[16], length[32];
    snprintf(status, sizeof status, "%d", answer->status);
    snprintf(length, sizeof length, "%zu", answer->body.len);
    nghttp2_nv headers[MAX_ANSWER_HEADERS + 4] = {
        text_header(":status", status),
        text_header("date", server_date(stream->http2->connection->server))};
    size_t count = 2;
    if (answer->content_type)
        headers[count++] = text_header("content-type", answer->content_type);
    bool bodiless = answer->status == 204 || answer->status == 304;
    if (!bodiless)
        headers[count++] = text_header("content-length", length);
    count = add_headers(answer, headers, count);
    bool has_body =
        !bodiless && answer->body.len > 0 && !bytes_equal_text(exchange->request.method, "HEAD");
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};
    nghttp2_submit_response(stream->http2->session, stream->id, headers, count,
                            has_body ? &provider : NULL);
}

void http2_answer(struct http_exchange *exchange)
{
    struct http2_stream *stream = exchange->stream;
    struct http2 *h = stream->http2;
    exchange_note_answer(exchange);
    exchange_drop_body(exchange);
    h->held -= stream->held;
    stream->held = 0;
    if (stream->is_grpc)
        submit_grpc(stream);
    else
        submit_plain(stream);
}

static nghttp2_session *make_session(struct http2 *h)
{
    nghttp2_session *session = NULL;
    nghttp2_option *option = NULL;
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_option_new(&option) != 0 || nghttp2_session_callbacks_new(&callbacks) != 0)
        abort(); /* out of memory */
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_BURST, RESETS_PER_S);
    nghttp2_option_set_max_continuations(option, MAX_CONTINUATIONS);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    if (nghttp2_session_server_new2(&session, callbacks, h, option) != 0)
        abort();
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return session;
}

void http2_start(struct connection *c)
{
    struct http2 *h = xcalloc(1, sizeof *h);
    h->connection = c;
    h->session = make_session(h);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_BYTES},
    };
    nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                            sizeof settings / sizeof *settings);
    nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, SESSION_WINDOW_BYTES);
    c->http2 = h;
    c->state = CONNECTION_HTTP2;
    c->served_any = true;
}

void http2_destroy(struct http2 *h)
{
    if (!h)
        return;
    while (h->streams)
        stream_destroy(h->streams);
    nghttp2_session_del(h->session);
    free(h);
}

bool http2_pump(struct connection *c)
{
    struct http2 *h = c->http2;
    bool any = false;
    const uint8_t *data;
    while (connection_unsent(c) <= OUT_PAUSE_BYTES) {
        ssize_t len = nghttp2_session_mem_send(h->session, &data);
        if (len < 0)
            c->state = CONNECTION_CLOSED;
        if (len <= 0)
            break;
        connection_put(c, bytes_make(data, (size_t)len));
        any = true;
    }
    if (c->state != CONNECTION_HTTP2)
        return any;
    bool over = c->server->draining && !h->streams;
    bool ended = !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
    if (ended || (over && !nghttp2_session_want_write(h->session)))
        connection_finish(c);
    return any;
}

void http2_take(struct connection *c, struct bytes *input)
{
    struct http2 *h = c->http2;
    ssize_t used = nghttp2_session_mem_recv(h->session, input->data, input->len);
    *input = bytes_make(NULL, 0);
    if (used < 0) {
        nghttp2_session_terminate_session(h->session, NGHTTP2_PROTOCOL_ERROR);
        http2_pump(c);
        if (c->state == CONNECTION_HTTP2)
            connection_finish(c);
        return;
    }
    set_deadline(h);
}

void http2_timeout(struct connection *c)
{
    struct http2 *h = c->http2;
    const struct http_server_options *options = &c->server->options;
    uint64_t needed = (uint64_t)options->body_min_bytes_per_s * options->body_grace_ms / 1000;
    bool too_slow = h->is_timing_body && h->window_bytes < needed;
    bool idle = !h->streams;
    if (connection_unsent(c) > 0) {
        c->state = CONNECTION_CLOSED; /* nobody reads */
    } else if (too_slow || idle) {
        nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
        http2_pump(c);
        if (c->state == CONNECTION_HTTP2)
            connection_finish(c);
    } else {
        h->is_timing_body = false;
        set_deadline(h);
    }
}

void http2_drain(struct connection *c)
{
    nghttp2_session *session = c->http2->session;
    nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_NO_ERROR, NULL,
                          0);
}
