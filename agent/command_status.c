/* status: how the running agent does, from its status file. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"
#include "agent/status_file.h"
#include "core/http/client.h"
#include "platform/platform.h"
#include "platform/service.h"

enum { ANSWER_LIMIT_MS = 2000 };

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = get(object, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *item = get(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* The file stays behind when an agent is killed: only an answer proves that one runs. */
static bool is_answering(const cJSON *status)
{
    char url[64];
    struct buffer body = {.max_bytes = 4096}, headers = {.max_bytes = 16 * KIB};
    struct http_result result;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/healthz",
             (int)number_of(get(status, "relay"), "port"));
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
    const cJSON *health = get(status, "health");
    const char *why = text_of(health, "last_error");
    if (!running)
        printf("agent        not running (last seen %s)\n", text_of(status, "updated_at"));
    else
        printf("agent        %s, version %s, since %s\n",
               cJSON_IsTrue(get(health, "healthy")) ? "healthy" : "DEGRADED",
               text_of(status, "agent_version"), text_of(health, "start_time"));
    if (why[0])
        printf("             %s\n", why);
    printf("relay        %s\n", text_of(get(status, "relay"), "url"));
    printf("config       %s, %s\n", text_of(status, "config_file"),
           text_of(get(status, "config"), "status"));
}

static void print_server(const cJSON *status)
{
    const cJSON *server = get(status, "server");
    if (!cJSON_IsObject(server)) {
        printf("server       none: the relay stands alone\n");
        return;
    }
    const char *device = text_of(server, "device_id");
    const char *beat = text_of(server, "last_heartbeat_at");
    printf("server       %s, %s%s, last heartbeat %s\n", text_of(server, "url"),
           device[0] ? "device " : "not enrolled", device, beat[0] ? beat : "never");
    if (text_of(server, "last_error")[0])
        printf("             %s\n", text_of(server, "last_error"));
}

static void print_people(const cJSON *status)
{
    const cJSON *user;
    cJSON_ArrayForEach(user, get(status, "users"))
    {
        const char *email = text_of(user, "email");
        printf("user         %s: %s%s%s%s\n", text_of(user, "local_user"),
               email[0] ? email : "no e-mail", email[0] ? " (" : ": ",
               email[0] ? text_of(user, "source") : text_of(user, "problem"), email[0] ? ")" : "");
    }
}

static void print_settings(const cJSON *status)
{
    const cJSON *settings = get(status, "settings"), *source;
    const char *conflict = text_of(get(settings, "drift"), "conflict_path");
    cJSON_ArrayForEach(source, get(settings, "sources"))
    {
        printf("settings     %s: %s\n", text_of(source, "local_user"), text_of(source, "sentence"));
    }
    if (number_of(get(status, "config"), "drift_repairs_total") > 0)
        printf("             put back %.0f times, last %s\n",
               number_of(get(status, "config"), "drift_repairs_total"),
               text_of(get(settings, "drift"), "last_repair_at"));
    if (conflict[0])
        printf("             another program keeps rewriting '%s'; tried again %s\n", conflict,
               text_of(get(settings, "drift"), "next_try_at"));
}

static void print_traffic(const cJSON *status)
{
    static const char *const signals[] = {"logs", "metrics", "traces"};
    const cJSON *spool = get(status, "spool");
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        const cJSON *signal = get(get(status, "signals"), signals[i]);
        const char *last = text_of(signal, "last_received_at");
        printf("%-12s %.0f records received, last %s\n", signals[i],
               number_of(signal, "records_total"), last[0] ? last : "never");
    }
    printf(
        "spool        %.0f requests, %.0f bytes, oldest %.0f s; %.0f evicted, %.0f quarantined\n",
        number_of(spool, "records"), number_of(spool, "bytes"),
        number_of(spool, "oldest_age_seconds"), number_of(spool, "evicted_total"),
        number_of(spool, "quarantined_total"));
}

static void print_refusals(const cJSON *status)
{
    const cJSON *reason;
    cJSON_ArrayForEach(reason, get(get(status, "relay"), "refused_total"))
    {
        if (reason->valuedouble > 0)
            printf("refused      %.0f requests: %s\n", reason->valuedouble, reason->string);
    }
}

static void print_losses(const cJSON *status)
{
    const cJSON *loss;
    cJSON_ArrayForEach(loss, get(status, "ledger"))
    {
        const char *destination = text_of(loss, "destination");
        printf("lost         %.0f records of %s, %s%s%s, received %s to %s\n",
               number_of(loss, "records"), text_of(loss, "signal"), text_of(loss, "reason"),
               destination[0] ? " by " : "", destination, text_of(loss, "from"),
               text_of(loss, "to"));
    }
}

static void print_destinations(const cJSON *status)
{
    const cJSON *destination;
    cJSON_ArrayForEach(destination, get(status, "destinations"))
    {
        const char *last = text_of(destination, "last_success_at");
        printf("destination  %s: %s, %.0f records sent, %.0f requests waiting, last success %s\n",
               text_of(destination, "name"), text_of(destination, "state"),
               number_of(destination, "sent_records_total"),
               number_of(destination, "backlog_records"), last[0] ? last : "never");
        if (text_of(destination, "last_error")[0])
            printf("             %s\n", text_of(destination, "last_error"));
    }
}

static void print_brief(const cJSON *status, bool running, bool healthy)
{
    const char *why = text_of(get(status, "health"), "last_error");
    if (!running)
        printf("not running, last seen %s\n", text_of(status, "updated_at"));
    else if (healthy)
        printf("healthy, relay on %s\n", text_of(get(status, "relay"), "url"));
    else
        printf("degraded: %s\n", why);
}

static int print_status(cJSON *status, const struct command_line *line)
{
    bool running = is_answering(status);
    bool healthy = running && cJSON_IsTrue(get(get(status, "health"), "healthy"));
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
