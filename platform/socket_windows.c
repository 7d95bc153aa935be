#include "platform/socket_system.h"

#include <stdarg.h>
#include <stdio.h>

static BOOL CALLBACK start_once(PINIT_ONCE once, PVOID parameter, PVOID *context)
{
    (void)once;
    (void)parameter;
    (void)context;
    WSADATA ignored;
    return WSAStartup(MAKEWORD(2, 2), &ignored) == 0;
}

void socket_start(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    InitOnceExecuteOnce(&once, start_once, NULL, NULL);
}

int socket_code(void)
{
    return WSAGetLastError();
}

bool socket_fail(struct error *err, int code, const char *doing, ...)
{
    char text[ERROR_CAUSE_BYTES];
    va_list args;
    va_start(args, doing);
    vsnprintf(text, sizeof text, doing, args);
    va_end(args);
    return error_set_windows(err, (DWORD)code, "%s", text);
}

bool socket_fail_lookup(struct error *err, enum error_kind kind, int code, const char *doing)
{
    socket_fail(err, code, "%s", doing);
    err->kind = kind;
    return false;
}

enum socket_outcome socket_outcome_of(int code)
{
    switch (code) {
    case WSAEWOULDBLOCK:
    case WSAEINTR:
        return SOCKET_AGAIN;
    case WSAECONNABORTED:
    case WSAECONNRESET:
        return SOCKET_GONE;
    case WSAEMFILE:
    case WSAENOBUFS:
        return SOCKET_SHORT;
    default:
        return SOCKET_FAILED;
    }
}

/* The second: somebody else has claimed it for himself alone. */
bool socket_is_taken(int code)
{
    return code == WSAEADDRINUSE || code == WSAEACCES;
}

/* SO_REUSEADDR, here, would let any program take the port from under us. */
bool socket_claim(int fd, bool shared)
{
    BOOL on = TRUE;
    if (shared) {
        WSASetLastError(WSAEOPNOTSUPP);
        return false;
    }
    return setsockopt((SOCKET)fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof on) ==
           0;
}

void socket_keep_to_us(int fd)
{
    SetHandleInformation((HANDLE)(intptr_t)fd, HANDLE_FLAG_INHERIT, 0);
}

bool socket_prepare(int fd)
{
    u_long on = 1;
    socket_keep_to_us(fd);
    return ioctlsocket((SOCKET)fd, (long)FIONBIO, &on) == 0;
}

bool socket_block(int fd, struct error *err)
{
    u_long off = 0;
    return ioctlsocket((SOCKET)fd, (long)FIONBIO, &off) == 0 ||
           socket_fail(err, socket_code(), "cannot prepare a socket");
}

void socket_limit(int fd, uint32_t limit_ms)
{
    DWORD limit = limit_ms;
    setsockopt((SOCKET)fd, SOL_SOCKET, SO_RCVTIMEO, (const char *)&limit, sizeof limit);
    setsockopt((SOCKET)fd, SOL_SOCKET, SO_SNDTIMEO, (const char *)&limit, sizeof limit);
}

/* Accepts until the connection comes that `fd` made: any program may connect to a port. */
static int accept_own(int listener, int fd)
{
    enum { MOST_STRANGERS = 16 };
    struct socket_address own, from;
    struct error ignored;
    socket_local_address(fd, &own);
    if (!socket_block(listener, &ignored))
        return -1;
    for (int i = 0; i < MOST_STRANGERS; i++) {
        int accepted = socket_accept(listener, &from);
        if (accepted >= 0 && memcmp(&own, &from, sizeof own) == 0)
            return accepted;
        if (accepted >= 0)
            socket_close(accepted);
    }
    return -1;
}

/* The system has no pairs: a connection through the loopback that nobody else gets in between. */
bool socket_pair(int ends[2], struct error *err)
{
    enum { LIMIT_MS = 5000 };
    char port[8];
    int listener = socket_listen("127.0.0.1:0", false, err);
    if (listener < 0)
        return false;
    snprintf(port, sizeof port, "%u", socket_port(listener));
    ends[0] = socket_connect("127.0.0.1", port, LIMIT_MS, err);
    ends[1] = ends[0] >= 0 ? accept_own(listener, ends[0]) : -1;
    socket_close(listener);
    int on = 1;
    if (ends[1] >= 0 && socket_prepare(ends[0]) &&
        setsockopt((SOCKET)ends[0], IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on) == 0)
        return true;
    if (ends[0] >= 0) {
        error_set(err, FAIL_IO, "cannot make a pair of sockets");
        socket_close(ends[0]);
    }
    if (ends[1] >= 0)
        socket_close(ends[1]);
    return false;
}

size_t socket_allow(size_t wanted)
{
    return wanted; /* handles have no such limit */
}

void socket_close(int fd)
{
    closesocket((SOCKET)fd);
}

int socket_listen_unix(const char *path, struct error *err)
{
    error_set(err, FAIL_INVALID, "cannot listen on 'unix:%s': Windows programs do not", path);
    error_remedy(err, "write HOST:PORT");
    return -1;
}
