/* Imported usage in the control store. */
#include <stdio.h>
#include <string.h>

#include "server/store/control_sql.h"
#include "server/store/day.h"

/* Staged and kept rows have the same columns, so that finishing a chunk is one INSERT ... SELECT. */
#define USAGE_COLUMNS                                                                 \
    "report,day,email,account_id,api_key_name,deleted,model,input,output,cache_read," \
    "cache_create,cost_1e8_usd,requests,sessions,commits,pull_requests,lines_added,"  \
    "lines_removed,edits_accepted,edits_rejected"

static void bind_chunk(struct sql_query *q, const struct api_chunk *chunk)
{
    sql_bind_int(q, 1, (int)chunk->report);
    sql_bind_text(q, 2, chunk->from);
    sql_bind_text(q, 3, chunk->to);
}

static bool chunk_cursor(struct control_store *store, const struct api_chunk *chunk, bool *staged,
                         struct buffer *cursor, struct error *err)
{
    struct sql_query *q =
        control_begin(store,
                      "SELECT cursor FROM api_chunk WHERE report=?1 AND from_day=?2 AND to_day=?3",
                      err);
    if (!q)
        return false;
    bind_chunk(q, chunk);
    bool ok = sql_next(q, staged, err);
    if (ok && *staged && !buffer_append(cursor, sql_bytes_at(q, 0)))
        ok = error_set(err, FAIL_TOO_LARGE, "a page's cursor is too long");
    sql_end(q);
    return ok;
}

static void bind_usage(struct sql_query *q, int64_t chunk_id, enum api_report report,
                       const struct api_usage *row)
{
    sql_bind_int(q, 1, chunk_id);
    sql_bind_int(q, 2, (int)report);
    sql_bind_text(q, 3, row->day);
    sql_bind_text(q, 4, row->email);
    sql_bind_text(q, 5, row->account_id);
    sql_bind_text(q, 6, row->api_key_name);
    sql_bind_int(q, 7, row->deleted);
    sql_bind_text(q, 8, row->model);
    const int64_t numbers[] = {row->input_tokens,      row->output_tokens,
                               row->cache_read_tokens, row->cache_create_tokens,
                               row->cost_1e8_usd,      row->requests,
                               row->sessions,          row->commits,
                               row->pull_requests,     row->lines_added,
                               row->lines_removed,     row->edits_accepted,
                               row->edits_rejected};
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++)
        sql_bind_int(q, 9 + i, numbers[i]);
}

struct page {
    const struct api_chunk *chunk;
    const struct api_usage *rows;
    size_t count;
    const char *next;
};

/* Writes how far the chunk is, and tells its id. */
static bool mark_chunk(struct sql_link *link, const struct page *page, int64_t *id,
                       struct error *err)
{
    bool row = false;
    struct sql_query *q =
        sql_prepare(link,
                    "INSERT INTO api_chunk(report,from_day,to_day,cursor) VALUES(?1,?2,?3,?4)"
                    " ON CONFLICT(report,from_day,to_day) DO UPDATE SET cursor=?4 RETURNING id",
                    err);
    if (!q)
        return false;
    bind_chunk(q, page->chunk);
    sql_bind_text(q, 4, page->next);
    bool ok = sql_next(q, &row, err) && row;
    *id = ok ? sql_int_at(q, 0) : 0;
    ok = ok && sql_do(q, err);
    sql_end(q);
    return ok;
}

static bool stage_rows(void *context, struct sql_link *link, struct error *err)
{
    const struct page *page = context;
    int64_t id;
    if (!sql_lock(link, SQL_API_USAGE, 0, err) || !mark_chunk(link, page, &id, err))
        return false;
    struct sql_query *add = sql_prepare(link,
                                        "INSERT INTO api_staged(chunk," USAGE_COLUMNS
                                        ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,"
                                        "?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)",
                                        err);
    bool ok = add != NULL;
    for (size_t i = 0; ok && i < page->count; i++) {
        bind_usage(add, id, page->chunk->report, &page->rows[i]);
        ok = sql_do(add, err);
    }
    sql_end(add);
    return ok;
}

static bool chunk_stage(struct control_store *store, const struct api_chunk *chunk,
                        const struct api_usage *rows, size_t count, const char *next,
                        struct error *err)
{
    struct page page = {.chunk = chunk, .rows = rows, .count = count, .next = next};
    return sql_transact(control_db(store), stage_rows, &page, err);
}

#define THE_CHUNK "(SELECT id FROM api_chunk WHERE report=?1 AND from_day=?2 AND to_day=?3)"

static bool chunk_drop(struct control_store *store, const struct api_chunk *chunk,
                       struct error *err)
{
    struct sql_query *q =
        control_begin(store, "DELETE FROM api_chunk WHERE report=?1 AND from_day=?2 AND to_day=?3",
                      err);
    if (!q)
        return false;
    bind_chunk(q, chunk);
    return control_finish(q, NULL, err);
}

struct finish {
    const struct api_chunk *chunk;
    uint64_t now_ns;
    char newest_day[API_DAY_BYTES];
};

/* Erasing somebody waits for this, or comes before it: what was erased does not come in from what was staged. */
static bool replace_days(void *context, struct sql_link *link, struct error *err)
{
    static const struct {
        const char *text;
        bool time, newest; /* has the moment as ?4; the newest day */
    } steps[] = {
        {"DELETE FROM api_usage WHERE report=?1 AND day>=?2 AND day<?3", false, false},
        /* A row of a day outside the question is the vendor's mistake: it must not double another chunk's. */
        {"INSERT INTO api_usage(imported_ns," USAGE_COLUMNS ") SELECT ?4," USAGE_COLUMNS
         " FROM api_staged WHERE chunk=" THE_CHUNK " AND day>=?2 AND day<?3"
         " AND email NOT IN (SELECT email FROM api_erased)",
         true, false},
        /* Others that overlap were killed under way, and what they hold is now old. */
        {"DELETE FROM api_chunk WHERE report=?1 AND from_day<?3 AND to_day>?2", false, false},
        {"INSERT INTO api_import(report,attempt_ns,success_ns,rejected,error,drift,newest_day)"
         " VALUES(?1,0,0,0,'','',?2) ON CONFLICT(report) DO UPDATE SET newest_day=CASE WHEN "
         "api_import.newest_day>excluded.newest_day THEN api_import.newest_day ELSE "
         "excluded.newest_day END",
         false, true},
    };
    const struct finish *f = context;
    bool ok = sql_lock(link, SQL_API_USAGE, 0, err);
    for (size_t i = 0; ok && i < sizeof steps / sizeof *steps; i++) {
        struct sql_query *q = sql_prepare(link, steps[i].text, err);
        if (!q)
            return false;
        if (steps[i].newest) {
            sql_bind_int(q, 1, (int)f->chunk->report);
            sql_bind_text(q, 2, f->newest_day);
        } else {
            bind_chunk(q, f->chunk);
        }
        if (steps[i].time)
            sql_bind_time(q, 4, f->now_ns);
        ok = control_finish(q, NULL, err);
    }
    return ok;
}

static bool chunk_finish(struct control_store *store, const struct api_chunk *chunk,
                         uint64_t now_ns, struct error *err)
{
    struct finish f = {.chunk = chunk, .now_ns = now_ns};
    int64_t end;
    if (day_of_text(bytes_of(chunk->to), &end))
        day_text(end - 1, f.newest_day);
    return sql_transact(control_db(store), replace_days, &f, err);
}

static void read_usage(struct sql_query *q, struct api_usage *out)
{
    *out = (struct api_usage){
        .deleted = sql_int_at(q, 6) != 0,
        .input_tokens = sql_int_at(q, 8),
        .output_tokens = sql_int_at(q, 9),
        .cache_read_tokens = sql_int_at(q, 10),
        .cache_create_tokens = sql_int_at(q, 11),
        .cost_1e8_usd = sql_int_at(q, 12),
        .requests = sql_int_at(q, 13),
        .sessions = sql_int_at(q, 14),
        .commits = sql_int_at(q, 15),
        .pull_requests = sql_int_at(q, 16),
        .lines_added = sql_int_at(q, 17),
        .lines_removed = sql_int_at(q, 18),
        .edits_accepted = sql_int_at(q, 19),
        .edits_rejected = sql_int_at(q, 20),
    };
    sql_copy_text(q, 2, out->day, sizeof out->day);
    sql_copy_text(q, 3, out->email, sizeof out->email);
    sql_copy_text(q, 4, out->account_id, sizeof out->account_id);
    sql_copy_text(q, 5, out->api_key_name, sizeof out->api_key_name);
    sql_copy_text(q, 7, out->model, sizeof out->model);
}

static bool visit_usage(struct control_store *store, const char *from, const char *to,
                        bool (*visit)(void *context, enum api_report report, uint64_t imported_ns,
                                      const struct api_usage *row),
                        void *context, struct error *err)
{
    struct sql_query *q = control_begin(store,
                                        "SELECT imported_ns," USAGE_COLUMNS " FROM api_usage"
                                        " WHERE day>=?1 AND day<=?2 ORDER BY day,report,id",
                                        err);
    bool row = true, ok = true;
    if (!q)
        return false;
    sql_bind_text(q, 1, from);
    sql_bind_text(q, 2, to);
    while ((ok = sql_next(q, &row, err)) && row) {
        struct api_usage usage;
        read_usage(q, &usage);
        if (!visit(context, (enum api_report)(int)sql_int_at(q, 1), sql_time_at(q, 0), &usage))
            break;
    }
    sql_end(q);
    return ok;
}

static bool state_get(struct control_store *store, enum api_report report,
                      struct api_import_state *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct sql_query *q = control_begin(
        store,
        "SELECT attempt_ns,success_ns,rejected,error,drift,newest_day,"
        "(SELECT count(*) FROM api_usage WHERE report=?1) FROM api_import WHERE report=?1",
        err);
    bool row = false;
    if (!q)
        return false;
    sql_bind_int(q, 1, (int)report);
    bool ok = sql_next(q, &row, err);
    if (ok && row) {
        out->attempt_ns = sql_time_at(q, 0);
        out->success_ns = sql_time_at(q, 1);
        out->rejected = sql_int_at(q, 2) != 0;
        sql_copy_text(q, 3, out->error, sizeof out->error);
        sql_copy_text(q, 4, out->drift, sizeof out->drift);
        sql_copy_text(q, 5, out->newest_day, sizeof out->newest_day);
        out->rows = sql_time_at(q, 6);
    }
    sql_end(q);
    return ok;
}

static bool state_put(struct control_store *store, enum api_report report,
                      const struct api_import_state *state, struct error *err)
{
    struct sql_query *q = control_begin(
        store,
        "INSERT INTO api_import(report,attempt_ns,success_ns,rejected,error,drift)"
        " VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(report) DO UPDATE SET attempt_ns=?2,success_ns=?3,"
        "rejected=?4,error=?5,drift=?6",
        err);
    if (!q)
        return false;
    sql_bind_int(q, 1, (int)report);
    sql_bind_time(q, 2, state->attempt_ns);
    sql_bind_time(q, 3, state->success_ns);
    sql_bind_int(q, 4, state->rejected);
    sql_bind_text(q, 5, state->error);
    sql_bind_text(q, 6, state->drift);
    bool ok = sql_do(q, err);
    sql_end(q);
    return ok;
}

static bool visit_accounts(struct control_store *store,
                           bool (*visit)(void *context, const char *account_id, const char *email),
                           void *context, struct error *err)
{
    struct sql_query *q =
        control_begin(store,
                      "SELECT account_id, email, max(day) FROM api_usage WHERE account_id<>'' AND"
                      " email<>'' GROUP BY account_id, email ORDER BY 1, 3 DESC, 2",
                      err);
    bool row = true, ok = true;
    if (!q)
        return false;
    while ((ok = sql_next(q, &row, err)) && row) {
        char account[API_TEXT_BYTES], email[API_TEXT_BYTES];
        sql_copy_text(q, 0, account, sizeof account);
        sql_copy_text(q, 1, email, sizeof email);
        if (!visit(context, account, email))
            break;
    }
    sql_end(q);
    return ok;
}

struct erasure {
    const char *email;
    uint64_t deleted;
};

static bool erase_rows(void *context, struct sql_link *link, struct error *err)
{
    static const char *const steps[] = {
        "INSERT INTO api_erased(email) VALUES(?1) ON CONFLICT(email) DO NOTHING",
        "DELETE FROM api_staged WHERE email=?1", "DELETE FROM api_usage WHERE email=?1"};
    struct erasure *erasure = context;
    bool ok = sql_lock(link, SQL_API_USAGE, 0, err);
    for (size_t i = 0; ok && i < sizeof steps / sizeof *steps; i++) {
        struct sql_query *q = sql_prepare(link, steps[i], err);
        if (!q)
            return false;
        sql_bind_text(q, 1, erasure->email);
        ok = sql_do(q, err);
        erasure->deleted = sql_changes(q); /* the last one's count: rows that were kept */
        sql_end(q);
    }
    return ok;
}

static bool erase(struct control_store *store, const char *email, uint64_t *deleted,
                  struct error *err)
{
    struct erasure erasure = {.email = email};
    bool ok = sql_transact(control_db(store), erase_rows, &erasure, err);
    *deleted = ok ? erasure.deleted : 0;
    return ok;
}

const struct control_api_usage_kind control_api_usage_kind = {
    .chunk_cursor = chunk_cursor,
    .chunk_stage = chunk_stage,
    .chunk_drop = chunk_drop,
    .chunk_finish = chunk_finish,
    .visit = visit_usage,
    .accounts = visit_accounts,
    .state_get = state_get,
    .state_put = state_put,
    .erase = erase,
};
