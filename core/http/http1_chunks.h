/*
 * Decodes a chunked body (RFC 9112 section 7.1) as it arrives. Extensions and
 * trailers are tolerated, bounded, and dropped. Pure: no I/O, no memory.
 */
#ifndef CORE_HTTP_HTTP1_CHUNKS_H
#define CORE_HTTP_HTTP1_CHUNKS_H

#include "base/bytes.h"

enum { HTTP1_CHUNKS_OVERHEAD_BYTES = 16 * 1024 }; /* extensions and trailers of one body */

/* All-zero is the start of a body. */
struct http1_chunks {
    int state;
    unsigned digits;
    uint64_t left; /* of the chunk at hand */
    size_t overhead;
};

enum http1_chunks_result {
    HTTP1_CHUNKS_MORE, /* the input is used up */
    HTTP1_CHUNKS_DATA, /* `data` is a piece of the body, borrowed from the input */
    HTTP1_CHUNKS_DONE, /* the body and its trailers are complete; `input` is what follows */
    HTTP1_CHUNKS_BAD,
};

/* Takes from the front of `input`. Call until it returns something else than DATA. */
enum http1_chunks_result http1_chunks_next(struct http1_chunks *chunks, struct bytes *input,
                                           struct bytes *data);

#endif
