/* Which segment files exist: making, reusing, evicting, giving back. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/spool_private.h"
#include "base/memory.h"
#include "platform/platform.h"

/* Zeros are written in pages: a larger write makes a larger folio in the page cache, and then every
 * small append dirties, and writes back, the whole of it. */
enum { ZERO_STEP_BYTES = 4096, ROUND_BYTES = 4096 };

static char *segment_path(const struct spool *s, const struct segment *g)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(g->first_sequence, g->salt, name);
    return spool_path(s, name);
}

static char *spare_path(const struct spool *s, unsigned index)
{
    return xasprintf("%s/spare-%u", s->dir, index);
}

struct segment *segments_push(struct spool *s)
{
    if (s->segment_count == s->segment_capacity) {
        s->segment_capacity = s->segment_capacity ? s->segment_capacity * 2 : 16;
        s->segments = xrealloc(s->segments, s->segment_capacity * sizeof *s->segments);
    }
    struct segment *g = &s->segments[s->segment_count++];
    memset(g, 0, sizeof *g);
    return g;
}

static void drop_first(struct spool *s)
{
    pthread_mutex_lock(&s->mutex);
    s->segment_count--;
    memmove(s->segments, s->segments + 1, s->segment_count * sizeof *s->segments);
    pthread_mutex_unlock(&s->mutex);
}

uint64_t segments_bytes(struct spool *s)
{
    pthread_mutex_lock(&s->mutex);
    uint64_t bytes = s->quarantine_bytes + s->spares * s->segment_bytes;
    for (size_t i = 0; i < s->segment_count; i++)
        bytes += s->segments[i].size_bytes;
    pthread_mutex_unlock(&s->mutex);
    return bytes;
}

/* Nobody needs the oldest segment any more. */
static bool first_is_dead(struct spool *s)
{
    pthread_mutex_lock(&s->mutex);
    bool dead = s->segment_count > 0 && s->segments[0].sealed &&
                s->segments[0].last_sequence <= s->committed &&
                s->segments[0].last_sequence <= positions_lowest(s) &&
                positions_lowest(s) != UINT64_MAX;
    if (s->segment_count > 0 && s->segments[0].sealed &&
        s->segments[0].last_sequence < s->segments[0].first_sequence)
        dead = true;
    pthread_mutex_unlock(&s->mutex);
    return dead;
}

/*
 * Closes the oldest segment for everyone who has it open and is not reading: a file
 * that is open keeps its room on the disk. False when somebody is reading it.
 */
static bool first_is_let_go(struct spool *s)
{
    bool idle = true;
    pthread_mutex_lock(&s->mutex);
    for (struct spool_cursor *c = s->cursors; c; c = c->next) {
        if (!c->open || c->holds != s->segments[0].first_sequence)
            continue;
        if (c->reading) {
            idle = false;
            continue;
        }
        s->fs->close(s->fs->disk, c->file);
        c->file = NULL;
        c->holds = 0;
    }
    pthread_mutex_unlock(&s->mutex);
    return idle;
}

/* A file that is being read is never overwritten, only unlinked. */
static bool first_can_be_reused(struct spool *s)
{
    return s->segments[0].size_bytes == s->segment_bytes && first_is_let_go(s);
}

static bool remove_first(struct spool *s, struct error *err)
{
    char *path = segment_path(s, &s->segments[0]);
    (void)first_is_let_go(s);
    bool ok = s->fs->remove(s->fs->disk, path, err) || err->kind == FAIL_NOT_FOUND;
    free(path);
    if (ok)
        drop_first(s);
    return ok;
}

static bool keep_first_as_spare(struct spool *s, struct error *err)
{
    char *path = segment_path(s, &s->segments[0]), *spare = spare_path(s, s->spares);
    bool ok = s->fs->rename(s->fs->disk, path, spare, err);
    free(path);
    free(spare);
    if (ok) {
        drop_first(s);
        s->spares++;
    }
    return ok;
}

static bool drop_spare(struct spool *s)
{
    if (s->spares == 0)
        return false;
    struct error ignored;
    char *path = spare_path(s, s->spares - 1);
    (void)!s->fs->remove(s->fs->disk, path, &ignored);
    free(path);
    s->spares--;
    return true;
}

bool segments_retire(struct spool *s, struct error *err)
{
    bool changed = false, ok = true;
    while (ok && first_is_dead(s)) {
        ledger_forget_damage(&s->ledger, s->segments[0].last_sequence);
        ok = s->spares < SPOOL_SPARES && first_can_be_reused(s) ? keep_first_as_spare(s, err)
                                                                : remove_first(s, err);
        changed = true;
    }
    if (ok && changed)
        ok = s->fs->sync_dir(s->fs->disk, s->dir, err);
    return ok;
}

/* --- eviction ------------------------------------------------------------------------------- */

struct loss {
    uint64_t items[OTLP_SIGNAL_COUNT];
    uint64_t from_ns[OTLP_SIGNAL_COUNT], to_ns[OTLP_SIGNAL_COUNT];
};

static void loss_add(struct loss *l, unsigned signal, uint64_t items, uint64_t at_ns)
{
    if (items == 0)
        return;
    if (l->items[signal] == 0 || at_ns < l->from_ns[signal])
        l->from_ns[signal] = at_ns;
    if (at_ns > l->to_ns[signal])
        l->to_ns[signal] = at_ns;
    l->items[signal] += items;
}

static void loss_enter(struct ledger *ledger, enum spool_loss reason, const char *destination,
                       const struct loss *l)
{
    for (unsigned i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        struct spool_ledger_entry e = {.reason = reason,
                                       .signal = (enum otlp_signal)i,
                                       .records = l->items[i],
                                       .from_ns = l->from_ns[i],
                                       .to_ns = l->to_ns[i]};
        snprintf(e.destination, sizeof e.destination, "%s", destination);
        ledger_add(ledger, &e);
    }
}

/* What leaves with one record or one damaged range, for every destination that lacks it. */
static void count_loss(struct spool *s, struct loss *losses, uint64_t sequence, unsigned signal,
                       uint64_t items, uint64_t at_ns)
{
    size_t i = 0;
    for (const struct spool_cursor *c = s->cursors; c; c = c->next, i++)
        if (c->done < sequence && c->signals & 1U << signal)
            loss_add(&losses[i], signal, items, at_ns);
    if (i == 0)
        loss_add(&losses[0], signal, items, at_ns);
}

/* Counts what stands before the first record not older than `older_than_ns`. */
static uint64_t count_evicted(struct spool *s, const struct segment *g, uint64_t older_than_ns,
                              struct loss *losses)
{
    struct error err;
    struct segment_walk w = {.fs = s->fs,
                             .salt = g->salt,
                             .limit = g->end,
                             .last_sequence = g->last_sequence,
                             .items_known = g->items_known};
    memcpy(w.items_total, g->items, sizeof w.items_total);
    char *path = segment_path(s, g);
    w.file = s->fs->open(s->fs->disk, path, FS_READ, 0, &err);
    free(path);
    segment_walk_begin(&w, g->first_sequence);
    if (!w.file)
        return g->last_sequence;

    uint64_t up_to = s->ledger.floor, at_ns = g->created_ns;
    for (;;) {
        struct segment_step step;
        segment_walk_next(&w, SEGMENT_HEADERS_ONLY, NULL, &step, &err);
        if (step.kind == SEGMENT_STEP_FAILED) { /* unreadable: it all goes, but not uncounted */
            if (w.failures < 3)
                continue;
            up_to = g->last_sequence;
            break;
        }
        if (step.kind == SEGMENT_STEP_END) {
            up_to = g->last_sequence;
            break;
        }
        bool record = step.kind == SEGMENT_STEP_RECORD;
        uint64_t last = record ? step.record.sequence : step.to_sequence;
        if (record)
            at_ns = step.record.received_ns;
        if (record && at_ns >= older_than_ns)
            break;
        pthread_mutex_lock(&s->mutex);
        if (last > s->ledger.floor && record)
            count_loss(s, losses, last, step.record.signal, step.record.item_count, at_ns);
        else if (last > s->ledger.floor && ledger_add_damage(&s->ledger, step.from_sequence, last))
            for (unsigned i = 0; i < OTLP_SIGNAL_COUNT; i++)
                count_loss(s, losses, last, i, step.items[i], at_ns);
        pthread_mutex_unlock(&s->mutex);
        up_to = last;
    }
    s->fs->close(s->fs->disk, w.file);
    segment_walk_clear(&w);
    return up_to;
}

/* Moves everyone who stands at or before `up_to` behind it. */
static void move_floor(struct spool *s, uint64_t up_to)
{
    pthread_mutex_lock(&s->mutex);
    s->ledger.floor = up_to;
    for (struct spool_cursor *c = s->cursors; c; c = c->next) {
        if (c->done < up_to) {
            c->done = up_to;
            c->dirty = true;
        }
        if (c->read < up_to) {
            c->read = up_to;
            c->rewound = true;
        }
    }
    pthread_mutex_unlock(&s->mutex);
}

/*
 * Evicts the oldest segment, or the part of it older than `older_than_ns`.
 * False when there is nothing to evict; the segment being written never is.
 */
bool segments_evict(struct spool *s, enum spool_loss reason, uint64_t older_than_ns,
                    struct error *err)
{
    pthread_mutex_lock(&s->mutex);
    bool any = s->segment_count > 0 && s->segments[0].last_sequence <= s->committed &&
               (s->segments[0].sealed || reason == SPOOL_LOSS_EVICTED_AGE);
    struct segment g = any ? s->segments[0] : (struct segment){0};
    size_t cursors = 1;
    for (const struct spool_cursor *c = s->cursors; c; c = c->next)
        cursors++;
    pthread_mutex_unlock(&s->mutex);
    if (!any)
        return false;

    struct loss *losses = xcalloc(cursors, sizeof *losses);
    uint64_t up_to = count_evicted(s, &g, older_than_ns, losses);
    bool moved = up_to > s->ledger.floor;
    size_t i = 0;
    for (const struct spool_cursor *c = s->cursors; c; c = c->next, i++)
        loss_enter(&s->ledger, reason, c->name, &losses[i]);
    if (i == 0)
        loss_enter(&s->ledger, reason, "", &losses[0]);
    free(losses);
    if (moved) {
        move_floor(s, up_to);
        s->ledger.dirty = true;
        /* On a full disk this may fail; the entry is kept and written with the positions. */
        struct error later;
        char *path = spool_path(s, "ledger");
        (void)!ledger_save(&s->ledger, s->fs, path, &later);
        free(path);
    }
    if (!g.sealed || up_to < g.last_sequence)
        return false; /* part of it stays, and everything behind it is younger */
    return remove_first(s, err);
}

void segments_report_damage(struct spool *s, struct fs_file *file,
                            const struct segment_step *damage, uint64_t near_ns)
{
    struct error ignored;
    pthread_mutex_lock(&s->mutex);
    bool wanted = damage->to_sequence > positions_lowest(s) || !s->cursors;
    wanted = wanted && damage->to_sequence > s->ledger.floor;
    pthread_mutex_unlock(&s->mutex);
    if (!wanted || !ledger_add_damage(&s->ledger, damage->from_sequence, damage->to_sequence))
        return;
    struct loss loss = {0};
    for (unsigned i = 0; i < OTLP_SIGNAL_COUNT; i++)
        loss_add(&loss, i, damage->items[i], near_ns);
    loss_enter(&s->ledger, SPOOL_LOSS_CORRUPT, "", &loss);
    (void)!quarantine_keep_bytes(s, file, damage, &ignored);
    char *path = spool_path(s, "ledger");
    (void)!ledger_save(&s->ledger, s->fs, path, &ignored);
    free(path);
}

/* --- making --------------------------------------------------------------------------------- */

static bool fill_with_zeros(struct spool *s, struct fs_file *file, uint64_t size, struct error *err)
{
    uint8_t *zeros = xcalloc(1, ZERO_STEP_BYTES);
    bool ok = true;
    for (uint64_t at = 0; ok && at < size; at += ZERO_STEP_BYTES) {
        size_t step = size - at < ZERO_STEP_BYTES ? (size_t)(size - at) : ZERO_STEP_BYTES;
        ok = s->fs->write_at(s->fs->disk, file, at, bytes_make(zeros, step), err);
    }
    free(zeros);
    return ok;
}

/*
 * A new file of written zeros: neither its size nor its extents change later,
 * so a commit's fdatasync needs no journal commit.
 */
static bool write_zeros(struct spool *s, const char *part, uint64_t size, struct error *err)
{
    struct fs_file *file = s->fs->open(s->fs->disk, part, FS_WRITE | FS_CREATE, 0600, err);
    bool ok = file && s->fs->truncate(s->fs->disk, file, 0, err) &&
              s->fs->allocate(s->fs->disk, file, size, err) &&
              fill_with_zeros(s, file, size, err) && s->fs->sync(s->fs->disk, file, err);
    s->fs->close(s->fs->disk, file);
    struct error ignored;
    if (!ok)
        (void)!s->fs->remove(s->fs->disk, part, &ignored);
    return ok;
}

static bool make_fresh(struct spool *s, const char *path, uint64_t size, struct error *err)
{
    struct error ignored;
    char *part = spool_path(s, "fresh.part");
    bool made = write_zeros(s, part, size, err);
    bool ok = made && s->fs->rename(s->fs->disk, part, path, err);
    if (made && !ok)
        (void)!s->fs->remove(s->fs->disk, part, &ignored);
    free(part);
    return ok;
}

static bool leaves_free(struct spool *s, uint64_t bytes)
{
    uint64_t free_bytes;
    struct error unknown;
    return s->min_free_bytes == 0 ||
           !s->fs->free_bytes(s->fs->disk, s->dir, &free_bytes, &unknown) ||
           free_bytes >= s->min_free_bytes + bytes;
}

/* Under `files`. A spare is worth neither a record nor somebody else's room. */
static bool wants_spare(struct spool *s)
{
    if (s->spares > 0 || first_is_dead(s) || segments_bytes(s) + s->segment_bytes > s->max_bytes ||
        !leaves_free(s, s->segment_bytes))
        return false;
    pthread_mutex_lock(&s->mutex);
    const struct segment *g = s->segment_count > 0 ? &s->segments[s->segment_count - 1] : NULL;
    bool wants = g && !g->sealed && g->end > g->size_bytes / 2;
    pthread_mutex_unlock(&s->mutex);
    return wants;
}

/* The zeros are written without the lock: an append that needs a file at once makes its own. */
bool spool_prepare(struct spool *s, struct error *err)
{
    pthread_mutex_lock(&s->files);
    bool wanted = wants_spare(s);
    pthread_mutex_unlock(&s->files);
    if (!wanted)
        return true;
    char *part = spool_path(s, "spare.part"), *spare = spare_path(s, 0);
    bool ok = write_zeros(s, part, s->segment_bytes, err);
    if (ok) {
        struct error ignored;
        pthread_mutex_lock(&s->files);
        bool still = s->spares == 0;
        if (still && (ok = s->fs->rename(s->fs->disk, part, spare, err)))
            s->spares = 1;
        if (!still || !ok)
            (void)!s->fs->remove(s->fs->disk, part, &ignored);
        pthread_mutex_unlock(&s->files);
    }
    free(part);
    free(spare);
    return ok || error_wrap(err, "cannot prepare a segment");
}

static bool reuse(struct spool *s, const char *path, struct error *err)
{
    if (s->spares > 0) {
        char *spare = spare_path(s, s->spares - 1);
        bool ok = s->fs->rename(s->fs->disk, spare, path, err);
        free(spare);
        s->spares--; /* one that cannot be renamed is not counted on again */
        return ok;
    }
    char *old = segment_path(s, &s->segments[0]);
    bool ok = s->fs->rename(s->fs->disk, old, path, err);
    free(old);
    if (ok)
        drop_first(s);
    return ok;
}

/* `given_back`: so much less is used than a moment ago. */
static bool make_file(struct spool *s, const char *path, uint64_t size, uint64_t given_back,
                      struct error *err)
{
    bool fits = size == s->segment_bytes;
    if (fits && (s->spares > 0 || (first_is_dead(s) && first_can_be_reused(s))))
        return reuse(s, path, err);
    /* What it takes to hand on what comes is too little to matter to others. */
    bool is_little = segments_bytes(s) + size <= s->segment_bytes * SPOOL_WORKING_SEGMENTS;
    if (!is_little && given_back < size && !leaves_free(s, size)) {
        error_set(err, FAIL_NO_SPACE, "the disk of '%s' has less than %" PRIu64 " MiB left", s->dir,
                  (s->min_free_bytes + size) / MIB + 1);
        return error_remedy(err, "free disk space, or lower relay.spool.min_free_disk_mib");
    }
    return make_fresh(s, path, size, err);
}

bool segments_give_back(struct spool *s)
{
    struct error ignored;
    if (first_is_dead(s))
        return remove_first(s, &ignored);
    return drop_spare(s);
}

/* Gives up something, what is worth least first. False when nothing is left to give. */
bool segments_give_up(struct spool *s, enum spool_loss reason)
{
    struct error ignored;
    return segments_give_back(s) || quarantine_evict(s) ||
           segments_evict(s, reason, UINT64_MAX, &ignored);
}

/* Room under max_bytes for a file of `size`; a file that can be reused adds nothing. */
static bool make_room(struct spool *s, uint64_t size, struct error *err)
{
    while (size <= s->max_bytes) {
        bool reusable = size == s->segment_bytes &&
                        (s->spares > 0 || (first_is_dead(s) && first_can_be_reused(s)));
        uint64_t bytes = segments_bytes(s);
        if (bytes + (reusable ? 0 : size) <= s->max_bytes)
            return true;
        if (reusable && bytes <= s->max_bytes)
            return true;
        if (!segments_give_up(s, SPOOL_LOSS_EVICTED_SIZE))
            break;
    }
    error_set(err, FAIL_NO_SPACE, "the spool '%s' is full", s->dir);
    return error_remedy(err, "raise relay.spool.max_mib above %" PRIu64,
                        (segments_bytes(s) + size) / MIB + 1);
}

/* Whether the disk has refused for so long that the newest records are worth more than the oldest. */
static bool is_full_for_long(struct spool *s)
{
    uint64_t now_ns = clock_monotonic_ns(s->clock);
    if (s->refusing_since_ns == 0 || now_ns - s->refused_ns >= SPOOL_PATIENCE_NS)
        s->refusing_since_ns = now_ns; /* nobody asked for a long time: another accident */
    s->refused_ns = now_ns;
    s->replaces = s->replaces || now_ns - s->refusing_since_ns >= SPOOL_PATIENCE_NS;
    return s->replaces;
}

/*
 * A file for the next segment. On a full disk what is worth nothing goes first.
 * Then this request is refused, for what was acknowledged is worth more than what is
 * not; unless the disk stays full: then the oldest makes room, as under the size limit.
 */
static bool find_file(struct spool *s, const char *path, uint64_t size, struct error *err)
{
    bool ok = make_file(s, path, size, 0, err);
    while (!ok && err->kind == FAIL_NO_SPACE && segments_give_back(s))
        ok = make_file(s, path, size, 0, err);
    if (ok) {
        s->refusing_since_ns = 0;
        s->replaces = false;
    }
    if (!ok && err->kind == FAIL_NO_SPACE && is_full_for_long(s)) {
        uint64_t before = segments_bytes(s), given = 0;
        /* Somebody else may take the room at once: not everything is lost to him. */
        while (!ok && given < size * 2 && err->kind == FAIL_NO_SPACE &&
               segments_give_up(s, SPOOL_LOSS_EVICTED_DISK)) {
            given = before - segments_bytes(s);
            ok = make_file(s, path, size, given, err);
        }
    }
    if (!ok && err->kind == FAIL_NO_SPACE)
        error_remedy(err, "free disk space on the volume of '%s'", s->dir);
    return ok;
}

static void begin_segment(struct spool *s, struct segment *g, const char *stream)
{
    struct segment_header h = {.first_sequence = g->first_sequence,
                               .salt = g->salt,
                               .created_ns = g->created_ns,
                               .records_before = g->records_before};
    pthread_mutex_lock(&s->mutex);
    if (s->segment_count > 1) {
        const struct segment *before = g - 1;
        h.previous_first = before->first_sequence;
        h.previous_last = before->last_sequence;
        h.previous_end = before->end;
    } else {
        h.previous_last = s->committed;
    }
    pthread_mutex_unlock(&s->mutex);
    memcpy(h.items_before, g->items_before, sizeof h.items_before);
    memcpy(h.stream, stream, SEGMENT_STREAM_BYTES);
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    segment_header_encode(&h, bytes);
    s->out_offset = s->group_offset = 0; /* goes out with the first records */
    (void)!buffer_append(&s->out, bytes_make(bytes, sizeof bytes));
}

bool segments_roll(struct spool *s, uint64_t record_bytes, struct error *err)
{
    uint64_t size = s->segment_bytes;
    if (SEGMENT_HEADER_BYTES + record_bytes > size)
        size = (SEGMENT_HEADER_BYTES + record_bytes + ROUND_BYTES - 1) / ROUND_BYTES * ROUND_BYTES;
    struct segment g = {.first_sequence = s->appended + 1,
                        .last_sequence = s->appended,
                        .end = SEGMENT_HEADER_BYTES,
                        .size_bytes = size,
                        .created_ns = clock_wall_ns(s->clock),
                        .records_before = s->written.records,
                        .items_known = true};
    memcpy(g.items_before, s->written.items, sizeof g.items_before);
    platform_random(&g.salt, sizeof g.salt);

    if (!make_room(s, size, err))
        return false;
    char *path = segment_path(s, &g);
    bool ok = find_file(s, path, size, err) && s->fs->sync_dir(s->fs->disk, s->dir, err);
    if (ok)
        s->active = s->fs->open(s->fs->disk, path, FS_WRITE, 0, err);
    if (!s->active) {
        struct error ignored;
        (void)!s->fs->remove(s->fs->disk, path, &ignored);
    }
    free(path);
    if (!s->active) {
        s->appended++; /* the name may come back after a crash: never use it again */
        return false;
    }

    pthread_mutex_lock(&s->mutex);
    struct segment *slot = segments_push(s);
    *slot = g;
    s->shape = g;
    pthread_mutex_unlock(&s->mutex);
    begin_segment(s, slot, s->stream);
    return true;
}

/* Cuts a file to what is committed of it, as far as the disk lets us. */
static void cut(struct spool *s, struct segment *g)
{
    struct error ignored;
    char *path = segment_path(s, g);
    struct fs_file *file = s->fs->open(s->fs->disk, path, FS_WRITE, 0, &ignored);
    if (file && s->fs->truncate(s->fs->disk, file, g->end, &ignored)) {
        g->size_bytes = g->end;
        (void)!s->fs->sync(s->fs->disk, file, &ignored);
    }
    s->fs->close(s->fs->disk, file);
    free(path);
}

/*
 * Committed records keep their segments. The next segment's header voids the
 * rest for good (previous_last); until then cutting the files does.
 */
void segments_abandon(struct spool *s)
{
    struct error ignored;
    s->written = s->totals;
    s->newest = s->committed;
    while (s->segment_count > 0) {
        struct segment *g = &s->segments[s->segment_count - 1];
        if (g->first_sequence > s->committed) {
            char *path = segment_path(s, g);
            (void)!s->fs->remove(s->fs->disk, path, &ignored);
            free(path);
            pthread_mutex_lock(&s->mutex);
            s->segment_count--;
            pthread_mutex_unlock(&s->mutex);
            continue;
        }
        pthread_mutex_lock(&s->mutex);
        g->sealed = true;
        if (g->last_sequence > s->committed) { /* was sealed in the group that failed */
            g->last_sequence = s->committed;
            g->end = s->committed_end;
            for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
                g->items[i] = s->totals.items[i] - g->items_before[i];
        }
        pthread_mutex_unlock(&s->mutex);
        cut(s, g);
        break;
    }
}
