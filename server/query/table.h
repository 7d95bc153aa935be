/*
 * The rows of an aggregate, kept until all are there: what may be shown of one can depend on the
 * others. Private to server/query.
 */
#ifndef SERVER_QUERY_TABLE_H
#define SERVER_QUERY_TABLE_H

#include "base/arena.h"
#include "server/store/messages.h"

struct table_row {
    struct aggregate_row row; /* everything in the table's arena */
    bool withheld;
    unsigned sources; /* a bit per enum usage_source; 0: counted from rows, as asked */
    bool provisional; /* an API may still revise a figure of it */
};

struct table {
    size_t group_count, metric_count;
    struct arena arena;
    struct table_row *rows;
    size_t count, capacity;
};

void table_init(struct table *table, size_t group_count, size_t metric_count, size_t max_bytes);
void table_clear(struct table *table);

/* Copies the row. NULL when there is no more room. */
struct table_row *table_add(struct table *table, const struct aggregate_row *row);

#endif
