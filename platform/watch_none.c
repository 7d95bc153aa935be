/* For systems whose own notices we do not use: the caller's regular look is what there is. */
#include <stdlib.h>

#include "base/memory.h"
#include "platform/watch.h"

struct platform_watch {
    char unused;
};

struct platform_watch *platform_watch_create(void)
{
    return xcalloc(1, sizeof(struct platform_watch));
}

void platform_watch_destroy(struct platform_watch *watch)
{
    free(watch);
}

int platform_watch_fd(const struct platform_watch *watch)
{
    (void)watch;
    return -1;
}

void platform_watch_add(struct platform_watch *watch, const char *folder)
{
    (void)watch;
    (void)folder;
}

void platform_watch_drain(struct platform_watch *watch, platform_watch_event *event, void *context)
{
    (void)watch;
    (void)event;
    (void)context;
}
