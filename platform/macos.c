#include "platform/platform.h"

#include <arpa/inet.h>
#include <libproc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/utsname.h>

#include "base/memory.h"

char *platform_config_dir(const char *root)
{
    return platform_under_root(root, "/Library/Application Support/ClaudeTelemetry");
}

char *platform_state_dir(const char *root)
{
    return platform_under_root(root, "/Library/Application Support/ClaudeTelemetry/state");
}

/* The service is root. */
char *platform_first_state_dir(const char *root)
{
    return platform_under_root(root, "/Library/Application Support/ClaudeTelemetry/state/settings");
}

char *platform_run_dir(const char *root)
{
    return platform_under_root(root, "/var/run/claude-telemetry");
}

char *platform_claude_managed_dir(const char *root)
{
    return platform_under_root(root, "/Library/Application Support/ClaudeCode");
}

void platform_thread_step_back(void)
{
    (void)pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0);
}

bool platform_cpu_has_crc32c(void)
{
#if defined(__aarch64__)
    return true; /* every processor that Apple made for Macs */
#else
    return false;
#endif
}

static bool read_sysctl(const char *name, char *out, size_t size)
{
    size_t len = size - 1;
    if (sysctlbyname(name, out, &len, NULL, 0) != 0)
        return false;
    out[len < size ? len : size - 1] = '\0';
    return true;
}

void platform_os(struct platform_os *out)
{
    char version[64] = "", build[32] = "";
    struct utsname host;
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "darwin");
    if (!read_sysctl("kern.osproductversion", version, sizeof version))
        snprintf(version, sizeof version, "unknown");
    (void)read_sysctl("kern.osversion", build, sizeof build);
    snprintf(out->version, sizeof out->version, "macOS %s (%s)", version, build);
    if (uname(&host) == 0)
        snprintf(out->arch, sizeof out->arch, "%.15s",
                 strcmp(host.machine, "x86_64") == 0 ? "amd64" : host.machine);
}

/* One end of a connection, as libproc has it: network order, IPv4 in the last four bytes. */
struct end {
    uint8_t address[16];
    int port;
};

static bool end_of(const struct sockaddr *address, struct end *out)
{
    memset(out, 0, sizeof *out);
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        memcpy(out->address + 12, &in.sin_addr, sizeof in.sin_addr);
        out->port = in.sin_port;
        return true;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        memcpy(out->address, &in.sin6_addr, sizeof in.sin6_addr);
        out->port = in.sin6_port;
        return true;
    }
    return false;
}

/* "::ffff:127.0.0.1" is how a socket for both families knows an IPv4 peer: compared without. */
static bool same_end(const struct end *a, const struct in4in6_addr *v4, const struct in6_addr *v6,
                     bool is_v6, int port)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    struct end b = {0};
    if (is_v6)
        memcpy(b.address, v6, sizeof b.address);
    else
        memcpy(b.address + 12, &v4->i46a_addr4, 4);
    if (memcmp(b.address, mapped, sizeof mapped) == 0)
        memset(b.address, 0, sizeof mapped);
    struct end own = *a;
    if (memcmp(own.address, mapped, sizeof mapped) == 0)
        memset(own.address, 0, sizeof mapped);
    return own.port == port && memcmp(own.address, b.address, sizeof b.address) == 0;
}

/* Whether descriptor `fd` of the process is the live socket with these two ends. */
static bool is_socket(int pid, int fd, const struct end *own, const struct end *other)
{
    struct socket_fdinfo info;
    if (proc_pidfdinfo(pid, fd, PROC_PIDFDSOCKETINFO, &info, sizeof info) != (int)sizeof info ||
        info.psi.soi_kind != SOCKINFO_TCP ||
        info.psi.soi_proto.pri_tcp.tcpsi_state != TSI_S_ESTABLISHED)
        return false;
    const struct in_sockinfo *in = &info.psi.soi_proto.pri_tcp.tcpsi_ini;
    bool is_v6 = !(in->insi_vflag & INI_IPV4);
    return same_end(own, &in->insi_laddr.ina_46, &in->insi_laddr.ina_6, is_v6, in->insi_lport) &&
           same_end(other, &in->insi_faddr.ina_46, &in->insi_faddr.ina_6, is_v6, in->insi_fport);
}

/* Its descriptor that is the socket; -1 when it has none, or we may not ask. */
static int find_descriptor(int pid, const struct end *own, const struct end *other)
{
    enum { MOST_FDS = 64 * 1024 };
    int size = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, NULL, 0);
    if (size <= 0 || size > MOST_FDS * (int)sizeof(struct proc_fdinfo))
        return -1;
    struct proc_fdinfo *fds = xmalloc((size_t)size);
    size = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, fds, size);
    int found = -1;
    for (int i = 0; found < 0 && i < size / (int)sizeof *fds; i++)
        if (fds[i].proc_fdtype == PROX_FDTYPE_SOCKET && is_socket(pid, fds[i].proc_fd, own, other))
            found = fds[i].proc_fd;
    free(fds);
    return found;
}

/*
 * The process that holds the socket is asked for its user, and then once more
 * for the socket: a process number that was used again meanwhile has not got it.
 * Takes root for other users' processes.
 */
static bool owner_of_process(int pid, const struct end *own, const struct end *other, uint32_t *uid)
{
    struct proc_bsdinfo info;
    int fd = find_descriptor(pid, own, other);
    if (fd < 0 || proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, &info, sizeof info) != (int)sizeof info ||
        !is_socket(pid, fd, own, other))
        return false;
    *uid = info.pbi_uid;
    return true;
}

bool platform_socket_owner(const void *local, const void *remote, struct platform_socket_owner *out,
                           struct error *err)
{
    struct end own, other;
    /* The peer's socket has our remote address as its own. */
    if (!end_of(remote, &own) || !end_of(local, &other))
        return error_set(err, FAIL_NOT_FOUND, "the connection is not TCP");
    int room = proc_listallpids(NULL, 0) + 64; /* more may start meanwhile */
    int *pids = xcalloc((size_t)room, sizeof *pids);
    int count = proc_listallpids(pids, room * (int)sizeof *pids);
    bool found = false;
    for (int i = 0; !found && i < count; i++)
        found = owner_of_process(pids[i], &own, &other, &out->uid);
    free(pids);
    return found || error_set(err, FAIL_NOT_FOUND, "the peer's socket is not on this machine");
}
