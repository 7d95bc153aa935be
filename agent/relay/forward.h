/*
 * The forwarder: one thread that serves all destinations. None of them can
 * hold up another, or the receiver: each has its own position, batches and pauses.
 */
#ifndef AGENT_RELAY_FORWARD_H
#define AGENT_RELAY_FORWARD_H

#include "agent/relay/relay.h"

struct forward;
struct log;

/* Borrows the spool, fs, clock and log. Copies the rest of `options`. NULL on failure. */
struct forward *forward_create(const struct relay_options *options, struct spool *spool,
                               const struct fs *fs, const struct clock *clock, struct log *log,
                               struct error *err);
void forward_destroy(struct forward *f); /* the thread must have ended; NULL is fine */

/* The thread's body: returns after forward_stop(). */
void forward_run(struct forward *f);

/* Any thread: records were committed. Cheap; calls are gathered. */
void forward_wake(void *forward);

/* Any thread. */
void forward_refresh_credentials(struct forward *f);
void forward_states(struct forward *f, struct relay_state *out);

/*
 * From another thread while forward_run() runs. Takes over the destinations
 * in `options`; those that are equal go on undisturbed. Blocks until done.
 */
MUST_USE bool forward_reload(struct forward *f, const struct relay_options *options,
                             struct error *err);

/* From another thread: a last chance for what is queued, at most `limit_ms`, then stops. Blocks. */
void forward_drain(struct forward *f, uint32_t limit_ms);

/* Any thread: ends forward_run() at once. */
void forward_stop(struct forward *f);

#endif
