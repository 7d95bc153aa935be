#include "server/router/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "platform/platform.h"

struct work {
    void (*run)(void *context);
    void *context;
};

struct workers {
    pthread_t *threads;
    unsigned thread_count;

    pthread_mutex_t lock; /* over all below */
    pthread_cond_t more;
    struct work *ring;
    size_t capacity, first, count;
    bool stopping;
};

static void *serve(void *context)
{
    struct workers *w = context;
    platform_thread_step_back(); /* a heavy question must not keep telemetry from coming in */
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->count == 0 && !w->stopping)
            pthread_cond_wait(&w->more, &w->lock);
        if (w->count == 0)
            break;
        struct work work = w->ring[w->first];
        w->first = (w->first + 1) % w->capacity;
        w->count--;
        pthread_mutex_unlock(&w->lock);
        work.run(work.context);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct workers *workers_create(unsigned threads, size_t max_waiting)
{
    struct workers *w = xcalloc(1, sizeof *w);
    w->capacity = max_waiting;
    w->ring = xcalloc(max_waiting, sizeof *w->ring);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    w->threads = xcalloc(threads, sizeof *w->threads);
    for (; w->thread_count < threads; w->thread_count++)
        if (pthread_create(&w->threads[w->thread_count], NULL, serve, w) != 0)
            abort(); /* at start, as when memory is gone */
    return w;
}

void workers_destroy(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->thread_count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    free(w->threads);
    free(w->ring);
    free(w);
}

bool workers_submit(struct workers *w, void (*run)(void *context), void *context)
{
    pthread_mutex_lock(&w->lock);
    bool fits = w->count < w->capacity && !w->stopping;
    if (fits) {
        w->ring[(w->first + w->count) % w->capacity] = (struct work){run, context};
        w->count++;
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    return fits;
}
