/*
 * The pages people look at, rendered on the server: they work without scripts
 * and without the network. Every text that comes from outside passes html_text().
 */
#ifndef SERVER_PORTAL_PORTAL_H
#define SERVER_PORTAL_PORTAL_H

#include "base/clock.h"
#include "core/log/log.h"
#include "server/auth/login.h"
#include "server/auth/session.h"
#include "server/router/router.h"
#include "server/store/messages.h"

/* What pages need; the context of the route table. All borrowed. */
struct portal {
    struct message_store *messages;
    struct login *login;
    struct sessions *sessions;
    const struct clock *clock;
    struct log *log;
};

/* The routes; `portal` is borrowed as their context. */
struct route_table portal_routes(struct portal *portal);

#endif
