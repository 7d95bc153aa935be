/*
 * Kinds of message store side by side in one run: what a put and some questions take.
 *
 *   bench/run.sh compiles it;
 *   build/bench/message_stores sqlite:/tmp/rows.db clickhouse+http://user@host:8123/bench
 *
 * ROWS rows in puts of BATCH, over 40 days. Times of questions are the best of three.
 */
#include <string.h>

#include "bench/store_rows.h"

enum { TRIES = 3 };

static struct message *rows;
static size_t row_count = 100000, batch_rows = 1000;

static double put_all(struct message_store *store)
{
    double start = now_s();
    for (size_t at = 0; at < row_count; at += batch_rows) {
        size_t count = row_count - at < batch_rows ? row_count - at : batch_rows;
        struct put_result result;
        struct message_batch batch = {.system_id = 1,
                                      .system = bytes_of("bench"),
                                      .token_id = 1,
                                      .messages = rows + at,
                                      .message_count = count};
        must(store->kind->put(store, &batch, 1, &result, &err), "put");
        must(result.inserted == count, "rows");
    }
    return now_s() - start;
}

static bool see_aggregate(void *context, const struct aggregate_row *row)
{
    *(double *)context += row->numbers[0];
    return true;
}

static bool see_row(void *context, const struct stored_message *row)
{
    *(double *)context += (double)row->message.metadata.len;
    return true;
}

static double best_of(struct message_store *store, const struct aggregate_query *query)
{
    double best = 1e9;
    for (int i = 0; i < TRIES; i++) {
        double sum = 0, start = now_s();
        must(store->kind->aggregate(store, query, see_aggregate, &sum, &err), "aggregate");
        double took = now_s() - start;
        best = took < best ? took : best;
    }
    return best;
}

static double page(struct message_store *store)
{
    const struct message_query all = {0};
    const struct message_page newest = {.take = 50};
    double best = 1e9;
    for (int i = 0; i < TRIES; i++) {
        double sum = 0, start = now_s();
        must(store->kind->find(store, &all, &newest, see_row, &sum, &err), "find");
        double took = now_s() - start;
        best = took < best ? took : best;
    }
    return best;
}

static bool see_usage(void *context, const struct usage_row *row)
{
    *(double *)context += (double)row->input_tokens;
    return true;
}

static void measure(const char *url)
{
    const struct aggregate_group model = {.field = FIELD_MODEL}, person = {.field = FIELD_PERSON};
    const struct aggregate_metric sums[] = {{.function = AGGREGATE_SUM,
                                             .field = FIELD_COST_MICROCENTS},
                                            {.function = AGGREGATE_COUNT}};
    const struct aggregate_metric p95[] = {{.function = AGGREGATE_P95, .field = FIELD_DURATION_MS},
                                           {.function = AGGREGATE_UNIQ, .field = FIELD_SESSION_ID}};
    const struct aggregate_metric meta[] = {{.function = AGGREGATE_SUM,
                                             .field = FIELD_METADATA,
                                             .metadata_key = bytes_of("event.sequence")}};
    struct bytes service = bytes_of("claude-code");
    const struct message_filter filter = {.field = FIELD_SERVICE_NAME,
                                          .values = &service,
                                          .value_count = 1};
    const struct message_query rows_of = {.filters = &filter, .filter_count = 1};
    const struct aggregate_query queries[] = {
        {.groups = &model, .group_count = 1, .metrics = sums, .metric_count = 2},
        {.where = rows_of, .groups = &person, .group_count = 1, .metrics = sums, .metric_count = 2},
        {.groups = &model, .group_count = 1, .metrics = p95, .metric_count = 2},
        {.groups = &model, .group_count = 1, .metrics = meta, .metric_count = 1}};
    struct message_store *store = message_store_open(url, &err);
    must(store != NULL, "open");
    double put = put_all(store), usage = now_s(), sum = 0;
    must(store->kind->usage(store, "2026-10-01", "2026-12-31", see_usage, &sum, &err), "usage");
    usage = now_s() - usage;
    printf("%-16.*s put %8.0f rows/s; ms: sums by model %7.1f, from rows by person %7.1f, p95 and "
           "sessions %7.1f, metadata %7.1f, newest page %6.1f, usage of 40 days %7.1f\n",
           (int)strcspn(url, ":"), url, (double)row_count / put, best_of(store, &queries[0]) * 1e3,
           best_of(store, &queries[1]) * 1e3, best_of(store, &queries[2]) * 1e3,
           best_of(store, &queries[3]) * 1e3, page(store) * 1e3, usage * 1e3);
    store->kind->close(store);
}

int main(int argc, char **argv)
{
    const char *asked = getenv("ROWS"), *batch = getenv("BATCH");
    if (asked)
        row_count = strtoul(asked, NULL, 10);
    if (batch)
        batch_rows = strtoul(batch, NULL, 10);
    rows = arena_alloc_many(&arena, row_count, sizeof *rows);
    for (size_t i = 0; i < row_count; i++)
        make_row(&rows[i], (unsigned)i, UINT64_C(40) * 86400 * NS_PER_S / row_count);
    for (int i = 1; i < argc; i++)
        measure(argv[i]);
    arena_clear(&arena);
    return 0;
}
