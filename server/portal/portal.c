#include "server/portal/portal.h"

#include "server/portal/html.h"
#include "server/portal/pages.h"

enum { FORM_BYTES = 16 * 1024, DAYS = 30, TOP = 25, NEWEST = 25, TIME_LIMIT_MS = 5000 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

extern const unsigned char portal_style[];
extern const size_t portal_style_len;

/* ---- Usage tables ---- */

static bool put_usage_row(void *context, const struct aggregate_row *row)
{
    struct page *page = context;
    html_raw(page, "<tr><th scope=\"row\">");
    if (row->is_other)
        html_raw(page, "other");
    else if (row->groups[0].len == 0)
        html_raw(page, "(unknown)");
    else
        html_text(page, row->groups[0]);
    html_raw(page, "</th>");
    for (int i = 1; i < 6; i++) {
        html_raw(page, "<td>");
        html_count(page, row->integers[i]);
        html_raw(page, "</td>");
    }
    html_raw(page, "<td>");
    html_money(page, row->integers[0]);
    html_raw(page, "</td></tr>");
    return !page->failed;
}

static bool put_usage(const struct portal *p, struct page *page, const char *title,
                      const char *column, enum message_field field, struct error *err)
{
    const struct bytes generation = bytes_of(message_type_name(MESSAGE_GENERATION));
    const struct message_filter filter = {.field = FIELD_TYPE,
                                          .values = &generation,
                                          .value_count = 1};
    const struct aggregate_group group = {.field = field};
    const struct aggregate_metric metrics[] = {
        {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
        {.function = AGGREGATE_COUNT},
        {.function = AGGREGATE_SUM, .field = FIELD_INPUT_TOKENS},
        {.function = AGGREGATE_SUM, .field = FIELD_OUTPUT_TOKENS},
        {.function = AGGREGATE_SUM, .field = FIELD_CACHE_READ_TOKENS},
        {.function = AGGREGATE_SUM, .field = FIELD_CACHE_CREATE_TOKENS},
    };
    const struct aggregate_query query = {
        .where = {.filters = &filter,
                  .filter_count = 1,
                  .from_ns = clock_wall_ns(p->clock) - DAYS * DAY_NS,
                  .time_limit_ms = TIME_LIMIT_MS},
        .groups = &group,
        .group_count = 1,
        .metrics = metrics,
        .metric_count = sizeof metrics / sizeof *metrics,
        .top = TOP,
        .max_rows = TOP + 1,
    };
    html_raw(page, "<section><h2>");
    html_format(page, "%s", title);
    html_raw(page, "</h2><div class=\"wide\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">");
    html_format(page, "%s", column);
    html_raw(page, "</th><th scope=\"col\">Requests</th><th scope=\"col\">Input</th>"
                   "<th scope=\"col\">Output</th><th scope=\"col\">Cache read</th>"
                   "<th scope=\"col\">Cache write</th><th scope=\"col\">Cost</th></tr></thead>"
                   "<tbody>");
    bool done = p->messages->kind->aggregate(p->messages, &query, put_usage_row, page, err);
    html_raw(page, "</tbody></table></div></section>");
    return done;
}

/* ---- Newest messages ---- */

static bool put_message_row(void *context, const struct stored_message *row)
{
    struct page *page = context;
    const struct message *m = &row->message;
    html_raw(page, "<tr><th scope=\"row\">");
    html_time(page, m->time_ns);
    html_raw(page, "</th><td>");
    html_format(page, "%s", message_type_name(m->type));
    html_raw(page, "</td><td>");
    html_text(page, m->person);
    html_raw(page, "</td><td>");
    html_text(page, m->model.len > 0 ? m->model : m->tool_name.len > 0 ? m->tool_name : m->name);
    html_raw(page, "</td><td>");
    if (m->cost_microcents != MESSAGE_ABSENT)
        html_money(page, m->cost_microcents);
    html_raw(page, "</td></tr>");
    return !page->failed;
}

static bool put_newest(const struct portal *p, struct page *page, struct error *err)
{
    const struct message_query query = {.time_limit_ms = TIME_LIMIT_MS};
    const struct message_page rows = {.take = NEWEST};
    html_raw(page, "<section><h2>Newest messages</h2><div class=\"wide\" tabindex=\"0\"><table>"
                   "<thead><tr><th scope=\"col\">Time (UTC)</th><th scope=\"col\">Type</th>"
                   "<th scope=\"col\">Person</th><th scope=\"col\">What</th>"
                   "<th scope=\"col\">Cost</th></tr></thead><tbody>");
    bool done = p->messages->kind->find(p->messages, &query, &rows, put_message_row, page, err);
    html_raw(page, "</tbody></table></div></section>");
    return done;
}

/* ---- The page ---- */

static void show_overview(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct page page;
    bool names = call->who.role >= ROLE_ANALYST;
    page_open(&page, "Usage of the last 30 days", call->who.email, call->session.csrf);
    bool done = put_usage(p, &page, "By model", "Model", FIELD_MODEL, &err) &&
                (!names || put_usage(p, &page, "By person", "Person", FIELD_PERSON, &err)) &&
                (!names || put_newest(p, &page, &err));
    if (!names)
        html_raw(&page, "<p>Your role, viewer, shows sums without names.</p>");
    if (!done) {
        log_failure(p->log, LOG_ERROR_LEVEL, "portal", "cannot show the overview", &err);
        html_raw(&page, "<p class=\"problem\" role=\"alert\">The store did not answer in time. "
                        "Load the page again.</p>");
    }
    page_answer(&page, call->exchange, done ? 200 : 503);
}

static void serve_style(void *context, struct route_call *call)
{
    (void)context;
    static const char *const headers[] = {"cache-control", "public, max-age=300",
                                          "x-content-type-options", "nosniff", NULL};
    http_respond(call->exchange,
                 &(struct http_answer){.status = 200,
                                       .content_type = "text/css; charset=utf-8",
                                       .body = bytes_make(portal_style, portal_style_len),
                                       .headers = headers});
}

static const struct route routes[] = {
    {"GET", "/", ACCESS_VIEWER, ROUTE_PAGE, show_overview, 0},
    {"GET", "/login", ACCESS_PUBLIC, ROUTE_ON_LOOP, portal_show_login, 0},
    {"POST", "/login", ACCESS_PUBLIC, ROUTE_OWN_CSRF, portal_log_in, FORM_BYTES},
    {"POST", "/logout", ACCESS_VIEWER, ROUTE_PAGE, portal_log_out, FORM_BYTES},
    {"GET", "/assets/style.css", ACCESS_PUBLIC, ROUTE_ON_LOOP, serve_style, 0},
};

struct route_table portal_routes(struct portal *portal)
{
    return (struct route_table){.routes = routes,
                                .count = sizeof routes / sizeof *routes,
                                .context = portal};
}
