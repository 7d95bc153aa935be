#include "platform/log_windows.h"

#include <fcntl.h>
#include <io.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "platform/windows_text.h"

enum { LARGE_BYTES = 8 * 1024 * 1024, LOOK_MS = 60 * 60 * 1000 };

static char *log_path(const char *suffix)
{
    char *folder = platform_config_dir("");
    char *path = xasprintf("%s/log/agent.log%s", folder, suffix);
    free(folder);
    return path;
}

static HANDLE open_log(const char *path)
{
    struct error ignored;
    WCHAR *wide = wide_path(path, &ignored);
    SECURITY_ATTRIBUTES access = {.nLength = sizeof access,
                                  .lpSecurityDescriptor = descriptor_of_mode(0600, false)};
    HANDLE file = wide ? CreateFileW(wide, FILE_APPEND_DATA | SYNCHRONIZE,
                                     FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                     &access, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL)
                       : INVALID_HANDLE_VALUE;
    LocalFree(access.lpSecurityDescriptor);
    free(wide);
    return file;
}

/* Standard error is at no moment closed for who writes meanwhile. */
static void turn_to(const char *path)
{
    HANDLE file = open_log(path);
    int fd = file != INVALID_HANDLE_VALUE
                 ? _open_osfhandle((intptr_t)file, _O_APPEND | _O_BINARY | _O_WRONLY)
                 : -1;
    if (fd < 0)
        return;
    if (_fileno(stderr) >= 0) {
        _dup2(fd, _fileno(stderr));
        _close(fd);
    } else {
        /* A service has none to begin with, and freopen() does not make one of nothing. */
        FILE *made = _fdopen(fd, "ab");
        if (made)
            *stderr = *made;
    }
    setvbuf(stderr, NULL, _IONBF, 0);
}

static void rotate(const char *path)
{
    struct fs_stat info;
    struct error ignored;
    if (!fs_real.stat(fs_real.disk, path, &info, &ignored) || info.size_bytes < LARGE_BYTES)
        return;
    char *before = log_path(".1");
    (void)!fs_real.rename(fs_real.disk, path, before, &ignored);
    free(before);
}

static void *look_from_time_to_time(void *context)
{
    (void)context;
    char *path = log_path("");
    for (;;) {
        Sleep(LOOK_MS);
        rotate(path);
        turn_to(path);
    }
    return NULL;
}

void log_to_file(void)
{
    struct error ignored;
    pthread_t thread;
    char *path = log_path(""), *folder = xasprintf("%.*s", (int)(strrchr(path, '/') - path), path);
    if (fs_make_dirs(&fs_real, folder, 0700, &ignored)) {
        rotate(path);
        turn_to(path);
        if (pthread_create(&thread, NULL, look_from_time_to_time, NULL) == 0)
            pthread_detach(thread);
    }
    free(folder);
    free(path);
}

char *log_end(void)
{
    enum { MOST_BYTES = 1000 };
    char *path = log_path(""), tail[MOST_BYTES + 1] = "";
    HANDLE file = INVALID_HANDLE_VALUE;
    struct error ignored;
    WCHAR *wide = wide_path(path, &ignored);
    if (wide)
        file =
            CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                        NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    LARGE_INTEGER size = {0}, from = {0};
    DWORD got = 0;
    if (file != INVALID_HANDLE_VALUE && GetFileSizeEx(file, &size)) {
        from.QuadPart = size.QuadPart > MOST_BYTES ? size.QuadPart - MOST_BYTES : 0;
        if (SetFilePointerEx(file, from, NULL, FILE_BEGIN))
            (void)ReadFile(file, tail, MOST_BYTES, &got, NULL);
    }
    tail[got] = '\0';
    const char *line = from.QuadPart > 0 ? strchr(tail, '\n') : NULL; /* the first is cut */
    char *text = xasprintf("Its log is %s:\r\n%s", path, line ? line + 1 : tail);
    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    free(wide);
    free(path);
    return text;
}
