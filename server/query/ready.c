#include "server/query/ready.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

enum { MIN_FREE_MIB = 32 };
#define HOLDS_NS (5 * NS_PER_S)
#define PATIENCE_NS (15 * NS_PER_S) /* for a caller that asks already */

struct ready {
    struct ready_options with;
    pthread_mutex_t lock; /* over all below */
    bool asking;
    uint64_t asked_ns, answered_ns; /* monotonic; 0: never */
    bool good;
    char why[READY_WHY_BYTES];
};

struct ready *ready_create(const struct ready_options *options)
{
    struct ready *r = xcalloc(1, sizeof *r);
    r->with = *options;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void ready_destroy(struct ready *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static bool has_room(struct ready *r, struct error *err)
{
    uint64_t free_bytes;
    struct error unknown = {0};
    if (!r->with.fs->free_bytes(r->with.fs->disk, r->with.data, &free_bytes, &unknown) ||
        free_bytes / MIB >= MIN_FREE_MIB)
        return true;
    error_set(err, FAIL_NO_SPACE, "the disk of '%.200s' has %" PRIu64 " MiB left", r->with.data,
              free_bytes / MIB);
    return error_remedy(err, "free space there, or shorten retention");
}

static bool write_control(struct ready *r, struct error *err)
{
    return r->with.control->kind->value_put(r->with.control, "ready.probe", bytes_of("1"), err) ||
           error_wrap(err, "control state cannot be written");
}

struct probe {
    struct message_store *messages;
    bool good;
    struct error *err;
};

static void write_rows(void *context)
{
    struct probe *p = context;
    p->good = p->messages->kind->probe(p->messages, p->err) ||
              error_wrap(p->err, "rows cannot be stored");
}

/* Asks the stores; the lock is not held. */
static bool ask(struct ready *r, char why[READY_WHY_BYTES])
{
    struct error err = {0};
    struct probe probe = {.messages = r->with.messages, .err = &err};
    bool good = has_room(r, &err) && write_control(r, &err);
    if (good) {
        ingest_run_on_writer(r->with.ingest, write_rows, &probe);
        good = probe.good;
    }
    if (!good)
        snprintf(why, READY_WHY_BYTES, "%.300s%s%.180s", err.cause, err.remedy[0] ? "\nfix: " : "",
                 err.remedy);
    return good;
}

bool ready_check(struct ready *r, char why[READY_WHY_BYTES])
{
    uint64_t now_ns = clock_monotonic_ns(r->with.clock);
    pthread_mutex_lock(&r->lock);
    bool holds = r->answered_ns > 0 && now_ns < r->answered_ns + HOLDS_NS;
    bool stuck = r->asking && now_ns > r->asked_ns + PATIENCE_NS;
    bool mine = !r->asking && !holds;
    if (mine) {
        r->asking = true;
        r->asked_ns = now_ns;
    }
    bool good = r->good && !stuck;
    snprintf(why, READY_WHY_BYTES, "%s",
             stuck            ? "the stores have not answered for a while"
             : r->answered_ns ? r->why
                              : "not asked yet");
    pthread_mutex_unlock(&r->lock);
    if (!mine)
        return good;

    good = ask(r, why);
    pthread_mutex_lock(&r->lock);
    r->asking = false;
    r->answered_ns = clock_monotonic_ns(r->with.clock);
    r->good = good;
    snprintf(r->why, sizeof r->why, "%s", good ? "" : why);
    pthread_mutex_unlock(&r->lock);
    return good;
}
