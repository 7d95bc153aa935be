#include "tests/support/fake_destination.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/memory.h"
#include "core/event/loop.h"
#include "core/http/server.h"
#include "core/otlp/answer.h"
#include "core/otlp/otlp.h"
#include "platform/platform.h"

enum { WAIT_S = 20, HELD = 64, TIMES = 1024, INTERVALS = 4096, REQUEST_CEILING = 64 * 1024 * 1024 };

struct interval {
    char stream[40];
    enum otlp_signal signal;
    uint64_t first, last;
};

struct fake_destination {
    struct loop *loop;
    struct http_server *server;
    pthread_t thread;
    uint16_t port;
    char url[OTLP_SIGNAL_COUNT][64];

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hang;
    struct http_exchange *held[HELD];
    size_t held_count;
    char token[128];
    int status;
    char retry_after[64];
    char body[256];
    size_t limit;
    int limit_status;
    int poison_mark, poison_status;
    int partial;
    bool own_server;
    struct interval intervals[INTERVALS];
    size_t interval_count;

    unsigned records, requests;
    uint8_t copies[FAKE_MARKS];
    uint64_t times[TIMES];
    struct buffer last_body;
    char last_headers[8192];
    bool acted;
};

/* ---- Deciding ---- */

struct marks {
    struct fake_destination *f;
    bool poisoned;
    bool count;
    unsigned found;
};

static bool see_log(void *context, const struct otlp_log *log)
{
    struct marks *m = context;
    struct otlp_value value;
    if (!otlp_attributes_find(log->attributes, "mark", &value) || value.bytes.len < 2)
        return true;
    char text[32] = {0};
    memcpy(text, value.bytes.data, value.bytes.len < 31 ? value.bytes.len : 31);
    unsigned mark = (unsigned)strtoul(text + 1, NULL, 10);
    ck_assert_uint_lt(mark, FAKE_MARKS);
    m->found++;
    if ((int)mark == m->f->poison_mark)
        m->poisoned = true;
    if (m->count) {
        m->f->copies[mark]++;
        m->f->records++;
    }
    return true;
}

static struct marks walk(struct fake_destination *f, struct bytes body, bool count)
{
    struct marks marks = {.f = f, .count = count};
    struct error err;
    ck_assert_msg(otlp_walk_logs(body, see_log, &marks, &err), "%s", err.cause);
    return marks;
}

static uint64_t header_number(const struct http_request *request, const char *name)
{
    struct bytes value = http_request_header(request, name);
    char text[32] = {0};
    memcpy(text, value.data ? (const char *)value.data : "", value.len < 31 ? value.len : 0);
    return strtoull(text, NULL, 10);
}

/* 200 stored, 208 (our sign) repeated, 409 partly there. */
static int place_interval(struct fake_destination *f, const struct http_request *request,
                          enum otlp_signal signal)
{
    struct interval new = {.signal = signal,
                           .first = header_number(request, "x-batch-first"),
                           .last = header_number(request, "x-batch-last")};
    struct bytes stream = http_request_header(request, "x-batch-stream");
    if (stream.len == 0)
        return 200;
    ck_assert_uint_lt(stream.len, sizeof new.stream);
    ck_assert_uint_gt(new.first, 0);
    ck_assert_uint_le(new.first, new.last);
    memcpy(new.stream, stream.data, stream.len);
    uint64_t covered = 0;
    for (size_t i = 0; i < f->interval_count; i++) {
        const struct interval *old = &f->intervals[i];
        if (old->signal != signal || strcmp(old->stream, new.stream) != 0)
            continue;
        uint64_t first = old->first > new.first ? old->first : new.first;
        uint64_t last = old->last < new.last ? old->last : new.last;
        if (first <= last)
            covered += last - first + 1;
    }
    if (covered == new.last - new.first + 1)
        return 208;
    if (covered > 0)
        return 409;
    ck_assert_uint_lt(f->interval_count, INTERVALS);
    f->intervals[f->interval_count++] = new;
    return 200;
}

static void respond(struct fake_destination *f, struct http_exchange *exchange, int status,
                    enum otlp_signal signal)
{
    struct buffer body = {.max_bytes = 4096};
    const char *headers[] = {NULL, NULL, NULL};
    const char *type = OTLP_PROTOBUF_TYPE;
    if (status == 208) {
        headers[0] = "X-Batch-Replayed";
        headers[1] = "1";
        status = 200;
    } else if (status != 200 && f->retry_after[0]) {
        headers[0] = "Retry-After";
        headers[1] = f->retry_after;
    }
    if (f->body[0]) {
        type = f->body[0] == '<' ? "text/html" : type;
        ck_assert(buffer_append_text(&body, f->body));
    } else if (status == 200) {
        ck_assert(otlp_put_response(signal, OTLP_PROTOBUF, f->partial,
                                    f->partial ? "too old" : NULL, &body));
    } else {
        ck_assert(otlp_put_status(OTLP_PROTOBUF, status, "as scripted", &body));
    }
    http_respond(exchange, &(struct http_answer){.status = status,
                                                 .content_type = type,
                                                 .body = buffer_bytes(&body),
                                                 .headers = headers});
    buffer_clear(&body);
}

static int decide(struct fake_destination *f, const struct http_request *request,
                  enum otlp_signal signal, bool is_logs)
{
    if (f->token[0] && !bytes_equal_text(http_request_header(request, "authorization"), f->token))
        return 401;
    if (f->status != 200 || f->body[0])
        return f->status;
    if (f->limit && request->body.len > f->limit)
        return f->limit_status;
    if (is_logs && f->poison_mark >= 0 && walk(f, request->body, false).poisoned)
        return f->poison_status;
    return f->own_server ? place_interval(f, request, signal) : 200;
}

static void remember(struct fake_destination *f, const struct http_request *request)
{
    if (f->requests < TIMES)
        f->times[f->requests] = clock_monotonic_ns(&platform_clock) / NS_PER_MS;
    f->requests++;
    buffer_reset(&f->last_body);
    ck_assert(buffer_append(&f->last_body, request->body));
    size_t at = 0;
    f->last_headers[0] = '\0';
    for (size_t i = 0; i < request->header_count && at < sizeof f->last_headers; i++)
        at += (size_t)snprintf(f->last_headers + at, sizeof f->last_headers - at, "%.*s: %.*s\n",
                               (int)request->headers[i].name.len,
                               (const char *)request->headers[i].name.data,
                               (int)request->headers[i].value.len,
                               (const char *)request->headers[i].value.data);
}

static void on_request(void *context, struct http_exchange *exchange,
                       const struct http_request *request)
{
    struct fake_destination *f = context;
    enum otlp_signal signal = OTLP_LOGS;
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        if (bytes_equal_text(request->path, otlp_signal_path((enum otlp_signal)s)))
            signal = (enum otlp_signal)s;
    pthread_mutex_lock(&f->lock);
    remember(f, request);
    if (f->hang && f->held_count < HELD) {
        f->held[f->held_count++] = exchange;
    } else {
        int status = decide(f, request, signal, signal == OTLP_LOGS);
        if (status == 200 && !f->body[0] && signal == OTLP_LOGS)
            walk(f, request->body, true);
        respond(f, exchange, status, signal);
    }
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

/* ---- Lifecycle ---- */

static void listen_here(void *context)
{
    struct fake_destination *f = context;
    struct error err;
    char address[32];
    struct http_server_options options = {.handlers = {.context = f, .on_request = on_request},
                                          .max_body_bytes = REQUEST_CEILING};
    f->server = http_server_create(f->loop, &options, &err);
    ck_assert_msg(f->server != NULL, "%s", err.cause);
    snprintf(address, sizeof address, "127.0.0.1:%u", f->port);
    ck_assert_msg(http_server_listen(f->server, address, false, &err), "%s", err.cause);
    f->port = http_server_port(f->server);
    pthread_mutex_lock(&f->lock);
    f->acted = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void close_here(void *context)
{
    struct fake_destination *f = context;
    http_server_destroy(f->server);
    f->server = NULL;
    pthread_mutex_lock(&f->lock);
    f->acted = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void do_there(struct fake_destination *f, void (*what)(void *context))
{
    pthread_mutex_lock(&f->lock);
    f->acted = false;
    loop_post(f->loop, what, f);
    while (!f->acted)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

static void *run(void *context)
{
    struct fake_destination *f = context;
    loop_run(f->loop);
    return NULL;
}

struct fake_destination *fake_destination_create(void)
{
    struct fake_destination *f = xcalloc(1, sizeof *f);
    struct error err;
    f->status = 200;
    f->poison_mark = -1;
    f->last_body.max_bytes = REQUEST_CEILING;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    f->loop = loop_create(&err);
    ck_assert_msg(f->loop != NULL, "%s", err.cause);
    listen_here(f);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        snprintf(f->url[s], sizeof f->url[s], "http://127.0.0.1:%u%s", f->port,
                 otlp_signal_path((enum otlp_signal)s));
    ck_assert_int_eq(pthread_create(&f->thread, NULL, run, f), 0);
    return f;
}

void fake_destination_destroy(struct fake_destination *f)
{
    if (!f)
        return;
    fake_destination_hang(f, false);
    loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    if (f->server)
        http_server_destroy(f->server);
    loop_destroy(f->loop);
    buffer_clear(&f->last_body);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

const char *fake_destination_url(struct fake_destination *f, enum otlp_signal signal)
{
    return f->url[signal];
}

void fake_destination_down(struct fake_destination *f)
{
    do_there(f, close_here);
}

void fake_destination_up(struct fake_destination *f)
{
    do_there(f, listen_here);
}

/* ---- Script ---- */

void fake_destination_hang(struct fake_destination *f, bool hang)
{
    pthread_mutex_lock(&f->lock);
    f->hang = hang;
    for (size_t i = 0; !hang && i < f->held_count; i++)
        respond(f, f->held[i], 503, OTLP_LOGS);
    f->held_count = hang ? f->held_count : 0;
    pthread_mutex_unlock(&f->lock);
}

void fake_destination_want_token(struct fake_destination *f, const char *authorization)
{
    pthread_mutex_lock(&f->lock);
    snprintf(f->token, sizeof f->token, "%s", authorization ? authorization : "");
    pthread_mutex_unlock(&f->lock);
}

void fake_destination_answer(struct fake_destination *f, int status, const char *retry_after,
                             const char *body)
{
    pthread_mutex_lock(&f->lock);
    f->status = status;
    snprintf(f->retry_after, sizeof f->retry_after, "%s", retry_after ? retry_after : "");
    snprintf(f->body, sizeof f->body, "%s", body ? body : "");
    pthread_mutex_unlock(&f->lock);
}

void fake_destination_limit(struct fake_destination *f, size_t bytes, int status)
{
    pthread_mutex_lock(&f->lock);
    f->limit = bytes;
    f->limit_status = status;
    pthread_mutex_unlock(&f->lock);
}

void fake_destination_poison(struct fake_destination *f, int mark, int status)
{
    pthread_mutex_lock(&f->lock);
    f->poison_mark = mark;
    f->poison_status = status;
    pthread_mutex_unlock(&f->lock);
}

void fake_destination_partial(struct fake_destination *f, int rejected)
{
    pthread_mutex_lock(&f->lock);
    f->partial = rejected;
    pthread_mutex_unlock(&f->lock);
}

void fake_destination_be_own_server(struct fake_destination *f)
{
    pthread_mutex_lock(&f->lock);
    f->own_server = true;
    pthread_mutex_unlock(&f->lock);
}

/* ---- Seen ---- */

static bool wait_for(struct fake_destination *f, const unsigned *count, unsigned least)
{
    /* Not by clock_gettime(): Check's library brings one for Windows that tells no time. */
    uint64_t until_ns = clock_wall_ns(&platform_clock) + WAIT_S * NS_PER_S;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};
    pthread_mutex_lock(&f->lock);
    int failure = 0;
    while (*count < least && failure == 0)
        failure = pthread_cond_timedwait(&f->changed, &f->lock, &until);
    bool reached = *count >= least;
    pthread_mutex_unlock(&f->lock);
    return reached;
}

bool fake_destination_wait_records(struct fake_destination *f, unsigned records)
{
    return wait_for(f, &f->records, records);
}

bool fake_destination_wait_requests(struct fake_destination *f, unsigned requests)
{
    return wait_for(f, &f->requests, requests);
}

unsigned fake_destination_records(struct fake_destination *f)
{
    pthread_mutex_lock(&f->lock);
    unsigned count = f->records;
    pthread_mutex_unlock(&f->lock);
    return count;
}

unsigned fake_destination_requests(struct fake_destination *f)
{
    pthread_mutex_lock(&f->lock);
    unsigned count = f->requests;
    pthread_mutex_unlock(&f->lock);
    return count;
}

unsigned fake_destination_copies(struct fake_destination *f, unsigned mark)
{
    pthread_mutex_lock(&f->lock);
    unsigned count = f->copies[mark];
    pthread_mutex_unlock(&f->lock);
    return count;
}

bool fake_destination_has_each_once(struct fake_destination *f, unsigned first, unsigned count)
{
    pthread_mutex_lock(&f->lock);
    bool once = true;
    for (unsigned i = 0; once && i < count; i++)
        once = f->copies[first + i] == 1;
    pthread_mutex_unlock(&f->lock);
    return once;
}

struct wanted {
    unsigned mark;
    const char *key;
    char *out;
    size_t size;
};

static bool look_for(void *context, const struct otlp_log *log)
{
    struct wanted *w = context;
    struct otlp_value mark, value;
    char text[32];
    snprintf(text, sizeof text, "M%u", w->mark);
    if (otlp_attributes_find(log->attributes, "mark", &mark) &&
        bytes_equal_text(mark.bytes, text) && otlp_attributes_find(log->resource, w->key, &value))
        snprintf(w->out, w->size, "%.*s", (int)value.bytes.len, (const char *)value.bytes.data);
    return true;
}

void fake_destination_attribute(struct fake_destination *f, unsigned mark, const char *key,
                                char *out, size_t size)
{
    struct wanted w = {.mark = mark, .key = key, .out = out, .size = size};
    struct error err;
    out[0] = '\0';
    pthread_mutex_lock(&f->lock);
    ck_assert_msg(otlp_walk_logs(buffer_bytes(&f->last_body), look_for, &w, &err), "%s", err.cause);
    pthread_mutex_unlock(&f->lock);
}

void fake_destination_header(struct fake_destination *f, const char *name, char *out, size_t size)
{
    char start[128];
    snprintf(start, sizeof start, "%s: ", name);
    out[0] = '\0';
    pthread_mutex_lock(&f->lock);
    for (char *line = f->last_headers; line && *line;) {
        if (strncasecmp(line, start, strlen(start)) == 0) {
            size_t len = strcspn(line + strlen(start), "\n");
            snprintf(out, size, "%.*s", (int)len, line + strlen(start));
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    pthread_mutex_unlock(&f->lock);
}

uint64_t fake_destination_request_ms(struct fake_destination *f, unsigned i)
{
    pthread_mutex_lock(&f->lock);
    uint64_t ms = f->times[i];
    pthread_mutex_unlock(&f->lock);
    return ms;
}
