/*
 * Enrolment: the secret that came with the configuration becomes a token of
 * this device's own.
 *
 *   secret file ──POST /api/v1/enroll──▶ server ──device_id, device_token──▶ device.json
 *
 * Tries until it succeeds, pausing longer and longer (with jitter, so that a
 * fleet does not knock at once): from one second to five minutes while the
 * server cannot be reached, from one minute to an hour when it refuses. The
 * secret is read anew for every try. Belongs to the loop's thread; never blocks it.
 */
#ifndef AGENT_ENROLL_ENROLL_H
#define AGENT_ENROLL_ENROLL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/enroll/device.h"
#include "base/clock.h"
#include "base/error.h"
#include "core/event/loop.h"
#include "core/http/client.h"
#include "core/json/writer.h"
#include "core/log/log.h"

struct enroll;

/* Texts are copied; fs, clock, client and log are borrowed. */
struct enroll_options {
    const char *server_url;  /* without a slash at its end */
    const char *ca_file;     /* or NULL */
    const char *secret_file; /* as it lies on disk, the root included */
    const char *root;
    const char *state_dir;
    const char *agent_version;
    uint32_t retry_first_ms;   /* unreachable; 0: 1,000 */
    uint32_t refused_first_ms; /* refused; 0: 60,000 */

    void *context;
    /* Appends the array `users`: [{"local_user":…,"email":…}]. */
    void (*put_users)(void *context, struct json_writer *w);
    /* A new token; it is on disk already. */
    void (*enrolled)(void *context, const struct device *device);
    /* A try failed; the next comes by itself. NULL: nobody wants to know. */
    void (*failed)(void *context, const struct error *err);
};

struct enroll *enroll_create(struct loop *loop, struct http_client *client,
                             const struct enroll_options *options, const struct fs *fs,
                             const struct clock *clock, struct log *log);
void enroll_destroy(struct enroll *enroll); /* cuts what is under way; NULL is fine */

/* Begins now, also when it is pausing or this device has a token: then the token is rotated. */
void enroll_start(struct enroll *enroll);

#endif
