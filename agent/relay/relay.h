/*
 * The relay: takes OTLP from Claude Code on this machine, keeps it on disk, and
 * delivers it to every destination.
 *
 *   socket ─▶ receive ──append, commit──▶ spool ──read──▶ forward ─▶ destinations
 *             (thread 1: 200 = on disk)                    (thread 2: a place and a state each)
 *
 * relay_create() opens the spool and the sockets, relay_start() starts the two
 * threads. Every function here may be called from any one thread of the
 * program's (main.c); relay_state() and relay_refresh_credentials() from any.
 * The callbacks below are called on the relay's threads and must be thread-safe.
 */
#ifndef AGENT_RELAY_RELAY_H
#define AGENT_RELAY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/relay/spool.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "core/otlp/signal.h"
#include "platform/fs.h"

struct log;
struct relay;

enum { RELAY_MAX_DESTINATIONS = 16, RELAY_MAX_LISTEN = 8, RELAY_MAX_LEDGER = 64 };

/* Whose telemetry it is. Either part may be "". */
struct relay_person {
    char local_user[128];
    char email[256];
};

/* A header or an attribute; `value` is a template such as "Bearer ${device_token}". */
struct relay_pair {
    const char *name;
    const char *value;
};

enum relay_compression { RELAY_COMPRESSION_AUTO, RELAY_COMPRESSION_GZIP, RELAY_COMPRESSION_NONE };

/* Everything is copied by relay_create() and relay_reload(). */
struct relay_destination_options {
    const char *name;                   /* names the saved position; [a-z0-9_-] */
    const char *url[OTLP_SIGNAL_COUNT]; /* whole URL per signal; NULL: that signal is not sent */
    const struct relay_pair *headers;
    size_t header_count;
    /* Set on every resource on the way to this destination, replacing what is there. */
    const struct relay_pair *resource_attributes;
    size_t resource_attribute_count;
    enum relay_compression compression; /* auto: gzip level 1, but for large ones to loopback */
    unsigned concurrency;               /* requests under way at once; default 2 when 0 */
    const char *ca_file;                /* or NULL */
    const char *proxy;                  /* NULL: from the environment, as curl does */
    size_t batch_bytes;                 /* plain target size of one request; default 1 MiB when 0 */
    uint32_t timeout_ms;                /* whole request; default 30,000 when 0 */
    bool is_own_server;                 /* sends X-Batch-Stream, -First, -Last */
    bool disabled;                      /* keeps its place, sends nothing */
};

/* When a local token is asked for. AUTO: only from peers whose owner cannot be found. */
enum relay_token_policy { RELAY_TOKEN_AUTO, RELAY_TOKEN_ALWAYS, RELAY_TOKEN_NEVER };

struct relay_callbacks {
    void *context;

    /*
     * Fills in who owns a socket. `uid` is NULL when the owner cannot be told: answer true
     * then only if this machine has a single person. False: nobody known, nothing is stamped,
     * and what the payload claims under the stamped keys is removed. A NULL function: the
     * payload passes as it is. Called per request: answer from memory.
     */
    bool (*person_of_uid)(void *context, const uint32_t *uid, struct relay_person *out);

    /*
     * True when `token` (of "Authorization: Bearer TOKEN" or "X-Relay-Token: TOKEN") is a good
     * local token; fills in whose it is. Compare in constant time. NULL: no token is good.
     */
    bool (*check_token)(void *context, struct bytes token, struct relay_person *out);

    /*
     * Appends `text` with its ${variables} replaced. `person` is NULL when the text names no
     * variable of a person (${email}, ${local_user}). A file named by ${file:...} is read anew
     * at each call: that is how a changed credential is noticed. FAIL_NOT_FOUND when a
     * value does not exist (yet): the destination waits for it. NULL: text is taken as it is.
     */
    bool (*expand)(void *context, const char *text, const struct relay_person *person,
                   struct buffer *out, struct error *err);
};

struct relay_options {
    /* "127.0.0.1:14318"; further ones for [::1] or OTLP/gRPC (one port speaks all of HTTP/1.1,
     * HTTP/2 and gRPC). */
    const char *listen[RELAY_MAX_LISTEN];
    size_t listen_count;
    unsigned port_tries;    /* taken: try this many following ports; 0 fails instead */
    const int *adopted_fds; /* listening sockets of systemd or launchd; used instead of
                               `listen` when adopted_count > 0 */
    size_t adopted_count;
    const char *grpc_listen; /* a further address for gRPC clients; NULL or "": none */
    enum relay_token_policy token_policy;
    size_t max_request_bytes; /* after inflating; default 64 MiB when 0 */

    struct spool_options spool;
    const struct relay_destination_options *destinations; /* at most RELAY_MAX_DESTINATIONS */
    size_t destination_count;

    const char *const *drop_attributes; /* privacy: removed before anything is on disk */
    size_t drop_attribute_count;

    /* Set on every resource on arrival, from the owner of the socket, e.g.
     * {"work_email", "${email}"}. One whose value comes out empty is left alone. */
    const struct relay_pair *stamps;
    size_t stamp_count;

    /* What a payload may say of its owner, and nothing else: removed where it says otherwise, and
     * like the stamped keys where nobody may claim to be anyone. */
    const struct relay_pair *claims;
    size_t claim_count;

    struct relay_callbacks callbacks;

    /* First pause after a failure, doubled up to its limit; 0: 1,000 and 300,000. */
    uint32_t retry_first_ms;
    uint32_t retry_limit_ms;
};

/*
 * Opens the spool, binds the sockets, restores every destination's place.
 * NULL on failure. fs, clock and log are borrowed and must outlive the relay; log may be NULL.
 */
struct relay *relay_create(const struct relay_options *options, const struct fs *fs,
                           const struct clock *clock, struct log *log, struct error *err);

/* Starts the two threads. */
MUST_USE bool relay_start(struct relay *relay, struct error *err);

/* The port of the first listening socket: what Claude Code's settings must name. */
uint16_t relay_port(const struct relay *relay);

/*
 * Takes over changed destinations, stamps, privacy keys and token policy; a destination
 * that did not change goes on undisturbed. Sockets and spool stay as they are.
 */
MUST_USE bool relay_reload(struct relay *relay, const struct relay_options *options,
                           struct error *err);

/* A credential may have changed: expand headers again and probe what waits for it now. */
void relay_refresh_credentials(struct relay *relay);

/*
 * Gives destinations a last chance, of `limit_ms`, to take what is queued, and
 * saves the positions; then stops accepting and answers what has come, for at
 * most a second. What was not sent stays on disk. The threads have ended after it.
 */
void relay_drain(struct relay *relay, uint32_t limit_ms);

/* Stops the threads if they run, and frees. NULL is fine. */
void relay_destroy(struct relay *relay);

enum relay_destination_status {
    RELAY_OK,          /* the last answer was a success, or nothing was sent yet */
    RELAY_RETRYING,    /* no connection, 408, 429, 5xx: pauses, then a probe */
    RELAY_AUTH_FAILED, /* 401, 403, or a credential is missing: waits for a better one */
    RELAY_BLOCKED,     /* it answers, but takes nothing: a portal, a wrong URL, redirects */
    RELAY_DISABLED,
};
const char *relay_status_name(enum relay_destination_status status); /* "auth_failed" */

/* Why a request from Claude Code was not taken. */
enum relay_refusal {
    RELAY_REFUSED_MALFORMED,   /* 400 */
    RELAY_REFUSED_TOKEN,       /* 401 */
    RELAY_REFUSED_ORIGIN,      /* 403: Origin or Host */
    RELAY_REFUSED_PATH,        /* 404, 405 */
    RELAY_REFUSED_SIZE,        /* 413 */
    RELAY_REFUSED_TYPE,        /* 415 */
    RELAY_REFUSED_UNAVAILABLE, /* 503: the disk, or too much at once */
    RELAY_REFUSED_COUNT,
};
const char *relay_refusal_name(enum relay_refusal refusal); /* "malformed" */

struct relay_signal_state {
    uint64_t last_received_ns; /* wall clock; 0: never since start */
    uint64_t requests_total;   /* since start */
    uint64_t records_total;    /* log records, spans, data points; since the spool was made */
};

struct relay_destination_state {
    char name[64];
    enum relay_destination_status status;
    uint64_t status_since_ns; /* wall clock */
    uint64_t last_success_ns; /* wall clock; 0: never since start */
    int last_status;          /* HTTP; 0: no answer came */
    char last_error[240];     /* of the last failure while not OK; "" otherwise. No secrets */
    uint64_t consecutive_failures;
    uint64_t retry_in_ms; /* until the next probe; 0 when none is due */
    uint64_t requests_total, failed_requests_total, bytes_sent_total;
    uint64_t sent_records_total;        /* items taken by the destination, since start */
    uint64_t rejected_records_total;    /* by partial success */
    uint64_t quarantined_records_total; /* items */
    uint64_t set_aside_requests, set_aside_records; /* on disk, to be tried again later; items */
    uint64_t backlog_requests, backlog_records;     /* not yet done with; items that it wants */
};

/* Everything that `status`, /metrics and the heartbeat show. */
struct relay_state {
    uint64_t started_ns; /* wall clock */
    uint16_t port, grpc_port;
    uint64_t connections_open;
    struct relay_signal_state signals[OTLP_SIGNAL_COUNT];
    uint64_t refused_total[RELAY_REFUSED_COUNT]; /* requests, since start */
    uint64_t unknown_owner_total;                /* requests whose socket's owner was not found */
    char spool_error[240];                       /* why the last request could not be kept; "" */
    struct spool_state spool;
    struct relay_destination_state destinations[RELAY_MAX_DESTINATIONS];
    size_t destination_count;
    struct spool_ledger_entry ledger[RELAY_MAX_LEDGER]; /* newest first */
    size_t ledger_count;
};

/* Any thread. The struct is large: keep it off small stacks. */
void relay_state(struct relay *relay, struct relay_state *out);

/* Appends `state` as Prometheus text (what GET /metrics answers). */
MUST_USE bool relay_put_metrics(const struct relay_state *state, struct buffer *out);

#endif
