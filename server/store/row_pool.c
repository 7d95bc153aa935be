#include "server/store/row_pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/join_rows.h"

enum { KEY_IN_TABLE = -1 }; /* a row that is not in the pool */
enum { FIRST, LAST };       /* values of an entry of `joins` */

void row_pool_init(struct row_pool *pool, size_t max_text_bytes)
{
    *pool = (struct row_pool){.texts = {.max_bytes = max_text_bytes}};
}

void row_pool_reset(struct row_pool *pool)
{
    pool->count = 0;
    arena_reset(&pool->texts);
    sum_table_clear(&pool->keys);
    sum_table_clear(&pool->joins);
}

void row_pool_clear(struct row_pool *pool)
{
    row_pool_reset(pool);
    arena_clear(&pool->texts);
    free(pool->rows);
    *pool = (struct row_pool){0};
}

static int64_t *row_of_key(struct row_pool *pool, const uint8_t key[MESSAGE_KEY_BYTES])
{
    int64_t halves[2];
    memcpy(halves, key, sizeof halves);
    return &sum_table_at(&pool->keys, halves, 2)->values[0];
}

static struct sum_entry *join_entry(struct row_pool *pool, int64_t system, const struct message *m)
{
    const int64_t key[4] = {(int64_t)m->join_hash, system, m->type, m->join_weak};
    return sum_table_at(&pool->joins, key, 4);
}

static struct pool_row *add(struct row_pool *pool, int64_t system, const struct message *m)
{
    if (pool->count == pool->capacity) {
        pool->capacity = pool->capacity ? 2 * pool->capacity : 256;
        pool->rows = xrealloc(pool->rows, pool->capacity * sizeof *pool->rows);
    }
    struct pool_row *row = &pool->rows[pool->count++];
    *row = (struct pool_row){.now = *m, .system = system};
    *row_of_key(pool, m->key) = (int64_t)pool->count;
    if (m->join_hash) {
        struct sum_entry *entry = join_entry(pool, system, m);
        if (entry->values[FIRST])
            pool->rows[entry->values[LAST] - 1].next = pool->count;
        else
            entry->values[FIRST] = (int64_t)pool->count;
        entry->values[LAST] = (int64_t)pool->count;
    }
    return row;
}

void row_pool_load(struct row_pool *pool, int64_t system, const struct message *m)
{
    struct pool_row *row = add(pool, system, m);
    row->was = *m;
    row->in_table = true;
}

void row_pool_note_key(struct row_pool *pool, const uint8_t key[MESSAGE_KEY_BYTES])
{
    int64_t *row = row_of_key(pool, key);
    if (*row == 0)
        *row = KEY_IN_TABLE;
}

/* The row that the message belongs to, NULL for none; *repeated when it is in already. */
static struct pool_row *find_joined(struct row_pool *pool, int64_t system, const struct message *m,
                                    bool *repeated)
{
    struct pool_row *nearest = NULL;
    int64_t least = INT64_MAX;
    size_t at = (size_t)join_entry(pool, system, m)->values[FIRST];
    while (at) {
        struct pool_row *row = &pool->rows[at - 1];
        if (!m->join_weak)
            return row;
        int64_t apart = join_distance(&row->now, m);
        if (m->sources & MESSAGE_FROM_SPAN &&
            memcmp(row->now.span_id, m->span_id, sizeof m->span_id) == 0)
            *repeated = row->now.sources & MESSAGE_FROM_SPAN;
        if (apart >= 0 && apart < least) {
            least = apart;
            nearest = row;
        }
        at = row->next;
    }
    return nearest;
}

static bool join(struct row_pool *pool, struct pool_row *row, const struct message *m,
                 const struct message_batch *batch, struct put_result *result, struct error *err)
{
    struct message joined;
    if (!message_join(&row->now, m, &pool->texts, &joined))
        return error_set(err, FAIL_TOO_LARGE, "a message is too large to be joined");
    joined.received_ns = row->now.received_ns; /* a repeat is no news */
    if (join_changes_nothing(&row->now, &joined)) {
        result->repeated++;
        return true;
    }
    result->merged++;
    int64_t number = row - pool->rows + 1;
    *row_of_key(pool, row->now.key) = 0;
    *row_of_key(pool, joined.key) = number;
    row->now = joined;
    row->changed = true;
    row->batch = batch;
    return true;
}

bool row_pool_put(struct row_pool *pool, const struct message *m, const struct message_batch *batch,
                  struct put_result *result, struct error *err)
{
    bool key_known = *row_of_key(pool, m->key) != 0;
    bool repeated = m->join_weak && key_known;
    struct pool_row *row = NULL;
    if (!repeated && m->join_hash)
        row = find_joined(pool, batch->system_id, m, &repeated);
    if (repeated || (!row && key_known)) {
        result->repeated++;
        return true;
    }
    if (row)
        return join(pool, row, m, batch, result, err);
    row = add(pool, batch->system_id, m);
    row->changed = true;
    row->batch = batch;
    result->inserted++;
    return true;
}
