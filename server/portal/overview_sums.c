#include "server/portal/overview_sums.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/query/usage.h"

#define DAY_NS (UINT64_C(86400) * NS_PER_S)
enum { USAGE_ARENA_MIB = 256 };

const struct sheet_column overview_columns[OVERVIEW_COLUMNS] = {
    {"Cost", "costMicrocents", SHEET_MONEY}, {"Requests", "requests", SHEET_COUNT},
    {"Tokens", "tokens", SHEET_SHORT},       {"From cache", "cacheShare", SHEET_RATIO},
    {"People", "people", SHEET_COUNT},
};
_Static_assert((int)OVERVIEW_COLUMNS <= (int)OVERVIEW_RAW, "the sums lie behind the columns");

double overview_tokens(const double v[SUM_COUNT])
{
    return v[SUM_INPUT] + v[SUM_OUTPUT] + v[SUM_CACHE_READ] + v[SUM_CACHE_WRITE];
}

double overview_cache_share(const double v[SUM_COUNT])
{
    double read = v[SUM_INPUT] + v[SUM_CACHE_READ] + v[SUM_CACHE_WRITE];
    return read > 0 ? v[SUM_CACHE_READ] / read : (double)NAN;
}

void overview_fill_row(struct sheet_row *row, const double v[SUM_COUNT])
{
    const double values[OVERVIEW_COLUMNS] = {v[SUM_COST], v[SUM_REQUESTS], overview_tokens(v),
                                             overview_cache_share(v), v[SUM_PEOPLE]};
    memcpy(row->values, values, sizeof values);
    memcpy(row->values + OVERVIEW_RAW, v, SUM_COUNT * sizeof *v);
    row->people = (int64_t)v[SUM_PEOPLE];
}

/* ---- Adding up ---- */

/* Who is in which row: a person counts once in it, however often. */
struct presence {
    size_t row, person;
};

struct presences {
    struct presence *items;
    size_t count, capacity;
};

struct adding {
    struct overview_sums *out;
    struct view *view;
    struct presences models, systems;
    bool full;
};

static void be_present(struct presences *p, size_t row, size_t person)
{
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? 2 * p->capacity : 1024;
        p->items = xrealloc(p->items, p->capacity * sizeof *p->items);
    }
    p->items[p->count++] = (struct presence){row, person};
}

static int by_row_and_person(const void *first, const void *second)
{
    const struct presence *a = first, *b = second;
    if (a->row != b->row)
        return a->row < b->row ? -1 : 1;
    return (a->person > b->person) - (a->person < b->person);
}

static void add_sums(struct sheet_row *row, const double v[SUM_COUNT])
{
    double sums[SUM_COUNT];
    for (int i = 0; i < SUM_COUNT; i++)
        sums[i] = v[i] + (row->people < 0 ? 0 : row->values[OVERVIEW_RAW + i]);
    overview_fill_row(row, sums);
}

/* Adds to the row of this name; *at is its place. The people are counted at the end. */
static bool add_to(struct sheet *sheet, struct bytes name, const double v[SUM_COUNT], size_t *at)
{
    struct sheet_row *row = sheet_find(sheet, name);
    if (!row)
        return false;
    add_sums(row, v);
    *at = (size_t)(row - sheet->list);
    return true;
}

static void count_people(struct sheet *sheet, struct presences *p)
{
    for (size_t i = 0; i < sheet->count; i++)
        sheet->list[i].values[OVERVIEW_RAW + SUM_PEOPLE] = 0;
    if (p->count > 0)
        qsort(p->items, p->count, sizeof *p->items, by_row_and_person);
    for (size_t i = 0; i < p->count; i++)
        if (i == 0 || by_row_and_person(&p->items[i - 1], &p->items[i]) != 0)
            sheet->list[p->items[i].row].values[OVERVIEW_RAW + SUM_PEOPLE]++;
    for (size_t i = 0; i < sheet->count; i++) {
        double sums[SUM_COUNT];
        memcpy(sums, sheet->list[i].values + OVERVIEW_RAW, sizeof sums);
        overview_fill_row(&sheet->list[i], sums);
    }
    free(p->items);
}

/* ---- From the daily sums ---- */

static const struct aggregate_metric METRICS[SUM_COUNT] = {
    [SUM_COST] = {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
    [SUM_REQUESTS] = {.function = AGGREGATE_COUNT},
    [SUM_INPUT] = {.function = AGGREGATE_SUM, .field = FIELD_INPUT_TOKENS},
    [SUM_OUTPUT] = {.function = AGGREGATE_SUM, .field = FIELD_OUTPUT_TOKENS},
    [SUM_CACHE_READ] = {.function = AGGREGATE_SUM, .field = FIELD_CACHE_READ_TOKENS},
    [SUM_CACHE_WRITE] = {.function = AGGREGATE_SUM, .field = FIELD_CACHE_CREATE_TOKENS},
    [SUM_PEOPLE] = {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON},
};

static bool ask(const struct portal *p, struct view *view, struct aggregate_query query,
                aggregate_visit *visit, void *context, struct error *err)
{
    const struct bytes generation = bytes_of(message_type_name(MESSAGE_GENERATION));
    query.where = view_query(view, &generation);
    if (!query.metrics) {
        query.metrics = METRICS;
        query.metric_count = SUM_COUNT;
    }
    return p->messages->kind->aggregate(p->messages, &query, visit, context, err);
}

static bool take_cell(void *context, const struct aggregate_row *row)
{
    struct adding *a = context;
    struct overview_sums *out = a->out;
    size_t person = 0, model = 0, system = 0;
    const bool is_somebody = row->groups[2].len > 0;
    a->full = !add_to(&out->models, row->groups[0], row->numbers, &model) ||
              !add_to(&out->systems, row->groups[1], row->numbers, &system) ||
              !add_to(&out->people, row->groups[2], row->numbers, &person);
    for (int i = 0; i < SUM_COUNT; i++)
        out->now[i] += row->numbers[i];
    if (!a->full && is_somebody) {
        be_present(&a->models, model, person);
        be_present(&a->systems, system, person);
    }
    return !a->full;
}

static bool take_day(void *context, const struct aggregate_row *row)
{
    struct adding *a = context;
    struct sheet_row *day = sheet_find(&a->out->days, row->interval_start);
    if (day)
        overview_fill_row(day, row->numbers);
    return day != NULL;
}

static bool take_sums(void *context, const struct aggregate_row *row)
{
    memcpy(context, row->numbers, SUM_COUNT * sizeof *row->numbers);
    return true;
}

static struct view days_before(const struct view *view)
{
    struct view before = *view;
    before.to_ns = view->from_ns;
    before.from_ns = view->from_ns > view->days * DAY_NS ? view->from_ns - view->days * DAY_NS : 0;
    return before;
}

static bool read_sums(const struct portal *p, struct adding *a, struct error *err)
{
    const struct aggregate_group groups[] = {{.field = FIELD_MODEL},
                                             {.field = FIELD_SYSTEM},
                                             {.field = FIELD_PERSON}};
    struct view before = days_before(a->view);
    return ask(p, a->view, (struct aggregate_query){.groups = groups, .group_count = 3}, take_cell,
               a, err) &&
           ask(p, a->view, (struct aggregate_query){.interval = INTERVAL_DAY}, take_day, a, err) &&
           ask(p, &before, (struct aggregate_query){0}, take_sums, a->out->before, err);
}

/* ---- From the source that is believed ---- */

static void read_figures(const struct usage_day *day, double out[SUM_COUNT])
{
    const struct usage_figures *f = &day->figures;
    const double sums[SUM_COUNT] = {
        [SUM_COST] = (double)f->cost_1e8_usd / 100,
        [SUM_REQUESTS] = (double)f->requests,
        [SUM_INPUT] = (double)f->input_tokens,
        [SUM_OUTPUT] = (double)f->output_tokens,
        [SUM_CACHE_READ] = (double)f->cache_read_tokens,
        [SUM_CACHE_WRITE] = (double)f->cache_create_tokens,
    };
    memcpy(out, sums, sizeof sums);
}

struct believing {
    struct adding *adding; /* NULL: only the sums before */
    const struct view *view;
    double *before;
    struct bytes last_person; /* of those before; days come person by person */
    struct sheet seen;        /* of those before: a row a person */
    char last_day[INSTANT_DAY_BYTES];
    struct bytes counted; /* the last person of the day */
};

static bool take_believed(void *context, const struct usage_day *day)
{
    struct believing *b = context;
    struct adding *a = b->adding;
    double sums[SUM_COUNT];
    size_t person = 0, model = 0;
    if (!view_wants(b->view, day->person, day->model))
        return true;
    read_figures(day, sums);
    if (overview_tokens(sums) + sums[SUM_COST] + sums[SUM_REQUESTS] <= 0)
        return true; /* a day of activity alone */
    if (!a) {
        for (int i = 0; i < SUM_COUNT; i++)
            b->before[i] += sums[i];
        return add_to(&b->seen, day->person, sums, &person);
    }
    struct sheet_row *row = sheet_find(&a->out->days, bytes_of(day->day));
    bool counts = day->person.len > 0 &&
                  !(strcmp(b->last_day, day->day) == 0 && bytes_equal(b->counted, day->person));
    a->full = !row || !add_to(&a->out->models, day->model, sums, &model) ||
              !add_to(&a->out->people, day->person, sums, &person);
    if (a->full)
        return false;
    memcpy(b->last_day, day->day, sizeof b->last_day);
    b->counted = a->out->people.list[person].name;
    for (int i = 0; i < SUM_COUNT; i++)
        a->out->now[i] += sums[i];
    sums[SUM_PEOPLE] = counts;
    add_sums(row, sums);
    if (day->person.len > 0)
        be_present(&a->models, model, person);
    return true;
}

static bool take_system(void *context, const struct aggregate_row *row)
{
    struct adding *a = context;
    struct sheet_row *out = sheet_add(&a->out->systems, row->groups[0]);
    if (out)
        overview_fill_row(out, row->numbers);
    return out != NULL;
}

static bool visit_believed(const struct portal *p, const struct view *view, struct believing *b,
                           struct error *err)
{
    struct arena arena = {.max_bytes = USAGE_ARENA_MIB * MIB};
    const struct usage_question question = {.messages = p->messages,
                                            .control = p->control,
                                            .integrations = p->integrations,
                                            .from_ns = view->from_ns,
                                            .to_ns = view->to_ns - 1,
                                            .now_ns = clock_wall_ns(p->clock),
                                            .grouping = USAGE_BY_PERSON | USAGE_BY_MODEL,
                                            .requests_only = true};
    b->view = view;
    bool done = usage_visit_days(&question, &arena, take_believed, b, err);
    arena_clear(&arena);
    return done;
}

/* The APIs know no systems: those stay what requests say. */
static bool read_believed(const struct portal *p, struct adding *a, struct error *err)
{
    const struct aggregate_group group = {.field = FIELD_SYSTEM};
    struct view before = days_before(a->view);
    struct believing now = {.adding = a};
    struct believing then = {.before = a->out->before, .seen = {.arena = a->out->people.arena}};
    if (!ask(p, a->view, (struct aggregate_query){.groups = &group, .group_count = 1}, take_system,
             a, err) ||
        !visit_believed(p, a->view, &now, err) || !visit_believed(p, &before, &then, err))
        return false;
    for (size_t i = 0; i < then.seen.count; i++)
        a->out->before[SUM_PEOPLE] += then.seen.list[i].name.len > 0;
    return true;
}

/* ---- All of it ---- */

struct sheet overview_sheet(struct route_call *call, const char *id, const char *title,
                            const char *rows)
{
    return (struct sheet){.id = id,
                          .title = title,
                          .rows = rows,
                          .csv_row = id,
                          .columns = overview_columns,
                          .column_count = OVERVIEW_COLUMNS,
                          .bar_column = SUM_COST + 1,
                          .arena = &call->arena};
}

/* Quiet days have no row in the store and are 0. */
static void add_days(struct sheet *days, const struct view *view)
{
    const double nothing[SUM_COUNT] = {0};
    for (uint64_t at = view->from_ns; at < view->to_ns; at += DAY_NS) {
        char day[INSTANT_DAY_BYTES];
        instant_day(at, day);
        struct sheet_row *row = sheet_find(days, bytes_of(day));
        if (row)
            overview_fill_row(row, nothing);
    }
}

static bool take_number(void *context, const struct aggregate_row *row)
{
    *(double *)context = row->numbers[0];
    return true;
}

bool overview_read(const struct portal *p, struct route_call *call, struct view *view,
                   struct overview_sums *out, struct error *err)
{
    const struct aggregate_metric sessions = {.function = AGGREGATE_UNIQ,
                                              .field = FIELD_SESSION_ID};
    struct adding adding = {.out = out, .view = view};
    *out = (struct overview_sums){.days = overview_sheet(call, "days", "By day", "Day"),
                                  .models = overview_sheet(call, "models", "By model", "Model"),
                                  .systems = overview_sheet(call, "systems", "By system", "System"),
                                  .people = overview_sheet(call, "people", "By person", "Person")};
    out->days.is_days = true;
    out->days.bar_column = 0;
    out->days.charts = "0,2,4";
    add_days(&out->days, view);
    bool done = (view->system.len > 0 || usage_api_told(p->control, view->from_ns, view->to_ns - 1,
                                                        &out->from_apis, err)) &&
                ask(p, view, (struct aggregate_query){.metrics = &sessions, .metric_count = 1},
                    take_number, &out->sessions, err) &&
                (out->from_apis ? read_believed(p, &adding, err) : read_sums(p, &adding, err));
    count_people(&out->models, &adding.models);
    if (!out->from_apis)
        count_people(&out->systems, &adding.systems);
    for (size_t i = 0; i < out->people.count; i++) {
        double *people = &out->people.list[i].values[OVERVIEW_RAW + SUM_PEOPLE];
        *people = out->people.list[i].name.len > 0;
    }
    out->now[SUM_PEOPLE] = 0;
    for (size_t i = 0; i < out->people.count; i++) {
        double sums[SUM_COUNT];
        memcpy(sums, out->people.list[i].values + OVERVIEW_RAW, sizeof sums);
        overview_fill_row(&out->people.list[i], sums);
        out->now[SUM_PEOPLE] += sums[SUM_PEOPLE];
    }
    return done && (!adding.full || error_set(err, FAIL_TOO_LARGE, "there are too many people"));
}
