/*
 * The rows that one put is about, in memory: those that came, and of those that are in the table the
 * ones they may be joined to. What came is put one after the other, as if each were written at once;
 * then the rows that changed are written together.
 *
 *   table ──load, note_key──▶ pool ◀──put── messages
 *                              └── rows that changed ──▶ table
 *
 * One thread.
 */
#ifndef SERVER_STORE_ROW_POOL_H
#define SERVER_STORE_ROW_POOL_H

#include "base/arena.h"
#include "server/store/messages.h"
#include "server/store/sum_table.h"

struct pool_row {
    struct message now;
    struct message was; /* as the table has it, when it does */
    bool in_table, changed;
    int64_t system;
    const struct message_batch *batch; /* the last that changed it */
    size_t next; /* 1 + the next one of the same join hash, system and type; private */
};

struct row_pool {
    struct pool_row *rows;
    size_t count, capacity;
    struct arena texts; /* of loaded and joined rows */

    struct sum_table keys;  /* private: a key -> 1 + its row, or KEY_IN_TABLE */
    struct sum_table joins; /* private: (join hash, system, type, weak) -> 1 + first and last row */
};

void row_pool_init(struct row_pool *pool, size_t max_text_bytes);
void row_pool_reset(struct row_pool *pool); /* to none, memory kept */
void row_pool_clear(struct row_pool *pool);

/* A row that the table has; its texts are in pool->texts. In the order of time and key. */
void row_pool_load(struct row_pool *pool, int64_t system, const struct message *row);

/* The table has a row of this key. After the loading. */
void row_pool_note_key(struct row_pool *pool, const uint8_t key[MESSAGE_KEY_BYTES]);

/* Puts a message of the batch and counts in *result what became of it. Borrows its texts. False
 * (FAIL_TOO_LARGE) when there is no room for the joined texts. */
MUST_USE bool row_pool_put(struct row_pool *pool, const struct message *message,
                           const struct message_batch *batch, struct put_result *result,
                           struct error *err);

#endif
