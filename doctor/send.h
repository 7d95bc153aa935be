/* The report, to the server, with this device's token. */
#ifndef DOCTOR_SEND_H
#define DOCTOR_SEND_H

#include <stdbool.h>

#include "doctor/report.h"

/* Blocks for seconds. The remedy names what is missing. */
MUST_USE bool report_send(const struct report *report, struct error *err);

#endif
