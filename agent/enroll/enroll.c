#include "agent/enroll/enroll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/members.h"
#include "platform/platform.h"

enum {
    REQUEST_BYTES = 256 * 1024,
    ANSWER_BYTES = 64 * 1024,
    SECRET_BYTES = 4 * 1024,
    UNREACHABLE_LIMIT_MS = 5 * 60 * 1000,
    REFUSED_LIMIT_MS = 60 * 60 * 1000,
};

struct enroll {
    struct http_client *client;
    const struct fs *fs;
    const struct clock *clock;
    struct log *log;
    struct loop_timer *timer;
    struct http_transfer *transfer;
    struct buffer body; /* of the transfer */
    char hardware_id[DEVICE_HARDWARE_BYTES];

    char *server_url, *ca_file, *secret_file, *root, *state_dir, *agent_version, *url;
    uint32_t retry_first_ms, refused_first_ms;
    unsigned failures; /* in a row */
    void *context;
    void (*put_users)(void *context, struct json_writer *w);
    void (*enrolled)(void *context, const struct device *device);
    void (*failed)(void *context, const struct error *err);
};

static void try_now(void *context);

struct enroll *enroll_create(struct loop *loop, struct http_client *client,
                             const struct enroll_options *options, const struct fs *fs,
                             const struct clock *clock, struct log *log)
{
    struct enroll *e = xcalloc(1, sizeof *e);
    e->client = client;
    e->fs = fs;
    e->clock = clock;
    e->log = log;
    e->body.max_bytes = REQUEST_BYTES;
    e->server_url = xstrdup(options->server_url);
    e->url = xasprintf("%s/api/v1/enroll", options->server_url);
    e->ca_file = xstrdup(options->ca_file);
    e->secret_file = xstrdup(options->secret_file);
    e->root = xstrdup(options->root);
    e->state_dir = xstrdup(options->state_dir);
    e->agent_version = xstrdup(options->agent_version);
    e->retry_first_ms = options->retry_first_ms ? options->retry_first_ms : 1000;
    e->refused_first_ms = options->refused_first_ms ? options->refused_first_ms : 60000;
    e->context = options->context;
    e->put_users = options->put_users;
    e->enrolled = options->enrolled;
    e->failed = options->failed;
    e->timer = loop_timer_create(loop, try_now, e);
    return e;
}

void enroll_destroy(struct enroll *e)
{
    if (!e)
        return;
    if (e->transfer)
        http_client_cancel(e->transfer);
    loop_timer_destroy(e->timer);
    buffer_clear(&e->body);
    free(e->server_url);
    free(e->url);
    free(e->ca_file);
    free(e->secret_file);
    free(e->root);
    free(e->state_dir);
    free(e->agent_version);
    free(e);
}

/* Doubling from `first_ms`, then a random part of the upper half, so that a fleet spreads. */
static uint64_t pause_ms(unsigned failures, uint64_t first_ms, uint64_t limit_ms)
{
    uint64_t pause = first_ms << (failures < 20 ? failures : 20);
    uint32_t random;
    platform_random(&random, sizeof random);
    pause = pause < limit_ms ? pause : limit_ms;
    return pause / 2 + random % (pause / 2 + 1);
}

static void fail(struct enroll *e, const struct error *err, bool refused, uint64_t at_least_ms)
{
    uint64_t pause = refused ? pause_ms(e->failures, e->refused_first_ms, REFUSED_LIMIT_MS)
                             : pause_ms(e->failures, e->retry_first_ms, UNREACHABLE_LIMIT_MS);
    pause = pause > at_least_ms ? pause : at_least_ms;
    e->failures++;
    log_failure(e->log, refused ? LOG_ERROR_LEVEL : LOG_WARN_LEVEL, "enroll", "not enrolled", err);
    loop_timer_set(e->timer, pause);
    if (e->failed)
        e->failed(e->context, err);
}

static bool put_secret(struct enroll *e, struct json_writer *w, struct error *err)
{
    struct buffer secret = {.max_bytes = SECRET_BYTES};
    bool ok = fs_read_file(e->fs, e->secret_file, &secret, err);
    while (ok && secret.len > 0 && secret.data[secret.len - 1] <= ' ')
        secret.len--;
    if (ok && secret.len == 0)
        ok = error_set(err, FAIL_INVALID, "'%s' is empty", e->secret_file);
    if (ok) {
        json_put_key(w, "enrollment_secret");
        json_put_bytes(w, buffer_bytes(&secret));
    } else {
        error_remedy(err, "put the secret there: claude-telemetry-server enrollment-secret create");
    }
    buffer_clear(&secret);
    return ok;
}

static bool put_device(struct enroll *e, struct json_writer *w, struct error *err)
{
    char hostname[256];
    struct platform_os os;
    if (!device_hardware_id(e->fs, e->root, e->state_dir, e->hardware_id, err))
        return false;
    platform_hostname(hostname, sizeof hostname);
    platform_os(&os);
    json_put_key(w, "device");
    json_object_open(w);
    json_put_key(w, "hardware_id");
    json_put_string(w, e->hardware_id);
    json_put_key(w, "hostname");
    json_put_string(w, hostname);
    json_put_key(w, "os");
    json_put_string(w, os.name);
    json_put_key(w, "os_version");
    json_put_string(w, os.version);
    json_put_key(w, "arch");
    json_put_string(w, os.arch);
    json_put_key(w, "agent_version");
    json_put_string(w, e->agent_version);
    json_object_close(w);
    return true;
}

static bool make_request(struct enroll *e, struct error *err)
{
    buffer_reset(&e->body);
    struct json_writer w = json_writer_make(&e->body);
    json_object_open(&w);
    if (!put_secret(e, &w, err) || !put_device(e, &w, err))
        return false;
    json_put_key(&w, "users");
    e->put_users(e->context, &w);
    json_object_close(&w);
    return json_writer_ok(&w) || error_set(err, FAIL_TOO_LARGE, "too many users to enrol");
}

static bool read_text(const cJSON *answer, const char *key, char *out, size_t size)
{
    return json_copy_text(answer, key, out, size) && device_token_is_sound(out);
}

static bool read_answer(struct enroll *e, struct bytes body, struct device *out, struct error *err)
{
    cJSON *answer = cJSON_ParseWithLength((const char *)body.data, body.len);
    memset(out, 0, sizeof *out);
    bool ok = read_text(answer, "device_id", out->id, sizeof out->id) &&
              read_text(answer, "device_token", out->token, sizeof out->token);
    const cJSON *interval = json_at(answer, "heartbeat_interval_seconds");
    if (cJSON_IsNumber(interval) && interval->valueint > 0)
        out->heartbeat_interval_seconds = (uint32_t)interval->valueint;
    snprintf(out->server_url, sizeof out->server_url, "%s", e->server_url);
    memcpy(out->hardware_id, e->hardware_id, sizeof out->hardware_id);
    cJSON_Delete(answer);
    if (ok)
        return true;
    error_set(err, FAIL_INVALID, "the answer of '%s' is no enrolment", e->url);
    return error_remedy(err, "check that server.url names a claude-telemetry server");
}

/* What a status other than 200 means. True when trying soon makes no sense. */
static bool explain(struct enroll *e, const struct http_result *result, struct error *err)
{
    switch (result->status) {
    case 401:
    case 403:
        error_set(err, FAIL_DENIED, "'%s' does not accept the enrolment secret (%d)", e->server_url,
                  result->status);
        error_remedy(err, "put a valid secret into '%s'", e->secret_file);
        return true;
    case 409:
        error_set(err, FAIL_DENIED, "'%s' sees another machine use this hardware id (409)",
                  e->server_url);
        error_remedy(err, "give a copied machine an id of its own, or stop the agent on the other");
        return true;
    case 408:
    case 429:
        error_set(err, FAIL_BUSY, "'%s' asks to wait (%d)", e->server_url, result->status);
        return false;
    default:
        error_set(err, FAIL_IO, "'%s' answers %d", e->url, result->status);
        error_remedy(err, "check that server.url names a claude-telemetry server");
        return result->status < 500;
    }
}

static void answered(void *context, const struct http_result *result)
{
    struct enroll *e = context;
    struct device device;
    struct error err = {0};
    uint64_t wait_ms = 0;
    e->transfer = NULL;

    if (result->stage != HTTP_STAGE_DONE) {
        error_set(&err, FAIL_IO, "cannot reach '%s': %s", e->server_url, result->error);
        fail(e, &err, false, 0);
        return;
    }
    if (result->status != 200) {
        bool refused = explain(e, result, &err);
        http_result_retry_after_ms(result, clock_wall_ns(e->clock), &wait_ms);
        fail(e, &err, refused, wait_ms < REFUSED_LIMIT_MS ? wait_ms : REFUSED_LIMIT_MS);
        return;
    }
    if (!read_answer(e, result->body, &device, &err) ||
        !device_save(e->fs, e->state_dir, &device, &err)) {
        fail(e, &err, true, 0);
        return;
    }
    e->failures = 0;
    log_info(e->log, "enroll", "enrolled device_id=%s", device.id);
    e->enrolled(e->context, &device);
}

static void try_now(void *context)
{
    struct enroll *e = context;
    struct error err = {0};
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    if (!make_request(e, &err)) {
        fail(e, &err, true, 0);
        return;
    }
    struct http_call call = {
        .method = "POST",
        .url = e->url,
        .headers = headers,
        .body = buffer_bytes(&e->body),
        .ca_file = e->ca_file,
        .max_answer_bytes = ANSWER_BYTES,
    };
    e->transfer = http_client_start(e->client, &call, answered, e);
}

void enroll_start(struct enroll *e)
{
    if (e->transfer)
        return;
    e->failures = 0;
    loop_timer_set(e->timer, 0);
}
