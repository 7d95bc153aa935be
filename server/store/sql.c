#include "server/store/sql.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

void sql_close(struct sql *db)
{
    if (db)
        db->driver->close(db);
}

struct sql_query *sql_prepare(struct sql_link *link, const char *text, struct error *err)
{
    void *statement = link->db->driver->prepare(link, text, err);
    if (!statement)
        return NULL;
    struct sql_query *q = xcalloc(1, sizeof *q);
    *q = (struct sql_query){.db = link->db, .link = link, .statement = statement};
    return q;
}

struct sql_query *sql_begin(struct sql *db, const char *text, struct error *err)
{
    struct sql_link *link = db->driver->take(db, err);
    struct sql_query *q = link ? sql_prepare(link, text, err) : NULL;
    if (q)
        q->owns_link = true;
    else if (link)
        db->driver->give(db, link);
    return q;
}

void sql_end(struct sql_query *q)
{
    if (!q)
        return;
    q->db->driver->finalize(q->statement);
    if (q->owns_link)
        q->db->driver->give(q->db, q->link);
    free(q);
}

/* ---- Binding ---- */

void sql_bind_int(struct sql_query *q, int at, int64_t number)
{
    q->db->driver->bind_int(q->statement, at, number);
}

void sql_bind_time(struct sql_query *q, int at, uint64_t ns)
{
    sql_bind_int(q, at, (int64_t)ns);
}

void sql_bind_text(struct sql_query *q, int at, const char *text)
{
    sql_bind_bytes(q, at, bytes_of(text));
}

void sql_bind_bytes(struct sql_query *q, int at, struct bytes text)
{
    q->db->driver->bind_text(q->statement, at, text);
}

void sql_bind_blob(struct sql_query *q, int at, const void *data, size_t len)
{
    q->db->driver->bind_blob(q->statement, at, bytes_make(data, len));
}

/* ---- Running ---- */

bool sql_next(struct sql_query *q, bool *row, struct error *err)
{
    return q->db->driver->next(q->statement, row, err);
}

bool sql_do(struct sql_query *q, struct error *err)
{
    bool row = true, ok = true;
    while (ok && row)
        ok = sql_next(q, &row, err);
    return ok;
}

uint64_t sql_changes(const struct sql_query *q)
{
    return q->db->driver->changes(q->statement);
}

bool sql_transact(struct sql *db, sql_body *body, void *context, struct error *err)
{
    return db->driver->transact(db, body, context, err);
}

bool sql_lock(struct sql_link *link, enum sql_area area, int64_t id, struct error *err)
{
    return link->db->driver->lock(link, area, id, err);
}

/* ---- Columns ---- */

int64_t sql_int_at(const struct sql_query *q, int column)
{
    return q->db->driver->int_at(q->statement, column);
}

uint64_t sql_time_at(const struct sql_query *q, int column)
{
    return (uint64_t)sql_int_at(q, column);
}

struct bytes sql_bytes_at(const struct sql_query *q, int column)
{
    return q->db->driver->bytes_at(q->statement, column);
}

void sql_copy_text(const struct sql_query *q, int column, char *out, size_t size)
{
    struct bytes text = sql_bytes_at(q, column);
    snprintf(out, size, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
}
