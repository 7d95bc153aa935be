/*
 * One thread's event loop: file descriptors, timers, signals, and calls posted
 * from other threads. Wraps libevent's event core (core/event/loop.c is the
 * only file that includes it), so that it can be replaced in one place.
 *
 * Everything but loop_post() and loop_stop() belongs to the loop's own thread
 * (or to any one thread before loop_run()).
 */
#ifndef CORE_EVENT_LOOP_H
#define CORE_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct loop;
struct loop_watch;
struct loop_timer;

enum loop_events { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };

typedef void loop_fd_callback(void *context, int fd, unsigned events);
typedef void loop_callback(void *context);

/* Also makes the process ignore SIGPIPE, unless it handles it. */
struct loop *loop_create(struct error *err);

/* Makes the calls still posted, then frees. Watches and timers must be gone. NULL is fine. */
void loop_destroy(struct loop *loop);

/* Runs until loop_stop(). May be run again. */
void loop_run(struct loop *loop);

/* Any thread. The loop ends after the callbacks at hand. */
void loop_stop(struct loop *loop);

/* Any thread. Calls `callback` on the loop's thread, in the order posted. */
void loop_post(struct loop *loop, loop_callback *callback, void *context);

/*
 * Calls `callback` once after the callbacks of this wake-up have all run: the
 * place for work that one wake-up's events share, such as one fdatasync.
 */
void loop_after_wakeup(struct loop *loop, loop_callback *callback, void *context);

/* Level-triggered. The caller removes the watch before it closes the descriptor. */
struct loop_watch *loop_watch_add(struct loop *loop, int fd, unsigned events,
                                  loop_fd_callback *callback, void *context);
void loop_watch_change(struct loop_watch *watch, unsigned events); /* 0 pauses */
void loop_watch_remove(struct loop_watch *watch);                  /* NULL is fine */

/* A timer that is not set never fires. */
struct loop_timer *loop_timer_create(struct loop *loop, loop_callback *callback, void *context);
void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms); /* once; replaces the last */
void loop_timer_cancel(struct loop_timer *timer);
void loop_timer_destroy(struct loop_timer *timer); /* NULL is fine */

/* Calls back on the loop's thread when the process gets `signal_number`. For the program's main
 * loop. */
MUST_USE bool loop_on_signal(struct loop *loop, int signal_number, loop_callback *callback,
                             void *context, struct error *err);

/* Monotonic milliseconds; the same all through one wake-up. */
uint64_t loop_now_ms(const struct loop *loop);

#endif
