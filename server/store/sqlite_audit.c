/* The audit log in SQLite. Triggers keep honest mistakes from changing it; the chain shows the rest. */
#include <string.h>

#include "server/store/sqlite_control.h"

const char SQLITE_AUDIT_SCHEMA[] =
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL,"
    " role TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, source TEXT NOT NULL,"
    " hash BLOB NOT NULL) STRICT;"
    "CREATE TRIGGER audit_keeps BEFORE DELETE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;"
    "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;";

#define COLUMNS "id,at_ns,who,role,action,subject,source,hash"

static void read_entry(sqlite3_stmt *q, struct audit_entry *out)
{
    *out = (struct audit_entry){.id = sqlite3_column_int64(q, 0),
                                .at_ns = (uint64_t)sqlite3_column_int64(q, 1)};
    control_text(q, 2, out->who, sizeof out->who);
    control_text(q, 3, out->role, sizeof out->role);
    control_text(q, 4, out->action, sizeof out->action);
    control_text(q, 5, out->subject, sizeof out->subject);
    control_text(q, 6, out->source, sizeof out->source);
    if (sqlite3_column_bytes(q, 7) == AUDIT_HASH_BYTES)
        memcpy(out->hash, sqlite3_column_blob(q, 7), AUDIT_HASH_BYTES);
}

/* The newest entry; id 0 and no hash when there is none. */
static bool read_last(sqlite3 *db, struct audit_entry *last, struct error *err)
{
    sqlite3_stmt *q =
        sqlite_prepare(db, "SELECT " COLUMNS " FROM audit ORDER BY id DESC LIMIT 1", err);
    bool row = false, ok = q && sqlite_next(db, q, &row, err);
    *last = (struct audit_entry){.id = 0};
    if (ok && row)
        read_entry(q, last);
    sqlite3_finalize(q);
    return ok;
}

static bool insert(sqlite3 *db, sqlite3_stmt *q, struct audit_entry *entry, struct error *err)
{
    struct audit_entry last;
    if (!read_last(db, &last, err))
        return false;
    entry->id = last.id + 1;
    audit_hash(last.hash, entry, entry->hash);
    sqlite3_bind_int64(q, 1, entry->id);
    sqlite3_bind_int64(q, 2, (int64_t)entry->at_ns);
    sqlite_bind_bytes(q, 3, bytes_of(entry->who));
    sqlite_bind_bytes(q, 4, bytes_of(entry->role));
    sqlite_bind_bytes(q, 5, bytes_of(entry->action));
    sqlite_bind_bytes(q, 6, bytes_of(entry->subject));
    sqlite_bind_bytes(q, 7, bytes_of(entry->source));
    sqlite_bind_raw(q, 8, entry->hash, AUDIT_HASH_BYTES);
    return sqlite_do(db, q, err);
}

static bool audit_put(struct control_store *store, struct audit_entry *entry, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store, "INSERT INTO audit(" COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", err);
    if (!q)
        return false;
    sqlite3 *db = control_db(store);
    /* Two processes must not follow the same entry. */
    bool ok = sqlite_run(db, "BEGIN IMMEDIATE", err) && insert(db, q, entry, err) &&
              sqlite_run(db, "COMMIT", err);
    sqlite_roll_back(db);
    control_end(store, q);
    return ok;
}

static bool visit_rows(struct control_store *store, sqlite3_stmt *q, audit_visit *visit,
                       void *context, struct error *err)
{
    bool row = true, ok = true;
    while (ok && (ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct audit_entry entry;
        read_entry(q, &entry);
        if (!visit(context, &entry))
            break;
    }
    control_end(store, q);
    return ok;
}

static bool audit_list(struct control_store *store, const struct audit_query *query,
                       audit_visit *visit, void *context, struct error *err)
{
    sqlite3_stmt *q = control_begin(store,
                                    "SELECT " COLUMNS " FROM audit WHERE (?1=0 OR id<?1)"
                                    " AND at_ns>=?2 AND (?3=0 OR at_ns<?3) AND (?4='' OR who=?4)"
                                    " AND (?5='' OR action=?5) ORDER BY id DESC LIMIT ?6",
                                    err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, query->before_id);
    sqlite3_bind_int64(q, 2, (int64_t)query->from_ns);
    sqlite3_bind_int64(q, 3, (int64_t)query->to_ns);
    sqlite_bind_bytes(q, 4, bytes_of(query->who ? query->who : ""));
    sqlite_bind_bytes(q, 5, bytes_of(query->action ? query->action : ""));
    sqlite3_bind_int64(q, 6, query->max);
    return visit_rows(store, q, visit, context, err);
}

static bool audit_replay(struct control_store *store, audit_visit *visit, void *context,
                         struct error *err)
{
    sqlite3_stmt *q = control_begin(store, "SELECT " COLUMNS " FROM audit ORDER BY id", err);
    return q && visit_rows(store, q, visit, context, err);
}

const struct control_audit_kind sqlite_audit_kind = {
    .add = audit_put,
    .list = audit_list,
    .replay = audit_replay,
};
