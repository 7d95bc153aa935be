/* Who asks: an e-mail address and a role. Where a request comes from. */
#ifndef SERVER_AUTH_IDENTITY_H
#define SERVER_AUTH_IDENTITY_H

#include <stdbool.h>

#include "base/bytes.h"
#include "server/store/control.h"

struct identity {
    char email[CONTROL_EMAIL_BYTES];
    enum control_role role; /* a higher role may all that a lower one may */
};

const char *role_name(enum control_role role); /* "viewer" */
bool role_of_name(struct bytes name, enum control_role *out);

/* Copies an e-mail address in lower case. False when it is empty, too long or no address. */
bool email_normalise(struct bytes text, char out[CONTROL_EMAIL_BYTES]);

/* The peer's address as text, without its port; "local" for a socket file. */
enum { SOURCE_BYTES = 48 };
void source_of_address(const void *sockaddr, char out[SOURCE_BYTES]);

#endif
