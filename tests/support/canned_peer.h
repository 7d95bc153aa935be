/*
 * A peer on a free port of 127.0.0.1, on threads of its own, that reads a
 * request (a head and as much body as its Content-Length says) and answers with
 * fixed bytes, again and again on every connection until it is destroyed.
 */
#ifndef TESTS_SUPPORT_CANNED_PEER_H
#define TESTS_SUPPORT_CANNED_PEER_H

#include <stdint.h>

struct canned_peer;

/* `answer` is borrowed; NULL reads and never answers. */
struct canned_peer *canned_peer_create(const char *answer);
void canned_peer_destroy(struct canned_peer *peer);

uint16_t canned_peer_port(const struct canned_peer *peer);

/* What arrived last, terminated. Read it after the answer has come. */
const char *canned_peer_request(struct canned_peer *peer);

/* Connections accepted so far. */
int canned_peer_connections(struct canned_peer *peer);

#endif
