/* One thread appends, others read, watch and tidy up, on the machine's own disk. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/spool.h"
#include "base/memory.h"
#include "platform/platform.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

enum { RECORDS = 3000, GROUP = 7, READERS = 2 };

struct shared {
    struct spool *spool;
    pthread_mutex_t mutex;
    pthread_cond_t more;
    uint64_t commits; /* under mutex; what on_commit counts */
    atomic_bool stop;
};

struct reader {
    struct shared *shared;
    const char *name;
    pthread_t thread;
    uint64_t read, out_of_order, failures;
};

static void wake(void *context)
{
    struct shared *s = context;
    pthread_mutex_lock(&s->mutex);
    s->commits++;
    pthread_cond_broadcast(&s->more);
    pthread_mutex_unlock(&s->mutex);
}

static void *append_all(void *context)
{
    struct shared *s = context;
    struct error err;
    uint64_t failures = 0;
    for (int i = 0; i < RECORDS; i++) {
        char text[200];
        int len = snprintf(text, sizeof text, "%d:%0*d", i, i % 150 + 1, 0);
        struct spool_record record = {.received_ns = (uint64_t)i + 1,
                                      .item_count = 1,
                                      .payload = bytes_make(text, (size_t)len)};
        failures += !spool_append(s->spool, &record, &err);
        if (i % GROUP == GROUP - 1 || i == RECORDS - 1)
            failures += !spool_commit(s->spool, &err);
    }
    return (void *)(uintptr_t)failures;
}

static void *read_all(void *context)
{
    struct reader *r = context;
    struct shared *s = r->shared;
    struct error err;
    struct buffer hold = {.max_bytes = MIB};
    struct spool_cursor *c = spool_cursor_open(s->spool, r->name, &err);
    while (c && r->read < RECORDS && r->failures == 0) {
        struct spool_record record;
        pthread_mutex_lock(&s->mutex);
        uint64_t seen = s->commits;
        pthread_mutex_unlock(&s->mutex);
        if (!spool_cursor_read(c, &hold, &record, &err)) {
            r->failures += err.kind != FAIL_NONE;
            pthread_mutex_lock(&s->mutex);
            while (s->commits == seen && r->failures == 0)
                pthread_cond_wait(&s->more, &s->mutex);
            pthread_mutex_unlock(&s->mutex);
            continue;
        }
        r->out_of_order += record.received_ns != ++r->read;
        if (r->read % 64 == 0 || r->read == RECORDS)
            r->failures += !spool_cursor_done(c, record.sequence, &err);
        if (r->read % 1000 == 0)
            spool_cursor_seek(c, record.sequence);
    }
    buffer_clear(&hold);
    return NULL;
}

static void *tidy_up(void *context)
{
    struct shared *s = context;
    struct error err;
    struct spool_state state;
    struct spool_ledger_entry entries[4];
    uint64_t failures = 0;
    while (!atomic_load(&s->stop)) {
        failures += !spool_maintain(s->spool, &err);
        spool_state(s->spool, &state);
        failures += spool_ledger(s->spool, entries, 4) != 0;
        failures += spool_last_sequence(s->spool) > RECORDS;
    }
    return (void *)(uintptr_t)failures;
}

START_TEST(readers_get_every_record_in_order_while_it_is_appended)
{
    struct error err;
    char *dir = temp_dir_make();
    struct spool_options options = {.dir = dir, .max_bytes = 64 * MIB, .segment_bytes = 32768};
    struct shared shared = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};
    shared.spool = spool_create(&options, &fs_real, &platform_clock, &err);
    ck_assert_msg(shared.spool != NULL, "%s", err.cause);
    spool_on_commit(shared.spool, wake, &shared);

    struct reader readers[READERS] = {{.name = "one"}, {.name = "two"}};
    for (int i = 0; i < READERS; i++) { /* so that nothing counts as delivered before both read */
        struct spool_cursor *c = spool_cursor_open(shared.spool, readers[i].name, &err);
        ck_assert_ptr_nonnull(c);
        spool_cursor_close(c);
    }
    pthread_t appender, tidier;
    void *failures;
    pthread_create(&tidier, NULL, tidy_up, &shared);
    for (int i = 0; i < READERS; i++) {
        readers[i].shared = &shared;
        pthread_create(&readers[i].thread, NULL, read_all, &readers[i]);
    }
    pthread_create(&appender, NULL, append_all, &shared);
    pthread_join(appender, &failures);
    ck_assert_ptr_null(failures);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        ck_assert_uint_eq(readers[i].read, RECORDS);
        ck_assert_uint_eq(readers[i].out_of_order, 0);
        ck_assert_uint_eq(readers[i].failures, 0);
    }
    atomic_store(&shared.stop, true);
    pthread_join(tidier, &failures);
    ck_assert_ptr_null(failures);
    spool_destroy(shared.spool);
    temp_dir_remove(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spool threads");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, readers_get_every_record_in_order_while_it_is_appended);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
