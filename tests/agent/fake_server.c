#include "tests/agent/fake_server.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/support/expect.h"

struct fake_server {
    struct http_server *http;
    fake_answer *answer;
    void *context;
    char url[64];
};

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct fake_server *s = context;
    s->answer(s->context, request, exchange);
}

struct fake_server *fake_server_create(struct loop *loop, fake_answer *answer, void *context)
{
    struct error err = {0};
    struct fake_server *s = xcalloc(1, sizeof *s);
    s->answer = answer;
    s->context = context;
    struct http_server_options options = {.handlers = {.context = s, .on_request = on_request}};
    s->http = http_server_create(loop, &options, &err);
    expect_ok(s->http != NULL);
    expect_ok(http_server_listen(s->http, "127.0.0.1:0", false, &err));
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", http_server_port(s->http));
    return s;
}

void fake_server_destroy(struct fake_server *s)
{
    http_server_destroy(s->http);
    free(s);
}

const char *fake_server_url(const struct fake_server *s)
{
    return s->url;
}

static void too_late(void *context)
{
    (void)context;
    ck_abort_msg("nothing happened for ten seconds");
}

void run_loop(struct loop *loop)
{
    struct loop_timer *limit = loop_timer_create(loop, too_late, NULL);
    loop_timer_set(limit, 10000);
    loop_run(loop);
    loop_timer_destroy(limit);
}
