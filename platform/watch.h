/*
 * Tells when entries of folders change: inotify on Linux, kqueue on macOS, ReadDirectoryChangesW
 * on Windows. Some disks tell nothing, and where the system's help is not to be had there is no
 * descriptor: the caller looks from time to time in any case. Used from one thread.
 */
#ifndef PLATFORM_WATCH_H
#define PLATFORM_WATCH_H

#include <stdbool.h>

struct platform_watch;

/* Never fails: without the system's help the descriptor is -1. */
struct platform_watch *platform_watch_create(void);
void platform_watch_destroy(struct platform_watch *watch); /* NULL is fine */

/* Readable when something happened; -1 when nothing will ever tell. */
int platform_watch_fd(const struct platform_watch *watch);

/* Watches a folder; doing so again changes nothing, a folder that is gone is passed over. */
void platform_watch_add(struct platform_watch *watch, const char *folder);

/* `name` is the entry that changed; "" when it is the folder itself or events were lost. */
typedef void platform_watch_event(void *context, const char *name);

/* Calls back for all that has happened. */
void platform_watch_drain(struct platform_watch *watch, platform_watch_event *event, void *context);

#endif
