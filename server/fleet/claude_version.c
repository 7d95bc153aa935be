#include "server/fleet/claude_version.h"

#include <string.h>

#include "server/fleet/claude_versions_csv.h"

/* The part before the next `end`, which is passed. */
static struct bytes next_part(struct bytes *rest, char end)
{
    const uint8_t *found = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    size_t len = found ? (size_t)(found - rest->data) : rest->len;
    struct bytes part = bytes_make(rest->data, len);
    size_t used = found ? len + 1 : len;
    *rest = bytes_make(rest->len ? rest->data + used : rest->data, rest->len - used);
    return part;
}

/* What is no digit ends the number: "67-beta" is 67. */
static unsigned long number_of(struct bytes part)
{
    unsigned long number = 0;
    for (size_t i = 0; i < part.len && part.data[i] >= '0' && part.data[i] <= '9'; i++)
        if (number < 100000000)
            number = number * 10 + (unsigned long)(part.data[i] - '0');
    return number;
}

int claude_version_compare(struct bytes a, struct bytes b)
{
    while (a.len > 0 || b.len > 0) {
        unsigned long left = number_of(next_part(&a, '.'));
        unsigned long right = number_of(next_part(&b, '.'));
        if (left != right)
            return left < right ? -1 : 1;
    }
    return 0;
}

struct bytes claude_version_fault(struct bytes version)
{
    struct bytes rest = bytes_make(claude_versions_csv, claude_versions_csv_len);
    while (rest.len > 0) {
        struct bytes line = next_part(&rest, '\n');
        if (line.len == 0 || line.data[0] == '#')
            continue;
        struct bytes from = next_part(&line, ','), to = next_part(&line, ',');
        struct bytes what = next_part(&line, ',');
        if (claude_version_compare(version, from) >= 0 && claude_version_compare(version, to) <= 0)
            return what;
    }
    return bytes_make(NULL, 0);
}
