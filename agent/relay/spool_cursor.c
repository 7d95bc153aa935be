/* Reading: one cursor per destination, each with its own file handle and read-ahead. */
#include <inttypes.h>
#include <stdlib.h>

#include "agent/relay/spool_private.h"
#include "base/memory.h"

#define SAVE_INTERVAL_NS NS_PER_S

static char *segment_path(const struct spool *s, const struct segment *g)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(g->first_sequence, g->salt, name);
    return spool_path(s, name);
}

static void let_go(struct spool_cursor *c)
{
    pthread_mutex_lock(&c->spool->mutex);
    c->spool->fs->close(c->spool->fs->disk, c->file);
    c->file = NULL;
    c->mark_sequence = 0;
    c->holds = 0;
    pthread_mutex_unlock(&c->spool->mutex);
}

void spool_cursor_close(struct spool_cursor *c)
{
    if (!c)
        return;
    let_go(c);
    segment_walk_clear(&c->walk);
    pthread_mutex_lock(&c->spool->mutex);
    c->open = false;
    pthread_mutex_unlock(&c->spool->mutex);
}

void spool_cursor_signals(struct spool_cursor *c, unsigned signals)
{
    pthread_mutex_lock(&c->spool->mutex);
    c->signals = signals;
    pthread_mutex_unlock(&c->spool->mutex);
}

/* The segment that holds the first committed record behind `read`; NULL: nothing more. Under mutex.
 */
static const struct segment *segment_behind(const struct spool *s, uint64_t read)
{
    size_t low = 0, high = s->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->segments[middle].last_sequence <= read)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->segment_count || s->segments[low].first_sequence > s->committed ||
        read >= s->committed)
        return NULL;
    return &s->segments[low];
}

/*
 * Points the walk at what may be read now. False with FAIL_NONE when there is
 * nothing. The file is pinned by `holds` and `reading` before the lock is left.
 */
static bool aim(struct spool_cursor *c, struct segment *out, struct error *err)
{
    struct spool *s = c->spool;
    pthread_mutex_lock(&s->mutex);
    const struct segment *g = segment_behind(s, c->read);
    if (!g) {
        pthread_mutex_unlock(&s->mutex);
        err->kind = FAIL_NONE;
        return false;
    }
    *out = *g;
    bool same = c->file && c->holds == g->first_sequence;
    bool again = c->rewound;
    uint64_t read = c->read;
    c->rewound = false;
    c->reading = true;
    if (!same) {
        s->fs->close(s->fs->disk, c->file);
        c->file = NULL;
    }
    c->holds = g->first_sequence;
    uint64_t last = g->last_sequence < s->committed ? g->last_sequence : s->committed;
    bool whole = g->sealed && last == g->last_sequence && g->items_known;
    pthread_mutex_unlock(&s->mutex);

    if (!same) {
        char *path = segment_path(s, out);
        c->file = s->fs->open(s->fs->disk, path, FS_READ, 0, err);
        free(path);
        c->mark_sequence = 0;
        if (!c->file)
            return false;
    }
    c->walk.fs = s->fs;
    c->walk.file = c->file;
    c->walk.salt = out->salt;
    c->walk.limit = out->end;
    c->walk.last_sequence = last;
    c->walk.items_known = whole;
    memcpy(c->walk.items_total, out->items, sizeof c->walk.items_total);
    if (same && again && c->mark_sequence > 0 && c->mark_sequence <= read) {
        c->walk.offset = c->mark.offset;
        c->walk.next_sequence = c->mark.next_sequence;
        memcpy(c->walk.items, c->mark.items, sizeof c->walk.items);
    } else if (!same || again) {
        segment_walk_begin(&c->walk, out->first_sequence);
    }
    return true;
}

static bool still_there(struct spool *s, uint64_t first_sequence)
{
    pthread_mutex_lock(&s->mutex);
    bool there = false;
    for (size_t i = 0; i < s->segment_count && !there; i++)
        there = s->segments[i].first_sequence == first_sequence;
    pthread_mutex_unlock(&s->mutex);
    return there;
}

/* Moves the read place to `sequence`; false when it was moved meanwhile and this step is stale. */
static bool advance(struct spool_cursor *c, uint64_t sequence)
{
    struct spool *s = c->spool;
    pthread_mutex_lock(&s->mutex);
    bool wanted = sequence > c->read && !c->rewound;
    if (wanted)
        c->read = sequence;
    pthread_mutex_unlock(&s->mutex);
    return wanted;
}

static void hand_out(const struct segment_record *r, const struct buffer *hold,
                     struct spool_record *out)
{
    *out = (struct spool_record){
        .sequence = r->sequence,
        .received_ns = r->received_ns,
        .signal = (enum otlp_signal)r->signal,
        .item_count = r->item_count,
        .user = bytes_make(hold->data, r->user_len),
        .payload = bytes_make(hold->data + r->user_len, r->payload_len),
    };
}

static bool read_next(struct spool_cursor *c, struct buffer *hold, struct spool_record *out,
                      struct error *err)
{
    struct spool *s = c->spool;
    for (;;) {
        struct segment g;
        err->kind = FAIL_NONE;
        if (!aim(c, &g, err)) {
            if (err->kind == FAIL_NONE)
                return false;
            let_go(c);
            if (!still_there(s, g.first_sequence))
                continue; /* evicted between looking and opening */
            return error_wrap(err, "cannot read the spool");
        }
        /* Records before the read place are passed by their headers only. */
        bool wanted = c->walk.next_sequence > c->read;
        struct segment_step step;
        segment_walk_next(&c->walk, wanted ? SEGMENT_BODIES : SEGMENT_HEADERS_ONLY,
                          wanted ? hold : NULL, &step, err);
        switch (step.kind) {
        case SEGMENT_STEP_FAILED:
            return error_wrap(err, "cannot read the spool");
        case SEGMENT_STEP_DAMAGE:
            pthread_mutex_lock(&s->files);
            if (still_there(s, g.first_sequence))
                segments_report_damage(s, c->file, &step, g.created_ns);
            pthread_mutex_unlock(&s->files);
            (void)advance(c, step.to_sequence);
            break;
        case SEGMENT_STEP_RECORD:
            if (!wanted || !advance(c, step.record.sequence))
                break;
            hand_out(&step.record, hold, out);
            return true;
        case SEGMENT_STEP_END: /* the walk is ahead of the read place: go back to it */
            pthread_mutex_lock(&s->mutex);
            c->rewound = true;
            c->mark_sequence = 0;
            pthread_mutex_unlock(&s->mutex);
            break;
        }
    }
}

bool spool_cursor_read(struct spool_cursor *c, struct buffer *hold, struct spool_record *out,
                       struct error *err)
{
    bool ok = read_next(c, hold, out, err);
    pthread_mutex_lock(&c->spool->mutex);
    c->reading = false;
    pthread_mutex_unlock(&c->spool->mutex);
    return ok;
}

void spool_cursor_seek(struct spool_cursor *c, uint64_t sequence)
{
    struct spool *s = c->spool;
    pthread_mutex_lock(&s->mutex);
    if (sequence < c->done)
        sequence = c->done;
    if (sequence < c->read) {
        c->read = sequence;
        c->rewound = true;
    }
    pthread_mutex_unlock(&s->mutex);
}

bool spool_cursor_done(struct spool_cursor *c, uint64_t sequence, struct error *err)
{
    struct spool *s = c->spool;
    pthread_mutex_lock(&s->mutex);
    if (sequence > s->committed)
        sequence = s->committed;
    if (sequence > c->done) {
        c->done = sequence;
        c->dirty = true;
        if (sequence > c->read) {
            c->read = sequence;
            c->rewound = true;
        }
        /* A later seek goes no further back than this: remember the place. */
        if (sequence == c->read && c->file && !c->rewound) {
            c->mark = c->walk;
            c->mark_sequence = sequence;
        }
    }
    bool due = clock_monotonic_ns(s->clock) - s->saved_ns >= SAVE_INTERVAL_NS;
    pthread_mutex_unlock(&s->mutex);
    return due ? spool_save_positions(s, err) : positions_place(c, err);
}

uint64_t spool_cursor_position(const struct spool_cursor *c)
{
    pthread_mutex_lock(&c->spool->mutex);
    uint64_t done = c->done;
    pthread_mutex_unlock(&c->spool->mutex);
    return done;
}

/* Committed records behind `done`. Under mutex. */
static uint64_t records_behind(const struct spool *s, uint64_t done)
{
    uint64_t records = 0;
    for (size_t i = s->segment_count; i-- > 0;) {
        const struct segment *g = &s->segments[i];
        uint64_t last = g->last_sequence < s->committed ? g->last_sequence : s->committed;
        uint64_t from = done + 1 > g->first_sequence ? done + 1 : g->first_sequence;
        if (last <= done)
            break;
        if (last >= from)
            records += last - from + 1;
    }
    return records;
}

uint64_t spool_cursor_backlog(const struct spool_cursor *c)
{
    pthread_mutex_lock(&c->spool->mutex);
    uint64_t records = records_behind(c->spool, c->done);
    pthread_mutex_unlock(&c->spool->mutex);
    return records;
}

/* Bytes of the records behind `done`; part of a segment is taken by its share of records. */
static uint64_t bytes_behind(const struct spool *s, uint64_t done)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->segment_count; i++) {
        const struct segment *g = &s->segments[i];
        uint64_t last = g->last_sequence < s->committed ? g->last_sequence : s->committed;
        if (last <= done || last < g->first_sequence)
            continue;
        uint64_t all = last - g->first_sequence + 1;
        uint64_t left = done >= g->first_sequence ? last - done : all;
        bytes += (uint64_t)((double)g->end * (double)left / (double)all);
    }
    return bytes;
}

/* Reads the header of the first record behind `done`. Under files. */
static bool read_front(struct spool *s, uint64_t done, struct spool_front *out)
{
    pthread_mutex_lock(&s->mutex);
    const struct segment *at = segment_behind(s, done);
    struct segment g = at ? *at : (struct segment){0};
    pthread_mutex_unlock(&s->mutex);
    *out = (struct spool_front){.behind = done};
    if (!at)
        return false;
    struct error ignored;
    char *path = segment_path(s, &g);
    struct segment_walk w = {.fs = s->fs,
                             .file = s->fs->open(s->fs->disk, path, FS_READ, 0, &ignored),
                             .salt = g.salt,
                             .limit = g.end,
                             .last_sequence = g.last_sequence};
    free(path);
    segment_walk_begin(&w, g.first_sequence);
    for (struct segment_step step = {0}; w.file && !out->known;) {
        segment_walk_next(&w, SEGMENT_HEADERS_ONLY, NULL, &step, &ignored);
        if (step.kind == SEGMENT_STEP_END || step.kind == SEGMENT_STEP_FAILED)
            break;
        if (step.kind != SEGMENT_STEP_RECORD || step.record.sequence <= done)
            continue;
        out->received_ns = step.record.received_ns;
        for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
            out->items[i] = g.items_before[i] + step.record.items_before[i];
        out->known = true;
    }
    s->fs->close(s->fs->disk, w.file);
    segment_walk_clear(&w);
    return out->known;
}

/* As above, unless `cached` is that already. Under files. */
static bool front_behind(struct spool *s, uint64_t done, struct spool_front *cached)
{
    return (cached->known && cached->behind == done) || read_front(s, done, cached);
}

/* What came since the front, of these signals; at least one item a record. */
static uint64_t items_since(const struct spool_front *front, bool known,
                            const struct totals *totals, unsigned signals, uint64_t records)
{
    uint64_t items = 0;
    if (!known)
        return records;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        if (signals & 1U << i && totals->items[i] > front->items[i])
            items += totals->items[i] - front->items[i];
    return items;
}

uint64_t spool_cursor_backlog_items(struct spool_cursor *c)
{
    struct spool *s = c->spool;
    uint64_t items = 0;
    pthread_mutex_lock(&s->files);
    pthread_mutex_lock(&s->mutex);
    uint64_t done = c->done, records = records_behind(s, done);
    unsigned signals = c->signals;
    struct totals totals = s->totals;
    pthread_mutex_unlock(&s->mutex);
    if (records > 0) {
        bool known = front_behind(s, done, &c->front);
        items = items_since(&c->front, known, &totals, signals, records);
    }
    pthread_mutex_unlock(&s->files);
    return items;
}

void spool_state(struct spool *s, struct spool_state *out)
{
    struct error unknown;
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&s->files);
    pthread_mutex_lock(&s->mutex);
    uint64_t done = positions_lowest(s);
    if (done == UINT64_MAX)
        done = s->ledger.floor;
    out->requests = records_behind(s, done);
    out->bytes = bytes_behind(s, done);
    out->quarantine_files = s->quarantine_files;
    out->quarantine_bytes = s->quarantine_bytes;
    out->commits_total = s->commits;
    out->appended_total = s->appends;
    memcpy(out->received_total, s->totals.items, sizeof out->received_total);
    struct totals totals = s->totals;
    pthread_mutex_unlock(&s->mutex);

    out->evicted_total =
        ledger_items(&s->ledger, 1U << SPOOL_LOSS_EVICTED_SIZE | 1U << SPOOL_LOSS_EVICTED_AGE |
                                     1U << SPOOL_LOSS_EVICTED_DISK);
    out->quarantined_total =
        ledger_items(&s->ledger, 1U << SPOOL_LOSS_QUARANTINED | 1U << SPOOL_LOSS_CORRUPT);
    for (unsigned i = 0; i < SPOOL_LOSS_COUNT; i++)
        out->lost_total[i] = ledger_items(&s->ledger, 1U << i);
    if (out->requests > 0) {
        bool known = front_behind(s, done, &s->front);
        out->oldest_ns = known ? s->front.received_ns : 0;
        out->items = items_since(&s->front, known, &totals, ~0U, out->requests);
    }
    pthread_mutex_unlock(&s->files);
    if (!s->fs->free_bytes(s->fs->disk, s->dir, &out->disk_free_bytes, &unknown))
        out->disk_free_bytes = 0;
}
