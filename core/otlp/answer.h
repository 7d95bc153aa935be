/*
 * What an OTLP receiver says: Export…ServiceResponse and google.rpc.Status, in
 * protobuf or JSON, and reading the responses of others.
 */
#ifndef CORE_OTLP_ANSWER_H
#define CORE_OTLP_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "core/otlp/signal.h"

enum otlp_encoding { OTLP_PROTOBUF, OTLP_JSON };

#define OTLP_PROTOBUF_TYPE "application/x-protobuf"
#define OTLP_JSON_TYPE "application/json"

/* By Content-Type, parameters ignored. False: neither (415). */
bool otlp_encoding_of(struct bytes content_type, enum otlp_encoding *out);
const char *otlp_content_type(enum otlp_encoding encoding);

/* Appends a response; rejected 0 with message NULL is full success. `message` is UTF-8. */
MUST_USE bool otlp_put_response(enum otlp_signal signal, enum otlp_encoding encoding,
                                int64_t rejected, const char *message, struct buffer *out);

/* Appends a google.rpc.Status {code, message}; the code follows from the HTTP status. */
MUST_USE bool otlp_put_status(enum otlp_encoding encoding, int http_status, const char *message,
                              struct buffer *out);

/* google.rpc / gRPC code for an HTTP status: 400 INVALID_ARGUMENT(3), 401 UNAUTHENTICATED(16) ...
 */
int otlp_grpc_code(int http_status);

struct otlp_partial_success {
    int64_t rejected;     /* 0: full success */
    struct bytes message; /* borrowed from the answer; JSON: raw, still escaped */
};
/* Reads a 200's body. Anything that is not an OTLP response counts as full success with rejected 0
 * and returns false, so that the caller can note the odd answer. */
bool otlp_read_response(enum otlp_encoding encoding, struct bytes body,
                        struct otlp_partial_success *out);

/* Reads the message of a google.rpc.Status, for logs; empty when it is none. */
struct bytes otlp_read_status_message(enum otlp_encoding encoding, struct bytes body);

#endif
