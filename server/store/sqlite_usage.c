#include "server/store/day.h"
#include "server/store/sqlite_messages.h"
#include "server/store/usage_rows.h"

static int64_t part(int64_t number, int sign)
{
    return number < 0 ? 0 : number * sign;
}

static int64_t cost_of(const struct message *m)
{
    return m->cost_microcents >= 0 ? m->cost_microcents : m->cost_computed_microcents;
}

static bool clean(struct sqlite_messages *s, enum write_statement which, const int64_t key[5],
                  struct error *err)
{
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(s->write[which], i + 1, key[i]);
    return sqlite_do(s->writer, s->write[which], err);
}

bool usage_change_rollup(struct sqlite_messages *s, const struct message *m,
                         const struct row_ids *ids, int sign, struct error *err)
{
    sqlite3_stmt *q = s->write[WRITE_ROLLUP];
    const int64_t key[5] = {(int64_t)(m->time_ns / DAY_NS), ids->system, m->type, ids->model,
                            ids->person};
    const int64_t values[8] = {sign,
                               part(m->input_tokens, sign),
                               part(m->output_tokens, sign),
                               part(m->cache_read_tokens, sign),
                               part(m->cache_create_tokens, sign),
                               part(m->cost_microcents, sign),
                               part(m->cost_computed_microcents, sign),
                               part(m->duration_ms, sign)};
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(q, i + 1, key[i]);
    for (int i = 0; i < 8; i++)
        sqlite3_bind_int64(q, i + 6, values[i]);
    return sqlite_do(s->writer, q, err) && (sign > 0 || clean(s, WRITE_ROLLUP_CLEAN, key, err));
}

static bool change_usage(struct sqlite_messages *s, const struct message *m,
                         const struct row_ids *ids, int sign, struct error *err)
{
    sqlite3_stmt *q = s->write[WRITE_USAGE_EVENT];
    const int64_t key[5] = {(int64_t)(m->time_ns / DAY_NS), ids->person, ids->system, ids->model,
                            ids->session};
    const int64_t values[6] = {sign,
                               part(m->input_tokens, sign),
                               part(m->output_tokens, sign),
                               part(m->cache_read_tokens, sign),
                               part(m->cache_create_tokens, sign),
                               part(cost_of(m), sign)};
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(q, i + 1, key[i]);
    for (int i = 0; i < 6; i++)
        sqlite3_bind_int64(q, i + 6, values[i]);
    return sqlite_do(s->writer, q, err) &&
           (sign > 0 || clean(s, WRITE_USAGE_EVENT_CLEAN, key, err));
}

bool usage_change(struct sqlite_messages *s, const struct message *m, const struct row_ids *ids,
                  int sign, struct error *err)
{
    return usage_change_rollup(s, m, ids, sign, err) &&
           (m->type != MESSAGE_GENERATION || change_usage(s, m, ids, sign, err));
}

/* ---- Metric points ---- */

/*
 * What a running total adds to the last one of its start. Without one, all of it is new. A total
 * that arrives late is contained in a later one. One that fell has started over.
 */
static bool difference(struct sqlite_messages *s, const struct usage_delta *delta,
                       uint64_t received_ns, double *added, struct error *err)
{
    sqlite3_stmt *find = s->write[WRITE_SERIES_FIND], *put = s->write[WRITE_SERIES_PUT];
    bool row = false;
    *added = delta->value;
    sqlite_bind_raw(find, 1, delta->series, sizeof delta->series);
    sqlite3_bind_int64(find, 2, (int64_t)delta->start_ns);
    if (!sqlite_next(s->writer, find, &row, err))
        return false;
    if (row) {
        uint64_t last_ns = (uint64_t)sqlite3_column_int64(find, 0);
        double last = sqlite3_column_double(find, 1);
        sqlite3_reset(find);
        if (delta->time_ns <= last_ns) {
            *added = 0;
            return true;
        }
        *added = delta->value >= last ? delta->value - last : delta->value;
    }
    sqlite_bind_raw(put, 1, delta->series, sizeof delta->series);
    sqlite3_bind_int64(put, 2, (int64_t)delta->start_ns);
    sqlite3_bind_int64(put, 3, (int64_t)delta->time_ns);
    sqlite3_bind_double(put, 4, delta->value);
    sqlite3_bind_int64(put, 5, (int64_t)received_ns);
    return sqlite_do(s->writer, put, err);
}

bool usage_put_point(struct sqlite_messages *s, const struct usage_delta *delta,
                     const struct message_batch *b, int64_t person, bool *repeated,
                     struct error *err)
{
    sqlite3_stmt *point = s->write[WRITE_POINT], *q = s->write[WRITE_USAGE_METRIC];
    double added = delta->value;
    int64_t model, session, metric, attributes;
    sqlite_bind_raw(point, 1, delta->key, sizeof delta->key);
    sqlite3_bind_int64(point, 2, (int64_t)b->received_ns);
    if (!sqlite_do(s->writer, point, err))
        return false;
    *repeated = sqlite3_changes(s->writer) == 0;
    if (*repeated)
        return true;
    if (delta->cumulative && !difference(s, delta, b->received_ns, &added, err))
        return false;
    if (added == 0)
        return true;
    if (!write_text_id(s, delta->model, &model, err) ||
        !write_text_id(s, delta->session_id, &session, err) ||
        !write_text_id(s, delta->metric, &metric, err) ||
        !write_text_id(s, delta->attributes, &attributes, err))
        return false;
    const int64_t key[7] = {(int64_t)(delta->time_ns / DAY_NS),
                            person,
                            b->system_id,
                            model,
                            session,
                            metric,
                            attributes};
    for (int i = 0; i < 7; i++)
        sqlite3_bind_int64(q, i + 1, key[i]);
    sqlite3_bind_double(q, 8, added);
    return sqlite_do(s->writer, q, err);
}

/* ---- Reading ---- */

static void read_part(sqlite3_stmt *q, struct usage_part *part)
{
    *part = (struct usage_part){
        .day = sqlite3_column_int64(q, 0),
        .person = sqlite_text_at(q, 1),
        .system = sqlite_text_at(q, 2),
        .model = sqlite_text_at(q, 3),
        .session = sqlite_text_at(q, 4),
        .origin = sqlite3_column_int(q, 5) ? USAGE_FROM_METRICS : USAGE_FROM_EVENTS,
        .metric = sqlite_text_at(q, 6),
        .attributes = sqlite_text_at(q, 7),
        .value = sqlite3_column_double(q, 8),
        .requests = sqlite3_column_int64(q, 9),
        .input_tokens = sqlite3_column_int64(q, 10),
        .output_tokens = sqlite3_column_int64(q, 11),
        .cache_read_tokens = sqlite3_column_int64(q, 12),
        .cache_create_tokens = sqlite3_column_int64(q, 13),
        .cost = sqlite3_column_int64(q, 14),
    };
}

static bool read_usage(sqlite3 *db, sqlite3_stmt *q, struct usage_reading *reading,
                       struct error *err)
{
    bool row = true, ok;
    while ((ok = sqlite_next(db, q, &row, err)) && row) {
        struct usage_part part;
        read_part(q, &part);
        if (!usage_reading_add(reading, &part, err))
            return reading->stopped;
    }
    if (ok)
        usage_reading_end(reading);
    return ok;
}

bool sqlite_usage_read(struct message_store *store, const char *from_day, const char *to_day,
                       usage_visit *visit, void *context, struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    int64_t from, to;
    if (!day_of_text(bytes_of(from_day), &from) || !day_of_text(bytes_of(to_day), &to))
        return error_set(err, FAIL_INVALID, "'%s' to '%s' are not days like 2026-11-20", from_day,
                         to_day);
    struct reader *reader = reader_take(s, 0, err);
    if (!reader)
        return false;
    struct usage_reading reading;
    usage_reading_init(&reading, visit, context);
    sqlite3_stmt *q = sqlite_prepare(reader->db, USAGE_SQL("?1", "?2"), err);
    bool ok = q != NULL;
    if (ok) {
        sqlite3_bind_int64(q, 1, from);
        sqlite3_bind_int64(q, 2, to);
        ok = read_usage(reader->db, q, &reading, err);
    }
    sqlite3_finalize(q);
    reader_give(s, reader);
    usage_reading_clear(&reading);
    return ok;
}
