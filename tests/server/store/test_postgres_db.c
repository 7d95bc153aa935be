#include "server/store/postgres_db.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/postgres.h"

static struct postgres_cluster *cluster;
static struct error err;
static char *url;
static struct postgres *db;

static struct postgres *open_db(unsigned max_links)
{
    struct postgres *opened =
        postgres_open(&(struct postgres_options){.location = strchr(url, ':') + 1,
                                                 .schema = "part",
                                                 .max_links = max_links},
                      &err);
    ck_assert_msg(opened != NULL, "%s", err.cause);
    return opened;
}

static void set_up(void)
{
    url = postgres_cluster_database(cluster);
    db = open_db(4);
}

static void tear_down(void)
{
    postgres_close(db);
    free(url);
}

static struct postgres_link *take(void)
{
    struct postgres_link *link = postgres_take(db, 0, &err);
    ck_assert_msg(link != NULL, "%s", err.cause);
    return link;
}

static int64_t number(const char *sql)
{
    bool row = false;
    struct postgres_link *link = take();
    struct postgres_query *q = postgres_prepare_once(link, sql);
    expect_ok(postgres_next(q, &row, &err));
    ck_assert(row);
    int64_t found = postgres_int_at(q, 0);
    postgres_finalize(q);
    postgres_give(db, link);
    return found;
}

static void run(const char *sql)
{
    struct postgres_link *link = take();
    expect_ok(postgres_run(link, sql, &err));
    postgres_give(db, link);
}

START_TEST(values_come_back_as_they_were_bound)
{
    bool row = false;
    struct postgres_link *link = take();
    struct postgres_query *q = postgres_prepare(
        link,
        "SELECT $1,$2,$3,$4,$5,$6,$7::int4,true,$8::bigint,count(*) FROM generate_series(1,3)");
    for (int again = 0; again < 2; again++) { /* the second time it is prepared already */
        postgres_bind_int(q, 1, INT64_MIN);
        postgres_bind_int(q, 2, INT64_MAX);
        postgres_bind_double(q, 3, 0.1);
        postgres_bind_text(q, 4, bytes_of("gr\xc3\xbc\xc3\x9f"));
        postgres_bind_text(q, 5, bytes_make("a\0b\xff", 4));
        postgres_bind_blob(q, 6, bytes_make("\0\xff", 2));
        postgres_bind_int(q, 7, -5);
        postgres_bind_count(q, 8, -1);
        expect_ok(postgres_next(q, &row, &err));
        ck_assert(row);
        ck_assert_int_eq(postgres_int_at(q, 0), INT64_MIN);
        ck_assert_int_eq(postgres_int_at(q, 1), INT64_MAX);
        ck_assert(postgres_double_at(q, 2) == 0.1);
        expect_text(postgres_bytes_at(q, 3), "gr\xc3\xbc\xc3\x9f");
        expect_text(postgres_bytes_at(q, 4), "a\xef\xbf\xbd"
                                             "b\xef\xbf\xbd");
        ck_assert(bytes_equal(postgres_bytes_at(q, 5), bytes_make("\0\xff", 2)));
        ck_assert_int_eq(postgres_int_at(q, 6), -5);
        ck_assert_int_eq(postgres_int_at(q, 7), 1);
        ck_assert(postgres_is_null(q, 8));
        ck_assert_int_eq(postgres_count_at(q, 8), -1);
        ck_assert_int_eq(postgres_int_at(q, 9), 3);
        expect_ok(postgres_next(q, &row, &err));
        ck_assert(!row);
    }
    postgres_finalize(q);
    postgres_give(db, link);
}
END_TEST

START_TEST(a_long_answer_may_be_left_early)
{
    struct postgres_link *link = take();
    struct postgres_query *q = postgres_prepare(link, "SELECT generate_series(1,100000000)");
    bool row = false;
    for (int i = 1; i <= 3; i++) {
        expect_ok(postgres_next(q, &row, &err));
        ck_assert_int_eq(postgres_int_at(q, 0), i);
    }
    postgres_finalize(q);
    q = postgres_prepare(link, "SELECT 7");
    expect_ok(postgres_next(q, &row, &err));
    ck_assert_int_eq(postgres_int_at(q, 0), 7);
    postgres_finalize(q);
    postgres_give(db, link);
}
END_TEST

START_TEST(what_takes_too_long_is_cancelled_and_the_link_goes_on)
{
    struct postgres_link *link = postgres_take(db, 50, &err);
    expect_fail(postgres_run(link, "SELECT pg_sleep(300)", &err), FAIL_BUSY);
    ck_assert_str_ne(err.remedy, "");
    postgres_give(db, link);
    ck_assert_int_eq(number("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%'"
                            " AND state='active' AND pid<>pg_backend_pid()"),
                     0);
}
END_TEST

START_TEST(a_failed_statement_tells_its_kind_and_no_values)
{
    run("CREATE SCHEMA part; CREATE TABLE t(a BIGINT UNIQUE); INSERT INTO t VALUES(4711)");
    struct postgres_link *link = take();
    struct postgres_query *q = postgres_prepare(link, "INSERT INTO t VALUES($1)");
    postgres_bind_int(q, 1, 4711);
    expect_fail(postgres_do(q, &err), FAIL_INVALID);
    ck_assert_ptr_null(strstr(err.cause, "4711"));
    postgres_bind_int(q, 1, 4712);
    expect_ok(postgres_do(q, &err));
    ck_assert_uint_eq(postgres_changes(q), 1);
    postgres_finalize(q);
    expect_fail(postgres_run(link, "SELECT nonsense", &err), FAIL_IO);
    postgres_give(db, link);
}
END_TEST

START_TEST(what_is_not_committed_is_rolled_back_when_the_link_is_given_back)
{
    run("CREATE SCHEMA part; CREATE TABLE t(a BIGINT)");
    struct postgres_link *link = take();
    expect_ok(postgres_begin(link, &err));
    expect_ok(postgres_run(link, "INSERT INTO t VALUES(1)", &err));
    postgres_give(db, link);
    ck_assert_int_eq(number("SELECT count(*) FROM t"), 0);

    link = take();
    expect_ok(postgres_begin(link, &err));
    expect_ok(postgres_run(link, "INSERT INTO t VALUES(1)", &err));
    expect_fail(postgres_run(link, "SELECT 1/0", &err), FAIL_INVALID);
    ck_assert(!postgres_commit(link, &err)); /* which the server would call a success */
    postgres_give(db, link);
    ck_assert_int_eq(number("SELECT count(*) FROM t"), 0);
}
END_TEST

static const char *const STEPS[] = {"CREATE TABLE first(a BIGINT); CREATE TABLE mark(n BIGINT)",
                                    "INSERT INTO mark VALUES(1)", "INSERT INTO mark VALUES(2)"};

static void *migrate(void *context)
{
    struct error own;
    bool *ok = context;
    struct postgres *mine = open_db(1);
    *ok = postgres_migrate(mine, STEPS, 3, &own);
    postgres_close(mine);
    return NULL;
}

START_TEST(of_many_that_start_at_once_one_makes_the_schema)
{
    enum { MANY = 6 };
    pthread_t threads[MANY];
    bool ok[MANY] = {false};
    expect_ok(postgres_migrate(db, STEPS, 2, &err)); /* an older program was here */
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, migrate, &ok[i]), 0);
    for (int i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(ok[i]);
    }
    ck_assert_int_eq(number("SELECT count(*) FROM mark"), 2);
    expect_fail(postgres_migrate(db, STEPS, 1, &err), FAIL_INVALID);
    ck_assert_str_ne(err.remedy, "");
}
END_TEST

static bool transfer(void *context, struct postgres_link *link, struct error *e)
{
    bool up = *(bool *)context; /* two orders: each pair meets in a deadlock sooner or later */
    return postgres_run(link, up ? "UPDATE t SET n=n+1 WHERE a=1" : "UPDATE t SET n=n+1 WHERE a=2",
                        e) &&
           postgres_run(link, up ? "UPDATE t SET n=n+1 WHERE a=2" : "UPDATE t SET n=n+1 WHERE a=1",
                        e);
}

enum { TRANSFERS = 20 };

static void *transfer_often(void *context)
{
    struct error own;
    for (int i = 0; i < TRANSFERS; i++)
        if (!postgres_transact(db, transfer, context, &own))
            return own.cause[0] ? xstrdup(own.cause) : NULL;
    return NULL;
}

START_TEST(a_deadlock_is_run_again_and_nothing_counts_twice)
{
    bool orders[] = {true, false};
    pthread_t threads[2];
    run("CREATE SCHEMA part; CREATE TABLE t(a BIGINT PRIMARY KEY, n BIGINT);"
        "INSERT INTO t VALUES(1,0),(2,0); ");
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, transfer_often, &orders[i]), 0);
    for (int i = 0; i < 2; i++) {
        char *failed = NULL;
        pthread_join(threads[i], (void **)&failed);
        ck_assert_msg(!failed, "%s", failed);
    }
    ck_assert_int_eq(number("SELECT sum(n)::bigint FROM t"), 4 * TRANSFERS);
}
END_TEST

static bool add_under_lock(void *context, struct postgres_link *link, struct error *e)
{
    bool row = false;
    (void)context;
    if (!postgres_lock(link, POSTGRES_LOCK_CONTROL, 1, e))
        return false;
    struct postgres_query *q = postgres_prepare(link, "SELECT count(*) FROM t");
    bool ok = postgres_next(q, &row, e);
    int64_t count = ok ? postgres_int_at(q, 0) : 0;
    postgres_finalize(q);
    q = postgres_prepare(link, "INSERT INTO t VALUES($1)");
    postgres_bind_int(q, 1, count + 1);
    ok = ok && postgres_do(q, e);
    postgres_finalize(q);
    return ok;
}

static void *add_often(void *context)
{
    struct error own;
    bool *ok = context;
    *ok = true;
    for (int i = 0; i < TRANSFERS && *ok; i++)
        *ok = postgres_transact(db, add_under_lock, NULL, &own);
    return NULL;
}

START_TEST(a_lock_lets_one_transaction_count_and_add)
{
    enum { MANY = 4 };
    pthread_t threads[MANY];
    bool ok[MANY];
    run("CREATE SCHEMA part; CREATE TABLE t(a BIGINT PRIMARY KEY)");
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_often, &ok[i]), 0);
    for (int i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(ok[i]);
    }
    ck_assert_int_eq(number("SELECT max(a) FROM t"), MANY * TRANSFERS);
}
END_TEST

START_TEST(a_link_that_the_server_ended_is_not_handed_out)
{
    struct postgres_link *one = take(), *two = take();
    postgres_give(db, one);
    postgres_give(db, two);
    free(postgres_cluster_ask(url,
                              "SELECT count(pg_terminate_backend(pid,10000)) FROM pg_stat_activity"
                              " WHERE datname=current_database() AND pid<>pg_backend_pid()"));
    ck_assert_int_eq(number("SELECT 5"), 5);
}
END_TEST

START_TEST(after_an_outage_it_goes_on_by_itself)
{
    struct postgres_link *in_use = take();
    postgres_cluster_crash(cluster);
    expect_fail(postgres_run(in_use, "SELECT 1", &err), FAIL_IO);
    ck_assert_str_ne(err.remedy, "");
    postgres_give(db, in_use);
    ck_assert_ptr_null(postgres_take(db, 0, &err));
    ck_assert_int_eq(err.kind, FAIL_IO);
    ck_assert_str_ne(err.remedy, "");
    postgres_cluster_restart(cluster);
    struct postgres_link *link = NULL;
    while (!link) /* the next try comes by itself; Check's limit ends a hang */
        link = postgres_take(db, 0, &err);
    expect_ok(postgres_run(link, "SELECT 1", &err));
    postgres_give(db, link);
}
END_TEST

START_TEST(a_password_in_the_url_is_never_shown)
{
    static const char *const locations[] = {"//ct:hunter22@127.0.0.1:1/x",
                                            "//ct:hunter22@localhost:notaport/x",
                                            "//ct:hunter22@%zz/x", "//ct:hunter22@[::1/x",
                                            "//ct@/x?password=hunter22&nosuch=1"};
    for (size_t i = 0; i < sizeof locations / sizeof *locations; i++) {
        struct postgres *none = postgres_open(&(struct postgres_options){.location = locations[i],
                                                                         .schema = "part",
                                                                         .max_links = 1},
                                              &err);
        ck_assert_ptr_null(none);
        ck_assert_ptr_null(strstr(err.cause, "hunter22"));
        ck_assert_ptr_null(strstr(err.remedy, "hunter22"));
        ck_assert_str_ne(err.cause, "");
        ck_assert_str_ne(err.remedy, "");
    }
}
END_TEST

int main(void)
{
    cluster = postgres_cluster_start();
    if (!cluster)
        return SKIP_WITHOUT_POSTGRES;
    Suite *suite = suite_create("postgres_db");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, values_come_back_as_they_were_bound);
    tcase_add_test(tests, a_long_answer_may_be_left_early);
    tcase_add_test(tests, what_takes_too_long_is_cancelled_and_the_link_goes_on);
    tcase_add_test(tests, a_failed_statement_tells_its_kind_and_no_values);
    tcase_add_test(tests, what_is_not_committed_is_rolled_back_when_the_link_is_given_back);
    tcase_add_test(tests, of_many_that_start_at_once_one_makes_the_schema);
    tcase_add_test(tests, a_deadlock_is_run_again_and_nothing_counts_twice);
    tcase_add_test(tests, a_lock_lets_one_transaction_count_and_add);
    tcase_add_test(tests, a_link_that_the_server_ended_is_not_handed_out);
    tcase_add_test(tests, after_an_outage_it_goes_on_by_itself);
    tcase_add_test(tests, a_password_in_the_url_is_never_shown);
    suite_add_tcase(suite, tests);
    int code = expect_run(suite);
    postgres_cluster_end(cluster);
    return code;
}
