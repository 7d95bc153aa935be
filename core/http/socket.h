/* Listening sockets: from the text of an address to a descriptor. */
#ifndef CORE_HTTP_SOCKET_H
#define CORE_HTTP_SOCKET_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

/* Makes a listening socket that does not block; -1 on failure. See http_server_listen(). */
int socket_listen(const char *address, bool reuse_port, struct error *err);

/* The path in "unix:/PATH"; NULL for another address. */
const char *socket_unix_path(const char *address);

bool socket_prepare(int fd);  /* not blocking, closed on exec */
uint16_t socket_port(int fd); /* 0 for one without ports */

/* Accepts one connection, prepared and with TCP_NODELAY; -1 with errno when there is none. */
int socket_accept(int listener, struct sockaddr_storage *remote);

#endif
