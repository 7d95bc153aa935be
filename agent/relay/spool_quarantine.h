/* What a file under quarantine/ says of itself, for the spool and for those who list it. */
#ifndef AGENT_RELAY_SPOOL_QUARANTINE_H
#define AGENT_RELAY_SPOOL_QUARANTINE_H

#include "agent/relay/spool.h"

struct quarantine_entry {
    uint64_t from_sequence, to_sequence;
    uint64_t received_ns;
    enum otlp_signal signal;
    uint64_t item_count;
    char destination[64]; /* "" for damaged bytes of the spool itself */
    char reason[256];
    uint64_t user_len, payload_len;
    uint64_t content_at; /* where the user's bytes begin; the payload follows */
};

enum { QUARANTINE_HEAD_BYTES = 2048 };

/* Reads the lines at the head of such a file; false when they are damaged. */
MUST_USE bool quarantine_parse(struct bytes head, struct quarantine_entry *out);

#endif
