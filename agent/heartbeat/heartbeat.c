#include "agent/heartbeat/heartbeat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/heartbeat/doctor.h"
#include "agent/heartbeat/outage.h"
#include "base/memory.h"
#include "core/json/members.h"
#include "platform/platform.h"

enum {
    REPORT_BYTES = 1024 * 1024,
    ANSWER_BYTES = 64 * 1024,
    COMMAND_ID_BYTES = 128,
    KNOWN_COMMANDS = 16,
    LONGEST_PAUSE_MS = 5 * 60 * 1000,
    LONGEST_INTERVAL_S = 24 * 60 * 60,
};

struct heartbeat {
    struct loop *loop;
    struct http_client *client;
    const struct clock *clock;
    struct log *log;
    struct loop_timer *timer;
    struct http_transfer *transfer;
    struct buffer body; /* of the transfer */

    const struct fs *fs;
    char *url, *report_url, *ca_file, *agent_version, *state_dir;
    const char *const *doctor;
    void *context;
    const char *(*token)(void *context);
    void (*put_report)(void *context, struct json_writer *w);
    void (*rotated)(void *context, const char *token);
    void (*unauthorized)(void *context);
    void (*examined)(void *context, struct bytes report);

    char instance_uid[PLATFORM_UUID_BYTES];
    uint64_t sequence_num;
    uint32_t interval_s;
    unsigned failures; /* in a row */
    uint64_t last_success_ns;
    struct outage outage;       /* none while the last one arrived */
    uint64_t outage_at_mono_ns; /* when this process began to count it */
    uint64_t outage_before_ns;  /* how long it was then */

    /* Saying goodbye. */
    bool is_leaving;
    struct loop_timer *limit;
    void (*left)(void *context);
    void *left_context;

    /* The doctor's command at hand, and those done with. */
    struct doctor_run *run;
    struct http_transfer *report_transfer;
    struct buffer report_body;
    char command[COMMAND_ID_BYTES];
    char known[KNOWN_COMMANDS][COMMAND_ID_BYTES];
    unsigned next_known;
};

static void beat(void *context);
static void leave(void *context);

/* An outage that an earlier process did not see the end of. */
static void recall_outage(struct heartbeat *h)
{
    uint64_t now_ns = clock_wall_ns(h->clock);
    outage_read(h->fs, h->state_dir, now_ns, &h->outage);
    h->outage_at_mono_ns = clock_monotonic_ns(h->clock);
    h->outage_before_ns = h->outage.since_ns ? now_ns - h->outage.since_ns : 0;
}

struct heartbeat *heartbeat_create(struct loop *loop, struct http_client *client,
                                   const struct heartbeat_options *options,
                                   const struct clock *clock, struct log *log)
{
    struct heartbeat *h = xcalloc(1, sizeof *h);
    h->loop = loop;
    h->client = client;
    h->clock = clock;
    h->log = log;
    h->body.max_bytes = h->report_body.max_bytes = 2 * REPORT_BYTES;
    h->url = xasprintf("%s/api/v1/heartbeat", options->server_url);
    h->report_url = xasprintf("%s/api/v1/doctor-reports", options->server_url);
    h->ca_file = xstrdup(options->ca_file);
    h->agent_version = xstrdup(options->agent_version);
    h->state_dir = xstrdup(options->state_dir);
    h->fs = options->fs;
    h->doctor = options->doctor;
    h->context = options->context;
    h->token = options->token;
    h->put_report = options->put_report;
    h->rotated = options->rotated;
    h->unauthorized = options->unauthorized;
    h->examined = options->examined;
    h->interval_s = options->interval_seconds;
    platform_uuid(h->instance_uid);
    recall_outage(h);
    h->timer = loop_timer_create(loop, beat, h);
    h->limit = loop_timer_create(loop, leave, h);

    uint32_t random;
    platform_random(&random, sizeof random);
    loop_timer_set(h->timer, random % (options->first_delay_ms + 1));
    return h;
}

void heartbeat_destroy(struct heartbeat *h)
{
    if (!h)
        return;
    if (h->transfer)
        http_client_cancel(h->transfer);
    if (h->report_transfer)
        http_client_cancel(h->report_transfer);
    doctor_run_destroy(h->run);
    loop_timer_destroy(h->timer);
    loop_timer_destroy(h->limit);
    buffer_clear(&h->body);
    buffer_clear(&h->report_body);
    free(h->url);
    free(h->report_url);
    free(h->ca_file);
    free(h->agent_version);
    free(h->state_dir);
    free(h);
}

/* A tenth of jitter, so that machines that started together drift apart. */
static uint64_t jittered(uint64_t pause_ms)
{
    uint32_t random;
    platform_random(&random, sizeof random);
    uint64_t tenth = pause_ms / 10;
    return pause_ms - tenth + random % (2 * tenth + 1);
}

static void schedule(struct heartbeat *h, uint64_t at_least_ms)
{
    uint64_t pause = (uint64_t)h->interval_s * 1000;
    uint64_t limit = pause > LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS;
    if (h->failures > 1)
        pause <<= h->failures < 10 ? h->failures - 1 : 9;
    pause = jittered(pause < limit ? pause : limit);
    loop_timer_set(h->timer, pause > at_least_ms ? pause : at_least_ms);
}

static void put_offline_reason(struct heartbeat *h, struct json_writer *w)
{
    char text[400];
    if (h->outage.since_ns == 0)
        return;
    uint64_t here_ns = clock_monotonic_ns(h->clock) - h->outage_at_mono_ns;
    uint64_t seconds = (h->outage_before_ns + here_ns) / NS_PER_S;
    snprintf(text, sizeof text, "%llu s: %s", (unsigned long long)seconds, h->outage.why);
    json_member_string(w, "offline_reason", text);
}

static bool make_body(struct heartbeat *h)
{
    buffer_reset(&h->body);
    struct json_writer w = json_writer_make(&h->body);
    json_object_open(&w);
    json_member_string(&w, "instance_uid", h->instance_uid);
    json_member_uint(&w, "sequence_num", ++h->sequence_num);
    json_member_time(&w, "sent_at", clock_wall_ns(h->clock));
    json_member_string(&w, "agent_version", h->agent_version);
    h->put_report(h->context, &w);
    put_offline_reason(h, &w);
    json_member_bool(&w, "agent_disconnect", h->is_leaving);
    json_object_close(&w);
    return json_writer_ok(&w);
}

static struct http_transfer *post(struct heartbeat *h, const char *url, struct bytes body,
                                  const char *token, http_done *done)
{
    char *authorization = xasprintf("Authorization: Bearer %s", token);
    const char *const headers[] = {"Content-Type: application/json", authorization, NULL};
    struct http_call call = {.method = "POST",
                             .url = url,
                             .headers = headers,
                             .body = body,
                             .ca_file = h->ca_file,
                             .max_answer_bytes = ANSWER_BYTES};
    struct http_transfer *transfer = http_client_start(h->client, &call, done, h);
    free(authorization);
    return transfer;
}

/* Commands. */

static void report_answered(void *context, const struct http_result *result)
{
    struct heartbeat *h = context;
    h->report_transfer = NULL;
    if (result->stage == HTTP_STAGE_DONE && result->status / 100 == 2) {
        snprintf(h->known[h->next_known++ % KNOWN_COMMANDS], COMMAND_ID_BYTES, "%s", h->command);
        log_info(h->log, "heartbeat", "doctor's report sent command=%s", h->command);
    } else {
        /* The server asks again with the next heartbeat. */
        log_warn(h->log, "heartbeat", "doctor's report not taken command=%s status=%d %s",
                 h->command, result->status, result->error);
    }
    h->command[0] = '\0';
}

static void on_examined(void *context, struct bytes report, const char *problem)
{
    struct heartbeat *h = context;
    const char *token = h->token(h->context);
    buffer_reset(&h->report_body);
    struct json_writer w = json_writer_make(&h->report_body);
    cJSON *parsed = cJSON_ParseWithLength((const char *)report.data, report.len);

    json_object_open(&w);
    json_member_string(&w, "command_id", h->command);
    json_member_string(&w, "instance_uid", h->instance_uid);
    json_member_time(&w, "ran_at", clock_wall_ns(h->clock));
    json_put_key(&w, "report");
    if (parsed)
        json_put_raw(&w, report);
    else
        json_put_null(&w);
    if (!parsed) {
        json_member_string(&w, "error",
                           report.len > 0 ? "the doctor's report is not JSON" : problem);
    }
    json_object_close(&w);
    if (parsed && h->examined)
        h->examined(h->context, report);
    cJSON_Delete(parsed);

    if (token && json_writer_ok(&w))
        h->report_transfer =
            post(h, h->report_url, buffer_bytes(&h->report_body), token, report_answered);
    else
        h->command[0] = '\0';
}

static bool is_known(const struct heartbeat *h, const char *id)
{
    for (size_t i = 0; i < KNOWN_COMMANDS; i++)
        if (strcmp(h->known[i], id) == 0)
            return true;
    return false;
}

static void obey(struct heartbeat *h, const char *id)
{
    struct error err = {0};
    if (h->command[0] != '\0' || is_known(h, id))
        return;
    snprintf(h->command, sizeof h->command, "%s", id);
    doctor_run_destroy(h->run);
    h->run = NULL;
    if (!h->doctor) {
        on_examined(h, bytes_make(NULL, 0), "claude-telemetry-doctor is not installed");
        return;
    }
    log_info(h->log, "heartbeat", "doctor runs command=%s", id);
    h->run = doctor_run_start(h->loop, h->doctor, on_examined, h, &err);
    if (!h->run)
        on_examined(h, bytes_make(NULL, 0), err.cause);
}

static void read_commands(struct heartbeat *h, const cJSON *answer)
{
    const cJSON *command;
    cJSON_ArrayForEach(command, json_at(answer, "commands"))
    {
        const cJSON *id = json_at(command, "id");
        const cJSON *type = json_at(command, "type");
        if (cJSON_IsString(id) && id->valuestring[0] != '\0' &&
            strlen(id->valuestring) < COMMAND_ID_BYTES && cJSON_IsString(type) &&
            strcmp(type->valuestring, "doctor") == 0)
            obey(h, id->valuestring);
    }
}

static void read_answer(struct heartbeat *h, struct bytes body)
{
    cJSON *answer = cJSON_ParseWithLength((const char *)body.data, body.len);
    const cJSON *interval = json_at(answer, "heartbeat_interval_seconds");
    const cJSON *token = json_at(answer, "device_token");
    if (cJSON_IsNumber(interval) && interval->valuedouble >= 1 &&
        interval->valuedouble <= LONGEST_INTERVAL_S)
        h->interval_s = (uint32_t)interval->valuedouble;
    if (cJSON_IsString(token) && token->valuestring[0] != '\0')
        h->rotated(h->context, token->valuestring);
    if (!h->is_leaving)
        read_commands(h, answer);
    cJSON_Delete(answer);
}

/* Answers. */

static void note_failure(struct heartbeat *h, const char *why)
{
    struct error err = {0};
    h->failures++;
    /* A network that goes before the goodbye does is no outage to explain. */
    if (h->is_leaving && h->outage.since_ns == 0)
        return;
    if (strcmp(h->outage.why, why) == 0)
        return;
    snprintf(h->outage.why, sizeof h->outage.why, "%s", why);
    if (h->outage.since_ns == 0) {
        h->outage.since_ns = clock_wall_ns(h->clock);
        h->outage_at_mono_ns = clock_monotonic_ns(h->clock);
        h->outage_before_ns = 0;
        log_warn(h->log, "heartbeat", "server not reached: %s", why);
    }
    if (!outage_write(h->fs, h->state_dir, &h->outage, &err))
        log_warn(h->log, "heartbeat", "%s", err.cause);
}

static void note_success(struct heartbeat *h)
{
    struct error err = {0};
    if (h->outage.since_ns > 0) {
        log_info(h->log, "heartbeat", "server reached again");
        if (!outage_forget(h->fs, h->state_dir, &err))
            log_warn(h->log, "heartbeat", "%s", err.cause);
    }
    h->failures = 0;
    h->outage = (struct outage){0};
    h->last_success_ns = clock_wall_ns(h->clock);
}

static void answered(void *context, const struct http_result *result)
{
    static const char *const stages[] = {"answer", "name lookup", "connect", "TLS", "send"};
    struct heartbeat *h = context;
    char why[240];
    uint64_t wait_ms = 0;
    h->transfer = NULL;

    if (result->stage != HTTP_STAGE_DONE) {
        snprintf(why, sizeof why, "%s: %s", stages[result->stage], result->error);
        note_failure(h, why);
    } else if (result->status != 200) {
        snprintf(why, sizeof why, "the server answers %d", result->status);
        note_failure(h, why);
        http_result_retry_after_ms(result, clock_wall_ns(h->clock), &wait_ms);
        if (result->status == 401)
            h->unauthorized(h->context);
    } else {
        note_success(h);
        read_answer(h, result->body);
    }
    if (h->is_leaving)
        leave(h);
    else
        schedule(h, wait_ms < LONGEST_PAUSE_MS ? wait_ms : LONGEST_PAUSE_MS);
}

static void beat(void *context)
{
    struct heartbeat *h = context;
    const char *token = h->token(h->context);
    if (h->transfer)
        return;
    if (token && make_body(h))
        h->transfer = post(h, h->url, buffer_bytes(&h->body), token, answered);
    if (!h->transfer && h->is_leaving)
        leave(h);
    else if (!h->transfer)
        schedule(h, 0);
}

void heartbeat_poke(struct heartbeat *h)
{
    if (!h->transfer && !h->is_leaving)
        loop_timer_set(h->timer, 0);
}

static void leave(void *context)
{
    struct heartbeat *h = context;
    void (*left)(void *) = h->left;
    h->left = NULL;
    loop_timer_cancel(h->limit);
    loop_timer_cancel(h->timer);
    if (left)
        left(h->left_context);
}

void heartbeat_goodbye(struct heartbeat *h, uint32_t limit_ms, void (*done)(void *context),
                       void *context)
{
    h->is_leaving = true;
    h->left = done;
    h->left_context = context;
    if (h->transfer)
        http_client_cancel(h->transfer);
    h->transfer = NULL;
    loop_timer_set(h->limit, limit_ms);
    loop_timer_set(h->timer, 0);
}

void heartbeat_status(const struct heartbeat *h, struct heartbeat_status *out)
{
    *out = (struct heartbeat_status){.last_success_ns = h->last_success_ns,
                                     .sequence_num = h->sequence_num,
                                     .interval_seconds = h->interval_s,
                                     .offline_since_ns = h->outage.since_ns};
    snprintf(out->last_error, sizeof out->last_error, "%s", h->outage.why);
}
