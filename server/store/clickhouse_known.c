#include "server/store/clickhouse_known.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void known_init(struct known *k)
{
    *k = (struct known){.arena = {.max_bytes = 512 * MIB}};
}

void known_clear(struct known *k)
{
    arena_clear(&k->arena);
    buffer_clear(&k->narrow);
    buffer_clear(&k->full);
    free(k->rows);
    free(k->ranges);
    free(k->series);
    free(k->accounts);
    free(k->points);
    free(k->tombstones);
    key_map_clear(&k->row_at);
    key_map_clear(&k->join_at);
    key_map_clear(&k->series_at);
    key_map_clear(&k->account_at);
    key_map_clear(&k->point_at);
    key_map_clear(&k->tombstone_at);
}

/* Room for one more of `bytes` each. */
static void *grown(void *list, size_t count, size_t *room, size_t bytes)
{
    if (count < *room)
        return list;
    *room = *room ? *room * 2 : 64;
    return xrealloc(list, *room * bytes);
}

/* ---- Single things ---- */

struct known_row *known_row_of(struct known *k, const uint8_t key[MESSAGE_KEY_BYTES])
{
    uint32_t at;
    return key_map_find(&k->row_at, key, &at) ? &k->rows[at] : NULL;
}

uint32_t known_joined(const struct known *k, const uint8_t join[LINE_KEY_BYTES])
{
    uint32_t first = 0;
    return key_map_find(&k->join_at, join, &first) ? first : 0;
}

struct known_row *known_add_row(struct known *k, const struct known_row *row)
{
    k->rows = grown(k->rows, k->row_count, &k->row_room, sizeof *k->rows);
    uint32_t at = (uint32_t)k->row_count++;
    struct known_row *added = &k->rows[at];
    *added = *row;
    added->next = 0;
    key_map_put(&k->row_at, row->m.key, at);
    if (row->loaded && row->m.join_hash) {
        uint8_t join[LINE_KEY_BYTES];
        clickhouse_join_key(&row->m, row->system, join);
        added->next = known_joined(k, join);
        key_map_put(&k->join_at, join, at + 1);
    }
    return added;
}

struct known_account *known_account_of(struct known *k, int64_t system, struct bytes account)
{
    uint8_t key[LINE_KEY_BYTES];
    uint32_t at;
    clickhouse_key_of("account", system, 0, account, key);
    if (key_map_find(&k->account_at, key, &at))
        return &k->accounts[at];
    k->accounts = grown(k->accounts, k->account_count, &k->account_room, sizeof *k->accounts);
    struct known_account *added = &k->accounts[k->account_count];
    *added = (struct known_account){.system = system, .text = account};
    memcpy(added->key, key, sizeof key);
    key_map_put(&k->account_at, key, (uint32_t)k->account_count++);
    return added;
}

struct known_series *known_series_of(struct known *k, const struct usage_delta *delta)
{
    uint8_t key[LINE_KEY_BYTES];
    uint32_t at;
    clickhouse_key_of("series", 0, delta->start_ns, bytes_make(delta->series, sizeof delta->series),
                      key);
    if (key_map_find(&k->series_at, key, &at))
        return &k->series[at];
    k->series = grown(k->series, k->series_count, &k->series_room, sizeof *k->series);
    struct known_series *added = &k->series[k->series_count];
    *added = (struct known_series){0};
    memcpy(added->key, key, sizeof key);
    key_map_put(&k->series_at, key, (uint32_t)k->series_count++);
    return added;
}

struct known_range *known_add_range(struct known *k, const struct known_range *range)
{
    k->ranges = grown(k->ranges, k->range_count, &k->range_room, sizeof *k->ranges);
    k->ranges[k->range_count] = *range;
    return &k->ranges[k->range_count++];
}

void known_add_point(struct known *k, const struct known_point *point)
{
    k->points = grown(k->points, k->point_count, &k->point_room, sizeof *k->points);
    k->points[k->point_count++] = *point;
}

static void add_tombstone(struct known *k, const uint8_t *key, uint64_t erased_ns)
{
    k->tombstones =
        grown(k->tombstones, k->tombstone_count, &k->tombstone_room, sizeof *k->tombstones);
    k->tombstones[k->tombstone_count] = erased_ns;
    key_map_put(&k->tombstone_at, key, (uint32_t)k->tombstone_count++);
}

bool known_is_erased(const struct known *k, struct bytes person, uint64_t time_ns)
{
    uint8_t key[LINE_KEY_BYTES];
    uint32_t at;
    if (k->tombstone_count == 0 || person.len == 0)
        return false;
    clickhouse_tombstone_key(person, key);
    return key_map_find(&k->tombstone_at, key, &at) && time_ns <= k->tombstones[at];
}

/* ---- Asking ---- */

/* A list of things asked for, each once. */
struct asked {
    struct sql sql;
    struct key_map seen;
};

/* Whether it is to be put: a comma has been when it needs one. */
static bool ask_once(struct asked *a, const uint8_t key[LINE_KEY_BYTES])
{
    uint32_t known;
    if (key_map_find(&a->seen, key, &known))
        return false;
    key_map_put(&a->seen, key, 1);
    if (a->seen.count > 1)
        sql_put(&a->sql, ",");
    return true;
}

static void ask_key(struct asked *a, const uint8_t key[LINE_KEY_BYTES])
{
    if (ask_once(a, key))
        sql_put_hex(&a->sql, bytes_make(key, LINE_KEY_BYTES));
}

static void ask_place(struct asked *a, uint64_t time_ns, const uint8_t key[LINE_KEY_BYTES])
{
    if (ask_once(a, key))
        sql_put_place(&a->sql, (uint32_t)(time_ns / DAY_NS), key);
}

enum { ASK_ROWS, ASK_POINTS, ASK_STREAMS, ASK_SERIES, ASK_ACCOUNTS, ASK_JOINS, ASK_COUNT };

static void ask_account(struct asked *a, int64_t system, struct bytes account)
{
    uint8_t key[LINE_KEY_BYTES];
    if (account.len == 0)
        return;
    clickhouse_key_of("account", system, 0, account, key);
    ask_key(a, key);
}

static void ask_of_batch(struct asked asked[ASK_COUNT], const struct message_batch *b)
{
    uint8_t key[LINE_KEY_BYTES];
    if (b->stream.len) {
        clickhouse_key_of("stream", b->system_id, (uint64_t)b->signal, b->stream, key);
        ask_key(&asked[ASK_STREAMS], key);
    }
    for (size_t i = 0; i < b->message_count; i++) {
        const struct message *m = &b->messages[i];
        ask_place(&asked[ASK_ROWS], m->time_ns, m->key);
        ask_account(&asked[ASK_ACCOUNTS], b->system_id, m->account_uuid);
        ask_account(&asked[ASK_ACCOUNTS], b->system_id, m->account_id);
        if (m->join_hash) {
            clickhouse_join_key(m, b->system_id, key);
            ask_key(&asked[ASK_JOINS], key);
        }
    }
    for (size_t i = 0; i < b->usage_count; i++) {
        const struct usage_delta *d = &b->usage[i];
        ask_place(&asked[ASK_POINTS], d->time_ns, d->key);
        ask_account(&asked[ASK_ACCOUNTS], b->system_id, d->account_uuid);
        ask_account(&asked[ASK_ACCOUNTS], b->system_id, d->account_id);
        if (d->cumulative) {
            clickhouse_key_of("series", 0, d->start_ns, bytes_make(d->series, sizeof d->series),
                              key);
            ask_key(&asked[ASK_SERIES], key);
        }
    }
}

static void read_line(struct known *k, struct answer_reader *r)
{
    uint8_t key[LINE_KEY_BYTES];
    unsigned kind = answer_u8(r);
    answer_fixed(r, key, sizeof key);
    uint64_t item = answer_u64(r), version = answer_u64(r);
    bool dead = answer_u8(r) != 0;
    uint64_t time_ns = answer_u64(r), expires_ns = answer_u64(r);
    int64_t system = answer_i64(r);
    double value = answer_f64(r);
    struct bytes text = answer_text(r), person = answer_text(r);
    if (r->failed)
        return;
    switch (kind) {
    case LINE_MESSAGE: {
        struct known_row row = {.m = {.time_ns = time_ns},
                                .version = version,
                                .expires_ns = expires_ns,
                                .system = system,
                                .live = !dead};
        memcpy(row.m.key, key, sizeof key);
        known_add_row(k, &row);
        break;
    }
    case LINE_POINT:
        key_map_put(&k->point_at, key, 1);
        break;
    case LINE_STREAM: {
        struct known_range range = {.first = item, .last = version, .system = system};
        memcpy(range.stream, key, sizeof key);
        known_add_range(k, &range);
        break;
    }
    case LINE_SERIES: {
        k->series = grown(k->series, k->series_count, &k->series_room, sizeof *k->series);
        struct known_series *series = &k->series[k->series_count];
        *series = (struct known_series){.time_ns = version, .value = value, .there = true};
        memcpy(series->key, key, sizeof key);
        key_map_put(&k->series_at, key, (uint32_t)k->series_count++);
        break;
    }
    case LINE_ACCOUNT:
        known_account_of(k, system, text)->person = person;
        break;
    case LINE_TOMBSTONE:
        add_tombstone(k, key, version);
        break;
    default:
        break;
    }
}

static bool ask_narrow(struct known *k, struct clickhouse_messages *s,
                       struct asked asked[ASK_COUNT], struct error *err)
{
    static const struct {
        const char *before;
        bool places;
    } LISTS[ASK_JOINS] = {
        [ASK_ROWS] = {" OR (kind=0 AND (day,key) IN ", true},
        [ASK_POINTS] = {" OR (kind=2 AND (day,key) IN ", true},
        [ASK_STREAMS] = {" OR (kind=4 AND day=0 AND key IN ", false},
        [ASK_SERIES] = {" OR (kind=3 AND day=0 AND key IN ", false},
        [ASK_ACCOUNTS] = {" OR (kind=6 AND day=0 AND key IN ", false},
    };
    struct answer_reader r;
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "SELECT kind,key,item,version,dead,time_ns,expires_ns,system,value,text,person"
                  " FROM " CLICKHOUSE_TABLE " FINAL WHERE (kind=7 AND day=0)");
    for (int i = 0; i < ASK_JOINS; i++) {
        if (asked[i].seen.count == 0)
            continue;
        sql_put(&sql, LISTS[i].before);
        sql_put(&sql, LISTS[i].places ? SQL_PLACES_BEGIN : SQL_KEYS_BEGIN);
        if (!buffer_append(&sql.text, buffer_bytes(&asked[i].sql.text)) || asked[i].sql.failed)
            sql.failed = true;
        sql_put(&sql, LISTS[i].places ? SQL_PLACES_END : SQL_KEYS_END);
        sql_put(&sql, ")");
    }
    sql_put(&sql, " FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, 0, &k->narrow, &r, err);
    while (ok && answer_more(&r))
        read_line(k, &r);
    sql_clear(&sql);
    return ok && answer_ok(&r, err);
}

static void put_keys(struct sql *sql, const struct line_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sql_put(sql, i ? "," : "");
        sql_put_hex(sql, bytes_make(keys[i].bytes, LINE_KEY_BYTES));
    }
}

static const char JOINED_FROM[] =
    "(day,key) IN (SELECT toUInt32(intDiv(time_ns,86400000000000)),ref FROM " CLICKHOUSE_TABLE
    " WHERE kind=5 AND day=0 AND key IN ";

void sql_put_joined(struct sql *sql, const struct line_key *keys, size_t count)
{
    sql_put(sql, JOINED_FROM);
    sql_put(sql, SQL_KEYS_BEGIN);
    put_keys(sql, keys, count);
    sql_put(sql, SQL_KEYS_END);
    sql_put(sql, ")");
}

/* `keys` stand in SQL already. */
static bool load(struct known *k, struct clickhouse_messages *s, struct bytes keys,
                 struct error *err)
{
    struct answer_reader r;
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "SELECT ");
    sql_put(&sql, line_row_columns(true));
    sql_put(&sql, " FROM " CLICKHOUSE_TABLE " FINAL WHERE kind=0 AND dead=0 AND ");
    sql_put(&sql, JOINED_FROM);
    sql_put(&sql, SQL_KEYS_BEGIN);
    if (!buffer_append(&sql.text, keys))
        sql.failed = true;
    sql_put(&sql, SQL_KEYS_END);
    sql_put(&sql, ") FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, 0, &k->full, &r, err);
    while (ok && answer_more(&r)) {
        struct line_row read;
        if (!line_row_read(&r, &k->arena, &read))
            break;
        const struct known_row row = {.m = read.stored.message,
                                      .version = read.version,
                                      .expires_ns = read.expires_ns,
                                      .system = read.system,
                                      .token = read.token,
                                      .live = true,
                                      .loaded = true};
        known_add_row(k, &row); /* replaces what the narrow answer told of it */
    }
    sql_clear(&sql);
    return ok && answer_ok(&r, err);
}

bool known_load_joined(struct known *k, struct clickhouse_messages *s, const struct line_key *keys,
                       size_t count, struct error *err)
{
    struct sql list;
    sql_init(&list);
    put_keys(&list, keys, count);
    bool ok = sql_ok(&list, err) && load(k, s, buffer_bytes(&list.text), err);
    sql_clear(&list);
    return ok;
}

bool known_look_up(struct known *k, struct clickhouse_messages *s,
                   const struct message_batch *batches, size_t count, struct error *err)
{
    struct asked asked[ASK_COUNT] = {0};
    for (int i = 0; i < ASK_COUNT; i++)
        sql_init(&asked[i].sql);
    for (size_t i = 0; i < count; i++)
        ask_of_batch(asked, &batches[i]);
    bool ok = ask_narrow(k, s, asked, err);
    if (ok && asked[ASK_JOINS].seen.count > 0)
        ok = sql_ok(&asked[ASK_JOINS].sql, err) &&
             load(k, s, buffer_bytes(&asked[ASK_JOINS].sql.text), err);
    for (int i = 0; i < ASK_COUNT; i++) {
        sql_clear(&asked[i].sql);
        key_map_clear(&asked[i].seen);
    }
    return ok;
}
