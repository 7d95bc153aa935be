#include "doctor/judge.h"

#include <stdio.h>
#include <string.h>

#include "doctor/format.h"
#include "doctor/remedy.h"

const char *const judge_signals[3] = {"logs", "metrics", "traces"};

const char *judge_whose(const struct scene *scene, const struct settings_view *view, char out[160])
{
    snprintf(out, 160, "%s%s", scene->view_count > 1 && view->user ? view->user : "",
             scene->view_count > 1 && view->user ? ": " : "");
    return out;
}

const char *judge_version(const struct settings_view *view, char out[64])
{
    snprintf(out, 64, "%u.%u.%u%s", view->version.major, view->version.minor, view->version.patch,
             view->has_version ? "" : " (assumed)");
    return out;
}

bool judge_has_telemetry(const struct settings_view *view)
{
    for (size_t i = 0; i < view->entry_count; i++) {
        const struct view_entry *e = &view->entries[i];
        if (e->document->layer >= VIEW_SHELL && e->document->layer != VIEW_PROJECT &&
            (strncmp(e->name, "OTEL_", 5) == 0 ||
             strcmp(e->name, "CLAUDE_CODE_ENABLE_TELEMETRY") == 0) &&
            (e->document->layer >= VIEW_USER ||
             strcmp(e->name, "CLAUDE_CODE_ENABLE_TELEMETRY") == 0))
            return true;
    }
    return false;
}

bool judge_sends(const struct settings_view *view, const char *signal)
{
    const char *exporter =
        view_value(view, strcmp(signal, "logs") == 0      ? "OTEL_LOGS_EXPORTER"
                         : strcmp(signal, "metrics") == 0 ? "OTEL_METRICS_EXPORTER"
                                                          : "OTEL_TRACES_EXPORTER");
    if (!exporter || !strstr(exporter, "otlp"))
        return false;
    if (strcmp(signal, "traces") != 0)
        return true;
    const char *beta = view_value(view, "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA");
    const char *alias = view_value(view, "ENABLE_ENHANCED_TELEMETRY_BETA");
    return (beta && format_is_on(beta)) || (alias && format_is_on(alias));
}

static bool arrives(const struct scene *scene, const struct settings_view *view, const char *signal)
{
    struct buffer url = {.max_bytes = 16 * KIB}, expected = {.max_bytes = 16 * KIB};
    bool same = judge_sends(view, signal) && view_signal_url(view, signal, &url);
    if (same && scene_expected_url(scene, signal, &expected))
        same = bytes_equal(buffer_bytes(&url), buffer_bytes(&expected));
    buffer_clear(&url);
    buffer_clear(&expected);
    return same;
}

bool judge_is_sound(const struct scene *scene, const struct settings_view *view)
{
    const char *on = view_value(view, "CLAUDE_CODE_ENABLE_TELEMETRY");
    if (!on || !format_is_on(on))
        return false;
    for (size_t i = 0; i < 3; i++)
        if (scene_wants_signal(scene, judge_signals[i]) && arrives(scene, view, judge_signals[i]))
            return true;
    return false;
}

const char *judge_blocked(const struct scene *scene, const struct settings_view *view)
{
    bool dropin_unread = false;
    for (size_t i = 0; i < view->document_count; i++) {
        const struct view_document *d = view->documents[i];
        if (d->layer < VIEW_USER)
            continue;
        if (d->is_broken || (d->is_folder && !d->is_unreadable && d->is_there))
            return d->layer == VIEW_USER ? "settings.user.json" : "settings.managed.json";
        if (d->is_unreadable)
            return d->layer == VIEW_USER ? NULL : "settings.managed.readable";
        dropin_unread = dropin_unread || (d->is_unread && d->is_ours);
    }
    if (judge_is_sound(scene, view))
        return NULL;
    if (dropin_unread)
        return "settings.dropin.ignored";
    if (!judge_has_telemetry(view))
        return "settings.managed.missing";
    const struct source_facts *files = &view->facts[SOURCE_FILES];
    if (files->has_otlp && !view->verdict.ours_in_force)
        return "settings.precedence";
    return NULL;
}

const char *judge_fix_set(const struct scene *scene, const struct settings_view *view,
                          const struct view_entry *entry, const char *name, const char *value,
                          char out[JUDGE_TEXT_BYTES])
{
    char place[VIEW_PLACE_BYTES], command[SCENE_COMMAND_BYTES];
    bool ours = !entry || entry->document->is_ours;
    if (entry && entry->document->layer == VIEW_SHELL) {
        judge_fix_remove(entry, out);
        size_t used = strlen(out);
        if (scene_agent_writes(scene)) /* what the policy names, no shell can bend */
            snprintf(out + used, JUDGE_TEXT_BYTES - used, "\nrun: %s",
                     scene_command(scene, "apply", command));
        return out;
    }
    if (entry && !ours && entry->document->is_dropin)
        snprintf(out, JUDGE_TEXT_BYTES, "in %s set %s to \"%s\"", view_place(entry, place), name,
                 value);
    else if (scene_agent_writes(scene) && (!entry || entry->document->layer == VIEW_FILES ||
                                           entry->document->layer == VIEW_USER))
        snprintf(out, JUDGE_TEXT_BYTES, "run: %s", scene_command(scene, "apply", command));
    else if (entry)
        snprintf(out, JUDGE_TEXT_BYTES, "in %s set %s to \"%s\"", view_place(entry, place), name,
                 value);
    else {
        const char *file = NULL;
        for (size_t i = 0; i < view->document_count; i++)
            if (view->documents[i]->layer >= VIEW_USER && view->documents[i]->is_there)
                file = view->documents[i]->path;
        if (file)
            snprintf(out, JUDGE_TEXT_BYTES, "in '%s' add to \"env\": \"%s\": \"%s\"", file, name,
                     value);
        else
            snprintf(out, JUDGE_TEXT_BYTES,
                     "in '%s/managed-settings.json' add to \"env\": \"%s\": \"%s\"",
                     scene->managed_dir, name, value);
    }
    return out;
}

const char *judge_fix_remove(const struct view_entry *entry, char out[JUDGE_TEXT_BYTES])
{
    char place[VIEW_PLACE_BYTES], words[REMEDY_BYTES];
    if (entry->document->layer != VIEW_SHELL)
        snprintf(out, JUDGE_TEXT_BYTES, "remove %s from %s", entry->name, view_place(entry, place));
    else if (entry->line > 0)
        snprintf(out, JUDGE_TEXT_BYTES,
                 "remove %s from %s, then start Claude Code from a new shell", entry->name,
                 view_place(entry, place));
    else
        snprintf(out, JUDGE_TEXT_BYTES, "%s", remedy(REMEDY_UNSET, entry->name, words));
    return out;
}

void judge_each(const struct scene *scene, judge_ask *ask, struct finding *finding)
{
    for (size_t i = 0; i < scene->view_count; i++) {
        const char *blocked = judge_blocked(scene, scene->views[i]);
        char whose[160];
        if (blocked)
            finding_add(finding, CHECK_SKIP, NULL, "%snot judged before %s is right",
                        judge_whose(scene, scene->views[i], whose), blocked);
        else
            ask(scene, scene->views[i], finding);
    }
}
