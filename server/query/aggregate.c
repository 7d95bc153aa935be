/* GET /api/v1/messages/aggregate, as JSON or CSV. */
#include <math.h>
#include <stdio.h>

#include "core/json/writer.h"
#include "server/query/fields.h"
#include "server/query/filters.h"
#include "server/query/handlers.h"

enum { MAX_GROUPS = 6, MAX_METRICS = 16, MAX_TOP = 1000, MAX_ROWS = 20000 };

struct question {
    struct aggregate_query query;
    struct aggregate_group groups[MAX_GROUPS];
    struct aggregate_metric metrics[MAX_METRICS];
    struct bytes group_names[MAX_GROUPS];   /* as asked: the keys of the rows */
    struct bytes metric_names[MAX_METRICS]; /* "sum(costMicrocents)" */
};

/* ---- Reading the question ---- */

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
static bool read_metric(struct bytes text, enum control_role role, struct aggregate_metric *out,
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
    if (!field_find(inside, purpose, role, &use, err))
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

static bool add_group(struct question *q, struct bytes name, enum control_role role,
                      struct error *err)
{
    struct field_use use;
    if (is_among(name, q->group_names, q->query.group_count))
        return true;
    if (q->query.group_count == MAX_GROUPS)
        return error_set(err, FAIL_INVALID, "more than %d groupBy", MAX_GROUPS);
    if (!field_find(name, FIELD_TO_GROUP, role, &use, err))
        return false;
    q->group_names[q->query.group_count] = name;
    q->groups[q->query.group_count++] =
        (struct aggregate_group){.field = use.field, .metadata_key = use.metadata_key};
    return true;
}

static bool add_metric(struct question *q, struct bytes text, enum control_role role,
                       struct error *err)
{
    if (is_among(text, q->metric_names, q->query.metric_count))
        return true;
    if (q->query.metric_count == MAX_METRICS)
        return error_set(err, FAIL_INVALID, "more than %d metrics", MAX_METRICS);
    if (!read_metric(text, role, &q->metrics[q->query.metric_count], err))
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

static bool read_question(const struct query *context, struct route_call *call, struct question *q,
                          struct error *err)
{
    static const char *const others[] = {"groupBy", "metric", "interval", "tz", "top", NULL};
    enum control_role role = call->who.role;
    uint64_t top = 0;
    *q = (struct question){.query = {.groups = q->groups, .metrics = q->metrics}};
    q->query.max_rows = MAX_ROWS;
    if (!filters_read(&call->query, others, role, query_time_limit_ms(context), &call->arena,
                      &q->query.where, err))
        return false;
    for (size_t i = 0; i < call->query.count; i++) {
        struct argument a = call->query.items[i];
        if (a.value.len == 0)
            continue;
        if (bytes_equal_text(a.name, "groupBy") && !add_group(q, a.value, role, err))
            return false;
        if (bytes_equal_text(a.name, "metric") && !add_metric(q, a.value, role, err))
            return false;
    }
    if (q->query.metric_count == 0 && !add_metric(q, bytes_of("count"), role, err))
        return false;
    if (!read_interval(arguments_get(&call->query, "interval"), &q->query.interval, err) ||
        !arguments_get_number(&call->query, "top", 1, MAX_TOP, &top, err))
        return false;
    q->query.top = (uint32_t)top;
    struct bytes zone = arguments_get(&call->query, "tz");
    q->query.time_zone = zone.len > 0 ? (const char *)zone.data : NULL; /* ends with a NUL */
    return true;
}

/* ---- Answering as JSON ---- */

struct answer {
    const struct question *question;
    struct json_writer writer;
    struct buffer out;
    bool fits;
};

static void put_number(struct json_writer *w, const struct aggregate_row *row, size_t i)
{
    if (row->is_integer[i])
        json_put_int(w, row->integers[i]);
    else
        json_put_double(w, row->numbers[i]); /* NaN, no value, becomes null */
}

/* A group's value has the type that it has in a row: only `success` is no text. */
static void put_group(struct json_writer *w, enum message_field field,
                      const struct aggregate_row *row, size_t i)
{
    if (row->is_other)
        json_put_string(w, "other");
    else if (!row->groups[i].data)
        json_put_null(w);
    else if (field == FIELD_SUCCESS)
        json_put_bool(w, bytes_equal_text(row->groups[i], "true"));
    else
        json_put_bytes(w, row->groups[i]);
}

static bool put_json_row(void *context, const struct aggregate_row *row)
{
    struct answer *a = context;
    const struct question *q = a->question;
    struct json_writer *w = &a->writer;
    json_object_open(w);
    if (q->query.interval != INTERVAL_NONE) {
        json_put_key(w, "interval");
        json_put_bytes(w, row->interval_start);
    }
    for (size_t i = 0; i < q->query.group_count; i++) {
        json_put_key_bytes(w, q->group_names[i]);
        put_group(w, q->groups[i].field, row, i);
    }
    for (size_t i = 0; i < q->query.metric_count; i++) {
        json_put_key_bytes(w, q->metric_names[i]);
        put_number(w, row, i);
    }
    if (row->is_other) {
        json_put_key(w, "isOther");
        json_put_bool(w, true);
    }
    json_object_close(w);
    return a->fits = json_writer_ok(w);
}

static void put_names(struct json_writer *w, const char *key, const struct bytes *names,
                      size_t count)
{
    json_put_key(w, key);
    json_array_open(w);
    for (size_t i = 0; i < count; i++)
        json_put_bytes(w, names[i]);
    json_array_close(w);
}

static bool answer_as_json(const struct query *context, struct answer *a, struct error *err)
{
    const struct question *q = a->question;
    a->writer = json_writer_make(&a->out);
    json_object_open(&a->writer);
    put_names(&a->writer, "groupBy", q->group_names, q->query.group_count);
    put_names(&a->writer, "metrics", q->metric_names, q->query.metric_count);
    json_put_key(&a->writer, "rows");
    json_array_open(&a->writer);
    if (!context->messages->kind->aggregate(context->messages, &q->query, put_json_row, a, err))
        return false;
    json_array_close(&a->writer);
    json_object_close(&a->writer);
    a->fits = json_writer_ok(&a->writer);
    return true;
}

/* ---- Answering as CSV ---- */

static bool put_separator(struct answer *a, size_t column)
{
    return column == 0 || buffer_append_byte(&a->out, ',');
}

static bool put_csv_number(struct buffer *out, const struct aggregate_row *row, size_t i)
{
    if (row->is_integer[i])
        return buffer_append_format(out, "%lld", (long long)row->integers[i]);
    return !isfinite(row->numbers[i]) || buffer_append_format(out, "%.17g", row->numbers[i]);
}

static bool put_csv_row(void *context, const struct aggregate_row *row)
{
    struct answer *a = context;
    const struct question *q = a->question;
    size_t column = 0;
    a->fits = true;
    if (q->query.interval != INTERVAL_NONE)
        a->fits = put_separator(a, column++) && buffer_append(&a->out, row->interval_start);
    for (size_t i = 0; i < q->query.group_count && a->fits; i++)
        a->fits = put_separator(a, column++) &&
                  csv_put_text(&a->out, row->is_other ? bytes_of("other") : row->groups[i]);
    for (size_t i = 0; i < q->query.metric_count && a->fits; i++)
        a->fits = put_separator(a, column++) && put_csv_number(&a->out, row, i);
    return a->fits = a->fits && buffer_append_text(&a->out, "\r\n");
}

static bool answer_as_csv(const struct query *context, struct answer *a, struct error *err)
{
    const struct question *q = a->question;
    size_t column = 0;
    a->fits = true;
    if (q->query.interval != INTERVAL_NONE)
        a->fits = put_separator(a, column++) && buffer_append_text(&a->out, "interval");
    for (size_t i = 0; i < q->query.group_count && a->fits; i++)
        a->fits = put_separator(a, column++) && csv_put_text(&a->out, q->group_names[i]);
    for (size_t i = 0; i < q->query.metric_count && a->fits; i++)
        a->fits = put_separator(a, column++) && csv_put_text(&a->out, q->metric_names[i]);
    a->fits = a->fits && buffer_append_text(&a->out, "\r\n");
    return context->messages->kind->aggregate(context->messages, &q->query, put_csv_row, a, err);
}

/* ---- The handler ---- */

void query_aggregate(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    struct question question = {0};
    if (!read_question(q, call, &question, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    struct answer a = {.question = &question, .out = {.max_bytes = ANSWER_MAX_BYTES}};
    bool csv = query_wants_csv(call->request);
    bool done = csv ? answer_as_csv(q, &a, &err) && query_note(q, call, "export", &err)
                    : answer_as_json(q, &a, &err);
    if (!done) {
        if (err.kind == FAIL_TOO_LARGE)
            error_remedy(&err, "group by less, narrow from and to, or ask for top=100");
        query_answer_failure(q, call, &err);
    } else if (!a.fits) {
        answer_error(call->exchange, 400, "too_large", "the answer is too large",
                     "group by less, narrow from and to, or ask for top=100");
    } else if (csv) {
        answer_content(call->exchange, 200, "text/csv; charset=utf-8", buffer_bytes(&a.out));
    } else {
        answer_json(call->exchange, buffer_bytes(&a.out));
    }
    buffer_clear(&a.out);
}
