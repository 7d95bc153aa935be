#include <string.h>

#include "server/store/sqlite_messages.h"

#define ROW_VALUES                                                                            \
    "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24," \
    "?25,?26,?27,?28,?29,?30,?31,?32,?33,?34,?35,?36,?37,?38"

static const char *const SQL[WRITE_COUNT] = {
    [WRITE_TEXT_FIND] = "SELECT id FROM text WHERE value=?1",
    [WRITE_TEXT_ADD] = "INSERT INTO text(value) VALUES(?1)",
    [WRITE_SYSTEM] = "INSERT INTO system(id, name) VALUES(?1,?2)"
                     " ON CONFLICT(id) DO UPDATE SET name=excluded.name WHERE name<>excluded.name",
    [WRITE_INSERT] =
        "INSERT INTO message(key,time_ns,received_ns,type,sources,system,token,expires_ns,"
        "join_hash,join_weak,parent_join,service,model,person,person_rank,account_uuid,"
        "account_id,name,session,prompt,tool,input_tokens,output_tokens,cache_read_tokens,"
        "cache_create_tokens,cost,cost_computed,duration_ms,success,trace_id,span_id,"
        "parent_span_id,request_id,tool_use_id,event_fields,event_metadata_keys,body_truncated,"
        "metadata,body) VALUES(" ROW_VALUES ",?39) ON CONFLICT(key) DO NOTHING",
    [WRITE_UPDATE] =
        "UPDATE message SET (key,time_ns,received_ns,type,sources,system,token,expires_ns,"
        "join_hash,join_weak,parent_join,service,model,person,person_rank,account_uuid,"
        "account_id,name,session,prompt,tool,input_tokens,output_tokens,cache_read_tokens,"
        "cache_create_tokens,cost,cost_computed,duration_ms,success,trace_id,span_id,"
        "parent_span_id,request_id,tool_use_id,event_fields,event_metadata_keys,body_truncated,"
        "metadata,body) = (" ROW_VALUES ",?39) WHERE id=?40",
    [WRITE_FIND_KEY] = "SELECT id FROM message WHERE key=?1",
    [WRITE_FIND_JOIN] = "SELECT id, sources, time_ns, duration_ms, span_id FROM message"
                        " WHERE join_hash=?1 AND system=?2 AND type=?3 AND join_weak=?4",
    [WRITE_ROLLUP] = "INSERT INTO rollup VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)"
                     " ON CONFLICT DO UPDATE SET n=n+excluded.n,"
                     "input_tokens=input_tokens+excluded.input_tokens,"
                     "output_tokens=output_tokens+excluded.output_tokens,"
                     "cache_read_tokens=cache_read_tokens+excluded.cache_read_tokens,"
                     "cache_create_tokens=cache_create_tokens+excluded.cache_create_tokens,"
                     "cost=cost+excluded.cost,cost_computed=cost_computed+excluded.cost_computed,"
                     "duration_ms=duration_ms+excluded.duration_ms",
    [WRITE_ROLLUP_CLEAN] = "DELETE FROM rollup WHERE day=?1 AND system=?2 AND type=?3 AND model=?4"
                           " AND person=?5 AND n=0",
    [WRITE_USAGE_EVENT] = "INSERT INTO usage_event VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"
                          " ON CONFLICT DO UPDATE SET requests=requests+excluded.requests,"
                          "input_tokens=input_tokens+excluded.input_tokens,"
                          "output_tokens=output_tokens+excluded.output_tokens,"
                          "cache_read_tokens=cache_read_tokens+excluded.cache_read_tokens,"
                          "cache_create_tokens=cache_create_tokens+excluded.cache_create_tokens,"
                          "cost=cost+excluded.cost",
    [WRITE_USAGE_EVENT_CLEAN] = "DELETE FROM usage_event WHERE day=?1 AND person=?2 AND system=?3"
                                " AND model=?4 AND session=?5 AND requests=0",
    [WRITE_USAGE_METRIC] = "INSERT INTO usage_metric VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"
                           " ON CONFLICT DO UPDATE SET value=value+excluded.value",
    [WRITE_POINT] = "INSERT INTO point(key,seen_ns) VALUES(?1,?2) ON CONFLICT DO NOTHING",
    [WRITE_SERIES_FIND] = "SELECT time_ns, value FROM series WHERE series=?1 AND start_ns=?2",
    [WRITE_SERIES_PUT] = "INSERT INTO series(series,start_ns,time_ns,value,seen_ns)"
                         " VALUES(?1,?2,?3,?4,?5) ON CONFLICT DO UPDATE SET"
                         " time_ns=excluded.time_ns,value=excluded.value,seen_ns=excluded.seen_ns",
    [WRITE_STREAM_FIND] = "SELECT first, last FROM stream WHERE system=?1 AND stream=?2 AND"
                          " signal=?3 AND first<=?5+1 AND last>=?4-1 ORDER BY first",
    [WRITE_STREAM_DELETE] = "DELETE FROM stream WHERE system=?1 AND stream=?2 AND signal=?3 AND"
                            " first>=?4 AND first<=?5",
    [WRITE_STREAM_ADD] = "INSERT INTO stream VALUES(?1,?2,?3,?4,?5,?6)",
    [WRITE_ACCOUNT_FIND] = "SELECT t.value FROM account a JOIN text t ON t.id=a.person"
                           " WHERE a.system=?1 AND a.account=?2",
    [WRITE_ACCOUNT_PUT] = "INSERT INTO account VALUES(?1,?2,?3) ON CONFLICT DO UPDATE SET"
                          " person=excluded.person WHERE person<>excluded.person",
    [WRITE_TOMBSTONE_FIND] = "SELECT 1 FROM tombstone WHERE person=?1 AND erased_ns>=?2",
};

bool write_prepare(struct sqlite_messages *s, struct error *err)
{
    for (int i = 0; i < WRITE_COUNT; i++)
        if (SQL[i] && !(s->write[i] = sqlite_prepare(s->writer, SQL[i], err)))
            return false;
    struct buffer load = {.max_bytes = 8 * KIB};
    const char *text = NULL;
    if (buffer_append_text(&load, "SELECT ") && buffer_append_text(&load, SQLITE_ROW_COLUMNS) &&
        buffer_append_text(&load, " FROM message m WHERE m.id=?1"))
        text = buffer_text(&load);
    s->write[WRITE_LOAD] = sqlite_prepare(s->writer, text, err);
    buffer_clear(&load);
    return s->write[WRITE_LOAD] != NULL;
}

static bool read_number(sqlite3 *db, const char *sql, int64_t *out, struct error *err)
{
    sqlite3_stmt *statement = sqlite_prepare(db, sql, err);
    bool row = false;
    bool ok = statement && sqlite_next(db, statement, &row, err);
    *out = ok && row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return ok;
}

bool write_begin(struct sqlite_messages *s, struct error *err)
{
    int64_t version = 0;
    if (!sqlite_run(s->writer, "BEGIN IMMEDIATE", err) ||
        !read_number(s->writer, "PRAGMA data_version", &version, err))
        return false;
    if (version == s->data_version)
        return true;
    /* Another process wrote: an erased person's text may have gone. */
    text_ids_forget(s->texts);
    s->known_system = 0;
    s->data_version = version;
    return read_number(s->writer, "SELECT count(*) FROM tombstone", &s->tombstones, err);
}

bool write_commit(struct sqlite_messages *s, struct error *err)
{
    return sqlite3_exec(s->writer, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ||
           sqlite_fail(s->writer, "cannot commit", err);
}

void write_roll_back(struct sqlite_messages *s)
{
    sqlite_roll_back(s->writer);
    text_ids_forget(s->texts);
    s->known_system = 0;
    s->data_version = -1;
}

bool write_text_id(struct sqlite_messages *s, struct bytes text, int64_t *id, struct error *err)
{
    *id = 0;
    if (text.len == 0 || text_ids_find(s->texts, text, id))
        return true;
    sqlite3_stmt *find = s->write[WRITE_TEXT_FIND], *add = s->write[WRITE_TEXT_ADD];
    bool row = false;
    sqlite_bind_bytes(find, 1, text);
    if (!sqlite_next(s->writer, find, &row, err))
        return false;
    if (row) {
        *id = sqlite3_column_int64(find, 0);
        sqlite3_reset(find);
    } else {
        sqlite_bind_bytes(add, 1, text);
        if (!sqlite_do(s->writer, add, err))
            return false;
        *id = sqlite3_last_insert_rowid(s->writer);
    }
    text_ids_put(s->texts, text, *id);
    return true;
}
