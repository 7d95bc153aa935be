#include "agent/settings/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/settings/drift.h"
#include "base/memory.h"
#include "platform/platform.h"
#include "platform/watch.h"

enum { SETTLE_MS = 1000, LOOK_MS = 30 * 1000 };

static const char component[] = "settings";

struct settings_watch {
    struct loop *loop;
    struct settings_watch_options options;
    char *root;
    struct platform_watch *folders;
    struct loop_watch *notices; /* NULL where the system gives none */
    struct loop_timer *timer;
    struct drift drift;
    struct settings_watch_status status;
    bool soon; /* a change is waiting for its look: more of them do not put it off */
};

static uint64_t now_ms(const struct settings_watch *w)
{
    return clock_monotonic_ns(w->options.clock) / NS_PER_MS;
}

/* Watches the folder of a file, or the nearest one above it that exists. */
static void watch_folder_of(struct settings_watch *w, const char *path)
{
    char *folder = xstrdup(path);
    size_t floor = strlen(w->root);
    for (char *slash; (slash = strrchr(folder, '/')) && (size_t)(slash - folder) >= floor;) {
        struct fs_stat info;
        struct error ignored;
        if (slash == folder)
            break;
        *slash = '\0';
        if (w->options.fs->stat(w->options.fs->disk, folder, &info, &ignored)) {
            platform_watch_add(w->folders, folder);
            break;
        }
    }
    free(folder);
}

/* Decides file by file what is put back now; files in conflict wait. */
static void choose(struct settings_watch *w, struct settings_plan *plan)
{
    drift_choose(&w->drift, plan, now_ms(w));
    for (size_t i = 0; i < settings_plan_count(plan); i++) {
        struct settings_file file = settings_plan_file(plan, i);
        if (file.drifted && file.change != SETTINGS_UNCHANGED && file.change != SETTINGS_BLOCKED)
            log_info(w->options.log, component, "settings were changed, putting them back path=%s",
                     file.path);
    }
}

static void report_conflict(struct settings_watch *w)
{
    const struct drift_file *file = drift_conflict(&w->drift);
    bool news = file && strcmp(w->status.conflict_path, file->path) != 0;
    w->status.conflict = file != NULL;
    uint64_t wait_ms = file && file->resume_ms > now_ms(w) ? file->resume_ms - now_ms(w) : 0;
    w->status.next_try_ns = file ? clock_wall_ns(w->options.clock) + wait_ms * NS_PER_MS : 0;
    snprintf(w->status.conflict_path, sizeof w->status.conflict_path, "%s", file ? file->path : "");
    if (news)
        log_warn(w->options.log, component,
                 "another program keeps rewriting a settings file: let one of the two manage it "
                 "path=%s",
                 file->path);
}

static bool look(struct settings_watch *w, struct error *err)
{
    struct settings_options wanted = {0};
    if (!w->options.wanted(w->options.context, &wanted, err))
        return false;
    struct settings_plan *plan = settings_plan_create(&wanted, w->options.fs, err);
    if (!plan)
        return false;
    choose(w, plan);
    struct settings_result result;
    bool ok = settings_apply(plan, w->options.fs, &result, err);
    drift_note(&w->drift, &result, clock_wall_ns(w->options.clock));
    for (size_t i = 0; i < settings_plan_count(plan); i++)
        watch_folder_of(w, settings_plan_file(plan, i).path);
    settings_plan_destroy(plan);
    report_conflict(w);
    return ok;
}

static void on_timer(void *context)
{
    struct settings_watch *w = context;
    struct error err = {0};
    w->soon = false;
    bool was_fine = w->status.last_error.kind == FAIL_NONE;
    if (look(w, &err)) {
        w->status.last_error = (struct error){0};
    } else {
        bool news = was_fine || strcmp(err.cause, w->status.last_error.cause) != 0;
        w->status.failures_total++;
        w->status.last_error = err;
        if (news) /* said once, not every time we look */
            log_failure(w->options.log, LOG_WARN_LEVEL, component, "cannot keep the settings",
                        &err);
    }
    loop_timer_set(w->timer, w->options.look_ms);
}

/* Claude Code keeps much else beside its settings, and writes it all the time. */
static void on_event(void *context, const char *name)
{
    bool *relevant = context;
    size_t len = strlen(name);
    bool json = len > 5 && strcmp(name + len - 5, ".json") == 0;
    bool folder = len == 0 || strchr(name, '.') == NULL || strcmp(name, ".claude") == 0 ||
                  strcmp(name, "managed-settings.d") == 0;
    *relevant = *relevant || json || folder;
}

static void on_notice(void *context, int fd, unsigned events)
{
    struct settings_watch *w = context;
    bool relevant = false;
    (void)fd;
    (void)events;
    platform_watch_drain(w->folders, on_event, &relevant);
    if (relevant && !w->soon)
        loop_timer_set(w->timer, w->options.settle_ms);
    w->soon = w->soon || relevant;
}

struct settings_watch *settings_watch_create(struct loop *loop,
                                             const struct settings_watch_options *options,
                                             struct error *err)
{
    (void)err; /* nothing here can fail; what can is retried while running */
    struct settings_watch *w = xcalloc(1, sizeof *w);
    w->loop = loop;
    w->options = *options;
    w->root = xstrdup(options->root ? options->root : "/");
    w->options.root = w->root;
    if (w->options.settle_ms == 0)
        w->options.settle_ms = SETTLE_MS;
    if (w->options.look_ms == 0)
        w->options.look_ms = LOOK_MS;
    w->folders = platform_watch_create();
    if (platform_watch_fd(w->folders) >= 0)
        w->notices =
            loop_watch_add(loop, platform_watch_fd(w->folders), LOOP_READABLE, on_notice, w);
    w->timer = loop_timer_create(loop, on_timer, w);
    loop_timer_set(w->timer, 0);
    return w;
}

void settings_watch_destroy(struct settings_watch *w)
{
    if (!w)
        return;
    loop_watch_remove(w->notices);
    loop_timer_destroy(w->timer);
    platform_watch_destroy(w->folders);
    drift_clear(&w->drift);
    free(w->root);
    free(w);
}

void settings_watch_poke(struct settings_watch *w)
{
    loop_timer_set(w->timer, 0);
}

void settings_watch_status(const struct settings_watch *w, struct settings_watch_status *out)
{
    *out = w->status;
    out->repairs_total = w->drift.repairs_total;
    out->last_repair_ns = w->drift.last_ns;
    snprintf(out->last_diff, sizeof out->last_diff, "%s", w->drift.last_diff);
}
