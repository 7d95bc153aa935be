/*
 * Writing HTML into a buffer. html_raw() is for our own constants only;
 * whatever comes from outside goes through html_text(), which escapes it for
 * element content and quoted attributes alike. After the buffer's ceiling the page is marked
 * as failed and nothing more is written.
 */
#ifndef SERVER_PORTAL_HTML_H
#define SERVER_PORTAL_HTML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct page {
    struct buffer out;
    bool failed;
};

void html_raw(struct page *page, const char *markup);
void html_text(struct page *page, struct bytes text);
void html_format(struct page *page, const char *format, ...) PRINTF_LIKE(2, 3); /* escaped */
void html_url(struct page *page, struct bytes text); /* percent-encoded, for a query's value */

/* " name=\"text\"" with the text escaped. */
void html_attribute(struct page *page, const char *name, struct bytes text);

/* The same for a text that was written with these functions, and so is escaped already. */
void html_written_attribute(struct page *page, const char *name, struct bytes escaped);

void html_count(struct page *page, int64_t value);     /* 1,234,567 */
void html_short(struct page *page, double value);      /* 1.23 M */
void html_money(struct page *page, double microcents); /* $1,234.56 from USD x 10^6 */
void html_sum(struct page *page, double microcents);   /* the same, from $1,000 without cents */
void html_share(struct page *page, double ratio);      /* 42.0% */
void html_duration(struct page *page, double ms);      /* 840 ms, 3.2 s, 4 min, 1.5 h */
void html_time(struct page *page, uint64_t unix_ns);   /* a <time> element, UTC */
void html_ago(struct page *page, uint64_t unix_ns, uint64_t now_ns); /* "3 min ago", "never" */

#endif
