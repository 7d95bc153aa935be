/*
 * The door of ingest: which token may send, how fast, and who was turned away.
 *
 * Tokens are looked up by SHA-256 in the control store and remembered for a few
 * seconds, so that a request costs a hash and a revocation by another process
 * acts within the time to live. Memory is fixed: when the cache is full the
 * entry unused for longest gives way. Any thread.
 */
#ifndef SERVER_AUTH_GATE_H
#define SERVER_AUTH_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/auth/identity.h"
#include "server/auth/token.h"
#include "server/store/control.h"

struct gate;

struct gate_options {
    struct control_store *control; /* borrowed */
    const struct clock *clock;     /* borrowed */
    uint32_t remember_ms;          /* default 2,000 when 0 */
    uint32_t records_per_s;        /* of a token without its own; default 20,000 when 0 */
};

struct gate *gate_create(const struct gate_options *options);
void gate_destroy(struct gate *gate); /* NULL is fine */

enum gate_outcome {
    GATE_OPEN,
    GATE_MISSING,   /* no credential: 401 */
    GATE_MISTYPED,  /* not a token's form: 401 */
    GATE_UNKNOWN,   /* 401 */
    GATE_REVOKED,   /* 403 */
    GATE_LIMITED,   /* over its rate: 429, *retry_after_s says when */
    GATE_NO_ANSWER, /* the control store failed: 503 */
};

/*
 * Decides on a credential; refusals are counted by prefix and `source`. With
 * GATE_OPEN, *token is a copy; a device's pending token is in force by then. `err` is set for GATE_NO_ANSWER only.
 */
enum gate_outcome gate_check(struct gate *gate, struct bytes credential, const char *source,
                             struct control_token *token, uint32_t *retry_after_s,
                             struct error *err);

/*
 * Books `records` that a token has sent. What one request brings is known only after it
 * is read, so the token may go into debt; it is then refused until the debt is worked off.
 */
void gate_charge(struct gate *gate, const struct control_token *token, uint64_t records);

/* Notes that the token's records of a signal were stored, and whether usage came with them. */
struct gate_stored {
    enum otlp_signal signal;
    bool tokens, cost;
};
void gate_stored(struct gate *gate, const uint8_t sha256[SHA256_BYTES],
                 const struct gate_stored *what);

/* Notes that the token sent what cannot be kept (400, 413). */
void gate_malformed(struct gate *gate, const uint8_t sha256[SHA256_BYTES]);

/* Writes what tokens did, and a device's last telemetry, to the control store, each at most once a
 * minute. Blocks on it. */
MUST_USE bool gate_save_used(struct gate *gate, struct error *err);

/* Who was turned away since the start. Rows past the table's size are summed in one, "(others)". */
struct gate_refusal {
    char prefix[TOKEN_PREFIX_BYTES];
    char source[SOURCE_BYTES];
    int status; /* 401 or 403 */
    uint64_t count;
    uint64_t first_ns, last_ns;
    /* Of the storm that lasts or lasted last: refusals less than GATE_STORM_PAUSE_S apart. */
    uint64_t storm_count, storm_first_ns;
};
enum { GATE_MAX_REFUSALS = 256, GATE_STORM_PAUSE_S = 900 };
/* Copies the table; returns how many of out's GATE_MAX_REFUSALS + 1 entries are filled. */
size_t gate_refusals(struct gate *gate, struct gate_refusal *out);

#endif
