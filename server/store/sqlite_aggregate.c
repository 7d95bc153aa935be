#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/store/aggregate_sql.h"
#include "server/store/sqlite_functions.h"
#include "server/store/sqlite_messages.h"

struct answer {
    struct bytes groups[AGGREGATE_GROUPS_MAX];
    double numbers[AGGREGATE_METRICS_MAX];
    int64_t integers[AGGREGATE_METRICS_MAX];
    bool is_integer[AGGREGATE_METRICS_MAX];
    char interval[ZONE_TEXT_BYTES];
};

static void read_answer(sqlite3_stmt *q, const struct aggregate_query *query,
                        const struct zone *zone, struct answer *a, struct aggregate_row *row)
{
    int column = 2;
    *row = (struct aggregate_row){
        .groups = a->groups,
        .numbers = a->numbers,
        .integers = a->integers,
        .is_integer = a->is_integer,
        .is_other = sqlite3_column_int(q, 0) != 0,
    };
    if (query->interval != INTERVAL_NONE) {
        int64_t start = sqlite3_column_int64(q, 1);
        if (aggregate_counts_days(query))
            start *= (int64_t)(DAY_NS / NS_PER_S);
        zone_interval_text(zone, (int)query->interval, start, a->interval);
        row->interval_start = bytes_of(a->interval);
    }
    for (size_t i = 0; i < query->group_count; i++, column++) {
        bool absent = sqlite3_column_type(q, column) == SQLITE_NULL;
        const char *text = (const char *)sqlite3_column_text(q, column);
        size_t len = (size_t)sqlite3_column_bytes(q, column);
        a->groups[i] = absent ? bytes_make(NULL, 0) : bytes_make(text ? text : "", len);
    }
    for (size_t i = 0; i < query->metric_count; i++, column++) {
        int type = sqlite3_column_type(q, column);
        a->is_integer[i] = type == SQLITE_INTEGER;
        a->integers[i] = sqlite3_column_int64(q, column);
        a->numbers[i] = type == SQLITE_NULL ? (double)NAN : sqlite3_column_double(q, column);
    }
}

static bool visit_answers(sqlite3 *db, sqlite3_stmt *q, const struct aggregate_query *query,
                          const struct zone *zone, aggregate_visit *visit, void *context,
                          struct error *err)
{
    struct answer *answer = xcalloc(1, sizeof *answer);
    bool row = true, ok;
    uint32_t seen = 0;
    while ((ok = sqlite_next(db, q, &row, err)) && row) {
        struct aggregate_row out;
        if (query->max_rows && ++seen > query->max_rows) {
            ok = aggregate_too_many(query, err);
            break;
        }
        read_answer(q, query, zone, answer, &out);
        if (!visit(context, &out))
            break;
    }
    sqlite3_reset(q);
    free(answer);
    return ok;
}

bool sqlite_aggregate(struct message_store *store, const struct aggregate_query *query,
                      aggregate_visit *visit, void *context, struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    struct zone *zone = zone_create(query->time_zone, err);
    if (!zone)
        return false;
    struct bucket_rule rule = {.interval = (int)query->interval, .zone = zone};
    struct where where;
    where_init(&where, &sqlite_dialect);
    bool ok = aggregate_sql_put(&where, query, (struct bytes){0}, err);
    struct reader *reader = ok ? reader_take(s, query->where.time_limit_ms, err) : NULL;
    sqlite3_stmt *q = NULL;
    ok = reader && sqlite_functions_set_bucket(reader->db, &rule, err) &&
         (q = sqlite_prepare(reader->db, where_sql(&where), err)) != NULL;
    if (ok) {
        sqlite_where_bind(&where, q);
        ok = visit_answers(reader->db, q, query, zone, visit, context, err);
    }
    sqlite3_finalize(q);
    if (reader)
        reader_give(s, reader);
    where_clear(&where);
    zone_destroy(zone);
    return ok || error_wrap(err, "cannot aggregate");
}
