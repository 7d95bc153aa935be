#include "tests/core/http/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/expect.h"

enum { PATIENCE_MS = 10000, SILENCE_MS = 60 };

int raw_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void raw_send_bytes(int fd, struct bytes data)
{
    while (data.len > 0) {
        ssize_t sent = send(fd, data.data, data.len, MSG_NOSIGNAL);
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
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ck_assert_msg(poll(&wait, 1, PATIENCE_MS) == 1, "the server says nothing");
    ssize_t got = read(fd, out, 1);
    ck_assert_msg(got >= 0, "the connection broke: %s", strerror(errno));
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
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ck_assert_int_eq(poll(&wait, 1, PATIENCE_MS), 1);
        ssize_t got = read(fd, answer->body + answer->body_len, len - answer->body_len);
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

bool raw_is_silent(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, SILENCE_MS) == 0;
}

bool raw_has_header(const struct raw_answer *answer, const char *line)
{
    const char *at = strcasestr(answer->head, line);
    return at && strncmp(at - 2, "\r\n", 2) == 0 && strncmp(at + strlen(line), "\r\n", 2) == 0;
}
