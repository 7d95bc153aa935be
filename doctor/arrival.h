/*
 * Asking our server whether the marked record is stored, with this device's token:
 * GET <server.url>/api/v1/doctor-marks/{mark}, docs/http-api.md.
 */
#ifndef DOCTOR_ARRIVAL_H
#define DOCTOR_ARRIVAL_H

#include "doctor/scene.h"

/* Whether what a destination takes lies on the server that this device is enrolled with. */
bool arrival_is_server(const struct scene *scene, const struct config *destination);

enum arrival {
    ARRIVAL_STORED,
    ARRIVAL_NOT_YET,
    ARRIVAL_UNKNOWN, /* it cannot be asked: `reason` says why */
};
enum { ARRIVAL_REASON_BYTES = 300 };
enum arrival arrival_ask(const struct scene *scene, const char *mark,
                         char reason[ARRIVAL_REASON_BYTES]);

#endif
