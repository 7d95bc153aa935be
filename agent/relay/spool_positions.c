/*
 * How far each destination has come: one small file each. A new position is
 * written in place at once, so that a killed process repeats nothing it had
 * finished, and made durable lazily, so that a commit waits for no disk.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/lines.h"
#include "agent/relay/spool_private.h"
#include "base/memory.h"

/* "position 1 #xxxxxxxx\n", then twice "done 00000000000000000000 #xxxxxxxx\n". */
enum { FILE_MAX_BYTES = 4096, HEAD_BYTES = 21, PLACE_BYTES = 36 };

struct load {
    struct spool *spool;
    struct error *err;
    bool ok;
};

static struct spool_cursor *add_cursor(struct spool *s, const char *name)
{
    struct spool_cursor *c = xcalloc(1, sizeof *c);
    c->spool = s;
    c->signals = (1U << OTLP_SIGNAL_COUNT) - 1;
    snprintf(c->name, sizeof c->name, "%s", name);
    c->next = s->cursors;
    s->cursors = c;
    return c;
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len >= SPOOL_NAME_BYTES)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == len;
}

static bool load_one(void *context, const char *name)
{
    struct load *l = context;
    struct spool *s = l->spool;
    struct error ignored;
    char *path = xasprintf("%s/%s", s->positions_dir, name);
    if (!is_name(name)) { /* a replacement that a crash interrupted */
        (void)!s->fs->remove(s->fs->disk, path, &ignored);
        free(path);
        return true;
    }
    struct buffer text = {.max_bytes = FILE_MAX_BYTES};
    l->ok = fs_read_file(s->fs, path, &text, l->err) || l->err->kind == FAIL_TOO_LARGE;
    if (l->ok) {
        /* A damaged position reads again from the oldest record: never a loss. */
        struct spool_cursor *c = add_cursor(s, name);
        struct bytes rest = buffer_bytes(&text);
        char line[LINES_MAX_BYTES];
        size_t damaged = 0;
        uint64_t done;
        while (lines_next(&rest, line, &damaged))
            if (sscanf(line, "done %" SCNu64, &done) == 1 && done > c->done)
                c->done = done;
    }
    buffer_clear(&text);
    free(path);
    return l->ok;
}

bool positions_load(struct spool *s, struct error *err)
{
    struct load l = {.spool = s, .err = err, .ok = true};
    return s->fs->list(s->fs->disk, s->positions_dir, load_one, &l, err) && l.ok;
}

static bool put_place(struct buffer *text, uint64_t done)
{
    return lines_append(text, "done %020" PRIu64, done);
}

void positions_let_go(struct spool_cursor *c)
{
    c->spool->fs->close(c->spool->fs->disk, c->places);
    c->places = NULL;
}

/* The whole file, durable; later places are written into it. */
static bool write_file(struct spool_cursor *c, uint64_t done, struct error *err)
{
    struct spool *s = c->spool;
    struct buffer text = {.max_bytes = FILE_MAX_BYTES};
    char *path = xasprintf("%s/%s", s->positions_dir, c->name);
    bool ok = lines_append(&text, "position 1") && put_place(&text, done) && put_place(&text, done);
    assert(!ok || text.len == HEAD_BYTES + 2 * PLACE_BYTES);
    ok = ok ? fs_replace_file(s->fs, path, buffer_bytes(&text), 0600, err)
            : error_set(err, FAIL_IO, "cannot write '%s'", path);
    if (ok) {
        positions_let_go(c);
        c->placed = done;
        c->places = s->fs->open(s->fs->disk, path, FS_WRITE, 0, err);
    }
    free(path);
    buffer_clear(&text);
    return ok;
}

/* The older of the two places; the newer one stays whole whatever happens. */
static bool write_place(struct spool_cursor *c, uint64_t done, struct error *err)
{
    struct spool *s = c->spool;
    struct buffer text = {.max_bytes = PLACE_BYTES};
    uint64_t at = HEAD_BYTES + (c->odd_place ? PLACE_BYTES : 0);
    bool ok = put_place(&text, done)
                  ? s->fs->write_at(s->fs->disk, c->places, at, buffer_bytes(&text), err)
                  : error_set(err, FAIL_IO, "cannot write the position '%s'", c->name);
    buffer_clear(&text);
    if (ok) {
        c->odd_place = !c->odd_place;
        c->placed = done;
    } else {
        positions_let_go(c); /* whatever it holds now: the next one is written whole */
    }
    return ok;
}

bool positions_place(struct spool_cursor *c, struct error *err)
{
    struct spool *s = c->spool;
    pthread_mutex_lock(&s->files);
    pthread_mutex_lock(&s->mutex);
    uint64_t done = c->done;
    pthread_mutex_unlock(&s->mutex);
    bool ok = !c->places || c->placed == done || write_place(c, done, err);
    pthread_mutex_unlock(&s->files);
    return ok;
}

static bool save_one(struct spool_cursor *c, uint64_t done, struct error *err)
{
    if (!c->places)
        return write_file(c, done, err);
    if ((c->placed == done || write_place(c, done, err)) &&
        c->spool->fs->sync(c->spool->fs->disk, c->places, err))
        return true;
    positions_let_go(c);
    return false;
}

bool positions_save(struct spool *s, struct error *err)
{
    bool ok = true;
    pthread_mutex_lock(&s->files);
    pthread_mutex_lock(&s->mutex);
    for (struct spool_cursor *c = s->cursors; c; c = c->next) { /* forgotten only under `files` */
        if (!c->dirty)
            continue;
        uint64_t done = c->done;
        c->dirty = false;
        pthread_mutex_unlock(&s->mutex);
        bool saved = save_one(c, done, err);
        ok = ok && saved;
        pthread_mutex_lock(&s->mutex);
        c->dirty = c->dirty || !saved;
    }
    uint64_t committed = s->committed;
    pthread_mutex_unlock(&s->mutex);
    if (ok && s->ledger.dirty) {
        char *path = spool_path(s, "ledger");
        ok = ledger_save(&s->ledger, s->fs, path, err);
        free(path);
    }
    if (ok && committed != s->marked)
        ok = stream_save(s, s->reserved, err);
    ok = ok && segments_retire(s, err);
    pthread_mutex_lock(&s->mutex);
    s->saved_ns = clock_monotonic_ns(s->clock);
    pthread_mutex_unlock(&s->mutex);
    pthread_mutex_unlock(&s->files);
    return ok;
}

bool spool_save_positions(struct spool *s, struct error *err)
{
    return positions_save(s, err);
}

uint64_t positions_lowest(const struct spool *s)
{
    uint64_t lowest = UINT64_MAX;
    for (const struct spool_cursor *c = s->cursors; c; c = c->next)
        if (c->done < lowest)
            lowest = c->done;
    return lowest;
}

static struct spool_cursor *find_cursor(struct spool *s, const char *name)
{
    struct spool_cursor *c = s->cursors;
    while (c && strcmp(c->name, name) != 0)
        c = c->next;
    return c;
}

struct spool_cursor *spool_cursor_open(struct spool *s, const char *name, struct error *err)
{
    if (!is_name(name)) {
        error_set(err, FAIL_INVALID, "'%s' cannot name a position", name);
        error_remedy(err, "name the destination with up to %d letters, digits, '-' and '_'",
                     SPOOL_NAME_BYTES - 1);
        return NULL;
    }
    pthread_mutex_lock(&s->files);
    pthread_mutex_lock(&s->mutex);
    struct spool_cursor *c = find_cursor(s, name);
    bool busy = c && c->open;
    if (!c)
        c = add_cursor(s, name);
    if (!busy) {
        uint64_t oldest = s->segment_count > 0 ? s->segments[0].first_sequence - 1 : s->committed;
        if (oldest < s->ledger.floor)
            oldest = s->ledger.floor;
        if (c->done > s->committed) /* a position from the future would skip what comes */
            c->done = s->committed;
        if (c->done < oldest)
            c->done = oldest;
        positions_let_go(c); /* the highest place counts: one from the future must not stay */
        c->dirty = true;
        c->read = c->done;
        c->open = true;
        c->rewound = true;
    }
    pthread_mutex_unlock(&s->mutex);
    pthread_mutex_unlock(&s->files);
    if (busy) {
        error_set(err, FAIL_BUSY, "the position '%s' is open already", name);
        return NULL;
    }
    return c;
}

bool spool_cursor_forget(struct spool *s, const char *name, struct error *err)
{
    pthread_mutex_lock(&s->files);
    pthread_mutex_lock(&s->mutex);
    struct spool_cursor *c = find_cursor(s, name);
    bool busy = c && c->open;
    for (struct spool_cursor **at = &s->cursors; c && !busy && *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            positions_let_go(c);
            free(c);
            break;
        }
    pthread_mutex_unlock(&s->mutex);
    bool ok = !busy || error_set(err, FAIL_BUSY, "the position '%s' is in use", name);
    if (ok && is_name(name)) {
        char *path = xasprintf("%s/%s", s->positions_dir, name);
        ok = s->fs->remove(s->fs->disk, path, err) || err->kind == FAIL_NOT_FOUND;
        ok = ok && s->fs->sync_dir(s->fs->disk, s->positions_dir, err);
        free(path);
    }
    pthread_mutex_unlock(&s->files);
    return ok;
}
