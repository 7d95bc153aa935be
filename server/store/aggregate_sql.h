/* The statement that answers an aggregate_query, in any dialect. Private to server/store. */
#ifndef SERVER_STORE_AGGREGATE_SQL_H
#define SERVER_STORE_AGGREGATE_SQL_H

#include "server/store/where.h"

enum { AGGREGATE_GROUPS_MAX = 8, AGGREGATE_METRICS_MAX = 32 };

/*
 * Puts the whole statement into `w`. Its columns: whether the row is "other", its interval (the day
 * where aggregate_counts_days(), else what the dialect's bucket says), the groups as text, the
 * metrics. One row more than max_rows comes when there are more. `intervals` is bound where the
 * dialect's bucket wants it. FAIL_INVALID for a field that is no number.
 */
MUST_USE bool aggregate_sql_put(struct where *w, const struct aggregate_query *query,
                                struct bytes intervals, struct error *err);

/* Whether the interval's number is that of the day instead of a bucket's. */
bool aggregate_counts_days(const struct aggregate_query *query);

/* FAIL_TOO_LARGE for the row behind max_rows. */
bool aggregate_too_many(const struct aggregate_query *query, struct error *err);

#endif
