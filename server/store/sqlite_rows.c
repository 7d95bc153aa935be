#include <string.h>

#include "server/store/row_sql.h"
#include "server/store/sqlite_messages.h"
#include "server/store/where.h"

const char SQLITE_ROW_COLUMNS[] = ROW_COLUMNS ROW_PARENT ",m.body";

static void read_blob(sqlite3_stmt *statement, int column, uint8_t *out, size_t len)
{
    struct bytes blob = sqlite_text_at(statement, column);
    if (blob.len == len)
        memcpy(out, blob.data, len);
}

static void read_numbers(sqlite3_stmt *q, struct message *m)
{
    m->time_ns = (uint64_t)sqlite3_column_int64(q, 1);
    m->received_ns = (uint64_t)sqlite3_column_int64(q, 2);
    m->type = (enum message_type)sqlite3_column_int(q, 3);
    m->sources = (unsigned)sqlite3_column_int(q, 4);
    m->join_hash = (uint64_t)sqlite3_column_int64(q, 5);
    m->join_weak = sqlite3_column_int(q, 6) != 0;
    m->parent_join_hash = (uint64_t)sqlite3_column_int64(q, 7);
    m->person_rank = (enum message_person_rank)sqlite3_column_int(q, 8);
    m->input_tokens = sqlite_count_at(q, 9);
    m->output_tokens = sqlite_count_at(q, 10);
    m->cache_read_tokens = sqlite_count_at(q, 11);
    m->cache_create_tokens = sqlite_count_at(q, 12);
    m->cost_microcents = sqlite_count_at(q, 13);
    m->cost_computed_microcents = sqlite_count_at(q, 14);
    m->duration_ms = sqlite_count_at(q, 15);
    m->success = (enum message_success)sqlite_count_at(q, 16);
    m->event_fields = (uint32_t)sqlite3_column_int64(q, 20);
    m->event_metadata_keys = (uint32_t)sqlite3_column_int64(q, 21);
    m->body_truncated = sqlite3_column_int(q, 22) != 0;
}

bool row_read(sqlite3_stmt *q, struct arena *arena, struct stored_message *row)
{
    *row = (struct stored_message){0};
    struct message *m = &row->message;
    read_blob(q, 0, m->key, sizeof m->key);
    read_numbers(q, m);
    read_blob(q, 17, m->trace_id, sizeof m->trace_id);
    read_blob(q, 18, m->span_id, sizeof m->span_id);
    read_blob(q, 19, m->parent_span_id, sizeof m->parent_span_id);

    struct bytes *const texts[] = {
        &row->system,   &m->service_name, &m->model,      &m->person,    &m->account_uuid,
        &m->account_id, &m->name,         &m->session_id, &m->prompt_id, &m->tool_name,
        &m->request_id, &m->tool_use_id,  &m->metadata,
    };
    enum { FIRST_TEXT = 23, TEXTS = sizeof texts / sizeof *texts };
    for (int i = 0; i < TEXTS; i++)
        if (!arena_copy(arena, sqlite_text_at(q, FIRST_TEXT + i), texts[i]))
            return false;
    message_id_of_key(m->key, row->id);
    uint8_t parent[MESSAGE_KEY_BYTES];
    if (sqlite3_column_type(q, FIRST_TEXT + TEXTS) == SQLITE_BLOB) {
        read_blob(q, FIRST_TEXT + TEXTS, parent, sizeof parent);
        message_id_of_key(parent, row->parent_id);
    }
    return arena_copy(arena, sqlite_text_at(q, FIRST_TEXT + TEXTS + 1), &m->body);
}

/* SELECT <row columns> FROM message m <tail>; without the body when it is not wanted. */
static sqlite3_stmt *select_rows(sqlite3 *db, const char *tail, bool with_body, struct error *err)
{
    struct buffer sql = {.max_bytes = 64 * KIB};
    sqlite3_stmt *statement = NULL;
    size_t columns = sizeof SQLITE_ROW_COLUMNS - sizeof "m.body";
    if (buffer_append_text(&sql, "SELECT ") &&
        buffer_append(&sql, bytes_make(SQLITE_ROW_COLUMNS, columns)) &&
        buffer_append_text(&sql, with_body ? "m.body" : "''") &&
        buffer_append_text(&sql, " FROM message m ") && buffer_append_text(&sql, tail))
        statement = sqlite_prepare(db, buffer_text(&sql), err);
    else
        error_set(err, FAIL_TOO_LARGE, "the query has too many filters");
    buffer_clear(&sql);
    return statement;
}

/* Hands every row of the statement to `visit`. */
static bool visit_rows(sqlite3 *db, sqlite3_stmt *statement, message_visit *visit, void *context,
                       uint64_t *seen, struct error *err)
{
    struct arena arena = {.max_bytes = 512 * MIB};
    bool ok, row = true;
    *seen = 0;
    while ((ok = sqlite_next(db, statement, &row, err)) && row) {
        struct stored_message stored;
        arena_reset(&arena);
        if (!row_read(statement, &arena, &stored)) {
            ok = error_set(err, FAIL_TOO_LARGE, "a message is too large to be read");
            break;
        }
        ++*seen;
        if (!visit(context, &stored))
            break;
    }
    sqlite3_reset(statement);
    arena_clear(&arena);
    return ok;
}

/*
 * The id of a record that was joined to an earlier or later one finds the row too: behind the time,
 * a joinable record's key begins with its join hash.
 */
static bool visit_joined(sqlite3 *db, const uint8_t key[MESSAGE_KEY_BYTES], message_visit *visit,
                         void *context, uint64_t *seen, struct error *err)
{
    uint64_t join = 0;
    for (int i = 6; i < 14; i++)
        join = join << 8 | key[i];
    sqlite3_stmt *q =
        select_rows(db, "WHERE m.join_hash=?1 AND m.join_weak=0 AND substr(m.key,7)=?2", true, err);
    if (!q)
        return false;
    sqlite3_bind_int64(q, 1, (int64_t)join);
    sqlite_bind_raw(q, 2, key + 6, MESSAGE_KEY_BYTES - 6);
    bool ok = visit_rows(db, q, visit, context, seen, err);
    sqlite3_finalize(q);
    return ok;
}

bool sqlite_get(struct message_store *store, const uint8_t key[MESSAGE_KEY_BYTES],
                message_visit *visit, void *context, struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    struct reader *reader = reader_take(s, 0, err);
    if (!reader)
        return false;
    uint64_t seen = 0;
    sqlite3_stmt *q = select_rows(reader->db, "WHERE m.key=?1", true, err);
    bool ok = q != NULL;
    if (ok) {
        sqlite_bind_raw(q, 1, key, MESSAGE_KEY_BYTES);
        ok = visit_rows(reader->db, q, visit, context, &seen, err);
        if (ok && seen == 0)
            ok = visit_joined(reader->db, key, visit, context, &seen, err);
    }
    sqlite3_finalize(q);
    reader_give(s, reader);
    if (ok && seen == 0)
        return error_set(err, FAIL_NOT_FOUND, "there is no message with this id");
    return ok;
}

bool sqlite_find(struct message_store *store, const struct message_query *query,
                 const struct message_page *page, message_visit *visit, void *context,
                 struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    struct where where;
    uint64_t seen;
    where_init(&where, &sqlite_dialect);
    bool ok = where_add_query(&where, query, WHERE_MESSAGES, err);
    if (ok && page->after) {
        where_text(&where, " AND (m.time_ns,m.key)<(");
        where_bind_int(&where, (int64_t)page->after_time_ns);
        where_text(&where, ",");
        where_bind_blob(&where, bytes_make(page->after_key, MESSAGE_KEY_BYTES));
        where_text(&where, ")");
    }
    where_text(&where, " ORDER BY m.time_ns DESC, m.key DESC LIMIT ");
    where_bind_int(&where, page->take);
    where_text(&where, " OFFSET ");
    where_bind_int(&where, page->after ? 0 : page->skip);

    struct reader *reader = ok ? reader_take(s, query->time_limit_ms, err) : NULL;
    sqlite3_stmt *q = NULL;
    ok = reader && where_ok(&where, err) &&
         (q = select_rows(reader->db, where_sql(&where), page->with_body, err)) != NULL;
    if (ok) {
        sqlite_where_bind(&where, q);
        ok = visit_rows(reader->db, q, visit, context, &seen, err);
    }
    sqlite3_finalize(q);
    if (reader)
        reader_give(s, reader);
    where_clear(&where);
    return ok;
}

bool sqlite_count(struct message_store *store, const struct message_query *query, uint64_t *out,
                  struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    struct where where;
    where_init(&where, &sqlite_dialect);
    where_text(&where, "SELECT count(*) FROM message m ");
    bool ok = where_add_query(&where, query, WHERE_MESSAGES, err) && where_ok(&where, err);
    struct reader *reader = ok ? reader_take(s, query->time_limit_ms, err) : NULL;
    sqlite3_stmt *q = reader ? sqlite_prepare(reader->db, where_sql(&where), err) : NULL;
    bool row = false;
    ok = q != NULL;
    if (ok) {
        sqlite_where_bind(&where, q);
        ok = sqlite_next(reader->db, q, &row, err);
        *out = row ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
    }
    sqlite3_finalize(q);
    if (reader)
        reader_give(s, reader);
    where_clear(&where);
    return ok;
}
