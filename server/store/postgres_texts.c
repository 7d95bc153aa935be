#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "server/store/postgres_messages.h"

enum { PENDING = -1 }; /* in the memory of texts: among the unknown ones already */

struct unknown_text {
    uint8_t hash[POSTGRES_TEXT_HASH_BYTES];
    struct bytes text; /* borrowed */
    bool known;
};

struct postgres_unknown_texts {
    struct unknown_text *items;
    size_t count, capacity;
};

struct postgres_unknown_texts *postgres_unknown_create(void)
{
    return xcalloc(1, sizeof(struct postgres_unknown_texts));
}

void postgres_unknown_destroy(struct postgres_unknown_texts *unknown)
{
    if (!unknown)
        return;
    free(unknown->items);
    free(unknown);
}

void postgres_unknown_add(struct postgres_messages *s, struct postgres_unknown_texts *unknown,
                          struct bytes text)
{
    int64_t id;
    if (text.len == 0 || text_ids_find(s->texts, text, &id))
        return;
    text_ids_put(s->texts, text, PENDING);
    if (unknown->count == unknown->capacity) {
        unknown->capacity = unknown->capacity ? 2 * unknown->capacity : 64;
        unknown->items = xrealloc(unknown->items, unknown->capacity * sizeof *unknown->items);
    }
    struct unknown_text *item = &unknown->items[unknown->count++];
    *item = (struct unknown_text){.text = text};
    postgres_text_hash(text, item->hash);
}

static int by_hash(const void *left, const void *right)
{
    const struct unknown_text *a = left, *b = right;
    return memcmp(a->hash, b->hash, sizeof a->hash);
}

/* In order of their hashes, so that processes that add the same texts meet in one order. */
static void sort_unknown(struct postgres_unknown_texts *unknown)
{
    size_t kept = 0;
    qsort(unknown->items, unknown->count, sizeof *unknown->items, by_hash);
    for (size_t i = 0; i < unknown->count; i++)
        if (kept == 0 || by_hash(&unknown->items[kept - 1], &unknown->items[i]) != 0)
            unknown->items[kept++] = unknown->items[i];
    unknown->count = kept;
}

/* The statement gives rows of id and hash: what is known then. */
static bool take_ids(struct postgres_messages *s, struct postgres_unknown_texts *unknown,
                     struct postgres_query *q, struct error *err)
{
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct unknown_text key = {.known = false};
        struct bytes hash = postgres_bytes_at(q, 1);
        if (hash.len != sizeof key.hash)
            continue;
        memcpy(key.hash, hash.data, sizeof key.hash);
        struct unknown_text *item =
            bsearch(&key, unknown->items, unknown->count, sizeof *unknown->items, by_hash);
        if (item) {
            item->known = true;
            text_ids_put(s->texts, item->text, postgres_int_at(q, 0));
        }
    }
    return ok;
}

static const char FIND_SQL[] = "SELECT id, hash FROM text WHERE hash=ANY($1)";
static const char ADD_SQL[] = "INSERT INTO text(hash, value) SELECT * FROM unnest($1, $2)"
                              " ON CONFLICT(hash) DO NOTHING RETURNING id, hash";

struct learning {
    struct postgres_messages *s;
    struct postgres_unknown_texts *unknown;
    size_t missing;
};

/* Finds those that are still unknown, or adds them. */
static bool ask_texts(struct learning *l, struct postgres_link *link, bool add, struct error *err)
{
    struct postgres_array hashes = {.kind = ARRAY_BLOB}, texts = {.kind = ARRAY_TEXT};
    for (size_t i = 0; i < l->unknown->count; i++) {
        const struct unknown_text *item = &l->unknown->items[i];
        if (item->known)
            continue;
        postgres_array_bytes(&hashes, bytes_make(item->hash, sizeof item->hash));
        if (add)
            postgres_array_bytes(&texts, item->text);
    }
    struct postgres_query *q = postgres_prepare(link, add ? ADD_SQL : FIND_SQL);
    bool ok = postgres_bind_array(q, 1, &hashes, err) &&
              (!add || postgres_bind_array(q, 2, &texts, err)) &&
              take_ids(l->s, l->unknown, q, err);
    postgres_finalize(q);
    postgres_array_clear(&hashes);
    postgres_array_clear(&texts);
    l->missing = 0;
    for (size_t i = 0; i < l->unknown->count; i++)
        l->missing += !l->unknown->items[i].known;
    return ok;
}

static bool learn(void *context, struct postgres_link *link, struct error *err)
{
    enum { TRIES = 5 };
    struct learning *l = context;
    for (size_t i = 0; i < l->unknown->count; i++)
        l->unknown->items[i].known = false;
    /* What another adds meanwhile is neither found nor added, but found the next time. */
    for (int i = 0; i < TRIES; i++) {
        if (!ask_texts(l, link, false, err))
            return false;
        if (l->missing == 0 || !ask_texts(l, link, true, err))
            return l->missing == 0;
        if (l->missing == 0)
            return true;
    }
    return error_set(err, FAIL_BUSY, "others add the same texts all the time");
}

/* ---- What is remembered ---- */

void postgres_forget(struct postgres_messages *s)
{
    text_ids_forget(s->texts);
    s->known_system = 0;
    s->erasures = -1;
}

static bool read_erasures(struct postgres_link *link, int64_t *erasures, struct error *err)
{
    struct postgres_query *q = postgres_prepare(link, "SELECT erasures FROM state");
    bool row = false;
    bool ok = postgres_next(q, &row, err);
    *erasures = ok && row ? postgres_int_at(q, 0) : 0;
    postgres_finalize(q);
    return ok;
}

static bool read_tombstones(struct postgres_messages *s, struct postgres_link *link,
                            struct error *err)
{
    struct postgres_query *q =
        postgres_prepare(link, "SELECT person, erased_ns FROM tombstone ORDER BY person");
    bool row = true, ok;
    s->tombstone_count = 0;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct bytes person = postgres_bytes_at(q, 0);
        if (person.len != POSTGRES_TOMBSTONE_BYTES)
            continue;
        s->tombstones = xrealloc(s->tombstones, (s->tombstone_count + 1) * sizeof *s->tombstones);
        struct postgres_tombstone *tombstone = &s->tombstones[s->tombstone_count++];
        memcpy(tombstone->person, person.data, person.len);
        tombstone->erased_ns = postgres_int_at(q, 1);
    }
    postgres_finalize(q);
    return ok;
}

/* Before anything else is read: what is newer than this is noticed by postgres_state_check(). */
static bool read_state(void *context, struct postgres_link *link, struct error *err)
{
    struct postgres_messages *s = context;
    int64_t erasures;
    if (!read_erasures(link, &erasures, err) || !read_tombstones(s, link, err))
        return false;
    s->erasures = erasures;
    return true;
}

bool postgres_texts_learn(struct postgres_messages *s, struct postgres_unknown_texts *unknown,
                          struct error *err)
{
    struct learning l = {.s = s, .unknown = unknown};
    if (s->erasures < 0 && !postgres_transact(s->db, read_state, s, err))
        return false;
    if (unknown->count == 0)
        return true;
    sort_unknown(unknown);
    return postgres_transact(s->db, learn, &l, err);
}

bool postgres_state_check(struct postgres_messages *s, struct postgres_link *link, bool *fresh,
                          struct error *err)
{
    int64_t erasures;
    if (!read_erasures(link, &erasures, err))
        return false;
    *fresh = erasures == s->erasures;
    if (!*fresh)
        postgres_forget(s);
    return true;
}

bool postgres_text_id(struct postgres_messages *s, struct postgres_link *link, struct bytes text,
                      int64_t *id, struct error *err)
{
    *id = 0;
    if (text.len == 0 || (text_ids_find(s->texts, text, id) && *id != PENDING))
        return true;
    uint8_t hash[POSTGRES_TEXT_HASH_BYTES];
    bool row = false;
    postgres_text_hash(text, hash);
    struct postgres_query *q = postgres_prepare(link, "SELECT id FROM text WHERE hash=$1");
    postgres_bind_blob(q, 1, bytes_make(hash, sizeof hash));
    bool ok = postgres_next(q, &row, err);
    if (ok && row)
        text_ids_put(s->texts, text, *id = postgres_int_at(q, 0));
    else if (ok)
        ok = error_set(err, FAIL_CORRUPT, "a text of a row is not in the table of texts");
    postgres_finalize(q);
    return ok;
}

static int by_person(const void *left, const void *right)
{
    return memcmp(left, ((const struct postgres_tombstone *)right)->person,
                  POSTGRES_TOMBSTONE_BYTES);
}

bool postgres_is_erased(const struct postgres_messages *s, struct bytes person, uint64_t time_ns)
{
    uint8_t hash[SHA256_BYTES];
    if (s->tombstone_count == 0 || person.len == 0)
        return false;
    crypto_sha256(person, hash);
    const struct postgres_tombstone *found =
        bsearch(hash, s->tombstones, s->tombstone_count, sizeof *s->tombstones, by_person);
    return found && found->erased_ns >= (int64_t)time_ns;
}
