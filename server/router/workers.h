/*
 * A few threads for work that may block or take long: queries, logins, pages.
 * The queue is bounded; what does not fit is refused at once.
 */
#ifndef SERVER_ROUTER_WORKERS_H
#define SERVER_ROUTER_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct workers;

struct workers *workers_create(unsigned threads, size_t max_waiting);

/* Finishes what is queued, then stops the threads. NULL is fine. */
void workers_destroy(struct workers *workers);

/* Any thread. False: the queue is full, and `run` will not be called. */
MUST_USE bool workers_submit(struct workers *workers, void (*run)(void *context), void *context);

#endif
