#include "server/auth/token.h"

#include <stdio.h>

#include "platform/platform.h"

static const char start[] = "ct_";
static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum { START_LEN = sizeof start - 1, CHECKED_LEN = START_LEN + TOKEN_RANDOM_CHARACTERS };

static char random_character(void)
{
    uint8_t byte;
    do
        platform_random(&byte, 1);
    while (byte >= 248); /* 4 * 62: no character is likelier than another */
    return base62[byte % 62];
}

static void put_checksum(struct bytes checked, char out[TOKEN_CHECK_CHARACTERS])
{
    uint8_t digest[SHA256_BYTES];
    crypto_sha256(checked, digest);
    uint32_t sum = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
                   (uint32_t)digest[2] << 8 | digest[3];
    for (int i = 0; i < TOKEN_CHECK_CHARACTERS; i++, sum /= 62)
        out[i] = base62[sum % 62];
}

void token_mint(char out[TOKEN_BYTES])
{
    memcpy(out, start, START_LEN);
    for (int i = START_LEN; i < CHECKED_LEN; i++)
        out[i] = random_character();
    put_checksum(bytes_make(out, CHECKED_LEN), out + CHECKED_LEN);
    out[TOKEN_BYTES - 1] = '\0';
}

bool token_is_well_formed(struct bytes token)
{
    if (token.len != TOKEN_BYTES - 1 || !bytes_starts_with(token, start))
        return false;
    char sum[TOKEN_CHECK_CHARACTERS];
    put_checksum(bytes_make(token.data, CHECKED_LEN), sum);
    return memcmp(sum, token.data + CHECKED_LEN, sizeof sum) == 0;
}

void token_hash(struct bytes token, uint8_t out[SHA256_BYTES])
{
    crypto_sha256(token, out);
}

static bool is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == '"' ||
            text.data[i] == '\\')
            return false;
    return true;
}

void token_prefix(struct bytes token, char out[TOKEN_PREFIX_BYTES])
{
    bool ours = bytes_starts_with(token, start);
    size_t shown = ours ? 12 : 3;
    if (token.len < 2 * shown)
        shown = token.len / 4; /* a short one must not be shown whole */
    struct bytes begin = bytes_make(token.data, shown);
    if (!is_plain(begin))
        begin.len = 0;
    snprintf(out, TOKEN_PREFIX_BYTES, "%.*s%s", (int)begin.len, (const char *)begin.data,
             ours && shown == 12 ? "" : "...");
}
