#include "tests/server/message_store_threads.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/server/sample_rows.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

enum { BATCH = 20, BATCHES = 60, READERS = 4 };

static struct message_store *store;
static atomic_bool writing;
static const struct store_under_test *under_test; /* Check fixtures take no argument */

static bool take_count(void *context, const struct aggregate_row *row)
{
    *(int64_t *)context = row->integers[0];
    return true;
}

static bool see_row(void *context, const struct stored_message *row)
{
    *(size_t *)context += row->message.session_id.len == 7;
    return true;
}

static void *wrong(const char *what)
{
    return (void *)(uintptr_t)what;
}

/* Check's assertions are for its own thread: a reader returns what it saw wrong. */
static void *read_on(void *unused)
{
    const struct aggregate_metric count = {.function = AGGREGATE_COUNT};
    const struct aggregate_query query = {.metrics = &count, .metric_count = 1};
    const struct message_query all = {0};
    const struct message_page page = {.take = 100};
    int64_t before = 0;
    (void)unused;
    while (atomic_load(&writing)) {
        struct error err;
        int64_t rows = 0;
        uint64_t counted = 0;
        size_t seen = 0;
        if (!store->kind->aggregate(store, &query, take_count, &rows, &err) ||
            !store->kind->count(store, &all, &counted, &err) ||
            !store->kind->find(store, &all, &page, see_row, &seen, &err))
            return wrong("a reader failed");
        if (rows % BATCH || counted % BATCH || rows < before || counted < (uint64_t)rows)
            return wrong("a reader saw part of a batch");
        if (seen < (counted < 100 ? counted : 100)) /* it was asked later, so it sees no fewer */
            return wrong("a row came without its session");
        before = rows;
    }
    return NULL;
}

START_TEST(readers_see_whole_batches_while_one_writes)
{
    struct error err;
    char *dir = temp_dir_make(), url[512];
    under_test->url(dir, url, sizeof url);
    store = message_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
    pthread_t readers[READERS];
    atomic_store(&writing, true);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_on, NULL), 0);
    for (uint64_t n = 0; n < BATCHES; n++) {
        struct message rows[BATCH];
        struct put_result result;
        for (uint64_t i = 0; i < BATCH; i++)
            rows[i] = sample_row(n * BATCH + i, MESSAGE_GENERATION,
                                 SAMPLE_FROM_NS + n * UINT64_C(1000000));
        struct message_batch batch = {.system_id = 1,
                                      .system = bytes_of("test"),
                                      .messages = rows,
                                      .message_count = BATCH};
        expect_ok(store->kind->put(store, &batch, 1, &result, &err));
    }
    atomic_store(&writing, false);
    for (int i = 0; i < READERS; i++) {
        void *wrong;
        pthread_join(readers[i], &wrong);
        ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
    }
    store->kind->close(store);
    temp_dir_remove(dir);
}
END_TEST

TCase *message_store_threads(const struct store_under_test *kind)
{
    under_test = kind;
    TCase *tests = tcase_create("one writer, several readers");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, readers_see_whole_batches_while_one_writes);
    return tests;
}
