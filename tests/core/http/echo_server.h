/*
 * A server to test against, on a loop and a thread of its own:
 *
 *   POST /echo        the body back
 *   GET  /big/N       N bytes
 *   POST /limit/N     as /echo, for bodies up to N bytes
 *   POST /refuse      401 from on_head
 *   GET  /after       answered after the callbacks of the wake-up
 *   GET  /later       answered from another thread
 *   GET  /hold        never answered; echo_server_release() answers all that are held
 *   GET  /who         METHOD PATH QUERY VERSION, and what `X-Test` says
 *   anything else     404
 */
#ifndef TESTS_CORE_HTTP_ECHO_SERVER_H
#define TESTS_CORE_HTTP_ECHO_SERVER_H

#include "core/http/server.h"

struct echo_server;

/* Short timeouts are for the caller to set; handlers are filled in here. NULL: all defaults. */
struct echo_server *echo_server_create(const struct http_server_options *options);
struct echo_server *echo_server_create_at(const struct http_server_options *options,
                                          const char *address, bool reuse_port);
void echo_server_destroy(struct echo_server *echo);

uint16_t echo_server_port(const struct echo_server *echo);
struct http_server *echo_server_of(struct echo_server *echo);
uint64_t echo_server_requests(struct echo_server *echo); /* requests handed to on_request */

/* From the test's thread. */
void echo_server_wait_for_held(struct echo_server *echo, int count);
void echo_server_release(struct echo_server *echo);
void echo_server_drain(struct echo_server *echo, uint32_t limit_ms);
void echo_server_wait_drained(struct echo_server *echo);

#endif
