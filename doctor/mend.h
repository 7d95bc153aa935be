/*
 * What --fix does: only repairs that cannot make things worse. It applies the
 * agent's settings, and lets everybody read managed settings. It ends no
 * program and restarts none.
 */
#ifndef DOCTOR_MEND_H
#define DOCTOR_MEND_H

#include "doctor/run.h"

enum { MEND_MAX = 64 };

struct mending {
    char *done[MEND_MAX];   /* a sentence each */
    char *failed[MEND_MAX]; /* "what: why" */
    size_t done_count, failed_count;
};

void mend(const struct scene *scene, const struct run *run, struct mending *out);
void mending_clear(struct mending *mending);

#endif
