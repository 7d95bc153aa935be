/* The handlers behind query.c's routes: private to server/query. `context` is the struct query. */
#ifndef SERVER_QUERY_HANDLERS_H
#define SERVER_QUERY_HANDLERS_H

#include "server/query/query.h"

route_handler query_list_messages;
route_handler query_get_message;
route_handler query_aggregate;
route_handler query_daily_usage;
route_handler query_coverage;
route_handler query_integrations;
route_handler query_log_in;
route_handler query_health;
route_handler query_ready;
route_handler query_metrics;
route_handler query_refusals;
route_handler query_audit;

/* Writes to the audit log who asked what: before the answer goes out, since what is not written
 * down must not be shown. */
MUST_USE bool query_note(const struct query *query, struct route_call *call, const char *action,
                         struct error *err);

uint32_t query_time_limit_ms(const struct query *query);

/* Whether the client prefers text/csv to JSON. */
bool query_wants_csv(const struct http_request *request);

/* Answers a failure of the store; what is the server's own fault goes to the log. */
void query_answer_failure(const struct query *query, struct route_call *call,
                          const struct error *err);

enum { ANSWER_MAX_BYTES = 64 * 1024 * 1024 };

#endif
