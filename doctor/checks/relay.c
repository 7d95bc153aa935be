/* The relay on this machine, and the server it reports to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/judge.h"
#include "doctor/probe.h"
#include "doctor/remedy.h"
#include "platform/service.h"

static bool has_relay(const struct scene *scene, struct finding *f)
{
    if (scene_uses_relay(scene) && scene_relay_port(scene) > 0)
        return true;
    finding_add(f, CHECK_SKIP, NULL, "%s",
                scene_has_agent(scene) ? "Claude Code sends past the relay (claude.mode: direct)"
                                       : "no agent is configured on this machine");
    return false;
}

/* ---- relay.running ---- */

static void check_running(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    char start[JUDGE_TEXT_BYTES], restart[JUDGE_TEXT_BYTES], find[JUDGE_TEXT_BYTES];
    char words[REMEDY_BYTES];
    (void)target;
    snprintf(find, sizeof find,
             "find the program: %s    then end it, or set relay.listen to another port and restart "
             "the agent",
             remedy(REMEDY_LIST_LISTENERS, NULL, words));
    snprintf(start, sizeof start, "run: %s", platform_service_command(PLATFORM_SERVICE_ENABLE));
    snprintf(restart, sizeof restart, "run: %s",
             platform_service_command(PLATFORM_SERVICE_RESTART));
    if (!has_relay(scene, f))
        return;
    const struct probe *p = probe_relay(scene->probes);
    if (p->broken < PROBE_ACCEPTS)
        finding_add(f, CHECK_FAIL, start,
                    "nothing listens on 127.0.0.1:%u (%s): Claude Code's records are lost at once",
                    scene_relay_port(scene), p->seen);
    else if (p->status == 0)
        finding_add(f, CHECK_FAIL, restart,
                    "127.0.0.1:%u takes connections and does not answer: %s",
                    scene_relay_port(scene), p->seen);
    else if (p->status != 200 || p->broken != PROBE_DONE)
        finding_add(f, CHECK_FAIL, find,
                    "127.0.0.1:%u is taken by another program, which answers %d to /healthz",
                    scene_relay_port(scene), p->status);
    else
        finding_add(f, CHECK_OK, NULL, "listens on 127.0.0.1:%u", scene_relay_port(scene));
}

/* ---- relay.accepts, relay.token ---- */

static bool is_up(const struct scene *scene, struct finding *f)
{
    const struct probe *p = probe_relay(scene->probes);
    if (p->broken == PROBE_DONE && p->status == 200)
        return true;
    finding_add(f, CHECK_SKIP, NULL, "not reached: see relay.running");
    return false;
}

static void check_accepts(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    if (!has_relay(scene, f) || !is_up(scene, f))
        return;
    const struct probe *p = probe_export(scene->probes);
    if (p->broken == PROBE_AUTH)
        finding_add(f, CHECK_SKIP, NULL, "not reached: see relay.token");
    else if (p->broken != PROBE_DONE)
        finding_add(f, CHECK_FAIL, p->fix, "an empty export: %s", p->seen);
    else
        finding_add(f, CHECK_OK, NULL, "an empty export was %s", p->seen);
}

static void check_token(const struct scene *scene, const struct check_target *target,
                        struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], command[SCENE_COMMAND_BYTES];
    (void)target;
    if (!has_relay(scene, f) || !is_up(scene, f))
        return;
    const struct probe *p = probe_export(scene->probes);
    snprintf(fix, sizeof fix, "run: %s", scene_command(scene, "apply", command));
    if (p->broken == PROBE_AUTH)
        finding_add(f, CHECK_FAIL, fix,
                    "the relay refuses the local token that the settings hold (%d)", p->status);
    else if (strcmp(config_text(scene->config->values, "relay.local_token_required"), "true") == 0)
        finding_add(f, CHECK_OK, NULL, "the relay takes the local token in the settings");
    else
        finding_add(f, CHECK_OK, NULL, "no local token is needed");
}

/* ---- relay.status ---- */

static void check_status(const struct scene *scene, const struct check_target *target,
                         struct finding *f)
{
    char restart[JUDGE_TEXT_BYTES];
    (void)target;
    snprintf(restart, sizeof restart, "run: %s",
             platform_service_command(PLATFORM_SERVICE_RESTART));
    if (!has_relay(scene, f))
        return;
    if (scene->status.problem[0])
        finding_add(f, CHECK_WARN, restart, "the agent's status cannot be read: %s",
                    scene->status.problem);
    else if (!scene->status.is_there)
        finding_add(f, CHECK_SKIP, NULL, "the agent has written no status in '%s'", scene->run_dir);
    else if (scene->status.relay_error[0])
        finding_add(f, CHECK_FAIL, "free space on the spool's disk, or let the agent write there",
                    "the relay cannot keep requests: %s", scene->status.relay_error);
    else
        finding_add(f, CHECK_OK, NULL, "the relay reports no error");
}

/* ---- server.reachable ---- */

static void check_server(const struct scene *scene, const struct check_target *target,
                         struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], words[REMEDY_BYTES];
    (void)target;
    snprintf(fix, sizeof fix, "wait for the next heartbeat; if it fails again: %s",
             remedy(REMEDY_SHOW_LOG, scene->config_dir, words));
    if (!scene->config || !config_text(scene->config->values, "server.url")) {
        finding_add(f, CHECK_SKIP, NULL, "no server.url: this relay stands alone");
        return;
    }
    const struct probe *p = probe_server(scene->probes);
    if (p->broken != PROBE_DONE)
        finding_add(f, CHECK_FAIL, p->fix, "'%s': %s", p->url, p->seen);
    else if (scene->status.server_error[0])
        finding_add(f, CHECK_WARN, fix, "reachable now; the last heartbeat failed: %s",
                    scene->status.server_error);
    else
        finding_add(f, CHECK_OK, NULL, "'%s' %s", p->url, p->seen);
}

static const struct check checks[] = {
    {"relay.running", "The relay runs", "without it everything Claude Code sends is lost at once",
     check_running},
    {"relay.token", "The relay takes the local token",
     "without the right token every request is refused", check_token},
    {"relay.accepts", "The relay takes telemetry",
     "what is refused or answered late is lost, and nothing tells", check_accepts},
    {"relay.status", "The relay reports no error", "a relay that cannot write refuses telemetry",
     check_status},
    {"server.reachable", "The server is reachable",
     "without heartbeats nobody sees how this machine does", check_server},
};
CHECK_FAMILY(relay_checks, checks);
