#include "core/json/reader.h"

#include "core/json/utf8.h"

enum state {
    WANT_VALUE,
    WANT_VALUE_OR_CLOSE, /* after '[' */
    WANT_KEY,            /* after ',' in an object */
    WANT_KEY_OR_CLOSE,   /* after '{' */
    WANT_COMMA_OR_CLOSE,
    WANT_NOTHING, /* the document's value is complete */
    FAILED,
};

struct json_reader json_reader_make(struct bytes text)
{
    return (struct json_reader){.text = text, .state = WANT_VALUE};
}

static enum json_token fail(struct json_reader *r, size_t offset, const char *problem)
{
    r->state = FAILED;
    r->token_offset = offset;
    r->problem = problem;
    return JSON_ERROR;
}

static void skip_space(struct json_reader *r)
{
    const uint8_t *text = r->text.data;
    size_t at = r->at;
    while (at < r->text.len &&
           (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r'))
        at++;
    r->at = at;
}

static bool inside_object(const struct json_reader *r)
{
    return r->depth > 0 && (r->in_object >> (r->depth - 1) & 1) != 0;
}

static void value_done(struct json_reader *r)
{
    r->state = r->depth == 0 ? WANT_NOTHING : WANT_COMMA_OR_CLOSE;
}

static enum json_token open(struct json_reader *r, bool object)
{
    if (r->depth == JSON_MAX_DEPTH)
        return fail(r, r->at, "nested too deeply");
    uint64_t bit = UINT64_C(1) << r->depth;
    r->in_object = object ? r->in_object | bit : r->in_object & ~bit;
    r->depth++;
    r->at++;
    r->state = object ? WANT_KEY_OR_CLOSE : WANT_VALUE_OR_CLOSE;
    return object ? JSON_OBJECT_OPEN : JSON_ARRAY_OPEN;
}

static enum json_token close(struct json_reader *r)
{
    bool object = inside_object(r);
    r->depth--;
    r->at++;
    value_done(r);
    return object ? JSON_OBJECT_CLOSE : JSON_ARRAY_CLOSE;
}

/* The four digits after "\u"; -1 when they are not there. */
static int32_t hex4(struct bytes digits)
{
    int32_t value = 0;
    if (digits.len < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = bytes_hex_digit(digits.data[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Passes the escape at `at`, which holds a backslash; 0 when it is none. */
static size_t escape_length(struct bytes text, size_t at)
{
    if (at + 1 >= text.len)
        return 0;
    uint8_t kind = text.data[at + 1];
    if (kind == 'u')
        return hex4(bytes_make(text.data + at + 2, text.len - at - 2)) < 0 ? 0 : 6;
    return kind != 0 && strchr("\"\\/bfnrt", kind) ? 2 : 0;
}

/* Reads the string at r->at, which holds a quote, into r->span. */
static bool scan_string(struct json_reader *r)
{
    struct bytes text = r->text;
    size_t at = r->at + 1;
    while (at < text.len) {
        uint8_t c = text.data[at];
        size_t step = 1;
        if (c == '"') {
            r->span = bytes_make(text.data + r->at + 1, at - r->at - 1);
            r->at = at + 1;
            return true;
        }
        if (c < 0x20)
            return fail(r, at, "control character in a string") != JSON_ERROR;
        if (c == '\\') {
            step = escape_length(text, at);
            if (step == 0)
                return fail(r, at, "unknown escape in a string") != JSON_ERROR;
        } else if (c >= 0x80) {
            bool valid;
            step = utf8_step(bytes_make(text.data + at, text.len - at), &valid);
            if (!valid)
                return fail(r, at, "invalid UTF-8 in a string") != JSON_ERROR;
        }
        at += step;
    }
    return fail(r, text.len, "string without an end") != JSON_ERROR;
}

static bool number_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static size_t digits_at(struct bytes text, size_t at)
{
    size_t from = at;
    while (at < text.len && text.data[at] >= '0' && text.data[at] <= '9')
        at++;
    return at - from;
}

static bool byte_at(struct bytes text, size_t at, char a, char b)
{
    return at < text.len && (text.data[at] == (uint8_t)a || text.data[at] == (uint8_t)b);
}

static enum json_token scan_number(struct json_reader *r)
{
    struct bytes text = r->text;
    size_t start = r->at;
    size_t at = start + (byte_at(text, start, '-', '-') ? 1 : 0);
    size_t whole = digits_at(text, at);
    if (whole == 0 || (whole > 1 && text.data[at] == '0'))
        return fail(r, start, "malformed number");
    at += whole;
    if (byte_at(text, at, '.', '.')) {
        size_t fraction = digits_at(text, at + 1);
        if (fraction == 0)
            return fail(r, start, "malformed number");
        at += 1 + fraction;
    }
    if (byte_at(text, at, 'e', 'E')) {
        at += byte_at(text, at + 1, '+', '-') ? 2 : 1;
        size_t exponent = digits_at(text, at);
        if (exponent == 0)
            return fail(r, start, "malformed number");
        at += exponent;
    }
    if (at < text.len && number_byte(text.data[at]))
        return fail(r, start, "malformed number");
    r->span = bytes_make(text.data + start, at - start);
    r->at = at;
    value_done(r);
    return JSON_NUMBER;
}

static enum json_token scan_word(struct json_reader *r, const char *word, enum json_token token)
{
    struct bytes rest = bytes_make(r->text.data + r->at, r->text.len - r->at);
    if (!bytes_starts_with(rest, word))
        return fail(r, r->at, "unknown word");
    r->span = bytes_make(rest.data, strlen(word));
    r->at += r->span.len;
    value_done(r);
    return token;
}

static enum json_token read_value(struct json_reader *r)
{
    switch (r->text.data[r->at]) {
    case '{':
        return open(r, true);
    case '[':
        return open(r, false);
    case '"':
        if (!scan_string(r))
            return JSON_ERROR;
        value_done(r);
        return JSON_STRING;
    case 't':
        return scan_word(r, "true", JSON_TRUE);
    case 'f':
        return scan_word(r, "false", JSON_FALSE);
    case 'n':
        return scan_word(r, "null", JSON_NULL);
    default:
        if (number_byte(r->text.data[r->at]))
            return scan_number(r);
        return fail(r, r->at, "a value must stand here");
    }
}

static enum json_token read_key(struct json_reader *r)
{
    if (r->text.data[r->at] != '"')
        return fail(r, r->at, "a key in double quotes must stand here");
    if (!scan_string(r))
        return JSON_ERROR;
    skip_space(r);
    if (!byte_at(r->text, r->at, ':', ':'))
        return fail(r, r->at, "':' must stand after a key");
    r->at++;
    r->state = WANT_VALUE;
    return JSON_KEY;
}

/* After ',': what must follow depends on the container. */
static enum json_token read_next(struct json_reader *r)
{
    bool object = inside_object(r);
    if (byte_at(r->text, r->at, object ? '}' : ']', object ? '}' : ']'))
        return close(r);
    if (!byte_at(r->text, r->at, ',', ','))
        return fail(r, r->at, object ? "',' or '}' must stand here" : "',' or ']' must stand here");
    r->at++;
    r->state = object ? WANT_KEY : WANT_VALUE;
    return json_next(r);
}

enum json_token json_next(struct json_reader *r)
{
    if (r->state == FAILED)
        return JSON_ERROR;
    skip_space(r);
    r->token_offset = r->at;
    r->span = bytes_make(NULL, 0);
    if (r->at == r->text.len)
        return r->state == WANT_NOTHING ? JSON_END : fail(r, r->at, "the text ends too early");

    switch ((enum state)r->state) {
    case WANT_VALUE:
        return read_value(r);
    case WANT_VALUE_OR_CLOSE:
        return r->text.data[r->at] == ']' ? close(r) : read_value(r);
    case WANT_KEY:
        return read_key(r);
    case WANT_KEY_OR_CLOSE:
        return r->text.data[r->at] == '}' ? close(r) : read_key(r);
    case WANT_COMMA_OR_CLOSE:
        return read_next(r);
    case WANT_NOTHING:
        return fail(r, r->at, "text after the end of the document");
    case FAILED:
        break;
    }
    return JSON_ERROR;
}

bool json_skip_value(struct json_reader *r)
{
    unsigned depth = r->depth;
    do {
        enum json_token token = json_next(r);
        if (token == JSON_ERROR || token == JSON_END)
            return false;
    } while (r->depth > depth);
    return true;
}

void json_place(struct bytes text, size_t offset, unsigned *line, unsigned *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.data[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            ++*column;
        }
    }
}

bool json_fail(const struct json_reader *r, struct error *err)
{
    unsigned line, column;
    json_place(r->text, r->token_offset, &line, &column);
    return error_set(err, FAIL_INVALID, "line %u, column %u: %s", line, column,
                     r->problem ? r->problem : "this value does not fit here");
}

/* Decodes the character at the start of `*span`, which is not empty, and passes it. */
static uint32_t take_character(struct bytes *span)
{
    const uint8_t *at = span->data;
    size_t used = 1;
    uint32_t value = at[0];
    if (at[0] == '\\' && span->len >= 2) {
        static const char plain[] = "bfnrt", meant[] = "\b\f\n\r\t";
        const char *found = at[1] ? strchr(plain, at[1]) : NULL;
        used = 2;
        value = found ? (uint32_t)meant[found - plain] : at[1];
        if (at[1] == 'u' && span->len >= 6) {
            value = (uint32_t)hex4(bytes_make(at + 2, 4));
            used = 6;
            /* A high surrogate followed by an escaped low one is one character. */
            if (value >= 0xd800 && value <= 0xdbff && span->len >= 12 && at[6] == '\\' &&
                at[7] == 'u') {
                int32_t low = hex4(bytes_make(at + 8, 4));
                if (low >= 0xdc00 && low <= 0xdfff) {
                    value = 0x10000 + ((value - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
                    used = 12;
                }
            }
        }
    }
    span->data += used;
    span->len -= used;
    return value;
}

bool json_string_decode(struct bytes span, struct buffer *out)
{
    while (span.len > 0) {
        /* Everything up to the next escape is copied in one go. */
        const uint8_t *escape = memchr(span.data, '\\', span.len);
        size_t run = escape ? (size_t)(escape - span.data) : span.len;
        if (!buffer_append(out, bytes_make(span.data, run)))
            return false;
        span.data += run;
        span.len -= run;
        if (span.len > 0 && !utf8_append(take_character(&span), out))
            return false;
    }
    return true;
}

bool json_string_equals(struct bytes span, const char *text)
{
    if (span.len == 0 || !memchr(span.data, '\\', span.len))
        return bytes_equal_text(span, text);
    size_t left = strlen(text);
    while (span.len > 0) {
        uint8_t memory[4] = {0};
        struct buffer one = {.data = memory, .capacity = sizeof memory, .max_bytes = sizeof memory};
        if (span.data[0] != '\\') {
            memory[0] = span.data[0];
            one.len = 1;
            span.data++;
            span.len--;
        } else if (!utf8_append(take_character(&span), &one)) {
            return false;
        }
        if (one.len > left || memcmp(text, memory, one.len) != 0)
            return false;
        text += one.len;
        left -= one.len;
    }
    return left == 0;
}
