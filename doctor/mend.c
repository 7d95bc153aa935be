#include "doctor/mend.h"

#include <stdlib.h>
#include <string.h>

#include "agent/settings_setup.h"
#include "base/memory.h"
#include "doctor/remedy.h"

static void tell_done(struct mending *m, char *sentence)
{
    if (m->done_count < MEND_MAX)
        m->done[m->done_count++] = sentence;
    else
        free(sentence);
}

static void tell_failed(struct mending *m, char *sentence)
{
    if (m->failed_count < MEND_MAX)
        m->failed[m->failed_count++] = sentence;
    else
        free(sentence);
}

static bool failed(const struct run *run, const char *id)
{
    for (size_t i = 0; i < run->count; i++)
        if (strcmp(run->results[i].id, id) == 0)
            return run->results[i].finding.status == CHECK_FAIL;
    return false;
}

/* Managed settings are meant for everybody; the owner stays. */
static void let_read(const struct scene *scene, const struct view_document *d, struct mending *m)
{
    struct error err = {0};
    struct fs_stat stat;
    const struct fs *fs = scene->fs;
    struct fs_file *file = fs->open(fs->disk, d->path, FS_READ, 0, &err);
    bool ok = file && fs->file_stat(fs->disk, file, &stat, &err) &&
              fs->file_own(fs->disk, file, stat.uid, stat.gid, 0644, &err);
    fs->close(fs->disk, file);
    if (ok)
        tell_done(m, xasprintf("everybody may now read '%s'", d->path));
    else
        tell_failed(m, xasprintf("cannot change the mode of '%s': %s", d->path, err.cause));
}

static void mend_modes(const struct scene *scene, struct mending *m)
{
    for (size_t i = 0; i < scene->views[0]->document_count; i++) {
        const struct view_document *d = scene->views[0]->documents[i];
        if (d->layer == VIEW_FILES && d->is_unreadable && !d->is_silent && !d->is_folder)
            let_read(scene, d, m);
    }
}

/* A drop-in is the agent's alone: when it is damaged, apply writes it anew. */
static void remove_damaged(const struct scene *scene, struct mending *m)
{
    for (size_t i = 0; i < scene->views[0]->document_count; i++) {
        const struct view_document *d = scene->views[0]->documents[i];
        struct error err = {0};
        if (!d->is_ours || !d->is_broken)
            continue;
        if (scene->fs->remove(scene->fs->disk, d->path, &err))
            tell_done(m, xasprintf("removed '%s', which was no JSON object", d->path));
        else
            tell_failed(m, xasprintf("cannot remove '%s': %s", d->path, err.cause));
    }
}

static void tell_files(const struct settings_plan *plan, struct mending *m)
{
    for (size_t i = 0; i < settings_plan_count(plan); i++) {
        struct settings_file file = settings_plan_file(plan, i);
        if (file.change == SETTINGS_BLOCKED)
            tell_failed(m, xasprintf("left '%s' alone: %s", file.path, file.problem->cause));
        else if (file.change != SETTINGS_UNCHANGED)
            tell_done(m, xasprintf("%s '%s'", file.change == SETTINGS_REMOVE ? "removed" : "wrote",
                                   file.path));
    }
}

static void apply(const struct scene *scene, struct mending *m)
{
    struct error err = {0};
    struct settings_setup setup = {0};
    struct settings_plan *plan = NULL;
    struct settings_result result;
    struct accounts *accounts =
        accounts_create(scene->root, scene->state_dir, true, scene->fs, &err);
    if (accounts) {
        accounts_refresh(accounts, scene->config->values, NULL);
        if (scene->has_device)
            accounts_set_device(accounts, scene->device.id, scene->device.token);
        if (settings_setup_init(&setup, scene->config->values, scene->root, accounts,
                                scene_relay_port(scene), scene->fs, &err))
            plan = settings_plan_create(&setup.options, scene->fs, &err);
    }
    bool ok = plan && settings_apply(plan, scene->fs, &result, &err);
    if (plan && (ok || settings_plan_blocked(plan) > 0))
        tell_files(plan, m);
    if (!ok && !(plan && settings_plan_blocked(plan) > 0))
        tell_failed(m, xasprintf("cannot apply the settings: %s", err.cause));
    settings_plan_destroy(plan);
    settings_setup_clear(&setup);
    accounts_destroy(accounts);
}

/* Some check names the agent's apply as its fix. */
static bool wants_apply(const struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        const char *fix = run->results[i].finding.fix;
        if (run->results[i].finding.status == CHECK_FAIL && strstr(fix, "claude-telemetry-agent") &&
            strstr(fix, " apply"))
            return true;
    }
    return false;
}

void mend(const struct scene *scene, const struct run *run, struct mending *out)
{
    *out = (struct mending){0};
    bool modes = failed(run, "settings.managed.readable");
    bool settings = scene_agent_writes(scene) && wants_apply(run);
    if (!modes && !settings)
        return;
    if (!scene->is_privileged && strcmp(scene->root, "/") == 0) {
        tell_failed(out, xasprintf("only %s may change managed settings", remedy_who()));
        return;
    }
    if (modes)
        mend_modes(scene, out);
    if (settings) {
        remove_damaged(scene, out);
        apply(scene, out);
    }
}

void mending_clear(struct mending *m)
{
    for (size_t i = 0; i < m->done_count; i++)
        free(m->done[i]);
    for (size_t i = 0; i < m->failed_count; i++)
        free(m->failed[i]);
    *m = (struct mending){0};
}
