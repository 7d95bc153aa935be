/*
 * Earlier versions kept the first states in "<state>/settings". On Linux that
 * folder's parent belongs to the service, which could have put another in its
 * place: only what is root's own in there is taken over.
 * For this folder only.
 */
#ifndef AGENT_SETTINGS_LEGACY_H
#define AGENT_SETTINGS_LEGACY_H

#include "agent/settings/record.h"

/* Adds the records that are still there. Nothing there is a success; FAIL_DENIED when somebody else
 * could have written one. */
MUST_USE bool legacy_read(const char *root, const struct fs *fs, struct records *into,
                          struct error *err);

/* Moves the records to where they lie now. The same failures. */
MUST_USE bool legacy_move(const char *root, const struct fs *fs, struct error *err);

#endif
