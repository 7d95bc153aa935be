/* Computed costs agree with what the real Claude Code reported for the same requests. */
#include "server/message/prices.h"

#include <stdlib.h>
#include <string.h>

#include "tests/server/captures.h"
#include "tests/support/expect.h"

#define DAY_NS (UINT64_C(86400) * 1000000000)

static struct prices *prices;
static struct error err;

static void set_up(void)
{
    prices = prices_create_builtin();
}

static void tear_down(void)
{
    prices_destroy(prices);
}

/* 2026-11-20 */
static struct message of(const char *model, int64_t input, int64_t output, int64_t read,
                         int64_t write)
{
    return (struct message){.type = MESSAGE_GENERATION,
                            .model = bytes_of(model),
                            .time_ns = UINT64_C(20777) * DAY_NS,
                            .input_tokens = input,
                            .output_tokens = output,
                            .cache_read_tokens = read,
                            .cache_create_tokens = write};
}

static int64_t cost(const char *model)
{
    struct message m = of(model, 1000000, 0, 0, 0);
    return prices_cost(prices, &m);
}

struct tally {
    unsigned priced, reported, differing;
};

static void compare(const struct captured *rows, struct tally *t)
{
    for (size_t i = 0; i < rows->message_count; i++) {
        const struct message *m = &rows->messages[i];
        if (m->type != MESSAGE_GENERATION || m->cost_microcents == MESSAGE_ABSENT)
            continue;
        t->reported++;
        t->priced += m->cost_computed_microcents != MESSAGE_ABSENT;
        if (m->cost_computed_microcents != MESSAGE_ABSENT &&
            m->cost_computed_microcents != m->cost_microcents)
            t->differing++;
    }
}

START_TEST(every_recorded_request_costs_what_was_reported)
{
    const struct message_context context = {.system_id = 1,
                                            .received_ns = UINT64_C(20777) * DAY_NS,
                                            .max_body_bytes = SIZE_MAX,
                                            .prices = prices};
    struct tally t = {0};
    cJSON *expected = captures_expected(), *file;
    cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(expected, "files"))
    {
        if (captures_signal(file) != OTLP_LOGS)
            continue;
        struct buffer request = {.max_bytes = 64 * MIB};
        struct captured rows;
        captures_load(file->string, &request);
        captured_map(OTLP_LOGS, buffer_bytes(&request), &context, &rows);
        compare(&rows, &t);
        captured_clear(&rows);
        buffer_clear(&request);
    }
    cJSON_Delete(expected);
    ck_assert_uint_eq(t.differing, 0);
    ck_assert_uint_gt(t.reported, 50);
    ck_assert_uint_eq(t.priced, t.reported);
}
END_TEST

START_TEST(a_model_is_known_by_any_of_its_names_and_no_other_model_is)
{
    ck_assert_int_eq(cost("claude-opus-4-1"), 15000000);
    ck_assert_int_eq(cost("claude-opus-4-1-20250805"), 15000000);
    ck_assert_int_eq(cost("us.anthropic.claude-opus-4-1-20250805-v1:0"), 15000000);
    ck_assert_int_eq(cost("anthropic/claude-opus-5-5"), 4000000);
    ck_assert_int_eq(cost("claude-opus-4-8@20260101"), 5000000);
    ck_assert_int_eq(cost("claude-sonnet-4-6[1m]"), 3000000);
    ck_assert_int_eq(cost("claude-opus-4-9"), MESSAGE_ABSENT);
    ck_assert_int_eq(cost("claude-opus-4-10"), MESSAGE_ABSENT);
    ck_assert_int_eq(cost("claude-opus-55"), MESSAGE_ABSENT);
    ck_assert_int_eq(cost("my-claude-opus-5-5"), MESSAGE_ABSENT);
    ck_assert_int_eq(cost("gpt-5"), MESSAGE_ABSENT);
    ck_assert_int_eq(cost(""), MESSAGE_ABSENT);
}
END_TEST

START_TEST(absent_counts_cost_nothing_and_nothing_known_has_no_cost)
{
    struct message m = of("claude-sonnet-4-6", 25, 7, 4000, 10);
    ck_assert_int_eq(prices_cost(prices, &m), 1418); /* 1417.5, half up */
    m = of("claude-sonnet-4-6", MESSAGE_ABSENT, 10, MESSAGE_ABSENT, MESSAGE_ABSENT);
    ck_assert_int_eq(prices_cost(prices, &m), 150);
    m.output_tokens = MESSAGE_ABSENT;
    ck_assert_int_eq(prices_cost(prices, &m), MESSAGE_ABSENT);
    m.output_tokens = INT64_MAX;
    ck_assert_int_eq(prices_cost(prices, &m), MESSAGE_ABSENT);
}
END_TEST

START_TEST(the_newest_price_of_the_day_counts)
{
    static const char csv[] = "# a comment\r\n"
                              "claude-x-1,2026-03-01,2,0,0,0,0,list\r\n"
                              "claude-x-1,2025-01-01,1,0,0,0,0,list\n";
    struct prices *dated = prices_create(bytes_of(csv), &err);
    ck_assert_ptr_nonnull(dated);
    struct message m = of("claude-x-1", 10, 0, 0, 0);
    m.time_ns = UINT64_C(20513) * DAY_NS; /* 2026-03-01 */
    ck_assert_int_eq(prices_cost(dated, &m), 20);
    m.time_ns--;
    ck_assert_int_eq(prices_cost(dated, &m), 10);
    m.time_ns = UINT64_C(20089) * DAY_NS; /* 2025-01-01 */
    ck_assert_int_eq(prices_cost(dated, &m), 10);
    m.time_ns--;
    ck_assert_int_eq(prices_cost(dated, &m), MESSAGE_ABSENT);
    prices_destroy(dated);
}
END_TEST

START_TEST(a_wrong_line_is_named)
{
    static const char *const wrong[] = {
        "m,2026-01-01,1,2,3,4,5",           "m,2026-1-01,1,2,3,4,5,list",
        "m,2026-01-01,1,2,3,4,list",        ",2026-01-01,1,2,3,4,5,list",
        "m,2026-01-01,-1,2,3,4,5,list",     "m,2026-01-01,1.,2,3,4,5,list",
        "m,2026-01-01,1.2345,2,3,4,5,list", "m,2026-01-01,1001,2,3,4,5,list",
        "m,2026-01-01,,2,3,4,5,list"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buffer csv = {.max_bytes = KIB};
        ck_assert(
            buffer_append_format(&csv, "# head\nm,2026-01-01,1,2,3,4,5,list\n%s\n", wrong[i]));
        ck_assert_msg(!prices_create(buffer_bytes(&csv), &err), "%s", wrong[i]);
        ck_assert_int_eq(err.kind, FAIL_INVALID);
        ck_assert_ptr_nonnull(strstr(err.cause, "line 3"));
        buffer_clear(&csv);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prices");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, every_recorded_request_costs_what_was_reported);
    tcase_add_test(tests, a_model_is_known_by_any_of_its_names_and_no_other_model_is);
    tcase_add_test(tests, absent_counts_cost_nothing_and_nothing_known_has_no_cost);
    tcase_add_test(tests, the_newest_price_of_the_day_counts);
    tcase_add_test(tests, a_wrong_line_is_named);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
