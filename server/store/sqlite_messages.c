#include "server/store/sqlite_messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "server/store/kinds.h"
#include "server/store/sqlite_backup.h"
#include "server/store/sqlite_functions.h"
#include "server/store/sqlite_schema.h"

enum { TEXTS_MAX = 65536 };

static void reader_destroy(struct reader *reader)
{
    if (!reader)
        return;
    sqlite3_close(reader->db);
    free(reader);
}

static void sqlite_messages_close(struct message_store *store)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    if (!s)
        return;
    for (int i = 0; i < s->idle_count; i++)
        reader_destroy(s->idle[i]);
    for (int i = 0; i < WRITE_COUNT; i++)
        sqlite3_finalize(s->write[i]);
    sqlite3_close(s->writer);
    text_ids_destroy(s->texts);
    arena_clear(&s->scratch);
    pthread_cond_destroy(&s->freed);
    pthread_mutex_destroy(&s->pooling);
    pthread_mutex_destroy(&s->writing);
    free(s->path);
    free(s);
}

static struct message_store *sqlite_messages_open(const char *location, struct error *err)
{
    struct sqlite_messages *s = xcalloc(1, sizeof *s);
    s->store.kind = &sqlite_message_kind;
    s->path = xstrdup(location);
    pthread_mutex_init(&s->writing, NULL);
    pthread_mutex_init(&s->pooling, NULL);
    pthread_cond_init(&s->freed, NULL);
    s->texts = text_ids_create(TEXTS_MAX);
    s->scratch.max_bytes = 256 * MIB;
    s->data_version = -1;
    s->writer = sqlite_open(s->path, true, err);
    if (!s->writer ||
        !sqlite_migrate(s->writer, SQLITE_MESSAGE_STEPS, SQLITE_MESSAGE_STEP_COUNT, err) ||
        !write_prepare(s, err)) {
        error_wrap(err, "cannot open the message store");
        sqlite_messages_close(&s->store);
        return NULL;
    }
    return &s->store;
}

/* ---- Readers ---- */

static uint64_t monotonic_ns(void)
{
    return clock_monotonic_ns(&platform_clock);
}

static int past_deadline(void *context)
{
    const struct reader *reader = context;
    return reader->until_ns && monotonic_ns() > reader->until_ns;
}

static struct reader *reader_create(struct sqlite_messages *s, struct error *err)
{
    enum { STEPS_BETWEEN_LOOKS = 20000 };
    struct reader *reader = xcalloc(1, sizeof *reader);
    reader->db = sqlite_open(s->path, false, err);
    if (!reader->db || !sqlite_functions_add(reader->db, err)) {
        reader_destroy(reader);
        return NULL;
    }
    sqlite3_progress_handler(reader->db, STEPS_BETWEEN_LOOKS, past_deadline, reader);
    return reader;
}

struct reader *reader_take(struct sqlite_messages *s, uint32_t time_limit_ms, struct error *err)
{
    struct reader *reader = NULL;
    pthread_mutex_lock(&s->pooling);
    while (s->idle_count == 0 && s->open_count == SQLITE_READERS_MAX)
        pthread_cond_wait(&s->freed, &s->pooling);
    if (s->idle_count > 0)
        reader = s->idle[--s->idle_count];
    else
        s->open_count++;
    pthread_mutex_unlock(&s->pooling);

    if (!reader && !(reader = reader_create(s, err))) {
        pthread_mutex_lock(&s->pooling);
        s->open_count--;
        pthread_cond_signal(&s->freed);
        pthread_mutex_unlock(&s->pooling);
        return NULL;
    }
    reader->until_ns = time_limit_ms ? monotonic_ns() + time_limit_ms * NS_PER_MS : 0;
    return reader;
}

void reader_give(struct sqlite_messages *s, struct reader *reader)
{
    pthread_mutex_lock(&s->pooling);
    s->idle[s->idle_count++] = reader;
    pthread_cond_signal(&s->freed);
    pthread_mutex_unlock(&s->pooling);
}

static bool sqlite_messages_probe(struct message_store *store, struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    char mark[64];
    /* Setting the version that it has anyway writes a page and commits it. */
    snprintf(mark, sizeof mark, "PRAGMA user_version=%d", SQLITE_MESSAGE_STEP_COUNT);
    pthread_mutex_lock(&s->writing);
    bool ok = write_begin(s, err) && sqlite_run(s->writer, mark, err) && write_commit(s, err);
    if (!ok)
        write_roll_back(s);
    pthread_mutex_unlock(&s->writing);
    return ok;
}

const struct message_store_kind sqlite_message_kind = {
    .scheme = "sqlite",
    .open = sqlite_messages_open,
    .close = sqlite_messages_close,
    .put = sqlite_put,
    .get = sqlite_get,
    .find = sqlite_find,
    .count = sqlite_count,
    .aggregate = sqlite_aggregate,
    .usage = sqlite_usage_read,
    .metric_sums = sqlite_metric_sums,
    .accounts = sqlite_accounts,
    .people = sqlite_people,
    .retain = sqlite_retain,
    .erase = sqlite_erase,
    .probe = sqlite_messages_probe,
    .backup = sqlite_backup,
};
