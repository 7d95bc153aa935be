/* What a running server does by itself: judging the devices every minute, deleting rows past their retention every hour. */
#ifndef SERVER_HOUSEKEEPING_H
#define SERVER_HOUSEKEEPING_H

#include "base/clock.h"
#include "core/log/log.h"
#include "server/fleet/fleet.h"
#include "server/ingest/ingest.h"
#include "server/store/messages.h"

struct housekeeping;

struct housekeeping_options {
    struct message_store *messages; /* all borrowed */
    struct fleet *fleet;
    struct ingest *ingest; /* on whose writer thread the work is done */
    const struct clock *clock;
    struct log *log;
};

/* Starts a thread; the first round comes a minute after the start. */
struct housekeeping *housekeeping_create(const struct housekeeping_options *options);

/* Stops it; waits for a round under way. Before the ingest is destroyed. NULL is fine. */
void housekeeping_destroy(struct housekeeping *housekeeping);

#endif
