#include "tests/support/canned_peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/expect.h"

enum { REQUEST_BYTES = 65536, MAX_VISITS = 16 };

struct canned_peer {
    const char *answer;
    int listener;
    int stop_pipe[2];
    uint16_t port;
    pthread_t thread;
    atomic_int connections;
    pthread_mutex_t mutex; /* guards `request` */
    char request[REQUEST_BYTES];
    char shown[REQUEST_BYTES];
};

struct visit {
    struct canned_peer *peer;
    pthread_t thread;
    int fd;
};

static size_t body_len(const char *head)
{
    const char *line = strcasestr(head, "\r\ncontent-length:");
    return line ? strtoul(line + 17, NULL, 10) : 0;
}

/* False when the test is over. */
static bool wait_for(struct canned_peer *peer, int fd)
{
    struct pollfd wait[2] = {{.fd = fd, .events = POLLIN},
                             {.fd = peer->stop_pipe[0], .events = POLLIN}};
    poll(wait, 2, -1);
    return wait[1].revents == 0;
}

/* Reads one request; false when the client has gone or the test is over. */
static bool read_request(struct canned_peer *peer, int fd, char *request)
{
    size_t len = 0;
    while (len + 1 < REQUEST_BYTES && wait_for(peer, fd)) {
        ssize_t got = read(fd, request + len, REQUEST_BYTES - 1 - len);
        if (got <= 0)
            return false;
        len += (size_t)got;
        request[len] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        if (end && len >= (size_t)(end + 4 - request) + body_len(request))
            return true;
    }
    return false;
}

static void *serve(void *context)
{
    struct visit *visit = context;
    struct canned_peer *peer = visit->peer;
    char *request = malloc(REQUEST_BYTES);
    while (request && read_request(peer, visit->fd, request)) {
        pthread_mutex_lock(&peer->mutex);
        strcpy(peer->request, request);
        pthread_mutex_unlock(&peer->mutex);
        if (peer->answer && write(visit->fd, peer->answer, strlen(peer->answer)) < 0)
            break;
    }
    close(visit->fd);
    free(request);
    return NULL;
}

static void *accept_all(void *context)
{
    struct canned_peer *peer = context;
    struct visit visits[MAX_VISITS];
    int count = 0;
    while (count < MAX_VISITS && wait_for(peer, peer->listener)) {
        visits[count] = (struct visit){.peer = peer, .fd = accept(peer->listener, NULL, NULL)};
        atomic_fetch_add(&peer->connections, 1);
        if (pthread_create(&visits[count].thread, NULL, serve, &visits[count]) == 0)
            count++;
    }
    for (int i = 0; i < count; i++)
        pthread_join(visits[i].thread, NULL);
    return NULL;
}

struct canned_peer *canned_peer_create(const char *answer)
{
    struct canned_peer *peer = calloc(1, sizeof *peer);
    ck_assert_ptr_nonnull(peer);
    peer->answer = answer;
    pthread_mutex_init(&peer->mutex, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(peer->listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(peer->listener, MAX_VISITS), 0);
    ck_assert_int_eq(getsockname(peer->listener, (struct sockaddr *)&address, &size), 0);
    peer->port = ntohs(address.sin_port);
    ck_assert_int_eq(pipe(peer->stop_pipe), 0);
    ck_assert_int_eq(pthread_create(&peer->thread, NULL, accept_all, peer), 0);
    return peer;
}

void canned_peer_destroy(struct canned_peer *peer)
{
    if (!peer)
        return;
    ck_assert_int_eq(write(peer->stop_pipe[1], "", 1), 1);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    close(peer->stop_pipe[0]);
    close(peer->stop_pipe[1]);
    pthread_mutex_destroy(&peer->mutex);
    free(peer);
}

uint16_t canned_peer_port(const struct canned_peer *peer)
{
    return peer->port;
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
