#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/watch.h"

enum {
    WHAT = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB |
           IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
    EVENTS_BYTES = 16 * 1024,
};

struct platform_watch {
    int fd;
};

struct platform_watch *platform_watch_create(void)
{
    struct platform_watch *watch = xcalloc(1, sizeof *watch);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return watch;
}

void platform_watch_destroy(struct platform_watch *watch)
{
    if (!watch)
        return;
    if (watch->fd >= 0)
        close(watch->fd);
    free(watch);
}

int platform_watch_fd(const struct platform_watch *watch)
{
    return watch->fd;
}

void platform_watch_add(struct platform_watch *watch, const char *folder)
{
    if (watch->fd >= 0)
        (void)inotify_add_watch(watch->fd, folder, WHAT);
}

void platform_watch_drain(struct platform_watch *watch, platform_watch_event *event, void *context)
{
    union {
        struct inotify_event head; /* for its alignment */
        char bytes[EVENTS_BYTES];
    } events;
    for (;;) {
        ssize_t got = watch->fd >= 0 ? read(watch->fd, &events, sizeof events) : 0;
        if (got <= 0)
            return;
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *one = (const void *)(events.bytes + at);
            if (!(one->mask & IN_IGNORED))
                event(context, one->len > 0 ? one->name : "");
            at += (ssize_t)(sizeof *one + one->len);
        }
    }
}
