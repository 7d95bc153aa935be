/*
 * Sums by a key of numbers, gathered in memory until they are added to a table's in one statement.
 * One thread.
 */
#ifndef SERVER_STORE_SUM_TABLE_H
#define SERVER_STORE_SUM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SUM_KEYS_MAX = 7, SUM_VALUES_MAX = 8 };

struct sum_entry {
    int64_t key[SUM_KEYS_MAX]; /* unused ones are 0 */
    int64_t values[SUM_VALUES_MAX];
    double real;
    bool marked; /* the caller's */
};

struct sum_table {
    struct sum_entry *entries;
    size_t count;

    size_t capacity;  /* private: of entries */
    uint32_t *places; /* private: index + 1 by hash, twice the capacity or more */
};

/* The entry of this key, made with zeros when there is none; valid until the next call. All-zero is
 * an empty table. */
struct sum_entry *sum_table_at(struct sum_table *table, const int64_t *key, size_t key_count);

/* Puts the entries into the order of their keys. Nothing can be found or added from then on. */
void sum_table_sort(struct sum_table *table);
void sum_table_clear(struct sum_table *table);

#endif
