/*
 * ReadDirectoryChangesW. One thread asks for the changes of all folders and is called back when
 * some have come; it keeps their names and makes one end of a pair of sockets readable, which is
 * what an event loop can wait for here.
 */
#include "platform/windows_text.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/socket.h"
#include "platform/watch.h"

enum {
    CHANGES_BYTES = 16 * 1024,
    NAMES_BYTES = 64 * 1024, /* more than that: "something changed" */
    WHAT = FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME |
           FILE_NOTIFY_CHANGE_LAST_WRITE | FILE_NOTIFY_CHANGE_SIZE | FILE_NOTIFY_CHANGE_SECURITY,
};

struct folder {
    OVERLAPPED request; /* first: what the system calls back with */
    struct platform_watch *watch;
    struct folder *next;
    char *path;
    HANDLE handle;
    alignas(DWORD) uint8_t changes[CHANGES_BYTES];
};

struct platform_watch {
    int ends[2]; /* the reader's, the thread's */
    pthread_t thread;
    HANDLE thread_handle;

    /* The thread's own. */
    struct folder *folders;
    bool stopping;

    CRITICAL_SECTION lock; /* guards what follows */
    struct buffer names;   /* each with its NUL */
    struct buffer wanted;  /* paths of folders to be watched as well */
};

static void tell(struct platform_watch *watch, const char *name)
{
    EnterCriticalSection(&watch->lock);
    bool first = watch->names.len == 0;
    if (!buffer_append(&watch->names, bytes_make(name, strlen(name) + 1))) {
        buffer_reset(&watch->names);
        (void)!buffer_append(&watch->names, bytes_make("", 1));
    }
    LeaveCriticalSection(&watch->lock);
    if (first)
        (void)!socket_write(watch->ends[1], "", 1);
}

static void forget(struct folder *folder)
{
    struct folder **at = &folder->watch->folders;
    while (*at != folder)
        at = &(*at)->next;
    *at = folder->next;
    CloseHandle(folder->handle);
    free(folder->path);
    free(folder);
}

static void tell_names(struct folder *folder)
{
    for (const uint8_t *at = folder->changes;;) {
        const FILE_NOTIFY_INFORMATION *change = (const void *)at;
        size_t chars = change->FileNameLength / sizeof(WCHAR);
        WCHAR *wide = xcalloc(chars + 1, sizeof *wide);
        memcpy(wide, change->FileName, chars * sizeof *wide);
        char *name = utf8_of(wide);
        tell(folder->watch, name);
        free(name);
        free(wide);
        if (change->NextEntryOffset == 0)
            return;
        at += change->NextEntryOffset;
    }
}

static bool ask(struct folder *folder);

/* On the thread. Without a count, more changed than there was room for. */
static void WINAPI on_changes(DWORD code, DWORD bytes, OVERLAPPED *request)
{
    struct folder *folder = (struct folder *)request;
    struct platform_watch *watch = folder->watch;
    bool is_told = code == ERROR_SUCCESS && bytes > 0;
    if (watch->stopping) {
        forget(folder);
        return;
    }
    if (is_told)
        tell_names(folder);
    /* Asked for the next before it is said that something is lost: nothing falls in between. */
    if (code != ERROR_SUCCESS || !ask(folder)) {
        forget(folder); /* the folder is gone; the reader's next look finds another */
        tell(watch, "");
    } else if (!is_told) {
        tell(watch, "");
    }
}

static bool ask(struct folder *folder)
{
    folder->request = (OVERLAPPED){0};
    return ReadDirectoryChangesW(folder->handle, folder->changes, sizeof folder->changes, FALSE,
                                 WHAT, NULL, &folder->request, on_changes);
}

/* Whoever deletes or renames the folder is not held up. */
static HANDLE open_folder(const char *path)
{
    struct error ignored;
    WCHAR *wide = wide_path(path, &ignored);
    HANDLE handle =
        wide ? CreateFileW(wide, FILE_LIST_DIRECTORY,
                           FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                           OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED, NULL)
             : INVALID_HANDLE_VALUE;
    free(wide);
    return handle;
}

static bool is_same(HANDLE a, HANDLE b)
{
    BY_HANDLE_FILE_INFORMATION one, other;
    return GetFileInformationByHandle(a, &one) && GetFileInformationByHandle(b, &other) &&
           one.dwVolumeSerialNumber == other.dwVolumeSerialNumber &&
           one.nFileIndexLow == other.nFileIndexLow && one.nFileIndexHigh == other.nFileIndexHigh;
}

static void take_folder(struct platform_watch *watch, const char *path)
{
    HANDLE handle = open_folder(path);
    if (handle == INVALID_HANDLE_VALUE)
        return;
    for (struct folder *f = watch->folders; f; f = f->next) {
        if (strcmp(f->path, path) != 0)
            continue;
        if (is_same(f->handle, handle)) {
            CloseHandle(handle);
            return;
        }
        CancelIo(f->handle); /* another folder has the name now; this one's end is told */
        f->path[0] = '\0';
    }
    struct folder *folder = xcalloc(1, sizeof *folder);
    folder->watch = watch;
    folder->path = xstrdup(path);
    folder->handle = handle;
    folder->next = watch->folders;
    watch->folders = folder;
    if (!ask(folder))
        forget(folder);
}

/* On the thread: what was added meanwhile. */
static void WINAPI on_wanted(ULONG_PTR context)
{
    struct platform_watch *watch = (struct platform_watch *)context;
    EnterCriticalSection(&watch->lock);
    struct buffer wanted = watch->wanted;
    watch->wanted = (struct buffer){.max_bytes = wanted.max_bytes};
    LeaveCriticalSection(&watch->lock);
    for (size_t at = 0; at < wanted.len; at += strlen((const char *)wanted.data + at) + 1)
        take_folder(watch, (const char *)wanted.data + at);
    buffer_clear(&wanted);
}

static void WINAPI on_stop(ULONG_PTR context)
{
    struct platform_watch *watch = (struct platform_watch *)context;
    watch->stopping = true;
    for (struct folder *f = watch->folders; f; f = f->next)
        CancelIo(f->handle);
}

static void *run(void *context)
{
    struct platform_watch *watch = context;
    while (!watch->stopping || watch->folders)
        SleepEx(INFINITE, TRUE);
    return NULL;
}

struct platform_watch *platform_watch_create(void)
{
    struct error ignored;
    struct platform_watch *watch = xcalloc(1, sizeof *watch);
    InitializeCriticalSection(&watch->lock);
    watch->names.max_bytes = watch->wanted.max_bytes = NAMES_BYTES;
    watch->ends[0] = watch->ends[1] = -1;
    if (!socket_pair(watch->ends, &ignored))
        return watch;
    if (pthread_create(&watch->thread, NULL, run, watch) == 0) {
        watch->thread_handle = pthread_gethandle(watch->thread);
        return watch;
    }
    socket_close(watch->ends[0]);
    socket_close(watch->ends[1]);
    watch->ends[0] = watch->ends[1] = -1;
    return watch;
}

void platform_watch_destroy(struct platform_watch *watch)
{
    if (!watch)
        return;
    if (watch->ends[0] >= 0) {
        QueueUserAPC(on_stop, watch->thread_handle, (ULONG_PTR)watch);
        pthread_join(watch->thread, NULL);
        socket_close(watch->ends[0]);
        socket_close(watch->ends[1]);
    }
    DeleteCriticalSection(&watch->lock);
    buffer_clear(&watch->names);
    buffer_clear(&watch->wanted);
    free(watch);
}

int platform_watch_fd(const struct platform_watch *watch)
{
    return watch->ends[0];
}

void platform_watch_add(struct platform_watch *watch, const char *folder)
{
    if (watch->ends[0] < 0)
        return;
    EnterCriticalSection(&watch->lock);
    bool ok = buffer_append(&watch->wanted, bytes_make(folder, strlen(folder) + 1));
    LeaveCriticalSection(&watch->lock);
    if (ok)
        QueueUserAPC(on_wanted, watch->thread_handle, (ULONG_PTR)watch);
}

void platform_watch_drain(struct platform_watch *watch, platform_watch_event *event, void *context)
{
    char drained[64];
    while (socket_read(watch->ends[0], drained, sizeof drained) > 0)
        ;
    EnterCriticalSection(&watch->lock);
    struct buffer names = watch->names;
    watch->names = (struct buffer){.max_bytes = names.max_bytes};
    LeaveCriticalSection(&watch->lock);
    for (size_t at = 0; at < names.len; at += strlen((const char *)names.data + at) + 1)
        event(context, (const char *)names.data + at);
    buffer_clear(&names);
}
