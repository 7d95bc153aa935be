#include "server/portal/html.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/query/instant.h"

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

void html_url(struct page *page, struct bytes text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.len && !page->failed; i++) {
        uint8_t c = text.data[i];
        page->failed = memchr(plain, c, sizeof plain - 1)
                           ? !buffer_append_byte(&page->out, c)
                           : !buffer_append_format(&page->out, "%%%02X", c);
    }
}

void html_written_attribute(struct page *page, const char *name, struct bytes escaped)
{
    html_raw(page, " ");
    html_raw(page, name);
    html_raw(page, "=\"");
    if (!page->failed && !buffer_append(&page->out, escaped))
        page->failed = true;
    html_raw(page, "\"");
}

void html_attribute(struct page *page, const char *name, struct bytes text)
{
    html_raw(page, " ");
    html_raw(page, name);
    html_raw(page, "=\"");
    html_text(page, text);
    html_raw(page, "\"");
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

void html_short(struct page *page, double value)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    size_t unit = 0;
    while (fabs(value) >= 999.5 && unit < sizeof units / sizeof *units - 1) {
        value /= 1000;
        unit++;
    }
    int digits = unit == 0 || fabs(value) >= 99.95 ? 0 : fabs(value) >= 9.995 ? 1 : 2;
    html_format(page, "%.*f%s", digits, value, units[unit]);
}

void html_money(struct page *page, double microcents)
{
    int64_t cents = (int64_t)floor(fabs(microcents) / 10000 + 0.5);
    html_raw(page, microcents < 0 ? "-$" : "$");
    html_count(page, cents / 100);
    html_format(page, ".%02d", (int)(cents % 100));
}

void html_sum(struct page *page, double microcents)
{
    if (fabs(microcents) < 999.995e6) {
        html_money(page, microcents);
        return;
    }
    html_raw(page, microcents < 0 ? "-$" : "$");
    html_count(page, (int64_t)floor(fabs(microcents) / 1e6 + 0.5));
}

void html_share(struct page *page, double ratio)
{
    html_format(page, "%.1f%%", ratio * 100);
}

void html_duration(struct page *page, double ms)
{
    if (ms < 999.5)
        html_format(page, "%.0f ms", ms);
    else if (ms < 99950)
        html_format(page, "%.1f s", ms / 1000);
    else if (ms < 100 * 60000.0)
        html_format(page, "%.0f min", ms / 60000);
    else
        html_format(page, "%.1f h", ms / 3600000);
}

void html_time(struct page *page, uint64_t unix_ns)
{
    char day[INSTANT_DAY_BYTES];
    instant_day(unix_ns, day);
    unsigned s = (unsigned)(unix_ns / NS_PER_S % 86400);
    html_raw(page, "<time");
    char machine[40];
    snprintf(machine, sizeof machine, "%sT%02u:%02u:%02uZ", day, s / 3600, s / 60 % 60, s % 60);
    html_attribute(page, "datetime", bytes_of(machine));
    html_raw(page, ">");
    html_format(page, "%s %02u:%02u:%02u", day, s / 3600, s / 60 % 60, s % 60);
    html_raw(page, "</time>");
}

void html_ago(struct page *page, uint64_t unix_ns, uint64_t now_ns)
{
    if (unix_ns == 0) {
        html_raw(page, "never");
        return;
    }
    uint64_t s = now_ns > unix_ns ? (now_ns - unix_ns) / NS_PER_S : 0;
    char day[INSTANT_DAY_BYTES], machine[40];
    instant_day(unix_ns, day);
    unsigned of_day = (unsigned)(unix_ns / NS_PER_S % 86400);
    snprintf(machine, sizeof machine, "%sT%02u:%02u:%02uZ", day, of_day / 3600, of_day / 60 % 60,
             of_day % 60);
    html_raw(page, "<time");
    html_attribute(page, "datetime", bytes_of(machine));
    html_attribute(page, "title", bytes_of(machine));
    html_raw(page, ">");
    if (s < 60)
        html_format(page, "%u s ago", (unsigned)s);
    else if (s < 3600)
        html_format(page, "%u min ago", (unsigned)(s / 60));
    else if (s < 48 * 3600)
        html_format(page, "%u h ago", (unsigned)(s / 3600));
    else
        html_format(page, "%u days ago", (unsigned)(s / 86400));
    html_raw(page, "</time>");
}
