/* How far each destination has come: one small file each, written lazily. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/lines.h"
#include "agent/relay/spool_private.h"
#include "base/memory.h"

enum { FILE_MAX_BYTES = 4096 };

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
        while (lines_next(&rest, line, &damaged))
            (void)!sscanf(line, "done %" SCNu64, &c->done);
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

static bool save_one(struct spool *s, const char *name, uint64_t done, struct error *err)
{
    struct buffer text = {.max_bytes = FILE_MAX_BYTES};
    char *path = xasprintf("%s/%s", s->positions_dir, name);
    bool ok = lines_append(&text, "position 1") && lines_append(&text, "done %" PRIu64, done);
    ok = ok ? fs_replace_file(s->fs, path, buffer_bytes(&text), 0600, err)
            : error_set(err, FAIL_IO, "cannot write '%s'", path);
    free(path);
    buffer_clear(&text);
    return ok;
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
        bool saved = save_one(s, c->name, done, err);
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
    if (!c) {
        c = add_cursor(s, name);
        c->dirty = true;
    }
    if (!busy) {
        uint64_t oldest = s->segment_count > 0 ? s->segments[0].first_sequence - 1 : s->committed;
        if (oldest < s->ledger.floor)
            oldest = s->ledger.floor;
        if (c->done > s->committed) /* a position from the future would skip what comes */
            c->done = s->committed;
        if (c->done < oldest)
            c->done = oldest;
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
