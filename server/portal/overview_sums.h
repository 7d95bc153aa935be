/*
 * What the overview is made of: sums of requests by day, model, system and person, in one reading
 * of the daily sums; where one of Anthropic's APIs has told of a person's day, what it told.
 */
#ifndef SERVER_PORTAL_OVERVIEW_SUMS_H
#define SERVER_PORTAL_OVERVIEW_SUMS_H

#include "server/portal/sheet.h"
#include "server/portal/view.h"

enum overview_sum {
    SUM_COST,
    SUM_REQUESTS,
    SUM_INPUT,
    SUM_OUTPUT,
    SUM_CACHE_READ,
    SUM_CACHE_WRITE,
    SUM_PEOPLE,
    SUM_COUNT
};

double overview_tokens(const double sums[SUM_COUNT]);
double overview_cache_share(const double sums[SUM_COUNT]); /* NaN when nothing was read */

/* Rows keep their sums behind the columns shown, from OVERVIEW_RAW. */
enum { OVERVIEW_COLUMNS = 5, OVERVIEW_RAW = SHEET_MAX_COLUMNS - SUM_COUNT };
extern const struct sheet_column overview_columns[OVERVIEW_COLUMNS];
void overview_fill_row(struct sheet_row *row, const double sums[SUM_COUNT]);

/* An empty sheet of these columns. */
struct sheet overview_sheet(struct route_call *call, const char *id, const char *title,
                            const char *rows);

struct overview_sums {
    struct sheet days, models, systems, people; /* days of the view without a request are there */
    double now[SUM_COUNT], before[SUM_COUNT];   /* of the view, and of as many days before it */
    double sessions;
    bool from_apis; /* an API told some of it */
};

MUST_USE bool overview_read(const struct portal *portal, struct route_call *call, struct view *view,
                            struct overview_sums *out, struct error *err);

#endif
