/*
 * quarantine/: records a destination will never take, and damaged bytes. One
 * file each: sealed lines that say what it is, an empty line, then the bytes.
 * Names begin with the sequence, so the first in order is the oldest.
 */
#include "agent/relay/spool_quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/lines.h"
#include "agent/relay/spool_private.h"
#include "base/memory.h"

enum { COPY_BYTES = 64 * 1024 };

static bool write_head(const struct quarantine_entry *e, struct buffer *out)
{
    char reason[sizeof e->reason];
    snprintf(reason, sizeof reason, "%s", e->reason);
    for (char *at = reason; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    return lines_append(out, "quarantine 1") &&
           lines_append(out, "sequences %" PRIu64 " %" PRIu64, e->from_sequence, e->to_sequence) &&
           lines_append(out, "received_ns %" PRIu64, e->received_ns) &&
           lines_append(out, "signal %u items %" PRIu64, (unsigned)e->signal, e->item_count) &&
           lines_append(out, "bytes %" PRIu64 " %" PRIu64, e->user_len, e->payload_len) &&
           lines_append(out, "destination %s", e->destination) &&
           lines_append(out, "reason %s", reason) && buffer_append_byte(out, '\n');
}

bool quarantine_parse(struct bytes head, struct quarantine_entry *out)
{
    memset(out, 0, sizeof *out);
    struct bytes rest = head;
    char line[LINES_MAX_BYTES];
    size_t damaged = 0;
    unsigned signal = 0, seen = 0;
    while (rest.len > 0 && rest.data[0] != '\n' && lines_next(&rest, line, &damaged)) {
        if (sscanf(line, "sequences %" SCNu64 " %" SCNu64, &out->from_sequence,
                   &out->to_sequence) == 2 ||
            sscanf(line, "received_ns %" SCNu64, &out->received_ns) == 1 ||
            sscanf(line, "bytes %" SCNu64 " %" SCNu64, &out->user_len, &out->payload_len) == 2)
            seen++;
        else if (sscanf(line, "signal %u items %" SCNu64, &signal, &out->item_count) == 2)
            seen++;
        else if (strncmp(line, "destination ", 12) == 0)
            snprintf(out->destination, sizeof out->destination, "%s", line + 12);
        else if (strncmp(line, "reason ", 7) == 0)
            snprintf(out->reason, sizeof out->reason, "%s", line + 7);
    }
    if (seen != 4 || damaged > 0 || rest.len == 0 || signal >= OTLP_SIGNAL_COUNT)
        return false;
    out->signal = (enum otlp_signal)signal;
    out->content_at = head.len - rest.len + 1;
    return true;
}

/* --- counting and evicting ------------------------------------------------------------------ */

struct tour {
    struct spool *spool;
    uint64_t files, bytes;
    char *oldest;
};

static bool visit(void *context, const char *name)
{
    struct tour *t = context;
    struct spool *s = t->spool;
    struct error ignored;
    struct fs_stat info;
    char *path = xasprintf("%s/%s", s->quarantine_dir, name);
    size_t len = strlen(name);
    if (len > 4 && strcmp(name + len - 4, ".new") == 0) {
        (void)!s->fs->remove(s->fs->disk, path, &ignored);
    } else if (s->fs->stat(s->fs->disk, path, &info, &ignored)) {
        t->files++;
        t->bytes += info.size_bytes;
        if (!t->oldest || strcmp(name, t->oldest) < 0) {
            free(t->oldest);
            t->oldest = xstrdup(name);
        }
    }
    free(path);
    return true;
}

static bool tour(struct spool *s, struct tour *t, struct error *err)
{
    *t = (struct tour){.spool = s};
    bool ok = s->fs->list(s->fs->disk, s->quarantine_dir, visit, t, err);
    pthread_mutex_lock(&s->mutex);
    if (ok) {
        s->quarantine_files = t->files;
        s->quarantine_bytes = t->bytes;
    }
    pthread_mutex_unlock(&s->mutex);
    return ok;
}

bool quarantine_measure(struct spool *s, struct error *err)
{
    struct tour t;
    bool ok = tour(s, &t, err);
    free(t.oldest);
    return ok;
}

/* Its items are in the ledger since they were set aside. */
bool quarantine_evict(struct spool *s)
{
    struct tour t;
    struct error ignored;
    if (s->quarantine_files == 0)
        return false;
    bool ok = tour(s, &t, &ignored) && t.oldest;
    if (ok) {
        char *path = xasprintf("%s/%s", s->quarantine_dir, t.oldest);
        ok = s->fs->remove(s->fs->disk, path, &ignored);
        free(path);
    }
    free(t.oldest);
    return ok && quarantine_measure(s, &ignored);
}

/* --- keeping -------------------------------------------------------------------------------- */

/* Room under the limit, at the cost of older quarantine only. */
static bool make_room(struct spool *s, uint64_t bytes, struct error *err)
{
    while (segments_bytes(s) + bytes > s->max_bytes && quarantine_evict(s))
        ;
    if (segments_bytes(s) + bytes <= s->max_bytes)
        return true;
    error_set(err, FAIL_NO_SPACE, "the spool '%s' has no room for quarantine", s->dir);
    return error_remedy(err, "raise relay.spool.max_mib");
}

static bool copy_bytes(struct spool *s, struct fs_file *from, uint64_t offset, struct fs_file *to,
                       uint64_t at, uint64_t len, struct error *err)
{
    uint8_t *bytes = xmalloc(COPY_BYTES);
    bool ok = true;
    for (uint64_t done = 0; ok && done < len;) {
        size_t step = len - done < COPY_BYTES ? (size_t)(len - done) : COPY_BYTES, got = 0;
        struct error unreadable;
        if (!s->fs->read_at(s->fs->disk, from, offset + done, bytes, step, &got, &unreadable)) {
            memset(bytes, 0, step);
            got = step;
        }
        if (got == 0)
            break;
        ok = s->fs->write_at(s->fs->disk, to, at + done, bytes_make(bytes, got), err);
        done += got;
    }
    free(bytes);
    return ok;
}

/* Writes head and content under a passing name, then gives it its own. */
static bool keep(struct spool *s, const char *name, const struct quarantine_entry *e,
                 const struct spool_record *record, struct fs_file *from, uint64_t offset,
                 struct error *err)
{
    struct buffer head = {.max_bytes = QUARANTINE_HEAD_BYTES};
    char *path = xasprintf("%s/%s", s->quarantine_dir, name);
    char *part = xasprintf("%s.new", path);
    bool ok = write_head(e, &head) ||
              error_set(err, FAIL_TOO_LARGE, "cannot describe what goes to quarantine");
    ok = ok && make_room(s, head.len + e->user_len + e->payload_len, err);
    struct fs_file *file =
        ok ? s->fs->open(s->fs->disk, part, FS_WRITE | FS_CREATE, 0600, err) : NULL;
    ok = file && s->fs->truncate(s->fs->disk, file, 0, err) &&
         s->fs->write_at(s->fs->disk, file, 0, buffer_bytes(&head), err);
    if (ok && record)
        ok = s->fs->write_at(s->fs->disk, file, head.len, record->user, err) &&
             s->fs->write_at(s->fs->disk, file, head.len + record->user.len, record->payload, err);
    else if (ok)
        ok = copy_bytes(s, from, offset, file, head.len, e->payload_len, err);
    ok = ok && s->fs->sync(s->fs->disk, file, err);
    s->fs->close(s->fs->disk, file);
    ok = ok && s->fs->rename(s->fs->disk, part, path, err) &&
         s->fs->sync_dir(s->fs->disk, s->quarantine_dir, err);
    struct error ignored;
    if (!ok && file)
        (void)!s->fs->remove(s->fs->disk, part, &ignored);
    if (ok)
        ok = quarantine_measure(s, err);
    buffer_clear(&head);
    free(part);
    free(path);
    return ok;
}

bool quarantine_keep_bytes(struct spool *s, struct fs_file *file, const struct segment_step *damage,
                           struct error *err)
{
    struct quarantine_entry e = {.from_sequence = damage->from_sequence,
                                 .to_sequence = damage->to_sequence,
                                 .payload_len = damage->end - damage->offset,
                                 .reason = "damaged in the spool"};
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        e.item_count += damage->items[i];
        if (damage->items[i] > 0)
            e.signal = (enum otlp_signal)i;
    }
    char name[64];
    snprintf(name, sizeof name, "%016" PRIx64 "-damaged", damage->from_sequence);
    return keep(s, name, &e, NULL, file, damage->offset, err);
}

bool spool_quarantine(struct spool *s, const char *destination, const struct spool_record *record,
                      const char *reason, struct error *err)
{
    struct quarantine_entry e = {.from_sequence = record->sequence,
                                 .to_sequence = record->sequence,
                                 .received_ns = record->received_ns,
                                 .signal = record->signal,
                                 .item_count = record->item_count,
                                 .user_len = record->user.len,
                                 .payload_len = record->payload.len};
    struct spool_ledger_entry loss = {.reason = SPOOL_LOSS_QUARANTINED,
                                      .signal = record->signal,
                                      .records = record->item_count,
                                      .from_ns = record->received_ns,
                                      .to_ns = record->received_ns};
    snprintf(e.destination, sizeof e.destination, "%s", destination);
    snprintf(e.reason, sizeof e.reason, "%s", reason);
    snprintf(loss.destination, sizeof loss.destination, "%s", destination);

    pthread_mutex_lock(&s->files);
    /* A record bisected into several dead letters gives several files. */
    char *name = NULL;
    struct fs_stat info;
    struct error missing;
    for (unsigned n = 0;; n++) {
        name = n == 0 ? xasprintf("%016" PRIx64 "-%s", record->sequence, destination)
                      : xasprintf("%016" PRIx64 "-%s-%u", record->sequence, destination, n);
        char *path = xasprintf("%s/%s", s->quarantine_dir, name);
        bool taken = s->fs->stat(s->fs->disk, path, &info, &missing);
        free(path);
        if (!taken)
            break;
        free(name);
    }
    bool ok = keep(s, name, &e, record, NULL, 0, err);
    free(name);
    if (ok) {
        char *path = spool_path(s, "ledger");
        ledger_add(&s->ledger, &loss);
        ok = ledger_save(&s->ledger, s->fs, path, err);
        free(path);
    }
    pthread_mutex_unlock(&s->files);
    return ok || error_wrap(err, "cannot quarantine record %" PRIu64, record->sequence);
}
