#include "agent/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relay_setup.h"
#include "agent/service_internal.h"
#include "base/memory.h"
#include "platform/platform.h"
#include "platform/service.h"

enum {
    LOOK_MS = 1000,        /* while something happens */
    QUIET_LOOK_MS = 2000,  /* while nothing does */
    QUIET_AFTER_LOOKS = 5, /* in a row without a change */
    REFRESH_MS = 5 * 60 * 1000,
    DRAIN_LIMIT_MS = 5000,
    MAX_PASSED_SOCKETS = 8,
    STATUS_BYTES = 1024 * 1024,
};

void service_report(struct service *s, struct report *report)
{
    *report = (struct report){.now_ns = clock_wall_ns(&platform_clock),
                              .relay = &s->state,
                              .accounts = s->accounts};
    report->config.hash = s->config->hash;
    report->config.error = s->config_error;
    report->enrollment.is_wanted = s->server_url != NULL;
    report->enrollment.is_enrolled = s->device.token[0] != '\0';
    report->enrollment.error = s->enroll_error;
    report->doctor.ran = s->doctor_ran;
    report->doctor.ran_at_ns = s->doctor_ran_at_ns;
    report->doctor.failed = s->doctor_failed;
    report->doctor.warned = s->doctor_warned;
    service_settings_report(s, report);
}

static void put_relay(struct service *s, struct json_writer *w)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", s->state.port);
    json_put_key(w, "relay");
    json_object_open(w);
    json_member_string(w, "url", url);
    json_member_uint(w, "port", s->state.port);
    json_member_uint(w, "grpc_port", s->state.grpc_port);
    json_member_uint(w, "connections_open", s->state.connections_open);
    json_member_uint(w, "unknown_owner_total", s->state.unknown_owner_total);
    json_put_key(w, "refused_total");
    json_object_open(w);
    for (int i = 0; i < RELAY_REFUSED_COUNT; i++) {
        json_member_uint(w, relay_refusal_name((enum relay_refusal)i), s->state.refused_total[i]);
    }
    json_object_close(w);
    json_object_close(w);
}

static void put_server(struct service *s, struct json_writer *w)
{
    struct heartbeat_status beat = {0};
    if (s->heartbeat)
        heartbeat_status(s->heartbeat, &beat);
    json_put_key(w, "server");
    if (!s->server_url) {
        json_put_null(w);
        return;
    }
    json_object_open(w);
    json_member_string(w, "url", s->server_url);
    json_member_string(w, "device_id", s->device.id[0] ? s->device.id : NULL);
    json_member_time(w, "last_heartbeat_at", beat.last_success_ns);
    json_member_uint(w, "heartbeat_interval_seconds", beat.interval_seconds);
    json_member_time(w, "offline_since", beat.offline_since_ns);
    json_member_string(w, "last_error", beat.last_error);
    json_object_close(w);
}

/* The members of the status object, without its braces: the file adds its time. */
static bool make_status(struct service *s, struct buffer *out)
{
    struct json_writer w = json_writer_make(out);
    struct report report;
    service_report(s, &report);
    report.settings.last_diff = NULL; /* every user may read this file */
    json_object_open(&w);
    json_member_string(&w, "agent_version", AGENT_VERSION);
    json_member_string(&w, "config_file", s->config->path);
    put_relay(s, &w);
    put_server(s, &w);
    report_put(&report, &w);
    json_object_close(&w);
    return json_writer_ok(&w) && out->len > 2;
}

static bool write_status(struct service *s, bool *wrote, struct error *err)
{
    struct buffer text = {.max_bytes = STATUS_BYTES};
    relay_state(s->relay, &s->state);
    bool ok = make_status(s, &text);
    if (!ok)
        error_set(err, FAIL_TOO_LARGE, "the status is too large");
    ok = ok && status_file_put(s->status, bytes_make(text.data + 1, text.len - 2),
                               clock_wall_ns(&platform_clock), wrote, err);
    buffer_clear(&text);
    return ok;
}

/* Grows or shrinks with every event; ages and free space, which change by themselves, are left out. */
static uint64_t activity(const struct relay_state *state)
{
    uint64_t sum = state->connections_open + state->ledger_count;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        sum += state->signals[i].requests_total;
    for (int i = 0; i < RELAY_REFUSED_COUNT; i++)
        sum += state->refused_total[i];
    for (size_t i = 0; i < state->destination_count; i++)
        sum += state->destinations[i].requests_total + state->destinations[i].backlog_requests * 3 +
               (uint64_t)state->destinations[i].status * 7;
    return sum;
}

/* Looks often while something changes and seldom while nothing does, to let an idle machine rest.
 */
static void look(void *context)
{
    struct service *s = context;
    struct error err = {0};
    if (service_settings_look(s))
        accounts_refresh(s->accounts, s->config->values, s->log);
    if (!write_status(s, NULL, &err))
        log_failure(s->log, LOG_WARN_LEVEL, "agent", "status file", &err);
    uint64_t now = activity(&s->state);
    s->quiet_looks = now != s->last_activity ? 0 : s->quiet_looks + 1;
    s->last_activity = now;
    loop_timer_set(s->look, s->quiet_looks < QUIET_AFTER_LOOKS ? LOOK_MS : QUIET_LOOK_MS);
}

static void refresh(void *context)
{
    struct service *s = context;
    (void)service_settings_look(s);
    accounts_refresh(s->accounts, s->config->values, s->log);
    if (s->watch)
        settings_watch_poke(s->watch);
    loop_timer_set(s->refresh, REFRESH_MS);
}

static void feed_watchdog(void *context)
{
    struct service *s = context;
    platform_service_notify("WATCHDOG=1");
    loop_timer_set(s->watchdog, platform_service_watchdog_ms());
}

static bool start_relay(struct service *s, struct error *err)
{
    struct relay_setup setup;
    int sockets[MAX_PASSED_SOCKETS];
    bool ok =
        relay_setup_init(&setup, s->config->values, s->line->root, s->state_dir, s->accounts, err);
    if (ok) {
        setup.options.adopted_count = platform_service_sockets(sockets, MAX_PASSED_SOCKETS);
        setup.options.adopted_fds = sockets;
        s->relay = relay_create(&setup.options, &fs_real, &platform_clock, s->log, err);
        ok = s->relay && relay_start(s->relay, err);
    }
    relay_setup_clear(&setup);
    return ok;
}

static void start_timers(struct service *s)
{
    s->look = loop_timer_create(s->loop, look, s);
    s->refresh = loop_timer_create(s->loop, refresh, s);
    s->watchdog = loop_timer_create(s->loop, feed_watchdog, s);
    loop_timer_set(s->look, LOOK_MS);
    loop_timer_set(s->refresh, REFRESH_MS);
    if (platform_service_watchdog_ms() > 0)
        loop_timer_set(s->watchdog, platform_service_watchdog_ms());
}

struct service *service_create(const struct command_line *line, struct agent_config *config,
                               struct loop *loop, struct log *log, struct error *err)
{
    struct service *s = xcalloc(1, sizeof *s);
    s->line = line;
    s->config = config;
    s->loop = loop;
    s->log = log;
    s->state_dir = platform_state_dir(line->root);
    s->run_dir = platform_run_dir(line->root);
    s->status = status_file_create(s->run_dir, &fs_real);
    s->accounts = accounts_create(line->root, s->state_dir, true, &fs_real, err);
    if (!s->accounts)
        goto failed;
    (void)service_settings_look(s);
    accounts_refresh(s->accounts, config->values, log);
    if (!start_relay(s, err) || !service_server_start(s, err) || !service_settings_start(s, err))
        goto failed;

    /* Without a status file the agent still does its work. */
    struct error status_error = {0};
    if (!write_status(s, NULL, &status_error))
        log_failure(log, LOG_WARN_LEVEL, "agent", "status file", &status_error);
    start_timers(s);
    log_info(log, "agent", "runs version=%s port=%u destinations=%zu config=%s", AGENT_VERSION,
             relay_port(s->relay), s->state.destination_count,
             config->file_exists ? config->path
             : config->managed   ? config->managed
                                 : "defaults");
    return s;

failed:
    service_destroy(s);
    return NULL;
}

static bool reload_relay(struct service *s, struct error *err)
{
    struct relay_setup setup;
    bool ok = relay_setup_init(&setup, s->config->values, s->line->root, s->state_dir, s->accounts,
                               err) &&
              relay_reload(s->relay, &setup.options, err);
    relay_setup_clear(&setup);
    return ok;
}

/* Keys that only a new process takes over. */
static void warn_of_restart(struct service *s, const struct config *old)
{
    static const char *const keys[] = {"relay.listen", "relay.grpc_listen", "relay.spool.path"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(config_text(old, keys[i]), config_text(s->config->values, keys[i])) != 0)
            log_warn(s->log, "agent", "%s changed: restart the agent to use it", keys[i]);
}

static void apply_config(struct service *s, struct agent_config *old)
{
    struct error err = {0};
    warn_of_restart(s, old->values);
    accounts_refresh(s->accounts, s->config->values, s->log);
    bool ok = reload_relay(s, &err);
    if (ok && service_server_changed(s)) {
        service_server_stop(s);
        ok = service_server_start(s, &err);
    }
    if (ok) {
        service_settings_stop(s);
        ok = service_settings_start(s, &err);
    }
    if (ok) {
        log_info(s->log, "agent", "configuration read again");
        return;
    }
    log_failure(s->log, LOG_ERROR_LEVEL, "agent", "reload", &err);
    snprintf(s->config_error, sizeof s->config_error, "%s", err.cause);
}

void service_reload(struct service *s)
{
    struct config_problems problems = {0};
    struct agent_config *next =
        agent_config_load(s->line->root, s->line->config, &fs_real, &problems);
    s->config_error[0] = '\0';
    if (next) {
        struct agent_config *old = s->config;
        s->config = next;
        apply_config(s, old);
        agent_config_destroy(old);
    } else {
        for (size_t i = 0; i < problems.count; i++)
            log_failure(s->log, LOG_ERROR_LEVEL, "agent", "configuration not taken over",
                        &problems.items[i]);
        snprintf(s->config_error, sizeof s->config_error, "%s", problems.items[0].cause);
    }
    config_problems_clear(&problems);
    relay_refresh_credentials(s->relay);
    loop_timer_set(s->look, 0);
}

void service_destroy(struct service *s)
{
    if (!s)
        return;
    loop_timer_destroy(s->look);
    loop_timer_destroy(s->refresh);
    loop_timer_destroy(s->watchdog);
    service_settings_stop(s);
    settings_status_clear(&s->applied);
    service_server_stop(s);
    if (s->relay)
        relay_drain(s->relay, DRAIN_LIMIT_MS);
    relay_destroy(s->relay);
    status_file_remove(s->status);
    status_file_destroy(s->status);
    accounts_destroy(s->accounts);
    agent_config_destroy(s->config);
    free(s->state_dir);
    free(s->run_dir);
    free(s);
}
