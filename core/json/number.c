/* Numbers of JSON text: exact integers, and doubles both ways. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/json/reader.h"
#include "core/json/writer.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* A number's parts: [-] whole [. fraction] [e exponent]. */
struct parts {
    bool negative;
    struct bytes whole, fraction, exponent; /* the exponent with its sign */
};

static struct bytes take_digits(struct bytes *rest)
{
    size_t len = 0;
    while (len < rest->len && is_digit(rest->data[len]))
        len++;
    struct bytes digits = bytes_make(rest->data, len);
    rest->data += len;
    rest->len -= len;
    return digits;
}

static bool take(struct bytes *rest, char a, char b)
{
    if (rest->len == 0 || (rest->data[0] != (uint8_t)a && rest->data[0] != (uint8_t)b))
        return false;
    rest->data++;
    rest->len--;
    return true;
}

/* The grammar of RFC 8259, section 6, and nothing after it. */
static bool split(struct bytes span, struct parts *out)
{
    *out = (struct parts){0};
    if (span.len == 0)
        return false;
    out->negative = take(&span, '-', '-');
    out->whole = take_digits(&span);
    if (out->whole.len == 0 || (out->whole.len > 1 && out->whole.data[0] == '0'))
        return false;
    if (take(&span, '.', '.')) {
        out->fraction = take_digits(&span);
        if (out->fraction.len == 0)
            return false;
    }
    if (take(&span, 'e', 'E')) {
        const uint8_t *from = span.data;
        if (!take(&span, '+', '+'))
            take(&span, '-', '-');
        if (take_digits(&span).len == 0)
            return false;
        out->exponent = bytes_make(from, (size_t)(span.data - from));
    }
    return span.len == 0;
}

static bool shift_in(uint64_t *value, uint8_t digit)
{
    unsigned add = (unsigned)(digit - '0');
    if (*value > (UINT64_MAX - add) / 10)
        return false;
    *value = *value * 10 + add;
    return true;
}

/* Clamped: past some thousands every nonzero number is out of range or no integer anyway. */
static long exponent_of(struct bytes text)
{
    enum { PLENTY = 1000000 };
    bool negative = take(&text, '-', '-');
    take(&text, '+', '+');
    long value = 0;
    for (size_t i = 0; i < text.len && value < PLENTY; i++)
        value = value * 10 + (text.data[i] - '0');
    return negative ? -value : value;
}

/* The value without its sign, when that is an integer: 1.50e1 is 15, 1.5 is none. */
static bool magnitude(const struct parts *parts, uint64_t *out)
{
    struct bytes fraction = parts->fraction;
    while (fraction.len > 0 && fraction.data[fraction.len - 1] == '0')
        fraction.len--;
    long exponent = exponent_of(parts->exponent);
    long digits = (long)(parts->whole.len + fraction.len);
    long keep = (long)parts->whole.len + exponent; /* digits left of the point */

    uint64_t value = 0;
    for (long i = 0; i < digits; i++) {
        size_t at = (size_t)i;
        uint8_t digit =
            at < parts->whole.len ? parts->whole.data[at] : fraction.data[at - parts->whole.len];
        if (i >= keep ? digit != '0' : !shift_in(&value, digit))
            return false;
    }
    for (long i = digits; value > 0 && i < keep; i++)
        if (!shift_in(&value, '0'))
            return false;
    *out = value;
    return true;
}

bool json_uint64(struct bytes span, uint64_t *out)
{
    struct parts parts;
    uint64_t value;
    if (!split(span, &parts) || !magnitude(&parts, &value) || (parts.negative && value > 0))
        return false;
    *out = value;
    return true;
}

bool json_int64(struct bytes span, int64_t *out)
{
    struct parts parts;
    uint64_t value;
    if (!split(span, &parts) || !magnitude(&parts, &value))
        return false;
    if (value > (uint64_t)INT64_MAX + (parts.negative ? 1 : 0))
        return false;
    if (!parts.negative)
        *out = (int64_t)value;
    else
        *out = value == 0 ? 0 : -(int64_t)(value - 1) - 1;
    return true;
}

bool json_double(struct bytes span, double *out)
{
    struct parts parts;
    if (bytes_equal_text(span, "NaN"))
        *out = NAN;
    else if (bytes_equal_text(span, "Infinity"))
        *out = INFINITY;
    else if (bytes_equal_text(span, "-Infinity"))
        *out = -INFINITY;
    else if (!split(span, &parts))
        return false;
    else {
        /* strtod wants a NUL, and reads a NUL-terminated copy of any length exactly. */
        char small[64];
        char *text = span.len < sizeof small ? small : xmalloc(span.len + 1);
        memcpy(text, span.data, span.len);
        text[span.len] = '\0';
        double value = strtod(text, NULL);
        if (text != small)
            free(text);
        if (isinf(value))
            return false;
        *out = value;
    }
    return true;
}

size_t json_double_text(double value, char out[JSON_DOUBLE_BYTES])
{
    if (isnan(value))
        return (size_t)snprintf(out, JSON_DOUBLE_BYTES, "NaN");
    if (isinf(value))
        return (size_t)snprintf(out, JSON_DOUBLE_BYTES, value < 0 ? "-Infinity" : "Infinity");
    /* Whole numbers in full as long as a double holds them exactly. */
    if (fabs(value) < 9007199254740992.0 && value == floor(value))
        return (size_t)snprintf(out, JSON_DOUBLE_BYTES, "%.0f", value == 0 ? 0.0 : value);
    for (int digits = 15; digits < 17; digits++) {
        int len = snprintf(out, JSON_DOUBLE_BYTES, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return (size_t)len;
    }
    return (size_t)snprintf(out, JSON_DOUBLE_BYTES, "%.17g", value);
}
