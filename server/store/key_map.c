#include "server/store/key_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct key_map_slot {
    uint8_t key[KEY_MAP_BYTES];
    uint32_t value;
    bool used;
};

void key_map_clear(struct key_map *map)
{
    free(map->slots);
    *map = (struct key_map){0};
}

static struct key_map_slot *slot_of(const struct key_map *map, const uint8_t *key)
{
    uint64_t parts[2];
    memcpy(parts, key, sizeof parts);
    uint64_t hash =
        (parts[0] ^ parts[1] * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    size_t at = (size_t)(hash >> 32) & (map->capacity - 1);
    while (map->slots[at].used && memcmp(map->slots[at].key, key, KEY_MAP_BYTES) != 0)
        at = (at + 1) & (map->capacity - 1);
    return &map->slots[at];
}

bool key_map_find(const struct key_map *map, const uint8_t key[KEY_MAP_BYTES], uint32_t *value)
{
    const struct key_map_slot *slot = map->capacity ? slot_of(map, key) : NULL;
    if (!slot || !slot->used)
        return false;
    *value = slot->value;
    return true;
}

static void grow(struct key_map *map)
{
    struct key_map bigger = {.capacity = map->capacity ? map->capacity * 2 : 64,
                             .count = map->count};
    bigger.slots = xcalloc(bigger.capacity, sizeof *bigger.slots);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].used)
            *slot_of(&bigger, map->slots[i].key) = map->slots[i];
    free(map->slots);
    *map = bigger;
}

void key_map_put(struct key_map *map, const uint8_t key[KEY_MAP_BYTES], uint32_t value)
{
    if (2 * (map->count + 1) > map->capacity)
        grow(map);
    struct key_map_slot *slot = slot_of(map, key);
    map->count += !slot->used;
    memcpy(slot->key, key, KEY_MAP_BYTES);
    slot->value = value;
    slot->used = true;
}
