#include "server/portal/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/query/instant.h"

enum { PAGE_BYTES = 4 * 1024 * 1024 };

void html_raw(struct page *page, const char *markup)
{
    page->failed = page->failed || !buffer_append_text(&page->out, markup);
}

static const char *escape_of(uint8_t c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void html_text(struct page *page, struct bytes text)
{
    for (size_t i = 0; i < text.len && !page->failed; i++) {
        const char *escape = escape_of(text.data[i]);
        page->failed = escape ? !buffer_append_text(&page->out, escape)
                              : !buffer_append_byte(&page->out, text.data[i]);
    }
}

void html_format(struct page *page, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    html_text(page, bytes_of(text));
}

void html_count(struct page *page, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    size_t len = strlen(digits), first = value < 0 ? 1 : 0;
    for (size_t i = 0; i < len; i++) {
        if (i > first && (len - i) % 3 == 0)
            html_raw(page, ",");
        html_text(page, bytes_make(&digits[i], 1));
    }
}

void html_money(struct page *page, int64_t microcents)
{
    html_format(page, "$%lld.%04lld", (long long)(microcents / 1000000),
                (long long)(llabs(microcents % 1000000) / 100));
}

void html_time(struct page *page, uint64_t unix_ns)
{
    char day[INSTANT_DAY_BYTES];
    instant_day(unix_ns, day);
    unsigned second_of_day = (unsigned)(unix_ns / NS_PER_S % 86400);
    html_raw(page, "<time>");
    html_format(page, "%s %02u:%02u:%02u", day, second_of_day / 3600, second_of_day / 60 % 60,
                second_of_day % 60);
    html_raw(page, "</time>");
}

void page_open(struct page *page, const char *title, const char *email, const char *csrf)
{
    *page = (struct page){.out = {.max_bytes = PAGE_BYTES}};
    html_raw(page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                   "<meta name=\"color-scheme\" content=\"light dark\"><title>");
    html_format(page, "%s", title);
    html_raw(page, " - claude-telemetry</title>"
                   "<link rel=\"stylesheet\" href=\"/assets/style.css\"></head><body>"
                   "<header><a class=\"name\" href=\"/\">claude-telemetry</a>");
    if (email) {
        html_raw(page, "<form method=\"post\" action=\"/logout\"><span>");
        html_format(page, "%s", email);
        html_raw(page, "</span><input type=\"hidden\" name=\"csrf\" value=\"");
        html_format(page, "%s", csrf);
        html_raw(page, "\"><button>Log out</button></form>");
    }
    html_raw(page, "</header><main><h1>");
    html_format(page, "%s", title);
    html_raw(page, "</h1>");
}

void page_answer_with(struct page *page, struct http_exchange *exchange, int status,
                      const char *name, const char *value)
{
    html_raw(page, "</main></body></html>\n");
    const char *const headers[] = {"content-security-policy",
                                   "default-src 'none'; style-src 'self'; img-src 'self'; "
                                   "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
                                   "x-content-type-options",
                                   "nosniff",
                                   "referrer-policy",
                                   "no-referrer",
                                   "cache-control",
                                   "no-store",
                                   name,
                                   value,
                                   NULL};
    static const char too_large[] = "the page is too large\n";
    struct http_answer answer = {.status = page->failed ? 500 : status,
                                 .content_type =
                                     page->failed ? "text/plain" : "text/html; charset=utf-8",
                                 .body =
                                     page->failed ? bytes_of(too_large) : buffer_bytes(&page->out),
                                 .headers = headers};
    http_respond(exchange, &answer);
    buffer_clear(&page->out);
}

void page_answer(struct page *page, struct http_exchange *exchange, int status)
{
    page_answer_with(page, exchange, status, NULL, NULL);
}
