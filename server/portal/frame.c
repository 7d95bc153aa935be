#include "server/portal/frame.h"

enum { PAGE_BYTES = 16 * 1024 * 1024 };

static const struct {
    const char *path, *name;
    enum route_access access;
} tabs[] = {
    [TAB_OVERVIEW] = {"/", "Overview", ACCESS_VIEWER},
    [TAB_REPORTS] = {"/reports", "Reports", ACCESS_VIEWER},
    [TAB_MESSAGES] = {"/messages", "Messages", ACCESS_ANALYST},
    [TAB_FLEET] = {"/fleet", "Fleet", ACCESS_ANALYST},
    [TAB_INTEGRATIONS] = {"/integrations", "Integrations", ACCESS_VIEWER},
    [TAB_COVERAGE] = {"/coverage", "Coverage", ACCESS_VIEWER},
};

static void put_tabs(struct page *page, const struct route_call *call, enum page_tab current)
{
    html_raw(page, "<nav aria-label=\"Pages\"><ul>");
    for (int tab = 0; tab < TAB_NONE; tab++) {
        if ((int)call->who.role < (int)tabs[tab].access - (int)ACCESS_VIEWER)
            continue;
        html_raw(page, "<li><a");
        html_attribute(page, "href", bytes_of(tabs[tab].path));
        html_raw(page, tab == (int)current ? " aria-current=\"page\">" : ">");
        html_format(page, "%s", tabs[tab].name);
        html_raw(page, "</a></li>");
    }
    html_raw(page, "</ul></nav>");
}

void page_put_csrf(struct page *page, const struct route_call *call)
{
    html_raw(page, "<input type=\"hidden\" name=\"csrf\"");
    html_attribute(page, "value", bytes_of(call->session.csrf));
    html_raw(page, ">");
}

void page_open(struct page *page, const struct route_call *call, enum page_tab tab,
               const char *title)
{
    *page = (struct page){.out = {.max_bytes = PAGE_BYTES}};
    html_raw(page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                   "<meta name=\"color-scheme\" content=\"light dark\"><title>");
    html_format(page, "%s", title);
    html_raw(page, " - claude-telemetry</title>"
                   "<link rel=\"icon\" href=\"/assets/icon.svg\" type=\"image/svg+xml\">"
                   "<link rel=\"stylesheet\" href=\"/assets/uplot.css\">"
                   "<link rel=\"stylesheet\" href=\"/assets/style.css\">"
                   "<script src=\"/assets/uplot.js\" defer></script>"
                   "<script src=\"/assets/charts.js\" defer></script></head><body>"
                   "<a class=\"skip\" href=\"#content\">Skip to content</a>"
                   "<header class=\"top\"><a class=\"name\" href=\"/\">claude-telemetry</a>");
    if (tab != TAB_NONE) {
        put_tabs(page, call, tab);
        html_raw(page, "<form class=\"who\" method=\"post\" action=\"/logout\"><span>");
        html_format(page, "%s", call->who.email);
        html_raw(page, "</span>");
        page_put_csrf(page, call);
        html_raw(page, "<button class=\"quiet\">Log out</button></form>");
    }
    html_raw(page, "</header><main id=\"content\" tabindex=\"-1\"><h1>");
    html_format(page, "%s", title);
    html_raw(page, "</h1>");
}

void page_answer(struct page *page, struct http_exchange *exchange, int status)
{
    html_raw(page, "</main></body></html>\n");
    static const char *const headers[] = {
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "x-content-type-options",
        "nosniff",
        "referrer-policy",
        "no-referrer",
        "cross-origin-opener-policy",
        "same-origin",
        "cache-control",
        "no-store",
        NULL};
    static const char too_large[] = "the page is too large: narrow the time or the filters\n";
    struct http_answer answer = {.status = page->failed ? 500 : status,
                                 .content_type =
                                     page->failed ? "text/plain" : "text/html; charset=utf-8",
                                 .body =
                                     page->failed ? bytes_of(too_large) : buffer_bytes(&page->out),
                                 .headers = headers};
    http_respond(exchange, &answer);
    buffer_clear(&page->out);
}

void page_answer_csv(struct http_exchange *exchange, const char *disposition, struct bytes csv)
{
    const char *const headers[] = {"content-disposition",
                                   disposition,
                                   "cache-control",
                                   "no-store",
                                   "x-content-type-options",
                                   "nosniff",
                                   NULL};
    http_respond(exchange, &(struct http_answer){.status = 200,
                                                 .content_type = "text/csv; charset=utf-8",
                                                 .body = csv,
                                                 .headers = headers});
}

void page_put_problem(struct page *page, const char *text)
{
    html_raw(page, "<p class=\"problem\" role=\"alert\">");
    html_format(page, "%s", text);
    html_raw(page, "</p>");
}

void page_answer_problem(struct route_call *call, enum page_tab tab, int status, const char *title,
                         const char *text)
{
    struct page page;
    page_open(&page, call, tab, title);
    page_put_problem(&page, text);
    page_answer(&page, call->exchange, status);
}
