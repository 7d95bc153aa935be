#include "platform/processes.h"
#include "platform/windows_text.h"

#include <shellapi.h>
#include <stdlib.h>
#include <string.h>
#include <tlhelp32.h>
#include <winternl.h>

#include "base/memory.h"
#include "platform/platform.h"

enum {
    MOST_TEXT_BYTES = 256 * 1024,
    PATH_CHARS = 32 * 1024,

    /* Of RTL_USER_PROCESS_PARAMETERS in a process of 64 bits; the same in every version since Vista. */
    ENVIRONMENT_AT = 0x80,
    ENVIRONMENT_SIZE_AT = 0x3F0,
};

_Static_assert(sizeof(void *) == 8, "the places above are those of 64 bits");

/* Part of another process's memory: taken whole, or not. */
static bool read_at(HANDLE process, const void *at, void *out, size_t size)
{
    SIZE_T got = 0;
    return ReadProcessMemory(process, at, out, size, &got) && got == size;
}

/* Where the process keeps what it was started with; NULL when it is not ours to read. */
static const uint8_t *parameters_of(HANDLE process)
{
    PROCESS_BASIC_INFORMATION basic = {0};
    PEB peb;
    if (NtQueryInformationProcess(process, ProcessBasicInformation, &basic, sizeof basic, NULL) <
            0 ||
        !basic.PebBaseAddress || !read_at(process, basic.PebBaseAddress, &peb, sizeof peb))
        return NULL;
    return (const uint8_t *)peb.ProcessParameters;
}

/* New, and terminated; NULL when it cannot be read. */
static WCHAR *read_text(HANDLE process, const void *at, size_t bytes)
{
    if (!at || bytes == 0 || bytes > MOST_TEXT_BYTES)
        return NULL;
    WCHAR *text = xcalloc(bytes / sizeof(WCHAR) + 2, sizeof(WCHAR));
    if (read_at(process, at, text, bytes))
        return text;
    free(text);
    return NULL;
}

static bool append(struct buffer *out, const WCHAR *wide, bool is_path)
{
    char *text = utf8_of(wide);
    if (is_path)
        forward_slashes(text);
    bool ok = buffer_append(out, bytes_make(text, strlen(text) + 1));
    free(text);
    return ok;
}

/* The program by its whole path, which anybody may ask; then what it was started with, where that
 * may be read. */
static bool read_command(HANDLE process, const uint8_t *parameters, struct buffer *out)
{
    WCHAR *image = xcalloc(PATH_CHARS, sizeof *image);
    DWORD chars = PATH_CHARS;
    bool ok = QueryFullProcessImageNameW(process, 0, image, &chars) && append(out, image, true);
    free(image);
    UNICODE_STRING line;
    WCHAR *text = NULL;
    if (ok && parameters &&
        read_at(process, parameters + offsetof(RTL_USER_PROCESS_PARAMETERS, CommandLine), &line,
                sizeof line))
        text = read_text(process, line.Buffer, line.Length);
    int count = 0;
    WCHAR **words = text ? CommandLineToArgvW(text, &count) : NULL;
    for (int i = 1; ok && words && i < count; i++)
        ok = append(out, words[i], true);
    LocalFree(words);
    free(text);
    return ok;
}

/* NAME=VALUE texts behind one another; those of "=C:", which hold each drive's folder, are left out. */
static bool read_environment(HANDLE process, const uint8_t *parameters, struct buffer *out)
{
    const WCHAR *at = NULL;
    SIZE_T bytes = 0;
    if (!parameters || !read_at(process, parameters + ENVIRONMENT_AT, &at, sizeof at) ||
        !read_at(process, parameters + ENVIRONMENT_SIZE_AT, &bytes, sizeof bytes))
        return false;
    WCHAR *block = read_text(process, at, bytes);
    bool ok = block != NULL;
    for (const WCHAR *one = block; ok && *one; one += wcslen(one) + 1)
        if (one[0] != L'=')
            ok = append(out, one, false);
    free(block);
    return ok;
}

static uint64_t started_ns(HANDLE process)
{
    FILETIME made, ended, kernel, user;
    return GetProcessTimes(process, &made, &ended, &kernel, &user) ? wall_ns_of(made) : 0;
}

/* With as much right as is given: reading memory takes its user's, or an administrator's. */
static HANDLE open_process(DWORD pid, bool *readable)
{
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, FALSE, pid);
    *readable = process != NULL;
    return process ? process : OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
}

static bool visit_process(DWORD pid, platform_process_visit *visit, void *context)
{
    bool readable, go_on = true;
    HANDLE process = open_process(pid, &readable);
    if (!process)
        return true;
    struct buffer command = {.max_bytes = MOST_TEXT_BYTES * 2};
    struct buffer environment = {.max_bytes = MOST_TEXT_BYTES * 2};
    const uint8_t *parameters = readable ? parameters_of(process) : NULL;
    struct platform_process seen = {.pid = (int)pid, .started_ns = started_ns(process)};
    if (uid_of_process(process, &seen.uid) && read_command(process, parameters, &command)) {
        seen.command = buffer_bytes(&command);
        seen.has_environment = read_environment(process, parameters, &environment);
        seen.environment = buffer_bytes(&environment);
        go_on = visit(context, &seen);
    }
    buffer_clear(&environment);
    buffer_clear(&command);
    CloseHandle(process);
    return go_on;
}

void platform_processes(const char *root, platform_process_visit *visit, void *context)
{
    if (root && root[0] && strcmp(root, "/") != 0)
        return;
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    if (all == INVALID_HANDLE_VALUE)
        return;
    PROCESSENTRY32W entry = {.dwSize = sizeof entry};
    bool go_on = true;
    for (BOOL more = Process32FirstW(all, &entry); more && go_on;
         more = Process32NextW(all, &entry))
        if (entry.th32ProcessID > 4) /* not the idle loop and the kernel */
            go_on = visit_process(entry.th32ProcessID, visit, context);
    CloseHandle(all);
}
