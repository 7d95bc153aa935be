/* A client of raw bytes: what a test sends is exactly what arrives. Blocking, with a limit; its sockets
 * are those of platform/socket.h, and closed with socket_close(). */
#ifndef TESTS_CORE_HTTP_RAW_H
#define TESTS_CORE_HTTP_RAW_H

#include "base/bytes.h"

int raw_connect(uint16_t port);
void raw_send(int fd, const char *text);
void raw_send_bytes(int fd, struct bytes data); /* stops early when the server resets */

/* One answer of HTTP/1, its body by Content-Length. Status 0: the connection ended instead. */
struct raw_answer {
    int status;
    char head[4096];
    char body[65536];
    size_t body_len;
};
void raw_read(int fd, struct raw_answer *answer);
void raw_read_head(int fd, struct raw_answer *answer); /* for answers without a body */

bool raw_is_closed(int fd);  /* waits for the end, which comes without a reset */
bool raw_is_silent(int fd);  /* nothing comes, nothing ends, for a short while */
bool raw_has_spoken(int fd); /* waits until something is there to read, and leaves it there */
bool raw_has_header(const struct raw_answer *answer, const char *line);

#endif
