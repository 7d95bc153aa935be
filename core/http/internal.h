/*
 * What the server's own files share. Nobody else includes this.
 *
 *   server.c      options, counters, draining, listening sockets
 *   connection.c  one socket: its states, deadlines, reading and writing
 *   http1.c       requests of HTTP/1 on a connection
 *   http2.c       requests of HTTP/2 and gRPC on a connection
 *   exchange.c    one request and its answer, whatever the protocol
 *   tls.c         OpenSSL
 */
#ifndef CORE_HTTP_INTERNAL_H
#define CORE_HTTP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/event/loop.h"
#include "core/http/date.h"
#include "core/http/http1_chunks.h"
#include "core/http/http1_head.h"
#include "core/http/server.h"
#include "platform/socket.h"

struct connection;
struct http2;
struct tls;
struct tls_context;

enum {
    READ_BYTES = 128 * 1024,      /* one buffer per server: only one connection reads at a time */
    BODY_STEP_BYTES = 64 * 1024,  /* a claimed length is believed this far ahead */
    DISCARD_BYTES = 64 * 1024,    /* of a refused body, read to keep the connection */
    OUT_PAUSE_BYTES = 256 * 1024, /* no further pipelined request while this much waits */
    LINGER_MS = 30000,            /* how long a refused client may go on sending */
    LINGER_SILENCE_MS = 5000,
    WRITE_STALL_MS = 30000,
};

/* Outlives the server while exchanges are kept: how an answer from another thread finds home. */
struct server_link {
    pthread_mutex_t mutex;
    struct loop *loop; /* NULL once the server is destroyed */
    atomic_uint references;
};

struct answer {
    int status;
    bool close;
    char *content_type;    /* or NULL */
    struct buffer headers; /* name NUL value NUL, again and again */
    struct buffer body;
    int grpc_status;
    char *grpc_message; /* or NULL */
};

struct http_exchange {
    struct http_request request;
    struct connection *connection; /* NULL when it is gone: the answer goes nowhere */
    struct http2_stream *stream;   /* HTTP/2 only */
    struct server_link *link;
    pthread_t thread; /* the loop's */
    bool handed_over; /* on_request has it: it lives until it is answered */
    bool in_handler;  /* an answer given now waits until the handler returns */
    bool answered;    /* by the handler, on whatever thread */
    bool ready;       /* the loop's thread has the answer; only that thread looks here */
    size_t max_body_bytes;
    struct buffer body;
    struct http_budget *budget; /* NULL: none; outlives the server, as the exchange may */
    size_t charged;             /* of the body, to the budget */
    uint64_t begun_ns;          /* monotonic */
    struct answer answer;
    struct socket_address local, remote;
    uint8_t *head; /* what request's views point into */
};

/* --- exchange.c --- */

void server_link_drop(struct server_link *link); /* the last one frees it */

/* Copies the head. The views of `parts` may point anywhere; the exchange's point into itself. */
struct http_exchange *exchange_create(struct connection *connection,
                                      const struct http_request *parts);
void exchange_destroy(struct http_exchange *exchange); /* only when answered, or never handed out */

/*
 * Lets the handler judge the head, then checks encoding and length. False when
 * the request is refused: then the answer is set.
 */
bool exchange_begin(struct http_exchange *exchange, bool has_length, uint64_t content_length);

/* The body is complete: inflates it and hands the request over; the answer may be set after it. */
void exchange_complete(struct http_exchange *exchange);

/* Replaces a gzip body by what it holds; false, and an answer set, when that cannot be done. */
bool exchange_inflate(struct http_exchange *exchange);

/* Its answer goes out now: counts and measures it. */
void exchange_note_answer(struct http_exchange *exchange);

/* Why a body is refused that the budget does not cover. */
#define BUDGET_REASON "the server receives too much at once; try again in a second"

/*
 * Brings what the body holds now to account. False when the budget does not cover it: the body
 * is dropped then, and the caller answers 503. --- budget.c ---
 */
bool exchange_charge(struct http_exchange *exchange);
void exchange_drop_body(struct http_exchange *exchange);

/* Sets an answer of the server's own. */
void exchange_fail(struct http_exchange *exchange, int status, const char *reason, bool close);

/* --- connection.c --- */

enum connection_state {
    CONNECTION_HANDSHAKE, /* TLS */
    CONNECTION_HEAD,      /* between requests, or in the middle of a head */
    CONNECTION_BODY,
    CONNECTION_DISCARD, /* reading past a refused body */
    CONNECTION_WAIT,    /* the handler has the request */
    CONNECTION_HTTP2,
    CONNECTION_LINGER, /* answered for the last time; the client may still be sending */
    CONNECTION_CLOSED, /* to be freed when its callback ends */
};

struct connection {
    struct http_server *server;
    struct connection *next, *previous;
    int fd;
    struct loop_watch *watch;
    unsigned watched;
    struct loop_timer *timer;
    uint64_t timer_at_ms;    /* 0: not set */
    uint64_t deadline_ms;    /* UINT64_MAX: none */
    uint64_t quiet_since_ms; /* between requests, or since nothing ever came */
    uint64_t linger_until_ms;
    struct tls *tls;     /* NULL on cleartext */
    struct http2 *http2; /* NULL on HTTP/1 */
    enum connection_state state;
    bool resume;      /* the timer is to go on with input that is here already */
    bool is_busy;     /* in a callback of its own, which ends by settling */
    bool peer_ended;  /* nothing more will come */
    bool has_shut;    /* our side is shut down */
    bool write_stuck; /* the socket took no more */
    bool has_more;    /* input came while none was wanted: not watched until it is */
    bool served_any;  /* a request line has been seen: no longer a fresh connection */
    struct buffer in; /* read and not used yet: part of a head, pipelined requests */
    struct buffer out;
    size_t out_sent;

    /* HTTP/1 */
    struct http1_scan scan;
    struct http_exchange *exchange;
    struct http1_chunks chunks;
    bool head_started; /* its first byte has come */
    bool is_chunked, keep_alive, expects_continue;
    int minor;             /* of the request at hand: HTTP/1.minor */
    uint64_t body_left;    /* of a body with a length */
    size_t discard_left;   /* of the allowance for a refused body */
    uint64_t window_bytes; /* of the body, since the deadline was set */

    struct socket_address local, remote;
    uint64_t number; /* of this server's connections */
};

void connection_create(struct http_server *server, int fd, const struct socket_address *remote);
void connection_cut(struct connection *connection); /* at once, for http_server_destroy() */
void connection_drain(struct connection *connection);

/* Whether there is nothing of a request on it. */
bool connection_is_idle(const struct connection *connection);

void connection_set_deadline(struct connection *connection, uint64_t delay_ms);
void connection_no_deadline(struct connection *connection);

/* Appends to what is to be sent. What exceeds the ceiling closes the connection. */
void connection_put(struct connection *connection, struct bytes data);

/* Sends what waits, then stops sending and lets the client finish. */
void connection_finish(struct connection *connection);

/* An exchange of this connection got its answer outside of a handler. */
void connection_answer(struct http_exchange *exchange);

/* What is put but not sent yet. */
size_t connection_unsent(const struct connection *connection);

/* --- http1.c --- */

/* Takes what it can from the front of `input`; may move the connection to another state. */
void http1_take(struct connection *connection, struct bytes *input);

/* Where the body at hand may be read to without a copy, and how much; NULL when it may not. */
uint8_t *http1_body_room(struct connection *connection, size_t *room);
void http1_body_read(struct connection *connection, size_t count); /* that much came there */
void http1_answer(struct connection *connection);  /* the exchange at hand is answered */
void http1_timeout(struct connection *connection); /* the deadline passed in HEAD or BODY */
void http1_await_head(struct connection *connection);

/* --- server.c --- */

enum counter {
    COUNT_CONNECTIONS,
    COUNT_OPEN,
    COUNT_REQUESTS,
    COUNT_BYTES_IN,
    COUNT_BYTES_OUT,
    COUNT_ANSWERED, /* and the five classes of status after it */
    COUNTERS = COUNT_ANSWERED + 6,
};

struct listener {
    struct http_server *server;
    int fd;
    struct loop_watch *watch;
    char *unix_path; /* removed at the end; NULL for TCP */
    bool is_adopted; /* whoever opened it keeps it open */
    struct listener *next;
};

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct server_link *link;
    struct tls_context *tls; /* NULL on cleartext */
    struct listener *listeners;
    struct loop_timer *accept_timer; /* tries again when there was no room */
    bool accept_paused;
    struct connection *connections;
    struct connection *next_to_drain; /* while going through them */
    size_t open_count;
    uint64_t accepted_count;
    char *cert_file, *key_file;
    uint8_t *read_buffer;
    uint64_t date_s;
    char date[HTTP_DATE_BYTES];
    atomic_uint_least64_t counters[COUNTERS];

    bool draining, drained;
    struct loop_timer *drain_timer;
    void (*drain_done)(void *context);
    void *drain_context;
};

void server_count(struct http_server *server, enum counter counter, uint64_t amount);
void server_count_answer(struct http_server *server, int status);
const char *server_date(struct http_server *server);
void server_forget(struct http_server *server, struct connection *connection); /* it has closed */

#endif
