/*
 * The daily import inside a running server, on a thread of its own.
 *
 * The APIs settle a day at 10:00 UTC of the next. From then on, some minutes later so that servers do
 * not all come at once, each report's trailing days are imported. A server that was down then catches
 * up at its start; a run that failed is repeated, at once when a key file changes.
 */
#ifndef SERVER_IMPORTERS_SCHEDULE_H
#define SERVER_IMPORTERS_SCHEDULE_H

#include "core/log/log.h"
#include "server/importers/integrations.h"

enum { SCHEDULE_HOUR = 10, SCHEDULE_JITTER_S = 1800 };

/*
 * When the next run is due, given the oldest of the reports' last successes (0: never) and this
 * server's jitter: at once, in the past, when a run was missed. Pure.
 */
uint64_t schedule_due_ns(uint64_t now_ns, uint64_t last_success_ns, uint32_t jitter_s);

struct schedule;
struct schedule_options {
    struct control_store *store; /* all borrowed */
    const struct integrations *with;
    const struct clock *clock;
    struct log *log;
};

/* Starts the thread; none, and NULL, when no integration is configured. */
struct schedule *schedule_create(const struct schedule_options *options);

/* Stops it; a request under way is cut within a second or two. NULL is fine. */
void schedule_destroy(struct schedule *schedule);

#endif
