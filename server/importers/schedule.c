#include "server/importers/schedule.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "server/store/control.h"

enum {
    LOOK_EVERY_MS = 5000,    /* at the clock and the key files */
    AGAIN_AFTER_S = 15 * 60, /* after a failure */
    AGAIN_REJECTED_S = 3600, /* after a refused key: nothing helps before it changes */
};
#define DAY_S UINT64_C(86400)

struct schedule {
    struct schedule_options with;
    uint32_t jitter_s;
    uint64_t not_before_ns; /* after a failure; 0: none */
    uint64_t keys_seen;     /* a mark of the key files as of the last run */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
};

uint64_t schedule_due_ns(uint64_t now_ns, uint64_t last_success_ns, uint32_t jitter_s)
{
    uint64_t now_s = now_ns / NS_PER_S, last_s = last_success_ns / NS_PER_S;
    uint64_t settled = now_s / DAY_S * DAY_S + SCHEDULE_HOUR * 3600; /* today's */
    if (settled > now_s)
        settled -= DAY_S; /* the newest that has passed */
    if (last_s < settled)
        return (settled + jitter_s) * NS_PER_S;
    return (settled + DAY_S + jitter_s) * NS_PER_S;
}

/* ---- Waiting ---- */

static bool pause_ms(void *context, uint64_t ms)
{
    struct schedule *s = context;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&s->lock);
    while (!s->stopping && ms > 0 && pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0)
        ;
    bool go_on = !s->stopping;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static bool is_stopping(void *context)
{
    struct schedule *s = context;
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

/* ---- When ---- */

/* Changes when a key file is written, replaced, or given other rights. */
static uint64_t mark_of_keys(const struct integrations *with)
{
    uint64_t mark = 0;
    for (int i = 0; i < INTEGRATION_COUNT; i++) {
        struct fs_stat info;
        struct error ignored;
        mark *= 1099511628211u;
        if (with->key_files[i] && fs_real.stat(fs_real.disk, with->key_files[i], &info, &ignored))
            mark ^= info.modified_ns ^ info.size_bytes << 7 ^ (uint64_t)info.mode << 1 ^ 1;
    }
    return mark;
}

static uint64_t oldest_success_ns(const struct schedule *s)
{
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i < INTEGRATION_COUNT; i++) {
        unsigned reports = integration_reports(s->with.with, (enum integration)i);
        for (int r = 0; r < API_REPORT_COUNT; r++) {
            struct api_import_state state;
            struct error ignored;
            if (!(reports & 1u << r))
                continue;
            if (!s->with.store->kind->api_usage->state_get(s->with.store, (enum api_report)r,
                                                           &state, &ignored))
                return UINT64_MAX; /* the store does not answer: not now */
            if (state.success_ns < oldest)
                oldest = state.success_ns;
        }
    }
    return oldest;
}

static bool is_due(const struct schedule *s, uint64_t now)
{
    if (s->not_before_ns > now && mark_of_keys(s->with.with) == s->keys_seen)
        return false;
    return schedule_due_ns(now, oldest_success_ns(s), s->jitter_s) <= now;
}

/* ---- What ---- */

static void run(struct schedule *s)
{
    struct error err = {0};
    struct importer_result result;
    struct log *log = s->with.log;
    s->keys_seen = mark_of_keys(s->with.with);
    log_info(log, "import", "daily import begins");
    bool ok = integrations_import(s->with.store,
                                  &(struct integration_run){.with = s->with.with,
                                                            .clock = s->with.clock,
                                                            .context = s,
                                                            .pause = pause_ms,
                                                            .stopping = is_stopping},
                                  &result, &err);
    uint64_t now = clock_wall_ns(s->with.clock);
    s->not_before_ns = 0;
    if (result.stopped)
        return;
    if (ok) {
        log_info(log, "import",
                 "daily import done chunks=%" PRIu32 " pages=%" PRIu32 " rows=%" PRIu32,
                 result.chunks, result.pages, result.rows);
        return;
    }
    if (err.kind == FAIL_BUSY) {
        log_info(log, "import", "another process is importing");
        s->not_before_ns = now + AGAIN_AFTER_S * NS_PER_S;
        return;
    }
    uint64_t pause_s = result.rejected ? AGAIN_REJECTED_S : AGAIN_AFTER_S;
    s->not_before_ns = now + pause_s * NS_PER_S;
    log_failure(log, result.rejected ? LOG_ERROR_LEVEL : LOG_WARN_LEVEL, "import",
                "the daily import failed and is tried again", &err);
}

static void *work(void *context)
{
    struct schedule *s = context;
    while (pause_ms(s, LOOK_EVERY_MS))
        if (is_due(s, clock_wall_ns(s->with.clock)))
            run(s);
    return NULL;
}

struct schedule *schedule_create(const struct schedule_options *options)
{
    if (!integrations_any(options->with))
        return NULL;
    struct schedule *s = xcalloc(1, sizeof *s);
    pthread_condattr_t monotonic;
    s->with = *options;
    uint32_t random = 0;
    platform_random(&random, sizeof random);
    s->jitter_s = random % SCHEDULE_JITTER_S;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&s->thread, NULL, work, s) != 0)
        abort(); /* at start, as when memory is gone */
    return s;
}

void schedule_destroy(struct schedule *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
