#include "server/store/sum_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { PLACES_PER_ENTRY = 2, FIRST_CAPACITY = 64 };

static size_t place_of(const struct sum_table *table, const int64_t key[SUM_KEYS_MAX])
{
    size_t last = PLACES_PER_ENTRY * table->capacity - 1; /* a power of two less one */
    uint64_t hash = 0;
    for (int i = 0; i < SUM_KEYS_MAX; i++) {
        hash = (hash ^ (uint64_t)key[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    size_t at = (size_t)hash & last;
    while (table->places[at] && memcmp(table->entries[table->places[at] - 1].key, key,
                                       sizeof(int64_t[SUM_KEYS_MAX])) != 0)
        at = (at + 1) & last;
    return at;
}

static void grow(struct sum_table *table)
{
    table->capacity = table->capacity ? 2 * table->capacity : FIRST_CAPACITY;
    table->entries = xrealloc(table->entries, table->capacity * sizeof *table->entries);
    free(table->places);
    table->places = xcalloc(PLACES_PER_ENTRY * table->capacity, sizeof *table->places);
    for (size_t i = 0; i < table->count; i++)
        table->places[place_of(table, table->entries[i].key)] = (uint32_t)i + 1;
}

struct sum_entry *sum_table_at(struct sum_table *table, const int64_t *key, size_t key_count)
{
    struct sum_entry entry = {0};
    memcpy(entry.key, key, key_count * sizeof *key);
    if (table->count == table->capacity)
        grow(table);
    size_t at = place_of(table, entry.key);
    if (!table->places[at]) {
        table->entries[table->count++] = entry;
        table->places[at] = (uint32_t)table->count;
    }
    return &table->entries[table->places[at] - 1];
}

static int by_key(const void *left, const void *right)
{
    const struct sum_entry *a = left, *b = right;
    for (int i = 0; i < SUM_KEYS_MAX; i++)
        if (a->key[i] != b->key[i])
            return a->key[i] < b->key[i] ? -1 : 1;
    return 0;
}

void sum_table_sort(struct sum_table *table)
{
    if (table->count)
        qsort(table->entries, table->count, sizeof *table->entries, by_key);
}

void sum_table_clear(struct sum_table *table)
{
    free(table->entries);
    free(table->places);
    *table = (struct sum_table){0};
}
