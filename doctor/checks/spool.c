/* What waits on disk. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relay/spool_inspect.h"
#include "base/memory.h"
#include "doctor/judge.h"
#include "doctor/remedy.h"
#include "platform/platform.h"

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

/* The caller frees; NULL without a configuration. */
static char *spool_dir(const struct scene *scene)
{
    if (!scene_has_agent(scene))
        return NULL;
    const char *path = config_text(scene->config->values, "relay.spool.path");
    if (strcmp(path, "auto") == 0)
        return xasprintf("%s/spool", scene->state_dir);
    return config_path_under(scene->root, path);
}

static void tell_hidden(const char *dir, struct finding *f)
{
    char rights[REMEDY_BYTES];
    finding_add(f, CHECK_SKIP, NULL, "only %s can look into '%s': %s", remedy_who(), dir,
                remedy(REMEDY_GET_RIGHTS, NULL, rights));
}

static bool is_visible(const struct scene *scene, const char *dir, struct fs_stat *stat,
                       struct finding *f)
{
    struct error err = {0};
    if (!dir) {
        finding_add(f, CHECK_SKIP, NULL, "no agent is configured on this machine");
        return false;
    }
    if (scene->fs->stat(scene->fs->disk, dir, stat, &err))
        return true;
    if (err.kind == FAIL_NOT_FOUND)
        finding_add(f, CHECK_SKIP, NULL, "there is no spool in '%s' yet", dir);
    else
        tell_hidden(dir, f);
    return false;
}

static void check_writable(const struct scene *scene, const struct check_target *target,
                           struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], words[REMEDY_BYTES], whom[32];
    struct fs_stat stat, state;
    struct error ignored;
    char *dir = spool_dir(scene);
    (void)target;
    if (is_visible(scene, dir, &stat, f)) {
        bool has_state = scene->fs->stat(scene->fs->disk, scene->state_dir, &state, &ignored);
        if (!stat.is_directory && !stat.is_symlink) {
            snprintf(fix, sizeof fix, "run: %s", remedy(REMEDY_RENAME, dir, words));
            finding_add(f, CHECK_FAIL, fix, "'%s' is no folder: the agent cannot start", dir);
        } else if (has_state && stat.uid != state.uid && !stat.is_symlink) {
            snprintf(whom, sizeof whom, "%u:%u", state.uid, state.gid);
            snprintf(fix, sizeof fix, "run: %s",
                     remedy_words(remedy_here(), REMEDY_GIVE_TO_SERVICE, dir, whom, words));
            finding_add(f, CHECK_FAIL, fix,
                        "'%s' belongs to user %u, and the agent's state to user %u: the agent "
                        "cannot write there",
                        dir, stat.uid, state.uid);
        } else if (stat.is_directory && (stat.mode & 0700) != 0700 && stat.mode != 0) {
            snprintf(fix, sizeof fix, "run: %s", remedy(REMEDY_LET_OWNER_IN, dir, words));
            finding_add(f, CHECK_FAIL, fix,
                        "the mode of '%s' is %04o: its owner cannot write there", dir,
                        stat.mode & 07777);
        } else
            finding_add(f, CHECK_OK, NULL, "the agent may write to '%s'", dir);
    }
    free(dir);
}

static void check_integrity(const struct scene *scene, const struct check_target *target,
                            struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], command[SCENE_COMMAND_BYTES], words[REMEDY_BYTES];
    struct spool_verdict v = {0};
    struct fs_stat stat;
    struct error err = {0};
    char *dir = spool_dir(scene);
    (void)target;
    if (!is_visible(scene, dir, &stat, f) || !stat.is_directory) {
        free(dir);
        if (f->seen[0] == '\0')
            finding_add(f, CHECK_SKIP, NULL, "not judged before spool.writable is right");
        return;
    }
    if (!spool_inspect_verify(scene->fs, dir, &v, &err)) {
        if (err.kind == FAIL_NOT_FOUND)
            finding_add(f, CHECK_SKIP, NULL, "there is no spool in '%s' yet", dir);
        else if (err.kind == FAIL_DENIED)
            tell_hidden(dir, f);
        else
            finding_add(f, CHECK_FAIL, err.remedy, "%s", err.cause);
    } else if (v.damaged_records > 0 || v.damaged_positions > 0 || v.damaged_headers > 0) {
        snprintf(fix, sizeof fix,
                 "check the disk: %s    The relay passes over what is damaged; keep the rest: %s",
                 remedy(REMEDY_LOOK_AT_DISK, dir, words),
                 scene_command(scene, "spool export", command));
        finding_add(f, CHECK_FAIL, fix,
                    "%" PRIu64 " records, %" PRIu64 " headers and %" PRIu64
                    " positions are damaged, of %" PRIu64 " records",
                    v.damaged_records, v.damaged_headers, v.damaged_positions, v.records);
    } else if (v.damaged_quarantine_files > 0) {
        snprintf(fix, sizeof fix, "look at what is left of them: %s",
                 scene_command(scene, "spool list", command));
        finding_add(f, CHECK_WARN, fix, "%" PRIu64 " files in quarantine are damaged",
                    v.damaged_quarantine_files);
    } else
        finding_add(f, CHECK_OK, NULL, "%" PRIu64 " records in %" PRIu64 " files, all sound",
                    v.records, v.segments);
    free(dir);
}

static void check_backlog(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    const struct scene_status *s = &scene->status;
    char fix[JUDGE_TEXT_BYTES];
    (void)target;
    if (!scene_has_agent(scene) || !s->is_there) {
        finding_add(f, CHECK_SKIP, NULL, "the agent has written no status");
        return;
    }
    uint64_t limit = (uint64_t)config_integer(scene->config->values, "relay.spool.max_mib") * MIB;
    for (size_t i = 0; i < s->destination_count; i++) {
        const struct scene_destination *d = &s->destinations[i];
        if (d->backlog_records == 0 || strcmp(d->state, "disabled") == 0)
            continue;
        enum check_status status = s->oldest_age_s > DAY_S    ? CHECK_FAIL
                                   : s->oldest_age_s > HOUR_S ? CHECK_WARN
                                                              : CHECK_OK;
        snprintf(fix, sizeof fix, "see destination.%s; everything is kept until it takes it again",
                 d->name);
        finding_add(f, status, fix,
                    "%" PRIu64 " records wait for '%s' (%s), the oldest for %" PRIu64
                    " minutes%s%s",
                    d->backlog_records, d->name, d->state, s->oldest_age_s / 60,
                    d->last_error[0] ? ": " : "", d->last_error);
    }
    if (s->spool_bytes > limit / 10 * 8)
        finding_add(f, CHECK_FAIL,
                    "raise relay.spool.max_mib, or repair the destination that takes nothing",
                    "the spool holds %" PRIu64 " of %" PRIu64
                    " MiB: soon the oldest records are dropped",
                    s->spool_bytes / MIB, limit / MIB);
    finding_add(f, CHECK_OK, NULL, "nothing waits for long");
}

static void check_losses(const struct scene *scene, const struct check_target *target,
                         struct finding *f)
{
    char list[JUDGE_TEXT_BYTES], command[SCENE_COMMAND_BYTES];
    const struct scene_status *s = &scene->status;
    (void)target;
    snprintf(list, sizeof list, "run: %s", scene_command(scene, "spool list", command));
    if (!scene_has_agent(scene) || !s->is_there) {
        finding_add(f, CHECK_SKIP, NULL, "the agent has written no status");
        return;
    }
    if (s->evicted_total > 0)
        finding_add(f, CHECK_WARN, "raise relay.spool.max_mib or relay.spool.max_age_hours",
                    "%" PRIu64 " records were dropped for room or age since the spool was made",
                    s->evicted_total);
    for (size_t i = 0; i < s->destination_count; i++) {
        const struct scene_destination *d = &s->destinations[i];
        if (d->quarantined_records_total > 0)
            finding_add(f, CHECK_WARN, list, "'%s' refused %" PRIu64 " records, kept on disk",
                        d->name, d->quarantined_records_total);
        if (d->rejected_records_total > 0)
            finding_add(f, CHECK_WARN, list, "'%s' rejected %" PRIu64 " records", d->name,
                        d->rejected_records_total);
        if (d->set_aside_records > 0)
            finding_add(f, CHECK_WARN, list, "'%s' has %" PRIu64 " records set aside, tried later",
                        d->name, d->set_aside_records);
    }
    finding_add(f, CHECK_OK, NULL, "no record was lost or refused");
}

static const struct check checks[] = {
    {"spool.writable", "The agent may write its spool",
     "a relay that cannot write takes nothing, and Claude Code's records are lost", check_writable},
    {"spool.integrity", "Every record in the spool is sound", "damaged records are not delivered",
     check_integrity},
    {"spool.backlog", "Nothing waits for long",
     "records that wait past the spool's limits are dropped", check_backlog},
    {"spool.losses", "No record was lost or refused", "what is lost is missing from every figure",
     check_losses},
};
CHECK_FAMILY(spool_checks, checks);
