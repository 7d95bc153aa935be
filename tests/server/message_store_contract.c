#include "tests/server/message_store_contract.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/server/message_store_who.h"
#include "tests/server/naive_aggregate.h"
#include "tests/server/sample_rows.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static const struct store_under_test *under_test; /* Check fixtures take no argument */
static struct message_store *store;
static struct error err;
static char *dir;
static char url[512];

static void open_store(void)
{
    store = message_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
}

static void set_up(void)
{
    dir = temp_dir_make();
    under_test->url(dir, url, sizeof url);
    open_store();
}

static void tear_down(void)
{
    store->kind->close(store);
    temp_dir_remove(dir);
}

static struct message_batch batch_of(const struct message *messages, size_t count)
{
    return (struct message_batch){.system_id = 1,
                                  .system = bytes_of("test"),
                                  .token_id = 1,
                                  .received_ns = SAMPLE_FROM_NS,
                                  .messages = messages,
                                  .message_count = count};
}

static struct put_result put(struct message_batch batch)
{
    struct put_result result;
    expect_ok(store->kind->put(store, &batch, 1, &result, &err));
    return result;
}

static uint64_t count_all(void)
{
    const struct message_query all = {0};
    uint64_t count = 0;
    expect_ok(store->kind->count(store, &all, &count, &err));
    return count;
}

static struct message copied; /* what the last visit saw; its texts in `copies` */
static struct stored_message copied_row;
static char copied_person[128], copied_metadata[512], copied_body[64];

static bool copy_row(void *context, const struct stored_message *row)
{
    (void)context;
    copied_row = *row;
    copied = row->message;
    snprintf(copied_person, sizeof copied_person, "%.*s", (int)copied.person.len,
             (const char *)copied.person.data);
    snprintf(copied_metadata, sizeof copied_metadata, "%.*s", (int)copied.metadata.len,
             (const char *)copied.metadata.data);
    snprintf(copied_body, sizeof copied_body, "%.*s", (int)copied.body.len,
             (const char *)copied.body.data);
    return true;
}

START_TEST(a_row_comes_back_as_it_was_put)
{
    struct message m = sample_row(1, MESSAGE_GENERATION, SAMPLE_FROM_NS + 7);
    char id[MESSAGE_ID_BYTES];
    uint8_t key[MESSAGE_KEY_BYTES];
    m.person = bytes_of("alice@example.com");
    m.person_rank = PERSON_BY_STAMP;
    m.input_tokens = 0;
    m.cost_microcents = 15540;
    m.success = MESSAGE_SUCCEEDED;
    m.body = bytes_of("hello");
    m.body_truncated = true;
    m.metadata = bytes_of("{\"user.id\":\"x\"}");
    m.trace_id[3] = 9;
    ck_assert_uint_eq(put(batch_of(&m, 1)).inserted, 1);

    message_id_of_key(m.key, id);
    ck_assert(message_key_of_id(bytes_of(id), key));
    expect_ok(store->kind->get(store, key, copy_row, NULL, &err));
    ck_assert_str_eq(copied_row.id, id);
    ck_assert_uint_eq(copied.time_ns, m.time_ns);
    ck_assert_int_eq(copied.input_tokens, 0);
    ck_assert_int_eq(copied.output_tokens, MESSAGE_ABSENT);
    ck_assert_int_eq(copied.cost_microcents, 15540);
    ck_assert_int_eq(copied.success, MESSAGE_SUCCEEDED);
    ck_assert_int_eq(copied.person_rank, PERSON_BY_STAMP);
    ck_assert(copied.body_truncated);
    ck_assert_mem_eq(copied.trace_id, m.trace_id, 16);
    ck_assert_str_eq(copied_person, "alice@example.com");
    ck_assert_str_eq(copied_body, "hello");
    ck_assert_str_eq(copied_metadata, "{\"user.id\":\"x\"}");

    key[15] ^= 1;
    expect_fail(store->kind->get(store, key, copy_row, NULL, &err), FAIL_NOT_FOUND);
}
END_TEST

START_TEST(ids_are_ulids_and_read_back)
{
    uint8_t key[MESSAGE_KEY_BYTES], back[MESSAGE_KEY_BYTES];
    char id[MESSAGE_ID_BYTES];
    memset(key, 0xff, sizeof key);
    message_id_of_key(key, id);
    ck_assert_str_eq(id, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < MESSAGE_KEY_BYTES; i++)
            key[i] = (uint8_t)(round * 37 + i * 101 + (round * i >> 2));
        message_id_of_key(key, id);
        ck_assert(message_key_of_id(bytes_of(id), back));
        ck_assert_mem_eq(key, back, sizeof key);
    }
    ck_assert(!message_key_of_id(bytes_of("8ZZZZZZZZZZZZZZZZZZZZZZZZZ"), back));
    ck_assert(!message_key_of_id(bytes_of("7ZZZZZZZZZZZZZZZZZZZZZZZZU"), back));
    ck_assert(!message_key_of_id(bytes_of("7ZZ"), back));
}
END_TEST

/* ---- Exactly once ---- */

static enum put_outcome put_range(uint64_t first, uint64_t last, const char *stream)
{
    struct message m = sample_row(first, MESSAGE_LOG, SAMPLE_FROM_NS + first * 1000000);
    struct message_batch batch = batch_of(&m, 1);
    batch.stream = bytes_of(stream);
    batch.signal = OTLP_LOGS;
    batch.first = first;
    batch.last = last;
    return put(batch).outcome;
}

START_TEST(a_range_of_a_stream_is_stored_once)
{
    ck_assert_int_eq(put_range(1, 5, "A"), PUT_STORED);
    ck_assert_int_eq(put_range(10, 14, "A"), PUT_STORED);
    ck_assert_int_eq(put_range(1, 5, "A"), PUT_REPLAYED);
    ck_assert_int_eq(put_range(2, 3, "A"), PUT_REPLAYED);
    ck_assert_int_eq(put_range(4, 7, "A"), PUT_OVERLAPS);
    ck_assert_int_eq(put_range(0, 1, "A"), PUT_OVERLAPS);
    ck_assert_int_eq(put_range(4, 12, "A"), PUT_OVERLAPS);
    ck_assert_uint_eq(count_all(), 2);
    ck_assert_int_eq(put_range(6, 9, "A"), PUT_STORED); /* closes the gap */
    ck_assert_int_eq(put_range(1, 14, "A"), PUT_REPLAYED);
    ck_assert_int_eq(put_range(15, 15, "A"), PUT_STORED);
    ck_assert_int_eq(put_range(1, 5, "B"), PUT_STORED);
    ck_assert_uint_eq(count_all(), 4); /* B's row has the key of A's */

    store->kind->close(store);
    open_store();
    ck_assert_int_eq(put_range(3, 12, "A"), PUT_REPLAYED);
    ck_assert_int_eq(put_range(15, 16, "A"), PUT_OVERLAPS);
}
END_TEST

START_TEST(signals_of_a_stream_count_apart)
{
    struct message m = sample_row(1, MESSAGE_SPAN, SAMPLE_FROM_NS);
    struct message_batch batch = batch_of(&m, 1);
    ck_assert_int_eq(put_range(1, 9, "A"), PUT_STORED);
    batch.stream = bytes_of("A");
    batch.signal = OTLP_TRACES;
    batch.first = batch.last = 4;
    ck_assert_int_eq(put(batch).outcome, PUT_STORED);
}
END_TEST

START_TEST(the_same_record_again_changes_nothing)
{
    struct message rows[2] = {sample_row(1, MESSAGE_LOG, SAMPLE_FROM_NS),
                              sample_row(2, MESSAGE_LOG, SAMPLE_FROM_NS)};
    ck_assert_uint_eq(put(batch_of(rows, 2)).inserted, 2);
    struct put_result again = put(batch_of(rows, 2));
    ck_assert_uint_eq(again.inserted, 0);
    ck_assert_uint_eq(again.repeated, 2);
    ck_assert_uint_eq(count_all(), 2);
}
END_TEST

START_TEST(several_batches_are_stored_with_a_result_each)
{
    struct message rows[3] = {sample_row(1, MESSAGE_LOG, SAMPLE_FROM_NS),
                              sample_row(2, MESSAGE_LOG, SAMPLE_FROM_NS),
                              sample_row(3, MESSAGE_LOG, SAMPLE_FROM_NS)};
    struct message_batch batches[3] = {batch_of(&rows[0], 1), batch_of(&rows[1], 2),
                                       batch_of(&rows[0], 1)};
    struct put_result results[3];
    expect_ok(store->kind->put(store, batches, 3, results, &err));
    ck_assert_uint_eq(results[0].inserted, 1);
    ck_assert_uint_eq(results[1].inserted, 2);
    ck_assert_uint_eq(results[2].repeated, 1);

    /* One that cannot be stored takes all of its transaction with it. */
    struct message more = sample_row(9, MESSAGE_LOG, SAMPLE_FROM_NS);
    struct message_batch pair[2] = {batch_of(&more, 1), batch_of(&more, 1)};
    pair[1].stream = bytes_of("A");
    pair[1].first = 5;
    pair[1].last = 4;
    expect_fail(store->kind->put(store, pair, 2, results, &err), FAIL_INVALID);
    ck_assert_uint_eq(count_all(), 3);
}
END_TEST

/* ---- Joining ---- */

static struct message half(bool event, uint64_t time_ns)
{
    struct message m = sample_row(42, MESSAGE_GENERATION, time_ns);
    m.sources = event ? MESSAGE_FROM_EVENT : MESSAGE_FROM_SPAN;
    m.join_hash = 77;
    m.model = bytes_of("opus");
    m.person = bytes_of("a@x.org");
    m.person_rank = PERSON_BY_STAMP;
    m.request_id = bytes_of("req_1");
    m.input_tokens = event ? 100 : 90;
    m.duration_ms = 50;
    if (event) {
        m.cost_microcents = 500;
        m.metadata = bytes_of("{\"both\":\"event\",\"event.name\":\"api_request\"}");
        m.event_metadata_keys = 2;
    } else {
        m.event_fields = 0;
        m.output_tokens = 7;
        m.span_id[0] = 1;
        m.metadata = bytes_of("{\"both\":\"span\",\"span.name\":\"llm\"}");
    }
    memcpy(m.key + 6, "\0\0\0\0\0\0\0\x4d\0", 10); /* the join hash, as mapping makes it */
    return m;
}

static bool sum_usage(void *context, const struct usage_row *row)
{
    struct usage_row *sum = context;
    sum->requests += row->requests;
    sum->input_tokens += row->input_tokens;
    sum->output_tokens += row->output_tokens;
    sum->cost_microcents += row->cost_microcents;
    sum->sessions += row->sessions;
    return true;
}

static struct usage_row usage_sums(void)
{
    struct usage_row sum = {0};
    expect_ok(store->kind->usage(store, "2026-01-01", "2027-12-31", sum_usage, &sum, &err));
    return sum;
}

START_TEST(event_and_span_of_a_request_are_one_row_in_any_order)
{
    /* The span began on the day before: daily sums move with the row. */
    uint64_t midnight = SAMPLE_FROM_NS + UINT64_C(86400000000000);
    for (int order = 0; order < 2; order++) {
        struct message first = half(order == 0, order == 0 ? midnight : midnight - 1000000);
        struct message second = half(order == 1, order == 1 ? midnight : midnight - 1000000);
        uint8_t event_key[MESSAGE_KEY_BYTES], span_key[MESSAGE_KEY_BYTES];
        memcpy(event_key, order == 0 ? first.key : second.key, sizeof event_key);
        memcpy(span_key, order == 0 ? second.key : first.key, sizeof span_key);
        if (order) {
            tear_down();
            set_up();
        }
        ck_assert_uint_eq(put(batch_of(&first, 1)).inserted, 1);
        ck_assert_uint_eq(put(batch_of(&second, 1)).merged, 1);
        ck_assert_uint_eq(put(batch_of(&first, 1)).repeated, 1);
        ck_assert_uint_eq(put(batch_of(&second, 1)).repeated, 1);
        ck_assert_uint_eq(count_all(), 1);

        for (int which = 0; which < 2; which++) { /* either id finds it */
            expect_ok(store->kind->get(store, which ? span_key : event_key, copy_row, NULL, &err));
            ck_assert_uint_eq(copied.time_ns, midnight);
            ck_assert_int_eq(copied.input_tokens, 100);
            ck_assert_int_eq(copied.output_tokens, 7);
            ck_assert_int_eq(copied.cost_microcents, 500);
            ck_assert_uint_eq(copied.span_id[0], 1);
            ck_assert_uint_eq(copied.sources, MESSAGE_FROM_EVENT | MESSAGE_FROM_SPAN);
            ck_assert_str_eq(copied_metadata, "{\"both\":\"event\",\"event.name\":\"api_request\","
                                              "\"span.name\":\"llm\"}");
        }
        struct usage_row sum = usage_sums();
        ck_assert_int_eq(sum.requests, 1);
        ck_assert_int_eq(sum.input_tokens, 100);
        ck_assert_int_eq(sum.output_tokens, 7);
        ck_assert_int_eq(sum.cost_microcents, 500);
        ck_assert_int_eq(sum.sessions, 1);

        const struct aggregate_metric metrics[] = {{.function = AGGREGATE_COUNT},
                                                   {.function = AGGREGATE_SUM,
                                                    .field = FIELD_INPUT_TOKENS}};
        struct aggregate_query query = {.metrics = metrics,
                                        .metric_count = 2,
                                        .interval = INTERVAL_DAY};
        expect_same_aggregate(store, &query, &copied, 1, "sums after joining");
    }
}
END_TEST

START_TEST(systems_never_share_a_row)
{
    struct message a = half(true, SAMPLE_FROM_NS), b = half(false, SAMPLE_FROM_NS);
    b.key[15] ^= 1;
    struct message_batch other = batch_of(&b, 1);
    other.system_id = 2;
    other.system = bytes_of("other");
    put(batch_of(&a, 1));
    ck_assert_uint_eq(put(other).inserted, 1);
    ck_assert_uint_eq(count_all(), 2);
}
END_TEST

START_TEST(a_child_names_its_parent_whichever_came_first)
{
    struct message parent = half(true, SAMPLE_FROM_NS);
    struct message child = sample_row(5, MESSAGE_TOOL, SAMPLE_FROM_NS + 5000000);
    char id[MESSAGE_ID_BYTES];
    child.parent_join_hash = 77;
    put(batch_of(&child, 1));
    expect_ok(store->kind->get(store, child.key, copy_row, NULL, &err));
    ck_assert_str_eq(copied_row.parent_id, "");
    put(batch_of(&parent, 1));
    expect_ok(store->kind->get(store, child.key, copy_row, NULL, &err));
    message_id_of_key(parent.key, id);
    ck_assert_str_eq(copied_row.parent_id, id);
}
END_TEST

START_TEST(an_account_id_seen_with_an_email_names_the_person)
{
    struct message known = sample_row(1, MESSAGE_LOG, SAMPLE_FROM_NS);
    struct message unknown = sample_row(2, MESSAGE_LOG, SAMPLE_FROM_NS);
    known.person = bytes_of("a@x.org");
    known.person_rank = PERSON_BY_EMAIL;
    known.account_uuid = unknown.account_uuid = bytes_of("uuid-1");
    unknown.person = bytes_of("alice");
    unknown.person_rank = PERSON_BY_NAME;
    put(batch_of(&known, 1));
    put(batch_of(&unknown, 1));
    expect_ok(store->kind->get(store, unknown.key, copy_row, NULL, &err));
    ck_assert_str_eq(copied_person, "a@x.org");
    ck_assert_int_eq(copied.person_rank, PERSON_BY_ACCOUNT);
}
END_TEST

/* ---- Finding ---- */

enum { SAMPLE_COUNT = 1500 };

static struct sample_rows samples;

static void put_samples(uint32_t seed)
{
    printf("seed %u\n", seed);
    sample_rows_init(&samples, seed, SAMPLE_COUNT);
    for (size_t at = 0; at < SAMPLE_COUNT; at += 500)
        ck_assert_uint_eq(put(batch_of(samples.rows + at, 500)).inserted, 500);
}

static uint32_t new_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint32_t)now.tv_nsec;
}

struct seen_rows {
    size_t count;
    uint64_t last_time;
    uint8_t last_key[MESSAGE_KEY_BYTES];
    bool ordered;
    const struct message_query *query;
};

static bool see_row(void *context, const struct stored_message *row)
{
    struct seen_rows *seen = context;
    const struct message *m = &row->message;
    if (seen->count &&
        (m->time_ns > seen->last_time ||
         (m->time_ns == seen->last_time && memcmp(m->key, seen->last_key, MESSAGE_KEY_BYTES) >= 0)))
        seen->ordered = false;
    seen->last_time = m->time_ns;
    memcpy(seen->last_key, m->key, MESSAGE_KEY_BYTES);
    ck_assert(naive_matches(m, seen->query));
    seen->count++;
    return true;
}

static void expect_found(const struct message_query *query, const char *what)
{
    const struct message_page page = {.take = SAMPLE_COUNT};
    struct seen_rows seen = {.ordered = true, .query = query};
    size_t want = 0;
    uint64_t counted = 0;
    for (size_t i = 0; i < samples.count; i++)
        want += naive_matches(&samples.rows[i], query);
    expect_ok(store->kind->find(store, query, &page, see_row, &seen, &err));
    ck_assert_msg(seen.count == want, "%s: %zu rows found, not %zu", what, seen.count, want);
    ck_assert_msg(seen.ordered, "%s: not newest first", what);
    expect_ok(store->kind->count(store, query, &counted, &err));
    ck_assert_uint_eq(counted, want);
}

START_TEST(every_field_filters)
{
    put_samples(new_seed());
    const struct {
        enum message_field field;
        const char *key;
    } fields[] = {
        {FIELD_ID, 0},
        {FIELD_TYPE, 0},
        {FIELD_TIME, 0},
        {FIELD_RECEIVED_AT, 0},
        {FIELD_SERVICE_NAME, 0},
        {FIELD_SYSTEM, 0},
        {FIELD_MODEL, 0},
        {FIELD_PERSON, 0},
        {FIELD_INPUT_TOKENS, 0},
        {FIELD_OUTPUT_TOKENS, 0},
        {FIELD_CACHE_READ_TOKENS, 0},
        {FIELD_CACHE_CREATE_TOKENS, 0},
        {FIELD_COST_MICROCENTS, 0},
        {FIELD_DURATION_MS, 0},
        {FIELD_SUCCESS, 0},
        {FIELD_TRACE_ID, 0},
        {FIELD_SPAN_ID, 0},
        {FIELD_SESSION_ID, 0},
        {FIELD_PROMPT_ID, 0},
        {FIELD_TOOL_NAME, 0},
        {FIELD_METADATA, "team"},
        {FIELD_METADATA, "size"},
        {FIELD_METADATA, "flag"},
        {FIELD_METADATA, "no such"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct bytes key = bytes_of(fields[i].key), values[3];
        char text[3][128] = {"", "no such value", ""};
        struct message_filter filter = {.field = fields[i].field,
                                        .metadata_key = key,
                                        .values = values,
                                        .value_count = 1};
        const struct message_query query = {.filters = &filter, .filter_count = 1};
        naive_field(&samples.rows[sample_random(&samples, SAMPLE_COUNT)], fields[i].field, key,
                    text[0], sizeof text[0]);
        for (int v = 0; v < 3; v++)
            values[v] = bytes_of(text[v]);
        expect_found(&query, "one value");
        filter.value_count = 3; /* any of them; "" is for rows without one */
        expect_found(&query, "any of three values");
        filter.none_of = true;
        expect_found(&query, "none of three values");
        filter.value_count = 1;
        expect_found(&query, "not one value");
        filter.none_of = false;
        filter.value_count = 0;
        expect_found(&query, "no value");
    }
    struct bytes opus = bytes_of("opus"), red = bytes_of("red");
    const struct message_filter both[] = {{.field = FIELD_MODEL, .values = &opus, .value_count = 1},
                                          {.field = FIELD_METADATA,
                                           .metadata_key = bytes_of("team"),
                                           .values = &red,
                                           .value_count = 1}};
    const struct message_query query = {.filters = both,
                                        .filter_count = 2,
                                        .from_ns = samples.rows[0].time_ns,
                                        .to_ns =
                                            samples.rows[0].time_ns + UINT64_C(200000000000000)};
    expect_found(&query, "filters and times");
    sample_rows_clear(&samples);
}
END_TEST

START_TEST(a_filter_cannot_smuggle_sql)
{
    put_samples(1);
    struct bytes value = bytes_of("') OR 1=1 --");
    struct message_filter filter = {.values = &value, .value_count = 1};
    const struct message_query query = {.filters = &filter, .filter_count = 1};
    for (int field = FIELD_ID; field <= FIELD_METADATA; field++) {
        uint64_t count = 1;
        filter.field = (enum message_field)field;
        filter.metadata_key = bytes_of("a\"') OR 1=1 --");
        expect_ok(store->kind->count(store, &query, &count, &err));
        ck_assert_uint_eq(count, 0);
    }
    sample_rows_clear(&samples);
}
END_TEST

START_TEST(pages_show_every_row_once)
{
    const struct message_query all = {0};
    struct message_page page = {.take = 37};
    struct seen_rows seen = {.ordered = true, .query = &all};
    put_samples(new_seed());
    for (size_t before = SIZE_MAX; before != seen.count;) {
        before = seen.count;
        expect_ok(store->kind->find(store, &all, &page, see_row, &seen, &err));
        page.after = true;
        page.after_time_ns = seen.last_time;
        memcpy(page.after_key, seen.last_key, sizeof page.after_key);
    }
    ck_assert_uint_eq(seen.count, SAMPLE_COUNT);
    ck_assert(seen.ordered);

    struct seen_rows skipped = {.ordered = true, .query = &all};
    page = (struct message_page){.take = 50, .skip = SAMPLE_COUNT - 20};
    expect_ok(store->kind->find(store, &all, &page, see_row, &skipped, &err));
    ck_assert_uint_eq(skipped.count, 20);
    sample_rows_clear(&samples);
}
END_TEST

/* ---- Aggregates ---- */

static const struct aggregate_metric ALL_METRICS[] = {
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
    {.function = AGGREGATE_AVG, .field = FIELD_INPUT_TOKENS},
    {.function = AGGREGATE_MIN, .field = FIELD_DURATION_MS},
    {.function = AGGREGATE_MAX, .field = FIELD_OUTPUT_TOKENS},
    {.function = AGGREGATE_P50, .field = FIELD_DURATION_MS},
    {.function = AGGREGATE_P99, .field = FIELD_CACHE_READ_TOKENS},
    {.function = AGGREGATE_UNIQ, .field = FIELD_SESSION_ID},
};
static const struct aggregate_metric OTHER_METRICS[] = {
    {.function = AGGREGATE_SUM,
     .field = FIELD_METADATA,
     .metadata_key = {(const uint8_t *)"size", 4}},
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_P90,
     .field = FIELD_METADATA,
     .metadata_key = {(const uint8_t *)"size", 4}},
    {.function = AGGREGATE_P95, .field = FIELD_COST_MICROCENTS},
    {.function = AGGREGATE_UNIQ,
     .field = FIELD_METADATA,
     .metadata_key = {(const uint8_t *)"team", 4}},
    {.function = AGGREGATE_AVG, .field = FIELD_SUCCESS},
};
static const struct aggregate_metric SUM_METRICS[] = {
    {.function = AGGREGATE_SUM, .field = FIELD_INPUT_TOKENS},
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_SUM, .field = FIELD_CACHE_CREATE_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
    {.function = AGGREGATE_SUM, .field = FIELD_DURATION_MS},
};

static const struct aggregate_metric PEOPLE_METRICS[] = {
    {.function = AGGREGATE_UNIQ, .field = FIELD_PERSON},
    {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
    {.function = AGGREGATE_COUNT},
};
static const struct aggregate_metric SESSION_METRICS[] = {
    {.function = AGGREGATE_UNIQ, .field = FIELD_SESSION_ID},
    {.function = AGGREGATE_SUM, .field = FIELD_OUTPUT_TOKENS},
    {.function = AGGREGATE_COUNT},
};

static const struct {
    const struct aggregate_metric *metrics;
    size_t count;
} METRIC_SETS[] = {{ALL_METRICS, 8},
                   {OTHER_METRICS, 6},
                   {SUM_METRICS, 5},
                   {PEOPLE_METRICS, 3},
                   {SESSION_METRICS, 3}};
enum { METRIC_SET_COUNT = sizeof METRIC_SETS / sizeof *METRIC_SETS };

static void expect_aggregates(struct message_query where, const char *what)
{
    static const struct aggregate_group GROUPS[] = {
        {.field = FIELD_MODEL},
        {.field = FIELD_PERSON},
        {.field = FIELD_METADATA, .metadata_key = {(const uint8_t *)"team", 4}},
        {.field = FIELD_TYPE},
        {.field = FIELD_SYSTEM},
        {.field = FIELD_SUCCESS},
        {.field = FIELD_TRACE_ID},
    };
    static const size_t RANGES[][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 2}, {2, 1}, {3, 2}, {5, 2}};
    static const char *const ZONES[] = {NULL, "Europe/Berlin", "America/New_York", "Asia/Kolkata"};
    for (size_t set = 0; set < METRIC_SET_COUNT; set++)
        for (size_t range = 0; range < sizeof RANGES / sizeof *RANGES; range++) {
            struct aggregate_query query = {
                .where = where,
                .groups = GROUPS + RANGES[range][0],
                .group_count = RANGES[range][1],
                .metrics = METRIC_SETS[set].metrics,
                .metric_count = METRIC_SETS[set].count,
            };
            uint32_t choice = sample_random(&samples, 20);
            query.interval = (enum aggregate_interval)(choice % 5);
            query.time_zone = ZONES[choice / 5];
            char name[128];
            snprintf(name, sizeof name, "%s, metrics %zu, groups %zu, interval %d, zone %s", what,
                     set, range, (int)query.interval, query.time_zone ? query.time_zone : "UTC");
            expect_same_aggregate(store, &query, samples.rows, samples.count, name);
        }
}

START_TEST(aggregates_are_what_a_plain_loop_computes)
{
    put_samples(new_seed());
    struct message_query where = {0};
    expect_aggregates(where, "all");
    where.from_ns = SAMPLE_FROM_NS + 2 * UINT64_C(86400000000000);
    where.to_ns = SAMPLE_FROM_NS + 9 * UINT64_C(86400000000000);
    expect_aggregates(where, "whole days");
    where.from_ns += 12345;
    expect_aggregates(where, "an odd time");
    struct bytes types[] = {bytes_of("ai.generation"), bytes_of("log")};
    const struct message_filter filters[] = {
        {.field = FIELD_TYPE, .values = types, .value_count = 2}};
    where = (struct message_query){.filters = filters, .filter_count = 1};
    expect_aggregates(where, "two types");
    const struct message_filter generations[] = {
        {.field = FIELD_TYPE, .values = types, .value_count = 1}};
    where.filters = generations;
    expect_aggregates(where, "one type");
    where.to_ns = 1;
    expect_aggregates(where, "nothing");
    sample_rows_clear(&samples);
}
END_TEST

/* Daily sums are of days, and the day's first row came at noon. */
START_TEST(the_interval_of_the_first_day_is_found_by_any_of_its_hours)
{
    const struct aggregate_metric count = {.function = AGGREGATE_COUNT};
    struct aggregate_query query = {.metrics = &count, .metric_count = 1};
    const struct message row =
        sample_row(1, MESSAGE_LOG, SAMPLE_FROM_NS + UINT64_C(43200000000000));
    put(batch_of(&row, 1));
    for (int interval = INTERVAL_HOUR; interval <= INTERVAL_MONTH; interval++) {
        query.interval = (enum aggregate_interval)interval;
        expect_same_aggregate(store, &query, &row, 1, "one row at noon");
    }
}
END_TEST

struct top_rows {
    double first[8];
    size_t count, others;
    double total;
};

static bool see_top(void *context, const struct aggregate_row *row)
{
    struct top_rows *top = context;
    top->total += row->numbers[0];
    if (row->is_other) {
        ck_assert_ptr_null(row->groups[0].data);
        top->others++;
    } else {
        ck_assert_uint_lt(top->count, 8);
        top->first[top->count++] = row->numbers[0];
    }
    return true;
}

START_TEST(top_keeps_the_largest_and_adds_up_the_rest)
{
    const struct aggregate_group group = {.field = FIELD_PERSON};
    const struct aggregate_metric metric = {.function = AGGREGATE_SUM,
                                            .field = FIELD_COST_MICROCENTS};
    struct aggregate_query query = {.groups = &group,
                                    .group_count = 1,
                                    .metrics = &metric,
                                    .metric_count = 1};
    put_samples(new_seed());
    struct top_rows all = {0}, top = {0};
    expect_ok(store->kind->aggregate(store, &query, see_top, &all, &err));
    ck_assert_uint_eq(all.count, 5);
    query.top = 2;
    expect_ok(store->kind->aggregate(store, &query, see_top, &top, &err));
    ck_assert_uint_eq(top.count, 2);
    ck_assert_uint_eq(top.others, 1);
    ck_assert(top.first[0] == all.first[0] && top.first[1] == all.first[1]);
    ck_assert(top.total == all.total);

    /* The same groups stay on top in every interval. */
    query.interval = INTERVAL_MONTH;
    struct top_rows monthly = {0};
    expect_ok(store->kind->aggregate(store, &query, see_top, &monthly, &err));
    ck_assert_uint_le(monthly.others, 2);
    ck_assert(monthly.total == all.total);
    sample_rows_clear(&samples);
}
END_TEST

static bool count_answer(void *context, const struct aggregate_row *row)
{
    (void)row;
    ++*(size_t *)context;
    return true;
}

START_TEST(what_would_take_too_long_or_too_much_is_refused)
{
    const struct aggregate_group groups[] = {{.field = FIELD_ID}};
    const struct aggregate_metric metric = {.function = AGGREGATE_COUNT};
    struct aggregate_query query = {
        .groups = groups, .group_count = 1, .metrics = &metric, .metric_count = 1, .max_rows = 100};
    size_t rows = 0;
    put_samples(3);
    expect_fail(store->kind->aggregate(store, &query, count_answer, &rows, &err), FAIL_TOO_LARGE);
    ck_assert_str_ne(err.remedy, "");
    ck_assert_uint_le(rows, 100);

    struct bytes team = bytes_of("no such team");
    struct message_filter filters[24];
    for (int i = 0; i < 24; i++)
        filters[i] = (struct message_filter){.field = FIELD_METADATA,
                                             .metadata_key = bytes_of(i < 23 ? "flag" : "team"),
                                             .values = &team,
                                             .value_count = 1};
    struct bytes flags[] = {bytes_of(""), bytes_of("true"), bytes_of("false"), bytes_of("[1,2]")};
    for (int i = 0; i < 23; i++) {
        filters[i].values = flags;
        filters[i].value_count = 4;
    }
    const struct message_query slow = {.filters = filters, .filter_count = 24, .time_limit_ms = 1};
    uint64_t count;
    /* An answer that came while this process was not run is in time; not again and again. */
    bool answered = true;
    for (int tries = 0; answered && tries < 100; tries++)
        answered = store->kind->count(store, &slow, &count, &err);
    ck_assert(!answered);
    ck_assert_int_eq(err.kind, FAIL_BUSY);
    ck_assert_str_ne(err.remedy, "");

    const struct aggregate_metric senseless = {.function = AGGREGATE_SUM, .field = FIELD_MODEL};
    query = (struct aggregate_query){.metrics = &senseless, .metric_count = 1};
    expect_fail(store->kind->aggregate(store, &query, count_answer, &rows, &err), FAIL_INVALID);
    query.metrics = &metric;
    query.time_zone = "Europe/../../etc/passwd";
    expect_fail(store->kind->aggregate(store, &query, count_answer, &rows, &err), FAIL_INVALID);
    sample_rows_clear(&samples);
}
END_TEST

/* ---- Metric points ---- */

static struct usage_delta point(uint64_t time_ns, double value, const char *metric,
                                const char *attributes)
{
    struct usage_delta delta = {.time_ns = time_ns,
                                .person = bytes_of("a@x.org"),
                                .person_rank = PERSON_BY_STAMP,
                                .session_id = bytes_of("s1"),
                                .model = bytes_of("opus"),
                                .metric = bytes_of(metric),
                                .attributes = bytes_of(attributes),
                                .value = value};
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *at = metric; *at; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    for (const char *at = attributes; *at; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    memcpy(delta.series, &hash, 8);
    memcpy(delta.key, &time_ns, 8);
    memcpy(delta.key + 8, &hash, 8);
    return delta;
}

static void put_points(const struct usage_delta *points, size_t count)
{
    struct message_batch batch = batch_of(NULL, 0);
    batch.usage = points;
    batch.usage_count = count;
    put(batch);
}

static struct usage_row last_usage;

static bool take_usage(void *context, const struct usage_row *row)
{
    last_usage = *row;
    ++*(int *)context;
    return true;
}

START_TEST(running_totals_are_differenced_and_restarts_noticed)
{
    static const struct {
        uint64_t second, start;
        double value;
    } POINTS[] = {
        {10, 1, 100}, {20, 1, 150}, {20, 1, 150}, /* the same again */
        {30, 1, 150},                             /* unchanged */
        {15, 1, 120},                             /* late: contained in the next */
        {40, 35, 30},                             /* the process started anew */
        {50, 35, 45}, {33, 1, 160},               /* the old one's last word, late */
        {60, 35, 5},                              /* fell without saying so */
    };
    for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++) {
        struct usage_delta delta = point(SAMPLE_FROM_NS + POINTS[i].second * UINT64_C(1000000000),
                                         POINTS[i].value, "claude_code.token.usage", "type=input");
        delta.cumulative = true;
        delta.start_ns = SAMPLE_FROM_NS + POINTS[i].start;
        put_points(&delta, 1);
    }
    int rows = 0;
    expect_ok(store->kind->usage(store, "2026-10-20", "2026-10-20", take_usage, &rows, &err));
    ck_assert_int_eq(rows, 1);
    ck_assert_int_eq(last_usage.origin, USAGE_FROM_METRICS);
    ck_assert_int_eq(last_usage.input_tokens, 160 + 45 + 5);
}
END_TEST

START_TEST(metrics_become_the_columns_of_daily_usage)
{
    const struct usage_delta points[] = {
        point(SAMPLE_FROM_NS, 10, "claude_code.token.usage", "type=input"),
        point(SAMPLE_FROM_NS + 1, 5, "claude_code.token.usage", "query_source=main,type=input"),
        point(SAMPLE_FROM_NS, 2, "claude_code.token.usage", "type=output"),
        point(SAMPLE_FROM_NS, 3, "claude_code.token.usage", "type=cacheRead"),
        point(SAMPLE_FROM_NS, 4, "claude_code.token.usage", "type=cacheCreation"),
        point(SAMPLE_FROM_NS, 0.0000015, "claude_code.cost.usage", ""),
        point(SAMPLE_FROM_NS, 1, "claude_code.session.count", "start_type=fresh"),
        point(SAMPLE_FROM_NS, 1, "claude_code.session.count", "start_type=agents_view"),
        point(SAMPLE_FROM_NS, 6, "claude_code.commit.count", "c"),
        point(SAMPLE_FROM_NS, 7, "claude_code.pull_request.count", "p"),
        point(SAMPLE_FROM_NS, 8, "claude_code.lines_of_code.count", "type=added"),
        point(SAMPLE_FROM_NS, 9, "claude_code.lines_of_code.count", "type=removed"),
        point(SAMPLE_FROM_NS, 11, "claude_code.code_edit_tool.decision", "decision=accept"),
        point(SAMPLE_FROM_NS, 12, "claude_code.code_edit_tool.decision", "decision=reject"),
        point(SAMPLE_FROM_NS, 1.5, "claude_code.active_time.total", "type=cli"),
    };
    int rows = 0;
    put_points(points, sizeof points / sizeof *points);
    put_points(points, sizeof points / sizeof *points);
    expect_ok(store->kind->usage(store, "2026-10-20", "2026-10-20", take_usage, &rows, &err));
    ck_assert_int_eq(rows, 1);
    ck_assert_str_eq(last_usage.day, "2026-10-20");
    ck_assert_int_eq(last_usage.input_tokens, 15);
    ck_assert_int_eq(last_usage.output_tokens, 2);
    ck_assert_int_eq(last_usage.cache_read_tokens, 3);
    ck_assert_int_eq(last_usage.cache_create_tokens, 4);
    ck_assert_int_eq(last_usage.cost_microcents, 2);
    ck_assert_int_eq(last_usage.sessions, 1);
    ck_assert_int_eq(last_usage.commits, 6);
    ck_assert_int_eq(last_usage.pull_requests, 7);
    ck_assert_int_eq(last_usage.lines_added, 8);
    ck_assert_int_eq(last_usage.lines_removed, 9);
    ck_assert_int_eq(last_usage.edits_accepted, 11);
    ck_assert_int_eq(last_usage.edits_rejected, 12);
    ck_assert(last_usage.active_seconds == 1.5);
    rows = 0;
    expect_ok(store->kind->usage(store, "2026-10-21", "2026-10-22", take_usage, &rows, &err));
    ck_assert_int_eq(rows, 0);
}
END_TEST

static bool add_accepted(void *context, const struct metric_sum *sum)
{
    double *total = context;
    ck_assert(bytes_equal_text(metric_attribute(sum->attributes, "tool_name"), "Edit"));
    ck_assert_uint_eq(metric_attribute(sum->attributes, "tool").len, 0);
    if (bytes_equal_text(metric_attribute(sum->attributes, "decision"), "accept"))
        *total += sum->value;
    return true;
}

START_TEST(a_metric_is_added_up_by_its_own_attributes)
{
    static const char decision[] = "claude_code.code_edit_tool.decision";
    const uint64_t day_ns = UINT64_C(86400000000000);
    const struct usage_delta points[] = {
        point(SAMPLE_FROM_NS, 3, decision, "decision=accept,language=Go,tool_name=Edit"),
        point(SAMPLE_FROM_NS + day_ns, 4, decision, "decision=accept,language=C,tool_name=Edit"),
        point(SAMPLE_FROM_NS, 8, decision, "decision=reject,language=Go,tool_name=Edit"),
        point(SAMPLE_FROM_NS + 2 * day_ns, 16, decision, "decision=accept,tool_name=Edit"),
        point(SAMPLE_FROM_NS, 32, "claude_code.commit.count", ""),
    };
    double accepted = 0;
    put_points(points, sizeof points / sizeof *points);
    expect_ok(store->kind->metric_sums(store, decision, "2026-10-20", "2026-10-21", add_accepted,
                                       &accepted, &err));
    ck_assert(accepted == 7);
    expect_ok(store->kind->metric_sums(store, "no.such", "2026-10-20", "2026-10-21", add_accepted,
                                       &accepted, &err));
    ck_assert(accepted == 7);
    ck_assert(!store->kind->metric_sums(store, decision, "2026", "2026-10-21", add_accepted,
                                        &accepted, &err));
    ck_assert_int_eq(err.kind, FAIL_INVALID);
}
END_TEST

/* ---- Forgetting ---- */

START_TEST(expired_rows_go_and_the_sums_with_them)
{
    const uint64_t day = UINT64_C(86400000000000);
    uint64_t deleted = 0;
    sample_rows_init(&samples, 7, SAMPLE_COUNT);
    struct message_batch kept = batch_of(samples.rows, 500),
                         expiring = batch_of(samples.rows + 500, 1000);
    expiring.retention_days = 5;
    put(kept);
    put(expiring);
    uint64_t now = SAMPLE_FROM_NS + 15 * day, left = 500;
    for (size_t i = 500; i < SAMPLE_COUNT; i++)
        if (samples.rows[i].time_ns + 5 * day > now)
            samples.rows[left++] = samples.rows[i];
    expect_ok(store->kind->retain(store, now, &deleted, &err));
    ck_assert_uint_eq(deleted, SAMPLE_COUNT - left);
    ck_assert_uint_gt(deleted, 0);
    ck_assert_uint_eq(count_all(), left);
    samples.count = left;
    expect_aggregates((struct message_query){0}, "after retention");
    sample_rows_clear(&samples);
}
END_TEST

/* A device that was off for long, or an export of old files: sent twice, an hour apart. */
START_TEST(points_of_days_far_back_count_once_after_housekeeping_too)
{
    const uint64_t day = UINT64_C(86400000000000);
    uint64_t deleted = 0;
    int rows = 0;
    for (int round = 0; round < 2; round++) {
        struct usage_delta usage =
            point(SAMPLE_FROM_NS, 10, "claude_code.token.usage", "type=input");
        struct message_batch batch = batch_of(NULL, 0);
        batch.received_ns = SAMPLE_FROM_NS + 200 * day + (uint64_t)round * day / 24;
        batch.usage = &usage;
        batch.usage_count = 1;
        put(batch);
        expect_ok(store->kind->retain(store, batch.received_ns, &deleted, &err));
    }
    expect_ok(store->kind->usage(store, "2026-10-20", "2026-10-20", take_usage, &rows, &err));
    ck_assert_int_eq(rows, 1);
    ck_assert_int_eq(last_usage.input_tokens, 10);
}
END_TEST

static bool expect_not_erased(void *context, const struct usage_row *row)
{
    (void)context;
    ck_assert(!bytes_equal_text(row->person, "a@x.org"));
    return true;
}

START_TEST(an_erased_person_stays_out)
{
    uint64_t deleted = 0, count = 0, now = SAMPLE_FROM_NS + UINT64_C(86400000000000) * 30;
    struct bytes person = bytes_of("a@x.org");
    const struct message_filter filter = {.field = FIELD_PERSON,
                                          .values = &person,
                                          .value_count = 1};
    const struct message_query of_person = {.filters = &filter, .filter_count = 1};
    put_samples(11);
    struct usage_delta usage = point(SAMPLE_FROM_NS, 5, "claude_code.commit.count", "");
    put_points(&usage, 1);
    expect_ok(store->kind->count(store, &of_person, &count, &err));
    expect_ok(store->kind->erase(store, person, now, &deleted, &err));
    ck_assert_uint_gt(deleted, 0);
    ck_assert_uint_eq(deleted, count);
    expect_ok(store->kind->usage(store, "2026-01-01", "2027-01-01", expect_not_erased, NULL, &err));

    put(batch_of(samples.rows, SAMPLE_COUNT)); /* a relay sends it all again */
    usage.key[0] ^= 1;
    put_points(&usage, 1);
    ck_assert_uint_eq(count_all(), SAMPLE_COUNT - deleted);
    expect_ok(store->kind->usage(store, "2026-01-01", "2027-01-01", expect_not_erased, NULL, &err));
    size_t left = 0;
    for (size_t i = 0; i < SAMPLE_COUNT; i++)
        if (!bytes_equal(samples.rows[i].person, person))
            samples.rows[left++] = samples.rows[i];
    samples.count = left;
    expect_aggregates((struct message_query){0}, "after erasing");

    /* What the person does from now on is another matter. */
    struct message later = sample_row(999999, MESSAGE_LOG, now + 1);
    later.person = person;
    later.person_rank = PERSON_BY_STAMP;
    ck_assert_uint_eq(put(batch_of(&later, 1)).inserted, 1);
    sample_rows_clear(&samples);
}
END_TEST

/* ---- Crashes and company ---- */

/* Puts batches of three rows until it is killed, telling each number it has finished. */
static void put_for_ever(int told)
{
    struct message_store *own = message_store_open(url, &err);
    if (!own)
        _exit(1);
    for (uint64_t n = 1;; n++) {
        struct message rows[3];
        struct put_result result;
        for (uint64_t i = 0; i < 3; i++)
            rows[i] = sample_row(n * 3 + i, MESSAGE_GENERATION, SAMPLE_FROM_NS + n * 1000000);
        struct message_batch batch = batch_of(rows, 3);
        batch.stream = bytes_of("crash");
        batch.first = n * 3;
        batch.last = n * 3 + 2;
        if (!own->kind->put(own, &batch, 1, &result, &err) || write(told, &n, sizeof n) != sizeof n)
            _exit(1);
    }
}

START_TEST(what_was_put_survives_a_kill)
{
    store->kind->close(store);
    uint64_t last = 0;
    for (int round = 0; round < 3; round++) {
        int pipes[2];
        uint64_t n = 0, before = last;
        ck_assert_int_eq(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            close(pipes[0]);
            put_for_ever(pipes[1]);
        }
        close(pipes[1]);
        /* Killed somewhere in a later put than those it told of. */
        while (n < 20 + (uint64_t)round * 7 && read(pipes[0], &n, sizeof n) == sizeof n)
            last = n > last ? n : last;
        kill(child, SIGKILL);
        while (read(pipes[0], &n, sizeof n) == sizeof n)
            last = n > last ? n : last;
        waitpid(child, NULL, 0);
        close(pipes[0]);
        ck_assert_uint_gt(last, 0);
        ck_assert_uint_ge(last, before);

        open_store();
        uint64_t count = count_all();
        ck_assert_uint_eq(count % 3, 0); /* batches are there whole or not at all */
        ck_assert_uint_ge(count, last * 3);
        ck_assert_uint_le(count, last * 3 + 3);
        struct message m = sample_row(1, MESSAGE_LOG, SAMPLE_FROM_NS);
        struct message_batch batch = batch_of(&m, 1);
        batch.stream = bytes_of("crash");
        batch.first = 3;
        batch.last = count + 2; /* exactly what is in */
        ck_assert_int_eq(put(batch).outcome, PUT_REPLAYED);
        batch.last++;
        ck_assert_int_eq(put(batch).outcome, PUT_OVERLAPS);
        ck_assert_int_eq(usage_sums().requests, (int)count);
        store->kind->close(store);
    }
    open_store();
}
END_TEST

START_TEST(two_processes_write_the_same_store)
{
    enum { EACH = 40 };
    pid_t child = fork();
    struct message_store *own = message_store_open(url, &err);
    ck_assert_ptr_nonnull(own);
    for (uint64_t i = 0; i < EACH; i++) {
        char person[32];
        struct put_result result;
        struct message m = sample_row(i * 2 + (child == 0), MESSAGE_GENERATION, SAMPLE_FROM_NS);
        snprintf(person, sizeof person, "p%d@x.org", (int)(i % 5));
        m.person = bytes_of(person);
        m.input_tokens = 1;
        struct message_batch batch = batch_of(&m, 1);
        expect_ok(own->kind->put(own, &batch, 1, &result, &err));
    }
    own->kind->close(own);
    if (child == 0)
        _exit(0);
    int status;
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_uint_eq(count_all(), 2 * EACH);
    ck_assert_int_eq(usage_sums().input_tokens, 2 * EACH);
}
END_TEST

Suite *message_store_contract(const struct store_under_test *kind)
{
    under_test = kind;
    Suite *suite = suite_create(kind->name);
    TCase *tests = tcase_create("contract");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_row_comes_back_as_it_was_put);
    tcase_add_test(tests, ids_are_ulids_and_read_back);
    tcase_add_test(tests, a_range_of_a_stream_is_stored_once);
    tcase_add_test(tests, signals_of_a_stream_count_apart);
    tcase_add_test(tests, the_same_record_again_changes_nothing);
    tcase_add_test(tests, several_batches_are_stored_with_a_result_each);
    tcase_add_test(tests, event_and_span_of_a_request_are_one_row_in_any_order);
    tcase_add_test(tests, systems_never_share_a_row);
    tcase_add_test(tests, a_child_names_its_parent_whichever_came_first);
    tcase_add_test(tests, an_account_id_seen_with_an_email_names_the_person);
    tcase_add_test(tests, every_field_filters);
    tcase_add_test(tests, a_filter_cannot_smuggle_sql);
    tcase_add_test(tests, pages_show_every_row_once);
    tcase_add_test(tests, aggregates_are_what_a_plain_loop_computes);
    tcase_add_test(tests, the_interval_of_the_first_day_is_found_by_any_of_its_hours);
    tcase_add_test(tests, top_keeps_the_largest_and_adds_up_the_rest);
    tcase_add_test(tests, what_would_take_too_long_or_too_much_is_refused);
    tcase_add_test(tests, running_totals_are_differenced_and_restarts_noticed);
    tcase_add_test(tests, metrics_become_the_columns_of_daily_usage);
    tcase_add_test(tests, a_metric_is_added_up_by_its_own_attributes);
    tcase_add_test(tests, expired_rows_go_and_the_sums_with_them);
    tcase_add_test(tests, points_of_days_far_back_count_once_after_housekeeping_too);
    tcase_add_test(tests, an_erased_person_stays_out);
    tcase_add_test(tests, what_was_put_survives_a_kill);
    tcase_add_test(tests, two_processes_write_the_same_store);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, message_store_who(kind));
    return suite;
}
