#include "tests/core/http/echo_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/event/loop.h"
#include "tests/support/expect.h"

enum { MAX_HELD = 64 };

struct echo_server {
    struct loop *loop;
    struct http_server *server;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct http_exchange *held[MAX_HELD];
    int held_count;
    bool drained;
    uint64_t requests;
    uint32_t drain_limit_ms;
};

static bool path_is(const struct http_request *request, const char *path)
{
    return bytes_equal_text(request->path, path);
}

static size_t number_after(struct bytes path, const char *prefix)
{
    char text[32];
    size_t skip = strlen(prefix);
    snprintf(text, sizeof text, "%.*s", (int)(path.len - skip), (const char *)path.data + skip);
    return strtoul(text, NULL, 10);
}

static void on_head(void *context, struct http_exchange *exchange,
                    const struct http_request *request, struct http_verdict *verdict)
{
    (void)context;
    ck_assert_uint_eq(request->body.len, 0);
    if (bytes_starts_with(request->path, "/limit/"))
        verdict->max_body_bytes = number_after(request->path, "/limit/");
    if (path_is(request, "/refuse")) {
        verdict->refuse = true;
        http_respond_text(exchange, 401, "who are you");
    }
}

static void answer_ok(void *exchange)
{
    http_respond_text(exchange, 200, "late");
}

static void *answer_on_thread(void *exchange)
{
    answer_ok(exchange);
    return NULL;
}

static void answer_who(struct http_exchange *exchange, const struct http_request *r)
{
    struct bytes x = http_request_header(r, "X-TEST");
    char *text =
        xasprintf("%.*s %.*s %.*s %d %.*s", (int)r->method.len, (const char *)r->method.data,
                  (int)r->path.len, (const char *)r->path.data, (int)r->query.len,
                  (const char *)r->query.data, r->http_major, (int)x.len,
                  x.data ? (const char *)x.data : "");
    const char *const headers[] = {"X-Evil", "a\r\nX-Injected: b", NULL};
    http_respond(exchange,
                 &(struct http_answer){.status = 200, .body = bytes_of(text), .headers = headers});
    free(text);
}

static void answer_big(struct http_exchange *exchange, size_t len)
{
    char *text = xmalloc(len + 1);
    memset(text, 'x', len);
    http_respond(exchange, &(struct http_answer){.status = 200, .body = bytes_make(text, len)});
    free(text);
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct echo_server *echo = context;
    pthread_mutex_lock(&echo->mutex);
    echo->requests++;
    pthread_mutex_unlock(&echo->mutex);

    if (path_is(request, "/echo") || bytes_starts_with(request->path, "/limit/")) {
        http_respond(exchange, &(struct http_answer){.status = 200,
                                                     .content_type = "application/octet-stream",
                                                     .body = request->body});
    } else if (bytes_starts_with(request->path, "/big/")) {
        answer_big(exchange, number_after(request->path, "/big/"));
    } else if (path_is(request, "/who")) {
        answer_who(exchange, request);
    } else if (path_is(request, "/after")) {
        loop_after_wakeup(echo->loop, answer_ok, exchange);
    } else if (path_is(request, "/later")) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, answer_on_thread, exchange), 0);
        pthread_detach(thread);
    } else if (path_is(request, "/hold")) {
        pthread_mutex_lock(&echo->mutex);
        ck_assert_int_lt(echo->held_count, MAX_HELD);
        echo->held[echo->held_count++] = exchange;
        pthread_cond_broadcast(&echo->changed);
        pthread_mutex_unlock(&echo->mutex);
    } else {
        http_respond_text(exchange, 404, "no such thing");
    }
}

static void *run(void *context)
{
    struct echo_server *echo = context;
    loop_run(echo->loop);
    http_server_destroy(echo->server); /* on the loop's thread, as a program does */
    return NULL;
}

struct echo_server *echo_server_create_at(const struct http_server_options *options,
                                          const char *address, bool reuse_port)
{
    struct error err;
    struct echo_server *echo = xcalloc(1, sizeof *echo);
    pthread_mutex_init(&echo->mutex, NULL);
    pthread_cond_init(&echo->changed, NULL);
    echo->loop = loop_create(&err);
    struct http_server_options filled = {0};
    if (options)
        filled = *options;
    filled.handlers.context = echo;
    filled.handlers.on_head = on_head;
    filled.handlers.on_request = on_request;
    echo->server = http_server_create(echo->loop, &filled, &err);
    ck_assert_msg(echo->server != NULL, "%s", err.cause);
    expect_ok(http_server_listen(echo->server, address, reuse_port, &err));
    echo->port = http_server_port(echo->server);
    ck_assert_int_eq(pthread_create(&echo->thread, NULL, run, echo), 0);
    return echo;
}

struct echo_server *echo_server_create(const struct http_server_options *options)
{
    return echo_server_create_at(options, "127.0.0.1:0", false);
}

void echo_server_destroy(struct echo_server *echo)
{
    if (!echo)
        return;
    loop_stop(echo->loop);
    pthread_join(echo->thread, NULL);
    echo_server_release(echo); /* into the void: the server is gone */
    loop_destroy(echo->loop);
    pthread_cond_destroy(&echo->changed);
    pthread_mutex_destroy(&echo->mutex);
    free(echo);
}

uint16_t echo_server_port(const struct echo_server *echo)
{
    return echo->port;
}

struct http_server *echo_server_of(struct echo_server *echo)
{
    return echo->server;
}

uint64_t echo_server_requests(struct echo_server *echo)
{
    pthread_mutex_lock(&echo->mutex);
    uint64_t requests = echo->requests;
    pthread_mutex_unlock(&echo->mutex);
    return requests;
}

void echo_server_wait_for_held(struct echo_server *echo, int count)
{
    pthread_mutex_lock(&echo->mutex);
    while (echo->held_count < count)
        pthread_cond_wait(&echo->changed, &echo->mutex);
    pthread_mutex_unlock(&echo->mutex);
}

void echo_server_release(struct echo_server *echo)
{
    pthread_mutex_lock(&echo->mutex);
    int count = echo->held_count;
    echo->held_count = 0;
    pthread_mutex_unlock(&echo->mutex);
    for (int i = 0; i < count; i++)
        answer_ok(echo->held[i]);
}

static void on_drained(void *context)
{
    struct echo_server *echo = context;
    pthread_mutex_lock(&echo->mutex);
    echo->drained = true;
    pthread_cond_broadcast(&echo->changed);
    pthread_mutex_unlock(&echo->mutex);
}

static void start_drain(void *context)
{
    struct echo_server *echo = context;
    http_server_drain(echo->server, echo->drain_limit_ms, on_drained, echo);
}

void echo_server_drain(struct echo_server *echo, uint32_t limit_ms)
{
    echo->drain_limit_ms = limit_ms;
    loop_post(echo->loop, start_drain, echo);
}

void echo_server_wait_drained(struct echo_server *echo)
{
    pthread_mutex_lock(&echo->mutex);
    while (!echo->drained)
        pthread_cond_wait(&echo->changed, &echo->mutex);
    pthread_mutex_unlock(&echo->mutex);
}
