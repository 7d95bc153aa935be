/*
 * How long to wait before the next try: exponential with full jitter, and
 * never longer than a tenth of the time the trouble has lasted (but at least
 * five first steps), so that what a short outage held back arrives within
 * seconds and a long one is not hammered.
 *
 * Monotonic time only: setting the wall clock changes nothing.
 */
#ifndef AGENT_RELAY_BACKOFF_H
#define AGENT_RELAY_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t first_ms; /* the first pause's upper end */
    uint32_t limit_ms; /* no pause is longer */
    unsigned step;     /* failures so far */
    uint64_t since_ms; /* of the first of them */
};

void backoff_reset(struct backoff *b);

/* Counts a failure at `now_ms` and gives the pause after it; `random` is any 64 random bits. */
uint64_t backoff_next_ms(struct backoff *b, uint64_t now_ms, uint64_t random);

#endif
