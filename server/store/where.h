/*
 * SQL from a query: every name comes from the tables in where.c, every value is bound. The kind that
 * runs it binds `values` in their order. Private to server/store.
 */
#ifndef SERVER_STORE_WHERE_H
#define SERVER_STORE_WHERE_H

#include "base/arena.h"
#include "server/store/dialect.h"
#include "server/store/messages.h"

enum { WHERE_BINDS_MAX = 1000 };

struct where_value {
    enum { BIND_INT, BIND_TEXT, BIND_BLOB, BIND_INTERVALS } kind;
    int64_t number;
    struct bytes bytes;
};

struct where {
    const struct dialect *dialect;
    struct buffer sql;
    struct where_value *values;
    size_t value_count;
    struct arena arena; /* of blobs made here */
    bool failed;
};

/* Which table the conditions are for. All are called `m`. */
enum where_table {
    WHERE_MESSAGES,
    WHERE_ROLLUP,
    WHERE_SESSIONS, /* usage_event: generations by day, person, system, model and session */
};

void where_init(struct where *where, const struct dialect *dialect);
void where_clear(struct where *where);
void where_text(struct where *where, const char *sql);
void where_bind_int(struct where *where, int64_t number);
void where_bind_text(struct where *where, struct bytes text);
void where_bind_blob(struct where *where, struct bytes blob);           /* copied */
void where_bind_intervals(struct where *where, struct bytes intervals); /* as the kind has them */

/* " WHERE true AND ..." of filters and times. FAIL_INVALID for a value no row can have. */
bool where_add_query(struct where *where, const struct message_query *query, enum where_table table,
                     struct error *err);

/* The expression that tells a field's values apart, cheap to group by, and the one that shows such
 * a value (in the column `alias`) as text. Absent is NULL. */
void where_field_key(struct where *where, enum message_field field, struct bytes metadata_key);
void where_field_shown(struct where *where, enum message_field field, const char *alias);

/* Whether where_field_key() is a number (or NULL) that stands for the value, or the value itself. */
bool where_field_is_number_key(enum message_field field);
bool where_field_is_number(enum message_field field);

/* The expression of a field as a number. False when it is none. */
bool where_field_number(struct where *where, enum message_field field, struct bytes metadata_key);

/* Whether sums of the daily rollup can answer for a field (as filter, group or sum). */
bool where_field_in_rollup(enum message_field field);

bool where_ok(const struct where *where, struct error *err);
const char *where_sql(struct where *where);

#endif
