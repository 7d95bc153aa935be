/*
 * The devices: enrolment, heartbeats, doctor reports, and what they add up to.
 *
 *   agent ──enroll, heartbeat, doctor report──▶ fleet ──▶ control store (device, state changes)
 *                                                 └─────▶ Message rows agent.heartbeat, agent.doctor
 *   people ──/api/v1/devices──▶ fleet ◀── sweep (who has fallen silent?)
 *
 * Handlers run on the router's worker threads and may block on the stores.
 */
#ifndef SERVER_FLEET_FLEET_H
#define SERVER_FLEET_FLEET_H

#include "base/clock.h"
#include "core/log/log.h"
#include "server/auth/gate.h"
#include "server/importers/integrations.h"
#include "server/ingest/ingest.h"
#include "server/router/router.h"
#include "server/store/control.h"
#include "server/store/messages.h"

struct fleet;

struct fleet_options {
    struct control_store *control; /* all borrowed */
    struct message_store *messages;
    struct ingest *ingest; /* rows are stored on its writer thread */
    struct gate *gate;     /* device tokens are checked by it; its refusals are judged */
    const struct integrations *integrations;
    const struct clock *clock;
    struct log *log;
    uint32_t heartbeat_interval_s; /* told to devices; default 60 when 0 */
    uint32_t device_token_days;    /* a token this old is renewed by heartbeat; 0: never */
};

struct fleet *fleet_create(const struct fleet_options *options);
void fleet_destroy(struct fleet *fleet); /* NULL is fine */

struct route_table fleet_routes(struct fleet *fleet);

/* How many of each kind are in which state, as of the last sweep: for /metrics. Never waits. */
struct metrics;
void fleet_put_metrics(const struct fleet *fleet, struct metrics *metrics);

/* Judges everything that should report anew and notes what changed. Call about once a minute, from any
 * one thread. */
MUST_USE bool fleet_sweep(struct fleet *fleet, struct error *err);

/* Takes the numbers that fleet_put_metrics() shows. */
MUST_USE bool fleet_count(struct fleet *fleet, struct error *err);

#endif
