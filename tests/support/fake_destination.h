/*
 * An OTLP destination that answers as told, on a thread of its own: the real
 * HTTP server and the real decoder, with a script instead of a store. It counts
 * every log record by its mark (tests/support/make_logs.h), once per request it
 * answered with success.
 *
 * Every function may be called from the test's thread at any time.
 */
#ifndef TESTS_SUPPORT_FAKE_DESTINATION_H
#define TESTS_SUPPORT_FAKE_DESTINATION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/otlp/signal.h"

struct fake_destination;

struct fake_destination *fake_destination_create(void);
void fake_destination_destroy(struct fake_destination *f);

/* "http://127.0.0.1:PORT/v1/logs"; valid until destroy. */
const char *fake_destination_url(struct fake_destination *f, enum otlp_signal signal);

/* ---- What to answer. The first that applies. ---- */

enum { FAKE_MARKS = 20000 };

/* Takes requests and never answers, until the next call with false. */
void fake_destination_hang(struct fake_destination *f, bool hang);

/* 401 unless Authorization is exactly this. NULL: no credential needed. */
void fake_destination_want_token(struct fake_destination *f, const char *authorization);

/* This status for everything; 200 is the normal answer. `retry_after` or NULL; `body` (text/html
 * when it begins with '<') or NULL for the usual. */
void fake_destination_answer(struct fake_destination *f, int status, const char *retry_after,
                             const char *body);

/* This status for requests with more bytes than that (after inflating). 0: no limit. */
void fake_destination_limit(struct fake_destination *f, size_t bytes, int status);

/* This status for requests that hold the record with this mark; -1: none. */
void fake_destination_poison(struct fake_destination *f, int mark, int status);

/* 200, but this many records are rejected by partial success. */
void fake_destination_partial(struct fake_destination *f, int rejected);

/* Keeps X-Batch-* as our own server does: repeats are answered with X-Batch-Replayed, partial
 * overlaps with 409, and only new intervals count. */
void fake_destination_be_own_server(struct fake_destination *f);

/* Stops listening and cuts connections; listens again on the same port. */
void fake_destination_down(struct fake_destination *f);
void fake_destination_up(struct fake_destination *f);

/* ---- What was seen ---- */

/* Waits until `records` marked records in all were taken (each copy counts). False after 20 s. */
bool fake_destination_wait_records(struct fake_destination *f, unsigned records);
/* Waits until so many requests of any outcome came. */
bool fake_destination_wait_requests(struct fake_destination *f, unsigned requests);

unsigned fake_destination_records(struct fake_destination *f);  /* copies taken */
unsigned fake_destination_requests(struct fake_destination *f); /* of any outcome */
unsigned fake_destination_copies(struct fake_destination *f, unsigned mark);
/* Copies of marks first..first+count-1 are all exactly one. */
bool fake_destination_has_each_once(struct fake_destination *f, unsigned first, unsigned count);

/* The value of a resource attribute in the request that last held this mark; "" when absent. */
void fake_destination_attribute(struct fake_destination *f, unsigned mark, const char *key,
                                char *out, size_t size);
/* A header of the last request; "" when absent. */
void fake_destination_header(struct fake_destination *f, const char *name, char *out, size_t size);

/* When request number i (from 0, at most 1023) came: monotonic milliseconds. */
uint64_t fake_destination_request_ms(struct fake_destination *f, unsigned i);

#endif
