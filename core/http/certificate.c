#include "core/http/certificate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/memory.h"

struct http_certificate_watch {
    atomic_uint holders;
    struct http_certificate seen;
};

struct http_certificate_watch *http_certificate_watch_create(void)
{
    struct http_certificate_watch *watch = xcalloc(1, sizeof *watch);
    atomic_init(&watch->holders, 1);
    return watch;
}

void http_certificate_watch_release(struct http_certificate_watch *watch)
{
    if (watch && atomic_fetch_sub(&watch->holders, 1) == 1)
        free(watch);
}

const struct http_certificate *http_certificate_seen(const struct http_certificate_watch *watch)
{
    return &watch->seen;
}

/* OpenSSL's number for what we keep beside an SSL_CTX: asked for once, the same ever after. */
static int place_in_context;
static pthread_once_t place_once = PTHREAD_ONCE_INIT;

static void free_with_context(void *parent, void *watch, CRYPTO_EX_DATA *data, int place, long l,
                              void *p)
{
    (void)parent, (void)data, (void)place, (void)l, (void)p;
    http_certificate_watch_release(watch);
}

static void ask_for_place(void)
{
    place_in_context = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_with_context);
}

static void name_of(const X509_NAME *name, char out[HTTP_CERTIFICATE_NAME_BYTES])
{
    static const int parts[] = {NID_organizationName, NID_commonName};
    out[0] = '\0';
    for (size_t i = 0; i < 2 && !out[0]; i++)
        if (X509_NAME_get_text_by_NID((X509_NAME *)name, parts[i], out,
                                      HTTP_CERTIFICATE_NAME_BYTES) <= 0)
            out[0] = '\0';
    if (!out[0])
        snprintf(out, HTTP_CERTIFICATE_NAME_BYTES, "an unnamed authority");
    for (char *at = out; *at; at++) /* it comes from outside and goes to a terminal */
        if ((unsigned char)*at < ' ' || *at == 0x7F)
            *at = '?';
}

static void add_name(struct http_certificate *out, const unsigned char *text, int len)
{
    size_t used = strlen(out->names);
    for (int i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] >= 0x7F)
            return;
    if (len > 0 && used + (size_t)len + 3 < sizeof out->names)
        snprintf(out->names + used, sizeof out->names - used, "%s%.*s", used > 0 ? ", " : "", len,
                 (const char *)text);
}

static void add_address(struct http_certificate *out, const ASN1_OCTET_STRING *address)
{
    const unsigned char *b = ASN1_STRING_get0_data(address);
    char text[16];
    if (ASN1_STRING_length(address) != 4)
        return;
    int len = snprintf(text, sizeof text, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    add_name(out, (const unsigned char *)text, len);
}

static void take_names(X509 *peer, struct http_certificate *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(peer, NID_subject_alt_name, NULL, NULL);
    out->names[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            add_name(out, ASN1_STRING_get0_data(name->d.dNSName),
                     ASN1_STRING_length(name->d.dNSName));
        else if (name->type == GEN_IPADD)
            add_address(out, name->d.iPAddress);
    }
    GENERAL_NAMES_free(names);
    char common[HTTP_CERTIFICATE_NAME_BYTES];
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, common,
                                        sizeof common);
    if (!out->names[0])
        add_name(out, (const unsigned char *)common, len);
}

static void take_end(X509 *peer, struct http_certificate *out)
{
    int days = 0, seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(peer)) == 1)
        out->valid_days = seconds < 0 ? days - 1 : days;
}

static enum http_certificate_fault fault_of(int code)
{
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return HTTP_CERTIFICATE_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return HTTP_CERTIFICATE_NOT_YET_VALID;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return HTTP_CERTIFICATE_SELF_SIGNED;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        return HTTP_CERTIFICATE_UNTRUSTED;
    default:
        return HTTP_CERTIFICATE_OTHER;
    }
}

/* Sees each certificate of the chain, topmost first, and every fault; never overrules. */
static int on_verify(int is_good, X509_STORE_CTX *store)
{
    SSL *tls = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct http_certificate_watch *watch =
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(tls), place_in_context);
    X509 *peer = X509_STORE_CTX_get0_cert(store);
    X509 *at = X509_STORE_CTX_get_current_cert(store);
    if (!is_good) /* what went wrong on the way here is not the reason, and curl tells the first */
        ERR_clear_error();
    if (!watch)
        return is_good;
    struct http_certificate *out = &watch->seen;
    if (peer && !out->is_there) {
        out->is_there = true;
        take_names(peer, out);
        take_end(peer, out);
        name_of(X509_get_issuer_name(peer), out->authority);
    }
    if (!is_good && out->fault == HTTP_CERTIFICATE_SOUND) {
        int code = X509_STORE_CTX_get_error(store);
        out->fault = fault_of(code);
        out->fault_is_of_peer = X509_STORE_CTX_get_error_depth(store) == 0;
        snprintf(out->words, sizeof out->words, "%s", X509_verify_cert_error_string(code));
        if (at)
            name_of(X509_get_issuer_name(at), out->authority);
    }
    return is_good;
}

void http_certificate_watch_tls(void *tls_context, struct http_certificate_watch *watch)
{
    pthread_once(&place_once, ask_for_place);
    watch->seen = (struct http_certificate){0};
    atomic_fetch_add(&watch->holders, 1);
    if (SSL_CTX_set_ex_data(tls_context, place_in_context, watch) != 1)
        http_certificate_watch_release(watch);
    SSL_CTX_set_verify(tls_context, SSL_CTX_get_verify_mode(tls_context), on_verify);
}
