/*
 * Aggregates by person, where one of Anthropic's APIs tells the same: as in daily usage, a person's
 * day has its tokens and cost from the source that is believed for it (server/query/usage.h). What
 * OpenTelemetry tells is then what its requests tell, as in every other aggregate.
 * Private to server/query.
 */
#ifndef SERVER_QUERY_AGGREGATE_USAGE_H
#define SERVER_QUERY_AGGREGATE_USAGE_H

#include "server/query/question.h"
#include "server/query/table.h"

/*
 * Whether the question is one of these: sums of tokens and cost, or counts, of generations on whole
 * UTC days, by or of a person, and an API has told of those days, or one is asked for by name.
 * FAIL_INVALID when one is asked for by name and cannot answer.
 */
MUST_USE bool aggregate_usage_applies(const struct query *context, const struct question *question,
                                      bool *applies, struct error *err);

/* Fills the table, in the order of the store's aggregates. *fits false: it is full. */
MUST_USE bool aggregate_usage_fill(const struct query *context, const struct question *question,
                                   struct table *table, bool *fits, struct error *err);

#endif
