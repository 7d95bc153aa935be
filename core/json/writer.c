#include "core/json/writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/json/utf8.h"

struct json_writer json_writer_make(struct buffer *out)
{
    return (struct json_writer){.out = out};
}

static void put(struct json_writer *w, struct bytes text)
{
    if (!w->failed && !buffer_append(w->out, text))
        w->failed = true;
}

static void put_text(struct json_writer *w, const char *text)
{
    put(w, bytes_of(text));
}

static void new_line(struct json_writer *w)
{
    if (!w->pretty)
        return;
    put_text(w, "\n");
    for (unsigned i = 0; i < w->depth; i++)
        put_text(w, "  ");
}

/* What must stand before a value or a key. */
static void before(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->need_comma)
        put_text(w, ",");
    if (w->depth > 0)
        new_line(w);
}

static void open(struct json_writer *w, const char *bracket)
{
    before(w);
    put_text(w, bracket);
    w->depth++;
    w->need_comma = false;
}

static void close(struct json_writer *w, const char *bracket)
{
    w->depth--;
    if (w->need_comma)
        new_line(w);
    put_text(w, bracket);
    w->need_comma = true;
}

void json_object_open(struct json_writer *w)
{
    open(w, "{");
}

void json_object_close(struct json_writer *w)
{
    close(w, "}");
}

void json_array_open(struct json_writer *w)
{
    open(w, "[");
}

void json_array_close(struct json_writer *w)
{
    close(w, "]");
}

static void value(struct json_writer *w, struct bytes text)
{
    before(w);
    put(w, text);
    w->need_comma = true;
}

static void put_escape(struct json_writer *w, uint8_t c)
{
    char text[8];
    switch (c) {
    case '"':
        put_text(w, "\\\"");
        break;
    case '\\':
        put_text(w, "\\\\");
        break;
    case '\n':
        put_text(w, "\\n");
        break;
    case '\r':
        put_text(w, "\\r");
        break;
    case '\t':
        put_text(w, "\\t");
        break;
    case 0:
        put_text(w, UTF8_REPLACEMENT);
        break;
    default:
        snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
        put_text(w, text);
    }
}

static void put_quoted(struct json_writer *w, struct bytes text)
{
    size_t clean_from = 0;
    put_text(w, "\"");
    for (size_t at = 0; at < text.len;) {
        uint8_t c = text.data[at];
        bool plain = c >= 0x20 && c != '"' && c != '\\';
        bool valid = true;
        size_t step = 1;
        if (c >= 0x80)
            step = utf8_step(bytes_make(text.data + at, text.len - at), &valid);
        if (!plain || !valid) {
            put(w, bytes_make(text.data + clean_from, at - clean_from));
            if (valid)
                put_escape(w, c);
            else
                put_text(w, UTF8_REPLACEMENT);
            clean_from = at + step;
        }
        at += step;
    }
    if (clean_from < text.len)
        put(w, bytes_make(text.data + clean_from, text.len - clean_from));
    put_text(w, "\"");
}

void json_put_key(struct json_writer *w, const char *key)
{
    json_put_key_bytes(w, bytes_of(key));
}

void json_put_key_bytes(struct json_writer *w, struct bytes key)
{
    before(w);
    put_quoted(w, key);
    put_text(w, w->pretty ? ": " : ":");
    w->after_key = true;
}

void json_put_string(struct json_writer *w, const char *text)
{
    if (text)
        json_put_bytes(w, bytes_of(text));
    else
        json_put_null(w);
}

void json_put_bytes(struct json_writer *w, struct bytes text)
{
    before(w);
    put_quoted(w, text);
    w->need_comma = true;
}

void json_put_int(struct json_writer *w, int64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, number);
    value(w, bytes_make(text, (size_t)len));
}

void json_put_uint(struct json_writer *w, uint64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRIu64, number);
    value(w, bytes_make(text, (size_t)len));
}

void json_put_double(struct json_writer *w, double number)
{
    char text[JSON_DOUBLE_BYTES];
    if (!isfinite(number)) {
        json_put_null(w);
        return;
    }
    size_t len = json_double_text(number, text);
    value(w, bytes_make(text, len));
}

void json_put_bool(struct json_writer *w, bool truth)
{
    value(w, bytes_of(truth ? "true" : "false"));
}

void json_put_null(struct json_writer *w)
{
    value(w, bytes_of("null"));
}

void json_put_raw(struct json_writer *w, struct bytes json)
{
    value(w, json);
}

/* Days since 1970-01-01 as a date: eras of 400 years that start on a first of March, so that the
 * leap day comes last. */
static void date_of(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    enum { ERA_DAYS = 146097, MARCH_0000_TO_1970 = 719468 };
    uint64_t shifted = days + MARCH_0000_TO_1970;
    uint64_t era = shifted / ERA_DAYS;
    unsigned in_era = (unsigned)(shifted % ERA_DAYS);
    unsigned year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * in_year + 2) / 153; /* 0 is March */
    *day = in_year - (153 * march_month + 2) / 5 + 1;
    *month = march_month < 10 ? march_month + 3 : march_month - 9;
    *year = (unsigned)(era * 400) + year_of_era + (*month <= 2 ? 1 : 0);
}

void json_put_time(struct json_writer *w, uint64_t unix_ns)
{
    char text[96];
    if (unix_ns == 0) {
        json_put_null(w);
        return;
    }
    uint64_t ms = unix_ns / 1000000;
    uint64_t seconds = ms / 1000;
    unsigned of_day = (unsigned)(seconds % 86400);
    unsigned year, month, day;
    date_of(seconds / 86400, &year, &month, &day);
    snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day,
             of_day / 3600, of_day / 60 % 60, of_day % 60, (unsigned)(ms % 1000));
    json_put_string(w, text);
}

bool json_writer_ok(const struct json_writer *w)
{
    return !w->failed;
}

void json_member_string(struct json_writer *w, const char *key, const char *text)
{
    json_put_key(w, key);
    json_put_string(w, text);
}

void json_member_text(struct json_writer *w, const char *key, const char *text)
{
    json_member_string(w, key, text && text[0] ? text : NULL);
}

void json_member_bytes(struct json_writer *w, const char *key, struct bytes text)
{
    json_put_key(w, key);
    if (text.len > 0)
        json_put_bytes(w, text);
    else
        json_put_null(w);
}

void json_member_uint(struct json_writer *w, const char *key, uint64_t value)
{
    json_put_key(w, key);
    json_put_uint(w, value);
}

void json_member_bool(struct json_writer *w, const char *key, bool value)
{
    json_put_key(w, key);
    json_put_bool(w, value);
}

void json_member_time(struct json_writer *w, const char *key, uint64_t unix_ns)
{
    json_put_key(w, key);
    json_put_time(w, unix_ns);
}
