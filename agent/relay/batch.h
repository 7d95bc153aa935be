/*
 * What is sent in one request: records of one signal (and of one person where
 * the destination tells them apart), concatenated. Concatenated
 * Export…ServiceRequests are one valid request (protobuf merges repeated fields).
 *
 * The first and last sequence cover an interval that begins right behind the
 * signal's previous record, so that the intervals of one signal tile the stream
 * and the server's bookkeeping stays one range.
 */
#ifndef AGENT_RELAY_BATCH_H
#define AGENT_RELAY_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/otlp/signal.h"

struct batch_record {
    uint64_t sequence;
    uint64_t covers_from; /* the interval of this record is covers_from..sequence */
    uint64_t received_ns;
    size_t end; /* of its bytes in the body; they begin where the one before ends */
    uint32_t item_count;
    unsigned person; /* the destination's index of whose it is */
};

struct batch {
    struct batch *next; /* the owner's list */
    enum otlp_signal signal;
    unsigned person; /* grouped by person: whose; else 0 */
    struct buffer body;
    struct batch_record *records; /* in order of sequence */
    size_t record_count, record_capacity;
    bool is_piece; /* part of a single record, cut by otlp_split_request(): it has no batch ids,
                      repeats are caught by the server's record keys instead */

    /* The destination's notes. */
    unsigned failures;      /* answers that asked to come later */
    unsigned strikes;       /* such, while other batches were taken in between */
    uint64_t failure_mark;  /* batches taken when it last failed */
    uint64_t not_before_ms; /* monotonic; own pause */
    bool refused;           /* a single record that was answered 400 or 413 ... */
    uint64_t refused_mark;  /* ... when this many of its signal had been taken */
    bool is_probe_only;     /* an empty request that asks whether anything is taken */
    uint64_t set_aside_id;  /* came from the set-aside store; 0: from the queue */
    bool sent_as_probe;     /* went out while the destination was in trouble */
    bool has_ids;           /* went out with X-Batch-* */
};

struct batch *batch_create(enum otlp_signal signal, unsigned person, size_t max_bytes);
void batch_destroy(struct batch *batch); /* NULL is fine */

/*
 * Says that body's bytes since the last record are `record` (its `end` is set
 * here). The caller has appended them to batch->body.
 */
void batch_close_record(struct batch *batch, struct batch_record record);

uint64_t batch_first(const struct batch *batch);
uint64_t batch_last(const struct batch *batch);
uint64_t batch_items(const struct batch *batch);

/* The bytes of record i. Borrowed. */
struct bytes batch_payload(const struct batch *batch, size_t i);

/* Moves the records from index `at` on to a new batch, which takes over the notes. 0 < at < count.
 */
struct batch *batch_split(struct batch *batch, size_t at);

/* Cuts a batch of one record with several items in two pieces. NULL when it cannot be cut. */
struct batch *batch_cut_inside(struct batch *batch, struct error *err);

#endif
