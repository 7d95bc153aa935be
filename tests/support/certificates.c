#include "tests/support/certificates.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/memory.h"
#include "tests/support/expect.h"

enum { DAY_S = 24 * 60 * 60 };

static X509 *make(const char *name, long serial, EVP_PKEY *key, X509 *authority, EVP_PKEY *by,
                  const char *extension, int nid)
{
    X509 *made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial);
    X509_gmtime_adj(X509_getm_notBefore(made), -DAY_S); /* whatever the clocks say */
    X509_gmtime_adj(X509_getm_notAfter(made), DAY_S);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(authority ? authority : made));
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, extension);
    ck_assert_ptr_nonnull(e);
    X509_add_ext(made, e, -1);
    X509_EXTENSION_free(e);
    ck_assert_int_gt(X509_sign(made, by, EVP_sha256()), 0);
    return made;
}

static BIO *open_file(const char *path)
{
    BIO *file = BIO_new_file(path, "wb");
    ck_assert_msg(file != NULL, "cannot write '%s'", path);
    return file;
}

static void write_certificate(const char *path, X509 *certificate)
{
    BIO *file = open_file(path);
    ck_assert_int_eq(PEM_write_bio_X509(file, certificate), 1);
    BIO_free(file);
}

struct certificates certificates_make(const char *dir)
{
    struct certificates files = {.ca = xasprintf("%s/ca.pem", dir),
                                 .cert = xasprintf("%s/server.pem", dir),
                                 .key = xasprintf("%s/server.key", dir)};
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    ck_assert(ca_key && key);
    X509 *ca =
        make("Test Authority", 1, ca_key, NULL, ca_key, "critical,CA:TRUE", NID_basic_constraints);
    X509 *cert = make("server", 2, key, ca, ca_key, "IP:127.0.0.1", NID_subject_alt_name);
    write_certificate(files.ca, ca);
    write_certificate(files.cert, cert);
    BIO *file = open_file(files.key);
    ck_assert_int_eq(PEM_write_bio_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(file);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return files;
}

void certificates_clear(struct certificates *files)
{
    free(files->ca);
    free(files->cert);
    free(files->key);
    *files = (struct certificates){0};
}
