#include "tests/server/naive_aggregate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/memory.h"
#include "server/store/zone.h"
#include "tests/support/expect.h"

enum { TEXT_BYTES = 128, KEY_BYTES = 640, GROUPS_MAX = 4000 };

static bool put_text(struct bytes text, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
    return text.len > 0;
}

static bool put_number(int64_t number, char *out, size_t size)
{
    snprintf(out, size, "%lld", (long long)number);
    return number >= 0;
}

static bool put_hex(const uint8_t *id, size_t len, char *out)
{
    bool some = false;
    for (size_t i = 0; i < len; i++) {
        sprintf(out + 2 * i, "%02x", id[i]);
        some = some || id[i];
    }
    return some;
}

static bool put_metadata(struct bytes json, struct bytes key, char *out, size_t size)
{
    char name[TEXT_BYTES];
    put_text(key, name, sizeof name);
    cJSON *all = cJSON_ParseWithLength((const char *)json.data, json.len);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(all, name);
    bool there = item && !cJSON_IsNull(item);
    if (there && cJSON_IsString(item)) {
        snprintf(out, size, "%s", item->valuestring);
    } else if (there) {
        char *text = cJSON_PrintUnformatted(item);
        snprintf(out, size, "%s", text);
        free(text);
    }
    cJSON_Delete(all);
    return there;
}

bool naive_field(const struct message *m, enum message_field field, struct bytes key, char *out,
                 size_t size)
{
    out[0] = 0;
    switch (field) {
    case FIELD_ID:
        message_id_of_key(m->key, out);
        return true;
    case FIELD_TYPE:
        snprintf(out, size, "%s", message_type_name(m->type));
        return true;
    case FIELD_TIME:
        return put_number((int64_t)m->time_ns, out, size);
    case FIELD_RECEIVED_AT:
        return put_number((int64_t)m->received_ns, out, size);
    case FIELD_SERVICE_NAME:
        return put_text(m->service_name, out, size);
    case FIELD_SYSTEM:
        snprintf(out, size, "test");
        return true;
    case FIELD_MODEL:
        return put_text(m->model, out, size);
    case FIELD_PERSON:
        return put_text(m->person, out, size);
    case FIELD_INPUT_TOKENS:
        return put_number(m->input_tokens, out, size);
    case FIELD_OUTPUT_TOKENS:
        return put_number(m->output_tokens, out, size);
    case FIELD_CACHE_READ_TOKENS:
        return put_number(m->cache_read_tokens, out, size);
    case FIELD_CACHE_CREATE_TOKENS:
        return put_number(m->cache_create_tokens, out, size);
    case FIELD_COST_MICROCENTS:
        return put_number(m->cost_microcents, out, size);
    case FIELD_COST_COMPUTED_MICROCENTS:
        return put_number(m->cost_computed_microcents, out, size);
    case FIELD_DURATION_MS:
        return put_number(m->duration_ms, out, size);
    case FIELD_SUCCESS:
        snprintf(out, size, "%s", m->success == MESSAGE_SUCCEEDED ? "true" : "false");
        return m->success != MESSAGE_SUCCESS_UNKNOWN;
    case FIELD_TRACE_ID:
        return put_hex(m->trace_id, sizeof m->trace_id, out);
    case FIELD_SPAN_ID:
        return put_hex(m->span_id, sizeof m->span_id, out);
    case FIELD_PARENT_ID:
        return false;
    case FIELD_SESSION_ID:
        return put_text(m->session_id, out, size);
    case FIELD_PROMPT_ID:
        return put_text(m->prompt_id, out, size);
    case FIELD_TOOL_NAME:
        return put_text(m->tool_name, out, size);
    case FIELD_METADATA:
        return put_metadata(m->metadata, key, out, size);
    }
    return false;
}

bool naive_matches(const struct message *m, const struct message_query *query)
{
    if ((query->from_ns && m->time_ns < query->from_ns) ||
        (query->to_ns && m->time_ns >= query->to_ns))
        return false;
    for (size_t i = 0; i < query->filter_count; i++) {
        const struct message_filter *filter = &query->filters[i];
        char text[TEXT_BYTES];
        bool there = naive_field(m, filter->field, filter->metadata_key, text, sizeof text);
        bool any = false;
        for (size_t v = 0; v < filter->value_count; v++)
            any = any ||
                  (there ? bytes_equal_text(filter->values[v], text) : filter->values[v].len == 0);
        if (any == filter->none_of)
            return false;
    }
    return true;
}

struct group {
    char key[KEY_BYTES]; /* interval and groups, each "=value\n" or "-\n" */
    double *values[8];   /* of each metric */
    size_t value_count[8];
    size_t rows;
    char (*texts)[TEXT_BYTES]; /* of UNIQ, of the one metric that may ask for it */
    size_t text_count;
    bool seen;
};

struct groups {
    struct group *list;
    size_t count;
};

static struct group *group_of(struct groups *groups, const char *key, bool make)
{
    for (size_t i = 0; i < groups->count; i++)
        if (strcmp(groups->list[i].key, key) == 0)
            return &groups->list[i];
    if (!make)
        return NULL;
    ck_assert_uint_lt(groups->count, GROUPS_MAX);
    struct group *group = &groups->list[groups->count++];
    snprintf(group->key, sizeof group->key, "%s", key);
    return group;
}

static void add_part(char *key, bool there, const char *text)
{
    size_t len = strlen(key);
    snprintf(key + len, KEY_BYTES - len, there ? "=%s\n" : "-\n", text);
}

static void add_row(struct groups *groups, const struct aggregate_query *query,
                    const struct zone *zone, const struct message *m)
{
    char key[KEY_BYTES] = "", text[TEXT_BYTES];
    if (query->interval != INTERVAL_NONE) {
        char start[ZONE_TEXT_BYTES];
        int64_t at =
            zone_interval_start(zone, (int)query->interval, (int64_t)(m->time_ns / 1000000000));
        zone_interval_text(zone, (int)query->interval, at, start);
        add_part(key, true, start);
    }
    for (size_t i = 0; i < query->group_count; i++) {
        bool there = naive_field(m, query->groups[i].field, query->groups[i].metadata_key, text,
                                 sizeof text);
        add_part(key, there, text);
    }
    struct group *group = group_of(groups, key, true);
    group->rows++;
    for (size_t i = 0; i < query->metric_count; i++) {
        const struct aggregate_metric *metric = &query->metrics[i];
        char *end;
        if (metric->function == AGGREGATE_COUNT ||
            !naive_field(m, metric->field, metric->metadata_key, text, sizeof text))
            continue;
        if (metric->function == AGGREGATE_UNIQ) {
            bool known = false;
            for (size_t t = 0; t < group->text_count; t++)
                known = known || strcmp(group->texts[t], text) == 0;
            if (!known) {
                group->texts =
                    xrealloc(group->texts, (group->text_count + 1) * sizeof *group->texts);
                strcpy(group->texts[group->text_count++], text);
            }
            continue;
        }
        double value = strcmp(text, "true") == 0    ? 1
                       : strcmp(text, "false") == 0 ? 0
                                                    : strtod(text, &end);
        size_t n = group->value_count[i]++;
        group->values[i] = xrealloc(group->values[i], (n + 1) * sizeof(double));
        group->values[i][n] = value;
    }
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile(const double *sorted, size_t count, double fraction)
{
    double at = fraction * (double)(count - 1);
    double low = sorted[(size_t)floor(at)], high = sorted[(size_t)ceil(at)];
    return low + (high - low) * (at - floor(at));
}

static double naive_metric(struct group *group, enum aggregate_function function, size_t i)
{
    double *values = group->values[i], sum = 0;
    size_t count = group->value_count[i];
    if (function == AGGREGATE_COUNT)
        return (double)group->rows;
    if (function == AGGREGATE_UNIQ)
        return (double)group->text_count;
    for (size_t v = 0; v < count; v++)
        sum += values[v];
    if (function == AGGREGATE_SUM)
        return sum;
    if (count == 0)
        return (double)NAN;
    qsort(values, count, sizeof *values, by_value);
    switch (function) {
    case AGGREGATE_AVG:
        return sum / (double)count;
    case AGGREGATE_MIN:
        return values[0];
    case AGGREGATE_MAX:
        return values[count - 1];
    case AGGREGATE_P50:
        return percentile(values, count, 0.5);
    case AGGREGATE_P90:
        return percentile(values, count, 0.9);
    case AGGREGATE_P95:
        return percentile(values, count, 0.95);
    default:
        return percentile(values, count, 0.99);
    }
}

struct comparing {
    const struct aggregate_query *query;
    struct groups *groups;
    const char *what;
    char last_interval[ZONE_TEXT_BYTES];
    double last_first; /* the first metric of the row before */
    bool any;
};

static bool compare_row(void *context, const struct aggregate_row *row)
{
    struct comparing *c = context;
    char key[KEY_BYTES] = "", text[TEXT_BYTES], interval[ZONE_TEXT_BYTES] = "";
    if (c->query->interval != INTERVAL_NONE) {
        put_text(row->interval_start, interval, sizeof interval);
        add_part(key, true, interval);
    }
    for (size_t i = 0; i < c->query->group_count; i++) {
        put_text(row->groups[i], text, sizeof text);
        add_part(key, row->groups[i].data != NULL, text);
    }
    struct group *group = group_of(c->groups, key, false);
    ck_assert_msg(group && !group->seen, "%s: the store has a group '%s' too many", c->what, key);
    group->seen = true;
    for (size_t i = 0; i < c->query->metric_count; i++) {
        double want = naive_metric(group, c->query->metrics[i].function, i);
        double have = row->numbers[i];
        bool same = isnan(want) ? isnan(have) : fabs(have - want) <= 1e-9 * (1 + fabs(want));
        ck_assert_msg(same, "%s: metric %zu of '%s' is %.17g, not %.17g", c->what, i, key, have,
                      want);
        if (row->is_integer[i])
            ck_assert_int_eq(row->integers[i], (int64_t)want);
    }
    if (c->any && strcmp(interval, c->last_interval) == 0)
        ck_assert_msg(isnan(row->numbers[0]) || row->numbers[0] <= c->last_first,
                      "%s: rows are not in order of the first metric", c->what);
    c->any = true;
    c->last_first = isnan(row->numbers[0]) ? -INFINITY : row->numbers[0];
    strcpy(c->last_interval, interval);
    return true;
}

void expect_same_aggregate(struct message_store *store, const struct aggregate_query *query,
                           const struct message *rows, size_t count, const char *what)
{
    struct error err;
    struct groups groups = {.list = xcalloc(GROUPS_MAX, sizeof *groups.list)};
    struct zone *zone = zone_create(query->time_zone, &err);
    ck_assert_msg(zone != NULL, "%s", err.cause);
    for (size_t i = 0; i < count; i++)
        if (naive_matches(&rows[i], &query->where))
            add_row(&groups, query, zone, &rows[i]);
    if (query->group_count == 0 && query->interval == INTERVAL_NONE)
        group_of(&groups, "", true); /* one row even of nothing */

    struct comparing comparing = {.query = query, .groups = &groups, .what = what};
    ck_assert_msg(store->kind->aggregate(store, query, compare_row, &comparing, &err), "%s: %s",
                  what, err.cause);
    for (size_t i = 0; i < groups.count; i++) {
        ck_assert_msg(groups.list[i].seen, "%s: the store lacks the group '%s'", what,
                      groups.list[i].key);
        for (size_t m = 0; m < 8; m++)
            free(groups.list[i].values[m]);
        free(groups.list[i].texts);
    }
    free(groups.list);
    zone_destroy(zone);
}
