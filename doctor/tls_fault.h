/* Why a TLS connection failed, in words a person can act on. Pure. */
#ifndef DOCTOR_TLS_FAULT_H
#define DOCTOR_TLS_FAULT_H

#include <stddef.h>

#include "core/http/certificate.h"

struct tls_fault {
    const struct http_certificate *certificate; /* what the other side showed */
    const char *error;                          /* what the client says */
    const char *host, *port;
    const char *proxy; /* that carried it, without its password; NULL: none */
    const char *ca_file;
};

void tls_fault_tell(const struct tls_fault *fault, char *seen, size_t seen_size, char *fix,
                    size_t fix_size);

#endif
