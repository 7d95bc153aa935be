#include "server/query/query.h"

#include "server/query/handlers.h"
#include "server/query/openapi.h"

enum { DEFAULT_TIME_LIMIT_MS = 10000, LOGIN_BODY_BYTES = 8 * 1024 };

static void serve_openapi(void *context, struct route_call *call)
{
    (void)context;
    answer_json(call->exchange, bytes_make(openapi_json, openapi_json_len));
}

static const struct route routes[] = {
    {"POST", "/api/v1/auth/login", ACCESS_PUBLIC, ROUTE_OWN_CSRF, query_log_in, LOGIN_BODY_BYTES},
    {"GET", "/api/v1/messages", ACCESS_ANALYST, 0, query_list_messages, 0},
    {"GET", "/api/v1/messages/aggregate", ACCESS_VIEWER, 0, query_aggregate, 0},
    {"GET", "/api/v1/messages/{id}", ACCESS_ANALYST, 0, query_get_message, 0},
    {"GET", "/api/v1/usage/daily", ACCESS_VIEWER, 0, query_daily_usage, 0},
    {"GET", "/api/v1/coverage", ACCESS_VIEWER, 0, query_coverage, 0},
    {"GET", "/api/v1/integrations", ACCESS_VIEWER, 0, query_integrations, 0},
    {"GET", "/api/v1/refusals", ACCESS_ADMIN, 0, query_refusals, 0},
    {"GET", "/api/v1/audit", ACCESS_AUDITOR, 0, query_audit, 0},
    {"GET", "/api/openapi.json", ACCESS_PUBLIC, ROUTE_ON_LOOP, serve_openapi, 0},
    {"GET", "/healthz", ACCESS_PUBLIC, ROUTE_ON_LOOP, query_health, 0},
    {"GET", "/readyz", ACCESS_PUBLIC, 0, query_ready, 0},
    {"GET", "/metrics", ACCESS_PUBLIC, ROUTE_ON_LOOP, query_metrics, 0},
};

struct route_table query_routes(struct query *query)
{
    return (struct route_table){.routes = routes,
                                .count = sizeof routes / sizeof *routes,
                                .context = query};
}

uint32_t query_time_limit_ms(const struct query *query)
{
    return query->time_limit_ms ? query->time_limit_ms : (uint32_t)DEFAULT_TIME_LIMIT_MS;
}

bool query_wants_csv(const struct http_request *request)
{
    struct bytes accept = http_request_header(request, "accept");
    return bytes_starts_with(accept, "text/csv");
}

void query_answer_failure(const struct query *query, struct route_call *call,
                          const struct error *err)
{
    if (err->kind == FAIL_IO || err->kind == FAIL_CORRUPT || err->kind == FAIL_NO_SPACE)
        log_failure(query->log, LOG_ERROR_LEVEL, "query", "cannot answer", err);
    if (err->kind == FAIL_BUSY)
        answer_error(call->exchange, 503, "too_slow", "the question took longer than it may",
                     "narrow from and to, or filter by type and system");
    else
        answer_failure(call->exchange, err);
}
