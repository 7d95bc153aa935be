/* The kinds of store there are; store.c picks by scheme. Private to server/store. */
#ifndef SERVER_STORE_KINDS_H
#define SERVER_STORE_KINDS_H

#include "server/store/control.h"
#include "server/store/messages.h"

extern const struct message_store_kind sqlite_message_kind;
extern const struct message_store_kind postgres_message_kind;
extern const struct message_store_kind clickhouse_message_kind, clickhouse_tls_message_kind;
extern const struct control_store_kind sqlite_control_kind;

#endif
