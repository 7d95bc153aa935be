/* Runs a program with a time limit and nothing of our own environment. */
#include "platform/windows_text.h"

#include <stdlib.h>
#include <wtsapi32.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "platform/process_windows.h"
#include "platform/registry.h"

/* NAME=VALUE strings, each with its NUL, and one more NUL: what CreateProcess takes. */
static WCHAR *environment_of(const struct platform_command *c)
{
    char system[MAX_PATH] = "C:\\Windows";
    DWORD len = GetEnvironmentVariableA("SystemRoot", system, sizeof system);
    if (len == 0 || len >= sizeof system)
        memcpy(system, "C:\\Windows", sizeof "C:\\Windows");
    /* Sorted, as the system has it. The separators are put in afterwards. */
    char *text = xasprintf("HOME=%s\nPATH=%s\\System32;%s\nSystemRoot=%s\nUSER=%s\nUSERNAME=%s\n"
                           "USERPROFILE=%s\n",
                           c->home, system, system, system, c->user, c->user, c->home);
    WCHAR *wide = wide_of(text); /* its own NUL is the one at the end */
    for (WCHAR *at = wide; *at; at++)
        if (*at == L'\n')
            *at = L'\0';
    free(text);
    return wide;
}

/* Reads until the end of output. False with the reason when time or room runs out. */
static bool collect(const struct process *child, const struct platform_command *c,
                    struct buffer *out, struct error *err)
{
    enum { PIECE_BYTES = 1024, PAUSE_MS = 5 };
    ULONGLONG end_ms = GetTickCount64() + c->timeout_ms;
    for (;;) {
        DWORD waiting = 0;
        if (!PeekNamedPipe(child->output, NULL, 0, NULL, &waiting, NULL))
            return true; /* nobody holds the other end any more */
        if (waiting == 0) {
            if (GetTickCount64() >= end_ms)
                return error_set(err, FAIL_BUSY, "'%s' did not answer within %u ms", c->program,
                                 (unsigned)c->timeout_ms);
            Sleep(PAUSE_MS);
            continue;
        }
        uint8_t piece[PIECE_BYTES];
        DWORD got = 0;
        if (!ReadFile(child->output, piece, sizeof piece, &got, NULL) || got == 0)
            return true;
        if (!buffer_append(out, bytes_make(piece, got)))
            return error_set(err, FAIL_TOO_LARGE, "'%s' printed more than %zu bytes", c->program,
                             out->max_bytes);
    }
}

static bool is_of(HANDLE token, uint32_t uid)
{
    char *sid = sid_of_token(token);
    bool same = sid && platform_uid_of_sid(sid) == uid;
    free(sid);
    return same;
}

static bool is_own(uint32_t uid)
{
    HANDLE token;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return false;
    bool same = is_of(token, uid);
    CloseHandle(token);
    return same;
}

/* A token of the session that this user has on the machine now; the caller closes. NULL without one. */
static HANDLE session_of(uint32_t uid)
{
    WTS_SESSION_INFOW *sessions = NULL;
    DWORD count = 0;
    HANDLE found = NULL;
    if (!WTSEnumerateSessionsW(WTS_CURRENT_SERVER_HANDLE, 0, 1, &sessions, &count))
        return NULL;
    for (DWORD i = 0; i < count && !found; i++) {
        HANDLE token;
        if (!WTSQueryUserToken(sessions[i].SessionId, &token))
            continue;
        if (is_of(token, uid))
            found = token;
        else
            CloseHandle(token);
    }
    WTSFreeMemory(sessions);
    return found;
}

/*
 * Becoming another user takes that user's password or a session of theirs, which the system's own
 * account may use. Without one it is refused rather than run with our rights. `out` NULL: our own.
 */
static bool become(const struct platform_command *c, HANDLE *out, struct error *err)
{
    *out = NULL;
    if (is_own(c->uid))
        return true;
    *out = session_of(c->uid);
    if (*out)
        return true;
    error_set(err, FAIL_DENIED, "'%s' cannot be run as '%s', who is not signed in", c->program,
              c->user);
    return error_remedy(err,
                        "it is tried again: on Windows a program runs as somebody only while they "
                        "are signed in, and only for the service");
}

bool platform_run_command(const struct platform_command *c, struct buffer *out, struct error *err)
{
    HANDLE user;
    if (!become(c, &user, err))
        return false;
    const char *const arguments[] = {c->program, c->option ? c->option : c->argument,
                                     c->option ? c->argument : NULL, NULL};
    struct process_options options = {.environment = environment_of(c),
                                      .folder = c->home,
                                      .user = user};
    struct process child;
    bool ok = process_start(arguments, &options, &child, err);
    free(options.environment);
    if (user)
        CloseHandle(user);
    if (!ok)
        return false;
    ok = collect(&child, c, out, err);
    int code = process_finish(&child, !ok);
    CloseHandle(child.output);
    if (ok && code != 0)
        return error_set(err, FAIL_IO, "'%s' ended with status %d", c->program, code);
    return ok;
}
