/*
 * Several server processes on one PostgreSQL: here each is a store of its own, opened by the same
 * URL and used by a thread of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/server/message_store_threads.h"
#include "tests/server/postgres_store.h"
#include "tests/server/sample_rows.h"
#include "tests/support/expect.h"

#define DAY_NS UINT64_C(86400000000000)

static struct error err;
static char url[512];

static void set_up(void)
{
    postgres_store_url(NULL, url, sizeof url);
}

static struct message_store *open_store(struct error *why)
{
    struct message_store *store = message_store_open(url, why);
    ck_assert_msg(store != NULL, "%s", why->cause);
    return store;
}

/* ---- The same records at two servers at once ---- */

enum { ROWS = 240, A_PUT = 12, SYSTEMS = 2, STREAMS = 30 };

/* The event or the span of one request; times apart by a second, so rows lie on several days. */
static struct message half(uint64_t number, int64_t system, bool event)
{
    struct message m =
        sample_row(number, MESSAGE_GENERATION, SAMPLE_FROM_NS + number * UINT64_C(1000000000000));
    m.join_hash = (number * SYSTEMS + (uint64_t)system + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 8; i++)
        m.key[6 + i] = (uint8_t)(m.join_hash >> (56 - 8 * i));
    m.key[14] = 0;
    m.key[15] = event;
    m.sources = event ? MESSAGE_FROM_EVENT : MESSAGE_FROM_SPAN;
    m.person = bytes_of(number % 3 ? "a@x.org" : "b@x.org");
    m.person_rank = PERSON_BY_STAMP;
    m.model = bytes_of(number % 2 ? "opus" : "sonnet");
    if (event) {
        m.input_tokens = (int64_t)number;
    } else {
        m.event_fields = 0;
        m.output_tokens = 1;
        m.span_id[0] = 1;
    }
    return m;
}

struct writer {
    struct message_store *store;
    bool second;             /* puts the other half, and the systems in the other order */
    pthread_barrier_t *meet; /* both begin each put at the same time */
    struct put_result sum;
    unsigned stored_ranges;
    const char *wrong;
    struct error err;
};

static bool put_some(struct writer *w, uint64_t from, bool event)
{
    struct message rows[SYSTEMS][A_PUT];
    struct message_batch batches[SYSTEMS] = {0};
    struct put_result results[SYSTEMS];
    for (int i = 0; i < SYSTEMS; i++) {
        int64_t system = w->second ? SYSTEMS - 1 - i : i;
        for (uint64_t r = 0; r < A_PUT; r++)
            rows[i][r] = half(from + r, system, event);
        batches[i] = (struct message_batch){.system_id = system,
                                            .system = bytes_of(system ? "one" : "zero"),
                                            .messages = rows[i],
                                            .message_count = A_PUT};
    }
    if (!w->store->kind->put(w->store, batches, SYSTEMS, results, &w->err))
        return false;
    for (int i = 0; i < SYSTEMS; i++) {
        w->sum.inserted += results[i].inserted;
        w->sum.merged += results[i].merged;
        w->sum.repeated += results[i].repeated;
    }
    return true;
}

/* A relay that had no answer in time repeats its batch at the other server. */
static bool put_range(struct writer *w, uint64_t number)
{
    struct message row = sample_row(number, MESSAGE_LOG, SAMPLE_FROM_NS + number);
    struct message_batch batch = {.system_id = 5,
                                  .system = bytes_of("five"),
                                  .stream = bytes_of("c7a3f0c0-0000-4000-8000-000000000001"),
                                  .signal = OTLP_LOGS,
                                  .first = number * 10,
                                  .last = number * 10 + 9,
                                  .messages = &row,
                                  .message_count = 1};
    struct put_result result;
    row.person = bytes_of("c@x.org"); /* no tokens: the sums below are the others' */
    if (!w->store->kind->put(w->store, &batch, 1, &result, &w->err))
        return false;
    w->stored_ranges += result.outcome == PUT_STORED;
    return result.outcome != PUT_OVERLAPS ||
           error_set(&w->err, FAIL_INVALID, "a repeated range was called an overlap");
}

/* Goes on after a failure, or the other would wait for ever. */
static void *write_all(void *context)
{
    struct writer *w = context;
    for (int side = 0; side < 2; side++)
        for (uint64_t at = 0; at < ROWS; at += A_PUT) {
            pthread_barrier_wait(w->meet);
            if (!put_some(w, at, (side == 0) != w->second))
                w->wrong = "a put failed";
        }
    for (uint64_t n = 0; n < STREAMS; n++) {
        pthread_barrier_wait(w->meet);
        if (!put_range(w, n))
            w->wrong = "a range failed";
    }
    return NULL;
}

static bool add_usage(void *context, const struct usage_row *row)
{
    struct usage_row *sum = context;
    sum->requests += row->requests;
    sum->input_tokens += row->input_tokens;
    sum->output_tokens += row->output_tokens;
    return true;
}

static bool take_sums(void *context, const struct aggregate_row *row)
{
    memcpy(context, row->integers, 3 * sizeof(int64_t));
    return true;
}

static void expect_everything_once(struct message_store *store)
{
    const int64_t requests = ROWS * SYSTEMS, input = (int64_t)ROWS * (ROWS - 1) / 2 * SYSTEMS;
    struct bytes type = bytes_of("ai.generation"), service = bytes_of("");
    const struct message_filter filters[] = {
        {.field = FIELD_TYPE, .values = &type, .value_count = 1},
        {.field = FIELD_SERVICE_NAME, .values = &service, .value_count = 1}};
    const struct aggregate_metric metrics[] = {{.function = AGGREGATE_COUNT},
                                               {.function = AGGREGATE_SUM,
                                                .field = FIELD_INPUT_TOKENS},
                                               {.function = AGGREGATE_SUM,
                                                .field = FIELD_OUTPUT_TOKENS}};
    struct aggregate_query query = {.metrics = metrics, .metric_count = 3};
    query.where.filters = filters;
    for (size_t count = 1; count <= 2; count++) { /* from the daily sums, and from the rows */
        int64_t sums[3] = {0};
        query.where.filter_count = count;
        expect_ok(store->kind->aggregate(store, &query, take_sums, sums, &err));
        ck_assert_int_eq(sums[0], requests);
        ck_assert_int_eq(sums[1], input);
        ck_assert_int_eq(sums[2], requests);
    }
    struct usage_row usage = {0};
    expect_ok(store->kind->usage(store, "2026-01-01", "2027-12-31", add_usage, &usage, &err));
    ck_assert_int_eq(usage.requests, requests);
    ck_assert_int_eq(usage.input_tokens, input);
    ck_assert_int_eq(usage.output_tokens, requests);
}

START_TEST(what_two_servers_get_at_once_is_stored_once)
{
    pthread_barrier_t meet;
    struct writer writers[2] = {{.second = false, .meet = &meet}, {.second = true, .meet = &meet}};
    pthread_t threads[2];
    pthread_barrier_init(&meet, NULL, 2);
    for (int i = 0; i < 2; i++)
        writers[i].store = open_store(&err);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_msg(!writers[i].wrong, "%s: %s", writers[i].wrong, writers[i].err.cause);
    }
    /* Each row came once, met its other half once, and all else were repeats. */
    ck_assert_uint_eq(writers[0].sum.inserted + writers[1].sum.inserted, ROWS * SYSTEMS);
    ck_assert_uint_eq(writers[0].sum.merged + writers[1].sum.merged, ROWS * SYSTEMS);
    ck_assert_uint_eq(writers[0].sum.repeated + writers[1].sum.repeated, 2 * ROWS * SYSTEMS);
    ck_assert_uint_eq(writers[0].stored_ranges + writers[1].stored_ranges, STREAMS);
    pthread_barrier_destroy(&meet);
    expect_everything_once(writers[0].store);
    for (int i = 0; i < 2; i++)
        writers[i].store->kind->close(writers[i].store);
}
END_TEST

/* ---- What one server remembers and another changes ---- */

static char seen_person[64];

static bool see_person(void *context, const struct stored_message *row)
{
    (void)context;
    snprintf(seen_person, sizeof seen_person, "%.*s", (int)row->message.person.len,
             (const char *)row->message.person.data);
    return true;
}

static struct put_result put_row(struct message_store *store, const struct message *row)
{
    struct message_batch batch = {.system_id = 1, .messages = row, .message_count = 1};
    struct put_result result;
    expect_ok(store->kind->put(store, &batch, 1, &result, &err));
    return result;
}

START_TEST(who_was_erased_at_one_server_is_erased_at_the_other)
{
    struct message_store *one = open_store(&err), *other = open_store(&err);
    struct bytes person = bytes_of("a@x.org");
    uint64_t now = SAMPLE_FROM_NS + 10 * DAY_NS, deleted = 0;
    struct message before = sample_row(1, MESSAGE_LOG, SAMPLE_FROM_NS),
                   late = sample_row(2, MESSAGE_LOG, SAMPLE_FROM_NS + 1),
                   after = sample_row(3, MESSAGE_LOG, now + 1);
    before.person = late.person = after.person = person;
    before.person_rank = late.person_rank = after.person_rank = PERSON_BY_STAMP;
    ck_assert_uint_eq(put_row(one, &before).inserted, 1); /* it knows the text's number now */
    expect_ok(other->kind->erase(other, person, now, &deleted, &err));
    ck_assert_uint_eq(deleted, 1);
    ck_assert_uint_eq(put_row(one, &late).repeated, 1);
    ck_assert_uint_eq(put_row(one, &after).inserted, 1);
    expect_ok(one->kind->get(one, after.key, see_person, NULL, &err));
    ck_assert_str_eq(seen_person, "a@x.org");
    one->kind->close(one);
    other->kind->close(other);
}
END_TEST

START_TEST(texts_longer_than_an_index_takes_are_kept_and_found)
{
    enum { LEN = 20000 };
    struct message_store *store = open_store(&err);
    char *text = malloc(LEN);
    uint32_t random = 1;
    for (int i = 0; i < LEN; i++) {
        random = random * 1664525u + 1013904223u;
        text[i] = (char)('a' + (random >> 24) % 26);
    }
    struct bytes session = bytes_make(text, LEN);
    struct message row = sample_row(1, MESSAGE_LOG, SAMPLE_FROM_NS);
    row.session_id = session;
    ck_assert_uint_eq(put_row(store, &row).inserted, 1);
    ck_assert_uint_eq(put_row(store, &row).repeated, 1);
    const struct message_filter filter = {.field = FIELD_SESSION_ID,
                                          .values = &session,
                                          .value_count = 1};
    const struct message_query query = {.filters = &filter, .filter_count = 1};
    uint64_t count = 0;
    expect_ok(store->kind->count(store, &query, &count, &err));
    ck_assert_uint_eq(count, 1);
    free(text);
    store->kind->close(store);
}
END_TEST

/* ---- A database that cannot write ---- */

static uint64_t count_all(struct message_store *store)
{
    const struct message_query all = {0};
    uint64_t count = 0;
    expect_ok(store->kind->count(store, &all, &count, &err));
    return count;
}

static void expect_refused(struct message_store *store, enum error_kind kind)
{
    struct message row = sample_row(7, MESSAGE_GENERATION, SAMPLE_FROM_NS);
    struct message_batch batch = {.system_id = 1, .messages = &row, .message_count = 1};
    struct put_result result;
    row.person = bytes_of("new@x.org");
    expect_fail(store->kind->put(store, &batch, 1, &result, &err), kind);
    ck_assert_str_ne(err.remedy, "");
    ck_assert_uint_eq(count_all(store), 0);
}

/* The disk's being full is played by the database, with the error that it then gives. */
START_TEST(a_full_disk_refuses_a_put_whole_and_the_next_one_succeeds)
{
    struct message_store *store = open_store(&err);
    free(postgres_cluster_ask(
        url, "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
             " RAISE EXCEPTION 'could not extend file: No space left on device'"
             " USING ERRCODE='disk_full'; END$$"));
    /* The sums come last in the transaction: rows and texts were written by then. */
    free(postgres_cluster_ask(url, "CREATE TRIGGER full_disk BEFORE INSERT ON messages.usage_event"
                                   " FOR EACH ROW EXECUTE FUNCTION full_disk()"));
    expect_refused(store, FAIL_NO_SPACE);
    free(postgres_cluster_ask(url, "DROP TRIGGER full_disk ON messages.usage_event"));
    struct message row = sample_row(7, MESSAGE_GENERATION, SAMPLE_FROM_NS);
    row.person = bytes_of("new@x.org");
    ck_assert_uint_eq(put_row(store, &row).inserted, 1);
    store->kind->close(store);
}
END_TEST

START_TEST(a_database_that_is_read_only_is_not_ready)
{
    struct message_store *store = open_store(&err);
    char *alter = NULL;
    expect_ok(store->kind->probe(store, &err));
    ck_assert_int_gt(asprintf(&alter, "DO $$BEGIN EXECUTE 'ALTER DATABASE '||current_database()||"
                                      "' SET default_transaction_read_only=on'; END$$"),
                     0);
    free(postgres_cluster_ask(url, alter));
    free(alter);
    /* Those who are connected go on; the others meet it. */
    free(postgres_cluster_ask(url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                   " WHERE datname=current_database() AND pid<>pg_backend_pid()"));
    ck_assert(!store->kind->probe(store, &err));
    ck_assert_str_ne(err.remedy, "");
    store->kind->close(store);
}
END_TEST

int main(void)
{
    if (!postgres_store_start())
        return SKIP_WITHOUT_POSTGRES;
    static const struct store_under_test kind = {.name = "postgres_writers",
                                                 .url = postgres_store_url};
    Suite *suite = suite_create(kind.name);
    TCase *tests = tcase_create("several servers");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, what_two_servers_get_at_once_is_stored_once);
    tcase_add_test(tests, who_was_erased_at_one_server_is_erased_at_the_other);
    tcase_add_test(tests, texts_longer_than_an_index_takes_are_kept_and_found);
    tcase_add_test(tests, a_full_disk_refuses_a_put_whole_and_the_next_one_succeeds);
    tcase_add_test(tests, a_database_that_is_read_only_is_not_ready);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, message_store_threads(&kind));
    int code = expect_run(suite);
    postgres_store_end();
    return code;
}
