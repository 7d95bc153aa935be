/* Where Claude Code sends to: endpoints, protocols, who bends them, proxies, certificates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doctor/format.h"
#include "doctor/judge.h"
#include "doctor/proxies.h"
#include "platform/platform.h"

struct words {
    char whose[160], place[VIEW_PLACE_BYTES], fix[JUDGE_TEXT_BYTES];
};

static const char *protocol_of(const struct settings_view *view, const char *signal)
{
    const struct view_entry *e = view_signal(view, signal, "PROTOCOL");
    return e ? e->value : NULL;
}

static bool is_general(const struct view_entry *e)
{
    return strcmp(e->name, "OTEL_EXPORTER_OTLP_ENDPOINT") == 0;
}

static struct format_verdict endpoint_form(const struct settings_view *view, const char *signal,
                                           const struct view_entry *e)
{
    return format_endpoint(e->value, is_general(e) ? NULL : signal, protocol_of(view, signal));
}

static long port_of(const char *url)
{
    size_t len = format_origin_len(url);
    for (size_t i = len; i > 0 && url[i - 1] != '/' && url[i - 1] != ']'; i--)
        if (url[i - 1] == ':')
            return strtol(url + i, NULL, 10);
    return strncmp(url, "https:", 6) == 0 ? 443 : 80;
}

/* ---- Where a signal goes, and where it should ---- */

struct direction {
    const struct view_entry *entry; /* who says where; NULL: nobody */
    bool is_wrong;                  /* it goes elsewhere than it should */
    char url[600], expected[600];   /* expected "" when nothing tells */
};

static void find_direction(const struct scene *scene, const struct settings_view *view,
                           const char *signal, struct direction *d)
{
    struct buffer url = {.max_bytes = 16 * KIB}, expected = {.max_bytes = 16 * KIB};
    *d = (struct direction){.entry = view_signal(view, signal, "ENDPOINT")};
    if (d->entry && view_signal_url(view, signal, &url))
        snprintf(d->url, sizeof d->url, "%s", buffer_text(&url));
    if (scene_expected_url(scene, signal, &expected))
        snprintf(d->expected, sizeof d->expected, "%s", buffer_text(&expected));
    bool formed = d->entry && d->entry->value && !endpoint_form(view, signal, d->entry).is_bad;
    if (formed && judge_sends(view, signal)) {
        if (d->expected[0])
            d->is_wrong = strcmp(d->url, d->expected) != 0;
        else if (d->entry->document->layer < VIEW_POLICY) /* somebody else said where first */
            for (size_t i = 0; i < view->entry_count; i++)
                d->is_wrong =
                    d->is_wrong || (view->entries[i].document->layer > d->entry->document->layer &&
                                    view->entries[i].in_force && is_general(&view->entries[i]));
    }
    buffer_clear(&url);
    buffer_clear(&expected);
}

/* ---- env.protocol ---- */

static void ask_protocol(const struct scene *scene, const struct settings_view *view,
                         struct finding *f)
{
    struct words w;
    char version[64];
    bool grpc_relay =
        scene_has_agent(scene) && *config_text(scene->config->values, "relay.grpc_listen") != '\0';
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < 3; i++) {
        const char *signal = judge_signals[i];
        const struct view_entry *e = view_signal(view, signal, "PROTOCOL");
        if (!judge_sends(view, signal))
            continue;
        if (!e) {
            bool needs = !view_at_least(view, 2, 1, 329);
            finding_add(f, needs ? CHECK_FAIL : CHECK_WARN,
                        judge_fix_set(scene, view, NULL, "OTEL_EXPORTER_OTLP_PROTOCOL",
                                      "http/protobuf", w.fix),
                        "%sOTEL_EXPORTER_OTLP_PROTOCOL is not set: Claude Code %s %s", w.whose,
                        judge_version(view, version),
                        !needs ? "takes http/protobuf, older ones send nothing"
                        : view_at_least(view, 2, 1, 100) ? "sends nothing"
                                                         : "stops at its start");
            continue;
        }
        if (!e->value)
            continue;
        struct format_verdict v = format_protocol(e->value);
        if (v.is_bad)
            finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, e, e->name, v.fix, w.fix),
                        "%s%s in %s: %s", w.whose, e->name, view_place(e, w.place), v.seen);
        else if (strcmp(e->value, "grpc") == 0 && scene_uses_relay(scene) && !grpc_relay)
            finding_add(f, CHECK_FAIL,
                        judge_fix_set(scene, view, e, e->name, "http/protobuf", w.fix),
                        "%s%s is grpc in %s, and the relay speaks OTLP/HTTP: nothing arrives",
                        w.whose, e->name, view_place(e, w.place));
        else
            finding_add(f, CHECK_OK, NULL, "%sthe protocol is %s", w.whose, e->value);
    }
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_SKIP, NULL, "%sno signal is sent", w.whose);
}

static void check_protocol(const struct scene *scene, const struct check_target *target,
                           struct finding *f)
{
    (void)target;
    judge_each(scene, ask_protocol, f);
}

/* ---- env.endpoint ---- */

static void judge_form(const struct scene *scene, const struct settings_view *view,
                       const char *signal, const struct view_entry *e, struct finding *f)
{
    struct words w;
    struct format_verdict v = endpoint_form(view, signal, e);
    judge_whose(scene, view, w.whose);
    if (v.is_bad)
        finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, e, e->name, v.fix, w.fix),
                    "%s%s in %s: %s", w.whose, e->name, view_place(e, w.place), v.seen);
}

static bool is_wrong_port(const struct scene *scene, const struct direction *d)
{
    return scene_uses_relay(scene) && format_is_local(d->url) &&
           port_of(d->url) != port_of(d->expected);
}

static void ask_endpoint(const struct scene *scene, const struct settings_view *view,
                         struct finding *f)
{
    struct words w;
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < 3; i++) {
        const char *signal = judge_signals[i];
        struct direction d;
        if (!judge_sends(view, signal))
            continue;
        find_direction(scene, view, signal, &d);
        if (!d.entry) {
            finding_add(f, CHECK_FAIL,
                        judge_fix_set(scene, view, NULL, "OTEL_EXPORTER_OTLP_ENDPOINT",
                                      "http://127.0.0.1:14318", w.fix),
                        "%sOTEL_EXPORTER_OTLP_ENDPOINT is not set: %s go to localhost:4318 or "
                        "nowhere",
                        w.whose, signal);
            continue;
        }
        if (!d.entry->value)
            continue;
        judge_form(scene, view, signal, d.entry, f);
        bool by_policy = d.entry->document->layer == VIEW_FILES &&
                         !(d.entry->document->is_dropin && !d.entry->document->is_ours);
        if (d.is_wrong && by_policy && !is_wrong_port(scene, &d))
            finding_add(f, CHECK_FAIL,
                        judge_fix_set(scene, view, d.entry, d.entry->name, d.expected, w.fix),
                        "%s%s sends %s to %s, and they should go to %s", w.whose,
                        view_place(d.entry, w.place), signal, d.url, d.expected);
        else
            finding_add(f, CHECK_OK, NULL, "%s%s go to %s", w.whose, signal, d.url);
    }
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_SKIP, NULL, "%sno signal is sent", w.whose);
}

static void check_endpoint(const struct scene *scene, const struct check_target *target,
                           struct finding *f)
{
    (void)target;
    judge_each(scene, ask_endpoint, f);
}

/* ---- env.shell.override, settings.user.override, settings.dropin.order, relay.port ---- */

static bool gives_direction(const char *name)
{
    size_t len = strlen(name);
    return strcmp(name, "CLAUDE_CODE_ENABLE_TELEMETRY") == 0 ||
           (len > 9 && strcmp(name + len - 9, "_EXPORTER") == 0) ||
           (strncmp(name, "OTEL_EXPORTER_OTLP_", 19) == 0 &&
            (strstr(name, "ENDPOINT") || strstr(name, "PROTOCOL") || strstr(name, "HEADERS")));
}

/* What a weaker source says in vain today may count for another version. */
static void tell_idle(const struct scene *scene, const struct settings_view *view,
                      enum view_layer layer, struct finding *f)
{
    struct words w;
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < view->entry_count; i++) {
        const struct view_entry *e = &view->entries[i];
        const struct view_entry *winner = view_effective(view, e->name);
        if (e->document->layer != layer || !gives_direction(e->name) || e == winner || !e->value)
            continue;
        bool same = winner && winner->value && strcmp(winner->value, e->value) == 0;
        if (same || (!winner && !e->why) || strstr(e->name, "HEADERS"))
            continue;
        finding_add(f, CHECK_WARN, judge_fix_remove(e, w.fix),
                    "%s%s in %s says something else than the policy and has no effect now; an "
                    "older Claude Code would follow it",
                    w.whose, e->name, view_place(e, w.place));
    }
}

static void ask_override(const struct scene *scene, const struct settings_view *view,
                         enum view_layer layer, struct finding *f)
{
    struct words w;
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < 3; i++) {
        struct direction d;
        find_direction(scene, view, judge_signals[i], &d);
        if (!d.is_wrong || d.entry->document->layer != layer)
            continue;
        if (layer == VIEW_USER && scene_agent_writes(scene) && !view_overridden(view, d.entry) &&
            is_wrong_port(scene, &d))
            continue; /* our own block with an old port: see relay.port */
        finding_add(f, CHECK_FAIL, judge_fix_remove(d.entry, w.fix),
                    "%s%s in %s sends %s to %s%s%s", w.whose, d.entry->name,
                    view_place(d.entry, w.place), judge_signals[i], d.url,
                    d.expected[0] ? " instead of " : ", past the policy", d.expected);
    }
    tell_idle(scene, view, layer, f);
    finding_add(f, CHECK_OK, NULL, "%snothing in %s bends telemetry", w.whose,
                view_layer_name(layer));
}

static void ask_shell(const struct scene *scene, const struct settings_view *view,
                      struct finding *f)
{
    ask_override(scene, view, VIEW_SHELL, f);
}

static void ask_user(const struct scene *scene, const struct settings_view *view, struct finding *f)
{
    ask_override(scene, view, VIEW_USER, f);
}

static void check_shell(const struct scene *scene, const struct check_target *target,
                        struct finding *f)
{
    (void)target;
    judge_each(scene, ask_shell, f);
}

static void check_user(const struct scene *scene, const struct check_target *target,
                       struct finding *f)
{
    (void)target;
    judge_each(scene, ask_user, f);
}

static void ask_order(const struct scene *scene, const struct settings_view *view,
                      struct finding *f)
{
    struct words w;
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < view->entry_count; i++) {
        const struct view_entry *e = &view->entries[i];
        const struct view_entry *winner = view_effective(view, e->name);
        if (!e->document->is_ours || !winner || winner == e || !winner->value || !e->value ||
            winner->document->layer != VIEW_FILES || strcmp(winner->value, e->value) == 0)
            continue;
        bool counts = gives_direction(e->name);
        finding_add(f, counts ? CHECK_FAIL : CHECK_WARN, judge_fix_remove(winner, w.fix),
                    "%s%s sorts behind '%s' and sets %s to something else", w.whose,
                    view_place(winner, w.place), e->document->path, e->name);
    }
    for (size_t i = 0; i < 3; i++) {
        struct direction d;
        find_direction(scene, view, judge_signals[i], &d);
        if (!d.is_wrong || d.entry->document->layer != VIEW_FILES ||
            !d.entry->document->is_dropin || d.entry->document->is_ours)
            continue;
        finding_add(f, CHECK_FAIL, judge_fix_remove(d.entry, w.fix), "%s%s sends %s to %s", w.whose,
                    view_place(d.entry, w.place), judge_signals[i], d.url);
    }
    finding_add(f, CHECK_OK, NULL, "%sno other drop-in overrides ours", w.whose);
}

static void check_order(const struct scene *scene, const struct check_target *target,
                        struct finding *f)
{
    (void)target;
    judge_each(scene, ask_order, f);
}

static void ask_port(const struct scene *scene, const struct settings_view *view, struct finding *f)
{
    struct words w;
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < 3; i++) {
        struct direction d;
        find_direction(scene, view, judge_signals[i], &d);
        bool managed = d.entry && (d.entry->document->layer >= VIEW_POLICY ||
                                   d.entry->document->layer == VIEW_USER);
        bool foreign = d.entry && d.entry->document->is_dropin && !d.entry->document->is_ours;
        if (!d.is_wrong || !managed || foreign || !is_wrong_port(scene, &d))
            continue;
        if (d.entry->document->layer == VIEW_USER && view_overridden(view, d.entry))
            continue;
        finding_add(f, CHECK_FAIL,
                    judge_fix_set(scene, view, d.entry, d.entry->name, d.expected, w.fix),
                    "%s%s names port %ld, and the relay listens on port %u", w.whose,
                    view_place(d.entry, w.place), port_of(d.url), scene_relay_port(scene));
    }
    finding_add(f, CHECK_OK, NULL, "%sthe settings name the relay's port, %u", w.whose,
                scene_relay_port(scene));
}

static void check_port(const struct scene *scene, const struct check_target *target,
                       struct finding *f)
{
    (void)target;
    if (scene_uses_relay(scene))
        judge_each(scene, ask_port, f);
    else
        finding_add(f, CHECK_SKIP, NULL, "no relay is configured on this machine");
}

/* ---- proxy.loopback, proxy.endpoint ---- */

static const char *get_value(const void *view, const char *name)
{
    return view_value(view, name);
}

static void ask_proxy(const struct scene *scene, const struct settings_view *view, bool loopback,
                      struct finding *f)
{
    struct words w;
    char version[64];
    bool affected = view_at_least(view, 2, 0, 0) && !view_at_least(view, 2, 1, 113);
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < 3; i++) {
        struct direction d;
        find_direction(scene, view, judge_signals[i], &d);
        const char *protocol = protocol_of(view, judge_signals[i]);
        bool is_grpc = protocol && strcmp(protocol, "grpc") == 0;
        bool formed = d.entry && d.entry->value && strstr(d.url, "://");
        if (!judge_sends(view, judge_signals[i]) || !formed || format_is_local(d.url) != loopback)
            continue;
        const char *variable = proxies_variable(d.url, PROXIES_OF_CLAUDE_CODE, get_value, view);
        const struct view_entry *proxy = variable ? view_effective(view, variable) : NULL;
        if (!proxy)
            continue;
        if (loopback && (affected || is_grpc)) {
            const struct view_entry *list = view_effective(view, "NO_PROXY");
            char names[400];
            snprintf(names, sizeof names, "%.300s%s127.0.0.1,localhost,::1",
                     list && list->value ? list->value : "", list && list->value ? "," : "");
            if (list && list->document->layer < VIEW_USER)
                list = NULL; /* the policy says it for every shell */
            finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, list, "NO_PROXY", names, w.fix),
                        "%s%s is set in %s, NO_PROXY does not name 127.0.0.1, and Claude Code %s "
                        "sends %seven to this machine through the proxy",
                        w.whose, proxy->name, view_place(proxy, w.place),
                        judge_version(view, version), is_grpc ? "gRPC " : "");
        } else if (loopback)
            finding_add(f, CHECK_OK, NULL,
                        "%s%s is set, and this version sends to 127.0.0.1 directly", w.whose,
                        proxy->name);
        else
            finding_add(f, CHECK_WARN,
                        "leave it while the proxy lets telemetry through (see receiver.accepts), "
                        "or name the host in NO_PROXY",
                        "%stelemetry to %.*s goes through the proxy that %s names in %s", w.whose,
                        (int)format_origin_len(d.url), d.url, proxy->name,
                        view_place(proxy, w.place));
    }
    finding_add(f, CHECK_OK, NULL, "%sno proxy stands in the way", w.whose);
}

static void ask_loopback(const struct scene *scene, const struct settings_view *view,
                         struct finding *f)
{
    ask_proxy(scene, view, true, f);
}

static void ask_far(const struct scene *scene, const struct settings_view *view, struct finding *f)
{
    ask_proxy(scene, view, false, f);
}

static void check_loopback(const struct scene *scene, const struct check_target *target,
                           struct finding *f)
{
    (void)target;
    judge_each(scene, ask_loopback, f);
}

static void check_far(const struct scene *scene, const struct check_target *target,
                      struct finding *f)
{
    (void)target;
    judge_each(scene, ask_far, f);
}

/* ---- env.certificates ---- */

static void ask_certificates(const struct scene *scene, const struct settings_view *view,
                             struct finding *f)
{
    struct words w;
    struct fs_stat stat;
    struct error ignored;
    const struct view_entry *own = view_effective(view, "OTEL_EXPORTER_OTLP_CERTIFICATE");
    const struct view_entry *extra = view_effective(view, "NODE_EXTRA_CA_CERTS");
    const char *protocol = protocol_of(view, "logs");
    judge_whose(scene, view, w.whose);
    if (own && !extra && !(protocol && strcmp(protocol, "grpc") == 0)) {
        snprintf(w.fix, sizeof w.fix, "in %s set NODE_EXTRA_CA_CERTS to \"%s\" instead",
                 view_place(own, w.place), view_shown(own));
        finding_add(f, CHECK_FAIL, w.fix,
                    "%sOTEL_EXPORTER_OTLP_CERTIFICATE in %s has no effect with OTLP/HTTP: the "
                    "receiver's certificate is not trusted and nothing is sent",
                    w.whose, view_place(own, w.place));
    }
    if (extra && extra->value) {
        char *path = platform_under_root(scene->root, extra->value);
        if (!scene->fs->stat(scene->fs->disk, path, &stat, &ignored)) {
            snprintf(w.fix, sizeof w.fix,
                     "put the certificates into '%s', or correct NODE_EXTRA_CA_CERTS in %s",
                     extra->value, view_place(extra, w.place));
            finding_add(f, CHECK_FAIL, w.fix,
                        "%sNODE_EXTRA_CA_CERTS in %s names '%s', which cannot be read", w.whose,
                        view_place(extra, w.place), extra->value);
        }
        free(path);
    }
    finding_add(f, CHECK_OK, NULL, "%scertificates are %s", w.whose,
                extra ? "extended by NODE_EXTRA_CA_CERTS" : "the system's");
}

static void check_certificates(const struct scene *scene, const struct check_target *target,
                               struct finding *f)
{
    (void)target;
    judge_each(scene, ask_certificates, f);
}

static const struct check checks[] = {
    {"env.protocol", "The protocol is set and known",
     "without a protocol, or with a wrong one, nothing is sent", check_protocol},
    {"env.endpoint", "Endpoints are well formed and lead where they should",
     "a wrong endpoint loses every record without a word", check_endpoint},
    {"env.shell.override", "No shell variable bends telemetry",
     "variables of a shell divert or stop what the settings do not pin", check_shell},
    {"settings.user.override", "No person's setting bends telemetry",
     "user settings divert what managed settings do not pin", check_user},
    {"settings.dropin.order", "No other drop-in overrides ours",
     "of several drop-ins the last in string order wins", check_order},
    {"relay.port", "The settings name the relay's port",
     "Claude Code sends to a port where nobody takes it", check_port},
    {"proxy.loopback", "Telemetry to this machine goes past the proxy",
     "some versions send even loopback requests through a proxy", check_loopback},
    {"proxy.endpoint", "It is known when a proxy carries telemetry",
     "a proxy that does not know the receiver loses everything", check_far},
    {"env.certificates", "Private certificate authorities are named where Claude Code looks",
     "a receiver that is not trusted gets nothing", check_certificates},
};
CHECK_FAMILY(transport_checks, checks);
