#include "server/message/attributes.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { FROM_US, FROM_RECORD, FROM_RESOURCE };

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_key(const void *left, const void *right)
{
    const struct attribute_item *a = left, *b = right;
    int order = compare_bytes(a->key, b->key);
    if (order)
        return order;
    if (a->origin != b->origin)
        return a->origin < b->origin ? -1 : 1;
    return (a->order < b->order) - (a->order > b->order);
}

static size_t count_of(struct otlp_attributes attributes)
{
    struct otlp_attribute_reader reader = otlp_attributes_start(attributes);
    struct otlp_attribute attribute;
    size_t count = 0;
    while (count <= ATTRIBUTES_MAX && otlp_attributes_next(&reader, &attribute))
        count++;
    return count;
}

static void add(struct attribute_set *set, size_t room, struct otlp_attributes attributes,
                uint8_t origin)
{
    struct otlp_attribute_reader reader = otlp_attributes_start(attributes);
    struct otlp_attribute attribute;
    while (otlp_attributes_next(&reader, &attribute)) {
        if (set->count == room) {
            set->dropped++;
            continue;
        }
        set->items[set->count] =
            (struct attribute_item){attribute.key, attribute.value, origin, (uint32_t)set->count};
        set->count++;
    }
}

void attributes_init(struct attribute_set *out, const struct otlp_attribute *ours,
                     size_t ours_count, struct otlp_attributes record,
                     struct otlp_attributes resource)
{
    *out = (struct attribute_set){0};
    size_t room = ours_count + count_of(record) + count_of(resource);
    if (room > ours_count + ATTRIBUTES_MAX)
        room = ours_count + ATTRIBUTES_MAX;
    out->items = xcalloc(room ? room : 1, sizeof *out->items);
    for (size_t i = 0; i < ours_count; i++)
        out->items[out->count++] =
            (struct attribute_item){ours[i].key, ours[i].value, FROM_US, (uint32_t)i};
    add(out, room, record, FROM_RECORD);
    add(out, room, resource, FROM_RESOURCE);

    qsort(out->items, out->count, sizeof *out->items, by_key);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (kept == 0 || compare_bytes(out->items[kept - 1].key, out->items[i].key) != 0)
            out->items[kept++] = out->items[i];
    out->count = kept;
}

void attributes_clear(struct attribute_set *set)
{
    free(set->items);
    *set = (struct attribute_set){0};
}

static size_t lower_bound(const struct attribute_set *set, struct bytes key)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_bytes(set->items[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct otlp_value *attributes_find(const struct attribute_set *set, const char *key)
{
    size_t at = lower_bound(set, bytes_of(key));
    if (at < set->count && bytes_equal_text(set->items[at].key, key))
        return &set->items[at].value;
    return NULL;
}

bool attributes_has(const struct attribute_set *set, struct bytes key)
{
    size_t at = lower_bound(set, key);
    return at < set->count && bytes_equal(set->items[at].key, key);
}

const struct otlp_value *attributes_first(const struct attribute_set *set, const char *const *keys)
{
    for (; *keys; keys++) {
        const struct otlp_value *value = attributes_find(set, *keys);
        if (value && value->kind != OTLP_VALUE_NONE &&
            !(value->kind == OTLP_VALUE_STRING && value->bytes.len == 0))
            return value;
    }
    return NULL;
}

bool attributes_has_prefix(const struct attribute_set *set, const char *prefix)
{
    size_t at = lower_bound(set, bytes_of(prefix));
    return at < set->count && bytes_starts_with(set->items[at].key, prefix);
}
