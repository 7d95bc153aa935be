#include "doctor/finding.h"
#include "tests/support/expect.h"

START_TEST(the_worst_observation_decides)
{
    struct finding f = {0};
    finding_add(&f, CHECK_OK, NULL, "fine");
    finding_add(&f, CHECK_FAIL, "mend it", "broken %d", 1);
    finding_add(&f, CHECK_WARN, "look", "odd");
    finding_add(&f, CHECK_SKIP, NULL, "skipped");
    ck_assert_int_eq(f.status, CHECK_FAIL);
    ck_assert_str_eq(f.seen, "broken 1");
    ck_assert_str_eq(f.fix, "mend it");
}
END_TEST

START_TEST(equal_observations_join_and_repeats_do_not)
{
    struct finding f = {0};
    finding_add(&f, CHECK_WARN, "same fix", "one");
    finding_add(&f, CHECK_WARN, "same fix", "two");
    finding_add(&f, CHECK_WARN, "other fix", "one");
    ck_assert_str_eq(f.seen, "one\ntwo");
    ck_assert_str_eq(f.fix, "same fix\nother fix");
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_whole)
{
    struct finding f = {0};
    char text[FINDING_FIX_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    finding_add(&f, CHECK_WARN, text, "a");
    finding_add(&f, CHECK_WARN, "more", "b");
    ck_assert_uint_eq(strlen(f.fix), sizeof text - 1);
    ck_assert_str_eq(f.seen, "a\nb");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("finding");
    TCase *t = tcase_create("finding");
    tcase_add_test(t, the_worst_observation_decides);
    tcase_add_test(t, equal_observations_join_and_repeats_do_not);
    tcase_add_test(t, what_does_not_fit_is_left_out_whole);
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
