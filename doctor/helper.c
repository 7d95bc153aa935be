#include "doctor/helper.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/edit.h"
#include "core/json/reader.h"
#include "platform/platform.h"

enum { OUTPUT_BYTES = 64 * 1024, VALUE_BYTES = 16 * 1024 };

const struct view_document *helper_document(const struct settings_view *view)
{
    static const enum settings_source sources[] = {[VIEW_POLICY] = SOURCE_USER_POLICY,
                                                   [VIEW_FILES] = SOURCE_FILES,
                                                   [VIEW_MDM] = SOURCE_MDM,
                                                   [VIEW_REMOTE] = SOURCE_REMOTE};
    for (size_t i = view->document_count; i > 0; i--) {
        const struct view_document *d = view->documents[i - 1];
        bool loses = d->layer >= VIEW_POLICY && view->verdict.winner != sources[d->layer];
        if (d->helper && d->layer != VIEW_PROJECT && !d->is_unread && !loses)
            return d;
    }
    return NULL;
}

static void set(struct helper_answer *out, enum helper_state state, const char *reason, ...)
    PRINTF_LIKE(3, 4);
static void set(struct helper_answer *out, enum helper_state state, const char *reason, ...)
{
    va_list args;
    va_start(args, reason);
    vsnprintf(out->reason, sizeof out->reason, reason, args);
    va_end(args);
    out->state = state;
}

/* ---- Before it is run ---- */

static bool is_plain_path(const char *command)
{
    return command[0] == '/' && !strpbrk(command, " \t;|&$<>\"'`()*?\\");
}

/* Whether a helper that names a plain path could be started by the person. */
static const char *path_fault(const struct scene *scene, const char *path)
{
    struct fs_stat stat;
    struct error ignored;
    if (!scene->fs->stat(scene->fs->disk, path, &stat, &ignored))
        return "does not exist";
    if (stat.is_directory)
        return "is a folder";
    if (!stat.is_symlink && stat.mode != 0 && (stat.mode & 0111) == 0)
        return "is not executable";
    if (!stat.is_symlink && stat.mode != 0 && (stat.mode & 0005) != 0005 && stat.uid == 0)
        return "can be started by root only";
    return NULL;
}

static const char *reason_not_to_run(const struct scene *scene, const struct settings_view *view,
                                     const char *command)
{
    bool other_root = *scene->root && strcmp(scene->root, "/") != 0;
    if (view->uid == 0 || !view->user || !view->home)
        return "the doctor runs no helper with root's rights: run it as the person";
    if (!scene->is_privileged && scene->uid != view->uid)
        return "it belongs to somebody else";
    if (other_root && !is_plain_path(command))
        return "a command line is not run below another root";
    return NULL;
}

/* ---- What it prints ---- */

struct reading {
    struct helper_answer *out;
    const char *fault; /* NULL: none so far */
};

static bool is_name(const char *text)
{
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at >= 0x7F || strchr("()<>@,;:\\\"/[]?={}", *at))
            return false;
    return *text != '\0';
}

static bool is_value(const char *text)
{
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7F)
            return false;
    return true;
}

static bool take_header(void *context, struct bytes key, struct bytes value)
{
    struct reading *r = context;
    struct buffer name = {.max_bytes = 1024}, text = {.max_bytes = VALUE_BYTES};
    bool is_text = value.len >= 2 && value.data[0] == '"' &&
                   json_string_decode(bytes_make(value.data + 1, value.len - 2), &text) &&
                   buffer_text(&text);
    bool is_named = json_string_decode(key, &name) && buffer_text(&name);
    if (!is_text)
        r->fault = "a value that is no text";
    else if (!is_named || !is_name(buffer_text(&name)))
        r->fault = "a name that no header may have";
    else if (!is_value(buffer_text(&text)))
        r->fault = "a value that no header may have (a line break, or other than ASCII)";
    else if (r->out->count < HELPER_MAX_HEADERS)
        r->out->lines[r->out->count++] =
            xasprintf("%s: %s", buffer_text(&name), buffer_text(&text));
    buffer_clear(&name);
    buffer_clear(&text);
    return !r->fault;
}

void helper_judge(struct bytes printed, struct helper_answer *out)
{
    struct reading r = {.out = out};
    struct error err = {0};
    while (printed.len > 0 && strchr(" \t\r\n", printed.data[0])) {
        printed.data++;
        printed.len--;
    }
    if (printed.len == 0)
        set(out, HELPER_FAILED, "it prints nothing");
    else if (printed.data[0] != '{' || !json_edit_each(printed, NULL, 0, take_header, &r, &err))
        set(out, HELPER_FAILED, "what it prints is no JSON object");
    else if (r.fault)
        set(out, HELPER_FAILED, "what it prints holds %s", r.fault);
    else
        out->state = HELPER_GOOD;
}

/* ---- Running it ---- */

static void run(const struct scene *scene, const struct settings_view *view, const char *path,
                const char *command, struct helper_answer *out)
{
    char *home = platform_under_root(scene->root, view->home);
    struct buffer printed = {.max_bytes = OUTPUT_BYTES};
    struct error err = {0};
    struct platform_command call = {.program = path ? path : "/bin/sh",
                                    .option = path ? NULL : "-c",
                                    .argument = path ? NULL : command,
                                    .user = view->user,
                                    .uid = view->uid,
                                    .gid = view->gid,
                                    .home = home,
                                    .environment = scene->is_privileged ? NULL : scene->environment,
                                    .timeout_ms = HELPER_LIMIT_MS};
    uint64_t start = clock_monotonic_ns(scene->clock);
    bool ok = platform_run_command(&call, &printed, &err);
    out->duration_ms = (clock_monotonic_ns(scene->clock) - start) / NS_PER_MS;
    out->is_bare = call.environment == NULL;
    if (ok)
        helper_judge(buffer_bytes(&printed), out);
    else if (err.kind == FAIL_BUSY)
        set(out, HELPER_SLOW, "it has printed nothing within %d s", HELPER_LIMIT_MS / 1000);
    else
        set(out, HELPER_FAILED, "%.300s", err.cause);
    if (printed.data)
        memset(printed.data, 0, printed.len);
    buffer_clear(&printed);
    free(home);
}

void helper_ask(const struct scene *scene, const struct settings_view *view,
                struct helper_answer *out)
{
    const struct view_document *d = helper_document(view);
    *out = (struct helper_answer){0};
    if (!d)
        return;
    char *path = is_plain_path(d->helper) ? platform_under_root(scene->root, d->helper) : NULL;
    const char *fault = path ? path_fault(scene, path) : NULL;
    const char *reason = reason_not_to_run(scene, view, d->helper);
    if (fault)
        set(out, HELPER_FAILED, "it %s", fault);
    else if (reason)
        set(out, HELPER_NOT_RUN, "%s", reason);
    else
        run(scene, view, path, d->helper, out);
    free(path);
}

void helper_answer_clear(struct helper_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        memset(answer->lines[i], 0, strlen(answer->lines[i]));
        free(answer->lines[i]);
    }
    *answer = (struct helper_answer){0};
}
