#include "server/housekeeping.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"

enum { ROUNDS_A_RETENTION = 60, ROUNDS_A_LEASE = 3 };
static const char LEASE[] = "housekeeping";

struct housekeeping {
    struct housekeeping_options with;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    bool leads; /* had the lease in the last round */
};

/* On the writer's thread. */
static void retain(void *context)
{
    struct housekeeping *h = context;
    struct error err = {0};
    uint64_t deleted = 0;
    if (!h->with.messages->kind->retain(h->with.messages, clock_wall_ns(h->with.clock), &deleted,
                                        &err))
        log_failure(h->with.log, LOG_ERROR_LEVEL, "housekeeping",
                    "cannot delete rows past their retention", &err);
    else if (deleted > 0)
        log_info(h->with.log, "housekeeping", "deleted rows past their retention rows=%llu",
                 (unsigned long long)deleted);
}

/* Whether this server is the one that judges and clears up. */
static bool leads(struct housekeeping *h)
{
    struct error err = {0};
    struct control_store *control = h->with.control;
    uint64_t now = clock_wall_ns(h->with.clock);
    uint64_t until = now + ROUNDS_A_LEASE * h->with.every_ms * NS_PER_MS;
    bool taken = control->kind->lease_take(control, LEASE, h->with.owner, now, until, &err);
    if (!taken && err.kind != FAIL_BUSY)
        log_failure(h->with.log, LOG_WARN_LEVEL, "housekeeping", "cannot tell who is to judge",
                    &err);
    else if (taken != h->leads)
        log_info(h->with.log, "housekeeping",
                 taken ? "this server judges and clears up"
                       : "another server judges and clears up");
    h->leads = taken;
    return taken;
}

static void do_round(struct housekeeping *h, unsigned round)
{
    struct error err = {0};
    if (!gate_save_used(h->with.gate, &err))
        log_failure(h->with.log, LOG_WARN_LEVEL, "housekeeping",
                    "cannot note when tokens were used", &err);
    bool judges = leads(h);
    if (!(judges ? fleet_sweep(h->with.fleet, &err) : fleet_count(h->with.fleet, &err)))
        log_failure(h->with.log, LOG_ERROR_LEVEL, "housekeeping", "cannot judge the fleet", &err);
    if (judges && round % ROUNDS_A_RETENTION == 0)
        ingest_run_on_writer(h->with.ingest, retain, h);
}

static void set_next(const struct housekeeping *h, struct timespec *next)
{
    uint64_t ns = (uint64_t)next->tv_nsec + (uint64_t)(h->with.every_ms % 1000) * NS_PER_MS;
    next->tv_sec += (time_t)(h->with.every_ms / 1000 + ns / NS_PER_S);
    next->tv_nsec = (long)(ns % NS_PER_S);
}

static void *work(void *context)
{
    struct housekeeping *h = context;
    struct timespec next;
    unsigned round = 0;
    clock_gettime(CLOCK_MONOTONIC, &next);
    set_next(h, &next);
    pthread_mutex_lock(&h->lock);
    while (!h->stopping) {
        if (pthread_cond_timedwait(&h->wake, &h->lock, &next) == 0)
            continue; /* to stop, or for nothing */
        pthread_mutex_unlock(&h->lock);
        do_round(h, round++);
        pthread_mutex_lock(&h->lock);
        set_next(h, &next);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

struct housekeeping *housekeeping_create(const struct housekeeping_options *options)
{
    struct housekeeping *h = xcalloc(1, sizeof *h);
    pthread_condattr_t monotonic;
    h->with = *options;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&h->thread, NULL, work, h) != 0)
        abort(); /* at start, as when memory is gone */
    return h;
}

void housekeeping_destroy(struct housekeeping *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    struct error ignored;
    if (h->leads)
        (void)!h->with.control->kind->lease_end(h->with.control, LEASE, h->with.owner, &ignored);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
