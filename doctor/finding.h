/*
 * What one check has to say: a status, what was seen, and the fix. Several
 * observations join into one finding, of which the worst decides: lesser ones
 * are left out, equal ones are joined line by line, repeated ones appear once.
 */
#ifndef DOCTOR_FINDING_H
#define DOCTOR_FINDING_H

#include <stdbool.h>

#include "base/compiler.h"

/* In the order of what wins. */
enum check_status { CHECK_SKIP, CHECK_OK, CHECK_WARN, CHECK_FAIL };
const char *check_status_name(enum check_status status); /* "ok" */

enum { FINDING_SEEN_BYTES = 2048, FINDING_FIX_BYTES = 1536 };

/* All-zero is a finding that says nothing yet. */
struct finding {
    enum check_status status;
    char seen[FINDING_SEEN_BYTES];
    char fix[FINDING_FIX_BYTES]; /* "" when there is nothing to do */
};

/* Adds an observation; `fix` is copied, NULL for none. */
void finding_add(struct finding *f, enum check_status status, const char *fix, const char *seen,
                 ...) PRINTF_LIKE(4, 5);

#endif
