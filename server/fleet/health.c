#include "server/fleet/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"

enum {
    GRACE_S = 60, /* beside the interval, so that jitter does not flap */
    RED_INTERVALS = 3,
    INACTIVE_S = 14 * 86400,
    MISSING_S = 30 * 86400,
    OLD_BACKLOG_S = 15 * 60,
    STALE_BACKLOG_S = 24 * 3600,
    SKEW_S = 120,
    IN_USE_S = 30 * 60, /* how fresh a sign of use must be to make silence a fault */
    LOW_DISK_MIB = 512,
    DRIFT_FIGHT = 6, /* repairs an hour that mean someone else keeps writing */
};

const char *health_state_name(enum health_state state)
{
    static const char *const names[] = {"green", "yellow", "red", "grey"};
    return names[state];
}

PRINTF_LIKE(5, 6)
static void decide(struct health_verdict *out, enum health_state state, const char *code,
                   const char *action, const char *reason, ...)
{
    va_list args;
    va_start(args, reason);
    vsnprintf(out->reason, sizeof out->reason, reason, args);
    va_end(args);
    out->state = state;
    snprintf(out->code, sizeof out->code, "%s", code);
    snprintf(out->action, sizeof out->action, "%s", action);
}

/* "3 days", "2 hours", "5 minutes": what a person says. */
static const char *span_text(uint64_t seconds, char out[32])
{
    const char *unit = "second";
    uint64_t count = seconds;
    if (seconds >= 2 * 86400) {
        count = seconds / 86400;
        unit = "day";
    } else if (seconds >= 2 * 3600) {
        count = seconds / 3600;
        unit = "hour";
    } else if (seconds >= 2 * 60) {
        count = seconds / 60;
        unit = "minute";
    }
    snprintf(out, 32, "%" PRIu64 " %s%s", count, unit, count == 1 ? "" : "s");
    return out;
}

/* A clock that jumped back must not make an age enormous. */
static uint64_t age_s(uint64_t then_ns, uint64_t now_ns)
{
    return now_ns > then_ns ? (now_ns - then_ns) / NS_PER_S : 0;
}

static bool given(const char *text)
{
    return text && text[0] != '\0';
}

/* Not alerting: never seen, said goodbye, long gone. */
static bool decide_absent(const struct health_device *d, uint64_t now_ns,
                          struct health_verdict *out)
{
    char text[32];
    uint64_t silent = age_s(d->last_seen_ns, now_ns);
    if (d->last_seen_ns == 0)
        decide(out, HEALTH_GREY, "never_seen",
               "check that the agent is installed and its service runs",
               "enrolled, but no heartbeat has come yet");
    else if (silent > MISSING_S)
        decide(out, HEALTH_GREY, "missing",
               "retire the device, or find it in the device management", "no heartbeat for %s",
               span_text(silent, text));
    else if (silent > INACTIVE_S)
        decide(out, HEALTH_GREY, "inactive", "nothing, if the machine is out of use",
               "no heartbeat for %s", span_text(silent, text));
    else if (d->disconnected)
        decide(out, HEALTH_GREY, "disconnected", "nothing: it reports again when it is switched on",
               "stopped cleanly %s ago", span_text(silent, text));
    else
        return false;
    return true;
}

static bool decide_silent(const struct health_device *d, uint64_t now_ns,
                          struct health_verdict *out)
{
    char text[32];
    uint64_t silent = age_s(d->last_seen_ns, now_ns);
    uint64_t interval = d->interval_s ? d->interval_s : 60;
    if (silent <= interval + GRACE_S)
        return false;
    bool in_use = d->in_use_ns > d->last_seen_ns && age_s(d->in_use_ns, now_ns) < IN_USE_S;
    if (silent > RED_INTERVALS * interval + GRACE_S && in_use)
        decide(out, HEALTH_RED, "silent_in_use",
               "on the machine: claude-telemetry-doctor, then the service's log",
               "no heartbeat for %s although Claude Code is in use there", span_text(silent, text));
    else
        decide(out, HEALTH_YELLOW, "late", "nothing yet: the machine may be asleep",
               "no heartbeat for %s", span_text(silent, text));
    return true;
}

/* Data is being lost, or nothing gets through. */
static bool decide_broken(const struct health_device *d, struct health_verdict *out)
{
    char text[32];
    if (given(d->failed_destination))
        decide(out, HEALTH_RED,
               d->failed_destination_state &&
                       strcmp(d->failed_destination_state, "auth_failed") == 0
                   ? "destination_auth_failed"
                   : "destination_blocked",
               "renew the credential of this destination; the agent keeps everything and resumes "
               "by itself",
               "destination '%s' is %s; %" PRIu64 " records wait", d->failed_destination,
               given(d->failed_destination_state) ? d->failed_destination_state : "failing",
               d->backlog_records);
    else if (d->evicted_delta > 0)
        decide(out, HEALTH_RED, "evicting", "restore the connection, or raise relay.spool.max_mib",
               "the spool is full: %" PRIu64 " records were given up", d->evicted_delta);
    else if (d->backlog_records > 0 && d->oldest_backlog_s > STALE_BACKLOG_S)
        decide(out, HEALTH_RED, "backlog_stale", "on the machine: claude-telemetry-doctor",
               "%" PRIu64 " records wait, the oldest for %s", d->backlog_records,
               span_text(d->oldest_backlog_s, text));
    else if (!d->healthy)
        decide(out, HEALTH_RED, "unhealthy", "on the machine: claude-telemetry-doctor",
               "the agent reports: %.200s", given(d->last_error) ? d->last_error : "unhealthy");
    else
        return false;
    return true;
}

static bool decide_degraded(const struct health_device *d, struct health_verdict *out)
{
    char text[32];
    if (d->config_failed)
        decide(out, HEALTH_YELLOW, "config_failed",
               "claude-telemetry-agent check-config names file and line",
               "the configuration was refused, the old one is in force: %.160s",
               given(d->config_error) ? d->config_error : "no reason given");
    else if (d->drift_repairs_delta >= DRIFT_FIGHT)
        decide(out, HEALTH_YELLOW, "settings_conflict",
               "find what else writes Claude Code's managed settings and let one of the two do it",
               "settings were repaired %" PRIu64 " times within an hour", d->drift_repairs_delta);
    else if (d->backlog_records > 0 && d->oldest_backlog_s > OLD_BACKLOG_S)
        decide(out, HEALTH_YELLOW, "backlog", "nothing yet: the relay retries",
               "%" PRIu64 " records wait, the oldest for %s", d->backlog_records,
               span_text(d->oldest_backlog_s, text));
    else if (d->clock_skew_s > SKEW_S || d->clock_skew_s < -SKEW_S)
        decide(out, HEALTH_YELLOW, "clock_skew", "switch on time synchronisation on the machine",
               "its clock is %s %s",
               span_text((uint64_t)(d->clock_skew_s < 0 ? -d->clock_skew_s : d->clock_skew_s),
                         text),
               d->clock_skew_s < 0 ? "behind" : "ahead");
    else if (given(d->bad_version))
        decide(out, HEALTH_YELLOW, "claude_version", "update Claude Code on the machine",
               "Claude Code %.60s is known to lose telemetry", d->bad_version);
    else if (d->logs_missing)
        decide(out, HEALTH_YELLOW, "logs_missing",
               "on the machine: claude-telemetry-doctor --only env.exporters,settings.precedence",
               "metrics arrive, log events do not");
    else if (d->disk_free_bytes > 0 && d->disk_free_bytes / (1024 * 1024) < LOW_DISK_MIB)
        decide(out, HEALTH_YELLOW, "disk_low", "free space on the volume of the spool",
               "%" PRIu64 " MiB free on the spool's volume", d->disk_free_bytes / (1024 * 1024));
    else if (d->doctor_failed > 0)
        decide(out, HEALTH_YELLOW, "doctor", "open the doctor's report",
               "the doctor found %" PRIu32 " problem%s", d->doctor_failed,
               d->doctor_failed == 1 ? "" : "s");
    else
        return false;
    return true;
}

void health_of_device(const struct health_device *device, uint64_t now_ns,
                      struct health_verdict *out)
{
    memset(out, 0, sizeof *out); /* green, nothing to say */
    if (decide_absent(device, now_ns, out) || decide_broken(device, out) ||
        decide_silent(device, now_ns, out) || decide_degraded(device, out))
        return;
    snprintf(out->code, sizeof out->code, "ok");
}

void health_of_source(const struct health_source *source, uint64_t now_ns,
                      struct health_verdict *out)
{
    char text[32];
    memset(out, 0, sizeof *out);
    uint64_t silent = age_s(source->last_data_ns, now_ns);
    if (source->disabled)
        decide(out, HEALTH_GREY, "disabled", "", "%s is switched off", source->what);
    else if (source->last_seen_ns == 0)
        decide(out, HEALTH_GREY, "never_seen", "", "%s has never been used", source->what);
    else if (given(source->error))
        decide(out, source->rejected ? HEALTH_RED : HEALTH_YELLOW,
               source->rejected ? "credential_rejected" : "failing",
               source->rejected ? "renew the key; history is caught up on the next run"
                                : "nothing yet: it is tried again",
               "%s: %.180s", source->what, source->error);
    else if (source->expected_every_s > 0 &&
             silent > RED_INTERVALS * source->expected_every_s + GRACE_S)
        decide(out, HEALTH_RED, "silent", "look at what feeds it", "no data from %s for %s",
               source->what, span_text(silent, text));
    else if (source->expected_every_s > 0 && silent > source->expected_every_s + GRACE_S)
        decide(out, HEALTH_YELLOW, "late", "nothing yet", "no data from %s for %s", source->what,
               span_text(silent, text));
    else
        snprintf(out->code, sizeof out->code, "ok");
}
