/*
 * Everything that should report but is no device: tokens, persons, integrations and importers, and
 * credentials that keep being refused.
 *
 *   gate (refusals), control store (tokens, API usage), message store (who sent what)
 *     ──watch_sweep──▶ states and their changes in the control store ──▶ /api/v1/health, alerts
 *
 * Used from one thread. Private to server/fleet.
 */
#ifndef SERVER_FLEET_WATCH_H
#define SERVER_FLEET_WATCH_H

#include "server/fleet/fleet.h"

struct watch;

struct watch *watch_create(const struct fleet_options *options); /* borrowed */
void watch_destroy(struct watch *watch);                         /* NULL is fine */

/* Judges all of them; persons, which cost more, at most once in five minutes. */
MUST_USE bool watch_sweep(struct watch *watch, struct error *err);

#endif
