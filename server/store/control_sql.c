#include "server/store/control_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/kinds.h"
#include "server/store/postgres_db.h"
#include "server/store/sqlite_backup.h"

static void control_close(struct control_store *store)
{
    if (!store)
        return;
    sql_close(control_db(store));
    free(store);
}

static const struct control_store_kind control_sql_kind;

/* Takes over `db`, NULL when it could not be opened. */
static struct control_store *control_open(struct sql *db, struct error *err)
{
    if (!db) {
        error_wrap(err, "cannot open the control store");
        return NULL;
    }
    struct control_sql *s = xcalloc(1, sizeof *s);
    *s = (struct control_sql){.store = {.kind = &control_sql_kind}, .db = db};
    return &s->store;
}

static struct control_store *open_sqlite(const char *path, struct error *err)
{
    return control_open(sqlite_sql_open(path, CONTROL_SQLITE_STEPS, CONTROL_SQLITE_STEP_COUNT, err),
                        err);
}

static struct control_store *open_postgres(const char *location, struct error *err)
{
    return control_open(postgres_sql_open(location, CONTROL_POSTGRES_STEPS,
                                          CONTROL_POSTGRES_STEP_COUNT, err),
                        err);
}

const struct control_place sqlite_control_place = {.scheme = "sqlite",
                                                   .open = open_sqlite,
                                                   .backup = sqlite_backup};
const struct control_place postgres_control_place = {.scheme = "postgres",
                                                     .open = open_postgres,
                                                     .backup = postgres_backup};

/* ---- Running what gives no rows ---- */

bool control_finish(struct sql_query *q, const char *missing, struct error *err)
{
    bool ok = q && sql_do(q, err);
    if (ok && missing && sql_changes(q) == 0)
        ok = error_set(err, FAIL_NOT_FOUND, "%s", missing);
    sql_end(q);
    return ok;
}

bool control_change(struct sql_link *link, const char *text, const int64_t *numbers, int count,
                    const char *missing, struct error *err)
{
    struct sql_query *q = sql_prepare(link, text, err);
    for (int i = 0; q && i < count; i++)
        sql_bind_int(q, i + 1, numbers[i]);
    return control_finish(q, missing, err);
}

/* The id that an INSERT … RETURNING id gives. */
static bool inserted(struct sql_query *q, int64_t *id, struct error *err)
{
    bool row = false;
    *id = 0;
    if (!sql_next(q, &row, err))
        return false;
    *id = row ? sql_int_at(q, 0) : 0;
    return sql_do(q, err); /* to its end */
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

static void read_system(struct sql_query *q, struct control_system *out)
{
    *out = (struct control_system){.id = sql_int_at(q, 0), .created_ns = sql_time_at(q, 2)};
    sql_copy_text(q, 1, out->name, sizeof out->name);
}

static bool control_system_create(struct control_store *store, const char *name, uint64_t now_ns,
                                  struct control_system *out, struct error *err)
{
    if (!is_name(name)) {
        error_set(err, FAIL_INVALID, "'%.60s' cannot be a system's name", name);
        return error_remedy(err, "use 1 to %d printable characters", CONTROL_NAME_BYTES - 1);
    }
    struct sql_query *q =
        control_begin(store, "INSERT INTO system(name,created_ns) VALUES(?1,?2) RETURNING id", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, name);
    sql_bind_time(q, 2, now_ns);
    int64_t id;
    bool ok = inserted(q, &id, err);
    if (ok) {
        *out = (struct control_system){.id = id, .created_ns = now_ns};
        snprintf(out->name, sizeof out->name, "%s", name);
    } else if (err->kind == FAIL_INVALID) {
        error_set(err, FAIL_BUSY, "there is a system '%s' already", name);
        error_remedy(err, "use that one, or choose another name");
    }
    sql_end(q);
    return ok;
}

static bool control_system_list(struct control_store *store, control_system_visit *visit,
                                void *context, struct error *err)
{
    struct sql_query *q =
        control_begin(store, "SELECT id,name,created_ns FROM system ORDER BY name", err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sql_next(q, &row, err)) && row) {
        struct control_system system;
        read_system(q, &system);
        if (!visit(context, &system))
            break;
    }
    sql_end(q);
    return ok;
}

static bool control_system_find(struct control_store *store, const char *name,
                                struct control_system *out, struct error *err)
{
    struct sql_query *q =
        control_begin(store, "SELECT id,name,created_ns FROM system WHERE name=?1", err);
    bool row = false;
    if (!q)
        return false;
    sql_bind_text(q, 1, name);
    bool ok = sql_next(q, &row, err);
    if (ok && row) {
        read_system(q, out);
    } else if (ok) {
        ok = error_set(err, FAIL_NOT_FOUND, "there is no system '%.100s'", name);
        error_remedy(err, "claude-telemetry-server system create '%.100s'", name);
    }
    sql_end(q);
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

static void read_token(struct sql_query *q, struct control_token *out)
{
    *out = (struct control_token){
        .id = sql_int_at(q, 0),
        .system_id = sql_int_at(q, 1),
        .retention_days = (int)sql_int_at(q, 6),
        .plan = (enum control_plan)(int)sql_int_at(q, 7),
        .device_id = sql_int_at(q, 8),
        .records_per_s = (uint32_t)sql_int_at(q, 9),
        .created_ns = sql_time_at(q, 10),
        .revoked_ns = sql_time_at(q, 12),
        .activity = {.used_ns = sql_time_at(q, 11),
                     .limited_ns = sql_time_at(q, 13),
                     .malformed_ns = sql_time_at(q, 19),
                     .tokens_ns = sql_time_at(q, 17),
                     .cost_ns = sql_time_at(q, 18)},
    };
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        out->activity.signal_ns[i] = sql_time_at(q, 14 + i);
    sql_copy_text(q, 2, out->system, sizeof out->system);
    sql_copy_text(q, 20, out->device, sizeof out->device);
    out->pending = sql_int_at(q, 21) != 0;
    struct bytes hash = sql_bytes_at(q, 3);
    if (hash.len == sizeof out->sha256)
        memcpy(out->sha256, hash.data, hash.len);
    sql_copy_text(q, 4, out->prefix, sizeof out->prefix);
    sql_copy_text(q, 5, out->person, sizeof out->person);
}

const char CONTROL_TOKEN_INSERT[] =
    "INSERT INTO token(system,sha256,prefix,person,retention_days,plan,device,records_per_s,"
    "created_ns,last_used_ns,revoked_ns) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,0,0) RETURNING id";

void control_bind_token(struct sql_query *q, const struct control_token *token)
{
    sql_bind_int(q, 1, token->system_id);
    sql_bind_blob(q, 2, token->sha256, sizeof token->sha256);
    sql_bind_text(q, 3, token->prefix);
    sql_bind_text(q, 4, token->person);
    sql_bind_int(q, 5, token->retention_days);
    sql_bind_int(q, 6, (int)token->plan);
    sql_bind_int(q, 7, token->device_id);
    sql_bind_int(q, 8, token->records_per_s);
    sql_bind_time(q, 9, token->created_ns);
}

static bool control_token_create(struct control_store *store, const struct control_token *token,
                                 int64_t *id, struct error *err)
{
    struct sql_query *q = control_begin(store, CONTROL_TOKEN_INSERT, err);
    if (!q)
        return false;
    control_bind_token(q, token);
    bool ok = inserted(q, id, err);
    if (!ok && err->kind == FAIL_INVALID)
        error_set(err, FAIL_INVALID, "there is no such system, or the token exists already");
    sql_end(q);
    return ok;
}

static bool control_token_list(struct control_store *store, control_token_visit *visit,
                               void *context, struct error *err)
{
    struct sql_query *q = control_begin(store, TOKEN_SELECT "ORDER BY t.id", err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sql_next(q, &row, err)) && row) {
        struct control_token token;
        read_token(q, &token);
        if (!visit(context, &token))
            break;
    }
    sql_end(q);
    return ok;
}

static bool control_token_find(struct control_store *store,
                               const uint8_t sha256[CONTROL_HASH_BYTES], struct control_token *out,
                               struct error *err)
{
    struct sql_query *q = control_begin(store, TOKEN_SELECT "WHERE t.sha256=?1", err);
    bool row = false;
    if (!q)
        return false;
    sql_bind_blob(q, 1, sha256, CONTROL_HASH_BYTES);
    bool ok = sql_next(q, &row, err);
    if (ok && row)
        read_token(q, out);
    else if (ok)
        ok = error_set(err, FAIL_NOT_FOUND, "there is no such token");
    sql_end(q);
    return ok;
}

static bool control_token_revoke(struct control_store *store, const char *prefix_or_id,
                                 uint64_t now_ns, struct error *err)
{
    char *end;
    long long id = strtoll(prefix_or_id, &end, 10);
    if (*prefix_or_id == 0 || *end != 0)
        id = 0;
    struct sql_query *q = control_begin(
        store,
        "UPDATE token SET revoked_ns=?1 WHERE revoked_ns=0 AND (id=?2 OR (prefix=?3 AND"
        " (SELECT count(*) FROM token WHERE prefix=?3 AND revoked_ns=0)=1))",
        err);
    if (!q)
        return false;
    sql_bind_time(q, 1, now_ns);
    sql_bind_int(q, 2, id);
    sql_bind_text(q, 3, prefix_or_id);
    bool ok = sql_do(q, err);
    if (ok && sql_changes(q) == 0) {
        ok = error_set(err, FAIL_NOT_FOUND, "no one valid token is called '%.40s'", prefix_or_id);
        error_remedy(err, "give the id that `claude-telemetry-server token list` shows");
    }
    sql_end(q);
    return ok;
}

static bool control_token_used(struct control_store *store, int64_t id,
                               const struct token_activity *a, struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "UPDATE token SET "
        "last_used_ns=CASE WHEN last_used_ns>?2 THEN last_used_ns ELSE ?2 END,"
        "limited_ns=CASE WHEN limited_ns>?3 THEN limited_ns ELSE ?3 END,"
        "tokens_ns=CASE WHEN tokens_ns>?4 THEN tokens_ns ELSE ?4 END,"
        "cost_ns=CASE WHEN cost_ns>?5 THEN cost_ns ELSE ?5 END,"
        "logs_ns=CASE WHEN logs_ns>?6 THEN logs_ns ELSE ?6 END,"
        "metrics_ns=CASE WHEN metrics_ns>?7 THEN metrics_ns ELSE ?7 END,"
        "traces_ns=CASE WHEN traces_ns>?8 THEN traces_ns ELSE ?8 END,"
        "malformed_ns=CASE WHEN malformed_ns>?9 THEN malformed_ns ELSE ?9 END WHERE id=?1",
        err);
    if (!q)
        return false;
    sql_bind_int(q, 1, id);
    sql_bind_time(q, 2, a->used_ns);
    sql_bind_time(q, 3, a->limited_ns);
    sql_bind_time(q, 4, a->tokens_ns);
    sql_bind_time(q, 5, a->cost_ns);
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        sql_bind_time(q, 6 + i, a->signal_ns[i]);
    sql_bind_time(q, 9, a->malformed_ns);
    bool ok = sql_do(q, err);
    sql_end(q);
    return ok;
}

/* ---- Users ---- */

/* Addresses are kept in lower case; of ASCII, so that no locale has a say. `lower` holds the text. */
static void bind_email(struct sql_query *q, int at, const char *email,
                       char lower[CONTROL_EMAIL_BYTES])
{
    size_t i = 0;
    for (; email[i] && i < CONTROL_EMAIL_BYTES - 1; i++)
        lower[i] = email[i] >= 'A' && email[i] <= 'Z' ? (char)(email[i] - 'A' + 'a') : email[i];
    lower[i] = '\0';
    sql_bind_text(q, at, lower);
}

static void read_user(struct sql_query *q, struct control_user *out)
{
    *out = (struct control_user){.id = sql_int_at(q, 0),
                                 .role = (enum control_role)(int)sql_int_at(q, 2),
                                 .created_ns = sql_time_at(q, 4),
                                 .valid_from_ns = sql_time_at(q, 5)};
    sql_copy_text(q, 1, out->email, sizeof out->email);
    sql_copy_text(q, 3, out->password, sizeof out->password);
}

static bool control_user_create(struct control_store *store, const struct control_user *user,
                                struct error *err)
{
    char lower[CONTROL_EMAIL_BYTES];
    struct sql_query *q =
        control_begin(store,
                      "INSERT INTO \"user\"(email,role,password,created_ns) VALUES(?1,?2,?3,?4)",
                      err);
    if (!q)
        return false;
    bind_email(q, 1, user->email, lower);
    sql_bind_int(q, 2, (int)user->role);
    sql_bind_text(q, 3, user->password);
    sql_bind_time(q, 4, user->created_ns);
    bool ok = sql_do(q, err);
    if (!ok && err->kind == FAIL_INVALID)
        error_set(err, FAIL_BUSY, "there is a user '%s' already", user->email);
    error_remedy(err, "log in as that one, or give another --email");
    sql_end(q);
    return ok;
}

static bool control_user_find(struct control_store *store, const char *email,
                              struct control_user *out, struct error *err)
{
    char lower[CONTROL_EMAIL_BYTES];
    struct sql_query *q = control_begin(
        store,
        "SELECT id,email,role,password,created_ns,valid_from_ns FROM \"user\" WHERE email=?1", err);
    bool row = false;
    if (!q)
        return false;
    bind_email(q, 1, email, lower);
    bool ok = sql_next(q, &row, err);
    if (ok && row)
        read_user(q, out);
    else if (ok)
        ok = error_set(err, FAIL_NOT_FOUND, "there is no user '%.100s'", email);
    sql_end(q);
    return ok;
}

static bool control_user_list(struct control_store *store, control_user_visit *visit, void *context,
                              struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "SELECT id,email,role,password,created_ns,valid_from_ns FROM \"user\" ORDER BY email", err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sql_next(q, &row, err)) && row) {
        struct control_user user;
        read_user(q, &user);
        if (!visit(context, &user))
            break;
    }
    sql_end(q);
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
    char lower[CONTROL_EMAIL_BYTES];
    struct sql_query *q =
        control_begin(store,
                      "UPDATE \"user\" SET role=?2,password=?3,valid_from_ns=?4 WHERE email=?1",
                      err);
    if (!q)
        return false;
    bind_email(q, 1, user->email, lower);
    sql_bind_int(q, 2, (int)user->role);
    sql_bind_text(q, 3, user->password);
    sql_bind_time(q, 4, user->valid_from_ns);
    bool ok = sql_do(q, err);
    if (ok && sql_changes(q) == 0)
        ok = no_user(user->email, err);
    sql_end(q);
    return ok;
}

/* With the sessions: without its user a session is worthless. */
static bool remove_user(void *context, struct sql_link *link, struct error *err)
{
    static const char *const steps[] = {"DELETE FROM session WHERE email=?1",
                                        "DELETE FROM \"user\" WHERE email=?1"};
    char lower[CONTROL_EMAIL_BYTES];
    bool ok = true;
    for (int i = 0; ok && i < 2; i++) {
        struct sql_query *q = sql_prepare(link, steps[i], err);
        if (q)
            bind_email(q, 1, context, lower);
        ok = control_finish(q, i == 1 ? "" : NULL, err);
    }
    return ok;
}

static bool control_user_remove(struct control_store *store, const char *email, struct error *err)
{
    char person[CONTROL_EMAIL_BYTES];
    snprintf(person, sizeof person, "%s", email);
    if (sql_transact(control_db(store), remove_user, person, err))
        return true;
    return err->kind == FAIL_NOT_FOUND ? no_user(email, err) : false;
}

/* ---- Values ---- */

static bool control_value_get(struct control_store *store, const char *name, struct buffer *out,
                              struct error *err)
{
    struct sql_query *q = control_begin(store, "SELECT value FROM value WHERE name=?1", err);
    bool row = false;
    if (!q)
        return false;
    sql_bind_text(q, 1, name);
    bool ok = sql_next(q, &row, err);
    if (ok && !row)
        ok = error_set(err, FAIL_NOT_FOUND, "there is no value '%.100s'", name);
    else if (ok && !buffer_append(out, sql_bytes_at(q, 0)))
        ok = error_set(err, FAIL_TOO_LARGE, "the value '%.100s' is too large", name);
    sql_end(q);
    return ok;
}

static bool control_value_put(struct control_store *store, const char *name, struct bytes value,
                              struct error *err)
{
    struct sql_query *q =
        control_begin(store,
                      "INSERT INTO value VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET"
                      " value=excluded.value",
                      err);
    if (!q)
        return false;
    sql_bind_text(q, 1, name);
    sql_bind_blob(q, 2, value.data, value.len);
    return control_finish(q, NULL, err);
}

static bool control_value_add(struct control_store *store, const char *name, struct bytes value,
                              struct error *err)
{
    struct sql_query *q =
        control_begin(store, "INSERT INTO value VALUES(?1,?2) ON CONFLICT(name) DO NOTHING", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, name);
    sql_bind_blob(q, 2, value.data, value.len);
    return control_finish(q, NULL, err);
}

/* ---- Leases ---- */

static bool control_lease_take(struct control_store *store, const char *name, const char *owner,
                               uint64_t now_ns, uint64_t until_ns, struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "INSERT INTO lease(name,owner,until_ns) VALUES(?1,?2,?4) ON CONFLICT(name) DO UPDATE SET"
        " owner=?2,until_ns=?4 WHERE lease.owner=?2 OR lease.until_ns<=?3",
        err);
    if (!q)
        return false;
    sql_bind_text(q, 1, name);
    sql_bind_text(q, 2, owner);
    sql_bind_time(q, 3, now_ns);
    sql_bind_time(q, 4, until_ns);
    if (control_finish(q, "", err))
        return true;
    if (err->kind == FAIL_NOT_FOUND)
        error_set(err, FAIL_BUSY, "another process has the lease '%.40s'", name);
    return false;
}

static bool control_lease_end(struct control_store *store, const char *name, const char *owner,
                              struct error *err)
{
    struct sql_query *q = control_begin(store, "DELETE FROM lease WHERE name=?1 AND owner=?2", err);
    if (!q)
        return false;
    sql_bind_text(q, 1, name);
    sql_bind_text(q, 2, owner);
    return control_finish(q, NULL, err);
}

static const struct control_store_kind control_sql_kind = {
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
    .session_begin = control_session_begin,
    .session_find = control_session_find,
    .session_used = control_session_used,
    .session_end = control_session_end,
    .session_end_all = control_session_end_all,
    .value_get = control_value_get,
    .value_put = control_value_put,
    .value_add = control_value_add,
    .lease_take = control_lease_take,
    .lease_end = control_lease_end,
    .fleet = &control_fleet_kind,
    .api_usage = &control_api_usage_kind,
    .audit = &control_audit_kind,
};
