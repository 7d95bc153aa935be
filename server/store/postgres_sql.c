/* The control store's statements on PostgreSQL: a pool of connections, other processes beside. */
#include <stdlib.h>

#include "base/memory.h"
#include "server/store/postgres_db.h"
#include "server/store/sql.h"

enum { LINKS = 8 };

struct postgres_sql {
    struct sql sql; /* first, so the pointers convert */
    struct postgres *db;
};

struct wrapped_link {
    struct sql_link link; /* first, so the pointers convert */
    struct postgres_link *postgres;
};

static struct postgres *of(struct sql *db)
{
    return ((struct postgres_sql *)db)->db;
}

static void postgres_sql_close(struct sql *db)
{
    postgres_close(of(db));
    free(db);
}

static struct sql_link *postgres_sql_take(struct sql *db, struct error *err)
{
    struct postgres_link *postgres = postgres_take(of(db), 0, err);
    if (!postgres)
        return NULL;
    struct wrapped_link *link = xcalloc(1, sizeof *link);
    *link = (struct wrapped_link){.link = {.db = db}, .postgres = postgres};
    return &link->link;
}

static void postgres_sql_give(struct sql *db, struct sql_link *link)
{
    postgres_give(of(db), ((struct wrapped_link *)link)->postgres);
    free(link);
}

struct run {
    struct sql *db;
    sql_body *body;
    void *context;
};

static bool run_body(void *context, struct postgres_link *postgres, struct error *err)
{
    const struct run *run = context;
    struct wrapped_link link = {.link = {.db = run->db}, .postgres = postgres};
    return run->body(run->context, &link.link, err);
}

static bool postgres_sql_transact(struct sql *db, sql_body *body, void *context, struct error *err)
{
    struct run run = {.db = db, .body = body, .context = context};
    return postgres_transact(of(db), run_body, &run, err);
}

static bool postgres_sql_lock(struct sql_link *link, enum sql_area area, int64_t id,
                              struct error *err)
{
    return postgres_lock(((struct wrapped_link *)link)->postgres,
                         (int)POSTGRES_LOCK_CONTROL + (int)area, id, err);
}

static void *postgres_sql_prepare(struct sql_link *link, const char *text, struct error *err)
{
    (void)err;
    return postgres_prepare(((struct wrapped_link *)link)->postgres, text);
}

static void postgres_sql_finalize(void *statement)
{
    postgres_finalize(statement);
}

static void postgres_sql_bind_int(void *statement, int at, int64_t number)
{
    postgres_bind_int(statement, at, number);
}

static void postgres_sql_bind_text(void *statement, int at, struct bytes text)
{
    postgres_bind_text(statement, at, text);
}

static void postgres_sql_bind_blob(void *statement, int at, struct bytes blob)
{
    postgres_bind_blob(statement, at, blob);
}

static bool postgres_sql_next(void *statement, bool *row, struct error *err)
{
    return postgres_next(statement, row, err);
}

static uint64_t postgres_sql_changes(const void *statement)
{
    return postgres_changes(statement);
}

static int64_t postgres_sql_int_at(const void *statement, int column)
{
    return postgres_int_at(statement, column);
}

static struct bytes postgres_sql_bytes_at(const void *statement, int column)
{
    return postgres_bytes_at(statement, column);
}

static const struct sql_driver postgres_driver = {
    .close = postgres_sql_close,
    .take = postgres_sql_take,
    .give = postgres_sql_give,
    .transact = postgres_sql_transact,
    .lock = postgres_sql_lock,
    .prepare = postgres_sql_prepare,
    .finalize = postgres_sql_finalize,
    .bind_int = postgres_sql_bind_int,
    .bind_text = postgres_sql_bind_text,
    .bind_blob = postgres_sql_bind_blob,
    .next = postgres_sql_next,
    .changes = postgres_sql_changes,
    .int_at = postgres_sql_int_at,
    .bytes_at = postgres_sql_bytes_at,
};

struct sql *postgres_sql_open(const char *location, const char *const *steps, int count,
                              struct error *err)
{
    const struct postgres_options options = {.location = location,
                                             .schema = "control",
                                             .max_links = LINKS};
    struct postgres_sql *s = xcalloc(1, sizeof *s);
    s->sql.driver = &postgres_driver;
    s->db = postgres_open(&options, err);
    if (s->db && postgres_migrate(s->db, steps, count, err))
        return &s->sql;
    postgres_sql_close(&s->sql);
    return NULL;
}
