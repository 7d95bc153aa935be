#include "server/store/day.h"
#include "server/store/people_sql.h"
#include "server/store/sqlite_messages.h"

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
    sqlite3_stmt *q = sqlite_prepare(reader->db, PEOPLE_SQL("?1", "?2"), err);
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
