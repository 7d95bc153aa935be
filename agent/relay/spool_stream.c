/* The file `stream`: the spool's name, and how far its numbering has gone. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/lines.h"
#include "agent/relay/spool_private.h"

bool stream_load(struct spool *s, bool *found, struct totals *totals, struct error *err)
{
    struct buffer text = {.max_bytes = 64 * KIB};
    char *path = spool_path(s, "stream");
    bool ok = fs_read_file(s->fs, path, &text, err);
    free(path);
    *found = false;
    if (!ok) {
        buffer_clear(&text);
        return err->kind == FAIL_NOT_FOUND || err->kind == FAIL_TOO_LARGE;
    }
    struct bytes rest = buffer_bytes(&text);
    char line[LINES_MAX_BYTES];
    size_t damaged = 0;
    bool named = false, numbered = false;
    while (lines_next(&rest, line, &damaged)) {
        struct totals t;
        uint64_t sequence;
        if (sscanf(line, "stream %36s", s->stream) == 1)
            named = strlen(s->stream) == SEGMENT_STREAM_BYTES;
        else if (sscanf(line, "reserved %" SCNu64, &s->reserved) == 1)
            numbered = true;
        else if (sscanf(line, "committed %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                        &sequence, &t.records, &t.items[0], &t.items[1], &t.items[2]) == 5) {
            s->marked = sequence;
            *totals = t;
        } else if (sscanf(line, "oldest %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                          &sequence, &t.records, &t.items[0], &t.items[1], &t.items[2]) == 5) {
            s->oldest_first = sequence;
            s->oldest_base = t;
        }
    }
    *found = named && numbered;
    buffer_clear(&text);
    return true;
}

bool stream_save(struct spool *s, uint64_t reserved, struct error *err)
{
    pthread_mutex_lock(&s->mutex);
    uint64_t committed = s->committed;
    struct totals t = s->totals;
    if (s->segment_count > 0) {
        const struct segment *g = &s->segments[0];
        s->oldest_first = g->first_sequence;
        s->oldest_base.records = g->records_before;
        memcpy(s->oldest_base.items, g->items_before, sizeof g->items_before);
    }
    pthread_mutex_unlock(&s->mutex);

    struct buffer text = {.max_bytes = 64 * KIB};
    char *path = spool_path(s, "stream");
    bool ok =
        lines_append(&text, "spool %d", SEGMENT_VERSION) &&
        lines_append(&text, "stream %s", s->stream) &&
        lines_append(&text, "reserved %" PRIu64, reserved) &&
        lines_append(&text, "committed %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
                     committed, t.records, t.items[0], t.items[1], t.items[2]) &&
        lines_append(&text, "oldest %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
                     s->oldest_first, s->oldest_base.records, s->oldest_base.items[0],
                     s->oldest_base.items[1], s->oldest_base.items[2]);
    ok = ok ? fs_replace_file(s->fs, path, buffer_bytes(&text), 0600, err)
            : error_set(err, FAIL_IO, "cannot write '%s'", path);
    if (ok)
        s->marked = committed;
    free(path);
    buffer_clear(&text);
    return ok;
}
