#include "platform/procargs.h"

#include <string.h>

/* Behind the NUL of the text at `at`, or the end. */
static const uint8_t *after_text(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
    return nul ? nul + 1 : end;
}

void procargs_take_apart(struct bytes all, struct platform_process *out)
{
    int count = 0;
    while (all.len > 0 && all.data[all.len - 1] != '\0')
        all.len--; /* what was cut off is no text */
    if (all.len <= sizeof count)
        return;
    memcpy(&count, all.data, sizeof count);
    const uint8_t *end = all.data + all.len, *at = after_text(all.data + sizeof count, end);
    while (at < end && *at == '\0')
        at++;
    const uint8_t *arguments = at;
    for (int i = 0; i < count && at < end; i++)
        at = after_text(at, end);
    out->command = bytes_make(arguments, (size_t)(at - arguments));
    const uint8_t *environment = at;
    while (at < end && *at != '\0')
        at = after_text(at, end);
    out->environment = bytes_make(environment, (size_t)(at - environment));
    out->has_environment = true;
}
