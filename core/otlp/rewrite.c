#include "core/otlp/rewrite.h"

#include <stdlib.h>

#include "base/memory.h"
#include "core/otlp/schema.h"
#include "core/otlp/splice.h"
#include "core/otlp/wire.h"

/* The keys to take out, and which lengths they have: most keys of a payload fail on that. */
struct key_set {
    struct bytes *keys;
    size_t count;
    uint64_t lengths; /* bit (length modulo 64) */
};

struct rewrite {
    struct splice splice;
    struct key_set remove;
    const struct otlp_rewrite *wanted; /* borrowed */
    struct buffer stamps;              /* the attribute fields to add to a Resource */
    struct buffer resource;            /* the same as the Resource field that is missing */
};

static void key_set_add(struct key_set *set, const char *key)
{
    struct bytes added = bytes_of(key);
    set->keys[set->count++] = added;
    set->lengths |= UINT64_C(1) << (added.len & 63);
}

static bool key_set_has(const struct key_set *set, struct bytes key)
{
    if ((set->lengths >> (key.len & 63) & 1) == 0)
        return false;
    for (size_t i = 0; i < set->count; i++)
        if (bytes_equal(set->keys[i], key))
            return true;
    return false;
}

/* The form nearly every attribute has: one key and one value, the key's length in one byte. */
static inline bool read_only_key(struct bytes attribute, struct bytes *out)
{
    const uint8_t *at = attribute.data;
    size_t len = attribute.len;
    if (len < 4 || len > 127 || at[0] != 0x0a || (size_t)at[1] + 4 > len)
        return false;
    const uint8_t *value = at + 2 + at[1];
    *out = bytes_make(at + 2, at[1]);
    return value[0] == 0x12 && value[1] == len - at[1] - 4;
}

/* The last key counts: a second one must not get past. */
static bool read_key(struct bytes attribute, struct bytes *out)
{
    struct wire_reader r = wire_reader_make(attribute);
    struct wire_field field;
    *out = bytes_make(NULL, 0);
    while (wire_next(&r, &field))
        if (field.number == 1 && field.type == WIRE_LEN)
            *out = field.bytes;
    return !r.failed;
}

/* Whether the attribute holds exactly one value, and that is this text. */
static bool says(struct bytes attribute, const char *text)
{
    enum { VALUE = 2, STRING = 1 };
    struct wire_reader r = wire_reader_make(attribute), inner;
    struct wire_field field, string;
    bool same = false;
    for (unsigned values = 0; wire_next(&r, &field);) {
        if (field.number != VALUE)
            continue;
        inner = wire_reader_make(field.type == WIRE_LEN ? field.bytes : (struct bytes){0});
        same = values++ == 0 && wire_next(&inner, &string) && string.number == STRING &&
               string.type == WIRE_LEN && bytes_equal_ignoring_case(string.bytes, text) &&
               inner.at == inner.end;
    }
    return same && !r.failed;
}

static bool may_stay(const struct rewrite *rw, struct bytes key, struct bytes attribute)
{
    for (size_t i = 0; i < rw->wanted->only_count; i++)
        if (bytes_equal_text(key, rw->wanted->only[i].key))
            return says(attribute, rw->wanted->only[i].value);
    return false;
}

static bool rewrite_message(struct rewrite *rw, enum schema_id id, struct bytes message);

/* A field that holds attributes at some level below. */
static bool rewrite_child(struct rewrite *rw, enum schema_id id, const uint8_t *at,
                          struct bytes child)
{
    splice_enter(&rw->splice, at, child);
    bool ok = rewrite_message(rw, id, child);
    if (ok && id == SCHEMA_RESOURCE && rw->stamps.len > 0)
        splice_insert(&rw->splice, child.data + child.len, buffer_bytes(&rw->stamps));
    splice_leave(&rw->splice);
    return ok;
}

static bool rewrite_message(struct rewrite *rw, enum schema_id id, struct bytes message)
{
    const struct schema_message *shape = &schema_messages[id];
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    bool has_resource = false;
    const uint8_t *at = r.at;
    for (; wire_next(&r, &field); at = r.at) {
        if (field.type != WIRE_LEN || field.number >= SCHEMA_FIELD_NUMBERS)
            continue;
        const struct schema_field *known = &shape->fields[field.number];
        if (known->kind != SCHEMA_MESSAGE)
            continue;
        enum schema_id child = (enum schema_id)known->message;
        if (child == SCHEMA_KEY_VALUE) {
            struct bytes key;
            if (!read_only_key(field.bytes, &key) && !read_key(field.bytes, &key))
                return false;
            if (key_set_has(&rw->remove, key) && !may_stay(rw, key, field.bytes))
                splice_cut(&rw->splice, at, r.at);
        } else if (schema_messages[child].has_attributes) {
            has_resource |= child == SCHEMA_RESOURCE;
            if (!rewrite_child(rw, child, at, field.bytes))
                return false;
        }
    }
    bool wants_resource =
        shape->fields[1].kind == SCHEMA_MESSAGE && shape->fields[1].message == SCHEMA_RESOURCE;
    if (wants_resource && !has_resource && rw->stamps.len > 0)
        splice_insert(&rw->splice, message.data + message.len, buffer_bytes(&rw->resource));
    return !r.failed;
}

static void build_stamps(struct rewrite *rw, const struct otlp_rewrite *rewrite)
{
    enum { ATTRIBUTES = 1, KEY = 1, VALUE = 2, STRING = 1, RESOURCE = 1 };
    struct buffer value = {.max_bytes = SIZE_MAX}, pair = {.max_bytes = SIZE_MAX};
    rw->stamps.max_bytes = SIZE_MAX; /* the configuration's own text */
    rw->resource.max_bytes = SIZE_MAX;
    bool ok = true;
    for (size_t i = 0; i < rewrite->stamp_count; i++) {
        buffer_reset(&value);
        buffer_reset(&pair);
        ok = ok && wire_put_bytes(&value, STRING, bytes_of(rewrite->stamps[i].value)) &&
             wire_put_bytes(&pair, KEY, bytes_of(rewrite->stamps[i].key)) &&
             wire_put_bytes(&pair, VALUE, buffer_bytes(&value)) &&
             wire_put_bytes(&rw->stamps, ATTRIBUTES, buffer_bytes(&pair));
    }
    ok = ok && wire_put_bytes(&rw->resource, RESOURCE, buffer_bytes(&rw->stamps));
    if (!ok)
        abort(); /* unreachable: there is no ceiling */
    buffer_clear(&value);
    buffer_clear(&pair);
}

static void rewrite_init(struct rewrite *rw, const struct otlp_rewrite *rewrite)
{
    *rw = (struct rewrite){.wanted = rewrite};
    rw->remove.keys = xcalloc(rewrite->stamp_count + rewrite->only_count + rewrite->drop_count,
                              sizeof(struct bytes));
    for (size_t i = 0; i < rewrite->only_count; i++)
        key_set_add(&rw->remove, rewrite->only[i].key);
    for (size_t i = 0; i < rewrite->stamp_count; i++)
        key_set_add(&rw->remove, rewrite->stamps[i].key);
    for (size_t i = 0; i < rewrite->drop_count; i++)
        key_set_add(&rw->remove, rewrite->drop_keys[i]);
    build_stamps(rw, rewrite);
}

static void rewrite_clear(struct rewrite *rw)
{
    free(rw->remove.keys);
    buffer_clear(&rw->stamps);
    buffer_clear(&rw->resource);
}

/* Room for all at once; a ceiling that leaves less may still hold the result. */
static void reserve(struct buffer *out, struct bytes request, size_t stamp_bytes)
{
    enum { LENGTHS = 16 };
    size_t resources = 0;
    struct wire_reader r = wire_reader_make(request);
    struct wire_field field;
    while (stamp_bytes > 0 && wire_next(&r, &field))
        resources++;
    if (!buffer_reserve(out, request.len + resources * (stamp_bytes + LENGTHS)))
        return;
}

bool otlp_rewrite_request(enum otlp_signal signal, struct bytes request,
                          const struct otlp_rewrite *rewrite, struct buffer *out, struct error *err)
{
    size_t before = out->len;
    bool read = true, fits;
    if (rewrite->stamp_count + rewrite->only_count + rewrite->drop_count == 0) {
        fits = buffer_append(out, request);
    } else {
        struct rewrite rw;
        rewrite_init(&rw, rewrite);
        reserve(out, request, rw.stamps.len);
        splice_begin(&rw.splice, request, out);
        read = rewrite_message(&rw, schema_request(signal), request);
        fits = read && splice_end(&rw.splice);
        rewrite_clear(&rw);
    }
    if (read && fits)
        return true;
    out->len = before;
    if (!read)
        return error_set(err, FAIL_INVALID, "malformed %s request", otlp_signal_name(signal));
    return error_set(err, FAIL_TOO_LARGE, "a %s request of %zu bytes passes the limit of %zu",
                     otlp_signal_name(signal), request.len, out->max_bytes);
}
