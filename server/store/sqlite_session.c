/* Browsers' sessions, and what ends them, in the SQLite control store. */
#include "server/store/sqlite_control.h"

const char SQLITE_SESSION_SCHEMA[] =
    "ALTER TABLE user ADD COLUMN valid_from_ns INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE session(sha256 BLOB PRIMARY KEY, email TEXT NOT NULL, begun_ns INTEGER NOT NULL,"
    " used_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX session_email ON session(email, begun_ns);";

static bool run(struct control_store *store, sqlite3_stmt *q, struct error *err)
{
    bool ok = sqlite_do(control_db(store), q, err);
    control_end(store, q);
    return ok;
}

bool sqlite_session_begin(struct control_store *store, const struct control_session *session,
                          uint64_t begun_before_ns, uint64_t used_before_ns, unsigned keep,
                          struct error *err)
{
    sqlite3_stmt *q = control_begin(store, "INSERT INTO session VALUES(?1,?2,?3,?4)", err);
    if (!q)
        return false;
    sqlite_bind_raw(q, 1, session->sha256, sizeof session->sha256);
    sqlite_bind_bytes(q, 2, bytes_of(session->email));
    sqlite3_bind_int64(q, 3, (int64_t)session->begun_ns);
    sqlite3_bind_int64(q, 4, (int64_t)session->used_ns);
    if (!run(store, q, err))
        return false;
    q = control_begin(store,
                      "DELETE FROM session WHERE begun_ns<?1 OR used_ns<?2 OR (email=?3 AND sha256"
                      " NOT IN (SELECT sha256 FROM session WHERE email=?3"
                      "  ORDER BY begun_ns DESC LIMIT ?4))",
                      err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, (int64_t)begun_before_ns);
    sqlite3_bind_int64(q, 2, (int64_t)used_before_ns);
    sqlite_bind_bytes(q, 3, bytes_of(session->email));
    sqlite3_bind_int64(q, 4, keep);
    return run(store, q, err);
}

bool sqlite_session_find(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                         struct control_session *out, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store, "SELECT email,begun_ns,used_ns FROM session WHERE sha256=?1", err);
    bool row = false;
    if (!q)
        return false;
    sqlite_bind_raw(q, 1, sha256, CONTROL_HASH_BYTES);
    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && row) {
        *out = (struct control_session){.begun_ns = (uint64_t)sqlite3_column_int64(q, 1),
                                        .used_ns = (uint64_t)sqlite3_column_int64(q, 2)};
        control_text(q, 0, out->email, sizeof out->email);
    } else if (ok) {
        ok = error_set(err, FAIL_NOT_FOUND, "there is no such session");
    }
    control_end(store, q);
    return ok;
}

bool sqlite_session_used(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                         uint64_t now_ns, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store, "UPDATE session SET used_ns=max(used_ns,?2) WHERE sha256=?1", err);
    if (!q)
        return false;
    sqlite_bind_raw(q, 1, sha256, CONTROL_HASH_BYTES);
    sqlite3_bind_int64(q, 2, (int64_t)now_ns);
    return run(store, q, err);
}

bool sqlite_session_end(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                        struct error *err)
{
    sqlite3_stmt *q = control_begin(store, "DELETE FROM session WHERE sha256=?1", err);
    if (!q)
        return false;
    sqlite_bind_raw(q, 1, sha256, CONTROL_HASH_BYTES);
    return run(store, q, err);
}

bool sqlite_session_end_all(struct control_store *store, const char *email, struct error *err)
{
    sqlite3_stmt *q = control_begin(store, "DELETE FROM session WHERE email=?1", err);
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(email));
    return run(store, q, err);
}
