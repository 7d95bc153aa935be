/* The kinds of store there are; store.c picks by scheme. Private to server/store. */
#ifndef SERVER_STORE_KINDS_H
#define SERVER_STORE_KINDS_H

#include "server/store/control.h"
#include "server/store/messages.h"

extern const struct message_store_kind sqlite_message_kind;
extern const struct message_store_kind postgres_message_kind;
extern const struct message_store_kind clickhouse_message_kind, clickhouse_tls_message_kind;

/* Where a control store can be; all are one kind over SQL (control_sql.h). */
struct control_place {
    const char *scheme;
    /* `location` is what follows the scheme. The caller closes. NULL on failure. */
    struct control_store *(*open)(const char *location, struct error *err);
    /*
     * Copies everything at `location` as of now into the new file `target`, durably, while
     * others go on writing. FAIL_INVALID when the place has tools of its own for that.
     */
    bool (*backup)(const char *location, const char *target, struct error *err);
};
extern const struct control_place sqlite_control_place, postgres_control_place;

#endif
