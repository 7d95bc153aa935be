/*
 * The archive for support: the report, the configuration, the agent's status
 * and the facts of the settings files, without secrets, prompts or, if asked,
 * the names in e-mail addresses. A gzipped ustar archive.
 */
#ifndef DOCTOR_BUNDLE_H
#define DOCTOR_BUNDLE_H

#include <stdbool.h>

#include "doctor/report.h"

/* Writes `path`, mode 0600. */
MUST_USE bool bundle_write(const struct report *report, const char *path, bool hide_emails,
                           struct error *err);

#endif
