#include "core/otlp/wire.h"

enum { VARINT_MAX_BYTES = 10, FIELD_NUMBER_MAX = 536870911 };

struct wire_reader wire_reader_make(struct bytes message)
{
    /* Arithmetic on NULL is undefined; an empty message may have no data. */
    static const uint8_t nothing[1];
    const uint8_t *at = message.data ? message.data : nothing;
    return (struct wire_reader){.at = at, .end = at + message.len};
}

static bool fail(struct wire_reader *r)
{
    r->failed = true;
    r->end = r->at; /* stays on the field at fault */
    return false;
}

/* Passes a varint at `*at`. The tenth byte has room for one bit only. */
static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    const uint8_t *from = *at;
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_MAX_BYTES && from + i < end; i++) {
        uint8_t byte = from[i];
        if (i == VARINT_MAX_BYTES - 1 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *at = from + i + 1;
            *out = value;
            return true;
        }
    }
    return false;
}

static uint64_t little_endian(const uint8_t *at, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

bool wire_next_any(struct wire_reader *r, struct wire_field *out)
{
    const uint8_t *at = r->at;
    uint64_t tag;
    if (!take_varint(&at, r->end, &tag))
        return fail(r);
    uint64_t number = tag >> 3;
    if (number == 0 || number > FIELD_NUMBER_MAX)
        return fail(r);

    unsigned type = (unsigned)(tag & 7);
    size_t left = (size_t)(r->end - at);
    uint64_t value = 0;
    out->bytes = bytes_make(NULL, 0);
    switch (type) {
    case WIRE_VARINT:
        if (!take_varint(&at, r->end, &value))
            return fail(r);
        break;
    case WIRE_LEN:
        if (!take_varint(&at, r->end, &value) || value > (uint64_t)(r->end - at))
            return fail(r);
        out->bytes = bytes_make(at, (size_t)value);
        at += value;
        break;
    case WIRE_I64:
    case WIRE_I32: {
        unsigned width = type == WIRE_I64 ? 8 : 4;
        if (left < width)
            return fail(r);
        value = little_endian(at, width);
        at += width;
        break;
    }
    default: /* groups, and what no one has defined */
        return fail(r);
    }
    out->number = (uint32_t)number;
    out->type = (enum wire_type)type;
    out->value = value;
    r->at = at;
    return true;
}

double wire_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int64_t wire_sint(uint64_t zigzag)
{
    uint64_t bits = (zigzag >> 1) ^ (0 - (zigzag & 1));
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

size_t wire_varint_len(uint64_t value)
{
    size_t len = 1;
    for (; value >= 0x80; value >>= 7)
        len++;
    return len;
}

bool wire_append_varint(struct buffer *b, uint64_t value)
{
    uint8_t text[VARINT_MAX_BYTES];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        text[len++] = (uint8_t)(value | 0x80);
    text[len++] = (uint8_t)value;
    return buffer_append(b, bytes_make(text, len));
}

/* The tag and what follows it are appended together or not at all. */
static bool put_tag(struct buffer *b, uint32_t number, enum wire_type type, size_t room)
{
    uint64_t tag = (uint64_t)number << 3 | type;
    return room <= SIZE_MAX - 16 && buffer_reserve(b, wire_varint_len(tag) + room) &&
           wire_append_varint(b, tag);
}

bool wire_put_varint(struct buffer *b, uint32_t number, uint64_t value)
{
    return put_tag(b, number, WIRE_VARINT, wire_varint_len(value)) && wire_append_varint(b, value);
}

static bool put_fixed(struct buffer *b, uint64_t bits, unsigned count)
{
    uint8_t text[8];
    for (unsigned i = 0; i < count; i++)
        text[i] = (uint8_t)(bits >> (8 * i));
    return buffer_append(b, bytes_make(text, count));
}

bool wire_put_i64(struct buffer *b, uint32_t number, uint64_t bits)
{
    return put_tag(b, number, WIRE_I64, 8) && put_fixed(b, bits, 8);
}

bool wire_put_i32(struct buffer *b, uint32_t number, uint32_t bits)
{
    return put_tag(b, number, WIRE_I32, 4) && put_fixed(b, bits, 4);
}

bool wire_put_bytes(struct buffer *b, uint32_t number, struct bytes value)
{
    size_t len_bytes = wire_varint_len(value.len);
    return value.len <= SIZE_MAX - 32 && put_tag(b, number, WIRE_LEN, len_bytes + value.len) &&
           wire_append_varint(b, value.len) && buffer_append(b, value);
}

bool wire_put_double(struct buffer *b, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return wire_put_i64(b, number, bits);
}
