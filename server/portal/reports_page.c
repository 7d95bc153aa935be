/* /reports: the report pack on one page, made to be printed; /reports.csv: one sheet of it. */
#include <math.h>
#include <stdio.h>

#include "server/portal/pages.h"
#include "server/portal/reports.h"
#include "server/router/note.h"

static void put_figure(struct page *page, const char *title, double value, enum sheet_unit unit)
{
    html_raw(page, "<div class=\"tile\"><dt>");
    html_format(page, "%s", title);
    html_raw(page, "</dt><dd>");
    if (isnan(value))
        html_raw(page, "–");
    else if (unit == SHEET_MONEY)
        html_sum(page, value);
    else if (unit == SHEET_SHORT)
        html_short(page, value);
    else if (unit == SHEET_RATIO)
        html_share(page, value);
    else if (unit == SHEET_HOURS)
        html_format(page, "%.0f h", value / 3600);
    else
        html_count(page, (int64_t)value);
    html_raw(page, "</dd></div>");
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

static void put_totals(struct page *page, const struct report_totals *t)
{
    double read = t->input + t->cache_read + t->cache_create;
    html_raw(page, "<dl class=\"tiles twelve\">");
    put_figure(page, "Cost", t->cost, SHEET_MONEY);
    put_figure(page, "Cost per person", ratio(t->cost, (double)t->people), SHEET_MONEY);
    put_figure(page, "Tokens", read + t->output, SHEET_SHORT);
    put_figure(page, "From cache", ratio(t->cache_read, read), SHEET_RATIO);
    put_figure(page, "People", (double)t->people, SHEET_COUNT);
    put_figure(page, "Sessions", t->sessions, SHEET_COUNT);
    put_figure(page, "Active time", t->active_seconds, SHEET_HOURS);
    put_figure(page, "Lines added", t->lines_added, SHEET_COUNT);
    put_figure(page, "Lines removed", t->lines_removed, SHEET_COUNT);
    put_figure(page, "Commits", t->commits, SHEET_COUNT);
    put_figure(page, "Pull requests", t->pull_requests, SHEET_COUNT);
    put_figure(page, "Edits accepted",
               ratio(t->edits_accepted, t->edits_accepted + t->edits_rejected), SHEET_RATIO);
    html_raw(page, "</dl>");
}

static void put_csv_link(struct page *page, const struct view *view, enum report report)
{
    html_raw(page, " <a class=\"csv\" href=\"/reports.csv?sheet=");
    html_raw(page, report_id(report));
    html_raw(page, "&amp;");
    view_put_parameters(page, view);
    html_raw(page, "\">CSV<span class=\"away\"> of ");
    html_format(page, "%s", report_title(report));
    html_raw(page, "</span></a>");
}

static bool is_shown(const struct view *view, enum report report)
{
    return report != REPORT_PEOPLE || privacy_has_people(view->names);
}

static void put_contents(struct page *page, const struct view *view)
{
    html_raw(page, "<nav class=\"contents\" aria-label=\"Sheets\"><ul>");
    for (int report = 0; report < REPORT_COUNT; report++) {
        if (!is_shown(view, (enum report)report))
            continue;
        html_raw(page, "<li><a href=\"#sheet-");
        html_raw(page, report_id((enum report)report));
        html_raw(page, "\">");
        html_format(page, "%s", report_title((enum report)report));
        html_raw(page, "</a></li>");
    }
    html_raw(page, "</ul></nav>");
}

/* One sheet that takes too long leaves the others standing. */
static void put_report(const struct portal *p, struct page *page, struct route_call *call,
                       struct view *view, enum report report, const struct report_usage *usage)
{
    struct sheet sheet;
    struct error err = {0};
    html_raw(page, "<section class=\"sheet\"><h2 id=\"sheet-");
    html_raw(page, report_id(report));
    html_raw(page, "\">");
    html_format(page, "%s", report_title(report));
    put_csv_link(page, view, report);
    html_raw(page, "</h2>");
    if (report_make(p, call, view, report, usage, &sheet, &err))
        sheet_put(page, &sheet);
    else
        portal_put_failure(p, page, "cannot make a report", &err);
    html_raw(page, "</section>");
}

void portal_show_reports(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct view view;
    struct page page;
    struct report_usage usage;
    if (!view_read(p, call, &view, &err)) {
        page_answer_problem(call, TAB_REPORTS, err.kind == FAIL_DENIED ? 403 : 400, "Reports",
                            err.cause);
        return;
    }
    page_open(&page, call, TAB_REPORTS, "Reports");
    view_open_form(&page, p, call, &view, "/reports");
    view_close_form(&page, &view, "/reports");
    view_put_summary(&page, &view);
    bool done = report_make_usage(p, call, &view, &usage, &err);
    bool hidden = done && view.names == PRIVACY_COHORTS && usage.totals.people < PRIVACY_MIN_COHORT;
    if (!done) {
        portal_put_failure(p, &page, "cannot make the reports", &err);
    } else if (hidden) {
        html_raw(&page, "<p class=\"empty\">Fewer than five people: nothing is shown.</p>");
    } else {
        put_totals(&page, &usage.totals);
        put_contents(&page, &view);
        for (int report = 0; report < REPORT_COUNT; report++)
            if (is_shown(&view, (enum report)report))
                put_report(p, &page, call, &view, (enum report)report, &usage);
    }
    page_answer(&page, call->exchange, done ? 200 : 503);
}

/* ---- CSV ---- */

static bool find_report(struct bytes id, const struct view *view, enum report *out,
                        struct error *err)
{
    for (int report = 0; report < REPORT_COUNT; report++) {
        if (!bytes_equal_text(id, report_id((enum report)report)))
            continue;
        *out = (enum report)report;
        return is_shown(view, *out) ||
               error_set(err, FAIL_DENIED, "in cohorts, there is no sheet by person");
    }
    return error_set(err, FAIL_INVALID, "'sheet' must be one of the sheets of /reports");
}

static bool make_csv(const struct portal *p, struct route_call *call, struct buffer *out,
                     char name[64], struct error *err)
{
    struct view view;
    struct report_usage usage = {0};
    struct sheet sheet;
    enum report report = REPORT_DAYS;
    if (!view_read(p, call, &view, err) ||
        !find_report(arguments_get(&call->query, "sheet"), &view, &report, err))
        return false;
    if (report <= REPORT_TEAMS && !report_make_usage(p, call, &view, &usage, err))
        return false;
    if (!report_make(p, call, &view, report, &usage, &sheet, err))
        return false;
    snprintf(name, 64, "attachment; filename=\"%s.csv\"", report_id(report));
    return sheet_put_csv(out, &sheet) ||
           error_set(err, FAIL_TOO_LARGE, "the sheet is too large: choose fewer days");
}

void portal_serve_csv(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct buffer out = {.max_bytes = 64 * MIB};
    char name[64];
    if (make_csv(p, call, &out, name, &err) &&
        route_note_question(p->control, p->clock, call, "export", &err)) {
        page_answer_csv(call->exchange, name, buffer_bytes(&out));
    } else {
        portal_answer_csv_failure(p, call, &err);
    }
    buffer_clear(&out);
}
