#include "server/store/postgres_messages.h"

#include <stdlib.h>

#include "base/memory.h"
#include "server/store/kinds.h"

enum { TEXTS_MAX = 65536, LINKS_MAX = 12 };

static void postgres_messages_close(struct message_store *store)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    if (!s)
        return;
    postgres_close(s->db);
    text_ids_destroy(s->texts);
    free(s->tombstones);
    pthread_mutex_destroy(&s->writing);
    free(s);
}

static struct message_store *postgres_messages_open(const char *location, struct error *err)
{
    const struct postgres_options options = {.location = location,
                                             .schema = "messages",
                                             .max_links = LINKS_MAX};
    struct postgres_messages *s = xcalloc(1, sizeof *s);
    s->store.kind = &postgres_message_kind;
    pthread_mutex_init(&s->writing, NULL);
    s->texts = text_ids_create(TEXTS_MAX);
    postgres_forget(s);
    s->db = postgres_open(&options, err);
    if (!s->db ||
        !postgres_migrate(s->db, POSTGRES_MESSAGE_STEPS, POSTGRES_MESSAGE_STEP_COUNT, err)) {
        error_wrap(err, "cannot open the message store");
        postgres_messages_close(&s->store);
        return NULL;
    }
    return &s->store;
}

static bool mark(void *context, struct postgres_link *link, struct error *err)
{
    (void)context;
    return postgres_run(link, "UPDATE state SET probes=probes+1", err);
}

static bool postgres_messages_probe(struct message_store *store, struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    return postgres_transact(s->db, mark, NULL, err);
}

const struct message_store_kind postgres_message_kind = {
    .scheme = "postgres",
    .open = postgres_messages_open,
    .close = postgres_messages_close,
    .put = postgres_put,
    .get = postgres_get,
    .find = postgres_find,
    .count = postgres_count,
    .aggregate = postgres_aggregate,
    .usage = postgres_usage,
    .metric_sums = postgres_metric_sums,
    .accounts = postgres_accounts_visit,
    .people = postgres_people,
    .retain = postgres_retain,
    .erase = postgres_erase,
    .probe = postgres_messages_probe,
    .backup = postgres_backup,
};
