/* A whole relay on a spool of its own, with one or two scripted destinations. */
#ifndef TESTS_AGENT_RELAY_RIG_H
#define TESTS_AGENT_RELAY_RIG_H

#include "agent/relay/relay.h"
#include "core/http/client.h"
#include "tests/support/fake_destination.h"

enum { RIG_DESTINATIONS = 2 };

struct rig {
    char *dir;
    char *spool_dir;
    struct fake_destination *fake[RIG_DESTINATIONS];
    struct relay_destination_options destination[RIG_DESTINATIONS];
    struct relay_options options;
    const struct fs *fs; /* the real disk and clock, unless a test hands in others */
    const struct clock *clock;
    struct relay *relay; /* NULL until rig_start() */
    struct relay_state state;
};

/* Options for one destination, retries in milliseconds; change them before rig_start(). */
void rig_set_up(struct rig *rig);
void rig_tear_down(struct rig *rig);

void rig_start(struct rig *rig);
/* As a kill would: nothing is flushed, no position is saved on purpose. */
void rig_stop(struct rig *rig);

/* POST to the relay; the status. `headers` as in struct http_call, or NULL. */
int rig_post(struct rig *rig, const char *path, struct bytes body, const char *const *headers);
/* As above with any method; the answer's body and headers are appended to the buffers. */
int rig_call(struct rig *rig, const char *method, const char *path, struct bytes body,
             const char *const *headers, struct buffer *answer, struct buffer *answer_headers);

/* Sends a protobuf request of `count` records with the marks from `first`; expects 200. */
void rig_send(struct rig *rig, unsigned first, unsigned count);

/* Reads rig->state until destination `i` is in this state, resp. has nothing queued; fails after
 * 20 s. */
void rig_expect_status(struct rig *rig, size_t i, enum relay_destination_status status);
void rig_expect_no_backlog(struct rig *rig, size_t i);

/* Items in the ledger under this reason. */
uint64_t rig_lost(struct rig *rig, enum spool_loss reason);

#endif
