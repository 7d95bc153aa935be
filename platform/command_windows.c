/* Runs a program with a time limit and nothing of our own environment. */
#include "platform/windows_text.h"

#include <stdlib.h>

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

/*
 * Becoming another user takes that user's password or a session of theirs. Only for the user
 * we are is the command run; for others it is refused rather than run with our rights.
 */
static bool check_user(const struct platform_command *c, struct error *err)
{
    HANDLE token;
    char *self = NULL;
    if (OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) {
        self = sid_of_token(token);
        CloseHandle(token);
    }
    bool same = self && platform_uid_of_sid(self) == c->uid;
    free(self);
    return same || error_set(err, FAIL_DENIED, "'%s' cannot be run as '%s' on Windows", c->program,
                             c->user);
}

bool platform_run_command(const struct platform_command *c, struct buffer *out, struct error *err)
{
    if (!check_user(c, err))
        return false;
    const char *const arguments[] = {c->program, c->option ? c->option : c->argument,
                                     c->option ? c->argument : NULL, NULL};
    WCHAR *environment = environment_of(c);
    struct process child;
    bool ok = process_start(arguments, environment, c->home, &child, err);
    free(environment);
    if (!ok)
        return false;
    ok = collect(&child, c, out, err);
    int code = process_finish(&child, !ok);
    CloseHandle(child.output);
    if (ok && code != 0)
        return error_set(err, FAIL_IO, "'%s' ended with status %d", c->program, code);
    return ok;
}
