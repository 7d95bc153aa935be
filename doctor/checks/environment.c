/* The variables that decide what is sent, and their values' form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/format.h"
#include "doctor/judge.h"

struct words {
    char whose[160], place[VIEW_PLACE_BYTES], fix[JUDGE_TEXT_BYTES];
};

/* ---- env.telemetry ---- */

static void ask_telemetry(const struct scene *scene, const struct settings_view *view,
                          struct finding *f)
{
    static const char name[] = "CLAUDE_CODE_ENABLE_TELEMETRY";
    struct words w;
    const struct view_entry *e = view_effective(view, name);
    judge_whose(scene, view, w.whose);
    if (!e)
        finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, NULL, name, "1", w.fix),
                    "%s%s is not set: Claude Code sends nothing", w.whose, name);
    else if (e->value && !format_is_on(e->value))
        finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, e, name, "1", w.fix),
                    "%s%s is '%s' in %s, which is not 1, true, yes or on: Claude Code sends "
                    "nothing",
                    w.whose, name, e->value, view_place(e, w.place));
    else if (e->document->layer == VIEW_SHELL)
        finding_add(f, CHECK_WARN, judge_fix_set(scene, view, NULL, name, "1", w.fix),
                    "%stelemetry is turned on in %s only: a Claude Code started elsewhere, from a "
                    "desktop or an editor, sends nothing",
                    w.whose, view_place(e, w.place));
    else
        finding_add(f, CHECK_OK, NULL, "%s%s is %s", w.whose, name, view_shown(e));
}

static void check_telemetry(const struct scene *scene, const struct check_target *target,
                            struct finding *f)
{
    (void)target;
    judge_each(scene, ask_telemetry, f);
}

/* ---- env.exporters, env.traces_beta ---- */

static const char *exporter_name(const char *signal)
{
    return strcmp(signal, "logs") == 0      ? "OTEL_LOGS_EXPORTER"
           : strcmp(signal, "metrics") == 0 ? "OTEL_METRICS_EXPORTER"
                                            : "OTEL_TRACES_EXPORTER";
}

static const struct view_entry *misspelt(const struct settings_view *view, const char *name)
{
    for (size_t i = 0; i < view->entry_count; i++) {
        const char *meant = format_variable_meant(view->entries[i].name);
        if (meant && strcmp(meant, name) == 0)
            return &view->entries[i];
    }
    return NULL;
}

static void judge_exporter(const struct scene *scene, const struct settings_view *view,
                           const char *signal, struct finding *f)
{
    const char *name = exporter_name(signal);
    const struct view_entry *e = view_effective(view, name);
    const struct view_entry *typo = e ? NULL : misspelt(view, name);
    struct words w;
    judge_whose(scene, view, w.whose);
    if (typo) {
        char place[VIEW_PLACE_BYTES];
        snprintf(w.fix, sizeof w.fix, "in %s rename %s to %s", view_place(typo, place), typo->name,
                 name);
        finding_add(f, CHECK_FAIL, w.fix, "%s%s is not set, but %s is, in %s: no %s are sent",
                    w.whose, name, typo->name, view_place(typo, w.place), signal);
        return;
    }
    if (!e || !e->value) {
        finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, NULL, name, "otlp", w.fix),
                    "%s%s is not set: no %s are sent", w.whose, name, signal);
        return;
    }
    struct format_verdict v = format_exporter(e->value, strcmp(signal, "metrics") == 0);
    const char *old = view_at_least(view, 2, 1, 100) ? "" : "; this version stops at it";
    if (v.is_bad)
        finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, e, name, "otlp", w.fix),
                    "%s%s in %s: %s%s", w.whose, name, view_place(e, w.place), v.seen, old);
    else if (!strstr(e->value, "otlp"))
        finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, e, name, "otlp", w.fix),
                    "%s%s is '%s' in %s: no %s are sent%s", w.whose, name, e->value,
                    view_place(e, w.place), signal, old);
    else
        finding_add(f, CHECK_OK, NULL, "%s%s is %s", w.whose, name, e->value);
}

/* What a misspelt value does to the other signals, where that signal is not even wanted. */
static void judge_unwanted(const struct scene *scene, const struct settings_view *view,
                           const char *signal, struct finding *f)
{
    const char *name = exporter_name(signal);
    const struct view_entry *e = view_effective(view, name);
    struct words w;
    if (!e || !e->value)
        return;
    struct format_verdict v = format_exporter(e->value, strcmp(signal, "metrics") == 0);
    bool stops = strstr(e->value, "none") && !view_at_least(view, 2, 1, 90);
    judge_whose(scene, view, w.whose);
    if (v.is_bad)
        finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, e, name, "otlp", w.fix),
                    "%s%s in %s: %s", w.whose, name, view_place(e, w.place), v.seen);
    else if (stops)
        finding_add(f, CHECK_FAIL, judge_fix_remove(e, w.fix),
                    "%s%s is 'none' in %s, at which this version of Claude Code stops", w.whose,
                    name, view_place(e, w.place));
}

static void ask_exporters(const struct scene *scene, const struct settings_view *view,
                          struct finding *f)
{
    for (size_t i = 0; i < 3; i++) {
        const char *signal = judge_signals[i];
        bool is_traces = strcmp(signal, "traces") == 0;
        bool wanted = scene_has_agent(scene) ? scene_wants_signal(scene, signal) : !is_traces;
        if (is_traces || !wanted) /* traces have a check of their own */
            judge_unwanted(scene, view, signal, f);
        else
            judge_exporter(scene, view, signal, f);
    }
}

static void check_exporters(const struct scene *scene, const struct check_target *target,
                            struct finding *f)
{
    (void)target;
    judge_each(scene, ask_exporters, f);
}

static void ask_traces(const struct scene *scene, const struct settings_view *view,
                       struct finding *f)
{
    static const char beta[] = "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA";
    static const char exporter[] = "OTEL_TRACES_EXPORTER";
    struct words w;
    const char *on = view_value(view, beta),
               *alias = view_value(view, "ENABLE_ENHANCED_TELEMETRY_BETA");
    const struct view_entry *e = view_effective(view, exporter);
    bool beta_on = (on && format_is_on(on)) || (alias && format_is_on(alias));
    bool exports = e && e->value && strstr(e->value, "otlp");
    bool wanted = scene_has_agent(scene) && scene_wants_signal(scene, "traces");
    judge_whose(scene, view, w.whose);
    if (exports && !beta_on)
        finding_add(f, CHECK_FAIL,
                    judge_fix_set(scene, view, view_effective(view, beta), beta, "1", w.fix),
                    "%s%s is otlp, but %s is not on: no spans are sent", w.whose, exporter, beta);
    else if (!exports && (beta_on || wanted) &&
             !(e && e->value && format_exporter(e->value, false).is_bad))
        finding_add(f, wanted ? CHECK_FAIL : CHECK_WARN,
                    judge_fix_set(scene, view, e, exporter, "otlp", w.fix),
                    "%s%s is %s: no spans are sent", w.whose, exporter,
                    e && e->value ? e->value : "not set");
    else
        finding_add(f, CHECK_OK, NULL, "%straces are %s", w.whose, exports ? "on" : "off");
}

static void check_traces(const struct scene *scene, const struct check_target *target,
                         struct finding *f)
{
    (void)target;
    judge_each(scene, ask_traces, f);
}

/* ---- env.headers.format, env.resource_attributes.format ---- */

static void ask_headers(const struct scene *scene, const struct settings_view *view,
                        struct finding *f)
{
    static const char *const names[] = {"OTEL_EXPORTER_OTLP_HEADERS",
                                        "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
                                        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
                                        "OTEL_EXPORTER_OTLP_TRACES_HEADERS"};
    struct words w;
    bool any = false;
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < 4; i++) {
        const struct view_entry *e = view_effective(view, names[i]);
        if (!e || !e->value)
            continue;
        struct format_verdict v = format_headers(e->value);
        any = true;
        if (!v.is_bad)
            continue;
        if (e->document->layer == VIEW_SHELL)
            judge_fix_remove(e, w.fix);
        else if (e->document->is_ours)
            judge_fix_set(scene, view, e, names[i], "", w.fix);
        else
            snprintf(w.fix, sizeof w.fix, "in %s %s", view_place(e, w.place), v.fix);
        finding_add(f, CHECK_FAIL, w.fix, "%s%s in %s: %s", w.whose, names[i],
                    view_place(e, w.place), v.seen);
    }
    if (any)
        finding_add(f, CHECK_OK, NULL, "%sthe headers are well formed", w.whose);
    else
        finding_add(f, CHECK_OK, NULL, "%sno headers are set", w.whose);
}

static void check_headers(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    judge_each(scene, ask_headers, f);
}

static void ask_attributes(const struct scene *scene, const struct settings_view *view,
                           struct finding *f)
{
    static const char name[] = "OTEL_RESOURCE_ATTRIBUTES";
    const struct view_entry *e = view_effective(view, name);
    struct words w;
    judge_whose(scene, view, w.whose);
    if (!e || !e->value) {
        finding_add(f, CHECK_OK, NULL, "%sno resource attributes are set", w.whose);
        return;
    }
    struct format_verdict v = format_attributes(e->value, !view_at_least(view, 2, 1, 251));
    if (v.is_bad && e->document->is_ours)
        judge_fix_set(scene, view, e, name, v.fix, w.fix);
    else if (v.is_bad)
        snprintf(w.fix, sizeof w.fix, "in %s set %s to \"%s\"", view_place(e, w.place), name,
                 v.fix);
    if (v.is_bad)
        finding_add(f, CHECK_FAIL, w.fix, "%s%s in %s: %s", w.whose, name, view_place(e, w.place),
                    v.seen);
    else
        finding_add(f, CHECK_OK, NULL, "%sthe resource attributes are well formed", w.whose);
}

static void check_attributes(const struct scene *scene, const struct check_target *target,
                             struct finding *f)
{
    (void)target;
    judge_each(scene, ask_attributes, f);
}

/* ---- Numbers ---- */

struct number_rule {
    const char *name;
    long least;
    const char *usual; /* the value to go back to */
    const char *effect;
};

static void judge_numbers(const struct scene *scene, const struct settings_view *view,
                          const struct number_rule *rules, size_t count, const char *good,
                          struct finding *f)
{
    struct words w;
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < count; i++) {
        const struct view_entry *e = view_effective(view, rules[i].name);
        if (!e || !e->value)
            continue;
        struct format_verdict v = format_number(e->value, rules[i].least, rules[i].effect);
        if (v.is_bad)
            finding_add(f, CHECK_FAIL,
                        judge_fix_set(scene, view, e, rules[i].name, rules[i].usual, w.fix),
                        "%s%s in %s: %s", w.whose, rules[i].name, view_place(e, w.place), v.seen);
    }
    finding_add(f, CHECK_OK, NULL, "%s%s", w.whose, good);
}

static void ask_intervals(const struct scene *scene, const struct settings_view *view,
                          struct finding *f)
{
    static const struct number_rule rules[] = {
        {"OTEL_METRIC_EXPORT_INTERVAL", 1, "60000", "nothing is sent at all, of any signal"},
        {"OTEL_LOGS_EXPORT_INTERVAL", 1, "5000", "one request is made for every record"},
        {"OTEL_TRACES_EXPORT_INTERVAL", 1, "5000", "one request is made for every span"},
    };
    judge_numbers(scene, view, rules, 3, "the export intervals are numbers above 0", f);
}

static void ask_timeouts(const struct scene *scene, const struct settings_view *view,
                         struct finding *f)
{
    static const char lost[] = "requests are cut off and their records lost";
    static const struct number_rule rules[] = {
        {"OTEL_EXPORTER_OTLP_TIMEOUT", 500, "10000", lost},
        {"OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", 500, "10000", lost},
        {"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", 500, "10000", lost},
        {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", 500, "10000", lost},
        {"OTEL_METRIC_EXPORT_TIMEOUT", 500, "10000", lost},
        {"CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS", 1000, "2000", "the end of each session is lost"},
        {"CLAUDE_CODE_OTEL_FLUSH_TIMEOUT_MS", 1000, "5000", "the end of each session is lost"},
    };
    judge_numbers(scene, view, rules, 7, "the time limits are long enough", f);
}

static void ask_limits(const struct scene *scene, const struct settings_view *view,
                       struct finding *f)
{
    static const char lost[] = "attributes are dropped, event.name among them";
    static const char cut[] = "values are cut off";
    static const struct number_rule rules[] = {
        {"OTEL_ATTRIBUTE_COUNT_LIMIT", 64, "128", lost},
        {"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", 64, "128", lost},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 64, "128", lost},
        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", 1024, "1000000", cut},
        {"OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", 1024, "1000000", cut},
        {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", 1024, "1000000", cut},
    };
    judge_numbers(scene, view, rules, 6, "no limit drops attributes", f);
}

static void check_intervals(const struct scene *scene, const struct check_target *target,
                            struct finding *f)
{
    (void)target;
    judge_each(scene, ask_intervals, f);
}

static void check_timeouts(const struct scene *scene, const struct check_target *target,
                           struct finding *f)
{
    (void)target;
    judge_each(scene, ask_timeouts, f);
}

static void check_limits(const struct scene *scene, const struct check_target *target,
                         struct finding *f)
{
    (void)target;
    judge_each(scene, ask_limits, f);
}

/* ---- env.sampler ---- */

static void ask_sampler(const struct scene *scene, const struct settings_view *view,
                        struct finding *f)
{
    const struct view_entry *e = view_effective(view, "OTEL_TRACES_SAMPLER");
    struct words w;
    judge_whose(scene, view, w.whose);
    if (!judge_sends(view, "traces"))
        finding_add(f, CHECK_OK, NULL, "%straces are off", w.whose);
    else if (e && e->value && strstr(e->value, "always_off"))
        finding_add(f, CHECK_FAIL,
                    judge_fix_set(scene, view, e, "OTEL_TRACES_SAMPLER", "always_on", w.fix),
                    "%sOTEL_TRACES_SAMPLER is %s in %s: no spans are sent", w.whose, e->value,
                    view_place(e, w.place));
    else if (e && e->value && strstr(e->value, "ratio"))
        finding_add(f, CHECK_WARN,
                    judge_fix_set(scene, view, e, "OTEL_TRACES_SAMPLER", "always_on", w.fix),
                    "%sOTEL_TRACES_SAMPLER is %s in %s: only a part of the spans is sent", w.whose,
                    e->value, view_place(e, w.place));
    else
        finding_add(f, CHECK_OK, NULL, "%severy span is sampled", w.whose);
}

static void check_sampler(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    judge_each(scene, ask_sampler, f);
}

/* ---- env.typo, env.disable_flags, env.content ---- */

static void check_typo(const struct scene *scene, const struct check_target *target,
                       struct finding *f)
{
    struct words w;
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < scene->views[v]->entry_count; i++) {
            const struct view_entry *e = &scene->views[v]->entries[i];
            const char *meant = format_variable_meant(e->name);
            if (!meant)
                continue;
            snprintf(w.fix, sizeof w.fix, "in %s rename %s to %s", view_place(e, w.place), e->name,
                     meant);
            finding_add(f, CHECK_WARN, w.fix,
                        "%s in %s is no variable that Claude Code knows; %s was probably meant",
                        e->name, view_place(e, w.place), meant);
        }
    finding_add(f, CHECK_OK, NULL, "no variable looks misspelt");
}

static void check_disable_flags(const struct scene *scene, const struct check_target *target,
                                struct finding *f)
{
    static const char *const flags[] = {"DISABLE_TELEMETRY", "DO_NOT_TRACK",
                                        "DISABLE_ERROR_REPORTING",
                                        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
                                        "OTEL_SDK_DISABLED"};
    struct words w;
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
            const struct view_entry *e = view_effective(scene->views[v], flags[i]);
            if (e && e->value && format_is_on(e->value))
                finding_add(f, CHECK_WARN,
                            "leave it, or to turn telemetry off set CLAUDE_CODE_ENABLE_TELEMETRY "
                            "to 0 instead",
                            "%s is set in %s: it does not turn this telemetry off, only what "
                            "Claude Code sends to its vendor%s",
                            flags[i], view_place(e, w.place),
                            i == 4 ? " or what other programs send" : "");
        }
    finding_add(f, CHECK_OK, NULL, "no flag is set that is easily taken for a switch");
}

static void ask_content(const struct scene *scene, const struct settings_view *view,
                        struct finding *f)
{
    static const struct {
        const char *name, *key, *what;
    } flags[] = {
        {"OTEL_LOG_USER_PROMPTS", "claude.log_user_prompts", "prompts"},
        {"OTEL_LOG_TOOL_DETAILS", "claude.log_tool_details", "tools' parameters"},
    };
    struct words w;
    judge_whose(scene, view, w.whose);
    for (size_t i = 0; i < 2; i++) {
        const struct view_entry *e = view_effective(view, flags[i].name);
        bool on = e && e->value && format_is_on(e->value);
        bool wanted =
            scene_has_agent(scene) ? config_bool(scene->config->values, flags[i].key) : on;
        if (wanted && !on)
            finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, e, flags[i].name, "1", w.fix),
                        "%s%s is %s, and the configuration wants %s: they arrive as <REDACTED> or "
                        "not at all",
                        w.whose, flags[i].name, e && e->value ? e->value : "not set",
                        flags[i].what);
        else if (!wanted && on)
            finding_add(f, CHECK_FAIL, judge_fix_set(scene, view, e, flags[i].name, "0", w.fix),
                        "%s%s is on in %s, and the configuration wants no %s", w.whose,
                        flags[i].name, view_place(e, w.place), flags[i].what);
        else
            finding_add(f, CHECK_OK, NULL, "%s%s are %s", w.whose, flags[i].what,
                        on ? "sent" : "left out (<REDACTED>)");
    }
}

static void check_content(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    judge_each(scene, ask_content, f);
}

static const struct check checks[] = {
    {"env.telemetry", "Telemetry is turned on", "without it Claude Code sends nothing",
     check_telemetry},
    {"env.exporters", "Exporters are set for every signal",
     "a signal without an exporter is not sent; a misspelt one stops all signals", check_exporters},
    {"env.traces_beta", "Traces have both of their switches",
     "spans need the exporter and the beta switch", check_traces},
    {"env.headers.format", "Headers are well formed",
     "a malformed header is not sent, or stops every signal", check_headers},
    {"env.resource_attributes.format", "Resource attributes are well formed",
     "one bad pair can cost all of them, and with them who the person is", check_attributes},
    {"env.intervals", "Export intervals are sound",
     "an interval of 0 stops telemetry or floods the receiver", check_intervals},
    {"env.timeouts", "Time limits are long enough", "requests cut off early lose their records",
     check_timeouts},
    {"env.limits", "No limit drops attributes", "records without event.name cannot be understood",
     check_limits},
    {"env.sampler", "Every span is sampled", "a sampler that is off sends no spans", check_sampler},
    {"env.typo", "No variable is misspelt", "a misspelt variable does nothing", check_typo},
    {"env.disable_flags", "No flag is mistaken for a switch",
     "DISABLE_TELEMETRY and its like do not turn OpenTelemetry off", check_disable_flags},
    {"env.content", "Content is sent as configured",
     "prompts and parameters are sent only when their flags are on", check_content},
};
CHECK_FAMILY(environment_checks, checks);
