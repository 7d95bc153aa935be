#include "platform/socket_system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

void socket_start(void)
{
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    if (before != SIG_DFL && before != SIG_ERR)
        signal(SIGPIPE, before);
}

size_t socket_allow(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024; /* what a system has that says nothing */
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        (void)!setrlimit(RLIMIT_NOFILE, &limit);
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
            return 1024;
    }
    return limit.rlim_cur < wanted ? (size_t)limit.rlim_cur : wanted;
}

int socket_code(void)
{
    return errno;
}

bool socket_fail(struct error *err, int code, const char *doing, ...)
{
    char text[ERROR_CAUSE_BYTES];
    va_list args;
    va_start(args, doing);
    vsnprintf(text, sizeof text, doing, args);
    va_end(args);
    return error_set_os(err, code, "%s", text);
}

bool socket_fail_lookup(struct error *err, enum error_kind kind, int code, const char *doing)
{
    return error_set(err, kind, "%s: %s", doing, gai_strerror(code));
}

enum socket_outcome socket_outcome_of(int code)
{
    switch (code) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
        return SOCKET_AGAIN;
    case EINTR: /* by a signal: a reader is called again, an accepter goes on */
        return SOCKET_AGAIN;
    case ECONNABORTED:
        return SOCKET_GONE;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return SOCKET_SHORT;
    default:
        return SOCKET_FAILED;
    }
}

bool socket_is_taken(int code)
{
    return code == EADDRINUSE;
}

bool socket_claim(int fd, bool shared)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* over connections that linger */
    return !shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
}

bool socket_prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

bool socket_block(int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);
    return (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0) ||
           error_set_os(err, errno, "cannot prepare a socket");
}

void socket_keep_to_us(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void socket_limit(int fd, uint32_t limit_ms)
{
    struct timeval limit = {.tv_sec = (time_t)(limit_ms / 1000),
                            .tv_usec = (suseconds_t)(limit_ms % 1000 * 1000)};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool socket_pair(int ends[2], struct error *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return error_set_os(err, errno, "cannot make a pair of sockets");
    if (socket_prepare(ends[0]) && socket_prepare(ends[1]))
        return true;
    error_set_os(err, errno, "cannot prepare a pair of sockets");
    close(ends[0]);
    close(ends[1]);
    return false;
}

void socket_close(int fd)
{
    close(fd);
}

static int fail(int fd, int code, const char *path, struct error *err)
{
    if (fd >= 0)
        close(fd);
    error_set_os(err, code, "cannot listen on '%s'", path);
    if (code == EADDRINUSE)
        error_remedy(err, "stop the program that has the address, or listen on another one");
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

int socket_listen_unix(const char *path, struct error *err)
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
    if (bound != 0 || listen(fd, SOCKET_BACKLOG) != 0)
        return fail(fd, errno, path, err);
    return fd;
}
