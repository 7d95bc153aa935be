/* A clock that stands still until the test moves it. */
#ifndef TESTS_SUPPORT_MANUAL_CLOCK_H
#define TESTS_SUPPORT_MANUAL_CLOCK_H

#include "base/clock.h"

struct manual_clock {
    uint64_t wall_ns;
    uint64_t monotonic_ns;
};

/* The table to hand to the code under test; borrows `manual`. */
struct clock manual_clock_table(struct manual_clock *manual);
void manual_clock_advance_ms(struct manual_clock *manual, uint64_t ms); /* both clocks */

#endif
