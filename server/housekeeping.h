/*
 * What a running server does by itself: judging everything that should report every minute, deleting
 * rows past their retention every hour. Of several servers on one control store one does it: the
 * holder of the lease "housekeeping". When it is gone another takes over within three rounds.
 */
#ifndef SERVER_HOUSEKEEPING_H
#define SERVER_HOUSEKEEPING_H

#include "base/clock.h"
#include "core/log/log.h"
#include "server/auth/gate.h"
#include "server/fleet/fleet.h"
#include "server/ingest/ingest.h"
#include "server/store/control.h"
#include "server/store/messages.h"

struct housekeeping;

struct housekeeping_options {
    struct message_store *messages; /* all borrowed */
    struct control_store *control;
    const char *owner; /* of leases: this server, also after a restart */
    struct fleet *fleet;
    struct ingest *ingest; /* on whose writer thread rows are deleted */
    struct gate *gate;
    const struct clock *clock;
    struct log *log;
    uint32_t every_ms; /* a round */
};

/* Starts a thread; the first round comes `every_ms` after the start. */
struct housekeeping *housekeeping_create(const struct housekeeping_options *options);

/* Stops it; waits for a round under way. Before the ingest is destroyed. NULL is fine. */
void housekeeping_destroy(struct housekeeping *housekeeping);

#endif
