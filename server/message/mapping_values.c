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

struct bytes draft_metadata(struct draft *d, uint32_t *keys)
{
    struct buffer json = {.max_bytes = MESSAGE_METADATA_BYTES + 128 * KIB};
    struct json_writer w = json_writer_make(&json);
    size_t dropped = d->set.dropped;
    struct bytes out = {0};
    *keys = 0;
    json_object_open(&w);
    for (size_t i = 0; i < d->set.count && !d->full; i++) {
        const struct attribute_item *item = &d->set.items[i];
        if (content_is_key(d, item->key))
            continue;
        if (json.len + item->key.len * 6 > MESSAGE_METADATA_BYTES) {
            dropped++;
            continue;
        }
        buffer_reset(&d->scratch);
        if (!otlp_text_clean(item->key, &d->scratch)) {
            d->full = true;
            break;
        }
        json_put_key_bytes(&w, buffer_bytes(&d->scratch));
        if (!put_value(d, &w, &item->value))
            d->full = true;
        ++*keys;
    }
    if (dropped) {
        json_put_key(&w, "metadata.dropped");
        json_put_uint(&w, dropped);
        ++*keys;
    }
    json_object_close(&w);
    if (!json_writer_ok(&w) || d->full || !arena_copy(d->arena, buffer_bytes(&json), &out))
        d->full = true;
    buffer_clear(&json);
    return out;
}
