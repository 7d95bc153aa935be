#include "agent/settings/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/settings/legacy.h"
#include "base/memory.h"
#include "core/json/reader.h"
#include "core/json/writer.h"
#include "platform/platform.h"

enum {
    RECORD_VERSION = 1,
    MAX_HEAD_BYTES = 256 * 1024,
    MAX_RECORD_BYTES = 32 * 1024 * 1024,
    MAX_RECORDS = 4096,
};

static const char suffix[] = ".first";

void record_clear(struct record *r)
{
    free(r->home);
    free(r->path);
    free(r->user);
    for (size_t i = 0; i < r->name_count; i++)
        free(r->names[i]);
    free(r->names);
    for (size_t i = 0; i < r->folder_count; i++)
        free(r->folders[i]);
    free(r->folders);
    buffer_clear(&r->original);
    *r = (struct record){0};
}

static void add_text(char ***list, size_t *count, const char *text)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp((*list)[i], text) == 0)
            return;
    *list = xrealloc(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = xstrdup(text);
}

bool record_has_name(const struct record *r, const char *name)
{
    for (size_t i = 0; i < r->name_count; i++)
        if (strcmp(r->names[i], name) == 0)
            return true;
    return false;
}

void record_add_name(struct record *r, const char *name)
{
    add_text(&r->names, &r->name_count, name);
}

void record_add_folder(struct record *r, const char *path)
{
    add_text(&r->folders, &r->folder_count, path);
}

/* FNV-1a, 64 bits. */
uint64_t record_fingerprint(struct bytes content)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < content.len; i++)
        hash = (hash ^ content.data[i]) * UINT64_C(1099511628211);
    return hash ? hash : 1;
}

static char *folder_of(const char *root)
{
    return platform_first_state_dir(root);
}

/*
 * What revert puts back comes from this folder, as root: nobody else may have a say in it. Walks
 * there name by name. Missing is fine.
 */
static bool check_folder(const char *root, const struct fs *fs, struct error *err)
{
    char *folder = folder_of(""), *name = NULL;
    const struct fs_place place = {.base = root && *root ? root : "/",
                                   .home = folder,
                                   .path = "any"};
    struct fs_folder *open = fs->folder_open(fs->disk, &place, &name, err);
    bool ok = open || err->kind == FAIL_NOT_FOUND;
    if (!ok) {
        error_wrap(err, "what the settings were at first is not safe in '%s'", folder);
        err->remedy[0] = '\0'; /* giving it to root would bless what somebody else put there */
        error_remedy(err,
                     "move '%s' aside and look at it: without it today's settings are the first "
                     "state",
                     folder);
    }
    fs->folder_close(fs->disk, open);
    free(name);
    free(folder);
    return ok;
}

static char *file_of(const char *root, const struct record *r)
{
    char *whole = xasprintf("%s/%s", r->home, r->path);
    char *folder = folder_of(root);
    char *file =
        xasprintf("%s/%016" PRIx64 "%s", folder, record_fingerprint(bytes_of(whole)), suffix);
    free(folder);
    free(whole);
    return file;
}

static void put_list(struct json_writer *w, const char *key, char *const *list, size_t count)
{
    json_put_key(w, key);
    json_array_open(w);
    for (size_t i = 0; i < count; i++)
        json_put_string(w, list[i]);
    json_array_close(w);
}

static bool write_head(const struct record *r, struct buffer *out)
{
    struct json_writer w = json_writer_make(out);
    json_object_open(&w);
    json_member_uint(&w, "version", RECORD_VERSION);
    json_member_string(&w, "home", r->home);
    json_member_string(&w, "path", r->path);
    json_member_string(&w, "user", r->user);
    json_member_uint(&w, "uid", r->uid);
    json_member_uint(&w, "gid", r->gid);
    json_member_uint(&w, "owned", r->owned);
    json_member_uint(&w, "existed", r->existed);
    json_member_uint(&w, "mode", r->mode);
    json_member_uint(&w, "owner_uid", r->owner_uid);
    json_member_uint(&w, "owner_gid", r->owner_gid);
    json_member_uint(&w, "written", r->written);
    json_member_uint(&w, "wish", r->wish);
    json_member_uint(&w, "bytes", r->original.len);
    json_member_uint(&w, "fingerprint", record_fingerprint(buffer_bytes(&r->original)));
    put_list(&w, "names", r->names, r->name_count);
    put_list(&w, "folders", r->folders, r->folder_count);
    json_object_close(&w);
    return json_writer_ok(&w) && buffer_append_byte(out, '\n');
}

bool record_store(const char *root, const struct fs *fs, const struct record *r, struct error *err)
{
    struct buffer text = {.max_bytes = MAX_RECORD_BYTES};
    char *folder = folder_of(root), *file = file_of(root, r);
    bool ok = write_head(r, &text) && buffer_append(&text, buffer_bytes(&r->original));
    if (!ok)
        error_set(err, FAIL_TOO_LARGE, "the first state of '%s' is too large to keep", r->path);
    char *above = xstrdup(folder);
    *strrchr(above, '/') = '\0';
    ok = ok && fs_make_dirs(fs, above, 0755, err) && fs->make_dir(fs->disk, folder, 0700, err) &&
         fs->sync_dir(fs->disk, above, err) && check_folder(root, fs, err) &&
         fs_replace_file(fs, file, buffer_bytes(&text), 0600, err);
    if (!ok) {
        error_wrap(err, "cannot keep the first state of '%s/%s'", r->home, r->path);
        error_remedy(err, "make room on the volume of '%s' and let this program write there",
                     folder);
    }
    buffer_clear(&text);
    free(above);
    free(file);
    free(folder);
    return ok;
}

bool record_remove(const char *root, const struct fs *fs, const struct record *r, struct error *err)
{
    char *folder = folder_of(root), *file = file_of(root, r);
    struct error ignored;
    bool ok = fs->remove(fs->disk, file, err) && fs->sync_dir(fs->disk, folder, err);
    if (ok)
        (void)!fs->remove(fs->disk, folder, &ignored); /* goes once it is empty */
    free(file);
    free(folder);
    return ok;
}

/* The next token as text, owned; NULL for null. False when it is something else. */
static bool read_text(struct json_reader *r, char **out)
{
    struct buffer text = {.max_bytes = MAX_HEAD_BYTES};
    enum json_token token = json_next(r);
    if (token == JSON_NULL)
        return true;
    bool ok = token == JSON_STRING && json_string_decode(r->span, &text);
    if (ok) {
        free(*out);
        *out = xstrdup(buffer_text(&text));
    }
    buffer_clear(&text);
    return ok;
}

static bool read_list(struct json_reader *r, char ***list, size_t *count)
{
    if (json_next(r) != JSON_ARRAY_OPEN)
        return false;
    for (;;) {
        struct buffer text = {.max_bytes = MAX_HEAD_BYTES};
        enum json_token token = json_next(r);
        bool ok = token == JSON_STRING && json_string_decode(r->span, &text);
        if (ok)
            add_text(list, count, buffer_text(&text));
        buffer_clear(&text);
        if (!ok)
            return token == JSON_ARRAY_CLOSE;
    }
}

static bool read_head(struct bytes line, struct record *out, uint64_t *bytes, uint64_t *print)
{
    uint64_t version = 0, uid = 0, gid = 0, owned = 0, existed = 0, mode = 0, owner_uid = 0,
             owner_gid = 0;
    const struct {
        const char *key;
        uint64_t *number;
    } numbers[] = {
        {"version", &version},
        {"uid", &uid},
        {"gid", &gid},
        {"owned", &owned},
        {"existed", &existed},
        {"mode", &mode},
        {"owner_uid", &owner_uid},
        {"owner_gid", &owner_gid},
        {"written", &out->written},
        {"wish", &out->wish},
        {"bytes", bytes},
        {"fingerprint", print},
    };
    struct json_reader r = json_reader_make(line);
    if (json_next(&r) != JSON_OBJECT_OPEN)
        return false;
    enum json_token token;
    while ((token = json_next(&r)) == JSON_KEY) {
        struct bytes key = r.span;
        bool ok = true, known = true;
        if (bytes_equal_text(key, "home"))
            ok = read_text(&r, &out->home);
        else if (bytes_equal_text(key, "path"))
            ok = read_text(&r, &out->path);
        else if (bytes_equal_text(key, "user"))
            ok = read_text(&r, &out->user);
        else if (bytes_equal_text(key, "names"))
            ok = read_list(&r, &out->names, &out->name_count);
        else if (bytes_equal_text(key, "folders"))
            ok = read_list(&r, &out->folders, &out->folder_count);
        else
            known = false;
        for (size_t i = 0; !known && i < sizeof numbers / sizeof *numbers; i++)
            if (bytes_equal_text(key, numbers[i].key)) {
                ok = json_next(&r) == JSON_NUMBER && json_uint64(r.span, numbers[i].number);
                known = true;
            }
        if (!ok || (!known && !json_skip_value(&r)))
            return false;
    }
    out->uid = (uint32_t)uid;
    out->gid = (uint32_t)gid;
    out->owned = owned != 0;
    out->existed = existed != 0;
    out->mode = (uint32_t)mode;
    out->owner_uid = (uint32_t)owner_uid;
    out->owner_gid = (uint32_t)owner_gid;
    return token == JSON_OBJECT_CLOSE && version == RECORD_VERSION && out->home && out->path;
}

/* A place that apply writes to: a record of any other is not ours, whoever made it. */
static bool is_known_place(const struct record *r)
{
    char *managed = platform_claude_managed_dir("");
    char *whole = xasprintf("%s/%s", r->home, r->path);
    size_t len = strlen(managed);
    bool known = r->user ? strcmp(r->path, ".claude/settings.json") == 0 && r->home[0] != '\0'
                         : strncmp(whole, managed, len) == 0 && whole[len] == '/' &&
                               !strstr(whole + len, "/..");
    free(whole);
    free(managed);
    return known;
}

bool record_parse(const char *file, struct bytes text, struct record *out, struct error *err)
{
    const uint8_t *end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;
    size_t head = end ? (size_t)(end - text.data) : 0;
    uint64_t bytes = 0, print = 0;
    *out = (struct record){.original = {.max_bytes = MAX_RECORD_BYTES}};
    bool ok = end && read_head(bytes_make(text.data, head), out, &bytes, &print);
    struct bytes original = end ? bytes_make(end + 1, text.len - head - 1) : (struct bytes){0};
    ok = ok && bytes == original.len && print == record_fingerprint(original) &&
         is_known_place(out) && buffer_append(&out->original, original);
    if (ok)
        return true;
    record_clear(out);
    error_set(err, FAIL_CORRUPT, "'%s' is damaged", file);
    return error_remedy(err,
                        "restore '%s' from a backup, or remove it to take today's settings as "
                        "the first state",
                        file);
}

static bool read_record(const char *file, const struct fs *fs, struct record *out,
                        struct error *err)
{
    struct buffer text = {.max_bytes = MAX_RECORD_BYTES};
    bool ok =
        fs_read_file(fs, file, &text, err) && record_parse(file, buffer_bytes(&text), out, err);
    buffer_clear(&text);
    return ok;
}

struct listing {
    char *names[MAX_RECORDS];
    size_t count;
};

bool record_is_file(const char *name)
{
    size_t len = strlen(name), tail = sizeof suffix - 1;
    return len > tail && strcmp(name + len - tail, suffix) == 0;
}

static bool collect(void *context, const char *name)
{
    struct listing *l = context;
    if (record_is_file(name))
        l->names[l->count++] = xstrdup(name);
    return l->count < MAX_RECORDS;
}

static int by_path(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    int order = strcmp(x->home, y->home);
    return order ? order : strcmp(x->path, y->path);
}

bool records_read(const char *root, const struct fs *fs, struct records *out, struct error *err)
{
    *out = (struct records){0};
    char *folder = folder_of(root);
    struct listing *found = xcalloc(1, sizeof *found);
    struct fs_stat info;
    bool ok = check_folder(root, fs, err);
    if (ok && fs->stat(fs->disk, folder, &info, err))
        ok = fs->list(fs->disk, folder, collect, found, err);
    else
        ok = ok && err->kind == FAIL_NOT_FOUND;
    out->list = xcalloc(found->count + 1, sizeof *out->list);
    for (size_t i = 0; ok && i < found->count; i++) {
        char *file = xasprintf("%s/%s", folder, found->names[i]);
        ok = read_record(file, fs, &out->list[out->count], err);
        out->count += ok;
        free(file);
    }
    ok = ok && legacy_read(root, fs, out, err);
    for (size_t i = 0; i < found->count; i++)
        free(found->names[i]);
    free(found);
    free(folder);
    if (!ok) {
        records_clear(out);
        return error_wrap(err, "cannot read what the settings were at first");
    }
    qsort(out->list, out->count, sizeof *out->list, by_path);
    return true;
}

void records_add(struct records *records, struct record *record)
{
    records->list = xrealloc(records->list, (records->count + 1) * sizeof *records->list);
    records->list[records->count++] = *record;
    *record = (struct record){0};
}

void records_clear(struct records *records)
{
    for (size_t i = 0; i < records->count; i++)
        record_clear(&records->list[i]);
    free(records->list);
    *records = (struct records){0};
}

struct record *records_find(struct records *records, const char *home, const char *path)
{
    for (size_t i = 0; i < records->count; i++)
        if (strcmp(records->list[i].home, home) == 0 && strcmp(records->list[i].path, path) == 0)
            return &records->list[i];
    return NULL;
}
