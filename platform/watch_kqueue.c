/*
 * kqueue(2), on macOS: a folder tells that entries came or went, and each file in it that it was
 * written to in place. Both are watched by descriptors of theirs.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "platform/watch.h"

enum {
    MOST_FILES = 64, /* of one folder */
    AT_ONCE = 16,
    GONE = NOTE_DELETE | NOTE_RENAME | NOTE_REVOKE,
    WHAT = GONE | NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB,
};

struct watched {
    struct watched *next;
    int fd;
    dev_t device;
    ino_t inode;
    char *name; /* "" for a folder */
};

struct platform_watch {
    int fd;
    struct watched *list;
};

struct platform_watch *platform_watch_create(void)
{
    struct platform_watch *watch = xcalloc(1, sizeof *watch);
    watch->fd = kqueue();
    if (watch->fd >= 0)
        fcntl(watch->fd, F_SETFD, FD_CLOEXEC);
    return watch;
}

static void forget(struct platform_watch *watch, struct watched *one)
{
    struct watched **at = &watch->list;
    while (*at != one)
        at = &(*at)->next;
    *at = one->next;
    close(one->fd); /* which also takes it from the queue */
    free(one->name);
    free(one);
}

void platform_watch_destroy(struct platform_watch *watch)
{
    if (!watch)
        return;
    while (watch->list)
        forget(watch, watch->list);
    if (watch->fd >= 0)
        close(watch->fd);
    free(watch);
}

int platform_watch_fd(const struct platform_watch *watch)
{
    return watch->fd;
}

static bool is_watched(const struct platform_watch *watch, const struct stat *info)
{
    for (const struct watched *w = watch->list; w; w = w->next)
        if (w->device == info->st_dev && w->inode == info->st_ino)
            return true;
    return false;
}

/* Takes the descriptor over. */
static void take(struct platform_watch *watch, int fd, const char *name)
{
    struct stat info;
    if (fd < 0)
        return;
    if (fstat(fd, &info) != 0 || is_watched(watch, &info)) {
        close(fd);
        return;
    }
    struct watched *one = xcalloc(1, sizeof *one);
    one->fd = fd;
    one->device = info.st_dev;
    one->inode = info.st_ino;
    one->name = xstrdup(name);
    one->next = watch->list;
    watch->list = one;
    struct kevent wish;
    EV_SET(&wish, (uintptr_t)fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, WHAT, 0, one);
    if (kevent(watch->fd, &wish, 1, NULL, 0, NULL) != 0)
        forget(watch, one);
}

void platform_watch_add(struct platform_watch *watch, const char *folder)
{
    int fd = watch->fd >= 0 ? open(folder, O_EVTONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    take(watch, fd, "");
    DIR *entries = opendir(folder);
    if (!entries)
        return;
    int files = 0;
    for (struct dirent *e; files < MOST_FILES && (e = readdir(entries));) {
        if (e->d_type != DT_REG)
            continue;
        files++;
        take(watch, openat(dirfd(entries), e->d_name, O_EVTONLY | O_NOFOLLOW | O_CLOEXEC),
             e->d_name);
    }
    closedir(entries);
}

void platform_watch_drain(struct platform_watch *watch, platform_watch_event *event, void *context)
{
    const struct timespec no_wait = {0};
    struct kevent seen[AT_ONCE];
    int count;
    while (watch->fd >= 0 && (count = kevent(watch->fd, NULL, 0, seen, AT_ONCE, &no_wait)) > 0) {
        for (int i = 0; i < count; i++) {
            struct watched *one = seen[i].udata;
            event(context, one->name);
            if (seen[i].fflags & GONE)
                forget(watch, one);
        }
    }
}
