#include "platform/service.h"
#include "platform/windows_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tlhelp32.h>

#include "base/memory.h"
#include "platform/events_windows.h"
#include "platform/log_windows.h"
#include "platform/machine_id.h"

enum { PENDING_MS = 30000 };

/* The system's callbacks bring no context with them: this is the one process's one life. */
static struct {
    SRWLOCK lock; /* guards `callback` and `context` */
    platform_requested *callback;
    void *context;

    SERVICE_STATUS_HANDLE handle; /* NULL: no service */
    int (*body)(void *context);
    void *body_context;
    int code;
    bool is_announced; /* in the event log, when it was ready for the first time */
} life = {.lock = SRWLOCK_INIT};

static bool ask(enum platform_request request)
{
    AcquireSRWLockShared(&life.lock);
    bool listens = life.callback != NULL;
    if (listens)
        life.callback(life.context, request);
    ReleaseSRWLockShared(&life.lock);
    return listens;
}

void platform_service_notify(const char *text)
{
    SERVICE_STATUS status = {.dwServiceType = SERVICE_WIN32_OWN_PROCESS};
    if (strcmp(text, "READY=1") == 0) {
        status.dwCurrentState = SERVICE_RUNNING;
        status.dwControlsAccepted =
            SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_PRESHUTDOWN | SERVICE_ACCEPT_PARAMCHANGE;
    } else if (strcmp(text, "STOPPING=1") == 0) {
        status.dwCurrentState = SERVICE_STOP_PENDING;
        status.dwWaitHint = PENDING_MS;
    } else {
        return;
    }
    if (life.handle)
        SetServiceStatus(life.handle, &status);
    if (life.handle && status.dwCurrentState == SERVICE_RUNNING && !life.is_announced) {
        life.is_announced = true;
        event_report(EVENT_STARTED, "");
    }
}

/* Why it failed stands in its log; who looks into the system's should not have to go there. */
static void report_end(int code)
{
    char *end = code == 0 ? NULL : log_end();
    event_report(code == 0 ? EVENT_STOPPED : EVENT_FAILED, end ? end : "");
    free(end);
}

uint64_t platform_service_watchdog_ms(void)
{
    return 0; /* the manager restarts what ended, and watches no further */
}

size_t platform_service_sockets(int *fds, size_t max)
{
    (void)fds;
    (void)max;
    return 0;
}

const int *platform_request_signals(enum platform_request request)
{
    static const int none[] = {0};
    (void)request;
    return none;
}

/* Whoever is asked at the end of the console or the system is ended when this returns. */
static BOOL WINAPI on_console(DWORD type)
{
    switch (type) {
    case CTRL_LOGOFF_EVENT:
    case CTRL_SHUTDOWN_EVENT: /* told to services only; the manager tells them, too */
        return TRUE;
    case CTRL_CLOSE_EVENT:
        if (ask(PLATFORM_STOP))
            Sleep(INFINITE); /* until main() has returned, or the system's patience ends */
        return FALSE;
    default:
        return ask(PLATFORM_STOP);
    }
}

void platform_service_listen(platform_requested *callback, void *context)
{
    AcquireSRWLockExclusive(&life.lock);
    life.callback = callback;
    life.context = context;
    ReleaseSRWLockExclusive(&life.lock);
    SetConsoleCtrlHandler(on_console, callback != NULL);
}

static DWORD WINAPI on_control(DWORD control, DWORD type, void *data, void *context)
{
    (void)type;
    (void)data;
    (void)context;
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_PRESHUTDOWN:
        platform_service_notify("STOPPING=1");
        ask(PLATFORM_STOP);
        return NO_ERROR;
    case SERVICE_CONTROL_PARAMCHANGE:
        ask(PLATFORM_RELOAD);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

/*
 * An agent that ends by itself is started again, unless the administrator chose otherwise. The
 * installer could say so, too; doing it here holds for whoever made the service.
 */
static void ask_for_restarts(const WCHAR *name)
{
    SC_ACTION actions[] = {{SC_ACTION_RESTART, 5000},
                           {SC_ACTION_RESTART, 30000},
                           {SC_ACTION_RESTART, 60000}};
    SERVICE_FAILURE_ACTIONSW wish = {.dwResetPeriod = 24 * 60 * 60,
                                     .cActions = sizeof actions / sizeof *actions,
                                     .lpsaActions = actions};
    SERVICE_FAILURE_ACTIONS_FLAG also_after_exit = {.fFailureActionsOnNonCrashFailures = TRUE};
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service =
        manager ? OpenServiceW(manager, name,
                               SERVICE_QUERY_CONFIG | SERVICE_CHANGE_CONFIG | SERVICE_START)
                : NULL;
    union {
        SERVICE_FAILURE_ACTIONSW actions;
        uint8_t bytes[8 * 1024];
    } now;
    DWORD size = 0;
    if (service &&
        QueryServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, now.bytes, sizeof now,
                             &size) &&
        now.actions.cActions == 0) {
        ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, &wish);
        ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &also_after_exit);
    }
    if (service)
        CloseServiceHandle(service);
    if (manager)
        CloseServiceHandle(manager);
}

static void WINAPI serve(DWORD count, WCHAR **words)
{
    const WCHAR *name = count > 0 ? words[0] : L"";
    SERVICE_STATUS status = {.dwServiceType = SERVICE_WIN32_OWN_PROCESS,
                             .dwCurrentState = SERVICE_START_PENDING,
                             .dwWaitHint = PENDING_MS};
    life.handle = RegisterServiceCtrlHandlerExW(name, on_control, NULL);
    if (life.handle)
        SetServiceStatus(life.handle, &status);
    log_to_file();
    ask_for_restarts(name);
    life.code = life.body(life.body_context);
    report_end(life.code);

    status = (SERVICE_STATUS){.dwServiceType = SERVICE_WIN32_OWN_PROCESS,
                              .dwCurrentState = SERVICE_STOPPED};
    if (life.code != 0) {
        status.dwWin32ExitCode = ERROR_SERVICE_SPECIFIC_ERROR;
        status.dwServiceSpecificExitCode = (DWORD)life.code;
    }
    if (life.handle)
        SetServiceStatus(life.handle, &status);
}

/* Whether our parent is the service manager: only then may its dispatcher be called. */
static bool is_service(void)
{
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    if (all == INVALID_HANDLE_VALUE)
        return false;
    PROCESSENTRY32W entry = {.dwSize = sizeof entry};
    DWORD parent = 0;
    for (BOOL more = Process32FirstW(all, &entry); more && !parent;
         more = Process32NextW(all, &entry))
        if (entry.th32ProcessID == GetCurrentProcessId())
            parent = entry.th32ParentProcessID;
    bool found = false;
    for (BOOL more = Process32FirstW(all, &entry); more && !found;
         more = Process32NextW(all, &entry))
        found = entry.th32ProcessID == parent && _wcsicmp(entry.szExeFile, L"services.exe") == 0;
    CloseHandle(all);
    return found;
}

int platform_service_run(int (*body)(void *context), void *context)
{
    WCHAR any_name[] = L""; /* a process of its own: the manager passes its name */
    SERVICE_TABLE_ENTRYW table[] = {{any_name, serve}, {NULL, NULL}};
    life.body = body;
    life.body_context = context;
    setvbuf(stderr, NULL, _IONBF, 0); /* which a file or pipe behind it is not by itself here */
    if (is_service() && StartServiceCtrlDispatcherW(table))
        return life.code;
    return body(context);
}

bool platform_machine_id(const char *root, char out[PLATFORM_MACHINE_ID_BYTES], struct error *err)
{
    if (root && root[0] && strcmp(root, "/") != 0)
        return machine_id_of_file(root, out, err);
    char *id =
        registry_text(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Cryptography", "MachineGuid");
    bool ok = id && strlen(id) >= 16 && strlen(id) < PLATFORM_MACHINE_ID_BYTES;
    if (ok)
        memcpy(out, id, strlen(id) + 1);
    free(id);
    return ok || error_set(err, FAIL_NOT_FOUND, "the registry holds no MachineGuid");
}

char *platform_program_dir(void)
{
    enum { PATH_CHARS = 32 * 1024 };
    WCHAR *wide = xcalloc(PATH_CHARS, sizeof *wide);
    DWORD chars = GetModuleFileNameW(NULL, wide, PATH_CHARS);
    char *path = chars > 0 && chars < PATH_CHARS ? forward_slashes(utf8_of(wide)) : NULL;
    char *slash = path ? strrchr(path, '/') : NULL;
    if (slash)
        *slash = '\0';
    free(wide);
    return path;
}

const char *platform_service_command(enum platform_service_verb verb)
{
    static const char *const commands[] = {
        [PLATFORM_SERVICE_ENABLE] =
            "cmd /c \"sc config claude-telemetry-agent start= auto && net start "
            "claude-telemetry-agent\"",
        [PLATFORM_SERVICE_RESTART] =
            "cmd /c \"net stop claude-telemetry-agent && net start claude-telemetry-agent\"",
        [PLATFORM_SERVICE_RELOAD] = "sc.exe control claude-telemetry-agent paramchange",
    };
    return commands[verb];
}

const char *platform_admin_prefix(void)
{
    return "";
}

enum platform_service_state platform_service_state(void)
{
    union {
        QUERY_SERVICE_CONFIGW config;
        uint8_t bytes[8 * 1024];
    } answer;
    DWORD size = 0;
    enum platform_service_state state = PLATFORM_SERVICE_UNKNOWN;
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service =
        manager ? OpenServiceW(manager, L"claude-telemetry-agent", SERVICE_QUERY_CONFIG) : NULL;
    if (!service && GetLastError() == ERROR_SERVICE_DOES_NOT_EXIST)
        state = PLATFORM_SERVICE_MISSING;
    if (service && QueryServiceConfigW(service, &answer.config, sizeof answer, &size))
        state = answer.config.dwStartType == SERVICE_AUTO_START ? PLATFORM_SERVICE_ENABLED
                                                                : PLATFORM_SERVICE_DISABLED;
    if (service)
        CloseServiceHandle(service);
    if (manager)
        CloseServiceHandle(manager);
    return state;
}
