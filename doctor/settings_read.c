#include "doctor/settings_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/edit.h"
#include "core/json/reader.h"
#include "core/plist/plist.h"
#include "core/registry/registry.h"
#include "doctor/format.h"

enum { MAX_DOCUMENT_BYTES = 16 * 1024 * 1024, MAX_ENTRIES = 4096, MAX_VALUE_BYTES = 64 * 1024 };

struct view_document *view_add_document(struct settings_view *view, enum view_layer layer,
                                        const char *path)
{
    struct view_document *document = xcalloc(1, sizeof *document);
    document->layer = layer;
    document->path = xstrdup(path);
    view->documents =
        xrealloc(view->documents, (view->document_count + 1) * sizeof *view->documents);
    view->documents[view->document_count++] = document;
    return document;
}

void view_add_entry(struct settings_view *view, struct view_document *document, struct bytes name,
                    const char *value, unsigned line)
{
    char *text = xstrndup((const char *)name.data, name.len);
    if (view->entry_count >= MAX_ENTRIES || !format_is_telemetry_variable(text)) {
        free(text);
        return;
    }
    view->entries = xrealloc(view->entries, (view->entry_count + 1) * sizeof *view->entries);
    view->entries[view->entry_count++] = (struct view_entry){.document = document,
                                                             .name = text,
                                                             .value = xstrdup(value),
                                                             .line = line};
}

struct reading {
    struct settings_view *view;
    struct view_document *document;
    struct bytes text;
};

static char *decoded(struct bytes value)
{
    struct buffer out = {.max_bytes = MAX_VALUE_BYTES};
    char *text = NULL;
    if (value.len >= 2 && value.data[0] == '"' &&
        json_string_decode(bytes_make(value.data + 1, value.len - 2), &out))
        text = xstrdup(buffer_text(&out));
    buffer_clear(&out);
    return text;
}

static unsigned line_of(const struct reading *r, struct bytes at)
{
    unsigned line, column;
    json_place(r->text, (size_t)(at.data - r->text.data), &line, &column);
    return line;
}

/* Numbers and booleans count as their text; null and objects are passed over. */
static bool read_variable(void *context, struct bytes key, struct bytes value)
{
    struct reading *r = context;
    char *text = decoded(value);
    bool plain = value.len > 0 && !strchr("\"{[n", value.data[0]);
    if (!text && plain)
        text = xstrndup((const char *)value.data, value.len);
    if (text)
        view_add_entry(r->view, r->document, key, text, line_of(r, key));
    free(text);
    return true;
}

static bool read_key(void *context, struct bytes key, struct bytes value)
{
    struct reading *r = context;
    if (json_string_equals(key, "otelHeadersHelper")) {
        free(r->document->helper);
        r->document->helper = decoded(value);
        r->document->helper_line = line_of(r, key);
    }
    if (json_string_equals(key, "policyHelper"))
        r->document->names_policy_helper = true;
    return true;
}

static void read_object(struct settings_view *view, struct view_document *document,
                        struct bytes text)
{
    static const char *const env[] = {"env"};
    struct reading r = {view, document, text};
    struct error err = {0};
    size_t at = 0;
    if (text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
        at = 3; /* Claude Code takes a byte order mark */
    while (at < text.len && strchr(" \t\r\n", text.data[at]))
        at++;
    document->is_empty = at == text.len;
    if (document->is_empty)
        return;
    if (!json_edit_each(text, NULL, 0, read_key, &r, &err)) {
        document->is_broken = true;
        snprintf(document->problem, sizeof document->problem, "%.390s", err.cause);
        return;
    }
    (void)!json_edit_each(text, env, 1, read_variable, &r, &err);
}

/* Whether the person may read it; what this process may do decides nothing for others. */
static bool may_read(const struct fs_stat *file, uint32_t uid, uint32_t gid)
{
    if (uid == 0 || file->mode == 0)
        return true;
    uint32_t bits = file->uid == uid   ? file->mode >> 6
                    : file->gid == gid ? file->mode >> 3
                                       : file->mode;
    return (bits & (file->is_directory ? 5U : 4U)) == (file->is_directory ? 5U : 4U);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

/* Follows a link for its target's facts; a link to nothing is dangling. */
static bool look(struct view_document *document, const char *path, uint32_t uid, uint32_t gid,
                 const struct fs *fs)
{
    struct fs_stat stat;
    struct error err = {0};
    if (!fs->stat(fs->disk, path, &stat, &err)) {
        if (err.kind == FAIL_DENIED || err.kind == FAIL_BUSY) {
            document->is_there = document->is_unreadable = true;
            document->is_silent = err.kind == FAIL_BUSY;
            snprintf(document->problem, sizeof document->problem, "%.390s", err.cause);
        }
        return false;
    }
    document->is_there = true;
    document->is_folder = stat.is_directory;
    document->modified_ns = stat.modified_ns;
    if (!stat.is_symlink && !stat.is_directory && !may_read(&stat, uid, gid)) {
        document->is_unreadable = true;
        snprintf(document->problem, sizeof document->problem, "its mode is %04o",
                 stat.mode & 07777);
    }
    return !stat.is_directory && !document->is_unreadable;
}

void view_read_settings(struct settings_view *view, enum view_layer layer, const char *path,
                        uint32_t uid, uint32_t gid, const struct fs *fs)
{
    struct buffer text = {.max_bytes = MAX_DOCUMENT_BYTES},
                  json = {.max_bytes = MAX_DOCUMENT_BYTES};
    struct error err = {0};
    struct view_document *document = view_add_document(view, layer, path);
    if (!look(document, path, uid, gid, fs)) {
        return;
    }
    if (!fs_read_file(fs, path, &text, &err)) {
        document->is_dangling = err.kind == FAIL_NOT_FOUND;
        document->is_unreadable = !document->is_dangling;
        document->is_silent = err.kind == FAIL_BUSY;
        snprintf(document->problem, sizeof document->problem, "%.390s", err.cause);
    } else if (!ends_with(path, ".plist")) {
        read_object(view, document, buffer_bytes(&text));
    } else if (plist_to_json(buffer_bytes(&text), &json, &err)) {
        read_object(view, document, buffer_bytes(&json));
        document->helper_line = 0;
    } else {
        document->is_broken = true;
        snprintf(document->problem, sizeof document->problem, "%.390s", err.cause);
    }
    buffer_clear(&text);
    buffer_clear(&json);
}

/* The whole document in one value, a text: there are no lines to tell. */
void view_read_policy(struct settings_view *view, enum view_layer layer, const char *hive,
                      const char *root, const struct fs *fs)
{
    struct error ignored;
    char *path = xasprintf("%s\\SOFTWARE\\Policies\\ClaudeCode", hive);
    struct registry_key *key = registry_read(root, path, fs, &ignored);
    const char *settings = registry_text_of(key, "Settings");
    if (settings) {
        char *place = xasprintf("%s!Settings", path);
        struct view_document *document = view_add_document(view, layer, place);
        size_t before = view->entry_count;
        document->is_there = true;
        read_object(view, document, bytes_of(settings));
        document->helper_line = 0;
        for (size_t i = before; i < view->entry_count; i++)
            view->entries[i].line = 0;
        free(place);
    }
    registry_destroy(key);
    free(path);
}
