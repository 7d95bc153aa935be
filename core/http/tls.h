/* TLS for the server: OpenSSL on a socket that does not block. One thread per `struct tls`. */
#ifndef CORE_HTTP_TLS_H
#define CORE_HTTP_TLS_H

#include <stddef.h>

#include "base/error.h"

struct tls_context; /* certificate and key */
struct tls;         /* one connection */

enum { TLS_AGAIN = -1, TLS_FAILED = -2 };

/* Reads PEM files. TLS 1.2 and 1.3, ALPN h2 and http/1.1. */
struct tls_context *tls_context_create(const char *cert_file, const char *key_file,
                                       struct error *err);
void tls_context_destroy(struct tls_context *context); /* connections made of it live on */

struct tls *tls_accept(struct tls_context *context, int fd); /* `fd` stays the caller's */
void tls_destroy(struct tls *tls);

int tls_handshake(struct tls *tls); /* 1 when done, TLS_AGAIN or TLS_FAILED */

/* As recv() and send(): 0 is the peer's end. */
ptrdiff_t tls_read(struct tls *tls, void *out, size_t size);
ptrdiff_t tls_write(struct tls *tls, const void *data, size_t len);

bool tls_wants_write(const struct tls *tls); /* the last TLS_AGAIN waits for room to send */
bool tls_has_pending(const struct tls *tls); /* bytes are here that the socket does not show */
bool tls_chose_http2(const struct tls *tls);
void tls_shut(struct tls *tls); /* says that nothing more will be sent */

#endif
