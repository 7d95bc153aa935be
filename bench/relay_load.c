/*
 * Posts copies of one request over kept-alive connections and remembers which were acknowledged. For bench/relay.py:
 *
 *   relay_load PORT BODY CONNECTIONS SECONDS RATE FIRST ACKS
 *
 * BODY holds marks "mark-000000000000-0000000000000000", one a record: each copy's are numbered on from FIRST, and
 * carry the time of sending (monotonic ns, hexadecimal). RATE 0: each connection sends when it has its answer; else so
 * many requests a second, and the latency counts from when a request was due. A lost connection is made again. ACKS
 * receives the first number of each acknowledged request (8 bytes). Ends early, with the same result, on SIGTERM.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    RECORDS_MAX = 4096,
    MARK_BYTES = 5,
    NUMBER_DIGITS = 12,
    HEAD_BYTES = 256
};
enum { KEPT = 8 * 1024 * 1024, ANSWER_BYTES = 4096 };

struct connection {
    char *request;
    size_t sent, got;
    char answer[ANSWER_BYTES];
    bool busy;
    uint64_t first, due_ns, again_ns;
};

static struct connection connections[CONNECTIONS_MAX];
static struct pollfd polls[CONNECTIONS_MAX];
static size_t marks[RECORDS_MAX];
static size_t records, head_len, request_len;
static uint32_t *latencies_us;
static uint64_t *acks;
static size_t acked, refused, broken, requests;
static volatile sig_atomic_t over;

static void on_signal(int number)
{
    over = number;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static char *read_body(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *body = malloc(16 * 1024 * 1024);
    *len = file ? fread(body, 1, 16 * 1024 * 1024, file) : 0;
    if (file)
        fclose(file);
    return body;
}

static void prepare(const char *path, const char *port)
{
    size_t len;
    char *body = read_body(path, &len), head[HEAD_BYTES];
    head_len = (size_t)snprintf(head, sizeof head,
                                "POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: "
                                "application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                                port, len);
    request_len = head_len + len;
    for (char *at = body; (at = memmem(at, len - (size_t)(at - body), "mark-", MARK_BYTES));
         at += MARK_BYTES)
        if (records < RECORDS_MAX)
            marks[records++] = head_len + (size_t)(at - body) + MARK_BYTES;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        connections[i].request = malloc(request_len);
        memcpy(connections[i].request, head, head_len);
        memcpy(connections[i].request + head_len, body, len);
    }
    free(body);
}

static int connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)atoi(port))};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void lose(size_t i)
{
    broken += connections[i].busy;
    connections[i].busy = false;
    close(polls[i].fd);
    polls[i].fd = -1;
    connections[i].again_ns = now_ns() + 20000000;
}

static void push(size_t i)
{
    struct connection *c = &connections[i];
    ssize_t put = send(polls[i].fd, c->request + c->sent, request_len - c->sent, MSG_NOSIGNAL);
    if (put > 0)
        c->sent += (size_t)put;
    polls[i].events = (short)(POLLIN | (c->sent < request_len ? POLLOUT : 0));
}

static void start(size_t i, uint64_t first, uint64_t due_ns)
{
    struct connection *c = &connections[i];
    char text[64];
    for (size_t r = 0; r < records; r++) {
        int len = snprintf(text, sizeof text, "%0*" PRIu64 "-%016" PRIx64, NUMBER_DIGITS,
                           first + requests * records + r, now_ns());
        memcpy(c->request + marks[r], text, (size_t)len);
    }
    c->first = first + requests * records;
    c->due_ns = due_ns;
    c->sent = c->got = 0;
    c->busy = true;
    requests++;
    push(i);
}

/* Whole answers have a Content-Length here, or are told by their end of connection. */
static void receive(size_t i)
{
    struct connection *c = &connections[i];
    ssize_t got = recv(polls[i].fd, c->answer + c->got, ANSWER_BYTES - c->got - 1, 0);
    if (got <= 0) {
        lose(i);
        return;
    }
    c->got += (size_t)got;
    c->answer[c->got] = '\0';
    char *end = strstr(c->answer, "\r\n\r\n"), *length = strcasestr(c->answer, "content-length:");
    if (!end || !length || (size_t)(end + 4 - c->answer) + strtoul(length + 15, NULL, 10) > c->got)
        return;
    bool taken = strncmp(c->answer, "HTTP/1.1 200", 12) == 0;
    if (taken && acked < KEPT) {
        latencies_us[acked] = (uint32_t)((now_ns() - c->due_ns) / 1000);
        acks[acked++] = c->first;
    }
    refused += !taken;
    c->busy = false;
}

static void run(const char *port, size_t count, double seconds, double rate, uint64_t first)
{
    uint64_t begun = now_ns(), end = begun + (uint64_t)(seconds * 1e9);
    for (size_t i = 0; i < count; i++)
        polls[i] = (struct pollfd){.fd = connect_to(port), .events = POLLIN};
    for (bool waiting = true; waiting;) {
        uint64_t now = now_ns();
        bool open = now < end && !over;
        waiting = open;
        for (size_t i = 0; i < count; i++) {
            if (polls[i].fd < 0 && open && now >= connections[i].again_ns) {
                polls[i].fd = connect_to(port);
                connections[i].again_ns = now + 20000000;
            }
            uint64_t due = rate > 0 ? begun + (uint64_t)((double)requests / rate * 1e9) : now;
            if (open && polls[i].fd >= 0 && !connections[i].busy && due <= now)
                start(i, first, due);
            waiting = waiting || connections[i].busy;
        }
        poll(polls, count, rate > 0 ? 1 : 10);
        for (size_t i = 0; i < count; i++) {
            if (polls[i].revents & POLLOUT)
                push(i);
            if (polls[i].revents & (POLLIN | POLLERR | POLLHUP))
                receive(i);
        }
        if (!open && now > end + 5000000000U)
            break;
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "relay_load PORT BODY CONNECTIONS SECONDS RATE FIRST ACKS\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    latencies_us = malloc(KEPT * sizeof *latencies_us);
    acks = malloc(KEPT * sizeof *acks);
    prepare(argv[2], argv[1]);
    uint64_t begun = now_ns();
    run(argv[1], (size_t)atoi(argv[3]), atof(argv[4]), atof(argv[5]), strtoull(argv[6], NULL, 10));
    double seconds = (double)(now_ns() - begun) / 1e9;
    FILE *file = fopen(argv[7], "wb");
    if (!file || fwrite(acks, sizeof *acks, acked, file) != acked || fclose(file) != 0)
        return 1;
    qsort(latencies_us, acked, sizeof *latencies_us, by_value);
    printf("{\"requests\":%zu,\"acked\":%zu,\"refused\":%zu,\"broken\":%zu,\"records\":%zu,\"body_"
           "bytes\":%zu,"
           "\"seconds\":%.3f,\"p50_us\":%u,\"p99_us\":%u}\n",
           requests, acked, refused, broken, records, request_len - head_len, seconds,
           acked ? latencies_us[acked / 2] : 0, acked ? latencies_us[acked * 99 / 100] : 0);
    return 0;
}
