#include "agent/settings/drift.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { MAX_DIFF_BYTES = 256 * 1024 };

void drift_clear(struct drift *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->files[i].path);
    free(d->files);
    *d = (struct drift){0};
}

static struct drift_file *find(struct drift *d, const char *path)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->files[i].path, path) == 0)
            return &d->files[i];
    return NULL;
}

static struct drift_file *find_or_add(struct drift *d, const char *path)
{
    struct drift_file *known = find(d, path);
    if (known)
        return known;
    d->files = xrealloc(d->files, (d->count + 1) * sizeof *d->files);
    d->files[d->count] = (struct drift_file){.path = xstrdup(path)};
    return &d->files[d->count++];
}

bool drift_may_repair(struct drift *d, const char *path, uint64_t now_ms)
{
    struct drift_file *f = find_or_add(d, path);
    if (now_ms < f->resume_ms)
        return false;
    memmove(f->repaired_ms + 1, f->repaired_ms, (DRIFT_REPAIRS - 1) * sizeof *f->repaired_ms);
    f->repaired_ms[0] = now_ms;
    f->repairs += f->repairs < DRIFT_REPAIRS;
    bool often = f->repairs == DRIFT_REPAIRS &&
                 now_ms - f->repaired_ms[DRIFT_REPAIRS - 1] <= DRIFT_WINDOW_MS;
    if (often || f->conflict) {
        f->conflict = true;
        f->pause_ms = f->pause_ms ? f->pause_ms * 2 : DRIFT_FIRST_PAUSE_MS;
        if (f->pause_ms > DRIFT_LONGEST_PAUSE_MS)
            f->pause_ms = DRIFT_LONGEST_PAUSE_MS;
        f->resume_ms = now_ms + f->pause_ms;
    }
    return true;
}

void drift_settled(struct drift *d, const char *path, uint64_t now_ms)
{
    struct drift_file *f = find(d, path);
    if (!f || !f->conflict)
        return;
    /* As long as the pause at least: a manager may come round only every half hour. */
    uint64_t still_ms = f->pause_ms > DRIFT_WINDOW_MS ? f->pause_ms : DRIFT_WINDOW_MS;
    if (now_ms - f->repaired_ms[0] < still_ms)
        return;
    f->conflict = false;
    f->repairs = 0;
    f->pause_ms = 0;
    f->resume_ms = 0;
}

static void keep_diff(struct drift *d, const struct settings_plan *plan)
{
    struct buffer diff = {.max_bytes = MAX_DIFF_BYTES};
    if (settings_diff(plan, &diff) && buffer_text(&diff))
        snprintf(d->last_diff, sizeof d->last_diff, "%s", buffer_text(&diff));
    buffer_clear(&diff);
}

void drift_choose(struct drift *d, struct settings_plan *plan, uint64_t now_ms)
{
    bool any = false;
    for (size_t i = 0; i < settings_plan_count(plan); i++) {
        struct settings_file file = settings_plan_file(plan, i);
        if (file.change == SETTINGS_UNCHANGED || file.change == SETTINGS_BLOCKED)
            drift_settled(d, file.path, now_ms);
        else if (file.drifted && !drift_may_repair(d, file.path, now_ms))
            settings_plan_leave(plan, i);
        else
            any = any || file.drifted;
    }
    if (any)
        keep_diff(d, plan);
}

void drift_note(struct drift *d, const struct settings_result *result, uint64_t wall_ns)
{
    d->repairs_total += result->repaired;
    if (result->repaired > 0)
        d->last_ns = wall_ns;
}

const struct drift_file *drift_conflict(const struct drift *d)
{
    const struct drift_file *next = NULL;
    for (size_t i = 0; i < d->count; i++)
        if (d->files[i].conflict && (!next || d->files[i].resume_ms < next->resume_ms))
            next = &d->files[i];
    return next;
}
