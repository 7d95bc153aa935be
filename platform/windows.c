#include "platform/windows_text.h"

#include <bcrypt.h>
#include <iphlpapi.h>
#include <shlobj.h>
#include <stdio.h>
#include <stdlib.h>
#include <ws2tcpip.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "platform/processes.h"
#include "platform/registry.h"

static uint64_t wall_ns(void *context)
{
    (void)context;
    FILETIME now;
    GetSystemTimePreciseAsFileTime(&now);
    return wall_ns_of(now);
}

static uint64_t monotonic_ns(void *context)
{
    (void)context;
    LARGE_INTEGER now, per_second;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&per_second);
    uint64_t count = (uint64_t)now.QuadPart, rate = (uint64_t)per_second.QuadPart;
    return count / rate * NS_PER_S + count % rate * NS_PER_S / rate;
}

const struct clock platform_clock = {.wall_ns = wall_ns, .monotonic_ns = monotonic_ns};

void platform_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ULONG step = len < MIB ? (ULONG)len : (ULONG)MIB;
        if (BCryptGenRandom(NULL, at, step, BCRYPT_USE_SYSTEM_PREFERRED_RNG) != 0) {
            fputs("the system gives no random numbers\n", stderr);
            abort();
        }
        at += step;
        len -= step;
    }
}

static bool has_drive(const char *path)
{
    return ((path[0] >= 'A' && path[0] <= 'Z') || (path[0] >= 'a' && path[0] <= 'z')) &&
           path[1] == ':';
}

/* Below a root a path loses its drive: "C:/ProgramData/x" is "<root>/ProgramData/x". */
char *platform_under_root(const char *root, const char *path)
{
    size_t len = root ? strlen(root) : 0;
    while (len > 0 && (root[len - 1] == '/' || root[len - 1] == '\\'))
        len--;
    if (len == 0)
        return forward_slashes(xstrdup(path));
    const char *rest = has_drive(path) ? path + 2 : path;
    bool is_rooted = rest[0] == '/' || rest[0] == '\\';
    return forward_slashes(xasprintf("%.*s%s%s", (int)len, root, is_rooted ? "" : "/", rest));
}

static char *below_known_folder(const char *root, const KNOWNFOLDERID *which, const char *fallback,
                                const char *rest)
{
    PWSTR wide = NULL;
    char *folder =
        SHGetKnownFolderPath(which, 0, NULL, &wide) == S_OK ? utf8_of(wide) : xstrdup(fallback);
    CoTaskMemFree(wide);
    char *path = xasprintf("%s/%s", folder, rest);
    char *out = platform_under_root(root, path);
    free(path);
    free(folder);
    return out;
}

char *platform_config_dir(const char *root)
{
    return below_known_folder(root, &FOLDERID_ProgramData, "C:/ProgramData", "ClaudeTelemetry");
}

char *platform_state_dir(const char *root)
{
    return below_known_folder(root, &FOLDERID_ProgramData, "C:/ProgramData",
                              "ClaudeTelemetry/state");
}

/* The service is the system. */
char *platform_first_state_dir(const char *root)
{
    return below_known_folder(root, &FOLDERID_ProgramData, "C:/ProgramData",
                              "ClaudeTelemetry/state/settings");
}

/* Stays after a reboot: status.json says when it was written. */
char *platform_run_dir(const char *root)
{
    return below_known_folder(root, &FOLDERID_ProgramData, "C:/ProgramData", "ClaudeTelemetry/run");
}

char *platform_claude_managed_dir(const char *root)
{
    return below_known_folder(root, &FOLDERID_ProgramFiles, "C:/Program Files", "ClaudeCode");
}

void platform_thread_step_back(void)
{
    (void)SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
}

void platform_hostname(char *out, size_t size)
{
    WCHAR wide[256];
    DWORD chars = sizeof wide / sizeof *wide;
    char *name = GetComputerNameExW(ComputerNameDnsHostname, wide, &chars) ? utf8_of(wide)
                                                                           : xstrdup("unknown");
    snprintf(out, size, "%s", name);
    free(name);
}

void platform_os(struct platform_os *out)
{
    static const char key[] = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "windows");
    char *product = registry_text(HKEY_LOCAL_MACHINE, key, "ProductName");
    char *display = registry_text(HKEY_LOCAL_MACHINE, key, "DisplayVersion");
    char *build = registry_text(HKEY_LOCAL_MACHINE, key, "CurrentBuildNumber");
    snprintf(out->version, sizeof out->version, "%s%s%s (build %s)", product ? product : "Windows",
             display ? " " : "", display ? display : "", build ? build : "unknown");
    free(product);
    free(display);
    free(build);

    SYSTEM_INFO machine;
    GetNativeSystemInfo(&machine);
    bool is_arm = machine.wProcessorArchitecture == PROCESSOR_ARCHITECTURE_ARM64;
    bool is_amd = machine.wProcessorArchitecture == PROCESSOR_ARCHITECTURE_AMD64;
    snprintf(out->arch, sizeof out->arch, "%s", is_arm ? "arm64" : is_amd ? "amd64" : "x86");
}

bool platform_cpu_has_crc32c(void)
{
#if defined(__aarch64__)
    return IsProcessorFeaturePresent(PF_ARM_V8_CRC32_INSTRUCTIONS_AVAILABLE);
#else
    return false;
#endif
}

/* The whole table of TCP connections; the caller frees. */
static void *read_table(ULONG family)
{
    ULONG size = 16 * 1024;
    void *table = xmalloc(size);
    DWORD code;
    while ((code = GetExtendedTcpTable(table, &size, FALSE, family, TCP_TABLE_OWNER_PID_CONNECTIONS,
                                       0)) == ERROR_INSUFFICIENT_BUFFER) {
        size += size / 4; /* more may connect meanwhile */
        table = xrealloc(table, size);
    }
    if (code == NO_ERROR)
        return table;
    free(table);
    return NULL;
}

/* The process whose socket has `remote` as its own end. 0 when there is none. */
static DWORD find_process_4(const struct sockaddr_in *own, const struct sockaddr_in *other)
{
    MIB_TCPTABLE_OWNER_PID *table = read_table(AF_INET);
    DWORD found = 0;
    for (DWORD i = 0; table && i < table->dwNumEntries && found == 0; i++) {
        const MIB_TCPROW_OWNER_PID *row = &table->table[i];
        if (row->dwState == MIB_TCP_STATE_ESTAB && row->dwLocalAddr == own->sin_addr.s_addr &&
            (u_short)row->dwLocalPort == own->sin_port &&
            row->dwRemoteAddr == other->sin_addr.s_addr &&
            (u_short)row->dwRemotePort == other->sin_port)
            found = row->dwOwningPid;
    }
    free(table);
    return found;
}

static DWORD find_process_6(const struct sockaddr_in6 *own, const struct sockaddr_in6 *other)
{
    MIB_TCP6TABLE_OWNER_PID *table = read_table(AF_INET6);
    DWORD found = 0;
    for (DWORD i = 0; table && i < table->dwNumEntries && found == 0; i++) {
        const MIB_TCP6ROW_OWNER_PID *row = &table->table[i];
        if (row->dwState == MIB_TCP_STATE_ESTAB &&
            memcmp(row->ucLocalAddr, &own->sin6_addr, sizeof row->ucLocalAddr) == 0 &&
            (u_short)row->dwLocalPort == own->sin6_port &&
            memcmp(row->ucRemoteAddr, &other->sin6_addr, sizeof row->ucRemoteAddr) == 0 &&
            (u_short)row->dwRemotePort == other->sin6_port)
            found = row->dwOwningPid;
    }
    free(table);
    return found;
}

static DWORD find_process(const struct sockaddr *local, const struct sockaddr *remote)
{
    if (remote->sa_family == AF_INET) {
        struct sockaddr_in own, other;
        memcpy(&own, remote, sizeof own);
        memcpy(&other, local, sizeof other);
        return find_process_4(&own, &other);
    }
    if (remote->sa_family == AF_INET6) {
        struct sockaddr_in6 own, other;
        memcpy(&own, remote, sizeof own);
        memcpy(&other, local, sizeof other);
        return find_process_6(&own, &other);
    }
    return 0;
}

uint32_t platform_own_uid(void)
{
    uint32_t uid;
    return uid_of_process(GetCurrentProcess(), &uid) ? uid : UINT32_MAX;
}

bool platform_is_administrator(void)
{
    BYTE group[SECURITY_MAX_SID_SIZE];
    DWORD size = sizeof group;
    BOOL is_member = FALSE;
    return platform_own_uid() == 0 ||
           (CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, group, &size) &&
            CheckTokenMembership(NULL, group, &is_member) && is_member);
}

/*
 * A process number is used again once its process has ended. So the table is
 * read a second time while the process is held open: if the number still owns
 * the socket then, it is this process that does.
 */
bool platform_socket_owner(const void *local, const void *remote, struct platform_socket_owner *out,
                           struct error *err)
{
    DWORD pid = find_process(local, remote);
    if (pid == 0)
        return error_set(err, FAIL_NOT_FOUND, "the peer's socket is not on this machine");
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    if (!process)
        return error_set(err, FAIL_NOT_FOUND, "process %lu cannot be asked", (unsigned long)pid);
    bool ok = find_process(local, remote) == pid && uid_of_process(process, &out->uid);
    CloseHandle(process);
    return ok || error_set(err, FAIL_NOT_FOUND, "the user of process %lu cannot be told",
                           (unsigned long)pid);
}
