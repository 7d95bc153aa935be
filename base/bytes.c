#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool bytes_equal_text(struct bytes a, const char *text)
{
    return bytes_equal(a, bytes_of(text));
}

static uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool bytes_equal_ignoring_case(struct bytes a, const char *text)
{
    struct bytes b = bytes_of(text);
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    return true;
}

bool bytes_contain(struct bytes a, const char *text)
{
    size_t len = strlen(text);
    for (size_t at = 0; at + len <= a.len; at++)
        if (memcmp(a.data + at, text, len) == 0)
            return true;
    return len == 0;
}

bool bytes_starts_with(struct bytes a, const char *prefix)
{
    struct bytes p = bytes_of(prefix);
    return a.len >= p.len && (p.len == 0 || memcmp(a.data, p.data, p.len) == 0);
}

bool bytes_equal_constant_time(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    uint8_t difference = 0;
    for (size_t i = 0; i < a.len; i++)
        difference |= (uint8_t)(a.data[i] ^ b.data[i]);
    return difference == 0;
}

int bytes_hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool buffer_reserve(struct buffer *b, size_t more)
{
    if (more > b->max_bytes || b->len > b->max_bytes - more)
        return false;
    size_t needed = b->len + more;
    if (needed <= b->capacity)
        return true;
    size_t capacity = b->capacity > 0 ? b->capacity : 64;
    while (capacity < needed)
        capacity = capacity > b->max_bytes / 2 ? b->max_bytes : capacity * 2;
    if (capacity < needed)
        capacity = needed;
    b->data = xrealloc(b->data, capacity);
    b->capacity = capacity;
    return true;
}

bool buffer_append(struct buffer *b, struct bytes more)
{
    if (!buffer_reserve(b, more.len))
        return false;
    if (more.len > 0)
        memcpy(b->data + b->len, more.data, more.len);
    b->len += more.len;
    return true;
}

bool buffer_append_text(struct buffer *b, const char *text)
{
    return buffer_append(b, bytes_of(text));
}

bool buffer_append_byte(struct buffer *b, uint8_t byte)
{
    return buffer_append(b, bytes_make(&byte, 1));
}

bool buffer_append_format(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);

    bool fits = len >= 0 && (size_t)len < SIZE_MAX && b->len <= b->max_bytes &&
                (size_t)len <= b->max_bytes - b->len;
    if (fits) {
        char *text =
            xmalloc((size_t)len + 1); /* vsnprintf writes a NUL the ceiling need not cover */
        vsnprintf(text, (size_t)len + 1, format, again);
        fits = buffer_append(b, bytes_make(text, (size_t)len));
        free(text);
    }
    va_end(again);
    return fits;
}

void buffer_consume(struct buffer *b, size_t count)
{
    if (count >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + count, b->len - count);
    b->len -= count;
}

void buffer_reset(struct buffer *b)
{
    b->len = 0;
}

void buffer_clear(struct buffer *b)
{
    free(b->data);
    b->data = NULL;
    b->len = 0;
    b->capacity = 0;
}

const char *buffer_text(struct buffer *b)
{
    if (!buffer_reserve(b, 1))
        return NULL;
    b->data[b->len] = '\0';
    return (const char *)b->data;
}
