#include "agent/report.h"

#include "agent/settings_status.h"

#include <stdio.h>
#include <string.h>

enum {
    PATIENCE_S = 60, /* a destination may be away this long before it counts */
    DISK_STEP = 64,  /* MiB: other programs' files alone are no news */
};

/* One part of the agent and how it does. */
struct component {
    char name[80];
    bool healthy;
    const char *status;
    const char *last_error;
};
enum { MAX_COMPONENTS = RELAY_MAX_DESTINATIONS + 4 };

static struct component destination_component(const struct report *r,
                                              const struct relay_destination_state *d)
{
    struct component c = {.status = relay_status_name(d->status), .last_error = d->last_error};
    bool is_patient =
        d->status == RELAY_RETRYING && r->now_ns < d->status_since_ns + PATIENCE_S * NS_PER_S;
    snprintf(c.name, sizeof c.name, "destination.%s", d->name);
    c.healthy = d->status == RELAY_OK || d->status == RELAY_DISABLED || is_patient;
    return c;
}

static size_t components_of(const struct report *r, struct component list[MAX_COMPONENTS])
{
    size_t count = 0;
    const char *spool_error = r->relay->spool_error;
    list[count++] = (struct component){"relay", spool_error[0] == '\0',
                                       spool_error[0] ? "failing" : "ok", spool_error};
    const char *config_error = r->config.error;
    list[count++] = (struct component){"config", config_error[0] == '\0',
                                       config_error[0] ? "failed" : "applied", config_error};
    if (r->settings.is_on)
        list[count++] =
            (struct component){"settings", r->settings.error[0] == '\0',
                               r->settings.error[0] ? "failing" : "ok", r->settings.error};
    if (r->enrollment.is_wanted)
        list[count++] = (struct component){"enrollment", r->enrollment.is_enrolled,
                                           r->enrollment.is_enrolled ? "enrolled" : "waiting",
                                           r->enrollment.is_enrolled ? "" : r->enrollment.error};
    for (size_t i = 0; i < r->relay->destination_count; i++)
        list[count++] = destination_component(r, &r->relay->destinations[i]);
    return count;
}

bool report_is_healthy(const struct report *r, char *why, size_t size)
{
    struct component list[MAX_COMPONENTS];
    size_t count = components_of(r, list);
    why[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (list[i].healthy)
            continue;
        snprintf(why, size, "%s: %s%s%s", list[i].name, list[i].status,
                 list[i].last_error[0] ? ": " : "", list[i].last_error);
        return false;
    }
    return true;
}

static void put_health(const struct report *r, struct json_writer *w)
{
    struct component list[MAX_COMPONENTS];
    size_t count = components_of(r, list);
    char why[400];
    bool healthy = report_is_healthy(r, why, sizeof why);
    json_put_key(w, "health");
    json_object_open(w);
    json_member_bool(w, "healthy", healthy);
    json_member_string(w, "status", healthy ? "ok" : "degraded");
    json_member_string(w, "last_error", why);
    json_member_time(w, "start_time", r->relay->started_ns);
    json_put_key(w, "components");
    json_object_open(w);
    for (size_t i = 0; i < count; i++) {
        json_put_key(w, list[i].name);
        json_object_open(w);
        json_member_bool(w, "healthy", list[i].healthy);
        json_member_string(w, "status", list[i].status);
        json_member_string(w, "last_error", list[i].last_error);
        json_object_close(w);
    }
    json_object_close(w);
    json_object_close(w);
}

static void put_config(const struct report *r, struct json_writer *w)
{
    json_put_key(w, "config");
    json_object_open(w);
    json_member_string(w, "hash", r->config.hash);
    json_member_string(w, "status", r->config.error[0] ? "failed" : "applied");
    json_member_string(w, "error_message", r->config.error);
    json_member_uint(w, "drift_repairs_total", r->config.drift_repairs_total);
    json_object_close(w);
}

/* Claude Code's settings: whose are obeyed, and what had to be put back. */
static void put_settings(const struct report *r, struct json_writer *w)
{
    static const struct settings_verdicts none = {0};
    json_put_key(w, "settings");
    json_object_open(w);
    settings_status_put_sources(r->settings.verdicts ? r->settings.verdicts : &none, w);
    json_put_key(w, "drift");
    json_object_open(w);
    json_member_time(w, "last_repair_at", r->settings.last_repair_ns);
    if (r->settings.last_diff)
        json_member_string(w, "last_diff", r->settings.last_diff);
    json_member_string(w, "conflict_path",
                       r->settings.conflict_path ? r->settings.conflict_path : "");
    json_member_time(w, "next_try_at", r->settings.next_try_ns);
    json_object_close(w);
    json_object_close(w);
}

/* Which of several installations sent an event is not told: all get the newest time. */
static void put_claude(const struct report *r, struct json_writer *w)
{
    uint64_t newest = 0;
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        if (r->relay->signals[s].last_received_ns > newest)
            newest = r->relay->signals[s].last_received_ns;
    json_put_key(w, "claude");
    json_array_open(w);
    for (size_t i = 0; r->installs && i < r->installs->count; i++) {
        const struct claude_install *install = &r->installs->list[i];
        char version[48] = "";
        if (install->known)
            snprintf(version, sizeof version, "%u.%u.%u", install->version.major,
                     install->version.minor, install->version.patch);
        json_object_open(w);
        json_member_string(w, "path", install->path);
        json_member_string(w, "version", version);
        json_member_time(w, "last_event_at", newest);
        json_object_close(w);
    }
    json_array_close(w);
}

static void put_signals(const struct report *r, struct json_writer *w)
{
    json_put_key(w, "signals");
    json_object_open(w);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++) {
        json_put_key(w, otlp_signal_name((enum otlp_signal)s));
        json_object_open(w);
        json_member_time(w, "last_received_at", r->relay->signals[s].last_received_ns);
        json_member_uint(w, "records_total", r->relay->signals[s].records_total);
        json_object_close(w);
    }
    json_object_close(w);
}

static void put_spool(const struct report *r, struct json_writer *w)
{
    const struct spool_state *s = &r->relay->spool;
    bool has_age = s->oldest_ns > 0 && r->now_ns > s->oldest_ns;
    json_put_key(w, "spool");
    json_object_open(w);
    json_member_uint(w, "records", s->items);
    json_member_uint(w, "bytes", s->bytes);
    json_member_uint(w, "oldest_age_seconds", has_age ? (r->now_ns - s->oldest_ns) / NS_PER_S : 0);
    json_member_uint(w, "evicted_total", s->evicted_total);
    json_member_uint(w, "quarantined_total", s->quarantined_total);
    json_member_uint(w, "quarantine_files", s->quarantine_files);
    json_member_uint(w, "quarantine_bytes", s->quarantine_bytes);
    json_member_uint(w, "disk_free_bytes",
                     s->disk_free_bytes / (DISK_STEP * MIB) * (DISK_STEP * MIB));
    json_object_close(w);
}

static void put_destinations(const struct report *r, struct json_writer *w)
{
    json_put_key(w, "destinations");
    json_array_open(w);
    for (size_t i = 0; i < r->relay->destination_count; i++) {
        const struct relay_destination_state *d = &r->relay->destinations[i];
        json_object_open(w);
        json_member_string(w, "name", d->name);
        json_member_string(w, "state", relay_status_name(d->status));
        json_member_time(w, "state_since", d->status_since_ns);
        json_member_time(w, "last_success_at", d->last_success_ns);
        json_member_uint(w, "last_status", (uint64_t)(d->last_status > 0 ? d->last_status : 0));
        json_member_string(w, "last_error", d->last_error);
        json_member_uint(w, "consecutive_failures", d->consecutive_failures);
        json_member_uint(w, "sent_records_total", d->sent_records_total);
        json_member_uint(w, "rejected_records_total", d->rejected_records_total);
        json_member_uint(w, "quarantined_records_total", d->quarantined_records_total);
        json_member_uint(w, "set_aside_records", d->set_aside_records);
        json_member_uint(w, "backlog_records", d->backlog_records);
        json_object_close(w);
    }
    json_array_close(w);
}

static void put_ledger(const struct report *r, struct json_writer *w)
{
    json_put_key(w, "ledger");
    json_array_open(w);
    for (size_t i = 0; i < r->relay->ledger_count; i++) {
        const struct spool_ledger_entry *e = &r->relay->ledger[i];
        json_object_open(w);
        json_member_string(w, "reason", spool_loss_name(e->reason));
        json_member_string(w, "destination", e->destination);
        json_member_string(w, "signal", otlp_signal_name(e->signal));
        json_member_uint(w, "records", e->records);
        json_member_time(w, "from", e->from_ns);
        json_member_time(w, "to", e->to_ns);
        json_object_close(w);
    }
    json_array_close(w);
}

static void put_doctor(const struct report *r, struct json_writer *w)
{
    json_put_key(w, "doctor");
    if (!r->doctor.ran) {
        json_put_null(w);
        return;
    }
    json_object_open(w);
    json_member_uint(w, "failed", r->doctor.failed);
    json_member_uint(w, "warned", r->doctor.warned);
    json_member_time(w, "ran_at", r->doctor.ran_at_ns);
    json_object_close(w);
}

void report_put(const struct report *r, struct json_writer *w)
{
    put_health(r, w);
    put_config(r, w);
    if (r->settings.is_on)
        put_settings(r, w);
    put_claude(r, w);
    json_put_key(w, "users");
    accounts_put_users(r->accounts, w);
    put_signals(r, w);
    put_spool(r, w);
    put_destinations(r, w);
    put_ledger(r, w);
    put_doctor(r, w);
}
