/* The service and Claude Code's settings: what they should be now, and the watch over them. */
#include <string.h>

#include "agent/service_internal.h"
#include "platform/platform.h"

static bool wanted(void *context, struct settings_options *out, struct error *err)
{
    struct service *s = context;
    struct settings_setup next;
    if (!settings_setup_init(&next, s->config->values, s->line->root, s->accounts,
                             relay_port(s->relay), &fs_real, err)) {
        settings_setup_clear(&next);
        return false;
    }
    if (s->has_settings)
        settings_setup_clear(&s->settings);
    s->settings = next;
    s->settings.options.installs = &s->settings.installs;
    s->has_settings = true;
    *out = s->settings.options;
    return true;
}

bool service_settings_start(struct service *s, struct error *err)
{
    const struct config *values = s->config->values;
    bool any = strcmp(config_text(values, "claude.settings"), "none") != 0 ||
               config_bool(values, "claude.user_env");
    service_settings_look(s);
    if (s->line->no_settings || !any)
        return true;
    struct settings_watch_options options = {.root = s->line->root,
                                             .wanted = wanted,
                                             .context = s,
                                             .fs = &fs_real,
                                             .clock = &platform_clock,
                                             .log = s->log};
    s->watch = settings_watch_create(s->loop, &options, err);
    return s->watch != NULL;
}

void service_settings_look(struct service *s)
{
    struct error err = {0};
    struct settings_status told;
    if (!s->line->no_settings)
        return;
    if (settings_status_read(s->run_dir, &fs_real, &told, &err)) {
        settings_status_clear(&s->applied);
        s->applied = told;
    } else {
        settings_status_clear(&told);
    }
}

void service_settings_stop(struct service *s)
{
    settings_watch_destroy(s->watch);
    s->watch = NULL;
    if (s->has_settings)
        settings_setup_clear(&s->settings);
    s->has_settings = false;
}

void service_settings_report(struct service *s, struct report *report)
{
    static const char conflict[] = "another program keeps rewriting Claude Code's settings";
    struct settings_watch_status status;
    report->settings.error = s->applied.error;
    if (s->line->no_settings) {
        report->settings.is_on = true;
        report->installs = &s->applied.installs;
        report->config.drift_repairs_total = s->applied.repairs_total;
    }
    if (s->has_settings)
        report->installs = &s->settings.installs;
    if (!s->watch)
        return;
    settings_watch_status(s->watch, &status);
    report->settings.is_on = true;
    report->settings.error = "";
    report->config.drift_repairs_total = status.repairs_total;
    if (status.conflict)
        report->settings.error = conflict;
    else if (status.last_error.kind != FAIL_NONE)
        report->settings.error = "Claude Code's settings cannot be written: see the log";
}
