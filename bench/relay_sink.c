/*
 * A destination that takes everything and counts it: relay_sink PORT COUNTS, for bench/relay.py. Every mark (see
 * relay_load.c) adds one to its number's byte in the file COUNTS, which outlives the sink: ending it is an outage.
 * On SIGTERM it prints how long the records were on their way.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/event/loop.h"
#include "core/http/server.h"
#include "platform/platform.h"

enum { NUMBERS = 64 * 1024 * 1024, STEP_US = 100, STEPS = 600000 }; /* up to a minute */

struct sink {
    struct loop *loop;
    uint8_t *counts;
    uint64_t seen;
    uint64_t ways[STEPS + 1];
};

static void see(struct sink *sink, const char *mark, uint64_t now_ns)
{
    char *rest;
    uint64_t number = strtoull(mark, &rest, 10), sent_ns = strtoull(rest + 1, NULL, 16);
    if (number < NUMBERS && sink->counts[number] < UINT8_MAX)
        sink->counts[number]++;
    uint64_t step = now_ns > sent_ns ? (now_ns - sent_ns) / 1000 / STEP_US : 0;
    sink->ways[step < STEPS ? step : STEPS]++;
    sink->seen++;
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct sink *sink = context;
    const uint8_t *at = request->body.data, *end = at + request->body.len;
    uint64_t now_ns = clock_monotonic_ns(&platform_clock);
    while (at && (at = memmem(at, (size_t)(end - at), "mark-", 5))) {
        char mark[32] = "";
        at += 5;
        memcpy(mark, at, (size_t)(end - at) < 29 ? (size_t)(end - at) : 29);
        see(sink, mark, now_ns);
    }
    http_respond(exchange,
                 &(struct http_answer){.status = 200, .content_type = "application/x-protobuf"});
}

static void on_signal(void *context)
{
    struct sink *sink = context;
    loop_stop(sink->loop);
}

static double quantile_ms(const struct sink *sink, double share)
{
    uint64_t left = (uint64_t)((double)sink->seen * share);
    size_t step = 0;
    while (step < STEPS && sink->ways[step] <= left)
        left -= sink->ways[step++];
    return (double)step * STEP_US / 1000;
}

int main(int argc, char **argv)
{
    static struct sink sink;
    struct error err = {0};
    char address[64];
    int file = argc == 3 ? open(argv[2], O_RDWR | O_CREAT, 0600) : -1;
    if (file < 0 || ftruncate(file, NUMBERS) != 0)
        return 2;
    sink.counts = mmap(NULL, NUMBERS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
    sink.loop = loop_create(&err);
    struct http_server_options options = {.handlers = {.context = &sink, .on_request = on_request}};
    struct http_server *server = sink.loop ? http_server_create(sink.loop, &options, &err) : NULL;
    if (sink.counts == MAP_FAILED || !server || !http_server_listen(server, address, false, &err) ||
        !loop_on_signal(sink.loop, SIGTERM, on_signal, &sink, &err)) {
        error_print("relay_sink", &err);
        return EXIT_FAILURE;
    }
    printf("%u\n", http_server_port(server));
    fflush(stdout);
    loop_run(sink.loop);
    printf("{\"records\":%" PRIu64 ",\"p50_ms\":%.1f,\"p99_ms\":%.1f}\n", sink.seen,
           quantile_ms(&sink, 0.5), quantile_ms(&sink, 0.99));
    http_server_destroy(server);
    loop_destroy(sink.loop);
    return EXIT_SUCCESS;
}
