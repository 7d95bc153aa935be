#include "server/ingest/writer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"

enum {
    MAX_GROUP_JOBS = 256, /* in one transaction: bounds how long the first waits */
    SAVE_USED_EVERY_S = 10,
};
#define MAX_GROUP_BYTES (64 * MIB)

struct task {
    void (*run)(void *context);
    void *context;
    bool done;
    struct task *next;
};

struct writer {
    struct message_store *store;
    struct gate *gate;
    const struct clock *clock;
    struct log *log;
    size_t max_jobs, max_bytes;
    struct writer_meters *meters;
    pthread_t thread;

    pthread_mutex_t lock; /* over all below */
    pthread_cond_t work;
    pthread_cond_t task_done;
    struct writer_job *first, **last;
    struct task *tasks;
    bool stopping;
    struct writer_counters counters;
};

/* ---- Storing a group ---- */

struct group {
    struct writer_job *jobs[MAX_GROUP_JOBS];
    struct message_batch batches[MAX_GROUP_JOBS];
    struct put_result results[MAX_GROUP_JOBS];
    size_t count;
};

static bool put(struct writer *w, const struct message_batch *batches, size_t count,
                struct put_result *results, struct error *err)
{
    uint64_t begun_ns = clock_monotonic_ns(w->clock);
    bool stored = w->store->kind->put(w->store, batches, count, results, err);
    uint64_t took_ns = clock_monotonic_ns(w->clock) - begun_ns, rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += batches[i].message_count + batches[i].usage_count;
    histogram_add(&w->meters->commit_time, took_ns);
    histogram_add(&w->meters->commit_rows, rows);
    histogram_add(&w->meters->commit_requests, count);

    pthread_mutex_lock(&w->lock);
    bool changed = w->counters.failing == stored;
    w->counters.failing = !stored;
    w->counters.commit_ns += took_ns;
    if (stored)
        w->counters.commits++;
    else
        w->counters.failed_commits++;
    if (!stored)
        w->counters.last_failed_ns = begun_ns + took_ns;
    pthread_mutex_unlock(&w->lock);
    if (!stored && changed)
        log_failure(w->log, LOG_ERROR_LEVEL, "ingest", "cannot store rows", err);
    else if (changed)
        log_info(w->log, "ingest", "rows are stored again");
    return stored;
}

/* Failures that are the machine's, not one batch's: every batch would meet them. */
static bool is_the_store(const struct error *err)
{
    return err->kind == FAIL_IO || err->kind == FAIL_NO_SPACE || err->kind == FAIL_BUSY ||
           err->kind == FAIL_DENIED;
}

static void store_group(struct writer *w, struct group *g)
{
    struct error err = {0};
    uint64_t now_ns = clock_monotonic_ns(w->clock);
    for (size_t i = 0; i < g->count; i++) {
        g->batches[i] = g->jobs[i]->batch;
        histogram_add(&w->meters->wait_time, now_ns - g->jobs[i]->queued_ns);
    }
    bool stored = put(w, g->batches, g->count, g->results, &err);
    if (stored || g->count == 1 || is_the_store(&err)) {
        for (size_t i = 0; i < g->count; i++)
            g->jobs[i]->done(g->jobs[i], stored, &g->results[i], &err);
        return;
    }
    /* One of them spoils the rest: find out which. */
    for (size_t i = 0; i < g->count; i++) {
        stored = put(w, &g->batches[i], 1, &g->results[i], &err);
        g->jobs[i]->done(g->jobs[i], stored, &g->results[i], &err);
    }
}

/* ---- The thread ---- */

/* Takes what waits, up to a group. The lock is held. */
static void take_group(struct writer *w, struct group *g)
{
    size_t bytes = 0;
    g->count = 0;
    while (w->first && g->count < MAX_GROUP_JOBS && (g->count == 0 || bytes < MAX_GROUP_BYTES)) {
        struct writer_job *job = w->first;
        w->first = job->next;
        if (!w->first)
            w->last = &w->first;
        bytes += job->bytes;
        w->counters.jobs--;
        w->counters.bytes -= job->bytes;
        g->jobs[g->count++] = job;
    }
}

/* The lock is held, and released while they run. */
static void run_tasks(struct writer *w)
{
    while (w->tasks) {
        struct task *task = w->tasks;
        w->tasks = task->next;
        pthread_mutex_unlock(&w->lock);
        task->run(task->context);
        pthread_mutex_lock(&w->lock);
        task->done = true;
        pthread_cond_broadcast(&w->task_done);
    }
}

static void save_used(struct writer *w, uint64_t *next_ns)
{
    struct error err = {0};
    uint64_t now_ns = clock_monotonic_ns(w->clock);
    if (!w->gate || now_ns < *next_ns)
        return;
    *next_ns = now_ns + SAVE_USED_EVERY_S * NS_PER_S;
    if (!gate_save_used(w->gate, &err))
        log_failure(w->log, LOG_WARN_LEVEL, "ingest", "cannot note when tokens were used", &err);
}

static void *work(void *context)
{
    struct writer *w = context;
    struct group *g = xcalloc(1, sizeof *g);
    uint64_t next_save_ns = 0;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->first && !w->tasks && !w->stopping)
            pthread_cond_wait(&w->work, &w->lock);
        run_tasks(w);
        take_group(w, g);
        bool finished = g->count == 0 && w->stopping;
        pthread_mutex_unlock(&w->lock);
        if (g->count > 0)
            store_group(w, g);
        if (finished)
            break;
        save_used(w, &next_save_ns);
        pthread_mutex_lock(&w->lock);
    }
    free(g);
    return NULL;
}

struct writer *writer_create(const struct writer_options *options)
{
    struct writer *w = xcalloc(1, sizeof *w);
    w->store = options->store;
    w->gate = options->gate;
    w->clock = options->clock;
    w->log = options->log;
    w->max_jobs = options->max_jobs;
    w->max_bytes = options->max_bytes;
    w->meters = options->meters;
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->task_done, NULL);
    if (pthread_create(&w->thread, NULL, work, w) != 0)
        abort(); /* at start, as when memory is gone */
    return w;
}

void writer_destroy(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->task_done);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* The lock is held. One job is always taken, however large. */
static bool is_full(const struct writer *w, size_t more_bytes)
{
    return w->stopping || w->counters.jobs >= w->max_jobs ||
           (w->counters.jobs > 0 && w->counters.bytes + more_bytes > w->max_bytes);
}

bool writer_submit(struct writer *w, struct writer_job *job)
{
    pthread_mutex_lock(&w->lock);
    bool fits = !is_full(w, job->bytes);
    if (fits) {
        job->next = NULL;
        job->queued_ns = clock_monotonic_ns(w->clock);
        *w->last = job;
        w->last = &job->next;
        w->counters.jobs++;
        w->counters.bytes += job->bytes;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    return fits;
}

bool writer_is_full(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool full = is_full(w, 0);
    pthread_mutex_unlock(&w->lock);
    return full;
}

void writer_run(struct writer *w, void (*task)(void *context), void *context)
{
    struct task t = {.run = task, .context = context};
    pthread_mutex_lock(&w->lock);
    struct task **end = &w->tasks;
    while (*end)
        end = &(*end)->next;
    *end = &t;
    pthread_cond_signal(&w->work);
    while (!t.done)
        pthread_cond_wait(&w->task_done, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void writer_counters(struct writer *w, struct writer_counters *out)
{
    pthread_mutex_lock(&w->lock);
    *out = w->counters;
    pthread_mutex_unlock(&w->lock);
}
