#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "server/store/clickhouse_known.h"

/* Rows of one page, whole, in memory. */
struct page_rows {
    struct buffer answer; /* texts are borrowed from it */
    struct arena arena;
    struct line_row *rows;
    size_t count, room;
};

static void page_clear(struct page_rows *page)
{
    buffer_clear(&page->answer);
    arena_clear(&page->arena);
    free(page->rows);
}

/* Asks and reads the rows that `sql` selects by line_row_columns(). */
static bool page_read(struct clickhouse_messages *s, const struct sql *sql, uint32_t time_limit_ms,
                      struct page_rows *page, struct error *err)
{
    struct answer_reader r;
    page->arena.max_bytes = 512 * MIB;
    if (!clickhouse_query(s, sql, time_limit_ms, &page->answer, &r, err))
        return false;
    while (answer_more(&r)) {
        if (page->count == page->room) {
            page->room = page->room ? page->room * 2 : 64;
            page->rows = xrealloc(page->rows, page->room * sizeof *page->rows);
        }
        struct line_row *row = &page->rows[page->count];
        if (!line_row_read(&r, &page->arena, row))
            return r.failed ? answer_ok(&r, err)
                            : error_set(err, FAIL_TOO_LARGE, "a message is too large to be read");
        if (!clickhouse_system_name(s, row->system, &row->stored.system, err))
            return false;
        page->count++;
    }
    return answer_ok(&r, err);
}

/* ---- Parents ---- */

static uint64_t began_ns(const struct message *m)
{
    bool at_end = m->sources & MESSAGE_FROM_EVENT && m->duration_ms > 0;
    return at_end ? m->time_ns - (uint64_t)m->duration_ms * NS_PER_MS : m->time_ns;
}

/* Generations a page's rows may have been asked by: what of them decides. */
struct candidate {
    uint8_t key[MESSAGE_KEY_BYTES];
    uint64_t join_hash; /* 0 where it is weak */
    int64_t system;
    struct message m; /* times, sources, session and prompt */
};

static bool names_parent(const struct message *m)
{
    return m->parent_join_hash != 0;
}

static bool guesses_parent(const struct message *m)
{
    return !names_parent(m) && m->type == MESSAGE_TOOL && m->session_id.len > 0;
}

/*
 * A tool row names its generation by request id. Versions that do not send it leave the session:
 * the newest generation of the same prompt that had begun when the tool began.
 */
static bool is_parent(const struct candidate *c, const struct line_row *row,
                      const struct candidate *best)
{
    static const uint64_t HOUR_NS = UINT64_C(3600000000000), TEN_MIN_NS = UINT64_C(600000000000);
    const struct message *m = &row->stored.message;
    if (c->system != row->system)
        return false;
    if (names_parent(m))
        return c->join_hash == m->parent_join_hash;
    if (!bytes_equal(c->m.session_id, m->session_id) ||
        (c->m.prompt_id.len && m->prompt_id.len && !bytes_equal(c->m.prompt_id, m->prompt_id)) ||
        c->m.time_ns + HOUR_NS < m->time_ns || c->m.time_ns > m->time_ns + TEN_MIN_NS ||
        began_ns(&c->m) > began_ns(m))
        return false;
    if (!best || began_ns(&c->m) != began_ns(&best->m))
        return !best || began_ns(&c->m) > began_ns(&best->m);
    return memcmp(c->key, best->key, sizeof c->key) > 0;
}

static size_t put_named(struct sql *sql, const struct page_rows *page)
{
    struct line_key *joins = xcalloc(page->count + 1, sizeof *joins);
    size_t count = 0;
    for (size_t i = 0; i < page->count; i++) {
        const struct message *m = &page->rows[i].stored.message;
        const struct message parent = {.join_hash = m->parent_join_hash,
                                       .type = MESSAGE_GENERATION};
        if (names_parent(m))
            clickhouse_join_key(&parent, page->rows[i].system, joins[count++].bytes);
    }
    if (count) {
        sql_put(sql, "(join_weak=0 AND ");
        sql_put_joined(sql, joins, count);
        sql_put(sql, ")");
    }
    free(joins);
    return count;
}

/* What could be a parent of any of the page's rows; false when there is nothing to ask. */
static bool put_candidates(struct sql *sql, const struct page_rows *page)
{
    uint64_t from = UINT64_MAX, to = 0, hour = 3600 * NS_PER_S;
    sql_put(sql, "SELECT key,join_hash,join_weak,system,time_ns,sources,duration_ms,session,prompt"
                 " FROM " CLICKHOUSE_TABLE " FINAL WHERE kind=0 AND dead=0 AND type=0 AND (");
    size_t named = put_named(sql, page), guessed = 0;
    for (size_t i = 0; i < page->count; i++) {
        const struct message *m = &page->rows[i].stored.message;
        if (!guesses_parent(m))
            continue;
        from = m->time_ns < from ? m->time_ns : from;
        to = m->time_ns > to ? m->time_ns : to;
        sql_put(sql, guessed++ ? "," : named ? " OR (session IN (" : "(session IN (");
        sql_put_quoted(sql, m->session_id);
    }
    if (guessed) {
        sql_put(sql, ") AND day>=");
        sql_put_uint(sql, (from > hour ? from - hour : 0) / DAY_NS);
        sql_put(sql, " AND day<=");
        sql_put_uint(sql, (to + hour) / DAY_NS);
        sql_put(sql, ")");
    }
    sql_put(sql, ") FORMAT RowBinary");
    return named + guessed > 0;
}

static void read_candidate(struct answer_reader *r, struct candidate *c)
{
    *c = (struct candidate){0};
    answer_fixed(r, c->key, sizeof c->key);
    c->join_hash = answer_u64(r);
    if (answer_u8(r))
        c->join_hash = 0;
    c->system = answer_i64(r);
    c->m.time_ns = answer_u64(r);
    c->m.sources = answer_u8(r);
    c->m.duration_ms = answer_i64(r);
    c->m.session_id = answer_text(r);
    c->m.prompt_id = answer_text(r);
}

static bool find_parents(struct clickhouse_messages *s, struct page_rows *page,
                         uint32_t time_limit_ms, struct error *err)
{
    struct sql sql;
    struct buffer answer = {0};
    struct answer_reader r;
    sql_init(&sql);
    bool ok = true, asks = put_candidates(&sql, page);
    if (asks)
        ok = clickhouse_query(s, &sql, time_limit_ms, &answer, &r, err);
    struct candidate *best = asks ? xcalloc(page->count + 1, sizeof *best) : NULL;
    while (asks && ok && answer_more(&r)) {
        struct candidate c;
        read_candidate(&r, &c);
        for (size_t i = 0; i < page->count; i++) {
            struct line_row *row = &page->rows[i];
            const struct message *m = &row->stored.message;
            bool has = row->stored.parent_id[0] != 0;
            if (!(names_parent(m) || guesses_parent(m)) ||
                !is_parent(&c, row, has ? &best[i] : NULL))
                continue;
            best[i] = c;
            message_id_of_key(c.key, row->stored.parent_id);
        }
    }
    ok = ok && (!asks || answer_ok(&r, err));
    free(best);
    buffer_clear(&answer);
    sql_clear(&sql);
    return ok;
}

static bool visit_page(struct clickhouse_messages *s, struct page_rows *page,
                       uint32_t time_limit_ms, message_visit *visit, void *context,
                       struct error *err)
{
    if (page->count && !find_parents(s, page, time_limit_ms, err))
        return false;
    for (size_t i = 0; i < page->count; i++)
        if (!visit(context, &page->rows[i].stored))
            break;
    return true;
}

/* ---- One row ---- */

/*
 * The id of a record that was joined to an earlier or later one finds the row too: behind the time,
 * a joinable record's key begins with its join hash, by which the lines of kind 5 lie.
 */
static void put_single(struct sql *sql, const uint8_t key[MESSAGE_KEY_BYTES], bool joined)
{
    uint8_t first[LINE_KEY_BYTES] = {0}, last[LINE_KEY_BYTES];
    memset(last, 0xff, sizeof last);
    memcpy(first, key + 6, 8);
    memcpy(last, key + 6, 8);
    sql_put(sql, "SELECT ");
    sql_put(sql, line_row_columns(true));
    sql_put(sql, " FROM " CLICKHOUSE_TABLE " FINAL WHERE kind=0 AND dead=0 AND ");
    if (!joined) {
        struct row_place place = {.day = day_of_key(key)};
        memcpy(place.key, key, sizeof place.key);
        sql_put_places(sql, &place, 1);
    } else {
        sql_put(sql, "join_weak=0 AND substring(key,7)=substring(");
        sql_put_quoted(sql, bytes_make(key, MESSAGE_KEY_BYTES));
        sql_put(sql, ",7) AND (day,key) IN (SELECT toUInt32(intDiv(time_ns,86400000000000)),ref"
                     " FROM " CLICKHOUSE_TABLE " WHERE kind=5 AND day=0 AND key>=");
        sql_put_quoted(sql, bytes_make(first, sizeof first));
        sql_put(sql, " AND key<=");
        sql_put_quoted(sql, bytes_make(last, sizeof last));
        sql_put(sql, ")");
    }
    sql_put(sql, " FORMAT RowBinary");
}

bool clickhouse_get(struct message_store *store, const uint8_t key[MESSAGE_KEY_BYTES],
                    message_visit *visit, void *context, struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    bool ok = true;
    size_t seen = 0;
    for (int joined = 0; ok && seen == 0 && joined < 2; joined++) {
        struct page_rows page = {0};
        struct sql sql;
        sql_init(&sql);
        put_single(&sql, key, joined);
        ok = page_read(s, &sql, 0, &page, err) && visit_page(s, &page, 0, visit, context, err);
        seen = page.count;
        page_clear(&page);
        sql_clear(&sql);
    }
    if (ok && seen == 0)
        return error_set(err, FAIL_NOT_FOUND, "there is no message with this id");
    return ok;
}

/* ---- Pages ---- */

/* Where the rows of a page are, newest first. */
struct places {
    struct row_place *list;
    size_t count, room, skipped;
};

/* Days first..last, both inclusive. */
static void put_window(struct sql *sql, const struct message_query *query,
                       const struct message_page *page, uint64_t first, uint64_t last,
                       uint64_t limit)
{
    sql_put(sql, "SELECT day,key");
    sql_put_rows(sql, query);
    sql_put(sql, " AND day>=");
    sql_put_uint(sql, first);
    sql_put(sql, " AND day<=");
    sql_put_uint(sql, last);
    if (page->after) {
        sql_put(sql, " AND (time_ns<");
        sql_put_uint(sql, page->after_time_ns);
        sql_put(sql, " OR (time_ns=");
        sql_put_uint(sql, page->after_time_ns);
        sql_put(sql, " AND key<");
        sql_put_quoted(sql, bytes_make(page->after_key, MESSAGE_KEY_BYTES));
        sql_put(sql, "))");
    }
    sql_put(sql, " ORDER BY time_ns DESC,key DESC LIMIT ");
    sql_put_uint(sql, limit);
    sql_put(sql, " FORMAT RowBinary");
}

static bool read_window(struct clickhouse_messages *s, const struct sql *sql, uint32_t limit_ms,
                        uint64_t skip, struct places *places, struct error *err)
{
    struct buffer answer = {0};
    struct answer_reader r;
    bool ok = clickhouse_query(s, sql, limit_ms, &answer, &r, err);
    while (ok && answer_more(&r)) {
        struct row_place place = {.day = answer_u32(&r)};
        answer_fixed(&r, place.key, sizeof place.key);
        if (r.failed)
            break;
        if (places->skipped < skip) {
            places->skipped++;
            continue;
        }
        if (places->count == places->room) {
            places->room = places->room ? places->room * 2 : 64;
            places->list = xrealloc(places->list, places->room * sizeof *places->list);
        }
        places->list[places->count++] = place;
    }
    ok = ok && answer_ok(&r, err);
    buffer_clear(&answer);
    return ok;
}

/*
 * The newest rows are asked for first in the newest days, then in ever longer ranges before: a
 * page of what came today does not read last year.
 */
static bool find_places(struct clickhouse_messages *s, const struct message_query *query,
                        const struct message_page *page, uint64_t begun_ns, struct places *places,
                        struct error *err)
{
    enum { GROWTH = 8 };
    uint64_t skip = page->after ? 0 : page->skip, span = 2;
    uint64_t lowest = query->from_ns / DAY_NS, last = UINT32_MAX;
    uint64_t newest = clock_wall_ns(&platform_clock) / DAY_NS;
    if (query->to_ns && (query->to_ns - 1) / DAY_NS < newest)
        newest = (query->to_ns - 1) / DAY_NS;
    if (page->after && page->after_time_ns / DAY_NS < newest)
        newest = page->after_time_ns / DAY_NS;
    for (uint64_t first = newest > span ? newest - span : 0;;) {
        uint32_t left_ms;
        struct sql sql;
        first = first < lowest ? lowest : first;
        sql_init(&sql);
        put_window(&sql, query, page, first, last,
                   skip - places->skipped + page->take - places->count);
        bool ok = clickhouse_time_left(query->time_limit_ms, begun_ns, &left_ms, err) &&
                  read_window(s, &sql, left_ms, skip, places, err);
        sql_clear(&sql);
        if (!ok)
            return false;
        if (places->count >= page->take || first <= lowest)
            return true;
        last = first - 1;
        span *= GROWTH;
        first = first > span ? first - span : 0;
    }
}

/* In pieces: what is held at once, and how long the statement gets, stay bounded. */
static bool visit_places(struct clickhouse_messages *s, const struct places *places,
                         const struct message_query *query, const struct message_page *page,
                         uint64_t begun_ns, message_visit *visit, void *context, struct error *err)
{
    enum { PIECE = 500 };
    for (size_t at = 0; at < places->count; at += PIECE) {
        size_t count = places->count - at < PIECE ? places->count - at : PIECE;
        struct page_rows rows = {0};
        struct sql sql;
        uint32_t left_ms;
        sql_init(&sql);
        sql_put(&sql, "SELECT ");
        sql_put(&sql, line_row_columns(page->with_body));
        sql_put(&sql, " FROM " CLICKHOUSE_TABLE " FINAL WHERE kind=0 AND dead=0 AND ");
        sql_put_places(&sql, places->list + at, count);
        sql_put(&sql, " ORDER BY time_ns DESC,key DESC FORMAT RowBinary");
        bool ok = clickhouse_time_left(query->time_limit_ms, begun_ns, &left_ms, err) &&
                  page_read(s, &sql, left_ms, &rows, err) && find_parents(s, &rows, left_ms, err);
        bool more = ok;
        for (size_t i = 0; more && i < rows.count; i++)
            more = visit(context, &rows.rows[i].stored);
        page_clear(&rows);
        sql_clear(&sql);
        if (!more)
            return ok;
    }
    return true;
}

bool clickhouse_find(struct message_store *store, const struct message_query *query,
                     const struct message_page *page, message_visit *visit, void *context,
                     struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    uint64_t begun_ns = clock_monotonic_ns(&platform_clock);
    struct places places = {0};
    bool ok =
        page->take == 0 || (find_places(s, query, page, begun_ns, &places, err) &&
                            visit_places(s, &places, query, page, begun_ns, visit, context, err));
    free(places.list);
    return ok;
}

bool clickhouse_count(struct message_store *store, const struct message_query *query, uint64_t *out,
                      struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "SELECT count()");
    sql_put_rows(&sql, query);
    sql_put(&sql, " FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, query->time_limit_ms, &answer, &r, err);
    if (ok) {
        *out = answer_u64(&r);
        ok = answer_ok(&r, err);
    }
    buffer_clear(&answer);
    sql_clear(&sql);
    return ok;
}
