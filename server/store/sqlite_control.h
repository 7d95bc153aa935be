/* What the parts of the SQLite control store share: private to server/store/sqlite_control*.c. */
#ifndef SERVER_STORE_SQLITE_CONTROL_H
#define SERVER_STORE_SQLITE_CONTROL_H

#include "server/store/api_usage.h"
#include "server/store/audit.h"
#include "server/store/control.h"
#include "server/store/fleet.h"
#include "server/store/sqlite_db.h"

/* Locks and prepares; control_end() undoes both. NULL on failure, with nothing held. */
sqlite3_stmt *control_begin(struct control_store *store, const char *sql, struct error *err);
void control_end(struct control_store *store, sqlite3_stmt *statement);

/* The connection, for use between begin and end. */
sqlite3 *control_db(struct control_store *store);

/* Copies a text column, cut to fit. */
void control_text(sqlite3_stmt *q, int column, char *out, size_t size);

extern const struct control_fleet_kind sqlite_fleet_kind;
extern const struct control_api_usage_kind sqlite_api_usage_kind;
extern const struct control_audit_kind sqlite_audit_kind;

/* Of the fleet's kind, sqlite_health.c. */
bool sqlite_health_list(struct control_store *store, fleet_health_visit *visit, void *context,
                        struct error *err);
bool sqlite_health_apply(struct control_store *store, const struct fleet_health_changes *changes,
                         struct error *err);
bool sqlite_health_forget(struct control_store *store, const char *email, struct error *err);

/* Of the fleet's kind, sqlite_device_token.c. */
bool sqlite_device_token_offer(struct control_store *store, const struct fleet_device *device,
                               const struct control_token *token, struct error *err);
bool sqlite_device_token_take(struct control_store *store, int64_t token_id, uint64_t now_ns,
                              struct error *err);

/* Steps of the control schema. */
extern const char SQLITE_FLEET_SCHEMA[];
extern const char SQLITE_API_USAGE_SCHEMA[];
extern const char SQLITE_API_ERASED_SCHEMA[];
extern const char SQLITE_AUDIT_SCHEMA[];
extern const char SQLITE_HEALTH_SCHEMA[];
extern const char SQLITE_SESSION_SCHEMA[];
extern const char SQLITE_DEVICE_TOKEN_SCHEMA[];

/* Inserts a token; its parameters are bound by sqlite_bind_token(). */
extern const char SQLITE_TOKEN_INSERT[];
void sqlite_bind_token(sqlite3_stmt *q, const struct control_token *token);

/* Sessions, sqlite_session.c: as in struct control_store_kind. */
bool sqlite_session_begin(struct control_store *store, const struct control_session *session,
                          uint64_t begun_before_ns, uint64_t used_before_ns, unsigned keep,
                          struct error *err);
bool sqlite_session_find(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                         struct control_session *out, struct error *err);
bool sqlite_session_used(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                         uint64_t now_ns, struct error *err);
bool sqlite_session_end(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                        struct error *err);
bool sqlite_session_end_all(struct control_store *store, const char *email, struct error *err);

#endif
