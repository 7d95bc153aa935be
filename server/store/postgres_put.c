#include <stdlib.h>

#include "base/memory.h"
#include "server/store/postgres_messages.h"

/* One call of put: what its transaction starts from each time that it is run. */
struct putting {
    struct postgres_messages *s;
    const struct message_batch *batches;
    size_t count;
    struct put_result *results;
    bool outdated;        /* what was remembered of texts: to be learned anew */
    int64_t known_system; /* s->known_system once this is committed */
};

/* ---- Locks ---- */

static int by_number(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Of each system once and in their order, or two processes might wait for each other. */
static bool lock_systems(const struct putting *p, struct postgres_link *link, struct error *err)
{
    int64_t *systems = xcalloc(p->count + 1, sizeof *systems);
    for (size_t i = 0; i < p->count; i++)
        systems[i] = (int32_t)p->batches[i].system_id; /* as the lock sees it */
    qsort(systems, p->count, sizeof *systems, by_number);
    bool ok = postgres_lock_shared(link, POSTGRES_LOCK_WRITERS, 0, err);
    for (size_t i = 0; ok && i < p->count; i++)
        if (i == 0 || systems[i] != systems[i - 1])
            ok = postgres_lock(link, POSTGRES_LOCK_SYSTEM, systems[i], err);
    free(systems);
    return ok;
}

/* ---- Texts ---- */

static void add_texts(struct postgres_messages *s, struct postgres_unknown_texts *unknown,
                      const struct message_batch *b)
{
    for (size_t i = 0; i < b->message_count; i++) {
        const struct message *m = &b->messages[i];
        const struct bytes texts[] = {m->service_name, m->model,      m->person,
                                      m->account_uuid, m->account_id, m->name,
                                      m->session_id,   m->prompt_id,  m->tool_name};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            postgres_unknown_add(s, unknown, texts[t]);
    }
    for (size_t i = 0; i < b->usage_count; i++) {
        const struct usage_delta *u = &b->usage[i];
        const struct bytes texts[] = {u->person,     u->account_uuid, u->account_id, u->model,
                                      u->session_id, u->metric,       u->attributes};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            postgres_unknown_add(s, unknown, texts[t]);
    }
}

static bool learn_texts(const struct putting *p, struct error *err)
{
    struct postgres_unknown_texts *unknown = postgres_unknown_create();
    for (size_t i = 0; i < p->count; i++)
        add_texts(p->s, unknown, &p->batches[i]);
    bool ok = postgres_texts_learn(p->s, unknown, err);
    postgres_unknown_destroy(unknown);
    return ok;
}

/* ---- The transaction ---- */

static bool put_system(struct putting *p, struct postgres_link *link, const struct message_batch *b,
                       struct error *err)
{
    if (b->system.len == 0 || b->system_id == p->known_system)
        return true;
    struct postgres_query *q = postgres_prepare(
        link, "INSERT INTO system VALUES($1,$2) ON CONFLICT(id) DO UPDATE SET name=excluded.name"
              " WHERE system.name<>excluded.name");
    postgres_bind_int(q, 1, b->system_id);
    postgres_bind_text(q, 2, b->system);
    bool ok = postgres_do(q, err);
    postgres_finalize(q);
    if (ok)
        p->known_system = b->system_id;
    return ok;
}

static bool put_parts(struct putting *p, struct postgres_link *link,
                      struct postgres_accounts *accounts, struct postgres_sums *sums,
                      struct error *err)
{
    struct postgres_messages *s = p->s;
    if (!postgres_streams_put(link, p->batches, p->count, p->results, err))
        return false;
    for (size_t i = 0; i < p->count; i++)
        if (p->results[i].outcome == PUT_STORED && !put_system(p, link, &p->batches[i], err))
            return false;
    return postgres_accounts_read(s, link, p->batches, p->count, accounts, err) &&
           postgres_rows_put(s, link, accounts, p->batches, p->count, sums, p->results, err) &&
           postgres_points_put(s, link, accounts, p->batches, p->count, sums, p->results, err) &&
           postgres_accounts_write(link, accounts, err) && postgres_sums_write(link, sums, err);
}

static bool put_all(void *context, struct postgres_link *link, struct error *err)
{
    /* Everything that is looked up here has an index. A plan made while the tables were small,
     * or anew for the thousand values at hand, would cost more than it could save. */
    static const char PLANS[] =
        "SET LOCAL enable_seqscan=off; SET LOCAL plan_cache_mode=force_generic_plan";
    struct putting *p = context;
    struct postgres_accounts accounts = {0};
    struct postgres_sums sums = {0};
    bool fresh = false;
    p->outdated = false;
    p->known_system = p->s->known_system;
    if (!postgres_run(link, PLANS, err) || !lock_systems(p, link, err) ||
        !postgres_state_check(p->s, link, &fresh, err))
        return false;
    if (!fresh) {
        p->outdated = true;
        return error_set(err, FAIL_BUSY, "people are erased all the time");
    }
    bool ok = put_parts(p, link, &accounts, &sums, err);
    postgres_accounts_clear(&accounts);
    postgres_sums_clear(&sums);
    return ok;
}

bool postgres_put(struct message_store *store, const struct message_batch *batches, size_t count,
                  struct put_result *results, struct error *err)
{
    enum { TRIES = 5 };
    struct postgres_messages *s = (struct postgres_messages *)store;
    struct putting p = {.s = s, .batches = batches, .count = count, .results = results};
    bool ok = false;
    pthread_mutex_lock(&s->writing);
    for (int i = 0; i < TRIES && !ok && (i == 0 || p.outdated); i++) {
        p.outdated = false;
        ok = learn_texts(&p, err) && postgres_transact(s->db, put_all, &p, err);
    }
    if (ok) {
        s->known_system = p.known_system;
    } else {
        postgres_forget(s);
        error_wrap(err, "cannot store telemetry");
    }
    pthread_mutex_unlock(&s->writing);
    return ok;
}
