#include <stdlib.h>

#include "base/memory.h"
#include "server/store/people_sql.h"
#include "server/store/postgres_messages.h"

static const char FIND_SQL[] =
    "SELECT a.system, a.account, a.person, t.value FROM unnest($1, $2) k(system, account)"
    " JOIN account a ON a.system=k.system AND a.account=k.account"
    " JOIN text t ON t.id=a.person";
static const char WRITE_SQL[] =
    "INSERT INTO account SELECT * FROM unnest($1, $2, $3) ON CONFLICT(system, account)"
    " DO UPDATE SET person=excluded.person WHERE account.person<>excluded.person";

enum { PERSON, PLACE }; /* values of an entry: the person's number, and 1 + where the text is */

static struct sum_entry *entry_of(struct postgres_accounts *accounts, int64_t system,
                                  int64_t account)
{
    const int64_t key[2] = {system, account};
    return sum_table_at(&accounts->table, key, 2);
}

static void set_person(struct postgres_accounts *accounts, struct sum_entry *entry, int64_t id,
                       struct bytes person)
{
    accounts->persons =
        xrealloc(accounts->persons, (accounts->person_count + 1) * sizeof *accounts->persons);
    accounts->persons[accounts->person_count++] = person;
    entry->values[PERSON] = id;
    entry->values[PLACE] = (int64_t)accounts->person_count;
}

/* ---- What the tables know ---- */

static bool want(struct postgres_messages *s, struct postgres_link *link,
                 struct postgres_accounts *accounts, int64_t system, struct bytes account,
                 struct error *err)
{
    int64_t id;
    if (account.len == 0)
        return true;
    if (!postgres_text_id(s, link, account, &id, err))
        return false;
    entry_of(accounts, system, id);
    return true;
}

static bool want_batch(struct postgres_messages *s, struct postgres_link *link,
                       struct postgres_accounts *accounts, const struct message_batch *b,
                       struct error *err)
{
    for (size_t i = 0; i < b->message_count; i++)
        if (!want(s, link, accounts, b->system_id, b->messages[i].account_uuid, err) ||
            !want(s, link, accounts, b->system_id, b->messages[i].account_id, err))
            return false;
    for (size_t i = 0; i < b->usage_count; i++)
        if (!want(s, link, accounts, b->system_id, b->usage[i].account_uuid, err) ||
            !want(s, link, accounts, b->system_id, b->usage[i].account_id, err))
            return false;
    return true;
}

static bool take_accounts(struct postgres_query *q, struct postgres_accounts *accounts,
                          struct error *err)
{
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct bytes person;
        if (!arena_copy(&accounts->texts, postgres_bytes_at(q, 3), &person))
            return error_set(err, FAIL_TOO_LARGE, "a request names too many accounts");
        set_person(accounts, entry_of(accounts, postgres_int_at(q, 0), postgres_int_at(q, 1)),
                   postgres_int_at(q, 2), person);
    }
    return ok;
}

bool postgres_accounts_read(struct postgres_messages *s, struct postgres_link *link,
                            const struct message_batch *batches, size_t count,
                            struct postgres_accounts *accounts, struct error *err)
{
    accounts->texts.max_bytes = 64 * MIB;
    for (size_t i = 0; i < count; i++)
        if (!want_batch(s, link, accounts, &batches[i], err))
            return false;
    if (accounts->table.count == 0)
        return true;
    struct postgres_array systems = {.kind = ARRAY_INT}, ids = {.kind = ARRAY_INT};
    for (size_t i = 0; i < accounts->table.count; i++) {
        postgres_array_int(&systems, accounts->table.entries[i].key[0]);
        postgres_array_int(&ids, accounts->table.entries[i].key[1]);
    }
    struct postgres_query *q = postgres_prepare(link, FIND_SQL);
    bool ok = postgres_bind_array(q, 1, &systems, err) && postgres_bind_array(q, 2, &ids, err) &&
              take_accounts(q, accounts, err);
    postgres_finalize(q);
    postgres_array_clear(&systems);
    postgres_array_clear(&ids);
    return ok;
}

/* ---- Whose it is ---- */

static bool learn(struct postgres_messages *s, struct postgres_link *link,
                  struct postgres_accounts *accounts, int64_t system, struct bytes account,
                  struct bytes person, struct error *err)
{
    int64_t account_id, person_id;
    if (account.len == 0)
        return true;
    if (!postgres_text_id(s, link, account, &account_id, err) ||
        !postgres_text_id(s, link, person, &person_id, err))
        return false;
    struct sum_entry *entry = entry_of(accounts, system, account_id);
    if (entry->values[PERSON] != person_id) {
        set_person(accounts, entry, person_id, person);
        entry->marked = true;
    }
    return true;
}

static bool look_up(struct postgres_messages *s, struct postgres_link *link,
                    struct postgres_accounts *accounts, int64_t system, struct bytes account,
                    struct bytes *person, struct error *err)
{
    int64_t id;
    if (account.len == 0)
        return true;
    if (!postgres_text_id(s, link, account, &id, err))
        return false;
    const struct sum_entry *entry = entry_of(accounts, system, id);
    if (entry->values[PLACE])
        *person = accounts->persons[entry->values[PLACE] - 1];
    return true;
}

bool postgres_person_settle(struct postgres_messages *s, struct postgres_link *link,
                            struct postgres_accounts *accounts, int64_t system,
                            const struct postgres_claim *claim, bool *erased, struct error *err)
{
    struct bytes uuid = claim->account_uuid, id = claim->account_id;
    if (*claim->rank >= PERSON_BY_EMAIL) {
        if (!learn(s, link, accounts, system, uuid, *claim->person, err) ||
            !learn(s, link, accounts, system, id, *claim->person, err))
            return false;
    } else if (*claim->rank < PERSON_BY_ACCOUNT && (uuid.len || id.len)) {
        struct bytes found = {0};
        if (!look_up(s, link, accounts, system, uuid, &found, err) ||
            (found.len == 0 && !look_up(s, link, accounts, system, id, &found, err)))
            return false;
        if (found.len) {
            *claim->person = found;
            *claim->rank = PERSON_BY_ACCOUNT;
        }
    }
    *erased = postgres_is_erased(s, *claim->person, claim->time_ns);
    return true;
}

bool postgres_accounts_write(struct postgres_link *link, struct postgres_accounts *accounts,
                             struct error *err)
{
    struct postgres_array columns[3] = {{.kind = ARRAY_INT},
                                        {.kind = ARRAY_INT},
                                        {.kind = ARRAY_INT}};
    sum_table_sort(&accounts->table);
    for (size_t i = 0; i < accounts->table.count; i++) {
        const struct sum_entry *entry = &accounts->table.entries[i];
        if (!entry->marked)
            continue;
        postgres_array_int(&columns[0], entry->key[0]);
        postgres_array_int(&columns[1], entry->key[1]);
        postgres_array_int(&columns[2], entry->values[PERSON]);
    }
    bool ok = true;
    if (columns[0].count) {
        struct postgres_query *q = postgres_prepare(link, WRITE_SQL);
        for (int i = 0; ok && i < 3; i++)
            ok = postgres_bind_array(q, i + 1, &columns[i], err);
        ok = ok && postgres_do(q, err);
        postgres_finalize(q);
    }
    for (int i = 0; i < 3; i++)
        postgres_array_clear(&columns[i]);
    return ok;
}

void postgres_accounts_clear(struct postgres_accounts *accounts)
{
    sum_table_clear(&accounts->table);
    free(accounts->persons);
    arena_clear(&accounts->texts);
    *accounts = (struct postgres_accounts){0};
}

bool postgres_accounts_visit(struct message_store *store, account_visit *visit, void *context,
                             struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    struct postgres_link *link = postgres_take(s->db, 0, err);
    if (!link)
        return false;
    struct postgres_query *q = postgres_prepare(link, ACCOUNTS_SQL);
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row)
        if (!visit(context, postgres_bytes_at(q, 0), postgres_bytes_at(q, 1)))
            break;
    postgres_finalize(q);
    postgres_give(s->db, link);
    return ok;
}
