/*
 * Time as a value handed in, so that a test can hold it still.
 * platform/platform.h has the real one; tests/support/manual_clock.h a settable one.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    void *context;

    /* Nanoseconds since 1970-01-01 UTC. May jump either way. */
    uint64_t (*wall_ns)(void *context);

    /* Nanoseconds since an arbitrary start; never goes backwards. */
    uint64_t (*monotonic_ns)(void *context);
};

static inline uint64_t clock_wall_ns(const struct clock *clock)
{
    return clock->wall_ns(clock->context);
}

static inline uint64_t clock_monotonic_ns(const struct clock *clock)
{
    return clock->monotonic_ns(clock->context);
}

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

#endif
