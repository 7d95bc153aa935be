#include "doctor/report.h"

#include <stdlib.h>
#include <string.h>

#include "core/json/writer.h"
#include "doctor/judge.h"

/* ---- JSON ---- */

static void put_summary(const struct run *run, struct json_writer *w)
{
    static const enum check_status order[] = {CHECK_OK, CHECK_WARN, CHECK_FAIL, CHECK_SKIP};
    json_put_key(w, "summary");
    json_object_open(w);
    for (size_t i = 0; i < 4; i++) {
        json_put_key(w, check_status_name(order[i]));
        json_put_uint(w, run_count(run, order[i]));
    }
    json_object_close(w);
}

static void put_checks(const struct run *run, struct json_writer *w)
{
    json_put_key(w, "checks");
    json_array_open(w);
    for (size_t i = 0; i < run->count; i++) {
        const struct run_result *r = &run->results[i];
        json_object_open(w);
        json_member_string(w, "id", r->id);
        json_member_string(w, "status", check_status_name(r->finding.status));
        json_member_string(w, "title", r->check->title);
        json_member_string(w, "seen", r->finding.seen);
        json_member_string(w, "why", r->check->why);
        json_member_string(w, "fix", r->finding.fix);
        json_put_key(w, "duration_ms");
        json_put_uint(w, r->duration_ms);
        json_object_close(w);
    }
    json_array_close(w);
}

static void put_variable(const struct settings_view *view, const char *name, struct json_writer *w)
{
    char place[VIEW_PLACE_BYTES];
    const struct view_entry *e = view_effective(view, name);
    const struct view_entry *under = e ? view_overridden(view, e) : NULL;
    json_object_open(w);
    json_member_string(w, "name", name);
    json_member_string(w, "value", e ? view_shown(e) : NULL);
    json_member_string(w, "source", e ? view_layer_name(e->document->layer) : NULL);
    json_member_string(w, "place", e ? view_place(e, place) : NULL);
    json_member_string(w, "overrides", under ? view_shown(under) : NULL);
    json_member_string(w, "overrides_place", under ? view_place(under, place) : NULL);
    json_object_close(w);
}

static void put_settings(const struct scene *scene, struct json_writer *w)
{
    json_put_key(w, "settings");
    json_array_open(w);
    for (size_t v = 0; v < scene->view_count; v++) {
        const struct settings_view *view = scene->views[v];
        size_t count;
        char version[64];
        const char **names = view_names(view, &count);
        json_object_open(w);
        json_member_string(w, "local_user", view->user);
        json_member_string(w, "claude_version", judge_version(view, version));
        json_put_key(w, "variables");
        json_array_open(w);
        for (size_t i = 0; i < count; i++)
            put_variable(view, names[i], w);
        json_array_close(w);
        json_object_close(w);
        free(names);
    }
    json_array_close(w);
}

bool report_put_json(const struct report *report, struct buffer *out)
{
    struct json_writer w = json_writer_make(out);
    w.pretty = true;
    json_object_open(&w);
    json_put_key(&w, "version");
    json_put_int(&w, REPORT_VERSION);
    json_member_string(&w, "doctor_version", CT_VERSION);
    json_put_key(&w, "ran_at");
    json_put_time(&w, clock_wall_ns(report->scene->clock));
    put_summary(report->run, &w);
    put_checks(report->run, &w);
    put_settings(report->scene, &w);
    json_put_key(&w, "fixed");
    json_array_open(&w);
    for (size_t i = 0; i < report->done_count; i++)
        json_put_string(&w, report->done[i]);
    json_array_close(&w);
    json_object_close(&w);
    return json_writer_ok(&w) && buffer_append_byte(out, '\n');
}

/* ---- For a person ---- */

static const char *color_of(enum check_status status)
{
    static const char *const codes[] = {[CHECK_SKIP] = "\033[2m",
                                        [CHECK_OK] = "\033[32m",
                                        [CHECK_WARN] = "\033[33m",
                                        [CHECK_FAIL] = "\033[31m"};
    return codes[status];
}

/* Texts may come from files: what could steer a terminal is left out. */
static void print_lines(struct buffer *out, const char *label, const char *text)
{
    (void)!buffer_append_format(out, "        %s", label);
    for (const char *c = text; *c; c++) {
        if (*c == '\n')
            (void)!buffer_append_format(out, "\n        %*s", (int)strlen(label), "");
        else
            (void)!buffer_append_byte(out,
                                      (uint8_t)((unsigned char)*c < 0x20 || *c == 0x7F ? '?' : *c));
    }
    (void)!buffer_append_byte(out, '\n');
}

static void print_result(const struct run_result *r, const struct report_style *style,
                         struct buffer *out)
{
    enum check_status status = r->finding.status;
    bool bad = status == CHECK_FAIL || status == CHECK_WARN;
    (void)!buffer_append_format(out, "  %s%-4s%s  %s  %s%s\n", style->color ? color_of(status) : "",
                                check_status_name(status), style->color ? "\033[0m" : "", r->id,
                                bad ? "expected: " : "", r->check->title);
    if (bad || style->verbose)
        print_lines(out, "seen: ", r->finding.seen);
    if (bad)
        print_lines(out, "why:  ", r->check->why);
    if (bad && r->finding.fix[0])
        print_lines(out, "fix:  ", r->finding.fix);
}

static bool is_main_variable(const char *name)
{
    return strcmp(name, "CLAUDE_CODE_ENABLE_TELEMETRY") == 0 || strstr(name, "_EXPORTER") ||
           strstr(name, "ENDPOINT") || strstr(name, "HEADERS") ||
           strcmp(name, "OTEL_EXPORTER_OTLP_PROTOCOL") == 0 ||
           strcmp(name, "OTEL_RESOURCE_ATTRIBUTES") == 0 || strstr(name, "PROXY") ||
           strstr(name, "OTEL_LOG_");
}

static void print_variable(const struct settings_view *view, const char *name, bool verbose,
                           struct buffer *out)
{
    char place[VIEW_PLACE_BYTES];
    const struct view_entry *e = view_effective(view, name);
    const struct view_entry *under = e ? view_overridden(view, e) : NULL;
    if (!e || (!verbose && !under && !is_main_variable(name) && e->document->layer >= VIEW_USER))
        return;
    (void)!buffer_append_format(out, "  %s = %s\n        from %s\n", name, view_shown(e),
                                view_place(e, place));
    if (under)
        (void)!buffer_append_format(out, "        overrides %s in %s\n", view_shown(under),
                                    view_place(under, place));
}

static void print_settings(const struct scene *scene, bool verbose, struct buffer *out)
{
    for (size_t v = 0; v < scene->view_count; v++) {
        const struct settings_view *view = scene->views[v];
        size_t count;
        char version[64];
        const char **names = view_names(view, &count);
        (void)!buffer_append_format(out, "What Claude Code %s takes%s%s:\n",
                                    judge_version(view, version), view->user ? " for " : "",
                                    view->user ? view->user : "");
        for (size_t i = 0; i < count; i++)
            print_variable(view, names[i], verbose, out);
        if (count == 0)
            (void)!buffer_append_format(out, "  nothing sets a telemetry variable\n");
        (void)!buffer_append_byte(out, '\n');
        free(names);
    }
}

void report_print(const struct report *report, const struct report_style *style, struct buffer *out)
{
    static const enum check_status order[] = {CHECK_OK, CHECK_SKIP, CHECK_WARN, CHECK_FAIL};
    const struct run *run = report->run;
    for (size_t i = 0; i < report->done_count; i++)
        (void)!buffer_append_format(out, "fixed: %s\n", report->done[i]);
    print_settings(report->scene, style->verbose, out);
    for (size_t o = 0; o < 4; o++) /* the worst stands last, where a terminal shows it */
        for (size_t i = 0; i < run->count; i++)
            if (run->results[i].finding.status == order[o] &&
                (order[o] != CHECK_SKIP || style->verbose))
                print_result(&run->results[i], style, out);
    (void)!buffer_append_format(out, "\n%zu ok, %zu to look at, %zu failed, %zu skipped\n",
                                run_count(run, CHECK_OK), run_count(run, CHECK_WARN),
                                run_count(run, CHECK_FAIL), run_count(run, CHECK_SKIP));
}
