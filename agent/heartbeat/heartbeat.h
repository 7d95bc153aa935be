/*
 * Tells the server how this agent does, and does what the server asks.
 *
 *   put_report ──▶ POST /api/v1/heartbeat ──▶ interval, rotated token, commands
 *                                                   └─ doctor ──▶ POST /api/v1/doctor-reports
 *
 * The pause is the server's interval with a tenth of jitter. While the server
 * cannot be reached it doubles up to five minutes, and the first heartbeat that
 * arrives again says how long and why (`offline_reason`), also when the agent
 * was started anew in between. Without a token it waits. Belongs to the loop's thread; never blocks it.
 */
#ifndef AGENT_HEARTBEAT_HEARTBEAT_H
#define AGENT_HEARTBEAT_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/event/loop.h"
#include "core/http/client.h"
#include "core/json/writer.h"
#include "core/log/log.h"
#include "platform/fs.h"

struct heartbeat;

/* Texts are copied; clock, client, log and fs are borrowed. */
struct heartbeat_options {
    const char *server_url; /* without a slash at its end */
    const char *ca_file;    /* or NULL */
    const char *agent_version;
    const char *state_dir; /* keeps an outage across restarts */
    const struct fs *fs;
    uint32_t interval_seconds;
    uint32_t first_delay_ms; /* at most: the first one comes at a random time within it */

    /* The doctor to run on command: a path and its arguments, NULL-terminated; NULL: there is
     * none. Its standard output is the report. Borrowed. */
    const char *const *doctor;

    void *context;
    /* The device's token now; NULL while there is none. Borrowed until the next call. */
    const char *(*token)(void *context);
    /* Appends the keys of the report, health to doctor, into the open object. */
    void (*put_report)(void *context, struct json_writer *w);
    /* The server gave another token: keep it durably. */
    void (*rotated)(void *context, const char *token);
    /* 401: the token is no longer good. */
    void (*unauthorized)(void *context);
    /* A doctor's report was made; JSON as it printed it. May be NULL. */
    void (*examined)(void *context, struct bytes report);
};

struct heartbeat *heartbeat_create(struct loop *loop, struct http_client *client,
                                   const struct heartbeat_options *options,
                                   const struct clock *clock, struct log *log);
void heartbeat_destroy(struct heartbeat *heartbeat); /* NULL is fine */

/* Sends one soon: there is a token now, or something important changed. */
void heartbeat_poke(struct heartbeat *heartbeat);

/*
 * Sends a last one with agent_disconnect, cutting what is under way, then calls
 * `done`: when it was answered, at the latest after `limit_ms`. At once without a token.
 */
void heartbeat_goodbye(struct heartbeat *heartbeat, uint32_t limit_ms, void (*done)(void *context),
                       void *context);

struct heartbeat_status {
    uint64_t last_success_ns; /* wall clock; 0: never */
    uint64_t sequence_num;    /* of the last one sent */
    uint32_t interval_seconds;
    uint64_t offline_since_ns; /* wall clock; 0 while the last one arrived */
    char last_error[240];      /* while offline */
};
void heartbeat_status(const struct heartbeat *heartbeat, struct heartbeat_status *out);

#endif
