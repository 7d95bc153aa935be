#include "platform/windows_text.h"

#include <sddl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "platform/registry.h"

/* Shorter ones need no prefix; a folder leaves room for a name of 8.3 form. */
enum { PLAIN_PATH_CHARS = MAX_PATH - 13, MESSAGE_CHARS = 200 };

WCHAR *wide_of(const char *text)
{
    int count = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    WCHAR *wide = xcalloc((size_t)(count > 0 ? count : 1), sizeof *wide);
    if (count > 0)
        MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, count);
    return wide;
}

char *utf8_of(const WCHAR *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *out = xcalloc((size_t)(size > 0 ? size : 1), 1);
    if (size > 0)
        WideCharToMultiByte(CP_UTF8, 0, text, -1, out, size, NULL, NULL);
    return out;
}

char *forward_slashes(char *path)
{
    for (char *at = path; *at; at++)
        if (*at == '\\')
            *at = '/';
    return path;
}

/* "C:\x" as "\\?\C:\x", "\\server\x" as "\\?\UNC\server\x". */
static WCHAR *lift_limit(WCHAR *full, size_t chars)
{
    bool is_share = full[0] == L'\\' && full[1] == L'\\';
    const WCHAR *prefix = is_share ? L"\\\\?\\UNC" : L"\\\\?\\";
    size_t prefix_chars = wcslen(prefix), skip = is_share ? 1 : 0;
    WCHAR *out = xcalloc(prefix_chars + chars + 1, sizeof *out);
    memcpy(out, prefix, prefix_chars * sizeof *out);
    memcpy(out + prefix_chars, full + skip, (chars - skip) * sizeof *out);
    free(full);
    return out;
}

WCHAR *wide_path(const char *path, struct error *err)
{
    WCHAR *given = wide_of(path);
    DWORD room = given[0] ? GetFullPathNameW(given, 0, NULL, NULL) : 0;
    WCHAR *full = xcalloc((size_t)room + 1, sizeof *full);
    DWORD chars = room > 0 ? GetFullPathNameW(given, room, full, NULL) : 0;
    free(given);
    if (chars == 0 || chars >= room) {
        free(full);
        error_set(err, FAIL_INVALID, "'%s' is no path", path);
        return NULL;
    }
    bool has_prefix = chars > 3 && wcsncmp(full, L"\\\\?\\", 4) == 0;
    return chars < PLAIN_PATH_CHARS || has_prefix ? full : lift_limit(full, chars);
}

static enum error_kind kind_of_code(DWORD code)
{
    switch (code) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
    case ERROR_INVALID_DRIVE:
        return FAIL_NOT_FOUND;
    case ERROR_ACCESS_DENIED:
    case ERROR_WRITE_PROTECT:
    case ERROR_PRIVILEGE_NOT_HELD:
        return FAIL_DENIED;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
        return FAIL_NO_SPACE;
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_BUSY:
        return FAIL_BUSY;
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
    case ERROR_FILENAME_EXCED_RANGE:
    case ERROR_DIRECTORY:
    case ERROR_INVALID_PARAMETER:
        return FAIL_INVALID;
    default:
        return FAIL_IO;
    }
}

bool error_set_windows(struct error *err, DWORD code, const char *doing, ...)
{
    char text[ERROR_CAUSE_BYTES];
    va_list args;
    va_start(args, doing);
    vsnprintf(text, sizeof text, doing, args);
    va_end(args);

    WCHAR wide[MESSAGE_CHARS] = L"";
    DWORD chars = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
                                 code, 0, wide, MESSAGE_CHARS - 1, NULL);
    while (chars > 0 && (wide[chars - 1] <= L' ' || wide[chars - 1] == L'.'))
        wide[--chars] = L'\0';
    char *message = utf8_of(wide);
    error_set(err, kind_of_code(code), "%s: %s (Windows error %lu)", text,
              *message ? message : "failed", (unsigned long)code);
    free(message);
    return false;
}

char *sid_of_token(HANDLE token)
{
    union {
        TOKEN_USER user;
        uint8_t bytes[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } answer;
    DWORD size = 0;
    LPWSTR wide = NULL;
    if (!GetTokenInformation(token, TokenUser, &answer, sizeof answer, &size) ||
        !ConvertSidToStringSidW(answer.user.User.Sid, &wide))
        return NULL;
    char *sid = utf8_of(wide);
    LocalFree(wide);
    return sid;
}

bool uid_of_process(HANDLE process, uint32_t *out)
{
    HANDLE token;
    if (!OpenProcessToken(process, TOKEN_QUERY, &token))
        return false;
    char *sid = sid_of_token(token);
    CloseHandle(token);
    if (sid)
        *out = strcmp(sid, "S-1-5-18") == 0 ? 0 : platform_uid_of_sid(sid);
    free(sid);
    return sid != NULL;
}

#define EPOCH_1601_SECONDS UINT64_C(11644473600)

uint64_t wall_ns_of(FILETIME time)
{
    uint64_t ticks = (uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime; /* of 100 ns */
    return (ticks - EPOCH_1601_SECONDS * 10000000) * 100;
}

PSECURITY_DESCRIPTOR descriptor_of_mode(unsigned mode, bool is_directory)
{
    HANDLE token;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return NULL;
    char *self = sid_of_token(token);
    CloseHandle(token);
    if (!self)
        return NULL;
    const char *down = is_directory ? "OICI" : "";
    char *others = mode & 0004 ? xasprintf("(A;%s;FRFX;;;BU)", down) : xstrdup("");
    char *text = xasprintf("D:P(A;%s;FA;;;SY)(A;%s;FA;;;BA)(A;%s;FA;;;%s)%s", down, down, down,
                           self, others);
    WCHAR *wide = wide_of(text);
    PSECURITY_DESCRIPTOR descriptor = NULL;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(wide, SDDL_REVISION_1, &descriptor,
                                                              NULL))
        descriptor = NULL;
    free(wide);
    free(text);
    free(others);
    free(self);
    return descriptor;
}

char *registry_text(HKEY root, const char *key, const char *name)
{
    enum { VALUE_BYTES = 64 * 1024 };
    WCHAR *wide_key = wide_of(key), *wide_name = wide_of(name), *value = xmalloc(VALUE_BYTES);
    DWORD size = VALUE_BYTES;
    /* With the flag of REG_EXPAND_SZ it refuses to expand; without, those come as REG_SZ. */
    LSTATUS status = RegGetValueW(root, wide_key, wide_name, RRF_RT_REG_SZ | RRF_SUBKEY_WOW6464KEY,
                                  NULL, value, &size);
    char *out = status == ERROR_SUCCESS ? utf8_of(value) : NULL;
    free(value);
    free(wide_name);
    free(wide_key);
    return out;
}
