#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/json/reader.h"
#include "server/store/aggregate_sql.h"
#include "server/store/postgres_messages.h"
#include "server/store/zone.h"

/* ---- Intervals: numbered here, by the same rules of time zones as everywhere else ---- */

#define S_PER_DAY INT64_C(86400)

/*
 * Where intervals begin, for width_bucket(): from `begins[i]` on, a time lies in the interval whose
 * name is that of `starts[i]`. The two differ where a clock was put back by part of an hour.
 */
struct intervals {
    struct postgres_array begins;
    int64_t *starts;
    size_t count;
};

static void add_interval(struct intervals *list, int64_t begin_s, int64_t start_s)
{
    if ((list->count & (list->count - 1)) == 0) /* 0 or a power of two: full */
        list->starts =
            xrealloc(list->starts, (list->count ? 2 * list->count : 1) * sizeof *list->starts);
    list->starts[list->count++] = start_s;
    postgres_array_int(&list->begins, begin_s);
}

/* The first second after `at_s` that lies in another interval than it. */
static int64_t next_begin(const struct zone *zone, enum aggregate_interval interval, int64_t at_s)
{
    static const int64_t USUAL_S[] = {[INTERVAL_HOUR] = 3600,
                                      [INTERVAL_DAY] = S_PER_DAY,
                                      [INTERVAL_WEEK] = 7 * S_PER_DAY,
                                      [INTERVAL_MONTH] = 30 * S_PER_DAY};
    int64_t start = zone_interval_start(zone, (int)interval, at_s);
    int64_t guess = start + USUAL_S[interval];
    if (guess > at_s && zone_interval_start(zone, (int)interval, guess - 1) == start &&
        zone_interval_start(zone, (int)interval, guess) != start)
        return guess;
    int64_t low = at_s, high = at_s + 3 * USUAL_S[interval]; /* in it, and surely not */
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (zone_interval_start(zone, (int)interval, middle) == start)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/*
 * Of all that there is and the question may be about, from the beginning of a UTC day, for which
 * daily sums stand; none when it is about none. Sums of rows go with them, usage outlives them.
 */
static bool read_range(struct postgres_link *link, const struct message_query *where, int64_t *from,
                       int64_t *to, struct error *err)
{
    struct postgres_query *q =
        postgres_prepare(link, "SELECT min(time_ns)/1000000000, max(time_ns)/1000000000,"
                               " (SELECT min(day)*86400 FROM usage_event),"
                               " (SELECT max(day)*86400 FROM usage_event) FROM message");
    bool row = false, ok = postgres_next(q, &row, err);
    *from = INT64_MAX;
    *to = INT64_MIN;
    for (int i = 0; ok && row && i < 4; i += 2) {
        if (postgres_is_null(q, i))
            continue;
        int64_t first = postgres_int_at(q, i), last = postgres_int_at(q, i + 1);
        first -= first % S_PER_DAY;
        *from = first < *from ? first : *from;
        *to = last > *to ? last : *to;
    }
    postgres_finalize(q);
    int64_t asked_from = (int64_t)(where->from_ns / NS_PER_S);
    int64_t asked_to = where->to_ns ? (int64_t)(where->to_ns / NS_PER_S) : INT64_MAX;
    *from = asked_from > *from ? asked_from : *from;
    *to = asked_to < *to ? asked_to : *to;
    return ok;
}

static bool make_intervals(struct postgres_link *link, const struct aggregate_query *query,
                           const struct zone *zone, struct intervals *list, struct error *err)
{
    int64_t from, to;
    if (!read_range(link, &query->where, &from, &to, err))
        return false;
    for (int64_t at = from; at <= to; at = next_begin(zone, query->interval, at))
        add_interval(list, at, zone_interval_start(zone, (int)query->interval, at));
    if (list->count == 0)
        add_interval(list, 0, 0); /* an array must have something */
    return true;
}

static void intervals_clear(struct intervals *list)
{
    postgres_array_clear(&list->begins);
    free(list->starts);
}

/* ---- Rows ---- */

struct answer {
    struct bytes groups[AGGREGATE_GROUPS_MAX];
    double numbers[AGGREGATE_METRICS_MAX];
    int64_t integers[AGGREGATE_METRICS_MAX];
    bool is_integer[AGGREGATE_METRICS_MAX];
    char interval[ZONE_TEXT_BYTES];
};

static bool may_be_whole(enum aggregate_function function)
{
    return function == AGGREGATE_COUNT || function == AGGREGATE_SUM || function == AGGREGATE_MIN ||
           function == AGGREGATE_MAX || function == AGGREGATE_UNIQ;
}

static void read_metric(struct answer *a, size_t i, enum aggregate_function function, bool absent,
                        struct bytes text)
{
    a->integers[i] = 0;
    a->numbers[i] = (double)NAN;
    a->is_integer[i] = !absent && may_be_whole(function) && json_int64(text, &a->integers[i]);
    if (a->is_integer[i])
        a->numbers[i] = (double)a->integers[i];
    else if (!absent && json_double(text, &a->numbers[i]) && fabs(a->numbers[i]) < 9.2e18)
        a->integers[i] = (int64_t)a->numbers[i];
}

static void read_interval(const struct postgres_query *q, const struct aggregate_query *query,
                          const struct zone *zone, const struct intervals *list, struct answer *a)
{
    int64_t number = postgres_int_at(q, 1), start = 0;
    if (aggregate_counts_days(query))
        start = number * S_PER_DAY;
    else if (number > 0 && (size_t)number <= list->count)
        start = list->starts[number - 1];
    zone_interval_text(zone, (int)query->interval, start, a->interval);
}

static void read_answer(const struct postgres_query *q, const struct aggregate_query *query,
                        const struct zone *zone, const struct intervals *list, struct answer *a,
                        struct aggregate_row *row)
{
    int column = 2;
    *row = (struct aggregate_row){
        .groups = a->groups,
        .numbers = a->numbers,
        .integers = a->integers,
        .is_integer = a->is_integer,
        .is_other = postgres_int_at(q, 0) != 0,
    };
    if (query->interval != INTERVAL_NONE) {
        read_interval(q, query, zone, list, a);
        row->interval_start = bytes_of(a->interval);
    }
    for (size_t i = 0; i < query->group_count; i++, column++) {
        struct bytes text = postgres_bytes_at(q, column);
        bool absent = postgres_is_null(q, column);
        a->groups[i] = absent ? bytes_make(NULL, 0) : text.len ? text : bytes_of("");
    }
    for (size_t i = 0; i < query->metric_count; i++, column++)
        read_metric(a, i, query->metrics[i].function, postgres_is_null(q, column),
                    postgres_bytes_at(q, column));
}

static bool visit_answers(struct postgres_query *q, const struct aggregate_query *query,
                          const struct zone *zone, const struct intervals *list,
                          aggregate_visit *visit, void *context, struct error *err)
{
    struct answer *answer = xcalloc(1, sizeof *answer);
    bool row = true, ok;
    uint32_t seen = 0;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct aggregate_row out;
        if (query->max_rows && ++seen > query->max_rows) {
            ok = aggregate_too_many(query, err);
            break;
        }
        read_answer(q, query, zone, list, answer, &out);
        if (!visit(context, &out))
            break;
    }
    free(answer);
    return ok;
}

/* With intervals, both statements must see the same rows. */
static bool begin_reading(struct postgres_link *link, const struct aggregate_query *query,
                          const struct zone *zone, struct intervals *list, struct bytes *wire,
                          struct error *err)
{
    if (query->interval == INTERVAL_NONE || aggregate_counts_days(query))
        return true;
    return postgres_run(link, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err) &&
           make_intervals(link, query, zone, list, err) &&
           postgres_array_wire(&list->begins, wire, err);
}

bool postgres_aggregate(struct message_store *store, const struct aggregate_query *query,
                        aggregate_visit *visit, void *context, struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    struct zone *zone = zone_create(query->time_zone, err);
    if (!zone)
        return false;
    struct intervals list = {.begins = {.kind = ARRAY_INT}};
    struct bytes wire = {0};
    struct where where;
    where_init(&where, &postgres_dialect);
    struct postgres_link *link = postgres_take(s->db, query->where.time_limit_ms, err);
    bool ok = link && begin_reading(link, query, zone, &list, &wire, err) &&
              aggregate_sql_put(&where, query, wire, err);
    if (ok) {
        struct postgres_query *q = postgres_prepare_once(link, where_sql(&where));
        postgres_where_bind(&where, q);
        ok = visit_answers(q, query, zone, &list, visit, context, err);
        postgres_finalize(q);
    }
    postgres_give(s->db, link);
    intervals_clear(&list);
    where_clear(&where);
    zone_destroy(zone);
    return ok || error_wrap(err, "cannot aggregate");
}
