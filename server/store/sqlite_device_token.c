/* A device's next token in the SQLite control store, from its offer to its first use. */
#include "server/store/sqlite_control.h"

const char SQLITE_DEVICE_TOKEN_SCHEMA[] =
    "ALTER TABLE device ADD COLUMN pending_token INTEGER NOT NULL DEFAULT 0;";

/* Runs a statement of numbers ?1, ?2 …; FAIL_NOT_FOUND when it changed nothing and `missing` is given. */
static bool change(sqlite3 *db, const char *sql, const int64_t *numbers, int count,
                   const char *missing, struct error *err)
{
    sqlite3_stmt *q = sqlite_prepare(db, sql, err);
    if (!q)
        return false;
    for (int i = 0; i < count; i++)
        sqlite3_bind_int64(q, i + 1, numbers[i]);
    bool ok = sqlite_do(db, q, err);
    if (ok && missing && sqlite3_changes(db) == 0)
        ok = error_set(err, FAIL_NOT_FOUND, "%s", missing);
    sqlite3_finalize(q);
    return ok;
}

static bool insert(sqlite3 *db, const struct control_token *token, int64_t *id, struct error *err)
{
    sqlite3_stmt *q = sqlite_prepare(db, SQLITE_TOKEN_INSERT, err);
    if (!q)
        return false;
    sqlite_bind_token(q, token);
    bool ok = sqlite_do(db, q, err);
    *id = sqlite3_last_insert_rowid(db);
    sqlite3_finalize(q);
    return ok;
}

/* The new one comes before the pending one goes, so that no id is ever used twice. */
static bool replace_pending(sqlite3 *db, const struct fleet_device *device,
                            const struct control_token *token, struct error *err)
{
    int64_t id;
    if (!insert(db, token, &id, err))
        return false;
    const int64_t numbers[] = {device->id, id, device->token_id};
    return change(db, "DELETE FROM token WHERE id=(SELECT pending_token FROM device WHERE id=?1)",
                  numbers, 1, NULL, err) &&
           change(db, "UPDATE device SET pending_token=?2 WHERE id=?1 AND token=?3", numbers, 3,
                  "the device is gone or has another token", err);
}

bool sqlite_device_token_offer(struct control_store *store, const struct fleet_device *device,
                               const struct control_token *token, struct error *err)
{
    sqlite3_stmt *hold = control_begin(store, "SELECT 1", err); /* the connection's lock */
    if (!hold)
        return false;
    sqlite3 *db = control_db(store);
    bool ok = sqlite_run(db, "BEGIN IMMEDIATE", err) && replace_pending(db, device, token, err) &&
              sqlite_run(db, "COMMIT", err);
    if (!ok)
        sqlite_roll_back(db);
    control_end(store, hold);
    return ok;
}

bool sqlite_device_token_take(struct control_store *store, int64_t token_id, uint64_t now_ns,
                              struct error *err)
{
    static const char revoke[] =
        "UPDATE token SET revoked_ns=?2 WHERE revoked_ns=0 AND id=(SELECT d.token FROM token t "
        "JOIN device d ON d.id=t.device AND d.pending_token=t.id WHERE t.id=?1)";
    static const char put_in_force[] = "UPDATE device SET token=?1,pending_token=0 WHERE "
                                       "id=(SELECT device FROM token WHERE id=?1)";
    const int64_t numbers[] = {token_id, (int64_t)now_ns};
    sqlite3_stmt *hold = control_begin(store, "SELECT 1", err);
    if (!hold)
        return false;
    sqlite3 *db = control_db(store);
    bool ok = sqlite_run(db, "BEGIN IMMEDIATE", err) &&
              change(db, revoke, numbers, 2, "the token does not wait for its first use", err) &&
              change(db, put_in_force, numbers, 1, NULL, err) && sqlite_run(db, "COMMIT", err);
    if (!ok)
        sqlite_roll_back(db);
    control_end(store, hold);
    return ok;
}
