/*
 * Counts failures by name ("who@example.com from 10.0.0.1") within a window, to
 * slow down guessing. Fixed memory: when full, the name whose last failure is
 * oldest gives way. Any thread.
 */
#ifndef SERVER_AUTH_THROTTLE_H
#define SERVER_AUTH_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct throttle;

struct throttle *throttle_create(size_t max_names, uint64_t window_ns);
void throttle_destroy(struct throttle *throttle); /* NULL is fine */

/* Seconds until `name` may try again: 0 while it has fewer than `limit` failures in the window. */
uint32_t throttle_wait_s(struct throttle *throttle, const char *name, unsigned limit,
                         uint64_t now_ns);

void throttle_failed(struct throttle *throttle, const char *name, uint64_t now_ns);
void throttle_forgive(struct throttle *throttle, const char *name); /* after a success */

#endif
