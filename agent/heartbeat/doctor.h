/*
 * Runs the doctor for a command and collects its report, without blocking the
 * loop. One run at a time.
 */
#ifndef AGENT_HEARTBEAT_DOCTOR_H
#define AGENT_HEARTBEAT_DOCTOR_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/event/loop.h"

struct doctor_run;

enum { DOCTOR_REPORT_BYTES = 1024 * 1024, DOCTOR_LIMIT_MS = 120 * 1000 };

/* `report` is empty when there is none: then `problem` says why. Both borrowed for the call. */
typedef void doctor_done(void *context, struct bytes report, const char *problem);

/* `argv` is borrowed for the call. `done` is called once, from the loop. NULL on failure. */
struct doctor_run *doctor_run_start(struct loop *loop, const char *const *argv, doctor_done *done,
                                    void *context, struct error *err);

/* Ends the run by force when it is not over, without calling `done`. NULL is fine. */
void doctor_run_destroy(struct doctor_run *run);

#endif
