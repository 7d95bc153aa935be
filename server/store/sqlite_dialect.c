#include "server/store/sqlite_messages.h"

static void put_text_id(struct where *where, struct bytes text)
{
    where_text(where, "(SELECT id FROM text WHERE value=");
    where_bind_text(where, text);
    where_text(where, ")");
}

static void put_same(struct where *where, const char *a, const char *b, bool is_number)
{
    (void)is_number;
    where_text(where, " AND ");
    where_text(where, a);
    where_text(where, " IS ");
    where_text(where, b);
}

const struct dialect sqlite_dialect = {
    .parameter = '?',
    .blob_shown = "CASE WHEN %1$s IS NOT NULL THEN lower(hex(%1$s)) END",
    .metric_shown = "",
    .functions =
        {
            [AGGREGATE_COUNT] = {"coalesce(sum(", "),0)"},
            [AGGREGATE_SUM] = {"coalesce(sum(", "),0)"},
            [AGGREGATE_AVG] = {"avg(", ")"},
            [AGGREGATE_MIN] = {"min(", ")"},
            [AGGREGATE_MAX] = {"max(", ")"},
            [AGGREGATE_P50] = {"ct_percentile(", ",0.50)"},
            [AGGREGATE_P90] = {"ct_percentile(", ",0.90)"},
            [AGGREGATE_P95] = {"ct_percentile(", ",0.95)"},
            [AGGREGATE_P99] = {"ct_percentile(", ",0.99)"},
            [AGGREGATE_UNIQ] = {"count(DISTINCT ", ")"},
        },
    .uniq_number = "ct_uniq(",
    .bucket_before = "ct_bucket(",
    .bucket_after = ")",
    .put_text_id = put_text_id,
    .put_same = put_same,
};

void sqlite_where_bind(const struct where *where, sqlite3_stmt *statement)
{
    for (size_t i = 0; i < where->value_count; i++) {
        const struct where_value *value = &where->values[i];
        int at = (int)i + 1;
        if (value->kind == BIND_INT)
            sqlite3_bind_int64(statement, at, value->number);
        else if (value->kind == BIND_TEXT)
            sqlite_bind_bytes(statement, at, value->bytes);
        else
            sqlite_bind_raw(statement, at, value->bytes.data, value->bytes.len);
    }
}
