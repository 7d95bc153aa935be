#include <check.h>
#include <math.h>
#include <string.h>

#include "server/portal/source_rows.h"
#include "tests/support/expect.h"

#define EVIL "<b>\"'&"
#define EVIL_ESCAPED "&lt;b&gt;&quot;&#39;&amp;"

static struct page page;
static const struct coverage_silent silent = {.day = "2026-11-20",
                                              .person = {(const uint8_t *)"ada@example.com", 15},
                                              .source = USAGE_ADMIN_API,
                                              .tokens = 1200,
                                              .sessions = 3,
                                              .device_id = "d-1",
                                              .hostname = "ada-laptop" EVIL,
                                              .device_state = "red",
                                              .device_code = "no_data",
                                              .device_reason = "why " EVIL,
                                              .has_doctor_report = true};

static void set_up(void)
{
    page = (struct page){.out = {.max_bytes = 64 * KIB}};
}

static void tear_down(void)
{
    buffer_clear(&page.out);
}

static void expect_shown(const char *text)
{
    ck_assert_msg(strstr(buffer_text(&page.out), text), "no %s in %s", text,
                  buffer_text(&page.out));
}

static void expect_hidden(const char *text)
{
    ck_assert_msg(!strstr(buffer_text(&page.out), text), "%s in %s", text, buffer_text(&page.out));
}

START_TEST(an_integration_tells_its_state_and_the_apis_own_words)
{
    const struct health_verdict health = {.state = HEALTH_RED,
                                          .reason = "refused",
                                          .action = "make a new key"};
    const struct source_row row = {.title = "Admin API",
                                   .newest_day = "2026-11-19",
                                   .error = "401 " EVIL,
                                   .drift = "new field " EVIL,
                                   .advice = "for teams",
                                   .health = &health,
                                   .rows = 1234,
                                   .configured = true};
    source_put_row(&page, &row, NS_PER_S);
    static const char *const shown[] = {"data-state=\"red\"",
                                        "broken",
                                        "It said: 401 " EVIL_ESCAPED,
                                        "Not as documented: new field " EVIL_ESCAPED,
                                        "make a new key",
                                        "for teams",
                                        "2026-11-19",
                                        "1,234",
                                        "never"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        expect_shown(shown[i]);
    expect_hidden("<b>");
}
END_TEST

START_TEST(an_integration_without_a_key_is_not_called_silent)
{
    const struct health_verdict health = {.state = HEALTH_GREY};
    const struct source_row row = {.title = "Admin API", .health = &health, .rows = -1};
    source_put_row(&page, &row, NS_PER_S);
    expect_shown("not set up");
    expect_hidden("silent");
}
END_TEST

START_TEST(a_silent_failure_leads_to_the_device)
{
    silent_put_row(&page, &silent, silent.person, PRIVACY_NAMED, NS_PER_S);
    expect_shown("ada@example.com");
    expect_shown("<a href=\"/fleet/d-1\">ada-laptop" EVIL_ESCAPED "</a>");
    expect_shown("data-state=\"red\"");
    expect_shown("why " EVIL_ESCAPED);
    expect_shown("<a href=\"/fleet/d-1#doctor\">doctor report</a>");
    expect_shown("mend what the device");
    expect_hidden("<b>");
}
END_TEST

START_TEST(a_pseudonym_is_not_given_away_by_the_device)
{
    silent_put_row(&page, &silent, bytes_of("person-7"), PRIVACY_PSEUDONYMOUS, NS_PER_S);
    expect_shown("person-7");
    expect_shown("data-state=\"red\"");
    expect_hidden("ada");
    expect_hidden("d-1");
    expect_hidden("why");
    struct coverage_silent masked = coverage_masked(&silent, bytes_of("person-7"));
    buffer_reset(&page.out);
    ck_assert(coverage_put_csv(&page.out, &masked));
    ck_assert_str_eq(buffer_text(&page.out),
                     "2026-11-20,person-7,admin_api,1200,3,hidden,,red,no_data,"
                     "\"mend what the device's state says, then run the doctor on it\"\r\n");
}
END_TEST

START_TEST(coverage_counts_by_source_and_compares_tokens)
{
    struct sheet_row row = {0};
    const struct coverage_count count = {.person_days = 9,
                                         .by = {0, 3, 8},
                                         .silent = 1,
                                         .unattributed = 2,
                                         .otel_tokens = 30,
                                         .api_tokens = 40};
    covered_set_row(&row, &count, PRIVACY_NAMED);
    static const double expected[COVERED_COLUMNS] = {9, 8, 0, 3, 2, 1, 30, 40, 0.75};
    for (size_t i = 0; i < COVERED_COLUMNS; i++)
        ck_assert_double_eq(row.values[i], expected[i]);
    ck_assert_int_eq(row.people, 9);
}
END_TEST

START_TEST(in_cohorts_coverage_leaves_out_what_few_people_stand_behind)
{
    struct sheet_row row;
    const struct coverage_count count = {
        .person_days = 9, .by = {0, 4, 5}, .silent = 1, .otel_tokens = 30, .api_tokens = 40};
    for (size_t i = 0; i < SHEET_MAX_COLUMNS; i++)
        row.values[i] = (double)NAN;
    covered_set_row(&row, &count, PRIVACY_COHORTS);
    ck_assert_double_eq(row.values[0], 9);
    ck_assert_double_eq(row.values[1], 5);
    ck_assert_double_eq(row.values[2], 0);
    for (size_t i = 3; i < COVERED_COLUMNS; i++)
        ck_assert_msg(i == 4 || isnan(row.values[i]), "column %zu is shown", i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source_rows");
    TCase *tests = tcase_create("source_rows");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, an_integration_tells_its_state_and_the_apis_own_words);
    tcase_add_test(tests, an_integration_without_a_key_is_not_called_silent);
    tcase_add_test(tests, a_silent_failure_leads_to_the_device);
    tcase_add_test(tests, a_pseudonym_is_not_given_away_by_the_device);
    tcase_add_test(tests, coverage_counts_by_source_and_compares_tokens);
    tcase_add_test(tests, in_cohorts_coverage_leaves_out_what_few_people_stand_behind);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
