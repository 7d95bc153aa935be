/* Answers 204 to everything, to measure the HTTP server alone: http_server PORT. For bench/http.sh. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/event/loop.h"
#include "core/http/server.h"

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    (void)context;
    (void)request;
    http_respond(exchange, &(struct http_answer){.status = 204});
}

static void on_signal(void *loop)
{
    loop_stop(loop);
}

int main(int argc, char **argv)
{
    struct error err;
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%s", argc > 1 ? argv[1] : "0");
    struct loop *loop = loop_create(&err);
    struct http_server_options options = {.handlers = {.on_request = on_request}};
    struct http_server *server = loop ? http_server_create(loop, &options, &err) : NULL;
    if (!server || !http_server_listen(server, address, false, &err) ||
        !loop_on_signal(loop, SIGTERM, on_signal, loop, &err)) {
        error_print("http_server", &err);
        return EXIT_FAILURE;
    }
    printf("%u\n", http_server_port(server));
    fflush(stdout);
    loop_run(loop);
    http_server_destroy(server);
    loop_destroy(loop);
    return EXIT_SUCCESS;
}
