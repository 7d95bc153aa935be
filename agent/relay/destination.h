/*
 * One destination: its place in the spool, its state, what is on its way.
 *
 *   spool ──cursor──▶ window of records ─▶ batches ─▶ requests (a few at once)
 *                                            ▲            │
 *                                            └── answer ──┘ taken: position moves on
 *                                                           later: pause, then a probe
 *                                                           refused: halves, quarantine
 *
 * Nothing here waits: everything happens in destination_pump(), in the answer of
 * a request, or when the timer rings. Belongs to the forwarder's thread, except
 * destination_state().
 */
#ifndef AGENT_RELAY_DESTINATION_H
#define AGENT_RELAY_DESTINATION_H

#include "agent/relay/relay.h"

struct destination;
struct http_client;
struct loop;
struct log;

/* What all destinations share. Borrowed by each. */
struct destination_context {
    struct loop *loop;
    struct http_client *client;
    struct spool *spool;
    const char *spool_dir;
    const struct fs *fs;
    const struct clock *clock;
    struct log *log;
    const struct relay_callbacks *callbacks;
    uint32_t retry_first_ms, retry_limit_ms;
    size_t memory_bytes;      /* of bodies that one destination may hold, about */
    uint64_t set_aside_bytes; /* on disk, per destination */
    uint64_t max_age_ns;      /* a record set aside longer is quarantined; 0: never */
    struct buffer *hold;      /* for reading records, used within one call only */

    /* Called when the saved positions are behind, and when a request ended. */
    void *owner;
    void (*progressed)(void *owner);
};

struct destination *destination_create(const struct destination_context *context,
                                       const struct relay_destination_options *options,
                                       struct error *err);
/* Cuts what is under way; those records are sent again by the next holder of the position. */
void destination_destroy(struct destination *d); /* NULL is fine */

const struct relay_destination_options *destination_options(const struct destination *d);

/* Sends what can be sent now. Call when records were committed. */
void destination_pump(struct destination *d);

/* A credential may have changed: try now. */
void destination_refresh(struct destination *d);

/* The last chance before stopping, for what is committed: no pauses, one try in trouble. */
void destination_flush(struct destination *d);

/* Nothing under way, and nothing that another moment would deliver. */
bool destination_is_settled(const struct destination *d);

/* Any thread. The backlog is read from the spool. */
void destination_state(struct destination *d, struct relay_destination_state *out);

#endif
