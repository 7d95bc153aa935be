/* Each destination, stage by stage: the first broken one is the one reported. */
#include <stdio.h>
#include <string.h>

#include "doctor/judge.h"
#include "doctor/probe.h"

static void tell(const struct scene *scene, const struct check_target *target,
                 enum probe_stage stage, struct finding *f)
{
    char name[CHECK_ID_BYTES];
    if (!config_bool(target->destination, "enabled")) {
        finding_add(f, CHECK_SKIP, NULL, "switched off (enabled: false)");
        return;
    }
    snprintf(name, sizeof name, "destination.%s", target->name);
    probe_tell(probe_destination(scene->probes, target->index), stage, name, f);
}

static void check_dns(const struct scene *scene, const struct check_target *target,
                      struct finding *f)
{
    tell(scene, target, PROBE_DNS, f);
}

static void check_tcp(const struct scene *scene, const struct check_target *target,
                      struct finding *f)
{
    tell(scene, target, PROBE_TCP, f);
}

static void check_tls(const struct scene *scene, const struct check_target *target,
                      struct finding *f)
{
    tell(scene, target, PROBE_TLS, f);
}

/* The credential's place, for the fix. */
static void check_auth(const struct scene *scene, const struct check_target *target,
                       struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], place[200], command[SCENE_COMMAND_BYTES];
    const struct probe *p = probe_destination(scene->probes, target->index);
    bool enabled = config_bool(target->destination, "enabled");
    if (enabled && p->broken == PROBE_AUTH) {
        bool device = false;
        for (size_t i = 0; i < config_map_count(target->destination, "headers"); i++) {
            const char *text;
            (void)config_map_at(target->destination, "headers", i, &text);
            device = device || strstr(text, "${device_token}");
        }
        if (device)
            snprintf(fix, sizeof fix, "run: %s", scene_command(scene, "enroll", command));
        else
            snprintf(fix, sizeof fix,
                     "put a valid token where %s takes it from; the agent notices by itself",
                     config_place(target->destination, "headers", place, sizeof place));
        finding_add(f, CHECK_FAIL, fix, "'%s': %s", p->url, p->seen);
    } else if (enabled && p->broken == PROBE_CREDENTIAL && scene->is_privileged) {
        finding_add(f, CHECK_FAIL, p->fix, "the credential cannot be had: %s", p->seen);
    } else
        tell(scene, target, PROBE_AUTH, f);
}

static void check_accepts(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    tell(scene, target, PROBE_ACCEPTS, f);
}

static const char why[] = "nothing is delivered there; the relay keeps it until its limits";

static const struct check checks[] = {
    {"destination.*.dns", "The destination's name is known", why, check_dns},
    {"destination.*.tcp", "The destination takes connections", why, check_tcp},
    {"destination.*.tls", "The destination's certificate is trusted", why, check_tls},
    {"destination.*.auth", "The destination knows our credential", why, check_auth},
    {"destination.*.accepts", "The destination takes telemetry", why, check_accepts},
};
CHECK_FAMILY(destination_checks, checks);
