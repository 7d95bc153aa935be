#include "core/crypto/crypto.h"

/* base64url of {"alg":"HS256","typ":"JWT"} */
static const char header[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";

bool crypto_jwt_sign(struct bytes key, struct bytes claims, struct buffer *out)
{
    size_t start = out->len;
    uint8_t signature[SHA256_BYTES];
    if (!buffer_append_text(out, header) || !crypto_base64url(claims, out))
        goto failed;
    crypto_hmac_sha256(key, bytes_make(out->data + start, out->len - start), signature);
    if (buffer_append_byte(out, '.') &&
        crypto_base64url(bytes_make(signature, sizeof signature), out))
        return true;

failed:
    out->len = start;
    return false;
}

static bool signature_is_good(struct bytes key, struct bytes signed_part, struct bytes signature)
{
    uint8_t expected[SHA256_BYTES];
    crypto_hmac_sha256(key, signed_part, expected);
    struct buffer given = {.max_bytes = SHA256_BYTES};
    bool good =
        crypto_base64url_decode(signature, &given) &&
        bytes_equal_constant_time(buffer_bytes(&given), bytes_make(expected, sizeof expected));
    buffer_clear(&given);
    return good;
}

bool crypto_jwt_verify(struct bytes key, struct bytes token, struct buffer *claims)
{
    if (!bytes_starts_with(token, header))
        return false;
    size_t dot = token.len;
    while (dot > 0 && token.data[dot - 1] != '.')
        dot--;
    size_t payload = sizeof header - 1;
    if (dot <= payload)
        return false; /* the last dot is the one in the header: no signature */
    struct bytes signed_part = bytes_make(token.data, dot - 1);
    struct bytes signature = bytes_make(token.data + dot, token.len - dot);
    if (!signature_is_good(key, signed_part, signature))
        return false;
    return crypto_base64url_decode(bytes_make(token.data + payload, signed_part.len - payload),
                                   claims);
}
