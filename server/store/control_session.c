/* Browsers' sessions, and what ends them, in the control store. */
#include "server/store/control_sql.h"

bool control_session_begin(struct control_store *store, const struct control_session *session,
                           uint64_t begun_before_ns, uint64_t used_before_ns, unsigned keep,
                           struct error *err)
{
    struct sql_query *q = control_begin(store, "INSERT INTO session VALUES(?1,?2,?3,?4)", err);
    if (!q)
        return false;
    sql_bind_blob(q, 1, session->sha256, sizeof session->sha256);
    sql_bind_text(q, 2, session->email);
    sql_bind_time(q, 3, session->begun_ns);
    sql_bind_time(q, 4, session->used_ns);
    if (!control_finish(q, NULL, err))
        return false;
    q = control_begin(store,
                      "DELETE FROM session WHERE begun_ns<?1 OR used_ns<?2 OR (email=?3 AND sha256"
                      " NOT IN (SELECT sha256 FROM session WHERE email=?3"
                      "  ORDER BY begun_ns DESC LIMIT ?4))",
                      err);
    if (!q)
        return false;
    sql_bind_time(q, 1, begun_before_ns);
    sql_bind_time(q, 2, used_before_ns);
    sql_bind_text(q, 3, session->email);
    sql_bind_int(q, 4, keep);
    return control_finish(q, NULL, err);
}

bool control_session_find(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                          struct control_session *out, struct error *err)
{
    struct sql_query *q =
        control_begin(store, "SELECT email,begun_ns,used_ns FROM session WHERE sha256=?1", err);
    bool row = false;
    if (!q)
        return false;
    sql_bind_blob(q, 1, sha256, CONTROL_HASH_BYTES);
    bool ok = sql_next(q, &row, err);
    if (ok && row) {
        *out =
            (struct control_session){.begun_ns = sql_time_at(q, 1), .used_ns = sql_time_at(q, 2)};
        sql_copy_text(q, 0, out->email, sizeof out->email);
    } else if (ok) {
        ok = error_set(err, FAIL_NOT_FOUND, "there is no such session");
    }
    sql_end(q);
    return ok;
}

bool control_session_used(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                          uint64_t now_ns, struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "UPDATE session SET used_ns=CASE WHEN used_ns>?2 THEN used_ns ELSE ?2 END WHERE sha256=?1",
        err);
    if (!q)
        return false;
    sql_bind_blob(q, 1, sha256, CONTROL_HASH_BYTES);
    sql_bind_time(q, 2, now_ns);
    return control_finish(q, NULL, err);
}

bool control_session_end(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                         struct error *err)
{
    struct sql_query *q = control_begin(store, "DELETE FROM session WHERE sha256=?1", err);
    if (!q)
        return false;
    sql_bind_blob(q, 1, sha256, CONTROL_HASH_BYTES);
    return control_finish(q, NULL, err);
}

bool control_session_end_all(struct control_store *store, const char *email, struct error *err)
{
    struct sql_query *q = control_begin(store, "DELETE FROM session WHERE email=?1", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, email);
    return control_finish(q, NULL, err);
}
