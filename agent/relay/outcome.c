/* What an answer does to its batch and to the destination's state. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/relay/answer.h"
#include "agent/relay/destination_internal.h"
#include "core/log/log.h"
#include "platform/platform.h"

enum {
    RETRY_AFTER_LIMIT_MS = 3600 * 1000,
    BATCH_PAUSE_SHIFT = 6,       /* a failing batch's own pause: first << 1 .. first << 6 */
    STRIKES_TO_SET_ASIDE = 2,    /* failed, others passed, failed, others passed, failed */
    FAILURES_WITHOUT_OTHERS = 5, /* the queue is full behind it */
    SMALLEST_TARGET_BYTES = 16 * 1024,
    TARGET_REMEMBERED_MS = 600 * 1000,
    SET_ASIDE_FIRST_PAUSES = 60, /* in first pauses: a minute by default */
    SET_ASIDE_SHIFT = 8,
    SET_ASIDE_TRIES = 24,
};

static void note_loss(struct destination *d, const struct batch *b, enum spool_loss reason,
                      uint64_t items)
{
    struct spool_ledger_entry entry = {
        .reason = reason,
        .signal = b->signal,
        .records = items,
        .from_ns = b->records[0].received_ns,
        .to_ns = b->records[b->record_count - 1].received_ns,
    };
    snprintf(entry.destination, sizeof entry.destination, "%s", d->options.name);
    struct error err;
    if (!spool_ledger_add(d->context->spool, &entry, &err))
        log_failure(d->context->log, LOG_ERROR_LEVEL, "relay", "cannot note a loss", &err);
}

static struct bytes user_of(const struct destination *d, const struct batch *b)
{
    const struct person_values *v = &d->people.entries[b->records[0].person];
    return bytes_make(v->user, v->user_len);
}

/* The one record of `b` is the destination's dead letter now. Frees the batch. */
static void quarantine(struct destination *d, struct batch *b, const char *why)
{
    uint64_t items = batch_items(b);
    struct spool_record record = {
        .sequence = b->records[0].sequence,
        .received_ns = b->records[0].received_ns,
        .signal = b->signal,
        .item_count = (uint32_t)items,
        .user = user_of(d, b),
        .payload = buffer_bytes(&b->body),
    };
    struct error err;
    if (!spool_quarantine(d->context->spool, d->options.name, &record, why, &err)) {
        log_failure(d->context->log, LOG_ERROR_LEVEL, "relay", "cannot quarantine a record", &err);
        note_loss(d, b, SPOOL_LOSS_QUARANTINED, items); /* not kept, but accounted for */
    }
    log_warn(d->context->log, "relay",
             "record quarantined destination=%s sequence=%" PRIu64 " reason=\"%s\"",
             d->options.name, record.sequence, why);
    pthread_mutex_lock(&d->lock);
    d->shown.quarantined_records_total += items;
    pthread_mutex_unlock(&d->lock);
    destination_finish_batch(d, b);
}

static void taken(struct destination *d, const struct sending *sent,
                  const struct http_result *result)
{
    struct batch *b = sent->batch;
    if (sent->serial > d->taken_serial)
        d->taken_serial = sent->serial;
    if (sent->serial > d->taken_signal_serial[b->signal])
        d->taken_signal_serial[b->signal] = sent->serial;
    d->refused_since_taken = 0;
    if (d->status != RELAY_OK)
        destination_set_status(d, RELAY_OK, "");

    struct otlp_partial_success partial = {0};
    if (b->is_probe_only) {
        batch_destroy(b);
        return;
    }
    answer_partial_success(result, &partial);
    uint64_t items = batch_items(b);
    uint64_t rejected = (uint64_t)partial.rejected < items ? (uint64_t)partial.rejected : items;
    if (rejected > 0) {
        note_loss(d, b, SPOOL_LOSS_REJECTED, rejected);
        log_warn(d->context->log, "relay", "destination rejected records name=%s records=%" PRIu64,
                 d->options.name, rejected);
    }
    pthread_mutex_lock(&d->lock);
    d->shown.last_success_ns = clock_wall_ns(d->context->clock);
    d->shown.sent_records_total += items - rejected;
    d->shown.rejected_records_total += rejected;
    pthread_mutex_unlock(&d->lock);
    destination_finish_batch(d, b);
}

/* Waits on disk from now on. Frees the batch unless that failed. */
static bool set_aside(struct destination *d, struct batch *b, uint64_t now_ms)
{
    uint64_t due_ms = now_ms + (uint64_t)d->context->retry_first_ms * SET_ASIDE_FIRST_PAUSES;
    struct error err;
    struct set_aside_record record = {
        .sequence = b->records[0].sequence,
        .covers_from = b->records[0].covers_from,
        .received_ns = b->records[0].received_ns,
        .signal = b->signal,
        .item_count = b->records[0].item_count,
        .is_piece = b->is_piece,
        .user = user_of(d, b),
        .payload = buffer_bytes(&b->body),
    };
    if (!set_aside_add(d->set_aside, &record, due_ms, &err)) {
        log_failure(d->context->log, LOG_WARN_LEVEL, "relay", "cannot set a record aside", &err);
        if (err.kind != FAIL_NO_SPACE)
            return false;
        quarantine(d, b, "the destination keeps failing on it, and the set-aside store is full");
        return true;
    }
    log_info(d->context->log, "relay", "record set aside destination=%s sequence=%" PRIu64,
             d->options.name, record.sequence);
    destination_finish_batch(d, b);
    return true;
}

/* A record from the set-aside store that still is not taken. Frees the batch. */
static void postpone(struct destination *d, struct batch *b, uint64_t now_ms, const char *why)
{
    uint64_t id = b->set_aside_id;
    uint64_t age_ns = clock_wall_ns(d->context->clock) - b->records[0].received_ns;
    uint64_t first = (uint64_t)d->context->retry_first_ms * SET_ASIDE_FIRST_PAUSES;
    unsigned tries = set_aside_tries(d->set_aside, id) + 1;
    bool too_old =
        d->context->max_age_ns != 0 && (int64_t)age_ns > 0 && age_ns > d->context->max_age_ns;
    if (tries >= SET_ASIDE_TRIES || too_old) {
        quarantine(d, b, why);
        return;
    }
    unsigned shift = tries < SET_ASIDE_SHIFT ? tries : SET_ASIDE_SHIFT;
    set_aside_postpone(d->set_aside, id, now_ms + (first << shift));
    batch_destroy(b);
}

/* 5xx: is it the destination, or this batch? It is the batch when others pass in between. */
static void note_failure(struct destination *d, struct batch *b, uint64_t now_ms)
{
    if (b->failures > 0 && d->taken_serial > b->failure_mark)
        b->strikes++;
    b->failures++;
    b->failure_mark = d->serial;
    unsigned shift = b->failures < BATCH_PAUSE_SHIFT ? b->failures : BATCH_PAUSE_SHIFT;
    b->not_before_ms = now_ms + ((uint64_t)d->context->retry_first_ms << shift);
}

static void come_later(struct destination *d, const struct sending *sent,
                       const struct http_result *result, const char *why, uint64_t now_ms)
{
    struct batch *b = sent->batch;
    uint64_t wait_ms = 0;
    if (result->stage == HTTP_STAGE_DONE &&
        http_result_retry_after_ms(result, clock_wall_ns(d->context->clock), &wait_ms) &&
        wait_ms > RETRY_AFTER_LIMIT_MS)
        wait_ms = RETRY_AFTER_LIMIT_MS;
    bool broke = result->stage == HTTP_STAGE_DONE && result->status >= 500;
    if (b->set_aside_id != 0) {
        if (!broke || wait_ms > 0) /* that it still fails on this one is no news about the others */
            destination_fail(d, RELAY_RETRYING, why, sent->started_ms, wait_ms);
        postpone(d, b, now_ms, why);
        return;
    }
    destination_fail(d, RELAY_RETRYING, why, sent->started_ms, wait_ms);
    if (b->is_probe_only) {
        batch_destroy(b);
        return;
    }
    if (broke)
        note_failure(d, b, now_ms);
    bool nothing_else = !d->drained && !d->ready && !window_has_room(d);
    if (b->strikes >= STRIKES_TO_SET_ASIDE ||
        (nothing_else && b->failures >= FAILURES_WITHOUT_OTHERS)) {
        if (b->record_count > 1) {
            struct batch *rest = batch_split(b, b->record_count / 2);
            rest->strikes = b->strikes = STRIKES_TO_SET_ASIDE - 1;
            ready_push_back(d, b);
            ready_push_back(d, rest);
            return;
        }
        bool others_pass = b->strikes >= STRIKES_TO_SET_ASIDE;
        if (set_aside(d, b, now_ms)) {
            if (others_pass) /* it was the record, not the destination */
                destination_set_status(d, RELAY_OK, "");
            return;
        }
    }
    ready_push_back(d, b);
}

/* Halves of a batch go first, in order: whoever is refused is found by descending. */
static bool halve(struct destination *d, struct batch *b)
{
    struct batch *rest = NULL;
    struct error err;
    if (b->record_count > 1)
        rest = batch_split(b, b->record_count / 2);
    else if (b->records[0].item_count > 1)
        rest = batch_cut_inside(b, &err);
    if (!rest)
        return false;
    if (rest->is_piece && batch_first(rest) == batch_first(b))
        tracker_divide(&d->tracker, b->records[0].sequence);
    ready_push_front(d, rest);
    ready_push_front(d, b);
    return true;
}

/*
 * 400 or 413 to a single record. It is quarantined only when a request that was
 * started after the refusal was taken, and the record is then refused again: a
 * destination that refuses everything (a wrong path, a bad deployment) must not
 * drain the queue into the quarantine.
 */
static void refused(struct destination *d, const struct sending *sent, const char *why)
{
    struct batch *b = sent->batch;
    if (b->refused && d->taken_signal_serial[b->signal] > b->refused_mark) {
        quarantine(d, b, why);
        return;
    }
    if (!b->refused)
        b->refused_mark = d->serial;
    b->refused = true;
    snprintf(d->refusal, sizeof d->refusal, "%s", why);
    ready_push_back(d, b);
    if (b->sent_as_probe || d->refused_since_taken > 0)
        destination_fail(d, RELAY_BLOCKED, why, sent->started_ms, 0);
    d->refused_since_taken++;
}

static void not_acceptable(struct destination *d, const struct sending *sent, bool too_large,
                           const char *why, uint64_t now_ms)
{
    struct batch *b = sent->batch;
    if (b->is_probe_only) {
        destination_fail(d, RELAY_BLOCKED, why, sent->started_ms, 0);
        batch_destroy(b);
        return;
    }
    if (b->set_aside_id != 0) {
        quarantine(d, b, why);
        return;
    }
    if (too_large && b->record_count > 1) {
        size_t half = b->body.len / 2;
        d->target_bytes = half > SMALLEST_TARGET_BYTES ? half : SMALLEST_TARGET_BYTES;
        d->target_until_ms = now_ms + TARGET_REMEMBERED_MS;
    }
    if (!halve(d, b))
        refused(d, sent, why);
}

/*
 * Our server has a part of this interval: it wants the parts one by one. A single
 * number cannot be had in part, so a 409 to one is some other server's refusal.
 */
static void overlapping(struct destination *d, const struct sending *sent, const char *why,
                        uint64_t now_ms)
{
    struct batch *b = sent->batch;
    if (b->record_count > 1 && b->set_aside_id == 0) {
        (void)halve(d, b);
        return;
    }
    struct batch_record *record = &b->records[0];
    if (record->covers_from == record->sequence) {
        not_acceptable(d, sent, false, why, now_ms);
        return;
    }
    record->covers_from = record->sequence;
    ready_push_front(d, b);
}

void outcome_of(struct destination *d, const struct sending *sent, const struct http_result *result)
{
    char why[sizeof d->shown.last_error];
    struct batch *b = sent->batch;
    uint64_t now_ms = destination_now_ms(d);
    enum answer answer = answer_of(result, b->has_ids);
    answer_describe(result, why, sizeof why);

    pthread_mutex_lock(&d->lock);
    d->shown.last_status = result->status;
    d->shown.failed_requests_total += answer != ANSWER_TAKEN;
    pthread_mutex_unlock(&d->lock);

    switch (answer) {
    case ANSWER_TAKEN:
        taken(d, sent, result);
        return;
    case ANSWER_LATER:
        come_later(d, sent, result, why, now_ms);
        return;
    case ANSWER_AUTH:
        d->waiting_person = b->person;
        destination_fail(d, RELAY_AUTH_FAILED, why, sent->started_ms, 0);
        break;
    case ANSWER_ODD:
        destination_fail(d, RELAY_BLOCKED, why, sent->started_ms, 0);
        break;
    case ANSWER_TOO_LARGE:
    case ANSWER_BAD:
        not_acceptable(d, sent, answer == ANSWER_TOO_LARGE, why, now_ms);
        return;
    case ANSWER_OVERLAP:
        overlapping(d, sent, why, now_ms);
        return;
    }
    if (b->is_probe_only)
        batch_destroy(b);
    else
        ready_push_front(d, b);
}
