/* Halving a request: each half is the whole without the other half's records. */
#include "core/otlp/rewrite.h"
#include "core/otlp/schema.h"
#include "core/otlp/splice.h"
#include "core/otlp/wire.h"

struct half {
    struct splice splice;
    uint64_t from, to; /* records to keep */
    uint64_t index;    /* of the next record */
};

/* The next field of a message that is a record or holds records. */
static bool next_child(const struct schema_message *parent, struct wire_reader *r,
                       const uint8_t **at, struct bytes *body, enum schema_id *id)
{
    struct wire_field field;
    for (*at = r->at; wire_next(r, &field); *at = r->at) {
        if (field.type != WIRE_LEN || field.number >= SCHEMA_FIELD_NUMBERS ||
            parent->fields[field.number].kind != SCHEMA_MESSAGE)
            continue;
        *id = (enum schema_id)parent->fields[field.number].message;
        *body = field.bytes;
        if (schema_messages[*id].is_record || schema_messages[*id].holds_records)
            return true;
    }
    return false;
}

static bool count_records(enum schema_id id, struct bytes message, uint64_t *records)
{
    if (schema_messages[id].is_record) {
        ++*records;
        return true;
    }
    struct wire_reader r = wire_reader_make(message);
    const uint8_t *at;
    struct bytes body;
    enum schema_id child;
    while (next_child(&schema_messages[id], &r, &at, &body, &child))
        if (!count_records(child, body, records))
            return false;
    return !r.failed;
}

static bool keep_range(struct half *half, enum schema_id id, struct bytes message)
{
    struct wire_reader r = wire_reader_make(message);
    const uint8_t *at;
    struct bytes body;
    enum schema_id child;
    while (next_child(&schema_messages[id], &r, &at, &body, &child)) {
        uint64_t records = 0;
        if (!count_records(child, body, &records))
            return false;
        uint64_t first = half->index, end = first + records;
        if (end <= half->from || first >= half->to) {
            splice_cut(&half->splice, at, r.at);
        } else if (first < half->from || end > half->to) {
            splice_enter(&half->splice, at, body);
            bool ok = keep_range(half, child, body);
            splice_leave(&half->splice);
            if (!ok)
                return false;
        }
        half->index = end;
    }
    return !r.failed;
}

static bool write_half(enum otlp_signal signal, struct bytes request, uint64_t from, uint64_t to,
                       struct buffer *out, struct error *err)
{
    struct half half = {.from = from, .to = to};
    size_t before = out->len;
    splice_begin(&half.splice, request, out);
    bool read = keep_range(&half, schema_request(signal), request);
    if (read && splice_end(&half.splice))
        return true;
    out->len = before;
    if (!read)
        return error_set(err, FAIL_INVALID, "malformed %s request", otlp_signal_name(signal));
    return error_set(err, FAIL_TOO_LARGE, "half of a %s request passes the limit of %zu bytes",
                     otlp_signal_name(signal), out->max_bytes);
}

bool otlp_split_request(enum otlp_signal signal, struct bytes request, struct buffer *first,
                        struct buffer *second, struct error *err)
{
    uint64_t records = 0;
    size_t before = first->len;
    if (!count_records(schema_request(signal), request, &records))
        return error_set(err, FAIL_INVALID, "malformed %s request", otlp_signal_name(signal));
    if (records < 2)
        return error_set(err, FAIL_INVALID, "a %s request of one record cannot be halved",
                         otlp_signal_name(signal));
    uint64_t middle = records - records / 2;
    if (!write_half(signal, request, 0, middle, first, err))
        return false;
    if (!write_half(signal, request, middle, records, second, err)) {
        first->len = before;
        return false;
    }
    return true;
}
