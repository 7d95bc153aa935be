#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/portal/html.h"
#include "tests/support/expect.h"

static struct page page;

static void set_up(void)
{
    page = (struct page){.out = {.max_bytes = 4096}};
}

static void tear_down(void)
{
    buffer_clear(&page.out);
}

static void expect_page(const char *text)
{
    ck_assert_str_eq(page.out.len ? buffer_text(&page.out) : "", text);
    buffer_reset(&page.out);
}

START_TEST(nothing_from_outside_becomes_markup)
{
    html_text(&page, bytes_of("<a href=\"x\" title='y'>&amp;</a>"));
    expect_page("&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;");
    html_attribute(&page, "value", bytes_of("\"><script>"));
    expect_page(" value=\"&quot;&gt;&lt;script&gt;\"");
    html_url(&page, bytes_of("a b&c=\"<\xc3\xa9>~"));
    expect_page("a%20b%26c%3D%22%3C%C3%A9%3E~");
    html_format(&page, "%s", "<i>");
    expect_page("&lt;i&gt;");
}
END_TEST

START_TEST(figures_are_written_as_people_read_them)
{
    static const struct {
        double value;
        const char *text;
    } shorts[] = {{0, "0"},           {999, "999"},      {1000, "1.00 k"}, {12345, "12.3 k"},
                  {999600, "1.00 M"}, {1.5e9, "1.50 G"}, {2e16, "20000 T"}};
    for (size_t i = 0; i < sizeof shorts / sizeof *shorts; i++) {
        html_short(&page, shorts[i].value);
        expect_page(shorts[i].text);
    }
    html_count(&page, -1234567);
    expect_page("-1,234,567");
    html_money(&page, 1234567890);
    expect_page("$1,234.57");
    html_money(&page, -4999);
    expect_page("-$0.00");
    html_share(&page, 0.4217);
    expect_page("42.2%");
}
END_TEST

START_TEST(durations_and_times_keep_their_scale)
{
    static const struct {
        double ms;
        const char *text;
    } durations[] = {{7, "7 ms"},       {999, "999 ms"},   {1500, "1.5 s"},
                     {99000, "99.0 s"}, {120000, "2 min"}, {9000000, "2.5 h"}};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        html_duration(&page, durations[i].ms);
        expect_page(durations[i].text);
    }
    html_time(&page, UINT64_C(1795216470) * NS_PER_S);
    expect_page("<time datetime=\"2026-11-20T23:14:30Z\">2026-11-20 23:14:30</time>");
    html_ago(&page, 0, 5 * NS_PER_S);
    expect_page("never");
    html_ago(&page, 1000 * NS_PER_S, 1000 * NS_PER_S + UINT64_C(3) * 86400 * NS_PER_S);
    expect_page(
        "<time datetime=\"1970-01-01T00:16:40Z\" title=\"1970-01-01T00:16:40Z\">3 days ago</time>");
}
END_TEST

START_TEST(a_full_page_fails_and_stays_whole)
{
    page.out.max_bytes = 4;
    html_text(&page, bytes_of("abc<"));
    ck_assert(page.failed);
    html_raw(&page, "d");
    expect_page("abc");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("html");
    TCase *tests = tcase_create("html");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, nothing_from_outside_becomes_markup);
    tcase_add_test(tests, figures_are_written_as_people_read_them);
    tcase_add_test(tests, durations_and_times_keep_their_scale);
    tcase_add_test(tests, a_full_page_fails_and_stays_whole);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
