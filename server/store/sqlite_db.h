/*
 * One SQLite connection, its prepared statements and its errors: private to
 * the sqlite files of server/store. A connection is used by one thread at a time.
 */
#ifndef SERVER_STORE_SQLITE_DB_H
#define SERVER_STORE_SQLITE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/bytes.h"
#include "base/error.h"

/* Opens for writing (creating the file) or for reading only. */
sqlite3 *sqlite_open(const char *path, bool write, struct error *err);

/* Sets `err` from the connection's last failure. Returns false. */
bool sqlite_fail(sqlite3 *db, const char *doing, struct error *err);

bool sqlite_run(sqlite3 *db, const char *sql, struct error *err);

/* Brings the schema from PRAGMA user_version to `count`, each step in its own transaction. */
bool sqlite_migrate(sqlite3 *db, const char *const *steps, int count, struct error *err);

/* A statement kept for the connection's life; the caller finalizes. NULL on failure. */
sqlite3_stmt *sqlite_prepare(sqlite3 *db, const char *sql, struct error *err);

/* Steps a statement that gives no rows, then resets it. */
bool sqlite_do(sqlite3 *db, sqlite3_stmt *statement, struct error *err);

/* Steps to the next row. *row false at the end, when it has been reset. */
bool sqlite_next(sqlite3 *db, sqlite3_stmt *statement, bool *row, struct error *err);

/* Binding; texts and blobs are borrowed until the statement is reset. Empty text binds ''. */
void sqlite_bind_bytes(sqlite3_stmt *statement, int at, struct bytes text);
void sqlite_bind_raw(sqlite3_stmt *statement, int at, const void *data, size_t len);
/* NULL for a negative number: an absent one. */
void sqlite_bind_count(sqlite3_stmt *statement, int at, int64_t number);

/* Borrowed until the next step. */
struct bytes sqlite_text_at(sqlite3_stmt *statement, int column);
int64_t sqlite_count_at(sqlite3_stmt *statement, int column); /* -1 for NULL */

/* Rolls back if a transaction is open; never fails. */
void sqlite_roll_back(sqlite3 *db);

#endif
