#include <string.h>

#include "core/crypto/crypto.h"
#include "server/store/sqlite_messages.h"

/* How long what only recognises repeats is kept: much longer than a relay's spool. */
#define REPEATS_NS (60 * DAY_NS)

/* Deleted in steps, so that writing waits for none of them long. */
enum { ROWS_A_STEP = 2000 };

/* Takes one step's rows out of the sums and deletes them. `where` binds ?1 and orders. */
static bool delete_some(struct sqlite_messages *s, const char *where, int64_t bound,
                        uint64_t *deleted, struct error *err)
{
    char sql[512];
    sqlite3_stmt *q, *drop;
    bool row = true, ok;
    int count = 0;
    sqlite3_snprintf(sizeof sql, sql,
                     "SELECT id,time_ns,type,system,model,person,session,input_tokens,"
                     "output_tokens,cache_read_tokens,cache_create_tokens,cost,cost_computed,"
                     "duration_ms FROM message WHERE %s LIMIT %d",
                     where, ROWS_A_STEP);
    q = sqlite_prepare(s->writer, sql, err);
    drop = q ? sqlite_prepare(s->writer, "DELETE FROM message WHERE id=?1", err) : NULL;
    ok = drop != NULL;
    int64_t ids[ROWS_A_STEP];
    if (ok)
        sqlite3_bind_int64(q, 1, bound);
    while (ok && (ok = sqlite_next(s->writer, q, &row, err)) && row) {
        struct message m = {
            .time_ns = (uint64_t)sqlite3_column_int64(q, 1),
            .type = (enum message_type)sqlite3_column_int(q, 2),
            .input_tokens = sqlite_count_at(q, 7),
            .output_tokens = sqlite_count_at(q, 8),
            .cache_read_tokens = sqlite_count_at(q, 9),
            .cache_create_tokens = sqlite_count_at(q, 10),
            .cost_microcents = sqlite_count_at(q, 11),
            .cost_computed_microcents = sqlite_count_at(q, 12),
            .duration_ms = sqlite_count_at(q, 13),
        };
        struct row_ids row_ids = {.system = sqlite3_column_int64(q, 3),
                                  .model = sqlite3_column_int64(q, 4),
                                  .person = sqlite3_column_int64(q, 5),
                                  .session = sqlite3_column_int64(q, 6)};
        ids[count++] = sqlite3_column_int64(q, 0);
        ok = usage_change_rollup(s, &m, &row_ids, -1, err);
    }
    for (int i = 0; ok && i < count; i++) {
        sqlite3_bind_int64(drop, 1, ids[i]);
        ok = sqlite_do(s->writer, drop, err);
    }
    sqlite3_finalize(q);
    sqlite3_finalize(drop);
    *deleted = ok ? (uint64_t)count : 0;
    return ok;
}

static bool run_bound(struct sqlite_messages *s, const char *sql, int64_t bound, struct error *err)
{
    sqlite3_stmt *q = sqlite_prepare(s->writer, sql, err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, bound);
    bool ok = sqlite_do(s->writer, q, err);
    sqlite3_finalize(q);
    return ok;
}

/* Runs `where` to its end, each step its own transaction. */
static bool delete_all(struct sqlite_messages *s, const char *where, int64_t bound,
                       uint64_t *deleted, struct error *err)
{
    uint64_t step = 1;
    while (step > 0) {
        pthread_mutex_lock(&s->writing);
        bool ok =
            write_begin(s, err) && delete_some(s, where, bound, &step, err) && write_commit(s, err);
        if (!ok)
            write_roll_back(s);
        pthread_mutex_unlock(&s->writing);
        if (!ok)
            return false;
        *deleted += step;
    }
    return true;
}

static bool forget_repeats(struct sqlite_messages *s, uint64_t now_ns, struct error *err)
{
    uint64_t before = now_ns > REPEATS_NS ? now_ns - REPEATS_NS : 0;
    uint8_t key[MESSAGE_KEY_BYTES] = {0};
    for (int i = 0; i < 6; i++)
        key[i] = (uint8_t)(before / NS_PER_MS >> (40 - 8 * i));
    sqlite3_stmt *points =
        sqlite_prepare(s->writer, "DELETE FROM point WHERE key<?1 AND seen_ns<?2", err);
    if (!points)
        return false;
    sqlite_bind_raw(points, 1, key, sizeof key);
    sqlite3_bind_int64(points, 2, (int64_t)before);
    bool ok = sqlite_do(s->writer, points, err);
    sqlite3_finalize(points);
    return ok &&
           run_bound(s, "DELETE FROM series WHERE time_ns<?1 AND seen_ns<?1", (int64_t)before,
                     err) &&
           run_bound(s, "DELETE FROM stream WHERE seen_ns<?1", (int64_t)before, err);
}

bool sqlite_retain(struct message_store *store, uint64_t now_ns, uint64_t *deleted,
                   struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    *deleted = 0;
    if (!delete_all(s, "expires_ns IS NOT NULL AND expires_ns<=?1", (int64_t)now_ns, deleted, err))
        return error_wrap(err, "cannot delete expired messages");
    pthread_mutex_lock(&s->writing);
    bool ok = write_begin(s, err) && forget_repeats(s, now_ns, err) && write_commit(s, err);
    if (!ok)
        write_roll_back(s);
    pthread_mutex_unlock(&s->writing);
    return ok || error_wrap(err, "cannot delete expired messages");
}

/* ---- Erasing a person ---- */

/* First the tombstone, so that nothing of the person comes in while rows go. */
static bool bury(struct sqlite_messages *s, struct bytes person, uint64_t now_ns, int64_t *id,
                 struct error *err)
{
    uint8_t hash[SHA256_BYTES];
    crypto_sha256(person, hash);
    sqlite3_stmt *put = sqlite_prepare(s->writer,
                                       "INSERT INTO tombstone VALUES(?1,?2) ON CONFLICT DO UPDATE"
                                       " SET erased_ns=max(erased_ns,excluded.erased_ns)",
                                       err);
    if (!put)
        return false;
    sqlite_bind_raw(put, 1, hash, sizeof hash);
    sqlite3_bind_int64(put, 2, (int64_t)now_ns);
    bool ok = sqlite_do(s->writer, put, err);
    sqlite3_finalize(put);
    s->tombstones++;
    return ok && write_text_id(s, person, id, err);
}

static bool erase_sums(struct sqlite_messages *s, int64_t id, struct error *err)
{
    static const char *const ALL[] = {
        "DELETE FROM rollup WHERE person=?1",
        "DELETE FROM usage_event WHERE person=?1",
        "DELETE FROM usage_metric WHERE person=?1",
        "DELETE FROM account WHERE person=?1",
        /* The address itself stood only here and in the rows. */
        "UPDATE text SET value='erased-'||id WHERE id=?1",
    };
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        if (!run_bound(s, ALL[i], id, err))
            return false;
    text_ids_forget(s->texts);
    return true;
}

bool sqlite_erase(struct message_store *store, struct bytes person, uint64_t now_ns,
                  uint64_t *deleted, struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    int64_t id = 0;
    *deleted = 0;
    pthread_mutex_lock(&s->writing);
    bool ok = write_begin(s, err) && bury(s, person, now_ns, &id, err) && write_commit(s, err);
    if (!ok)
        write_roll_back(s);
    pthread_mutex_unlock(&s->writing);

    ok = ok && delete_all(s, "person=?1 AND person<>0", id, deleted, err);
    if (ok) {
        pthread_mutex_lock(&s->writing);
        ok = write_begin(s, err) && erase_sums(s, id, err) && write_commit(s, err);
        if (!ok)
            write_roll_back(s);
        pthread_mutex_unlock(&s->writing);
    }
    return ok || error_wrap(err, "cannot erase a person");
}
