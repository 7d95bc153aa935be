/* Opening, appending and committing; what the spool says of itself. */
#include "agent/relay/spool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/spool_private.h"
#include "base/memory.h"

enum {
    SEGMENT_BYTES_DEFAULT = 4 * 1024 * 1024,
    SEGMENT_BYTES_MIN = 4096,
    SHARE_OF_VOLUME = 10,
    PAGE_BYTES = 4096,
    GROUP_SHARE = 4, /* a gap is at most this part of the group before it */
};

/* Sequences reserved at a time: one small durable write per million records. */
#define RESERVE ((uint64_t)1 << 20)

char *spool_path(const struct spool *s, const char *name)
{
    return xasprintf("%s/%s", s->dir, name);
}

uint64_t spool_age_now_ns(const struct spool *s)
{
    uint64_t wall = clock_wall_ns(s->clock);
    uint64_t steady = s->opened_wall_ns + (clock_monotonic_ns(s->clock) - s->opened_monotonic_ns);
    return wall < steady ? wall : steady;
}

static bool make_dirs(struct spool *s, struct error *err)
{
    if (fs_make_dirs(s->fs, s->dir, 0700, err) &&
        s->fs->make_dir(s->fs->disk, s->positions_dir, 0700, err) &&
        s->fs->make_dir(s->fs->disk, s->quarantine_dir, 0700, err))
        return true;
    return error_remedy(err, "let the agent's user write '%s', or set relay.spool.path", s->dir);
}

static bool take_lock(struct spool *s, struct error *err)
{
    char *path = spool_path(s, "lock");
    s->lock = s->fs->open(s->fs->disk, path, FS_WRITE | FS_CREATE, 0600, err);
    free(path);
    if (!s->lock)
        return error_remedy(err, "let the agent's user write '%s', or set relay.spool.path",
                            s->dir);
    if (s->fs->lock(s->fs->disk, s->lock, err))
        return true;
    if (err->kind == FAIL_BUSY)
        error_remedy(err, "stop the other agent that uses '%s', or set another relay.spool.path",
                     s->dir);
    return false;
}

static void set_options(struct spool *s, const struct spool_options *o)
{
    s->dir = xstrdup(o->dir);
    s->positions_dir = spool_path(s, "positions");
    s->quarantine_dir = spool_path(s, "quarantine");
    s->max_bytes = o->max_bytes ? o->max_bytes : UINT64_MAX;
    s->max_age_ns = o->max_age_ns;
    s->min_free_bytes = o->min_free_disk_bytes;
    s->segment_bytes = o->segment_bytes ? o->segment_bytes : SEGMENT_BYTES_DEFAULT;
    if (s->segment_bytes > s->max_bytes / 4) /* so that evicting one leaves most of the rest */
        s->segment_bytes = s->max_bytes / 4;
    if (s->segment_bytes < SEGMENT_BYTES_MIN)
        s->segment_bytes = SEGMENT_BYTES_MIN;
}

/*
 * On a small volume all of it would be below the limit. Asked once: who makes
 * the volume larger may start the agent again.
 */
static void limit_min_free(struct spool *s)
{
    struct error unknown;
    uint64_t total_bytes = 0;
    if (s->fs->total_bytes(s->fs->disk, s->dir, &total_bytes, &unknown) &&
        s->min_free_bytes > total_bytes / SHARE_OF_VOLUME)
        s->min_free_bytes = total_bytes / SHARE_OF_VOLUME;
}

struct spool *spool_create(const struct spool_options *options, const struct fs *fs,
                           const struct clock *clock, struct error *err)
{
    struct spool *s = xcalloc(1, sizeof *s);
    s->fs = fs;
    s->clock = clock;
    s->opened_wall_ns = clock_wall_ns(clock);
    s->opened_monotonic_ns = clock_monotonic_ns(clock);
    s->out.max_bytes =
        SPOOL_OUT_BYTES + SEGMENT_HEADER_BYTES + SEGMENT_RECORD_BYTES + SPOOL_USER_BYTES;
    pthread_mutex_init(&s->files, NULL);
    pthread_mutex_init(&s->mutex, NULL);
    set_options(s, options);

    char *ledger = spool_path(s, "ledger");
    bool ok = make_dirs(s, err);
    if (ok)
        limit_min_free(s);
    ok = ok && take_lock(s, err) && ledger_load(&s->ledger, fs, ledger, err) &&
         positions_load(s, err) && quarantine_measure(s, err) && recover(s, err);
    free(ledger);
    s->ready = ok;
    if (ok)
        return s;
    error_wrap(err, "cannot open the spool '%s'", s->dir);
    spool_destroy(s);
    return NULL;
}

void spool_destroy(struct spool *s)
{
    if (!s)
        return;
    struct error ignored;
    if (s->active)
        s->fs->close(s->fs->disk, s->active);
    if (s->written.records != s->totals.records)
        segments_abandon(s); /* never committed */
    /* A clean stop: everything up to here is proven, and numbering goes on without a gap. */
    if (s->ready)
        (void)!positions_save(s, &ignored);
    if (s->ready && (s->committed != s->marked || s->appended != s->reserved))
        (void)!stream_save(s, s->appended, &ignored);
    s->fs->close(s->fs->disk, s->lock);
    while (s->cursors) {
        struct spool_cursor *next = s->cursors->next;
        if (s->cursors->open)
            spool_cursor_close(s->cursors);
        positions_let_go(s->cursors);
        free(s->cursors);
        s->cursors = next;
    }
    ledger_clear(&s->ledger);
    buffer_clear(&s->out);
    pthread_mutex_destroy(&s->files);
    pthread_mutex_destroy(&s->mutex);
    free(s->segments);
    free(s->dir);
    free(s->positions_dir);
    free(s->quarantine_dir);
    free(s);
}

const char *spool_stream_id(const struct spool *s)
{
    return s->stream;
}

/* --- appending: one thread ------------------------------------------------------------------ */

static bool flush(struct spool *s, struct error *err)
{
    if (s->out.len == 0)
        return true;
    bool ok = s->fs->write_at(s->fs->disk, s->active, s->out_offset, buffer_bytes(&s->out), err);
    s->out_offset += s->out.len;
    buffer_reset(&s->out);
    return ok;
}

static uint64_t append_end(const struct spool *s)
{
    return s->out_offset + s->out.len;
}

/* The whole group is void: none of it will be acknowledged or read. */
static bool fail_group(struct spool *s, const struct error *err)
{
    s->group_failed = true;
    s->group_error = *err;
    buffer_reset(&s->out);
    if (s->active)
        s->fs->close(s->fs->disk, s->active);
    s->active = NULL;
    pthread_mutex_lock(&s->files);
    segments_abandon(s);
    pthread_mutex_unlock(&s->files);
    return false;
}

/* Makes the full segment durable before records go to the next one. */
static bool seal_active(struct spool *s, struct error *err)
{
    if (!s->active)
        return true;
    if (!flush(s, err) || !s->fs->sync(s->fs->disk, s->active, err))
        return fail_group(s, err);
    s->fs->close(s->fs->disk, s->active);
    s->active = NULL;

    pthread_mutex_lock(&s->mutex);
    struct segment *g = &s->segments[s->segment_count - 1];
    g->last_sequence = s->newest;
    if (s->out_offset > s->group_offset) /* else the place is behind a gap, and the end known */
        g->end = s->out_offset;
    g->newest_ns = s->appended_ns;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        g->items[i] = s->written.items[i] - g->items_before[i];
    g->sealed = true;
    pthread_mutex_unlock(&s->mutex);
    return true;
}

static bool reserve(struct spool *s, struct error *err)
{
    if (s->appended < s->reserved)
        return true;
    pthread_mutex_lock(&s->files);
    bool ok = stream_save(s, s->appended + RESERVE, err);
    if (ok)
        s->reserved = s->appended + RESERVE;
    pthread_mutex_unlock(&s->files);
    return ok;
}

/* Makes sure that the active segment takes `bytes` more. */
static bool make_place(struct spool *s, uint64_t bytes, struct error *err)
{
    if (s->active && append_end(s) + bytes <= s->shape.size_bytes)
        return true;
    if (!seal_active(s, err))
        return false;
    pthread_mutex_lock(&s->files);
    bool ok = segments_roll(s, bytes, err);
    pthread_mutex_unlock(&s->files);
    return ok;
}

static bool write_record(struct spool *s, const struct spool_record *record,
                         const uint8_t header[SEGMENT_RECORD_BYTES], struct error *err)
{
    size_t small = SEGMENT_RECORD_BYTES + record->user.len;
    if (s->out.len + small + record->payload.len > SPOOL_OUT_BYTES && !flush(s, err))
        return false;
    bool ok = buffer_append(&s->out, bytes_make(header, SEGMENT_RECORD_BYTES)) &&
              buffer_append(&s->out, record->user);
    if (ok && s->out.len + record->payload.len <= SPOOL_OUT_BYTES)
        return buffer_append(&s->out, record->payload);
    if (!ok || !flush(s, err)) /* large: straight from the caller's memory */
        return ok ? false : error_set(err, FAIL_TOO_LARGE, "record header without room");
    if (!s->fs->write_at(s->fs->disk, s->active, s->out_offset, record->payload, err))
        return false;
    s->out_offset += record->payload.len;
    return true;
}

bool spool_append(struct spool *s, struct spool_record *record, struct error *err)
{
    if (record->payload.len > SEGMENT_PAYLOAD_MAX || record->user.len > SPOOL_USER_BYTES ||
        (unsigned)record->signal >= OTLP_SIGNAL_COUNT)
        return error_set(err, FAIL_TOO_LARGE, "a record of %zu bytes does not fit the spool",
                         record->payload.len);
    if (s->group_failed) { /* until commit has said so to those who wait */
        *err = s->group_error;
        return error_wrap(err, "cannot spool %zu bytes", record->payload.len);
    }
    uint64_t size = SEGMENT_RECORD_BYTES + (uint64_t)record->user.len + record->payload.len;
    if (!reserve(s, err) || !make_place(s, size, err))
        return error_wrap(err, "cannot spool %zu bytes", record->payload.len);

    const struct segment *g = &s->shape;
    struct segment_record r = {
        .sequence = s->appended + 1,
        .received_ns = record->received_ns,
        .durable = s->committed,
        .payload_len = (uint32_t)record->payload.len,
        .item_count = record->item_count,
        .user_len = (uint16_t)record->user.len,
        .signal = (uint8_t)record->signal,
        .body_crc = segment_body_crc(g->salt, record->user, record->payload),
    };
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        r.items_before[i] = (uint32_t)(s->written.items[i] - g->items_before[i]);
    uint8_t header[SEGMENT_RECORD_BYTES];
    segment_record_encode(&r, g->salt, header);

    s->appended++; /* used up even if the write fails */
    if (!write_record(s, record, header, err)) {
        fail_group(s, err);
        return error_wrap(err, "cannot spool %zu bytes", record->payload.len);
    }
    s->newest = r.sequence;
    s->appended_ns = record->received_ns;
    s->written.records++;
    s->written.items[r.signal] += r.item_count;
    record->sequence = r.sequence;
    return true;
}

/*
 * The page that a group ends in would be written again with the next group.
 * Where the rest of it is little beside the group, the next one starts on a page of
 * its own: one page less to write for every commit.
 */
static void leave_page(struct spool *s)
{
    uint64_t rest = (PAGE_BYTES - s->out_offset % PAGE_BYTES) % PAGE_BYTES;
    if (rest <= (s->out_offset - s->group_offset) / GROUP_SHARE)
        s->out_offset += rest;
    s->group_offset = s->out_offset;
}

static void publish(struct spool *s)
{
    pthread_mutex_lock(&s->mutex);
    struct segment *g = s->segment_count > 0 ? &s->segments[s->segment_count - 1] : NULL;
    if (s->active && g) {
        g->last_sequence = s->newest;
        g->end = s->out_offset;
        g->newest_ns = s->appended_ns;
        for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
            g->items[i] = s->written.items[i] - g->items_before[i];
    }
    s->appends += s->written.records - s->totals.records;
    s->totals = s->written;
    s->committed = s->newest;
    s->committed_end = g ? g->end : 0;
    s->commits++;
    void (*wake)(void *) = s->wake;
    void *context = s->wake_context;
    pthread_mutex_unlock(&s->mutex);
    if (wake)
        wake(context);
}

bool spool_commit(struct spool *s, struct error *err)
{
    if (s->group_failed) {
        *err = s->group_error;
        s->group_failed = false;
        return error_wrap(err, "cannot commit");
    }
    if (s->written.records == s->totals.records)
        return true;
    if (s->active && (!flush(s, err) || !s->fs->sync(s->fs->disk, s->active, err))) {
        fail_group(s, err);
        s->group_failed = false;
        return error_wrap(err, "cannot commit");
    }
    publish(s);
    leave_page(s);
    return true;
}

/* --- what it says of itself ----------------------------------------------------------------- */

uint64_t spool_last_sequence(const struct spool *spool)
{
    struct spool *s = (struct spool *)(uintptr_t)spool; /* the lock is not part of its value */
    pthread_mutex_lock(&s->mutex);
    uint64_t committed = s->committed;
    pthread_mutex_unlock(&s->mutex);
    return committed;
}

void spool_on_commit(struct spool *s, void (*wake)(void *context), void *context)
{
    pthread_mutex_lock(&s->mutex);
    s->wake = wake;
    s->wake_context = context;
    pthread_mutex_unlock(&s->mutex);
}

bool spool_ledger_add(struct spool *s, const struct spool_ledger_entry *entry, struct error *err)
{
    char *path = spool_path(s, "ledger");
    pthread_mutex_lock(&s->files);
    ledger_add(&s->ledger, entry);
    bool ok = ledger_save(&s->ledger, s->fs, path, err);
    pthread_mutex_unlock(&s->files);
    free(path);
    return ok;
}

size_t spool_ledger(struct spool *s, struct spool_ledger_entry *out, size_t max)
{
    pthread_mutex_lock(&s->files);
    size_t count = s->ledger.count < max ? s->ledger.count : max;
    for (size_t i = 0; i < count; i++)
        out[i] = s->ledger.entries[s->ledger.count - 1 - i];
    pthread_mutex_unlock(&s->files);
    return count;
}

static bool is_low(struct spool *s)
{
    struct error unknown;
    uint64_t free_bytes = 0;
    return s->min_free_bytes > 0 && s->fs->free_bytes(s->fs->disk, s->dir, &free_bytes, &unknown) &&
           free_bytes < s->min_free_bytes;
}

/*
 * Evicts what is too old. Where the volume's other users need the room, what is
 * worth nothing goes at once, and records only after that has lasted: a full
 * disk is often somebody's passing accident, and lost records are for ever.
 * The few segments that a spool needs to work are no use to anyone else.
 */
static void keep_limits(struct spool *s)
{
    struct error ignored;
    uint64_t now = spool_age_now_ns(s);
    while (s->max_age_ns > 0 && now > s->max_age_ns &&
           segments_evict(s, SPOOL_LOSS_EVICTED_AGE, now - s->max_age_ns, &ignored))
        ;
    while (is_low(s) && segments_give_back(s))
        ;
    uint64_t now_ns = clock_monotonic_ns(s->clock);
    if (!is_low(s))
        s->low_since_ns = 0;
    else if (s->low_since_ns == 0)
        s->low_since_ns = now_ns;
    else if (now_ns - s->low_since_ns >= SPOOL_PATIENCE_NS)
        while (is_low(s) && segments_bytes(s) > s->segment_bytes * SPOOL_WORKING_SEGMENTS &&
               segments_give_up(s, SPOOL_LOSS_EVICTED_DISK))
            ;
}

bool spool_maintain(struct spool *s, struct error *err)
{
    bool saved = spool_save_positions(s, err);
    pthread_mutex_lock(&s->files);
    bool ok = segments_retire(s, err);
    keep_limits(s);
    pthread_mutex_unlock(&s->files);
    if (!saved) /* on a full disk there may be room now */
        saved = spool_save_positions(s, err);
    return ok && saved;
}
