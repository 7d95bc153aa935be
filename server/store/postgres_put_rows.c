#include <string.h>

#include "server/store/postgres_copy.h"
#include "server/store/postgres_messages.h"
#include "server/store/row_pool.h"
#include "server/store/row_sql.h"

/* Rows that are looked up and written together. */
enum { CHUNK_ROWS = 4096, CHUNK_BYTES = 16 * 1024 * 1024, POOL_BYTES = 512 * 1024 * 1024 };

struct row_put {
    struct postgres_messages *s;
    struct postgres_link *link;
    struct postgres_accounts *accounts;
    struct postgres_sums *sums;
    struct row_pool pool;
    struct postgres_array keys, joins; /* of the chunk; 16 bytes and numbers */
    struct postgres_copy copy;
};

/* ---- What is there ---- */

static const char KEYS_SQL[] = "SELECT key FROM message WHERE key=ANY($1)";
static const char JOINS_SQL[] =
    "SELECT " ROW_COLUMNS "NULL::bytea, m.body, m.system FROM message m"
    " WHERE m.join_hash=ANY($1) AND m.join_hash IS NOT NULL ORDER BY m.time_ns, m.key";
enum { COLUMN_OF_SYSTEM = 38 };

static bool load_joins(struct row_put *p, struct error *err)
{
    if (p->joins.count == 0)
        return true;
    struct postgres_query *q = postgres_prepare(p->link, JOINS_SQL);
    bool row = true, ok = postgres_bind_array(q, 1, &p->joins, err);
    while (ok && (ok = postgres_next(q, &row, err)) && row) {
        struct stored_message stored;
        if (postgres_row_read(q, &p->pool.texts, &stored))
            row_pool_load(&p->pool, postgres_int_at(q, COLUMN_OF_SYSTEM), &stored.message);
        else
            ok = error_set(err, FAIL_TOO_LARGE, "a message is too large to be joined");
    }
    postgres_finalize(q);
    return ok;
}

static bool load_keys(struct row_put *p, struct error *err)
{
    struct postgres_query *q = postgres_prepare(p->link, KEYS_SQL);
    bool row = true, ok = postgres_bind_array(q, 1, &p->keys, err);
    while (ok && (ok = postgres_next(q, &row, err)) && row) {
        struct bytes key = postgres_bytes_at(q, 0);
        if (key.len == MESSAGE_KEY_BYTES)
            row_pool_note_key(&p->pool, key.data);
    }
    postgres_finalize(q);
    return ok;
}

/* ---- What becomes of it ---- */

static bool ids_of(struct row_put *p, const struct message *m, int64_t system,
                   struct postgres_row_ids *ids, struct error *err)
{
    const struct {
        struct bytes text;
        int64_t *id;
    } texts[] = {
        {m->service_name, &ids->service},  {m->model, &ids->model},
        {m->person, &ids->person},         {m->account_uuid, &ids->account_uuid},
        {m->account_id, &ids->account_id}, {m->name, &ids->name},
        {m->session_id, &ids->session},    {m->prompt_id, &ids->prompt},
        {m->tool_name, &ids->tool},
    };
    ids->system = system;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!postgres_text_id(p->s, p->link, texts[i].text, texts[i].id, err))
            return false;
    return true;
}

static const char COPY_SQL[] =
    "COPY message(key,time_ns,received_ns,type,sources,system,token,expires_ns,join_hash,join_weak,"
    "parent_join,service,model,person,person_rank,account_uuid,account_id,name,session,prompt,tool,"
    "input_tokens,output_tokens,cache_read_tokens,cache_create_tokens,cost,cost_computed,"
    "duration_ms,success,trace_id,span_id,parent_span_id,request_id,tool_use_id,event_fields,"
    "event_metadata_keys,body_truncated,metadata,body) FROM STDIN (FORMAT binary)";
enum { COPY_COLUMNS = 39 };

static void put_hash(struct postgres_copy *copy, uint64_t hash)
{
    if (hash)
        postgres_copy_64(copy, (int64_t)hash);
    else
        postgres_copy_null(copy);
}

static void put_count(struct postgres_copy *copy, int64_t number)
{
    if (number >= 0)
        postgres_copy_64(copy, number);
    else
        postgres_copy_null(copy);
}

static void put_id(struct postgres_copy *copy, const uint8_t *id, size_t len)
{
    static const uint8_t ABSENT[16];
    if (memcmp(id, ABSENT, len) == 0)
        postgres_copy_null(copy);
    else
        postgres_copy_bytes(copy, bytes_make(id, len));
}

static void put_text(struct postgres_copy *copy, struct bytes text)
{
    if (text.len)
        postgres_copy_bytes(copy, text);
    else
        postgres_copy_null(copy);
}

static void put_row(struct postgres_copy *copy, const struct message *m,
                    const struct postgres_row_ids *ids, const struct message_batch *b)
{
    uint64_t kept_ns = (uint64_t)(b->retention_days > 0 ? b->retention_days : 0) * DAY_NS;
    const int64_t texts[] = {ids->account_uuid, ids->account_id, ids->name,
                             ids->session,      ids->prompt,     ids->tool};
    const int64_t counts[] = {m->input_tokens,      m->output_tokens,
                              m->cache_read_tokens, m->cache_create_tokens,
                              m->cost_microcents,   m->cost_computed_microcents,
                              m->duration_ms};
    postgres_copy_row(copy, COPY_COLUMNS);
    postgres_copy_bytes(copy, bytes_make(m->key, sizeof m->key));
    postgres_copy_64(copy, (int64_t)m->time_ns);
    postgres_copy_64(copy, (int64_t)m->received_ns);
    postgres_copy_16(copy, (int16_t)m->type);
    postgres_copy_16(copy, (int16_t)m->sources);
    postgres_copy_64(copy, ids->system);
    postgres_copy_64(copy, b->token_id);
    put_hash(copy, kept_ns ? m->time_ns + kept_ns : 0);
    put_hash(copy, m->join_hash);
    postgres_copy_16(copy, m->join_weak);
    put_hash(copy, m->parent_join_hash);
    postgres_copy_64(copy, ids->service);
    postgres_copy_64(copy, ids->model);
    postgres_copy_64(copy, ids->person);
    postgres_copy_16(copy, (int16_t)m->person_rank);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        postgres_copy_64(copy, texts[i]);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        put_count(copy, counts[i]);
    if (m->success == MESSAGE_SUCCESS_UNKNOWN)
        postgres_copy_null(copy);
    else
        postgres_copy_16(copy, (int16_t)m->success);
    put_id(copy, m->trace_id, sizeof m->trace_id);
    put_id(copy, m->span_id, sizeof m->span_id);
    put_id(copy, m->parent_span_id, sizeof m->parent_span_id);
    put_text(copy, m->request_id);
    put_text(copy, m->tool_use_id);
    postgres_copy_64(copy, m->event_fields);
    postgres_copy_64(copy, m->event_metadata_keys);
    postgres_copy_16(copy, m->body_truncated);
    postgres_copy_bytes(copy, m->metadata.len ? m->metadata : bytes_of("{}"));
    put_text(copy, m->body);
}

/* Takes away what was joined, and writes what came and what joining made. */
static bool write_rows(struct row_put *p, struct error *err)
{
    postgres_array_reset(&p->keys);
    postgres_copy_begin(&p->copy);
    size_t written = 0;
    for (size_t i = 0; i < p->pool.count; i++) {
        const struct pool_row *row = &p->pool.rows[i];
        struct postgres_row_ids ids;
        if (!row->changed)
            continue;
        if (row->in_table) {
            postgres_array_bytes(&p->keys, bytes_make(row->was.key, sizeof row->was.key));
            if (!ids_of(p, &row->was, row->system, &ids, err))
                return false;
            postgres_sums_change(p->sums, &row->was, &ids, -1);
        }
        if (!ids_of(p, &row->now, row->system, &ids, err))
            return false;
        postgres_sums_change(p->sums, &row->now, &ids, 1);
        put_row(&p->copy, &row->now, &ids, row->batch);
        written++;
    }
    bool ok = true;
    if (p->keys.count) {
        struct postgres_query *q =
            postgres_prepare(p->link, "DELETE FROM message WHERE key=ANY($1)");
        ok = postgres_bind_array(q, 1, &p->keys, err) && postgres_do(q, err);
        postgres_finalize(q);
    }
    return ok && (written == 0 || postgres_copy_run(p->link, COPY_SQL, &p->copy, err));
}

/* ---- Chunks ---- */

/* A row of one of the batches. */
struct place {
    size_t batch, row;
};

static const struct message *message_at(const struct message_batch *batches, size_t count,
                                        const struct put_result *results, struct place *at)
{
    while (at->batch < count && (results[at->batch].outcome != PUT_STORED ||
                                 at->row == batches[at->batch].message_count))
        *at = (struct place){.batch = at->batch + 1};
    return at->batch < count ? &batches[at->batch].messages[at->row] : NULL;
}

/* The end of the chunk that begins at `from`; notes what must be looked up for it. */
static struct place plan_chunk(struct row_put *p, const struct message_batch *batches, size_t count,
                               const struct put_result *results, struct place from)
{
    const struct message *m;
    size_t rows = 0, bytes = 0;
    postgres_array_reset(&p->keys);
    postgres_array_reset(&p->joins);
    while (rows < CHUNK_ROWS && bytes < CHUNK_BYTES &&
           (m = message_at(batches, count, results, &from)) != NULL) {
        postgres_array_bytes(&p->keys, bytes_make(m->key, sizeof m->key));
        if (m->join_hash)
            postgres_array_int(&p->joins, (int64_t)m->join_hash);
        rows++;
        bytes += m->body.len + m->metadata.len;
        from.row++;
    }
    return from;
}

static bool put_one(struct row_put *p, const struct message *original,
                    const struct message_batch *batch, struct put_result *result, struct error *err)
{
    struct message m = *original;
    bool erased = false;
    const struct postgres_claim claim = {.person = &m.person,
                                         .rank = &m.person_rank,
                                         .account_uuid = m.account_uuid,
                                         .account_id = m.account_id,
                                         .time_ns = m.time_ns};
    if (!postgres_person_settle(p->s, p->link, p->accounts, batch->system_id, &claim, &erased, err))
        return false;
    if (erased) {
        result->repeated++;
        return true;
    }
    return row_pool_put(&p->pool, &m, batch, result, err);
}

bool postgres_rows_put(struct postgres_messages *s, struct postgres_link *link,
                       struct postgres_accounts *accounts, const struct message_batch *batches,
                       size_t count, struct postgres_sums *sums, struct put_result *results,
                       struct error *err)
{
    struct row_put p = {.s = s,
                        .link = link,
                        .accounts = accounts,
                        .sums = sums,
                        .keys = {.kind = ARRAY_BLOB},
                        .joins = {.kind = ARRAY_INT}};
    struct place at = {0};
    const struct message *m;
    bool ok = true;
    row_pool_init(&p.pool, POOL_BYTES);
    while (ok && message_at(batches, count, results, &at)) {
        struct place end = plan_chunk(&p, batches, count, results, at);
        row_pool_reset(&p.pool);
        ok = load_joins(&p, err) && load_keys(&p, err);
        for (; ok && (at.batch != end.batch || at.row != end.row) &&
               (m = message_at(batches, count, results, &at)) != NULL;
             at.row++)
            ok = put_one(&p, m, &batches[at.batch], &results[at.batch], err);
        ok = ok && write_rows(&p, err);
    }
    row_pool_clear(&p.pool);
    postgres_array_clear(&p.keys);
    postgres_array_clear(&p.joins);
    postgres_copy_clear(&p.copy);
    return ok;
}
