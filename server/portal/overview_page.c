/* The first page: what was spent, by whom, on what, in the last days. From daily sums alone. */
#include <math.h>
#include <stdio.h>

#include "server/portal/pages.h"
#include "server/portal/sheet.h"
#include "server/portal/view.h"
#include "server/query/instant.h"

enum { TOP_ROWS = 10 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

/* What every sum of the page asks for, in this order. */
static const struct aggregate_metric METRICS[] = {
    {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_SUM, .field = FIELD_INPUT_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_OUTPUT_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_CACHE_READ_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_CACHE_CREATE_TOKENS},
    {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON},
};
enum { COST, REQUESTS, INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, PEOPLE, METRIC_COUNT };

struct sums {
    double values[METRIC_COUNT];
};

static double tokens_of(const double v[METRIC_COUNT])
{
    return v[INPUT] + v[OUTPUT] + v[CACHE_READ] + v[CACHE_WRITE];
}

/* Of what models read, the part that came out of the cache. */
static double cache_share_of(const double v[METRIC_COUNT])
{
    double read = v[INPUT] + v[CACHE_READ] + v[CACHE_WRITE];
    return read > 0 ? v[CACHE_READ] / read : (double)NAN;
}

static const struct sheet_column COLUMNS[] = {
    {"Cost", "costMicrocents", SHEET_MONEY}, {"Requests", "requests", SHEET_COUNT},
    {"Tokens", "tokens", SHEET_SHORT},       {"From cache", "cacheShare", SHEET_RATIO},
    {"People", "people", SHEET_COUNT},
};
enum { COLUMN_COUNT = sizeof COLUMNS / sizeof *COLUMNS };

/* Behind what is shown, each row keeps the sums it came from, so that rows can be added up. */
enum { RAW = SHEET_MAX_COLUMNS - METRIC_COUNT };
_Static_assert((int)COLUMN_COUNT <= (int)RAW, "the sums lie behind the columns");

static void fill_row(struct sheet_row *row, const double v[METRIC_COUNT])
{
    const double values[COLUMN_COUNT] = {v[COST], v[REQUESTS], tokens_of(v), cache_share_of(v),
                                         v[PEOPLE]};
    memcpy(row->values, values, sizeof values);
    memcpy(row->values + RAW, v, METRIC_COUNT * sizeof *v);
    row->people = (int64_t)v[PEOPLE];
}

/* ---- Asking ---- */

struct asking {
    struct sheet *sheet; /* one row each, or */
    struct sums *sums;   /* one row alone */
};

static bool take_row(void *context, const struct aggregate_row *row)
{
    struct asking *a = context;
    if (a->sums) {
        memcpy(a->sums->values, row->numbers, sizeof a->sums->values);
        return true;
    }
    struct sheet_row *out =
        sheet_add(a->sheet, a->sheet->is_days ? row->interval_start : row->groups[0]);
    if (out)
        fill_row(out, row->numbers);
    return out != NULL;
}

static bool ask(const struct portal *p, struct view *view, const enum message_field *group,
                struct asking *asking, struct error *err)
{
    const struct bytes generation = bytes_of(message_type_name(MESSAGE_GENERATION));
    const struct aggregate_group groups = {.field = group ? *group : FIELD_TYPE};
    const struct aggregate_query query = {
        .where = view_query(view, &generation),
        .groups = &groups,
        .group_count = group ? 1 : 0,
        .metrics = METRICS,
        .metric_count = METRIC_COUNT,
        .interval = asking->sheet && asking->sheet->is_days ? INTERVAL_DAY : INTERVAL_NONE,
    };
    return p->messages->kind->aggregate(p->messages, &query, take_row, asking, err);
}

/* The days before, as many, to compare with. */
static bool ask_before(const struct portal *p, const struct view *view, struct sums *out,
                       struct error *err)
{
    struct view before = *view;
    before.to_ns = view->from_ns;
    before.from_ns = view->from_ns > view->days * DAY_NS ? view->from_ns - view->days * DAY_NS : 0;
    return ask(p, &before, NULL, &(struct asking){.sums = out}, err);
}

static bool take_number(void *context, const struct aggregate_row *row)
{
    *(double *)context = row->numbers[0];
    return true;
}

static bool ask_sessions(const struct portal *p, struct view *view, double *out, struct error *err)
{
    const struct bytes generation = bytes_of(message_type_name(MESSAGE_GENERATION));
    const struct aggregate_metric metric = {.function = AGGREGATE_UNIQ, .field = FIELD_SESSION_ID};
    const struct aggregate_query query = {.where = view_query(view, &generation),
                                          .metrics = &metric,
                                          .metric_count = 1};
    *out = 0;
    return p->messages->kind->aggregate(p->messages, &query, take_number, out, err);
}

/* ---- Tiles ---- */

static void put_change(struct page *page, double now, double before)
{
    if (!(before > 0) || isnan(now))
        return;
    double change = now / before - 1;
    html_raw(page, "<span class=\"change\">");
    html_format(page, "%s%.0f%%", change < 0 ? "−" : "+", fabs(change) * 100);
    html_raw(page, " <span class=\"hint\">on the days before</span></span>");
}

static void open_tile(struct page *page, const char *title)
{
    html_raw(page, "<div class=\"tile\"><dt>");
    html_format(page, "%s", title);
    html_raw(page, "</dt><dd>");
}

static void close_tile(struct page *page)
{
    html_raw(page, "</dd></div>");
}

static void put_tiles(struct page *page, const struct sums *now, const struct sums *before,
                      double sessions)
{
    html_raw(page, "<dl class=\"tiles\">");
    open_tile(page, "Cost");
    html_money(page, now->values[COST]);
    put_change(page, now->values[COST], before->values[COST]);
    close_tile(page);
    open_tile(page, "Tokens");
    html_short(page, tokens_of(now->values));
    put_change(page, tokens_of(now->values), tokens_of(before->values));
    close_tile(page);
    open_tile(page, "From cache");
    double share = cache_share_of(now->values);
    if (isnan(share))
        html_raw(page, "–");
    else
        html_share(page, share);
    html_raw(page, "<span class=\"change\"><span class=\"hint\">of what models read</span></span>");
    close_tile(page);
    open_tile(page, "People");
    html_count(page, (int64_t)now->values[PEOPLE]);
    put_change(page, now->values[PEOPLE], before->values[PEOPLE]);
    close_tile(page);
    open_tile(page, "Sessions");
    html_count(page, (int64_t)sessions);
    close_tile(page);
    open_tile(page, "Requests");
    html_count(page, (int64_t)now->values[REQUESTS]);
    put_change(page, now->values[REQUESTS], before->values[REQUESTS]);
    close_tile(page);
    html_raw(page, "</dl>");
}

/* ---- Sheets ---- */

static struct sheet make_sheet(struct route_call *call, const char *id, const char *title,
                               const char *rows)
{
    return (struct sheet){.id = id,
                          .title = title,
                          .rows = rows,
                          .csv_row = id,
                          .columns = COLUMNS,
                          .column_count = COLUMN_COUNT,
                          .bar_column = COST + 1,
                          .arena = &call->arena};
}

/* A row leads to the same page with one filter more. */
static void link_rows(struct sheet *s, const struct view *view, const char *parameter)
{
    for (size_t i = 0; i < s->count; i++) {
        struct page link = {.out = {.max_bytes = 4 * KIB}};
        if (s->list[i].name.len == 0)
            continue;
        html_raw(&link, "/?");
        struct view with = *view;
        struct bytes *place = strcmp(parameter, "model") == 0    ? &with.model
                              : strcmp(parameter, "person") == 0 ? &with.person
                              : strcmp(parameter, "team") == 0   ? &with.team
                                                                 : &with.system;
        *place = s->list[i].name;
        view_put_parameters(&link, &with);
        if (!link.failed && !arena_copy(s->arena, buffer_bytes(&link.out), &s->list[i].link))
            s->full = true;
        buffer_clear(&link.out);
    }
}

static void put_section(struct page *page, struct sheet *s, const struct view *view)
{
    if (view->names == PRIVACY_COHORTS)
        sheet_keep_cohorts(s);
    html_raw(page, "<section><h2>");
    html_format(page, "%s", s->title);
    html_raw(page, "</h2>");
    sheet_put(page, s);
    html_raw(page, "</section>");
}

static bool put_group(const struct portal *p, struct page *page, struct view *view, struct sheet *s,
                      enum message_field field, const char *parameter, struct error *err)
{
    if (!ask(p, view, &field, &(struct asking){.sheet = s}, err))
        return false;
    sheet_sort(s, COST, TOP_ROWS);
    link_rows(s, view, parameter);
    put_section(page, s, view);
    return true;
}

/* Everybody's sums are also everything's, which saves asking for those. */
static bool ask_people(const struct portal *p, struct view *view, struct sheet *people,
                       struct sums *out, struct error *err)
{
    enum message_field field = FIELD_PERSON;
    if (!ask(p, view, &field, &(struct asking){.sheet = people}, err))
        return false;
    for (size_t i = 0; i < people->count; i++)
        for (size_t m = 0; m < METRIC_COUNT; m++)
            out->values[m] += people->list[i].values[RAW + m];
    return true;
}

/* People, and from them the teams. */
static bool put_people(const struct portal *p, struct page *page, struct route_call *call,
                       const struct view *view, struct sheet *people, struct error *err)
{
    struct sheet teams = make_sheet(call, "teams", "By team", "Team");
    if (!people_refresh(p->people, err))
        return false;
    for (size_t i = 0; i < people->count; i++) {
        const struct sheet_row *one = &people->list[i];
        struct bytes name = people_team(p->people, one->name, &call->arena);
        struct sheet_row *team = sheet_find(&teams, name);
        if (!team)
            break;
        double sums[METRIC_COUNT];
        for (size_t m = 0; m < METRIC_COUNT; m++)
            sums[m] = one->values[RAW + m] + (team->people < 0 ? 0 : team->values[RAW + m]);
        fill_row(team, sums);
    }
    sheet_sort(&teams, COST, 0);
    link_rows(&teams, view, "team");
    put_section(page, &teams, view);
    if (view->names == PRIVACY_COHORTS)
        return true;
    people->column_count--; /* how many people a person is needs no column */
    sheet_sort(people, COST, TOP_ROWS);
    if (view->names == PRIVACY_NAMED)
        link_rows(people, view, "person");
    for (size_t i = 0; i < people->count; i++)
        people->list[i].name =
            people_name(p->people, people->list[i].name, view->names, &call->arena);
    put_section(page, people, view);
    return true;
}

/* Quiet days have no row in the store and are 0. */
static void fill_days(struct sheet *days, const struct view *view)
{
    struct sheet all = *days;
    all.list = NULL;
    all.count = all.capacity = 0;
    size_t next = 0;
    for (uint64_t at = view->from_ns; at < view->to_ns; at += DAY_NS) {
        char day[INSTANT_DAY_BYTES];
        instant_day(at, day);
        struct sheet_row *row = sheet_add(&all, bytes_of(day));
        if (!row)
            break;
        if (next < days->count && bytes_equal_text(days->list[next].name, day)) {
            memcpy(row->values, days->list[next].values, sizeof row->values);
            row->people = days->list[next++].people;
        } else {
            const double nothing[METRIC_COUNT] = {0};
            fill_row(row, nothing);
        }
    }
    *days = all;
}

static bool put_sections(const struct portal *p, struct page *page, struct route_call *call,
                         struct view *view, struct error *err)
{
    struct sums now = {{0}}, before = {{0}};
    double sessions = 0;
    struct sheet days = make_sheet(call, "days", "By day", "Day");
    struct sheet models = make_sheet(call, "models", "By model", "Model");
    struct sheet systems = make_sheet(call, "systems", "By system", "System");
    days.is_days = true;
    days.bar_column = 0;
    days.charts = "0,2,4";
    struct sheet people = make_sheet(call, "people", "By person", "Person");
    if (!ask_people(p, view, &people, &now, err) || !ask_before(p, view, &before, err) ||
        !ask_sessions(p, view, &sessions, err) ||
        !ask(p, view, NULL, &(struct asking){.sheet = &days}, err))
        return false;
    if (view->names == PRIVACY_COHORTS && now.values[PEOPLE] < PRIVACY_MIN_COHORT) {
        html_raw(page, "<p class=\"empty\">Fewer than five people: nothing is shown.</p>");
        return true;
    }
    put_tiles(page, &now, &before, sessions);
    fill_days(&days, view);
    put_section(page, &days, view);
    html_raw(page, "<div class=\"columns-2\">");
    bool done = put_group(p, page, view, &models, FIELD_MODEL, "model", err) &&
                put_people(p, page, call, view, &people, err) &&
                put_group(p, page, view, &systems, FIELD_SYSTEM, "system", err);
    html_raw(page, "</div>");
    return done;
}

void portal_show_overview(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct view view;
    struct page page;
    if (!view_read(p, call, &view, &err)) {
        page_answer_problem(call, TAB_OVERVIEW, err.kind == FAIL_DENIED ? 403 : 400, "Overview",
                            err.cause);
        return;
    }
    page_open(&page, call, TAB_OVERVIEW, "Overview");
    view_open_form(&page, p, call, &view, "/");
    view_close_form(&page, &view, "/");
    view_put_summary(&page, &view);
    bool done = put_sections(p, &page, call, &view, &err);
    if (!done)
        portal_put_failure(p, &page, "cannot show the overview", &err);
    page_answer(&page, call->exchange, done ? 200 : 503);
}
