#include "server/auth/throttle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

enum { NAME_BYTES = 320 };

struct record {
    char name[NAME_BYTES]; /* "" is free */
    unsigned failures;
    uint64_t first_ns, last_ns; /* of this window */
};

struct throttle {
    uint64_t window_ns;
    pthread_mutex_t lock; /* over all below */
    struct record *records;
    size_t count;
};

struct throttle *throttle_create(size_t max_names, uint64_t window_ns)
{
    struct throttle *t = xcalloc(1, sizeof *t);
    t->window_ns = window_ns;
    t->records = xcalloc(max_names, sizeof *t->records);
    t->count = max_names;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void throttle_destroy(struct throttle *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t->records);
    free(t);
}

/* The record of `name`, or NULL. The lock is held. */
static struct record *find(struct throttle *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strncmp(t->records[i].name, name, NAME_BYTES - 1) == 0 && t->records[i].name[0])
            return &t->records[i];
    return NULL;
}

uint32_t throttle_wait_s(struct throttle *t, const char *name, unsigned limit, uint64_t now_ns)
{
    uint32_t wait_s = 0;
    pthread_mutex_lock(&t->lock);
    const struct record *r = find(t, name);
    uint64_t end_ns = r ? r->first_ns + t->window_ns : 0;
    if (r && r->failures >= limit && now_ns < end_ns)
        wait_s = (uint32_t)((end_ns - now_ns + NS_PER_S - 1) / NS_PER_S);
    pthread_mutex_unlock(&t->lock);
    return wait_s;
}

void throttle_failed(struct throttle *t, const char *name, uint64_t now_ns)
{
    pthread_mutex_lock(&t->lock);
    struct record *r = find(t, name);
    if (!r) {
        r = &t->records[0];
        for (size_t i = 1; i < t->count && r->name[0]; i++)
            if (!t->records[i].name[0] || t->records[i].last_ns < r->last_ns)
                r = &t->records[i];
        *r = (struct record){.first_ns = now_ns};
        snprintf(r->name, sizeof r->name, "%s", name);
    } else if (now_ns >= r->first_ns + t->window_ns) {
        r->failures = 0;
        r->first_ns = now_ns;
    }
    r->failures++;
    r->last_ns = now_ns;
    pthread_mutex_unlock(&t->lock);
}

void throttle_forgive(struct throttle *t, const char *name)
{
    pthread_mutex_lock(&t->lock);
    struct record *r = find(t, name);
    if (r)
        r->name[0] = '\0';
    pthread_mutex_unlock(&t->lock);
}
