/*
 * Control state: systems, tokens, users, enrolments, devices, and what else is
 * small and edited. SQLite by default (control.db in the data directory),
 * PostgreSQL for several server processes. The command line writes it while
 * `serve` runs, so every implementation takes concurrent processes.
 *
 * Each area is one group of functions in the kind's table. Times are wall
 * clock nanoseconds; 0 means never. Texts in structs are copied in and out.
 * Any thread; an implementation locks as it needs.
 */
#ifndef SERVER_STORE_CONTROL_H
#define SERVER_STORE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/otlp/signal.h"

struct control_store;

enum { CONTROL_NAME_BYTES = 128, CONTROL_EMAIL_BYTES = 256, CONTROL_HASH_BYTES = 32 };

struct control_system {
    int64_t id;
    char name[CONTROL_NAME_BYTES];
    uint64_t created_ns;
};

enum control_plan { PLAN_FREE, PLAN_PRO, PLAN_ENTERPRISE };

/* What a plan keeps of a prompt or completion: message_context.max_body_bytes. */
size_t control_plan_body_bytes(enum control_plan plan);

/* When a token last did what; 0: never. The store keeps the newest of each. */
struct token_activity {
    uint64_t used_ns;                      /* let in, whatever came of it */
    uint64_t limited_ns;                   /* refused for its rate */
    uint64_t malformed_ns;                 /* sent what cannot be kept */
    uint64_t signal_ns[OTLP_SIGNAL_COUNT]; /* stored records of that signal */
    uint64_t tokens_ns, cost_ns;           /* stored records with token counts; with a cost */
};

struct control_token {
    int64_t id;
    int64_t system_id;
    char system[CONTROL_NAME_BYTES];
    uint8_t sha256[CONTROL_HASH_BYTES]; /* of the token; the token itself is never kept */
    char prefix[16];                    /* its first characters, for people */
    char person[CONTROL_EMAIL_BYTES];   /* "" unless the token is one user's */
    int retention_days;                 /* 0: for ever */
    enum control_plan plan;
    int64_t device_id;      /* 0 unless it is a device's */
    char device[48];        /* that one's public id; "" */
    bool pending;           /* offered to its device and not used yet: device_token_take() */
    uint32_t records_per_s; /* 0: the default */
    uint64_t created_ns, revoked_ns;
    struct token_activity activity;
};

enum control_role { ROLE_VIEWER, ROLE_ANALYST, ROLE_AUDITOR, ROLE_ADMIN };

struct control_user {
    int64_t id;
    char email[CONTROL_EMAIL_BYTES];
    enum control_role role;
    char password[256]; /* scrypt, PHC string form */
    uint64_t created_ns;
    uint64_t valid_from_ns; /* bearer tokens issued before are worthless; 0: none are */
};

/* A browser's session; the cookie itself is never kept. */
struct control_session {
    uint8_t sha256[CONTROL_HASH_BYTES]; /* of the cookie */
    char email[CONTROL_EMAIL_BYTES];
    uint64_t begun_ns, used_ns;
};

typedef bool control_system_visit(void *context, const struct control_system *system);
typedef bool control_token_visit(void *context, const struct control_token *token);
typedef bool control_user_visit(void *context, const struct control_user *user);

struct control_fleet_kind;     /* server/store/fleet.h */
struct control_api_usage_kind; /* server/store/api_usage.h */
struct control_audit_kind;     /* server/store/audit.h */

struct control_store_kind {
    void (*close)(struct control_store *store);

    /* FAIL_BUSY when the name is taken, FAIL_INVALID when it is malformed. */
    bool (*system_create)(struct control_store *store, const char *name, uint64_t now_ns,
                          struct control_system *out, struct error *err);
    bool (*system_list)(struct control_store *store, control_system_visit *visit, void *context,
                        struct error *err);
    bool (*system_find)(struct control_store *store, const char *name, struct control_system *out,
                        struct error *err); /* FAIL_NOT_FOUND */

    bool (*token_create)(struct control_store *store, const struct control_token *token,
                         int64_t *id, struct error *err);
    bool (*token_list)(struct control_store *store, control_token_visit *visit, void *context,
                       struct error *err);
    bool (*token_find)(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                       struct control_token *out, struct error *err); /* FAIL_NOT_FOUND */
    bool (*token_revoke)(struct control_store *store, const char *prefix_or_id, uint64_t now_ns,
                         struct error *err);
    bool (*token_used)(struct control_store *store, int64_t id,
                       const struct token_activity *activity, struct error *err);

    bool (*user_create)(struct control_store *store, const struct control_user *user,
                        struct error *err);
    bool (*user_find)(struct control_store *store, const char *email, struct control_user *out,
                      struct error *err); /* FAIL_NOT_FOUND */
    bool (*user_list)(struct control_store *store, control_user_visit *visit, void *context,
                      struct error *err);

    /* Writes role, password and valid_from_ns of the user with this e-mail. FAIL_NOT_FOUND. */
    bool (*user_update)(struct control_store *store, const struct control_user *user,
                        struct error *err);
    bool (*user_remove)(struct control_store *store, const char *email,
                        struct error *err); /* with the sessions; FAIL_NOT_FOUND */

    /* Also removes sessions begun before `begun_before_ns` or last used before `used_before_ns`,
     * and of the user's own all but the newest `keep`. */
    bool (*session_begin)(struct control_store *store, const struct control_session *session,
                          uint64_t begun_before_ns, uint64_t used_before_ns, unsigned keep,
                          struct error *err);
    bool (*session_find)(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                         struct control_session *out, struct error *err); /* FAIL_NOT_FOUND */
    bool (*session_used)(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                         uint64_t now_ns, struct error *err);
    bool (*session_end)(struct control_store *store, const uint8_t sha256[CONTROL_HASH_BYTES],
                        struct error *err); /* also when there is none */
    bool (*session_end_all)(struct control_store *store, const char *email, struct error *err);

    /* Small values by name: secrets of the server's own (JWT key), versions, marks. */
    bool (*value_get)(struct control_store *store, const char *name, struct buffer *out,
                      struct error *err); /* FAIL_NOT_FOUND */
    bool (*value_put)(struct control_store *store, const char *name, struct bytes value,
                      struct error *err);
    /* Puts it unless there is one of this name: a success in either case. */
    bool (*value_add)(struct control_store *store, const char *name, struct bytes value,
                      struct error *err);

    /*
     * What one server process at a time does, by name: "import", "alerts". FAIL_BUSY while another
     * `owner` holds the lease and its `until_ns` lies ahead; the same owner extends it.
     */
    bool (*lease_take)(struct control_store *store, const char *name, const char *owner,
                       uint64_t now_ns, uint64_t until_ns, struct error *err);
    bool (*lease_end)(struct control_store *store, const char *name, const char *owner,
                      struct error *err); /* also when another holds it by now */

    const struct control_fleet_kind *fleet;
    const struct control_api_usage_kind *api_usage;
    const struct control_audit_kind *audit;
};

struct control_store {
    const struct control_store_kind *kind;
};

/* "sqlite:PATH", or "postgres://…" as libpq reads it. The caller closes. NULL on failure. */
struct control_store *control_store_open(const char *url, struct error *err);

/*
 * Copies everything at `url` as of now into the new file `target`, durably, while others go on
 * writing. FAIL_INVALID when the database has tools of its own for that.
 */
MUST_USE bool control_store_backup(const char *url, const char *target, struct error *err);

#endif
