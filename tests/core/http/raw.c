#include "tests/core/http/raw.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/event/loop.h"
#include "platform/socket.h"
#include "tests/support/expect.h"

enum { PATIENCE_MS = 10000, SILENCE_MS = 60 };

static struct error err;

int raw_connect(uint16_t port)
{
    char text[8];
    snprintf(text, sizeof text, "%u", port);
    int fd = socket_connect("127.0.0.1", text, PATIENCE_MS, &err);
    ck_assert_msg(fd >= 0, "%s", err.cause);
    return fd;
}

void raw_send_bytes(int fd, struct bytes data)
{
    while (data.len > 0) {
        ptrdiff_t sent = socket_write(fd, data.data, data.len);
        if (sent <= 0)
            return;
        data = bytes_make(data.data + sent, data.len - (size_t)sent);
    }
}

void raw_send(int fd, const char *text)
{
    raw_send_bytes(fd, bytes_of(text));
}

/* Reads one byte; false at the end. A reset is a failed test. */
static bool read_byte(int fd, char *out)
{
    ptrdiff_t got = socket_read(fd, out, 1);
    ck_assert_msg(got != SOCKET_AGAIN, "the server says nothing");
    ck_assert_msg(got >= 0, "the connection broke, or the server says nothing");
    return got == 1;
}

void raw_read_head(int fd, struct raw_answer *answer)
{
    size_t len = 0;
    answer->status = 0;
    answer->body_len = 0;
    answer->head[0] = '\0';
    while (!strstr(answer->head, "\r\n\r\n")) {
        ck_assert_uint_lt(len + 1, sizeof answer->head);
        if (!read_byte(fd, &answer->head[len])) {
            ck_assert_msg(len == 0, "the answer ends within its head");
            return;
        }
        answer->head[++len] = '\0';
    }
    ck_assert_int_eq(strncmp(answer->head, "HTTP/1.1 ", 9), 0);
    answer->status = atoi(answer->head + 9);
}

void raw_read(int fd, struct raw_answer *answer)
{
    raw_read_head(fd, answer);
    const char *line = strstr(answer->head, "\r\nContent-Length: ");
    if (answer->status < 200 || !line)
        return;
    size_t len = strtoul(line + 18, NULL, 10);
    ck_assert_uint_lt(len, sizeof answer->body);
    while (answer->body_len < len) {
        ptrdiff_t got = socket_read(fd, answer->body + answer->body_len, len - answer->body_len);
        ck_assert_msg(got > 0, "the answer ends within its body");
        answer->body_len += (size_t)got;
    }
    answer->body[len] = '\0';
}

bool raw_is_closed(int fd)
{
    char byte;
    return !read_byte(fd, &byte);
}

struct waiting {
    struct loop *loop;
    bool came;
};

static void on_ready(void *context, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    struct waiting *waiting = context;
    waiting->came = true;
    loop_stop(waiting->loop);
}

static void on_limit(void *context)
{
    struct waiting *waiting = context;
    loop_stop(waiting->loop);
}

/* Whether there is something to read, or the end, within `limit_ms`; takes nothing of it. */
static bool comes_within(int fd, uint64_t limit_ms)
{
    struct waiting waiting = {.loop = loop_create(&err)};
    ck_assert_msg(waiting.loop != NULL, "%s", err.cause);
    struct loop_watch *watch = loop_watch_add(waiting.loop, fd, LOOP_READABLE, on_ready, &waiting);
    struct loop_timer *timer = loop_timer_create(waiting.loop, on_limit, &waiting);
    loop_timer_set(timer, limit_ms);
    loop_run(waiting.loop);
    loop_timer_destroy(timer);
    loop_watch_remove(watch);
    loop_destroy(waiting.loop);
    return waiting.came;
}

bool raw_is_silent(int fd)
{
    return !comes_within(fd, SILENCE_MS);
}

bool raw_has_spoken(int fd)
{
    return comes_within(fd, PATIENCE_MS);
}

bool raw_has_header(const struct raw_answer *answer, const char *line)
{
    struct bytes rest = bytes_of(answer->head);
    size_t len = strlen(line);
    for (; rest.len >= len + 4; rest = bytes_make(rest.data + 1, rest.len - 1))
        if (memcmp(rest.data, "\r\n", 2) == 0 && memcmp(rest.data + 2 + len, "\r\n", 2) == 0 &&
            bytes_equal_ignoring_case(bytes_make(rest.data + 2, len), line))
            return true;
    return false;
}
