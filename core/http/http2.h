/* Requests of HTTP/2 and gRPC on a connection. http2.c is the only file that includes nghttp2. */
#ifndef CORE_HTTP_HTTP2_H
#define CORE_HTTP_HTTP2_H

#include "core/http/internal.h"

/* Moves the connection to CONNECTION_HTTP2; the preface is still to come in http2_take(). */
void http2_start(struct connection *connection);
void http2_destroy(struct http2 *http2); /* NULL is fine */

void http2_take(struct connection *connection, struct bytes *input);

/* Puts what there is to send, within reason. False when there was nothing. */
bool http2_pump(struct connection *connection);
void http2_answer(struct http_exchange *exchange);
void http2_timeout(struct connection *connection);
void http2_drain(struct connection *connection); /* no new requests; ends after the last answer */

#endif
