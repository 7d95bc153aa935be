#include "core/http/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"

enum { BACKLOG = 511 };

const char *socket_unix_path(const char *address)
{
    return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

bool socket_prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static int fail(int fd, int code, const char *address, struct error *err)
{
    if (fd >= 0)
        close(fd);
    error_set_os(err, code, "cannot listen on '%s'", address);
    if (code == EADDRINUSE) {
        err->kind = FAIL_BUSY;
        error_remedy(err, "stop the program that has the address, or listen on another one");
    }
    return -1;
}

/* A socket file without a listener is left over from a program that was killed. */
static bool is_stale(const struct sockaddr_un *where)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    bool stale =
        connect(fd, (const struct sockaddr *)where, sizeof *where) != 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int listen_unix(const char *path, struct error *err)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    if (snprintf(where.sun_path, sizeof where.sun_path, "%s", path) >= (int)sizeof where.sun_path) {
        error_set(err, FAIL_INVALID, "the socket path '%s' exceeds %zu bytes", path,
                  sizeof where.sun_path - 1);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || !socket_prepare(fd))
        return fail(fd, errno, path, err);
    int bound = bind(fd, (struct sockaddr *)&where, sizeof where);
    if (bound != 0 && errno == EADDRINUSE && is_stale(&where)) {
        unlink(path);
        bound = bind(fd, (struct sockaddr *)&where, sizeof where);
    }
    if (bound != 0 || listen(fd, BACKLOG) != 0)
        return fail(fd, errno, path, err);
    return fd;
}

/* Splits "HOST:PORT" or "[V6]:PORT" into `host` and the port's text. */
static const char *split(const char *address, char *host, size_t size)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return NULL;
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len)) {
        return NULL;
    }
    if (len >= size)
        return NULL;
    memcpy(host, address, len);
    host[len] = '\0';
    return colon + 1;
}

static int listen_on(const struct addrinfo *info, bool reuse_port)
{
    int fd = socket(info->ai_family, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool shared = !reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    if (shared && socket_prepare(fd) && bind(fd, info->ai_addr, info->ai_addrlen) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

int socket_listen(const char *address, bool reuse_port, struct error *err)
{
    const char *path = socket_unix_path(address);
    if (path)
        return listen_unix(path, err);

    char host[256];
    const char *port = split(address, host, sizeof host);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (!port) {
        error_set(err, FAIL_INVALID, "'%s' is not an address to listen on", address);
        error_remedy(err, "write HOST:PORT, [V6]:PORT or unix:/PATH");
        return -1;
    }
    int failed = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (failed != 0) {
        error_set(err, FAIL_INVALID, "cannot listen on '%s': %s", address, gai_strerror(failed));
        error_remedy(err, "give an address of this machine, such as 127.0.0.1:PORT");
        return -1;
    }
    int fd = -1, code = 0;
    for (struct addrinfo *info = found; info && fd < 0; info = info->ai_next) {
        fd = listen_on(info, reuse_port);
        code = errno;
    }
    freeaddrinfo(found);
    return fd >= 0 ? fd : fail(-1, code, address, err);
}

uint16_t socket_port(int fd)
{
    struct sockaddr_storage local = {0};
    socklen_t size = sizeof local;
    if (getsockname(fd, (struct sockaddr *)&local, &size) != 0)
        return 0;
    if (local.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&local)->sin_port);
    if (local.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&local)->sin6_port);
    return 0;
}

int socket_accept(int listener, struct sockaddr_storage *remote)
{
    socklen_t size = sizeof *remote;
    memset(remote, 0, sizeof *remote);
    int fd = accept(listener, (struct sockaddr *)remote, &size);
    if (fd < 0)
        return -1;
    if (!socket_prepare(fd)) {
        close(fd);
        errno = ECONNABORTED;
        return -1;
    }
    /* Without it, small answers wait 40 ms for an acknowledgement that the client delays. */
    int on = 1;
    if (remote->ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}
