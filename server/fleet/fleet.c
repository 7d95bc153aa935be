#include "server/fleet/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/writer.h"
#include "platform/platform.h"
#include "server/auth/throttle.h"
#include "server/fleet/device.h"
#include "server/fleet/document.h"
#include "server/fleet/watch.h"
#include "server/message/mapping.h"

enum {
    DEFAULT_INTERVAL_S = 60,
    ENROLL_BODY_BYTES = 64 * 1024,
    GUESSES = 10, /* wrong secrets from one address within the window */
    GUESS_NAMES = 1024,
    GUESS_WINDOW_S = 600,
    ALIVE_INTERVALS = 3, /* a device silent for longer may have been renamed or reinstalled */
};

struct fleet *fleet_create(const struct fleet_options *options)
{
    struct fleet *f = xcalloc(1, sizeof *f);
    f->options = *options;
    if (f->options.heartbeat_interval_s == 0)
        f->options.heartbeat_interval_s = DEFAULT_INTERVAL_S;
    f->store = options->control->kind->fleet;
    f->guesses = throttle_create(GUESS_NAMES, GUESS_WINDOW_S * NS_PER_S);
    f->watch = watch_create(&f->options);
    return f;
}

void fleet_destroy(struct fleet *f)
{
    if (!f)
        return;
    watch_destroy(f->watch);
    throttle_destroy(f->guesses);
    free(f);
}

static uint64_t now_of(const struct fleet *f)
{
    return clock_wall_ns(f->options.clock);
}

/* ---- POST /api/v1/enroll ---- */

static bool check_secret(struct fleet *f, struct route_call *call, const char *secret,
                         struct fleet_secret *out)
{
    char source[SOURCE_BYTES];
    uint8_t hash[SHA256_BYTES];
    struct error err = {0};
    uint64_t now = now_of(f);
    source_of_address(call->request->remote_address, source);
    crypto_sha256(bytes_of(secret), hash);
    if (!f->store->secret_use(f->options.control, hash, out, &err)) {
        if (err.kind != FAIL_NOT_FOUND) {
            log_failure(f->options.log, LOG_ERROR_LEVEL, "fleet", "cannot enrol", &err);
            answer_failure(call->exchange, &err);
            return false;
        }
        /* Only who is wrong waits: an office behind one address must not pay for one machine. */
        uint32_t wait_s = throttle_wait_s(f->guesses, source, GUESSES, now);
        if (wait_s > 0) {
            answer_error_later(call->exchange, 429, "too_many_tries",
                               "too many wrong enrolment secrets from this address", wait_s);
            return false;
        }
        throttle_failed(f->guesses, source, now);
        log_warn(f->options.log, "fleet", "enrolment refused source=%s", source);
        answer_error(call->exchange, 401, "wrong_secret", "the enrolment secret is unknown",
                     "claude-telemetry-server enrollment-secret create, and put it on the device");
        return false;
    }
    if (out->revoked_ns == 0 && (out->expires_ns == 0 || now < out->expires_ns))
        return true;
    answer_error(call->exchange, 401, "secret_ended",
                 out->revoked_ns ? "the enrolment secret was revoked"
                                 : "the enrolment secret has expired",
                 "claude-telemetry-server enrollment-secret create, and put it on the device");
    return false;
}

static void answer_enrolled(struct fleet *f, struct route_call *call,
                            const struct fleet_device *device, const char *token)
{
    struct buffer out = {.max_bytes = 4 * KIB};
    struct json_writer w = json_writer_make(&out);
    json_object_open(&w);
    json_put_key(&w, "device_id");
    json_put_string(&w, device->device_id);
    json_put_key(&w, "device_token");
    json_put_string(&w, token);
    json_put_key(&w, "heartbeat_interval_seconds");
    json_put_uint(&w, f->options.heartbeat_interval_s);
    json_object_close(&w);
    answer_json(call->exchange, buffer_bytes(&out));
    buffer_clear(&out);
}

static bool differs(const char *a, const char *b)
{
    return a[0] && b[0] && strcmp(a, b) != 0;
}

/* Copied disks share their hardware id: two such machines would take the token from each other. */
static bool is_another_machine(const struct fleet *f, const struct fleet_device *asking,
                               const struct fleet_device *known)
{
    uint64_t sign_ns =
        known->last_seen_ns > known->enrolled_ns ? known->last_seen_ns : known->enrolled_ns;
    uint64_t patience_ns = ALIVE_INTERVALS * f->options.heartbeat_interval_s * NS_PER_S;
    bool alive = !known->disconnected && now_of(f) < sign_ns + patience_ns;
    return alive && (differs(asking->hostname, known->hostname) || differs(asking->os, known->os) ||
                     differs(asking->arch, known->arch));
}

static bool copy_hardware_id(void *context, const struct fleet_device *device, struct bytes beat)
{
    (void)beat;
    memcpy(context, device->hardware_id, sizeof device->hardware_id);
    return false;
}

/* Whether nobody else is the device that this machine says it is; answers itself when not. */
static bool check_machine(struct fleet *f, struct route_call *call,
                          const struct enroll_request *request)
{
    struct control_store *control = f->options.control;
    const struct fleet_device *asking = &request->device;
    struct fleet_device known;
    struct error err = {0};
    char hardware_id[sizeof known.hardware_id] = "";
    bool conflict = false;
    if (request->device_id[0] &&
        f->store->device_find(control, request->device_id, copy_hardware_id, hardware_id, &err))
        conflict = strcmp(hardware_id, asking->hardware_id) != 0;
    if (!conflict && (err.kind == FAIL_NONE || err.kind == FAIL_NOT_FOUND)) {
        err = (struct error){0};
        conflict = f->store->device_of_hardware(control, asking->hardware_id, &known, &err) &&
                   is_another_machine(f, asking, &known);
    }
    if (conflict) {
        log_warn(f->options.log, "fleet", "enrolment refused: other hardware hostname=%s",
                 asking->hostname);
        answer_error(call->exchange, 409, "other_hardware",
                     "this id belongs to another machine, which is in use",
                     "give a copied machine an id of its own (on Linux: "
                     "systemd-machine-id-setup), or stop the agent on the other one");
        return false;
    }
    if (err.kind == FAIL_NONE || err.kind == FAIL_NOT_FOUND)
        return true;
    log_failure(f->options.log, LOG_ERROR_LEVEL, "fleet", "cannot enrol", &err);
    answer_failure(call->exchange, &err);
    return false;
}

static void enroll(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct error err = {0};
    struct enroll_request request;
    struct fleet_secret secret;
    char token[TOKEN_BYTES];
    if (!enroll_request_read(call->request->body, &request, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    bool good = check_secret(f, call, request.secret, &secret);
    memset(request.secret, 0, sizeof request.secret);
    if (!good || !check_machine(f, call, &request))
        return;

    struct fleet_device *device = &request.device;
    device->system_id = secret.system_id;
    platform_uuid(device->device_id); /* kept only if the hardware is new */
    if (!fleet_create_token(f, device, token, &device->token_id, &err) ||
        !f->store->device_enroll(f->options.control, device, now_of(f), &err)) {
        log_failure(f->options.log, LOG_ERROR_LEVEL, "fleet", "cannot enrol", &err);
        answer_failure(call->exchange, &err);
        return;
    }
    log_info(f->options.log, "fleet", "enrolled device=%s hostname=%s", device->device_id,
             device->hostname);
    answer_enrolled(f, call, device, token);
    memset(token, 0, sizeof token);
}

/* ---- Rows ---- */

struct row_job {
    struct fleet *fleet;
    struct message_batch batch;
    bool stored;
    struct error err;
};

static void store_row(void *context)
{
    struct row_job *job = context;
    struct message_store *store = job->fleet->options.messages;
    struct put_result result;
    job->stored = store->kind->put(store, &job->batch, 1, &result, &job->err);
}

/* What a report's row can be filtered and grouped by. */
static bool put_device_metadata(const struct fleet_device *device, struct buffer *out)
{
    const struct {
        const char *key, *value;
    } members[] = {{"device.id", device->device_id}, {"host.name", device->hostname},
                   {"os.type", device->os},          {"os.version", device->os_version},
                   {"host.arch", device->arch},      {"service.version", device->agent_version}};
    struct json_writer w = json_writer_make(out);
    json_object_open(&w);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (!members[i].value[0])
            continue;
        json_put_key(&w, members[i].key);
        json_put_string(&w, members[i].value);
    }
    json_object_close(&w);
    return json_writer_ok(&w);
}

bool fleet_put_row(struct fleet *f, struct route_call *call, const struct fleet_device *device,
                   enum message_type type, const char *natural_id, uint64_t time_ns,
                   enum message_success success, struct bytes body, struct error *err)
{
    struct message row;
    struct buffer metadata = {.max_bytes = 8 * KIB};
    bool made = put_device_metadata(device, &metadata);
    const struct message_agent_report report = {.type = type,
                                                .device_id = bytes_of(device->device_id),
                                                .natural_id = bytes_of(natural_id),
                                                .time_ns = time_ns,
                                                .success = success,
                                                .metadata = buffer_bytes(&metadata),
                                                .body = body};
    const struct message_context where = {.system_id = device->system_id,
                                          .received_ns = now_of(f),
                                          .owner = bytes_of(device->owner),
                                          .max_body_bytes = MESSAGE_BODY_WHOLE};
    made = made && message_from_agent(&report, &where, &call->arena, &row);
    buffer_clear(&metadata); /* the row has its copy */
    if (!made)
        return error_set(err, FAIL_TOO_LARGE, "the report is too large");
    struct row_job job = {.fleet = f,
                          .batch = {.system_id = device->system_id,
                                    .token_id = device->token_id,
                                    .messages = &row,
                                    .message_count = 1}};
    ingest_run_on_writer(f->options.ingest, store_row, &job);
    if (!job.stored)
        *err = job.err;
    return job.stored;
}

/* ---- Who is it? ---- */

bool fleet_authenticate(struct fleet *f, struct route_call *call, struct fleet_device *device)
{
    static const struct {
        int status;
        const char *code, *message;
    } refusals[] = {
        [GATE_MISSING] = {401, "no_token", "the request carries no device token"},
        [GATE_MISTYPED] = {401, "mistyped_token", "that is no token of ours"},
        [GATE_UNKNOWN] = {401, "unknown_token", "the device token is unknown"},
        [GATE_REVOKED] = {401, "revoked_token", "the device token was replaced or revoked"},
        [GATE_LIMITED] = {429, "too_fast", "the device sends too fast"},
        [GATE_NO_ANSWER] = {503, "store_down", "the control store does not answer"},
    };
    struct error err = {0};
    struct control_token token;
    uint32_t wait_s = 1;
    char source[SOURCE_BYTES];
    source_of_address(call->request->remote_address, source);
    struct bytes credential = http_request_header(call->request, "authorization");
    if (bytes_starts_with(credential, "Bearer "))
        credential = bytes_make(credential.data + 7, credential.len - 7);
    enum gate_outcome outcome =
        gate_check(f->options.gate, credential, source, &token, &wait_s, &err);
    if (outcome != GATE_OPEN) {
        if (refusals[outcome].status == 401)
            answer_error(call->exchange, 401, refusals[outcome].code, refusals[outcome].message,
                         "claude-telemetry-agent enroll");
        else
            answer_error_later(call->exchange, refusals[outcome].status, refusals[outcome].code,
                               refusals[outcome].message, wait_s ? wait_s : 1);
        return false;
    }
    if (f->store->device_of_token(f->options.control, token.id, device, &err))
        return true;
    if (err.kind == FAIL_NOT_FOUND)
        answer_error(call->exchange, 401, "no_device_token", "this token is not a device's",
                     "claude-telemetry-agent enroll");
    else
        answer_failure(call->exchange, &err);
    return false;
}

/* ---- State ---- */

bool fleet_judge(const struct fleet *f, struct fleet_device *device,
                 const struct heartbeat_document *heartbeat, struct fleet_flip *flip)
{
    struct health_device facts;
    struct health_verdict verdict;
    uint64_t now = now_of(f);
    heartbeat_to_health(heartbeat, device, now, &facts);
    health_of_device(&facts, now, &verdict);
    bool changed = (int)verdict.state != device->state;
    *flip = (struct fleet_flip){.at_ns = now};
    snprintf(flip->subject, sizeof flip->subject, "device:%s", device->device_id);
    snprintf(flip->from, sizeof flip->from, "%s",
             health_state_name((enum health_state)device->state));
    snprintf(flip->to, sizeof flip->to, "%s", health_state_name(verdict.state));
    snprintf(flip->code, sizeof flip->code, "%s", verdict.code);
    snprintf(flip->reason, sizeof flip->reason, "%s", verdict.reason);
    if (verdict.state == HEALTH_GREEN && heartbeat->offline_reason[0])
        snprintf(flip->reason, sizeof flip->reason, "back; it was away: %s",
                 heartbeat->offline_reason);

    device->state = (int)verdict.state;
    if (changed)
        device->state_since_ns = now;
    memcpy(device->state_code, verdict.code, sizeof device->state_code);
    snprintf(device->state_reason, sizeof device->state_reason, "%s", verdict.reason);
    return changed;
}

/* After the device's own row, so that nothing is told that was not kept. */
static bool tell_flip(struct fleet *f, const struct fleet_device *device,
                      const struct fleet_flip *flip, struct error *err)
{
    log_info(f->options.log, "fleet", "state device=%s hostname=%s from=%s to=%s code=%s",
             device->device_id, device->hostname, flip->from, flip->to, flip->code);
    return f->store->flip_add(f->options.control, flip, err);
}

/* ---- POST /api/v1/heartbeat ---- */

static uint64_t since(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0; /* a count that fell back: the agent was reinstalled */
}

/* What matters of counts is how they change: a first heartbeat only sets the marks. */
static void take_counts(const struct heartbeat_document *h, struct fleet_device *device,
                        uint64_t now, bool first)
{
    static const uint64_t hour_ns = 3600 * NS_PER_S;
    uint64_t evicted = first ? 0 : since(h->evicted_total, device->evicted_total);
    if (evicted > 0) {
        bool goes_on = device->evicted_ns > 0 && now < device->evicted_ns + hour_ns;
        device->evicted_delta = (goes_on ? device->evicted_delta : 0) + evicted;
        device->evicted_ns = now;
    }
    if (first || now >= device->drift_hour_ns + hour_ns) {
        device->drift_hour_ns = now;
        device->drift_hour_total = first ? h->drift_repairs_total : device->drift_repairs_total;
    }
    device->drift_repairs_delta = since(h->drift_repairs_total, device->drift_hour_total);
    if (h->backlog_records > device->backlog_records && !device->backlog_growing_ns)
        device->backlog_growing_ns = now;
    else if (h->backlog_records < device->backlog_records || h->backlog_records == 0)
        device->backlog_growing_ns = 0;
    device->backlog_records = h->backlog_records;
    device->evicted_total = h->evicted_total;
    device->drift_repairs_total = h->drift_repairs_total;
}

static void take_heartbeat(const struct fleet *f, const struct heartbeat_document *h,
                           struct fleet_device *device)
{
    uint64_t now = now_of(f);
    bool first = device->last_seen_ns == 0;
    device->last_seen_ns = now;
    device->interval_s = f->options.heartbeat_interval_s;
    device->disconnected = h->goodbye;
    device->sequence_num = h->sequence_num;
    take_counts(h, device, now, first);
    device->clock_skew_s =
        h->sent_ns ? (int64_t)(h->sent_ns / NS_PER_S) - (int64_t)(now / NS_PER_S) : 0;
    if (h->agent_version[0])
        memcpy(device->agent_version, h->agent_version, sizeof device->agent_version);
    if (h->owner[0])
        memcpy(device->owner, h->owner, sizeof device->owner);
}

static bool put_command(void *context, const struct fleet_command *command)
{
    struct json_writer *w = context;
    json_object_open(w);
    json_put_key(w, "id");
    json_put_string(w, command->id);
    json_put_key(w, "type");
    json_put_string(w, command->type);
    json_object_close(w);
    return json_writer_ok(w);
}

static void answer_heartbeat(struct fleet *f, struct route_call *call,
                             const struct fleet_device *device)
{
    struct error err = {0};
    struct buffer out = {.max_bytes = 64 * KIB};
    struct json_writer w = json_writer_make(&out);
    json_object_open(&w);
    json_put_key(&w, "server_time");
    json_put_time(&w, now_of(f));
    json_put_key(&w, "heartbeat_interval_seconds");
    json_put_uint(&w, f->options.heartbeat_interval_s);
    json_put_key(&w, "commands");
    json_array_open(&w);
    bool good =
        f->store->command_take(f->options.control, device->id, now_of(f), put_command, &w, &err);
    json_array_close(&w);
    char token[TOKEN_BYTES];
    if (good && fleet_renew_token(f, device, token)) {
        json_put_key(&w, "device_token");
        json_put_string(&w, token);
        memset(token, 0, sizeof token);
    }
    json_object_close(&w);
    if (good && json_writer_ok(&w))
        answer_json(call->exchange, buffer_bytes(&out));
    else
        answer_failure(call->exchange, &err);
    buffer_clear(&out);
}

/*
 * A row's time is part of its identity, so a repeat must bring the same: the sender's, unless its
 * clock is so wrong that the row would be lost among other days.
 */
static uint64_t time_of_row(const struct fleet *f, uint64_t sent_ns)
{
    static const uint64_t day_ns = 86400 * NS_PER_S;
    uint64_t now = now_of(f);
    bool plausible = sent_ns + day_ns > now && sent_ns < now + day_ns;
    return plausible ? sent_ns : now;
}

static void heartbeat(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct error err = {0};
    struct fleet_device device;
    struct heartbeat_document document;
    struct bytes body = call->request->body;
    char natural_id[FLEET_ID_BYTES + 32];
    if (!fleet_authenticate(f, call, &device))
        return;
    if (!heartbeat_read(body, &document, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    take_heartbeat(f, &document, &device);
    snprintf(natural_id, sizeof natural_id, "%s/%llu", document.instance_uid,
             (unsigned long long)document.sequence_num);
    struct fleet_flip flip;
    bool changed = fleet_judge(f, &device, &document, &flip);
    bool good = f->store->device_update(f->options.control, &device, body, &err) &&
                (!changed || tell_flip(f, &device, &flip, &err)) &&
                fleet_put_row(f, call, &device, MESSAGE_HEARTBEAT, natural_id,
                              time_of_row(f, document.sent_ns),
                              document.healthy ? MESSAGE_SUCCEEDED : MESSAGE_FAILED, body, &err);
    if (good) {
        answer_heartbeat(f, call, &device);
        return;
    }
    log_failure(f->options.log, LOG_ERROR_LEVEL, "fleet", "cannot keep a heartbeat", &err);
    answer_failure(call->exchange, &err);
}

/* ---- POST /api/v1/doctor-reports ---- */

static void doctor_report(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct error err = {0};
    struct fleet_device device;
    struct doctor_summary summary;
    struct bytes body = call->request->body;
    if (!fleet_authenticate(f, call, &device))
        return;
    if (!doctor_summary_read(body, &summary, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    char unique[PLATFORM_UUID_BYTES];
    platform_uuid(unique);
    const char *natural_id = summary.command_id[0] ? summary.command_id : unique;
    bool good = f->store->report_put(f->options.control, device.id, summary.command_id, body,
                                     now_of(f), &err) &&
                fleet_put_row(f, call, &device, MESSAGE_DOCTOR, natural_id, now_of(f),
                              summary.failed == 0 ? MESSAGE_SUCCEEDED : MESSAGE_FAILED, body, &err);
    if (good)
        answer_json(call->exchange, bytes_of("{}"));
    else
        answer_failure(call->exchange, &err);
}

/* ---- The sweep ---- */

struct sweep {
    struct fleet *fleet;
    struct judged {
        struct fleet_device device;
        char *heartbeat;
    } * items;
    size_t count, capacity;
};

/* Only silence makes a state change without a heartbeat: those that are due are collected. */
static bool collect_silent(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    struct sweep *s = context;
    uint64_t now = now_of(s->fleet);
    if (device->last_seen_ns == 0 || now < device->last_seen_ns + device->interval_s * NS_PER_S)
        return true;
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 64;
        s->items = xrealloc(s->items, s->capacity * sizeof *s->items);
    }
    s->items[s->count++] =
        (struct judged){*device, xstrndup((const char *)heartbeat.data, heartbeat.len)};
    return true;
}

/* A heartbeat that came since says more than the silence before it. */
static bool judge_silent(struct fleet *f, struct judged *item, struct error *err)
{
    struct heartbeat_document document;
    struct fleet_flip flip;
    struct fleet_device *device = &item->device;
    char code[sizeof device->state_code];
    memcpy(code, device->state_code, sizeof code);
    if (!heartbeat_read(bytes_of(item->heartbeat), &document, &(struct error){0}))
        return true;
    bool changed = fleet_judge(f, device, &document, &flip);
    if (!changed && strcmp(code, device->state_code) == 0)
        return true;
    if (!f->store->device_judged(f->options.control, device, err))
        return err->kind == FAIL_NOT_FOUND;
    return !changed || tell_flip(f, device, &flip, err);
}

static bool sweep_devices(struct fleet *f, struct error *err)
{
    struct sweep s = {.fleet = f};
    bool ok = f->store->device_list(f->options.control, collect_silent, &s, err);
    for (size_t i = 0; i < s.count; i++) {
        ok = ok && judge_silent(f, &s.items[i], err);
        free(s.items[i].heartbeat);
    }
    free(s.items);
    return ok;
}

bool fleet_sweep(struct fleet *f, struct error *err)
{
    return sweep_devices(f, err) && watch_sweep(f->watch, err) && fleet_count(f, err);
}

static const struct route routes[] = {
    {"POST", "/api/v1/enroll", ACCESS_PUBLIC, ROUTE_OWN_CSRF, enroll, ENROLL_BODY_BYTES},
    {"POST", "/api/v1/heartbeat", ACCESS_PUBLIC, ROUTE_OWN_CSRF, heartbeat,
     FLEET_MAX_DOCUMENT_BYTES},
    {"POST", "/api/v1/doctor-reports", ACCESS_PUBLIC, ROUTE_OWN_CSRF, doctor_report,
     FLEET_MAX_DOCUMENT_BYTES},
    {"GET", "/api/v1/health", ACCESS_ANALYST, 0, fleet_list_health, 0},
    {"GET", "/api/v1/health/changes", ACCESS_ANALYST, 0, fleet_list_changes, 0},
    {"GET", "/api/v1/doctor-marks/{mark}", ACCESS_PUBLIC, 0, fleet_find_mark, 0},
    {"GET", "/api/v1/devices", ACCESS_ANALYST, 0, fleet_list_devices, 0},
    {"GET", "/api/v1/devices/{id}", ACCESS_ANALYST, 0, fleet_get_device, 0},
    {"POST", "/api/v1/devices/{id}/doctor", ACCESS_ADMIN, 0, fleet_ask_doctor, 1024},
};

struct route_table fleet_routes(struct fleet *fleet)
{
    return (struct route_table){.routes = routes,
                                .count = sizeof routes / sizeof *routes,
                                .context = fleet};
}
