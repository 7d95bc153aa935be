#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/kinds.h"
#include "server/store/sqlite_backup.h"
#include "server/store/sqlite_control.h"

static const char STEP_1[] =
    "CREATE TABLE system(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " created_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE token(id INTEGER PRIMARY KEY, system INTEGER NOT NULL REFERENCES system(id),"
    " sha256 BLOB NOT NULL UNIQUE, prefix TEXT NOT NULL, person TEXT NOT NULL,"
    " retention_days INTEGER NOT NULL, plan INTEGER NOT NULL, device INTEGER NOT NULL,"
    " records_per_s INTEGER NOT NULL, created_ns INTEGER NOT NULL, last_used_ns INTEGER NOT NULL,"
    " revoked_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE user(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, role INTEGER NOT NULL,"
    " password TEXT NOT NULL, created_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE value(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;";
static const char *const STEPS[] = {STEP_1,
                                    SQLITE_FLEET_SCHEMA,
                                    SQLITE_API_USAGE_SCHEMA,
                                    SQLITE_AUDIT_SCHEMA,
                                    SQLITE_API_ERASED_SCHEMA,
                                    SQLITE_HEALTH_SCHEMA,
                                    SQLITE_SESSION_SCHEMA,
                                    SQLITE_DEVICE_TOKEN_SCHEMA};

/* Small and rarely asked: one connection behind a lock. */
struct sqlite_control {
    struct control_store store; /* first, so the pointers convert */
    pthread_mutex_t lock;
    sqlite3 *db;
};

static void control_close(struct control_store *store)
{
    struct sqlite_control *s = (struct sqlite_control *)store;
    if (!s)
        return;
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct control_store *control_open(const char *location, struct error *err)
{
    struct sqlite_control *s = xcalloc(1, sizeof *s);
    s->store.kind = &sqlite_control_kind;
    pthread_mutex_init(&s->lock, NULL);
    s->db = sqlite_open(location, true, err);
    if (!s->db || !sqlite_migrate(s->db, STEPS, sizeof STEPS / sizeof *STEPS, err)) {
        error_wrap(err, "cannot open the control store");
        control_close(&s->store);
        return NULL;
    }
    return &s->store;
}

sqlite3_stmt *control_begin(struct control_store *store, const char *sql, struct error *err)
{
    struct sqlite_control *s = (struct sqlite_control *)store;
    pthread_mutex_lock(&s->lock);
    sqlite3_stmt *statement = sqlite_prepare(s->db, sql, err);
    if (!statement)
        pthread_mutex_unlock(&s->lock);
    return statement;
}

void control_end(struct control_store *store, sqlite3_stmt *statement)
{
    struct sqlite_control *s = (struct sqlite_control *)store;
    sqlite3_finalize(statement);
    pthread_mutex_unlock(&s->lock);
}

sqlite3 *control_db(struct control_store *store)
{
    return ((struct sqlite_control *)store)->db;
}

void control_text(sqlite3_stmt *q, int column, char *out, size_t size)
{
    snprintf(out, size, "%s", (const char *)sqlite3_column_text(q, column));
}

/* ---- Systems ---- */

static bool is_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len >= CONTROL_NAME_BYTES || name[0] == ' ' || name[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return false;
    return true;
}

static void read_system(sqlite3_stmt *q, struct control_system *out)
{
    *out = (struct control_system){.id = sqlite3_column_int64(q, 0),
                                   .created_ns = (uint64_t)sqlite3_column_int64(q, 2)};
    control_text(q, 1, out->name, sizeof out->name);
}

static bool control_system_create(struct control_store *store, const char *name, uint64_t now_ns,
                                  struct control_system *out, struct error *err)
{
    if (!is_name(name)) {
        error_set(err, FAIL_INVALID, "'%.60s' cannot be a system's name", name);
        return error_remedy(err, "use 1 to %d printable characters", CONTROL_NAME_BYTES - 1);
    }
    sqlite3_stmt *q =
        control_begin(store, "INSERT INTO system(name,created_ns) VALUES(?1,?2)", err);
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(name));
    sqlite3_bind_int64(q, 2, (int64_t)now_ns);
    bool ok = sqlite_do(control_db(store), q, err);
    if (ok) {
        *out = (struct control_system){.id = sqlite3_last_insert_rowid(control_db(store)),
                                       .created_ns = now_ns};
        snprintf(out->name, sizeof out->name, "%s", name);
    } else if (err->kind == FAIL_INVALID) {
        error_set(err, FAIL_BUSY, "there is a system '%s' already", name);
        error_remedy(err, "use that one, or choose another name");
    }
    control_end(store, q);
    return ok;
}

static bool control_system_list(struct control_store *store, control_system_visit *visit,
                                void *context, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store, "SELECT id,name,created_ns FROM system ORDER BY name", err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct control_system system;
        read_system(q, &system);
        if (!visit(context, &system))
            break;
    }
    if (q)
        control_end(store, q);
    return ok;
}

static bool control_system_find(struct control_store *store, const char *name,
                                struct control_system *out, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store, "SELECT id,name,created_ns FROM system WHERE name=?1", err);
    bool row = false;
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(name));
    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && row) {
        read_system(q, out);
    } else if (ok) {
        ok = error_set(err, FAIL_NOT_FOUND, "there is no system '%.100s'", name);
        error_remedy(err, "claude-telemetry-server system create '%.100s'", name);
    }
    control_end(store, q);
    return ok;
}

/* ---- Tokens ---- */

#define TOKEN_SELECT                                                                  \
    "SELECT t.id,t.system,s.name,t.sha256,t.prefix,t.person,t.retention_days,t.plan," \
    "t.device,t.records_per_s,t.created_ns,t.last_used_ns,t.revoked_ns,t.limited_ns," \
    "t.logs_ns,t.metrics_ns,t.traces_ns,t.tokens_ns,t.cost_ns,"                       \
    "t.malformed_ns,(SELECT d.device_id FROM device d WHERE d.id=t.device),"          \
    "EXISTS(SELECT 1 FROM device p WHERE p.id=t.device AND p.pending_token=t.id)"     \
    " FROM token t JOIN system s ON s.id=t.system "

static void read_token(sqlite3_stmt *q, struct control_token *out)
{
    *out = (struct control_token){
        .id = sqlite3_column_int64(q, 0),
        .system_id = sqlite3_column_int64(q, 1),
        .retention_days = sqlite3_column_int(q, 6),
        .plan = (enum control_plan)sqlite3_column_int(q, 7),
        .device_id = sqlite3_column_int64(q, 8),
        .records_per_s = (uint32_t)sqlite3_column_int64(q, 9),
        .created_ns = (uint64_t)sqlite3_column_int64(q, 10),
        .revoked_ns = (uint64_t)sqlite3_column_int64(q, 12),
        .activity = {.used_ns = (uint64_t)sqlite3_column_int64(q, 11),
                     .limited_ns = (uint64_t)sqlite3_column_int64(q, 13),
                     .malformed_ns = (uint64_t)sqlite3_column_int64(q, 19),
                     .tokens_ns = (uint64_t)sqlite3_column_int64(q, 17),
                     .cost_ns = (uint64_t)sqlite3_column_int64(q, 18)},
    };
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        out->activity.signal_ns[i] = (uint64_t)sqlite3_column_int64(q, 14 + i);
    control_text(q, 2, out->system, sizeof out->system);
    control_text(q, 20, out->device, sizeof out->device);
    out->pending = sqlite3_column_int(q, 21) != 0;
    struct bytes hash = sqlite_text_at(q, 3);
    if (hash.len == sizeof out->sha256)
        memcpy(out->sha256, hash.data, hash.len);
    control_text(q, 4, out->prefix, sizeof out->prefix);
    control_text(q, 5, out->person, sizeof out->person);
}

const char SQLITE_TOKEN_INSERT[] =
    "INSERT INTO token(system,sha256,prefix,person,retention_days,plan,device,records_per_s,"
    "created_ns,last_used_ns,revoked_ns) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,0,0)";

void sqlite_bind_token(sqlite3_stmt *q, const struct control_token *token)
{
    sqlite3_bind_int64(q, 1, token->system_id);
    sqlite_bind_raw(q, 2, token->sha256, sizeof token->sha256);
    sqlite_bind_bytes(q, 3, bytes_of(token->prefix));
    sqlite_bind_bytes(q, 4, bytes_of(token->person));
    sqlite3_bind_int(q, 5, token->retention_days);
    sqlite3_bind_int(q, 6, (int)token->plan);
    sqlite3_bind_int64(q, 7, token->device_id);
    sqlite3_bind_int64(q, 8, token->records_per_s);
    sqlite3_bind_int64(q, 9, (int64_t)token->created_ns);
}

static bool control_token_create(struct control_store *store, const struct control_token *token,
                                 int64_t *id, struct error *err)
{
    sqlite3_stmt *q = control_begin(store, SQLITE_TOKEN_INSERT, err);
    if (!q)
        return false;
    sqlite_bind_token(q, token);
    bool ok = sqlite_do(control_db(store), q, err);
    *id = ok ? sqlite3_last_insert_rowid(control_db(store)) : 0;
    if (!ok && err->kind == FAIL_INVALID)
        error_set(err, FAIL_INVALID, "there is no such system, or the token exists already");
    control_end(store, q);
    return ok;
}

static bool control_token_list(struct control_store *store, control_token_visit *visit,
                               void *context, struct error *err)
{
    sqlite3_stmt *q = control_begin(store, TOKEN_SELECT "ORDER BY t.id", err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct control_token token;
        read_token(q, &token);
        if (!visit(context, &token))
            break;
    }
    if (q)
        control_end(store, q);
    return ok;
}

static bool control_token_find(struct control_store *store,
                               const uint8_t sha256[CONTROL_HASH_BYTES], struct control_token *out,
                               struct error *err)
{
    sqlite3_stmt *q = control_begin(store, TOKEN_SELECT "WHERE t.sha256=?1", err);
    bool row = false;
    if (!q)
        return false;
    sqlite_bind_raw(q, 1, sha256, CONTROL_HASH_BYTES);
    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && row)
        read_token(q, out);
    else if (ok)
        ok = error_set(err, FAIL_NOT_FOUND, "there is no such token");
    control_end(store, q);
    return ok;
}

static bool control_token_revoke(struct control_store *store, const char *prefix_or_id,
                                 uint64_t now_ns, struct error *err)
{
    char *end;
    long long id = strtoll(prefix_or_id, &end, 10);
    if (*prefix_or_id == 0 || *end != 0)
        id = 0;
    sqlite3_stmt *q = control_begin(
        store,
        "UPDATE token SET revoked_ns=?1 WHERE revoked_ns=0 AND (id=?2 OR (prefix=?3 AND"
        " (SELECT count(*) FROM token WHERE prefix=?3 AND revoked_ns=0)=1))",
        err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, (int64_t)now_ns);
    sqlite3_bind_int64(q, 2, id);
    sqlite_bind_bytes(q, 3, bytes_of(prefix_or_id));
    bool ok = sqlite_do(control_db(store), q, err);
    if (ok && sqlite3_changes(control_db(store)) == 0) {
        ok = error_set(err, FAIL_NOT_FOUND, "no one valid token is called '%.40s'", prefix_or_id);
        error_remedy(err, "give the id that `claude-telemetry-server token list` shows");
    }
    control_end(store, q);
    return ok;
}

static bool control_token_used(struct control_store *store, int64_t id,
                               const struct token_activity *a, struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "UPDATE token SET last_used_ns=max(last_used_ns,?2),limited_ns=max(limited_ns,?3),"
        "tokens_ns=max(tokens_ns,?4),cost_ns=max(cost_ns,?5),logs_ns=max(logs_ns,?6),"
        "metrics_ns=max(metrics_ns,?7),traces_ns=max(traces_ns,?8),malformed_ns=max(malformed_ns,?"
        "9) WHERE id=?1",
        err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, id);
    sqlite3_bind_int64(q, 2, (int64_t)a->used_ns);
    sqlite3_bind_int64(q, 3, (int64_t)a->limited_ns);
    sqlite3_bind_int64(q, 4, (int64_t)a->tokens_ns);
    sqlite3_bind_int64(q, 5, (int64_t)a->cost_ns);
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        sqlite3_bind_int64(q, 6 + i, (int64_t)a->signal_ns[i]);
    sqlite3_bind_int64(q, 9, (int64_t)a->malformed_ns);
    bool ok = sqlite_do(control_db(store), q, err);
    control_end(store, q);
    return ok;
}

/* ---- Users ---- */

static void read_user(sqlite3_stmt *q, struct control_user *out)
{
    *out = (struct control_user){.id = sqlite3_column_int64(q, 0),
                                 .role = (enum control_role)sqlite3_column_int(q, 2),
                                 .created_ns = (uint64_t)sqlite3_column_int64(q, 4),
                                 .valid_from_ns = (uint64_t)sqlite3_column_int64(q, 5)};
    control_text(q, 1, out->email, sizeof out->email);
    control_text(q, 3, out->password, sizeof out->password);
}

static bool control_user_create(struct control_store *store, const struct control_user *user,
                                struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store,
                      "INSERT INTO user(email,role,password,created_ns) VALUES(lower(?1),?2,?3,?4)",
                      err);
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(user->email));
    sqlite3_bind_int(q, 2, (int)user->role);
    sqlite_bind_bytes(q, 3, bytes_of(user->password));
    sqlite3_bind_int64(q, 4, (int64_t)user->created_ns);
    bool ok = sqlite_do(control_db(store), q, err);
    if (!ok && err->kind == FAIL_INVALID)
        error_set(err, FAIL_BUSY, "there is a user '%s' already", user->email);
    error_remedy(err, "log in as that one, or give another --email");
    control_end(store, q);
    return ok;
}

static bool control_user_find(struct control_store *store, const char *email,
                              struct control_user *out, struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "SELECT id,email,role,password,created_ns,valid_from_ns FROM user WHERE email=lower(?1)",
        err);
    bool row = false;
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(email));
    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && row)
        read_user(q, out);
    else if (ok)
        ok = error_set(err, FAIL_NOT_FOUND, "there is no user '%.100s'", email);
    control_end(store, q);
    return ok;
}

static bool control_user_list(struct control_store *store, control_user_visit *visit, void *context,
                              struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store, "SELECT id,email,role,password,created_ns,valid_from_ns FROM user ORDER BY email",
        err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct control_user user;
        read_user(q, &user);
        if (!visit(context, &user))
            break;
    }
    if (q)
        control_end(store, q);
    return ok;
}

static bool no_user(const char *email, struct error *err)
{
    error_set(err, FAIL_NOT_FOUND, "there is no user '%.100s'", email);
    return error_remedy(err, "`claude-telemetry-server user list` shows them");
}

static bool control_user_update(struct control_store *store, const struct control_user *user,
                                struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store,
                      "UPDATE user SET role=?2,password=?3,valid_from_ns=?4 WHERE email=lower(?1)",
                      err);
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(user->email));
    sqlite3_bind_int(q, 2, (int)user->role);
    sqlite_bind_bytes(q, 3, bytes_of(user->password));
    sqlite3_bind_int64(q, 4, (int64_t)user->valid_from_ns);
    bool ok = sqlite_do(control_db(store), q, err);
    if (ok && sqlite3_changes(control_db(store)) == 0)
        ok = no_user(user->email, err);
    control_end(store, q);
    return ok;
}

static bool control_user_remove(struct control_store *store, const char *email, struct error *err)
{
    /* Sessions first: without its user a session is worthless, but a user without sessions is not. */
    if (!sqlite_session_end_all(store, email, err))
        return false;
    sqlite3_stmt *q = control_begin(store, "DELETE FROM user WHERE email=lower(?1)", err);
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(email));
    bool ok = sqlite_do(control_db(store), q, err);
    if (ok && sqlite3_changes(control_db(store)) == 0)
        ok = no_user(email, err);
    control_end(store, q);
    return ok;
}

/* ---- Values ---- */

static bool control_value_get(struct control_store *store, const char *name, struct buffer *out,
                              struct error *err)
{
    sqlite3_stmt *q = control_begin(store, "SELECT value FROM value WHERE name=?1", err);
    bool row = false;
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(name));
    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && !row)
        ok = error_set(err, FAIL_NOT_FOUND, "there is no value '%.100s'", name);
    else if (ok && !buffer_append(out, sqlite_text_at(q, 0)))
        ok = error_set(err, FAIL_TOO_LARGE, "the value '%.100s' is too large", name);
    control_end(store, q);
    return ok;
}

static bool control_value_put(struct control_store *store, const char *name, struct bytes value,
                              struct error *err)
{
    sqlite3_stmt *q = control_begin(store,
                                    "INSERT INTO value VALUES(?1,?2) ON CONFLICT DO UPDATE SET"
                                    " value=excluded.value",
                                    err);
    if (!q)
        return false;
    sqlite_bind_bytes(q, 1, bytes_of(name));
    sqlite_bind_raw(q, 2, value.len ? value.data : (const void *)"", value.len);
    bool ok = sqlite_do(control_db(store), q, err);
    control_end(store, q);
    return ok;
}

const struct control_store_kind sqlite_control_kind = {
    .scheme = "sqlite",
    .open = control_open,
    .close = control_close,
    .system_create = control_system_create,
    .system_list = control_system_list,
    .system_find = control_system_find,
    .token_create = control_token_create,
    .token_list = control_token_list,
    .token_find = control_token_find,
    .token_revoke = control_token_revoke,
    .token_used = control_token_used,
    .user_create = control_user_create,
    .user_find = control_user_find,
    .user_list = control_user_list,
    .user_update = control_user_update,
    .user_remove = control_user_remove,
    .session_begin = sqlite_session_begin,
    .session_find = sqlite_session_find,
    .session_used = sqlite_session_used,
    .session_end = sqlite_session_end,
    .session_end_all = sqlite_session_end_all,
    .value_get = control_value_get,
    .value_put = control_value_put,
    .fleet = &sqlite_fleet_kind,
    .api_usage = &sqlite_api_usage_kind,
    .audit = &sqlite_audit_kind,
    .backup = sqlite_backup,
};
