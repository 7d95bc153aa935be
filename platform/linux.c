#include "platform/platform.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { TCP_STATE_ESTABLISHED = 1 };

char *platform_config_dir(const char *root)
{
    return platform_under_root(root, "/etc/claude-telemetry");
}

char *platform_state_dir(const char *root)
{
    return platform_under_root(root, "/var/lib/claude-telemetry");
}

/* Not below the state folder: who owns that could move what root keeps in it. */
char *platform_first_state_dir(const char *root)
{
    return platform_under_root(root, "/var/lib/claude-telemetry-settings");
}

char *platform_run_dir(const char *root)
{
    return platform_under_root(root, "/run/claude-telemetry");
}

char *platform_claude_managed_dir(const char *root)
{
    return platform_under_root(root, "/etc/claude-code");
}

void platform_thread_step_back(void)
{
    enum { NICE = 10 }; /* on Linux a thread has a value of its own */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
}

bool platform_cpu_has_crc32c(void)
{
#if defined(__aarch64__)
    return getauxval(AT_HWCAP) & HWCAP_CRC32;
#else
    return false;
#endif
}

static void read_pretty_name(char *out, size_t size)
{
    FILE *file = fopen("/etc/os-release", "re");
    if (!file)
        return;
    static const char key[] = "PRETTY_NAME=";
    char line[256];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, key, sizeof key - 1) != 0)
            continue;
        char *value = line + sizeof key - 1;
        value += *value == '"';
        value[strcspn(value, "\"\n")] = '\0';
        snprintf(out, size, "%s", value);
    }
    fclose(file);
}

void platform_os(struct platform_os *out)
{
    struct utsname host;
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "linux");
    if (uname(&host) == 0) {
        const char *arch = strcmp(host.machine, "x86_64") == 0    ? "amd64"
                           : strcmp(host.machine, "aarch64") == 0 ? "arm64"
                                                                  : host.machine;
        snprintf(out->arch, sizeof out->arch, "%.15s", arch);
        snprintf(out->version, sizeof out->version, "%.95s", host.release);
    }
    read_pretty_name(out->version, sizeof out->version);
}

/* Fills the socket id of the peer's socket: its source is our remote address. */
static bool fill_socket_id(const struct sockaddr *local, const struct sockaddr *remote,
                           struct inet_diag_req_v2 *query)
{
    if (remote->sa_family == AF_INET) {
        struct sockaddr_in from, to;
        memcpy(&from, remote, sizeof from);
        memcpy(&to, local, sizeof to);
        query->sdiag_family = AF_INET;
        query->id.idiag_sport = from.sin_port;
        query->id.idiag_dport = to.sin_port;
        query->id.idiag_src[0] = from.sin_addr.s_addr;
        query->id.idiag_dst[0] = to.sin_addr.s_addr;
        return true;
    }
    if (remote->sa_family == AF_INET6) {
        struct sockaddr_in6 from, to;
        memcpy(&from, remote, sizeof from);
        memcpy(&to, local, sizeof to);
        query->sdiag_family = AF_INET6;
        query->id.idiag_sport = from.sin6_port;
        query->id.idiag_dport = to.sin6_port;
        memcpy(query->id.idiag_src, &from.sin6_addr, sizeof from.sin6_addr);
        memcpy(query->id.idiag_dst, &to.sin6_addr, sizeof to.sin6_addr);
        return true;
    }
    return false;
}

bool platform_socket_owner(const void *local, const void *remote, struct platform_socket_owner *out,
                           struct error *err)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 query;
    } ask = {
        .head = {.nlmsg_len = sizeof ask,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .query = {.sdiag_protocol = IPPROTO_TCP,
                  .idiag_states = UINT32_MAX,
                  .id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    if (!fill_socket_id(local, remote, &ask.query))
        return error_set(err, FAIL_NOT_FOUND, "the connection is not TCP");

    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return error_set_os(err, errno, "cannot ask for a socket's owner");
    union {
        struct nlmsghdr head;
        uint8_t bytes[1024];
    } answer;
    ssize_t got = -1;
    if (send(fd, &ask, sizeof ask, 0) == (ssize_t)sizeof ask)
        got = recv(fd, &answer, sizeof answer, 0);
    close(fd);

    /* A closed peer's orphan reads as uid 0 with inode 0: only a live socket counts. */
    if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) ||
        answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return error_set(err, FAIL_NOT_FOUND, "the peer's socket is not on this machine");
    struct inet_diag_msg found;
    memcpy(&found, NLMSG_DATA(&answer.head), sizeof found);
    if (found.idiag_state != TCP_STATE_ESTABLISHED || found.idiag_inode == 0 ||
        found.id.idiag_sport != ask.query.id.idiag_sport ||
        found.id.idiag_dport != ask.query.id.idiag_dport)
        return error_set(err, FAIL_NOT_FOUND, "the peer has closed its socket");
    out->uid = found.idiag_uid;
    return true;
}
