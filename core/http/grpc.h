/* What gRPC puts around a message and its status (gRPC over HTTP/2). Pure. */
#ifndef CORE_HTTP_GRPC_H
#define CORE_HTTP_GRPC_H

#include "base/bytes.h"

enum { GRPC_FRAME_BYTES = 5 };

/* Whether a content type is gRPC's, and not that of gRPC-Web. */
bool grpc_is_content_type(struct bytes content_type);

/* Checks the frame of a unary body: exactly one message. The message is what follows the frame. */
MUST_USE bool grpc_read_frame(struct bytes body, bool *is_packed);

void grpc_write_frame(uint8_t out[GRPC_FRAME_BYTES], size_t message_len);

/* grpc-message is percent-encoded. False past out's ceiling. */
MUST_USE bool grpc_encode_message(const char *text, struct buffer *out);

#endif
