/* The audit log in the control store. */
#include <string.h>

#include "server/store/control_sql.h"

#define COLUMNS "id,at_ns,who,role,action,subject,source,hash"

static void read_entry(struct sql_query *q, struct audit_entry *out)
{
    *out = (struct audit_entry){.id = sql_int_at(q, 0), .at_ns = sql_time_at(q, 1)};
    sql_copy_text(q, 2, out->who, sizeof out->who);
    sql_copy_text(q, 3, out->role, sizeof out->role);
    sql_copy_text(q, 4, out->action, sizeof out->action);
    sql_copy_text(q, 5, out->subject, sizeof out->subject);
    sql_copy_text(q, 6, out->source, sizeof out->source);
    struct bytes hash = sql_bytes_at(q, 7);
    if (hash.len == AUDIT_HASH_BYTES)
        memcpy(out->hash, hash.data, AUDIT_HASH_BYTES);
}

/* The newest entry; id 0 and no hash when there is none. */
static bool read_last(struct sql_link *link, struct audit_entry *last, struct error *err)
{
    struct sql_query *q =
        sql_prepare(link, "SELECT " COLUMNS " FROM audit ORDER BY id DESC LIMIT 1", err);
    bool row = false, ok = q && sql_next(q, &row, err);
    *last = (struct audit_entry){.id = 0};
    if (ok && row)
        read_entry(q, last);
    sql_end(q);
    return ok;
}

/* Two must not follow the same entry. */
static bool append(void *context, struct sql_link *link, struct error *err)
{
    struct audit_entry *entry = context, last;
    if (!sql_lock(link, SQL_AUDIT, 0, err) || !read_last(link, &last, err))
        return false;
    entry->id = last.id + 1;
    audit_hash(last.hash, entry, entry->hash);
    struct sql_query *q =
        sql_prepare(link, "INSERT INTO audit(" COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", err);
    if (!q)
        return false;
    sql_bind_int(q, 1, entry->id);
    sql_bind_time(q, 2, entry->at_ns);
    sql_bind_text(q, 3, entry->who);
    sql_bind_text(q, 4, entry->role);
    sql_bind_text(q, 5, entry->action);
    sql_bind_text(q, 6, entry->subject);
    sql_bind_text(q, 7, entry->source);
    sql_bind_blob(q, 8, entry->hash, AUDIT_HASH_BYTES);
    return control_finish(q, NULL, err);
}

static bool audit_put(struct control_store *store, struct audit_entry *entry, struct error *err)
{
    return sql_transact(control_db(store), append, entry, err);
}

static bool visit_rows(struct sql_query *q, audit_visit *visit, void *context, struct error *err)
{
    bool row = true, ok = true;
    while (ok && (ok = sql_next(q, &row, err)) && row) {
        struct audit_entry entry;
        read_entry(q, &entry);
        if (!visit(context, &entry))
            break;
    }
    sql_end(q);
    return ok;
}

static bool audit_list(struct control_store *store, const struct audit_query *query,
                       audit_visit *visit, void *context, struct error *err)
{
    struct sql_query *q =
        control_begin(store,
                      "SELECT " COLUMNS " FROM audit WHERE (?1=0 OR id<?1)"
                      " AND at_ns>=?2 AND (?3=0 OR at_ns<?3) AND (?4='' OR who=?4)"
                      " AND (?5='' OR action=?5) ORDER BY id DESC LIMIT ?6",
                      err);
    if (!q)
        return false;
    sql_bind_int(q, 1, query->before_id);
    sql_bind_time(q, 2, query->from_ns);
    sql_bind_time(q, 3, query->to_ns);
    sql_bind_text(q, 4, query->who ? query->who : "");
    sql_bind_text(q, 5, query->action ? query->action : "");
    sql_bind_int(q, 6, query->max);
    return visit_rows(q, visit, context, err);
}

static bool audit_replay(struct control_store *store, audit_visit *visit, void *context,
                         struct error *err)
{
    struct sql_query *q = control_begin(store, "SELECT " COLUMNS " FROM audit ORDER BY id", err);
    return q && visit_rows(q, visit, context, err);
}

const struct control_audit_kind control_audit_kind = {
    .add = audit_put,
    .list = audit_list,
    .replay = audit_replay,
};
