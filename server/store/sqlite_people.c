#include "server/store/day.h"
#include "server/store/sqlite_messages.h"

/*
 * Days and sums come from the rollups, the time of the newest row from its person's index: heartbeats of a
 * machine lie between, but only those of one day.
 */
static const char PEOPLE_SQL[] =
    "WITH r AS (SELECT person, max(day) AS day, sum(n) AS n,"
    "  sum(input_tokens+output_tokens+cache_read_tokens+cache_create_tokens) AS tokens,"
    "  sum(cost+cost_computed) AS cost"
    "  FROM rollup WHERE day>=?1 AND person<>0 AND type<?2 GROUP BY person),"
    " u AS (SELECT person, max(day) AS day FROM usage_metric"
    "  WHERE day>=?1 AND person<>0 GROUP BY person),"
    " p AS (SELECT person FROM r UNION SELECT person FROM u)"
    " SELECT t.value, (SELECT m.time_ns FROM message m WHERE m.person=p.person AND m.person<>0"
    "   AND m.type<?2 AND m.time_ns<(r.day+1)*86400000000000 ORDER BY m.time_ns DESC LIMIT 1),"
    "  coalesce(u.day,-1), coalesce(r.n,0), coalesce(r.tokens,0), coalesce(r.cost,0)"
    " FROM p JOIN text t ON t.id=p.person LEFT JOIN r ON r.person=p.person"
    " LEFT JOIN u ON u.person=p.person ORDER BY t.value";

bool sqlite_people(struct message_store *store, const char *from_day, message_person_visit *visit,
                   void *context, struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    int64_t from;
    if (!day_of_text(bytes_of(from_day), &from))
        return error_set(err, FAIL_INVALID, "'%s' is not a day like 2026-11-20", from_day);
    struct reader *reader = reader_take(s, 0, err);
    if (!reader)
        return false;
    sqlite3_stmt *q = sqlite_prepare(reader->db, PEOPLE_SQL, err);
    bool row = true, ok = q != NULL;
    if (ok) {
        sqlite3_bind_int64(q, 1, from);
        sqlite3_bind_int(q, 2, MESSAGE_HEARTBEAT);
    }
    while (ok && (ok = sqlite_next(reader->db, q, &row, err)) && row) {
        const struct message_person person = {
            .person = sqlite_text_at(q, 0),
            .last_row_ns = (uint64_t)sqlite3_column_int64(q, 1),
            .last_metric_day = sqlite3_column_int64(q, 2),
            .rows = (uint64_t)sqlite3_column_int64(q, 3),
            .tokens = (uint64_t)sqlite3_column_int64(q, 4),
            .cost_microcents = (uint64_t)sqlite3_column_int64(q, 5),
        };
        if (!visit(context, &person))
            break;
    }
    sqlite3_finalize(q);
    reader_give(s, reader);
    return ok;
}
