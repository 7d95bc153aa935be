#include "server/fleet/claude_version.h"

#include <check.h>

static int order(const char *a, const char *b)
{
    return claude_version_compare(bytes_of(a), bytes_of(b));
}

START_TEST(versions_are_ordered_part_by_part)
{
    ck_assert_int_lt(order("2.0.9", "2.0.10"), 0);
    ck_assert_int_gt(order("2.1", "2.0.99"), 0);
    ck_assert_int_eq(order("2.1.98", "2.1.98"), 0);
    ck_assert_int_eq(order("2.1", "2.1.0"), 0);
    ck_assert_int_eq(order("2.0.67-beta", "2.0.67"), 0);
}
END_TEST

START_TEST(the_faulty_ones_are_known_and_their_neighbours_are_not)
{
    const char *const bad[] = {"2.0.64", "2.0.66", "2.0.67", "2.1.98"};
    const char *const good[] = {"2.0.63", "2.0.68", "2.1.97", "2.1.99", "2.1.300", "", "nonsense"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(claude_version_fault(bytes_of(bad[i])).len > 0, "%s", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(claude_version_fault(bytes_of(good[i])).len == 0, "%s", good[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("claude_version");
    TCase *tests = tcase_create("claude_version");
    tcase_add_test(tests, versions_are_ordered_part_by_part);
    tcase_add_test(tests, the_faulty_ones_are_known_and_their_neighbours_are_not);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
