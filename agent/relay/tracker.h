/*
 * Which records a destination is done with. Records are finished in any order;
 * the position may only stand behind a record when all before it are finished.
 */
#ifndef AGENT_RELAY_TRACKER_H
#define AGENT_RELAY_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tracked {
    uint64_t sequence;
    uint32_t open_parts; /* 0: done */
};

struct tracker {
    struct tracked *ring;
    size_t head, count, capacity;
};

void tracker_clear(struct tracker *t); /* frees */

/* Sequences come in rising order. `parts` 0: nothing to do for this one. */
void tracker_add(struct tracker *t, uint64_t sequence, uint32_t parts);

/* One part of the record became two. */
void tracker_divide(struct tracker *t, uint64_t sequence);

/* One part of the record is delivered or accounted for. */
void tracker_finish(struct tracker *t, uint64_t sequence);

/* Drops the finished records at the front; true when there were any, with the last in *position. */
bool tracker_advance(struct tracker *t, uint64_t *position);

#endif
