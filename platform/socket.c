/* What the sockets of all systems share. */
#include "platform/socket_system.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct socket_address) == sizeof(struct sockaddr_storage),
               "an address is handed on as the system's");

const char *socket_unix_path(const char *address)
{
    return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
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

/* -1 with the system's code in `code`. */
static int listen_on(const struct addrinfo *info, bool reuse_port, int *code)
{
    int fd = (int)socket(info->ai_family, SOCK_STREAM, 0);
    if (fd >= 0 && socket_claim(fd, reuse_port) && socket_prepare(fd) &&
        bind((socket_handle)fd, info->ai_addr, (socket_length)info->ai_addrlen) == 0 &&
        listen((socket_handle)fd, SOCKET_BACKLOG) == 0)
        return fd;
    *code = socket_code();
    if (fd >= 0)
        socket_close(fd);
    return -1;
}

int socket_listen(const char *address, bool reuse_port, struct error *err)
{
    socket_start();
    const char *path = socket_unix_path(address);
    if (path)
        return socket_listen_unix(path, err);

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
        char doing[sizeof host + 40];
        snprintf(doing, sizeof doing, "cannot listen on '%s'", address);
        socket_fail_lookup(err, FAIL_INVALID, failed, doing);
        error_remedy(err, "give an address of this machine, such as 127.0.0.1:PORT");
        return -1;
    }
    int fd = -1, code = 0;
    for (struct addrinfo *info = found; info && fd < 0; info = info->ai_next)
        fd = listen_on(info, reuse_port, &code);
    freeaddrinfo(found);
    if (fd >= 0)
        return fd;
    socket_fail(err, code, "cannot listen on '%s'", address);
    if (socket_is_taken(code)) {
        err->kind = FAIL_BUSY;
        error_remedy(err, "stop the program that has the address, or listen on another one");
    }
    return -1;
}

bool socket_adopt(int fd, struct error *err)
{
    int listens = 0;
    socket_length size = sizeof listens;
    if (getsockopt((socket_handle)fd, SOL_SOCKET, SO_ACCEPTCONN, (void *)&listens, &size) != 0)
        return socket_fail(err, socket_code(), "cannot take over descriptor %d", fd);
    if (!listens)
        return error_set(err, FAIL_INVALID, "descriptor %d is not a listening socket", fd);
    return socket_prepare(fd) ||
           socket_fail(err, socket_code(), "cannot take over descriptor %d", fd);
}

int socket_connect(const char *host, const char *port, uint32_t limit_ms, struct error *err)
{
    socket_start();
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int failed = getaddrinfo(host, port, &hints, &list), fd = -1;
    if (failed != 0) {
        char doing[300];
        snprintf(doing, sizeof doing, "cannot find '%s'", host);
        socket_fail_lookup(err, FAIL_NOT_FOUND, failed, doing);
        return -1;
    }
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = (int)socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd < 0) {
            socket_fail(err, socket_code(), "cannot make a socket");
            continue;
        }
        socket_keep_to_us(fd);
        socket_limit(fd, limit_ms);
        if (connect((socket_handle)fd, a->ai_addr, (socket_length)a->ai_addrlen) == 0)
            break;
        socket_fail(err, socket_code(), "cannot connect to port %s of '%s'", port, host);
        socket_close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd;
}

uint16_t socket_port(int fd)
{
    struct sockaddr_storage local = {0};
    socket_length size = sizeof local;
    if (getsockname((socket_handle)fd, (struct sockaddr *)&local, &size) != 0)
        return 0;
    if (local.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&local)->sin_port);
    if (local.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&local)->sin6_port);
    return 0;
}

void socket_local_address(int fd, struct socket_address *out)
{
    socket_length size = sizeof *out;
    memset(out, 0, sizeof *out);
    if (getsockname((socket_handle)fd, (struct sockaddr *)out, &size) != 0)
        memset(out, 0, sizeof *out);
}

int socket_accept(int listener, struct socket_address *remote)
{
    struct sockaddr_storage from = {0};
    socket_length size = sizeof from;
    int fd = (int)accept((socket_handle)listener, (struct sockaddr *)&from, &size);
    if (fd < 0)
        return socket_outcome_of(socket_code());
    if (!socket_prepare(fd)) {
        socket_close(fd);
        return SOCKET_GONE;
    }
    /* Without it, small answers wait 40 ms for an acknowledgement that the client delays. */
    int on = 1;
    if (from.ss_family != AF_UNIX)
        setsockopt((socket_handle)fd, IPPROTO_TCP, TCP_NODELAY, (const void *)&on, sizeof on);
    memcpy(remote, &from, sizeof *remote);
    return fd;
}

/* An outcome that only accepting knows says nothing more of a connection than that it is gone. */
static ptrdiff_t outcome_of_transfer(int code)
{
    return socket_outcome_of(code) == SOCKET_AGAIN ? SOCKET_AGAIN : SOCKET_FAILED;
}

ptrdiff_t socket_read(int fd, void *out, size_t size)
{
    ptrdiff_t got = recv((socket_handle)fd, out, socket_size(size), 0);
    return got >= 0 ? got : outcome_of_transfer(socket_code());
}

ptrdiff_t socket_write(int fd, const void *data, size_t len)
{
    ptrdiff_t sent = send((socket_handle)fd, data, socket_size(len), SOCKET_SEND_FLAGS);
    return sent >= 0 ? sent : outcome_of_transfer(socket_code());
}

void socket_shut(int fd)
{
    shutdown((socket_handle)fd, SOCKET_SHUT_WRITING);
}
