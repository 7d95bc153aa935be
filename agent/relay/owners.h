/*
 * Who owns the other end of a connection. The system is asked once for each
 * connection: a socket keeps the user it was made by, whoever holds it later.
 */
#ifndef AGENT_RELAY_OWNERS_H
#define AGENT_RELAY_OWNERS_H

#include <stdbool.h>
#include <stdint.h>

struct http_request;
struct owners;

struct owners *owners_create(void);
void owners_destroy(struct owners *owners); /* NULL is fine */

/* False when it cannot be told for certain; that is asked again with the next request. */
bool owners_find(struct owners *owners, const struct http_request *request, uint32_t *uid);

#endif
