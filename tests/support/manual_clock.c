#include "tests/support/manual_clock.h"

static uint64_t wall_ns(void *context)
{
    return ((struct manual_clock *)context)->wall_ns;
}

static uint64_t monotonic_ns(void *context)
{
    return ((struct manual_clock *)context)->monotonic_ns;
}

struct clock manual_clock_table(struct manual_clock *manual)
{
    return (struct clock){.context = manual, .wall_ns = wall_ns, .monotonic_ns = monotonic_ns};
}

void manual_clock_advance_ms(struct manual_clock *manual, uint64_t ms)
{
    manual->wall_ns += ms * NS_PER_MS;
    manual->monotonic_ns += ms * NS_PER_MS;
}
