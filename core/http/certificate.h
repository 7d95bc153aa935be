/*
 * What a TLS peer shows of itself, also when it is not trusted: for telling a person why a
 * connection fails. Looking changes nothing about who is trusted.
 */
#ifndef CORE_HTTP_CERTIFICATE_H
#define CORE_HTTP_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

enum { HTTP_CERTIFICATE_NAME_BYTES = 200, HTTP_CERTIFICATE_NAMES_BYTES = 400 };

enum http_certificate_fault {
    HTTP_CERTIFICATE_SOUND, /* the chain is; the name may still be another */
    HTTP_CERTIFICATE_EXPIRED,
    HTTP_CERTIFICATE_NOT_YET_VALID,
    HTTP_CERTIFICATE_SELF_SIGNED, /* signed by itself, and not trusted here */
    HTTP_CERTIFICATE_UNTRUSTED,   /* from an authority that is not trusted here */
    HTTP_CERTIFICATE_OTHER,
};

struct http_certificate {
    bool is_there; /* the peer showed one */
    enum http_certificate_fault fault;
    bool fault_is_of_peer; /* of the peer's own certificate, not of an authority above it */
    char words[120];       /* the fault as OpenSSL says it */
    char authority[HTTP_CERTIFICATE_NAME_BYTES]; /* who issued the topmost certificate shown */
    char names[HTTP_CERTIFICATE_NAMES_BYTES]; /* whom the peer's certificate is for, ", " between */
    int valid_days; /* the peer's, from now on; negative: it ended that long ago */
};

/*
 * Where it is written to: by the handshakes of an SSL_CTX, which lives as long as its connection, and
 * read by whoever asked for the connection. Both hold it.
 */
struct http_certificate_watch;

struct http_certificate_watch *http_certificate_watch_create(void);
void http_certificate_watch_release(struct http_certificate_watch *watch); /* NULL is fine */

/* The handshakes of this SSL_CTX write to `watch` from now on. */
void http_certificate_watch_tls(void *tls_context, struct http_certificate_watch *watch);

/* Borrowed. */
const struct http_certificate *http_certificate_seen(const struct http_certificate_watch *watch);

#endif
