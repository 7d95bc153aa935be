/*
 * Rows by COPY … FROM STDIN (FORMAT binary): the fastest way of many rows into one table. Every
 * field has exactly its column's type. Private to the postgres files.
 */
#ifndef SERVER_STORE_POSTGRES_COPY_H
#define SERVER_STORE_POSTGRES_COPY_H

#include "server/store/postgres_db.h"

struct postgres_copy {
    struct buffer wire;
    bool failed; /* larger than is sent at once: said by postgres_copy_run() */
};

void postgres_copy_begin(struct postgres_copy *copy); /* anew, memory kept */
void postgres_copy_row(struct postgres_copy *copy, int columns);
void postgres_copy_16(struct postgres_copy *copy, int16_t number); /* smallint */
void postgres_copy_64(struct postgres_copy *copy, int64_t number); /* bigint */
void postgres_copy_bytes(struct postgres_copy *copy, struct bytes value);
void postgres_copy_null(struct postgres_copy *copy);
void postgres_copy_clear(struct postgres_copy *copy);

/* Runs the statement with the rows: all or none of them are in. */
bool postgres_copy_run(struct postgres_link *link, const char *sql, struct postgres_copy *copy,
                       struct error *err);

#endif
