/* The control store's statements on SQLite: small and rarely asked, so one connection behind a lock. */
#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/store/sql.h"
#include "server/store/sqlite_db.h"

struct sqlite_sql {
    struct sql sql;       /* first, so the pointers convert */
    struct sql_link link; /* the one */
    pthread_mutex_t lock;
    sqlite3 *db;
};

static struct sqlite_sql *of(struct sql *db)
{
    return (struct sqlite_sql *)db;
}

static void sqlite_sql_close(struct sql *db)
{
    struct sqlite_sql *s = of(db);
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct sql_link *sqlite_sql_take(struct sql *db, struct error *err)
{
    (void)err;
    pthread_mutex_lock(&of(db)->lock);
    return &of(db)->link;
}

static void sqlite_sql_give(struct sql *db, struct sql_link *link)
{
    (void)link;
    pthread_mutex_unlock(&of(db)->lock);
}

static bool sqlite_sql_transact(struct sql *db, sql_body *body, void *context, struct error *err)
{
    struct sqlite_sql *s = of(db);
    pthread_mutex_lock(&s->lock);
    bool ok = sqlite_run(s->db, "BEGIN IMMEDIATE", err) && body(context, &s->link, err) &&
              sqlite_run(s->db, "COMMIT", err);
    sqlite_roll_back(s->db);
    pthread_mutex_unlock(&s->lock);
    return ok;
}

/* BEGIN IMMEDIATE let nobody else in, of this process or another. */
static bool sqlite_sql_lock(struct sql_link *link, enum sql_area area, int64_t id,
                            struct error *err)
{
    (void)link, (void)area, (void)id, (void)err;
    return true;
}

static void *sqlite_sql_prepare(struct sql_link *link, const char *text, struct error *err)
{
    return sqlite_prepare(of(link->db)->db, text, err);
}

static void sqlite_sql_finalize(void *statement)
{
    sqlite3_finalize(statement);
}

static void sqlite_sql_bind_int(void *statement, int at, int64_t number)
{
    sqlite3_bind_int64(statement, at, number);
}

static void sqlite_sql_bind_text(void *statement, int at, struct bytes text)
{
    sqlite_bind_bytes(statement, at, text);
}

static void sqlite_sql_bind_blob(void *statement, int at, struct bytes blob)
{
    sqlite_bind_raw(statement, at, blob.len ? blob.data : (const void *)"", blob.len);
}

static bool sqlite_sql_next(void *statement, bool *row, struct error *err)
{
    sqlite3 *db = sqlite3_db_handle(statement);
    if (!sqlite3_stmt_readonly(statement)) { /* names what failed as the rest of the store does */
        int code = sqlite3_step(statement);
        *row = code == SQLITE_ROW;
        if (code == SQLITE_ROW)
            return true;
        if (code != SQLITE_DONE)
            sqlite_fail(db, "cannot write to the database", err);
        sqlite3_reset(statement);
        return code == SQLITE_DONE;
    }
    return sqlite_next(db, statement, row, err);
}

static uint64_t sqlite_sql_changes(const void *statement)
{
    return (uint64_t)sqlite3_changes64(sqlite3_db_handle((sqlite3_stmt *)(uintptr_t)statement));
}

static int64_t sqlite_sql_int_at(const void *statement, int column)
{
    return sqlite3_column_int64((sqlite3_stmt *)(uintptr_t)statement, column);
}

static struct bytes sqlite_sql_bytes_at(const void *statement, int column)
{
    return sqlite_text_at((sqlite3_stmt *)(uintptr_t)statement, column);
}

static const struct sql_driver sqlite_driver = {
    .close = sqlite_sql_close,
    .take = sqlite_sql_take,
    .give = sqlite_sql_give,
    .transact = sqlite_sql_transact,
    .lock = sqlite_sql_lock,
    .prepare = sqlite_sql_prepare,
    .finalize = sqlite_sql_finalize,
    .bind_int = sqlite_sql_bind_int,
    .bind_text = sqlite_sql_bind_text,
    .bind_blob = sqlite_sql_bind_blob,
    .next = sqlite_sql_next,
    .changes = sqlite_sql_changes,
    .int_at = sqlite_sql_int_at,
    .bytes_at = sqlite_sql_bytes_at,
};

struct sql *sqlite_sql_open(const char *path, const char *const *steps, int count,
                            struct error *err)
{
    struct sqlite_sql *s = xcalloc(1, sizeof *s);
    s->sql.driver = &sqlite_driver;
    s->link.db = &s->sql;
    pthread_mutex_init(&s->lock, NULL);
    s->db = sqlite_open(path, true, err);
    if (s->db && sqlite_migrate(s->db, steps, count, err))
        return &s->sql;
    sqlite_sql_close(&s->sql);
    return NULL;
}
