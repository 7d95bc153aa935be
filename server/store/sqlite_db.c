#include "server/store/sqlite_db.h"

#include <stdio.h>
#include <string.h>

enum { BUSY_MS = 10000 };

static enum error_kind kind_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return FAIL_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        return FAIL_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FAIL_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return FAIL_DENIED;
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
        return FAIL_TOO_LARGE;
    case SQLITE_CONSTRAINT:
        return FAIL_INVALID;
    default:
        return FAIL_IO;
    }
}

bool sqlite_fail(sqlite3 *db, const char *doing, struct error *err)
{
    enum error_kind kind = kind_of(sqlite3_extended_errcode(db));
    error_set(err, kind, "%s: %s", doing, sqlite3_errmsg(db));
    if (kind == FAIL_NO_SPACE)
        error_remedy(err, "free space on the volume of the data directory, or shorten retention");
    else if (sqlite3_errcode(db) == SQLITE_INTERRUPT)
        error_remedy(err, "ask for a shorter time range, or fewer groups");
    else if (kind == FAIL_CORRUPT)
        error_remedy(err, "restore the data directory from a backup");
    else if (kind == FAIL_IO)
        error_remedy(err,
                     "check the volume of the data directory; the system's log names its faults");
    else if (kind == FAIL_DENIED)
        error_remedy(err, "let the server's user read and write the data directory");
    return false;
}

bool sqlite_run(sqlite3 *db, const char *sql, struct error *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           sqlite_fail(db, "cannot prepare the database", err);
}

sqlite3 *sqlite_open(const char *path, bool write, struct error *err)
{
    sqlite3 *db = NULL;
    int how = SQLITE_OPEN_NOMUTEX |
              (write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE);
    if (sqlite3_open_v2(path, &db, how, NULL) != SQLITE_OK) {
        if (db)
            sqlite_fail(db, "cannot open the database", err);
        else
            error_set(err, FAIL_IO, "cannot open the database");
        error_wrap(err, "'%s'", path);
        goto failed;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_MS);
    const char *setup =
        write ? "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA foreign_keys=ON; PRAGMA cache_size=-32768; PRAGMA temp_store=MEMORY;"
                "PRAGMA journal_size_limit=67108864; PRAGMA secure_delete=FAST;"
              /* A question about everything sorts more than memory should hold: on disk. */
              : "PRAGMA query_only=ON; PRAGMA cache_size=-8192; PRAGMA temp_store=FILE;";
    if (!sqlite_run(db, setup, err)) {
        error_wrap(err, "'%s'", path);
        goto failed;
    }
    return db;

failed:
    sqlite3_close(db);
    return NULL;
}

static bool user_version(sqlite3 *db, int *version, struct error *err)
{
    sqlite3_stmt *statement = sqlite_prepare(db, "PRAGMA user_version", err);
    bool row = false;
    if (!statement)
        return false;
    bool ok = sqlite_next(db, statement, &row, err);
    *version = row ? sqlite3_column_int(statement, 0) : 0;
    sqlite3_finalize(statement);
    return ok;
}

bool sqlite_migrate(sqlite3 *db, const char *const *steps, int count, struct error *err)
{
    int version = 0;
    for (;;) {
        /* Two processes may start at once: who gets the lock first does the step. */
        if (!sqlite_run(db, "BEGIN IMMEDIATE", err) || !user_version(db, &version, err))
            goto failed;
        if (version > count) {
            error_set(err, FAIL_INVALID, "the database has schema %d, this program knows %d",
                      version, count);
            error_remedy(err, "run the newer claude-telemetry-server that wrote it");
            goto failed;
        }
        if (version == count) {
            sqlite_roll_back(db);
            return true;
        }
        char mark[64];
        snprintf(mark, sizeof mark, "PRAGMA user_version=%d; COMMIT", version + 1);
        if (!sqlite_run(db, steps[version], err) || !sqlite_run(db, mark, err))
            goto failed;
    }

failed:
    sqlite_roll_back(db);
    return error_wrap(err, "cannot bring the database up to date");
}

sqlite3_stmt *sqlite_prepare(sqlite3 *db, const char *sql, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        sqlite_fail(db, "cannot prepare a statement", err);
    return statement;
}

bool sqlite_do(sqlite3 *db, sqlite3_stmt *statement, struct error *err)
{
    int code = sqlite3_step(statement);
    bool ok = code == SQLITE_DONE || code == SQLITE_ROW;
    if (!ok)
        sqlite_fail(db, "cannot write to the database", err);
    sqlite3_reset(statement);
    return ok;
}

bool sqlite_next(sqlite3 *db, sqlite3_stmt *statement, bool *row, struct error *err)
{
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        sqlite_fail(db, "cannot read the database", err);
    sqlite3_reset(statement);
    return code == SQLITE_DONE;
}

void sqlite_bind_bytes(sqlite3_stmt *statement, int at, struct bytes text)
{
    sqlite3_bind_text64(statement, at, text.len ? (const char *)text.data : "", text.len,
                        SQLITE_STATIC, SQLITE_UTF8);
}

void sqlite_bind_raw(sqlite3_stmt *statement, int at, const void *data, size_t len)
{
    sqlite3_bind_blob64(statement, at, data, len, SQLITE_STATIC);
}

void sqlite_bind_count(sqlite3_stmt *statement, int at, int64_t number)
{
    if (number < 0)
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_int64(statement, at, number);
}

struct bytes sqlite_text_at(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    return bytes_make(data, data ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

int64_t sqlite_count_at(sqlite3_stmt *statement, int column)
{
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return -1;
    return sqlite3_column_int64(statement, column);
}

void sqlite_roll_back(sqlite3 *db)
{
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}
