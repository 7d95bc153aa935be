#include "server/query/aggregate_usage.h"

#include <stdlib.h>

#include "base/memory.h"
#include "server/store/zone.h"

#define DAY_NS (UINT64_C(86400) * NS_PER_S)
enum { FIGURES = 6, ARENA_MIB = 256, FIRST_YEAR_DAYS = 19723 /* 2024-01-01: before Claude Code */ };

/* ---- Which questions ---- */

static bool is_generations(const struct message_filter *filter)
{
    return filter->field == FIELD_TYPE && filter->value_count == 1 &&
           bytes_equal_text(filter->values[0], message_type_name(MESSAGE_GENERATION));
}

/* Of the figures in order: requests, cost, the four counts of tokens. */
static bool figure_of(const struct aggregate_metric *metric, size_t *out)
{
    static const enum message_field sums[] = {FIELD_COST_MICROCENTS, FIELD_INPUT_TOKENS,
                                              FIELD_OUTPUT_TOKENS, FIELD_CACHE_READ_TOKENS,
                                              FIELD_CACHE_CREATE_TOKENS};
    *out = 0;
    if (metric->function == AGGREGATE_COUNT)
        return true;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        *out = i + 1;
        if (metric->function == AGGREGATE_SUM && metric->field == sums[i])
            return true;
    }
    return false;
}

static bool has_fitting_filters(const struct message_query *where, bool *of_person)
{
    bool generations = false;
    for (size_t i = 0; i < where->filter_count; i++) {
        const struct message_filter *filter = &where->filters[i];
        generations |= is_generations(filter);
        *of_person |= filter->field == FIELD_PERSON;
        if (!is_generations(filter) && filter->field != FIELD_PERSON &&
            filter->field != FIELD_MODEL)
            return false;
    }
    return generations;
}

static bool could_tell(const struct question *q)
{
    const struct aggregate_query *query = &q->query;
    const char *zone = query->time_zone;
    bool by_person = false;
    size_t figure;
    if (query->where.from_ns % DAY_NS || query->where.to_ns % DAY_NS ||
        query->interval == INTERVAL_HOUR || (zone && strcmp(zone, "UTC") != 0) ||
        !has_fitting_filters(&query->where, &by_person))
        return false;
    for (size_t i = 0; i < query->group_count; i++) {
        by_person |= query->groups[i].field == FIELD_PERSON;
        if (query->groups[i].field != FIELD_PERSON && query->groups[i].field != FIELD_MODEL)
            return false;
    }
    for (size_t i = 0; i < query->metric_count; i++)
        if (!figure_of(&query->metrics[i], &figure))
            return false;
    return by_person || q->has_only;
}

static uint64_t first_ns(const struct question *q)
{
    uint64_t first = FIRST_YEAR_DAYS * DAY_NS;
    return q->query.where.from_ns > first ? q->query.where.from_ns : first;
}

/* The last day asked for; today when the range is open. */
static uint64_t last_ns(const struct query *context, const struct question *q)
{
    return q->query.where.to_ns ? q->query.where.to_ns - 1 : clock_wall_ns(context->clock) + DAY_NS;
}

bool aggregate_usage_applies(const struct query *context, const struct question *q, bool *applies,
                             struct error *err)
{
    *applies = false;
    if (q->has_only && q->only == USAGE_OTEL)
        return true;
    if (!could_tell(q)) {
        if (!q->has_only)
            return true;
        error_set(err, FAIL_INVALID, "'source' %s cannot answer this", usage_source_name(q->only));
        return error_remedy(err,
                            "ask for type=ai.generation by person or model, on whole UTC days, "
                            "with count or sums of tokens or cost; or for source=otel");
    }
    *applies = q->has_only;
    uint64_t first = first_ns(q), last = last_ns(context, q);
    return *applies || first > last || usage_api_told(context->control, first, last, applies, err);
}

/* ---- Adding up ---- */

struct cell {
    int64_t bucket; /* where its interval begins, in seconds; 0 without one */
    struct bytes groups[2];
    int64_t figures[FIGURES];
    int64_t rank; /* of its group by the first metric, over the whole time; 0 is the largest */
    unsigned sources;
    bool provisional;
};

struct filling {
    const struct question *question;
    struct arena arena;
    struct cell *cells;
    size_t count, capacity;
    bool full;
};

static bool is_among(struct bytes value, const struct message_filter *filter)
{
    for (size_t i = 0; i < filter->value_count; i++)
        if (bytes_equal(value, filter->values[i]))
            return true;
    return false;
}

static bool is_wanted(const struct message_query *where, const struct usage_day *day)
{
    for (size_t i = 0; i < where->filter_count; i++) {
        const struct message_filter *filter = &where->filters[i];
        if (filter->field == FIELD_TYPE)
            continue;
        if (!is_among(filter->field == FIELD_PERSON ? day->person : day->model, filter))
            return false;
    }
    return true;
}

static bool take_day(void *context, const struct usage_day *day)
{
    struct filling *f = context;
    const struct aggregate_query *query = &f->question->query;
    const struct usage_figures *u = &day->figures;
    uint64_t at_ns = 0;
    if (!is_wanted(&query->where, day) || !instant_parse_day(bytes_of(day->day), &at_ns))
        return true;
    struct cell cell = {
        .figures = {u->requests, u->cost_1e8_usd, u->input_tokens, u->output_tokens,
                    u->cache_read_tokens, u->cache_create_tokens},
        .sources = day->sources[USAGE_TOKENS],
        .provisional = day->provisional,
    };
    int64_t any = 0;
    for (size_t i = 0; i < FIGURES; i++)
        any |= cell.figures[i];
    if (any == 0) /* a day of activity alone */
        return true;
    if (query->interval != INTERVAL_NONE)
        cell.bucket = zone_interval_start(NULL, (int)query->interval, (int64_t)(at_ns / NS_PER_S));
    for (size_t i = 0; i < query->group_count; i++) {
        struct bytes text = query->groups[i].field == FIELD_PERSON ? day->person : day->model;
        f->full |= !arena_copy(&f->arena, text, &cell.groups[i]);
    }
    if (f->count == f->capacity) {
        f->capacity = f->capacity ? 2 * f->capacity : 1024;
        f->cells = xrealloc(f->cells, f->capacity * sizeof *f->cells);
    }
    f->cells[f->count++] = cell;
    return !f->full;
}

static int compare_groups(const struct cell *a, const struct cell *b)
{
    int order = usage_compare_texts(a->groups[0], b->groups[0]);
    return order != 0 ? order : usage_compare_texts(a->groups[1], b->groups[1]);
}

static int by_group(const void *first, const void *second)
{
    const struct cell *a = first, *b = second;
    int order = compare_groups(a, b);
    return order != 0 ? order : (a->bucket > b->bucket) - (a->bucket < b->bucket);
}

static void add(struct cell *sum, const struct cell *more)
{
    for (size_t i = 0; i < FIGURES; i++)
        sum->figures[i] += more->figures[i];
    sum->sources |= more->sources;
    sum->provisional |= more->provisional;
}

/* Makes one of neighbours that are the same cell; in order of `by`. */
static void merge(struct filling *f, int (*by)(const void *, const void *))
{
    size_t kept = 0;
    if (f->count > 0)
        qsort(f->cells, f->count, sizeof *f->cells, by);
    for (size_t i = 0; i < f->count; i++) {
        if (kept > 0 && by(&f->cells[kept - 1], &f->cells[i]) == 0)
            add(&f->cells[kept - 1], &f->cells[i]);
        else
            f->cells[kept++] = f->cells[i];
    }
    f->count = kept;
}

/* ---- The largest, and the rest ---- */

struct group {
    struct cell *cells;
    size_t count;
    int64_t size;
};

static int by_size(const void *first, const void *second)
{
    const struct group *a = first, *b = second;
    if (a->size != b->size)
        return a->size < b->size ? 1 : -1;
    return compare_groups(a->cells, b->cells);
}

/* Cells in order of their group. */
static void rank(struct filling *f, size_t figure)
{
    struct group *groups = xcalloc(f->count + 1, sizeof *groups);
    size_t count = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (i == 0 || compare_groups(&f->cells[i - 1], &f->cells[i]) != 0)
            groups[count++] = (struct group){.cells = &f->cells[i]};
        groups[count - 1].count++;
        groups[count - 1].size += f->cells[i].figures[figure];
    }
    if (count > 0)
        qsort(groups, count, sizeof *groups, by_size);
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < groups[g].count; i++)
            groups[g].cells[i].rank = (int64_t)g;
    free(groups);
}

/* Those behind the first `top` become one group, in rank the last. */
static void fold_rest(struct filling *f, uint32_t top)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->cells[i].rank < (int64_t)top)
            continue;
        f->cells[i].rank = (int64_t)top;
        f->cells[i].groups[0] = f->cells[i].groups[1] = (struct bytes){0};
    }
}

static int by_rest(const void *first, const void *second)
{
    const struct cell *a = first, *b = second;
    if (a->bucket != b->bucket)
        return a->bucket < b->bucket ? -1 : 1;
    int order = (a->rank > b->rank) - (a->rank < b->rank);
    return order != 0 ? order : compare_groups(a, b);
}

/* ---- Into the table ---- */

static int64_t value_of(const struct cell *cell, size_t figure)
{
    return figure == 1 ? usage_cost_microcents(cell->figures[1]) : cell->figures[figure];
}

static bool put_cell(const struct question *q, const struct cell *cell, struct table *table)
{
    const struct aggregate_query *query = &q->query;
    double numbers[QUESTION_MAX_METRICS];
    int64_t integers[QUESTION_MAX_METRICS];
    bool is_integer[QUESTION_MAX_METRICS];
    char interval[ZONE_TEXT_BYTES];
    struct bytes groups[2];
    struct aggregate_row row = {.groups = groups,
                                .numbers = numbers,
                                .integers = integers,
                                .is_integer = is_integer,
                                .is_other = query->top && cell->rank == (int64_t)query->top};
    for (size_t i = 0; i < query->group_count; i++)
        groups[i] = cell->groups[i].len > 0 ? cell->groups[i] : (struct bytes){0};
    for (size_t i = 0; i < query->metric_count; i++) {
        size_t figure = 0;
        (void)!figure_of(&query->metrics[i], &figure);
        integers[i] = value_of(cell, figure);
        numbers[i] = (double)integers[i];
        is_integer[i] = true;
    }
    if (query->interval != INTERVAL_NONE) {
        zone_interval_text(NULL, (int)query->interval, cell->bucket, interval);
        row.interval_start = bytes_of(interval);
    }
    struct table_row *added = table_add(table, &row);
    if (added) {
        added->sources = cell->sources;
        added->provisional = cell->provisional;
    }
    return added != NULL;
}

static bool fill_table(struct filling *f, struct table *table, bool *fits, struct error *err)
{
    const struct aggregate_query *query = &f->question->query;
    const struct cell nothing = {0};
    size_t figure = 0;
    (void)!figure_of(&query->metrics[0], &figure);
    merge(f, by_group);
    rank(f, figure);
    if (query->top > 0 && query->group_count > 0)
        fold_rest(f, query->top);
    merge(f, by_rest);
    if (f->count > query->max_rows)
        return error_set(err, FAIL_TOO_LARGE, "the answer has more than %u rows", query->max_rows);
    if (f->count == 0 && query->group_count == 0 && query->interval == INTERVAL_NONE)
        *fits = put_cell(f->question, &nothing, table);
    for (size_t i = 0; i < f->count && *fits; i++)
        *fits = put_cell(f->question, &f->cells[i], table);
    return true;
}

bool aggregate_usage_fill(const struct query *context, const struct question *q,
                          struct table *table, bool *fits, struct error *err)
{
    struct filling f = {.question = q, .arena = {.max_bytes = ARENA_MIB * MIB}};
    struct arena arena = {.max_bytes = ARENA_MIB * MIB};
    const struct usage_question usage = {.messages = context->messages,
                                         .control = context->control,
                                         .integrations = context->integrations,
                                         .from_ns = first_ns(q),
                                         .to_ns = last_ns(context, q),
                                         .now_ns = clock_wall_ns(context->clock),
                                         .grouping = USAGE_BY_PERSON | USAGE_BY_MODEL,
                                         .requests_only = true,
                                         .has_only = q->has_only,
                                         .only = q->only};
    *fits = true;
    bool done = usage.from_ns > usage.to_ns || usage_visit_days(&usage, &arena, take_day, &f, err);
    if (done && f.full)
        done = error_set(err, FAIL_TOO_LARGE, "the range holds too many people for one answer");
    done = done && fill_table(&f, table, fits, err);
    arena_clear(&arena);
    arena_clear(&f.arena);
    free(f.cells);
    return done;
}
