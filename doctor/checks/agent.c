/* The agent: its configuration, service, enrolment, and who the people are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/template.h"
#include "doctor/judge.h"
#include "doctor/remedy.h"
#include "platform/platform.h"
#include "platform/service.h"

enum { DAY_S = 86400, OLD_TOKEN_DAYS = 365 };

/* ---- config.valid ---- */

static void check_config(const struct scene *scene, const struct check_target *target,
                         struct finding *f)
{
    char reload[JUDGE_TEXT_BYTES];
    (void)target;
    snprintf(reload, sizeof reload, "run: %s", platform_service_command(PLATFORM_SERVICE_RELOAD));
    for (size_t i = 0; i < scene->problems.count; i++)
        finding_add(f, CHECK_FAIL, scene->problems.items[i].remedy, "%s",
                    scene->problems.items[i].cause);
    if (scene->status.config_error[0] && scene->config)
        finding_add(f, CHECK_WARN, reload, "the running agent has an older configuration: %s",
                    scene->status.config_error);
    if (!scene->config)
        return;
    if (scene->config->file_exists)
        finding_add(f, CHECK_OK, NULL, "'%s' is valid", scene->config->path);
    else if (scene->config->managed)
        finding_add(f, CHECK_OK, NULL, "'%s' is valid", scene->config->managed);
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
    char enable[JUDGE_TEXT_BYTES], unmask[JUDGE_TEXT_BYTES], words[REMEDY_BYTES];
    bool is_machine = !*scene->root || strcmp(scene->root, "/") == 0;
    enum platform_service_state state =
        is_machine ? platform_service_state() : PLATFORM_SERVICE_UNKNOWN;
    (void)target;
    snprintf(enable, sizeof enable, "run: %s", platform_service_command(PLATFORM_SERVICE_ENABLE));
    snprintf(unmask, sizeof unmask, "run: %s", remedy(REMEDY_ALLOW_START, NULL, words));
    for (size_t i = 0; i < 3; i++)
        installed = installed || exists(scene, units[i], &stat);
    if (state == PLATFORM_SERVICE_ENABLED)
        finding_add(f, CHECK_OK, NULL, "the service starts with the machine");
    else if (state == PLATFORM_SERVICE_DISABLED)
        finding_add(f, CHECK_FAIL, enable,
                    "the service is installed and does not start with the machine: after its next "
                    "start nothing takes telemetry");
    else if (is_masked(scene, units[2]))
        finding_add(f, CHECK_FAIL, unmask, "the service is masked: it can never start");
    else if (exists(scene, launchd, &stat))
        finding_add(f, CHECK_OK, NULL, "launchd starts it");
    else if (!installed)
        finding_add(f, CHECK_SKIP, NULL, "the agent is not installed as a service");
    else if (!exists(scene, wanted, &stat))
        finding_add(f, CHECK_FAIL, enable,
                    "the service is installed and not enabled: after the next start of the machine "
                    "nothing takes telemetry");
    else
        finding_add(f, CHECK_OK, NULL, "the service starts with the machine");
}

/* ---- enrollment.device ---- */

static void check_enrollment(const struct scene *scene, const struct check_target *target,
                             struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], command[SCENE_COMMAND_BYTES], rights[REMEDY_BYTES];
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
        finding_add(f, CHECK_SKIP, NULL, "only %s can see the device's token: %s", remedy_who(),
                    remedy(REMEDY_GET_RIGHTS, NULL, rights));
    else
        finding_add(f, CHECK_FAIL, fix, "this device was never enrolled with '%s'", url);
}

/* ---- config.secrets, enrollment.token_age ---- */

/* A file that holds a secret, as the system names it. */
typedef void visit_secret(const struct scene *scene, const char *path, struct finding *f);

static void each_secret(const struct scene *scene, visit_secret *visit, struct finding *f)
{
    const struct config *values = scene->config->values;
    const char *enrollment = config_text(values, "server.enrollment_secret_file");
    if (enrollment)
        visit(scene, enrollment, f);
    for (size_t i = 0; i < config_section_count(values, "destinations"); i++) {
        const struct config *d = config_section_at(values, "destinations", i);
        for (size_t k = 0; k < config_map_count(d, "headers"); k++) {
            const char *at;
            (void)config_map_at(d, "headers", k, &at);
            while ((at = strstr(at, "${file:"))) {
                at += strlen("${file:");
                char *path = xstrndup(at, strcspn(at, "}"));
                visit(scene, path, f);
                free(path);
            }
        }
    }
}

static void judge_mode(const struct scene *scene, const char *path, struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], words[REMEDY_BYTES];
    struct fs_stat stat;
    struct error ignored;
    char *full = platform_under_root(scene->root, path);
    if (!scene->fs->stat(scene->fs->disk, full, &stat, &ignored) || stat.is_symlink ||
        stat.mode == 0) {
        free(full);
        return;
    }
    snprintf(fix, sizeof fix, "run: %s    and renew what is in it",
             remedy(REMEDY_KEEP_FROM_OTHERS, full, words));
    if (stat.mode & 0007)
        finding_add(f, CHECK_WARN, fix,
                    "everybody on this machine can %s '%s' (mode %04o), which holds a secret",
                    stat.mode & 0004 ? "read" : "change", full, stat.mode & 07777);
    else
        finding_add(f, CHECK_OK, NULL, "'%s' is kept from others", full);
    free(full);
}

static void check_secrets(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    if (scene_has_agent(scene))
        each_secret(scene, judge_mode, f);
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_SKIP, NULL, "no file with a secret is configured, or none is visible");
}

static void check_token_age(const struct scene *scene, const struct check_target *target,
                            struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], command[SCENE_COMMAND_BYTES];
    struct fs_stat stat;
    struct error ignored;
    char *path = xasprintf("%s/device.json", scene->state_dir);
    bool known = scene->fs->stat(scene->fs->disk, path, &stat, &ignored);
    uint64_t now = clock_wall_ns(scene->clock);
    uint64_t days =
        known && now > stat.modified_ns ? (now - stat.modified_ns) / NS_PER_S / DAY_S : 0;
    (void)target;
    free(path);
    snprintf(fix, sizeof fix, "run: %s", scene_command(scene, "enroll", command));
    if (!known)
        finding_add(f, CHECK_SKIP, NULL, "there is no token of this device, or only %s sees it",
                    remedy_who());
    else if (days > OLD_TOKEN_DAYS)
        finding_add(f, CHECK_WARN, fix,
                    "the device's token is %" PRIu64 " days old: give it a new one once a year",
                    days);
    else
        finding_add(f, CHECK_OK, NULL, "the device's token is %" PRIu64 " days old", days);
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
    {"enrollment.token_age", "The device's token is not old",
     "a token that is never renewed is good for whoever once copied it", check_token_age},
    {"config.secrets", "Tokens are kept from others",
     "whoever reads a token can send in this machine's name", check_secrets},
    {"identity.email", "Everybody's e-mail address is known",
     "telemetry without an address belongs to nobody", check_identity},
};
CHECK_FAMILY(agent_checks, checks);
