#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "server/store/clickhouse_known.h"
#include "server/store/join_rows.h"

/* ---- Streams: which sequences of a relay are in ---- */

static bool stream_put(struct known *k, const struct message_batch *b, enum put_outcome *outcome,
                       struct error *err)
{
    struct known_range range = {.first = b->first,
                                .last = b->last,
                                .changed = true,
                                .system = b->system_id,
                                .text = b->stream,
                                .received_ns = b->received_ns};
    *outcome = PUT_STORED;
    if (b->stream.len == 0)
        return true;
    if (b->first > b->last || b->last >= INT64_MAX)
        return error_set(err, FAIL_INVALID, "batch sequences %llu to %llu are no range",
                         (unsigned long long)b->first, (unsigned long long)b->last);
    clickhouse_key_of("stream", b->system_id, (uint64_t)b->signal, b->stream, range.stream);
    for (size_t i = 0; i < k->range_count; i++) {
        const struct known_range *have = &k->ranges[i];
        if (have->gone || memcmp(have->stream, range.stream, LINE_KEY_BYTES) != 0)
            continue;
        if (have->first <= b->first && have->last >= b->last)
            *outcome = PUT_REPLAYED;
        else if (*outcome == PUT_STORED && have->first <= b->last && have->last >= b->first)
            *outcome = PUT_OVERLAPS;
    }
    if (*outcome != PUT_STORED)
        return true;
    for (bool touched = true; touched;) { /* one may lead to the next */
        touched = false;
        for (size_t i = 0; i < k->range_count; i++) {
            struct known_range *have = &k->ranges[i];
            if (have->gone || memcmp(have->stream, range.stream, LINE_KEY_BYTES) != 0 ||
                have->first > range.last + 1 || have->last + 1 < range.first)
                continue;
            range.first = have->first < range.first ? have->first : range.first;
            range.last = have->last > range.last ? have->last : range.last;
            have->gone = touched = true;
        }
    }
    known_add_range(k, &range);
    return true;
}

/* ---- Who ---- */

static void learn(struct known *k, int64_t system, struct bytes account, struct bytes person)
{
    if (account.len == 0)
        return;
    struct known_account *known = known_account_of(k, system, account);
    if (bytes_equal(known->person, person))
        return;
    known->person = person;
    known->changed = true;
}

/* Learns from and fills in the person by account id; false when a tombstone covers it. */
static bool settle_person(struct known *k, int64_t system, struct bytes *person,
                          enum message_person_rank *rank, struct bytes account_uuid,
                          struct bytes account_id, uint64_t time_ns)
{
    const struct bytes ids[] = {account_uuid, account_id};
    if (*rank >= PERSON_BY_EMAIL) {
        learn(k, system, account_uuid, *person);
        learn(k, system, account_id, *person);
    } else if (*rank < PERSON_BY_ACCOUNT) {
        for (int i = 0; i < 2; i++) {
            struct bytes found = {0};
            if (ids[i].len)
                found = known_account_of(k, system, ids[i])->person;
            if (found.len == 0)
                continue;
            *person = found;
            *rank = PERSON_BY_ACCOUNT;
            break;
        }
    }
    return !known_is_erased(k, *person, time_ns);
}

/* ---- Rows ---- */

static uint64_t later_expiry(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return 0;
    return a > b ? a : b;
}

/* Makes `row` what is known of its key. */
static void set_row(struct known *k, struct known_row *row)
{
    struct known_row *have = known_row_of(k, row->m.key);
    row->version = have ? have->version : 0;
    row->live = row->loaded = row->changed = true;
    if (have && have->loaded) {
        row->next = have->next;
        *have = *row;
    } else {
        known_add_row(k, row);
    }
}

static void insert_row(struct known *k, const struct known_row *incoming, struct put_result *result)
{
    const struct known_row *have = known_row_of(k, incoming->m.key);
    struct known_row row = *incoming;
    if (have && have->live) {
        result->repeated++;
        return;
    }
    result->inserted++;
    set_row(k, &row); /* may be one that was joined away once */
}

/* Joins the incoming row with those of `list` (indices), which are live. */
static bool join_rows(struct known *k, const struct known_row *incoming, const uint32_t *list,
                      size_t count, struct put_result *result, struct error *err)
{
    struct known_row row = *incoming;
    uint64_t received_ns = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct known_row *have = &k->rows[list[i]];
        struct message joined;
        if (!message_join(&have->m, &row.m, &k->arena, &joined))
            return error_set(err, FAIL_TOO_LARGE, "a message is too large to be joined");
        row.m = joined;
        row.expires_ns = later_expiry(row.expires_ns, have->expires_ns);
        if (have->m.received_ns < received_ns)
            received_ns = have->m.received_ns; /* a repeat is no news */
    }
    row.m.received_ns = received_ns;
    if (count == 1 && join_changes_nothing(&k->rows[list[0]].m, &row.m)) {
        result->repeated++;
        return true;
    }
    result->merged++;
    for (size_t i = 0; i < count; i++) {
        struct known_row *have = &k->rows[list[i]];
        have->live = memcmp(have->m.key, row.m.key, MESSAGE_KEY_BYTES) == 0;
        have->changed = true;
    }
    set_row(k, &row);
    return true;
}

/* The live rows that this one is one with; *repeated when it is in already. */
static size_t find_joined(const struct known *k, const struct known_row *incoming, uint32_t *list,
                          size_t room, bool *repeated)
{
    const struct message *m = &incoming->m;
    uint8_t join[LINE_KEY_BYTES];
    int64_t nearest = INT64_MAX;
    size_t count = 0;
    clickhouse_join_key(m, incoming->system, join);
    for (uint32_t at = known_joined(k, join); at != 0; at = k->rows[at - 1].next) {
        const struct known_row *have = &k->rows[at - 1];
        uint32_t newest;
        if (!have->live || !key_map_find(&k->row_at, have->m.key, &newest) || newest != at - 1)
            continue;
        if (!m->join_weak) {
            if (count < room)
                list[count++] = at - 1;
            continue;
        }
        int64_t apart = join_distance(&have->m, m);
        if (m->sources & have->m.sources & MESSAGE_FROM_SPAN &&
            memcmp(have->m.span_id, m->span_id, sizeof m->span_id) == 0)
            *repeated = true;
        if (apart >= 0 && apart < nearest) {
            nearest = apart;
            list[0] = at - 1;
            count = 1;
        }
    }
    return count;
}

static bool put_known(struct known *k, const struct known_row *incoming, struct put_result *result,
                      struct error *err)
{
    enum { TOGETHER = 16 };
    uint32_t list[TOGETHER];
    size_t count = 0;
    bool repeated = false;
    if (incoming->m.join_weak) {
        const struct known_row *have = known_row_of(k, incoming->m.key);
        repeated = have && have->live;
    }
    if (!repeated && incoming->m.join_hash)
        count = find_joined(k, incoming, list, TOGETHER, &repeated);
    if (repeated) {
        result->repeated++;
        return true;
    }
    if (count)
        return join_rows(k, incoming, list, count, result, err);
    insert_row(k, incoming, result);
    return true;
}

static bool put_row(struct known *k, const struct message *m, const struct message_batch *b,
                    struct put_result *result, struct error *err)
{
    struct known_row row = {.m = *m, .system = b->system_id, .token = b->token_id};
    if (b->retention_days > 0)
        row.expires_ns = m->time_ns + (uint64_t)b->retention_days * DAY_NS;
    if (row.m.metadata.len == 0)
        row.m.metadata = bytes_of("{}");
    if (!settle_person(k, b->system_id, &row.m.person, &row.m.person_rank, m->account_uuid,
                       m->account_id, m->time_ns)) {
        result->repeated++;
        return true;
    }
    return put_known(k, &row, result, err);
}

/* ---- Points ---- */

/*
 * What a running total adds to the last one of its start. Without one, all of it is new. A total
 * that arrives late is contained in a later one. One that fell has started over.
 */
static double difference(struct known *k, const struct usage_delta *delta)
{
    struct known_series *series = known_series_of(k, delta);
    double added = delta->value;
    if (series->there && delta->time_ns <= series->time_ns)
        return 0;
    if (series->there && delta->value >= series->value)
        added = delta->value - series->value;
    series->there = series->changed = true;
    series->time_ns = delta->time_ns;
    series->value = delta->value;
    return added;
}

static void put_point(struct known *k, const struct usage_delta *delta,
                      const struct message_batch *b, struct put_result *result)
{
    struct known_point point = {.delta = delta, .person = delta->person, .system = b->system_id};
    enum message_person_rank rank = delta->person_rank;
    uint32_t there;
    if (!settle_person(k, b->system_id, &point.person, &rank, delta->account_uuid,
                       delta->account_id, delta->time_ns) ||
        key_map_find(&k->point_at, delta->key, &there)) {
        result->repeated++;
        return;
    }
    result->inserted++;
    key_map_put(&k->point_at, delta->key, 1);
    point.added = delta->cumulative ? difference(k, delta) : delta->value;
    known_add_point(k, &point);
}

static bool put_batch(struct known *k, const struct message_batch *b, struct put_result *result,
                      struct error *err)
{
    *result = (struct put_result){0};
    if (!stream_put(k, b, &result->outcome, err))
        return false;
    if (result->outcome != PUT_STORED)
        return true;
    for (size_t i = 0; i < b->message_count; i++)
        if (!put_row(k, &b->messages[i], b, result, err))
            return false;
    for (size_t i = 0; i < b->usage_count; i++)
        put_point(k, &b->usage[i], b, result);
    return true;
}

/* ---- Lines ---- */

/*
 * A version counts up, and ends in bits of this put's own, so that of two servers that change a row
 * at once one wins in every reader's eyes, and the other sees that it lost.
 */
enum { OWN_BITS = 20 };

static uint64_t next_version(uint64_t version, uint64_t own)
{
    return ((version >> OWN_BITS) + 1) << OWN_BITS | own;
}

static void add_row_lines(struct line_block *block, const struct known_row *row, uint64_t own)
{
    const struct message *m = &row->m;
    struct message gone = {.time_ns = m->time_ns, .type = m->type, .person = m->person};
    struct line line = {.kind = LINE_MESSAGE,
                        .day = (uint32_t)(m->time_ns / DAY_NS),
                        .version = next_version(row->version, own),
                        .dead = !row->live,
                        .system = row->system,
                        .token = row->token,
                        .expires_ns = row->expires_ns,
                        .message = row->live ? m : &gone};
    memcpy(line.key, m->key, sizeof line.key);
    line_block_add(block, &line);
    if (m->type == MESSAGE_GENERATION) {
        struct message usage = {
            .time_ns = m->time_ns,
            .person = m->person,
            .model = m->model,
            .session_id = m->session_id,
            .input_tokens = m->input_tokens,
            .output_tokens = m->output_tokens,
            .cache_read_tokens = m->cache_read_tokens,
            .cache_create_tokens = m->cache_create_tokens,
            .cost_microcents =
                m->cost_microcents >= 0 ? m->cost_microcents : m->cost_computed_microcents,
        };
        line.kind = LINE_USAGE;
        line.expires_ns = 0;
        line.message = &usage;
        line_block_add(block, &line);
    }
    if (row->live && m->join_hash) {
        struct message where = {.time_ns = m->time_ns};
        struct line join = {.kind = LINE_JOIN, .version = 1, .message = &where};
        clickhouse_join_key(m, row->system, join.key);
        memcpy(join.ref, m->key, sizeof join.ref);
        for (int i = 8; i < MESSAGE_KEY_BYTES; i++)
            join.item = join.item << 8 | m->key[i];
        join.item ^= m->time_ns; /* two keys of one join differ in their time */
        line_block_add(block, &join);
    }
}

static void add_other_lines(struct line_block *block, const struct known *k, uint64_t now_ns)
{
    for (size_t i = 0; i < k->point_count; i++) {
        const struct known_point *point = &k->points[i];
        const struct usage_delta *delta = point->delta;
        const struct message m = {.time_ns = delta->time_ns,
                                  .person = point->person,
                                  .model = delta->model,
                                  .session_id = delta->session_id,
                                  .name = delta->metric};
        struct line line = {.kind = LINE_POINT,
                            .day = (uint32_t)(delta->time_ns / DAY_NS),
                            .version = 1,
                            .system = point->system,
                            .text = delta->attributes,
                            .value = point->added,
                            .message = &m};
        memcpy(line.key, delta->key, sizeof line.key);
        line_block_add(block, &line);
    }
    for (size_t i = 0; i < k->series_count; i++) {
        const struct known_series *series = &k->series[i];
        struct line line = {.kind = LINE_SERIES,
                            .version = series->time_ns,
                            .value = series->value};
        memcpy(line.key, series->key, sizeof line.key);
        if (series->changed)
            line_block_add(block, &line);
    }
    for (size_t i = 0; i < k->account_count; i++) {
        const struct known_account *account = &k->accounts[i];
        const struct message m = {.person = account->person};
        struct line line = {.kind = LINE_ACCOUNT,
                            .version = now_ns,
                            .system = account->system,
                            .text = account->text,
                            .message = &m};
        memcpy(line.key, account->key, sizeof line.key);
        if (account->changed)
            line_block_add(block, &line);
    }
    for (size_t i = 0; i < k->range_count; i++) {
        const struct known_range *range = &k->ranges[i];
        const struct message m = {.received_ns = range->received_ns, .time_ns = now_ns};
        struct line line = {.kind = LINE_STREAM,
                            .item = range->first,
                            .version = range->last,
                            .system = range->system,
                            .text = range->text,
                            .message = &m};
        memcpy(line.key, range->stream, sizeof line.key);
        if (range->changed && !range->gone)
            line_block_add(block, &line);
    }
}

static void add_systems(struct clickhouse_messages *s, struct line_block *block,
                        const struct message_batch *batches, size_t count, uint64_t now_ns)
{
    for (size_t i = 0; i < count; i++) {
        const struct message_batch *b = &batches[i];
        const struct line line = {.kind = LINE_SYSTEM,
                                  .item = (uint64_t)b->system_id,
                                  .version = now_ns,
                                  .text = b->system};
        if (b->system.len && !clickhouse_system_is(s, b->system_id, b->system))
            line_block_add(block, &line);
    }
}

static void learn_systems(struct clickhouse_messages *s, const struct message_batch *batches,
                          size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (batches[i].system.len)
            clickhouse_system_learn(s, batches[i].system_id, batches[i].system);
}

/* ---- Other servers ---- */

static void add_changed_rows(struct line_block *block, const struct known *k, uint64_t own)
{
    for (size_t i = 0; i < k->row_count; i++) {
        const struct known_row *row = &k->rows[i];
        if (row->changed && (row->live || row->version > 0))
            add_row_lines(block, row, own);
    }
}

static bool is_ours(struct known *k, const uint8_t *key, uint64_t version, uint64_t own)
{
    const struct known_row *row = known_row_of(k, key);
    if (!row || !row->live)
        return false;
    return version == (row->changed ? next_version(row->version, own) : row->version);
}

/* Join keys of the rows just written that another server may have written as well. */
static size_t shared_joins(const struct known *k, struct line_key *joins)
{
    size_t count = 0;
    for (size_t i = 0; i < k->row_count; i++) {
        const struct known_row *row = &k->rows[i];
        if (row->changed && row->live && row->m.join_hash && !row->m.join_weak)
            clickhouse_join_key(&row->m, row->system, joins[count++].bytes);
    }
    return count;
}

/* Whether what the server now holds under these join keys is what was just written. */
static bool looks_settled(struct clickhouse_messages *s, struct known *k,
                          const struct line_key *joins, size_t count, uint64_t own, bool *settled,
                          struct error *err)
{
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "SELECT key,version FROM " CLICKHOUSE_TABLE
                  " FINAL WHERE kind=0 AND dead=0 AND join_weak=0 AND ");
    sql_put_joined(&sql, joins, count);
    sql_put(&sql, " FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, 0, &answer, &r, err);
    *settled = true;
    while (ok && answer_more(&r)) {
        uint8_t key[MESSAGE_KEY_BYTES];
        answer_fixed(&r, key, sizeof key);
        uint64_t version = answer_u64(&r);
        *settled = *settled && (r.failed || is_ours(k, key, version, own));
    }
    ok = ok && answer_ok(&r, err);
    sql_clear(&sql);
    buffer_clear(&answer);
    return ok;
}

static uint64_t own_bits(void)
{
    uint32_t bits;
    platform_random(&bits, sizeof bits);
    return bits & ((1u << OWN_BITS) - 1);
}

static bool write_rows(struct clickhouse_messages *s, const struct known *k, uint64_t own,
                       struct error *err)
{
    struct line_block block;
    line_block_init(&block, clock_wall_ns(&platform_clock));
    add_changed_rows(&block, k, own);
    bool ok = block.rows == 0 || clickhouse_write(s, &block, err);
    line_block_clear(&block);
    return ok;
}

/* Puts the rows of `was` once more, on top of what another server made of them meanwhile. */
static bool join_again(struct clickhouse_messages *s, const struct known *was, struct known *again,
                       const struct line_key *joins, size_t count, uint64_t own, struct error *err)
{
    struct put_result unused = {0};
    if (!known_load_joined(again, s, joins, count, err))
        return false;
    for (size_t i = 0; i < was->row_count; i++) {
        const struct known_row *row = &was->rows[i];
        if (row->changed && row->live && row->m.join_hash && !row->m.join_weak &&
            !put_known(again, row, &unused, err))
            return false;
    }
    return write_rows(s, again, own, err);
}

/*
 * Two servers that get the two halves of one request at the same time find nothing to join them
 * with. So everyone looks again after writing: who wrote last sees both.
 */
static bool settle(struct clickhouse_messages *s, struct known *written, uint64_t own,
                   struct error *err)
{
    enum { ROUNDS = 5 };
    struct known rounds[ROUNDS]; /* each borrows from those before it */
    int used = 0;
    bool ok = true, settled = false;
    while (ok && !settled) {
        struct known *last = used ? &rounds[used - 1] : written;
        struct line_key *joins = xcalloc(last->row_count + 1, sizeof *joins);
        size_t count = shared_joins(last, joins);
        settled = count == 0 || used == ROUNDS;
        ok = settled || looks_settled(s, last, joins, count, own, &settled, err);
        if (ok && !settled) {
            known_init(&rounds[used]);
            own = own_bits();
            ok = join_again(s, last, &rounds[used++], joins, count, own, err);
        }
        free(joins);
    }
    while (used > 0)
        known_clear(&rounds[--used]);
    return ok;
}

/* ---- Putting ---- */

static bool write_all(struct clickhouse_messages *s, const struct known *k,
                      const struct message_batch *batches, size_t count, uint64_t own,
                      struct error *err)
{
    uint64_t now_ns = clock_wall_ns(&platform_clock);
    struct line_block block;
    line_block_init(&block, now_ns);
    add_changed_rows(&block, k, own);
    add_other_lines(&block, k, now_ns);
    add_systems(s, &block, batches, count, now_ns);
    bool ok = block.rows == 0 || clickhouse_write(s, &block, err);
    if (ok)
        learn_systems(s, batches, count);
    line_block_clear(&block);
    return ok;
}

bool clickhouse_put(struct message_store *store, const struct message_batch *batches, size_t count,
                    struct put_result *results, struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    uint64_t own = own_bits();
    struct known known;
    pthread_mutex_lock(&s->writing);
    known_init(&known);
    bool ok = known_look_up(&known, s, batches, count, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = put_batch(&known, &batches[i], &results[i], err);
    ok = ok && write_all(s, &known, batches, count, own, err) && settle(s, &known, own, err);
    known_clear(&known);
    pthread_mutex_unlock(&s->writing);
    return ok || error_wrap(err, "cannot store telemetry");
}
