/* Lifecycle, state, and the choice of what to send next. */
#include "agent/relay/destination.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relay/destination_internal.h"
#include "agent/relay/options.h"
#include "base/memory.h"
#include "core/event/loop.h"
#include "core/http/client.h"
#include "core/log/log.h"
#include "platform/platform.h"

enum {
    DEFAULT_CONCURRENCY = 2,
    PACE_MS = 20, /* a quiet queue is gathered this long: few records wait, many share a request */
    PROBE_BODY_BYTES = 64 * 1024,
    SUSPECT_FAILURES = 2, /* it may be the batch, not the destination: probe with less of it */
    CREDENTIAL_CHECK_PAUSES = 5, /* in first pauses: every 5 s by default */
    RETRY_AFTER_JITTER_SHARE = 4,
    TRACKER_KEPT = 1024,
    LOCAL_GZIP_BYTES = 64 * 1024,
    SET_ASIDE_CEILING_BYTES = 192 * 1024 * 1024,
};

const char *relay_status_name(enum relay_destination_status status)
{
    static const char *const names[] = {"ok", "retrying", "auth_failed", "blocked", "disabled"};
    return names[status];
}

uint64_t destination_now_ms(const struct destination *d)
{
    return clock_monotonic_ns(d->context->clock) / NS_PER_MS;
}

/* ---- Lifecycle ---- */

static bool is_loopback(const char *url)
{
    const char *host = url ? strstr(url, "://") : NULL;
    if (!host)
        return false;
    host += 3;
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           strncmp(host, "localhost:", 10) == 0 || strncmp(host, "localhost/", 10) == 0;
}

/*
 * The largest body that is packed. On this machine a byte costs less to carry than to pack, which
 * tells only where there is much: large bodies, made when much comes at once, go there as they are.
 */
static size_t gzip_limit(const struct relay_destination_options *o)
{
    if (o->compression != RELAY_COMPRESSION_AUTO)
        return o->compression == RELAY_COMPRESSION_GZIP ? SIZE_MAX : 0;
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        if (o->url[s] && !is_loopback(o->url[s]))
            return SIZE_MAX;
    return LOCAL_GZIP_BYTES;
}

static void timer_rang(void *context)
{
    struct destination *d = context;
    destination_pump(d);
    d->context->progressed(d->context->owner);
}

struct destination *destination_create(const struct destination_context *context,
                                       const struct relay_destination_options *options,
                                       struct error *err)
{
    struct destination *d = xcalloc(1, sizeof *d);
    d->context = context;
    destination_options_copy(&d->options, options);
    d->gzip_limit = gzip_limit(options);
    d->concurrency = options->concurrency ? options->concurrency : DEFAULT_CONCURRENCY;
    d->batch_bytes = options->batch_bytes ? options->batch_bytes : MIB;
    d->target_bytes = d->batch_bytes;
    d->backoff.first_ms = context->retry_first_ms;
    d->backoff.limit_ms = context->retry_limit_ms;
    d->status = options->disabled ? RELAY_DISABLED : RELAY_OK;
    pthread_mutex_init(&d->lock, NULL);
    people_init(&d->people, &d->options, context->callbacks);
    snprintf(d->shown.name, sizeof d->shown.name, "%s", options->name);
    d->shown.status = d->status;
    d->shown.status_since_ns = clock_wall_ns(context->clock);

    d->timer = loop_timer_create(context->loop, timer_rang, d);
    d->cursor = spool_cursor_open(context->spool, options->name, err);
    if (!d->cursor)
        goto failed;
    d->set_aside = set_aside_create(context->fs, context->spool_dir, options->name,
                                    context->set_aside_bytes, destination_now_ms(d), err);
    if (!d->set_aside)
        goto failed;
    unsigned signals = 0;
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++) {
        d->covered[s] = spool_cursor_position(d->cursor);
        signals |= options->url[s] ? 1U << s : 0;
    }
    spool_cursor_signals(d->cursor, signals);
    return d;

failed:
    error_wrap(err, "destination '%s'", options->name);
    destination_destroy(d);
    return NULL;
}

void destination_destroy(struct destination *d)
{
    if (!d)
        return;
    while (d->sending) {
        struct sending *s = d->sending;
        d->sending = s->next;
        http_client_cancel(s->transfer);
        batch_destroy(s->batch);
        buffer_clear(&s->packed);
        free(s);
    }
    while (d->ready) {
        struct batch *b = d->ready;
        d->ready = b->next;
        batch_destroy(b);
    }
    loop_timer_destroy(d->timer);
    if (d->cursor)
        spool_cursor_close(d->cursor);
    set_aside_destroy(d->set_aside);
    tracker_clear(&d->tracker);
    people_clear(&d->people);
    destination_options_clear(&d->options);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

const struct relay_destination_options *destination_options(const struct destination *d)
{
    return &d->options;
}

/* ---- State ---- */

void destination_set_status(struct destination *d, enum relay_destination_status status,
                            const char *why)
{
    UNUSED static const bool legal[RELAY_DISABLED + 1][RELAY_DISABLED + 1] = {
        [RELAY_OK] = {[RELAY_RETRYING] = true, [RELAY_AUTH_FAILED] = true, [RELAY_BLOCKED] = true},
        [RELAY_RETRYING] = {[RELAY_OK] = true, [RELAY_AUTH_FAILED] = true, [RELAY_BLOCKED] = true},
        [RELAY_AUTH_FAILED] = {[RELAY_OK] = true, [RELAY_RETRYING] = true, [RELAY_BLOCKED] = true},
        [RELAY_BLOCKED] = {[RELAY_OK] = true, [RELAY_RETRYING] = true, [RELAY_AUTH_FAILED] = true},
    };
    bool changed = status != d->status;
    assert(!changed || legal[d->status][status]);
    if (changed) {
        enum log_level level = status == RELAY_OK ? LOG_INFO_LEVEL : LOG_WARN_LEVEL;
        log_write(d->context->log, level, "relay", "destination state=%s was=%s name=%s%s%s%s",
                  relay_status_name(status), relay_status_name(d->status), d->options.name,
                  *why ? " why=\"" : "", why, *why ? "\"" : "");
    }
    d->status = status;
    if (status == RELAY_OK) {
        backoff_reset(&d->backoff);
        d->not_before_ms = d->last_failure_ms = 0;
    }

    pthread_mutex_lock(&d->lock);
    if (changed)
        d->shown.status_since_ns = clock_wall_ns(d->context->clock);
    d->shown.status = status;
    d->shown.consecutive_failures = status == RELAY_OK ? 0 : d->shown.consecutive_failures + 1;
    snprintf(d->shown.last_error, sizeof d->shown.last_error, "%s", why);
    d->shown_probe_ns = d->not_before_ms * NS_PER_MS;
    pthread_mutex_unlock(&d->lock);
}

static uint64_t random_bits(void)
{
    uint64_t bits;
    platform_random(&bits, sizeof bits);
    return bits;
}

/* Whether the credential that was refused reads differently now. */
static bool credential_changed(struct destination *d, uint64_t now_ms)
{
    struct error err;
    d->next_credential_check_ms =
        now_ms + (uint64_t)d->context->retry_first_ms * CREDENTIAL_CHECK_PAUSES;
    return people_refresh(&d->people, d->waiting_person, &err);
}

void destination_fail(struct destination *d, enum relay_destination_status status, const char *why,
                      uint64_t started_ms, uint64_t least_ms)
{
    uint64_t now = destination_now_ms(d);
    /* Requests that were under way together fail together: one step, not several. */
    if (d->last_failure_ms == 0 || started_ms >= d->last_failure_ms) {
        d->not_before_ms = now + backoff_next_ms(&d->backoff, now, random_bits());
        d->last_failure_ms = now;
    }
    if (least_ms > 0) {
        uint64_t jitter = d->context->retry_first_ms / RETRY_AFTER_JITTER_SHARE + 1;
        uint64_t until = now + least_ms + random_bits() % jitter;
        if (until > d->not_before_ms)
            d->not_before_ms = until;
    }
    if (status == RELAY_AUTH_FAILED && credential_changed(d, now))
        d->not_before_ms = now;
    destination_set_status(d, status, why);
}

void destination_state(struct destination *d, struct relay_destination_state *out)
{
    uint64_t now_ns = clock_monotonic_ns(d->context->clock);
    /* Before what is set aside: what moves there meanwhile is seen twice, and never nowhere. */
    uint64_t requests = spool_cursor_backlog(d->cursor);
    uint64_t records = spool_cursor_backlog_items(d->cursor);
    pthread_mutex_lock(&d->lock);
    *out = d->shown;
    if (out->status != RELAY_OK && d->shown_probe_ns > now_ns)
        out->retry_in_ms = (d->shown_probe_ns - now_ns) / NS_PER_MS;
    pthread_mutex_unlock(&d->lock);
    out->backlog_requests = requests;
    out->backlog_records = records;
}

/* ---- The ready list ---- */

void ready_push_front(struct destination *d, struct batch *batch)
{
    batch->next = d->ready;
    d->ready = batch;
}

void ready_push_back(struct destination *d, struct batch *batch)
{
    struct batch **at = &d->ready;
    while (*at)
        at = &(*at)->next;
    *at = batch;
    batch->next = NULL;
}

void ready_take(struct destination *d, struct batch *batch)
{
    struct batch **at = &d->ready;
    while (*at != batch)
        at = &(*at)->next;
    *at = batch->next;
    batch->next = NULL;
}

void destination_finish_batch(struct destination *d, struct batch *b)
{
    if (b->set_aside_id != 0) {
        set_aside_remove(d->set_aside, b->set_aside_id);
        batch_destroy(b);
        return;
    }
    for (size_t i = 0; i < b->record_count; i++)
        tracker_finish(&d->tracker, b->records[i].sequence);
    batch_destroy(b);
}

/* ---- What to send next ---- */

/* A refused record waits until something that was sent later is taken. */
static bool waits_for_evidence(const struct destination *d, const struct batch *b)
{
    return b->refused && d->taken_signal_serial[b->signal] <= b->refused_mark;
}

static struct batch *first_sendable(const struct destination *d, uint64_t now_ms)
{
    for (struct batch *b = d->ready; b; b = b->next)
        if (!waits_for_evidence(d, b) && b->not_before_ms <= now_ms)
            return b;
    return NULL;
}

/* For a probe: what has failed least, and is smallest. */
static struct batch *best_probe(const struct destination *d)
{
    struct batch *best = NULL;
    for (struct batch *b = d->ready; b; b = b->next)
        if (!best || b->refused < best->refused ||
            (b->refused == best->refused &&
             (b->failures < best->failures ||
              (b->failures == best->failures && b->body.len < best->body.len))))
            best = b;
    return best;
}

static bool may_fill(struct destination *d, uint64_t now_ms)
{
    if (d->target_bytes < d->batch_bytes && now_ms >= d->target_until_ms)
        d->target_bytes = d->batch_bytes;
    return window_has_room(d);
}

static struct batch *pick_set_aside(struct destination *d, uint64_t now_ms)
{
    for (const struct sending *s = d->sending; s; s = s->next)
        if (s->batch->set_aside_id != 0)
            return NULL; /* one at a time */
    uint64_t next_ms = 0;
    uint64_t id = set_aside_due(d->set_aside, now_ms, &next_ms);
    if (id == 0)
        return NULL;

    struct set_aside_record record;
    struct error err = {0};
    unsigned person = 0;
    if (!set_aside_read(d->set_aside, id, d->context->hold, &record, &err)) {
        log_failure(d->context->log, LOG_ERROR_LEVEL, "relay", "a record set aside is lost", &err);
        struct spool_ledger_entry entry = {.reason = SPOOL_LOSS_CORRUPT, .records = 1};
        snprintf(entry.destination, sizeof entry.destination, "%s", d->options.name);
        if (!spool_ledger_add(d->context->spool, &entry, &err))
            log_failure(d->context->log, LOG_ERROR_LEVEL, "relay", "cannot note a loss", &err);
        set_aside_remove(d->set_aside, id);
        return NULL;
    }
    struct batch *b = batch_create(record.signal, 0, SET_ASIDE_CEILING_BYTES);
    if (!d->options.url[record.signal] || !people_find(&d->people, record.user, &person) ||
        !buffer_append(&b->body, record.payload)) {
        set_aside_postpone(d->set_aside, id,
                           now_ms + (uint64_t)d->context->retry_first_ms * PROBE_BODY_BYTES);
        batch_destroy(b);
        return NULL;
    }
    b->person = person;
    b->is_piece = record.is_piece;
    b->set_aside_id = id;
    batch_close_record(b, (struct batch_record){.sequence = record.sequence,
                                                .covers_from = record.covers_from,
                                                .received_ns = record.received_ns,
                                                .item_count = record.item_count,
                                                .person = person});
    return b;
}

static struct batch *pick_in_order(struct destination *d, uint64_t now_ms)
{
    struct batch *b = first_sendable(d, now_ms);
    if (!b && may_fill(d, now_ms)) {
        uint64_t paced_ms = d->last_window_ms + PACE_MS;
        if (d->drained && !d->stopping && now_ms < paced_ms) {
            d->next_window_ms = paced_ms;
            return NULL;
        }
        d->next_window_ms = 0;
        if (window_fill(d, now_ms))
            b = first_sendable(d, now_ms);
    }
    if (!b)
        return pick_set_aside(d, now_ms);
    ready_take(d, b);
    return b;
}

/* An empty request: it says whether the destination takes anything at all. */
static struct batch *empty_probe(enum otlp_signal signal, unsigned person)
{
    struct batch *b = batch_create(signal, person, 0);
    b->is_probe_only = true;
    return b;
}

static struct batch *pick_probe(struct destination *d, uint64_t now_ms)
{
    struct batch *b = best_probe(d);
    if ((!b || b->refused || b->failures > 0) && may_fill(d, now_ms) && window_fill(d, now_ms))
        b = best_probe(d);
    if (!b)
        return pick_set_aside(d, now_ms);
    /* Only suspects are left: ask without them, and with them, in turn. */
    bool alone = b->failures >= SUSPECT_FAILURES && b->record_count == 1;
    if (waits_for_evidence(d, b) || alone) {
        d->empty_probe_sent = !d->empty_probe_sent;
        if (d->empty_probe_sent)
            return empty_probe(b->signal, b->person);
    }
    ready_take(d, b);
    bool light = d->status != RELAY_RETRYING || b->body.len > PROBE_BODY_BYTES;
    if (b->record_count > 1 && (light || b->failures >= SUSPECT_FAILURES))
        ready_push_front(d, batch_split(b, light ? 1 : b->record_count / 2));
    return b;
}

/* Nothing can be sent and nothing is under way, but refused records wait: ask. */
static void ask_for_evidence(struct destination *d, uint64_t now_ms)
{
    for (struct batch *b = d->ready; b; b = b->next)
        if (waits_for_evidence(d, b)) {
            destination_fail(d, RELAY_BLOCKED, d->refusal, now_ms, 0);
            return;
        }
}

static void advance_position(struct destination *d)
{
    uint64_t position = 0;
    struct error err;
    if (!tracker_advance(&d->tracker, &position))
        return;
    if (!spool_cursor_done(d->cursor, position, &err))
        log_failure(d->context->log, LOG_ERROR_LEVEL, "relay", "cannot move a position", &err);
    if (d->tracker.count == 0 && d->tracker.capacity > TRACKER_KEPT)
        tracker_clear(&d->tracker);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* One timer for whatever comes first; none while nothing is queued. */
static void arm_timer(struct destination *d, uint64_t now_ms)
{
    uint64_t at_ms = UINT64_MAX;
    bool waiting = d->ready || d->tracker.count > 0 || spool_cursor_backlog(d->cursor) > 0;
    uint64_t aside_ms = UINT64_MAX;
    if (set_aside_count(d->set_aside) > 0 && set_aside_due(d->set_aside, now_ms, &aside_ms) != 0)
        aside_ms = now_ms;
    if (d->status != RELAY_OK) {
        if (waiting && d->sending_count == 0)
            at_ms = d->not_before_ms;
        else if (d->sending_count == 0 && aside_ms != UINT64_MAX)
            at_ms = aside_ms > d->not_before_ms ? aside_ms : d->not_before_ms;
        if (waiting && d->status == RELAY_AUTH_FAILED)
            at_ms = sooner(at_ms, d->next_credential_check_ms);
    } else {
        if (d->next_window_ms != 0)
            at_ms = d->next_window_ms;
        for (const struct batch *b = d->ready; b; b = b->next)
            if (!waits_for_evidence(d, b))
                at_ms = sooner(at_ms, b->not_before_ms);
        if (d->sending_count == 0 && d->next_window_ms == 0)
            at_ms = sooner(at_ms, aside_ms);
        if (d->sending_count >= d->concurrency)
            at_ms = UINT64_MAX; /* an answer will call */
    }
    if (at_ms == UINT64_MAX)
        loop_timer_cancel(d->timer);
    else
        loop_timer_set(d->timer, at_ms > now_ms ? at_ms - now_ms : 0);
}

void destination_pump(struct destination *d)
{
    if (d->status == RELAY_DISABLED)
        return;
    uint64_t now = destination_now_ms(d);
    if (d->status == RELAY_AUTH_FAILED && now >= d->next_credential_check_ms &&
        now < d->not_before_ms && credential_changed(d, now))
        d->not_before_ms = now;

    for (;;) {
        bool probing = d->status != RELAY_OK;
        if (d->sending_count >= (probing ? 1 : d->concurrency) ||
            (probing && now < d->not_before_ms))
            break;
        struct batch *b = probing ? pick_probe(d, now) : pick_in_order(d, now);
        if (!b && !probing && d->sending_count == 0 && d->next_window_ms == 0)
            ask_for_evidence(d, now);
        if (!b || !send_batch(d, b, now))
            break;
    }
    pthread_mutex_lock(&d->lock);
    d->shown.set_aside_requests = set_aside_count(d->set_aside);
    d->shown.set_aside_records = set_aside_items(d->set_aside);
    pthread_mutex_unlock(&d->lock);
    advance_position(d);
    arm_timer(d, now);

    pthread_mutex_lock(&d->lock);
    d->shown_probe_ns = d->not_before_ms * NS_PER_MS;
    pthread_mutex_unlock(&d->lock);
}

void destination_refresh(struct destination *d)
{
    uint64_t now = destination_now_ms(d);
    (void)credential_changed(d, now);
    if (d->status == RELAY_AUTH_FAILED)
        d->not_before_ms = now;
    destination_pump(d);
}

void destination_flush(struct destination *d)
{
    d->stopping = true;
    d->last_wanted = spool_last_sequence(d->context->spool);
    d->not_before_ms = 0;
    d->next_window_ms = 0;
    destination_pump(d);
}

bool destination_is_settled(const struct destination *d)
{
    if (d->status == RELAY_DISABLED)
        return true;
    if (d->sending_count > 0)
        return false;
    return d->status != RELAY_OK || (!d->ready && d->drained);
}
