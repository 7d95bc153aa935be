#include "server/router/workers.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/expect.h"

static atomic_int done;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void count(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void wait_for_gate(void *context)
{
    atomic_store((atomic_int *)context, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

START_TEST(everything_submitted_is_done_before_the_pool_is_gone)
{
    struct workers *w = workers_create(3, 1000);
    for (int i = 0; i < 1000; i++)
        ck_assert(workers_submit(w, count, &done));
    workers_destroy(w);
    ck_assert_int_eq(atomic_load(&done), 1000);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
    atomic_int started = 0;
    struct workers *w = workers_create(1, 2);
    pthread_mutex_lock(&gate);
    ck_assert(workers_submit(w, wait_for_gate, &started));
    while (!atomic_load(&started))
        ; /* a moment: the one thread takes it up */
    ck_assert(workers_submit(w, count, &done));
    ck_assert(workers_submit(w, count, &done));
    ck_assert(!workers_submit(w, count, &done));
    pthread_mutex_unlock(&gate);
    workers_destroy(w);
    ck_assert_int_eq(atomic_load(&done), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workers");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, everything_submitted_is_done_before_the_pool_is_gone);
    tcase_add_test(tests, a_full_queue_refuses);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
