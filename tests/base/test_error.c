#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "tests/support/expect.h"

START_TEST(context_goes_before_the_cause)
{
    struct error err;
    ck_assert(!error_set(&err, FAIL_INVALID, "port %d is taken", 80));
    error_wrap(&err, "cannot start the %s", "relay");
    ck_assert_str_eq(err.cause, "cannot start the relay: port 80 is taken");
    ck_assert_int_eq(err.kind, FAIL_INVALID);
}
END_TEST

START_TEST(the_deepest_remedy_wins)
{
    struct error err;
    error_set(&err, FAIL_IO, "x");
    error_remedy(&err, "set relay.listen");
    error_remedy(&err, "try again");
    ck_assert_str_eq(err.remedy, "set relay.listen");
    error_set(&err, FAIL_IO, "y");
    ck_assert_str_eq(err.remedy, "");
}
END_TEST

START_TEST(system_errors_get_a_kind)
{
    struct error err;
    error_set_os(&err, ENOSPC, "cannot write '%s'", "f");
    ck_assert_int_eq(err.kind, FAIL_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(err.cause, "cannot write 'f': "));
    error_set_os(&err, EACCES, "x");
    ck_assert_int_eq(err.kind, FAIL_DENIED);
    error_set_os(&err, ENOENT, "x");
    ck_assert_int_eq(err.kind, FAIL_NOT_FOUND);
}
END_TEST

START_TEST(a_long_cause_is_cut_not_overrun)
{
    struct error err;
    char text[2 * ERROR_CAUSE_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, FAIL_IO, "%s", text);
    error_wrap(&err, "%s", text);
    ck_assert_uint_eq(strlen(err.cause), ERROR_CAUSE_BYTES - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, context_goes_before_the_cause);
    tcase_add_test(tests, the_deepest_remedy_wins);
    tcase_add_test(tests, system_errors_get_a_kind);
    tcase_add_test(tests, a_long_cause_is_cut_not_overrun);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
