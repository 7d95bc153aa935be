#include "server/importers/page.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/expect.h"

static struct error err;

struct seen {
    struct api_usage rows[16];
    size_t count;
};

static bool keep(void *context, const struct api_usage *row)
{
    struct seen *seen = context;
    ck_assert_uint_lt(seen->count, 16);
    seen->rows[seen->count++] = *row;
    return true;
}

static const char admin_page[] =
    "{\"data\":[{\"model_breakdown\":["
    "{\"model\":\"claude-opus-5-5\",\"tokens\":{\"input\":100,\"output\":35,\"cache_read\":10,"
    "\"cache_creation\":5},\"estimated_cost\":{\"currency\":\"USD\",\"amount\":1025}},"
    "{\"model\":\"claude-haiku-4-5\",\"tokens\":{\"input\":7,\"output\":1,\"cache_read\":0,"
    "\"cache_creation\":0},\"estimated_cost\":{\"currency\":\"USD\",\"amount\":0.125}}],"
    "\"date\":\"2026-11-20T00:00:00Z\","
    "\"actor\":{\"type\":\"user_actor\",\"email_address\":\"Alice@Example.com\"},"
    "\"organization_id\":\"dc9f6c26\",\"customer_type\":\"api\",\"terminal_type\":\"vscode\","
    "\"is_remote\":false,\"new_field\":{\"deep\":[1,{\"x\":null}]},"
    "\"core_metrics\":{\"num_sessions\":5,\"lines_of_code\":{\"added\":1543,\"removed\":892},"
    "\"commits_by_claude_code\":12,\"pull_requests_by_claude_code\":2},"
    "\"tool_actions\":{\"edit_tool\":{\"accepted\":45,\"rejected\":5},"
    "\"some_new_tool\":{\"accepted\":2,\"rejected\":1}}},"
    "{\"date\":\"2026-11-20T00:00:00Z\",\"actor\":{\"type\":\"api_actor\",\"api_key_name\":\"ci\"},"
    "\"core_metrics\":{\"num_sessions\":1},\"model_breakdown\":[]}],"
    "\"has_more\":true,\"next_page\":\"page_MjAyNQ==\"}";

START_TEST(an_admin_row_gives_its_activity_once_and_a_row_per_model)
{
    struct seen seen = {.count = 0};
    struct api_page page;
    expect_ok(api_page_read(API_ADMIN_CLAUDE_CODE, "2026-11-20", bytes_of(admin_page), keep, &seen,
                            &page, &err));
    ck_assert_uint_eq(seen.count, 4);
    ck_assert_str_eq(page.next_page, "page_MjAyNQ==");
    ck_assert_str_eq(page.drift, "");

    const struct api_usage *opus = &seen.rows[0], *haiku = &seen.rows[1], *alice = &seen.rows[2];
    ck_assert_str_eq(opus->model, "claude-opus-5-5");
    ck_assert_str_eq(opus->email, "alice@example.com");
    ck_assert_str_eq(opus->day, "2026-11-20");
    ck_assert_int_eq(opus->input_tokens, 100);
    ck_assert_int_eq(opus->cache_create_tokens, 5);
    ck_assert_int_eq(opus->cost_1e8_usd, INT64_C(1025000000)); /* 10.25 USD */
    ck_assert_int_eq(opus->sessions, 0);
    ck_assert_int_eq(haiku->cost_1e8_usd, 125000); /* 0.00125 USD */
    ck_assert_int_eq(alice->sessions, 5);
    ck_assert_int_eq(alice->edits_accepted, 47);
    ck_assert_int_eq(alice->edits_rejected, 6);
    ck_assert_int_eq(alice->lines_removed, 892);
    ck_assert_int_eq(alice->input_tokens, 0);
    ck_assert_str_eq(seen.rows[3].api_key_name, "ci");
}
END_TEST

START_TEST(users_have_activity_and_an_account_id)
{
    struct seen seen = {.count = 0};
    struct api_page page;
    expect_ok(api_page_read(
        API_ENTERPRISE_USERS, "2026-10-02",
        bytes_of("{\"data\":[{\"user\":{\"id\":\"user_01\",\"email_address\":\"b@x.io\"},"
                 "\"claude_code_metrics\":{\"core_metrics\":{\"commit_count\":1,\"pull_request_"
                 "count\":2,"
                 "\"distinct_session_count\":null,\"lines_of_code\":{\"added_count\":3,"
                 "\"removed_count\":4}},\"tool_actions\":{\"write_tool\":{\"accepted_count\":5,"
                 "\"rejected_count\":6}}},\"chat_metrics\":{\"message_count\":9}},"
                 "{\"user\":null,\"rbac_group_id\":\"g\"}],\"next_page\":null}"),
        keep, &seen, &page, &err));
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_uint_eq(page.skipped, 1);
    ck_assert_str_eq(page.next_page, "");
    ck_assert_str_eq(seen.rows[0].account_id, "user_01");
    ck_assert_str_eq(seen.rows[0].day, "2026-10-02"); /* told by nobody but the question */
    ck_assert_int_eq(seen.rows[0].sessions, 0);
    ck_assert_int_eq(seen.rows[0].edits_rejected, 6);
}
END_TEST

START_TEST(usage_and_cost_are_of_claude_code_only)
{
    struct seen seen = {.count = 0};
    struct api_page page;
    expect_ok(api_page_read(
        API_ENTERPRISE_USAGE, "2026-10-02",
        bytes_of(
            "{\"data\":[{\"actor\":{\"type\":\"user_actor\",\"user_id\":\"user_1\",\"email\":null,"
            "\"deleted\":true},\"product\":\"claude_code\",\"model\":\"claude-opus-5-5\","
            "\"uncached_input_tokens\":1,\"cache_read_input_tokens\":2,\"cache_creation\":"
            "{\"ephemeral_1h_input_tokens\":3,\"ephemeral_5m_input_tokens\":4},"
            "\"output_tokens\":5,\"total_tokens\":15,\"requests\":6,"
            "\"starting_at\":\"2026-10-01T00:00:00Z\"},"
            "{\"actor\":{\"user_id\":\"user_1\"},\"product\":\"chat\",\"output_tokens\":99}],"
            "\"data_refreshed_at\":\"2026-10-03T04:00:00Z\",\"has_more\":false,"
            "\"next_page\":null}"),
        keep, &seen, &page, &err));
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_uint_eq(page.skipped, 1);
    ck_assert_str_eq(page.data_refreshed_at, "2026-10-03T04:00:00Z");
    ck_assert_str_eq(seen.rows[0].day, "2026-10-01");
    ck_assert_int_eq(seen.rows[0].cache_create_tokens, 7);
    ck_assert(seen.rows[0].deleted);

    seen.count = 0;
    expect_ok(api_page_read(
        API_ANALYTICS_COST, "2026-11-01",
        bytes_of("{\"data\":[{\"starting_at\":\"2026-11-01T00:00:00Z\",\"group\":{\"actor\":"
                 "{\"type\":\"user_actor\",\"user_id\":\"user_2\",\"email_address\":\"C@x.io\"},"
                 "\"product\":\"claude_code\",\"model\":\"m\"},\"cost\":{\"amount\":"
                 "\"41280.000001\",\"list_amount\":\"50000\",\"currency\":\"USD\"}}],"
                 "\"next_page\":null}"),
        keep, &seen, &page, &err));
    ck_assert_str_eq(seen.rows[0].email, "c@x.io");
    ck_assert_int_eq(seen.rows[0].cost_1e8_usd, INT64_C(41280000001));
}
END_TEST

START_TEST(cents_are_exact_or_refused)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"1", 1000000},
                {"41280.000000", INT64_C(41280000000)},
                {"0.000001", 1},
                {"1.50", 1500000},
                {"-2.5", -2500000},
                {"3.0000000000", 3000000}};
    static const char *const bad[] = {"",    ".",         "1.",
                                      "1e3", "0.0000001", "1,5",
                                      " 1",  "--1",       "99999999999999999999",
                                      "0x10"};
    int64_t value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(api_cents_to_1e8_usd(bytes_of(good[i].text), &value), "%s", good[i].text);
        ck_assert_int_eq(value, good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!api_cents_to_1e8_usd(bytes_of(bad[i]), &value), "%s", bad[i]);
}
END_TEST

START_TEST(a_page_cut_off_anywhere_leaves_nothing_behind)
{
    size_t whole = strlen(admin_page);
    for (size_t len = 0; len < whole; len++) {
        struct seen seen = {.count = 0};
        struct api_page page;
        expect_fail(api_page_read(API_ADMIN_CLAUDE_CODE, "2026-11-20", bytes_make(admin_page, len),
                                  keep, &seen, &page, &err),
                    FAIL_INVALID);
        ck_assert_uint_eq(seen.count, 0);
    }
}
END_TEST

START_TEST(what_is_no_page_is_refused)
{
    static const char *const bodies[] = {
        "<html>502 Bad Gateway</html>", "{}", "[]", "null", "{\"data\":{}}",
        "{\"type\":\"error\"}"};
    struct seen seen = {.count = 0};
    struct api_page page;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        expect_fail(api_page_read(API_ENTERPRISE_USERS, "2026-11-20", bytes_of(bodies[i]), keep,
                                  &seen, &page, &err),
                    FAIL_INVALID);
}
END_TEST

START_TEST(drift_is_told_not_failed_on)
{
    struct seen seen = {.count = 0};
    struct api_page page;
    expect_ok(api_page_read(API_ADMIN_CLAUDE_CODE, "2026-11-20",
                            bytes_of("{\"data\":[{\"actor\":{\"email_address\":\"a@x.io\"},"
                                     "\"core_metrics\":{\"num_sessions\":\"many\"}}]}"),
                            keep, &seen, &page, &err));
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_ptr_nonnull(strstr(page.drift, "core_metrics.num_sessions"));
}
END_TEST

START_TEST(the_vendors_own_message_is_found)
{
    char text[64];
    api_error_message(bytes_of("{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\","
                               "\"message\":\"invalid\\nx-api-key\"},\"request_id\":\"req_1\"}"),
                      text, sizeof text);
    ck_assert_str_eq(text, "invalid x-api-key");
    api_error_message(bytes_of("<html>"), text, sizeof text);
    ck_assert_str_eq(text, "");
    api_error_message(bytes_of(
                          "{\"message\":\"outside\",\"error\":{\"x\":{\"message\":\"deep\"}}}"),
                      text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_page");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, an_admin_row_gives_its_activity_once_and_a_row_per_model);
    tcase_add_test(tests, users_have_activity_and_an_account_id);
    tcase_add_test(tests, usage_and_cost_are_of_claude_code_only);
    tcase_add_test(tests, cents_are_exact_or_refused);
    tcase_add_test(tests, a_page_cut_off_anywhere_leaves_nothing_behind);
    tcase_add_test(tests, what_is_no_page_is_refused);
    tcase_add_test(tests, drift_is_told_not_failed_on);
    tcase_add_test(tests, the_vendors_own_message_is_found);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
