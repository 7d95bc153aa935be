#include "doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *check_status_name(enum check_status status)
{
    static const char *const names[] = {
        [CHECK_SKIP] = "skip", [CHECK_OK] = "ok", [CHECK_WARN] = "warn", [CHECK_FAIL] = "fail"};
    return names[status];
}

/* Appends a line unless it is there already or does not fit. */
static void join(char *into, size_t size, const char *line)
{
    size_t used = strlen(into);
    if (!line || !*line || strstr(into, line))
        return;
    if (used + strlen(line) + 2 <= size)
        snprintf(into + used, size - used, "%s%s", used > 0 ? "\n" : "", line);
    else if (used == 0)
        snprintf(into, size, "%s", line);
}

void finding_add(struct finding *f, enum check_status status, const char *fix, const char *seen,
                 ...)
{
    char line[FINDING_SEEN_BYTES];
    va_list args;
    if (status < f->status)
        return;
    if (status > f->status)
        f->seen[0] = f->fix[0] = '\0';
    f->status = status;
    va_start(args, seen);
    vsnprintf(line, sizeof line, seen, args);
    va_end(args);
    join(f->seen, sizeof f->seen, line);
    join(f->fix, sizeof f->fix, fix);
}
