#include "core/http/server.h"

#include <stdlib.h>

#include "base/memory.h"
#include "core/http/internal.h"
#include "core/http/tls.h"
#include "platform/fs.h"
#include "platform/platform.h"

enum { ACCEPTS_PER_WAKEUP = 64, ACCEPT_PAUSE_MS = 100, QUIET_MS = 1000 };

void server_count(struct http_server *server, enum counter counter, uint64_t amount)
{
    atomic_fetch_add_explicit(&server->counters[counter], amount, memory_order_relaxed);
}

void server_count_answer(struct http_server *server, int status)
{
    int class = status >= 100 && status < 600 ? status / 100 : 0;
    server_count(server, (enum counter)(COUNT_ANSWERED + class), 1);
}

const char *server_date(struct http_server *server)
{
    uint64_t now_s = clock_wall_ns(&platform_clock) / NS_PER_S;
    if (now_s != server->date_s) {
        server->date_s = now_s;
        http_date_format(now_s, server->date);
    }
    return server->date;
}

static void set_accepting(struct http_server *server, bool may)
{
    server->accept_paused = !may;
    for (struct listener *l = server->listeners; l; l = l->next)
        if (l->watch)
            loop_watch_change(l->watch, may ? LOOP_READABLE : 0);
}

/* Without a pause this would spin: the listening socket stays readable, the backlog holds who comes. */
static void pause_accepting(struct http_server *server)
{
    set_accepting(server, false);
    loop_timer_set(server->accept_timer, ACCEPT_PAUSE_MS);
}

static void on_accept_timer(void *context)
{
    struct http_server *server = context;
    set_accepting(server, true);
}

/*
 * At the cap, and while descriptors are short, whoever has been silent longest gives way:
 * kept-alive connections of thousands of clients must not lock out the next one.
 * The list begins with the newest, so of those silent since one millisecond the oldest gives way.
 */
static bool make_room(struct http_server *server)
{
    struct connection *quietest = NULL;
    for (struct connection *c = server->connections; c; c = c->next)
        if (connection_is_idle(c) && (!quietest || c->quiet_since_ms <= quietest->quiet_since_ms))
            quietest = c;
    if (!quietest || loop_now_ms(server->loop) - quietest->quiet_since_ms < QUIET_MS)
        return false;
    connection_cut(quietest);
    return true;
}

static void accept_some(struct http_server *server, int listener)
{
    for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
        if (server->open_count >= server->options.max_connections)
            break;
        struct socket_address remote;
        int fd = socket_accept(listener, &remote);
        if (fd == SOCKET_SHORT && make_room(server))
            continue;
        if (fd == SOCKET_SHORT) {
            pause_accepting(server);
            break;
        }
        if (fd == SOCKET_GONE)
            continue;
        if (fd < 0)
            break;
        server_count(server, COUNT_CONNECTIONS, 1);
        server_count(server, COUNT_OPEN, 1);
        connection_create(server, fd, &remote);
    }
}

static void on_listener(void *context, int fd, unsigned events)
{
    (void)events;
    struct listener *listener = context;
    struct http_server *server = listener->server;
    /* Room is made for one at a time: only that one is known to be waiting. */
    if (server->open_count >= server->options.max_connections && !make_room(server))
        pause_accepting(server);
    else
        accept_some(server, fd);
}

static void drain_finished(void *context)
{
    struct http_server *server = context;
    if (server->drain_done)
        server->drain_done(server->drain_context);
}

static void on_drained(struct http_server *server)
{
    if (server->drained)
        return;
    server->drained = true;
    /* By the timer and not at once: the callback is free to destroy the server. */
    loop_timer_set(server->drain_timer, 0);
}

static void on_drain_timer(void *context)
{
    struct http_server *server = context;
    server->drained = true;
    drain_finished(server);
}

void server_forget(struct http_server *server, struct connection *c)
{
    if (c->previous)
        c->previous->next = c->next;
    else
        server->connections = c->next;
    if (c->next)
        c->next->previous = c->previous;
    if (server->next_to_drain == c)
        server->next_to_drain = c->next;
    server->open_count--;
    atomic_fetch_sub_explicit(&server->counters[COUNT_OPEN], 1, memory_order_relaxed);
    if (server->accept_paused && !server->draining)
        set_accepting(server, true);
    if (server->draining && server->open_count == 0)
        on_drained(server);
}

static void set_defaults(struct http_server_options *options)
{
    if (options->max_body_bytes == 0)
        options->max_body_bytes = 64 * MIB;
    if (options->max_connections == 0)
        options->max_connections = 1024;
    if (options->header_timeout_ms == 0)
        options->header_timeout_ms = 10000;
    if (options->idle_timeout_ms == 0)
        options->idle_timeout_ms = 75000;
    if (options->body_min_bytes_per_s == 0)
        options->body_min_bytes_per_s = 1024;
    if (options->body_grace_ms == 0)
        options->body_grace_ms = 10000;
}

struct http_server *http_server_create(struct loop *loop, const struct http_server_options *options,
                                       struct error *err)
{
    struct http_server *server = xcalloc(1, sizeof *server);
    server->loop = loop;
    server->options = *options;
    set_defaults(&server->options);
    server->options.tls_cert_file = server->cert_file = xstrdup(options->tls_cert_file);
    server->options.tls_key_file = server->key_file = xstrdup(options->tls_key_file);
    server->link = xcalloc(1, sizeof *server->link);
    pthread_mutex_init(&server->link->mutex, NULL);
    server->link->loop = loop;
    atomic_init(&server->link->references, 1);
    server->read_buffer = xmalloc(READ_BYTES);
    server->accept_timer = loop_timer_create(loop, on_accept_timer, server);
    server->drain_timer = loop_timer_create(loop, on_drain_timer, server);
    if (server->cert_file && !http_server_reload_tls(server, err)) {
        http_server_destroy(server);
        return NULL;
    }
    return server;
}

bool http_server_reload_tls(struct http_server *server, struct error *err)
{
    if (!server->cert_file || !server->key_file) {
        error_set(err, FAIL_INVALID, "TLS needs both a certificate and a key");
        return error_remedy(err, "name both files");
    }
    struct tls_context *fresh = tls_context_create(server->cert_file, server->key_file, err);
    if (!fresh)
        return false;
    tls_context_destroy(server->tls);
    server->tls = fresh;
    return true;
}

static struct listener *add_listener(struct http_server *server, int fd, const char *unix_path)
{
    struct listener *listener = xcalloc(1, sizeof *listener);
    listener->server = server;
    listener->fd = fd;
    listener->unix_path = xstrdup(unix_path);
    struct listener **last = &server->listeners;
    while (*last)
        last = &(*last)->next;
    *last = listener;
    listener->watch = loop_watch_add(server->loop, fd, LOOP_READABLE, on_listener, listener);
    return listener;
}

bool http_server_listen(struct http_server *server, const char *address, bool reuse_port,
                        struct error *err)
{
    int fd = socket_listen(address, reuse_port, err);
    if (fd < 0)
        return false;
    add_listener(server, fd, socket_unix_path(address));
    return true;
}

bool http_server_adopt(struct http_server *server, int listening_fd, struct error *err)
{
    if (!socket_adopt(listening_fd, err))
        return false;
    add_listener(server, listening_fd, NULL)->is_adopted = true;
    return true;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->listeners ? socket_port(server->listeners->fd) : 0;
}

static void close_listeners(struct http_server *server)
{
    while (server->listeners) {
        struct listener *listener = server->listeners;
        server->listeners = listener->next;
        loop_watch_remove(listener->watch);
        socket_close(listener->fd);
        struct error ignored;
        if (listener->unix_path)
            (void)!fs_real.remove(fs_real.disk, listener->unix_path, &ignored);
        free(listener->unix_path);
        free(listener);
    }
}

void http_server_drain(struct http_server *server, uint32_t limit_ms, void (*done)(void *context),
                       void *context)
{
    server->drain_done = done;
    server->drain_context = context;
    if (server->draining)
        return;
    /* Who connected before the end is served: closing the socket would reset them. Where another
     * process holds it too, they wait for our successor. */
    for (struct listener *l = server->listeners; l; l = l->next)
        if (!l->is_adopted)
            accept_some(server, l->fd);
    close_listeners(server);
    server->draining = true;
    loop_timer_set(server->drain_timer, limit_ms);

    /* Draining one connection may close it, and only it: the next one is noted beforehand. */
    struct connection *c = server->connections;
    while (c) {
        server->next_to_drain = c->next;
        connection_drain(c);
        c = server->next_to_drain;
    }
    if (server->open_count == 0)
        on_drained(server);
}

void http_server_destroy(struct http_server *server)
{
    if (!server)
        return;
    close_listeners(server);
    server->draining = false;
    while (server->connections)
        connection_cut(server->connections);

    pthread_mutex_lock(&server->link->mutex);
    server->link->loop = NULL;
    pthread_mutex_unlock(&server->link->mutex);
    server_link_drop(server->link);

    tls_context_destroy(server->tls);
    loop_timer_destroy(server->accept_timer);
    loop_timer_destroy(server->drain_timer);
    free(server->read_buffer);
    free(server->cert_file);
    free(server->key_file);
    free(server);
}

static uint64_t count_of(const struct http_server *server, enum counter counter)
{
    return atomic_load_explicit((atomic_uint_least64_t *)(uintptr_t)&server->counters[counter],
                                memory_order_relaxed);
}

void http_server_counters(const struct http_server *server, struct http_server_counters *out)
{
    *out = (struct http_server_counters){
        .connections_total = count_of(server, COUNT_CONNECTIONS),
        .connections_open = count_of(server, COUNT_OPEN),
        .requests_total = count_of(server, COUNT_REQUESTS),
        .bytes_in_total = count_of(server, COUNT_BYTES_IN),
        .bytes_out_total = count_of(server, COUNT_BYTES_OUT),
    };
    for (int i = 0; i < 6; i++)
        out->answered_total[i] = count_of(server, (enum counter)(COUNT_ANSWERED + i));
}
