/* status: how the running agent does, from its status file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"
#include "agent/status_file.h"
#include "core/http/client.h"
#include "core/json/members.h"
#include "platform/platform.h"
#include "platform/service.h"

enum { ANSWER_LIMIT_MS = 2000 };

/* The file stays behind when an agent is killed: only an answer proves that one runs. */
static bool is_answering(const cJSON *status)
{
    char url[64];
    struct buffer body = {.max_bytes = 4096}, headers = {.max_bytes = 16 * KIB};
    struct http_result result;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/healthz",
             (int)json_count_at(json_at(status, "relay"), "port"));
    struct http_call call = {.method = "GET",
                             .url = url,
                             .timeout_ms = ANSWER_LIMIT_MS,
                             .connect_timeout_ms = ANSWER_LIMIT_MS,
                             .max_answer_bytes = 4096};
    http_client_perform(&call, &result, &body, &headers);
    bool answers = result.stage == HTTP_STAGE_DONE && result.status == 200;
    buffer_clear(&body);
    buffer_clear(&headers);
    return answers;
}

static void print_health(const cJSON *status, bool running)
{
    const cJSON *health = json_at(status, "health");
    const char *why = json_text_at(health, "last_error");
    if (!running)
        printf("agent        not running (last seen %s)\n", json_text_at(status, "updated_at"));
    else
        printf("agent        %s, version %s, since %s\n",
               cJSON_IsTrue(json_at(health, "healthy")) ? "healthy" : "DEGRADED",
               json_text_at(status, "agent_version"), json_text_at(health, "start_time"));
    if (why[0])
        printf("             %s\n", why);
    printf("relay        %s\n", json_text_at(json_at(status, "relay"), "url"));
    printf("config       %s, %s\n", json_text_at(status, "config_file"),
           json_text_at(json_at(status, "config"), "status"));
}

static void print_server(const cJSON *status)
{
    const cJSON *server = json_at(status, "server");
    if (!cJSON_IsObject(server)) {
        printf("server       none: the relay stands alone\n");
        return;
    }
    const char *device = json_text_at(server, "device_id");
    const char *beat = json_text_at(server, "last_heartbeat_at");
    printf("server       %s, %s%s, last heartbeat %s\n", json_text_at(server, "url"),
           device[0] ? "device " : "not enrolled", device, beat[0] ? beat : "never");
    if (json_text_at(server, "last_error")[0])
        printf("             %s\n", json_text_at(server, "last_error"));
}

static void print_people(const cJSON *status)
{
    const cJSON *user;
    cJSON_ArrayForEach(user, json_at(status, "users"))
    {
        const char *email = json_text_at(user, "email");
        printf("user         %s: %s%s%s%s\n", json_text_at(user, "local_user"),
               email[0] ? email : "no e-mail", email[0] ? " (" : ": ",
               email[0] ? json_text_at(user, "source") : json_text_at(user, "problem"),
               email[0] ? ")" : "");
    }
}

static void print_settings(const cJSON *status)
{
    const cJSON *settings = json_at(status, "settings"), *source;
    const char *conflict = json_text_at(json_at(settings, "drift"), "conflict_path");
    cJSON_ArrayForEach(source, json_at(settings, "sources"))
    {
        printf("settings     %s: %s\n", json_text_at(source, "local_user"),
               json_text_at(source, "sentence"));
    }
    if (json_count_at(json_at(status, "config"), "drift_repairs_total") > 0)
        printf("             put back %" PRIu64 " times, last %s\n",
               json_count_at(json_at(status, "config"), "drift_repairs_total"),
               json_text_at(json_at(settings, "drift"), "last_repair_at"));
    if (conflict[0])
        printf("             another program keeps rewriting '%s'; tried again %s\n", conflict,
               json_text_at(json_at(settings, "drift"), "next_try_at"));
}

static void print_traffic(const cJSON *status)
{
    static const char *const signals[] = {"logs", "metrics", "traces"};
    const cJSON *spool = json_at(status, "spool");
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        const cJSON *signal = json_at(json_at(status, "signals"), signals[i]);
        const char *last = json_text_at(signal, "last_received_at");
        printf("%-12s %" PRIu64 " records received, last %s\n", signals[i],
               json_count_at(signal, "records_total"), last[0] ? last : "never");
    }
    printf("spool        %" PRIu64 " records, %" PRIu64 " bytes, oldest %" PRIu64 " s; %" PRIu64
           " evicted, %" PRIu64 " quarantined\n",
           json_count_at(spool, "records"), json_count_at(spool, "bytes"),
           json_count_at(spool, "oldest_age_seconds"), json_count_at(spool, "evicted_total"),
           json_count_at(spool, "quarantined_total"));
}

static void print_refusals(const cJSON *status)
{
    const cJSON *reason;
    cJSON_ArrayForEach(reason, json_at(json_at(status, "relay"), "refused_total"))
    {
        if (reason->valuedouble > 0)
            printf("refused      %.0f requests: %s\n", reason->valuedouble, reason->string);
    }
}

static void print_losses(const cJSON *status)
{
    const cJSON *loss;
    cJSON_ArrayForEach(loss, json_at(status, "ledger"))
    {
        const char *destination = json_text_at(loss, "destination");
        printf("lost         %" PRIu64 " records of %s, %s%s%s, received %s to %s\n",
               json_count_at(loss, "records"), json_text_at(loss, "signal"),
               json_text_at(loss, "reason"), destination[0] ? " by " : "", destination,
               json_text_at(loss, "from"), json_text_at(loss, "to"));
    }
}

static void print_destinations(const cJSON *status)
{
    const cJSON *destination;
    cJSON_ArrayForEach(destination, json_at(status, "destinations"))
    {
        const char *last = json_text_at(destination, "last_success_at");
        printf("destination  %s: %s, %" PRIu64 " records sent, %" PRIu64
               " records waiting, last success %s\n",
               json_text_at(destination, "name"), json_text_at(destination, "state"),
               json_count_at(destination, "sent_records_total"),
               json_count_at(destination, "backlog_records"), last[0] ? last : "never");
        if (json_text_at(destination, "last_error")[0])
            printf("             %s\n", json_text_at(destination, "last_error"));
    }
}

static void print_brief(const cJSON *status, bool running, bool healthy)
{
    const char *why = json_text_at(json_at(status, "health"), "last_error");
    if (!running)
        printf("not running, last seen %s\n", json_text_at(status, "updated_at"));
    else if (healthy)
        printf("healthy, relay on %s\n", json_text_at(json_at(status, "relay"), "url"));
    else
        printf("degraded: %s\n", why);
}

static int print_status(cJSON *status, const struct command_line *line)
{
    bool running = is_answering(status);
    bool healthy = running && cJSON_IsTrue(json_at(json_at(status, "health"), "healthy"));
    if (line->json) {
        cJSON_AddBoolToObject(status, "running", running);
        char *text = cJSON_Print(status);
        puts(text ? text : "{}");
        cJSON_free(text);
    } else if (line->brief) {
        print_brief(status, running, healthy);
    } else {
        print_health(status, running);
        print_server(status);
        print_people(status);
        print_settings(status);
        print_traffic(status);
        print_destinations(status);
        print_refusals(status);
        print_losses(status);
    }
    return healthy ? EXIT_DONE : EXIT_FAILED;
}

int command_status(const struct command_line *line)
{
    struct buffer text = {0};
    struct error err = {0};
    char *run_dir = platform_run_dir(line->root);
    cJSON *status = NULL;
    int code = EXIT_FAILED;

    if (status_file_read(run_dir, &fs_real, &text, &err)) {
        status = cJSON_ParseWithLength((const char *)text.data, text.len);
        if (!cJSON_IsObject(status))
            error_set(&err, FAIL_CORRUPT, "'%s/status.json' is damaged", run_dir);
    } else if (err.kind == FAIL_NOT_FOUND) {
        error_set(&err, FAIL_NOT_FOUND, "the agent is not running: '%s/status.json' does not exist",
                  run_dir);
        error_remedy(&err, "start it: %s", platform_service_command(PLATFORM_SERVICE_ENABLE));
    }
    if (cJSON_IsObject(status)) {
        code = print_status(status, line);
    } else {
        if (line->json)
            puts("{\"running\": false}");
        else if (line->brief)
            puts("not running");
        command_fail(&err);
    }
    cJSON_Delete(status);
    buffer_clear(&text);
    free(run_dir);
    return code;
}
