/* What destination.c, window.c, send.c and outcome.c share. Include nowhere else. */
#ifndef AGENT_RELAY_DESTINATION_INTERNAL_H
#define AGENT_RELAY_DESTINATION_INTERNAL_H

#include <pthread.h>

#include "agent/relay/backoff.h"
#include "agent/relay/batch.h"
#include "agent/relay/destination.h"
#include "agent/relay/people.h"
#include "agent/relay/set_aside.h"
#include "agent/relay/tracker.h"

struct http_transfer;
struct http_result;
struct loop_timer;

/* One request under way. */
struct sending {
    struct sending *next;
    struct destination *destination;
    struct batch *batch;
    struct http_transfer *transfer;
    struct buffer packed; /* gzip of the body; empty when sent plain */
    uint64_t serial;      /* requests of this destination are numbered in order of start */
    uint64_t started_ms;
};

struct destination {
    const struct destination_context *context; /* borrowed */
    struct relay_destination_options options;  /* owned */
    size_t gzip_limit;                         /* larger bodies are sent plain */
    bool stopping;                             /* flush was asked for: */
    uint64_t last_wanted;                      /* what came later is left to the next process */
    unsigned concurrency;
    size_t batch_bytes;

    /* Reading. */
    struct spool_cursor *cursor;
    struct tracker tracker;
    struct people people;
    uint64_t covered[OTLP_SIGNAL_COUNT]; /* the last sequence that an interval covers */
    bool drained;                        /* the last window took all there was */
    uint64_t last_window_ms;
    uint64_t next_window_ms; /* 0, or when the paced window is due */

    /* Batches: waiting, in the order to send, and under way. */
    struct batch *ready;
    struct sending *sending;
    unsigned sending_count;
    size_t target_bytes; /* batch_bytes, or less after a 413 */
    uint64_t target_until_ms;

    /* State. */
    enum relay_destination_status status;
    struct backoff backoff;
    uint64_t not_before_ms; /* while not OK: the next probe */
    uint64_t last_failure_ms;
    uint64_t next_credential_check_ms;
    unsigned waiting_person; /* whose credential was refused */
    bool empty_probe_sent;   /* the last probe was an empty request */
    unsigned refused_since_taken;
    char refusal[240];     /* the last 400 or 413, for people */
    uint64_t serial;       /* of the last request started */
    uint64_t taken_serial; /* newest request that was taken */
    uint64_t taken_signal_serial[OTLP_SIGNAL_COUNT];
    struct set_aside *set_aside;
    struct loop_timer *timer;

    pthread_mutex_t lock; /* guards `shown` */
    struct relay_destination_state shown;
    uint64_t shown_probe_ns; /* monotonic; 0: none is due */
};

uint64_t destination_now_ms(const struct destination *d);

/* The ready list. */
void ready_push_front(struct destination *d, struct batch *batch);
void ready_push_back(struct destination *d, struct batch *batch);
void ready_take(struct destination *d, struct batch *batch); /* unlinks it */

/* Whether more bodies may be held in memory. */
bool window_has_room(const struct destination *d);

/* Reads the next records into ready batches; false when nothing could be added. */
bool window_fill(struct destination *d, uint64_t now_ms);

/* Starts the request for `batch`, which it takes over. False when it could not be (state set). */
bool send_batch(struct destination *d, struct batch *batch, uint64_t now_ms);

/* The answer to a request. Takes over the batch. */
void outcome_of(struct destination *d, const struct sending *sent,
                const struct http_result *result);

/* Ends a batch: its records are delivered or accounted for. Frees it. */
void destination_finish_batch(struct destination *d, struct batch *batch);

/* The one place where the state changes. `why` is a line without secrets, "" with RELAY_OK. */
void destination_set_status(struct destination *d, enum relay_destination_status status,
                            const char *why);

/* As above for trouble: also the pause before the next probe, at least `least_ms`. */
void destination_fail(struct destination *d, enum relay_destination_status status, const char *why,
                      uint64_t started_ms, uint64_t least_ms);

#endif
