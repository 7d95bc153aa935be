#include <string.h>

#include "core/crypto/crypto.h"
#include "server/store/people_sql.h"
#include "server/store/sqlite_messages.h"

static bool learn(struct sqlite_messages *s, int64_t system, struct bytes account,
                  struct bytes person, struct error *err)
{
    sqlite3_stmt *put = s->write[WRITE_ACCOUNT_PUT];
    int64_t account_id, person_id;
    if (account.len == 0)
        return true;
    if (!write_text_id(s, account, &account_id, err) || !write_text_id(s, person, &person_id, err))
        return false;
    sqlite3_bind_int64(put, 1, system);
    sqlite3_bind_int64(put, 2, account_id);
    sqlite3_bind_int64(put, 3, person_id);
    return sqlite_do(s->writer, put, err);
}

static bool look_up(struct sqlite_messages *s, int64_t system, struct bytes account,
                    struct bytes *person, struct error *err)
{
    sqlite3_stmt *find = s->write[WRITE_ACCOUNT_FIND];
    int64_t account_id;
    bool row = false;
    if (account.len == 0)
        return true;
    if (!write_text_id(s, account, &account_id, err))
        return false;
    sqlite3_bind_int64(find, 1, system);
    sqlite3_bind_int64(find, 2, account_id);
    if (!sqlite_next(s->writer, find, &row, err))
        return false;
    if (row && !arena_copy(&s->scratch, sqlite_text_at(find, 0), person))
        row = false;
    sqlite3_reset(find);
    return true;
}

static bool is_erased(struct sqlite_messages *s, struct bytes person, uint64_t time_ns,
                      bool *erased, struct error *err)
{
    uint8_t hash[SHA256_BYTES];
    sqlite3_stmt *find = s->write[WRITE_TOMBSTONE_FIND];
    crypto_sha256(person, hash);
    sqlite_bind_raw(find, 1, hash, sizeof hash);
    sqlite3_bind_int64(find, 2, (int64_t)time_ns);
    bool ok = sqlite_next(s->writer, find, erased, err);
    sqlite3_reset(find);
    return ok;
}

bool person_settle(struct sqlite_messages *s, int64_t system, struct bytes *person,
                   enum message_person_rank *rank, struct bytes account_uuid,
                   struct bytes account_id, uint64_t time_ns, bool *erased, struct error *err)
{
    *erased = false;
    if (*rank >= PERSON_BY_EMAIL) {
        if (!learn(s, system, account_uuid, *person, err) ||
            !learn(s, system, account_id, *person, err))
            return false;
    } else if (*rank < PERSON_BY_ACCOUNT && (account_uuid.len || account_id.len)) {
        struct bytes found = {0};
        if (!look_up(s, system, account_uuid, &found, err) ||
            (found.len == 0 && !look_up(s, system, account_id, &found, err)))
            return false;
        if (found.len) {
            *person = found;
            *rank = PERSON_BY_ACCOUNT;
        }
    }
    return s->tombstones == 0 || person->len == 0 || is_erased(s, *person, time_ns, erased, err);
}

bool sqlite_accounts(struct message_store *store, account_visit *visit, void *context,
                     struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    struct reader *reader = reader_take(s, 0, err);
    if (!reader)
        return false;
    sqlite3_stmt *q = sqlite_prepare(reader->db, ACCOUNTS_SQL, err);
    bool row = true, ok = q != NULL;
    while (ok && (ok = sqlite_next(reader->db, q, &row, err)) && row)
        if (!visit(context, sqlite_text_at(q, 0), sqlite_text_at(q, 1)))
            break;
    sqlite3_finalize(q);
    reader_give(s, reader);
    return ok;
}
