/* The first page: what was spent, by whom, on what, in the last days. From daily sums alone. */
#include <math.h>
#include <stdio.h>

#include "server/portal/overview_sums.h"
#include "server/portal/pages.h"

enum { TOP_ROWS = 10 };

/* ---- Tiles ---- */

static void put_change(struct page *page, const struct view *view, double now, double before)
{
    if (!(before > 0) || isnan(now))
        return;
    double change = now / before - 1;
    html_raw(page, "<span class=\"change\">");
    html_format(page, "%s%.0f%%", change < 0 ? "−" : "+", fabs(change) * 100);
    html_raw(page, " <span class=\"hint\">");
    html_format(page, "vs %u d before", view->days);
    html_raw(page, "</span></span>");
}

static void put_hint(struct page *page, const char *text)
{
    html_raw(page, "<span class=\"change\"><span class=\"hint\">");
    html_format(page, "%s", text);
    html_raw(page, "</span></span>");
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

static void put_tiles(struct page *page, const struct view *view, const struct overview_sums *o)
{
    const double *now = o->now, *before = o->before;
    double share = overview_cache_share(now);
    html_raw(page, "<dl class=\"tiles\">");
    open_tile(page, "Cost");
    html_sum(page, now[SUM_COST]);
    put_change(page, view, now[SUM_COST], before[SUM_COST]);
    close_tile(page);
    open_tile(page, "Cost per person");
    if (now[SUM_PEOPLE] > 0)
        html_sum(page, now[SUM_COST] / now[SUM_PEOPLE]);
    else
        html_raw(page, "–");
    put_change(page, view, now[SUM_COST] / now[SUM_PEOPLE], before[SUM_COST] / before[SUM_PEOPLE]);
    close_tile(page);
    open_tile(page, "Tokens");
    html_short(page, overview_tokens(now));
    put_change(page, view, overview_tokens(now), overview_tokens(before));
    close_tile(page);
    open_tile(page, "From cache");
    if (isnan(share))
        html_raw(page, "–");
    else
        html_share(page, share);
    put_hint(page, "of what models read");
    close_tile(page);
    open_tile(page, "People");
    html_count(page, (int64_t)now[SUM_PEOPLE]);
    put_change(page, view, now[SUM_PEOPLE], before[SUM_PEOPLE]);
    close_tile(page);
    open_tile(page, "Sessions");
    html_count(page, (int64_t)o->sessions);
    put_hint(page, o->from_apis ? "that OpenTelemetry saw" : "with a request");
    close_tile(page);
    open_tile(page, "Requests");
    html_count(page, (int64_t)now[SUM_REQUESTS]);
    put_change(page, view, now[SUM_REQUESTS], before[SUM_REQUESTS]);
    close_tile(page);
    html_raw(page, "</dl>");
}

/* ---- Sheets ---- */

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

static void put_group(struct page *page, struct view *view, struct sheet *s, const char *parameter)
{
    sheet_sort(s, SUM_COST, TOP_ROWS);
    link_rows(s, view, parameter);
    put_section(page, s, view);
}

/* People, and from them the teams. */
static bool put_people(const struct portal *p, struct page *page, struct route_call *call,
                       const struct view *view, struct sheet *people, struct error *err)
{
    struct sheet teams = overview_sheet(call, "teams", "By team", "Team");
    if (!people_refresh(p->people, err))
        return false;
    for (size_t i = 0; i < people->count; i++) {
        const struct sheet_row *one = &people->list[i];
        struct bytes name = people_team(p->people, one->name, &call->arena);
        struct sheet_row *team = sheet_find(&teams, name);
        if (!team)
            break;
        double sums[SUM_COUNT];
        for (size_t m = 0; m < SUM_COUNT; m++)
            sums[m] = one->values[OVERVIEW_RAW + m] +
                      (team->people < 0 ? 0 : team->values[OVERVIEW_RAW + m]);
        overview_fill_row(team, sums);
    }
    sheet_sort(&teams, SUM_COST, 0);
    link_rows(&teams, view, "team");
    put_section(page, &teams, view);
    if (!privacy_has_people(view->names))
        return true;
    people->column_count--; /* how many people a person is needs no column */
    sheet_sort(people, SUM_COST, TOP_ROWS);
    if (view->names == PRIVACY_NAMED)
        link_rows(people, view, "person");
    for (size_t i = 0; i < people->count; i++)
        people->list[i].name =
            people_name(p->people, people->list[i].name, view->names, &call->arena);
    put_section(page, people, view);
    return true;
}

/* ---- The page ---- */

/* Nothing in these days: perhaps nothing at all yet. */
static void put_nothing(struct page *page, const struct route_call *call)
{
    html_raw(page, "<section class=\"start\"><h2>No requests in these days</h2>"
                   "<p>Choose other days or filters above. If this server is new, telemetry gets "
                   "here in three "
                   "steps:</p><ol>");
    html_raw(page,
             "<li>On the server, make a token: "
             "<code>claude-telemetry-server token create --system NAME</code>; or, for machines "
             "with our agent, "
             "<code>claude-telemetry-server enrollment-secret create --system NAME</code>.</li>"
             "<li>Install the agent with that secret on a developer's machine. It writes Claude "
             "Code's settings "
             "by itself; without it, point <code>OTEL_EXPORTER_OTLP_ENDPOINT</code> at this "
             "server's address.</li>"
             "<li>Use Claude Code there. The first request is here within a minute; if not, "
             "<code>claude-telemetry-doctor</code> on that machine says why.</li></ol>");
    if (call->who.role >= ROLE_ANALYST)
        html_raw(page,
                 "<p><a href=\"/fleet\">Fleet</a> shows which machines report, "
                 "<a href=\"/integrations\">Integrations</a> what else can be connected.</p>");
    html_raw(page, "</section>");
}

static bool put_sections(const struct portal *p, struct page *page, struct route_call *call,
                         struct view *view, struct overview_sums *o, struct error *err)
{
    if (o->now[SUM_REQUESTS] <= 0 && o->now[SUM_COST] <= 0 && overview_tokens(o->now) <= 0) {
        put_nothing(page, call);
        return true;
    }
    if (view->names == PRIVACY_COHORTS && o->before[SUM_PEOPLE] < PRIVACY_MIN_COHORT)
        memset(o->before, 0, sizeof o->before); /* the change would give theirs away */
    if (view->names == PRIVACY_COHORTS && o->now[SUM_PEOPLE] < PRIVACY_MIN_COHORT) {
        html_raw(page, "<p class=\"empty\">Fewer than five people: nothing is shown.</p>");
        return true;
    }
    put_tiles(page, view, o);
    if (o->from_apis)
        html_raw(page,
                 "<p class=\"note\">Where one of Anthropic's APIs has told of a person's day, its "
                 "figures stand "
                 "in for OpenTelemetry's. <a href=\"/coverage\">Coverage</a> compares them.</p>");
    put_section(page, &o->days, view);
    html_raw(page, "<div class=\"columns-2\">");
    put_group(page, view, &o->models, "model");
    bool done = put_people(p, page, call, view, &o->people, err);
    if (done)
        put_group(page, view, &o->systems, "system");
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
    struct overview_sums sums;
    bool done = overview_read(p, call, &view, &sums, &err);
    if (done && view.filter_count == 0) /* then it has read every model */
        view.models = &sums.models;
    page_open(&page, call, TAB_OVERVIEW, "Overview");
    view_open_form(&page, p, call, &view, "/");
    view_close_form(&page, &view, "/");
    view_put_summary(&page, &view);
    done = done && put_sections(p, &page, call, &view, &sums, &err);
    if (!done)
        portal_put_failure(p, &page, "cannot show the overview", &err);
    page_answer(&page, call->exchange, done ? 200 : 503);
}
