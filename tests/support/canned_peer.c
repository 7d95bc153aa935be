#include "tests/support/canned_peer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/event/loop.h"
#include "platform/socket.h"
#include "tests/support/expect.h"

enum { REQUEST_BYTES = 65536 };

/* One connection. */
struct visit {
    struct canned_peer *peer;
    struct visit *next;
    struct loop_watch *watch;
    int fd;
    size_t len;
    char request[REQUEST_BYTES];
};

struct canned_peer {
    const char *answer;
    struct loop *loop;
    struct loop_watch *watch;
    int listener;
    pthread_t thread;
    struct visit *visits;
    atomic_int connections;
    pthread_mutex_t mutex; /* guards `request` */
    char request[REQUEST_BYTES];
    char shown[REQUEST_BYTES];
};

static size_t body_len(struct bytes head)
{
    static const char name[] = "\r\ncontent-length:";
    enum { NAME_LEN = sizeof name - 1 };
    for (; head.len > NAME_LEN; head = bytes_make(head.data + 1, head.len - 1))
        if (bytes_equal_ignoring_case(bytes_make(head.data, NAME_LEN), name))
            return strtoul((const char *)head.data + NAME_LEN, NULL, 10);
    return 0;
}

static bool is_whole(const struct visit *visit)
{
    const char *end = strstr(visit->request, "\r\n\r\n");
    size_t head = end ? (size_t)(end + 4 - visit->request) : 0;
    return end && visit->len >= head + body_len(bytes_make(visit->request, head));
}

/* Closed or mute, but remembered: what it holds is freed at the end. */
static void leave(struct visit *visit)
{
    loop_watch_remove(visit->watch);
    visit->watch = NULL;
    socket_close(visit->fd);
}

static void on_bytes(void *context, int fd, unsigned events)
{
    (void)events;
    struct visit *visit = context;
    struct canned_peer *peer = visit->peer;
    ptrdiff_t got =
        socket_read(fd, visit->request + visit->len, sizeof visit->request - 1 - visit->len);
    if (got == SOCKET_AGAIN)
        return;
    if (got <= 0) {
        leave(visit);
        return;
    }
    visit->len += (size_t)got;
    visit->request[visit->len] = '\0';
    if (!is_whole(visit))
        return;
    pthread_mutex_lock(&peer->mutex);
    memcpy(peer->request, visit->request, visit->len + 1);
    pthread_mutex_unlock(&peer->mutex);
    visit->len = 0;
    if (peer->answer && socket_write(fd, peer->answer, strlen(peer->answer)) < 0)
        leave(visit);
}

static void on_visitor(void *context, int listener, unsigned events)
{
    (void)events;
    struct canned_peer *peer = context;
    struct socket_address from;
    int fd = socket_accept(listener, &from);
    if (fd < 0)
        return;
    struct visit *visit = xcalloc(1, sizeof *visit);
    visit->peer = peer;
    visit->fd = fd;
    visit->next = peer->visits;
    peer->visits = visit;
    atomic_fetch_add(&peer->connections, 1);
    visit->watch = loop_watch_add(peer->loop, fd, LOOP_READABLE, on_bytes, visit);
}

static void *serve(void *context)
{
    struct canned_peer *peer = context;
    loop_run(peer->loop);
    return NULL;
}

struct canned_peer *canned_peer_create(const char *answer)
{
    struct canned_peer *peer = xcalloc(1, sizeof *peer);
    struct error err;
    peer->answer = answer;
    pthread_mutex_init(&peer->mutex, NULL);
    peer->loop = loop_create(&err);
    ck_assert_msg(peer->loop != NULL, "%s", err.cause);
    peer->listener = socket_listen("127.0.0.1:0", false, &err);
    ck_assert_msg(peer->listener >= 0, "%s", err.cause);
    peer->watch = loop_watch_add(peer->loop, peer->listener, LOOP_READABLE, on_visitor, peer);
    ck_assert_int_eq(pthread_create(&peer->thread, NULL, serve, peer), 0);
    return peer;
}

void canned_peer_destroy(struct canned_peer *peer)
{
    if (!peer)
        return;
    loop_stop(peer->loop);
    pthread_join(peer->thread, NULL);
    loop_watch_remove(peer->watch);
    socket_close(peer->listener);
    while (peer->visits) {
        struct visit *visit = peer->visits;
        peer->visits = visit->next;
        if (visit->watch)
            leave(visit);
        free(visit);
    }
    loop_destroy(peer->loop);
    pthread_mutex_destroy(&peer->mutex);
    free(peer);
}

uint16_t canned_peer_port(const struct canned_peer *peer)
{
    return socket_port(peer->listener);
}

const char *canned_peer_request(struct canned_peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    strcpy(peer->shown, peer->request);
    pthread_mutex_unlock(&peer->mutex);
    return peer->shown;
}

int canned_peer_connections(struct canned_peer *peer)
{
    return atomic_load(&peer->connections);
}
