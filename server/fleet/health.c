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
    DRIFT_FIGHT = 6,     /* repairs an hour that mean someone else keeps writing */
    NO_DATA_S = 30 * 60, /* in use and connected, and still nothing has come */
    GROWING_S = 15 * 60,
    UNUSED_S = 7 * 86400, /* a token that nobody has taken up */
    FRESH_S = 86400,      /* what came within is still coming */
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

/* It reports, Claude Code runs there, nothing waits, and still no telemetry is here. */
static bool decide_no_data(const struct health_device *d, uint64_t now_ns,
                           struct health_verdict *out)
{
    char event[32], data[32];
    bool in_use = d->last_event_ns > 0 && age_s(d->last_event_ns, now_ns) < IN_USE_S;
    bool behind = d->last_event_ns > d->last_data_ns + NO_DATA_S * NS_PER_S;
    if (!in_use || !behind || d->backlog_records > 0 || age_s(d->enrolled_ns, now_ns) < NO_DATA_S)
        return false;
    span_text(age_s(d->last_event_ns, now_ns), event);
    if (d->last_data_ns == 0)
        decide(out, HEALTH_YELLOW, "no_data_yet",
               "if its telemetry should come here, add this server to the agent's destinations",
               "Claude Code spoke to the relay %s ago, but no telemetry of this machine has ever "
               "come here",
               event);
    else
        decide(out, HEALTH_RED, "in_use_no_data",
               "on the machine: claude-telemetry-doctor --only delivery.end_to_end",
               "Claude Code spoke to the relay %s ago, but nothing has come here for %s", event,
               span_text(age_s(d->last_data_ns, now_ns), data));
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
    else if (d->backlog_records > 0 && d->backlog_growing_s >= GROWING_S)
        decide(out, HEALTH_YELLOW, "backlog_growing",
               "see which destination is slow or refuses: claude-telemetry-agent status",
               "%" PRIu64 " records wait, and more with every heartbeat for %s", d->backlog_records,
               span_text(d->backlog_growing_s, text));
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
        decide_silent(device, now_ns, out) || decide_no_data(device, now_ns, out) ||
        decide_degraded(device, out))
        return;
    snprintf(out->code, sizeof out->code, "ok");
}

/* ---- Tokens and credentials ---- */

/* "10.0.0.1", "10.0.0.1 and 3 other addresses" */
static const char *places_text(const struct health_storm *storm, char out[96])
{
    if (storm->sources <= 1)
        snprintf(out, 96, "%s", storm->source);
    else
        snprintf(out, 96, "%s and %u other address%s", storm->source, storm->sources - 1,
                 storm->sources == 2 ? "" : "es");
    return out;
}

static bool is_fresh(uint64_t then_ns, uint64_t now_ns)
{
    return then_ns > 0 && age_s(then_ns, now_ns) < FRESH_S;
}

/* Out of use, whether on purpose or not: not alerting. */
static bool decide_unused(const struct health_token *t, uint64_t data_ns, uint64_t now_ns,
                          struct health_verdict *out)
{
    char text[32];
    uint64_t used_ns = t->used_ns > data_ns ? t->used_ns : data_ns;
    uint64_t silent = age_s(used_ns, now_ns);
    if (t->revoked_ns)
        decide(out, HEALTH_GREY, "revoked", "nothing", "revoked %s ago",
               span_text(age_s(t->revoked_ns, now_ns), text));
    else if (used_ns == 0 && age_s(t->created_ns, now_ns) > UNUSED_S)
        decide(out, HEALTH_GREY, "never_seen",
               "put it where it belongs, or claude-telemetry-server token revoke it",
               "created %s ago and never used", span_text(age_s(t->created_ns, now_ns), text));
    else if (used_ns == 0)
        decide(out, HEALTH_GREY, "never_seen", "nothing yet", "not used yet");
    else if (silent > MISSING_S)
        decide(out, HEALTH_GREY, "stale",
               "claude-telemetry-server token revoke it, unless it is still needed",
               "not used for %s", span_text(silent, text));
    else if (silent > INACTIVE_S)
        decide(out, HEALTH_GREY, "inactive", "nothing, if nobody uses it at present",
               "not used for %s", span_text(silent, text));
    else
        return false;
    return true;
}

static bool decide_incomplete(const struct health_token *t, uint64_t data_ns, uint64_t now_ns,
                              struct health_verdict *out)
{
    char text[32];
    if (is_fresh(t->limited_ns, now_ns) && age_s(t->limited_ns, now_ns) < GROWING_S)
        decide(out, HEALTH_YELLOW, "rate_limited",
               "make another token with a higher --rate, or one per machine",
               "requests are refused with 429: it sends more than its rate allows");
    else if (t->malformed_ns > data_ns && is_fresh(t->malformed_ns, now_ns))
        decide(out, HEALTH_YELLOW, "malformed",
               "see what the sender is told: it is not OTLP, or it is cut off on the way",
               "what it sends cannot be read and is refused with 400; nothing was stored %s%s",
               data_ns ? "for " : "yet", data_ns ? span_text(age_s(data_ns, now_ns), text) : "");
    else if (is_fresh(t->metrics_ns, now_ns) && !is_fresh(t->logs_ns, now_ns))
        decide(out, HEALTH_YELLOW, "logs_missing",
               "on a machine that uses it: claude-telemetry-doctor --only "
               "env.exporters,settings.precedence",
               "metrics arrive, log events do not: requests, tools and prompts are missing");
    else if (is_fresh(t->tokens_ns, now_ns) && !is_fresh(t->cost_ns, now_ns))
        decide(out, HEALTH_YELLOW, "cost_missing",
               "see which model it is; telemetry without a cost needs a row in the price table",
               "token counts arrive, but no cost, reported or computed");
    else
        return false;
    return true;
}

void health_of_token(const struct health_token *t, uint64_t now_ns, struct health_verdict *out)
{
    char since[32], places[96];
    uint64_t data_ns = t->logs_ns > t->metrics_ns ? t->logs_ns : t->metrics_ns;
    data_ns = t->traces_ns > data_ns ? t->traces_ns : data_ns;
    memset(out, 0, sizeof *out);
    if (t->storm)
        decide(out, HEALTH_RED, "revoked_in_use",
               "give that machine a valid token: what it sends is refused",
               "revoked, and still sent from %s: %" PRIu64 " refusals with 403 in %s",
               places_text(t->storm, places), t->storm->count,
               span_text(age_s(t->storm->first_ns, now_ns), since));
    else if (!decide_unused(t, data_ns, now_ns, out) && !decide_incomplete(t, data_ns, now_ns, out))
        snprintf(out->code, sizeof out->code, "ok");
}

void health_of_credential(const char *prefix, const struct health_storm *storm, uint64_t now_ns,
                          struct health_verdict *out)
{
    char since[32], places[96];
    memset(out, 0, sizeof *out);
    places_text(storm, places);
    span_text(age_s(storm->first_ns, now_ns), since);
    if (prefix[0])
        decide(out, HEALTH_RED, "unknown_token",
               "put a token of this server there: what it sends is refused",
               "'%s' is no token of this server, and %s keeps sending it: %" PRIu64
               " refusals with 401 in %s",
               prefix, places, storm->count, since);
    else
        decide(out, HEALTH_RED, "no_token",
               "put a token of this server there: what it sends is refused",
               "%s keeps sending without a token: %" PRIu64 " refusals with 401 in %s", places,
               storm->count, since);
}

/* ---- Persons ---- */

void health_of_person(const struct health_person *p, uint64_t now_ns, struct health_verdict *out)
{
    char text[32];
    uint64_t silent = age_s(p->last_data_ns, now_ns);
    memset(out, 0, sizeof *out);
    if (given(p->api_day) && p->last_data_ns < p->api_day_ns && p->last_data_ns > 0)
        decide(out, HEALTH_RED, "usage_not_seen",
               "on the person's machine: claude-telemetry-doctor",
               "the API reports usage on %s, but no telemetry has come for %s", p->api_day,
               span_text(silent, text));
    else if (given(p->api_day) && p->last_data_ns == 0)
        decide(out, HEALTH_RED, "usage_not_seen",
               "install the agent on the person's machine, or run claude-telemetry-doctor there",
               "the API reports usage on %s, but no telemetry has ever come", p->api_day);
    else if (p->last_data_ns == 0)
        decide(out, HEALTH_GREY, "never_seen", "nothing, if they do not use Claude Code",
               "no telemetry has ever come");
    else if (silent > MISSING_S)
        decide(out, HEALTH_GREY, "missing", "nothing, if they have left", "no telemetry for %s",
               span_text(silent, text));
    else if (silent > INACTIVE_S)
        decide(out, HEALTH_GREY, "inactive", "nothing, if they do not use Claude Code at present",
               "no telemetry for %s", span_text(silent, text));
    else if (p->recent_metrics > 0 && p->recent_rows == 0)
        decide(out, HEALTH_YELLOW, "logs_missing",
               "on the person's machine: claude-telemetry-doctor --only "
               "env.exporters,settings.precedence",
               "metrics arrive, log events do not: requests, tools and prompts are missing");
    else if (p->recent_tokens > 0 && p->recent_cost == 0)
        decide(out, HEALTH_YELLOW, "cost_missing",
               "see which model it is; telemetry without a cost needs a row in the price table",
               "token counts arrive, but no cost, reported or computed");
    else
        snprintf(out->code, sizeof out->code, "ok");
}

/* ---- What has a rhythm ---- */

void health_of_source(const struct health_source *source, uint64_t now_ns,
                      struct health_verdict *out)
{
    char text[32];
    memset(out, 0, sizeof *out);
    uint64_t silent = age_s(source->last_data_ns, now_ns);
    if (source->disabled)
        decide(out, HEALTH_GREY, "disabled", "nothing", "%s is switched off", source->what);
    else if (source->last_seen_ns == 0)
        decide(out, HEALTH_GREY, "never_seen", "nothing yet: wait for its first run",
               "%s has never been used", source->what);
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
