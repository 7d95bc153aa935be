/* The agent: its configuration, service, enrolment, and who the people are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/template.h"
#include "doctor/judge.h"
#include "platform/platform.h"

/* ---- config.valid ---- */

static void check_config(const struct scene *scene, const struct check_target *target,
                         struct finding *f)
{
    (void)target;
    for (size_t i = 0; i < scene->problems.count; i++)
        finding_add(f, CHECK_FAIL, scene->problems.items[i].remedy, "%s",
                    scene->problems.items[i].cause);
    if (scene->status.config_error[0] && scene->config)
        finding_add(f, CHECK_WARN, "run: sudo systemctl reload claude-telemetry-agent",
                    "the running agent has an older configuration: %s", scene->status.config_error);
    if (!scene->config)
        return;
    if (scene->config->file_exists)
        finding_add(f, CHECK_OK, NULL, "'%s' is valid", scene->config->path);
    else
        finding_add(f, CHECK_SKIP, NULL, "there is no '%s': the agent is not configured",
                    scene->config->path);
}

/* ---- service.enabled ---- */

static bool exists(const struct scene *scene, const char *path, struct fs_stat *stat)
{
    struct error ignored;
    char *full = platform_under_root(scene->root, path);
    bool there = scene->fs->stat(scene->fs->disk, full, stat, &ignored);
    free(full);
    return there;
}

static bool is_masked(const struct scene *scene, const char *path)
{
    struct error ignored;
    char *target = NULL, *full = platform_under_root(scene->root, path);
    bool masked = scene->fs->read_link(scene->fs->disk, full, &target, &ignored) &&
                  strcmp(target, "/dev/null") == 0;
    free(target);
    free(full);
    return masked;
}

static void check_service(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    static const char *const units[] = {"/usr/lib/systemd/system/claude-telemetry-agent.service",
                                        "/lib/systemd/system/claude-telemetry-agent.service",
                                        "/etc/systemd/system/claude-telemetry-agent.service"};
    static const char wanted[] =
        "/etc/systemd/system/multi-user.target.wants/claude-telemetry-agent.service";
    static const char launchd[] = "/Library/LaunchDaemons/com.claude-telemetry.agent.plist";
    struct fs_stat stat;
    bool installed = false;
    (void)target;
    for (size_t i = 0; i < 3; i++)
        installed = installed || exists(scene, units[i], &stat);
    if (is_masked(scene, units[2]))
        finding_add(f, CHECK_FAIL,
                    "run: sudo systemctl unmask claude-telemetry-agent && sudo systemctl enable "
                    "--now claude-telemetry-agent",
                    "the service is masked: it can never start");
    else if (exists(scene, launchd, &stat))
        finding_add(f, CHECK_OK, NULL, "launchd starts it");
    else if (!installed)
        finding_add(f, CHECK_SKIP, NULL, "the agent is not installed as a service");
    else if (!exists(scene, wanted, &stat))
        finding_add(f, CHECK_FAIL, "run: sudo systemctl enable --now claude-telemetry-agent",
                    "the service is installed and not enabled: after the next start of the machine "
                    "nothing takes telemetry");
    else
        finding_add(f, CHECK_OK, NULL, "the service starts with the machine");
}

/* ---- enrollment.device ---- */

static void check_enrollment(const struct scene *scene, const struct check_target *target,
                             struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], command[SCENE_COMMAND_BYTES];
    const char *url = scene->config ? config_text(scene->config->values, "server.url") : NULL;
    (void)target;
    snprintf(fix, sizeof fix, "run: %s", scene_command(scene, "enroll", command));
    if (!url)
        finding_add(f, CHECK_SKIP, NULL, "no server.url: this relay stands alone");
    else if (scene->has_device &&
             strncmp(scene->device.server_url, url, strlen(scene->device.server_url)) != 0)
        finding_add(f, CHECK_FAIL, fix, "this device is enrolled with '%s', not with '%s'",
                    scene->device.server_url, url);
    else if (scene->has_device || scene->status.is_enrolled)
        finding_add(f, CHECK_OK, NULL, "this device is enrolled");
    else if (scene->is_device_hidden && !scene->status.is_there)
        finding_add(f, CHECK_SKIP, NULL, "only root can see the device's token: run with sudo");
    else
        finding_add(f, CHECK_FAIL, fix, "this device was never enrolled with '%s'", url);
}

/* ---- identity.email ---- */

static bool needs_email(const struct scene *scene)
{
    const struct config *values = scene->config->values;
    bool needed = config_is_set(values, "identity.email") ||
                  config_is_set(values, "identity.command") ||
                  config_is_set(values, "identity.email_domain");
    for (size_t i = 0; i < config_section_count(values, "destinations"); i++) {
        const struct config *d = config_section_at(values, "destinations", i);
        for (size_t k = 0; k < config_map_count(d, "resource_attributes"); k++) {
            const char *text;
            (void)config_map_at(d, "resource_attributes", k, &text);
            needed = needed || config_template_uses(text, "email");
        }
    }
    return needed;
}

static void check_identity(const struct scene *scene, const struct check_target *target,
                           struct finding *f)
{
    (void)target;
    if (scene->users_problem[0]) {
        finding_add(f, CHECK_SKIP, NULL, "%s", scene->users_problem);
        return;
    }
    if (!scene->has_identity || !scene_has_agent(scene)) {
        finding_add(f, CHECK_SKIP, NULL, "not judged before config.valid is right");
        return;
    }
    const struct local_users *users = accounts_users(scene->accounts);
    for (size_t i = 0; i < users->count; i++) {
        const struct local_user *user = &users->list[i];
        if (user->email)
            finding_add(f, CHECK_OK, NULL, "%s is %s (from %s)", user->name, user->email,
                        identity_source_name(user->source));
        else
            finding_add(f, needs_email(scene) ? CHECK_FAIL : CHECK_WARN,
                        "set identity.email in the agent's configuration, or let one of "
                        "identity.email_from give it",
                        "%s has no e-mail address: %s", user->name,
                        user->problem ? user->problem : "no source knows one");
    }
    if (users->count == 0)
        finding_add(f, CHECK_SKIP, NULL, "nobody has an account on this machine");
}

static const struct check checks[] = {
    {"config.valid", "The agent's configuration is valid",
     "an agent with an invalid configuration does not start", check_config},
    {"service.enabled", "The agent starts with the machine",
     "without the agent nothing takes what Claude Code sends", check_service},
    {"enrollment.device", "This device is enrolled",
     "without a token the server takes nothing from it", check_enrollment},
    {"identity.email", "Everybody's e-mail address is known",
     "telemetry without an address belongs to nobody", check_identity},
};
CHECK_FAMILY(agent_checks, checks);
