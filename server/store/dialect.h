/*
 * In what the databases' SQL differs, as far as questions are concerned: where.c and aggregate_sql.c
 * write one text for all. The functions ct_meta(json, key), ct_number(text), ct_type(number) and
 * ct_id(key) exist in every database, and so do the tables' and columns' names.
 */
#ifndef SERVER_STORE_DIALECT_H
#define SERVER_STORE_DIALECT_H

#include "server/store/messages.h"

struct where;

struct dialect {
    char parameter;           /* before the number of a parameter, from 1 */
    const char *blob_shown;   /* hexadecimal in lower case or NULL, of "%1$s" */
    const char *metric_shown; /* behind a metric that is handed out */

    /* An aggregate function around its value. */
    struct {
        const char *before, *after;
    } functions[AGGREGATE_UNIQ + 1];
    const char *uniq_number; /* before a number instead of functions[AGGREGATE_UNIQ] */

    /* The interval that a time in nanoseconds lies in, as a number that grows with time; with
     * intervals given, `bucket_middle` and they follow the time. */
    const char *bucket_before, *bucket_middle, *bucket_after;

    /* The number of a text, which is not empty. */
    void (*put_text_id)(struct where *where, struct bytes text);
    /* " AND <a> is <b>", absent ones alike. */
    void (*put_same)(struct where *where, const char *a, const char *b, bool is_number);
};

extern const struct dialect sqlite_dialect;

#endif
