/*
 * What a destination's answer means for the batch it answers: the table of
 * "Relay, towards destinations", one row each. Pure functions.
 */
#ifndef AGENT_RELAY_ANSWER_H
#define AGENT_RELAY_ANSWER_H

#include <stddef.h>

#include "core/http/client.h"
#include "core/otlp/answer.h"

enum answer {
    ANSWER_TAKEN,     /* 2xx; a partial success may say how many were not */
    ANSWER_LATER,     /* no connection, TLS, DNS, timeout, 407, 408, 425, 429, 5xx */
    ANSWER_AUTH,      /* 401, 403 */
    ANSWER_TOO_LARGE, /* 413 */
    ANSWER_BAD,       /* other 4xx: something in it, or the address itself, is wrong */
    ANSWER_OVERLAP,   /* 409 of our own server to a batch with ids */
    ANSWER_ODD,       /* a web page or a redirect: not an OTLP receiver at all */
};

/* `has_batch_ids`: the request carried X-Batch-*. */
enum answer answer_of(const struct http_result *result, bool has_batch_ids);

/* Fills `out` from an answer that is ANSWER_TAKEN; rejected 0 when it says nothing. */
void answer_partial_success(const struct http_result *result, struct otlp_partial_success *out);

/* One line for a person: "503 Service Unavailable text", "no TCP connection: ...". Never long. */
void answer_describe(const struct http_result *result, char *out, size_t size);

#endif
