/*
 * Our server as the agent sees it, on the test's own loop: a real HTTP server
 * on a free port, whose answers the test decides request by request.
 */
#ifndef TESTS_AGENT_FAKE_SERVER_H
#define TESTS_AGENT_FAKE_SERVER_H

#include "core/event/loop.h"
#include "core/http/server.h"

struct fake_server;

/* Called per request; answers it. */
typedef void fake_answer(void *context, const struct http_request *request,
                         struct http_exchange *exchange);

struct fake_server *fake_server_create(struct loop *loop, fake_answer *answer, void *context);
void fake_server_destroy(struct fake_server *server);
const char *fake_server_url(const struct fake_server *server); /* "http://127.0.0.1:PORT" */

/* Runs the loop until somebody stops it; a test that hangs fails after ten seconds. */
void run_loop(struct loop *loop);

#endif
