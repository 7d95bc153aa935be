/*
 * One PostgreSQL database as this program uses it: a pool of connections, statements with binary
 * parameters and results, transactions, and schema steps. Private to the postgres files of
 * server/store; libpq stays behind postgres_*.c.
 *
 *   postgres_take ─▶ link ─▶ prepare ─▶ bind ─▶ next ─▶ column ─▶ finalize ─▶ postgres_give
 *
 * Several server processes work on the database at once, so a read that decides about a write
 * belongs into a transaction that holds the right lock (SELECT … FOR UPDATE, postgres_lock(), or a
 * unique index with ON CONFLICT): transactions are READ COMMITTED.
 *
 * Outage: a link whose connection broke is closed when it is given back, and take() does not hand
 * out one that the server has closed. While the database cannot be reached, take() fails at once
 * with FAIL_IO and one thread tries again once in a while; then everything goes on by itself.
 *
 * A `struct postgres` may be used by any thread; a link, and its statements, by one at a time.
 */
#ifndef SERVER_STORE_POSTGRES_DB_H
#define SERVER_STORE_POSTGRES_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct postgres;
struct postgres_link;
struct postgres_query;

struct postgres_options {
    /* What follows the scheme in postgres://USER@HOST:PORT/DATABASE?…: libpq's URL form. Copied. */
    const char *location;
    /* The schema (namespace) that holds this part's tables; first in the search path. A constant. */
    const char *schema;
    unsigned max_links; /* of this process; more callers wait */
};

/* Connects once, to tell at start what is wrong. NULL on failure. The caller closes. */
struct postgres *postgres_open(const struct postgres_options *options, struct error *err);
/* A kind's backup: names PostgreSQL's own tools. FAIL_INVALID. */
bool postgres_backup(const char *location, const char *target, struct error *err);
void postgres_close(struct postgres *db); /* every link is back; NULL is fine */

/*
 * Makes the schema and brings it from the version it has to `count`; each step is one or several
 * statements. All in one transaction under a lock: of several processes that start at once, one
 * does it and the others find it done. FAIL_INVALID when a newer program was here.
 */
bool postgres_migrate(struct postgres *db, const char *const *steps, int count, struct error *err);

/*
 * A connection for this thread; waits for a free one. What runs on it is cancelled when
 * `time_limit_ms` have passed since now (FAIL_BUSY). 0: when one answer takes a minute. NULL on failure.
 */
#define POSTGRES_PATIENT UINT32_MAX /* no limit: for clearing up */
struct postgres_link *postgres_take(struct postgres *db, uint32_t time_limit_ms, struct error *err);
void postgres_give(struct postgres *db, struct postgres_link *link); /* rolls back what is open */

/* Statements without parameters or rows, separated by semicolons. */
bool postgres_run(struct postgres_link *link, const char *sql, struct error *err);

/* ---- Transactions ---- */

bool postgres_begin(struct postgres_link *link, struct error *err);
bool postgres_commit(struct postgres_link *link, struct error *err); /* true: durable */
void postgres_roll_back(struct postgres_link *link); /* never fails; nothing open is fine */

/*
 * Waits for the lock (`area`, `id`) and holds it until the transaction's end: one transaction at a
 * time, of all processes. Areas of all parts are listed here. Ids that agree in their
 * low 32 bits share a lock.
 */
enum postgres_area {
    POSTGRES_LOCK_SCHEMA = 1,
    POSTGRES_LOCK_CONTROL = 0x100,  /* from here: enum sql_area of the control store */
    POSTGRES_LOCK_MESSAGES = 0x200, /* from here: the message store's */
};
bool postgres_lock(struct postgres_link *link, int area, int64_t id, struct error *err);
/* The same beside others that share it; who locks it alone waits for all of them, and they for him. */
bool postgres_lock_shared(struct postgres_link *link, int area, int64_t id, struct error *err);

/*
 * Takes a link, begins, runs `body`, commits and gives back; rolls back when `body` returns false.
 * Runs it again when the database says that it met another transaction (deadlock, serialization)
 * or the connection turned out to be dead before anything was sent: so `body` starts from nothing each time.
 */
typedef bool postgres_body(void *context, struct postgres_link *link, struct error *err);
bool postgres_transact(struct postgres *db, postgres_body *body, void *context, struct error *err);

/* ---- Statements: parameters are $1, $2 … or ?1, ?2 …; they count from 1, columns from 0 ---- */

/* Prepared once for the link's life and found again by its text: for constant texts. The caller
 * finalizes. */
struct postgres_query *postgres_prepare(struct postgres_link *link, const char *sql);
/* Planned for this one use: for texts that are put together. Copied. */
struct postgres_query *postgres_prepare_once(struct postgres_link *link, const char *sql);
void postgres_finalize(struct postgres_query *query); /* ends it early, too; NULL is fine */

/*
 * Binding, `at` from 1. Texts and blobs are borrowed until the statement is finalized or bound
 * anew; of a text each bad byte and each NUL, which PostgreSQL does not keep, arrives as U+FFFD.
 */
void postgres_bind_int(struct postgres_query *query, int at, int64_t number);   /* bigint */
void postgres_bind_count(struct postgres_query *query, int at, int64_t number); /* NULL below 0 */
void postgres_bind_double(struct postgres_query *query, int at, double number);
void postgres_bind_text(struct postgres_query *query, int at, struct bytes text); /* never NULL */
void postgres_bind_blob(struct postgres_query *query, int at, struct bytes blob); /* bytea */
void postgres_bind_raw(struct postgres_query *query, int at, unsigned type, struct bytes value);
void postgres_bind_null(struct postgres_query *query, int at, unsigned type);

/* Runs to the end, whatever rows it gives; may then be bound and run again. */
bool postgres_do(struct postgres_query *query, struct error *err);
/* Steps to the next row; *row false at the end. Rows arrive one by one, never all in memory. */
bool postgres_next(struct postgres_query *query, bool *row, struct error *err);
uint64_t postgres_changes(const struct postgres_query *query); /* rows that the last run touched */

/* Columns of the row, from 0. Any integer type or boolean; numeric needs a cast in the statement. */
int64_t postgres_int_at(const struct postgres_query *query, int column);   /* 0 for NULL */
int64_t postgres_count_at(const struct postgres_query *query, int column); /* -1 for NULL */
double postgres_double_at(const struct postgres_query *query, int column); /* double precision */
bool postgres_is_null(const struct postgres_query *query, int column);
/* Borrowed until the next step; empty for NULL. */
struct bytes postgres_bytes_at(const struct postgres_query *query, int column);

#endif
