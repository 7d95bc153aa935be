#include "platform/process_windows.h"

#include <stdlib.h>

#include "base/memory.h"

enum { COMMAND_LINE_BYTES = 32 * 1024 };

/* One argument as the C runtime of the child takes it apart again. */
static bool put_argument(struct buffer *line, const char *argument)
{
    bool ok = buffer_append_text(line, line->len > 0 ? " \"" : "\"");
    size_t slashes = 0;
    for (const char *at = argument; ok && *at; at++) {
        if (*at == '\\') {
            slashes++;
            continue;
        }
        /* Backslashes stand for themselves except before a quote: there they are doubled. */
        for (size_t i = 0; i < (*at == '"' ? 2 * slashes + 1 : slashes); i++)
            ok = ok && buffer_append_byte(line, '\\');
        ok = ok && buffer_append_byte(line, (uint8_t)*at);
        slashes = 0;
    }
    for (size_t i = 0; i < 2 * slashes; i++)
        ok = ok && buffer_append_byte(line, '\\');
    return ok && buffer_append_byte(line, '"');
}

static WCHAR *command_line_of(const char *const *argv)
{
    struct buffer line = {.max_bytes = COMMAND_LINE_BYTES};
    bool ok = true;
    for (size_t i = 0; ok && argv[i]; i++)
        ok = put_argument(&line, argv[i]);
    const char *text = ok ? buffer_text(&line) : NULL;
    WCHAR *wide = text ? wide_of(text) : NULL;
    buffer_clear(&line);
    return wide;
}

/* A job whose processes end with its last handle. */
static HANDLE make_job(void)
{
    HANDLE job = CreateJobObjectW(NULL, NULL);
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {.BasicLimitInformation.LimitFlags =
                                                       JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE};
    if (job)
        SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    return job;
}

/* The child inherits these handles, and none that another thread happens to open. */
static LPPROC_THREAD_ATTRIBUTE_LIST list_of(HANDLE *handles, size_t count)
{
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    LPPROC_THREAD_ATTRIBUTE_LIST list = xmalloc(size);
    InitializeProcThreadAttributeList(list, 1, 0, &size);
    UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles,
                              count * sizeof *handles, NULL, NULL);
    return list;
}

static bool create(const char *const *argv, const struct process_options *options, HANDLE output,
                   struct process *out, struct error *err)
{
    SECURITY_ATTRIBUTES inherit = {.nLength = sizeof inherit, .bInheritHandle = TRUE};
    HANDLE nothing =
        CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                    &inherit, OPEN_EXISTING, 0, NULL);
    HANDLE errors = nothing;
    HANDLE ours = GetStdHandle(STD_ERROR_HANDLE);
    if (!options->environment && ours && ours != INVALID_HANDLE_VALUE &&
        SetHandleInformation(ours, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT))
        errors = ours;
    HANDLE handles[] = {nothing, output, errors};
    STARTUPINFOEXW start = {.StartupInfo = {.cb = sizeof start,
                                            .dwFlags = STARTF_USESTDHANDLES,
                                            .hStdInput = nothing,
                                            .hStdOutput = output,
                                            .hStdError = errors},
                            .lpAttributeList = list_of(handles, errors == nothing ? 2 : 3)};
    WCHAR *program = wide_path(argv[0], err), *line = command_line_of(argv);
    WCHAR *home = options->folder ? wide_path(options->folder, err) : NULL;
    PROCESS_INFORMATION made = {0};
    const DWORD how = CREATE_UNICODE_ENVIRONMENT | CREATE_SUSPENDED | CREATE_NO_WINDOW |
                      EXTENDED_STARTUPINFO_PRESENT;
    bool ok =
        program && line &&
        (options->user ? CreateProcessAsUserW(options->user, program, line, NULL, NULL, TRUE, how,
                                              options->environment, home, &start.StartupInfo, &made)
                       : CreateProcessW(program, line, NULL, NULL, TRUE, how, options->environment,
                                        home, &start.StartupInfo, &made));
    DWORD code = GetLastError();
    if (ok) {
        if (out->job)
            AssignProcessToJobObject(out->job, made.hProcess);
        ResumeThread(made.hThread);
        CloseHandle(made.hThread);
        out->handle = made.hProcess;
    } else {
        error_set_windows(err, line ? code : ERROR_FILENAME_EXCED_RANGE, "cannot run '%s'",
                          argv[0]);
    }
    DeleteProcThreadAttributeList(start.lpAttributeList);
    free(start.lpAttributeList);
    free(home);
    free(line);
    free(program);
    if (nothing != INVALID_HANDLE_VALUE)
        CloseHandle(nothing);
    return ok;
}

bool process_start(const char *const *argv, const struct process_options *options,
                   struct process *out, struct error *err)
{
    SECURITY_ATTRIBUTES inherit = {.nLength = sizeof inherit, .bInheritHandle = TRUE};
    HANDLE write_end;
    *out = (struct process){0};
    if (!CreatePipe(&out->output, &write_end, &inherit, 0))
        return error_set_windows(err, GetLastError(), "cannot make a pipe");
    SetHandleInformation(out->output, HANDLE_FLAG_INHERIT, 0);
    out->job = make_job();
    bool ok = create(argv, options, write_end, out, err);
    CloseHandle(write_end);
    if (!ok) {
        CloseHandle(out->output);
        if (out->job)
            CloseHandle(out->job);
    }
    return ok;
}

int process_finish(struct process *process, bool force)
{
    DWORD code = 0;
    if (force) {
        if (process->job)
            TerminateJobObject(process->job, 1);
        TerminateProcess(process->handle, 1);
    }
    WaitForSingleObject(process->handle, INFINITE);
    if (!GetExitCodeProcess(process->handle, &code))
        force = true;
    CloseHandle(process->handle);
    if (process->job)
        CloseHandle(process->job);
    return force ? -1 : (int)code;
}
