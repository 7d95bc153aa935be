/* A whole connection of the server: HTTP/1, or HTTP/2 after its preface, from arbitrary bytes. */
#include <stdlib.h>

#include "core/event/loop.h"
#include "core/http/internal.h"
#include "platform/socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rounds {
    struct loop *loop;
    int left;
    int fd; /* our end: what the server answers is read and dropped */
};

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    (void)context;
    http_respond(exchange, &(struct http_answer){.status = 200, .body = request->body});
}

static void next_round(void *context)
{
    struct rounds *rounds = context;
    char sink[16384];
    while (socket_read(rounds->fd, sink, sizeof sink) > 0)
        ;
    if (rounds->left-- > 0)
        loop_after_wakeup(rounds->loop, next_round, rounds);
    else
        loop_stop(rounds->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    int pair[2];
    if (size > 65536 || !socket_pair(pair, &err))
        return 0;
    struct loop *loop = loop_create(&err);
    struct http_server *server =
        http_server_create(loop,
                           &(struct http_server_options){.handlers = {.on_request = on_request},
                                                         .max_body_bytes = 4096},
                           &err);
    if (!server || socket_write(pair[1], data, size) < 0)
        abort();
    socket_shut(pair[1]);

    struct socket_address remote = {0};
    connection_create(server, pair[0], &remote);
    struct rounds rounds = {.loop = loop, .left = 6, .fd = pair[1]};
    loop_after_wakeup(loop, next_round, &rounds);
    loop_run(loop);
    http_server_destroy(server);
    loop_destroy(loop);
    socket_close(pair[1]);
    return 0;
}
