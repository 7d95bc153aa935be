#include "core/http/tls.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/memory.h"

struct tls_context {
    SSL_CTX *ctx;
};

struct tls {
    SSL *ssl;
    bool wants_write;
    bool failed; /* OpenSSL forbids further calls, the closing one included */
};

static bool fail(struct error *err, const char *doing, const char *file)
{
    char text[160];
    unsigned long code = ERR_peek_last_error();
    ERR_error_string_n(code, text, sizeof text);
    const char *reason = ERR_reason_error_string(code);
    ERR_clear_error();
    error_set(err, FAIL_INVALID, "cannot %s '%s': %s", doing, file, reason ? reason : text);
    return error_remedy(err, "give a PEM file that this user can read: the certificate chain, "
                             "leaf first, and the key that belongs to it");
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *unused)
{
    (void)ssl;
    (void)unused;
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    int found = SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof ours - 1,
                                      offered, offered_len);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

struct tls_context *tls_context_create(const char *cert_file, const char *key_file,
                                       struct error *err)
{
    ERR_clear_error();
    struct tls_context *context = xcalloc(1, sizeof *context);
    SSL_CTX *ctx = context->ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        fail(err, "start TLS for", cert_file);
        goto failed;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"http", 4);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
        fail(err, "read the certificate", cert_file);
        goto failed;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        fail(err, "use the key", key_file);
        goto failed;
    }
    return context;

failed:
    tls_context_destroy(context);
    return NULL;
}

void tls_context_destroy(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ctx);
    free(context);
}

struct tls *tls_accept(struct tls_context *context, int fd)
{
    SSL *ssl = SSL_new(context->ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    struct tls *tls = xcalloc(1, sizeof *tls);
    tls->ssl = ssl;
    return tls;
}

void tls_destroy(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

/* What a call that returned `result` means; 0 is a proper end. */
static int outcome(struct tls *tls, int result)
{
    int error = SSL_get_error(tls->ssl, result);
    tls->wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return TLS_AGAIN;
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    tls->failed = true;
    ERR_clear_error();
    return TLS_FAILED;
}

int tls_handshake(struct tls *tls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1)
        return 1;
    int what = outcome(tls, result);
    return what == 0 ? TLS_FAILED : what;
}

static int int_size(size_t size)
{
    return size > INT_MAX ? INT_MAX : (int)size;
}

ptrdiff_t tls_read(struct tls *tls, void *out, size_t size)
{
    ERR_clear_error();
    int got = SSL_read(tls->ssl, out, int_size(size));
    return got > 0 ? got : outcome(tls, got);
}

ptrdiff_t tls_write(struct tls *tls, const void *data, size_t len)
{
    ERR_clear_error();
    int sent = SSL_write(tls->ssl, data, int_size(len));
    if (sent > 0)
        return sent;
    int what = outcome(tls, sent);
    return what == 0 ? TLS_FAILED : what;
}

bool tls_wants_write(const struct tls *tls)
{
    return tls->wants_write;
}

bool tls_has_pending(const struct tls *tls)
{
    return SSL_has_pending(tls->ssl) == 1;
}

bool tls_chose_http2(const struct tls *tls)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

void tls_shut(struct tls *tls)
{
    ERR_clear_error();
    if (!tls->failed && SSL_is_init_finished(tls->ssl))
        SSL_shutdown(tls->ssl);
    ERR_clear_error();
}
