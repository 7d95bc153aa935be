/*
 * Why a TLS connection fails, in words a person can act on: looks at the
 * certificate that the other side shows, without trusting it.
 */
#ifndef DOCTOR_TLS_PROBE_H
#define DOCTOR_TLS_PROBE_H

#include <stddef.h>

/*
 * Connects directly and, when the other side shows a certificate, replaces
 * `seen` by what is wrong with it, and `fix`. Leaves `seen` and gives a general
 * fix where nothing more can be told. Takes at most about 5 s.
 */
void tls_probe_explain(const char *host, const char *port, const char *ca_file, char *seen,
                       size_t seen_size, char *fix, size_t fix_size);

#endif
