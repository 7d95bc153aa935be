/* What Linux and macOS share. */
#include "platform/platform.h"
#include "platform/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

static uint64_t read_clock(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t wall_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

static uint64_t monotonic_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_MONOTONIC);
}

const struct clock platform_clock = {.wall_ns = wall_ns, .monotonic_ns = monotonic_ns};

void platform_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        size_t step = len < 256 ? len : 256; /* getentropy's limit */
        if (getentropy(at, step) != 0) {
            fputs("the system gives no random numbers\n", stderr);
            abort();
        }
        at += step;
        len -= step;
    }
}

char *platform_under_root(const char *root, const char *path)
{
    size_t len = root ? strlen(root) : 0;
    while (len > 0 && root[len - 1] == '/')
        len--;
    return xasprintf("%.*s%s%s", (int)len, root ? root : "", path[0] == '/' ? "" : "/", path);
}

void platform_hostname(char *out, size_t size)
{
    if (gethostname(out, size) != 0)
        snprintf(out, size, "unknown");
    out[size - 1] = '\0';
}

uint32_t platform_own_uid(void)
{
    return (uint32_t)geteuid();
}

bool platform_is_administrator(void)
{
    return platform_own_uid() == 0;
}
