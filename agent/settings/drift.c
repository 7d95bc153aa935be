#include "agent/settings/drift.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

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

const struct drift_file *drift_conflict(const struct drift *d)
{
    const struct drift_file *next = NULL;
    for (size_t i = 0; i < d->count; i++)
        if (d->files[i].conflict && (!next || d->files[i].resume_ms < next->resume_ms))
            next = &d->files[i];
    return next;
}
