#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/sqlite_functions.h"
#include "server/store/sqlite_messages.h"
#include "server/store/sqlite_where.h"

enum { GROUPS_MAX = 8, METRICS_MAX = 32, NAME_BYTES = 16 };

/* ---- Which table can answer ---- */

static bool is_utc(const char *zone)
{
    return !zone || strcmp(zone, "UTC") == 0 || strcmp(zone, "Etc/UTC") == 0;
}

static bool is_dimension(enum message_field field)
{
    return field == FIELD_TYPE || field == FIELD_SYSTEM || field == FIELD_MODEL ||
           field == FIELD_PERSON;
}

/* Can daily sums, by system, type, model and person, answer but for what the metrics ask? */
static bool is_daily(const struct aggregate_query *query)
{
    const struct message_query *where = &query->where;
    if (where->from_ns % DAY_NS || where->to_ns % DAY_NS || query->interval == INTERVAL_HOUR ||
        (query->interval != INTERVAL_NONE && !is_utc(query->time_zone)))
        return false;
    for (size_t i = 0; i < where->filter_count; i++)
        if (!is_dimension(where->filters[i].field))
            return false;
    for (size_t i = 0; i < query->group_count; i++)
        if (!is_dimension(query->groups[i].field))
            return false;
    return true;
}

static bool rollup_has(const struct aggregate_metric *metric)
{
    return metric->function == AGGREGATE_COUNT ||
           (metric->function == AGGREGATE_UNIQ && is_dimension(metric->field)) ||
           (metric->function == AGGREGATE_SUM && !is_dimension(metric->field) &&
            where_field_in_rollup(metric->field));
}

static bool sessions_have(const struct aggregate_metric *metric)
{
    return metric->function == AGGREGATE_COUNT ||
           (metric->function == AGGREGATE_UNIQ &&
            (is_dimension(metric->field) || metric->field == FIELD_SESSION_ID)) ||
           (metric->function == AGGREGATE_SUM && metric->field >= FIELD_INPUT_TOKENS &&
            metric->field <= FIELD_CACHE_CREATE_TOKENS);
}

static bool is_of_generations(const struct message_query *where)
{
    for (size_t i = 0; i < where->filter_count; i++)
        if (where->filters[i].field == FIELD_TYPE && where->filters[i].value_count == 1 &&
            !where->filters[i].none_of &&
            bytes_equal_text(where->filters[i].values[0], message_type_name(MESSAGE_GENERATION)))
            return true;
    return false;
}

static bool all_metrics(const struct aggregate_query *query,
                        bool (*fits)(const struct aggregate_metric *metric))
{
    for (size_t i = 0; i < query->metric_count; i++)
        if (!fits(&query->metrics[i]))
            return false;
    return true;
}

/*
 * The smallest table that can answer. Daily usage counts the sessions of generations; it
 * outlives the rows, so past a token's retention it knows more sessions than there are rows of.
 */
static enum where_table choose_table(const struct aggregate_query *query)
{
    if (!is_daily(query))
        return WHERE_MESSAGES;
    if (all_metrics(query, rollup_has))
        return WHERE_ROLLUP;
    if (is_of_generations(&query->where) && all_metrics(query, sessions_have))
        return WHERE_SESSIONS;
    return WHERE_MESSAGES;
}

/* ---- The statement ---- */

/* "g" and 3: "g3". */
static void put_name(struct where *w, const char *name, size_t number)
{
    char digits[NAME_BYTES];
    snprintf(digits, sizeof digits, "%zu", number);
    where_text(w, name);
    where_text(w, digits);
}

static bool put_value(struct where *w, const struct aggregate_metric *metric,
                      enum where_table table, struct error *err)
{
    if (metric->function == AGGREGATE_COUNT) {
        where_text(w, table == WHERE_MESSAGES ? "1" : "m.n");
    } else if (metric->function == AGGREGATE_UNIQ) {
        where_field_key(w, metric->field, metric->metadata_key);
    } else if (!where_field_number(w, metric->field, metric->metadata_key)) {
        error_set(err, FAIL_INVALID, "this field is no number");
        return error_remedy(err, "use count or uniq, or a field of tokens, cost or duration");
    }
    return true;
}

static const char *const TABLES[] = {
    [WHERE_MESSAGES] = "message m",
    [WHERE_ROLLUP] = "rollup m",
    [WHERE_SESSIONS] = "(SELECT *, 0 AS type, requests AS n FROM usage_event) m",
};

/* Whether the interval's number is that of the day instead of the second it begins at. */
static bool counts_days(const struct aggregate_query *query, enum where_table table)
{
    return table != WHERE_MESSAGES && query->interval == INTERVAL_DAY;
}

/* The rows to be grouped: g0.. groups, b the interval, v0.. what is counted. */
static bool put_base(struct where *w, const struct aggregate_query *query, enum where_table table,
                     struct error *err)
{
    where_text(w, "WITH base AS (SELECT ");
    for (size_t i = 0; i < query->group_count; i++) {
        where_field_key(w, query->groups[i].field, query->groups[i].metadata_key);
        put_name(w, " AS g", i);
        where_text(w, ",");
    }
    for (size_t i = 0; i < query->metric_count; i++) {
        if (!put_value(w, &query->metrics[i], table, err))
            return false;
        put_name(w, " AS v", i);
        where_text(w, ",");
    }
    if (query->interval == INTERVAL_NONE)
        where_text(w, "0 AS b FROM ");
    else if (counts_days(query, table))
        where_text(w, "m.day AS b FROM "); /* bare, so that the table's own order groups it */
    else
        where_text(w, table == WHERE_MESSAGES ? "ct_bucket(m.time_ns) AS b FROM "
                                              : "ct_bucket(m.day*86400000000000) AS b FROM ");
    where_text(w, TABLES[table]);
    if (!where_add_query(w, &query->where, table, err))
        return false;
    where_text(w, ")");
    return true;
}

static void put_metric(struct where *w, const struct aggregate_metric *metric, size_t i)
{
    enum aggregate_function function = metric->function;
    bool counts_numbers = function == AGGREGATE_UNIQ && where_field_is_number_key(metric->field);
    static const struct {
        const char *before, *after;
    } FORMS[] = {
        [AGGREGATE_COUNT] = {"coalesce(sum(", "),0)"},
        [AGGREGATE_SUM] = {"coalesce(sum(", "),0)"},
        [AGGREGATE_AVG] = {"avg(", ")"},
        [AGGREGATE_MIN] = {"min(", ")"},
        [AGGREGATE_MAX] = {"max(", ")"},
        [AGGREGATE_P50] = {"ct_percentile(", ",0.50)"},
        [AGGREGATE_P90] = {"ct_percentile(", ",0.90)"},
        [AGGREGATE_P95] = {"ct_percentile(", ",0.95)"},
        [AGGREGATE_P99] = {"ct_percentile(", ",0.99)"},
        [AGGREGATE_UNIQ] = {"count(DISTINCT ", ")"},
    };
    where_text(w, counts_numbers ? "ct_uniq(" : FORMS[function].before);
    put_name(w, "v", i);
    where_text(w, FORMS[function].after);
}

static void put_list(struct where *w, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_name(w, name, i);
}

/* The largest groups over the whole time. */
static void put_top(struct where *w, const struct aggregate_query *query)
{
    where_text(w, ", best AS (SELECT 1 AS hit,");
    for (size_t i = 0; i < query->group_count; i++) {
        put_name(w, "g", i);
        where_text(w, " AS ");
        put_name(w, "k", i);
        where_text(w, ",");
    }
    put_metric(w, &query->metrics[0], 0);
    where_text(w, " AS size FROM base GROUP BY 1");
    put_list(w, ",g", query->group_count);
    where_text(w, " ORDER BY size DESC");
    put_list(w, ",g", query->group_count);
    where_text(w, " LIMIT ");
    where_bind_int(w, query->top);
    where_text(w, "), sorted AS (SELECT b");
    for (size_t i = 0; i < query->group_count; i++) {
        put_name(w, ",CASE WHEN hit THEN g", i);
        where_text(w, " END");
        put_name(w, " AS g", i);
    }
    put_list(w, ",v", query->metric_count);
    where_text(w, ",hit IS NULL AS other FROM base LEFT JOIN best ON 1");
    for (size_t i = 0; i < query->group_count; i++) {
        put_name(w, " AND g", i);
        put_name(w, " IS k", i);
    }
    where_text(w, ")");
}

/* Columns: other, b, groups as text, metrics. */
static void put_answer(struct where *w, const struct aggregate_query *query, bool top)
{
    char alias[NAME_BYTES];
    bool grouped = query->group_count > 0 || query->interval != INTERVAL_NONE;
    where_text(w, " SELECT other,b");
    for (size_t i = 0; i < query->group_count; i++) {
        snprintf(alias, sizeof alias, "g%zu", i);
        where_text(w, ",");
        where_field_shown(w, query->groups[i].field, alias);
    }
    put_list(w, ",m", query->metric_count);
    where_text(w, " FROM (SELECT ");
    where_text(w, top ? "other," : "0 AS other,");
    where_text(w, grouped ? "b" : "0 AS b");
    put_list(w, ",g", query->group_count);
    for (size_t i = 0; i < query->metric_count; i++) {
        where_text(w, ",");
        put_metric(w, &query->metrics[i], i);
        put_name(w, " AS m", i);
    }
    where_text(w, top ? " FROM sorted" : " FROM base");
    if (grouped) {
        where_text(w, " GROUP BY b");
        put_list(w, ",g", query->group_count);
        where_text(w, top ? ",other" : "");
    }
    where_text(w, ") ORDER BY b,other,m0 DESC");
    put_list(w, ",g", query->group_count);
    where_text(w, " LIMIT ");
    where_bind_int(w, query->max_rows ? (int64_t)query->max_rows + 1 : -1);
}

static bool put_statement(struct where *w, const struct aggregate_query *query, struct error *err)
{
    if (query->metric_count == 0 || query->metric_count > METRICS_MAX ||
        query->group_count > GROUPS_MAX)
        return error_set(err, FAIL_INVALID,
                         "an aggregate takes 1 to %d metrics and up to %d groups", METRICS_MAX,
                         GROUPS_MAX);
    bool top = query->top > 0 && query->group_count > 0;
    if (!put_base(w, query, choose_table(query), err))
        return false;
    if (top)
        put_top(w, query);
    put_answer(w, query, top);
    return where_ok(w, err);
}

/* ---- Rows ---- */

struct answer {
    struct bytes groups[GROUPS_MAX];
    double numbers[METRICS_MAX];
    int64_t integers[METRICS_MAX];
    bool is_integer[METRICS_MAX];
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
        if (counts_days(query, choose_table(query)))
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
            ok =
                error_set(err, FAIL_TOO_LARGE, "the answer has more than %u rows", query->max_rows);
            error_remedy(err, "ask with top=N, fewer groups, a longer interval or a shorter time");
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
    where_init(&where);
    bool ok = put_statement(&where, query, err);
    struct reader *reader = ok ? reader_take(s, query->where.time_limit_ms, err) : NULL;
    sqlite3_stmt *q = NULL;
    ok = reader && sqlite_functions_set_bucket(reader->db, &rule, err) &&
         (q = sqlite_prepare(reader->db, where_sql(&where), err)) != NULL;
    if (ok) {
        where_bind(&where, q);
        ok = visit_answers(reader->db, q, query, zone, visit, context, err);
    }
    sqlite3_finalize(q);
    if (reader)
        reader_give(s, reader);
    where_clear(&where);
    zone_destroy(zone);
    return ok || error_wrap(err, "cannot aggregate");
}
