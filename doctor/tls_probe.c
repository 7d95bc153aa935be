#include "doctor/tls_probe.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "platform/socket.h"

enum { LIMIT_MS = 3000, NAME_BYTES = 200 };

static void name_of(const X509_NAME *name, char out[NAME_BYTES])
{
    static const int parts[] = {NID_organizationName, NID_commonName};
    out[0] = '\0';
    for (size_t i = 0; i < 2 && !out[0]; i++)
        if (X509_NAME_get_text_by_NID((X509_NAME *)name, parts[i], out, NAME_BYTES) <= 0)
            out[0] = '\0';
    if (!out[0])
        snprintf(out, NAME_BYTES, "an unnamed authority");
}

static void tell(SSL *tls, const char *host, const char *ca_file, char *seen, size_t seen_size,
                 char *fix, size_t fix_size)
{
    char issuer[NAME_BYTES];
    X509 *certificate = SSL_get1_peer_certificate(tls);
    long verdict = SSL_get_verify_result(tls);
    if (!certificate)
        return;
    name_of(X509_get_issuer_name(certificate), issuer);
    bool is_host = X509_check_host(certificate, host, 0, 0, NULL) == 1 ||
                   X509_check_ip_asc(certificate, host, 0) == 1;
    if (verdict == X509_V_ERR_CERT_HAS_EXPIRED) {
        snprintf(seen, seen_size, "the certificate of '%s' has expired", host);
        snprintf(fix, fix_size, "renew the certificate of '%s', or correct this machine's clock",
                 host);
    } else if (verdict == X509_V_ERR_CERT_NOT_YET_VALID) {
        snprintf(seen, seen_size, "the certificate of '%s' is not valid yet", host);
        snprintf(fix, fix_size, "correct this machine's clock: timedatectl set-ntp true");
    } else if (verdict != X509_V_OK) {
        snprintf(seen, seen_size,
                 "the certificate of '%s' comes from '%s', which is not trusted here: a private "
                 "authority, or a corporate proxy that opens TLS",
                 host, issuer);
        snprintf(fix, fix_size,
                 "%s the PEM file of '%s' in ca_file of this destination (server.ca_file for the "
                 "server), or add it to the system's store: update-ca-certificates",
                 ca_file ? "put" : "name", issuer);
    } else if (!is_host) {
        snprintf(seen, seen_size, "the certificate is for another name than '%s'", host);
        snprintf(fix, fix_size,
                 "use the name in the certificate, or give the receiver one for '%s'", host);
    }
    X509_free(certificate);
}

void tls_probe_explain(const char *host, const char *port, const char *ca_file, char *seen,
                       size_t seen_size, char *fix, size_t fix_size)
{
    snprintf(fix, fix_size, "use http:// if port %s of '%s' is a plain port, else mend its TLS",
             port, host);
    struct error ignored;
    int fd = socket_connect(host, port, LIMIT_MS, &ignored);
    SSL_CTX *context = fd >= 0 ? SSL_CTX_new(TLS_client_method()) : NULL;
    SSL *tls = NULL;
    if (context) {
        SSL_CTX_set_default_verify_paths(context);
        if (ca_file)
            SSL_CTX_load_verify_locations(context, ca_file, NULL);
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* only to look; nothing is sent */
        tls = SSL_new(context);
    }
    if (tls && SSL_set_fd(tls, fd) == 1) {
        SSL_set_tlsext_host_name(tls, host);
        if (SSL_connect(tls) == 1)
            tell(tls, host, ca_file, seen, seen_size, fix, fix_size);
        else
            snprintf(seen + strlen(seen), seen_size - strlen(seen), "%s",
                     " (no TLS is spoken there)");
    }
    SSL_free(tls);
    SSL_CTX_free(context);
    ERR_clear_error();
    if (fd >= 0)
        socket_close(fd);
}
