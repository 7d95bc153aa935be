/* Attributes, and what their values mean. */
#include <math.h>

#include "core/json/reader.h"
#include "core/json/utf8.h"
#include "core/json/writer.h"
#include "core/otlp/otlp.h"
#include "core/otlp/value.h"
#include "core/otlp/wire.h"

struct otlp_value otlp_value_read(struct bytes message)
{
    struct otlp_value value = {.kind = OTLP_VALUE_NONE};
    const uint8_t *at = message.data;
    /* One short string and nothing else, as most values are. */
    if (message.len >= 2 && at[0] == 0x0a && at[1] < 0x80 && at[1] == message.len - 2) {
        value.kind = OTLP_VALUE_STRING;
        value.bytes = bytes_make(at + 2, at[1]);
        return value;
    }
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    while (wire_next(&r, &field)) { /* the last member set counts */
        if (field.number == 1 && field.type == WIRE_LEN)
            value = (struct otlp_value){.kind = OTLP_VALUE_STRING, .bytes = field.bytes};
        else if (field.number == 2 && field.type == WIRE_VARINT)
            value = (struct otlp_value){.kind = OTLP_VALUE_BOOL, .integer = field.value != 0};
        else if (field.number == 3 && field.type == WIRE_VARINT)
            value = (struct otlp_value){.kind = OTLP_VALUE_INT, .integer = (int64_t)field.value};
        else if (field.number == 4 && field.type == WIRE_I64)
            value =
                (struct otlp_value){.kind = OTLP_VALUE_DOUBLE, .number = wire_double(field.value)};
        else if (field.number == 5 && field.type == WIRE_LEN)
            value = (struct otlp_value){.kind = OTLP_VALUE_ARRAY, .bytes = field.bytes};
        else if (field.number == 6 && field.type == WIRE_LEN)
            value = (struct otlp_value){.kind = OTLP_VALUE_KVLIST, .bytes = field.bytes};
        else if (field.number == 7 && field.type == WIRE_LEN)
            value = (struct otlp_value){.kind = OTLP_VALUE_BYTES, .bytes = field.bytes};
    }
    return value;
}

static struct otlp_attribute read_attribute(struct bytes message)
{
    struct otlp_attribute attribute = {.value = {.kind = OTLP_VALUE_NONE}};
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.type != WIRE_LEN)
            continue;
        if (field.number == 1)
            attribute.key = field.bytes;
        else if (field.number == 2)
            attribute.value = otlp_value_read(field.bytes);
    }
    return attribute;
}

/* The key without reading the value. */
static struct bytes read_key(struct bytes message)
{
    struct bytes key = {0};
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    while (wire_next(&r, &field))
        if (field.number == 1 && field.type == WIRE_LEN)
            key = field.bytes;
    return key;
}

struct otlp_attribute_reader otlp_attributes_start(struct otlp_attributes attributes)
{
    return (struct otlp_attribute_reader){.rest = attributes.message, .field = attributes.field};
}

static bool next_message(struct otlp_attribute_reader *reader, struct bytes *out)
{
    struct wire_reader r = wire_reader_make(reader->rest);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number != reader->field || field.type != WIRE_LEN)
            continue;
        *out = field.bytes;
        reader->rest = bytes_make(r.at, (size_t)(r.end - r.at));
        return true;
    }
    reader->rest.len = 0;
    return false;
}

bool otlp_attributes_next(struct otlp_attribute_reader *reader, struct otlp_attribute *out)
{
    struct bytes message;
    if (!next_message(reader, &message))
        return false;
    *out = read_attribute(message);
    return true;
}

bool otlp_attributes_find(struct otlp_attributes attributes, const char *key,
                          struct otlp_value *out)
{
    struct otlp_attribute_reader reader = otlp_attributes_start(attributes);
    struct bytes wanted = bytes_of(key), message, found = {0};
    bool any = false;
    while (next_message(&reader, &message)) {
        if (bytes_equal(read_key(message), wanted)) {
            found = message;
            any = true;
        }
    }
    if (any)
        *out = read_attribute(found).value;
    return any;
}

static bool round_to_int(double number, int64_t *out)
{
    /* 2^63 itself is a double; the largest int64 is not. */
    double rounded = round(number);
    if (!(rounded >= -9223372036854775808.0 && rounded < 9223372036854775808.0))
        return false;
    *out = (int64_t)rounded;
    return true;
}

bool otlp_value_as_int(const struct otlp_value *value, int64_t *out)
{
    double number;
    switch (value->kind) {
    case OTLP_VALUE_INT:
        *out = value->integer;
        return true;
    case OTLP_VALUE_DOUBLE:
        return round_to_int(value->number, out);
    case OTLP_VALUE_STRING:
        return json_int64(value->bytes, out) ||
               (json_double(value->bytes, &number) && round_to_int(number, out));
    default:
        return false;
    }
}

bool otlp_value_as_double(const struct otlp_value *value, double *out)
{
    double number;
    if (value->kind == OTLP_VALUE_INT)
        number = (double)value->integer;
    else if (value->kind == OTLP_VALUE_DOUBLE)
        number = value->number;
    else if (value->kind != OTLP_VALUE_STRING || !json_double(value->bytes, &number))
        return false;
    if (!isfinite(number))
        return false;
    *out = number;
    return true;
}

bool otlp_value_as_bool(const struct otlp_value *value, bool *out)
{
    bool truth;
    switch (value->kind) {
    case OTLP_VALUE_BOOL:
        truth = value->integer != 0;
        break;
    case OTLP_VALUE_STRING:
        truth = bytes_equal_text(value->bytes, "true") || bytes_equal_text(value->bytes, "1");
        if (!truth && !bytes_equal_text(value->bytes, "false") &&
            !bytes_equal_text(value->bytes, "0"))
            return false;
        break;
    case OTLP_VALUE_INT:
        if (value->integer != 0 && value->integer != 1)
            return false;
        truth = value->integer == 1;
        break;
    default:
        return false;
    }
    *out = truth;
    return true;
}

bool otlp_text_clean(struct bytes text, struct buffer *out)
{
    return utf8_append_clean(text, out);
}

static bool put_base64(struct bytes data, struct buffer *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t groups = (data.len + 2) / 3;
    if (!buffer_reserve(out, groups * 4))
        return false;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t have = data.len - i < 3 ? data.len - i : 3;
        uint32_t bits = (uint32_t)data.data[i] << 16;
        if (have > 1)
            bits |= (uint32_t)data.data[i + 1] << 8;
        if (have > 2)
            bits |= data.data[i + 2];
        uint8_t *to = out->data + out->len;
        to[0] = (uint8_t)digits[bits >> 18];
        to[1] = (uint8_t)digits[bits >> 12 & 63];
        to[2] = have > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=';
        to[3] = have > 2 ? (uint8_t)digits[bits & 63] : '=';
        out->len += 4;
    }
    return true;
}

static void put_json(struct json_writer *w, const struct otlp_value *value, unsigned depth);

/* ArrayValue: values = 1. */
static void put_json_array(struct json_writer *w, struct bytes message, unsigned depth)
{
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    json_array_open(w);
    while (wire_next(&r, &field)) {
        if (field.number != 1 || field.type != WIRE_LEN)
            continue;
        struct otlp_value value = otlp_value_read(field.bytes);
        put_json(w, &value, depth);
    }
    json_array_close(w);
}

/* KeyValueList: values = 1. */
static void put_json_map(struct json_writer *w, struct bytes message, unsigned depth)
{
    struct otlp_attribute_reader reader = {.rest = message, .field = 1};
    struct otlp_attribute attribute;
    json_object_open(w);
    while (otlp_attributes_next(&reader, &attribute)) {
        json_put_key_bytes(w, attribute.key);
        put_json(w, &attribute.value, depth);
    }
    json_object_close(w);
}

static void put_json_bytes(struct json_writer *w, struct bytes data)
{
    struct buffer quoted = {.max_bytes = data.len * 2 + 16};
    if (buffer_append_text(&quoted, "\"") && put_base64(data, &quoted) &&
        buffer_append_text(&quoted, "\""))
        json_put_raw(w, buffer_bytes(&quoted));
    buffer_clear(&quoted);
}

/* What is nested deeper than a checked request can be shows as null. */
static void put_json(struct json_writer *w, const struct otlp_value *value, unsigned depth)
{
    bool nested = value->kind == OTLP_VALUE_ARRAY || value->kind == OTLP_VALUE_KVLIST;
    if (nested && depth == OTLP_MAX_DEPTH) {
        json_put_null(w);
        return;
    }
    switch (value->kind) {
    case OTLP_VALUE_NONE:
        json_put_null(w);
        break;
    case OTLP_VALUE_STRING:
        json_put_bytes(w, value->bytes);
        break;
    case OTLP_VALUE_BOOL:
        json_put_bool(w, value->integer != 0);
        break;
    case OTLP_VALUE_INT:
        json_put_int(w, value->integer);
        break;
    case OTLP_VALUE_DOUBLE:
        json_put_double(w, value->number);
        break;
    case OTLP_VALUE_ARRAY:
        put_json_array(w, value->bytes, depth + 1);
        break;
    case OTLP_VALUE_KVLIST:
        put_json_map(w, value->bytes, depth + 1);
        break;
    case OTLP_VALUE_BYTES:
        put_json_bytes(w, value->bytes);
        break;
    }
}

bool otlp_value_as_json(const struct otlp_value *value, struct buffer *out)
{
    struct json_writer w = json_writer_make(out);
    put_json(&w, value, 0);
    return json_writer_ok(&w);
}

bool otlp_value_as_text(const struct otlp_value *value, struct buffer *out)
{
    char number[JSON_DOUBLE_BYTES];
    switch (value->kind) {
    case OTLP_VALUE_NONE:
        return true;
    case OTLP_VALUE_STRING:
        return otlp_text_clean(value->bytes, out);
    case OTLP_VALUE_DOUBLE:
        return buffer_append(out, bytes_make(number, json_double_text(value->number, number)));
    case OTLP_VALUE_BYTES:
        return put_base64(value->bytes, out);
    default:
        return otlp_value_as_json(value, out);
    }
}
