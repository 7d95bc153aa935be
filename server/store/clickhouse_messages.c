#include "server/store/clickhouse_messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "platform/platform.h"
#include "server/store/day.h"
#include "server/store/kinds.h"

/* ---- Asking and writing ---- */

bool clickhouse_query(struct clickhouse_messages *s, const struct sql *sql, uint32_t time_limit_ms,
                      struct buffer *answer, struct answer_reader *reader, struct error *err)
{
    *reader = (struct answer_reader){0};
    if (!sql_ok(sql, err) ||
        !clickhouse_ask(s->server, buffer_bytes(&sql->text), time_limit_ms, answer, err))
        return false;
    reader->rest = buffer_bytes(answer);
    return true;
}

bool clickhouse_write(struct clickhouse_messages *s, const struct line_block *block,
                      struct error *err)
{
    struct buffer bytes = {.max_bytes = 1024 * MIB};
    bool ok = line_block_finish(block, &bytes, err) &&
              clickhouse_insert(s->server, CLICKHOUSE_TABLE, buffer_bytes(&bytes), err);
    buffer_clear(&bytes);
    return ok;
}

bool clickhouse_time_left(uint32_t limit_ms, uint64_t begun_ns, uint32_t *left_ms,
                          struct error *err)
{
    uint64_t gone_ms = (clock_monotonic_ns(&platform_clock) - begun_ns) / NS_PER_MS;
    *left_ms = limit_ms;
    if (limit_ms == 0)
        return true;
    if (gone_ms >= limit_ms) {
        error_set(err, FAIL_BUSY, "the question took longer than %u ms", limit_ms);
        return error_remedy(err, "ask for a shorter time range, or fewer groups");
    }
    *left_ms = limit_ms - (uint32_t)gone_ms;
    return true;
}

/* ---- Keys and places ---- */

void clickhouse_key_of(const char *what, int64_t system, uint64_t number, struct bytes text,
                       uint8_t key[LINE_KEY_BYTES])
{
    uint8_t hash[SHA256_BYTES], text_hash[SHA256_BYTES];
    struct buffer all = {.max_bytes = KIB};
    crypto_sha256(text, text_hash); /* so that the whole is short */
    bool fits = buffer_append_format(&all, "%s %lld %llu ", what, (long long)system,
                                     (unsigned long long)number) &&
                buffer_append(&all, bytes_make(text_hash, sizeof text_hash));
    crypto_sha256(fits ? buffer_bytes(&all) : text, hash);
    memcpy(key, hash, LINE_KEY_BYTES);
    buffer_clear(&all);
}

void clickhouse_join_key(const struct message *m, int64_t system, uint8_t key[LINE_KEY_BYTES])
{
    const uint64_t halves[2] = {m->join_hash, (uint64_t)system << 16 | (uint64_t)m->type << 8 |
                                                  (m->join_weak ? 1 : 0)};
    for (int i = 0; i < LINE_KEY_BYTES; i++)
        key[i] = (uint8_t)(halves[i / 8] >> (56 - 8 * (i % 8)));
}

void clickhouse_tombstone_key(struct bytes person, uint8_t key[LINE_KEY_BYTES])
{
    uint8_t hash[SHA256_BYTES];
    crypto_sha256(person, hash);
    memcpy(key, hash, LINE_KEY_BYTES);
}

void sql_put_places(struct sql *sql, const struct row_place *places, size_t count)
{
    sql_put(sql, "(day,key) IN ");
    sql_put(sql, SQL_PLACES_BEGIN);
    for (size_t i = 0; i < count; i++) {
        sql_put(sql, i ? "," : "");
        sql_put_place(sql, places[i].day, places[i].key);
    }
    sql_put(sql, SQL_PLACES_END);
}

uint32_t day_of_key(const uint8_t key[MESSAGE_KEY_BYTES])
{
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | key[i];
    return (uint32_t)(ms / (DAY_NS / NS_PER_MS));
}

bool clickhouse_days(const char *from_day, const char *to_day, int64_t *from, int64_t *to,
                     struct error *err)
{
    return (day_of_text(bytes_of(from_day), from) && day_of_text(bytes_of(to_day), to)) ||
           error_set(err, FAIL_INVALID, "'%s' to '%s' are not days like 2026-11-20", from_day,
                     to_day);
}

/* ---- Systems ---- */

/* The newest name; the lock is held. */
static const struct system_name *known_system(const struct clickhouse_messages *s, int64_t id)
{
    for (size_t i = s->system_count; i-- > 0;)
        if (s->systems[i].id == id)
            return &s->systems[i];
    return NULL;
}

bool clickhouse_system_is(struct clickhouse_messages *s, int64_t id, struct bytes name)
{
    pthread_mutex_lock(&s->naming);
    const struct system_name *known = known_system(s, id);
    bool same = known && bytes_equal_text(name, known->name);
    pthread_mutex_unlock(&s->naming);
    return same;
}

/* Names stay where they are, for others may be reading them: a changed one is added behind. */
void clickhouse_system_learn(struct clickhouse_messages *s, int64_t id, struct bytes name)
{
    if (clickhouse_system_is(s, id, name))
        return;
    pthread_mutex_lock(&s->naming);
    s->systems = xrealloc(s->systems, (s->system_count + 1) * sizeof *s->systems);
    s->systems[s->system_count++] =
        (struct system_name){.id = id, .name = xstrndup((const char *)name.data, name.len)};
    pthread_mutex_unlock(&s->naming);
}

static bool read_systems(struct clickhouse_messages *s, struct error *err)
{
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "SELECT item,text FROM " CLICKHOUSE_TABLE
                  " FINAL WHERE kind=8 AND day=0 FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, 0, &answer, &r, err);
    while (ok && answer_more(&r)) {
        int64_t id = answer_i64(&r);
        struct bytes name = answer_text(&r);
        if (!r.failed)
            clickhouse_system_learn(s, id, name);
    }
    ok = ok && answer_ok(&r, err);
    sql_clear(&sql);
    buffer_clear(&answer);
    return ok;
}

bool clickhouse_system_name(struct clickhouse_messages *s, int64_t id, struct bytes *name,
                            struct error *err)
{
    for (int asked = 0;; asked++) {
        pthread_mutex_lock(&s->naming);
        const struct system_name *found = known_system(s, id);
        *name = bytes_of(found ? found->name : NULL);
        pthread_mutex_unlock(&s->naming);
        if (found || asked)
            return true;
        if (!read_systems(s, err))
            return false;
    }
}

/* ---- Opening ---- */

static void clickhouse_messages_close(struct message_store *store)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    if (!s)
        return;
    clickhouse_destroy(s->server);
    for (size_t i = 0; i < s->system_count; i++)
        free(s->systems[i].name);
    free(s->systems);
    pthread_mutex_destroy(&s->naming);
    pthread_mutex_destroy(&s->writing);
    free(s);
}

/* A later schema is another table, filled from this one: steps that can be repeated. */
static bool make_table(struct clickhouse_messages *s, struct error *err)
{
    struct buffer sql = {.max_bytes = 64 * KIB};
    bool ok = line_table_create_sql(clickhouse_version(s->server), &sql) &&
              clickhouse_run(s->server, buffer_text(&sql), err);
    buffer_clear(&sql);
    return ok;
}

static struct message_store *open_at(const char *location, bool tls,
                                     const struct message_store_kind *kind, struct error *err)
{
    struct clickhouse_messages *s = xcalloc(1, sizeof *s);
    s->store.kind = kind;
    pthread_mutex_init(&s->writing, NULL);
    pthread_mutex_init(&s->naming, NULL);
    s->server = clickhouse_create(location, tls, err);
    if (s->server && make_table(s, err) && read_systems(s, err))
        return &s->store;
    error_wrap(err, "cannot open the message store");
    clickhouse_messages_close(&s->store);
    return NULL;
}

static struct message_store *open_plain(const char *location, struct error *err)
{
    return open_at(location, false, &clickhouse_message_kind, err);
}

static struct message_store *open_tls(const char *location, struct error *err)
{
    return open_at(location, true, &clickhouse_tls_message_kind, err);
}

static bool clickhouse_probe(struct message_store *store, struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    uint64_t now_ns = clock_wall_ns(&platform_clock);
    const struct line mark = {.kind = LINE_PROBE, .version = now_ns};
    struct line_block block;
    line_block_init(&block, now_ns);
    line_block_add(&block, &mark);
    bool ok = clickhouse_write(s, &block, err);
    line_block_clear(&block);
    return ok;
}

static bool clickhouse_backup(const char *location, const char *target, struct error *err)
{
    (void)location;
    (void)target;
    error_set(err, FAIL_INVALID, "rows in ClickHouse are not copied by this command");
    return error_remedy(err, "use BACKUP TABLE " CLICKHOUSE_TABLE
                             " there, or clickhouse-backup: docs/clickhouse.md");
}

#define KIND(SCHEME, OPEN)                                                                         \
    {                                                                                              \
        .scheme = SCHEME, .open = OPEN, .close = clickhouse_messages_close, .put = clickhouse_put, \
        .get = clickhouse_get, .find = clickhouse_find, .count = clickhouse_count,                 \
        .aggregate = clickhouse_aggregate, .usage = clickhouse_usage,                              \
        .metric_sums = clickhouse_metric_sums, .accounts = clickhouse_accounts,                    \
        .people = clickhouse_people, .retain = clickhouse_retain, .erase = clickhouse_erase,       \
        .probe = clickhouse_probe, .backup = clickhouse_backup,                                    \
    }

const struct message_store_kind clickhouse_message_kind = KIND("clickhouse+http", open_plain);
const struct message_store_kind clickhouse_tls_message_kind = KIND("clickhouse+https", open_tls);
