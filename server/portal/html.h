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
#include "core/http/server.h"

struct page {
    struct buffer out;
    bool failed;
};

void html_raw(struct page *page, const char *markup);
void html_text(struct page *page, struct bytes text);
void html_format(struct page *page, const char *format, ...) PRINTF_LIKE(2, 3); /* escaped */

void html_count(struct page *page, int64_t value);      /* 1,234,567 */
void html_money(struct page *page, int64_t microcents); /* $12.3456 from USD x 10^6 */
void html_time(struct page *page, uint64_t unix_ns);    /* a <time> element */

/* The frame of every page: head, style, title; then the end and the answer. */
void page_open(struct page *page, const char *title, const char *email, const char *csrf);
void page_answer(struct page *page, struct http_exchange *exchange, int status);

/* Further header pairs, NULL-terminated, besides those every page has. */
void page_answer_with(struct page *page, struct http_exchange *exchange, int status,
                      const char *name, const char *value);

#endif
