/*
 * A strict pull cursor over JSON text (RFC 8259), without a tree: exact
 * integers, bounded depth, no recursion, no allocation. Refuses what lenient
 * parsers let through: trailing text, trailing commas, comments, bad UTF-8, raw control
 * characters, leading zeros, lone surrogates are kept as escapes and cleaned by
 * json_string_decode(). Duplicate keys are the caller's business.
 *
 *     struct json_reader r = json_reader_make(text);
 *     while (json_next(&r) != JSON_END) ...
 */
#ifndef CORE_JSON_READER_H
#define CORE_JSON_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum { JSON_MAX_DEPTH = 64 };

enum json_token {
    JSON_END,   /* the document is complete */
    JSON_ERROR, /* malformed: see json_fail() */
    JSON_OBJECT_OPEN,
    JSON_OBJECT_CLOSE,
    JSON_ARRAY_OPEN,
    JSON_ARRAY_CLOSE,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_reader {
    struct bytes text;
    size_t at;
    struct bytes span;   /* of the token: KEY and STRING without quotes, still escaped */
    size_t token_offset; /* where the token starts in `text` */
    unsigned depth;
    uint64_t in_object; /* one bit a level */
    uint8_t state;
    const char *problem; /* after JSON_ERROR */
};

struct json_reader json_reader_make(struct bytes text);
enum json_token json_next(struct json_reader *r);

/* After JSON_KEY, or before any value: passes over the whole next value. False when malformed. */
bool json_skip_value(struct json_reader *r);

/* Sets `err` (FAIL_INVALID) to "line L, column C: problem". Returns false. */
bool json_fail(const struct json_reader *r, struct error *err);
/* Line and column, from 1, of an offset in `text`; columns count bytes. */
void json_place(struct bytes text, size_t offset, unsigned *line, unsigned *column);

/* Appends an escaped span decoded, as UTF-8; lone surrogates become U+FFFD. */
MUST_USE bool json_string_decode(struct bytes span, struct buffer *out);
bool json_string_equals(struct bytes span, const char *text); /* decoded; no allocation */

/* The span of a JSON_NUMBER, or of a JSON_STRING holding one, exactly. False when it does not fit.
 */
bool json_int64(struct bytes span, int64_t *out);
bool json_uint64(struct bytes span, uint64_t *out);
bool json_double(struct bytes span, double *out); /* also "NaN", "Infinity", "-Infinity" */

#endif
