/*
 * The receiving side: OTLP over HTTP/1.1, HTTP/2 and gRPC on loopback, each
 * request durable in the spool before it is answered with 200.
 *
 *   on_request: check, stamp, append ─┐
 *   on_request: check, stamp, append ─┼─▶ end of the wake-up: one commit ─▶ all answers
 *   on_request: check, stamp, append ─┘
 *
 * Belongs to its loop's thread, which is the spool's one writer; receive_state() is for any.
 */
#ifndef AGENT_RELAY_RECEIVE_H
#define AGENT_RELAY_RECEIVE_H

#include "agent/relay/relay.h"

struct http_budget;
struct log;
struct loop;
struct receive;

/* Appends the text of GET /metrics. Called on the receiver's thread. */
typedef void receive_metrics(void *context, struct buffer *out);

/*
 * Binds the sockets. Borrows loop, spool, clock, log and `bodies`, the memory of all bodies at a
 * time, which it sizes and which must outlive the loop; copies options. NULL on failure.
 */
struct receive *receive_create(const struct relay_options *options, struct loop *loop,
                               struct spool *spool, struct http_budget *bodies,
                               const struct clock *clock, struct log *log, receive_metrics *metrics,
                               void *metrics_context, struct error *err);
void receive_destroy(struct receive *r); /* NULL is fine */

uint16_t receive_port(const struct receive *r);
uint16_t receive_grpc_port(const struct receive *r); /* 0 without a further address */

/* Takes over stamps, privacy keys and token policy. On the loop's thread, or before it runs. */
void receive_configure(struct receive *r, const struct relay_options *options);

/* Stops accepting and answers what has come; then calls `done` on the loop's thread. */
void receive_drain(struct receive *r, uint32_t limit_ms, void (*done)(void *context),
                   void *context);

/* Any thread. Fills in what the receiver knows. */
void receive_state(struct receive *r, struct relay_state *out);

#endif
