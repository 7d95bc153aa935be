/*
 * Which requests the relay's door lets in, before a byte of the body is read:
 * the route, the method, who may ask (a web page must not: Origin and Host),
 * the content type. Pure functions of the head.
 */
#ifndef AGENT_RELAY_GATE_H
#define AGENT_RELAY_GATE_H

#include "agent/relay/relay.h"
#include "core/http/server.h"
#include "core/otlp/answer.h"

enum gate_route { GATE_OTLP, GATE_GRPC, GATE_HEALTH, GATE_METRICS, GATE_NONE };

struct gate {
    enum gate_route route;
    enum otlp_signal signal;     /* OTLP and GRPC */
    enum otlp_encoding encoding; /* of the request, and so of its answers */

    /* Set when the request is refused. */
    int status;                /* 0: let in */
    enum relay_refusal reason; /* with status */
    const char *message;       /* a sentence for a person, with the remedy */
    const char *allow;         /* 405: the methods that are; else NULL */
};

struct gate gate_look(const struct http_request *request);

/* "127.0.0.1:14318", "localhost", "[::1]:80": names that only this machine answers to. */
bool gate_host_is_loopback(struct bytes host);

/* The local token in the request; empty when there is none. */
struct bytes gate_token(const struct http_request *request);

#endif
