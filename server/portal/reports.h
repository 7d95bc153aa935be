/*
 * The report pack: every sheet of it, made from one view. Usage comes reconciled, day by day and
 * person by person, as server/query/usage.h says; the rest from the rows.
 */
#ifndef SERVER_PORTAL_REPORTS_H
#define SERVER_PORTAL_REPORTS_H

#include "server/portal/sheet.h"
#include "server/portal/view.h"

enum report {
    REPORT_DAYS,
    REPORT_PEOPLE,
    REPORT_TEAMS,
    REPORT_MODELS,
    REPORT_EDIT_TOOLS,
    REPORT_LANGUAGES,
    REPORT_LATENCY,
    REPORT_TOOLS,
    REPORT_ERRORS,
    REPORT_VERSIONS,
    REPORT_SOURCES,
    REPORT_COUNT,
};

const char *report_id(enum report report); /* "people" */
const char *report_title(enum report report);

/* Sums over the whole view. */
struct report_totals {
    double cost, input, output, cache_read, cache_create;
    double sessions, active_seconds, commits, pull_requests, lines_added, lines_removed;
    double edits_accepted, edits_rejected;
    size_t people;
};

/* Sheets that come from usage are made together, since they read the same days. */
struct report_usage {
    struct sheet days, people, teams;
    struct report_totals totals;
};
MUST_USE bool report_make_usage(const struct portal *portal, struct route_call *call,
                                const struct view *view, struct report_usage *out,
                                struct error *err);

/* Any of the sheets; `usage` is the one of the same view, for the first three. */
MUST_USE bool report_make(const struct portal *portal, struct route_call *call, struct view *view,
                          enum report report, const struct report_usage *usage, struct sheet *out,
                          struct error *err);

#endif
