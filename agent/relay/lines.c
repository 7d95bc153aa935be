#include "agent/relay/lines.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/relay/crc32c.h"

enum { SEAL_BYTES = 10 }; /* " #xxxxxxxx" */

bool lines_append(struct buffer *out, const char *format, ...)
{
    char text[LINES_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof text - SEAL_BYTES)
        return false;
    return buffer_append_format(out, "%s #%08x\n", text, crc32c(0, text, (size_t)len));
}

static bool is_sealed(const char *line, size_t len)
{
    char seal[SEAL_BYTES + 1];
    if (len < SEAL_BYTES)
        return false;
    snprintf(seal, sizeof seal, " #%08x", crc32c(0, line, len - SEAL_BYTES));
    return memcmp(seal, line + len - SEAL_BYTES, SEAL_BYTES) == 0;
}

bool lines_next(struct bytes *rest, char line[LINES_MAX_BYTES], size_t *damaged)
{
    while (rest->len > 0) {
        const uint8_t *newline = memchr(rest->data, '\n', rest->len);
        size_t len = newline ? (size_t)(newline - rest->data) : rest->len;
        const char *text = (const char *)rest->data;
        size_t taken = newline ? len + 1 : len;
        rest->data += taken;
        rest->len -= taken;
        if (newline && len < LINES_MAX_BYTES && is_sealed(text, len)) {
            memcpy(line, text, len - SEAL_BYTES);
            line[len - SEAL_BYTES] = '\0';
            return true;
        }
        ++*damaged;
    }
    return false;
}
