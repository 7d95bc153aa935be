#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "server/portal/sheet.h"
#include "tests/support/expect.h"

static struct arena arena;
static struct sheet sheet;
static const struct sheet_column columns[] = {{"Cost", "cost", SHEET_MONEY},
                                              {"Share", "share", SHEET_RATIO}};

static void set_up(void)
{
    arena = (struct arena){.max_bytes = MIB};
    sheet = (struct sheet){.id = "teams",
                           .title = "By team",
                           .rows = "Team",
                           .csv_row = "team",
                           .columns = columns,
                           .column_count = 2,
                           .bar_column = 1,
                           .arena = &arena};
}

static void tear_down(void)
{
    arena_clear(&arena);
}

static void add(const char *name, double cost, int64_t people)
{
    struct sheet_row *row = sheet_add(&sheet, bytes_of(name));
    ck_assert_ptr_nonnull(row);
    row->values[0] = cost;
    row->people = people;
}

static void expect_rows(const char *names)
{
    char all[256] = "";
    for (size_t i = 0; i < sheet.count; i++) {
        strncat(all, (const char *)sheet.list[i].name.data, sheet.list[i].name.len);
        strcat(all, " ");
    }
    ck_assert_str_eq(all, names);
}

START_TEST(rows_are_sorted_and_equals_keep_their_order)
{
    for (int i = 0; i < 40; i++) {
        char name[8] = {(char)('a' + i % 26), (char)('a' + i / 26), 0};
        add(name, i % 3, 1);
    }
    sheet_add(&sheet, bytes_of("none"));
    sheet_sort(&sheet, 0, 0);
    for (size_t i = 1; i < 40; i++)
        ck_assert(sheet.list[i - 1].values[0] >= sheet.list[i].values[0]);
    ck_assert(bytes_equal_text(sheet.list[0].name, "ca"));
    ck_assert(bytes_equal_text(sheet.list[1].name, "fa"));
    ck_assert(bytes_equal_text(sheet.list[40].name, "none"));
    sheet_sort(&sheet, 0, 3);
    ck_assert_uint_eq(sheet.count, 3);
}
END_TEST

START_TEST(cohorts_show_no_group_of_fewer_than_five)
{
    add("four", 9, 4);
    add("five", 8, 5);
    add("unknown", 7, -1);
    add("many", 6, 50);
    sheet_keep_cohorts(&sheet); /* "five" goes too: all less the rest must not be "four" */
    expect_rows("many ");
    ck_assert_uint_eq(sheet.withheld, 3);
}
END_TEST

START_TEST(in_cohorts_a_day_of_few_people_stays_without_figures)
{
    sheet.is_days = true;
    add("2026-11-20", 9, 4);
    add("2026-11-21", 8, 5);
    add("2026-11-22", 0, 0);
    add("2026-11-23", 7, 6);
    sheet_keep_cohorts(&sheet);
    expect_rows("2026-11-20 2026-11-21 2026-11-22 2026-11-23 ");
    ck_assert(isnan(sheet.list[0].values[0]));
    ck_assert(isnan(sheet.list[1].values[0]));
    ck_assert(sheet.list[2].values[0] == 0); /* nobody was there to be hidden */
    ck_assert(sheet.list[3].values[0] == 7);
}
END_TEST

START_TEST(a_name_is_found_again)
{
    struct sheet_row *row = sheet_find(&sheet, bytes_of("web"));
    row->people = 3;
    sheet_find(&sheet, bytes_of("data"));
    ck_assert_int_eq(sheet_find(&sheet, bytes_of("web"))->people, 3);
    ck_assert_uint_eq(sheet.count, 2);
}
END_TEST

START_TEST(csv_has_plain_numbers_and_quoted_names)
{
    struct buffer out = {.max_bytes = KIB};
    add("a,b", 1500000, 1);
    sheet.list[0].values[1] = 0.25;
    add("=1+1", 0, 1);
    ck_assert(sheet_put_csv(&out, &sheet));
    ck_assert_str_eq(buffer_text(&out),
                     "team,cost,share\r\n\"a,b\",1500000,0.25\r\n\"'=1+1\",0,\r\n");
    out.max_bytes = out.len;
    buffer_reset(&out);
    add("more", 1, 1);
    ck_assert(!sheet_put_csv(&out, &sheet));
    buffer_clear(&out);
}
END_TEST

START_TEST(a_bar_is_the_share_of_the_largest)
{
    struct page page = {.out = {.max_bytes = 16 * KIB}};
    add("web", 4000000, 9);
    add("data", 1000000, 9);
    sheet_put(&page, &sheet);
    const char *html = buffer_text(&page.out);
    ck_assert_ptr_nonnull(strstr(html, "width=\"100.00%\""));
    ck_assert_ptr_nonnull(strstr(html, "width=\"25.00%\""));
    ck_assert_ptr_nonnull(strstr(html, "<th scope=\"row\">data"));
    ck_assert_ptr_nonnull(strstr(html, "<td>$1.00</td><td>–</td>"));
    buffer_clear(&page.out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sheet");
    TCase *tests = tcase_create("sheet");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, rows_are_sorted_and_equals_keep_their_order);
    tcase_add_test(tests, cohorts_show_no_group_of_fewer_than_five);
    tcase_add_test(tests, in_cohorts_a_day_of_few_people_stays_without_figures);
    tcase_add_test(tests, a_name_is_found_again);
    tcase_add_test(tests, csv_has_plain_numbers_and_quoted_names);
    tcase_add_test(tests, a_bar_is_the_share_of_the_largest);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
