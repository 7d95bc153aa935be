/*
 * Writes JSON into a buffer, commas and escapes included.
 *
 *     struct json_writer w = json_writer_make(&out);
 *     json_object_open(&w);
 *     json_put_key(&w, "count");  json_put_int(&w, 4);
 *     json_object_close(&w);
 *     if (!json_writer_ok(&w)) ...   // the buffer's ceiling was reached
 */
#ifndef CORE_JSON_WRITER_H
#define CORE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct json_writer {
    struct buffer *out;
    bool failed;
    bool need_comma;
    bool pretty; /* two spaces a level */
    unsigned depth;
    bool after_key;
};

struct json_writer json_writer_make(struct buffer *out);
void json_object_open(struct json_writer *w);
void json_object_close(struct json_writer *w);
void json_array_open(struct json_writer *w);
void json_array_close(struct json_writer *w);
void json_put_key(struct json_writer *w, const char *key);
void json_put_key_bytes(struct json_writer *w, struct bytes key);
void json_put_string(struct json_writer *w, const char *text); /* NULL writes null */
void json_put_bytes(struct json_writer *w, struct bytes text); /* bad UTF-8 and NUL become U+FFFD */
void json_put_int(struct json_writer *w, int64_t value);
void json_put_uint(struct json_writer *w, uint64_t value);
void json_put_double(struct json_writer *w,
                     double value); /* shortest that reads back equal; NaN, inf: null */
void json_put_bool(struct json_writer *w, bool value);
void json_put_null(struct json_writer *w);
void json_put_raw(struct json_writer *w, struct bytes json); /* one value, already JSON */
void json_put_time(struct json_writer *w,
                   uint64_t unix_ns); /* RFC 3339 UTC with milliseconds; 0 writes null */

/* A key and its value. */
void json_member_string(struct json_writer *w, const char *key, const char *text);
void json_member_text(struct json_writer *w, const char *key, const char *text);   /* "": null */
void json_member_bytes(struct json_writer *w, const char *key, struct bytes text); /* empty: null */
void json_member_uint(struct json_writer *w, const char *key, uint64_t value);
void json_member_bool(struct json_writer *w, const char *key, bool value);
void json_member_time(struct json_writer *w, const char *key, uint64_t unix_ns);

/*
 * The shortest text that reads back as exactly this double, NUL-terminated;
 * whole numbers without exponent up to 2^53; "NaN", "Infinity", "-Infinity".
 * Returns its length.
 */
enum { JSON_DOUBLE_BYTES = 32 };
size_t json_double_text(double value, char out[JSON_DOUBLE_BYTES]);

bool json_writer_ok(const struct json_writer *w);

#endif
