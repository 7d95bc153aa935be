/* GET /metrics: what an operator watches, for Prometheus. Reads counters only, so it never waits. */
#include <stdio.h>

#include "server/ingest/writer.h"
#include "server/query/handlers.h"

enum { METRICS_BYTES = 256 * 1024 };
#define P "claude_telemetry_"

static void put_per_signal(struct metrics *m, const char *name, const char *help,
                           const uint64_t *values)
{
    char labels[48];
    metrics_put_name(m, name, "counter", help);
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        snprintf(labels, sizeof labels, "{signal=\"%s\"}", otlp_signal_name((enum otlp_signal)i));
        metrics_put_sample(m, name, labels, values[i]);
    }
}

static void put_ingest(struct metrics *m, const struct ingest_counters *c)
{
    put_per_signal(m, P "ingest_requests_total", "Requests stored or replayed.", c->requests);
    put_per_signal(m, P "ingest_records_total", "Records in them.", c->records);

    static const char refused[] = P "ingest_refused_total";
    metrics_put_name(m, refused, "counter", "Requests refused, by reason.");
    metrics_put_sample(m, refused, "{reason=\"malformed\"}", c->malformed);
    metrics_put_sample(m, refused, "{reason=\"credentials\"}", c->refused_credentials);
    metrics_put_sample(m, refused, "{reason=\"rate\"}", c->limited);
    metrics_put_sample(m, refused, "{reason=\"unavailable\"}", c->turned_away);
    metrics_put_sample(m, refused, "{reason=\"overlap\"}", c->overlapping);

    static const char rows[] = P "rows_total";
    metrics_put_name(m, rows, "counter", "Rows by what became of them.");
    metrics_put_sample(m, rows, "{outcome=\"inserted\"}", c->rows_inserted);
    metrics_put_sample(m, rows, "{outcome=\"merged\"}", c->rows_merged);
    metrics_put_sample(m, rows, "{outcome=\"repeated\"}", c->rows_repeated);

    metrics_put(m, P "ingest_rejected_records_total", "counter",
                "Records answered as partial success.", c->rejected_records);
    metrics_put(m, P "ingest_replayed_total", "counter", "Batches that came again.", c->replayed);
    metrics_put_name(m, P "commits_total", "counter", "Transactions, by outcome.");
    metrics_put_sample(m, P "commits_total", "{outcome=\"done\"}", c->commits);
    metrics_put_sample(m, P "commits_total", "{outcome=\"failed\"}", c->failed_commits);
    metrics_put(m, P "ingest_queue_requests", "gauge", "Requests waiting for a commit.",
                c->queue_requests);
    metrics_put(m, P "ingest_queue_bytes", "gauge", "Memory of their rows.", c->queue_bytes);
}

static void put_histogram(struct metrics *m, const char *name, const char *help,
                          const struct histogram *h)
{
    metrics_put_name(m, name, "histogram", help);
    metrics_put_histogram(m, name, "", h);
}

static void put_writer(struct metrics *m, const struct writer_meters *w)
{
    put_histogram(m, P "commit_seconds", "How long transactions took.", &w->commit_time);
    put_histogram(m, P "commit_rows", "Rows and metric points in a transaction.", &w->commit_rows);
    put_histogram(m, P "commit_requests", "Requests in a transaction.", &w->commit_requests);
    put_histogram(m, P "ingest_wait_seconds", "How long requests waited for theirs to begin.",
                  &w->wait_time);
}

static void put_http(struct metrics *m, const struct query_meters *meters)
{
    static const char *const areas[QUERY_AREAS] = {"ingest", "api", "portal"};
    static const char name[] = P "request_seconds";
    char labels[32];
    metrics_put_name(m, name, "histogram", "From a request's head to its answer.");
    for (int i = 0; i < QUERY_AREAS; i++) {
        snprintf(labels, sizeof labels, "area=\"%s\"", areas[i]);
        metrics_put_histogram(m, name, labels, &meters->requests[i]);
    }
    struct http_budget_state bodies;
    http_budget_read(meters->bodies, &bodies);
    metrics_put(m, P "receiving_bytes", "gauge", "Memory of bodies of requests not answered yet.",
                bodies.held_bytes);
    metrics_put(m, P "receiving_limit_bytes", "gauge", "What they may take together.",
                bodies.max_bytes);
    metrics_put(m, P "receiving_refused_total", "counter",
                "Requests refused with 503 because of that.", bodies.refused_total);
}

void query_metrics(void *context, struct route_call *call)
{
    struct query *q = context;
    struct buffer out = {.max_bytes = METRICS_BYTES};
    struct metrics m = metrics_begin(&out);
    struct ingest_counters counters;
    ingest_counters(q->ingest, &counters);
    put_ingest(&m, &counters);
    put_writer(&m, ingest_meters(q->ingest));
    put_http(&m, q->meters);
    q->meters->put_more(q->meters->context, &m);
    metrics_put(&m, P "start_time_seconds", "gauge", "When the server started.",
                q->started_ns / NS_PER_S);
    answer_content(call->exchange, m.fits ? 200 : 500, "text/plain; version=0.0.4; charset=utf-8",
                   buffer_bytes(&out));
    buffer_clear(&out);
}
