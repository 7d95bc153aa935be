/* Dates of HTTP (RFC 9110 section 5.6.7), without locale and time zone of the machine. */
#ifndef CORE_HTTP_DATE_H
#define CORE_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { HTTP_DATE_BYTES = 30 };

/* "Sun, 06 Nov 1994 08:49:37 GMT" of `unix_s`, with its NUL. */
void http_date_format(uint64_t unix_s, char out[HTTP_DATE_BYTES]);

/* Reads that form and the two old ones (RFC 850, asctime). False when it is none of them. */
MUST_USE bool http_date_parse(struct bytes text, uint64_t *unix_s);

#endif
