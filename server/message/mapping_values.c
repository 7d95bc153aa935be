#include <string.h>

#include "core/json/writer.h"
#include "server/message/draft.h"
#include "server/message/utf8.h"

struct bytes draft_copy(struct draft *d, struct bytes text, size_t limit, bool *cut)
{
    struct bytes out = {0};
    /* Cleaning never shortens, so what lies past the limit need not be cleaned. */
    bool long_text = text.len > limit;
    text = utf8_cut(text, limit);
    buffer_reset(&d->scratch);
    if (!otlp_text_clean(text, &d->scratch)) {
        d->full = true;
        return out;
    }
    struct bytes clean = buffer_bytes(&d->scratch);
    struct bytes kept = utf8_cut(clean, limit);
    if (cut)
        *cut = long_text || kept.len < clean.len;
    if (!arena_copy(d->arena, kept, &out))
        d->full = true;
    return out;
}

struct bytes draft_text(struct draft *d, const struct otlp_value *value, size_t limit, bool *cut)
{
    if (cut)
        *cut = false;
    if (!value || value->kind == OTLP_VALUE_NONE)
        return (struct bytes){0};
    if (value->kind == OTLP_VALUE_STRING)
        return draft_copy(d, value->bytes, limit, cut);
    struct bytes out = {0};
    buffer_reset(&d->scratch);
    if (!otlp_value_as_text(value, &d->scratch)) {
        d->full = true;
        return out;
    }
    struct bytes whole = buffer_bytes(&d->scratch);
    struct bytes kept = utf8_cut(whole, limit);
    if (cut)
        *cut = kept.len < whole.len;
    if (!arena_copy(d->arena, kept, &out))
        d->full = true;
    return out;
}

struct bytes draft_find_text(struct draft *d, const char *const *keys, size_t limit)
{
    return draft_text(d, attributes_first(&d->set, keys), limit, NULL);
}

/* More is nobody's count, and sums of it must fit 64 bits. */
#define COUNT_MAX INT64_C(10000000000000)

int64_t draft_find_count(const struct draft *d, const char *const *keys)
{
    for (; *keys; keys++) {
        const struct otlp_value *value = attributes_find(&d->set, *keys);
        int64_t number;
        double real;
        if (!value)
            continue;
        if (otlp_value_as_int(value, &number)) {
            if (number >= 0 && number <= COUNT_MAX)
                return number;
        } else if (otlp_value_as_double(value, &real) && real >= 0 && real <= (double)COUNT_MAX) {
            return (int64_t)(real + 0.5);
        }
    }
    return MESSAGE_ABSENT;
}

static bool put_value(struct draft *d, struct json_writer *w, const struct otlp_value *value)
{
    if (value->kind == OTLP_VALUE_STRING || value->kind == OTLP_VALUE_BYTES) {
        json_put_bytes(w, draft_text(d, value, MESSAGE_METADATA_VALUE_BYTES, NULL));
        return !d->full;
    }
    buffer_reset(&d->scratch);
    if (!otlp_value_as_json(value, &d->scratch))
        return false;
    struct bytes json = buffer_bytes(&d->scratch);
    if (json.len > MESSAGE_METADATA_VALUE_BYTES)
        json_put_bytes(w, utf8_cut(json, MESSAGE_METADATA_VALUE_BYTES)); /* no longer JSON: text */
    else
        json_put_raw(w, json);
    return true;
}

/* Metadata being written. */
struct metadata {
    struct draft *draft;
    struct buffer json;
    struct json_writer writer;
    struct buffer name; /* of the attribute, with those of the maps it lies in before it */
    size_t dropped;
    uint32_t keys;
};

enum { FLAT_DEPTH = 8 };

/* `inner`: it lies in a map, and gives way to an attribute that has this name itself. */
static void put_attribute(struct metadata *m, const struct otlp_value *value, bool inner)
{
    struct draft *d = m->draft;
    struct bytes name = buffer_bytes(&m->name);
    if (content_is_key(d, name))
        return;
    if (m->json.len + name.len * 6 > MESSAGE_METADATA_BYTES) {
        m->dropped++;
        return;
    }
    if (inner && attributes_has(&d->set, name))
        return;
    buffer_reset(&d->scratch);
    if (!otlp_text_clean(name, &d->scratch)) {
        d->full = true;
        return;
    }
    json_put_key_bytes(&m->writer, buffer_bytes(&d->scratch));
    d->full = !put_value(d, &m->writer, value) || d->full;
    m->keys++;
}

/* Maps become dotted names. */
static void put_flat(struct metadata *m, struct bytes key, const struct otlp_value *value,
                     unsigned depth)
{
    enum { KEY_VALUE_FIELD = 1 };
    struct otlp_attribute inner;
    size_t before = m->name.len;
    bool named = (before == 0 || buffer_append_text(&m->name, ".")) && buffer_append(&m->name, key);
    if (!named)
        m->dropped++;
    else if (value->kind != OTLP_VALUE_KVLIST || value->bytes.len == 0 || depth == FLAT_DEPTH)
        put_attribute(m, value, depth > 0);
    else if (!content_is_key(m->draft, buffer_bytes(&m->name))) {
        struct otlp_attribute_reader reader = otlp_attributes_start(
            (struct otlp_attributes){.message = value->bytes, .field = KEY_VALUE_FIELD});
        while (!m->draft->full && otlp_attributes_next(&reader, &inner))
            put_flat(m, inner.key, &inner.value, depth + 1);
    }
    m->name.len = before;
}

struct bytes draft_metadata(struct draft *d, uint32_t *keys)
{
    struct metadata m = {.draft = d,
                         .json = {.max_bytes = MESSAGE_METADATA_BYTES + 128 * KIB},
                         .name = {.max_bytes = MESSAGE_METADATA_BYTES},
                         .dropped = d->set.dropped};
    m.writer = json_writer_make(&m.json);
    struct bytes out = {0};
    json_object_open(&m.writer);
    for (size_t i = 0; i < d->set.count && !d->full; i++)
        put_flat(&m, d->set.items[i].key, &d->set.items[i].value, 0);
    if (m.dropped) {
        json_put_key(&m.writer, "metadata.dropped");
        json_put_uint(&m.writer, m.dropped);
        m.keys++;
    }
    json_object_close(&m.writer);
    if (!json_writer_ok(&m.writer) || d->full || !arena_copy(d->arena, buffer_bytes(&m.json), &out))
        d->full = true;
    *keys = m.keys;
    buffer_clear(&m.json);
    buffer_clear(&m.name);
    return out;
}
