/* From the spool to batches: one window of records, grouped and merged. */
#include <string.h>

#include "agent/relay/destination_internal.h"
#include "core/log/log.h"
#include "core/otlp/rewrite.h"
#include "platform/platform.h"

enum {
    BODY_CEILING_BYTES = 192 * 1024 * 1024, /* one record, stamps added; never reached by merging */
    RECORDS_TRACKED = 65536,
    OPEN_BATCHES = 32, /* signals x people of one window */
};

struct window {
    struct batch *open[OPEN_BATCHES];
    size_t open_count;
    size_t closed_count;
    size_t closed_bytes;
};

static void close_batch(struct destination *d, struct window *w, size_t i)
{
    ready_push_back(d, w->open[i]);
    w->closed_bytes += w->open[i]->body.len;
    w->open[i] = w->open[--w->open_count];
    w->closed_count++;
}

/*
 * The batch that takes this record: of its signal, of its person, with room.
 * With batch ids the intervals of a signal must not interleave, so there a
 * signal has one open batch at a time.
 */
static struct batch *batch_for(struct destination *d, struct window *w,
                               const struct spool_record *record, unsigned person)
{
    for (size_t i = 0; i < w->open_count; i++) {
        struct batch *b = w->open[i];
        if (b->signal != record->signal)
            continue;
        bool same = b->person == person;
        if (same && b->body.len + record->payload.len <= d->target_bytes)
            return b;
        if (same || d->options.is_own_server) {
            close_batch(d, w, i);
            break;
        }
    }
    if (w->open_count == OPEN_BATCHES)
        close_batch(d, w, 0);
    struct batch *b = batch_create(record->signal, person, BODY_CEILING_BYTES);
    w->open[w->open_count++] = b;
    return b;
}

/* Appends the payload with the destination's resource attributes in it. */
static bool append_payload(struct batch *batch, const struct spool_record *record,
                           const struct person_values *values, struct error *err)
{
    size_t before = batch->body.len;
    if (values->stamp_count == 0) {
        if (buffer_append(&batch->body, record->payload))
            return true;
        return error_set(err, FAIL_TOO_LARGE, "a record of %zu bytes", record->payload.len);
    }
    struct otlp_rewrite rewrite = {.stamps = values->stamps, .stamp_count = values->stamp_count};
    if (otlp_rewrite_request(record->signal, record->payload, &rewrite, &batch->body, err))
        return true;
    batch->body.len = before;
    return false;
}

/* A record that cannot be rewritten can never be sent here: kept in quarantine. */
static void quarantine_unreadable(struct destination *d, const struct spool_record *record,
                                  const struct error *why)
{
    struct error err;
    if (!spool_quarantine(d->context->spool, d->options.name, record, why->cause, &err))
        log_failure(d->context->log, LOG_ERROR_LEVEL, "relay", "cannot quarantine a record", &err);
}

/* False: stop reading here; the record was put back. */
static bool take_record(struct destination *d, struct window *w, const struct spool_record *record)
{
    if (!d->options.url[record->signal]) {
        tracker_add(&d->tracker, record->sequence, 0);
        return true;
    }
    struct error err = {0};
    unsigned person = 0;
    const struct person_values *values = NULL;
    if (people_find(&d->people, record->user, &person))
        values = people_values(&d->people, person, &err);
    else
        error_set(&err, FAIL_BUSY, "records of more than %d people are waiting", PEOPLE_MAX);
    if (!values) {
        spool_cursor_seek(d->cursor, record->sequence - 1);
        d->waiting_person = person;
        uint64_t now = destination_now_ms(d);
        destination_fail(d, RELAY_AUTH_FAILED, err.cause, now, 0);
        return false;
    }

    struct batch *batch = batch_for(d, w, record, person);
    if (!append_payload(batch, record, values, &err)) {
        quarantine_unreadable(d, record, &err);
        tracker_add(&d->tracker, record->sequence, 0);
    } else {
        batch_close_record(batch, (struct batch_record){
                                      .sequence = record->sequence,
                                      .covers_from = d->covered[record->signal] + 1,
                                      .received_ns = record->received_ns,
                                      .item_count = record->item_count,
                                      .person = person,
                                  });
        tracker_add(&d->tracker, record->sequence, 1);
        d->covered[record->signal] = record->sequence;
    }
    return true;
}

static size_t held_bytes(const struct destination *d)
{
    size_t bytes = 0;
    for (const struct batch *b = d->ready; b; b = b->next)
        bytes += b->body.len;
    for (const struct sending *s = d->sending; s; s = s->next)
        bytes += s->batch->body.len + s->packed.len;
    return bytes;
}

bool window_has_room(const struct destination *d)
{
    return d->tracker.count < RECORDS_TRACKED && held_bytes(d) < d->context->memory_bytes;
}

static size_t open_bytes(const struct window *w)
{
    size_t bytes = 0;
    for (size_t i = 0; i < w->open_count; i++)
        bytes += w->open[i]->body.len;
    return bytes;
}

bool window_fill(struct destination *d, uint64_t now_ms)
{
    struct window w = {0};
    struct spool_record record;
    struct error err;
    size_t wanted = d->concurrency;
    size_t held = held_bytes(d);
    bool added = false;
    d->drained = false;
    d->last_window_ms = now_ms;
    while (w.closed_count < wanted && d->tracker.count < RECORDS_TRACKED &&
           held + w.closed_bytes + open_bytes(&w) < d->context->memory_bytes) {
        err.kind = FAIL_NONE;
        if (!spool_cursor_read(d->cursor, d->context->hold, &record, &err)) {
            d->drained = true;
            if (err.kind != FAIL_NONE)
                log_failure(d->context->log, LOG_ERROR_LEVEL, "relay", "cannot read the spool",
                            &err);
            break;
        }
        if (d->stopping && record.sequence > d->last_wanted) {
            spool_cursor_seek(d->cursor, record.sequence - 1);
            d->drained = true;
            break;
        }
        if (!take_record(d, &w, &record))
            break;
        added = true;
    }
    if (d->context->hold->capacity > 2 * MIB)
        buffer_clear(d->context->hold);

    for (size_t i = 0; i < w.open_count; i++)
        if (w.open[i]->record_count > 0)
            ready_push_back(d, w.open[i]);
        else
            batch_destroy(w.open[i]); /* its only record was unreadable */
    return added;
}
