/* The service and Claude Code's settings: what they should be now, and the watch over them. */
#include <stdlib.h>
#include <string.h>

#include "agent/service_internal.h"
#include "base/memory.h"
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
    /* With our files in their place, where this look puts them unless it cannot. */
    settings_verdicts_clear(&s->verdicts);
    settings_watch_status(s->watch, &s->watched);
    settings_verdicts_read(out, s->watched.last_error.kind == FAIL_NONE, &fs_real, &s->verdicts);
    return true;
}

bool service_settings_start(struct service *s, struct error *err)
{
    const struct config *values = s->config->values;
    bool any = strcmp(config_text(values, "claude.settings"), "none") != 0 ||
               config_bool(values, "claude.user_env");
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

static void take_people(struct service *s)
{
    struct accounts_hint *hints = xcalloc(s->applied.person_count + 1, sizeof *hints);
    for (size_t i = 0; i < s->applied.person_count; i++)
        hints[i] = (struct accounts_hint){s->applied.people[i].local_user,
                                          s->applied.people[i].email, s->applied.people[i].source};
    accounts_tell(s->accounts, hints, s->applied.person_count);
    free(hints);
}

bool service_settings_look(struct service *s)
{
    struct error err = {0};
    struct settings_status told;
    struct fs_stat info;
    if (!s->line->no_settings)
        return false;
    char *path = xasprintf("%s/settings.json", s->run_dir);
    bool news =
        fs_real.stat(fs_real.disk, path, &info, &err) && info.modified_ns != s->applied_modified_ns;
    free(path);
    if (news && settings_status_read(s->run_dir, &fs_real, &told, &err)) {
        settings_status_clear(&s->applied);
        s->applied = told;
        s->applied_modified_ns = info.modified_ns;
        take_people(s);
        return true;
    }
    if (news)
        settings_status_clear(&told);
    return false;
}

void service_settings_stop(struct service *s)
{
    settings_watch_destroy(s->watch);
    s->watch = NULL;
    if (s->has_settings)
        settings_setup_clear(&s->settings);
    s->has_settings = false;
    settings_verdicts_clear(&s->verdicts);
}

static const char conflict_words[] = "another program keeps rewriting Claude Code's settings";

/* What `apply`, run as root, told. */
static void report_told(const struct settings_status *told, struct report *report)
{
    report->settings.is_on = true;
    bool in_conflict = told->conflict_path[0] != '\0';
    report->settings.error = told->error[0] || !in_conflict ? told->error : conflict_words;
    report->settings.verdicts = &told->verdicts;
    report->settings.last_repair_ns = told->last_repair_ns;
    report->settings.last_diff = told->last_diff;
    report->settings.conflict_path = told->conflict_path;
    report->settings.next_try_ns = told->next_try_ns;
    report->config.drift_repairs_total = told->repairs_total;
    report->installs = &told->installs;
}

void service_settings_report(struct service *s, struct report *report)
{
    struct settings_watch_status *status = &s->watched;
    report->settings.error = "";
    if (s->line->no_settings)
        report_told(&s->applied, report);
    if (s->has_settings)
        report->installs = &s->settings.installs;
    if (!s->watch)
        return;
    settings_watch_status(s->watch, status);
    report->settings.is_on = true;
    report->settings.verdicts = &s->verdicts;
    report->settings.last_repair_ns = status->last_repair_ns;
    report->settings.last_diff = status->last_diff;
    report->settings.conflict_path = status->conflict_path;
    report->settings.next_try_ns = status->conflict ? status->next_try_ns : 0;
    report->config.drift_repairs_total = status->repairs_total;
    if (status->conflict)
        report->settings.error = conflict_words;
    else if (status->last_error.kind != FAIL_NONE)
        report->settings.error = "Claude Code's settings cannot be written: see the log";
}
