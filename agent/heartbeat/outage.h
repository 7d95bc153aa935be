/*
 * Since when the server has not been reached and why, kept in
 * <state>/outage.json so that a restart in the middle of an outage does not
 * shorten what the next heartbeat tells of it.
 */
#ifndef AGENT_HEARTBEAT_OUTAGE_H
#define AGENT_HEARTBEAT_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "platform/fs.h"

struct outage {
    uint64_t since_ns; /* wall clock; 0: there is none */
    char why[240];     /* the last failure */
};

/* What is kept; none where there is no file, or a damaged one, or one from after `now_ns`. */
void outage_read(const struct fs *fs, const char *state_dir, uint64_t now_ns, struct outage *out);

/* Mode 0600. Makes the folder when it is missing. */
MUST_USE bool outage_write(const struct fs *fs, const char *state_dir, const struct outage *outage,
                           struct error *err);

/* It is over and told. Fine when there is no file. */
MUST_USE bool outage_forget(const struct fs *fs, const char *state_dir, struct error *err);

#endif
