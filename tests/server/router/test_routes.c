#include "server/router/router.h"
#include "tests/support/expect.h"

static struct bytes parameters[ROUTE_MAX_PARAMETERS];

static bool matches(const char *pattern, const char *path)
{
    return route_matches(pattern, bytes_of(path), parameters);
}

START_TEST(a_pattern_covers_exactly_its_paths)
{
    ck_assert(matches("/", "/"));
    ck_assert(matches("/api/v1/messages", "/api/v1/messages"));
    ck_assert(!matches("/api/v1/messages", "/api/v1/messages/"));
    ck_assert(!matches("/api/v1/messages", "/api/v1/message"));
    ck_assert(!matches("/api", "/api/v1"));
    ck_assert(!matches("/", ""));
}
END_TEST

START_TEST(a_parameter_is_one_whole_segment)
{
    ck_assert(matches("/messages/{id}", "/messages/01ABC"));
    expect_text(parameters[0], "01ABC");
    ck_assert(!matches("/messages/{id}", "/messages/"));
    ck_assert(!matches("/messages/{id}", "/messages/a/b"));
    ck_assert(matches("/devices/{id}/runs/{run}", "/devices/d1/runs/7"));
    expect_text(parameters[0], "d1");
    expect_text(parameters[1], "7");
}
END_TEST

START_TEST(a_cookie_is_found_by_its_whole_name)
{
    struct http_header header = {bytes_of("Cookie"),
                                 bytes_of("xct_session=no; ct_session=yes;a=b")};
    struct http_request request = {.headers = &header, .header_count = 1};
    expect_text(request_cookie(&request, "ct_session"), "yes");
    expect_text(request_cookie(&request, "a"), "b");
    ck_assert_uint_eq(request_cookie(&request, "ct_sess").len, 0);
    ck_assert_uint_eq(request_cookie(&request, "b").len, 0);
}
END_TEST

START_TEST(a_cell_is_quoted_where_needed_and_never_a_formula)
{
    static const struct {
        const char *text, *cell;
    } cells[] = {
        {"plain", "plain"},   {"", ""},
        {"a,b", "\"a,b\""},   {"say \"x\"", "\"say \"\"x\"\"\""},
        {"a\nb", "\"a\nb\""}, {"=1+1", "\"'=1+1\""},
        {"+1", "\"'+1\""},    {"-1", "\"'-1\""},
        {"@x", "\"'@x\""},    {"\tx", "\"'\tx\""},
        {"1-2", "1-2"},
    };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct buffer out = {.max_bytes = 64};
        ck_assert(csv_put_text(&out, bytes_of(cells[i].text)));
        expect_text(buffer_bytes(&out), cells[i].cell);
        buffer_clear(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routes");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_pattern_covers_exactly_its_paths);
    tcase_add_test(tests, a_parameter_is_one_whole_segment);
    tcase_add_test(tests, a_cookie_is_found_by_its_whole_name);
    tcase_add_test(tests, a_cell_is_quoted_where_needed_and_never_a_formula);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
