#include "server/store/sqlite_functions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json/reader.h"
#include "server/store/messages.h"

/* Values of one group; more is refused, the group being a user's to narrow. */
enum { GROUP_VALUES_MAX = 4 * 1024 * 1024 };

static struct bytes argument(sqlite3_value *value)
{
    const void *data = sqlite3_value_blob(value);
    return bytes_make(data, data ? (size_t)sqlite3_value_bytes(value) : 0);
}

static void result_text(sqlite3_context *context, struct bytes text)
{
    sqlite3_result_text64(context, text.len ? (const char *)text.data : "", text.len,
                          SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* ---- Metadata ---- */

static bool key_is(struct bytes span, struct bytes key)
{
    if (!memchr(span.data, '\\', span.len))
        return bytes_equal(span, key);
    struct buffer decoded = {.max_bytes = span.len * 3 + 1};
    bool same = json_string_decode(span, &decoded) && bytes_equal(buffer_bytes(&decoded), key);
    buffer_clear(&decoded);
    return same;
}

static void put_string(sqlite3_context *context, struct bytes span)
{
    if (span.len == 0 || !memchr(span.data, '\\', span.len)) {
        result_text(context, span);
        return;
    }
    struct buffer decoded = {.max_bytes = span.len * 3 + 1};
    if (json_string_decode(span, &decoded))
        result_text(context, buffer_bytes(&decoded));
    buffer_clear(&decoded);
}

/* The value of a key as text: strings bare, the rest as in JSON; NULL when absent or null. */
static void meta(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct bytes json = argument(values[0]), key = argument(values[1]);
    struct json_reader r = json_reader_make(json);
    (void)count;
    if (json_next(&r) != JSON_OBJECT_OPEN)
        return;
    while (json_next(&r) == JSON_KEY) {
        if (!key_is(r.span, key)) {
            if (!json_skip_value(&r))
                return;
            continue;
        }
        enum json_token token = json_next(&r);
        if (token == JSON_STRING) {
            put_string(context, r.span);
        } else if (token == JSON_OBJECT_OPEN || token == JSON_ARRAY_OPEN) {
            size_t start = r.token_offset;
            unsigned outside = r.depth - 1;
            while (token != JSON_ERROR && token != JSON_END && r.depth > outside)
                token = json_next(&r);
            if (token != JSON_ERROR)
                result_text(context, bytes_make(json.data + start, r.at - start));
        } else if (token == JSON_TRUE || token == JSON_FALSE) {
            result_text(context, bytes_of(token == JSON_TRUE ? "true" : "false"));
        } else if (token == JSON_NUMBER) {
            result_text(context, r.span);
        }
        return;
    }
}

/* A number in text, NULL when it is none: metadata may say 120, 120.0 or "120". */
static void number(sqlite3_context *context, int count, sqlite3_value **values)
{
    int64_t integer;
    double real;
    (void)count;
    if (sqlite3_value_type(values[0]) == SQLITE_NULL)
        return;
    struct bytes text = argument(values[0]);
    if (json_int64(text, &integer))
        sqlite3_result_int64(context, integer);
    else if (json_double(text, &real) && isfinite(real))
        sqlite3_result_double(context, real);
}

static void type_name(sqlite3_context *context, int count, sqlite3_value **values)
{
    int type = sqlite3_value_int(values[0]);
    (void)count;
    if (type >= 0 && type < MESSAGE_TYPE_COUNT)
        sqlite3_result_text(context, message_type_name((enum message_type)type), -1, SQLITE_STATIC);
}

static void id_text(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct bytes key = argument(values[0]);
    char id[MESSAGE_ID_BYTES];
    (void)count;
    if (key.len != MESSAGE_KEY_BYTES)
        return;
    message_id_of_key(key.data, id);
    sqlite3_result_text(context, id, -1, SQLITE_TRANSIENT);
}

/* ---- Time ---- */

static void bucket(sqlite3_context *context, int count, sqlite3_value **values)
{
    const struct bucket_rule *rule = sqlite3_user_data(context);
    int64_t seconds = sqlite3_value_int64(values[0]) / (int64_t)1000000000;
    (void)count;
    sqlite3_result_int64(context, zone_interval_start(rule->zone, rule->interval, seconds));
}

bool sqlite_functions_set_bucket(sqlite3 *db, const struct bucket_rule *rule, struct error *err)
{
    return sqlite3_create_function_v2(db, "ct_bucket", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                      (void *)(uintptr_t)rule, bucket, NULL, NULL,
                                      NULL) == SQLITE_OK ||
           sqlite_fail(db, "cannot set the interval", err);
}

/* ---- Percentiles, interpolated between neighbours like percentile_cont ---- */

struct percentile {
    double *values;
    size_t count, capacity;
    double fraction;
    bool failed;
};

static void percentile_step(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct percentile *p = sqlite3_aggregate_context(context, sizeof *p);
    (void)count;
    if (!p || p->failed || sqlite3_value_type(values[0]) == SQLITE_NULL)
        return;
    p->fraction = sqlite3_value_double(values[1]);
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 64;
        double *grown =
            capacity <= GROUP_VALUES_MAX ? realloc(p->values, capacity * sizeof *grown) : NULL;
        if (!grown) {
            p->failed = true;
            return;
        }
        p->values = grown;
        p->capacity = capacity;
    }
    p->values[p->count++] = sqlite3_value_double(values[0]);
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void percentile_final(sqlite3_context *context)
{
    struct percentile *p = sqlite3_aggregate_context(context, 0);
    if (!p)
        return;
    if (p->failed) {
        sqlite3_result_error_toobig(context);
    } else if (p->count) {
        qsort(p->values, p->count, sizeof *p->values, by_value);
        double at = p->fraction * (double)(p->count - 1);
        size_t below = (size_t)at;
        double low = p->values[below];
        double high = p->values[below + 1 < p->count ? below + 1 : below];
        sqlite3_result_double(context, low + (high - low) * (at - (double)below));
    }
    free(p->values);
}

/* ---- Distinct numbers: what count(DISTINCT ...) says, from a hash table instead of a tree ---- */

struct uniq {
    int64_t *slots;         /* 0: free */
    size_t count, capacity; /* capacity a power of two */
    bool has_zero, failed;
};

static size_t uniq_place(const struct uniq *u, int64_t number)
{
    uint64_t hash = (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(hash >> 32) & (u->capacity - 1);
    while (u->slots[at] != 0 && u->slots[at] != number)
        at = (at + 1) & (u->capacity - 1);
    return at;
}

static bool uniq_grow(struct uniq *u)
{
    struct uniq bigger = {.capacity = u->capacity ? 2 * u->capacity : 64};
    if (bigger.capacity <= 2 * (size_t)GROUP_VALUES_MAX)
        bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < u->capacity; i++)
        if (u->slots[i] != 0)
            bigger.slots[uniq_place(&bigger, u->slots[i])] = u->slots[i];
    free(u->slots);
    u->slots = bigger.slots;
    u->capacity = bigger.capacity;
    return true;
}

static void uniq_step(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct uniq *u = sqlite3_aggregate_context(context, sizeof *u);
    (void)count;
    if (!u || u->failed || sqlite3_value_type(values[0]) == SQLITE_NULL)
        return;
    int64_t number = sqlite3_value_int64(values[0]);
    if (number == 0) {
        u->has_zero = true;
        return;
    }
    if (2 * u->count >= u->capacity && !uniq_grow(u)) {
        u->failed = true;
        return;
    }
    size_t at = uniq_place(u, number);
    u->count += u->slots[at] == 0;
    u->slots[at] = number;
}

static void uniq_final(sqlite3_context *context)
{
    const struct uniq *u = sqlite3_aggregate_context(context, 0);
    if (u && u->failed)
        sqlite3_result_error_toobig(context);
    else
        sqlite3_result_int64(context, u ? (int64_t)u->count + u->has_zero : 0);
    if (u)
        free(u->slots);
}

bool sqlite_functions_add(sqlite3 *db, struct error *err)
{
    const int how = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    if (sqlite3_create_function(db, "ct_meta", 2, how, NULL, meta, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(db, "ct_number", 1, how, NULL, number, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(db, "ct_type", 1, how, NULL, type_name, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(db, "ct_id", 1, how, NULL, id_text, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(db, "ct_percentile", 2, how, NULL, NULL, percentile_step,
                                percentile_final) != SQLITE_OK ||
        sqlite3_create_function(db, "ct_uniq", 1, how, NULL, NULL, uniq_step, uniq_final) !=
            SQLITE_OK)
        return sqlite_fail(db, "cannot add functions", err);
    return true;
}
