/* OTLP log requests with marked records: attribute "mark" = "M<number>". */
#ifndef TESTS_SUPPORT_MAKE_LOGS_H
#define TESTS_SUPPORT_MAKE_LOGS_H

#include <stddef.h>

#include "base/bytes.h"

/* Appends a protobuf request of `count` records with the marks first, first+1, ... Each record's
 * body is `padding` bytes of 'x'. `resource_key` (or NULL) is a resource attribute. */
void make_logs(unsigned first, unsigned count, size_t padding, const char *resource_key,
               const char *resource_value, struct buffer *out);

#endif
