#include <openssl/evp.h>
#include <stdio.h>

#include "core/crypto/crypto.h"
#include "platform/platform.h"

enum {
    SALT_BYTES = 16,
    HASH_BYTES = 32,
    LOG2_N = 15,
    BLOCK_SIZE = 8,
    PARALLEL = 1,

    /* What a stored hash may ask for: it comes from our own store, but a damaged one must not
     * take the machine's memory. */
    MAX_LOG2_N = 18,
    MAX_BLOCK_SIZE = 16,
    MAX_PARALLEL = 4,
    MAX_PART_BYTES = 64,
};

struct cost {
    unsigned log2_n, r, p;
};

static bool derive(const char *password, struct bytes salt, struct cost cost, uint8_t *out,
                   size_t out_len)
{
    uint64_t n = UINT64_C(1) << cost.log2_n;
    uint64_t memory = 128 * n * cost.r + 128 * (uint64_t)cost.r * cost.p + MIB;
    return EVP_PBE_scrypt(password, strlen(password), salt.data, salt.len, n, cost.r, cost.p,
                          memory, out, out_len) == 1;
}

bool crypto_password_hash(const char *password, char *out, size_t out_size, struct error *err)
{
    uint8_t salt[SALT_BYTES], hash[HASH_BYTES];
    platform_random(salt, sizeof salt);
    const struct cost cost = {LOG2_N, BLOCK_SIZE, PARALLEL};
    if (!derive(password, bytes_make(salt, sizeof salt), cost, hash, sizeof hash))
        return error_set(err, FAIL_IO, "cannot hash the password: OpenSSL refused scrypt");

    struct buffer text = {.max_bytes = out_size};
    bool fits =
        buffer_append_format(&text, "$scrypt$ln=%d,r=%d,p=%d$", LOG2_N, BLOCK_SIZE, PARALLEL) &&
        crypto_base64_unpadded(bytes_make(salt, sizeof salt), &text) &&
        buffer_append_byte(&text, '$') &&
        crypto_base64_unpadded(bytes_make(hash, sizeof hash), &text) && buffer_text(&text);
    if (fits)
        memcpy(out, text.data, text.len + 1);
    buffer_clear(&text);
    if (!fits)
        return error_set(err, FAIL_TOO_LARGE, "a password hash does not fit into %zu bytes",
                         out_size);
    return true;
}

/* Splits "$scrypt$ln=15,r=8,p=1$salt$hash" and decodes the last two parts. */
static bool parse(const char *text, struct cost *cost, struct buffer *salt, struct buffer *hash)
{
    int at = 0;
    if (sscanf(text, "$scrypt$ln=%2u,r=%2u,p=%2u$%n", &cost->log2_n, &cost->r, &cost->p, &at) !=
            3 ||
        at == 0)
        return false;
    if (cost->log2_n < 1 || cost->log2_n > MAX_LOG2_N || cost->r < 1 || cost->r > MAX_BLOCK_SIZE ||
        cost->p < 1 || cost->p > MAX_PARALLEL)
        return false;
    const char *salt_text = text + at;
    const char *separator = strchr(salt_text, '$');
    if (!separator)
        return false;
    return crypto_base64_unpadded_decode(bytes_make(salt_text, (size_t)(separator - salt_text)),
                                         salt) &&
           crypto_base64_unpadded_decode(bytes_of(separator + 1), hash) && hash->len >= SALT_BYTES;
}

bool crypto_password_matches(const char *password, const char *hash)
{
    struct cost cost;
    struct buffer salt = {.max_bytes = MAX_PART_BYTES}, expected = {.max_bytes = MAX_PART_BYTES};
    uint8_t actual[MAX_PART_BYTES];
    bool matches =
        parse(hash, &cost, &salt, &expected) &&
        derive(password, buffer_bytes(&salt), cost, actual, expected.len) &&
        bytes_equal_constant_time(bytes_make(actual, expected.len), buffer_bytes(&expected));
    buffer_clear(&salt);
    buffer_clear(&expected);
    return matches;
}
