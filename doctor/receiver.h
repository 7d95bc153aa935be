/* Asking whom Claude Code itself sends to, where that is not the relay on this machine. */
#ifndef DOCTOR_RECEIVER_H
#define DOCTOR_RECEIVER_H

#include "doctor/probe.h"

/* Whose settings decide, and what they send first; NULL, with the reason, when nobody's can be
 * asked for. */
const struct settings_view *receiver_view(const struct scene *scene, const char **signal,
                                          const char **reason);

/* An empty export with the headers and certificates that Claude Code would use. */
void receiver_ask(const struct scene *scene, struct probe *out);

#endif
