#include <string.h>

#include "server/store/postgres_messages.h"
#include "server/store/row_sql.h"

static void read_blob(const struct postgres_query *q, int column, uint8_t *out, size_t len)
{
    struct bytes blob = postgres_bytes_at(q, column);
    if (blob.len == len)
        memcpy(out, blob.data, len);
}

static void read_numbers(const struct postgres_query *q, struct message *m)
{
    m->time_ns = (uint64_t)postgres_int_at(q, 1);
    m->received_ns = (uint64_t)postgres_int_at(q, 2);
    m->type = (enum message_type)postgres_int_at(q, 3);
    m->sources = (unsigned)postgres_int_at(q, 4);
    m->join_hash = (uint64_t)postgres_int_at(q, 5);
    m->join_weak = postgres_int_at(q, 6) != 0;
    m->parent_join_hash = (uint64_t)postgres_int_at(q, 7);
    m->person_rank = (enum message_person_rank)postgres_int_at(q, 8);
    m->input_tokens = postgres_count_at(q, 9);
    m->output_tokens = postgres_count_at(q, 10);
    m->cache_read_tokens = postgres_count_at(q, 11);
    m->cache_create_tokens = postgres_count_at(q, 12);
    m->cost_microcents = postgres_count_at(q, 13);
    m->cost_computed_microcents = postgres_count_at(q, 14);
    m->duration_ms = postgres_count_at(q, 15);
    m->success = (enum message_success)postgres_count_at(q, 16);
    m->event_fields = (uint32_t)postgres_int_at(q, 20);
    m->event_metadata_keys = (uint32_t)postgres_int_at(q, 21);
    m->body_truncated = postgres_int_at(q, 22) != 0;
}

bool postgres_row_read(const struct postgres_query *q, struct arena *arena,
                       struct stored_message *row)
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
        if (!arena_copy(arena, postgres_bytes_at(q, FIRST_TEXT + i), texts[i]))
            return false;
    message_id_of_key(m->key, row->id);
    if (!postgres_is_null(q, FIRST_TEXT + TEXTS)) {
        uint8_t parent[MESSAGE_KEY_BYTES] = {0};
        read_blob(q, FIRST_TEXT + TEXTS, parent, sizeof parent);
        message_id_of_key(parent, row->parent_id);
    }
    return arena_copy(arena, postgres_bytes_at(q, FIRST_TEXT + TEXTS + 1), &m->body);
}

/* Hands every row of the statement to `visit`. */
static bool visit_rows(struct postgres_query *q, message_visit *visit, void *context,
                       uint64_t *seen, struct error *err)
{
    struct arena arena = {.max_bytes = 512 * MIB};
    bool ok, row = true;
    *seen = 0;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct stored_message stored;
        arena_reset(&arena);
        if (!postgres_row_read(q, &arena, &stored)) {
            ok = error_set(err, FAIL_TOO_LARGE, "a message is too large to be read");
            break;
        }
        ++*seen;
        if (!visit(context, &stored))
            break;
    }
    arena_clear(&arena);
    return ok;
}

#define ROW_SELECT(BODY) "SELECT " ROW_COLUMNS ROW_PARENT "," BODY " FROM message m "

/*
 * The id of a record that was joined to an earlier or later one finds the row too: behind the time,
 * a joinable record's key begins with its join hash.
 */
static bool visit_joined(struct postgres_link *link, const uint8_t key[MESSAGE_KEY_BYTES],
                         message_visit *visit, void *context, uint64_t *seen, struct error *err)
{
    uint64_t join = 0;
    for (int i = 6; i < 14; i++)
        join = join << 8 | key[i];
    struct postgres_query *q = postgres_prepare(
        link, ROW_SELECT("m.body") "WHERE m.join_hash=$1 AND m.join_weak=0 AND substr(m.key,7)=$2");
    postgres_bind_int(q, 1, (int64_t)join);
    postgres_bind_blob(q, 2, bytes_make(key + 6, MESSAGE_KEY_BYTES - 6));
    bool ok = visit_rows(q, visit, context, seen, err);
    postgres_finalize(q);
    return ok;
}

bool postgres_get(struct message_store *store, const uint8_t key[MESSAGE_KEY_BYTES],
                  message_visit *visit, void *context, struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    struct postgres_link *link = postgres_take(s->db, 0, err);
    if (!link)
        return false;
    uint64_t seen = 0;
    struct postgres_query *q = postgres_prepare(link, ROW_SELECT("m.body") "WHERE m.key=$1");
    postgres_bind_blob(q, 1, bytes_make(key, MESSAGE_KEY_BYTES));
    bool ok = visit_rows(q, visit, context, &seen, err);
    postgres_finalize(q);
    if (ok && seen == 0)
        ok = visit_joined(link, key, visit, context, &seen, err);
    postgres_give(s->db, link);
    if (ok && seen == 0)
        return error_set(err, FAIL_NOT_FOUND, "there is no message with this id");
    return ok;
}

/* The rows of a page, newest first. */
static bool put_page(struct where *w, const struct message_query *query,
                     const struct message_page *page, struct error *err)
{
    where_text(w, page->with_body ? ROW_SELECT("m.body") : ROW_SELECT("''"));
    if (!where_add_query(w, query, WHERE_MESSAGES, err))
        return false;
    if (page->after) {
        where_text(w, " AND (m.time_ns,m.key)<(");
        where_bind_int(w, (int64_t)page->after_time_ns);
        where_text(w, ",");
        where_bind_blob(w, bytes_make(page->after_key, MESSAGE_KEY_BYTES));
        where_text(w, ")");
    }
    where_text(w, " ORDER BY m.time_ns DESC, m.key DESC LIMIT ");
    where_bind_int(w, page->take);
    where_text(w, " OFFSET ");
    where_bind_int(w, page->after ? 0 : page->skip);
    return where_ok(w, err);
}

bool postgres_find(struct message_store *store, const struct message_query *query,
                   const struct message_page *page, message_visit *visit, void *context,
                   struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    struct where where;
    uint64_t seen;
    where_init(&where, &postgres_dialect);
    bool ok = put_page(&where, query, page, err);
    struct postgres_link *link = ok ? postgres_take(s->db, query->time_limit_ms, err) : NULL;
    ok = link != NULL;
    if (ok) {
        struct postgres_query *q = postgres_prepare_once(link, where_sql(&where));
        postgres_where_bind(&where, q);
        ok = visit_rows(q, visit, context, &seen, err);
        postgres_finalize(q);
        postgres_give(s->db, link);
    }
    where_clear(&where);
    return ok;
}

bool postgres_count(struct message_store *store, const struct message_query *query, uint64_t *out,
                    struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    struct where where;
    where_init(&where, &postgres_dialect);
    where_text(&where, "SELECT count(*) FROM message m ");
    bool row = false, ok = where_add_query(&where, query, WHERE_MESSAGES, err);
    struct postgres_link *link = ok ? postgres_take(s->db, query->time_limit_ms, err) : NULL;
    ok = link != NULL;
    if (ok) {
        struct postgres_query *q = postgres_prepare_once(link, where_sql(&where));
        postgres_where_bind(&where, q);
        ok = postgres_next(q, &row, err);
        *out = ok && row ? (uint64_t)postgres_int_at(q, 0) : 0;
        postgres_finalize(q);
        postgres_give(s->db, link);
    }
    where_clear(&where);
    return ok;
}
