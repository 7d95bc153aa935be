/* 16-byte keys, hashes already, to numbers. One thread. All-zero is a valid empty map. */
#ifndef SERVER_STORE_KEY_MAP_H
#define SERVER_STORE_KEY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_MAP_BYTES = 16 };

struct key_map {
    struct key_map_slot *slots;
    size_t count, capacity; /* capacity 0 or a power of two */
};

void key_map_clear(struct key_map *map);
bool key_map_find(const struct key_map *map, const uint8_t key[KEY_MAP_BYTES], uint32_t *value);
void key_map_put(struct key_map *map, const uint8_t key[KEY_MAP_BYTES], uint32_t value);

#endif
