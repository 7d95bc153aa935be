#include "server/portal/portal.h"

#include <stdlib.h>

#include "base/memory.h"
#include "server/portal/pages.h"
#include "server/query/people.h"

enum { FORM_BYTES = 16 * 1024 };

/* ---- Files for the browser ---- */

extern const unsigned char portal_style[], portal_charts[], portal_icon[], portal_uplot_js[],
    portal_uplot_css[];
extern const size_t portal_style_len, portal_charts_len, portal_icon_len, portal_uplot_js_len,
    portal_uplot_css_len;

static const struct {
    const char *name, *type;
    const unsigned char *data;
    const size_t *len;
} assets[] = {
    {"style.css", "text/css; charset=utf-8", portal_style, &portal_style_len},
    {"charts.js", "text/javascript; charset=utf-8", portal_charts, &portal_charts_len},
    {"icon.svg", "image/svg+xml", portal_icon, &portal_icon_len},
    {"uplot.js", "text/javascript; charset=utf-8", portal_uplot_js, &portal_uplot_js_len},
    {"uplot.css", "text/css; charset=utf-8", portal_uplot_css, &portal_uplot_css_len},
};

static void serve_asset(void *context, struct route_call *call)
{
    (void)context;
    static const char *const headers[] = {"cache-control", "public, max-age=300",
                                          "x-content-type-options", "nosniff", NULL};
    for (size_t i = 0; i < sizeof assets / sizeof *assets; i++) {
        if (!bytes_equal_text(call->parameters[0], assets[i].name))
            continue;
        http_respond(call->exchange,
                     &(struct http_answer){.status = 200,
                                           .content_type = assets[i].type,
                                           .body = bytes_make(assets[i].data, *assets[i].len),
                                           .headers = headers});
        return;
    }
    http_respond_text(call->exchange, 404, "there is no such file\n");
}

/* ---- Routes ---- */

static const struct route routes[] = {
    {"GET", "/", ACCESS_VIEWER, ROUTE_PAGE, portal_show_overview, 0},
    {"GET", "/reports", ACCESS_VIEWER, ROUTE_PAGE, portal_show_reports, 0},
    {"GET", "/reports.csv", ACCESS_VIEWER, ROUTE_PAGE, portal_serve_csv, 0},
    {"GET", "/messages", ACCESS_ANALYST, ROUTE_PAGE, portal_show_messages, 0},
    {"GET", "/messages/{id}", ACCESS_ANALYST, ROUTE_PAGE, portal_show_message, 0},
    {"GET", "/fleet", ACCESS_ANALYST, ROUTE_PAGE, portal_show_fleet, 0},
    {"GET", "/fleet/{id}", ACCESS_ANALYST, ROUTE_PAGE, portal_show_device, 0},
    {"POST", "/fleet/{id}/doctor", ACCESS_ADMIN, ROUTE_PAGE, portal_ask_doctor, FORM_BYTES},
    {"GET", "/integrations", ACCESS_VIEWER, ROUTE_PAGE, portal_show_integrations, 0},
    {"GET", "/coverage", ACCESS_VIEWER, ROUTE_PAGE, portal_show_coverage, 0},
    {"GET", "/coverage.csv", ACCESS_VIEWER, ROUTE_PAGE, portal_serve_coverage_csv, 0},
    {"GET", "/login", ACCESS_PUBLIC, ROUTE_ON_LOOP, portal_show_login, 0},
    {"POST", "/login", ACCESS_PUBLIC, ROUTE_OWN_CSRF, portal_log_in, FORM_BYTES},
    {"POST", "/logout", ACCESS_VIEWER, ROUTE_PAGE, portal_log_out, FORM_BYTES},
    {"GET", "/assets/{name}", ACCESS_PUBLIC, ROUTE_ON_LOOP, serve_asset, 0},
};

struct route_table portal_routes(struct portal *portal)
{
    return (struct route_table){.routes = routes,
                                .count = sizeof routes / sizeof *routes,
                                .context = portal};
}

void portal_put_failure(const struct portal *p, struct page *page, const char *what,
                        const struct error *err)
{
    if (err->kind == FAIL_BUSY || err->kind == FAIL_TOO_LARGE) {
        page_put_problem(page, "This is too much for one answer: choose fewer days or a filter.");
        return;
    }
    log_failure(p->log, LOG_ERROR_LEVEL, "portal", what, err);
    page_put_problem(page, "The store did not answer. Load the page again.");
}

void portal_answer_csv_failure(const struct portal *p, struct route_call *call,
                               const struct error *err)
{
    if (err->kind != FAIL_INVALID && err->kind != FAIL_DENIED)
        log_failure(p->log, LOG_ERROR_LEVEL, "portal", "cannot make a sheet", err);
    answer_failure(call->exchange, err);
}

/* ---- Lifetime ---- */

struct portal *portal_create(const struct portal_options *options)
{
    struct portal *p = xcalloc(1, sizeof *p);
    *p = (struct portal){.messages = options->messages,
                         .control = options->control,
                         .integrations = options->integrations,
                         .people = options->people,
                         .viewers = options->viewers,
                         .login = options->login,
                         .sessions = options->sessions,
                         .clock = options->clock,
                         .log = options->log};
    return p;
}

void portal_destroy(struct portal *p)
{
    free(p);
}
