#include "server/router/router.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/router/workers.h"

enum { DEFAULT_THREADS = 4, MAX_WAITING = 256 };
#define CALL_ARENA_BYTES (32 * MIB)

struct router {
    struct login *login;
    struct sessions *sessions;
    struct log *log;
    struct workers *workers;
    struct route_table tables[ROUTER_MAX_TABLES];
    size_t table_count;
};

struct router *router_create(const struct router_options *options)
{
    struct router *r = xcalloc(1, sizeof *r);
    r->login = options->login;
    r->sessions = options->sessions;
    r->log = options->log;
    r->workers = workers_create(options->threads ? options->threads : DEFAULT_THREADS, MAX_WAITING);
    return r;
}

void router_destroy(struct router *r)
{
    if (!r)
        return;
    workers_destroy(r->workers);
    free(r);
}

void router_add(struct router *r, const struct route_table *table)
{
    if (r->table_count == ROUTER_MAX_TABLES)
        abort(); /* a programming mistake */
    r->tables[r->table_count++] = *table;
}

/* ---- Finding the route ---- */

bool route_matches(const char *pattern, struct bytes path,
                   struct bytes parameters[ROUTE_MAX_PARAMETERS])
{
    size_t at = 0, found = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (at == path.len || path.data[at] != (uint8_t)*pattern)
                return false;
            at++;
            pattern++;
            continue;
        }
        size_t begin = at;
        while (at < path.len && path.data[at] != '/')
            at++;
        if (at == begin || found == ROUTE_MAX_PARAMETERS)
            return false;
        parameters[found++] = bytes_make(path.data + begin, at - begin);
        while (*pattern && *pattern++ != '}')
            ;
    }
    return at == path.len;
}

struct match {
    const struct route *route; /* NULL: none */
    void *context;
    struct bytes parameters[ROUTE_MAX_PARAMETERS];
    bool path_known;  /* under another method */
    char allowed[64]; /* those methods */
};

static bool method_fits(const struct route *route, struct bytes method)
{
    return bytes_equal_text(method, route->method) ||
           (bytes_equal_text(method, "HEAD") && strcmp(route->method, "GET") == 0);
}

static struct match find_route(const struct router *r, const struct http_request *request)
{
    struct match m = {0};
    for (size_t t = 0; t < r->table_count; t++) {
        for (size_t i = 0; i < r->tables[t].count; i++) {
            const struct route *route = &r->tables[t].routes[i];
            if (!route_matches(route->pattern, request->path, m.parameters))
                continue;
            if (method_fits(route, request->method)) {
                m.route = route;
                m.context = r->tables[t].context;
                return m;
            }
            m.path_known = true;
            if (strstr(m.allowed, route->method))
                continue; /* a pattern and a literal path may both match */
            size_t len = strlen(m.allowed);
            snprintf(m.allowed + len, sizeof m.allowed - len, "%s%s", len ? ", " : "",
                     route->method);
        }
    }
    return m;
}

static void answer_no_route(struct http_exchange *exchange, const struct match *m)
{
    if (!m->path_known) {
        answer_error(exchange, 404, "not_found", "there is nothing at this path",
                     "see /api/openapi.json for what there is");
        return;
    }
    struct buffer body = {.max_bytes = KIB};
    answer_error_body("method_not_allowed", "this path takes another method", m->allowed, &body);
    http_respond(exchange,
                 &(struct http_answer){.status = 405,
                                       .content_type = "application/json",
                                       .body = buffer_bytes(&body),
                                       .headers =
                                           (const char *const[]){"allow", m->allowed, NULL}});
    buffer_clear(&body);
}

void router_on_head(void *context, struct http_exchange *exchange,
                    const struct http_request *request, struct http_verdict *verdict)
{
    struct match m = find_route(context, request);
    verdict->refuse = m.route == NULL;
    if (m.route)
        verdict->max_body_bytes = m.route->max_body_bytes;
    else
        answer_no_route(exchange, &m);
}

void router_make_error(void *context, const struct http_request *request, int status,
                       const char *reason, struct buffer *body, const char **content_type)
{
    (void)context;
    (void)request;
    *content_type = "application/json";
    answer_error_body(status == 413 ? "too_large" : "bad_request", reason, NULL, body);
}

/* ---- Who asks ---- */

struct bytes request_cookie(const struct http_request *request, const char *name)
{
    struct bytes header = http_request_header(request, "cookie");
    size_t name_len = strlen(name), at = 0;
    while (at < header.len) {
        while (at < header.len && (header.data[at] == ' ' || header.data[at] == ';'))
            at++;
        size_t end = at;
        while (end < header.len && header.data[end] != ';')
            end++;
        if (end - at > name_len && memcmp(header.data + at, name, name_len) == 0 &&
            header.data[at + name_len] == '=')
            return bytes_make(header.data + at + name_len + 1, end - at - name_len - 1);
        at = end;
    }
    return bytes_make(NULL, 0);
}

/* A bearer token is taken as it is; false with FAIL_DENIED when it is worthless. */
static bool identify(struct router *r, struct route_call *call, struct error *err)
{
    struct bytes header = http_request_header(call->request, "authorization");
    if (header.len > 7 && bytes_equal_ignoring_case(bytes_make(header.data, 7), "Bearer "))
        return login_verify(r->login, bytes_make(header.data + 7, header.len - 7), &call->who, err);
    struct bytes cookie = request_cookie(call->request, SESSION_COOKIE_NAME);
    bool found = cookie.len > 0 && sessions_find(r->sessions, cookie, &call->session, err);
    if (cookie.len > 0 && !found && err->kind != FAIL_NOT_FOUND)
        return false;
    if (found) {
        call->who = call->session.who;
        if (login_refresh(r->login, &call->who, err))
            return true;
        call->who = (struct identity){0};
        call->session = (struct session){0};
        if (err->kind != FAIL_NOT_FOUND)
            return false;
    }
    error_set(err, FAIL_DENIED, "nobody is logged in");
    return error_remedy(err, "log in at POST /api/v1/auth/login and send Authorization: Bearer");
}

static bool changes_something(const struct http_request *request)
{
    return !bytes_equal_text(request->method, "GET") && !bytes_equal_text(request->method, "HEAD");
}

static bool csrf_is_right(struct route_call *call)
{
    struct bytes given = http_request_header(call->request, "x-csrf-token");
    struct arguments form;
    struct error ignored = {0};
    if (!given.data && arguments_parse(call->request->body, &call->arena, &form, &ignored))
        given = arguments_get(&form, "csrf");
    return session_csrf_matches(&call->session, given);
}

static void send_to_login(struct http_exchange *exchange)
{
    static const char *const headers[] = {"location", "/login", "cache-control", "no-store", NULL};
    http_respond(exchange, &(struct http_answer){.status = 303, .headers = headers});
}

/* Answers, and returns false, when the route is not for whoever asks. */
static bool may_pass(struct router *r, const struct route *route, struct route_call *call)
{
    struct error err = {0};
    if (route->access == ACCESS_PUBLIC && (route->flags & ROUTE_ON_LOOP))
        return true; /* identifying reads the store, which may block */
    bool known = identify(r, call, &err);
    if (route->access != ACCESS_PUBLIC && !known) {
        if (route->flags & ROUTE_PAGE)
            send_to_login(call->exchange);
        else if (err.kind == FAIL_DENIED)
            answer_error(call->exchange, 401, "unauthorized", err.cause, err.remedy);
        else
            answer_error_later(call->exchange, 503, "unavailable", "logins cannot be checked now",
                               2);
        return false;
    }
    if (!known)
        call->who = (struct identity){0};
    if (known && call->session.csrf[0] && changes_something(call->request) &&
        !(route->flags & ROUTE_OWN_CSRF) && !csrf_is_right(call)) {
        answer_error(call->exchange, 403, "csrf", "the form is too old or not this site's",
                     "load the page again");
        return false;
    }
    if (route->access > ACCESS_VIEWER &&
        (int)call->who.role < (int)route->access - (int)ACCESS_VIEWER) {
        char message[160];
        snprintf(message, sizeof message, "this needs the role %s; %s is %s",
                 role_name((enum control_role)(route->access - ACCESS_VIEWER)), call->who.email,
                 role_name(call->who.role));
        answer_error(call->exchange, 403, "role", message, "ask an admin for the role");
        return false;
    }
    return true;
}

/* ---- Running the handler ---- */

struct errand {
    struct router *router;
    struct match match;
    struct route_call call;
};

static void run(void *context)
{
    struct errand *e = context;
    struct error err = {0};
    e->call.arena.max_bytes = CALL_ARENA_BYTES;
    memcpy(e->call.parameters, e->match.parameters, sizeof e->call.parameters);
    if (!arguments_parse(e->call.request->query, &e->call.arena, &e->call.query, &err))
        answer_failure(e->call.exchange, &err);
    else if (may_pass(e->router, e->match.route, &e->call))
        e->match.route->handler(e->match.context, &e->call);
    arena_clear(&e->call.arena);
    free(e);
}

void router_on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct router *r = context;
    struct errand *e = xcalloc(1, sizeof *e);
    e->router = r;
    e->match = find_route(r, request);
    e->call.exchange = exchange;
    e->call.request = request;
    if (!e->match.route) {
        answer_no_route(exchange, &e->match);
        free(e);
    } else if (e->match.route->flags & ROUTE_ON_LOOP) {
        run(e);
    } else if (!workers_submit(r->workers, run, e)) {
        answer_error_later(exchange, 503, "busy", "too many requests wait", 1);
        free(e);
    }
}
