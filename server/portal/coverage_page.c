/* /coverage: whom OpenTelemetry misses, and on which device; /coverage.csv: one table of it. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/portal/source_rows.h"
#include "server/portal/view.h"
#include "server/router/note.h"

enum { MAX_SILENT = 500, ROW_BYTES = 16 * 1024, USAGE_ARENA_MIB = 256, CSV_MIB = 64 };

/* The newest silent failures are shown first, while they come oldest first: rows are made as they
 * come, and the last MAX_SILENT kept. */
struct covered {
    const struct portal *portal;
    const struct view *view;
    uint64_t now_ns;
    struct arena name; /* of the person at hand */
    struct page *rows; /* a ring; NULL: not wanted */
    size_t silent_count;
    struct buffer *csv; /* of silent failures; NULL: not wanted */
    bool fits;
    struct sheet days;
    struct coverage_count total;
};

static bool take_silent(void *context, const struct coverage_silent *silent)
{
    struct covered *c = context;
    enum privacy names = c->view->names;
    arena_reset(&c->name);
    struct bytes shown = people_name(c->portal->people, silent->person, names, &c->name);
    if (c->rows) {
        struct page *row = &c->rows[c->silent_count % MAX_SILENT];
        row->out.max_bytes = ROW_BYTES;
        row->failed = false;
        buffer_reset(&row->out);
        silent_put_row(row, silent, shown, names, c->now_ns);
    }
    c->silent_count++;
    if (c->csv) {
        struct coverage_silent masked =
            names == PRIVACY_NAMED ? *silent : coverage_masked(silent, shown);
        c->fits = c->fits && coverage_put_csv(c->csv, &masked);
    }
    return c->fits;
}

static bool take_day(void *context, const char *day, const struct coverage_count *count)
{
    struct covered *c = context;
    struct sheet_row *row = sheet_add(&c->days, bytes_of(day));
    if (row)
        covered_set_row(row, count, c->view->names);
    return row != NULL;
}

static bool read_coverage(const struct portal *p, struct route_call *call, const struct view *view,
                          struct covered *c, struct error *err)
{
    c->portal = p;
    c->view = view;
    c->now_ns = clock_wall_ns(p->clock);
    c->name = (struct arena){.max_bytes = 16 * KIB};
    c->fits = true;
    c->days = (struct sheet){.id = "days",
                             .title = "By day",
                             .rows = "Day",
                             .csv_row = "day",
                             .columns = covered_columns(),
                             .column_count = COVERED_COLUMNS,
                             .is_days = true,
                             .charts = "0,1",
                             .arena = &call->arena};
    const struct usage_question question = {.messages = p->messages,
                                            .control = p->control,
                                            .integrations = p->integrations,
                                            .from_ns = view->from_ns,
                                            .to_ns = view->to_ns - 1,
                                            .now_ns = c->now_ns};
    struct arena usage = {.max_bytes = USAGE_ARENA_MIB * MIB};
    bool done = coverage_read(&question, &usage, take_silent, take_day, c, &c->total, err);
    arena_clear(&usage);
    arena_clear(&c->name);
    if (done && (c->days.full || !c->fits))
        return error_set(err, FAIL_TOO_LARGE, "too much for one answer: choose fewer days");
    return done;
}

/* Coverage counts whole person-days, so there is nothing else to choose from. */
static bool read_view(const struct portal *p, struct route_call *call, struct view *view,
                      struct error *err)
{
    if (!view_read(p, call, view, err))
        return false;
    return view->filter_count == 0 ||
           error_set(err, FAIL_INVALID,
                     "coverage is of everybody: leave out system, team, model and person");
}

/* ---- The page ---- */

static void put_head(struct page *page, const struct view *view, const char *title,
                     const char *sheet)
{
    html_raw(page, "<h2>");
    html_format(page, "%s", title);
    html_raw(page, " <a class=\"csv\" href=\"/coverage.csv?sheet=");
    html_raw(page, sheet);
    html_raw(page, "&amp;");
    view_put_parameters(page, view);
    html_raw(page, "\">CSV<span class=\"away\"> of ");
    html_format(page, "%s", title);
    html_raw(page, "</span></a></h2>");
}

static void put_silent(struct page *page, const struct covered *c)
{
    put_head(page, c->view, "Silent failures", "silent");
    html_raw(page, "<p class=\"note\">Days on which an API saw usage of a person and OpenTelemetry "
                   "saw none, newest first.</p>");
    if (c->silent_count == 0) {
        html_raw(page, "<p class=\"empty\">None in these days.</p>");
        return;
    }
    html_raw(page,
             "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Silent failures\">"
             "<table id=\"silent\"><thead><tr><th scope=\"col\">Person</th><th scope=\"col\">Day"
             "</th><th scope=\"col\" class=\"text\">Device</th><th scope=\"col\" class=\"text\">"
             "State</th><th scope=\"col\">Last seen</th><th scope=\"col\" class=\"text\">Why, and "
             "what to do</th><th scope=\"col\" class=\"text\">Seen by</th><th scope=\"col\">Tokens"
             "</th><th scope=\"col\">Sessions</th></tr></thead><tbody>");
    size_t shown = c->silent_count < MAX_SILENT ? c->silent_count : MAX_SILENT;
    for (size_t i = 1; i <= shown; i++) {
        const struct page *row = &c->rows[(c->silent_count - i) % MAX_SILENT];
        page->failed |= row->failed || !buffer_append(&page->out, buffer_bytes(&row->out));
    }
    html_raw(page, "</tbody></table></div>");
    if (shown < c->silent_count) {
        html_raw(page, "<p class=\"note\">");
        html_format(page, "%zu older ones are not shown: the CSV has them.",
                    c->silent_count - shown);
        html_raw(page, "</p>");
    }
}

static void put_sources(struct page *page, struct route_call *call, const struct covered *c)
{
    static const struct sheet_column columns[] = {{"Person-days", "personDays", SHEET_COUNT},
                                                  {"Of all", "share", SHEET_RATIO}};
    struct sheet sheet = {.id = "sources",
                          .title = "Person-days by source",
                          .rows = "Source",
                          .csv_row = "source",
                          .columns = columns,
                          .column_count = 2,
                          .bar_column = 1,
                          .arena = &call->arena};
    struct sheet_row all = {0};
    for (size_t i = 0; i < COVERED_COLUMNS; i++)
        all.values[i] = (double)NAN;
    covered_set_row(&all, &c->total, c->view->names);
    static const struct {
        const char *title;
        size_t column; /* of covered_columns() */
    } rows[] = {{"OpenTelemetry", 1},
                {"Enterprise Analytics API", 2},
                {"Admin API", 3},
                {"Nobody known", 4},
                {"Silent: an API alone", 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sheet_row *row = sheet_add(&sheet, bytes_of(rows[i].title));
        if (!row)
            break;
        row->values[0] = all.values[rows[i].column];
        if (all.values[0] > 0)
            row->values[1] = row->values[0] / all.values[0];
    }
    html_raw(page, "<h2>Person-days by source</h2><p class=\"note\">");
    if (isnan(all.values[8])) {
        html_raw(page, "No API's tokens to compare with in these days.");
    } else {
        html_raw(page, "OpenTelemetry tells ");
        html_short(page, all.values[6]);
        html_raw(page, " tokens where an API tells ");
        html_short(page, all.values[7]);
        html_raw(page, ": ");
        html_share(page, all.values[8]);
    }
    html_raw(page, "</p>");
    sheet_put(page, &sheet);
}

void portal_show_coverage(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct view view;
    struct page page;
    if (!read_view(p, call, &view, &err)) {
        page_answer_problem(call, TAB_COVERAGE, err.kind == FAIL_DENIED ? 403 : 400, "Coverage",
                            err.cause);
        return;
    }
    struct covered c = {0};
    if (privacy_has_people(view.names))
        c.rows = xcalloc(MAX_SILENT, sizeof *c.rows);
    page_open(&page, call, TAB_COVERAGE, "Coverage");
    view_put_day_form(&page, &view, "/coverage");
    view_put_summary(&page, &view);
    bool done = read_coverage(p, call, &view, &c, &err);
    if (done) {
        if (c.rows)
            put_silent(&page, &c);
        put_sources(&page, call, &c);
        put_head(&page, &view, "By day", "days");
        sheet_put(&page, &c.days);
    } else {
        portal_put_failure(p, &page, "cannot read coverage", &err);
    }
    for (size_t i = 0; c.rows && i < MAX_SILENT; i++)
        buffer_clear(&c.rows[i].out);
    free(c.rows);
    page_answer(&page, call->exchange, done ? 200 : 503);
}

/* ---- CSV ---- */

static bool make_csv(const struct portal *p, struct route_call *call, struct buffer *out,
                     struct error *err)
{
    struct view view;
    struct covered c = {0};
    bool silent = bytes_equal_text(arguments_get(&call->query, "sheet"), "silent");
    if (!read_view(p, call, &view, err))
        return false;
    if (!silent && !bytes_equal_text(arguments_get(&call->query, "sheet"), "days"))
        return error_set(err, FAIL_INVALID, "'sheet' must be silent or days");
    if (silent && !privacy_has_people(view.names))
        return error_set(err, FAIL_DENIED, "among sums, there is no sheet by person");
    if (silent) {
        c.csv = out;
        if (!buffer_append_text(out, coverage_csv_head()))
            return error_set(err, FAIL_TOO_LARGE, "the sheet is too large: choose fewer days");
    }
    if (!read_coverage(p, call, &view, &c, err))
        return false;
    return silent || sheet_put_csv(out, &c.days) ||
           error_set(err, FAIL_TOO_LARGE, "the sheet is too large: choose fewer days");
}

void portal_serve_coverage_csv(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct buffer out = {.max_bytes = CSV_MIB * MIB};
    if (make_csv(p, call, &out, &err) &&
        route_note_question(p->control, p->clock, call, "export", &err))
        page_answer_csv(call->exchange, "attachment; filename=\"coverage.csv\"",
                        buffer_bytes(&out));
    else
        portal_answer_csv_failure(p, call, &err);
    buffer_clear(&out);
}
