/* The sheets made of reconciled daily usage: by day, by person, by team. */
#include <math.h>
#include <stdlib.h>

#include "server/portal/reports.h"
#include "server/query/usage.h"

#define DAY_NS (UINT64_C(86400) * NS_PER_S)
enum { PEOPLE_SHOWN = 50, WEEK = 7, MONTH = 30, USAGE_ARENA_MIB = 128 };

/* ---- Figures: those of a row are kept behind its columns, so that rows can be added up ---- */

enum figure {
    COST,
    INPUT,
    OUTPUT,
    CACHE_READ,
    CACHE_CREATE,
    SESSIONS,
    ACTIVE_S,
    COMMITS,
    PULL_REQUESTS,
    LINES_ADDED,
    LINES_REMOVED,
    ACCEPTED,
    REJECTED,
    FIGURE_COUNT
};

static void read_figures(const struct usage_day *d, double out[FIGURE_COUNT])
{
    const double figures[FIGURE_COUNT] = {
        [COST] = (double)usage_cost_microcents(d->figures.cost_1e8_usd),
        [INPUT] = (double)d->figures.input_tokens,
        [OUTPUT] = (double)d->figures.output_tokens,
        [CACHE_READ] = (double)d->figures.cache_read_tokens,
        [CACHE_CREATE] = (double)d->figures.cache_create_tokens,
        [SESSIONS] = (double)d->figures.sessions,
        [ACTIVE_S] = d->figures.active_seconds,
        [COMMITS] = (double)d->figures.commits,
        [PULL_REQUESTS] = (double)d->figures.pull_requests,
        [LINES_ADDED] = (double)d->figures.lines_added,
        [LINES_REMOVED] = (double)d->figures.lines_removed,
        [ACCEPTED] = (double)d->figures.edits_accepted,
        [REJECTED] = (double)d->figures.edits_rejected,
    };
    memcpy(out, figures, sizeof figures);
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

static const struct sheet_column COLUMNS[] = {
    {"Cost", "costMicrocents", SHEET_MONEY},
    {"Tokens", "tokens", SHEET_SHORT},
    {"From cache", "cacheShare", SHEET_RATIO},
    {"Sessions", "sessions", SHEET_COUNT},
    {"Active time", "activeSeconds", SHEET_HOURS},
    {"Lines added", "linesAdded", SHEET_COUNT},
    {"Lines removed", "linesRemoved", SHEET_COUNT},
    {"Commits", "commits", SHEET_COUNT},
    {"Pull requests", "pullRequests", SHEET_COUNT},
    {"Edits accepted", "editAcceptRate", SHEET_RATIO},
    {"People", "people", SHEET_COUNT},
    {"People in 7 days", "weeklyPeople", SHEET_COUNT},
    {"People in 30 days", "monthlyPeople", SHEET_COUNT},
};
enum { PEOPLE_COLUMN = 10, WEEK_COLUMN, MONTH_COLUMN, COLUMN_COUNT };

static void fill(struct sheet_row *row, const double f[FIGURE_COUNT])
{
    double read = f[INPUT] + f[CACHE_READ] + f[CACHE_CREATE];
    const double values[PEOPLE_COLUMN] = {f[COST],
                                          read + f[OUTPUT],
                                          ratio(f[CACHE_READ], read),
                                          f[SESSIONS],
                                          f[ACTIVE_S],
                                          f[LINES_ADDED],
                                          f[LINES_REMOVED],
                                          f[COMMITS],
                                          f[PULL_REQUESTS],
                                          ratio(f[ACCEPTED], f[ACCEPTED] + f[REJECTED])};
    memcpy(row->values, values, sizeof values);
}

/* ---- Who was there when ---- */

struct person {
    struct bytes name;
    double figures[FIGURE_COUNT];
    uint64_t last_day; /* of activity, in days since 1970 */
    bool in_view;
};

struct tally {
    const struct view *view;
    struct arena *arena;
    struct person *people; /* sorted by name */
    size_t count, capacity;
    uint64_t first_day, last_day; /* of the view */
    double (*days)[FIGURE_COUNT];
    uint32_t (*active)[3]; /* people of each day, of 7, of 30 */
    uint64_t counted_to;   /* days before this one have their counts */
    bool failed;
};

/* Where a person is, or belongs. */
static size_t place_of(const struct tally *t, struct bytes name)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (usage_compare_texts(t->people[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct person *person_of(struct tally *t, struct bytes name)
{
    size_t at = place_of(t, name);
    if (at < t->count && usage_compare_texts(t->people[at].name, name) == 0)
        return &t->people[at];
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 256;
        struct person *more = arena_alloc_many(t->arena, capacity, sizeof *more);
        if (!more)
            return NULL;
        if (t->count > 0)
            memcpy(more, t->people, t->count * sizeof *more);
        t->people = more;
        t->capacity = capacity;
    }
    struct person new = {0};
    if (!arena_copy(t->arena, name, &new.name))
        return NULL;
    memmove(&t->people[at + 1], &t->people[at], (t->count - at) * sizeof *t->people);
    t->people[at] = new;
    t->count++;
    return &t->people[at];
}

/* Days come in order: when one begins, those before it are complete. */
static void count_until(struct tally *t, uint64_t day)
{
    for (; t->counted_to < day; t->counted_to++) {
        uint64_t at = t->counted_to;
        if (at < t->first_day || at > t->last_day)
            continue;
        for (size_t i = 0; i < t->count; i++) {
            const struct person *one = &t->people[i];
            if (one->name.len == 0 || one->last_day == 0)
                continue;
            uint32_t *active = t->active[at - t->first_day];
            active[0] += one->last_day == at;
            active[1] += one->last_day + WEEK > at;
            active[2] += one->last_day + MONTH > at;
        }
    }
}

static bool is_wanted(const struct tally *t, const struct usage_day *d)
{
    const struct view *v = t->view;
    return (v->system.len == 0 || bytes_equal(v->system, d->system)) &&
           view_wants(v, d->person, d->model);
}

static bool take_day(void *context, const struct usage_day *d)
{
    struct tally *t = context;
    uint64_t day_ns = 0;
    double figures[FIGURE_COUNT];
    if (!is_wanted(t, d) || !instant_parse_day(bytes_of(d->day), &day_ns))
        return true;
    uint64_t day = day_ns / DAY_NS;
    count_until(t, day);
    struct person *one = person_of(t, d->person);
    if (!one) {
        t->failed = true;
        return false;
    }
    one->last_day = day;
    if (day < t->first_day || day > t->last_day)
        return true;
    one->in_view = true;
    read_figures(d, figures);
    for (int f = 0; f < FIGURE_COUNT; f++) {
        one->figures[f] += figures[f];
        t->days[day - t->first_day][f] += figures[f];
    }
    return true;
}

/* ---- Sheets ---- */

static struct sheet make_sheet(struct route_call *call, enum report report, const char *rows)
{
    return (struct sheet){.id = report_id(report),
                          .title = report_title(report),
                          .rows = rows,
                          .csv_row = report == REPORT_DAYS     ? "day"
                                     : report == REPORT_PEOPLE ? "person"
                                                               : "team",
                          .columns = COLUMNS,
                          .column_count = COLUMN_COUNT,
                          .arena = &call->arena};
}

static void make_days(const struct tally *t, struct sheet *s)
{
    for (uint64_t day = t->first_day; day <= t->last_day; day++) {
        char text[INSTANT_DAY_BYTES];
        instant_day(day * DAY_NS, text);
        struct sheet_row *row = sheet_add(s, bytes_of(text));
        if (!row)
            return;
        const uint32_t *active = t->active[day - t->first_day];
        fill(row, t->days[day - t->first_day]);
        row->people = active[0];
        for (int i = 0; i < 3; i++)
            row->values[PEOPLE_COLUMN + i] = active[i];
    }
}

static void make_people(const struct portal *p, struct route_call *call, const struct tally *t,
                        struct report_usage *out)
{
    double(*teams)[FIGURE_COUNT] = arena_alloc_many(&call->arena, t->count + 1, sizeof *teams);
    for (size_t i = 0; teams && i < t->count; i++) {
        const struct person *one = &t->people[i];
        if (!one->in_view)
            continue;
        struct sheet_row *row = sheet_add(&out->people, people_name(p->people, one->name,
                                                                    t->view->names, &call->arena));
        struct sheet_row *team =
            sheet_find(&out->teams, people_team(p->people, one->name, &call->arena));
        if (!row || !team)
            return;
        fill(row, one->figures);
        row->people = 1;
        double *sums = teams[team - out->teams.list];
        for (int f = 0; f < FIGURE_COUNT; f++)
            sums[f] += one->figures[f];
        fill(team, sums);
        team->people = (team->people < 0 ? 0 : team->people) + 1;
        team->values[PEOPLE_COLUMN] = (double)team->people;
    }
    sheet_sort(&out->people, 0, 0);
    sheet_sort(&out->teams, 0, 0);
}

static void make_totals(const struct tally *t, struct report_totals *out)
{
    double sums[FIGURE_COUNT] = {0};
    for (size_t i = 0; i < t->count; i++) {
        out->people += t->people[i].in_view && t->people[i].name.len > 0;
        for (int f = 0; f < FIGURE_COUNT; f++)
            sums[f] += t->people[i].figures[f];
    }
    out->cost = sums[COST];
    out->input = sums[INPUT];
    out->output = sums[OUTPUT];
    out->cache_read = sums[CACHE_READ];
    out->cache_create = sums[CACHE_CREATE];
    out->sessions = sums[SESSIONS];
    out->active_seconds = sums[ACTIVE_S];
    out->commits = sums[COMMITS];
    out->pull_requests = sums[PULL_REQUESTS];
    out->lines_added = sums[LINES_ADDED];
    out->lines_removed = sums[LINES_REMOVED];
    out->edits_accepted = sums[ACCEPTED];
    out->edits_rejected = sums[REJECTED];
}

static bool tally_up(const struct portal *p, struct route_call *call, struct tally *t,
                     struct error *err)
{
    const struct view *v = t->view;
    size_t days = v->days;
    uint64_t before_ns = v->from_ns > MONTH * DAY_NS ? v->from_ns - MONTH * DAY_NS : 0;
    /* Grouping finer than needed splits a session that used two models or systems. */
    unsigned grouping = USAGE_BY_PERSON | (v->system.len > 0 ? (unsigned)USAGE_BY_SYSTEM : 0U) |
                        (v->model.len > 0 ? (unsigned)USAGE_BY_MODEL : 0U);
    struct arena usage = {.max_bytes = USAGE_ARENA_MIB * MIB};
    t->arena = &call->arena;
    t->first_day = v->from_ns / DAY_NS;
    t->last_day = t->first_day + days - 1;
    t->counted_to = t->first_day;
    t->days = arena_alloc_many(t->arena, days, sizeof *t->days);
    t->active = arena_alloc_many(t->arena, days, sizeof *t->active);
    t->failed = !t->days || !t->active;
    const struct usage_question question = {.messages = p->messages,
                                            .control = p->control,
                                            .integrations = p->integrations,
                                            .from_ns = before_ns,
                                            .to_ns = v->to_ns - 1,
                                            .now_ns = clock_wall_ns(p->clock),
                                            .grouping = grouping,
                                            /* No API knows our systems. */
                                            .has_only = v->system.len > 0,
                                            .only = USAGE_OTEL};
    bool done = !t->failed && usage_visit_days(&question, &usage, take_day, t, err);
    arena_clear(&usage);
    if (t->failed)
        return error_set(err, FAIL_TOO_LARGE, "there are too many people for one report");
    if (done)
        count_until(t, t->last_day + 1);
    return done;
}

bool report_make_usage(const struct portal *p, struct route_call *call, const struct view *view,
                       struct report_usage *out, struct error *err)
{
    struct tally tally = {.view = view};
    *out = (struct report_usage){
        .days = make_sheet(call, REPORT_DAYS, "Day"),
        .people = make_sheet(call, REPORT_PEOPLE, "Person"),
        .teams = make_sheet(call, REPORT_TEAMS, "Team"),
    };
    out->days.is_days = true;
    out->days.charts = "0,1,4";
    out->people.column_count = PEOPLE_COLUMN;
    out->people.max_shown = PEOPLE_SHOWN;
    out->people.bar_column = out->teams.bar_column = 1;
    out->teams.column_count = WEEK_COLUMN;
    if (!people_refresh(p->people, err))
        return false;
    if (!tally_up(p, call, &tally, err))
        return false;
    make_days(&tally, &out->days);
    make_people(p, call, &tally, out);
    make_totals(&tally, &out->totals);
    return !(out->days.full || out->people.full || out->teams.full) ||
           error_set(err, FAIL_TOO_LARGE, "there are too many people for one report");
}
