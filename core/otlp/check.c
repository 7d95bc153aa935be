/* Reads every level of a request by the schema, before anything is kept of it. */
#include "core/otlp/otlp.h"
#include "core/otlp/schema.h"
#include "core/otlp/wire.h"

struct check {
    uint64_t records;
    const uint8_t *fault_at;
    const struct schema_message *fault_in;
    const char *fault;
};

static bool fail(struct check *c, const struct schema_message *message, const uint8_t *at,
                 const char *fault)
{
    c->fault_in = message;
    c->fault_at = at;
    c->fault = fault;
    return false;
}

static enum wire_type wire_type_of(enum schema_kind kind)
{
    switch (kind) {
    case SCHEMA_BOOL:
    case SCHEMA_INT:
    case SCHEMA_UINT:
    case SCHEMA_SINT:
    case SCHEMA_ENUM:
        return WIRE_VARINT;
    case SCHEMA_FIXED32:
        return WIRE_I32;
    case SCHEMA_FIXED64:
    case SCHEMA_SFIXED64:
    case SCHEMA_DOUBLE:
        return WIRE_I64;
    default:
        return WIRE_LEN;
    }
}

/* A packed run of numbers: whole ones only. */
static bool check_packed(const struct wire_field *field, enum schema_kind kind)
{
    if (wire_type_of(kind) == WIRE_I64)
        return field->bytes.len % 8 == 0;
    for (size_t i = 0, run = 0; i < field->bytes.len; i++) {
        bool last = field->bytes.data[i] < 0x80;
        run = last ? 0 : run + 1;
        if (run > 9 || (!last && i + 1 == field->bytes.len))
            return false;
    }
    return true;
}

/*
 * The form nearly every attribute has: key, then a value that is one string or
 * number, lengths in one byte, nothing else. False says only "look closer".
 */
static inline bool is_plain_attribute(struct bytes message)
{
    const uint8_t *at = message.data;
    size_t len = message.len;
    if (len < 6 || len > 127 || at[0] != 0x0a || (size_t)at[1] + 6 > len)
        return false;
    const uint8_t *value = at + 2 + at[1];
    size_t value_len = len - at[1] - 4;
    if (value[0] != 0x12 || value[1] != value_len)
        return false;
    value += 2;
    switch (value[0]) {
    case 0x0a: /* string */
        return value[1] == value_len - 2;
    case 0x10: /* bool, int */
    case 0x18:
        for (size_t i = 1; i + 1 < value_len; i++)
            if (value[i] < 0x80)
                return false;
        return value[value_len - 1] < 0x80 && value_len <= 10; /* the longest: look closer */
    case 0x21:                                                 /* double */
        return value_len == 9;
    default:
        return false;
    }
}

static bool check_message(struct check *c, enum schema_id id, struct bytes bytes, unsigned depth);

static bool check_child(struct check *c, const struct schema_message *parent, enum schema_id id,
                        struct bytes bytes, unsigned depth)
{
    if (id == SCHEMA_ARRAY_VALUE || id == SCHEMA_KEY_VALUE_LIST) {
        if (depth == OTLP_MAX_DEPTH)
            return fail(c, parent, bytes.data, "values nested too deeply");
        depth++;
    }
    if (schema_messages[id].is_record)
        c->records++;
    return check_message(c, id, bytes, depth);
}

/* `depth` counts arrays and maps inside values; all else is as deep as the schema. */
static bool check_message(struct check *c, enum schema_id id, struct bytes bytes, unsigned depth)
{
    const struct schema_message *message = &schema_messages[id];
    struct wire_reader r = wire_reader_make(bytes);
    struct wire_field field;
    const uint8_t *at = r.at;
    for (; wire_next(&r, &field); at = r.at) {
        if (field.number >= SCHEMA_FIELD_NUMBERS)
            continue;
        const struct schema_field *known = &message->fields[field.number];
        enum schema_kind kind = (enum schema_kind)known->kind;
        if (kind == SCHEMA_UNKNOWN)
            continue;
        if (field.type == WIRE_LEN && kind == SCHEMA_MESSAGE &&
            known->message == SCHEMA_KEY_VALUE && is_plain_attribute(field.bytes))
            continue;
        if (field.type != wire_type_of(kind)) {
            if (!known->repeated || field.type != WIRE_LEN || !check_packed(&field, kind))
                return fail(c, message, at, "a field of the wrong wire type");
        } else if (kind == SCHEMA_MESSAGE) {
            if (!check_child(c, message, (enum schema_id)known->message, field.bytes, depth))
                return false;
        }
    }
    return r.failed ? fail(c, message, at, "a field that is no protobuf or is cut short") : true;
}

bool otlp_check(enum otlp_signal signal, struct bytes request, uint64_t *records, struct error *err)
{
    struct check c = {0};
    if (!check_message(&c, schema_request(signal), request, 0))
        return error_set(err, FAIL_INVALID, "malformed %s request at byte %zu: %s holds %s",
                         otlp_signal_name(signal), (size_t)(c.fault_at - request.data),
                         c.fault_in->name, c.fault);
    *records = c.records;
    return true;
}
