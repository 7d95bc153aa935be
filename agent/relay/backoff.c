#include "agent/relay/backoff.h"

enum { MAX_SHIFT = 20, FLOOR_STEPS = 5, SHARE_OF_OUTAGE = 10, LEAST_SHARE = 10 };

void backoff_reset(struct backoff *b)
{
    b->step = 0;
    b->since_ms = 0;
}

uint64_t backoff_next_ms(struct backoff *b, uint64_t now_ms, uint64_t random)
{
    if (b->step == 0)
        b->since_ms = now_ms;
    uint64_t cap = (now_ms - b->since_ms) / SHARE_OF_OUTAGE;
    uint64_t floor = (uint64_t)b->first_ms * FLOOR_STEPS;
    if (cap < floor)
        cap = floor;
    if (cap > b->limit_ms)
        cap = b->limit_ms;

    uint64_t top = (uint64_t)b->first_ms << (b->step < MAX_SHIFT ? b->step : MAX_SHIFT);
    if (top > cap)
        top = cap;
    b->step++;

    /* Full jitter, except that a pause of nothing would be no pause. */
    uint64_t least = b->first_ms / LEAST_SHARE;
    if (top <= least)
        return top;
    return least + random % (top - least + 1);
}
