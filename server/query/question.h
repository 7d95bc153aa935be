/* What GET /api/v1/messages/aggregate was asked. Private to server/query. */
#ifndef SERVER_QUERY_QUESTION_H
#define SERVER_QUERY_QUESTION_H

#include "server/query/privacy.h"
#include "server/query/query.h"
#include "server/query/usage.h"

enum { QUESTION_MAX_GROUPS = 6, QUESTION_MAX_METRICS = 16, QUESTION_MAX_ROWS = 20000 };

struct question {
    struct aggregate_query query; /* in cohorts one metric more than asked: the people of a row */
    struct aggregate_group groups[QUESTION_MAX_GROUPS];
    struct aggregate_metric metrics[QUESTION_MAX_METRICS + 1];
    struct bytes group_names[QUESTION_MAX_GROUPS];       /* as asked: the keys of the rows */
    struct bytes metric_names[QUESTION_MAX_METRICS + 1]; /* "sum(costMicrocents)" */
    size_t metric_count;                                 /* of those asked for */
    enum privacy names;
    bool has_only; /* one source alone */
    enum usage_source only;
};

/* Points into itself: `out` stays where it is. Texts are borrowed from the call. */
MUST_USE bool question_read(const struct query *context, struct route_call *call,
                            struct question *out, struct error *err);

#endif
