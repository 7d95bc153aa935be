#include "core/otlp/json.h"

#include "core/json/reader.h"
#include "core/otlp/schema.h"
#include "core/otlp/wire.h"

struct convert {
    struct json_reader r;
    struct buffer *out;
    struct error *err;
};

static bool fail(struct convert *c, const char *field, const char *must)
{
    unsigned line, column;
    json_place(c->r.text, c->r.token_offset, &line, &column);
    return error_set(c->err, FAIL_INVALID, "line %u, column %u: '%s' must be %s", line, column,
                     field, must);
}

static bool fits(struct convert *c, bool appended)
{
    if (appended)
        return true;
    return error_set(c->err, FAIL_TOO_LARGE, "the request passes the limit of %zu bytes",
                     c->out->max_bytes);
}

/* Opens a LEN field: one byte is set aside for its length, more are made when it is closed. */
static bool open_field(struct convert *c, uint32_t number, size_t *body_at)
{
    bool ok = fits(c, wire_put_bytes(c->out, number, bytes_make(NULL, 0)));
    *body_at = c->out->len;
    return ok;
}

static bool close_field(struct convert *c, size_t body_at)
{
    struct buffer *out = c->out;
    size_t len = out->len - body_at;
    size_t size = wire_varint_len(len);
    if (!fits(c, buffer_reserve(out, size - 1)))
        return false;
    uint8_t *at = out->data + body_at - 1;
    if (size > 1)
        memmove(at + size, at + 1, len);
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(len >> (7 * i) | (i + 1 < size ? 0x80 : 0));
    out->len += size - 1;
    return true;
}

static bool put_hex(struct convert *c, const char *name, struct bytes digits)
{
    for (size_t i = 0; i < digits.len; i += 2) {
        int high = bytes_hex_digit(digits.data[i]);
        int low = i + 1 < digits.len ? bytes_hex_digit(digits.data[i + 1]) : -1;
        if (high < 0 || low < 0)
            return fail(c, name, "an even number of hex digits");
        if (!fits(c, buffer_append_byte(c->out, (uint8_t)(high << 4 | low))))
            return false;
    }
    return true;
}

/* Both alphabets of RFC 4648, padded or not. */
static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

static bool put_base64(struct convert *c, const char *name, struct bytes text)
{
    for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++)
        text.len--;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0 || (text.len % 4 == 1 && i + 1 == text.len))
            return fail(c, name, "base64");
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (!fits(c, buffer_append_byte(c->out, (uint8_t)(bits >> have))))
                return false;
        }
    }
    return true;
}

/* JSON may escape any character of hex digits and base64 ('/' as "\/"): such text is decoded
 * first. */
static bool put_coded(struct convert *c, const struct schema_field *field)
{
    struct bytes span = c->r.span;
    struct buffer decoded = {.max_bytes = span.len};
    bool ok = true;
    if (span.len > 0 && memchr(span.data, '\\', span.len)) {
        ok = fits(c, json_string_decode(span, &decoded));
        span = buffer_bytes(&decoded);
    }
    ok = ok && (field->kind == SCHEMA_ID ? put_hex(c, field->name, span)
                                         : put_base64(c, field->name, span));
    buffer_clear(&decoded);
    return ok;
}

static bool convert_text(struct convert *c, uint32_t number, const struct schema_field *field,
                         enum json_token token)
{
    size_t body_at;
    if (token != JSON_STRING)
        return fail(c, field->name, "a string");
    if (!open_field(c, number, &body_at))
        return false;
    bool ok = field->kind == SCHEMA_STRING ? fits(c, json_string_decode(c->r.span, c->out))
                                           : put_coded(c, field);
    return ok && close_field(c, body_at);
}

/* The bits of a number as they go on the wire. */
static bool number_bits(struct convert *c, const struct schema_field *field, enum json_token token,
                        uint64_t *bits)
{
    struct bytes span = c->r.span;
    int64_t integer;
    double number;
    bool is_number = token == JSON_NUMBER || token == JSON_STRING;
    switch ((enum schema_kind)field->kind) {
    case SCHEMA_BOOL:
        *bits = token == JSON_TRUE;
        return token == JSON_TRUE || token == JSON_FALSE || fail(c, field->name, "true or false");
    case SCHEMA_ENUM:
        if (token != JSON_NUMBER || !json_int64(span, &integer))
            return fail(c, field->name, "a number, not a name");
        *bits = (uint64_t)integer;
        return true;
    case SCHEMA_DOUBLE:
        if (!is_number || !json_double(span, &number))
            return fail(c, field->name, "a number");
        memcpy(bits, &number, sizeof *bits);
        return true;
    case SCHEMA_INT:
    case SCHEMA_SINT:
    case SCHEMA_SFIXED64:
        if (!is_number || !json_int64(span, &integer))
            return fail(c, field->name, "an integer of 64 bits");
        *bits = (uint64_t)integer;
        if (field->kind == SCHEMA_SINT)
            *bits = (*bits << 1) ^ (integer < 0 ? UINT64_MAX : 0);
        return true;
    default:
        if (!is_number || !json_uint64(span, bits) ||
            (field->kind == SCHEMA_FIXED32 && *bits > UINT32_MAX))
            return fail(c, field->name, "an integer that is not negative");
        return true;
    }
}

static bool put_fixed64(struct buffer *out, uint64_t bits)
{
    uint8_t text[8];
    for (unsigned i = 0; i < 8; i++)
        text[i] = (uint8_t)(bits >> (8 * i));
    return buffer_append(out, bytes_make(text, sizeof text));
}

static bool is_fixed64(enum schema_kind kind)
{
    return kind == SCHEMA_FIXED64 || kind == SCHEMA_SFIXED64 || kind == SCHEMA_DOUBLE;
}

static bool convert_number(struct convert *c, uint32_t number, const struct schema_field *field,
                           enum json_token token)
{
    uint64_t bits;
    if (!number_bits(c, field, token, &bits))
        return false;
    if (is_fixed64((enum schema_kind)field->kind))
        return fits(c, wire_put_i64(c->out, number, bits));
    if (field->kind == SCHEMA_FIXED32)
        return fits(c, wire_put_i32(c->out, number, (uint32_t)bits));
    return fits(c, wire_put_varint(c->out, number, bits));
}

static bool is_text(const struct schema_field *field)
{
    return field->kind == SCHEMA_STRING || field->kind == SCHEMA_BYTES || field->kind == SCHEMA_ID;
}

static bool convert_fields(struct convert *c, enum schema_id id);

static bool convert_message(struct convert *c, uint32_t number, const struct schema_field *field,
                            enum json_token token)
{
    size_t body_at;
    if (token != JSON_OBJECT_OPEN && token != JSON_NULL)
        return fail(c, field->name, "an object");
    return open_field(c, number, &body_at) &&
           (token == JSON_NULL || convert_fields(c, (enum schema_id)field->message)) &&
           close_field(c, body_at);
}

/* One value, or one element of an array. */
static bool convert_value(struct convert *c, uint32_t number, const struct schema_field *field,
                          enum json_token token)
{
    if (token == JSON_ERROR)
        return json_fail(&c->r, c->err);
    if (field->kind == SCHEMA_MESSAGE)
        return convert_message(c, number, field, token);
    return is_text(field) ? convert_text(c, number, field, token)
                          : convert_number(c, number, field, token);
}

/* Numbers are packed into one field, as protobuf writers do. */
static bool convert_packed(struct convert *c, uint32_t number, const struct schema_field *field)
{
    size_t body_at;
    if (!open_field(c, number, &body_at))
        return false;
    for (;;) {
        uint64_t bits;
        enum json_token token = json_next(&c->r);
        if (token == JSON_ERROR)
            return json_fail(&c->r, c->err);
        if (token == JSON_ARRAY_CLOSE)
            return close_field(c, body_at);
        if (!number_bits(c, field, token, &bits) ||
            !fits(c, is_fixed64((enum schema_kind)field->kind) ? put_fixed64(c->out, bits)
                                                               : wire_append_varint(c->out, bits)))
            return false;
    }
}

static bool convert_array(struct convert *c, uint32_t number, const struct schema_field *field,
                          enum json_token token)
{
    if (token == JSON_ERROR)
        return json_fail(&c->r, c->err);
    if (token != JSON_ARRAY_OPEN)
        return fail(c, field->name, "an array");
    if (field->kind != SCHEMA_MESSAGE && !is_text(field))
        return convert_packed(c, number, field);
    while ((token = json_next(&c->r)) != JSON_ARRAY_CLOSE)
        if (!convert_value(c, number, field, token))
            return false;
    return true;
}

static uint32_t find_field(const struct schema_message *message, struct bytes key)
{
    for (uint32_t number = 1; number < SCHEMA_FIELD_NUMBERS; number++)
        if (message->fields[number].kind != SCHEMA_UNKNOWN &&
            json_string_equals(key, message->fields[number].name))
            return number;
    return 0;
}

/* The members of an object whose '{' has been read. null is the same as not there. */
static bool convert_fields(struct convert *c, enum schema_id id)
{
    const struct schema_message *message = &schema_messages[id];
    for (;;) {
        enum json_token token = json_next(&c->r);
        if (token == JSON_OBJECT_CLOSE)
            return true;
        if (token != JSON_KEY)
            return json_fail(&c->r, c->err);
        uint32_t number = find_field(message, c->r.span);
        const struct schema_field *field = &message->fields[number];
        if (number == 0) {
            if (!json_skip_value(&c->r))
                return json_fail(&c->r, c->err);
            continue;
        }
        token = json_next(&c->r);
        if (token == JSON_NULL)
            continue;
        if (field->repeated ? !convert_array(c, number, field, token)
                            : !convert_value(c, number, field, token))
            return false;
    }
}

bool otlp_json_to_protobuf(enum otlp_signal signal, struct bytes json, struct buffer *out,
                           struct error *err)
{
    struct convert c = {.r = json_reader_make(json), .out = out, .err = err};
    size_t before = out->len;
    enum json_token token = json_next(&c.r);
    bool ok = token == JSON_OBJECT_OPEN ||
              (token == JSON_ERROR ? json_fail(&c.r, err) : fail(&c, "request", "an object"));
    ok = ok && convert_fields(&c, schema_request(signal));
    if (ok && json_next(&c.r) != JSON_END)
        ok = json_fail(&c.r, err);
    if (!ok)
        out->len = before;
    return ok;
}
