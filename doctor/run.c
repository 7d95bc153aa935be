#include "doctor/run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

static const struct check_family *const families[] = {
    &settings_checks,    &environment_checks, &transport_checks, &claude_checks,
    &agent_checks,       &relay_checks,       &receiver_checks,  &spool_checks,
    &destination_checks, &machine_checks,     &delivery_checks,
};

/* What the threads and the caller share; the last one to leave frees it. */
struct board {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    clockid_t clock; /* what waiting goes by */
    size_t done;
    size_t holders;
};

struct job {
    struct board *board;
    const struct scene *scene;
    const struct check *check;
    struct check_target target;
    pthread_t thread;
    bool has_thread;
    char id[CHECK_ID_BYTES];
    bool is_done, is_late; /* under the lock */
    struct finding finding;
    uint64_t duration_ms;
};

struct job_list {
    struct job **jobs;
    size_t count;
};

void run_each_check(void (*visit)(void *context, const struct check *check), void *context)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (size_t c = 0; c < families[i]->count; c++)
            visit(context, &families[i]->checks[c]);
}

/* ---- Which ---- */

static bool picks(const char *word, size_t len, const char *id)
{
    return strncmp(id, word, len) == 0 && (id[len] == '\0' || id[len] == '.');
}

static bool is_picked(const char *only, const char *id)
{
    for (const char *at = only; at && *at;) {
        size_t len = strcspn(at, RUN_ID_SEPARATORS);
        if (len > 0 && picks(at, len, id))
            return true;
        at += len + (at[len] != '\0');
    }
    return !only;
}

static void add_job(struct job_list *list, const struct scene *scene, const struct check *check,
                    const struct check_target *target)
{
    struct job *job = xcalloc(1, sizeof *job);
    const char *star = strchr(check->id, '*');
    job->scene = scene;
    job->check = check;
    job->target = *target;
    if (star)
        snprintf(job->id, sizeof job->id, "%.*s%s%s", (int)(star - check->id), check->id,
                 target->name, star + 1);
    else
        snprintf(job->id, sizeof job->id, "%s", check->id);
    list->jobs = xrealloc(list->jobs, (list->count + 1) * sizeof *list->jobs);
    list->jobs[list->count++] = job;
}

static void add_checks(struct job_list *list, const struct scene *scene)
{
    const struct config *values = scene->config ? scene->config->values : NULL;
    size_t destinations = values ? config_section_count(values, "destinations") : 0;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        bool each = families[i]->count > 0 && strchr(families[i]->checks[0].id, '*');
        for (size_t d = 0; d < (each ? destinations : 1); d++) {
            struct check_target target = {0};
            if (each) {
                target.index = d;
                target.destination = config_section_at(values, "destinations", d);
                target.name = config_text(target.destination, "name");
            }
            for (size_t c = 0; c < families[i]->count; c++)
                add_job(list, scene, &families[i]->checks[c], &target);
        }
    }
}

/* Leaves the picked ones. False when a word picks nothing. */
static bool pick(struct job_list *list, const char *only, char unknown[CHECK_ID_BYTES])
{
    for (const char *at = only; at && *at;) {
        size_t len = strcspn(at, RUN_ID_SEPARATORS);
        bool any = len == 0;
        for (size_t i = 0; i < list->count && !any; i++)
            any = picks(at, len, list->jobs[i]->id);
        if (!any) {
            snprintf(unknown, CHECK_ID_BYTES, "%.*s", (int)len, at);
            return false;
        }
        at += len + (at[len] != '\0');
    }
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (is_picked(only, list->jobs[i]->id))
            list->jobs[kept++] = list->jobs[i];
        else
            free(list->jobs[i]);
    }
    list->count = kept;
    return true;
}

/* ---- Running ---- */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

/* Under the lock; unlocks. */
static void leave(struct board *board)
{
    bool last = --board->holders == 0;
    pthread_mutex_unlock(&board->lock);
    if (!last)
        return;
    pthread_cond_destroy(&board->changed);
    pthread_mutex_destroy(&board->lock);
    free(board);
}

static void *work(void *context)
{
    struct job *job = context;
    struct board *board = job->board;
    uint64_t start = now_ms();
    job->check->run(job->scene, &job->target, &job->finding);
    job->duration_ms = now_ms() - start;
    pthread_mutex_lock(&board->lock);
    if (job->is_late)
        free(job); /* the caller has gone on without it */
    else {
        job->is_done = true;
        board->done++;
        pthread_cond_signal(&board->changed);
    }
    leave(board);
    return NULL;
}

static void start(struct job *job, struct board *board)
{
    job->board = board;
    pthread_mutex_lock(&board->lock);
    board->holders++;
    pthread_mutex_unlock(&board->lock);
    job->has_thread = pthread_create(&job->thread, NULL, work, job) == 0;
    if (!job->has_thread)
        work(job); /* no thread to be had: then one after the other */
}

static void await(struct board *board, size_t count, uint32_t limit_ms, run_progress *progress,
                  void *context)
{
    struct timespec until;
    clock_gettime(board->clock, &until);
    until.tv_sec += limit_ms / 1000;
    until.tv_nsec += (long)(limit_ms % 1000) * (long)NS_PER_MS;
    if (until.tv_nsec >= (long)NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= (long)NS_PER_S;
    }
    int timed_out = 0;
    while (board->done < count && !timed_out) {
        timed_out = pthread_cond_timedwait(&board->changed, &board->lock, &until);
        if (progress)
            progress(context, board->done, count);
    }
}

/* Under the lock: takes over what is done, and leaves the threads of the rest to themselves. */
static void collect(struct job_list *list, uint32_t limit_ms, struct run *out)
{
    for (size_t i = 0; i < list->count; i++) {
        struct job *job = list->jobs[i];
        struct run_result *result = &out->results[i];
        memcpy(result->id, job->id, sizeof result->id);
        result->check = job->check;
        if (job->is_done) {
            result->finding = job->finding;
            result->duration_ms = job->duration_ms;
        } else {
            job->is_late = true;
            pthread_detach(job->thread);
            list->jobs[i] = NULL;
            out->is_complete = false;
            result->duration_ms = limit_ms;
            finding_add(&result->finding, CHECK_SKIP, NULL, "not answered within %u s",
                        limit_ms / 1000);
        }
    }
}

/* What libraries keep for a thread is gone once it has been joined. */
static void finish(struct job_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->jobs[i] && list->jobs[i]->has_thread)
            pthread_join(list->jobs[i]->thread, NULL);
        free(list->jobs[i]);
    }
    free(list->jobs);
}

/* A clock that nobody sets, where the system lets waiting go by it. */
static void init_condition(struct board *board)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    board->clock = CLOCK_REALTIME;
#if defined(_POSIX_CLOCK_SELECTION) && _POSIX_CLOCK_SELECTION > 0
    if (pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0)
        board->clock = CLOCK_MONOTONIC;
#endif
    pthread_cond_init(&board->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool run_checks(const struct scene *scene, const char *only, run_progress *progress, void *context,
                uint32_t limit_ms, struct run *out, char unknown[CHECK_ID_BYTES])
{
    struct job_list list = {0};
    *out = (struct run){.is_complete = true};
    add_checks(&list, scene);
    if (!pick(&list, only, unknown)) {
        for (size_t i = 0; i < list.count; i++)
            free(list.jobs[i]);
        free(list.jobs);
        return false;
    }
    struct board *board = xcalloc(1, sizeof *board);
    pthread_mutex_init(&board->lock, NULL);
    init_condition(board);
    board->holders = 1;
    out->count = list.count;
    out->results = xcalloc(list.count + 1, sizeof *out->results);
    for (size_t i = 0; i < list.count; i++)
        start(list.jobs[i], board);
    pthread_mutex_lock(&board->lock);
    await(board, list.count, limit_ms, progress, context);
    collect(&list, limit_ms, out);
    leave(board);
    finish(&list);
    return true;
}

void run_clear(struct run *run)
{
    free(run->results);
    *run = (struct run){0};
}

size_t run_count(const struct run *run, enum check_status status)
{
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++)
        count += run->results[i].finding.status == status;
    return count;
}
