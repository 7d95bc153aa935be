/*
 * What several families of checks ask about somebody's settings, and how they
 * word a fix.
 */
#ifndef DOCTOR_JUDGE_H
#define DOCTOR_JUDGE_H

#include <stdbool.h>

#include "doctor/check.h"

enum { JUDGE_TEXT_BYTES = 900 };

extern const char *const judge_signals[3]; /* "logs", "metrics", "traces" */

/* "alice: " where there are several people, else "". */
const char *judge_whose(const struct scene *scene, const struct settings_view *view, char out[160]);

/* "2.1.329", or "2.1.329 (assumed: ...)". */
const char *judge_version(const struct settings_view *view, char out[64]);

/* Why the variables of this view cannot be judged: an earlier check that fails. NULL: they can. */
const char *judge_blocked(const struct scene *scene, const struct settings_view *view);

/* No source says anything about telemetry. */
bool judge_has_telemetry(const struct settings_view *view);

/* Claude Code is on, sends at least one wanted signal, and to where it should. */
bool judge_is_sound(const struct scene *scene, const struct settings_view *view);

/* The signal's exporter is on (and, for traces, the beta switch). */
bool judge_sends(const struct settings_view *view, const char *signal);

/* How to give `name` the value: the agent's apply where it writes it, else file and line.
 * `entry`: where it stands now; NULL: nowhere. */
const char *judge_fix_set(const struct scene *scene, const struct settings_view *view,
                          const struct view_entry *entry, const char *name, const char *value,
                          char out[JUDGE_TEXT_BYTES]);
/* How to take the variable out of where it stands. */
const char *judge_fix_remove(const struct view_entry *entry, char out[JUDGE_TEXT_BYTES]);

/* Runs `ask` for every view that can be judged; the finding is a skip where none can. */
typedef void judge_ask(const struct scene *scene, const struct settings_view *view,
                       struct finding *finding);
void judge_each(const struct scene *scene, judge_ask *ask, struct finding *finding);

#endif
