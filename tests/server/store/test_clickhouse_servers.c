/*
 * Several server processes on one ClickHouse, and one that goes away: each is a store of its own,
 * opened by the same URL and used by a thread of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/server/clickhouse_server.h"
#include "tests/server/message_store_threads.h"
#include "tests/server/sample_rows.h"
#include "tests/support/expect.h"

enum { SKIPPED = 77 };
#define DAY_NS UINT64_C(86400000000000)

static struct clickhouse_server *server;
static struct error err;
static char url[512];

static void new_url(const char *dir, char *out, size_t size)
{
    (void)dir;
    clickhouse_server_url(server, out, size);
}

static void set_up(void)
{
    new_url(NULL, url, sizeof url);
}

static struct message_store *open_store(void)
{
    struct message_store *store = message_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
    return store;
}

static struct message_batch batch_of(const struct message *rows, size_t count)
{
    return (struct message_batch){.system_id = 1,
                                  .system = bytes_of("test"),
                                  .messages = rows,
                                  .message_count = count};
}

static struct put_result put_rows(struct message_store *store, const struct message *rows,
                                  size_t count)
{
    struct message_batch batch = batch_of(rows, count);
    struct put_result result;
    expect_ok(store->kind->put(store, &batch, 1, &result, &err));
    return result;
}

static uint64_t count_all(struct message_store *store)
{
    const struct message_query all = {0};
    uint64_t count = 0;
    expect_ok(store->kind->count(store, &all, &count, &err));
    return count;
}

/* ---- The halves of requests at two servers at once ---- */

enum { ROWS = 240, A_PUT = 12 };

static struct message half(uint64_t number, bool event)
{
    struct message m =
        sample_row(number, MESSAGE_GENERATION, SAMPLE_FROM_NS + number * UINT64_C(1000000000000));
    m.join_hash = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 8; i++)
        m.key[6 + i] = (uint8_t)(m.join_hash >> (56 - 8 * i));
    m.key[14] = m.key[15] = 0;
    m.sources = event ? MESSAGE_FROM_EVENT : MESSAGE_FROM_SPAN;
    m.person = bytes_of("a@x.org");
    m.person_rank = PERSON_BY_STAMP;
    if (event) {
        m.input_tokens = (int64_t)number;
    } else {
        m.time_ns -= UINT64_C(3000000000); /* it began before; keys begin with the time */
        for (int i = 0; i < 6; i++)
            m.key[i] = (uint8_t)(m.time_ns / 1000000 >> (40 - 8 * i));
        m.event_fields = 0;
        m.output_tokens = 1;
        m.span_id[0] = 1;
    }
    return m;
}

struct writer {
    struct message_store *store;
    pthread_barrier_t *start; /* of every put, so that the two meet */
    bool events;
    const char *wrong;
    struct error err;
};

/* Each of the two writes one half of every request. */
static void *write_all(void *context)
{
    struct writer *w = context;
    for (uint64_t at = 0; at < ROWS; at += A_PUT) {
        struct message rows[A_PUT];
        struct put_result result;
        for (uint64_t i = 0; i < A_PUT; i++)
            rows[i] = half(at + i, w->events);
        struct message_batch batch = batch_of(rows, A_PUT);
        pthread_barrier_wait(w->start);
        if (!w->wrong && !w->store->kind->put(w->store, &batch, 1, &result, &w->err))
            w->wrong = "a put failed";
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

START_TEST(halves_of_requests_that_two_servers_get_at_once_become_one_row)
{
    pthread_barrier_t start;
    struct writer writers[2] = {{.start = &start, .events = true}, {.start = &start}};
    pthread_t threads[2];
    pthread_barrier_init(&start, NULL, 2);
    for (int i = 0; i < 2; i++)
        writers[i].store = open_store();
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_msg(!writers[i].wrong, "%s: %s", writers[i].wrong, writers[i].err.cause);
    }
    struct usage_row usage = {0};
    struct message_store *store = writers[0].store;
    ck_assert_uint_eq(count_all(store), ROWS);
    expect_ok(store->kind->usage(store, "2026-01-01", "2027-12-31", add_usage, &usage, &err));
    ck_assert_int_eq(usage.requests, ROWS);
    ck_assert_int_eq(usage.input_tokens, (int64_t)ROWS * (ROWS - 1) / 2);
    ck_assert_int_eq(usage.output_tokens, ROWS);
    for (int i = 0; i < 2; i++)
        writers[i].store->kind->close(writers[i].store);
    pthread_barrier_destroy(&start);
}
END_TEST

START_TEST(who_was_erased_at_one_server_is_erased_at_the_other)
{
    struct message_store *one = open_store(), *other = open_store();
    uint64_t now = SAMPLE_FROM_NS + 10 * DAY_NS, deleted = 0;
    struct message rows[3];
    for (uint64_t i = 0; i < 3; i++) {
        rows[i] = sample_row(i + 1, MESSAGE_LOG, i < 2 ? SAMPLE_FROM_NS + i : now + 1);
        rows[i].person = bytes_of("a@x.org");
        rows[i].person_rank = PERSON_BY_STAMP;
    }
    ck_assert_uint_eq(put_rows(one, &rows[0], 1).inserted, 1);
    expect_ok(other->kind->erase(other, rows[0].person, now, &deleted, &err));
    ck_assert_uint_eq(deleted, 1);
    ck_assert_uint_eq(put_rows(one, &rows[1], 1).repeated, 1);
    ck_assert_uint_eq(put_rows(one, &rows[2], 1).inserted, 1);
    ck_assert_uint_eq(count_all(one), 1);
    one->kind->close(one);
    other->kind->close(other);
}
END_TEST

/* The row's first version knew only a name: it must not come to light when the later one goes. */
START_TEST(erasing_a_joined_row_erases_what_it_was_before)
{
    struct message_store *store = open_store();
    struct message span = half(1, false), event = half(1, true);
    uint64_t deleted = 0;
    span.person = bytes_of("alice");
    span.person_rank = PERSON_BY_NAME;
    put_rows(store, &span, 1);
    ck_assert_uint_eq(put_rows(store, &event, 1).merged, 1);
    ck_assert_uint_eq(count_all(store), 1);
    expect_ok(store->kind->erase(store, event.person, event.time_ns, &deleted, &err));
    ck_assert_uint_eq(deleted, 1);
    ck_assert_uint_eq(count_all(store), 0);
    store->kind->close(store);
}
END_TEST

START_TEST(usage_outlives_the_rows)
{
    struct message_store *store = open_store();
    struct message rows[2] = {half(7, true), half(7, false)};
    struct message_batch batch = batch_of(rows, 2);
    struct usage_row usage = {0};
    struct put_result result;
    uint64_t deleted = 0;
    batch.retention_days = 3;
    expect_ok(store->kind->put(store, &batch, 1, &result, &err));
    expect_ok(store->kind->retain(store, SAMPLE_FROM_NS + 30 * DAY_NS, &deleted, &err));
    ck_assert_uint_eq(deleted, 1);
    ck_assert_uint_eq(count_all(store), 0);
    expect_ok(store->kind->usage(store, "2026-01-01", "2027-12-31", add_usage, &usage, &err));
    ck_assert_int_eq(usage.requests, 1);
    ck_assert_int_eq(usage.input_tokens, 7);
    store->kind->close(store);
}
END_TEST

/* ---- A ClickHouse that goes away ---- */

START_TEST(a_killed_clickhouse_is_an_error_with_a_remedy_and_then_goes_on)
{
    struct message_store *store = open_store();
    struct message rows[2] = {sample_row(1, MESSAGE_LOG, SAMPLE_FROM_NS),
                              sample_row(2, MESSAGE_LOG, SAMPLE_FROM_NS)};
    struct message_batch batch = batch_of(&rows[1], 1);
    struct put_result result;
    const struct message_query all = {0};
    uint64_t count;
    put_rows(store, &rows[0], 1);
    expect_ok(store->kind->probe(store, &err));
    clickhouse_server_kill(server);
    expect_fail(store->kind->put(store, &batch, 1, &result, &err), FAIL_IO);
    ck_assert_str_ne(err.remedy, "");
    expect_fail(store->kind->count(store, &all, &count, &err), FAIL_IO);
    ck_assert(!store->kind->probe(store, &err));
    clickhouse_server_resume(server);
    ck_assert_uint_eq(put_rows(store, rows, 2).inserted, 1);
    ck_assert_uint_eq(count_all(store), 2);
    store->kind->close(store);
}
END_TEST

START_TEST(a_block_that_is_cut_off_stores_nothing)
{
    struct message_store *store = open_store();
    char sql[160], answer[64];
    const char *database = strrchr(url, '/') + 1;
    /* Half of a block of one column, complete as a request. */
    snprintf(sql, sizeof sql,
             "INSERT INTO %s.telemetry_v1 (day) FORMAT Native\n\1\2\3day\6UInt32\1", database);
    clickhouse_server_say(server, sql, answer, sizeof answer);
    snprintf(sql, sizeof sql, "SELECT count() FROM %s.telemetry_v1", database);
    clickhouse_server_say(server, sql, answer, sizeof answer);
    ck_assert_str_eq(answer, "0\n");
    store->kind->close(store);
}
END_TEST

int main(void)
{
    static const struct store_under_test kind = {.name = "clickhouse_servers", .url = new_url};
    server = clickhouse_server_start();
    if (!server) {
        puts("skipped: there is no clickhouse-server here (Debian's package of that name)");
        return SKIPPED;
    }
    Suite *suite = suite_create(kind.name);
    TCase *tests = tcase_create("several servers");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, halves_of_requests_that_two_servers_get_at_once_become_one_row);
    tcase_add_test(tests, who_was_erased_at_one_server_is_erased_at_the_other);
    tcase_add_test(tests, erasing_a_joined_row_erases_what_it_was_before);
    tcase_add_test(tests, usage_outlives_the_rows);
    tcase_add_test(tests, a_block_that_is_cut_off_stores_nothing);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, message_store_threads(&kind));
    TCase *gone = tcase_create("gone");
    tcase_set_timeout(gone, 200);
    tcase_add_checked_fixture(gone, set_up, NULL);
    tcase_add_test(gone, a_killed_clickhouse_is_an_error_with_a_remedy_and_then_goes_on);
    suite_add_tcase(suite, gone);
    int code = expect_run(suite);
    clickhouse_server_stop(server);
    return code;
}
