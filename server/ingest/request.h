/* What an OTLP request's head says: private to server/ingest. Pure. */
#ifndef SERVER_INGEST_REQUEST_H
#define SERVER_INGEST_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/http/server.h"
#include "core/otlp/answer.h"
#include "core/otlp/signal.h"

/* By path: /v1/logs, /api/v1/otlp/v1/logs, the gRPC method. False: not one of ours. */
bool request_signal_of_path(struct bytes path, enum otlp_signal *out);

/* The token in Authorization: Bearer or X-Span-Token; empty when there is neither. */
struct bytes request_credential(const struct http_request *request);

/* The encoding of answers: the request's, protobuf when it names none of the two. */
enum otlp_encoding request_encoding(const struct http_request *request);

enum { REQUEST_STREAM_BYTES = 37 };

struct batch_range {
    char stream[REQUEST_STREAM_BYTES]; /* lower-case UUID; "": the request does not say */
    uint64_t first, last;
};
/* X-Batch-Stream, -First and -Last: all or none, a UUID and first <= last. Else FAIL_INVALID. */
MUST_USE bool request_batch_range(const struct http_request *request, struct batch_range *out,
                                  struct error *err);

#endif
