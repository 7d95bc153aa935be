/*
 * Rows of daily usage put together from the sums of events and of metrics as the tables hold them:
 * what every kind reads by the same statement. Private to server/store.
 */
#ifndef SERVER_STORE_USAGE_ROWS_H
#define SERVER_STORE_USAGE_ROWS_H

#include "base/arena.h"
#include "server/store/messages.h"

/*
 * The statement's parameters, the first and the last day, are put between its parts:
 * USAGE_SQL("?1", "?2"). Both origins in one order; `origin` is next to last in it, so that the
 * metrics of one usage row stand together.
 */
#define USAGE_SQL(FROM, TO)                                                                     \
    "SELECT u.day, coalesce(p.value,''), coalesce(y.name,''), coalesce(o.value,''),"            \
    " coalesce(e.value,''), u.origin, coalesce(t.value,''), coalesce(a.value,''), u.value,"     \
    " u.requests, u.input_tokens, u.output_tokens, u.cache_read_tokens, u.cache_create_tokens," \
    " u.cost FROM ("                                                                            \
    "  SELECT day, person, system, model, session, 0 AS origin, 0 AS metric, 0 AS attributes,"  \
    "  0.0 AS value, requests, input_tokens, output_tokens, cache_read_tokens,"                 \
    "  cache_create_tokens, cost FROM usage_event WHERE day BETWEEN " FROM " AND " TO           \
    "  UNION ALL"                                                                               \
    "  SELECT day, person, system, model, session, 1, metric, attributes, value, 0,0,0,0,0,0"   \
    "  FROM usage_metric WHERE day BETWEEN " FROM " AND " TO ") u"                              \
    " LEFT JOIN text p ON p.id=u.person LEFT JOIN system y ON y.id=u.system"                    \
    " LEFT JOIN text o ON o.id=u.model LEFT JOIN text e ON e.id=u.session"                      \
    " LEFT JOIN text t ON t.id=u.metric LEFT JOIN text a ON a.id=u.attributes"                  \
    " ORDER BY 1,2,3,5,4,6"

/* One row of it; borrowed for the call. */
struct usage_part {
    int64_t day;
    struct bytes person, system, model, session;
    enum usage_origin origin;
    struct bytes metric, attributes;
    double value;
    int64_t requests, input_tokens, output_tokens, cache_read_tokens, cache_create_tokens, cost;
};

/* The metrics of one usage row, summed as they come before they are rounded. */
struct usage_metrics {
    double input, output, cache_read, cache_create, usd, sessions, commits, pull_requests;
    double lines_added, lines_removed, edits_accepted, edits_rejected, active_seconds;
    double inclusive_input; /* counts what caches gave too */
};

struct usage_reading {
    usage_visit *visit;
    void *context;

    /* Private. */
    struct arena arena; /* texts of the row being put together */
    struct usage_row row;
    struct usage_metrics sums;
    bool open;
    struct arena session_arena;
    char session_day[11];
    struct bytes session_person, session_system, session_id;
    bool stopped; /* the visitor has seen enough */
};

void usage_reading_init(struct usage_reading *reading, usage_visit *visit, void *context);
void usage_reading_clear(struct usage_reading *reading);

/* One after the other. False without *stopped: `err` says why. */
MUST_USE bool usage_reading_add(struct usage_reading *reading, const struct usage_part *part,
                                struct error *err);
void usage_reading_end(struct usage_reading *reading); /* hands out the last one */

#endif
