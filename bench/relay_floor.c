/*
 * The least that a durable acceptor can do, as a yardstick for the relay: one thread reads requests of HTTP/1.1 with
 * a Content-Length, appends their bodies raw to one preallocated file, and answers 200 after one fdatasync for all
 * requests of a wake-up. It checks, stamps and forwards nothing.  relay_floor FILE; prints its port. For bench/relay.py.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 1024, FILE_BYTES = 64 * 1024 * 1024, IN_BYTES = 2 * 1024 * 1024, EVENTS = 256 };

struct client {
    char *in;
    size_t len;
};

static struct client clients[CLIENTS]; /* by descriptor */
static int waiting[CLIENTS];
static int waiting_count;
static off_t offset;

/* The whole request at the front of `c`: its length, and where its body begins. 0: not yet all there. */
static size_t whole_request(struct client *c, size_t *body)
{
    c->in[c->len] = '\0';
    char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "content-length:");
    if (!end || !length || length > end)
        return 0;
    *body = (size_t)(end + 4 - c->in);
    size_t all = *body + strtoul(length + 15, NULL, 10);
    return all <= c->len ? all : 0;
}

static void take(int file, int fd)
{
    struct client *c = &clients[fd];
    ssize_t got = read(fd, c->in + c->len, IN_BYTES - c->len - 1);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close(fd);
        c->len = 0;
        return;
    }
    c->len += (size_t)got;
    size_t body, all = whole_request(c, &body);
    if (all == 0)
        return;
    if (offset + (off_t)all > FILE_BYTES)
        offset = 0;
    if (pwrite(file, c->in + body, all - body, offset) < 0)
        abort();
    offset += (off_t)(all - body);
    memmove(c->in, c->in + all, c->len - all);
    c->len -= all;
    waiting[waiting_count++] = fd;
}

static void answer_all(int file)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    if (waiting_count == 0)
        return;
    if (fdatasync(file) != 0)
        abort();
    for (int i = 0; i < waiting_count; i++)
        if (send(waiting[i], answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            close(waiting[i]);
    waiting_count = 0;
}

static void accept_one(int poll, int listener)
{
    int yes = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0 || fd >= CLIENTS)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    clients[fd].in = clients[fd].in ? clients[fd].in : malloc(IN_BYTES);
    clients[fd].len = 0;
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
}

static int open_file(const char *path)
{
    static char zeros[1024 * 1024];
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (off_t at = 0; file >= 0 && at < FILE_BYTES; at += (off_t)sizeof zeros)
        if (pwrite(file, zeros, sizeof zeros, at) < 0)
            abort();
    if (file < 0 || fsync(file) != 0)
        abort();
    return file;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    int file = open_file(argc > 1 ? argv[1] : "relay_floor.data");
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 256) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return EXIT_FAILURE;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener,
              &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_one(poll, listener);
            else
                take(file, events[i].data.fd);
        }
        answer_all(file);
    }
}
