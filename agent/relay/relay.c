#include "agent/relay/relay.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relay/call.h"
#include "agent/relay/forward.h"
#include "agent/relay/receive.h"
#include "base/memory.h"
#include "core/event/loop.h"
#include "core/http/server.h"
#include "core/log/log.h"

enum { RECEIVE_DRAIN_MS = 1000 }; /* requests at hand take milliseconds */

struct relay {
    const struct clock *clock; /* borrowed */
    struct log *log;           /* borrowed */
    struct spool *spool;
    struct loop *receive_loop;
    struct http_budget *bodies; /* of all requests being received */
    struct receive *receive;
    struct forward *forward;
    uint64_t started_ns;
    pthread_t receive_thread, forward_thread;
    bool receive_running, forward_running;
};

static void put_metrics(void *context, struct buffer *out)
{
    struct relay *relay = context;
    struct relay_state *state = xcalloc(1, sizeof *state);
    relay_state(relay, state);
    if (!relay_put_metrics(state, out))
        buffer_reset(out);
    free(state);
}

static bool check_options(const struct relay_options *o, struct error *err)
{
    if (o->destination_count > RELAY_MAX_DESTINATIONS) {
        error_set(err, FAIL_INVALID, "%zu destinations, at most %d", o->destination_count,
                  RELAY_MAX_DESTINATIONS);
        return error_remedy(err, "remove some of `destinations`");
    }
    for (size_t i = 0; i < o->destination_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(o->destinations[i].name, o->destinations[j].name) == 0) {
                error_set(err, FAIL_INVALID, "two destinations are named '%s'",
                          o->destinations[i].name);
                return error_remedy(err, "give each of `destinations` a name of its own");
            }
    return true;
}

struct relay *relay_create(const struct relay_options *options, const struct fs *fs,
                           const struct clock *clock, struct log *log, struct error *err)
{
    if (!check_options(options, err))
        return NULL;
    struct relay *relay = xcalloc(1, sizeof *relay);
    relay->clock = clock;
    relay->log = log;
    relay->started_ns = clock_wall_ns(clock);
    relay->spool = spool_create(&options->spool, fs, clock, err);
    if (!relay->spool)
        goto failed;
    relay->receive_loop = loop_create(err);
    if (!relay->receive_loop)
        goto failed;
    relay->bodies = http_budget_create(0);
    relay->receive = receive_create(options, relay->receive_loop, relay->spool, relay->bodies,
                                    clock, log, put_metrics, relay, err);
    if (!relay->receive)
        goto failed;
    relay->forward = forward_create(options, relay->spool, fs, clock, log, err);
    if (!relay->forward)
        goto failed;
    spool_on_commit(relay->spool, forward_wake, relay->forward);
    return relay;

failed:
    relay_destroy(relay);
    return NULL;
}

static void *receive_main(void *context)
{
    struct relay *relay = context;
    loop_run(relay->receive_loop);
    return NULL;
}

static void *forward_main(void *context)
{
    struct relay *relay = context;
    forward_run(relay->forward);
    return NULL;
}

bool relay_start(struct relay *relay, struct error *err)
{
    int failure = pthread_create(&relay->forward_thread, NULL, forward_main, relay);
    if (failure != 0)
        return error_set_os(err, failure, "cannot start the forwarder's thread");
    relay->forward_running = true;
    failure = pthread_create(&relay->receive_thread, NULL, receive_main, relay);
    if (failure != 0)
        return error_set_os(err, failure, "cannot start the receiver's thread");
    relay->receive_running = true;
    return true;
}

uint16_t relay_port(const struct relay *relay)
{
    return receive_port(relay->receive);
}

struct configure {
    struct relay *relay;
    const struct relay_options *options;
};

static void configure_here(void *context)
{
    struct configure *c = context;
    receive_configure(c->relay->receive, c->options);
}

bool relay_reload(struct relay *relay, const struct relay_options *options, struct error *err)
{
    if (!check_options(options, err))
        return false;
    struct configure c = {.relay = relay, .options = options};
    if (relay->receive_running)
        call_on_loop(relay->receive_loop, configure_here, &c);
    else
        configure_here(&c);
    return forward_reload(relay->forward, options, err);
}

void relay_refresh_credentials(struct relay *relay)
{
    forward_refresh_credentials(relay->forward);
}

struct drain {
    struct relay *relay;
    uint32_t limit_ms;
};

static void receiver_drained(void *context)
{
    struct relay *relay = context;
    loop_stop(relay->receive_loop);
}

static void drain_receiver(void *context)
{
    struct drain *drain = context;
    receive_drain(drain->relay->receive, drain->limit_ms, receiver_drained, drain->relay);
}

/* The receiver last: who restarts the agent is without a relay for as little as possible. */
void relay_drain(struct relay *relay, uint32_t limit_ms)
{
    if (relay->forward_running) {
        forward_drain(relay->forward, limit_ms);
        pthread_join(relay->forward_thread, NULL);
        relay->forward_running = false;
    }
    if (relay->receive_running) {
        struct drain drain = {.relay = relay, .limit_ms = RECEIVE_DRAIN_MS};
        call_on_loop(relay->receive_loop, drain_receiver, &drain);
        pthread_join(relay->receive_thread, NULL);
        relay->receive_running = false;
    }
}

void relay_destroy(struct relay *relay)
{
    if (!relay)
        return;
    if (relay->receive_running) {
        loop_stop(relay->receive_loop);
        pthread_join(relay->receive_thread, NULL);
    }
    if (relay->forward_running) {
        forward_stop(relay->forward);
        pthread_join(relay->forward_thread, NULL);
    }
    receive_destroy(relay->receive);
    forward_destroy(relay->forward);
    spool_destroy(relay->spool);
    loop_destroy(relay->receive_loop);
    http_budget_destroy(relay->bodies); /* answers that were still posted gave theirs back */
    free(relay);
}

void relay_state(struct relay *relay, struct relay_state *out)
{
    memset(out, 0, sizeof *out);
    out->started_ns = relay->started_ns;
    receive_state(relay->receive, out);
    forward_states(relay->forward, out);
    spool_state(relay->spool, &out->spool);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        out->signals[s].records_total = out->spool.received_total[s];
    out->ledger_count = spool_ledger(relay->spool, out->ledger, RELAY_MAX_LEDGER);
}
