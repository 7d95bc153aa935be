#include <string.h>

#include "server/store/day.h"
#include "server/store/people_sql.h"
#include "server/store/sqlite_messages.h"

struct bytes metric_attribute(struct bytes attributes, const char *key)
{
    size_t key_len = strlen(key);
    while (attributes.len) {
        const uint8_t *comma = memchr(attributes.data, ',', attributes.len);
        size_t len = comma ? (size_t)(comma - attributes.data) : attributes.len;
        if (len > key_len && memcmp(attributes.data, key, key_len) == 0 &&
            attributes.data[key_len] == '=')
            return bytes_make(attributes.data + key_len + 1, len - key_len - 1);
        size_t step = comma ? len + 1 : len;
        attributes = bytes_make(attributes.data + step, attributes.len - step);
    }
    return attributes;
}

static bool visit_sums(sqlite3 *db, sqlite3_stmt *q, metric_sum_visit *visit, void *context,
                       struct error *err)
{
    bool row = true, ok;
    while ((ok = sqlite_next(db, q, &row, err)) && row) {
        const struct metric_sum sum = {.person = sqlite_text_at(q, 0),
                                       .attributes = sqlite_text_at(q, 1),
                                       .value = sqlite3_column_double(q, 2)};
        if (!visit(context, &sum))
            break;
    }
    return ok;
}

bool sqlite_metric_sums(struct message_store *store, const char *metric, const char *from_day,
                        const char *to_day, metric_sum_visit *visit, void *context,
                        struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    int64_t from, to;
    if (!day_of_text(bytes_of(from_day), &from) || !day_of_text(bytes_of(to_day), &to))
        return error_set(err, FAIL_INVALID, "'%s' to '%s' are not days like 2026-11-20", from_day,
                         to_day);
    struct reader *reader = reader_take(s, 0, err);
    if (!reader)
        return false;
    sqlite3_stmt *q =
        sqlite_prepare(reader->db,
                       METRIC_SUMS_SQL("?1", "?2", "(SELECT id FROM text WHERE value=?3)"), err);
    bool ok = q != NULL;
    if (ok) {
        sqlite3_bind_int64(q, 1, from);
        sqlite3_bind_int64(q, 2, to);
        sqlite_bind_bytes(q, 3, bytes_of(metric));
        ok = visit_sums(reader->db, q, visit, context, err);
    }
    sqlite3_finalize(q);
    reader_give(s, reader);
    return ok || error_wrap(err, "cannot add up a metric");
}
