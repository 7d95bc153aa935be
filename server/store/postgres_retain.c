#include "base/clock.h"
#include "core/crypto/crypto.h"
#include "server/store/postgres_messages.h"

/* How long what only recognises repeats is kept: much longer than a relay's spool. */
#define REPEATS_NS (60 * DAY_NS)

/* Deleted in steps of 2000, so that writing waits for none of them long. Some of $1: */
#define DELETE_SOME(WHERE)                                                           \
    "DELETE FROM message WHERE ctid=ANY(ARRAY(SELECT ctid FROM message WHERE " WHERE \
    " LIMIT 2000)) RETURNING time_ns,type,system,model,person,session,input_tokens," \
    "output_tokens,cache_read_tokens,cache_create_tokens,cost,cost_computed,duration_ms"

/* A step of deleting, or another transaction that nobody may write beside. */
struct step {
    struct postgres_messages *s;
    const char *sql;
    int64_t bound;
    uint64_t deleted;
};

static bool lock_out_writers(struct postgres_link *link, struct error *err)
{
    return postgres_lock(link, POSTGRES_LOCK_WRITERS, 0, err);
}

static bool take_out(struct postgres_query *q, struct step *step, struct postgres_sums *sums,
                     struct error *err)
{
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row) {
        const struct message m = {
            .time_ns = (uint64_t)postgres_int_at(q, 0),
            .type = (enum message_type)postgres_int_at(q, 1),
            .input_tokens = postgres_count_at(q, 6),
            .output_tokens = postgres_count_at(q, 7),
            .cache_read_tokens = postgres_count_at(q, 8),
            .cache_create_tokens = postgres_count_at(q, 9),
            .cost_microcents = postgres_count_at(q, 10),
            .cost_computed_microcents = postgres_count_at(q, 11),
            .duration_ms = postgres_count_at(q, 12),
        };
        const struct postgres_row_ids ids = {.system = postgres_int_at(q, 2),
                                             .model = postgres_int_at(q, 3),
                                             .person = postgres_int_at(q, 4),
                                             .session = postgres_int_at(q, 5)};
        postgres_sums_change_rollup(sums, &m, &ids, -1);
        step->deleted++;
    }
    return ok;
}

/* Takes one step's rows out of the sums and deletes them. */
static bool delete_some(void *context, struct postgres_link *link, struct error *err)
{
    struct step *step = context;
    struct postgres_sums sums = {0};
    step->deleted = 0;
    if (!lock_out_writers(link, err))
        return false;
    struct postgres_query *q = postgres_prepare(link, step->sql);
    postgres_bind_int(q, 1, step->bound);
    bool ok = take_out(q, step, &sums, err);
    postgres_finalize(q);
    ok = ok && postgres_sums_write(link, &sums, err);
    postgres_sums_clear(&sums);
    return ok;
}

/* Runs the statement to its end, each step its own transaction. */
static bool delete_all(struct postgres_messages *s, const char *sql, int64_t bound,
                       uint64_t *deleted, struct error *err)
{
    struct step step = {.s = s, .sql = sql, .bound = bound};
    do {
        if (!postgres_transact(s->db, delete_some, &step, err))
            return false;
        *deleted += step.deleted;
    } while (step.deleted > 0);
    return true;
}

static bool run_bound(struct postgres_link *link, const char *sql, int64_t bound, struct error *err)
{
    struct postgres_query *q = postgres_prepare(link, sql);
    postgres_bind_int(q, 1, bound);
    bool ok = postgres_do(q, err);
    postgres_finalize(q);
    return ok;
}

static bool forget_repeats(void *context, struct postgres_link *link, struct error *err)
{
    uint64_t before = *(uint64_t *)context;
    uint8_t key[MESSAGE_KEY_BYTES] = {0};
    for (int i = 0; i < 6; i++)
        key[i] = (uint8_t)(before / NS_PER_MS >> (40 - 8 * i));
    if (!lock_out_writers(link, err))
        return false;
    struct postgres_query *points =
        postgres_prepare(link, "DELETE FROM point WHERE key<$1 AND seen_ns<$2");
    postgres_bind_blob(points, 1, bytes_make(key, sizeof key));
    postgres_bind_int(points, 2, (int64_t)before);
    bool ok = postgres_do(points, err);
    postgres_finalize(points);
    return ok &&
           run_bound(link, "DELETE FROM series WHERE time_ns<$1 AND seen_ns<$1", (int64_t)before,
                     err) &&
           run_bound(link, "DELETE FROM stream WHERE seen_ns<$1", (int64_t)before, err);
}

bool postgres_retain(struct message_store *store, uint64_t now_ns, uint64_t *deleted,
                     struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    uint64_t before = now_ns > REPEATS_NS ? now_ns - REPEATS_NS : 0;
    *deleted = 0;
    return (delete_all(s, DELETE_SOME("expires_ns IS NOT NULL AND expires_ns<=$1"), (int64_t)now_ns,
                       deleted, err) &&
            postgres_transact(s->db, forget_repeats, &before, err)) ||
           error_wrap(err, "cannot delete expired messages");
}

/* ---- Erasing a person ---- */

struct burial {
    struct bytes person;
    uint64_t now_ns;
    int64_t id; /* of the text; 0: it is in no row */
};

/* Every process forgets what it knew of texts and tombstones before it puts again. */
static bool count_erasure(struct postgres_link *link, struct error *err)
{
    return postgres_run(link, "UPDATE state SET erasures=erasures+1", err);
}

/* First the tombstone, so that nothing of the person comes in while rows go. */
static bool bury(void *context, struct postgres_link *link, struct error *err)
{
    struct burial *b = context;
    uint8_t hash[SHA256_BYTES];
    bool row = false;
    if (!lock_out_writers(link, err) || !count_erasure(link, err))
        return false;
    crypto_sha256(b->person, hash);
    struct postgres_query *q =
        postgres_prepare(link, "INSERT INTO tombstone VALUES($1,$2) ON CONFLICT(person) DO UPDATE"
                               " SET erased_ns=greatest(tombstone.erased_ns,excluded.erased_ns)");
    postgres_bind_blob(q, 1, bytes_make(hash, sizeof hash));
    postgres_bind_int(q, 2, (int64_t)b->now_ns);
    bool ok = postgres_do(q, err);
    postgres_finalize(q);
    if (!ok)
        return false;
    postgres_text_hash(b->person, hash);
    q = postgres_prepare(link, "SELECT id FROM text WHERE hash=$1");
    postgres_bind_blob(q, 1, bytes_make(hash, POSTGRES_TEXT_HASH_BYTES));
    ok = postgres_next(q, &row, err);
    b->id = ok && row ? postgres_int_at(q, 0) : 0;
    postgres_finalize(q);
    return ok;
}

static bool erase_sums(void *context, struct postgres_link *link, struct error *err)
{
    static const char *const ALL[] = {
        "DELETE FROM rollup WHERE person=$1",
        "DELETE FROM usage_event WHERE person=$1",
        "DELETE FROM usage_metric WHERE person=$1",
        "DELETE FROM account WHERE person=$1",
        /* The address itself stood only here and in the rows. */
        "UPDATE text SET value='erased-'||id,"
        " hash=substr(sha256(convert_to('erased-'||id,'UTF8')),1,16) WHERE id=$1",
    };
    const struct burial *b = context;
    if (!lock_out_writers(link, err) || !count_erasure(link, err))
        return false;
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        if (!run_bound(link, ALL[i], b->id, err))
            return false;
    return true;
}

bool postgres_erase(struct message_store *store, struct bytes person, uint64_t now_ns,
                    uint64_t *deleted, struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    struct burial b = {.person = person, .now_ns = now_ns};
    *deleted = 0;
    bool ok = postgres_transact(s->db, bury, &b, err);
    if (ok && b.id)
        ok = delete_all(s, DELETE_SOME("person=$1 AND person<>0"), b.id, deleted, err) &&
             postgres_transact(s->db, erase_sums, &b, err);
    return ok || error_wrap(err, "cannot erase a person");
}
