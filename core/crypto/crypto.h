/*
 * What we use of OpenSSL besides TLS: SHA-256, HMAC, scrypt passwords, JWT.
 * Secrets are compared in time that does not depend on their content. Any thread.
 */
#ifndef CORE_CRYPTO_CRYPTO_H
#define CORE_CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum { SHA256_BYTES = 32 };

void crypto_sha256(struct bytes data, uint8_t out[SHA256_BYTES]);
void crypto_hmac_sha256(struct bytes key, struct bytes data, uint8_t out[SHA256_BYTES]);

/* Lower-case hex with NUL: `out` holds 2 * data.len + 1. */
void crypto_hex(struct bytes data, char *out);
bool crypto_unhex(struct bytes hex, uint8_t *out,
                  size_t out_len); /* exactly out_len bytes, any case */

/* base64url without padding (RFC 4648 section 5), appended. Decoding takes the one canonical form
 * only: no padding, no other characters, no stray bits. */
MUST_USE bool crypto_base64url(struct bytes data, struct buffer *out);
MUST_USE bool crypto_base64url_decode(struct bytes text, struct buffer *out);
/* Standard base64 with padding, appended. */
MUST_USE bool crypto_base64(struct bytes data, struct buffer *out);
/* Standard base64 without padding, as PHC strings have it. */
MUST_USE bool crypto_base64_unpadded(struct bytes data, struct buffer *out);
MUST_USE bool crypto_base64_unpadded_decode(struct bytes text, struct buffer *out);

/*
 * scrypt N=2^15 r=8 p=1, 16-byte salt, as "$scrypt$ln=15,r=8,p=1$salt$hash" (PHC string form).
 * Takes about 32 MiB and 0.1 s of the calling thread: never on an event loop.
 */
MUST_USE bool crypto_password_hash(const char *password, char *out, size_t out_size,
                                   struct error *err);
bool crypto_password_matches(const char *password, const char *hash);

/*
 * JWT (RFC 7519) with HS256 only. `claims` is JSON. Since we read only what we
 * signed, the one header accepted is the one we write: no alg to choose, no
 * kid, no crit.
 */
MUST_USE bool crypto_jwt_sign(struct bytes key, struct bytes claims, struct buffer *out);
/* Appends the claims of a token with a good signature; exp and nbf are the caller's to check. */
MUST_USE bool crypto_jwt_verify(struct bytes key, struct bytes token, struct buffer *claims);

#endif
