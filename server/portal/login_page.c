/* Logging in and out with a browser. */
#include <stdio.h>

#include "server/portal/pages.h"

static void show_form(struct route_call *call, int status, const char *problem)
{
    struct page page;
    page_open(&page, call, TAB_NONE, "Log in");
    if (problem)
        page_put_problem(&page, problem);
    html_raw(&page,
             "<form class=\"login\" method=\"post\" action=\"/login\">"
             "<label for=\"email\">E-mail address</label>"
             "<input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"username\" required "
             "autofocus>"
             "<label for=\"password\">Password</label>"
             "<input id=\"password\" name=\"password\" type=\"password\" "
             "autocomplete=\"current-password\" required>"
             "<button>Log in</button></form>");
    page_answer(&page, call->exchange, status);
}

void portal_show_login(void *context, struct route_call *call)
{
    (void)context;
    show_form(call, 200, NULL);
}

/*
 * There is no session yet whose token the form could repeat, so the browser's own word
 * counts: a form on another site would log people in to somebody else's account.
 */
static bool comes_from_here(const struct http_request *request)
{
    struct bytes site = http_request_header(request, "sec-fetch-site");
    if (site.len > 0)
        return bytes_equal_text(site, "same-origin") || bytes_equal_text(site, "none");
    struct bytes origin = http_request_header(request, "origin");
    struct bytes host = http_request_header(request, "host");
    if (origin.len == 0)
        return true; /* no browser of today */
    return origin.len > host.len + 3 &&
           memcmp(origin.data + origin.len - host.len, host.data, host.len) == 0 &&
           memcmp(origin.data + origin.len - host.len - 3, "://", 3) == 0;
}

static void begin_session(struct portal *p, struct route_call *call, const struct identity *who)
{
    char cookie[SESSION_SECRET_BYTES], header[256];
    struct error err = {0};
    if (!sessions_begin(p->sessions, who, cookie, &err)) {
        log_failure(p->log, LOG_ERROR_LEVEL, "portal", "cannot begin a session", &err);
        show_form(call, 503, "Nobody can be logged in now.");
        return;
    }
    snprintf(header, sizeof header, "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%s",
             SESSION_COOKIE_NAME, cookie, SESSION_COOKIE_LIFE_S,
             call->request->is_tls ? "; Secure" : "");
    const char *const headers[] = {"location",      "/",        "set-cookie", header,
                                   "cache-control", "no-store", NULL};
    http_respond(call->exchange, &(struct http_answer){.status = 303, .headers = headers});
}

void portal_log_in(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct arguments form;
    struct error err = {0};
    struct identity who;
    uint32_t wait_s = 0;
    char source[SOURCE_BYTES];
    source_of_address(call->request->remote_address, source);
    if (!comes_from_here(call->request)) {
        show_form(call, 403, "This form came from another site. Log in here.");
        return;
    }
    if (!arguments_parse(call->request->body, &call->arena, &form, &err)) {
        show_form(call, 400, "The form could not be read.");
        return;
    }
    struct bytes password = arguments_get(&form, "password");
    switch (login_check(p->login, arguments_get(&form, "email"),
                        password.data ? (const char *)password.data : "", source, &who, &wait_s,
                        &err)) {
    case LOGIN_GOOD:
        log_info(p->log, "audit", "login by=%s source=%s", who.email, source);
        begin_session(p, call, &who);
        break;
    case LOGIN_WRONG:
        log_warn(p->log, "audit", "login failed source=%s", source);
        show_form(call, 401, "The e-mail address or the password is wrong.");
        break;
    case LOGIN_THROTTLED:
        show_form(call, 429, "Too many failed logins. Wait a quarter of an hour.");
        break;
    case LOGIN_NO_ANSWER:
        log_failure(p->log, LOG_ERROR_LEVEL, "portal", "cannot check a login", &err);
        show_form(call, 503, "Logins cannot be checked now.");
        break;
    }
}

void portal_log_out(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    if (!sessions_end(p->sessions, request_cookie(call->request, SESSION_COOKIE_NAME), &err)) {
        log_failure(p->log, LOG_ERROR_LEVEL, "portal", "cannot end a session", &err);
        show_form(call, 503, "The session could not be ended. Try again.");
        return;
    }
    static const char *const headers[] = {"location",
                                          "/login",
                                          "set-cookie",
                                          SESSION_COOKIE_NAME
                                          "=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
                                          "cache-control",
                                          "no-store",
                                          NULL};
    http_respond(call->exchange, &(struct http_answer){.status = 303, .headers = headers});
}
