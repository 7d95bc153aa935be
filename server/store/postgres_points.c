#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/postgres_messages.h"

/* A point of the put, with what was settled of it. */
struct point {
    struct usage_delta delta;
    int64_t system;
    struct put_result *result;
    bool erased;
};

struct points {
    struct point *list;
    size_t count;
    struct sum_table keys;   /* a point's key -> how many of it may still be counted: 1 or 0 */
    struct sum_table series; /* (series, start) -> its last running total */
    int64_t seen_ns;         /* when the newest of it came */
};

enum { SERIES_TIME_NS, SERIES_KNOWN }; /* values of an entry; `real` is the total */

/* The key's 16 bytes as two numbers, and back. */
static struct sum_entry *key_entry(struct sum_table *table, const uint8_t key[MESSAGE_KEY_BYTES])
{
    int64_t halves[2];
    memcpy(halves, key, sizeof halves);
    return sum_table_at(table, halves, 2);
}

static struct sum_entry *series_entry(struct sum_table *table, const uint8_t series[16],
                                      int64_t start_ns)
{
    int64_t key[3] = {0, 0, start_ns};
    memcpy(key, series, 16);
    return sum_table_at(table, key, 3);
}

static struct bytes entry_bytes(const struct sum_entry *entry)
{
    return bytes_make(entry->key, 16);
}

static bool gather(struct points *p, struct postgres_messages *s, struct postgres_link *link,
                   struct postgres_accounts *accounts, const struct message_batch *b,
                   struct put_result *result, struct error *err)
{
    for (size_t i = 0; i < b->usage_count; i++) {
        struct point *point = &p->list[p->count++];
        *point = (struct point){.delta = b->usage[i], .system = b->system_id, .result = result};
        const struct postgres_claim claim = {.person = &point->delta.person,
                                             .rank = &point->delta.person_rank,
                                             .account_uuid = point->delta.account_uuid,
                                             .account_id = point->delta.account_id,
                                             .time_ns = point->delta.time_ns};
        if (!postgres_person_settle(s, link, accounts, b->system_id, &claim, &point->erased, err))
            return false;
        if (point->erased)
            continue;
        key_entry(&p->keys, point->delta.key);
        if (point->delta.cumulative)
            series_entry(&p->series, point->delta.series, (int64_t)point->delta.start_ns);
    }
    return true;
}

/* ---- Which are new ---- */

static bool note_new(struct points *p, struct postgres_query *q, struct error *err)
{
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct bytes key = postgres_bytes_at(q, 0);
        if (key.len == MESSAGE_KEY_BYTES)
            key_entry(&p->keys, key.data)->values[0] = 1;
    }
    return ok;
}

static bool add_keys(struct points *p, struct postgres_link *link, struct error *err)
{
    struct postgres_array keys = {.kind = ARRAY_BLOB};
    for (size_t i = 0; i < p->keys.count; i++)
        postgres_array_bytes(&keys, entry_bytes(&p->keys.entries[i]));
    struct postgres_query *q =
        postgres_prepare(link, "INSERT INTO point SELECT unnest($1), $2 ON CONFLICT(key) DO NOTHING"
                               " RETURNING key");
    bool ok = keys.count == 0 || postgres_bind_array(q, 1, &keys, err);
    postgres_bind_int(q, 2, p->seen_ns);
    ok = ok && (keys.count == 0 || note_new(p, q, err));
    postgres_finalize(q);
    postgres_array_clear(&keys);
    return ok;
}

/* ---- Running totals ---- */

static const char SERIES_FIND[] =
    "SELECT s.series, s.start_ns, s.time_ns, s.value FROM unnest($1, $2) k(series, start_ns)"
    " JOIN series s ON s.series=k.series AND s.start_ns=k.start_ns";
static const char SERIES_PUT[] =
    "INSERT INTO series SELECT *, $5 FROM unnest($1, $2, $3, $4) ON CONFLICT(series, start_ns)"
    " DO UPDATE SET time_ns=excluded.time_ns, value=excluded.value, seen_ns=excluded.seen_ns";

static bool take_series(struct points *p, struct postgres_query *q, struct error *err)
{
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct bytes series = postgres_bytes_at(q, 0);
        if (series.len != 16)
            continue;
        struct sum_entry *entry = series_entry(&p->series, series.data, postgres_int_at(q, 1));
        entry->values[SERIES_TIME_NS] = postgres_int_at(q, 2);
        entry->values[SERIES_KNOWN] = 1;
        entry->real = postgres_double_at(q, 3);
    }
    return ok;
}

/* Reads the last totals, or writes those that changed. */
static bool exchange_series(struct points *p, struct postgres_link *link, bool write,
                            struct error *err)
{
    struct postgres_array columns[4] = {{.kind = ARRAY_BLOB},
                                        {.kind = ARRAY_INT},
                                        {.kind = ARRAY_INT},
                                        {.kind = ARRAY_DOUBLE}};
    for (size_t i = 0; i < p->series.count; i++) {
        const struct sum_entry *entry = &p->series.entries[i];
        if (write && !entry->marked)
            continue;
        postgres_array_bytes(&columns[0], entry_bytes(entry));
        postgres_array_int(&columns[1], entry->key[2]);
        postgres_array_int(&columns[2], entry->values[SERIES_TIME_NS]);
        postgres_array_double(&columns[3], entry->real);
    }
    bool ok = true;
    if (columns[0].count) {
        struct postgres_query *q = postgres_prepare(link, write ? SERIES_PUT : SERIES_FIND);
        for (int c = 0; ok && c < (write ? 4 : 2); c++)
            ok = postgres_bind_array(q, c + 1, &columns[c], err);
        if (write)
            postgres_bind_int(q, 5, p->seen_ns);
        ok = ok && (write ? postgres_do(q, err) : take_series(p, q, err));
        postgres_finalize(q);
    }
    for (int c = 0; c < 4; c++)
        postgres_array_clear(&columns[c]);
    return ok;
}

/*
 * What a running total adds to the last one of its start. Without one, all of it is new. A total
 * that arrives late is contained in a later one. One that fell has started over.
 */
static double difference(struct points *p, const struct usage_delta *delta)
{
    struct sum_entry *last = series_entry(&p->series, delta->series, (int64_t)delta->start_ns);
    double added = delta->value;
    if (last->values[SERIES_KNOWN]) {
        if ((int64_t)delta->time_ns <= last->values[SERIES_TIME_NS])
            return 0;
        added = delta->value >= last->real ? delta->value - last->real : delta->value;
    }
    last->values[SERIES_TIME_NS] = (int64_t)delta->time_ns;
    last->values[SERIES_KNOWN] = 1;
    last->real = delta->value;
    last->marked = true;
    return added;
}

/* ---- Adding them up ---- */

static bool add_point(struct points *p, const struct point *point, struct postgres_messages *s,
                      struct postgres_link *link, struct postgres_sums *sums, struct error *err)
{
    const struct usage_delta *delta = &point->delta;
    double added = delta->cumulative ? difference(p, delta) : delta->value;
    int64_t person, model, session, metric, attributes;
    if (added == 0)
        return true;
    if (!postgres_text_id(s, link, delta->person, &person, err) ||
        !postgres_text_id(s, link, delta->model, &model, err) ||
        !postgres_text_id(s, link, delta->session_id, &session, err) ||
        !postgres_text_id(s, link, delta->metric, &metric, err) ||
        !postgres_text_id(s, link, delta->attributes, &attributes, err))
        return false;
    const int64_t key[7] = {(int64_t)(delta->time_ns / DAY_NS),
                            person,
                            point->system,
                            model,
                            session,
                            metric,
                            attributes};
    sum_table_at(&sums->metrics, key, 7)->real += added;
    return true;
}

static bool count_points(struct points *p, struct postgres_messages *s, struct postgres_link *link,
                         struct postgres_sums *sums, struct error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct point *point = &p->list[i];
        struct sum_entry *key = point->erased ? NULL : key_entry(&p->keys, point->delta.key);
        if (!key || key->values[0] == 0) {
            point->result->repeated++;
            continue;
        }
        key->values[0] = 0;
        point->result->inserted++;
        if (!add_point(p, point, s, link, sums, err))
            return false;
    }
    return true;
}

bool postgres_points_put(struct postgres_messages *s, struct postgres_link *link,
                         struct postgres_accounts *accounts, const struct message_batch *batches,
                         size_t count, struct postgres_sums *sums, struct put_result *results,
                         struct error *err)
{
    struct points p = {0};
    size_t all = 0;
    bool ok = true;
    for (size_t i = 0; i < count; i++)
        all += results[i].outcome == PUT_STORED ? batches[i].usage_count : 0;
    if (all == 0)
        return true;
    p.list = xcalloc(all, sizeof *p.list);
    for (size_t i = 0; ok && i < count; i++)
        if (results[i].outcome == PUT_STORED) {
            int64_t received = (int64_t)batches[i].received_ns;
            p.seen_ns = received > p.seen_ns ? received : p.seen_ns;
            ok = gather(&p, s, link, accounts, &batches[i], &results[i], err);
        }
    ok = ok && add_keys(&p, link, err) && exchange_series(&p, link, false, err) &&
         count_points(&p, s, link, sums, err) && exchange_series(&p, link, true, err);
    free(p.list);
    sum_table_clear(&p.keys);
    sum_table_clear(&p.series);
    return ok;
}
