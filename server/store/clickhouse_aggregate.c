#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/json/reader.h"
#include "platform/platform.h"
#include "server/store/aggregate_sql.h"
#include "server/store/clickhouse_messages.h"
#include "server/store/day.h"
#include "server/store/zone.h"

/* ---- Intervals ---- */

enum { DAY_S = 86400 };

/* When the rows in question were, so that only the zone's changes between need be told. */
static bool ask_times(struct clickhouse_messages *s, const struct message_query *where,
                      uint32_t limit_ms, int64_t *from_s, int64_t *to_s, struct error *err)
{
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "SELECT min(time_ns),max(time_ns)");
    sql_put_rows(&sql, where);
    sql_put(&sql, " FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, limit_ms, &answer, &r, err);
    if (ok) {
        *from_s = (int64_t)(answer_u64(&r) / NS_PER_S);
        *to_s = (int64_t)(answer_u64(&r) / NS_PER_S);
        ok = answer_ok(&r, err);
    }
    buffer_clear(&answer);
    sql_clear(&sql);
    return ok;
}

/* The first second after `from` whose offset differs from that of `from`; none does before `to`. */
static int64_t next_change(const struct zone *zone, int64_t from, int64_t to)
{
    int32_t offset = zone_offset_s(zone, from);
    int64_t low = from, high = from;
    while (high < to && zone_offset_s(zone, high) == offset) {
        low = high;
        high += DAY_S;
    }
    if (zone_offset_s(zone, high) == offset)
        return to + 1;
    while (low + 1 < high) {
        int64_t middle = low + (high - low) / 2;
        if (zone_offset_s(zone, middle) == offset)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* The zone's offset, in seconds, of a row between the two times. */
static void put_offset(struct sql *offset, const struct zone *zone, int64_t from_s, int64_t to_s)
{
    struct sql changes;
    int64_t at = from_s;
    int count = 0;
    sql_init(&changes);
    for (;;) {
        int64_t next = next_change(zone, at, to_s);
        if (next > to_s)
            break;
        sql_put(&changes, "intDiv(time_ns,1000000000)<");
        sql_put_int(&changes, next);
        sql_put(&changes, ",toInt64(");
        sql_put_int(&changes, zone_offset_s(zone, at));
        sql_put(&changes, "),");
        at = next;
        count++;
    }
    sql_put(offset, count ? "multiIf(" : "");
    if (changes.failed || !buffer_append(&offset->text, buffer_bytes(&changes.text)))
        offset->failed = true;
    sql_put(offset, "toInt64(");
    sql_put_int(offset, zone_offset_s(zone, at));
    sql_put(offset, count ? "))" : ")");
    sql_clear(&changes);
}

/* Hours by the second they begin at, the others by the day. */
static void put_bucket(struct sql *sql, enum aggregate_interval interval, const char *offset)
{
    static const char *const FORMS[] = {
        [INTERVAL_NONE] = "toInt64(0) AS b",
        [INTERVAL_HOUR] = "intDiv(l,3600)*3600-o AS b",
        [INTERVAL_DAY] = "d AS b",
        [INTERVAL_WEEK] = "d-(d+3)%7 AS b",
        [INTERVAL_MONTH] = "toInt64(toUInt16(toStartOfMonth(toDate(toUInt16(d))))) AS b",
    };
    if (interval != INTERVAL_NONE) {
        sql_put(sql, offset);
        sql_put(sql, " AS o,toInt64(intDiv(time_ns,1000000000))+o AS l,intDiv(l,86400) AS d,");
    }
    sql_put(sql, FORMS[interval]);
}

/* ---- The statement ---- */

struct statement {
    struct sql sql;
    struct sql base; /* the rows to be grouped: g0.. groups, v0.. what is counted, b the interval */
    const struct aggregate_query *query;
    bool whole[AGGREGATE_METRICS_MAX]; /* the metric is of a column of whole numbers */
};

static void put_name(struct sql *sql, const char *name, size_t number)
{
    sql_put(sql, name);
    sql_put_uint(sql, number);
}

static bool refuse_parents(enum message_field field, struct error *err)
{
    if (field != FIELD_PARENT_ID)
        return true;
    error_set(err, FAIL_INVALID, "rows in ClickHouse cannot be grouped by parentId");
    return error_remedy(err, "group by sessionId or promptId, or filter by one parentId");
}

static bool put_value(struct statement *st, size_t i, struct error *err)
{
    const struct aggregate_metric *metric = &st->query->metrics[i];
    st->whole[i] = metric->field != FIELD_METADATA;
    if (metric->function == AGGREGATE_COUNT) {
        sql_put(&st->base, "1");
        return true;
    }
    if (metric->function == AGGREGATE_UNIQ) {
        if (!refuse_parents(metric->field, err))
            return false;
        sql_put_group(&st->base, metric->field, metric->metadata_key);
        return true;
    }
    if (sql_put_number(&st->base, metric->field, metric->metadata_key))
        return true;
    error_set(err, FAIL_INVALID, "this field is no number");
    return error_remedy(err, "use count or uniq, or a field of tokens, cost or duration");
}

static bool put_base(struct statement *st, const char *offset, struct error *err)
{
    const struct aggregate_query *query = st->query;
    struct sql *sql = &st->base;
    sql_put(sql, "(SELECT ");
    for (size_t i = 0; i < query->group_count; i++) {
        if (!refuse_parents(query->groups[i].field, err))
            return false;
        sql_put_group(sql, query->groups[i].field, query->groups[i].metadata_key);
        put_name(sql, " AS g", i);
        sql_put(sql, ",");
    }
    for (size_t i = 0; i < query->metric_count; i++) {
        if (!put_value(st, i, err))
            return false;
        put_name(sql, " AS v", i);
        sql_put(sql, ",");
    }
    put_bucket(sql, query->interval, offset);
    sql_put_rows(sql, &query->where);
    sql_put(sql, ")");
    return sql_ok(sql, err);
}

static void put_base_again(struct statement *st)
{
    if (!buffer_append(&st->sql.text, buffer_bytes(&st->base.text)))
        st->sql.failed = true;
}

/* `form` with V for the metric's value. */
static void put_form(struct sql *sql, const char *form, size_t metric)
{
    for (; *form; form++) {
        if (*form == 'V')
            put_name(sql, "v", metric);
        else
            sql_put(sql, (const char[]){*form, 0});
    }
}

static bool is_percentile(enum aggregate_function function)
{
    return function >= AGGREGATE_P50 && function <= AGGREGATE_P99;
}

/* What one metric is made of: n values, w of them not whole, an integer i, a real f; or an array a. */
static void put_parts(struct statement *st, size_t i)
{
    static const struct {
        const char *whole_i, *whole_f, *real_f;
    } FORMS[] = {
        [AGGREGATE_COUNT] = {"toInt64(count())", "toFloat64(count())", "toFloat64(count())"},
        [AGGREGATE_SUM] = {"sum(ifNull(V,0))", "toFloat64(sum(ifNull(V,0)))", "sum(ifNull(V,0))"},
        [AGGREGATE_AVG] = {"toInt64(0)", "sum(toFloat64(ifNull(V,0)))/greatest(count(V),1)",
                           "sum(ifNull(V,0))/greatest(count(V),1)"},
        [AGGREGATE_MIN] = {"ifNull(min(V),0)", "toFloat64(ifNull(min(V),0))", "ifNull(min(V),0)"},
        [AGGREGATE_MAX] = {"ifNull(max(V),0)", "toFloat64(ifNull(max(V),0))", "ifNull(max(V),0)"},
        [AGGREGATE_UNIQ] = {"toInt64(uniqExactIf(V,V!=''))", "toFloat64(uniqExactIf(V,V!=''))",
                            "toFloat64(uniqExactIf(V,V!=''))"},
    };
    enum aggregate_function function = st->query->metrics[i].function;
    bool text = function == AGGREGATE_COUNT || function == AGGREGATE_UNIQ;
    bool whole = st->whole[i] || text;
    struct sql *sql = &st->sql;
    put_form(sql, text ? "count()" : "count(V)", i);
    put_name(sql, " AS n", i);
    put_form(sql, whole ? ",toUInt64(0)" : ",countIf(ifNull(V!=floor(V),0))", i);
    put_name(sql, " AS w", i);
    if (is_percentile(function)) {
        put_form(sql, ",arraySort(groupArray(toFloat64(V)))", i);
        put_name(sql, " AS a", i);
        return;
    }
    sql_put(sql, ",");
    put_form(sql, whole ? FORMS[function].whole_i : "toInt64(0)", i);
    put_name(sql, " AS i", i);
    sql_put(sql, ",");
    put_form(sql, whole ? FORMS[function].whole_f : FORMS[function].real_f, i);
    put_name(sql, " AS f", i);
}

static void put_list(struct sql *sql, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_name(sql, name, i);
}

/* The percentile, interpolated between neighbours like percentile_cont: h is where it lies. */
static void put_percentile(struct sql *sql, enum aggregate_function function, size_t i)
{
    static const char *const FRACTIONS[] = {[AGGREGATE_P50] = "0.50",
                                            [AGGREGATE_P90] = "0.90",
                                            [AGGREGATE_P95] = "0.95",
                                            [AGGREGATE_P99] = "0.99"};
    char h[64], form[400];
    snprintf(h, sizeof h, "(%s*(greatest(toInt64(n%zu),1)-1))", FRACTIONS[function], i);
    snprintf(form, sizeof form,
             "(a%zu[toUInt32(floor(%s))+1]+(a%zu[least(toUInt32(floor(%s))+2,greatest(toUInt32("
             "n%zu),1))]-a%zu[toUInt32(floor(%s))+1])*(%s-floor(%s)))",
             i, h, i, h, i, i, h, h, h);
    sql_put(sql, form);
}

static void put_real(struct statement *st, size_t i)
{
    enum aggregate_function function = st->query->metrics[i].function;
    if (is_percentile(function))
        put_percentile(&st->sql, function, i);
    else
        put_name(&st->sql, "f", i);
}

/* The first metric, largest first, rows without it last. */
static void put_order(struct statement *st)
{
    enum aggregate_function function = st->query->metrics[0].function;
    bool always =
        function == AGGREGATE_COUNT || function == AGGREGATE_SUM || function == AGGREGATE_UNIQ;
    sql_put(&st->sql, always ? "" : "n0=0,");
    sql_put(&st->sql, is_percentile(function) ? "" : "i0 DESC,");
    put_real(st, 0);
    sql_put(&st->sql, " DESC");
}

/* The rows with h0.. groups and whether they are "other": behind the largest over the whole time. */
static void put_sorted(struct statement *st)
{
    const struct aggregate_query *query = st->query;
    struct sql *sql = &st->sql;
    bool top = query->top > 0 && query->group_count > 0;
    sql_put(sql, "(SELECT b");
    put_list(sql, ",v", query->metric_count);
    if (!top) {
        for (size_t i = 0; i < query->group_count; i++) {
            put_name(sql, ",g", i);
            put_name(sql, " AS h", i);
        }
        sql_put(sql, ",toUInt8(0) AS other FROM ");
        put_base_again(st);
        sql_put(sql, ")");
        return;
    }
    for (size_t i = 0; i < query->group_count; i++) {
        put_name(sql, ",if(other,'',g", i);
        put_name(sql, ") AS h", i);
    }
    sql_put(sql, ",toUInt8((g0");
    for (size_t i = 1; i < query->group_count; i++)
        put_name(sql, ",g", i);
    sql_put(sql, ") NOT IN (SELECT g0");
    for (size_t i = 1; i < query->group_count; i++)
        put_name(sql, ",g", i);
    sql_put(sql, " FROM (SELECT ");
    for (size_t i = 0; i < query->group_count; i++) {
        put_name(sql, "g", i);
        sql_put(sql, ",");
    }
    put_parts(st, 0);
    sql_put(sql, " FROM ");
    put_base_again(st);
    sql_put(sql, " GROUP BY g0");
    for (size_t i = 1; i < query->group_count; i++)
        put_name(sql, ",g", i);
    sql_put(sql, ") ORDER BY ");
    put_order(st);
    put_list(sql, ",g", query->group_count);
    sql_put(sql, " LIMIT ");
    sql_put_uint(sql, query->top);
    sql_put(sql, ")) AS other FROM ");
    put_base_again(st);
    sql_put(sql, ")");
}

/* Columns: other, b, the groups, then n, w, i and f of each metric. */
static bool put_statement(struct statement *st, struct error *err)
{
    const struct aggregate_query *query = st->query;
    struct sql *sql = &st->sql;
    bool grouped = query->group_count > 0 || query->interval != INTERVAL_NONE;
    sql_put(sql, "SELECT other,b");
    put_list(sql, ",h", query->group_count);
    for (size_t i = 0; i < query->metric_count; i++) {
        put_name(sql, ",n", i);
        put_name(sql, ",w", i);
        if (is_percentile(query->metrics[i].function))
            sql_put(sql, ",toInt64(0)");
        else
            put_name(sql, ",i", i);
        sql_put(sql, ",");
        put_real(st, i);
    }
    sql_put(sql, grouped ? " FROM (SELECT other,b"
                         : " FROM (SELECT toUInt8(0) AS other,toInt64(0) AS b");
    put_list(sql, ",h", query->group_count);
    for (size_t i = 0; i < query->metric_count; i++) {
        sql_put(sql, ",");
        put_parts(st, i);
    }
    sql_put(sql, " FROM ");
    put_sorted(st);
    if (grouped) {
        sql_put(sql, " GROUP BY other,b");
        put_list(sql, ",h", query->group_count);
    }
    sql_put(sql, ") ORDER BY b,other,");
    put_order(st);
    put_list(sql, ",h", query->group_count);
    if (query->max_rows) {
        sql_put(sql, " LIMIT ");
        sql_put_uint(sql, (uint64_t)query->max_rows + 1);
    }
    sql_put(sql, " FORMAT RowBinary");
    return sql_ok(sql, err);
}

/* ---- Rows ---- */

struct answer {
    struct bytes groups[AGGREGATE_GROUPS_MAX];
    char rooms[AGGREGATE_GROUPS_MAX][GROUP_TEXT_BYTES];
    double numbers[AGGREGATE_METRICS_MAX];
    int64_t integers[AGGREGATE_METRICS_MAX];
    bool is_integer[AGGREGATE_METRICS_MAX];
    char interval[ZONE_TEXT_BYTES];
};

static void read_metric(struct answer_reader *r, const struct statement *st, struct answer *a,
                        size_t i)
{
    enum aggregate_function function = st->query->metrics[i].function;
    bool always =
        function == AGGREGATE_COUNT || function == AGGREGATE_SUM || function == AGGREGATE_UNIQ;
    bool real = function == AGGREGATE_AVG || is_percentile(function);
    uint64_t count = answer_u64(r), broken = answer_u64(r);
    int64_t integer = answer_i64(r);
    double number = answer_f64(r);
    bool whole = st->whole[i] || function == AGGREGATE_COUNT || function == AGGREGATE_UNIQ;
    bool exact = broken == 0 && fabs(number) < 9007199254740992.0;
    a->numbers[i] = count == 0 && !always ? (double)NAN : number;
    a->is_integer[i] = !real && (whole || exact) && (count > 0 || always);
    a->integers[i] = !a->is_integer[i] ? 0 : whole ? integer : (int64_t)number;
}

static bool read_answer(struct clickhouse_messages *s, struct answer_reader *r,
                        const struct statement *st, const struct zone *zone, struct answer *a,
                        struct aggregate_row *row, struct error *err)
{
    const struct aggregate_query *query = st->query;
    *row = (struct aggregate_row){
        .groups = a->groups,
        .numbers = a->numbers,
        .integers = a->integers,
        .is_integer = a->is_integer,
        .is_other = answer_u8(r) != 0,
    };
    int64_t start = answer_i64(r);
    if (query->interval == INTERVAL_HOUR)
        zone_interval_text(zone, (int)query->interval, start, a->interval);
    else if (query->interval != INTERVAL_NONE)
        day_text(start, a->interval);
    row->interval_start = bytes_of(a->interval);
    for (size_t i = 0; i < query->group_count; i++) {
        enum message_field field = query->groups[i].field;
        int64_t id;
        a->groups[i] = sql_group_shown(field, answer_text(r), a->rooms[i]);
        if (field == FIELD_SYSTEM && json_int64(a->groups[i], &id) &&
            !clickhouse_system_name(s, id, &a->groups[i], err))
            return false;
    }
    for (size_t i = 0; i < query->metric_count; i++)
        read_metric(r, st, a, i);
    return true;
}

static bool visit_answers(struct clickhouse_messages *s, struct answer_reader *r,
                          const struct statement *st, const struct zone *zone,
                          aggregate_visit *visit, void *context, struct error *err)
{
    struct answer *answer = xcalloc(1, sizeof *answer);
    uint32_t seen = 0;
    bool ok = true;
    while (ok && answer_more(r)) {
        struct aggregate_row row;
        if (st->query->max_rows && ++seen > st->query->max_rows) {
            ok = aggregate_too_many(st->query, err);
            break;
        }
        ok = read_answer(s, r, st, zone, answer, &row, err);
        if (ok && (r->failed || !visit(context, &row)))
            break;
    }
    free(answer);
    return ok && (!r->failed || answer_ok(r, err));
}

static bool ask_statement(struct clickhouse_messages *s, struct statement *st,
                          const struct zone *zone, uint64_t begun_ns, aggregate_visit *visit,
                          void *context, struct error *err)
{
    const struct message_query *where = &st->query->where;
    struct sql offset;
    struct buffer answer = {0};
    struct answer_reader r = {0};
    uint32_t left_ms = where->time_limit_ms;
    int64_t from_s = 0, to_s = 0;
    sql_init(&offset);
    bool zoned = st->query->interval != INTERVAL_NONE && !zone_is_utc(st->query->time_zone);
    bool ok = !zoned || ask_times(s, where, where->time_limit_ms, &from_s, &to_s, err);
    put_offset(&offset, zone, from_s, to_s);
    ok = ok && sql_ok(&offset, err) &&
         clickhouse_time_left(where->time_limit_ms, begun_ns, &left_ms, err) &&
         put_base(st, buffer_text(&offset.text), err) && put_statement(st, err) &&
         clickhouse_query(s, &st->sql, left_ms, &answer, &r, err) &&
         visit_answers(s, &r, st, zone, visit, context, err);
    buffer_clear(&answer);
    sql_clear(&offset);
    return ok;
}

bool clickhouse_aggregate(struct message_store *store, const struct aggregate_query *query,
                          aggregate_visit *visit, void *context, struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    uint64_t begun_ns = clock_monotonic_ns(&platform_clock);
    if (query->metric_count == 0 || query->metric_count > AGGREGATE_METRICS_MAX ||
        query->group_count > AGGREGATE_GROUPS_MAX)
        return error_set(err, FAIL_INVALID,
                         "an aggregate takes 1 to %d metrics and up to %d groups",
                         AGGREGATE_METRICS_MAX, AGGREGATE_GROUPS_MAX);
    struct zone *zone = zone_create(query->time_zone, err);
    if (!zone)
        return false;
    struct statement *st = xcalloc(1, sizeof *st);
    st->query = query;
    sql_init(&st->sql);
    sql_init(&st->base);
    bool ok = ask_statement(s, st, zone, begun_ns, visit, context, err);
    sql_clear(&st->sql);
    sql_clear(&st->base);
    free(st);
    zone_destroy(zone);
    return ok || error_wrap(err, "cannot aggregate");
}
