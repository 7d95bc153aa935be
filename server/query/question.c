#include "server/query/question.h"

#include "server/query/fields.h"
#include "server/query/filters.h"
#include "server/query/handlers.h"

enum { MAX_TOP = 1000 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

static const char *const functions[] = {
    [AGGREGATE_COUNT] = "count", [AGGREGATE_SUM] = "sum", [AGGREGATE_AVG] = "avg",
    [AGGREGATE_MIN] = "min",     [AGGREGATE_MAX] = "max", [AGGREGATE_P50] = "p50",
    [AGGREGATE_P90] = "p90",     [AGGREGATE_P95] = "p95", [AGGREGATE_P99] = "p99",
    [AGGREGATE_UNIQ] = "uniq",
};
enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

static bool function_of_name(struct bytes name, enum aggregate_function *out, struct error *err)
{
    for (int i = 0; i < FUNCTION_COUNT; i++) {
        if (bytes_equal_text(name, functions[i])) {
            *out = (enum aggregate_function)i;
            return true;
        }
    }
    error_set(err, FAIL_INVALID, "'%.*s' is no function", (int)(name.len < 80 ? name.len : 80),
              (const char *)name.data);
    return error_remedy(err, "use count, sum, avg, min, max, p50, p90, p95, p99 or uniq, "
                             "as in metric=sum(costMicrocents)");
}

/* "count" or "sum(costMicrocents)". */
static bool read_metric(struct bytes text, enum privacy privacy, struct aggregate_metric *out,
                        struct error *err)
{
    struct bytes name = text;
    const uint8_t *open = text.len > 0 ? memchr(text.data, '(', text.len) : NULL;
    if (open && text.data[text.len - 1] != ')')
        return error_set(err, FAIL_INVALID, "'%.*s' lacks its ')'",
                         (int)(text.len < 80 ? text.len : 80), (const char *)text.data);
    if (open)
        name.len = (size_t)(open - text.data);
    if (!function_of_name(name, &out->function, err))
        return false;
    if (out->function == AGGREGATE_COUNT) {
        bool bare =
            !open || text.len == name.len + 2 || (text.len == name.len + 3 && open[1] == '*');
        return bare || error_set(err, FAIL_INVALID, "'count' counts rows and takes no field");
    }
    if (!open) {
        error_set(err, FAIL_INVALID, "'%s' needs a field", functions[out->function]);
        return error_remedy(err, "write it as %s(inputTokens)", functions[out->function]);
    }
    struct field_use use;
    enum field_purpose purpose =
        out->function == AGGREGATE_UNIQ ? FIELD_TO_COUNT_UNIQUE : FIELD_TO_MEASURE;
    struct bytes inside = bytes_make(open + 1, text.len - name.len - 2);
    if (!field_find(inside, purpose, privacy, &use, err))
        return false;
    out->field = use.field;
    out->metadata_key = use.metadata_key;
    return true;
}

/* What is asked for twice is answered once: a JSON object has each key once. */
static bool is_among(struct bytes name, const struct bytes *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(names[i], name))
            return true;
    return false;
}

static bool add_group(struct question *q, struct bytes name, enum privacy privacy,
                      struct error *err)
{
    struct field_use use;
    if (is_among(name, q->group_names, q->query.group_count))
        return true;
    if (q->query.group_count == QUESTION_MAX_GROUPS)
        return error_set(err, FAIL_INVALID, "more than %d groupBy", QUESTION_MAX_GROUPS);
    if (!field_find(name, FIELD_TO_GROUP, privacy, &use, err))
        return false;
    q->group_names[q->query.group_count] = name;
    q->groups[q->query.group_count++] =
        (struct aggregate_group){.field = use.field, .metadata_key = use.metadata_key};
    return true;
}

static bool add_metric(struct question *q, struct bytes text, enum privacy privacy,
                       struct error *err)
{
    if (is_among(text, q->metric_names, q->query.metric_count))
        return true;
    if (q->query.metric_count == QUESTION_MAX_METRICS)
        return error_set(err, FAIL_INVALID, "more than %d metrics", QUESTION_MAX_METRICS);
    if (!read_metric(text, privacy, &q->metrics[q->query.metric_count], err))
        return false;
    q->metric_names[q->query.metric_count++] = text;
    return true;
}

static bool read_interval(struct bytes text, enum aggregate_interval *out, struct error *err)
{
    static const char *const names[] = {"", "hour", "day", "week", "month"};
    for (int i = INTERVAL_NONE; i <= INTERVAL_MONTH; i++) {
        if (bytes_equal_text(text, names[i])) {
            *out = (enum aggregate_interval)i;
            return true;
        }
    }
    return error_set(err, FAIL_INVALID, "'interval' must be hour, day, week or month");
}

/* Of whole days alone: otherwise the sums of two moments of a day tell what happened between. */
static bool check_cohort_days(const struct message_query *where, struct error *err)
{
    if (where->from_ns % DAY_NS == 0 && where->to_ns % DAY_NS == 0)
        return true;
    error_set(err, FAIL_DENIED, "cohorts are of whole days, and 'from' or 'to' is a time of day");
    return error_remedy(err, "write both as days, like 2026-05-01");
}

static bool read_source(const struct route_call *call, struct question *q, struct error *err)
{
    struct bytes text = arguments_get(&call->query, "source");
    q->has_only = text.len > 0;
    return !q->has_only || usage_source_of_name(text, &q->only) ||
           error_set(err, FAIL_INVALID, "'source' must be enterprise_api, admin_api or otel");
}

bool question_read(const struct query *context, struct route_call *call, struct question *q,
                   struct error *err)
{
    static const char *const others[] = {"groupBy", "metric", "interval", "tz",
                                         "top",     "names",  "source",   NULL};
    uint64_t top = 0;
    *q = (struct question){.query = {.groups = q->groups, .metrics = q->metrics}};
    q->query.max_rows = QUESTION_MAX_ROWS;
    if (!privacy_read(call, context->viewers, &q->names, err) || !read_source(call, q, err) ||
        !filters_read(&call->query, others, q->names, query_time_limit_ms(context), &call->arena,
                      &q->query.where, err))
        return false;
    for (size_t i = 0; i < call->query.count; i++) {
        struct argument a = call->query.items[i];
        if (a.value.len == 0)
            continue;
        if (bytes_equal_text(a.name, "groupBy") && !add_group(q, a.value, q->names, err))
            return false;
        if (bytes_equal_text(a.name, "metric") && !add_metric(q, a.value, q->names, err))
            return false;
    }
    if (q->query.metric_count == 0 && !add_metric(q, bytes_of("count"), q->names, err))
        return false;
    if (!read_interval(arguments_get(&call->query, "interval"), &q->query.interval, err) ||
        !arguments_get_number(&call->query, "top", 1, MAX_TOP, &top, err))
        return false;
    q->query.top = (uint32_t)top;
    struct bytes zone = arguments_get(&call->query, "tz");
    q->query.time_zone = zone.len > 0 ? (const char *)zone.data : NULL; /* ends with a NUL */
    q->metric_count = q->query.metric_count;
    if (q->names != PRIVACY_COHORTS)
        return true;
    q->metrics[q->query.metric_count++] =
        (struct aggregate_metric){.function = AGGREGATE_UNIQ, .field = FIELD_PERSON};
    return check_cohort_days(&q->query.where, err);
}
