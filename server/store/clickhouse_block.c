#include "server/store/clickhouse_block.h"

#include <math.h>
#include <string.h>

#include "core/json/reader.h"
#include "core/json/writer.h"

enum line_column {
    COLUMN_KIND,
    COLUMN_DAY,
    COLUMN_KEY,
    COLUMN_ITEM,
    COLUMN_VERSION,
    COLUMN_DEAD,
    COLUMN_WRITTEN,
    COLUMN_TEXT,
    COLUMN_VALUE,
    COLUMN_REF,
    COLUMN_SYSTEM,
    COLUMN_TOKEN,
    COLUMN_EXPIRES,
    COLUMN_TIME,
    COLUMN_RECEIVED,
    COLUMN_TYPE,
    COLUMN_SOURCES,
    COLUMN_JOIN_HASH,
    COLUMN_JOIN_WEAK,
    COLUMN_PARENT_JOIN,
    COLUMN_SERVICE,
    COLUMN_MODEL,
    COLUMN_PERSON,
    COLUMN_PERSON_RANK,
    COLUMN_ACCOUNT_UUID,
    COLUMN_ACCOUNT_ID,
    COLUMN_NAME,
    COLUMN_SESSION,
    COLUMN_PROMPT,
    COLUMN_TOOL,
    COLUMN_INPUT,
    COLUMN_OUTPUT,
    COLUMN_CACHE_READ,
    COLUMN_CACHE_CREATE,
    COLUMN_COST,
    COLUMN_COST_COMPUTED,
    COLUMN_DURATION,
    COLUMN_SUCCESS,
    COLUMN_TRACE,
    COLUMN_SPAN,
    COLUMN_PARENT_SPAN,
    COLUMN_REQUEST,
    COLUMN_TOOL_USE,
    COLUMN_EVENT_FIELDS,
    COLUMN_EVENT_KEYS,
    COLUMN_BODY_TRUNCATED,
    COLUMN_META_KEYS,
    COLUMN_META_TEXTS,
    COLUMN_META_KINDS,
    COLUMN_META_NUMBERS,
    COLUMN_BODY,
    COLUMN_COUNT
};
_Static_assert((int)COLUMN_COUNT == (int)LINE_COLUMNS, "one buffer a column");

static const struct {
    const char *name, *type;
} COLUMNS[COLUMN_COUNT] = {
    [COLUMN_KIND] = {"kind", "UInt8"},
    [COLUMN_DAY] = {"day", "UInt32"},
    [COLUMN_KEY] = {"key", "FixedString(16)"},
    [COLUMN_ITEM] = {"item", "UInt64"},
    [COLUMN_VERSION] = {"version", "UInt64"},
    [COLUMN_DEAD] = {"dead", "UInt8"},
    [COLUMN_WRITTEN] = {"written", "Date"},
    [COLUMN_TEXT] = {"text", "String"},
    [COLUMN_VALUE] = {"value", "Float64"},
    [COLUMN_REF] = {"ref", "FixedString(16)"},
    [COLUMN_SYSTEM] = {"system", "Int64"},
    [COLUMN_TOKEN] = {"token", "Int64"},
    [COLUMN_EXPIRES] = {"expires_ns", "UInt64"},
    [COLUMN_TIME] = {"time_ns", "UInt64"},
    [COLUMN_RECEIVED] = {"received_ns", "UInt64"},
    [COLUMN_TYPE] = {"type", "UInt8"},
    [COLUMN_SOURCES] = {"sources", "UInt8"},
    [COLUMN_JOIN_HASH] = {"join_hash", "UInt64"},
    [COLUMN_JOIN_WEAK] = {"join_weak", "UInt8"},
    [COLUMN_PARENT_JOIN] = {"parent_join", "UInt64"},
    [COLUMN_SERVICE] = {"service", "String"},
    [COLUMN_MODEL] = {"model", "String"},
    [COLUMN_PERSON] = {"person", "String"},
    [COLUMN_PERSON_RANK] = {"person_rank", "UInt8"},
    [COLUMN_ACCOUNT_UUID] = {"account_uuid", "String"},
    [COLUMN_ACCOUNT_ID] = {"account_id", "String"},
    [COLUMN_NAME] = {"name", "String"},
    [COLUMN_SESSION] = {"session", "String"},
    [COLUMN_PROMPT] = {"prompt", "String"},
    [COLUMN_TOOL] = {"tool", "String"},
    [COLUMN_INPUT] = {"input_tokens", "Int64"},
    [COLUMN_OUTPUT] = {"output_tokens", "Int64"},
    [COLUMN_CACHE_READ] = {"cache_read_tokens", "Int64"},
    [COLUMN_CACHE_CREATE] = {"cache_create_tokens", "Int64"},
    [COLUMN_COST] = {"cost", "Int64"},
    [COLUMN_COST_COMPUTED] = {"cost_computed", "Int64"},
    [COLUMN_DURATION] = {"duration_ms", "Int64"},
    [COLUMN_SUCCESS] = {"success", "Int8"},
    [COLUMN_TRACE] = {"trace_id", "String"},
    [COLUMN_SPAN] = {"span_id", "String"},
    [COLUMN_PARENT_SPAN] = {"parent_span_id", "String"},
    [COLUMN_REQUEST] = {"request_id", "String"},
    [COLUMN_TOOL_USE] = {"tool_use_id", "String"},
    [COLUMN_EVENT_FIELDS] = {"event_fields", "UInt32"},
    [COLUMN_EVENT_KEYS] = {"event_keys", "UInt32"},
    [COLUMN_BODY_TRUNCATED] = {"body_truncated", "UInt8"},
    [COLUMN_META_KEYS] = {"meta_keys", "Array(String)"},
    [COLUMN_META_TEXTS] = {"meta_texts", "Array(String)"},
    [COLUMN_META_KINDS] = {"meta_kinds", "Array(UInt8)"},
    [COLUMN_META_NUMBERS] = {"meta_numbers", "Array(Float64)"},
    [COLUMN_BODY] = {"body", "String"},
};

/* ---- Writing ---- */

void line_block_init(struct line_block *block, uint64_t now_ns)
{
    *block = (struct line_block){.written_day = (uint16_t)(now_ns / DAY_NS)};
    for (int i = 0; i < COLUMN_COUNT; i++)
        block->columns[i].max_bytes = block->nested[i].max_bytes = 512 * MIB;
}

void line_block_clear(struct line_block *block)
{
    for (int i = 0; i < COLUMN_COUNT; i++) {
        buffer_clear(&block->columns[i]);
        buffer_clear(&block->nested[i]);
    }
}

static void put_raw(struct line_block *b, struct buffer *into, const void *data, size_t len)
{
    if (!buffer_append(into, bytes_make(data, len)))
        b->failed = true;
}

/* Of `len` bytes, least first. */
static void put_number(struct line_block *b, struct buffer *into, uint64_t number, int len)
{
    uint8_t bytes[8];
    for (int i = 0; i < len; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    put_raw(b, into, bytes, (size_t)len);
}

static size_t varint(uint64_t number, uint8_t out[10])
{
    size_t len = 0;
    do {
        out[len] = (uint8_t)(number & 0x7f);
        number >>= 7;
        out[len++] |= number ? 0x80 : 0;
    } while (number);
    return len;
}

static void put_text(struct line_block *b, struct buffer *into, struct bytes text)
{
    uint8_t len[10];
    put_raw(b, into, len, varint(text.len, len));
    put_raw(b, into, text.data, text.len);
}

static void put_real(struct line_block *b, struct buffer *into, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_number(b, into, bits, 8);
}

static void put_id(struct line_block *b, enum line_column column, const uint8_t *id, size_t len)
{
    static const uint8_t ABSENT[16];
    bool there = memcmp(id, ABSENT, len) != 0;
    put_text(b, &b->columns[column], bytes_make(id, there ? len : 0));
}

/* What a filter compares and a group shows: strings bare, the rest as in JSON. */
enum meta_kind { META_STRING = 1, META_OTHER = 2, META_NULL = 3 };

static void put_meta(struct line_block *b, struct bytes key, enum meta_kind kind, struct bytes text)
{
    int64_t integer;
    double real = (double)NAN;
    if (kind != META_NULL && json_int64(text, &integer))
        real = (double)integer;
    else if (kind == META_NULL || !json_double(text, &real) || !isfinite(real))
        real = (double)NAN;
    put_text(b, &b->nested[COLUMN_META_KEYS], key);
    put_text(b, &b->nested[COLUMN_META_TEXTS], text);
    put_number(b, &b->nested[COLUMN_META_KINDS], kind, 1);
    put_real(b, &b->nested[COLUMN_META_NUMBERS], real);
    for (int i = COLUMN_META_KEYS; i <= COLUMN_META_NUMBERS; i++)
        b->nested_count[i]++;
}

static struct bytes decoded(struct bytes span, struct buffer *into)
{
    if (!memchr(span.data ? span.data : (const uint8_t *)"", '\\', span.len))
        return span;
    buffer_reset(into);
    into->max_bytes = span.len * 3 + 1;
    return json_string_decode(span, into) ? buffer_bytes(into) : span;
}

static void put_metadata(struct line_block *b, struct bytes json)
{
    struct json_reader r = json_reader_make(json);
    struct buffer key = {0}, value = {0};
    bool open = json.len > 0 && json_next(&r) == JSON_OBJECT_OPEN;
    while (open && json_next(&r) == JSON_KEY) {
        struct bytes name = decoded(r.span, &key), text = {0};
        struct json_reader ahead = r;
        enum json_token token = json_next(&ahead);
        enum meta_kind kind = token == JSON_STRING ? META_STRING
                              : token == JSON_NULL ? META_NULL
                                                   : META_OTHER;
        if (!json_skip_value(&r))
            break;
        if (kind == META_STRING)
            text = decoded(ahead.span, &value);
        else
            text = bytes_make(json.data + ahead.token_offset, r.at - ahead.token_offset);
        put_meta(b, name, kind, text);
    }
    buffer_clear(&key);
    buffer_clear(&value);
    for (int i = COLUMN_META_KEYS; i <= COLUMN_META_NUMBERS; i++)
        put_number(b, &b->columns[i], b->nested_count[i], 8);
}

static void put_message(struct line_block *b, const struct message *m)
{
    const struct {
        enum line_column column;
        int len;
        uint64_t value;
    } numbers[] = {
        {COLUMN_TIME, 8, m->time_ns},
        {COLUMN_RECEIVED, 8, m->received_ns},
        {COLUMN_TYPE, 1, (uint64_t)m->type},
        {COLUMN_SOURCES, 1, m->sources},
        {COLUMN_JOIN_HASH, 8, m->join_hash},
        {COLUMN_JOIN_WEAK, 1, m->join_weak},
        {COLUMN_PARENT_JOIN, 8, m->parent_join_hash},
        {COLUMN_PERSON_RANK, 1, (uint64_t)m->person_rank},
        {COLUMN_INPUT, 8, (uint64_t)m->input_tokens},
        {COLUMN_OUTPUT, 8, (uint64_t)m->output_tokens},
        {COLUMN_CACHE_READ, 8, (uint64_t)m->cache_read_tokens},
        {COLUMN_CACHE_CREATE, 8, (uint64_t)m->cache_create_tokens},
        {COLUMN_COST, 8, (uint64_t)m->cost_microcents},
        {COLUMN_COST_COMPUTED, 8, (uint64_t)m->cost_computed_microcents},
        {COLUMN_DURATION, 8, (uint64_t)m->duration_ms},
        {COLUMN_SUCCESS, 1, (uint64_t)(int64_t)m->success},
        {COLUMN_EVENT_FIELDS, 4, m->event_fields},
        {COLUMN_EVENT_KEYS, 4, m->event_metadata_keys},
        {COLUMN_BODY_TRUNCATED, 1, m->body_truncated},
    };
    const struct {
        enum line_column column;
        struct bytes text;
    } texts[] = {
        {COLUMN_SERVICE, m->service_name},  {COLUMN_MODEL, m->model},
        {COLUMN_PERSON, m->person},         {COLUMN_ACCOUNT_UUID, m->account_uuid},
        {COLUMN_ACCOUNT_ID, m->account_id}, {COLUMN_NAME, m->name},
        {COLUMN_SESSION, m->session_id},    {COLUMN_PROMPT, m->prompt_id},
        {COLUMN_TOOL, m->tool_name},        {COLUMN_REQUEST, m->request_id},
        {COLUMN_TOOL_USE, m->tool_use_id},  {COLUMN_BODY, m->body},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        put_number(b, &b->columns[numbers[i].column], numbers[i].value, numbers[i].len);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put_text(b, &b->columns[texts[i].column], texts[i].text);
    put_id(b, COLUMN_TRACE, m->trace_id, sizeof m->trace_id);
    put_id(b, COLUMN_SPAN, m->span_id, sizeof m->span_id);
    put_id(b, COLUMN_PARENT_SPAN, m->parent_span_id, sizeof m->parent_span_id);
    put_metadata(b, m->metadata);
}

void line_block_add(struct line_block *b, const struct line *line)
{
    static const struct message EMPTY = {0};
    struct buffer *columns = b->columns;
    put_number(b, &columns[COLUMN_KIND], (uint64_t)line->kind, 1);
    put_number(b, &columns[COLUMN_DAY], line->day, 4);
    put_raw(b, &columns[COLUMN_KEY], line->key, LINE_KEY_BYTES);
    put_number(b, &columns[COLUMN_ITEM], line->item, 8);
    put_number(b, &columns[COLUMN_VERSION], line->version, 8);
    put_number(b, &columns[COLUMN_DEAD], line->dead, 1);
    put_number(b, &columns[COLUMN_WRITTEN], b->written_day, 2);
    put_text(b, &columns[COLUMN_TEXT], line->text);
    put_real(b, &columns[COLUMN_VALUE], line->value);
    put_raw(b, &columns[COLUMN_REF], line->ref, LINE_KEY_BYTES);
    put_number(b, &columns[COLUMN_SYSTEM], (uint64_t)line->system, 8);
    put_number(b, &columns[COLUMN_TOKEN], (uint64_t)line->token, 8);
    put_number(b, &columns[COLUMN_EXPIRES], line->expires_ns, 8);
    put_message(b, line->message ? line->message : &EMPTY);
    b->rows++;
}

bool line_block_finish(const struct line_block *b, struct buffer *out, struct error *err)
{
    uint8_t number[10];
    bool ok = !b->failed && buffer_append(out, bytes_make(number, varint(COLUMN_COUNT, number))) &&
              buffer_append(out, bytes_make(number, varint(b->rows, number)));
    for (int i = 0; ok && i < COLUMN_COUNT; i++) {
        const char *const head[] = {COLUMNS[i].name, COLUMNS[i].type};
        for (int h = 0; ok && h < 2; h++)
            ok = buffer_append(out, bytes_make(number, varint(strlen(head[h]), number))) &&
                 buffer_append_text(out, head[h]);
        ok = ok && buffer_append(out, buffer_bytes(&b->columns[i])) &&
             buffer_append(out, buffer_bytes(&b->nested[i]));
    }
    return ok || error_set(err, FAIL_TOO_LARGE, "the rows are too large to be stored at once");
}

bool line_table_create_sql(unsigned version, struct buffer *sql)
{
    bool ok = buffer_append_text(sql, "CREATE TABLE IF NOT EXISTS " CLICKHOUSE_TABLE " (");
    for (int i = 0; ok && i < COLUMN_COUNT; i++)
        ok = buffer_append_format(sql, "%s%s %s", i ? ", " : "", COLUMNS[i].name, COLUMNS[i].type);
    /* One INSERT is of one month of writing, so it is one part, which is there whole or not at all.
     * Points are looked up in small granules. Older servers know no fsync of inserts. */
    return ok && buffer_append_format(
                     sql,
                     ") ENGINE=ReplacingMergeTree(version) PARTITION BY toYYYYMM(written)"
                     " ORDER BY (kind, day, key, item) SETTINGS index_granularity=1024%s",
                     version >= 21 ? ", fsync_after_insert=1, fsync_part_directory=1" : "");
}

/* ---- Reading ---- */

static const uint8_t *take(struct answer_reader *r, size_t len)
{
    if (r->failed || r->rest.len < len) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->rest.data;
    r->rest = bytes_make(at + len, r->rest.len - len);
    return at;
}

static uint64_t number_of(struct answer_reader *r, size_t len)
{
    const uint8_t *at = take(r, len);
    uint64_t number = 0;
    for (size_t i = 0; at && i < len; i++)
        number |= (uint64_t)at[i] << (8 * i);
    return number;
}

uint8_t answer_u8(struct answer_reader *r)
{
    return (uint8_t)number_of(r, 1);
}

uint32_t answer_u32(struct answer_reader *r)
{
    return (uint32_t)number_of(r, 4);
}

uint64_t answer_u64(struct answer_reader *r)
{
    return number_of(r, 8);
}

int64_t answer_i64(struct answer_reader *r)
{
    return (int64_t)number_of(r, 8);
}

double answer_f64(struct answer_reader *r)
{
    uint64_t bits = number_of(r, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t length(struct answer_reader *r)
{
    uint64_t len = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = answer_u8(r);
        len |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return len;
    }
    r->failed = true;
    return 0;
}

struct bytes answer_text(struct answer_reader *r)
{
    uint64_t len = length(r);
    const uint8_t *at = len <= r->rest.len ? take(r, (size_t)len) : take(r, SIZE_MAX);
    return bytes_make(at ? at : (const uint8_t *)"", at ? (size_t)len : 0);
}

void answer_fixed(struct answer_reader *r, uint8_t *out, size_t len)
{
    const uint8_t *at = take(r, len);
    if (at)
        memcpy(out, at, len);
    else
        memset(out, 0, len);
}

bool answer_ok(const struct answer_reader *r, struct error *err)
{
    if (!r->failed && r->rest.len == 0)
        return true;
    error_set(err, FAIL_CORRUPT, "what ClickHouse answers is not what was asked for");
    return error_remedy(err,
                        "see that --messages names a ClickHouse server and no proxy changes it");
}

/* In the order of line_row_read(). */
#define ROW_COLUMNS                                                                             \
    "key,version,system,token,expires_ns,time_ns,received_ns,type,sources,join_hash,join_weak," \
    "parent_join,service,model,person,person_rank,account_uuid,account_id,name,session,prompt," \
    "tool,input_tokens,output_tokens,cache_read_tokens,cache_create_tokens,cost,cost_computed," \
    "duration_ms,success,trace_id,span_id,parent_span_id,request_id,tool_use_id,event_fields,"  \
    "event_keys,body_truncated,meta_keys,meta_texts,meta_kinds,"

const char *line_row_columns(bool with_body)
{
    return with_body ? ROW_COLUMNS "body" : ROW_COLUMNS "''";
}

static void read_id(struct answer_reader *r, uint8_t *out, size_t len)
{
    struct bytes id = answer_text(r);
    if (id.len == len)
        memcpy(out, id.data, len);
}

static bool put_json(struct json_writer *w, struct answer_reader *keys, struct answer_reader *texts,
                     struct answer_reader *kinds)
{
    uint64_t count = length(keys);
    if (length(texts) != count || length(kinds) != count)
        return false;
    json_object_open(w);
    for (uint64_t i = 0; i < count && !keys->failed && !texts->failed && !kinds->failed; i++) {
        struct bytes text = answer_text(texts);
        json_put_key_bytes(w, answer_text(keys));
        switch (answer_u8(kinds)) {
        case META_STRING:
            json_put_bytes(w, text);
            break;
        case META_OTHER:
            json_put_raw(w, text);
            break;
        default:
            json_put_null(w);
            break;
        }
    }
    json_object_close(w);
    return json_writer_ok(w) && !keys->failed && !texts->failed && !kinds->failed;
}

/* Passes over an array of texts. */
static void skip_texts(struct answer_reader *r)
{
    for (uint64_t count = length(r); count > 0 && !r->failed; count--)
        answer_text(r);
}

static bool read_metadata(struct answer_reader *r, struct arena *arena, struct bytes *out)
{
    struct answer_reader keys = *r, texts, kinds;
    skip_texts(r);
    texts = *r;
    skip_texts(r);
    kinds = *r;
    uint64_t count = length(r);
    take(r, count <= r->rest.len ? (size_t)count : SIZE_MAX);
    struct buffer json = {.max_bytes = 64 * MIB};
    struct json_writer w = json_writer_make(&json);
    bool ok = !r->failed && put_json(&w, &keys, &texts, &kinds) &&
              arena_copy(arena, buffer_bytes(&json), out);
    buffer_clear(&json);
    return ok;
}

static void read_facts(struct answer_reader *r, struct line_row *row, struct message *m)
{
    answer_fixed(r, m->key, sizeof m->key);
    row->version = answer_u64(r);
    row->system = answer_i64(r);
    row->token = answer_i64(r);
    row->expires_ns = answer_u64(r);
    m->time_ns = answer_u64(r);
    m->received_ns = answer_u64(r);
    unsigned type = answer_u8(r);
    m->type = type < MESSAGE_TYPE_COUNT ? (enum message_type)type : MESSAGE_LOG;
    m->sources = answer_u8(r);
    m->join_hash = answer_u64(r);
    m->join_weak = answer_u8(r) != 0;
    m->parent_join_hash = answer_u64(r);
    m->service_name = answer_text(r);
    m->model = answer_text(r);
    m->person = answer_text(r);
    unsigned rank = answer_u8(r);
    m->person_rank = rank <= PERSON_BY_STAMP ? (enum message_person_rank)rank : PERSON_UNKNOWN;
}

bool line_row_read(struct answer_reader *r, struct arena *arena, struct line_row *row)
{
    *row = (struct line_row){0};
    struct message *m = &row->stored.message;
    read_facts(r, row, m);
    struct bytes *const names[] = {&m->account_uuid, &m->account_id, &m->name,
                                   &m->session_id,   &m->prompt_id,  &m->tool_name};
    int64_t *const counts[] = {&m->input_tokens,      &m->output_tokens,
                               &m->cache_read_tokens, &m->cache_create_tokens,
                               &m->cost_microcents,   &m->cost_computed_microcents,
                               &m->duration_ms};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        *names[i] = answer_text(r);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        *counts[i] = answer_i64(r);
    uint8_t success = answer_u8(r);
    m->success = success == 0xff ? MESSAGE_SUCCESS_UNKNOWN
                 : success       ? MESSAGE_SUCCEEDED
                                 : MESSAGE_FAILED;
    read_id(r, m->trace_id, sizeof m->trace_id);
    read_id(r, m->span_id, sizeof m->span_id);
    read_id(r, m->parent_span_id, sizeof m->parent_span_id);
    m->request_id = answer_text(r);
    m->tool_use_id = answer_text(r);
    m->event_fields = answer_u32(r);
    m->event_metadata_keys = answer_u32(r);
    m->body_truncated = answer_u8(r) != 0;
    if (!read_metadata(r, arena, &m->metadata))
        return false;
    m->body = answer_text(r);
    message_id_of_key(m->key, row->stored.id);
    return !r->failed;
}
