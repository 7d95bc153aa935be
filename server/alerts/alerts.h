/*
 * Tells people when something stays red, and when it is well again.
 *
 *   control store (states) ─▶ what is red for long? ─▶ one notice per look and receiver ─▶ POST
 *
 * A notice is stored before it is sent and forgotten after a 2xx, so a restart neither loses one
 * nor makes a new one of it; sent again it has the same id. What cannot be sent is tried
 * again with growing pauses; what changes meanwhile goes into the next notice.
 *
 * The webhook gets {"id","at","groups":[…],"firing":[…],"resolved":[…]}, what fires grouped by kind and code,
 * with the headers
 *   X-Claude-Telemetry-Timestamp: seconds since 1970
 *   X-Claude-Telemetry-Signature: v1=HEX, HMAC-SHA256 of "TIMESTAMP.BODY" under the secret
 * Slack's incoming webhooks get {"text"}.
 */
#ifndef SERVER_ALERTS_ALERTS_H
#define SERVER_ALERTS_ALERTS_H

#include "base/clock.h"
#include "core/log/log.h"
#include "server/store/control.h"

struct alerts;

struct alerts_options {
    struct control_store *control; /* all borrowed */
    const struct clock *clock;
    struct log *log;
    const char *webhook_url, *secret; /* NULL: no webhook; `secret` "" sends no signature */
    const char *slack_url;            /* NULL: none */
    const char *ca_file;              /* NULL: the system's authorities alone */
    uint32_t after_s;                 /* red for this long */
    uint32_t every_s;                 /* how often it looks; at least 1 */
    const char *owner;                /* of the lease "alerts": of several servers, one sends */
};

/* Starts a thread. NULL when there is no receiver. */
struct alerts *alerts_create(const struct alerts_options *options);

/* Waits for what is being sent, at most 10 s. NULL is fine. */
void alerts_destroy(struct alerts *alerts);

enum { ALERTS_SIGNATURE_BYTES = 3 + 64 + 1 };

/* "v1=…" of `body` at `timestamp`. */
void alerts_sign(const char *secret, const char *timestamp, struct bytes body,
                 char out[ALERTS_SIGNATURE_BYTES]);

#endif
