/*
 * A check: one question with a stable id, answered from the scene. Families
 * lie in checks/, one file each, which exports its table.
 *
 * Checks run beside each other, each on a thread of its own, and only read.
 * Where a stage depends on an earlier one, the later is skipped and names the
 * earlier, so that the first broken stage is the one reported.
 */
#ifndef DOCTOR_CHECK_H
#define DOCTOR_CHECK_H

#include <stddef.h>

#include "doctor/finding.h"
#include "doctor/scene.h"

enum { CHECK_ID_BYTES = 96 };

/* What a check of each destination is asked about. */
struct check_target {
    const struct config *destination; /* NULL: the check is about the machine */
    size_t index;
    const char *name;
};

typedef void check_run(const struct scene *scene, const struct check_target *target,
                       struct finding *finding);

struct check {
    const char *id;    /* "*" in it stands for each destination's name */
    const char *title; /* what is right when the check passes */
    const char *why;   /* what happens when it does not */
    check_run *run;
};

struct check_family {
    const struct check *checks;
    size_t count;
};

extern const struct check_family settings_checks, environment_checks, transport_checks,
    claude_checks, agent_checks, relay_checks, receiver_checks, spool_checks, destination_checks,
    machine_checks, delivery_checks;

#define CHECK_FAMILY(name, table) \
    const struct check_family name = {table, sizeof(table) / sizeof *(table)}

#endif
