/*
 * Runs of bytes: `struct bytes` borrows, `struct buffer` owns.
 *
 * Nothing here is NUL-terminated unless a function says so; text from outside
 * may hold any byte.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* A borrowed view. Valid as long as what it points into. */
struct bytes {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;
};

static inline struct bytes bytes_make(const void *data, size_t len)
{
    return (struct bytes){.data = data, .len = len};
}

/* Views a C string without its NUL. NULL gives an empty view. */
static inline struct bytes bytes_of(const char *text)
{
    return bytes_make(text, text ? strlen(text) : 0);
}

bool bytes_equal(struct bytes a, struct bytes b);
bool bytes_equal_text(struct bytes a, const char *text);
bool bytes_equal_ignoring_case(struct bytes a, const char *text); /* ASCII case only */
bool bytes_starts_with(struct bytes a, const char *prefix);
bool bytes_contain(struct bytes a, const char *text);

/* The value of a hexadecimal digit of either case; -1 for any other byte. */
int bytes_hex_digit(uint8_t c);

/* In time that depends on the lengths only: for tokens and digests. */
bool bytes_equal_constant_time(struct bytes a, struct bytes b);

/*
 * A growing byte string with a ceiling named where it is made:
 *     struct buffer body = {.max_bytes = 64 * MIB};
 * All-zero is a valid empty buffer that can hold nothing. buffer_clear() frees.
 */
struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t max_bytes;
};

/* Each returns false, and leaves the buffer as it was, when max_bytes would be passed. */
MUST_USE bool buffer_append(struct buffer *b, struct bytes more);
MUST_USE bool buffer_append_text(struct buffer *b, const char *text);
MUST_USE bool buffer_append_byte(struct buffer *b, uint8_t byte);
MUST_USE bool buffer_append_format(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Makes room for `more` bytes after len, without changing len. */
MUST_USE bool buffer_reserve(struct buffer *b, size_t more);

void buffer_consume(struct buffer *b, size_t count); /* drops bytes from the front */
void buffer_reset(struct buffer *b);                 /* len 0, memory kept */
void buffer_clear(struct buffer *b);                 /* frees; max_bytes kept */

static inline struct bytes buffer_bytes(const struct buffer *b)
{
    return bytes_make(b->data, b->len);
}

/*
 * Puts a NUL after the content (not counted in len) and returns it as a C
 * string, borrowed until the next change. NULL only when the ceiling leaves no
 * room for the NUL.
 */
const char *buffer_text(struct buffer *b);

#endif
