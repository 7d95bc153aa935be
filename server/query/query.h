/*
 * The API that answers questions: messages, aggregates, daily usage, logins,
 * and the server's own state. The routes are in server/query/query.c; what they
 * promise is in docs/http-api.md and openapi.json.
 *
 *   router ─▶ handlers here ─find, aggregate, usage─▶ store
 *
 * Handlers run on worker threads and share nothing that changes.
 */
#ifndef SERVER_QUERY_QUERY_H
#define SERVER_QUERY_QUERY_H

#include "base/clock.h"
#include "core/log/log.h"
#include "core/metrics/metrics.h"
#include "server/auth/gate.h"
#include "server/auth/login.h"
#include "server/importers/integrations.h"
#include "server/ingest/ingest.h"
#include "server/query/privacy.h"
#include "server/query/ready.h"
#include "server/router/router.h"
#include "server/store/control.h"
#include "server/store/messages.h"

struct people;

/* What the whole server measures, for /metrics. */
enum query_area { QUERY_INGEST, QUERY_API, QUERY_PORTAL, QUERY_AREAS };
struct query_meters {
    struct histogram requests[QUERY_AREAS];
    const struct http_budget *bodies; /* borrowed */
    void *context;
    void (*put_more)(void *context, struct metrics *metrics); /* what others count; never waits */
};

/* What handlers need; the context of the route table. All borrowed. */
struct query {
    struct message_store *messages;
    struct control_store *control;
    const struct integrations *integrations;
    const struct people *people; /* pseudonyms */
    enum privacy viewers;        /* what that role sees: sums or cohorts */
    struct ingest *ingest;
    struct gate *gate;
    struct login *login;
    struct ready *ready;
    const struct query_meters *meters;
    const struct clock *clock;
    struct log *log;
    uint64_t started_ns;    /* wall */
    uint32_t time_limit_ms; /* of one question; default 10,000 when 0 */
};

/* The routes; `query` is borrowed as their context. */
struct route_table query_routes(struct query *query);

#endif
