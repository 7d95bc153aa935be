#include "server/store/where.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "core/json/reader.h"

#define DAY_NS UINT64_C(86400000000000)

enum column_kind {
    COLUMN_ID,
    COLUMN_TYPE,
    COLUMN_NUMBER,
    COLUMN_BOOL,
    COLUMN_TEXT_ID, /* number in `text` */
    COLUMN_SYSTEM,
    COLUMN_BLOB,
    COLUMN_PARENT,
    COLUMN_METADATA,
};

static const struct column {
    const char *name;
    enum column_kind kind;
    uint8_t blob_bytes;
    bool in_rollup;
    bool is_indexed; /* where it is not 0 */
} COLUMNS[] = {
    [FIELD_ID] = {"m.key", COLUMN_ID, 16, false, false},
    [FIELD_TYPE] = {"m.type", COLUMN_TYPE, 0, true, false},
    [FIELD_TIME] = {"m.time_ns", COLUMN_NUMBER, 0, false, false},
    [FIELD_RECEIVED_AT] = {"m.received_ns", COLUMN_NUMBER, 0, false, false},
    [FIELD_SERVICE_NAME] = {"m.service", COLUMN_TEXT_ID, 0, false, false},
    [FIELD_SYSTEM] = {"m.system", COLUMN_SYSTEM, 0, true, false},
    [FIELD_MODEL] = {"m.model", COLUMN_TEXT_ID, 0, true, false},
    [FIELD_PERSON] = {"m.person", COLUMN_TEXT_ID, 0, true, true},
    [FIELD_INPUT_TOKENS] = {"m.input_tokens", COLUMN_NUMBER, 0, true, false},
    [FIELD_OUTPUT_TOKENS] = {"m.output_tokens", COLUMN_NUMBER, 0, true, false},
    [FIELD_CACHE_READ_TOKENS] = {"m.cache_read_tokens", COLUMN_NUMBER, 0, true, false},
    [FIELD_CACHE_CREATE_TOKENS] = {"m.cache_create_tokens", COLUMN_NUMBER, 0, true, false},
    [FIELD_COST_MICROCENTS] = {"m.cost", COLUMN_NUMBER, 0, true, false},
    [FIELD_COST_COMPUTED_MICROCENTS] = {"m.cost_computed", COLUMN_NUMBER, 0, true, false},
    [FIELD_DURATION_MS] = {"m.duration_ms", COLUMN_NUMBER, 0, true, false},
    [FIELD_SUCCESS] = {"m.success", COLUMN_BOOL, 0, false, false},
    [FIELD_TRACE_ID] = {"m.trace_id", COLUMN_BLOB, 16, false, false},
    [FIELD_SPAN_ID] = {"m.span_id", COLUMN_BLOB, 8, false, false},
    [FIELD_PARENT_ID] = {"m.parent_join", COLUMN_PARENT, 16, false, false},
    [FIELD_SESSION_ID] = {"m.session", COLUMN_TEXT_ID, 0, false, true},
    [FIELD_PROMPT_ID] = {"m.prompt", COLUMN_TEXT_ID, 0, false, false},
    [FIELD_TOOL_NAME] = {"m.tool", COLUMN_TEXT_ID, 0, false, false},
    [FIELD_METADATA] = {NULL, COLUMN_METADATA, 0, false, false},
};

bool where_field_in_rollup(enum message_field field)
{
    return COLUMNS[field].in_rollup;
}

void where_init(struct where *where, const struct dialect *dialect)
{
    *where = (struct where){.dialect = dialect,
                            .sql = {.max_bytes = 64 * KIB},
                            .arena = {.max_bytes = MIB}};
    where->values = xcalloc(WHERE_BINDS_MAX, sizeof *where->values);
}

void where_clear(struct where *where)
{
    buffer_clear(&where->sql);
    arena_clear(&where->arena);
    free(where->values);
    where->values = NULL;
}

void where_text(struct where *where, const char *sql)
{
    if (!buffer_append_text(&where->sql, sql))
        where->failed = true;
}

static void bind(struct where *where, struct where_value value)
{
    if (where->value_count == WHERE_BINDS_MAX) {
        where->failed = true;
        return;
    }
    where->values[where->value_count++] = value;
    if (!buffer_append_format(&where->sql, "%c%zu", where->dialect->parameter, where->value_count))
        where->failed = true;
}

void where_bind_int(struct where *where, int64_t number)
{
    bind(where, (struct where_value){.kind = BIND_INT, .number = number});
}

void where_bind_text(struct where *where, struct bytes text)
{
    bind(where, (struct where_value){.kind = BIND_TEXT, .bytes = text});
}

void where_bind_blob(struct where *where, struct bytes blob)
{
    struct bytes copy = {0};
    if (!arena_copy(&where->arena, blob, &copy))
        where->failed = true;
    bind(where, (struct where_value){.kind = BIND_BLOB, .bytes = copy});
}

void where_bind_intervals(struct where *where, struct bytes intervals)
{
    bind(where, (struct where_value){.kind = BIND_INTERVALS, .bytes = intervals});
}

bool where_ok(const struct where *where, struct error *err)
{
    if (where->failed)
        return error_set(err, FAIL_TOO_LARGE, "the query has too many filters or values");
    return true;
}

const char *where_sql(struct where *where)
{
    return buffer_text(&where->sql);
}

/* ---- Fields as expressions ---- */

void where_field_key(struct where *where, enum message_field field, struct bytes metadata_key)
{
    const struct column *column = &COLUMNS[field];
    switch (column->kind) {
    case COLUMN_TEXT_ID:
        where_text(where, "nullif(");
        where_text(where, column->name);
        where_text(where, ",0)");
        break;
    case COLUMN_PARENT:
        where_text(where, "(SELECT p.key FROM message p WHERE p.join_hash=m.parent_join"
                          " AND p.system=m.system AND p.type=0 AND p.join_weak=0 LIMIT 1)");
        break;
    case COLUMN_METADATA:
        where_text(where, "ct_meta(m.metadata,");
        where_bind_text(where, metadata_key);
        where_text(where, ")");
        break;
    default:
        where_text(where, column->name);
        break;
    }
}

static const char *shown_as(const struct dialect *dialect, enum column_kind kind)
{
    switch (kind) {
    case COLUMN_TEXT_ID:
        return "(SELECT value FROM text WHERE id=%s)";
    case COLUMN_SYSTEM:
        return "(SELECT name FROM system WHERE id=%s)";
    case COLUMN_TYPE:
        return "ct_type(%s)";
    case COLUMN_ID:
    case COLUMN_PARENT:
        return "ct_id(%s)";
    case COLUMN_BLOB:
        return dialect->blob_shown;
    case COLUMN_BOOL:
        return "CASE %s WHEN 1 THEN 'true' WHEN 0 THEN 'false' END";
    case COLUMN_NUMBER:
        return "CAST(%s AS VARCHAR)";
    case COLUMN_METADATA:
        break;
    }
    return "%s";
}

void where_field_shown(struct where *where, enum message_field field, const char *alias)
{
    const char *form = shown_as(where->dialect, COLUMNS[field].kind);
    for (const char *at = form; *at; at++) {
        if (*at != '%') {
            where_text(where, (char[]){*at, 0});
            continue;
        }
        where_text(where, alias);
        at = strchr(at, 's');
    }
}

bool where_field_number(struct where *where, enum message_field field, struct bytes metadata_key)
{
    const struct column *column = &COLUMNS[field];
    if (column->kind == COLUMN_NUMBER || column->kind == COLUMN_BOOL) {
        where_text(where, column->name);
        return true;
    }
    if (column->kind != COLUMN_METADATA)
        return false;
    where_text(where, "ct_number(ct_meta(m.metadata,");
    where_bind_text(where, metadata_key);
    where_text(where, "))");
    return true;
}

/* ---- Filters ---- */

/* A value that no row can have matches nothing, which is what the caller asked for. */
static void add_value(struct where *where, const struct column *column, struct bytes value)
{
    uint8_t blob[16];
    int64_t number;
    enum message_type type;
    switch (column->kind) {
    case COLUMN_TEXT_ID:
        if (value.len == 0) {
            where_text(where, "0");
            return;
        }
        where->dialect->put_text_id(where, value);
        return;
    case COLUMN_SYSTEM:
        where_text(where, "(SELECT id FROM system WHERE name=");
        where_bind_text(where, value);
        where_text(where, " LIMIT 1)");
        return;
    case COLUMN_TYPE:
        if (message_type_of_name(value, &type))
            where_bind_int(where, type);
        else
            where_text(where, "NULL");
        return;
    case COLUMN_NUMBER:
        if (json_int64(value, &number))
            where_bind_int(where, number);
        else
            where_text(where, "NULL");
        return;
    case COLUMN_BOOL:
        if (bytes_equal_text(value, "true") || bytes_equal_text(value, "1"))
            where_text(where, "1");
        else if (bytes_equal_text(value, "false") || bytes_equal_text(value, "0"))
            where_text(where, "0");
        else
            where_text(where, "NULL");
        return;
    case COLUMN_ID:
        if (message_key_of_id(value, blob))
            where_bind_blob(where, bytes_make(blob, sizeof blob));
        else
            where_text(where, "NULL");
        return;
    case COLUMN_PARENT:
        if (message_key_of_id(value, blob)) {
            where_text(where, "(SELECT join_hash FROM message WHERE join_weak=0 AND key=");
            where_bind_blob(where, bytes_make(blob, sizeof blob));
            where_text(where, ")");
        } else {
            where_text(where, "NULL");
        }
        return;
    case COLUMN_BLOB:
        if (crypto_unhex(value, blob, column->blob_bytes))
            where_bind_blob(where, bytes_make(blob, column->blob_bytes));
        else
            where_text(where, "NULL");
        return;
    case COLUMN_METADATA:
        where_bind_text(where, value);
        return;
    }
}

static bool has_empty(const struct message_filter *filter)
{
    for (size_t i = 0; i < filter->value_count; i++)
        if (filter->values[i].len == 0)
            return true;
    return false;
}

static void add_filter(struct where *where, const struct message_filter *filter)
{
    const struct column *column = &COLUMNS[filter->field];
    bool metadata = column->kind == COLUMN_METADATA;
    where_text(where, filter->none_of ? " AND NOT coalesce((" : " AND (");
    for (int absent = has_empty(filter); absent >= 0; absent--) {
        if (metadata)
            where_field_key(where, FIELD_METADATA, filter->metadata_key);
        else
            where_text(where, column->name);
        if (absent) { /* an empty value asks for rows without one */
            where_text(where, " IS NULL OR ");
            continue;
        }
        /* One value as "=": then the index also gives the order. */
        where_text(where, filter->value_count == 1 ? "=(" : " IN (");
        where_text(where, filter->value_count == 0 ? "NULL" : "");
        for (size_t i = 0; i < filter->value_count; i++) {
            if (i)
                where_text(where, ",");
            add_value(where, column, filter->values[i]);
        }
        where_text(where, "))");
    }
    if (filter->none_of) {
        where_text(where, ",false)");
        return;
    }
    /* The indexes hold only rows that have one, which the planner must be told literally. */
    if (column->is_indexed && !has_empty(filter)) {
        where_text(where, " AND ");
        where_text(where, column->name);
        where_text(where, "<>0");
    }
}

bool where_field_is_number_key(enum message_field field)
{
    enum column_kind kind = COLUMNS[field].kind;
    return kind == COLUMN_TEXT_ID || kind == COLUMN_SYSTEM || kind == COLUMN_TYPE;
}

bool where_field_is_number(enum message_field field)
{
    enum column_kind kind = COLUMNS[field].kind;
    return where_field_is_number_key(field) || kind == COLUMN_NUMBER || kind == COLUMN_BOOL;
}

/* The daily sums are in order of type, then day: named one by one, each type's days are a range. */
static void add_types(struct where *where, const struct message_query *query)
{
    for (size_t i = 0; i < query->filter_count; i++)
        if (query->filters[i].field == FIELD_TYPE && !query->filters[i].none_of)
            return;
    for (int type = 0; type < MESSAGE_TYPE_COUNT; type++) {
        where_text(where, type ? "," : " AND m.type IN (");
        where_bind_int(where, type);
    }
    where_text(where, ")");
}

bool where_add_query(struct where *where, const struct message_query *query, enum where_table table,
                     struct error *err)
{
    where_text(where, " WHERE true");
    if (table == WHERE_ROLLUP)
        add_types(where, query);
    bool rollup = table != WHERE_MESSAGES;
    uint64_t unit = rollup ? DAY_NS : 1;
    if (query->from_ns) {
        where_text(where, rollup ? " AND m.day>=" : " AND m.time_ns>=");
        where_bind_int(where,
                       query->from_ns > INT64_MAX ? INT64_MAX : (int64_t)(query->from_ns / unit));
    }
    if (query->to_ns) {
        where_text(where, rollup ? " AND m.day<" : " AND m.time_ns<");
        where_bind_int(where,
                       query->to_ns > INT64_MAX ? INT64_MAX : (int64_t)(query->to_ns / unit));
    }
    for (size_t i = 0; i < query->filter_count; i++)
        add_filter(where, &query->filters[i]);
    return where_ok(where, err);
}
