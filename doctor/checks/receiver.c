/* Whom Claude Code sends to itself, where there is no relay between them. */
#include <stdio.h>

#include "doctor/helper.h"
#include "doctor/judge.h"
#include "doctor/probe.h"
#include "doctor/receiver.h"

static void tell(const struct scene *scene, enum probe_stage stage, struct finding *f)
{
    const char *reason;
    struct receiver receiver;
    if (!receiver_find(scene, &receiver, &reason))
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
    const char *reason;
    struct receiver receiver;
    bool found = receiver_find(scene, &receiver, &reason);
    (void)target;
    if (found && probe_receiver(scene->probes)->broken == PROBE_AUTH) {
        const struct probe *p = probe_receiver(scene->probes);
        const struct view_entry *headers = view_signal(receiver.view, receiver.signal, "HEADERS");
        const struct view_document *helper = helper_document(receiver.view);
        char place[VIEW_PLACE_BYTES], fix[JUDGE_TEXT_BYTES];
        if (helper && !receiver.is_grpc)
            snprintf(fix, sizeof fix, "let otelHeadersHelper '%s' print a valid token",
                     helper->helper);
        else if (headers)
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
