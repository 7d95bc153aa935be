/* Imported usage in the SQLite control store. */
#include <stdio.h>
#include <string.h>

#include "server/store/sqlite_control.h"

/* Staged and kept rows have the same columns, so that finishing a chunk is one INSERT ... SELECT. */
#define USAGE_COLUMNS                                                                 \
    "report,day,email,account_id,api_key_name,deleted,model,input,output,cache_read," \
    "cache_create,cost_1e8_usd,requests,sessions,commits,pull_requests,lines_added,"  \
    "lines_removed,edits_accepted,edits_rejected"
#define USAGE_TYPES                                                                              \
    "report INTEGER NOT NULL, day TEXT NOT NULL, email TEXT NOT NULL, account_id TEXT NOT NULL," \
    " api_key_name TEXT NOT NULL, deleted INTEGER NOT NULL, model TEXT NOT NULL,"                \
    " input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,"             \
    " cache_create INTEGER NOT NULL, cost_1e8_usd INTEGER NOT NULL, requests INTEGER NOT NULL,"  \
    " sessions INTEGER NOT NULL, commits INTEGER NOT NULL, pull_requests INTEGER NOT NULL,"      \
    " lines_added INTEGER NOT NULL, lines_removed INTEGER NOT NULL,"                             \
    " edits_accepted INTEGER NOT NULL, edits_rejected INTEGER NOT NULL"

const char SQLITE_API_USAGE_SCHEMA[] =
    "CREATE TABLE api_usage(id INTEGER PRIMARY KEY, imported_ns INTEGER NOT NULL, " USAGE_TYPES
    ") STRICT;"
    "CREATE INDEX api_usage_day ON api_usage(day, report);"
    "CREATE TABLE api_chunk(id INTEGER PRIMARY KEY, report INTEGER NOT NULL, from_day TEXT NOT "
    "NULL,"
    " to_day TEXT NOT NULL, cursor TEXT NOT NULL, UNIQUE(report, from_day, to_day)) STRICT;"
    "CREATE TABLE api_staged(chunk INTEGER NOT NULL REFERENCES api_chunk(id) ON DELETE CASCADE,"
    " " USAGE_TYPES ") STRICT;"
    "CREATE INDEX api_staged_chunk ON api_staged(chunk);"
    "CREATE TABLE api_import(report INTEGER PRIMARY KEY, attempt_ns INTEGER NOT NULL,"
    " success_ns INTEGER NOT NULL, rejected INTEGER NOT NULL, error TEXT NOT NULL,"
    " drift TEXT NOT NULL, newest_day TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE TABLE api_lock(one INTEGER PRIMARY KEY CHECK(one=1), owner TEXT NOT NULL,"
    " until_ns INTEGER NOT NULL) STRICT;";

/* Whose usage must not come back with a later import. */
const char SQLITE_API_ERASED_SCHEMA[] =
    "CREATE TABLE api_erased(email TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;";

static void bind_text(sqlite3_stmt *q, int at, const char *text)
{
    sqlite_bind_bytes(q, at, bytes_of(text));
}

static void bind_chunk(sqlite3_stmt *q, const struct api_chunk *chunk)
{
    sqlite3_bind_int(q, 1, (int)chunk->report);
    bind_text(q, 2, chunk->from);
    bind_text(q, 3, chunk->to);
}

static bool chunk_cursor(struct control_store *store, const struct api_chunk *chunk, bool *staged,
                         struct buffer *cursor, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store,
                      "SELECT cursor FROM api_chunk WHERE report=?1 AND from_day=?2 AND to_day=?3",
                      err);
    if (!q)
        return false;
    bind_chunk(q, chunk);
    bool ok = sqlite_next(control_db(store), q, staged, err);
    if (ok && *staged && !buffer_append(cursor, sqlite_text_at(q, 0)))
        ok = error_set(err, FAIL_TOO_LARGE, "a page's cursor is too long");
    control_end(store, q);
    return ok;
}

static void bind_usage(sqlite3_stmt *q, int64_t chunk_id, enum api_report report,
                       const struct api_usage *row)
{
    sqlite3_bind_int64(q, 1, chunk_id);
    sqlite3_bind_int(q, 2, (int)report);
    bind_text(q, 3, row->day);
    bind_text(q, 4, row->email);
    bind_text(q, 5, row->account_id);
    bind_text(q, 6, row->api_key_name);
    sqlite3_bind_int(q, 7, row->deleted);
    bind_text(q, 8, row->model);
    const int64_t numbers[] = {row->input_tokens,      row->output_tokens,
                               row->cache_read_tokens, row->cache_create_tokens,
                               row->cost_1e8_usd,      row->requests,
                               row->sessions,          row->commits,
                               row->pull_requests,     row->lines_added,
                               row->lines_removed,     row->edits_accepted,
                               row->edits_rejected};
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++)
        sqlite3_bind_int64(q, 9 + i, numbers[i]);
}

/* Inside the transaction: the chunk's row with its new cursor, and the page's rows. */
static bool stage_rows(sqlite3 *db, const struct api_chunk *chunk, const struct api_usage *rows,
                       size_t count, const char *next, struct error *err)
{
    bool row = false;
    sqlite3_stmt *mark =
        sqlite_prepare(db,
                       "INSERT INTO api_chunk(report,from_day,to_day,cursor) VALUES(?1,?2,?3,?4)"
                       " ON CONFLICT(report,from_day,to_day) DO UPDATE SET cursor=?4 RETURNING id",
                       err);
    sqlite3_stmt *add = sqlite_prepare(db,
                                       "INSERT INTO api_staged(chunk," USAGE_COLUMNS
                                       ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,"
                                       "?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)",
                                       err);
    bool ok = mark && add;
    int64_t id = 0;
    if (ok) {
        bind_chunk(mark, chunk);
        bind_text(mark, 4, next);
        ok = sqlite_next(db, mark, &row, err) && row;
        id = row ? sqlite3_column_int64(mark, 0) : 0;
        sqlite3_reset(mark);
    }
    for (size_t i = 0; ok && i < count; i++) {
        bind_usage(add, id, chunk->report, &rows[i]);
        ok = sqlite_do(db, add, err);
    }
    sqlite3_finalize(mark);
    sqlite3_finalize(add);
    return ok;
}

static bool end_transaction(sqlite3 *db, bool ok, struct error *err)
{
    ok = ok && sqlite_run(db, "COMMIT", err);
    if (!ok)
        sqlite_roll_back(db);
    return ok;
}

static bool chunk_stage(struct control_store *store, const struct api_chunk *chunk,
                        const struct api_usage *rows, size_t count, const char *next,
                        struct error *err)
{
    sqlite3_stmt *hold = control_begin(store, "SELECT 1", err); /* the connection's lock */
    if (!hold)
        return false;
    sqlite3 *db = control_db(store);
    bool ok =
        sqlite_run(db, "BEGIN IMMEDIATE", err) && stage_rows(db, chunk, rows, count, next, err);
    ok = end_transaction(db, ok, err);
    control_end(store, hold);
    return ok;
}

/* Runs `sql` with the chunk bound as ?1..?3 and a time as ?4. */
static bool run_for_chunk(sqlite3 *db, const char *sql, const struct api_chunk *chunk,
                          uint64_t now_ns, struct error *err)
{
    sqlite3_stmt *q = sqlite_prepare(db, sql, err);
    if (!q)
        return false;
    bind_chunk(q, chunk);
    if (sqlite3_bind_parameter_count(q) > 3)
        sqlite3_bind_int64(q, 4, (int64_t)now_ns);
    bool ok = sqlite_do(db, q, err);
    sqlite3_finalize(q);
    return ok;
}

#define THE_CHUNK "(SELECT id FROM api_chunk WHERE report=?1 AND from_day=?2 AND to_day=?3)"

static bool chunk_drop(struct control_store *store, const struct api_chunk *chunk,
                       struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store, "DELETE FROM api_chunk WHERE report=?1 AND from_day=?2 AND to_day=?3",
                      err);
    if (!q)
        return false;
    bind_chunk(q, chunk);
    bool ok = sqlite_do(control_db(store), q, err);
    control_end(store, q);
    return ok;
}

static bool chunk_finish(struct control_store *store, const struct api_chunk *chunk,
                         uint64_t now_ns, struct error *err)
{
    static const char *const steps[] = {
        "DELETE FROM api_usage WHERE report=?1 AND day>=?2 AND day<?3",
        /* A row of a day outside the question is the vendor's mistake: it must not double another chunk's. */
        "INSERT INTO api_usage(imported_ns," USAGE_COLUMNS ") SELECT ?4," USAGE_COLUMNS
        " FROM api_staged WHERE chunk=" THE_CHUNK " AND day>=?2 AND day<?3"
        " AND email NOT IN (SELECT email FROM api_erased)",
        /* Others that overlap were killed under way, and what they hold is now old. */
        "DELETE FROM api_chunk WHERE report=?1 AND from_day<?3 AND to_day>?2",
        "INSERT INTO api_import(report,attempt_ns,success_ns,rejected,error,drift,newest_day)"
        " VALUES(?1,0,0,0,'','',date(?3,'-1 day')) ON CONFLICT(report) DO UPDATE SET"
        " newest_day=max(newest_day,excluded.newest_day)",
    };
    sqlite3_stmt *hold = control_begin(store, "SELECT 1", err);
    if (!hold)
        return false;
    sqlite3 *db = control_db(store);
    bool ok = sqlite_run(db, "BEGIN IMMEDIATE", err);
    for (size_t i = 0; ok && i < sizeof steps / sizeof *steps; i++)
        ok = run_for_chunk(db, steps[i], chunk, now_ns, err);
    ok = end_transaction(db, ok, err);
    control_end(store, hold);
    return ok;
}

static void read_usage(sqlite3_stmt *q, struct api_usage *out)
{
    *out = (struct api_usage){
        .deleted = sqlite3_column_int(q, 6) != 0,
        .input_tokens = sqlite3_column_int64(q, 8),
        .output_tokens = sqlite3_column_int64(q, 9),
        .cache_read_tokens = sqlite3_column_int64(q, 10),
        .cache_create_tokens = sqlite3_column_int64(q, 11),
        .cost_1e8_usd = sqlite3_column_int64(q, 12),
        .requests = sqlite3_column_int64(q, 13),
        .sessions = sqlite3_column_int64(q, 14),
        .commits = sqlite3_column_int64(q, 15),
        .pull_requests = sqlite3_column_int64(q, 16),
        .lines_added = sqlite3_column_int64(q, 17),
        .lines_removed = sqlite3_column_int64(q, 18),
        .edits_accepted = sqlite3_column_int64(q, 19),
        .edits_rejected = sqlite3_column_int64(q, 20),
    };
    control_text(q, 2, out->day, sizeof out->day);
    control_text(q, 3, out->email, sizeof out->email);
    control_text(q, 4, out->account_id, sizeof out->account_id);
    control_text(q, 5, out->api_key_name, sizeof out->api_key_name);
    control_text(q, 7, out->model, sizeof out->model);
}

static bool visit_usage(struct control_store *store, const char *from, const char *to,
                        bool (*visit)(void *context, enum api_report report, uint64_t imported_ns,
                                      const struct api_usage *row),
                        void *context, struct error *err)
{
    sqlite3_stmt *q = control_begin(store,
                                    "SELECT imported_ns," USAGE_COLUMNS " FROM api_usage"
                                    " WHERE day>=?1 AND day<=?2 ORDER BY day,report,id",
                                    err);
    bool row = true, ok = true;
    if (!q)
        return false;
    bind_text(q, 1, from);
    bind_text(q, 2, to);
    while ((ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        struct api_usage usage;
        read_usage(q, &usage);
        if (!visit(context, (enum api_report)sqlite3_column_int(q, 1),
                   (uint64_t)sqlite3_column_int64(q, 0), &usage))
            break;
    }
    control_end(store, q);
    return ok;
}

static bool state_get(struct control_store *store, enum api_report report,
                      struct api_import_state *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    sqlite3_stmt *q = control_begin(
        store,
        "SELECT attempt_ns,success_ns,rejected,error,drift,newest_day,"
        "(SELECT count(*) FROM api_usage WHERE report=?1) FROM api_import WHERE report=?1",
        err);
    bool row = false;
    if (!q)
        return false;
    sqlite3_bind_int(q, 1, (int)report);
    bool ok = sqlite_next(control_db(store), q, &row, err);
    if (ok && row) {
        out->attempt_ns = (uint64_t)sqlite3_column_int64(q, 0);
        out->success_ns = (uint64_t)sqlite3_column_int64(q, 1);
        out->rejected = sqlite3_column_int(q, 2) != 0;
        control_text(q, 3, out->error, sizeof out->error);
        control_text(q, 4, out->drift, sizeof out->drift);
        control_text(q, 5, out->newest_day, sizeof out->newest_day);
        out->rows = (uint64_t)sqlite3_column_int64(q, 6);
    }
    control_end(store, q);
    return ok;
}

static bool state_put(struct control_store *store, enum api_report report,
                      const struct api_import_state *state, struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "INSERT INTO api_import(report,attempt_ns,success_ns,rejected,error,drift)"
        " VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(report) DO UPDATE SET attempt_ns=?2,success_ns=?3,"
        "rejected=?4,error=?5,drift=?6",
        err);
    if (!q)
        return false;
    sqlite3_bind_int(q, 1, (int)report);
    sqlite3_bind_int64(q, 2, (int64_t)state->attempt_ns);
    sqlite3_bind_int64(q, 3, (int64_t)state->success_ns);
    sqlite3_bind_int(q, 4, state->rejected);
    bind_text(q, 5, state->error);
    bind_text(q, 6, state->drift);
    bool ok = sqlite_do(control_db(store), q, err);
    control_end(store, q);
    return ok;
}

static bool visit_accounts(struct control_store *store,
                           bool (*visit)(void *context, const char *account_id, const char *email),
                           void *context, struct error *err)
{
    sqlite3_stmt *q =
        control_begin(store,
                      "SELECT account_id, email, max(day) FROM api_usage WHERE account_id<>'' AND"
                      " email<>'' GROUP BY account_id, email ORDER BY 1, 3 DESC, 2",
                      err);
    bool row = true, ok = true;
    if (!q)
        return false;
    while ((ok = sqlite_next(control_db(store), q, &row, err)) && row) {
        char account[API_TEXT_BYTES], email[API_TEXT_BYTES];
        control_text(q, 0, account, sizeof account);
        control_text(q, 1, email, sizeof email);
        if (!visit(context, account, email))
            break;
    }
    control_end(store, q);
    return ok;
}

static bool import_lock(struct control_store *store, const char *owner, uint64_t now_ns,
                        uint64_t until_ns, struct error *err)
{
    sqlite3_stmt *q = control_begin(
        store,
        "INSERT INTO api_lock(one,owner,until_ns) VALUES(1,?1,?3) ON CONFLICT(one) DO UPDATE SET"
        " owner=?1,until_ns=?3 WHERE owner=?1 OR until_ns<=?2",
        err);
    if (!q)
        return false;
    bind_text(q, 1, owner);
    sqlite3_bind_int64(q, 2, (int64_t)now_ns);
    sqlite3_bind_int64(q, 3, (int64_t)until_ns);
    bool ok = sqlite_do(control_db(store), q, err);
    if (ok && sqlite3_changes(control_db(store)) == 0) {
        ok = error_set(err, FAIL_BUSY, "another process is importing");
        error_remedy(err, "wait for it, or look at claude-telemetry-server import status");
    }
    control_end(store, q);
    return ok;
}

static bool import_unlock(struct control_store *store, const char *owner, struct error *err)
{
    sqlite3_stmt *q = control_begin(store, "DELETE FROM api_lock WHERE owner=?1", err);
    if (!q)
        return false;
    bind_text(q, 1, owner);
    bool ok = sqlite_do(control_db(store), q, err);
    control_end(store, q);
    return ok;
}

static bool erase(struct control_store *store, const char *email, uint64_t *deleted,
                  struct error *err)
{
    static const char *const statements[] = {"INSERT OR IGNORE INTO api_erased(email) VALUES(?1)",
                                             "DELETE FROM api_staged WHERE email=?1",
                                             "DELETE FROM api_usage WHERE email=?1"};
    *deleted = 0;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        sqlite3_stmt *q = control_begin(store, statements[i], err);
        if (!q)
            return false;
        bind_text(q, 1, email);
        bool ok = sqlite_do(control_db(store), q, err);
        if (ok) /* the last one's count: rows that were kept */
            *deleted = (uint64_t)sqlite3_changes(control_db(store));
        control_end(store, q);
        if (!ok)
            return false;
    }
    return true;
}

const struct control_api_usage_kind sqlite_api_usage_kind = {
    .chunk_cursor = chunk_cursor,
    .chunk_stage = chunk_stage,
    .chunk_drop = chunk_drop,
    .chunk_finish = chunk_finish,
    .visit = visit_usage,
    .accounts = visit_accounts,
    .state_get = state_get,
    .state_put = state_put,
    .lock = import_lock,
    .unlock = import_unlock,
    .erase = erase,
};
