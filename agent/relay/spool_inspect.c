#include "agent/relay/spool_inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/ledger.h"
#include "agent/relay/lines.h"
#include "agent/relay/segment.h"
#include "agent/relay/spool_quarantine.h"
#include "base/memory.h"

enum { POSITION_MAX_BYTES = 4096, PATIENCE = 3 };
#define QUARANTINE_MAX_BYTES (SEGMENT_PAYLOAD_MAX + 64 * KIB)

/* Names of one folder, in order. */
struct names {
    char **items;
    size_t count;
};

static bool collect(void *context, const char *name)
{
    struct names *n = context;
    n->items = xrealloc(n->items, (n->count + 1) * sizeof *n->items);
    n->items[n->count++] = xstrdup(name);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_clear(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->items[i]);
    free(n->items);
    *n = (struct names){0};
}

static bool names_of(const struct fs *fs, const char *dir, struct names *out, struct error *err)
{
    *out = (struct names){0};
    if (!fs->list(fs->disk, dir, collect, out, err)) {
        names_clear(out);
        return false;
    }
    if (out->count > 0)
        qsort(out->items, out->count, sizeof *out->items, by_name);
    return true;
}

/* --- segments ------------------------------------------------------------------------------- */

struct visit_record {
    void *context;
    bool (*record)(void *context, const struct segment_record *record, const struct buffer *body,
                   struct error *err);
};

static void count_step(struct spool_segment_info *info, const struct segment_step *step)
{
    if (step->kind == SEGMENT_STEP_DAMAGE) {
        info->damaged_records += step->to_sequence - step->from_sequence + 1;
        for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
            info->damaged_items += step->items[i];
        return;
    }
    const struct segment_record *r = &step->record;
    info->records[r->signal]++;
    info->items[r->signal] += r->item_count;
    info->last_sequence = r->sequence;
    info->used_bytes = step->end;
    if (info->oldest_ns == 0 || r->received_ns < info->oldest_ns)
        info->oldest_ns = r->received_ns;
    if (r->received_ns > info->newest_ns)
        info->newest_ns = r->received_ns;
}

/* What is known of one file before its records are read. */
struct place {
    uint64_t first_sequence;
    uint32_t salt;
    struct segment_header header;
    bool header_ok;
};

static bool look(const struct fs *fs, const char *dir, const char *name, struct place *out,
                 struct fs_file **file, struct error *err)
{
    *out = (struct place){0};
    *file = NULL;
    if (!segment_name_parse(name, &out->first_sequence, &out->salt))
        return true;
    char *path = xasprintf("%s/%s", dir, name);
    *file = fs->open(fs->disk, path, FS_READ, 0, err);
    free(path);
    if (!*file)
        return err->kind == FAIL_NOT_FOUND; /* delivered meanwhile */
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    size_t got = 0;
    bool newer = false;
    struct error unreadable;
    if (fs->read_at(fs->disk, *file, 0, bytes, sizeof bytes, &got, &unreadable))
        out->header_ok = segment_header_decode(bytes, got, &out->header, &newer) &&
                         out->header.first_sequence == out->first_sequence &&
                         out->header.salt == out->salt;
    if (newer) {
        fs->close(fs->disk, *file);
        *file = NULL;
        error_set(err, FAIL_INVALID, "segment '%s' was written by a newer version", name);
        return error_remedy(err, "use the newer agent's `spool` command");
    }
    return true;
}

/* The header of the segment behind says what this one holds. */
static void bound_by(struct segment_walk *w, const struct place *own, const struct place *next)
{
    if (!next->header_ok)
        return;
    w->last_sequence = next->header.previous_last < next->first_sequence
                           ? next->header.previous_last
                           : next->first_sequence - 1;
    if (next->header.previous_first == own->first_sequence && next->header.previous_end < w->limit)
        w->limit = next->header.previous_end;
    w->items_known = own->header_ok;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        w->items_total[i] = next->header.items_before[i] - own->header.items_before[i];
}

static bool read_segment(const struct fs *fs, struct fs_file *file, const char *name,
                         const struct place *own, const struct place *next,
                         const struct visit_record *visit, struct spool_segment_info *info,
                         struct error *err)
{
    *info = (struct spool_segment_info){.first_sequence = own->first_sequence,
                                        .header_ok = own->header_ok};
    snprintf(info->name, sizeof info->name, "%s", name);
    if (!fs->size(fs->disk, file, &info->size_bytes, err))
        return false;
    struct segment_walk w = {.fs = fs,
                             .file = file,
                             .salt = own->salt,
                             .limit = info->size_bytes,
                             .last_sequence = UINT64_MAX};
    bound_by(&w, own, next);
    segment_walk_begin(&w, own->first_sequence);

    struct buffer body = {.max_bytes = SEGMENT_PAYLOAD_MAX + SPOOL_USER_BYTES};
    struct segment_step step;
    bool ok = true;
    for (;;) {
        segment_walk_next(&w, SEGMENT_BODIES, visit ? &body : NULL, &step, err);
        if (step.kind == SEGMENT_STEP_FAILED && w.failures > 0 && w.failures < PATIENCE)
            continue;
        ok = step.kind != SEGMENT_STEP_FAILED;
        if (!ok || step.kind == SEGMENT_STEP_END)
            break;
        count_step(info, &step);
        if (visit && step.kind == SEGMENT_STEP_RECORD)
            ok = visit->record(visit->context, &step.record, &body, err);
        if (!ok)
            break;
    }
    buffer_clear(&body);
    segment_walk_clear(&w);
    return ok || error_wrap(err, "cannot read segment '%s'", name);
}

typedef void visit_segment(void *context, const struct spool_segment_info *info);

static bool read_segments(const struct fs *fs, const char *dir, visit_segment *each, void *context,
                          const struct visit_record *records, struct error *err)
{
    struct names names;
    if (!names_of(fs, dir, &names, err)) {
        if (err->kind == FAIL_NOT_FOUND)
            error_remedy(err, "the agent makes it when it runs: check --root and relay.spool.path");
        return error_wrap(err, "cannot look at the spool");
    }
    bool ok = true;
    struct place own = {0}, next;
    struct fs_file *file = NULL, *next_file = NULL;
    const char *name = NULL;
    for (size_t i = 0; ok && i <= names.count; i++) {
        next = (struct place){0};
        next_file = NULL;
        if (i < names.count)
            ok = look(fs, dir, names.items[i], &next, &next_file, err);
        if (i < names.count && !next_file)
            continue;
        struct spool_segment_info info;
        if (ok && file) {
            ok = read_segment(fs, file, name, &own, &next, records, &info, err);
            if (ok && each)
                each(context, &info);
        }
        fs->close(fs->disk, file);
        file = next_file;
        own = next;
        name = i < names.count ? names.items[i] : NULL;
    }
    fs->close(fs->disk, file);
    names_clear(&names);
    return ok;
}

/* --- quarantine, positions, ledger ---------------------------------------------------------- */

typedef bool visit_file(void *context, const char *name, struct bytes content, struct error *err);

static bool read_files(const struct fs *fs, const char *dir, const char *folder, size_t max_bytes,
                       visit_file *each, void *context, struct error *err)
{
    char *path = xasprintf("%s/%s", dir, folder);
    struct names names;
    bool ok = true;
    if (!names_of(fs, path, &names, err)) {
        free(path);
        return err->kind == FAIL_NOT_FOUND;
    }
    for (size_t i = 0; ok && i < names.count; i++) {
        const char *name = names.items[i];
        size_t len = strlen(name);
        if (len > 4 && strcmp(name + len - 4, ".new") == 0)
            continue;
        struct buffer content = {.max_bytes = max_bytes};
        char *file = xasprintf("%s/%s", path, name);
        if (fs_read_file(fs, file, &content, err))
            ok = each(context, name, buffer_bytes(&content), err);
        else
            ok = err->kind == FAIL_NOT_FOUND || err->kind == FAIL_TOO_LARGE;
        free(file);
        buffer_clear(&content);
    }
    names_clear(&names);
    free(path);
    return ok;
}

static struct spool_quarantine_info describe(const char *name, struct bytes content,
                                             struct quarantine_entry *e)
{
    struct spool_quarantine_info info = {0};
    struct bytes head = content;
    if (head.len > QUARANTINE_HEAD_BYTES)
        head.len = QUARANTINE_HEAD_BYTES;
    snprintf(info.name, sizeof info.name, "%s", name);
    info.readable = quarantine_parse(head, e) && e->user_len <= content.len &&
                    e->payload_len <= content.len &&
                    e->content_at + e->user_len + e->payload_len <= content.len;
    if (!info.readable)
        return info;
    info.from_sequence = e->from_sequence;
    info.to_sequence = e->to_sequence;
    info.received_ns = e->received_ns;
    info.signal = e->signal;
    info.item_count = e->item_count;
    info.payload_bytes = e->payload_len;
    snprintf(info.destination, sizeof info.destination, "%s", e->destination);
    snprintf(info.reason, sizeof info.reason, "%s", e->reason);
    return info;
}

static bool list_quarantine(void *context, const char *name, struct bytes content,
                            struct error *err)
{
    (void)err;
    const struct spool_list *list = context;
    struct quarantine_entry e;
    struct spool_quarantine_info info = describe(name, content, &e);
    list->quarantine(list->context, &info);
    return true;
}

static bool list_position(void *context, const char *name, struct bytes content, struct error *err)
{
    (void)err;
    const struct spool_list *list = context;
    struct spool_position_info info = {0};
    char line[LINES_MAX_BYTES];
    size_t damaged = 0;
    snprintf(info.name, sizeof info.name, "%s", name);
    uint64_t done;
    while (lines_next(&content, line, &damaged)) {
        if (sscanf(line, "done %" SCNu64, &done) != 1)
            continue;
        info.done = done > info.done ? done : info.done;
        info.readable = true;
    }
    list->position(list->context, &info);
    return true;
}

bool spool_inspect_list(const struct fs *fs, const char *dir, const struct spool_list *list,
                        struct error *err)
{
    if (!read_segments(fs, dir, list->segment, list->context, NULL, err))
        return false;
    void *context = (void *)(uintptr_t)list; /* handed back as const */
    if (list->quarantine &&
        !read_files(fs, dir, "quarantine", QUARANTINE_MAX_BYTES, list_quarantine, context, err))
        return false;
    if (list->position &&
        !read_files(fs, dir, "positions", POSITION_MAX_BYTES, list_position, context, err))
        return false;
    if (!list->loss)
        return true;
    struct ledger ledger = {0};
    char *path = xasprintf("%s/ledger", dir);
    bool ok = ledger_load(&ledger, fs, path, err);
    for (size_t i = 0; ok && i < ledger.count; i++)
        list->loss(list->context, &ledger.entries[i]);
    ledger_clear(&ledger);
    free(path);
    return ok;
}

/* --- verify --------------------------------------------------------------------------------- */

struct verify {
    struct spool_verdict *out;
    uint64_t last_sequence;
};

static void judge_segment(void *context, const struct spool_segment_info *info)
{
    struct verify *verify = context;
    struct spool_verdict *v = verify->out;
    if (info->last_sequence > verify->last_sequence)
        verify->last_sequence = info->last_sequence;
    v->segments++;
    v->bytes += info->used_bytes;
    v->damaged_records += info->damaged_records;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        v->records += info->records[i];
    /* A segment just made has no header yet. */
    v->damaged_headers += !info->header_ok && info->last_sequence > 0;
}

static void judge_quarantine(void *context, const struct spool_quarantine_info *entry)
{
    struct spool_verdict *v = ((struct verify *)context)->out;
    v->quarantine_files++;
    v->damaged_quarantine_files += !entry->readable;
}

static void judge_position(void *context, const struct spool_position_info *position)
{
    struct spool_verdict *v = ((struct verify *)context)->out;
    v->damaged_positions += !position->readable;
}

/* What the spool knew to be durable when it last said so. */
static bool read_committed(const struct fs *fs, const char *dir, uint64_t *out, struct error *err)
{
    struct buffer text = {.max_bytes = 64 * KIB};
    char *path = xasprintf("%s/stream", dir);
    bool ok = fs_read_file(fs, path, &text, err) || err->kind == FAIL_NOT_FOUND ||
              err->kind == FAIL_TOO_LARGE;
    free(path);
    struct bytes rest = buffer_bytes(&text);
    char line[LINES_MAX_BYTES];
    size_t damaged = 0;
    while (lines_next(&rest, line, &damaged))
        (void)!sscanf(line, "committed %" SCNu64, out);
    buffer_clear(&text);
    return ok;
}

bool spool_inspect_verify(const struct fs *fs, const char *dir, struct spool_verdict *out,
                          struct error *err)
{
    *out = (struct spool_verdict){0};
    struct verify verify = {.out = out};
    struct spool_list list = {.context = &verify,
                              .segment = judge_segment,
                              .quarantine = judge_quarantine,
                              .position = judge_position};
    uint64_t committed = 0;
    if (!read_committed(fs, dir, &committed, err) || !spool_inspect_list(fs, dir, &list, err))
        return false;
    /* The newest segment holds the newest record as long as there is a segment. */
    if (out->segments > 0 && committed > verify.last_sequence)
        out->damaged_records += committed - verify.last_sequence;
    return true;
}

/* --- export --------------------------------------------------------------------------------- */

struct export
{
    const struct fs *fs;
    const char *into;
    uint64_t count;
};

static bool export_bytes(struct export *x, const char *name, struct bytes content,
                         struct error *err)
{
    char *path = xasprintf("%s/%s", x->into, name);
    bool ok = fs_replace_file(x->fs, path, content, 0600, err);
    x->count += ok;
    free(path);
    return ok;
}

static bool export_record(void *context, const struct segment_record *r, const struct buffer *body,
                          struct error *err)
{
    static const char *const names[OTLP_SIGNAL_COUNT] = {
        [OTLP_LOGS] = "logs", [OTLP_METRICS] = "metrics", [OTLP_TRACES] = "traces"};
    char name[64];
    snprintf(name, sizeof name, "%020" PRIu64 "-%s.bin", r->sequence, names[r->signal]);
    return export_bytes(context, name, bytes_make(body->data + r->user_len, r->payload_len), err);
}

static bool export_quarantined(void *context, const char *name, struct bytes content,
                               struct error *err)
{
    struct quarantine_entry e;
    struct spool_quarantine_info info = describe(name, content, &e);
    if (!info.readable || e.destination[0] == '\0') /* damaged bytes are no request */
        return true;
    char *as = xasprintf("quarantine-%s.bin", name);
    bool ok =
        export_bytes(context, as,
                     bytes_make(content.data + e.content_at + e.user_len, e.payload_len), err);
    free(as);
    return ok;
}

bool spool_inspect_export(const struct fs *fs, const char *dir, const char *into, uint64_t *count,
                          struct error *err)
{
    struct export x = {.fs = fs, .into = into};
    struct visit_record visit = {.context = &x, .record = export_record};
    bool ok = fs_make_dirs(fs, into, 0700, err) &&
              read_segments(fs, dir, NULL, NULL, &visit, err) &&
              read_files(fs, dir, "quarantine", QUARANTINE_MAX_BYTES, export_quarantined, &x, err);
    *count = x.count;
    return ok;
}
