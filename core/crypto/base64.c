#include "core/crypto/crypto.h"

/* The two characters in which the alphabets differ. */
struct alphabet {
    char c62, c63;
};
static const struct alphabet standard = {'+', '/'}, url_safe = {'-', '_'};

static uint8_t character_of(struct alphabet a, unsigned value)
{
    if (value < 26)
        return (uint8_t)('A' + value);
    if (value < 52)
        return (uint8_t)('a' + (value - 26));
    if (value < 62)
        return (uint8_t)('0' + (value - 52));
    return (uint8_t)(value == 62 ? a.c62 : a.c63);
}

static int value_of(struct alphabet a, uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == a.c62 ? 62 : c == a.c63 ? 63 : -1;
}

static bool encode(struct alphabet a, bool padded, struct bytes data, struct buffer *out)
{
    if (data.len > out->max_bytes || !buffer_reserve(out, (data.len + 2) / 3 * 4))
        return false;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t group = (uint32_t)data.data[i] << 16;
        if (left > 1)
            group |= (uint32_t)data.data[i + 1] << 8;
        if (left > 2)
            group |= data.data[i + 2];
        unsigned characters = left > 2 ? 4 : left > 1 ? 3 : 2;
        for (unsigned k = 0; k < 4; k++) {
            if (k < characters)
                out->data[out->len++] = character_of(a, group >> (18 - 6 * k) & 63);
            else if (padded)
                out->data[out->len++] = '=';
        }
    }
    return true;
}

static bool decode(struct alphabet a, struct bytes text, struct buffer *out)
{
    if (text.len % 4 == 1)
        return false;
    size_t start = out->len;
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(a, text.data[i]);
        if (value < 0)
            goto failed;
        group = (group << 6 | (uint32_t)value) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (!buffer_append_byte(out, (uint8_t)(group >> bits)))
                goto failed;
        }
    }
    if ((group & ((1U << bits) - 1)) != 0)
        goto failed; /* a second spelling of the same bytes */
    return true;

failed:
    out->len = start;
    return false;
}

bool crypto_base64url(struct bytes data, struct buffer *out)
{
    return encode(url_safe, false, data, out);
}

bool crypto_base64url_decode(struct bytes text, struct buffer *out)
{
    return decode(url_safe, text, out);
}

bool crypto_base64(struct bytes data, struct buffer *out)
{
    return encode(standard, true, data, out);
}

bool crypto_base64_unpadded(struct bytes data, struct buffer *out)
{
    return encode(standard, false, data, out);
}

bool crypto_base64_unpadded_decode(struct bytes text, struct buffer *out)
{
    return decode(standard, text, out);
}
