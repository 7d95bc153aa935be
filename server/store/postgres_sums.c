#include "server/store/postgres_messages.h"

static int64_t part(int64_t number, int sign)
{
    return number < 0 ? 0 : number * sign;
}

static int64_t cost_of(const struct message *m)
{
    return m->cost_microcents >= 0 ? m->cost_microcents : m->cost_computed_microcents;
}

static void add(struct sum_table *table, const int64_t key[5], const int64_t *values, int count,
                int sign)
{
    struct sum_entry *entry = sum_table_at(table, key, 5);
    for (int i = 0; i < count; i++)
        entry->values[i] += values[i];
    entry->marked = entry->marked || sign < 0; /* there may be nothing left of it */
}

void postgres_sums_change_rollup(struct postgres_sums *sums, const struct message *m,
                                 const struct postgres_row_ids *ids, int sign)
{
    const int64_t key[5] = {m->type, (int64_t)(m->time_ns / DAY_NS), ids->system, ids->model,
                            ids->person};
    const int64_t values[8] = {sign,
                               part(m->input_tokens, sign),
                               part(m->output_tokens, sign),
                               part(m->cache_read_tokens, sign),
                               part(m->cache_create_tokens, sign),
                               part(m->cost_microcents, sign),
                               part(m->cost_computed_microcents, sign),
                               part(m->duration_ms, sign)};
    add(&sums->rollup, key, values, 8, sign);
}

void postgres_sums_change(struct postgres_sums *sums, const struct message *m,
                          const struct postgres_row_ids *ids, int sign)
{
    postgres_sums_change_rollup(sums, m, ids, sign);
    if (m->type != MESSAGE_GENERATION)
        return;
    const int64_t key[5] = {(int64_t)(m->time_ns / DAY_NS), ids->person, ids->system, ids->model,
                            ids->session};
    const int64_t values[6] = {sign,
                               part(m->input_tokens, sign),
                               part(m->output_tokens, sign),
                               part(m->cache_read_tokens, sign),
                               part(m->cache_create_tokens, sign),
                               part(cost_of(m), sign)};
    add(&sums->events, key, values, 6, sign);
}

/* ---- Into the tables ---- */

#define PLUS(table, column) column "=" table "." column "+excluded." column
#define TOKENS_PLUS(table)                                                         \
    PLUS(table, "input_tokens")                                                    \
    "," PLUS(table, "output_tokens") "," PLUS(table,                               \
                                              "cache_read_tokens") "," PLUS(table, \
                                                                            "cache_create_tokens")

static const char ROLLUP_ADD[] =
    "INSERT INTO rollup SELECT * FROM unnest($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)"
    " ON CONFLICT(type, day, system, model, person) DO UPDATE SET " PLUS(
        "rollup",
        "n") "," TOKENS_PLUS("rollup") "," PLUS("rollup",
                                                "cost") "," PLUS("rollup",
                                                                 "cost_computed") "," PLUS("rollup",
                                                                                           "duratio"
                                                                                           "n_ms");
static const char ROLLUP_CLEAN[] =
    "DELETE FROM rollup r USING unnest($1,$2,$3,$4,$5) k(type, day, system, model, person)"
    " WHERE r.type=k.type AND r.day=k.day AND r.system=k.system AND r.model=k.model"
    " AND r.person=k.person AND r.n=0";
static const char EVENTS_ADD[] =
    "INSERT INTO usage_event SELECT * FROM unnest($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)"
    " ON CONFLICT(day, person, system, model, session) DO UPDATE SET " PLUS(
        "usage_event", "requests") "," TOKENS_PLUS("usage_event") "," PLUS("usage_event", "cost");
static const char EVENTS_CLEAN[] =
    "DELETE FROM usage_event r USING unnest($1,$2,$3,$4,$5) k(day, person, system, model, session)"
    " WHERE r.day=k.day AND r.person=k.person AND r.system=k.system AND r.model=k.model"
    " AND r.session=k.session AND r.requests=0";
static const char METRICS_ADD[] =
    "INSERT INTO usage_metric SELECT * FROM unnest($1,$2,$3,$4,$5,$6,$7,$8)"
    " ON CONFLICT(day, person, system, model, session, metric, attributes)"
    " DO UPDATE SET " PLUS("usage_metric", "value");

/* Runs `sql` with the first `keys` numbers of each entry's key and then its values, whole or real. */
static bool write_table(struct postgres_link *link, const struct sum_table *table, const char *sql,
                        int keys, int values, bool real, bool marked_only, struct error *err)
{
    struct postgres_array columns[SUM_KEYS_MAX + SUM_VALUES_MAX] = {{.kind = ARRAY_INT}};
    int count = keys + values + real;
    columns[keys + values].kind = real ? ARRAY_DOUBLE : ARRAY_INT;
    for (size_t i = 0; i < table->count; i++) {
        const struct sum_entry *entry = &table->entries[i];
        if (marked_only && !entry->marked)
            continue;
        for (int k = 0; k < keys; k++)
            postgres_array_int(&columns[k], entry->key[k]);
        for (int v = 0; v < values; v++)
            postgres_array_int(&columns[keys + v], entry->values[v]);
        if (real)
            postgres_array_double(&columns[keys + values], entry->real);
    }
    bool ok = true;
    if (columns[0].count) {
        struct postgres_query *q = postgres_prepare(link, sql);
        for (int c = 0; ok && c < count; c++)
            ok = postgres_bind_array(q, c + 1, &columns[c], err);
        ok = ok && postgres_do(q, err);
        postgres_finalize(q);
    }
    for (int c = 0; c < count; c++)
        postgres_array_clear(&columns[c]);
    return ok;
}

bool postgres_sums_write(struct postgres_link *link, struct postgres_sums *sums, struct error *err)
{
    sum_table_sort(&sums->rollup);
    sum_table_sort(&sums->events);
    sum_table_sort(&sums->metrics);
    return write_table(link, &sums->rollup, ROLLUP_ADD, 5, 8, false, false, err) &&
           write_table(link, &sums->rollup, ROLLUP_CLEAN, 5, 0, false, true, err) &&
           write_table(link, &sums->events, EVENTS_ADD, 5, 6, false, false, err) &&
           write_table(link, &sums->events, EVENTS_CLEAN, 5, 0, false, true, err) &&
           write_table(link, &sums->metrics, METRICS_ADD, 7, 0, true, false, err);
}

void postgres_sums_clear(struct postgres_sums *sums)
{
    sum_table_clear(&sums->rollup);
    sum_table_clear(&sums->events);
    sum_table_clear(&sums->metrics);
}
