/*
 * Stream sockets: from the text of an address to a descriptor, and what is done
 * with it. A descriptor is an int on every system; those of Windows fit into one.
 */
#ifndef PLATFORM_SOCKET_H
#define PLATFORM_SOCKET_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* One end of a connection: the system's struct sockaddr_storage, compared and copied whole. */
struct socket_address {
    alignas(8) uint8_t bytes[128];
};

/* What the calls below return instead of a count or a descriptor. */
enum socket_outcome {
    SOCKET_AGAIN = -1,  /* nothing now; wait until the descriptor is ready */
    SOCKET_FAILED = -2, /* the connection is gone */
    SOCKET_SHORT = -3,  /* accepting: descriptors or memory have run out */
    SOCKET_GONE = -4,   /* accepting: that client left; there may be another */
};

/*
 * Before anything else of here but listening and connecting, which do it themselves, and as often
 * as one likes: starts the system's sockets, and makes
 * writing to a peer that went away an error of that write, not the end of the program (unless
 * the program handles the signal).
 */
void socket_start(void);

/*
 * Makes a listening socket that does not block on "HOST:PORT", "[V6]:PORT", ":PORT" (every
 * address) or, where the system has it, "unix:/PATH"; port 0 takes a free one. `reuse_port` lets
 * several share the port. A socket file that nobody listens on any more is replaced. -1 on
 * failure; FAIL_BUSY when the address is taken.
 */
int socket_listen(const char *address, bool reuse_port, struct error *err);

/* The path in "unix:/PATH"; NULL for another address. */
const char *socket_unix_path(const char *address);

/* Whether a descriptor that somebody else opened is a listening socket; then prepares it. */
MUST_USE bool socket_adopt(int fd, struct error *err);

/*
 * Connects, trying every address of the name. Blocks: connecting, and each reading and writing
 * afterwards, for no longer than `limit_ms`; then it fails. -1 on failure.
 */
int socket_connect(const char *host, const char *port, uint32_t limit_ms, struct error *err);

/* How many this process may have open from now on: as many as the system lets it raise its limit to, at most `wanted`. */
size_t socket_allow(size_t wanted);

/* Two ends of one connection within this process, both prepared. */
MUST_USE bool socket_pair(int ends[2], struct error *err);

/* Undoes socket_prepare()'s not blocking. */
MUST_USE bool socket_block(int fd, struct error *err);

bool socket_prepare(int fd);                                   /* not blocking, closed on exec */
uint16_t socket_port(int fd);                                  /* 0 for one without ports */
void socket_local_address(int fd, struct socket_address *out); /* zeroes when it has none */

/* Accepts one connection, prepared and with TCP_NODELAY; else an outcome. */
int socket_accept(int listener, struct socket_address *remote);

/* As recv() and send(): a count, 0 is the peer's end; else an outcome. */
ptrdiff_t socket_read(int fd, void *out, size_t size);
ptrdiff_t socket_write(int fd, const void *data, size_t len);

void socket_shut(int fd); /* nothing more will be written */
void socket_close(int fd);

#endif
