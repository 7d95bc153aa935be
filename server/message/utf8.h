/* Cutting text without splitting a character. */
#ifndef SERVER_MESSAGE_UTF8_H
#define SERVER_MESSAGE_UTF8_H

#include "base/bytes.h"

/* At most `limit` bytes of `text`, ending between characters where `text` is valid UTF-8. */
static inline struct bytes utf8_cut(struct bytes text, size_t limit)
{
    if (text.len <= limit)
        return text;
    size_t len = limit;
    while (len > 0 && limit - len < 3 && (text.data[len] & 0xc0) == 0x80)
        len--;
    return bytes_make(text.data, len);
}

#endif
