/* What the real Claude Code sent becomes exactly the rows and sums it stands for. */
#include <stdio.h>
#include <string.h>

#include "tests/server/captures.h"
#include "tests/server/captures_contract.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static cJSON *expected;
static char *dir;
static struct message_store *store;
static const struct store_under_test *under_test; /* Check fixtures take no argument */

static const struct message_context context = {.system_id = 1,
                                               .received_ns = UINT64_C(1795216600000000000),
                                               .max_body_bytes = SIZE_MAX};

static void open_store(void)
{
    char url[512];
    dir = temp_dir_make();
    under_test->url(dir, url, sizeof url);
    store = message_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
}

static void close_store(void)
{
    store->kind->close(store);
    temp_dir_remove(dir);
}

struct sums {
    int64_t count, input, output, cache_read, cache_create, cost;
};

static bool take_sums(void *into, const struct aggregate_row *row)
{
    struct sums *s = into;
    *s = (struct sums){row->integers[0], row->integers[1], row->integers[2],
                       row->integers[3], row->integers[4], row->integers[5]};
    return true;
}

/* From the daily sums, or, with a filter that they cannot answer, from the rows. */
static struct sums generation_sums(bool from_rows)
{
    struct bytes type = bytes_of("ai.generation"), service = bytes_of("claude-code");
    const struct message_filter filters[] = {
        {.field = FIELD_TYPE, .values = &type, .value_count = 1},
        {.field = FIELD_SERVICE_NAME, .values = &service, .value_count = 1}};
    const struct aggregate_metric metrics[] = {
        {.function = AGGREGATE_COUNT},
        {.function = AGGREGATE_SUM, .field = FIELD_INPUT_TOKENS},
        {.function = AGGREGATE_SUM, .field = FIELD_OUTPUT_TOKENS},
        {.function = AGGREGATE_SUM, .field = FIELD_CACHE_READ_TOKENS},
        {.function = AGGREGATE_SUM, .field = FIELD_CACHE_CREATE_TOKENS},
        {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS}};
    struct aggregate_query query = {.where = {.filters = filters,
                                              .filter_count = from_rows ? 2 : 1},
                                    .metrics = metrics,
                                    .metric_count = 6};
    struct sums sums;
    memset(&sums, 0xff, sizeof sums);
    expect_ok(store->kind->aggregate(store, &query, take_sums, &sums, &err));
    return sums;
}

static int64_t number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : 0;
}

static const char *text(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static void add_expected(struct sums *s, const cJSON *of)
{
    s->count += number(of, "count");
    s->input += number(of, "input_tokens");
    s->output += number(of, "output_tokens");
    s->cache_read += number(of, "cache_read_tokens");
    s->cache_create += number(of, "cache_creation_tokens");
    s->cost += number(of, "cost_micro_usd");
}

static void expect_sums(const char *what, struct sums want)
{
    for (int from_rows = 0; from_rows < 2; from_rows++) {
        struct sums have = generation_sums(from_rows);
        ck_assert_msg(memcmp(&have, &want, sizeof have) == 0,
                      "%s: %lld requests, %lld/%lld/%lld/%lld tokens, cost %lld; expected %lld, "
                      "%lld/%lld/%lld/%lld, %lld",
                      what, (long long)have.count, (long long)have.input, (long long)have.output,
                      (long long)have.cache_read, (long long)have.cache_create,
                      (long long)have.cost, (long long)want.count, (long long)want.input,
                      (long long)want.output, (long long)want.cache_read,
                      (long long)want.cache_create, (long long)want.cost);
    }
}

static struct put_result put_capture(const cJSON *file)
{
    struct buffer request = {0};
    struct captured captured;
    captures_load(file->string, &request);
    captured_map(captures_signal(file), buffer_bytes(&request), &context, &captured);
    struct put_result result = captured_put(store, &captured);
    captured_clear(&captured);
    buffer_clear(&request);
    return result;
}

START_TEST(each_capture_gives_exactly_its_requests_tokens_and_cost)
{
    const cJSON *file;
    cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(expected, "files"))
    {
        open_store();
        struct put_result result = put_capture(file);
        int64_t records =
            number(file, "records") + number(file, "spans") + number(file, "data_points");
        ck_assert_msg(result.inserted + result.merged == records && result.repeated == 0,
                      "%s: %u rows, %u joined, %u repeated of %lld records", file->string,
                      result.inserted, result.merged, result.repeated, (long long)records);
        struct sums want = {0};
        add_expected(&want, cJSON_GetObjectItemCaseSensitive(file, "api_request"));
        add_expected(&want, cJSON_GetObjectItemCaseSensitive(file, "llm_request"));
        expect_sums(file->string, want);

        result = put_capture(file);
        ck_assert_msg(result.inserted == 0 && result.merged == 0, "%s: a retry added rows",
                      file->string);
        expect_sums(file->string, want);
        close_store();
    }
}
END_TEST

static bool is_event(const char *name)
{
    return name && strcmp(name, "api_request") == 0;
}

/* Whether some capture has the api_request event of this llm_request span. */
static bool has_event(const char *file, const cJSON *span)
{
    const char *id = text(span, "attr_request_id");
    const cJSON *other, *row;
    cJSON_ArrayForEach(other, cJSON_GetObjectItemCaseSensitive(expected, "files"))
    {
        cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(other, "rows"))
        {
            const char *have = text(row, "request_id");
            if (is_event(text(row, "event")) && id && have && strcmp(id, have) == 0)
                return true;
        }
    }
    /* Version 2.1.100 sent neither end's id; its two spans belong to its two events. */
    return !id && strncmp(file, "s33-", 4) == 0;
}

/* Events and spans of all captures, each request once. */
static struct sums union_of_all(void)
{
    struct sums sums = {0};
    const cJSON *file, *row;
    cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(expected, "files"))
    {
        add_expected(&sums, cJSON_GetObjectItemCaseSensitive(file, "api_request"));
        cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(file, "rows"))
        {
            const char *name = text(row, "name");
            if (!name || strcmp(name, "claude_code.llm_request") != 0 ||
                has_event(file->string, row))
                continue;
            sums.count++;
            sums.input += number(row, "attr_input_tokens");
            sums.output += number(row, "attr_output_tokens");
            sums.cache_read += number(row, "attr_cache_read_tokens");
            sums.cache_create += number(row, "attr_cache_creation_tokens");
        }
    }
    return sums;
}

static bool dump_row(void *into, const struct stored_message *row)
{
    const struct message *m = &row->message;
    ck_assert(buffer_append_format(
        into, "%s %s %d %u %llu %lld %lld %lld %lld %lld %lld %d %.*s|%.*s|%.*s|%.*s|%.*s|%.*s\n",
        row->id, row->parent_id, (int)m->type, m->sources, (unsigned long long)m->time_ns,
        (long long)m->input_tokens, (long long)m->output_tokens, (long long)m->cache_read_tokens,
        (long long)m->cost_microcents, (long long)m->duration_ms, (long long)m->join_hash,
        (int)m->success, (int)m->model.len, (const char *)m->model.data, (int)m->person.len,
        (const char *)m->person.data, (int)m->session_id.len, (const char *)m->session_id.data,
        (int)m->tool_name.len, (const char *)m->tool_name.data, (int)m->body.len,
        (const char *)m->body.data, (int)m->metadata.len, (const char *)m->metadata.data));
    return true;
}

static void dump_all(struct buffer *out)
{
    const struct message_query all = {0};
    const struct message_page page = {.take = 100000, .with_body = true};
    out->max_bytes = 64 * MIB;
    expect_ok(store->kind->find(store, &all, &page, dump_row, out, &err));
}

static bool count_row(void *context_, const struct stored_message *row)
{
    (void)row;
    ++*(int *)context_;
    return true;
}

static int rows_of(const char *type)
{
    struct bytes value = bytes_of(type);
    const struct message_filter filter = {.field = FIELD_TYPE, .values = &value, .value_count = 1};
    const struct message_query query = {.filters = &filter, .filter_count = 1};
    const struct message_page page = {.take = 100000};
    int count = 0;
    expect_ok(store->kind->find(store, &query, &page, count_row, &count, &err));
    return count;
}

START_TEST(all_captures_in_any_order_give_each_request_once)
{
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(expected, "files");
    int count = cJSON_GetArraySize(files);
    struct buffer first = {0};
    for (unsigned seed = 0; seed < 4; seed++) {
        int order[256];
        uint32_t random = seed * 2654435761u + 1;
        for (int i = 0; i < count; i++) {
            random = random * 1664525u + 1013904223u;
            int j = seed ? (int)((random >> 8) % (unsigned)(i + 1)) : i;
            order[i] = order[j];
            order[j] = i;
        }
        open_store();
        for (int i = 0; i < count; i++)
            put_capture(cJSON_GetArrayItem(files, order[i]));
        expect_sums("all captures", union_of_all());
        ck_assert_int_gt(rows_of("ai.tool"), 0);

        struct buffer dump = {0};
        dump_all(&dump);
        if (seed == 0)
            first = dump;
        else
            ck_assert_msg(bytes_equal(buffer_bytes(&first), buffer_bytes(&dump)),
                          "seed %u: another order of arrival gives other rows", seed);
        if (seed)
            buffer_clear(&dump);
        close_store();
    }
    buffer_clear(&first);
}
END_TEST

/* Tools by id: each tool use once, child of the request that asked for it. */
static bool check_tool(void *context_, const struct stored_message *row)
{
    int *seen = context_;
    ck_assert_msg(row->parent_id[0] != 0, "the tool use %.*s has no parent",
                  (int)row->message.tool_use_id.len, (const char *)row->message.tool_use_id.data);
    ck_assert_uint_eq(row->message.sources, MESSAGE_FROM_EVENT | MESSAGE_FROM_SPAN);
    ck_assert_int_eq(row->message.success, MESSAGE_SUCCEEDED);
    ++*seen;
    return true;
}

START_TEST(a_tool_use_is_one_row_below_its_request)
{
    static const char *const SESSIONS[][2] = {
        {"s01-basic-0000-traces.bin", "s01-basic-0001-logs.bin"},
        {"s03-json-0000-traces.json", "s03-json-0001-logs.json"},
        {"s33-v2.1.100-0001-traces.bin", "s33-v2.1.100-0000-logs.bin"},
    };
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(expected, "files");
    struct bytes tool = bytes_of("ai.tool");
    const struct message_filter filter = {.field = FIELD_TYPE, .values = &tool, .value_count = 1};
    const struct message_query query = {.filters = &filter, .filter_count = 1};
    const struct message_page page = {.take = 100};
    for (size_t i = 0; i < sizeof SESSIONS / sizeof *SESSIONS; i++) {
        int seen = 0;
        open_store();
        put_capture(cJSON_GetObjectItemCaseSensitive(files, SESSIONS[i][0]));
        put_capture(cJSON_GetObjectItemCaseSensitive(files, SESSIONS[i][1]));
        expect_ok(store->kind->find(store, &query, &page, check_tool, &seen, &err));
        ck_assert_int_eq(seen, 1);
        close_store();
    }
}
END_TEST

static bool add_usage(void *into, const struct usage_row *row)
{
    struct sums *s = into;
    if (row->origin != USAGE_FROM_METRICS)
        return true;
    s->input += row->input_tokens;
    s->output += row->output_tokens;
    s->cache_read += row->cache_read_tokens;
    s->cache_create += row->cache_create_tokens;
    s->cost += row->cost_microcents;
    s->count += row->sessions;
    return true;
}

START_TEST(metric_points_become_daily_usage_once)
{
    const cJSON *file, *files = cJSON_GetObjectItemCaseSensitive(expected, "files");
    for (int again = 0; again < 2; again++) {
        cJSON_ArrayForEach(file, files)
        {
            if (captures_signal(file) != OTLP_METRICS)
                continue;
            open_store();
            for (int i = 0; i <= again; i++)
                put_capture(file);
            struct sums have = {0};
            expect_ok(
                store->kind->usage(store, "2026-11-20", "2026-11-21", add_usage, &have, &err));
            const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(file, "metrics");
            const cJSON *tokens =
                cJSON_GetObjectItemCaseSensitive(metrics, "claude_code.token.usage");
            const cJSON *cost = cJSON_GetObjectItemCaseSensitive(metrics, "claude_code.cost.usage");
            const cJSON *sessions =
                cJSON_GetObjectItemCaseSensitive(metrics, "claude_code.session.count");
            ck_assert_int_eq(have.input + have.output + have.cache_read + have.cache_create,
                             number(tokens, "sum"));
            double usd = cost ? cJSON_GetObjectItemCaseSensitive(cost, "sum")->valuedouble : 0;
            int64_t micros = message_microcents_of_usd(usd);
            ck_assert_msg(have.cost >= micros - 1 && have.cost <= micros + 1, "%s: cost %lld",
                          file->string, (long long)have.cost);
            ck_assert_int_eq(have.count, number(sessions, "sum"));
            close_store();
        }
    }
}
END_TEST

static void set_up(void)
{
    expected = captures_expected();
}

static void tear_down(void)
{
    cJSON_Delete(expected);
}

Suite *captures_contract(const struct store_under_test *kind)
{
    under_test = kind;
    Suite *suite = suite_create("captures");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, each_capture_gives_exactly_its_requests_tokens_and_cost);
    tcase_add_test(tests, all_captures_in_any_order_give_each_request_once);
    tcase_add_test(tests, a_tool_use_is_one_row_below_its_request);
    tcase_add_test(tests, metric_points_become_daily_usage_once);
    suite_add_tcase(suite, tests);
    return suite;
}
