#include "server/ingest/writer.h"

#include <pthread.h>
#include <stdatomic.h>

#include "platform/platform.h"
#include "tests/support/expect.h"

/*
 * A store whose put waits until the test lets it, notes the size of every
 * transaction, and fails as told: always, or when a batch of a certain token is in it.
 */
struct slow_store {
    struct message_store store; /* first, so the pointers convert */
    pthread_mutex_t open;       /* held by the test: put waits */
    atomic_int entered;
    size_t sizes[64];
    int puts;
    enum error_kind failure; /* FAIL_NONE: none */
    int64_t poisoned_token;  /* 0: none */
};

static bool put(struct message_store *store, const struct message_batch *batches, size_t count,
                struct put_result *results, struct error *err)
{
    struct slow_store *s = (struct slow_store *)store;
    atomic_fetch_add(&s->entered, 1);
    pthread_mutex_lock(&s->open);
    pthread_mutex_unlock(&s->open);
    s->sizes[s->puts++] = count;
    if (s->failure != FAIL_NONE)
        return error_set(err, s->failure, "told to fail");
    for (size_t i = 0; i < count; i++) {
        if (s->poisoned_token && batches[i].token_id == s->poisoned_token)
            return error_set(err, FAIL_INVALID, "a batch nobody can store");
        results[i] = (struct put_result){.inserted = (uint32_t)batches[i].first};
    }
    return true;
}

static const struct message_store_kind kind = {.scheme = "slow", .put = put};
static struct slow_store slow;
static struct writer *writer;
static struct writer_meters meters;

struct outcome {
    struct writer_job job; /* first, so the pointers convert */
    int order;             /* 0: not answered */
    bool stored;
    uint32_t inserted;
};
static struct outcome outcomes[8];
static int answered;

static void done(struct writer_job *job, bool stored, const struct put_result *result,
                 const struct error *err)
{
    struct outcome *o = (struct outcome *)job;
    (void)err;
    o->order = ++answered;
    o->stored = stored;
    o->inserted = stored ? result->inserted : 0;
}

static void set_up(void)
{
    slow = (struct slow_store){.store = {.kind = &kind}, .open = PTHREAD_MUTEX_INITIALIZER};
    answered = 0;
    for (int i = 0; i < 8; i++) {
        outcomes[i] = (struct outcome){.job = {.bytes = 100, .done = done}};
        outcomes[i].job.batch.token_id = i + 1;
        outcomes[i].job.batch.first = (uint64_t)i + 10;
    }
    meters = (struct writer_meters){.commit_rows = histogram_of_sizes(),
                                    .commit_requests = histogram_of_sizes()};
    writer = writer_create(&(struct writer_options){.meters = &meters,
                                                    .store = &slow.store,
                                                    .clock = &platform_clock,
                                                    .max_jobs = 5,
                                                    .max_bytes = 1000});
}

/* Makes the writer enter put() with the first job, and wait there. */
static void hold_writer(void)
{
    pthread_mutex_lock(&slow.open);
    ck_assert(writer_submit(writer, &outcomes[0].job));
    while (atomic_load(&slow.entered) == 0)
        ; /* a moment: the thread takes it up */
}

static void release_writer(void)
{
    pthread_mutex_unlock(&slow.open);
    writer_destroy(writer); /* stores and answers what waits */
}

START_TEST(what_waits_during_a_commit_shares_the_next_one)
{
    hold_writer();
    for (int i = 1; i <= 5; i++)
        ck_assert(writer_submit(writer, &outcomes[i].job));
    release_writer();
    ck_assert_int_eq(slow.puts, 2);
    ck_assert_uint_eq(slow.sizes[0], 1);
    ck_assert_uint_eq(slow.sizes[1], 5);
    for (int i = 0; i <= 5; i++) {
        ck_assert_int_eq(outcomes[i].order, i + 1);
        ck_assert_uint_eq(outcomes[i].inserted, (unsigned)i + 10); /* each its own result */
    }
}
END_TEST

START_TEST(a_full_queue_refuses_by_count)
{
    hold_writer();
    for (int i = 1; i <= 5; i++)
        ck_assert(writer_submit(writer, &outcomes[i].job));
    ck_assert(writer_is_full(writer));
    ck_assert(!writer_submit(writer, &outcomes[6].job));
    release_writer();
    ck_assert_int_eq(outcomes[6].order, 0);
    ck_assert_int_eq(answered, 6);
}
END_TEST

START_TEST(a_full_queue_refuses_by_bytes_but_takes_one_however_large)
{
    hold_writer();
    outcomes[1].job.bytes = 5000;
    ck_assert(writer_submit(writer, &outcomes[1].job));
    ck_assert(!writer_submit(writer, &outcomes[2].job));
    release_writer();
    ck_assert_int_eq(answered, 2);
}
END_TEST

START_TEST(one_bad_batch_does_not_take_the_others_down)
{
    slow.poisoned_token = 3;
    hold_writer();
    for (int i = 1; i <= 4; i++)
        ck_assert(writer_submit(writer, &outcomes[i].job));
    release_writer();
    for (int i = 0; i <= 4; i++)
        ck_assert_int_eq(outcomes[i].stored, i != 2);
}
END_TEST

START_TEST(a_store_that_is_down_is_not_asked_for_each_batch)
{
    slow.failure = FAIL_IO;
    hold_writer();
    for (int i = 1; i <= 4; i++)
        ck_assert(writer_submit(writer, &outcomes[i].job));
    release_writer();
    ck_assert_int_eq(slow.puts, 2);
    for (int i = 0; i <= 4; i++)
        ck_assert(!outcomes[i].stored && outcomes[i].order > 0);
}
END_TEST

static void note(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

START_TEST(a_task_runs_on_the_writers_thread_and_is_waited_for)
{
    atomic_int ran = 0;
    writer_run(writer, note, &ran);
    ck_assert_int_eq(atomic_load(&ran), 1);
    writer_destroy(writer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writer");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, what_waits_during_a_commit_shares_the_next_one);
    tcase_add_test(tests, a_full_queue_refuses_by_count);
    tcase_add_test(tests, a_full_queue_refuses_by_bytes_but_takes_one_however_large);
    tcase_add_test(tests, one_bad_batch_does_not_take_the_others_down);
    tcase_add_test(tests, a_store_that_is_down_is_not_asked_for_each_batch);
    tcase_add_test(tests, a_task_runs_on_the_writers_thread_and_is_waited_for);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
