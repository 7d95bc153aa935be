/*
 * The pages people look at, rendered on the server: they work without scripts
 * and without the network. Every text that comes from outside passes html_text().
 *
 *   route ─▶ view (what the URL asks, as far as the role may) ─▶ sheets ─▶ page, or CSV
 *
 * Charts are drawn in the browser from the tables beside them, which are the
 * same numbers; without scripts, or without the chart library, the tables stay.
 */
#ifndef SERVER_PORTAL_PORTAL_H
#define SERVER_PORTAL_PORTAL_H

#include "base/clock.h"
#include "core/log/log.h"
#include "server/auth/login.h"
#include "server/auth/session.h"
#include "server/importers/integrations.h"
#include "server/query/privacy.h"
#include "server/router/router.h"
#include "server/store/control.h"
#include "server/store/messages.h"

struct people;
struct portal;

/* What pages need. All borrowed. */
struct portal_options {
    struct message_store *messages;
    struct control_store *control;
    const struct integrations *integrations;
    struct people *people;
    enum privacy viewers; /* what that role sees: sums or cohorts */
    struct login *login;
    struct sessions *sessions;
    const struct clock *clock;
    struct log *log;
};

struct portal *portal_create(const struct portal_options *options);
void portal_destroy(struct portal *portal); /* NULL is fine */

/* The routes; `portal` is borrowed as their context. */
struct route_table portal_routes(struct portal *portal);

#endif
