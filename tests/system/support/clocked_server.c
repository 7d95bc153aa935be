/*
 * claude-telemetry-server serve by a clock that standard input moves: "advance SECONDS" a line,
 * answered by "advanced".
 * Housekeeping looks ten times a second, so that what an hour changes is seen at once.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "platform/platform.h"
#include "server/commands.h"

enum { ROUND_MS = 100 };

static uint64_t wall_ns(void *context)
{
    return clock_wall_ns(&platform_clock) + atomic_load((atomic_uint_fast64_t *)context);
}

static uint64_t monotonic_ns(void *context)
{
    return clock_monotonic_ns(&platform_clock) + atomic_load((atomic_uint_fast64_t *)context);
}

static void *listen_to(void *context)
{
    unsigned long long seconds;
    while (scanf(" advance %llu", &seconds) == 1) {
        atomic_fetch_add((atomic_uint_fast64_t *)context, seconds * NS_PER_S);
        puts("advanced");
        fflush(stdout);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static atomic_uint_fast64_t offset_ns;
    const struct clock clock = {.context = &offset_ns,
                                .wall_ns = wall_ns,
                                .monotonic_ns = monotonic_ns};
    struct options options;
    struct settings settings;
    struct error err = {0};
    pthread_t listener;
    if (!options_parse(argc, argv, &options, &err) || !settings_load(&options, &settings, &err) ||
        !settings_make_data(&settings, &err))
        return command_fail(&err);
    if (pthread_create(&listener, NULL, listen_to, &offset_ns) != 0)
        return EXIT_FAILED;
    pthread_detach(listener);
    int code = serve_with_clock(&settings, &clock, ROUND_MS);
    settings_clear(&settings);
    return code;
}
