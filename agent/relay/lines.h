/*
 * Small text files a person can read and damage cannot fool: every line ends
 * in " #" and the CRC-32C of what stands before, in eight hex digits.
 */
#ifndef AGENT_RELAY_LINES_H
#define AGENT_RELAY_LINES_H

#include "base/bytes.h"

enum { LINES_MAX_BYTES = 512 };

/* Adds one line; false when it is longer than LINES_MAX_BYTES or `out` is full. */
MUST_USE bool lines_append(struct buffer *out, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * Takes the next intact line off `rest` and copies its text, NUL-terminated,
 * into `line`. Damaged lines are skipped and counted. False at the end.
 */
MUST_USE bool lines_next(struct bytes *rest, char line[LINES_MAX_BYTES], size_t *damaged);

#endif
