/*
 * Reading and writing protobuf on the wire (https://protobuf.dev/programming-guides/encoding),
 * without generated code, copies or allocations.
 *
 *     struct wire_reader r = wire_reader_make(message);
 *     struct wire_field f;
 *     while (wire_next(&r, &f))
 *         switch (f.number) { case 1: ... f.bytes ... }
 *     if (r.failed) ...
 *
 * Refused: groups, field number 0, tags over 2^32, lengths past the end, varints over 10 bytes.
 */
#ifndef CORE_OTLP_WIRE_H
#define CORE_OTLP_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum wire_type { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_LEN = 2, WIRE_I32 = 5 };

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;     /* VARINT, I64, I32 */
    struct bytes bytes; /* LEN: borrowed from the message */
};

struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* malformed; wire_next() returns false from then on */
};

struct wire_reader wire_reader_make(struct bytes message);

/* The next field; false at the end and when malformed. */
static inline bool wire_next(struct wire_reader *r, struct wire_field *out);

double wire_double(uint64_t bits);
int64_t wire_sint(uint64_t zigzag);

/* Writers append to a buffer and return false past its ceiling. */
MUST_USE bool wire_put_varint(struct buffer *b, uint32_t number, uint64_t value);
MUST_USE bool wire_put_i64(struct buffer *b, uint32_t number, uint64_t bits);
MUST_USE bool wire_put_i32(struct buffer *b, uint32_t number, uint32_t bits);
MUST_USE bool wire_put_bytes(struct buffer *b, uint32_t number, struct bytes value);
MUST_USE bool wire_put_double(struct buffer *b, uint32_t number, double value);

/* Bytes that a varint takes. */
size_t wire_varint_len(uint64_t value);
/* Appends a bare varint: lengths and packed fields. */
MUST_USE bool wire_append_varint(struct buffer *b, uint64_t value);

/* Every field that the short way below does not take. */
bool wire_next_any(struct wire_reader *r, struct wire_field *out);

/* Nearly all fields of OTLP are LEN with a tag and a length of one byte each. */
static inline bool wire_next(struct wire_reader *r, struct wire_field *out)
{
    const uint8_t *at = r->at;
    size_t left = (size_t)(r->end - at);
    if (left >= 2 && (at[0] & 0x87) == WIRE_LEN && at[0] >= 8 && at[1] < 0x80 &&
        at[1] <= left - 2) {
        out->number = (uint32_t)(at[0] >> 3);
        out->type = WIRE_LEN;
        out->bytes = bytes_make(at + 2, at[1]);
        r->at = at + 2 + at[1];
        return true;
    }
    return left > 0 && wire_next_any(r, out);
}

#endif
