/*
 * Opening a spool that was left in any state.
 *
 * Only the last segment is read through. What an older one holds stands in the
 * header of the one behind it; its records are verified when they are read. A
 * lost header makes this read the segment before it as well.
 *
 * The last segment is cut behind its last record and never written again: a
 * process appends only to segments it made, so what a crash left behind the
 * cut can never be taken for a record.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/spool_private.h"
#include "base/memory.h"
#include "platform/platform.h"

enum { PATIENCE = 3 };

/* Without the stream file: more than can have been reserved beyond what is found. */
#define NUMBERING_JUMP ((uint64_t)1 << 22)

struct found {
    struct segment_header header;
    bool header_ok;
    bool base_known; /* what the spool had taken before this segment */
};

struct recovery {
    struct spool *spool;
    struct error *err;
    bool ok;
    struct found *found; /* beside spool->segments */
    uint64_t proven;     /* this sequence was certainly durable */
    struct totals marked;
};

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), n = strlen(end);
    return len >= n && strcmp(name + len - n, end) == 0;
}

static bool visit(void *context, const char *name)
{
    struct recovery *r = context;
    struct spool *s = r->spool;
    struct fs_stat info;
    struct error ignored;
    uint64_t first;
    uint32_t salt;
    bool litter = ends_with(name, ".part") || ends_with(name, ".new");
    bool spare = strncmp(name, "spare-", 6) == 0;
    bool segment = segment_name_parse(name, &first, &salt);
    if (!litter && !spare && !segment)
        return true;

    char *path = spool_path(s, name);
    if (litter) {
        (void)!s->fs->remove(s->fs->disk, path, &ignored);
    } else if (!s->fs->stat(s->fs->disk, path, &info, r->err)) {
        r->ok = false;
    } else if (segment) {
        struct segment *g = segments_push(s);
        g->first_sequence = first;
        g->last_sequence = first - 1;
        g->salt = salt;
        g->size_bytes = info.size_bytes;
        g->sealed = true;
    } else if (strcmp(name, "spare-0") == 0 && info.size_bytes == s->segment_bytes) {
        s->spares = 1;
    } else {
        (void)!s->fs->remove(s->fs->disk, path, &ignored);
    }
    free(path);
    return r->ok;
}

static int by_sequence(const void *a, const void *b)
{
    uint64_t x = ((const struct segment *)a)->first_sequence;
    uint64_t y = ((const struct segment *)b)->first_sequence;
    return x < y ? -1 : x > y;
}

static struct fs_file *open_segment(struct spool *s, const struct segment *g, unsigned how,
                                    struct error *err)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(g->first_sequence, g->salt, name);
    char *path = spool_path(s, name);
    struct fs_file *file = s->fs->open(s->fs->disk, path, how, 0, err);
    free(path);
    return file;
}

static bool read_header(struct recovery *r, size_t i)
{
    struct spool *s = r->spool;
    struct segment *g = &s->segments[i];
    struct found *f = &r->found[i];
    struct fs_file *file = open_segment(s, g, FS_READ, r->err);
    if (!file)
        return false;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    size_t got = 0;
    struct error unreadable;
    bool newer = false;
    if (s->fs->read_at(s->fs->disk, file, 0, bytes, sizeof bytes, &got, &unreadable))
        f->header_ok = segment_header_decode(bytes, got, &f->header, &newer) &&
                       f->header.first_sequence == g->first_sequence && f->header.salt == g->salt;
    s->fs->close(s->fs->disk, file);
    if (newer) {
        error_set(r->err, FAIL_INVALID, "segment %016" PRIx64 " was written by a newer version",
                  g->first_sequence);
        return error_remedy(r->err,
                            "install the newer agent again, or set another relay.spool.path");
    }
    return true;
}

static void prove(struct recovery *r, uint64_t sequence)
{
    if (sequence > r->proven)
        r->proven = sequence;
}

static void take_base(struct recovery *r, size_t i)
{
    struct spool *s = r->spool;
    struct segment *g = &s->segments[i];
    const struct segment_header *h = &r->found[i].header;
    r->found[i].base_known = true;
    if (r->found[i].header_ok) {
        g->created_ns = h->created_ns;
        g->records_before = h->records_before;
        memcpy(g->items_before, h->items_before, sizeof g->items_before);
    } else if (i > 0) {
        const struct segment *b = g - 1;
        g->created_ns = b->newest_ns;
        g->records_before = b->records_before + (b->last_sequence + 1 - b->first_sequence);
        for (int k = 0; k < OTLP_SIGNAL_COUNT; k++)
            g->items_before[k] = b->items_before[k] + b->items[k];
        r->found[i].base_known = r->found[i - 1].base_known;
    } else if (g->first_sequence == s->oldest_first) {
        g->records_before = s->oldest_base.records;
        memcpy(g->items_before, s->oldest_base.items, sizeof g->items_before);
    } else {
        r->found[i].base_known = g->first_sequence == 1;
    }
}

/* What the next segment's header says of this one. */
static void take_end(struct recovery *r, size_t i)
{
    struct segment *g = &r->spool->segments[i];
    const struct segment_header *next = &r->found[i + 1].header;
    uint64_t last = next->previous_last;
    if (last >= next->first_sequence)
        last = next->first_sequence - 1;
    g->last_sequence = last < g->first_sequence ? g->first_sequence - 1 : last;
    g->newest_ns = next->created_ns;
    g->end = next->previous_end;
    /* A segment missing in between, or one that should be gone: look at all there is. */
    if (next->previous_first != g->first_sequence || g->end > g->size_bytes)
        g->end = g->size_bytes;
    g->items_known = r->found[i].base_known;
    for (int k = 0; k < OTLP_SIGNAL_COUNT; k++)
        g->items[k] = next->items_before[k] - g->items_before[k];
}

/* Reports the damage a scan met, once it is known not to be a torn tail. */
static void settle(struct recovery *r, struct fs_file *file, struct segment *g,
                   struct segment_step *pending, bool certain)
{
    if (pending->kind != SEGMENT_STEP_DAMAGE)
        return;
    if (!certain && pending->from_sequence > r->proven)
        return;
    segments_report_damage(r->spool, file, pending, g->newest_ns ? g->newest_ns : g->created_ns);
    g->last_sequence = pending->to_sequence;
    g->end = pending->end;
    pending->kind = SEGMENT_STEP_END;
}

/* Reads a segment through. What lies behind its last record and was never acknowledged is torn. */
static bool scan(struct recovery *r, size_t i)
{
    struct spool *s = r->spool;
    struct segment *g = &s->segments[i];
    bool is_last = i + 1 == s->segment_count;
    struct fs_file *file = open_segment(s, g, FS_READ, r->err);
    if (!file)
        return false;
    struct segment_walk w = {.fs = s->fs,
                             .file = file,
                             .salt = g->salt,
                             .limit = g->size_bytes,
                             .last_sequence = UINT64_MAX - 1};
    if (!is_last)
        w.last_sequence = s->segments[i + 1].first_sequence - 1;
    uint64_t bound = w.last_sequence;
    w.last_sequence = bound == UINT64_MAX - 1 ? UINT64_MAX : bound;
    segment_walk_begin(&w, g->first_sequence);
    g->end = SEGMENT_HEADER_BYTES < g->size_bytes ? SEGMENT_HEADER_BYTES : g->size_bytes;
    g->newest_ns = g->created_ns;

    struct segment_step step, pending = {.kind = SEGMENT_STEP_END};
    uint64_t items[OTLP_SIGNAL_COUNT] = {0};
    for (;;) {
        segment_walk_next(&w, SEGMENT_BODIES, NULL, &step, r->err);
        if (step.kind == SEGMENT_STEP_FAILED && w.failures < PATIENCE)
            continue;
        if (step.kind == SEGMENT_STEP_DAMAGE && step.end >= w.limit && !is_last &&
            step.to_sequence == bound)
            break; /* numbers that were never used, as far as anyone can tell */
        if (step.kind != SEGMENT_STEP_RECORD && step.kind != SEGMENT_STEP_DAMAGE)
            break;
        settle(r, file, g, &pending, true);
        if (step.kind == SEGMENT_STEP_DAMAGE) {
            pending = step;
            continue;
        }
        prove(r, step.record.durable);
        g->last_sequence = step.record.sequence;
        g->end = step.end;
        if (step.record.received_ns > g->newest_ns)
            g->newest_ns = step.record.received_ns;
        memcpy(items, w.items, sizeof items);
    }
    settle(r, file, g, &pending, !is_last);
    if (step.kind == SEGMENT_STEP_FAILED) {
        s->fs->close(s->fs->disk, file);
        segment_walk_clear(&w);
        return false;
    }
    if (pending.kind == SEGMENT_STEP_END)
        memcpy(items, w.items, sizeof items);
    memcpy(g->items, items, sizeof g->items);
    g->items_known = true;

    /* What was acknowledged and is not there at all. */
    if (is_last && r->proven > g->last_sequence) {
        struct segment_step lost = {.kind = SEGMENT_STEP_DAMAGE,
                                    .offset = g->end,
                                    .end = g->size_bytes,
                                    .from_sequence = g->last_sequence + 1,
                                    .to_sequence = r->proven};
        lost.items_exact = r->proven == s->marked;
        for (int k = 0; lost.items_exact && k < OTLP_SIGNAL_COUNT; k++) {
            uint64_t held = g->items_before[k] + g->items[k];
            lost.items[k] = r->marked.items[k] > held ? r->marked.items[k] - held : 0;
        }
        if (!lost.items_exact)
            lost.items[OTLP_LOGS] = r->proven - g->last_sequence;
        segments_report_damage(s, file, &lost, g->newest_ns);
    }
    s->fs->close(s->fs->disk, file);
    segment_walk_clear(&w);
    return true;
}

static bool cut(struct spool *s, struct segment *g, struct error *err)
{
    if (g->size_bytes == g->end)
        return true;
    struct fs_file *file = open_segment(s, g, FS_WRITE, err);
    bool ok = file && s->fs->truncate(s->fs->disk, file, g->end, err) &&
              s->fs->sync(s->fs->disk, file, err);
    s->fs->close(s->fs->disk, file);
    if (ok)
        g->size_bytes = g->end;
    return ok;
}

/* Files without a record worth keeping go. */
static bool drop_empty(struct spool *s, struct error *err)
{
    size_t kept = 0;
    bool ok = true;
    for (size_t i = 0; i < s->segment_count; i++) {
        struct segment *g = &s->segments[i];
        bool empty = g->last_sequence < g->first_sequence || g->last_sequence <= s->ledger.floor;
        if (!empty || !ok) {
            s->segments[kept++] = *g;
            continue;
        }
        char name[SEGMENT_NAME_BYTES];
        segment_name(g->first_sequence, g->salt, name);
        char *path = spool_path(s, name);
        ok = s->fs->remove(s->fs->disk, path, err);
        free(path);
    }
    s->segment_count = kept;
    return ok;
}

static void number_on(struct recovery *r, bool found)
{
    struct spool *s = r->spool;
    s->committed = r->proven;
    if (s->segment_count > 0) {
        const struct segment *g = &s->segments[s->segment_count - 1];
        if (g->last_sequence > s->committed)
            s->committed = g->last_sequence;
        s->totals.records = g->records_before + (g->last_sequence + 1 - g->first_sequence);
        for (int k = 0; k < OTLP_SIGNAL_COUNT; k++)
            s->totals.items[k] = g->items_before[k] + g->items[k];
    }
    if (r->marked.records > s->totals.records)
        s->totals = r->marked;
    s->written = s->totals;
    s->newest = s->committed;
    s->appended = s->committed > s->reserved ? s->committed : s->reserved;
    if (!found && s->segment_count > 0)
        s->appended += NUMBERING_JUMP;
    s->reserved = s->appended;
}

/* The first start: the folders' own names must survive too. */
static void sync_parents(struct spool *s)
{
    struct error ignored;
    char *path = xstrdup(s->dir);
    (void)!s->fs->sync_dir(s->fs->disk, path, &ignored);
    for (char *slash; (slash = strrchr(path, '/')) && slash != path;) {
        *slash = '\0';
        (void)!s->fs->sync_dir(s->fs->disk, path, &ignored);
    }
    free(path);
}

static bool name_stream(struct recovery *r)
{
    struct spool *s = r->spool;
    memset(s->stream, 0, sizeof s->stream);
    for (size_t i = 0; i < s->segment_count; i++)
        if (r->found[i].header_ok)
            memcpy(s->stream, r->found[i].header.stream, SEGMENT_STREAM_BYTES);
    if (!s->stream[0])
        platform_uuid(s->stream);
    return true;
}

static bool read_segments(struct recovery *r)
{
    struct spool *s = r->spool;
    for (size_t i = 0; i < s->segment_count; i++)
        if (!read_header(r, i))
            return false;
    for (size_t i = 0; i < s->segment_count; i++) {
        take_base(r, i);
        bool told = i + 1 < s->segment_count && r->found[i + 1].header_ok;
        if (told)
            take_end(r, i);
        else if (!scan(r, i))
            return false;
    }
    return true;
}

bool recover(struct spool *s, struct error *err)
{
    struct recovery r = {.spool = s, .err = err, .ok = true};
    bool found;
    if (!stream_load(s, &found, &r.marked, err) ||
        !s->fs->list(s->fs->disk, s->dir, visit, &r, err) || !r.ok)
        return false;
    if (s->segment_count > 0)
        qsort(s->segments, s->segment_count, sizeof *s->segments, by_sequence);
    r.found = xcalloc(s->segment_count + 1, sizeof *r.found);

    prove(&r, s->marked);
    prove(&r, s->ledger.floor);
    for (struct spool_cursor *c = s->cursors; c; c = c->next) {
        prove(&r, c->done);
        if (c->done < s->ledger.floor)
            c->done = s->ledger.floor;
    }
    bool ok = read_segments(&r);
    if (ok && !found)
        ok = name_stream(&r);
    free(r.found);
    if (ok)
        number_on(&r, found);
    if (ok && s->segment_count > 0)
        ok = cut(s, &s->segments[s->segment_count - 1], err);
    ok = ok && drop_empty(s, err);
    if (ok && !found) {
        ok = stream_save(s, s->reserved, err);
        sync_parents(s);
    }
    return ok;
}
