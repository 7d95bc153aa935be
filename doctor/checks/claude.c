/* Claude Code itself: what is installed, which version, and what still runs with older settings. */
#include <stdio.h>
#include <string.h>

#include "doctor/judge.h"

static void check_installed(const struct scene *scene, const struct check_target *target,
                            struct finding *f)
{
    (void)target;
    for (size_t i = 0; i < scene->installs.count; i++) {
        const struct claude_install *install = &scene->installs.list[i];
        if (install->known)
            finding_add(f, CHECK_OK, NULL, "%u.%u.%u in '%s'", install->version.major,
                        install->version.minor, install->version.patch, install->path);
        else
            finding_add(f, CHECK_OK, NULL, "an unknown version in '%s'", install->path);
    }
    if (scene->installs.count == 0)
        finding_add(f, CHECK_WARN, "run: npm install -g @anthropic-ai/claude-code",
                    "no Claude Code was found in the usual places");
}

/* Versions that were reported to send nothing, or less. */
static const struct {
    struct claude_version from, to;
    bool is_dead; /* sends nothing */
    const char *effect;
} known_bad[] = {
    {{2, 0, 64}, {2, 0, 67}, true, "sends no telemetry"},
    {{2, 1, 98}, {2, 1, 98}, false, "sends nothing with -p"},
    {{2, 1, 113}, {2, 1, 126}, false, "was reported to send no metrics on macOS"},
};

static void judge_version_of(const struct claude_install *install, struct finding *f)
{
    static const char update[] = "run: claude update";
    struct claude_version v = install->version;
    for (size_t i = 0; i < sizeof known_bad / sizeof *known_bad; i++)
        if (claude_version_compare(v, known_bad[i].from) >= 0 &&
            claude_version_compare(v, known_bad[i].to) <= 0)
            finding_add(f, known_bad[i].is_dead ? CHECK_FAIL : CHECK_WARN, update,
                        "Claude Code %u.%u.%u in '%s' %s", v.major, v.minor, v.patch, install->path,
                        known_bad[i].effect);
    if (claude_version_compare(v, (struct claude_version){2, 1, 100}) < 0)
        finding_add(f, CHECK_WARN, update,
                    "Claude Code %u.%u.%u in '%s' is older than 2.1.100: fewer events, numbers as "
                    "text, and a wrong setting stops it",
                    v.major, v.minor, v.patch, install->path);
    else if (claude_version_compare(v, (struct claude_version){2, 1, 223}) < 0)
        finding_add(f, CHECK_WARN, update,
                    "Claude Code %u.%u.%u in '%s' is older than 2.1.223: a shell or another policy "
                    "can divert its telemetry",
                    v.major, v.minor, v.patch, install->path);
    else
        finding_add(f, CHECK_OK, NULL, "%u.%u.%u", v.major, v.minor, v.patch);
}

static void check_version(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    for (size_t i = 0; i < scene->installs.count; i++)
        if (scene->installs.list[i].known)
            judge_version_of(&scene->installs.list[i], f);
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_SKIP, NULL, "the version of Claude Code is not known");
}

static void check_restart(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    for (size_t p = 0; p < scene->process_count; p++) {
        const struct scene_process *process = &scene->processes[p];
        for (size_t v = 0; v < scene->view_count; v++) {
            const struct settings_view *view = scene->views[v];
            const struct view_document *newer = NULL;
            for (size_t i = 0; i < view->document_count; i++)
                if (view->documents[i]->layer >= VIEW_USER &&
                    view->documents[i]->modified_ns > process->started_ns + 2 * NS_PER_S)
                    newer = view->documents[i];
            if (view->uid != process->uid || !newer || process->started_ns == 0)
                continue;
            finding_add(f, CHECK_WARN, "quit Claude Code and start it again",
                        "Claude Code (process %d) is older than '%s': it goes on with the settings "
                        "it started with",
                        process->pid, newer->path);
        }
    }
    if (scene->process_count == 0)
        finding_add(f, CHECK_OK, NULL, "no Claude Code runs now");
    else
        finding_add(f, CHECK_OK, NULL, "every running Claude Code has the present settings");
}

static const struct check checks[] = {
    {"claude.installed", "Claude Code is installed", "without it there is nothing to measure",
     check_installed},
    {"claude.version", "The installed versions send telemetry",
     "some versions send nothing, or let others divert it", check_version},
    {"claude.restart", "Running sessions have the present settings",
     "exporters are fixed when Claude Code starts; a change counts after a restart", check_restart},
};
CHECK_FAMILY(claude_checks, checks);
