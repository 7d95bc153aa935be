/* One socket of the server: reading, writing, deadlines, and the order in which it ends. */
#include <stdlib.h>

#include "base/memory.h"
#include "core/http/http2.h"
#include "core/http/internal.h"
#include "core/http/tls.h"

enum {
    IN_BYTES = READ_BYTES + HTTP1_HEAD_BYTES, /* read, and not used yet */
    READS_PER_WAKEUP = 16,                    /* then other connections have their turn */
    DRAIN_LINGER_MS = 300,
    DRAIN_FRESH_MS = 200, /* a connection's first request is often right behind it */
};

static const size_t out_ceiling = (size_t)1 << 30;

size_t connection_unsent(const struct connection *c)
{
    return c->out.len - c->out_sent;
}

void connection_set_deadline(struct connection *c, uint64_t delay_ms)
{
    c->deadline_ms = loop_now_ms(c->server->loop) + delay_ms;
    /* A later deadline leaves the timer as it is: when it fires, it is set again. */
    if (c->timer_at_ms == 0 || c->timer_at_ms > c->deadline_ms) {
        c->timer_at_ms = c->deadline_ms;
        loop_timer_set(c->timer, delay_ms);
    }
}

void connection_no_deadline(struct connection *c)
{
    c->deadline_ms = UINT64_MAX;
}

void connection_put(struct connection *c, struct bytes data)
{
    if (!buffer_append(&c->out, data))
        c->state = CONNECTION_CLOSED;
}

void connection_finish(struct connection *c)
{
    c->state = CONNECTION_LINGER;
    connection_set_deadline(c, WRITE_STALL_MS);
}

bool connection_is_idle(const struct connection *c)
{
    if (c->state == CONNECTION_HTTP2)
        return false;
    return c->state == CONNECTION_HANDSHAKE ||
           (c->state == CONNECTION_HEAD && !c->head_started && !c->resume && c->in.len == 0 &&
            connection_unsent(c) == 0);
}

static bool wants_input(const struct connection *c)
{
    if (c->peer_ended)
        return false;
    switch (c->state) {
    case CONNECTION_HEAD:
        return !c->resume && connection_unsent(c) == 0;
    case CONNECTION_HTTP2:
        return connection_unsent(c) <= OUT_PAUSE_BYTES;
    case CONNECTION_WAIT:
    case CONNECTION_CLOSED:
        return false;
    default:
        return true;
    }
}

/* As recv(), with TLS_AGAIN and TLS_FAILED for its errors. */
static ptrdiff_t receive(struct connection *c, void *out, size_t size)
{
    if (c->tls)
        return tls_read(c->tls, out, size);
    ptrdiff_t got = socket_read(c->fd, out, size);
    return got >= 0 ? got : got == SOCKET_AGAIN ? TLS_AGAIN : TLS_FAILED;
}

static ptrdiff_t transmit(struct connection *c, const void *data, size_t len)
{
    if (c->tls)
        return tls_write(c->tls, data, len);
    ptrdiff_t sent = socket_write(c->fd, data, len);
    return sent >= 0 ? sent : sent == SOCKET_AGAIN ? TLS_AGAIN : TLS_FAILED;
}

/* What a client sends after its last answer keeps the connection open for a while, no more. */
static void ignore(struct connection *c, struct bytes *input)
{
    *input = bytes_make(NULL, 0);
    uint64_t now_ms = loop_now_ms(c->server->loop);
    if (!c->has_shut || now_ms >= c->linger_until_ms)
        return;
    uint64_t left_ms = c->linger_until_ms - now_ms;
    connection_set_deadline(c, left_ms < LINGER_SILENCE_MS ? left_ms : LINGER_SILENCE_MS);
}

static void take(struct connection *c, struct bytes *input)
{
    if (c->state != CONNECTION_LINGER && c->state != CONNECTION_HTTP2)
        http1_take(c, input);
    if (c->state == CONNECTION_HTTP2 && input->len > 0)
        http2_take(c, input);
    if (c->state == CONNECTION_LINGER)
        ignore(c, input);
}

/* Hands on what was kept from before, then `data`; keeps what nobody takes yet. */
static void feed(struct connection *c, struct bytes data)
{
    if (c->in.len == 0) {
        take(c, &data);
        if (data.len > 0 && c->state != CONNECTION_CLOSED && !buffer_append(&c->in, data))
            c->state = CONNECTION_CLOSED;
        return;
    }
    if (!buffer_append(&c->in, data)) {
        c->state = CONNECTION_CLOSED;
        return;
    }
    struct bytes input = buffer_bytes(&c->in);
    take(c, &input);
    buffer_consume(&c->in, c->in.len - input.len);
}

static void on_end(struct connection *c)
{
    c->peer_ended = true;
    /* A client may stop sending and still wait for its answers. */
    if (connection_unsent(c) > 0)
        connection_finish(c);
    else
        c->state = CONNECTION_CLOSED;
}

static void step_handshake(struct connection *c)
{
    int result = tls_handshake(c->tls);
    if (result == TLS_FAILED)
        c->state = CONNECTION_CLOSED;
    if (result != 1)
        return;
    c->state = CONNECTION_HEAD;
    if (tls_chose_http2(c->tls))
        http2_start(c);
}

static void read_some(struct connection *c)
{
    for (int i = 0; i < READS_PER_WAKEUP; i++) {
        if (c->state == CONNECTION_HANDSHAKE)
            step_handshake(c);
        if (!wants_input(c) || c->state == CONNECTION_HANDSHAKE)
            return;
        size_t room = READ_BYTES;
        uint8_t *body = http1_body_room(c, &room);
        ptrdiff_t got = receive(c, body ? body : c->server->read_buffer, room);
        if (got == TLS_AGAIN)
            return;
        if (got == TLS_FAILED) {
            c->state = CONNECTION_CLOSED;
            return;
        }
        if (got == 0) {
            on_end(c);
            return;
        }
        server_count(c->server, COUNT_BYTES_IN, (uint64_t)got);
        if (body)
            http1_body_read(c, (size_t)got);
        else
            feed(c, bytes_make(c->server->read_buffer, (size_t)got));
        if (!c->tls && (size_t)got < room)
            return; /* the socket is empty: no need to be told so */
    }
    c->resume = c->resume || (c->tls && tls_has_pending(c->tls));
}

static void shut(struct connection *c)
{
    if (c->tls)
        tls_shut(c->tls);
    socket_shut(c->fd);
    c->has_shut = true;
    uint64_t limit_ms = c->server->draining ? DRAIN_LINGER_MS : LINGER_MS;
    c->linger_until_ms = loop_now_ms(c->server->loop) + limit_ms;
    connection_set_deadline(c, limit_ms < LINGER_SILENCE_MS ? limit_ms : LINGER_SILENCE_MS);
}

static void flush(struct connection *c)
{
    size_t before = c->out_sent;
    bool was_stuck = c->write_stuck;
    c->write_stuck = false;
    while (connection_unsent(c) > 0 && c->state != CONNECTION_CLOSED) {
        ptrdiff_t sent = transmit(c, c->out.data + c->out_sent, connection_unsent(c));
        if (sent == TLS_AGAIN) {
            c->write_stuck = true;
            break;
        }
        if (sent == TLS_FAILED) {
            c->state = CONNECTION_CLOSED;
            return;
        }
        c->out_sent += (size_t)sent;
        server_count(c->server, COUNT_BYTES_OUT, (uint64_t)sent);
    }
    bool progress = c->out_sent > before;
    if (connection_unsent(c) == 0) {
        buffer_clear(&c->out);
        c->out_sent = 0;
    }
    /* While an answer is stuck, the deadline is the client's to read some of it. */
    bool answering = c->state == CONNECTION_HEAD || c->state == CONNECTION_LINGER;
    if (answering && c->write_stuck && (progress || !was_stuck))
        connection_set_deadline(c, WRITE_STALL_MS);
    else if (c->state == CONNECTION_HEAD && was_stuck && !c->write_stuck)
        connection_set_deadline(c, c->server->options.idle_timeout_ms);
}

static void release(struct connection *c)
{
    struct http_server *server = c->server;
    if (c->exchange && c->exchange->handed_over)
        c->exchange->connection = NULL; /* the handler still owes its answer */
    else
        exchange_destroy(c->exchange);
    http2_destroy(c->http2);
    loop_watch_remove(c->watch);
    loop_timer_destroy(c->timer);
    tls_destroy(c->tls);
    socket_close(c->fd);
    buffer_clear(&c->in);
    buffer_clear(&c->out);
    server_forget(server, c);
    free(c);
}

/* Ends every callback: sends, frees what an idle connection needs not, or the connection itself. */
static void settle(struct connection *c)
{
    bool more = true;
    while (more) {
        more = c->state == CONNECTION_HTTP2 && http2_pump(c);
        if (c->state != CONNECTION_CLOSED && connection_unsent(c) > 0)
            flush(c);
        more = more && connection_unsent(c) == 0;
    }
    if (c->state == CONNECTION_LINGER && connection_unsent(c) == 0) {
        if (c->peer_ended)
            c->state = CONNECTION_CLOSED;
        else if (!c->has_shut)
            shut(c);
    }
    if (c->state == CONNECTION_CLOSED) {
        release(c);
        return;
    }
    c->is_busy = false;
    if (c->in.len == 0)
        buffer_clear(&c->in);
    if (c->resume && connection_unsent(c) == 0) {
        c->timer_at_ms = loop_now_ms(c->server->loop);
        loop_timer_set(c->timer, 0);
    }
    if (c->state != CONNECTION_WAIT)
        c->has_more = false;
    /* Most clients send nothing before their answer: the watch stays, unless it rings. */
    bool watched = wants_input(c) || (c->state == CONNECTION_WAIT && !c->has_more);
    unsigned events = watched ? LOOP_READABLE : 0u;
    bool handshake_writes = c->state == CONNECTION_HANDSHAKE && tls_wants_write(c->tls);
    if (connection_unsent(c) > 0 || handshake_writes)
        events |= LOOP_WRITABLE;
    loop_watch_change(c->watch, events);
}

static void on_ready(void *context, int fd, unsigned events)
{
    (void)fd;
    struct connection *c = context;
    c->is_busy = true;
    c->has_more = (events & LOOP_READABLE) && !wants_input(c);
    if ((events & LOOP_READABLE) || c->state == CONNECTION_HANDSHAKE)
        read_some(c);
    settle(c);
}

static void expire(struct connection *c)
{
    bool reading = c->state == CONNECTION_HEAD || c->state == CONNECTION_BODY;
    if (reading && connection_unsent(c) == 0)
        http1_timeout(c);
    else if (c->state == CONNECTION_HTTP2)
        http2_timeout(c);
    else
        c->state = CONNECTION_CLOSED;
}

static void on_timer(void *context)
{
    struct connection *c = context;
    c->is_busy = true;
    c->timer_at_ms = 0;
    uint64_t now_ms = loop_now_ms(c->server->loop);
    if (c->resume && connection_unsent(c) == 0) {
        c->resume = false;
        if (c->in.len > 0)
            feed(c, bytes_make(NULL, 0));
        if (c->tls && tls_has_pending(c->tls))
            read_some(c);
    }
    if (c->state != CONNECTION_CLOSED && c->deadline_ms <= now_ms)
        expire(c);
    if (c->state != CONNECTION_CLOSED && c->deadline_ms != UINT64_MAX && c->timer_at_ms == 0)
        connection_set_deadline(c, c->deadline_ms > now_ms ? c->deadline_ms - now_ms : 0);
    settle(c);
}

void connection_answer(struct http_exchange *exchange)
{
    struct connection *c = exchange->connection;
    if (c->http2)
        http2_answer(exchange);
    else
        http1_answer(c);
    c->resume = !c->http2 && (c->in.len > 0 || (c->tls && tls_has_pending(c->tls)));
    if (!c->is_busy)
        settle(c);
}

void connection_create(struct http_server *server, int fd, const struct socket_address *remote)
{
    struct connection *c = xcalloc(1, sizeof *c);
    c->server = server;
    c->fd = fd;
    c->remote = *remote;
    c->number = ++server->accepted_count;
    c->quiet_since_ms = loop_now_ms(server->loop);
    socket_local_address(fd, &c->local);
    c->in.max_bytes = IN_BYTES;
    c->out.max_bytes = out_ceiling;
    c->timer = loop_timer_create(server->loop, on_timer, c);
    c->watch = loop_watch_add(server->loop, fd, LOOP_READABLE, on_ready, c);
    c->next = server->connections;
    if (c->next)
        c->next->previous = c;
    server->connections = c;
    server->open_count++;

    c->is_busy = true;
    c->state = CONNECTION_HEAD;
    if (server->tls) {
        c->state = CONNECTION_HANDSHAKE;
        c->tls = tls_accept(server->tls, fd);
        if (!c->tls)
            c->state = CONNECTION_CLOSED;
    }
    connection_set_deadline(c, server->options.header_timeout_ms);
    if (c->state == CONNECTION_HEAD)
        read_some(c); /* the request is often here already */
    settle(c);
}

void connection_cut(struct connection *c)
{
    c->state = CONNECTION_CLOSED;
    release(c);
}

void connection_drain(struct connection *c)
{
    c->is_busy = true;
    bool reads = c->state == CONNECTION_HEAD || c->state == CONNECTION_HTTP2;
    if (reads && !c->peer_ended)
        read_some(c); /* a request may have come that nobody has looked at */
    if (c->state == CONNECTION_LINGER && c->has_shut) {
        uint64_t now_ms = loop_now_ms(c->server->loop);
        if (c->linger_until_ms > now_ms + DRAIN_LINGER_MS) {
            c->linger_until_ms = now_ms + DRAIN_LINGER_MS;
            connection_set_deadline(c, DRAIN_LINGER_MS);
        }
    }
    if (c->state == CONNECTION_HTTP2)
        http2_drain(c);
    if (connection_is_idle(c) && !c->served_any && !c->peer_ended)
        connection_set_deadline(c, DRAIN_FRESH_MS);
    else if (connection_is_idle(c))
        connection_finish(c);
    settle(c);
}
