/* Aggregates computed the obvious way, to compare a store's answers with. */
#ifndef TESTS_SERVER_NAIVE_AGGREGATE_H
#define TESTS_SERVER_NAIVE_AGGREGATE_H

#include "server/store/messages.h"

/* Runs the query against the store and against `rows`; fails the test where they differ. */
void expect_same_aggregate(struct message_store *store, const struct aggregate_query *query,
                           const struct message *rows, size_t count, const char *what);

/* A field of a row as text; false when it is absent. */
bool naive_field(const struct message *m, enum message_field field, struct bytes key, char *out,
                 size_t size);

/* Whether the row passes the query's filters and times. */
bool naive_matches(const struct message *m, const struct message_query *query);

#endif
