/* What the pages of integrations and coverage show of one source, day or person. Private to server/portal. */
#ifndef SERVER_PORTAL_SOURCE_ROWS_H
#define SERVER_PORTAL_SOURCE_ROWS_H

#include "server/fleet/health.h"
#include "server/portal/sheet.h"
#include "server/query/coverage.h"

/* "OpenTelemetry" */
const char *source_title(enum usage_source source);

/* A source, or one of the reports it is read from. All borrowed; texts "" or NULL when there are none. */
struct source_row {
    const char *title, *newest_day;
    const char *error;  /* the source's own words */
    const char *drift;  /* what it sends that its documentation does not know */
    const char *advice; /* whom it suits */
    const struct health_verdict *health;
    uint64_t last_seen_ns, last_data_ns;
    int64_t rows; /* negative: not counted */
    bool configured, is_report;
};

/* A row of the table of integrations. */
void source_put_row(struct page *page, const struct source_row *row, uint64_t now_ns);

/* The columns of coverage by day. */
enum { COVERED_COLUMNS = 9 };
const struct sheet_column *covered_columns(void);

/* In cohorts, what fewer than PRIVACY_MIN_COHORT stand behind is left out. */
void covered_set_row(struct sheet_row *row, const struct coverage_count *count, enum privacy names);

/* `shown` is the person as to be named; only by name does the row lead to the device. */
void silent_put_row(struct page *page, const struct coverage_silent *silent, struct bytes shown,
                    enum privacy names, uint64_t now_ns);

#endif
