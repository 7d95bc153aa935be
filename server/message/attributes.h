/*
 * A record's attributes as one sorted set: its own, its resource's where the
 * record has no such key, and names we add (scope, event or span name).
 * Keys and values are borrowed from the request.
 */
#ifndef SERVER_MESSAGE_ATTRIBUTES_H
#define SERVER_MESSAGE_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/otlp/otlp.h"

/* More in one record are counted, not kept. */
enum { ATTRIBUTES_MAX = 4096 };

struct attribute_item {
    struct bytes key;
    struct otlp_value value;
    uint8_t origin; /* 0 ours, 1 the record, 2 the resource: the lowest wins */
    uint32_t order; /* among equals the last wins */
};

struct attribute_set {
    struct attribute_item *items; /* sorted by key, keys unique */
    size_t count;
    size_t dropped;
};

/* `ours` are names the mapping adds; they win. */
void attributes_init(struct attribute_set *set, const struct otlp_attribute *ours,
                     size_t ours_count, struct otlp_attributes record,
                     struct otlp_attributes resource);
void attributes_clear(struct attribute_set *set);

/* NULL when there is none. */
const struct otlp_value *attributes_find(const struct attribute_set *set, const char *key);

bool attributes_has(const struct attribute_set *set, struct bytes key);

/* The first of a NULL-terminated list of keys that is there (and not an empty string). */
const struct otlp_value *attributes_first(const struct attribute_set *set, const char *const *keys);

bool attributes_has_prefix(const struct attribute_set *set, const char *prefix);

#endif
