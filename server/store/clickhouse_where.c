#include "server/store/clickhouse_where.h"

#include <stdio.h>
#include <string.h>

#include "core/crypto/crypto.h"
#include "core/json/reader.h"

enum column_kind {
    COLUMN_ID,
    COLUMN_TYPE,
    COLUMN_TIME,   /* never absent */
    COLUMN_NUMBER, /* -1: absent */
    COLUMN_BOOL,   /* -1: unknown */
    COLUMN_TEXT,
    COLUMN_SYSTEM,
    COLUMN_BLOB,
    COLUMN_PARENT,
    COLUMN_METADATA,
};

static const struct column {
    const char *name;
    enum column_kind kind;
    uint8_t blob_bytes;
} COLUMNS[] = {
    [FIELD_ID] = {"key", COLUMN_ID, 16},
    [FIELD_TYPE] = {"type", COLUMN_TYPE, 0},
    [FIELD_TIME] = {"time_ns", COLUMN_TIME, 0},
    [FIELD_RECEIVED_AT] = {"received_ns", COLUMN_TIME, 0},
    [FIELD_SERVICE_NAME] = {"service", COLUMN_TEXT, 0},
    [FIELD_SYSTEM] = {"system", COLUMN_SYSTEM, 0},
    [FIELD_MODEL] = {"model", COLUMN_TEXT, 0},
    [FIELD_PERSON] = {"person", COLUMN_TEXT, 0},
    [FIELD_INPUT_TOKENS] = {"input_tokens", COLUMN_NUMBER, 0},
    [FIELD_OUTPUT_TOKENS] = {"output_tokens", COLUMN_NUMBER, 0},
    [FIELD_CACHE_READ_TOKENS] = {"cache_read_tokens", COLUMN_NUMBER, 0},
    [FIELD_CACHE_CREATE_TOKENS] = {"cache_create_tokens", COLUMN_NUMBER, 0},
    [FIELD_COST_MICROCENTS] = {"cost", COLUMN_NUMBER, 0},
    [FIELD_COST_COMPUTED_MICROCENTS] = {"cost_computed", COLUMN_NUMBER, 0},
    [FIELD_DURATION_MS] = {"duration_ms", COLUMN_NUMBER, 0},
    [FIELD_SUCCESS] = {"success", COLUMN_BOOL, 0},
    [FIELD_TRACE_ID] = {"trace_id", COLUMN_BLOB, 16},
    [FIELD_SPAN_ID] = {"span_id", COLUMN_BLOB, 8},
    [FIELD_PARENT_ID] = {"parent_join", COLUMN_PARENT, 16},
    [FIELD_SESSION_ID] = {"session", COLUMN_TEXT, 0},
    [FIELD_PROMPT_ID] = {"prompt", COLUMN_TEXT, 0},
    [FIELD_TOOL_NAME] = {"tool", COLUMN_TEXT, 0},
    [FIELD_METADATA] = {NULL, COLUMN_METADATA, 0},
};

/* ---- Text ---- */

void sql_init(struct sql *sql)
{
    *sql = (struct sql){.text = {.max_bytes = 192 * MIB}};
}

void sql_clear(struct sql *sql)
{
    buffer_clear(&sql->text);
}

void sql_put(struct sql *sql, const char *text)
{
    if (!buffer_append_text(&sql->text, text))
        sql->failed = true;
}

void sql_put_int(struct sql *sql, int64_t number)
{
    if (!buffer_append_format(&sql->text, "%lld", (long long)number))
        sql->failed = true;
}

void sql_put_uint(struct sql *sql, uint64_t number)
{
    if (!buffer_append_format(&sql->text, "%llu", (unsigned long long)number))
        sql->failed = true;
}

void sql_put_quoted(struct sql *sql, struct bytes text)
{
    static const char DIGITS[] = "0123456789abcdef";
    bool ok = buffer_append_byte(&sql->text, '\'');
    for (size_t i = 0; ok && i < text.len; i++) {
        uint8_t c = text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr(" .-_@:/", c));
        const char escaped[] = {'\\', 'x', DIGITS[c >> 4], DIGITS[c & 15]};
        ok = plain ? buffer_append_byte(&sql->text, c)
                   : buffer_append(&sql->text, bytes_make(escaped, sizeof escaped));
    }
    if (!ok || !buffer_append_byte(&sql->text, '\''))
        sql->failed = true;
}

const char SQL_KEYS_BEGIN[] = "(SELECT toFixedString(unhex(arrayJoin(splitByChar(',','";
const char SQL_KEYS_END[] = "'))),16))";
const char SQL_PLACES_BEGIN[] = "(SELECT toUInt32(substring(x,1,10)),"
                                "toFixedString(unhex(substring(x,11)),16)"
                                " FROM (SELECT arrayJoin(splitByChar(',','";
const char SQL_PLACES_END[] = "')) AS x))";

void sql_put_hex(struct sql *sql, struct bytes bytes)
{
    if (!buffer_reserve(&sql->text, bytes.len * 2 + 1)) {
        sql->failed = true;
        return;
    }
    crypto_hex(bytes, (char *)sql->text.data + sql->text.len);
    sql->text.len += bytes.len * 2;
}

void sql_put_place(struct sql *sql, uint32_t day, const uint8_t key[MESSAGE_KEY_BYTES])
{
    if (!buffer_append_format(&sql->text, "%010u", (unsigned)day))
        sql->failed = true;
    sql_put_hex(sql, bytes_make(key, MESSAGE_KEY_BYTES));
}

bool sql_ok(const struct sql *sql, struct error *err)
{
    return !sql->failed ||
           error_set(err, FAIL_TOO_LARGE, "the query has too many filters or values");
}

/* ---- Fields as expressions ---- */

/* The place of a key among a row's metadata; 0 where it has none, which reads as kind 0. */
static void put_place(struct sql *sql, const char *array, struct bytes key)
{
    sql_put(sql, array);
    sql_put(sql, "[indexOf(meta_keys,");
    sql_put_quoted(sql, key);
    sql_put(sql, ")]");
}

static void put_meta_there(struct sql *sql, struct bytes key)
{
    put_place(sql, "meta_kinds", key);
    sql_put(sql, " IN (1,2)");
}

void sql_put_group(struct sql *sql, enum message_field field, struct bytes metadata_key)
{
    const struct column *column = &COLUMNS[field];
    switch (column->kind) {
    case COLUMN_ID:
        sql_put(sql, "hex(key)"); /* toString() would cut zeroes off */
        break;
    case COLUMN_TEXT:
    case COLUMN_BLOB:
        sql_put(sql, column->name);
        break;
    case COLUMN_METADATA: /* one that is "" is there all the same */
        sql_put(sql, "if(");
        put_meta_there(sql, metadata_key);
        sql_put(sql, ",concat('=',");
        put_place(sql, "meta_texts", metadata_key);
        sql_put(sql, "),'')");
        break;
    case COLUMN_NUMBER:
    case COLUMN_BOOL:
        sql_put(sql, "if(");
        sql_put(sql, column->name);
        sql_put(sql, "<0,'',toString(");
        sql_put(sql, column->name);
        sql_put(sql, "))");
        break;
    default:
        sql_put(sql, "toString(");
        sql_put(sql, column->name);
        sql_put(sql, ")");
        break;
    }
}

struct bytes sql_group_shown(enum message_field field, struct bytes key,
                             char room[GROUP_TEXT_BYTES])
{
    static const struct bytes ABSENT = {0};
    const struct column *column = &COLUMNS[field];
    uint8_t id[MESSAGE_KEY_BYTES];
    int64_t type;
    if (key.len == 0)
        return ABSENT;
    switch (column->kind) {
    case COLUMN_ID:
        if (!crypto_unhex(key, id, sizeof id))
            return ABSENT;
        message_id_of_key(id, room);
        return bytes_of(room);
    case COLUMN_TYPE:
        if (!json_int64(key, &type) || type < 0 || type >= MESSAGE_TYPE_COUNT)
            return ABSENT;
        return bytes_of(message_type_name((enum message_type)type));
    case COLUMN_BOOL:
        return bytes_of(bytes_equal_text(key, "0") ? "false" : "true");
    case COLUMN_BLOB:
        if (key.len != column->blob_bytes)
            return ABSENT;
        crypto_hex(key, room);
        return bytes_of(room);
    case COLUMN_METADATA:
        return bytes_make(key.data + 1, key.len - 1);
    default:
        return key;
    }
}

bool sql_put_number(struct sql *sql, enum message_field field, struct bytes metadata_key)
{
    const struct column *column = &COLUMNS[field];
    switch (column->kind) {
    case COLUMN_TIME:
        sql_put(sql, "toInt64(");
        sql_put(sql, column->name);
        sql_put(sql, ")");
        return true;
    case COLUMN_NUMBER:
    case COLUMN_BOOL:
        sql_put(sql, "nullIf(toInt64(");
        sql_put(sql, column->name);
        sql_put(sql, "),-1)");
        return true;
    case COLUMN_METADATA:
        sql_put(sql, "if(");
        put_meta_there(sql, metadata_key);
        sql_put(sql, " AND isFinite(");
        put_place(sql, "meta_numbers", metadata_key);
        sql_put(sql, "),");
        put_place(sql, "meta_numbers", metadata_key);
        sql_put(sql, ",NULL)");
        return true;
    default:
        return false;
    }
}

/* ---- Filters ---- */

static void put_key_day(struct sql *sql, const uint8_t key[MESSAGE_KEY_BYTES])
{
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | key[i];
    sql_put(sql, "day=");
    sql_put_uint(sql, ms / (DAY_NS / 1000000));
}

/* "column=value". A value that no row can have matches nothing, as its caller asked. */
static void put_equal(struct sql *sql, const struct column *column, struct bytes value,
                      struct bytes metadata_key)
{
    uint8_t blob[16];
    int64_t number;
    enum message_type type;
    switch (column->kind) {
    case COLUMN_METADATA:
        sql_put(sql, "(");
        put_meta_there(sql, metadata_key);
        sql_put(sql, " AND ");
        put_place(sql, "meta_texts", metadata_key);
        sql_put(sql, "=");
        sql_put_quoted(sql, value);
        sql_put(sql, ")");
        return;
    case COLUMN_TEXT:
        sql_put(sql, column->name);
        sql_put(sql, "=");
        sql_put_quoted(sql, value);
        return;
    case COLUMN_SYSTEM:
        sql_put(sql, "toUInt64(system) IN (SELECT item FROM " CLICKHOUSE_TABLE
                     " FINAL WHERE kind=8 AND text=");
        sql_put_quoted(sql, value);
        sql_put(sql, ")");
        return;
    case COLUMN_TYPE:
        if (!message_type_of_name(value, &type))
            break;
        sql_put(sql, "type=");
        sql_put_int(sql, type);
        return;
    case COLUMN_TIME:
    case COLUMN_NUMBER:
        if (!json_int64(value, &number) || number < 0)
            break;
        sql_put(sql, column->name);
        sql_put(sql, "=");
        sql_put_int(sql, number);
        return;
    case COLUMN_BOOL:
        if (bytes_equal_text(value, "true") || bytes_equal_text(value, "1"))
            sql_put(sql, "success=1");
        else if (bytes_equal_text(value, "false") || bytes_equal_text(value, "0"))
            sql_put(sql, "success=0");
        else
            break;
        return;
    case COLUMN_ID:
        if (!message_key_of_id(value, blob))
            break;
        sql_put(sql, "(");
        put_key_day(sql, blob);
        sql_put(sql, " AND key=");
        sql_put_quoted(sql, bytes_make(blob, sizeof blob));
        sql_put(sql, ")");
        return;
    case COLUMN_PARENT:
        if (!message_key_of_id(value, blob))
            break;
        sql_put(sql, "(parent_join!=0 AND parent_join IN (SELECT join_hash FROM " CLICKHOUSE_TABLE
                     " FINAL WHERE kind=0 AND dead=0 AND join_weak=0 AND ");
        put_key_day(sql, blob);
        sql_put(sql, " AND key=");
        sql_put_quoted(sql, bytes_make(blob, sizeof blob));
        sql_put(sql, "))");
        return;
    case COLUMN_BLOB:
        if (!crypto_unhex(value, blob, column->blob_bytes))
            break;
        sql_put(sql, column->name);
        sql_put(sql, "=");
        sql_put_quoted(sql, bytes_make(blob, column->blob_bytes));
        return;
    }
    sql_put(sql, "0");
}

static void put_absent(struct sql *sql, const struct column *column, struct bytes metadata_key)
{
    switch (column->kind) {
    case COLUMN_METADATA:
        /* The value "" is asked for in the same words. */
        sql_put(sql, "(NOT ");
        put_meta_there(sql, metadata_key);
        sql_put(sql, " OR ");
        put_equal(sql, column, bytes_of(""), metadata_key);
        sql_put(sql, ")");
        return;
    case COLUMN_TEXT:
    case COLUMN_BLOB:
        sql_put(sql, column->name);
        sql_put(sql, "=''");
        return;
    case COLUMN_NUMBER:
    case COLUMN_BOOL:
        sql_put(sql, column->name);
        sql_put(sql, "<0");
        return;
    case COLUMN_PARENT:
        sql_put(sql, "parent_join=0");
        return;
    default: /* never absent */
        sql_put(sql, "0");
        return;
    }
}

static void put_filter(struct sql *sql, const struct message_filter *filter)
{
    const struct column *column = &COLUMNS[filter->field];
    sql_put(sql, filter->none_of ? " AND NOT (0" : " AND (0");
    for (size_t i = 0; i < filter->value_count; i++) {
        sql_put(sql, " OR ");
        if (filter->values[i].len == 0)
            put_absent(sql, column, filter->metadata_key);
        else
            put_equal(sql, column, filter->values[i], filter->metadata_key);
    }
    sql_put(sql, ")");
}

void sql_put_rows(struct sql *sql, const struct message_query *query)
{
    sql_put(sql, " FROM " CLICKHOUSE_TABLE " FINAL WHERE kind=0 AND dead=0");
    if (query->from_ns) {
        sql_put(sql, " AND day>=");
        sql_put_uint(sql, query->from_ns / DAY_NS);
        sql_put(sql, " AND time_ns>=");
        sql_put_uint(sql, query->from_ns);
    }
    if (query->to_ns) {
        sql_put(sql, " AND day<=");
        sql_put_uint(sql, (query->to_ns - 1) / DAY_NS);
        sql_put(sql, " AND time_ns<");
        sql_put_uint(sql, query->to_ns);
    }
    for (size_t i = 0; i < query->filter_count; i++)
        put_filter(sql, &query->filters[i]);
}
