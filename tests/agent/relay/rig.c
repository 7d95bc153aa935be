#include "tests/agent/relay/rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "tests/support/make_logs.h"
#include "tests/support/temp_dir.h"

enum { WAIT_MS = 20000, POLL_NS = 2000000, URL_BYTES = 128 };

void rig_set_up(struct rig *rig)
{
    *rig = (struct rig){0};
    rig->fs = &fs_real;
    rig->clock = &platform_clock;
    rig->dir = temp_dir_make();
    rig->spool_dir = xasprintf("%s/spool", rig->dir);
    static const char *const names[RIG_DESTINATIONS] = {"first", "second"};
    for (int i = 0; i < RIG_DESTINATIONS; i++) {
        rig->fake[i] = fake_destination_create();
        rig->destination[i].name = names[i];
        for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
            rig->destination[i].url[s] = fake_destination_url(rig->fake[i], (enum otlp_signal)s);
    }
    rig->options = (struct relay_options){
        .listen = {"127.0.0.1:0"},
        .listen_count = 1,
        .token_policy = RELAY_TOKEN_NEVER,
        .spool = {.dir = rig->spool_dir, .max_bytes = 64 * MIB, .segment_bytes = MIB},
        .destinations = rig->destination,
        .destination_count = 1,
        .retry_first_ms = 20,
        .retry_limit_ms = 400,
    };
}

void rig_tear_down(struct rig *rig)
{
    rig_stop(rig);
    for (int i = 0; i < RIG_DESTINATIONS; i++)
        fake_destination_destroy(rig->fake[i]);
    free(rig->spool_dir);
    temp_dir_remove(rig->dir);
}

void rig_start(struct rig *rig)
{
    struct error err;
    rig->relay = relay_create(&rig->options, rig->fs, rig->clock, NULL, &err);
    ck_assert_msg(rig->relay != NULL, "%s", err.cause);
    ck_assert_msg(relay_start(rig->relay, &err), "%s", err.cause);
}

void rig_stop(struct rig *rig)
{
    relay_destroy(rig->relay);
    rig->relay = NULL;
}

int rig_call(struct rig *rig, const char *method, const char *path, struct bytes body,
             const char *const *headers, struct buffer *answer, struct buffer *answer_headers)
{
    char url[URL_BYTES];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", relay_port(rig->relay), path);
    struct http_call call = {.method = method, .url = url, .headers = headers, .body = body};
    struct http_result result;
    http_client_perform(&call, &result, answer, answer_headers);
    ck_assert_msg(result.stage == HTTP_STAGE_DONE, "%s %s: %s", method, path, result.error);
    return result.status;
}

int rig_post(struct rig *rig, const char *path, struct bytes body, const char *const *headers)
{
    static const char *const protobuf[] = {"Content-Type: application/x-protobuf", NULL};
    struct buffer answer = {.max_bytes = MIB};
    struct buffer answer_headers = {.max_bytes = MIB};
    int status =
        rig_call(rig, "POST", path, body, headers ? headers : protobuf, &answer, &answer_headers);
    buffer_clear(&answer);
    buffer_clear(&answer_headers);
    return status;
}

void rig_send(struct rig *rig, unsigned first, unsigned count)
{
    struct buffer body = {0};
    make_logs(first, count, 40, NULL, NULL, &body);
    ck_assert_int_eq(rig_post(rig, "/v1/logs", buffer_bytes(&body), NULL), 200);
    buffer_clear(&body);
}

static void wait_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
}

static uint64_t now_ms(void)
{
    return clock_monotonic_ns(&platform_clock) / NS_PER_MS;
}

void rig_expect_status(struct rig *rig, size_t i, enum relay_destination_status status)
{
    uint64_t until = now_ms() + WAIT_MS;
    do {
        relay_state(rig->relay, &rig->state);
        if (rig->state.destinations[i].status == status)
            return;
        wait_a_moment();
    } while (now_ms() < until);
    ck_abort_msg("state is %s (%s), not %s", relay_status_name(rig->state.destinations[i].status),
                 rig->state.destinations[i].last_error, relay_status_name(status));
}

void rig_expect_no_backlog(struct rig *rig, size_t i)
{
    uint64_t until = now_ms() + WAIT_MS;
    do {
        relay_state(rig->relay, &rig->state);
        if (rig->state.destinations[i].backlog_records == 0)
            return;
        wait_a_moment();
    } while (now_ms() < until);
    ck_abort_msg("%llu requests still queued, state %s (%s)",
                 (unsigned long long)rig->state.destinations[i].backlog_records,
                 relay_status_name(rig->state.destinations[i].status),
                 rig->state.destinations[i].last_error);
}

uint64_t rig_lost(struct rig *rig, enum spool_loss reason)
{
    uint64_t records = 0;
    relay_state(rig->relay, &rig->state);
    for (size_t i = 0; i < rig->state.ledger_count; i++)
        if (rig->state.ledger[i].reason == reason)
            records += rig->state.ledger[i].records;
    return records;
}
