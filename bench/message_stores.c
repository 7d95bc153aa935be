/*
 * Kinds of message store side by side in one run: what a put and some questions take.
 *
 *   cmake --build build/release --target store && gcc -O2 -DNDEBUG -I. bench/message_stores.c \
 *     $(find build/release -name 'lib*.a') … -o build/message_stores
 *   build/message_stores sqlite:/tmp/rows.db clickhouse+http://user@host:8123/bench
 *
 * ROWS rows of about 1 KB in puts of BATCH, over 40 days: 200 people, 2000 sessions, 4 models; a
 * quarter are model requests and an eighth tool uses, which can be joined and are looked up for it.
 * Times of questions are the best of three.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "server/store/messages.h"

enum { TRIES = 3 };
#define START_NS UINT64_C(1792454400000000000)

static struct arena arena = {.max_bytes = 2048 * MIB};
static struct message *rows;
static size_t row_count = 100000, batch_rows = 1000;
static struct error err;

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: %s\n", what, err.cause);
        exit(1);
    }
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct bytes text(const char *form, unsigned number)
{
    char buffer[1200];
    struct bytes copy = {0};
    snprintf(buffer, sizeof buffer, form, number, number, number);
    must(arena_copy(&arena, bytes_of(buffer), &copy), "text");
    return copy;
}

static void make_row(struct message *m, unsigned i)
{
    static const enum message_type TYPES[] = {MESSAGE_GENERATION, MESSAGE_TOOL,
                                              MESSAGE_EVENT,      MESSAGE_EVENT,
                                              MESSAGE_DECISION,   MESSAGE_RESPONSE,
                                              MESSAGE_GENERATION, MESSAGE_EVENT};
    uint64_t hash = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    unsigned session = (unsigned)(hash >> 40) % 2000;
    *m = (struct message){
        .type = TYPES[i % 8],
        .sources = MESSAGE_FROM_EVENT,
        .time_ns = START_NS + i * (UINT64_C(40) * 86400 * 1000000000 / row_count),
        .received_ns = START_NS,
        .service_name = bytes_of("claude-code"),
        .model = text("claude-model-%u", i % 4),
        .person = text("person%u@example.com", session % 200),
        .person_rank = PERSON_BY_STAMP,
        .session_id = text("a88fa626-df4f-4562-870d-%012u", session),
        .prompt_id = text("72fec847-faf0-493b-a23e-%012u", i / 20),
        .name = text("event_%u", i % 8),
        .input_tokens = i % 500,
        .output_tokens = i % 90,
        .cache_read_tokens = i % 9000,
        .cache_create_tokens = i % 100,
        .cost_microcents = i % 20000,
        .cost_computed_microcents = MESSAGE_ABSENT,
        .duration_ms = i % 3000,
        .success = MESSAGE_SUCCEEDED,
        .metadata =
            text("{\"event.name\":\"api_request\",\"event.sequence\":%u,\"os.type\":\"linux\","
                 "\"user.id\":\"6afe50a041ad86b7bf94267fd9a0a061de9af12f86ab285c122072519bdb61"
                 "c3\",\"n\":%u,\"m\":%u,\"host.arch\":\"amd64\",\"otel.scope.name\":"
                 "\"com.anthropic.claude_code.events\",\"terminal.type\":\"xterm-256color\","
                 "\"query_source\":\"sdk\",\"speed\":\"normal\",\"effort\":\"medium\","
                 "\"os.version\":\"6.1.0-28-amd64\",\"service.version\":\"2.1.329\","
                 "\"event.timestamp\":\"2026-11-20T23:14:30.612Z\"}",
                 i),
    };
    if (m->type == MESSAGE_GENERATION || m->type == MESSAGE_TOOL)
        m->join_hash = hash;
    message_note_event(m);
    for (int b = 0; b < 6; b++)
        m->key[b] = (uint8_t)(m->time_ns / 1000000 >> (40 - 8 * b));
    for (int b = 0; b < 8; b++)
        m->key[6 + b] = (uint8_t)(hash >> (56 - 8 * b));
}

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
        make_row(&rows[i], (unsigned)i);
    for (int i = 1; i < argc; i++)
        measure(argv[i]);
    arena_clear(&arena);
    return 0;
}
