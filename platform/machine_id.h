/* The machine's id where a file holds it. For this folder only. */
#ifndef PLATFORM_MACHINE_ID_H
#define PLATFORM_MACHINE_ID_H

#include "platform/service.h"

/* Of <root>/etc/machine-id. See platform_machine_id(). */
MUST_USE bool machine_id_of_file(const char *root, char out[PLATFORM_MACHINE_ID_BYTES],
                                 struct error *err);

#endif
