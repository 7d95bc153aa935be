#include "core/crypto/crypto.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>

void crypto_sha256(struct bytes data, uint8_t out[SHA256_BYTES])
{
    SHA256(data.data, data.len, out);
}

void crypto_hmac_sha256(struct bytes key, struct bytes data, uint8_t out[SHA256_BYTES])
{
    /* OpenSSL takes a NULL key as "the one of last time". */
    const void *key_data = key.data ? key.data : (const uint8_t *)"";
    unsigned len = SHA256_BYTES;
    HMAC(EVP_sha256(), key_data, (int)key.len, data.data, data.len, out, &len);
}

void crypto_hex(struct bytes data, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.len; i++) {
        out[2 * i] = digits[data.data[i] >> 4];
        out[2 * i + 1] = digits[data.data[i] & 15];
    }
    out[2 * data.len] = '\0';
}

bool crypto_unhex(struct bytes hex, uint8_t *out, size_t out_len)
{
    if (hex.len % 2 != 0 || hex.len / 2 != out_len)
        return false;
    for (size_t i = 0; i < out_len; i++) {
        int high = bytes_hex_digit(hex.data[2 * i]), low = bytes_hex_digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
