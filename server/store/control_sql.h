/*
 * The control store over SQL, on SQLite and on PostgreSQL: what its parts share. Private to
 * server/store/control_*.c and store.c.
 *
 *   control_sql.c           opening; systems, tokens, users, values, leases
 *   control_session.c       browsers' sessions
 *   control_fleet.c, control_health.c, control_device_token.c
 *   control_api_usage.c, control_audit.c
 *   control_schema_*.c      the tables, one file per database
 */
#ifndef SERVER_STORE_CONTROL_SQL_H
#define SERVER_STORE_CONTROL_SQL_H

#include "server/store/api_usage.h"
#include "server/store/audit.h"
#include "server/store/control.h"
#include "server/store/fleet.h"
#include "server/store/sql.h"

struct control_sql {
    struct control_store store; /* first, so the pointers convert */
    struct sql *db;
};

static inline struct sql *control_db(struct control_store *store)
{
    return ((struct control_sql *)store)->db;
}

/* As sql_begin() on the store's database. */
static inline struct sql_query *control_begin(struct control_store *store, const char *text,
                                              struct error *err)
{
    return sql_begin(control_db(store), text, err);
}

/* Runs and ends a statement, NULL one that could not begin. FAIL_NOT_FOUND when it changed nothing
 * and `missing` is given: that is the cause. */
bool control_finish(struct sql_query *query, const char *missing, struct error *err);

/* Runs a statement of numbers ?1, ?2 …, as one of several. */
bool control_change(struct sql_link *link, const char *text, const int64_t *numbers, int count,
                    const char *missing, struct error *err);

/* Inserts a token and gives its id: parameters are bound by control_bind_token(). */
extern const char CONTROL_TOKEN_INSERT[];
void control_bind_token(struct sql_query *query, const struct control_token *token);

extern const char *const CONTROL_SQLITE_STEPS[], *const CONTROL_POSTGRES_STEPS[];
extern const int CONTROL_SQLITE_STEP_COUNT, CONTROL_POSTGRES_STEP_COUNT;

extern const struct control_fleet_kind control_fleet_kind;
extern const struct control_api_usage_kind control_api_usage_kind;
extern const struct control_audit_kind control_audit_kind;

/* Of the fleet's kind, control_health.c. */
bool control_health_list(struct control_store *store, fleet_health_visit *visit, void *context,
                         struct error *err);
bool control_health_apply(struct control_store *store, const struct fleet_health_changes *changes,
                          struct error *err);
bool control_health_forget(struct control_store *store, const char *email, struct error *err);

/* Of the fleet's kind, control_device_token.c. */
bool control_device_token_offer(struct control_store *store, const struct fleet_device *device,
                                const struct control_token *token, struct error *err);
bool control_device_token_take(struct control_store *store, int64_t token_id, uint64_t now_ns,
                               struct error *err);

/* Sessions, control_session.c: as in struct control_store_kind. */
bool control_session_begin(struct control_store *store, const struct control_session *session,
                           uint64_t begun_before_ns, uint64_t used_before_ns, unsigned keep,
                           struct error *err);
bool control_session_find(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                          struct control_session *out, struct error *err);
bool control_session_used(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                          uint64_t now_ns, struct error *err);
bool control_session_end(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                         struct error *err);
bool control_session_end_all(struct control_store *store, const char *email, struct error *err);

#endif
