/*
 * Which handler answers which request, and who may ask. Every part of the
 * server hands in a table of its routes; the tables are what openapi.json and
 * docs/http-api.md are tested against.
 *
 *   on_request ─▶ route ─▶ who asks? ─▶ worker thread ─▶ handler ─▶ http_respond
 *
 * The API takes a bearer token or the browser's session cookie; a request that
 * changes something and comes with a cookie must repeat the session's CSRF token, as
 * header X-CSRF-Token or form field "csrf".
 */
#ifndef SERVER_ROUTER_ROUTER_H
#define SERVER_ROUTER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "core/http/server.h"
#include "core/log/log.h"
#include "server/auth/login.h"
#include "server/auth/session.h"
#include "server/router/answers.h"
#include "server/router/arguments.h"

enum { ROUTE_MAX_PARAMETERS = 3, ROUTER_MAX_TABLES = 16 };

#define SESSION_COOKIE_NAME "ct_session"

/* One request on its way through a handler; the handler answers the exchange, once. */
struct route_call {
    struct http_exchange *exchange;
    const struct http_request *request;            /* valid until answered */
    struct bytes parameters[ROUTE_MAX_PARAMETERS]; /* what stood for {…} in the pattern, in order */
    struct arguments query;
    struct identity who;    /* unless the route is public and nobody is logged in: email "" */
    struct session session; /* csrf "" when the request came with a bearer token */
    struct arena arena;     /* for the handler's own use; cleared after it */
};

typedef void route_handler(void *context, struct route_call *call);

enum route_access {
    ACCESS_PUBLIC,
    ACCESS_VIEWER,
    ACCESS_ANALYST,
    ACCESS_AUDITOR,
    ACCESS_ADMIN,
};

enum route_flags {
    ROUTE_ON_LOOP = 1, /* quick and never blocking: answered on the loop's thread */
    ROUTE_PAGE = 2,    /* for browsers: who is not logged in is sent to /login */
    ROUTE_OWN_CSRF = 4 /* the handler checks where the request comes from by itself */
};

struct route {
    const char *method;
    const char *pattern; /* "/api/v1/messages/{id}" */
    enum route_access access;
    unsigned flags;
    route_handler *handler;
    size_t max_body_bytes; /* 0: a body is refused */
};

struct route_table {
    const struct route *routes;
    size_t count;
    void *context; /* handed to the handlers */
};

struct router;

struct router_options {
    struct login *login;       /* borrowed */
    struct sessions *sessions; /* borrowed */
    struct log *log;           /* borrowed, or NULL */
    unsigned threads;          /* default 4 when 0 */
};

struct router *router_create(const struct router_options *options);
void router_destroy(struct router *router); /* waits for handlers; NULL is fine */

/* Before the first request. `table` is copied, its routes are borrowed. */
void router_add(struct router *router, const struct route_table *table);

/* As in struct http_handlers; `context` is the struct router. */
void router_on_head(void *context, struct http_exchange *exchange,
                    const struct http_request *request, struct http_verdict *verdict);
void router_on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request);
void router_make_error(void *context, const struct http_request *request, int status,
                       const char *reason, struct buffer *body, const char **content_type);

/* Does `pattern` cover `path`? Fills the parameters. */
bool route_matches(const char *pattern, struct bytes path,
                   struct bytes parameters[ROUTE_MAX_PARAMETERS]);

/* The value of a cookie; empty when absent. */
struct bytes request_cookie(const struct http_request *request, const char *name);

#endif
