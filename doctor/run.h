/*
 * Runs checks beside each other, each on a thread of its own and within its
 * time. One that is late becomes a skip that says so; its thread is left behind.
 */
#ifndef DOCTOR_RUN_H
#define DOCTOR_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "doctor/check.h"

struct run_result {
    char id[CHECK_ID_BYTES];
    const struct check *check;
    struct finding finding;
    uint64_t duration_ms;
};

struct run {
    struct run_result *results; /* in the order of the families */
    size_t count;
    bool is_complete; /* no thread was left behind: the scene may be freed */
};

enum { RUN_LIMIT_MS = 30 * 1000 };

/* Called after each check, from the caller's thread. */
typedef void run_progress(void *context, size_t done, size_t count);

/* What stands between the ids that `only` of run_checks() picks. */
#define RUN_ID_SEPARATORS ", \t"

/*
 * `only` picks ids, or whole families by their beginning ("settings", "destination.central"),
 * separated by commas; NULL: all. False when a word of it picks nothing: `unknown` is that word.
 */
bool run_checks(const struct scene *scene, const char *only, run_progress *progress, void *context,
                uint32_t limit_ms, struct run *out, char unknown[CHECK_ID_BYTES]);
void run_clear(struct run *run);

size_t run_count(const struct run *run, enum check_status status);

/* Every id with its title, for the manual and --list. `visit` is called in order. */
void run_each_check(void (*visit)(void *context, const struct check *check), void *context);

#endif
