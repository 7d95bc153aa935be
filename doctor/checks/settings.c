/* The files that Claude Code's settings come from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doctor/format.h"
#include "doctor/helper.h"
#include "doctor/judge.h"
#include "doctor/probe.h"
#include "doctor/remedy.h"
#include "platform/platform.h"

static bool is_managed(const struct view_document *d)
{
    return d->layer >= VIEW_POLICY;
}

/* ---- settings.managed.json ---- */

static void check_managed_json(const struct scene *scene, const struct check_target *target,
                               struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], command[SCENE_COMMAND_BYTES], words[REMEDY_BYTES];
    size_t looked = 0;
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < scene->views[v]->document_count; i++) {
            const struct settings_view *view = scene->views[v];
            const struct view_document *d = view->documents[i];
            if (!is_managed(d) || !d->is_there || d->is_unreadable)
                continue;
            looked++;
            const char *effect = view_at_least(view, 2, 1, 251)
                                     ? "Claude Code refuses to start"
                                     : "Claude Code takes no telemetry settings from it";
            if (d->is_folder) {
                snprintf(fix, sizeof fix, "run: %s", remedy(REMEDY_REMOVE_FOLDER, d->path, words));
                finding_add(f, CHECK_FAIL, fix, "'%s' is a folder, not a file: %s", d->path,
                            effect);
            } else if (d->is_broken) {
                if (d->is_ours && scene_agent_writes(scene))
                    snprintf(fix, sizeof fix, "run: %s\nrun: %s",
                             remedy(REMEDY_REMOVE_FILE, d->path, words),
                             scene_command(scene, "apply", command));
                else
                    snprintf(fix, sizeof fix,
                             "correct '%s' at the place named: one JSON object, without comments "
                             "or trailing commas",
                             d->path);
                finding_add(f, CHECK_FAIL, fix, "'%s' is no JSON object (%s): %s", d->path,
                            d->problem, effect);
            } else
                finding_add(f, CHECK_OK, NULL, "'%s' is one JSON object", d->path);
        }
    if (looked == 0)
        finding_add(f, CHECK_SKIP, NULL, "there is no managed settings file to read");
}

/* ---- settings.managed.readable ---- */

/* In a folder that cannot be entered no file can be read: the folder is the first thing wrong. */
static bool is_in_closed_folder(const struct settings_view *view, const struct view_document *d)
{
    for (size_t i = 0; i < view->document_count; i++) {
        const struct view_document *folder = view->documents[i];
        size_t len = strlen(folder->path);
        if (folder->is_folder && folder->is_unreadable && folder != d &&
            strncmp(d->path, folder->path, len) == 0 && d->path[len] == '/')
            return true;
    }
    return false;
}

static const char SILENT_FIX[] =
    "look whether the server of this network folder can be reached, or unmount it";

static void check_managed_readable(const struct scene *scene, const struct check_target *target,
                                   struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], words[REMEDY_BYTES], whose[160];
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < scene->views[v]->document_count; i++) {
            const struct view_document *d = scene->views[v]->documents[i];
            if ((d->layer != VIEW_FILES && d->layer != VIEW_MDM) ||
                is_in_closed_folder(scene->views[v], d))
                continue;
            if (d->is_unreadable) {
                snprintf(fix, sizeof fix, "run: %s",
                         remedy(d->is_folder ? REMEDY_LET_ALL_READ_FOLDER
                                             : REMEDY_LET_ALL_READ_FILE,
                                d->path, words));
                finding_add(f, CHECK_FAIL, d->is_silent ? SILENT_FIX : fix,
                            "%s'%s' cannot be read by the person (%s)",
                            judge_whose(scene, scene->views[v], whose), d->path, d->problem);
            } else if (d->is_there)
                finding_add(f, CHECK_OK, NULL, "'%s' is readable", d->path);
        }
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_SKIP, NULL, "there is no managed settings file to read");
}

/* ---- settings.managed.missing ---- */

/* Names that people write when they mean the one that Claude Code reads. */
static bool add_misplaced(const struct scene *scene, char out[400])
{
    static const char *const wrong[] = {
        "/etc/claude-code/managed_settings.json",   "/etc/claude-code/Managed-Settings.json",
        "/etc/claude-code/managed-settings.jsonc",  "/etc/claude-code/settings.json",
        "/etc/claude-code/managed-settings",        "/etc/claude_code/managed-settings.json",
        "/etc/claude/managed-settings.json",        "/etc/ClaudeCode/managed-settings.json",
        "/etc/claude-code/managed-settings.json.d", "/etc/claude-code/managed-settings.d.json"};
    struct fs_stat stat;
    struct error ignored;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *path = platform_under_root(scene->root, wrong[i]);
        bool there = scene->fs->stat(scene->fs->disk, path, &stat, &ignored);
        if (there)
            snprintf(out, 400, "%.390s", path);
        free(path);
        if (there)
            return true;
    }
    return false;
}

static void describe_missing(const struct scene *scene, const struct settings_view *view,
                             char out[700])
{
    char near[400];
    const struct view_document *empty = NULL, *dangling = NULL, *plain = NULL;
    for (size_t i = 0; i < view->document_count; i++) {
        const struct view_document *d = view->documents[i];
        if (d->layer != VIEW_FILES || !d->is_there)
            continue;
        empty = d->is_empty ? d : empty;
        dangling = d->is_dangling ? d : dangling;
        plain = d;
    }
    if (dangling)
        snprintf(out, 700, "'%s' is a symbolic link to nothing", dangling->path);
    else if (empty)
        snprintf(out, 700, "'%s' is empty, which Claude Code takes for {} without a word",
                 empty->path);
    else if (plain)
        snprintf(out, 700, "'%s' says nothing about telemetry", plain->path);
    else if (add_misplaced(scene, near))
        snprintf(out, 700,
                 "there is '%s', which Claude Code does not read: it reads "
                 "'%s/managed-settings.json' and '%s/managed-settings.d/*.json'",
                 near, scene->managed_dir, scene->managed_dir);
    else
        snprintf(out, 700,
                 "neither '%s/managed-settings.json' nor a file in managed-settings.d "
                 "exists",
                 scene->managed_dir);
}

static bool managed_has_telemetry(const struct settings_view *view)
{
    for (size_t i = 0; i < view->entry_count; i++)
        if (view->entries[i].document->layer >= VIEW_POLICY &&
            (strncmp(view->entries[i].name, "OTEL_", 5) == 0 ||
             strcmp(view->entries[i].name, "CLAUDE_CODE_ENABLE_TELEMETRY") == 0))
            return true;
    return false;
}

static bool managed_is_unreadable(const struct settings_view *view, const char **see)
{
    for (size_t i = 0; i < view->document_count; i++) {
        const struct view_document *d = view->documents[i];
        if (!is_managed(d))
            continue;
        *see = d->is_unreadable ? "settings.managed.readable" : "settings.managed.json";
        if (d->is_unreadable || d->is_broken || (d->is_folder && d->is_there))
            return true;
    }
    return false;
}

static void check_managed_missing(const struct scene *scene, const struct check_target *target,
                                  struct finding *f)
{
    char text[700], whose[160], fix[JUDGE_TEXT_BYTES], command[SCENE_COMMAND_BYTES];
    char rights[REMEDY_BYTES];
    bool none_wanted = scene_has_agent(scene) &&
                       strcmp(config_text(scene->config->values, "claude.settings"), "none") == 0;
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++) {
        const struct settings_view *view = scene->views[v];
        const char *see = NULL;
        judge_whose(scene, view, whose);
        if (managed_is_unreadable(view, &see)) {
            finding_add(f, CHECK_SKIP, NULL, "%snot judged before %s is right", whose, see);
            continue;
        }
        if (none_wanted && !view->user) {
            finding_add(f, CHECK_SKIP, NULL,
                        "only people's own settings are written, which this user cannot see: %s",
                        remedy(REMEDY_GET_RIGHTS, NULL, rights));
            continue;
        }
        if (managed_has_telemetry(view)) {
            finding_add(f, CHECK_OK, NULL, "%smanaged settings hold telemetry variables", whose);
            continue;
        }
        bool sound = judge_is_sound(scene, view);
        snprintf(fix, sizeof fix, "run: %s", scene_command(scene, "apply", command));
        if (judge_has_telemetry(view) && (none_wanted || !scene_has_agent(scene) || sound)) {
            finding_add(f, none_wanted || !scene_has_agent(scene) ? CHECK_OK : CHECK_WARN, fix,
                        "%stelemetry is set in the person's own settings", whose);
            continue;
        }
        describe_missing(scene, view, text);
        if (!scene_agent_writes(scene))
            snprintf(fix, sizeof fix,
                     "install claude-telemetry-agent and run: %s; or put the telemetry variables "
                     "into '%s/managed-settings.json'",
                     scene_command(scene, "apply", command), scene->managed_dir);
        finding_add(f, CHECK_FAIL, fix, "%s%s", whose, text);
    }
}

/* ---- settings.precedence ---- */

static void check_precedence(const struct scene *scene, const struct check_target *target,
                             struct finding *f)
{
    char whose[160], fix[JUDGE_TEXT_BYTES], version[64];
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++) {
        const struct settings_view *view = scene->views[v];
        const struct source_verdict *verdict = &view->verdict;
        judge_whose(scene, view, whose);
        if (!view->facts[SOURCE_FILES].has_otlp) {
            if (verdict->winner == SOURCE_NONE)
                finding_add(f, CHECK_SKIP, NULL, "%sno managed source is in force", whose);
            else
                finding_add(f, CHECK_OK, NULL, "%s%s decides", whose,
                            settings_source_name(verdict->winner));
            continue;
        }
        if (verdict->ours_in_force) {
            finding_add(f, CHECK_OK, NULL, "%s%s", whose, verdict->sentence);
            continue;
        }
        const char *where =
            verdict->winner < SOURCE_COUNT ? view->facts[verdict->winner].where : "";
        if (verdict->telemetry != SOURCE_NONE && verdict->telemetry != SOURCE_FILES)
            where = view->facts[verdict->telemetry].where;
        bool merges = view_at_least(view, 2, 1, 223);
        if (view->facts[SOURCE_FILES].names_helper && merges)
            snprintf(fix, sizeof fix,
                     "remove otelHeadersHelper from the managed files in '%s': a source that does "
                     "not win may not name it",
                     scene->managed_dir);
        else if (merges)
            snprintf(fix, sizeof fix,
                     "in '%s' remove the OTEL_ variables and otelHeadersHelper, or put the whole "
                     "telemetry block there",
                     where);
        else
            snprintf(fix, sizeof fix,
                     "put the telemetry variables into '%s' too, or update Claude Code: claude "
                     "update",
                     where);
        finding_add(f, judge_is_sound(scene, view) ? CHECK_WARN : CHECK_FAIL, fix,
                    "%s%s (Claude Code %s)", whose, verdict->sentence,
                    judge_version(view, version));
    }
}

/* ---- settings.user.json ---- */

static void check_user_json(const struct scene *scene, const struct check_target *target,
                            struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], words[REMEDY_BYTES], whose[160];
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < scene->views[v]->document_count; i++) {
            const struct view_document *d = scene->views[v]->documents[i];
            judge_whose(scene, scene->views[v], whose);
            if (d->layer != VIEW_USER)
                continue;
            if (d->is_broken) {
                snprintf(fix, sizeof fix,
                         "correct '%s' at the place named: one JSON object, without comments or "
                         "trailing commas",
                         d->path);
                finding_add(f, CHECK_FAIL, fix,
                            "%s'%s' is no JSON object (%s): Claude Code takes nothing from it, and "
                            "the agent does not touch it",
                            whose, d->path, d->problem);
            } else if (d->is_unreadable) {
                snprintf(fix, sizeof fix, "run: %s", remedy(REMEDY_LET_OWNER_READ, d->path, words));
                finding_add(f, CHECK_WARN, d->is_silent ? SILENT_FIX : fix,
                            "%s'%s' cannot be read (%s)", whose, d->path, d->problem);
            } else
                finding_add(f, CHECK_OK, NULL, "%s'%s' %s", whose, d->path,
                            d->is_there ? "is one JSON object" : "does not exist");
        }
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_SKIP, NULL, "nobody has an account on this machine");
}

/* ---- settings.dropin.ignored ---- */

static void check_dropin_ignored(const struct scene *scene, const struct check_target *target,
                                 struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], version[64], command[SCENE_COMMAND_BYTES];
    bool any = false;
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < scene->views[v]->document_count; i++) {
            const struct settings_view *view = scene->views[v];
            const struct view_document *d = view->documents[i];
            any = any || d->is_dropin;
            if (!d->is_unread || d->is_unreadable || judge_is_sound(scene, view))
                continue;
            if (d->is_ours && scene_agent_writes(scene))
                snprintf(fix, sizeof fix, "run: %s", scene_command(scene, "apply", command));
            else
                snprintf(fix, sizeof fix,
                         "move the content of '%s' into '%s/managed-settings.json', or update "
                         "Claude Code: claude update",
                         d->path, scene->managed_dir);
            finding_add(f, CHECK_FAIL, fix,
                        "Claude Code %s does not read '%s': versions before 2.1.83 know no "
                        "managed-settings.d",
                        judge_version(view, version), d->path);
        }
    if (any)
        finding_add(f, CHECK_OK, NULL, "what the installed version reads is enough");
    else
        finding_add(f, CHECK_SKIP, NULL, "there are no drop-ins");
}

/* ---- settings.project ---- */

static void ask_project(const struct scene *scene, const struct settings_view *view,
                        struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], place[VIEW_PLACE_BYTES];
    (void)scene;
    for (size_t i = 0; i < view->entry_count; i++) {
        const struct view_entry *e = &view->entries[i];
        bool telemetry = strncmp(e->name, "OTEL_", 5) == 0 ||
                         strcmp(e->name, "CLAUDE_CODE_ENABLE_TELEMETRY") == 0;
        if (e->document->layer != VIEW_PROJECT || !telemetry)
            continue;
        bool alone = !view_effective(view, e->name);
        finding_add(f, alone ? CHECK_FAIL : CHECK_WARN, judge_fix_remove(e, fix),
                    "%s sets %s, which Claude Code ignores in project settings%s",
                    view_place(e, place), e->name, alone ? ", and nothing else sets it" : "");
    }
    finding_add(f, CHECK_OK, NULL, "no project sets telemetry variables");
}

static void check_project(const struct scene *scene, const struct check_target *target,
                          struct finding *f)
{
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++)
        ask_project(scene, scene->views[v], f);
}

/* ---- settings.helper ---- */

static void judge_helper(const struct scene *scene, size_t v, struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], whose[160];
    const struct settings_view *view = scene->views[v];
    const struct view_document *d = helper_document(view);
    const char *protocol = view_value(view, "OTEL_EXPORTER_OTLP_PROTOCOL");
    const struct helper_answer *a = probe_helper(scene->probes, v);
    judge_whose(scene, view, whose);
    snprintf(fix, sizeof fix,
             "in '%s' line %u remove otelHeadersHelper, or make the program print a JSON object of "
             "texts and end with code 0",
             d->path, d->helper_line);
    if (protocol && strcmp(protocol, "grpc") == 0)
        finding_add(f, CHECK_FAIL,
                    "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or put the headers into "
                    "OTEL_EXPORTER_OTLP_HEADERS",
                    "%sotelHeadersHelper is set and the protocol is grpc, which does not ask it: "
                    "the headers are missing",
                    whose);
    else if (a->state == HELPER_FAILED)
        finding_add(f, CHECK_FAIL, fix,
                    "%sotelHeadersHelper '%s': %s%s: Claude Code sends nothing at all", whose,
                    d->helper, a->reason,
                    a->is_bare ? " (run without the person's own environment)" : "");
    else if (a->state == HELPER_SLOW)
        finding_add(f, CHECK_WARN, fix,
                    "%sotelHeadersHelper '%s': %s; Claude Code waits 30 s for it and ends later "
                    "for it, then sends nothing",
                    whose, d->helper, a->reason);
    else if (a->state == HELPER_NOT_RUN)
        finding_add(f, CHECK_WARN, fix,
                    "%sotelHeadersHelper '%s' is in force, and was not tried (%s): whenever it "
                    "fails, nothing is sent at all",
                    whose, d->helper, a->reason);
    else
        finding_add(f, CHECK_OK, NULL, "%sotelHeadersHelper '%s' gave %zu headers in %u ms", whose,
                    d->helper, a->count, (unsigned)a->duration_ms);
}

static void check_helper(const struct scene *scene, const struct check_target *target,
                         struct finding *f)
{
    (void)target;
    for (size_t v = 0; v < scene->view_count; v++)
        if (helper_document(scene->views[v]))
            judge_helper(scene, v, f);
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_OK, NULL, "no otelHeadersHelper is set");
}

/* ---- settings.managed.writable ---- */

/* Below a root of his own a tester owns everything. */
static bool owner_counts(const struct scene *scene)
{
    return scene->is_privileged || strcmp(scene->root, "/") == 0;
}

static const char *name_of(const struct scene *scene, uint32_t uid)
{
    const struct local_users *users = scene->accounts ? accounts_users(scene->accounts) : NULL;
    for (size_t i = 0; users && i < users->count; i++)
        if (users->list[i].uid == uid)
            return users->list[i].name;
    return "another user than root";
}

static void check_owner(const struct scene *scene, const struct check_target *target,
                        struct finding *f)
{
    char fix[JUDGE_TEXT_BYTES], words[REMEDY_BYTES];
    (void)target;
    for (size_t i = 0; i < scene->views[0]->document_count; i++) {
        const struct view_document *d = scene->views[0]->documents[i];
        struct fs_stat stat;
        struct error ignored;
        if (d->layer != VIEW_FILES || !d->is_there ||
            !scene->fs->stat(scene->fs->disk, d->path, &stat, &ignored) || stat.is_symlink)
            continue;
        if (stat.mode & 0002) {
            snprintf(fix, sizeof fix, "run: %s",
                     remedy(REMEDY_LET_ONLY_OWNER_WRITE, d->path, words));
            finding_add(f, CHECK_FAIL, fix,
                        "everybody may write '%s' (mode %04o): anybody can redirect telemetry",
                        d->path, stat.mode & 07777);
        } else if (stat.uid != 0 && owner_counts(scene)) {
            snprintf(fix, sizeof fix, "run: %s",
                     remedy(REMEDY_GIVE_TO_ADMINISTRATOR, d->path, words));
            finding_add(f, CHECK_WARN, fix,
                        "'%s' belongs to %s, who can redirect everybody's telemetry", d->path,
                        name_of(scene, stat.uid));
        } else
            finding_add(f, CHECK_OK, NULL, "only its owner may write '%s'", d->path);
    }
    if (f->seen[0] == '\0')
        finding_add(f, CHECK_SKIP, NULL, "there is no managed settings file");
}

static const struct check checks[] = {
    {"settings.managed.json", "Managed settings are valid JSON",
     "one managed file that is no JSON object stops Claude Code itself, or takes its telemetry "
     "away",
     check_managed_json},
    {"settings.managed.readable", "Managed settings are readable for everybody",
     "what the person cannot read is not in force, and nothing tells", check_managed_readable},
    {"settings.managed.missing", "Managed settings turn telemetry on",
     "without settings Claude Code sends nothing, and nothing tells", check_managed_missing},
    {"settings.managed.writable", "Managed settings belong to the administrator",
     "what others may write is no policy", check_owner},
    {"settings.precedence", "The right managed source wins",
     "one managed source wins and hides the others without a word", check_precedence},
    {"settings.dropin.ignored", "The installed Claude Code reads drop-ins",
     "old versions pass over managed-settings.d without a word", check_dropin_ignored},
    {"settings.user.json", "The person's settings are valid JSON",
     "a file that is no JSON object counts for nothing", check_user_json},
    {"settings.project", "No project tries to set telemetry",
     "telemetry variables in project settings are ignored; only a debug log says so",
     check_project},
    {"settings.helper", "No headers helper can stop telemetry",
     "when the helper fails, is missing or prints no JSON, nothing is sent at all", check_helper},
};
CHECK_FAMILY(settings_checks, checks);
