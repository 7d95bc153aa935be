/* The service and the server: enrolment, heartbeat, the doctor's commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/service_internal.h"
#include "base/memory.h"
#include "core/json/members.h"
#include "platform/platform.h"
#include "platform/service.h"

enum { FIRST_HEARTBEAT_WITHIN_MS = 1000, GOODBYE_LIMIT_MS = 2000 };

static void put_users(void *context, struct json_writer *w)
{
    struct service *s = context;
    accounts_put_users(s->accounts, w);
}

static void take_device(struct service *s, const struct device *device)
{
    s->device = *device;
    accounts_set_device(s->accounts, device->id, device->token);
    relay_refresh_credentials(s->relay);
}

static void on_enrolled(void *context, const struct device *device)
{
    struct service *s = context;
    s->enroll_error[0] = '\0';
    take_device(s, device);
    heartbeat_poke(s->heartbeat);
}

static void on_not_enrolled(void *context, const struct error *err)
{
    struct service *s = context;
    snprintf(s->enroll_error, sizeof s->enroll_error, "%s", err->cause);
}

static const char *current_token(void *context)
{
    struct service *s = context;
    return s->device.token[0] ? s->device.token : NULL;
}

static void put_report(void *context, struct json_writer *w)
{
    struct service *s = context;
    struct report report;
    relay_state(s->relay, &s->state);
    if (service_settings_look(s))
        accounts_refresh(s->accounts, s->config->values, s->log);
    service_report(s, &report);
    report_put(&report, w);
}

static void on_rotated(void *context, const char *token)
{
    struct service *s = context;
    struct device device = s->device;
    struct error err = {0};
    if (strcmp(token, device.token) == 0)
        return;
    if (strlen(token) >= sizeof device.token || !device_token_is_sound(token)) {
        log_warn(s->log, "heartbeat", "the server's new token is not usable");
        return;
    }
    snprintf(device.token, sizeof device.token, "%s", token);
    if (!device_save(&fs_real, s->state_dir, &device, &err))
        log_failure(s->log, LOG_ERROR_LEVEL, "heartbeat", "token", &err);
    take_device(s, &device); /* the old one may be good no longer: use it even if not kept */
    log_info(s->log, "heartbeat", "device token rotated");
}

static void on_unauthorized(void *context)
{
    struct service *s = context;
    if (s->enroll)
        enroll_start(s->enroll);
}

static void on_examined(void *context, struct bytes text)
{
    struct service *s = context;
    cJSON *report = cJSON_ParseWithLength((const char *)text.data, text.len);
    const cJSON *summary = json_at(report, "summary");
    s->doctor_ran = true;
    s->doctor_ran_at_ns = clock_wall_ns(&platform_clock);
    s->doctor_failed = (uint32_t)json_count_at(summary, "fail");
    s->doctor_warned = (uint32_t)json_count_at(summary, "warn");
    cJSON_Delete(report);
}

/* The doctor that was installed beside this program; NULL when there is none. */
static const char *const *find_doctor(struct service *s)
{
    char *dir = platform_program_dir();
    struct fs_stat found;
    struct error err;
    free(s->doctor_path);
    s->doctor_path = dir ? xasprintf("%s/claude-telemetry-doctor", dir) : NULL;
    free(dir);
    if (!s->doctor_path || !fs_real.stat(fs_real.disk, s->doctor_path, &found, &err))
        return NULL;
    size_t n = 0;
    s->doctor_argv[n++] = s->doctor_path;
    s->doctor_argv[n++] = "--json";
    s->doctor_argv[n++] = "--root";
    s->doctor_argv[n++] = s->line->root;
    if (s->line->config) {
        s->doctor_argv[n++] = "--config";
        s->doctor_argv[n++] = s->line->config;
    }
    s->doctor_argv[n] = NULL;
    return s->doctor_argv;
}

/* Whether the token was given to this machine, and not to one that this is a copy of. */
static bool is_of_this_machine(struct service *s, struct device *device)
{
    char hardware[DEVICE_HARDWARE_BYTES];
    struct error err = {0};
    if (!device_hardware_id(&fs_real, s->line->root, s->state_dir, hardware, &err)) {
        log_failure(s->log, LOG_WARN_LEVEL, "enroll", "this machine's id", &err);
        return true; /* no reason to lose a token that may be good */
    }
    if (device->hardware_id[0])
        return strcmp(device->hardware_id, hardware) == 0;
    memcpy(device->hardware_id, hardware, sizeof device->hardware_id);
    if (!device_save(&fs_real, s->state_dir, device, &err))
        log_failure(s->log, LOG_WARN_LEVEL, "enroll", "token not bound to this machine", &err);
    return true;
}

static void load_device(struct service *s)
{
    struct error err = {0};
    struct device device;
    memset(&s->device, 0, sizeof s->device);
    if (!device_load(&fs_real, s->state_dir, &device, &err)) {
        if (err.kind != FAIL_NOT_FOUND)
            log_failure(s->log, LOG_WARN_LEVEL, "enroll", "enrolling again", &err);
        return;
    }
    if (strcmp(device.server_url, s->server_url) != 0)
        log_info(s->log, "enroll", "another server than before: enrolling again");
    else if (!is_of_this_machine(s, &device))
        log_warn(s->log, "enroll", "this is another machine than was enrolled: enrolling again");
    else
        take_device(s, &device);
}

static char *below_root(const struct service *s, const char *key)
{
    const char *path = config_text(s->config->values, key);
    return path ? config_path_under(s->line->root, path) : NULL;
}

static void start_enrolment(struct service *s)
{
    struct enroll_options options = {
        .server_url = s->server_url,
        .ca_file = s->ca_file,
        .secret_file = s->secret_file,
        .root = s->line->root,
        .state_dir = s->state_dir,
        .agent_version = AGENT_VERSION,
        .context = s,
        .put_users = put_users,
        .enrolled = on_enrolled,
        .failed = on_not_enrolled,
    };
    if (!s->secret_file) {
        snprintf(s->enroll_error, sizeof s->enroll_error,
                 "server.enrollment_secret_file is not set");
        return;
    }
    s->enroll = enroll_create(s->loop, s->client, &options, &fs_real, &platform_clock, s->log);
    if (!s->device.token[0])
        enroll_start(s->enroll);
}

bool service_server_start(struct service *s, struct error *err)
{
    s->server_url = agent_server_url(s->config->values, "");
    if (!s->server_url)
        return true;
    s->ca_file = below_root(s, "server.ca_file");
    s->secret_file = below_root(s, "server.enrollment_secret_file");
    s->client = http_client_create(s->loop, err);
    if (!s->client)
        return false;
    load_device(s);

    uint32_t configured = (uint32_t)config_integer(s->config->values, "heartbeat.interval_seconds");
    uint32_t told = s->device.heartbeat_interval_seconds;
    struct heartbeat_options options = {
        .server_url = s->server_url,
        .ca_file = s->ca_file,
        .agent_version = AGENT_VERSION,
        .state_dir = s->state_dir,
        .fs = &fs_real,
        .interval_seconds = told ? told : configured,
        .first_delay_ms = FIRST_HEARTBEAT_WITHIN_MS,
        .doctor = find_doctor(s),
        .context = s,
        .token = current_token,
        .put_report = put_report,
        .rotated = on_rotated,
        .unauthorized = on_unauthorized,
        .examined = on_examined,
    };
    s->heartbeat = heartbeat_create(s->loop, s->client, &options, &platform_clock, s->log);
    start_enrolment(s);
    return true;
}

void service_server_stop(struct service *s)
{
    enroll_destroy(s->enroll);
    heartbeat_destroy(s->heartbeat);
    http_client_destroy(s->client);
    s->enroll = NULL;
    s->heartbeat = NULL;
    s->client = NULL;
    free(s->server_url);
    free(s->ca_file);
    free(s->secret_file);
    free(s->doctor_path);
    s->server_url = s->ca_file = s->secret_file = s->doctor_path = NULL;
}

static bool same(char *a, const char *b)
{
    bool equal = (!a && !b) || (a && b && strcmp(a, b) == 0);
    free(a);
    return equal;
}

bool service_server_changed(const struct service *s)
{
    return !same(agent_server_url(s->config->values, ""), s->server_url) ||
           !same(below_root(s, "server.ca_file"), s->ca_file) ||
           !same(below_root(s, "server.enrollment_secret_file"), s->secret_file);
}

void service_leave(struct service *s, void (*done)(void *context), void *context)
{
    if (s->heartbeat)
        heartbeat_goodbye(s->heartbeat, GOODBYE_LIMIT_MS, done, context);
    else
        done(context);
}
