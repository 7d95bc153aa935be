/*
 * The one thread that writes rows: a bounded queue of decoded requests, of
 * which everything that waits is stored in one transaction. Private to
 * server/ingest.
 */
#ifndef SERVER_INGEST_WRITER_H
#define SERVER_INGEST_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/log/log.h"
#include "core/metrics/metrics.h"
#include "server/auth/gate.h"
#include "server/store/messages.h"

struct writer;

/* One request on its way. The queue's owner embeds it; it lives until `done` is called. */
struct writer_job {
    struct message_batch batch;
    size_t bytes; /* what it holds in memory */

    /* On the writer's thread. `stored` false: nothing was, and `err` says why. */
    void (*done)(struct writer_job *job, bool stored, const struct put_result *result,
                 const struct error *err);
    struct writer_job *next;
    uint64_t queued_ns; /* monotonic; the writer's */
};

/* What the writer measures; shared, added to while others read. */
struct writer_meters {
    struct histogram commit_time, commit_rows, commit_requests, wait_time;
};

struct writer_options {
    struct message_store *store;
    struct gate *gate; /* its "last used" marks are saved between commits */
    const struct clock *clock;
    struct log *log;
    size_t max_jobs, max_bytes;
    struct writer_meters *meters; /* borrowed */
};

struct writer *writer_create(const struct writer_options *options);
void writer_destroy(struct writer *writer); /* after storing what is queued */

/* Any thread. False: the queue is full, and `done` will not be called. */
MUST_USE bool writer_submit(struct writer *writer, struct writer_job *job);

/* Whether a job would be refused now. */
bool writer_is_full(struct writer *writer);

/* Runs `task` on the writer's thread, between commits; returns when it is done. */
void writer_run(struct writer *writer, void (*task)(void *context), void *context);

struct writer_counters {
    uint64_t commits, failed_commits, commit_ns, jobs, bytes;
    bool failing;            /* the last commit failed */
    uint64_t last_failed_ns; /* monotonic; 0: never */
};
void writer_counters(struct writer *writer, struct writer_counters *out);

#endif
