/*
 * What the receiver changes in a request before it is on disk: the identity of
 * the socket's owner is stamped on every resource, and what privacy forbids is
 * dropped. Belongs to the receiver's thread.
 */
#ifndef AGENT_RELAY_STAMPER_H
#define AGENT_RELAY_STAMPER_H

#include "agent/relay/relay.h"

struct stamper;

struct stamper *stamper_create(const struct relay_options *options);
void stamper_destroy(struct stamper *s); /* NULL is fine */

/*
 * Appends the changed request to `out`. `person` NULL: nobody known; then what the payload
 * says under the stamped and claimed keys is removed when `claims_count` is false.
 */
MUST_USE bool stamper_apply(struct stamper *s, enum otlp_signal signal, struct bytes request,
                            const struct relay_person *person, bool claims_count,
                            struct buffer *out, struct error *err);

/* "local_user\0email", as the spool keeps it. Empty for NULL. */
struct bytes stamper_user(const struct relay_person *person, char out[SPOOL_USER_BYTES]);

#endif
