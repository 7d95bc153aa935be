#include "server/query/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/query/usage_cells.h"

#define DAY_NS (UINT64_C(86400) * NS_PER_S)

/* A long range is answered month by month, so that memory depends on the people, not on the years. */
enum { WINDOW_DAYS = 31 };

static const char *const source_names[] = {"enterprise_api", "admin_api", "otel"};

const char *usage_source_name(enum usage_source source)
{
    return source_names[source];
}

bool usage_source_of_name(struct bytes name, enum usage_source *out)
{
    for (int s = 0; s < USAGE_SOURCE_COUNT; s++) {
        *out = (enum usage_source)s;
        if (bytes_equal_text(name, source_names[s]))
            return true;
    }
    return false;
}

const char *usage_family_name(enum usage_family family)
{
    static const char *const names[] = {"tokens", "activity", "edits"};
    return names[family];
}

void usage_sources_text(unsigned sources, char out[48])
{
    out[0] = '\0';
    for (int s = 0; s < USAGE_SOURCE_COUNT; s++)
        if (sources & 1u << s)
            snprintf(out + strlen(out), 48 - strlen(out), "%s%s", out[0] ? "+" : "",
                     source_names[s]);
}

int64_t usage_cost_microcents(int64_t cost_1e8_usd)
{
    int64_t up = cost_1e8_usd + 50;
    return up / 100 - (up % 100 < 0);
}

/* ---- Reading a window of days ---- */

static bool fail_full(struct error *err)
{
    error_set(err, FAIL_TOO_LARGE, "the range holds too many sessions for one answer");
    return error_remedy(err, "narrow from and to");
}

static bool read_window(const struct usage_question *q, uint64_t from_ns, uint64_t to_ns,
                        struct usage_cells *cells, struct error *err)
{
    char from_day[INSTANT_DAY_BYTES], to_day[INSTANT_DAY_BYTES];
    instant_day(from_ns, from_day);
    instant_day(to_ns, to_day);
    if (!(q->requests_only ? usage_read_requests(q->messages, from_ns, to_ns, cells, err)
                           : usage_read_otel(q->messages, from_day, to_day, cells, err)))
        return false;
    if (!cells->full && q->control && q->control->kind->api_usage &&
        !usage_read_api(q, from_day, to_day, cells, err))
        return false;
    return !cells->full || fail_full(err);
}

typedef bool window_visit(const struct usage_question *q, struct usage_cells *cells, void *context);

static bool visit_windows(const struct usage_question *q, struct arena *arena, window_visit *visit,
                          void *context, struct error *err)
{
    uint64_t last = q->to_ns / DAY_NS;
    bool ok = true, more = true;
    for (uint64_t day = q->from_ns / DAY_NS; ok && more && day <= last; day += WINDOW_DAYS) {
        uint64_t end = day + WINDOW_DAYS - 1 < last ? day + WINDOW_DAYS - 1 : last;
        struct usage_cells cells = {.arena = arena};
        arena_reset(arena);
        ok = read_window(q, day * DAY_NS, end * DAY_NS, &cells, err);
        more = ok && visit(q, &cells, context);
        free(cells.items);
    }
    return ok;
}

/* ---- Groups ---- */

static int compare_groups(const struct usage_cell *a, const struct usage_cell *b)
{
    int order = strcmp(a->day, b->day);
    if (order == 0)
        order = usage_compare_texts(a->person, b->person);
    if (order == 0)
        order = usage_compare_texts(a->actor, b->actor);
    if (order == 0)
        order = usage_compare_texts(a->model, b->model);
    return order != 0 ? order : usage_compare_texts(a->system, b->system);
}

static int by_group(const void *first, const void *second)
{
    const struct usage_cell *a = first, *b = second;
    int order = compare_groups(a, b);
    if (order == 0)
        order = usage_compare_texts(a->session, b->session);
    if (order == 0) /* sums of fractions depend on the order */
        order = (a->figures.active_seconds > b->figures.active_seconds) -
                (a->figures.active_seconds < b->figures.active_seconds);
    return order;
}

static int by_group_and_person(const void *first, const void *second)
{
    const struct usage_cell *a = first, *b = second;
    int order = strcmp(a->day, b->day);
    if (order == 0)
        order = usage_compare_texts(a->model, b->model);
    if (order == 0)
        order = usage_compare_texts(a->system, b->system);
    if (order == 0)
        order = usage_compare_texts(a->person, b->person);
    return order != 0 ? order : usage_compare_texts(a->actor, b->actor);
}

static bool is_somebody(const struct usage_cell *c)
{
    return c->person.len > 0 || c->actor.len > 0;
}

/* Writes into every cell how many people its group has, before their names are taken out. */
static void count_people(struct usage_cells *cells)
{
    if (cells->count > 0)
        qsort(cells->items, cells->count, sizeof *cells->items, by_group_and_person);
    for (size_t begin = 0, end; begin < cells->count; begin = end) {
        const struct usage_cell *first = &cells->items[begin], *last = NULL;
        int64_t people = 0;
        for (end = begin; end < cells->count; end++) {
            const struct usage_cell *c = &cells->items[end];
            if (strcmp(c->day, first->day) != 0 || !bytes_equal(c->model, first->model) ||
                !bytes_equal(c->system, first->system))
                break;
            bool same =
                last && bytes_equal(last->person, c->person) && bytes_equal(last->actor, c->actor);
            people += is_somebody(c) && !same;
            last = c;
        }
        for (size_t i = begin; i < end; i++)
            cells->items[i].people = people;
    }
}

/* Leaves of the names only what is grouped by. */
static void narrow(struct usage_cells *cells, unsigned grouping)
{
    for (size_t i = 0; i < cells->count; i++) {
        struct usage_cell *c = &cells->items[i];
        if (!(grouping & USAGE_BY_MODEL))
            c->model.len = 0;
        if (!(grouping & USAGE_BY_SYSTEM))
            c->system.len = 0;
        c->people = is_somebody(c);
    }
    if (grouping & USAGE_BY_PERSON)
        return;
    count_people(cells);
    for (size_t i = 0; i < cells->count; i++)
        cells->items[i].person.len = cells->items[i].actor.len = 0;
}

/* Cells sorted by session. */
static struct usage_day sum_up(const struct usage_cell *cells, size_t count)
{
    struct usage_day d = {.person = cells->person,
                          .actor = cells->actor,
                          .model = cells->model,
                          .system = cells->system,
                          .people = cells->people};
    int64_t distinct = 0, told_by_api = 0;
    memcpy(d.day, cells->day, sizeof d.day);
    for (size_t i = 0; i < count; i++) {
        const struct usage_cell *c = &cells[i];
        usage_figures_add(&d.figures, &c->figures);
        told_by_api += c->source != USAGE_OTEL ? c->figures.sessions : 0;
        distinct += c->session.len > 0 &&
                    (i == 0 || usage_compare_texts(cells[i - 1].session, c->session) != 0);
        for (int f = 0; f < USAGE_FAMILY_COUNT; f++)
            d.sources[f] |= 1u << c->winner[f];
        d.provisional |= c->provisional;
    }
    /* Sessions begun the day before, or told without the session metric. */
    if (d.figures.sessions < distinct + told_by_api)
        d.figures.sessions = distinct + told_by_api;
    return d;
}

struct day_visit {
    usage_day_visit *visit;
    void *context;
};

static bool visit_groups(const struct usage_question *q, struct usage_cells *cells, void *context)
{
    const struct day_visit *to = context;
    usage_choose(cells, q);
    narrow(cells, q->grouping);
    if (cells->count > 0)
        qsort(cells->items, cells->count, sizeof *cells->items, by_group);
    for (size_t begin = 0, end; begin < cells->count; begin = end) {
        for (end = begin + 1;
             end < cells->count && compare_groups(&cells->items[begin], &cells->items[end]) == 0;
             end++)
            ;
        struct usage_day day = sum_up(&cells->items[begin], end - begin);
        if (!to->visit(to->context, &day))
            return false;
    }
    return true;
}

bool usage_visit_days(const struct usage_question *question, struct arena *arena,
                      usage_day_visit *visit, void *context, struct error *err)
{
    struct day_visit to = {visit, context};
    return visit_windows(question, arena, visit_groups, &to, err);
}

/* ---- Tellings ---- */

struct telling_visit {
    usage_telling_visit *visit;
    void *context;
};

/* One source's cells of a person's day: the beta's tokens and cost instead of the older reports'. */
static void add_source(struct usage_telling *t, const struct usage_cell *cells, size_t count,
                       enum usage_source source)
{
    bool beta_tells[PART_COUNT] = {false};
    for (size_t i = 0; i < count; i++)
        for (int p = 0; p < PART_COUNT; p++)
            beta_tells[p] |= cells[i].source == source && cells[i].beta &&
                             usage_part_weight(&cells[i].figures, (enum usage_part)p) > 0;
    for (size_t i = 0; i < count; i++) {
        struct usage_figures f = cells[i].figures;
        if (cells[i].source != source)
            continue;
        for (int p = 0; p < PART_COUNT; p++) {
            if (!cells[i].beta && beta_tells[p])
                usage_part_drop(&f, (enum usage_part)p);
            t->by[source].any |= usage_part_weight(&f, (enum usage_part)p) > 0;
        }
        t->by[source].any |= f.requests > 0;
        usage_figures_add(&t->by[source].figures, &f);
    }
}

static bool visit_persons(const struct usage_question *q, struct usage_cells *cells, void *context)
{
    const struct telling_visit *to = context;
    (void)q;
    usage_sort_by_person(cells);
    for (size_t begin = 0, end; begin < cells->count; begin = end) {
        const struct usage_cell *first = &cells->items[begin];
        for (end = begin + 1;
             end < cells->count && usage_same_person_day(first, &cells->items[end]); end++)
            ;
        struct usage_telling telling = {.person = first->person, .actor = first->actor};
        memcpy(telling.day, first->day, sizeof telling.day);
        for (int s = 0; s < USAGE_SOURCE_COUNT; s++)
            add_source(&telling, first, end - begin, (enum usage_source)s);
        if (!to->visit(to->context, &telling))
            return false;
    }
    return true;
}

bool usage_visit_tellings(const struct usage_question *question, struct arena *arena,
                          usage_telling_visit *visit, void *context, struct error *err)
{
    struct telling_visit to = {visit, context};
    return visit_windows(question, arena, visit_persons, &to, err);
}
