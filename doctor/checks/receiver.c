/* Whom Claude Code sends to itself, where there is no relay between them. */
#include <stdio.h>

#include "doctor/judge.h"
#include "doctor/probe.h"
#include "doctor/receiver.h"

static void tell(const struct scene *scene, enum probe_stage stage, struct finding *f)
{
    const char *signal, *reason;
    if (!receiver_view(scene, &signal, &reason))
        finding_add(f, CHECK_SKIP, NULL, "%s", reason);
    else
        probe_tell(probe_receiver(scene->probes), stage, "receiver", f);
}

static void check_dns(const struct scene *scene, const struct check_target *target,
                      struct finding *f)
{
    (void)target;
    tell(scene, PROBE_DNS, f);
}

static void check_tcp(const struct scene *scene, const struct check_target *target,
                      struct finding *f)
{
    (void)target;
    tell(scene, PROBE_TCP, f);
}

static void check_tls(const struct scene *scene, const struct check_target *target,
                      struct finding *f)
{
    (void)target;
    tell(scene, PROBE_TLS, f);
}

static void check_auth(const struct scene *scene, const struct check_target *target,
                       struct finding *f)
{
    const char *signal, *reason;
    const struct settings_view *view = receiver_view(scene, &signal, &reason);
    (void)target;
    if (view && probe_receiver(scene->probes)->broken == PROBE_AUTH) {
        const struct probe *p = probe_receiver(scene->probes);
        const struct view_entry *headers = view_signal(view, signal, "HEADERS");
        char place[VIEW_PLACE_BYTES], fix[JUDGE_TEXT_BYTES];
        if (headers)
            snprintf(fix, sizeof fix, "put a valid token into %s in %s", headers->name,
                     view_place(headers, place));
        else
            snprintf(fix, sizeof fix,
                     "set OTEL_EXPORTER_OTLP_HEADERS to \"Authorization=Bearer TOKEN\" beside the "
                     "endpoint");
        finding_add(f, CHECK_FAIL, fix, "'%s': %s", p->url, p->seen);
    } else
        tell(scene, PROBE_AUTH, f);
}

static void check_accepts(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    tell(scene, PROBE_ACCEPTS, f);
}

static const char why[] = "Claude Code drops what it cannot deliver within seconds, without a word";

static const struct check checks[] = {
    {"receiver.dns", "The receiver's name is known", why, check_dns},
    {"receiver.tcp", "The receiver takes connections", why, check_tcp},
    {"receiver.tls", "The receiver's certificate is trusted", why, check_tls},
    {"receiver.auth", "The receiver knows the credential", why, check_auth},
    {"receiver.accepts", "The receiver takes telemetry in time", why, check_accepts},
};
CHECK_FAMILY(receiver_checks, checks);
