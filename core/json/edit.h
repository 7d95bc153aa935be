/*
 * Edits somebody else's JSON document in place: only the bytes of the change
 * move. Key order, indentation, line ends, a byte order mark and the end of the
 * file stay as they are; new members are laid out like their neighbours.
 *
 *     const char *path[] = {"env", "OTEL_LOGS_EXPORTER"};
 *     json_edit_set(&text, path, 2, bytes_of("\"otlp\""), &err)
 *
 * A key that occurs twice counts as its last occurrence, as JavaScript reads
 * it. A document that is not strictly valid, or whose top is no object, is
 * refused with line and column and never changed.
 */
#ifndef CORE_JSON_EDIT_H
#define CORE_JSON_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"

/* Passes a valid document whose top is an object. FAIL_INVALID otherwise. */
MUST_USE bool json_edit_check(struct bytes text, struct error *err);

/*
 * Views the raw value at `path` within `text`, strings with their quotes.
 * False (FAIL_NOT_FOUND) when it is not there, FAIL_INVALID as above.
 */
MUST_USE bool json_edit_find(struct bytes text, const char *const *path, size_t depth,
                             struct bytes *value, struct error *err);

/*
 * Gives `path` the value `json` (valid JSON). Missing objects on the way are
 * added; something else than an object on the way is FAIL_INVALID. On failure,
 * FAIL_TOO_LARGE at the buffer's ceiling included, `text` is as it was.
 */
MUST_USE bool json_edit_set(struct buffer *text, const char *const *path, size_t depth,
                            struct bytes json, struct error *err);

/* Takes the member at `path` out, every occurrence of it. Not there: a success. */
MUST_USE bool json_edit_remove(struct buffer *text, const char *const *path, size_t depth,
                               struct error *err);

/* Calls back for every member of the object at `path` (depth 0: the top), in order, `key` still
 * escaped. A false from `visit` stops; the result is a success all the same. */
typedef bool json_edit_visit(void *context, struct bytes key, struct bytes value);
MUST_USE bool json_edit_each(struct bytes text, const char *const *path, size_t depth,
                             json_edit_visit *visit, void *context, struct error *err);

/* Equal but for white space between the tokens. Both must be valid. */
bool json_edit_same_but_space(struct bytes a, struct bytes b);

#endif
