#include "agent/relay/forward.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relay/call.h"
#include "agent/relay/destination.h"
#include "agent/relay/options.h"
#include "base/memory.h"
#include "core/event/loop.h"
#include "core/http/client.h"
#include "core/log/log.h"
#include "platform/platform.h"

enum {
    MEMORY_BYTES = 8 * 1024 * 1024, /* bodies of all destinations together */
    MEMORY_LEAST_BYTES = 2 * 1024 * 1024,
    MEMORY_MOST_BYTES = 4 * 1024 * 1024,
    HOLD_CEILING_BYTES = 192 * 1024 * 1024,
    SET_ASIDE_SHARE = 16, /* of the spool's size limit, all destinations together */
    GATHER_MS = 10,       /* wake-ups for commits come no closer: a batch waits 20 ms anyway */
    SAVE_POSITIONS_MS = 1000,
    MAINTAIN_MS = 10 * 1000,
    DEFAULT_RETRY_FIRST_MS = 1000,
    DEFAULT_RETRY_LIMIT_MS = 300 * 1000,
};

struct forward {
    struct loop *loop;
    struct http_client *client;
    struct spool *spool; /* borrowed */
    struct log *log;     /* borrowed */
    struct relay_callbacks callbacks;
    struct destination_context context;
    char *spool_dir;
    struct buffer hold;
    uint64_t set_aside_total;

    pthread_mutex_t lock; /* guards the list against forward_states() */
    struct destination *destinations[RELAY_MAX_DESTINATIONS];
    size_t count;

    struct loop_timer *save_timer;
    struct loop_timer *maintain_timer;
    struct loop_timer *gather_timer;
    bool cannot_prepare;      /* the disk is full: the receiver says so when it matters */
    uint64_t pumped_sequence; /* the newest record the last pump could see */
    bool save_pending;
    bool maintain_pending;
    bool is_ending;
    atomic_bool wake_posted;

    bool draining;
    struct loop_timer *drain_timer;
};

static void share_limits(struct forward *f, size_t count)
{
    size_t each = count > 0 ? MEMORY_BYTES / count : MEMORY_MOST_BYTES;
    if (each > MEMORY_MOST_BYTES)
        each = MEMORY_MOST_BYTES;
    f->context.memory_bytes = each < MEMORY_LEAST_BYTES ? MEMORY_LEAST_BYTES : each;
    f->context.set_aside_bytes = f->set_aside_total / (count > 0 ? count : 1);
}

static bool has_backlog(const struct forward *f)
{
    struct spool_state state;
    spool_state(f->spool, &state);
    return state.requests > 0;
}

static void save_positions(void *context)
{
    struct forward *f = context;
    struct error err;
    f->save_pending = false;
    if (!spool_save_positions(f->spool, &err))
        log_failure(f->log, LOG_ERROR_LEVEL, "relay", "cannot save positions", &err);
}

static void maintain(void *context)
{
    struct forward *f = context;
    struct error err;
    if (!spool_maintain(f->spool, &err))
        log_failure(f->log, LOG_ERROR_LEVEL, "relay", "cannot maintain the spool", &err);
    f->cannot_prepare = false;
    f->maintain_pending = has_backlog(f); /* the age limit goes on while something waits */
    if (f->maintain_pending)
        loop_timer_set(f->maintain_timer, MAINTAIN_MS);
    else
        platform_trim_memory();
}

static void end_drain_when_settled(struct forward *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!destination_is_settled(f->destinations[i]))
            return;
    loop_stop(f->loop);
}

/* A destination's request ended, or its timer rang. */
static void progressed(void *context)
{
    struct forward *f = context;
    if (!f->save_pending) {
        f->save_pending = true;
        loop_timer_set(f->save_timer, SAVE_POSITIONS_MS);
    }
    if (f->draining)
        end_drain_when_settled(f);
}

/* Wakes up for the first commit at once, and then for many together. */
static void pump_all(void *context)
{
    struct forward *f = context;
    if (f->is_ending)
        return;
    f->pumped_sequence = spool_last_sequence(f->spool);
    loop_timer_set(f->gather_timer, GATHER_MS);
    for (size_t i = 0; i < f->count; i++)
        destination_pump(f->destinations[i]);
    if (!f->maintain_pending) {
        f->maintain_pending = true;
        loop_timer_set(f->maintain_timer, MAINTAIN_MS);
    }
}

static void prepare(struct forward *f)
{
    struct error err;
    if (!f->cannot_prepare)
        f->cannot_prepare = !spool_prepare(f->spool, &err);
}

static void gathered(void *context)
{
    struct forward *f = context;
    prepare(f);
    if (spool_last_sequence(f->spool) != f->pumped_sequence) {
        pump_all(f);
        return;
    }
    atomic_store(&f->wake_posted, false);
    if (spool_last_sequence(f->spool) != f->pumped_sequence) /* committed in between */
        forward_wake(f);
}

void forward_wake(void *forward)
{
    struct forward *f = forward;
    if (!atomic_exchange(&f->wake_posted, true))
        loop_post(f->loop, pump_all, f);
}

struct forward *forward_create(const struct relay_options *options, struct spool *spool,
                               const struct fs *fs, const struct clock *clock, struct log *log,
                               struct error *err)
{
    struct forward *f = xcalloc(1, sizeof *f);
    f->spool = spool;
    f->log = log;
    f->callbacks = options->callbacks;
    f->spool_dir = xstrdup(options->spool.dir);
    f->hold.max_bytes = HOLD_CEILING_BYTES;
    f->set_aside_total = options->spool.max_bytes / SET_ASIDE_SHARE;
    pthread_mutex_init(&f->lock, NULL);
    f->context = (struct destination_context){
        .spool = spool,
        .spool_dir = f->spool_dir,
        .fs = fs,
        .clock = clock,
        .log = log,
        .callbacks = &f->callbacks,
        .retry_first_ms =
            options->retry_first_ms ? options->retry_first_ms : DEFAULT_RETRY_FIRST_MS,
        .retry_limit_ms =
            options->retry_limit_ms ? options->retry_limit_ms : DEFAULT_RETRY_LIMIT_MS,
        .max_age_ns = options->spool.max_age_ns,
        .hold = &f->hold,
        .owner = f,
        .progressed = progressed,
    };
    share_limits(f, options->destination_count);

    f->loop = f->context.loop = loop_create(err);
    if (!f->loop)
        goto failed;
    f->client = f->context.client = http_client_create(f->loop, err);
    if (!f->client)
        goto failed;
    f->save_timer = loop_timer_create(f->loop, save_positions, f);
    f->maintain_timer = loop_timer_create(f->loop, maintain, f);
    f->gather_timer = loop_timer_create(f->loop, gathered, f);
    for (size_t i = 0; i < options->destination_count; i++) {
        f->destinations[i] = destination_create(&f->context, &options->destinations[i], err);
        if (!f->destinations[i])
            goto failed;
        f->count++;
    }
    return f;

failed:
    forward_destroy(f);
    return NULL;
}

void forward_destroy(struct forward *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++)
        destination_destroy(f->destinations[i]);
    f->count = 0;
    f->is_ending = true; /* calls that were posted and not yet made do nothing */
    loop_timer_destroy(f->save_timer);
    loop_timer_destroy(f->maintain_timer);
    loop_timer_destroy(f->gather_timer);
    loop_timer_destroy(f->drain_timer);
    http_client_destroy(f->client);
    loop_destroy(f->loop);
    buffer_clear(&f->hold);
    free(f->spool_dir);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void forward_run(struct forward *f)
{
    forward_wake(f); /* what an earlier run left */
    loop_run(f->loop);
    save_positions(f);
}

void forward_stop(struct forward *f)
{
    loop_stop(f->loop);
}

static void refresh_all(void *context)
{
    struct forward *f = context;
    for (size_t i = 0; i < f->count; i++)
        destination_refresh(f->destinations[i]);
}

void forward_refresh_credentials(struct forward *f)
{
    loop_post(f->loop, refresh_all, f);
}

void forward_states(struct forward *f, struct relay_state *out)
{
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->count; i++)
        destination_state(f->destinations[i], &out->destinations[i]);
    out->destination_count = f->count;
    pthread_mutex_unlock(&f->lock);
}

/* ---- Reload ---- */

struct reload {
    struct forward *forward;
    const struct relay_options *options;
    struct error *err;
    bool ok;
};

static struct destination *unchanged(struct forward *f,
                                     const struct relay_destination_options *options)
{
    for (size_t i = 0; i < f->count; i++) {
        struct destination *d = f->destinations[i];
        if (d && destination_options_equal(destination_options(d), options)) {
            f->destinations[i] = NULL;
            return d;
        }
    }
    return NULL;
}

/* The old holder of a name lets go of its position before the new one takes it. */
static void drop_old(struct forward *f, const struct relay_options *options)
{
    for (size_t i = 0; i < f->count; i++) {
        struct destination *d = f->destinations[i];
        if (!d)
            continue;
        char *name = xstrdup(destination_options(d)->name);
        bool kept = false;
        for (size_t j = 0; j < options->destination_count; j++)
            kept = kept || strcmp(options->destinations[j].name, name) == 0;
        destination_destroy(d);
        f->destinations[i] = NULL;
        struct error err;
        if (!kept && !spool_cursor_forget(f->spool, name, &err))
            log_failure(f->log, LOG_WARN_LEVEL, "relay", "cannot forget a position", &err);
        free(name);
    }
}

static void reload_here(void *context)
{
    struct reload *r = context;
    struct forward *f = r->forward;
    struct destination *next[RELAY_MAX_DESTINATIONS] = {0};
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < r->options->destination_count; i++)
        next[i] = unchanged(f, &r->options->destinations[i]);
    drop_old(f, r->options);
    share_limits(f, r->options->destination_count);
    f->count = 0;
    r->ok = true;
    for (size_t i = 0; i < r->options->destination_count; i++) {
        if (!next[i])
            next[i] = destination_create(&f->context, &r->options->destinations[i], r->err);
        if (next[i])
            f->destinations[f->count++] = next[i];
        else
            r->ok = false;
    }
    pthread_mutex_unlock(&f->lock);
    refresh_all(f);
}

bool forward_reload(struct forward *f, const struct relay_options *options, struct error *err)
{
    struct reload r = {.forward = f, .options = options, .err = err};
    call_on_loop(f->loop, reload_here, &r);
    return r.ok;
}

/* ---- Drain ---- */

struct drain {
    struct forward *forward;
    uint32_t limit_ms;
};

static void drain_over(void *context)
{
    struct forward *f = context;
    loop_stop(f->loop);
}

static void drain_here(void *context)
{
    struct drain *drain = context;
    struct forward *f = drain->forward;
    f->draining = true;
    f->drain_timer = loop_timer_create(f->loop, drain_over, f);
    loop_timer_set(f->drain_timer, drain->limit_ms);
    for (size_t i = 0; i < f->count; i++)
        destination_flush(f->destinations[i]);
    end_drain_when_settled(f);
}

void forward_drain(struct forward *f, uint32_t limit_ms)
{
    struct drain drain = {.forward = f, .limit_ms = limit_ms};
    call_on_loop(f->loop, drain_here, &drain);
}
