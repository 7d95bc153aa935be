/*
 * The HTTP client: libcurl's multi interface driven by a core/event loop
 * (core/http/client.c is the only file that includes curl), and a blocking
 * call for tools. HTTP/1.1 and HTTP/2, kept-alive connections, TLS always
 * verified, proxies as in curl (HTTPS_PROXY, NO_PROXY), else as the system's
 * settings say (platform/proxy.h), except that loopback is never proxied.
 */
#ifndef CORE_HTTP_CLIENT_H
#define CORE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct http_certificate; /* core/http/certificate.h */
struct loop;
struct http_client;
struct http_transfer; /* one request under way */
struct http_line;     /* connections kept from one blocking call to the next */

/* Where a failed transfer stopped, so that a person can be told the broken stage. */
enum http_stage {
    HTTP_STAGE_DONE,    /* an answer came, whatever its status */
    HTTP_STAGE_RESOLVE, /* the name was not found */
    HTTP_STAGE_CONNECT, /* no TCP connection, or the proxy refused */
    HTTP_STAGE_TLS,     /* handshake or certificate */
    HTTP_STAGE_SEND,    /* connection lost, or no answer in time */
};

struct http_call {
    const char *method; /* "POST" */
    const char *url;
    const char *const *headers; /* "Name: value" lines, NULL-terminated, copied; or NULL */
    struct bytes body;          /* borrowed until the transfer ends */
    const char *ca_file;        /* PEM of a private CA besides the system's (which CURL_CA_BUNDLE,
                                  * SSL_CERT_FILE and SSL_CERT_DIR name, as for curl); or NULL */
    const char *proxy; /* NULL: from the environment, as curl does, or the system; "": none */
    struct http_certificate *certificate; /* filled with what a TLS peer shows; or NULL */
    bool is_grpc;                /* HTTP/2 from the first byte; trailers count among the headers */
    uint32_t timeout_ms;         /* whole transfer; default 30,000 when 0 */
    uint32_t connect_timeout_ms; /* default 10,000 when 0 */
    size_t max_answer_bytes;     /* default 4 MiB when 0; more is a failure */

    struct http_line
        *line; /* for http_client_perform: goes over it; NULL: a connection of its own */

    /* For http_client_perform: asked about once a second, true ends the transfer. NULL: never. */
    bool (*cancelled)(void *context);
    void *cancel_context;
};

struct http_result {
    enum http_stage stage;
    int status;           /* 0 unless stage is HTTP_STAGE_DONE */
    struct bytes body;    /* inflated; borrowed for the callback */
    struct bytes headers; /* raw header lines, borrowed for the callback */
    const char *error;    /* one line when stage is not DONE, else "" */
    uint64_t duration_ms;
    uint64_t answer_ms; /* the part of it after the connection was made */
};

/* The value of the first answer header `name`; empty when absent. Borrowed from `result`. */
struct bytes http_result_header(const struct http_result *result, const char *name);

/*
 * Milliseconds to wait by the answer's Retry-After (seconds or HTTP-date,
 * RFC 9110 section 10.2.3), counted from `wall_ns`. False when there is none or it is malformed.
 */
bool http_result_retry_after_ms(const struct http_result *result, uint64_t wall_ns,
                                uint64_t *wait_ms);

typedef void http_done(void *context, const struct http_result *result);

struct http_client *http_client_create(struct loop *loop, struct error *err);

/* Cuts what is under way, without callbacks. Not from inside `done`. NULL is fine. */
void http_client_destroy(struct http_client *client);

/* Starts a transfer; `done` is called once, on the loop's thread, never from inside this call. */
struct http_transfer *http_client_start(struct http_client *client, const struct http_call *call,
                                        http_done *done, void *context);

/* Ends a transfer without calling `done`; not for the one whose `done` is running. */
void http_client_cancel(struct http_transfer *transfer);

/*
 * Blocks. `body` receives the answer's body; `result->body`, `->headers` and
 * `->error` point into the two buffers. A ceiling of 0 is set to the default.
 */
void http_client_perform(const struct http_call *call, struct http_result *result,
                         struct buffer *body, struct buffer *headers);

/* For blocking calls one after the other, from one thread at a time. Destroy accepts NULL. */
struct http_line *http_line_create(void);
void http_line_destroy(struct http_line *line);

/* gzip (RFC 1952) of `plain` appended to `out` at level 1..9; false past out's ceiling. */
MUST_USE bool http_gzip(struct bytes plain, int level, struct buffer *out);

/* Inflates a gzip body into `out`. FAIL_TOO_LARGE past out's ceiling, FAIL_CORRUPT when damaged or
 * cut off. */
MUST_USE bool http_gunzip(struct bytes packed, struct buffer *out, struct error *err);

#endif
