/* The system's sockets, and what differs between them behind one name. For this folder only. */
#ifndef PLATFORM_SOCKET_SYSTEM_H
#define PLATFORM_SOCKET_SYSTEM_H

#if defined(_WIN32)
#include "platform/windows_text.h"

#include <limits.h>
#include <ws2tcpip.h>
typedef int socket_length;
typedef SOCKET socket_handle;
#define SOCKET_SHUT_WRITING SD_SEND
#define SOCKET_SEND_FLAGS 0
#define socket_size(size) ((size) > INT_MAX ? INT_MAX : (int)(size))
#else
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
typedef socklen_t socket_length;
typedef int socket_handle;
#define SOCKET_SHUT_WRITING SHUT_WR
#define SOCKET_SEND_FLAGS 0
#define socket_size(size) (size)
#endif

#include "platform/socket.h"

enum { SOCKET_BACKLOG = 511 };

/* The code of the last call that failed, and a cause made of such a code. */
int socket_code(void);
bool socket_fail(struct error *err, int code, const char *doing, ...) PRINTF_LIKE(3, 4);

/* The same for what getaddrinfo() returned. */
bool socket_fail_lookup(struct error *err, enum error_kind kind, int code, const char *doing);

/* What kind of failure it was. */
enum socket_outcome socket_outcome_of(int code);
bool socket_is_taken(int code);

/* Before binding: no other program may take the port, or (`shared`) others of ours may. */
bool socket_claim(int fd, bool shared);

void socket_keep_to_us(int fd); /* no child process gets it */

/* Each blocking call gives up after `limit_ms`. */
void socket_limit(int fd, uint32_t limit_ms);

/* Of "unix:PATH"; -1 with `err`. */
int socket_listen_unix(const char *path, struct error *err);

#endif
