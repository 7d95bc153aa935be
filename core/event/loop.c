#include "core/event/loop.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "platform/socket.h"

struct call {
    loop_callback *callback;
    void *context;
};

struct calls {
    struct call *items;
    size_t count;
    size_t capacity;
};

struct signal_watch {
    struct event *event;
    loop_callback *callback;
    void *context;
    struct signal_watch *next;
};

struct loop {
    struct event_base *base;
    int wake_read, wake_write;
    struct event *wake;
    atomic_bool stopping;

    pthread_mutex_t mutex; /* guards `posted` only */
    struct calls posted;

    struct calls running; /* posted calls being made; kept to reuse its memory */
    struct calls after;   /* what waits for the end of this wake-up */
    struct calls ending;  /* the same, being made */
    struct signal_watch *signals;
    uint64_t now_ms; /* 0: not asked yet in this wake-up */
    bool in_wakeup;
};

/* A watch is two events, so that pausing one direction is one system call and leaves the other. */
struct loop_watch {
    int fd;
    unsigned events;
    struct event *readable, *writable;
    loop_fd_callback *callback;
    void *context;
};

struct loop_timer {
    struct event *event;
    loop_callback *callback;
    void *context;
};

static void calls_add(struct calls *calls, loop_callback *callback, void *context)
{
    if (calls->count == calls->capacity) {
        calls->capacity = calls->capacity > 0 ? calls->capacity * 2 : 16;
        calls->items = xrealloc(calls->items, calls->capacity * sizeof *calls->items);
    }
    calls->items[calls->count++] = (struct call){callback, context};
}

/* Calls what `from` held at the start; what is added meanwhile stays for the next time. */
static void calls_make(struct calls *from, struct calls *scratch, pthread_mutex_t *mutex)
{
    if (mutex)
        pthread_mutex_lock(mutex);
    struct calls taken = *from;
    *from = *scratch;
    if (mutex)
        pthread_mutex_unlock(mutex);

    for (size_t i = 0; i < taken.count; i++)
        taken.items[i].callback(taken.items[i].context);

    taken.count = 0;
    *scratch = taken;
}

static void wake_up(struct loop *loop)
{
    /* Full means that a wake-up is on its way already. */
    (void)!socket_write(loop->wake_write, "", 1);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct loop *loop = context;
    char drained[64];
    while (socket_read((int)fd, drained, sizeof drained) == (ptrdiff_t)sizeof drained)
        ;
    calls_make(&loop->posted, &loop->running, &loop->mutex);
}

static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    /* The coarse clock that is libevent's default moves in steps of 4 ms. */
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

struct loop *loop_create(struct error *err)
{
    socket_start();
    struct loop *loop = xcalloc(1, sizeof *loop);
    pthread_mutex_init(&loop->mutex, NULL);
    loop->wake_read = loop->wake_write = -1;

    loop->base = make_base();
    int pair[2];
    if (!loop->base) {
        error_set(err, FAIL_IO, "cannot make an event loop");
        goto failed;
    }
    if (!socket_pair(pair, err))
        goto failed;
    loop->wake_read = pair[0];
    loop->wake_write = pair[1];
    loop->wake = event_new(loop->base, loop->wake_read, EV_READ | EV_PERSIST, on_wake, loop);
    if (!loop->wake || event_add(loop->wake, NULL) != 0) {
        error_set(err, FAIL_IO, "cannot watch the wake-up socket of an event loop");
        goto failed;
    }
    return loop;

failed:
    loop_destroy(loop);
    return NULL;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    /* Posted calls own what they were given: making them is what frees it. */
    while (loop->posted.count > 0 || loop->after.count > 0) {
        calls_make(&loop->posted, &loop->running, &loop->mutex);
        calls_make(&loop->after, &loop->ending, NULL);
    }
    while (loop->signals) {
        struct signal_watch *signal = loop->signals;
        loop->signals = signal->next;
        event_free(signal->event);
        free(signal);
    }
    if (loop->wake)
        event_free(loop->wake);
    if (loop->wake_read >= 0)
        socket_close(loop->wake_read);
    if (loop->wake_write >= 0)
        socket_close(loop->wake_write);
    if (loop->base)
        event_base_free(loop->base);
    pthread_mutex_destroy(&loop->mutex);
    free(loop->posted.items);
    free(loop->running.items);
    free(loop->after.items);
    free(loop->ending.items);
    free(loop);
}

void loop_run(struct loop *loop)
{
    while (!atomic_load(&loop->stopping)) {
        /* A call left for "after" by an "after" call must not wait for the next event. */
        int flags = loop->after.count > 0 ? EVLOOP_NONBLOCK : EVLOOP_ONCE;
        loop->in_wakeup = true;
        loop->now_ms = 0;
        event_base_loop(loop->base, flags);
        calls_make(&loop->after, &loop->ending, NULL);
        loop->in_wakeup = false;
    }
    atomic_store(&loop->stopping, false);
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    wake_up(loop);
}

void loop_post(struct loop *loop, loop_callback *callback, void *context)
{
    pthread_mutex_lock(&loop->mutex);
    bool first = loop->posted.count == 0;
    calls_add(&loop->posted, callback, context);
    pthread_mutex_unlock(&loop->mutex);
    if (first)
        wake_up(loop);
}

void loop_after_wakeup(struct loop *loop, loop_callback *callback, void *context)
{
    calls_add(&loop->after, callback, context);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct loop_watch *watch = context;
    watch->callback(watch->context, (int)fd, LOOP_READABLE);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct loop_watch *watch = context;
    watch->callback(watch->context, (int)fd, LOOP_WRITABLE);
}

struct loop_watch *loop_watch_add(struct loop *loop, int fd, unsigned events,
                                  loop_fd_callback *callback, void *context)
{
    struct loop_watch *watch = xcalloc(1, sizeof *watch);
    watch->fd = fd;
    watch->callback = callback;
    watch->context = context;
    watch->readable = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_readable, watch);
    watch->writable = event_new(loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, watch);
    assert(watch->readable && watch->writable);
    loop_watch_change(watch, events);
    return watch;
}

static void toggle(struct event *event, bool was, bool is)
{
    if (is && !was)
        event_add(event, NULL);
    else if (was && !is)
        event_del(event);
}

void loop_watch_change(struct loop_watch *watch, unsigned events)
{
    toggle(watch->readable, watch->events & LOOP_READABLE, events & LOOP_READABLE);
    toggle(watch->writable, watch->events & LOOP_WRITABLE, events & LOOP_WRITABLE);
    watch->events = events;
}

void loop_watch_remove(struct loop_watch *watch)
{
    if (!watch)
        return;
    event_free(watch->readable);
    event_free(watch->writable);
    free(watch);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct loop_timer *timer = context;
    timer->callback(timer->context);
}

struct loop_timer *loop_timer_create(struct loop *loop, loop_callback *callback, void *context)
{
    struct loop_timer *timer = xcalloc(1, sizeof *timer);
    timer->callback = callback;
    timer->context = context;
    timer->event = evtimer_new(loop->base, on_timer, timer);
    assert(timer->event);
    return timer;
}

void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms)
{
    struct timeval delay = {0}; /* whose members are of other types on every system */
    delay.tv_sec += (int)(delay_ms / 1000);
    delay.tv_usec += (int)(delay_ms % 1000 * 1000);
    event_add(timer->event, &delay);
}

void loop_timer_cancel(struct loop_timer *timer)
{
    event_del(timer->event);
}

void loop_timer_destroy(struct loop_timer *timer)
{
    if (!timer)
        return;
    event_free(timer->event);
    free(timer);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    (void)number;
    (void)what;
    struct signal_watch *signal = context;
    signal->callback(signal->context);
}

bool loop_on_signal(struct loop *loop, int signal_number, loop_callback *callback, void *context,
                    struct error *err)
{
    struct signal_watch *signal = xcalloc(1, sizeof *signal);
    signal->callback = callback;
    signal->context = context;
    signal->event = evsignal_new(loop->base, signal_number, on_signal, signal);
    if (!signal->event || event_add(signal->event, NULL) != 0) {
        if (signal->event)
            event_free(signal->event);
        free(signal);
        return error_set(err, FAIL_IO, "cannot catch signal %d", signal_number);
    }
    signal->next = loop->signals;
    loop->signals = signal;
    return true;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    if (loop->in_wakeup && loop->now_ms > 0)
        return loop->now_ms;
    uint64_t now_ms = clock_monotonic_ns(&platform_clock) / NS_PER_MS;
    ((struct loop *)loop)->now_ms = now_ms; /* a cache, not a change anyone can see */
    return now_ms;
}
