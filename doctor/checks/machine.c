/* The machine around it all: its clock and its disk. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doctor/judge.h"
#include "doctor/probe.h"
#include "doctor/receiver.h"
#include "doctor/remedy.h"

enum { SKEW_WARN_S = 60, SKEW_FAIL_S = 600 };

static void judge_clock(const struct probe *p, struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], words[REMEDY_BYTES];
    long skew = (long)p->skew_s;
    snprintf(fix, sizeof fix, "run: %s", remedy(REMEDY_SET_CLOCK, NULL, words));
    if (!p->has_time)
        return;
    if (labs(skew) >= SKEW_WARN_S)
        finding_add(f, labs(skew) >= SKEW_FAIL_S ? CHECK_FAIL : CHECK_WARN, fix,
                    "this machine's clock is %ld s %s that of '%s'", labs(skew),
                    skew > 0 ? "behind" : "ahead of", p->url);
    else
        finding_add(f, CHECK_OK, NULL, "within %ld s of '%s'", labs(skew), p->url);
}

static void check_clock(const struct scene *scene, const struct check_target *target,
                        struct finding *f)
{
    const struct config *values = scene->config ? scene->config->values : NULL;
    size_t count = values ? config_section_count(values, "destinations") : 0;
    struct receiver receiver;
    const char *reason;
    (void)target;
    for (size_t i = 0; i < count; i++)
        if (config_bool(config_section_at(values, "destinations", i), "enabled"))
            judge_clock(probe_destination(scene->probes, i), f);
    if (values && config_text(values, "server.url"))
        judge_clock(probe_server(scene->probes), f);
    if (receiver_find(scene, &receiver, &reason))
        judge_clock(probe_receiver(scene->probes), f);
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_SKIP, NULL, "no server told its time");
}

/* The nearest folder above `path` that exists. */
static char *existing(const struct scene *scene, const char *path)
{
    struct fs_stat stat;
    struct error ignored;
    char *at = xstrdup(path);
    while (strlen(at) > 1 && !scene->fs->stat(scene->fs->disk, at, &stat, &ignored)) {
        char *slash = strrchr(at, '/');
        if (!slash || slash == at)
            break;
        *slash = '\0';
    }
    return at;
}

static void check_disk(const struct scene *scene, const struct check_target *target,
                       struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], words[REMEDY_BYTES];
    struct error err = {0};
    uint64_t free_bytes = 0;
    (void)target;
    if (!scene_uses_relay(scene)) {
        finding_add(f, CHECK_SKIP, NULL, "no relay is configured on this machine");
        return;
    }
    uint64_t least =
        (uint64_t)config_integer(scene->config->values, "relay.spool.min_free_disk_mib") * MIB;
    char *dir = existing(scene, scene->state_dir);
    snprintf(fix, sizeof fix,
             "free space on the volume of '%s' (%s), or lower relay.spool.min_free_disk_mib", dir,
             remedy(REMEDY_SHOW_FREE_SPACE, dir, words));
    if (!scene->fs->free_bytes(scene->fs->disk, dir, &free_bytes, &err))
        finding_add(f, CHECK_SKIP, NULL, "%s", err.cause);
    else if (free_bytes < least)
        finding_add(f, CHECK_FAIL, fix,
                    "%" PRIu64 " MiB are free on the volume of '%s', and the relay leaves %" PRIu64
                    " MiB to others: it drops records to keep that",
                    free_bytes / MIB, dir, least / MIB);
    else if (free_bytes < 2 * least)
        finding_add(f, CHECK_WARN, fix, "only %" PRIu64 " MiB are free on the volume of '%s'",
                    free_bytes / MIB, dir);
    else
        finding_add(f, CHECK_OK, NULL, "%" PRIu64 " MiB are free", free_bytes / MIB);
    free(dir);
}

static const struct check checks[] = {
    {"clock.skew", "The clock is right", "telemetry of a wrong time lands on a wrong day",
     check_clock},
    {"disk.free", "There is room on the disk", "without room the relay drops the oldest records",
     check_disk},
};
CHECK_FAMILY(machine_checks, checks);
