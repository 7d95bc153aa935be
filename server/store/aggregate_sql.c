#include "server/store/aggregate_sql.h"

#include <stdio.h>

#include "server/store/zone.h"

#define DAY_NS UINT64_C(86400000000000)

enum { NAME_BYTES = 16 };

/* ---- Which table can answer ---- */

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
        (query->interval != INTERVAL_NONE && !zone_is_utc(query->time_zone)))
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

bool aggregate_counts_days(const struct aggregate_query *query)
{
    return query->interval == INTERVAL_DAY && choose_table(query) != WHERE_MESSAGES;
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

static void put_bucket(struct where *w, const char *time_ns, struct bytes intervals)
{
    where_text(w, w->dialect->bucket_before);
    where_text(w, time_ns);
    if (w->dialect->bucket_middle) {
        where_text(w, w->dialect->bucket_middle);
        where_bind_intervals(w, intervals);
    }
    where_text(w, w->dialect->bucket_after);
}

/* The rows to be grouped: g0.. groups, b the interval, v0.. what is counted. */
static bool put_base(struct where *w, const struct aggregate_query *query, enum where_table table,
                     struct bytes intervals, struct error *err)
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
        where_text(w, "0");
    else if (aggregate_counts_days(query))
        where_text(w, "m.day"); /* bare, so that the table's own order groups it */
    else
        put_bucket(w, table == WHERE_MESSAGES ? "m.time_ns" : "m.day*86400000000000", intervals);
    where_text(w, " AS b FROM ");
    where_text(w, TABLES[table]);
    if (!where_add_query(w, &query->where, table, err))
        return false;
    where_text(w, ")");
    return true;
}

static void put_metric(struct where *w, const struct aggregate_metric *metric, size_t i)
{
    bool counts_numbers =
        metric->function == AGGREGATE_UNIQ && where_field_is_number_key(metric->field);
    where_text(w, counts_numbers ? w->dialect->uniq_number
                                 : w->dialect->functions[metric->function].before);
    put_name(w, "v", i);
    where_text(w, w->dialect->functions[metric->function].after);
}

static void put_list(struct where *w, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_name(w, name, i);
}

/* ",g0 NULLS FIRST,g1 ...": order among equals. */
static void put_order(struct where *w, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_name(w, name, i);
        where_text(w, " NULLS FIRST");
    }
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
    where_text(w, " ORDER BY size DESC NULLS LAST");
    put_order(w, ",g", query->group_count);
    where_text(w, " LIMIT ");
    where_bind_int(w, query->top);
    where_text(w, "), sorted AS (SELECT b");
    for (size_t i = 0; i < query->group_count; i++) {
        put_name(w, ",CASE WHEN hit IS NOT NULL THEN g", i);
        where_text(w, " END");
        put_name(w, " AS g", i);
    }
    put_list(w, ",v", query->metric_count);
    where_text(w, ",hit IS NULL AS other FROM base LEFT JOIN best ON true");
    for (size_t i = 0; i < query->group_count; i++) {
        char group[NAME_BYTES], best[NAME_BYTES];
        snprintf(group, sizeof group, "g%zu", i);
        snprintf(best, sizeof best, "k%zu", i);
        w->dialect->put_same(w, group, best, where_field_is_number(query->groups[i].field));
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
    for (size_t i = 0; i < query->metric_count; i++) {
        put_name(w, ",m", i);
        where_text(w, w->dialect->metric_shown);
    }
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
    /* Named by table: what is shown of a column may have the column's name. */
    where_text(w, ") a ORDER BY a.b,a.other,a.m0 DESC NULLS LAST");
    put_order(w, ",a.g", query->group_count);
    if (query->max_rows) {
        where_text(w, " LIMIT ");
        where_bind_int(w, (int64_t)query->max_rows + 1);
    }
}

bool aggregate_sql_put(struct where *w, const struct aggregate_query *query, struct bytes intervals,
                       struct error *err)
{
    if (query->metric_count == 0 || query->metric_count > AGGREGATE_METRICS_MAX ||
        query->group_count > AGGREGATE_GROUPS_MAX)
        return error_set(err, FAIL_INVALID,
                         "an aggregate takes 1 to %d metrics and up to %d groups",
                         AGGREGATE_METRICS_MAX, AGGREGATE_GROUPS_MAX);
    bool top = query->top > 0 && query->group_count > 0;
    if (!put_base(w, query, choose_table(query), intervals, err))
        return false;
    if (top)
        put_top(w, query);
    put_answer(w, query, top);
    return where_ok(w, err);
}

bool aggregate_too_many(const struct aggregate_query *query, struct error *err)
{
    error_set(err, FAIL_TOO_LARGE, "the answer has more than %u rows", query->max_rows);
    return error_remedy(err, "ask with top=N, fewer groups, a longer interval or a shorter time");
}
