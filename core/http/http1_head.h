/*
 * Reads the head of an HTTP/1 request (RFC 9112), strictly: what two programs
 * could understand differently is refused. Pure: no I/O, no memory of its own.
 *
 *   http1_scan() as bytes arrive ─▶ the head's length ─▶ http1_head_parse()
 */
#ifndef CORE_HTTP_HTTP1_HEAD_H
#define CORE_HTTP_HTTP1_HEAD_H

#include "core/http/server.h"

enum {
    HTTP1_HEAD_BYTES = 16 * 1024, /* more is refused with 431 */
    HTTP1_HEADERS = 100,
};

/* How far the search for the end of the head has come. All-zero starts a search. */
struct http1_scan {
    size_t start; /* empty lines before the request line are skipped */
    size_t line;  /* where the current line starts */
    size_t at;    /* what lies before it has been looked at */
};

enum http1_scan_result {
    HTTP1_SCAN_MORE,      /* not complete yet */
    HTTP1_SCAN_DONE,      /* the head is input[scan.start .. scan.at) */
    HTTP1_SCAN_BAD,       /* can never become a head: 400 */
    HTTP1_SCAN_TOO_LARGE, /* 431 */
};

/* `input` starts where it started before; only its length may have grown. */
enum http1_scan_result http1_scan(struct http1_scan *scan, struct bytes input);

struct http1_head {
    struct bytes method, path, query; /* borrowed from the input, as are the headers */
    struct http_header headers[HTTP1_HEADERS];
    size_t header_count;
    int minor; /* HTTP/1.minor: 0 or 1 */
    bool is_chunked;
    bool has_length;
    uint64_t content_length; /* 0 without has_length; UINT64_MAX when it does not fit */
    bool keep_alive;
    bool expects_continue;
};

/*
 * Parses a whole head as http1_scan() delimited it. Returns 0, or the status to
 * refuse with and a sentence in `reason`; `head` then holds what was read before.
 */
int http1_head_parse(struct bytes input, struct http1_head *head, const char **reason);

#endif
