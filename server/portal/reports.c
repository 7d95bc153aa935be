/* The sheets made from rows and metrics: models, edits, latency, tools, errors, versions. */
#include "server/portal/reports.h"

#include <math.h>

#include "server/query/instant.h"

enum { MAX_SHEET_ROWS = 40, MAX_METRICS = 7 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

static const struct {
    const char *id, *title;
} reports[REPORT_COUNT] = {
    [REPORT_DAYS] = {"days", "By day"},
    [REPORT_PEOPLE] = {"people", "By person"},
    [REPORT_TEAMS] = {"teams", "By team"},
    [REPORT_MODELS] = {"models", "By model"},
    [REPORT_EDIT_TOOLS] = {"edits", "Edits accepted, by tool"},
    [REPORT_LANGUAGES] = {"languages", "Edits accepted, by language"},
    [REPORT_LATENCY] = {"latency", "How long requests take"},
    [REPORT_TOOLS] = {"tools", "Top tools"},
    [REPORT_ERRORS] = {"errors", "Errors"},
    [REPORT_VERSIONS] = {"versions", "Versions of Claude Code"},
    [REPORT_SOURCES] = {"sources", "Who asked: main loop, subagents, helpers"},
};

const char *report_id(enum report report)
{
    return reports[report].id;
}

const char *report_title(enum report report)
{
    return reports[report].title;
}

/* ---- Sheets of one aggregate ---- */

static const struct sheet_column MODEL_COLUMNS[] = {
    {"Cost", "costMicrocents", SHEET_MONEY},
    {"Requests", "requests", SHEET_COUNT},
    {"Input", "inputTokens", SHEET_SHORT},
    {"Output", "outputTokens", SHEET_SHORT},
    {"Cache read", "cacheReadTokens", SHEET_SHORT},
    {"Cache write", "cacheCreateTokens", SHEET_SHORT},
    {"People", "people", SHEET_COUNT},
};
static const struct aggregate_metric MODEL_METRICS[] = {
    {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_SUM, .field = FIELD_INPUT_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_OUTPUT_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_CACHE_READ_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_CACHE_CREATE_TOKENS},
    {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON},
};

static const struct sheet_column LATENCY_COLUMNS[] = {
    {"Requests", "requests", SHEET_COUNT},       {"Half within", "p50Ms", SHEET_MILLISECONDS},
    {"90% within", "p90Ms", SHEET_MILLISECONDS}, {"95% within", "p95Ms", SHEET_MILLISECONDS},
    {"99% within", "p99Ms", SHEET_MILLISECONDS}, {"People", "people", SHEET_COUNT},
};
static const struct aggregate_metric LATENCY_METRICS[] = {
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_P50, .field = FIELD_DURATION_MS},
    {.function = AGGREGATE_P90, .field = FIELD_DURATION_MS},
    {.function = AGGREGATE_P95, .field = FIELD_DURATION_MS},
    {.function = AGGREGATE_P99, .field = FIELD_DURATION_MS},
    {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON},
};

static const struct sheet_column TOOL_COLUMNS[] = {
    {"Uses", "uses", SHEET_COUNT},
    {"Succeeded", "successRate", SHEET_RATIO},
    {"Half within", "p50Ms", SHEET_MILLISECONDS},
    {"95% within", "p95Ms", SHEET_MILLISECONDS},
    {"People", "people", SHEET_COUNT},
};
static const struct aggregate_metric TOOL_METRICS[] = {
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_AVG, .field = FIELD_SUCCESS},
    {.function = AGGREGATE_P50, .field = FIELD_DURATION_MS},
    {.function = AGGREGATE_P95, .field = FIELD_DURATION_MS},
    {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON},
};

static const struct sheet_column COUNT_COLUMNS[] = {
    {"Times", "count", SHEET_COUNT},
    {"People", "people", SHEET_COUNT},
};
static const struct aggregate_metric COUNT_METRICS[] = {
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON},
};

static const struct sheet_column COST_COLUMNS[] = {
    {"Cost", "costMicrocents", SHEET_MONEY},
    {"Requests", "requests", SHEET_COUNT},
    {"People", "people", SHEET_COUNT},
};
static const struct aggregate_metric COST_METRICS[] = {
    {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON},
};

#define KEY(text)                                 \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

/* What each asks. The last metric counts the people; `groups` are joined by a blank. */
static const struct question {
    const char *rows, *csv_row;
    enum message_type type;
    struct aggregate_group groups[2];
    size_t group_count;
    const struct sheet_column *columns;
    const struct aggregate_metric *metrics;
    size_t metric_count;
} questions[REPORT_COUNT] = {
    [REPORT_MODELS] = {"Model",
                       "model",
                       MESSAGE_GENERATION,
                       {{.field = FIELD_MODEL}},
                       1,
                       MODEL_COLUMNS,
                       MODEL_METRICS,
                       7},
    [REPORT_LATENCY] = {"Model",
                        "model",
                        MESSAGE_GENERATION,
                        {{.field = FIELD_MODEL}},
                        1,
                        LATENCY_COLUMNS,
                        LATENCY_METRICS,
                        6},
    [REPORT_TOOLS] = {"Tool",
                      "tool",
                      MESSAGE_TOOL,
                      {{.field = FIELD_TOOL_NAME}},
                      1,
                      TOOL_COLUMNS,
                      TOOL_METRICS,
                      5},
    [REPORT_ERRORS] = {"Error",
                       "error",
                       MESSAGE_ERROR,
                       {{.field = FIELD_METADATA, .metadata_key = KEY("status_code")},
                        {.field = FIELD_METADATA, .metadata_key = KEY("error")}},
                       2,
                       COUNT_COLUMNS,
                       COUNT_METRICS,
                       2},
    [REPORT_VERSIONS] = {"Version",
                         "version",
                         MESSAGE_GENERATION,
                         {{.field = FIELD_METADATA, .metadata_key = KEY("service.version")}},
                         1,
                         COST_COLUMNS,
                         COST_METRICS,
                         3},
    [REPORT_SOURCES] = {"Source",
                        "source",
                        MESSAGE_GENERATION,
                        {{.field = FIELD_METADATA, .metadata_key = KEY("query_source")}},
                        1,
                        COST_COLUMNS,
                        COST_METRICS,
                        3},
};

struct asking {
    const struct question *question;
    struct sheet *sheet;
};

static bool put_name(struct buffer *out, const struct aggregate_row *row, size_t group_count)
{
    bool fits = true;
    for (size_t i = 0; i < group_count && fits; i++)
        if (row->groups[i].len > 0)
            fits = (out->len == 0 || buffer_append_byte(out, ' ')) &&
                   buffer_append(out, row->groups[i]);
    return fits;
}

static bool take_row(void *context, const struct aggregate_row *row)
{
    struct asking *a = context;
    struct buffer name = {.max_bytes = 4 * KIB};
    struct sheet_row *out = NULL;
    if (row->is_other)
        out = sheet_add(a->sheet, bytes_of("all others"));
    else if (put_name(&name, row, a->question->group_count))
        out = sheet_add(a->sheet, buffer_bytes(&name));
    buffer_clear(&name);
    if (!out)
        return false;
    memcpy(out->values, row->numbers, a->question->metric_count * sizeof *out->values);
    out->people = (int64_t)row->numbers[a->question->metric_count - 1];
    return true;
}

static bool make_asked(const struct portal *p, struct view *view, const struct question *question,
                       struct sheet *out, struct error *err)
{
    const struct bytes type = bytes_of(message_type_name(question->type));
    const struct aggregate_query query = {
        .where = view_query(view, &type),
        .groups = question->groups,
        .group_count = question->group_count,
        .metrics = question->metrics,
        .metric_count = question->metric_count,
        .top = MAX_SHEET_ROWS,
    };
    out->rows = question->rows;
    out->csv_row = question->csv_row;
    out->columns = question->columns;
    out->column_count = question->metric_count;
    out->bar_column = 1;
    return p->messages->kind->aggregate(p->messages, &query, take_row,
                                        &(struct asking){question, out}, err);
}

/* ---- Edits: told by a metric's own attributes ---- */

static const struct sheet_column EDIT_COLUMNS[] = {
    {"Accepted", "accepted", SHEET_COUNT},
    {"Rejected", "rejected", SHEET_COUNT},
    {"Accept rate", "acceptRate", SHEET_RATIO},
    {"People", "people", SHEET_COUNT},
};

struct edits {
    struct sheet *sheet;
    const struct view *view;
    const char *attribute;
    struct bytes last_person[SHEET_MAX_COLUMNS * 4]; /* per row: sums come person by person */
};

static bool take_sum(void *context, const struct metric_sum *sum)
{
    struct edits *e = context;
    struct bytes name = metric_attribute(sum->attributes, e->attribute);
    if (!view_wants(e->view, sum->person, e->view->model))
        return true;
    size_t before = e->sheet->count;
    if (before == sizeof e->last_person / sizeof *e->last_person)
        return false;
    struct sheet_row *row = sheet_find(e->sheet, name);
    if (!row)
        return false;
    size_t at = (size_t)(row - e->sheet->list);
    if (e->sheet->count > before) {
        row->values[0] = row->values[1] = 0;
        row->people = 0;
    }
    bool accepted = bytes_equal_text(metric_attribute(sum->attributes, "decision"), "accept");
    row->values[accepted ? 0 : 1] += sum->value;
    if (row->people == 0 || !bytes_equal(e->last_person[at], sum->person)) {
        row->people++;
        if (!arena_copy(e->sheet->arena, sum->person, &e->last_person[at]))
            return false;
    }
    row->values[2] = row->values[0] / (row->values[0] + row->values[1]);
    row->values[3] = (double)row->people;
    return true;
}

static bool make_edits(const struct portal *p, const struct view *view, const char *attribute,
                       struct sheet *out, struct error *err)
{
    char from[INSTANT_DAY_BYTES], to[INSTANT_DAY_BYTES];
    struct edits edits = {.sheet = out, .view = view, .attribute = attribute};
    instant_day(view->from_ns, from);
    instant_day(view->to_ns - DAY_NS, to);
    out->columns = EDIT_COLUMNS;
    out->column_count = sizeof EDIT_COLUMNS / sizeof *EDIT_COLUMNS;
    out->bar_column = 1;
    out->rows = strcmp(attribute, "language") == 0 ? "Language" : "Tool";
    out->csv_row = attribute;
    if (view->system.len > 0 || view->model.len > 0)
        out->note = "Of all systems and models: the metric does not tell them apart.";
    if (!p->messages->kind->metric_sums(p->messages, "claude_code.code_edit_tool.decision", from,
                                        to, take_sum, &edits, err))
        return false;
    sheet_sort(out, 0, 0);
    return true;
}

/* ---- Any of them ---- */

bool report_make(const struct portal *p, struct route_call *call, struct view *view,
                 enum report report, const struct report_usage *usage, struct sheet *out,
                 struct error *err)
{
    bool done = true;
    *out = (struct sheet){.id = report_id(report),
                          .title = report_title(report),
                          .arena = &call->arena};
    if (report == REPORT_DAYS)
        *out = usage->days;
    else if (report == REPORT_PEOPLE)
        *out = usage->people;
    else if (report == REPORT_TEAMS)
        *out = usage->teams;
    else if (report == REPORT_EDIT_TOOLS)
        done = make_edits(p, view, "tool_name", out, err);
    else if (report == REPORT_LANGUAGES)
        done = make_edits(p, view, "language", out, err);
    else
        done = make_asked(p, view, &questions[report], out, err);
    if (done && view->names == PRIVACY_COHORTS)
        sheet_keep_cohorts(out);
    return done && (!out->full || error_set(err, FAIL_TOO_LARGE, "the report is too large"));
}
