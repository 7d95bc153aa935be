#include "core/json/utf8.h"

/* What the second byte may be depends on the first: no long forms, no surrogates, no more than
 * U+10FFFF. */
static size_t length_of(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0)
            *low = 0xa0;
        if (lead == 0xed)
            *high = 0x9f;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0)
            *low = 0x90;
        if (lead == 0xf4)
            *high = 0x8f;
        return 4;
    }
    return 0;
}

size_t utf8_step(struct bytes text, bool *valid)
{
    uint8_t low, high;
    size_t length = length_of(text.data[0], &low, &high);
    *valid = false;
    if (length == 0)
        return 1;
    for (size_t i = 1; i < length; i++) {
        if (i == text.len || text.data[i] < low || text.data[i] > high)
            return i;
        low = 0x80;
        high = 0xbf;
    }
    *valid = true;
    return length;
}

bool utf8_append(uint32_t code_point, struct buffer *out)
{
    uint8_t text[4];
    size_t len = 0;
    if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point <= 0xdfff))
        code_point = 0xfffd;
    if (code_point < 0x80) {
        text[len++] = (uint8_t)code_point;
    } else if (code_point < 0x800) {
        text[len++] = (uint8_t)(0xc0 | code_point >> 6);
    } else if (code_point < 0x10000) {
        text[len++] = (uint8_t)(0xe0 | code_point >> 12);
        text[len++] = (uint8_t)(0x80 | (code_point >> 6 & 0x3f));
    } else {
        text[len++] = (uint8_t)(0xf0 | code_point >> 18);
        text[len++] = (uint8_t)(0x80 | (code_point >> 12 & 0x3f));
        text[len++] = (uint8_t)(0x80 | (code_point >> 6 & 0x3f));
    }
    if (code_point >= 0x80)
        text[len++] = (uint8_t)(0x80 | (code_point & 0x3f));
    return buffer_append(out, bytes_make(text, len));
}

bool utf8_append_clean(struct bytes text, struct buffer *out)
{
    size_t clean_from = 0;
    for (size_t at = 0; at < text.len;) {
        bool valid;
        size_t step = 1;
        if (text.data[at] == 0)
            valid = false;
        else
            step = utf8_step(bytes_make(text.data + at, text.len - at), &valid);
        if (!valid) {
            if (!buffer_append(out, bytes_make(text.data + clean_from, at - clean_from)) ||
                !buffer_append_text(out, UTF8_REPLACEMENT))
                return false;
            clean_from = at + step;
        }
        at += step;
    }
    if (clean_from == text.len)
        return true;
    return buffer_append(out, bytes_make(text.data + clean_from, text.len - clean_from));
}
