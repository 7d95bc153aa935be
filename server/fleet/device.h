/* What the parts of the fleet share. Private to server/fleet. */
#ifndef SERVER_FLEET_DEVICE_H
#define SERVER_FLEET_DEVICE_H

#include <stdatomic.h>

#include "core/json/writer.h"
#include "server/auth/token.h"
#include "server/fleet/document.h"
#include "server/fleet/fleet.h"
#include "server/store/fleet.h"

/* The kinds that have a state, by name; the order is that of fleet_kinds[]. */
enum { FLEET_KINDS = 6, FLEET_STATES = 4 };
extern const char *const fleet_kinds[FLEET_KINDS];

struct fleet {
    struct fleet_options options;
    const struct control_fleet_kind *store;
    struct throttle *guesses; /* of enrolment secrets, by address */
    struct watch *watch;
    atomic_uint counts[FLEET_KINDS][FLEET_STATES]; /* as of the last sweep */
};

/* The device whose token the request carries; answers itself, and is false, when there is none. */
MUST_USE bool fleet_authenticate(struct fleet *fleet, struct route_call *call,
                                 struct fleet_device *device);

/*
 * A device's token, of which only the hash is kept; the text is for the one answer that carries it,
 *
 *   enrolment ──create──▶ in force ──grows old; heartbeat──renew──▶ pending ──first use──▶ in force
 *
 * and the one before is revoked by that first use (gate_check()), so that no lost answer locks a
 * device out. Another heartbeat before it replaces the pending one.
 */
MUST_USE bool fleet_create_token(struct fleet *fleet, const struct fleet_device *device,
                                 char text[TOKEN_BYTES], int64_t *id, struct error *err);
/* False when the device's token need not be renewed, or could not be (logged): it stays good. */
bool fleet_renew_token(struct fleet *fleet, const struct fleet_device *device,
                       char text[TOKEN_BYTES]);

/* Sets the device's state from its facts, in memory. Whether it is another; *flip tells how. */
bool fleet_judge(const struct fleet *fleet, struct fleet_device *device,
                 const struct heartbeat_document *heartbeat, struct fleet_flip *flip);

/* Stores what a device said as a Message row; `natural_id` and the time make a repeat the same row. */
MUST_USE bool fleet_put_row(struct fleet *fleet, struct route_call *call,
                            const struct fleet_device *device, enum message_type type,
                            const char *natural_id, uint64_t time_ns, enum message_success success,
                            struct bytes body, struct error *err);

/* What a device is as of now, and its last heartbeat, read (`heartbeat` empty: none came). */
void fleet_verdict(const struct fleet_device *device, struct bytes heartbeat, uint64_t now_ns,
                   struct heartbeat_document *document, struct health_verdict *verdict);

/* Answers with what was written to `out`, or with the failure; clears `out`. */
void fleet_answer(struct route_call *call, struct buffer *out, const struct json_writer *w,
                  bool good, const struct error *err);

route_handler fleet_list_health, fleet_list_changes;
route_handler fleet_find_mark;
route_handler fleet_list_devices;
route_handler fleet_get_device;
route_handler fleet_ask_doctor;

#endif
