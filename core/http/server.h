/*
 * The HTTP server: HTTP/1.1 by a strict reader of ours (docs/decisions/0001),
 * HTTP/2 and gRPC by nghttp2, TLS by OpenSSL, all on core/event loops.
 *
 *   socket ─▶ connection ─▶ on_head ─▶ body (inflated, bounded) ─▶ on_request ─▶ http_respond
 *
 * What a request must be is RFC 9110/9112: conflicting or doubled
 * Content-Length, Content-Length with chunked, bad chunk sizes, a space before
 * the colon, NUL or bare CR/LF in a header, missing or doubled Host: 400 and
 * close; unknown transfer coding 501; header over 16 KiB 431; other HTTP
 * version 505; Expect: 100-continue answered before the body, or by 413; header
 * not complete after 10 s or body below a minimum rate: 408 and close.
 *
 * A server has one or more loops, each on a thread of its own; one connection
 * stays on one loop. Handlers run on that loop's thread and must not block.
 * A handler may answer at once or keep the exchange and answer later, from any
 * thread, once.
 */
#ifndef CORE_HTTP_SERVER_H
#define CORE_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct loop;
struct http_server;
struct http_exchange; /* one request and its answer */

struct http_header {
    struct bytes name; /* as sent on HTTP/1.1, lower case on HTTP/2 */
    struct bytes value;
};

/* Borrowed: valid until the exchange is answered. */
struct http_request {
    struct bytes method;
    struct bytes path;  /* as sent, without the query */
    struct bytes query; /* after '?', as sent; empty when there is none */
    const struct http_header *headers;
    size_t header_count;
    struct bytes body; /* inflated; empty in on_head. For gRPC: the message without its frame */
    bool is_grpc;      /* application/grpc over HTTP/2 */
    bool is_tls;
    int http_major;             /* 1 or 2 */
    uint64_t connection;        /* this server's number for it, from 1, never used twice */
    const void *local_address;  /* struct socket_address of this end */
    const void *remote_address; /* ... of the peer; AF_UNIX for a socket file */
};

/* The first header with this name (any case); empty data NULL when absent. */
struct bytes http_request_header(const struct http_request *request, const char *name);

/* What on_head decides before a byte of the body is read. */
struct http_verdict {
    bool refuse;           /* true: the handler has called http_respond() with the refusal */
    size_t max_body_bytes; /* after inflating; over it the server answers 413 itself */
};

struct http_handlers {
    void *context;

    /*
     * Called when the head is complete. Fill `verdict`; to refuse, answer with
     * http_respond() and set refuse. May be NULL: then the server's max_body_bytes holds.
     */
    void (*on_head)(void *context, struct http_exchange *exchange,
                    const struct http_request *request, struct http_verdict *verdict);

    /* Called when the body is complete. The handler answers now or later, exactly once. */
    void (*on_request)(void *context, struct http_exchange *exchange,
                       const struct http_request *request);

    /*
     * Makes the body of an answer that the server gives by itself (400, 408, 413, 415,
     * 431, 501, 505, 503): for OTLP a google.rpc.Status. `request` may be partly empty.
     * `reason` is a sentence for a person. May be NULL: then plain text.
     */
    void (*make_error)(void *context, const struct http_request *request, int status,
                       const char *reason, struct buffer *body, const char **content_type);

    /*
     * Called on the loop's thread when a request's answer is about to be sent, `took_ns` after its head
     * came; `request` may be partly empty. For measuring only. May be NULL.
     */
    void (*on_answered)(void *context, const struct http_request *request, int status,
                        uint64_t took_ns);
};

/*
 * Memory for bodies, shared by any number of servers on any threads: a body counts from its first
 * byte until its request is answered. What does not fit is answered 503, but for bodies up to
 * 64 KiB, of which there can be one a connection.
 */
struct http_budget;
struct http_budget *http_budget_create(size_t max_bytes);
void http_budget_resize(struct http_budget *budget, size_t max_bytes); /* for what comes next */
void http_budget_destroy(struct http_budget *budget); /* after the last exchange; NULL is fine */

struct http_budget_state {
    size_t max_bytes, held_bytes;
    uint64_t refused_total;
};
void http_budget_read(const struct http_budget *budget, struct http_budget_state *out);

struct http_answer {
    int status;
    const char *content_type;   /* NULL: none */
    struct bytes body;          /* copied */
    const char *const *headers; /* further "name", "value" pairs, NULL-terminated; or NULL */
    bool close;                 /* close the connection after this answer */
    int grpc_status;            /* gRPC requests: the trailer; status is ignored then */
    const char *grpc_message;   /* gRPC requests: text of a failure, or NULL */
};

/* Any thread, exactly once per exchange; `answer` is copied. The exchange is gone after it. */
void http_respond(struct http_exchange *exchange, const struct http_answer *answer);

/* Shorthands for http_respond(). `text` is sent as text/plain, `json` as application/json. */
void http_respond_text(struct http_exchange *exchange, int status, const char *text);
void http_respond_json(struct http_exchange *exchange, int status, struct bytes json);

struct http_server_options {
    struct http_handlers handlers;
    size_t max_body_bytes;         /* inflated; default 64 MiB when 0 */
    struct http_budget *budget;    /* borrowed; NULL: each body by itself is bounded only */
    size_t max_connections;        /* default 1024 when 0; then the one silent longest, for a second
                                      or more, gives way, or further ones wait in the backlog */
    uint32_t header_timeout_ms;    /* default 10,000; absolute, from the first byte or accept */
    uint32_t idle_timeout_ms;      /* default 75,000; between requests on a kept-alive connection */
    uint32_t body_min_bytes_per_s; /* default 1024, judged every body_grace_ms */
    uint32_t body_grace_ms;        /* default 10,000 */
    const char *tls_cert_file;     /* PEM chain; NULL: no TLS */
    const char *tls_key_file;
};

/* Serves on `loop`; several servers may share a loop, several loops a listening socket. */
struct http_server *http_server_create(struct loop *loop, const struct http_server_options *options,
                                       struct error *err);

/*
 * Listens on "HOST:PORT", "[V6]:PORT", ":PORT" (every address) or "unix:/PATH";
 * port 0 takes a free one. `reuse_port` lets several servers share the port.
 * A socket file that nobody listens on any more is replaced. FAIL_BUSY when
 * the address is taken.
 */
MUST_USE bool http_server_listen(struct http_server *server, const char *address, bool reuse_port,
                                 struct error *err);

/* Takes over a listening socket made elsewhere (systemd, launchd). */
MUST_USE bool http_server_adopt(struct http_server *server, int listening_fd, struct error *err);

/* The port of the first listening socket. */
uint16_t http_server_port(const struct http_server *server);

/* Reads the certificate and key files again; new connections use them. Old ones stay on failure. */
MUST_USE bool http_server_reload_tls(struct http_server *server, struct error *err);

/*
 * Stops accepting, answers every request whose first byte has come, closes
 * idle connections, then calls `done` on the loop's thread; at the latest after
 * `limit_ms`.
 */
void http_server_drain(struct http_server *server, uint32_t limit_ms, void (*done)(void *context),
                       void *context);

/*
 * Frees everything; open connections are cut. Exchanges still kept by handlers
 * become inert: answering them is still due, and only frees them. On the
 * loop's thread, or when the loop does not run; not from inside a handler.
 * NULL is fine.
 */
void http_server_destroy(struct http_server *server);

struct http_server_counters {
    uint64_t connections_total, connections_open;
    uint64_t requests_total;
    uint64_t answered_total[6]; /* by status class, [4] = 4xx ...; [0] anything else */
    uint64_t bytes_in_total, bytes_out_total;
};
/* Any thread. */
void http_server_counters(const struct http_server *server, struct http_server_counters *out);

#endif
