/*
 * The SQL that several databases understand, run on any of them: the statements of the control
 * store are written once, over these functions, and a driver for each database carries them out.
 *
 *   control_*.c ── sql.h ──▶ sqlite_sql.c   (one connection behind a lock)
 *                       └──▶ postgres_sql.c (a pool, several processes)
 *
 * The dialect: parameters ?1, ?2 …; texts in '…'; INSERT … ON CONFLICT(columns) DO …, RETURNING,
 * columns named with their table where ON CONFLICT makes them ambiguous; integers are 64 bits; the larger of
 * two by CASE. What else differs is in the schemas, control_schema_*.c.
 *
 * Where several statements belong together they run in sql_transact(). SQLite lets one writer in at a
 * time; PostgreSQL lets all, so what is read to decide about a write is read behind sql_lock().
 *
 * A `struct sql` may be used by any thread; a link and its statements by one at a time. While a
 * statement of sql_begin() is open, the same thread opens no other.
 */
#ifndef SERVER_STORE_SQL_H
#define SERVER_STORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct sql_driver;
struct sql_link; /* a connection */

struct sql { /* a database; a driver embeds this as the first member of its own struct */
    const struct sql_driver *driver;
};

/* A statement. Its inside belongs to sql.c and the drivers. */
struct sql_query {
    struct sql *db;
    struct sql_link *link;
    void *statement; /* the driver's */
    bool owns_link;
};

void sql_close(struct sql *db); /* NULL is fine */

/*
 * A statement on a connection of its own, for one alone: it is a transaction. NULL on failure.
 * The caller passes the result to sql_end(), which also ends it before its last row.
 */
struct sql_query *sql_begin(struct sql *db, const char *text, struct error *err);
/* One of several on `link`, inside of sql_transact(). `text` is a constant. NULL on failure. */
struct sql_query *sql_prepare(struct sql_link *link, const char *text, struct error *err);
void sql_end(struct sql_query *query); /* NULL is fine */

/* Binding, from 1; texts and blobs are borrowed until the statement ends. */
void sql_bind_int(struct sql_query *query, int at, int64_t number);
void sql_bind_time(struct sql_query *query, int at, uint64_t ns);
void sql_bind_text(struct sql_query *query, int at, const char *text);
void sql_bind_bytes(struct sql_query *query, int at, struct bytes text);
void sql_bind_blob(struct sql_query *query, int at, const void *data, size_t len);

/* Runs a statement to its end. It may then be bound and run again. */
bool sql_do(struct sql_query *query, struct error *err);
/* Steps to the next row; *row false at the end. One that changes rows is to be stepped to its end. */
bool sql_next(struct sql_query *query, bool *row, struct error *err);
uint64_t sql_changes(const struct sql_query *query); /* rows that the last run changed */

/* Columns of the row, from 0. A boolean is 0 or 1. NULL is 0 and "". */
int64_t sql_int_at(const struct sql_query *query, int column);
uint64_t sql_time_at(const struct sql_query *query, int column);
struct bytes sql_bytes_at(const struct sql_query *query, int column); /* until the next step */
/* Copies a text, cut to fit. */
void sql_copy_text(const struct sql_query *query, int column, char *out, size_t size);

/*
 * Runs `body` in one transaction that is rolled back when it returns false. It may be
 * run again from the start when it met another transaction, so it begins by setting what it gives back.
 */
typedef bool sql_body(void *context, struct sql_link *link, struct error *err);
bool sql_transact(struct sql *db, sql_body *body, void *context, struct error *err);

/* Inside a transaction: until it ends, no other holds the lock (`area`, `id`). */
enum sql_area { SQL_AUDIT, SQL_API_USAGE, SQL_DEVICE, SQL_HEALTH };
bool sql_lock(struct sql_link *link, enum sql_area area, int64_t id, struct error *err);

/* ---- What a driver owes: the functions above, on its own connections and statements ---- */

struct sql_driver {
    void (*close)(struct sql *db);
    struct sql_link *(*take)(struct sql *db, struct error *err); /* NULL on failure */
    void (*give)(struct sql *db, struct sql_link *link);
    bool (*transact)(struct sql *db, sql_body *body, void *context, struct error *err);
    bool (*lock)(struct sql_link *link, enum sql_area area, int64_t id, struct error *err);

    void *(*prepare)(struct sql_link *link, const char *text, struct error *err);
    void (*finalize)(void *statement);
    void (*bind_int)(void *statement, int at, int64_t number);
    void (*bind_text)(void *statement, int at, struct bytes text);
    void (*bind_blob)(void *statement, int at, struct bytes blob);
    bool (*next)(void *statement, bool *row, struct error *err);
    uint64_t (*changes)(const void *statement);
    int64_t (*int_at)(const void *statement, int column);
    struct bytes (*bytes_at)(const void *statement, int column);
};

/* The first member of a driver's connection. */
struct sql_link {
    struct sql *db;
};

/* Opens an SQLite file / a PostgreSQL database and brings its schema up to date. NULL on failure. */
struct sql *sqlite_sql_open(const char *path, const char *const *steps, int count,
                            struct error *err);
struct sql *postgres_sql_open(const char *location, const char *const *steps, int count,
                              struct error *err);

#endif
