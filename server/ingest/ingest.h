/*
 * OTLP arrives: POST /v1/{logs,metrics,traces}, the same below /api/v1/otlp, and
 * the three gRPC Export methods.
 *
 *   on_head (401 403 404 405 413 415 429 503) ─▶ decode, map ─▶ queue ─▶ writer ─put─▶ store
 *                                                 loop thread      bounded    one thread
 *
 * The answer is sent after the commit. The writer takes everything that waits
 * into one transaction, so a busy server commits few and large ones. When the
 * queue is full, or the store fails, the answer is 503 with Retry-After: 1 and
 * nothing is kept.
 *
 * Exactly once for our relay: X-Batch-Stream, X-Batch-First and X-Batch-Last
 * (all three or none). A repeat is answered 200 with X-Batch-Replayed: 1, a
 * range of which only a part is stored 409.
 */
#ifndef SERVER_INGEST_INGEST_H
#define SERVER_INGEST_INGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "core/http/server.h"
#include "core/log/log.h"
#include "server/auth/gate.h"
#include "server/store/messages.h"

struct ingest;
struct writer_meters; /* server/ingest/writer.h */

struct ingest_options {
    struct message_store *store; /* borrowed; its put is called from the writer thread only */
    struct gate *gate;           /* borrowed */
    const struct clock *clock;   /* borrowed */
    struct log *log;             /* borrowed, or NULL */
    const struct prices *prices; /* borrowed; NULL: no costs are computed */
    size_t max_request_bytes;    /* inflated; default 64 MiB when 0 */
    size_t max_queue_requests;   /* default 1,024 when 0 */
    size_t max_queue_bytes;      /* of decoded rows; default 256 MiB when 0 */
};

/* Starts the writer thread. */
struct ingest *ingest_create(const struct ingest_options *options);

/* Stores and answers what is queued, then stops the writer. NULL is fine. */
void ingest_destroy(struct ingest *ingest);

/* The path is one of ours (whatever the method). */
bool ingest_owns(struct bytes path);

/* As in struct http_handlers; `context` is the struct ingest. On any loop's thread. */
void ingest_on_head(void *context, struct http_exchange *exchange,
                    const struct http_request *request, struct http_verdict *verdict);
void ingest_on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request);
void ingest_make_error(void *context, const struct http_request *request, int status,
                       const char *reason, struct buffer *body, const char **content_type);

/* Has a commit failed since the last that succeeded? For /readyz. */
bool ingest_store_is_down(const struct ingest *ingest);

/*
 * Runs `job` on the writer thread between commits, for the store's other writers
 * (retention, erasure, rows that do not come as OTLP). Blocks until it is done.
 */
void ingest_run_on_writer(struct ingest *ingest, void (*job)(void *context), void *context);

/* Histograms: how long commits take and what they hold, how long requests wait for one. */
const struct writer_meters *ingest_meters(const struct ingest *ingest);

struct ingest_counters {
    uint64_t requests[OTLP_SIGNAL_COUNT];                          /* stored or replayed */
    uint64_t records[OTLP_SIGNAL_COUNT];                           /* in those */
    uint64_t rejected_records;                                     /* answered as partial success */
    uint64_t malformed, refused_credentials, limited, turned_away; /* 400; 401 and 403; 429; 503 */
    uint64_t replayed, overlapping;
    uint64_t rows_inserted, rows_merged, rows_repeated;
    uint64_t commits, failed_commits, commit_ns;
    uint64_t queue_requests, queue_bytes; /* now */
};
void ingest_counters(const struct ingest *ingest, struct ingest_counters *out);

#endif
