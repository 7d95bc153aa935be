/* The states of persons, tokens, integrations and importers in the SQLite control store. */
#include <stdio.h>

#include "server/store/sqlite_control.h"

const char SQLITE_HEALTH_SCHEMA[] =
    "CREATE TABLE health(subject TEXT PRIMARY KEY, name TEXT NOT NULL, state INTEGER NOT NULL,"
    " code TEXT NOT NULL, reason TEXT NOT NULL, action TEXT NOT NULL, since_ns INTEGER NOT NULL,"
    " last_seen_ns INTEGER NOT NULL, last_data_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "ALTER TABLE token ADD COLUMN limited_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN malformed_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN logs_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN metrics_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN traces_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN tokens_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE token ADD COLUMN cost_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN evicted_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN drift_hour_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN drift_hour_total INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN backlog_records INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE device ADD COLUMN backlog_growing_ns INTEGER NOT NULL DEFAULT 0;";

bool sqlite_health_list(struct control_store *store, fleet_health_visit *visit, void *context,
                        struct error *err)
{
    sqlite3_stmt *q = control_begin(store,
                                    "SELECT subject,name,state,code,reason,action,since_ns,"
                                    "last_seen_ns,last_data_ns FROM health ORDER BY subject",
                                    err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct fleet_health h = {.state = sqlite3_column_int(q, 2),
                                 .since_ns = (uint64_t)sqlite3_column_int64(q, 6),
                                 .last_seen_ns = (uint64_t)sqlite3_column_int64(q, 7),
                                 .last_data_ns = (uint64_t)sqlite3_column_int64(q, 8)};
        control_text(q, 0, h.subject, sizeof h.subject);
        control_text(q, 1, h.name, sizeof h.name);
        control_text(q, 3, h.code, sizeof h.code);
        control_text(q, 4, h.reason, sizeof h.reason);
        control_text(q, 5, h.action, sizeof h.action);
        if (!visit(context, &h))
            break;
    }
    if (q)
        control_end(store, q);
    return ok;
}

static bool put_states(sqlite3 *db, const struct fleet_health_changes *changes, struct error *err)
{
    sqlite3_stmt *q =
        sqlite_prepare(db, "INSERT OR REPLACE INTO health VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)", err);
    bool ok = q != NULL;
    for (size_t i = 0; ok && i < changes->put_count; i++) {
        const struct fleet_health *h = &changes->put[i];
        sqlite_bind_bytes(q, 1, bytes_of(h->subject));
        sqlite_bind_bytes(q, 2, bytes_of(h->name));
        sqlite3_bind_int(q, 3, h->state);
        sqlite_bind_bytes(q, 4, bytes_of(h->code));
        sqlite_bind_bytes(q, 5, bytes_of(h->reason));
        sqlite_bind_bytes(q, 6, bytes_of(h->action));
        sqlite3_bind_int64(q, 7, (int64_t)h->since_ns);
        sqlite3_bind_int64(q, 8, (int64_t)h->last_seen_ns);
        sqlite3_bind_int64(q, 9, (int64_t)h->last_data_ns);
        ok = sqlite_do(db, q, err);
    }
    sqlite3_finalize(q);
    return ok;
}

static bool add_flips(sqlite3 *db, const struct fleet_health_changes *changes, struct error *err)
{
    sqlite3_stmt *q = sqlite_prepare(
        db, "INSERT INTO flip(subject,was,is_now,code,reason,at_ns) VALUES(?1,?2,?3,?4,?5,?6)",
        err);
    bool ok = q != NULL;
    for (size_t i = 0; ok && i < changes->flip_count; i++) {
        const struct fleet_flip *f = &changes->flips[i];
        const char *const texts[] = {f->subject, f->from, f->to, f->code, f->reason};
        for (int t = 0; t < 5; t++)
            sqlite_bind_bytes(q, t + 1, bytes_of(texts[t]));
        sqlite3_bind_int64(q, 6, (int64_t)f->at_ns);
        ok = sqlite_do(db, q, err);
    }
    sqlite3_finalize(q);
    return ok;
}

static bool remove_states(sqlite3 *db, const struct fleet_health_changes *changes,
                          struct error *err)
{
    sqlite3_stmt *q = sqlite_prepare(db, "DELETE FROM health WHERE subject=?1", err);
    bool ok = q != NULL;
    for (size_t i = 0; ok && i < changes->removed_count; i++) {
        sqlite_bind_bytes(q, 1, bytes_of(changes->removed[i]));
        ok = sqlite_do(db, q, err);
    }
    sqlite3_finalize(q);
    return ok;
}

bool sqlite_health_apply(struct control_store *store, const struct fleet_health_changes *changes,
                         struct error *err)
{
    sqlite3_stmt *hold = control_begin(store, "SELECT 1", err); /* the connection's lock */
    if (!hold)
        return false;
    sqlite3 *db = control_db(store);
    bool ok = sqlite_run(db, "BEGIN IMMEDIATE", err) && put_states(db, changes, err) &&
              add_flips(db, changes, err) && remove_states(db, changes, err) &&
              sqlite_run(db, "COMMIT", err);
    if (!ok)
        sqlite_roll_back(db);
    control_end(store, hold);
    return ok;
}

/* Runs a statement of which ?1 is the person. */
static bool run_for_person(sqlite3 *db, const char *sql, const char *email, struct error *err)
{
    sqlite3_stmt *q = sqlite_prepare(db, sql, err);
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(email));
    bool ok = sqlite_do(db, q, err);
    sqlite3_finalize(q);
    return ok;
}

bool sqlite_health_forget(struct control_store *store, const char *email, struct error *err)
{
    sqlite3_stmt *hold = control_begin(store, "SELECT 1", err);
    if (!hold)
        return false;
    sqlite3 *db = control_db(store);
    bool ok = sqlite_run(db, "BEGIN IMMEDIATE", err) &&
              run_for_person(db, "DELETE FROM health WHERE subject='person:'||?1", email, err) &&
              run_for_person(db, "DELETE FROM flip WHERE subject='person:'||?1", email, err) &&
              run_for_person(db, "UPDATE device SET owner='',heartbeat='',report='' WHERE owner=?1",
                             email, err) &&
              sqlite_run(db, "COMMIT", err);
    if (!ok)
        sqlite_roll_back(db);
    control_end(store, hold);
    return ok;
}
