#include "server/auth/login.h"

#include <stdio.h>

#include "core/crypto/crypto.h"
#include "server/auth/throttle.h"
#include "tests/support/expect.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_control.h"

static struct memory_control control;
static struct manual_clock manual;
static struct clock clock_table;
static struct login *login;
static struct identity who;
static struct error err;
static uint32_t wait_s;

static void add_user(const char *email, enum control_role role, const char *password)
{
    struct control_user *user = &control.users[control.user_count++];
    *user = (struct control_user){.role = role};
    snprintf(user->email, sizeof user->email, "%s", email);
    expect_ok(crypto_password_hash(password, user->password, sizeof user->password, &err));
}

static void set_up(void)
{
    memory_control_init(&control);
    manual = (struct manual_clock){.wall_ns = 1000000 * NS_PER_S, .monotonic_ns = NS_PER_S};
    clock_table = manual_clock_table(&manual);
    login = login_create(&control.store, &clock_table, &err);
    ck_assert_msg(login != NULL, "%s", err.cause);
}

static void tear_down(void)
{
    login_destroy(login);
    memory_control_clear(&control);
}

static enum login_outcome attempt(const char *email, const char *password, const char *source)
{
    return login_check(login, bytes_of(email), password, source, &who, &wait_s, &err);
}

START_TEST(the_right_password_logs_in_whatever_the_case_of_the_address)
{
    add_user("ann@example.com", ROLE_ANALYST, "open sesame");
    ck_assert_int_eq(attempt("Ann@Example.com", "open sesame", "a"), LOGIN_GOOD);
    ck_assert_str_eq(who.email, "ann@example.com");
    ck_assert_int_eq(who.role, ROLE_ANALYST);
    ck_assert_int_eq(attempt("ann@example.com", "open sesam", "a"), LOGIN_WRONG);
    ck_assert_int_eq(attempt("bob@example.com", "open sesame", "a"), LOGIN_WRONG);
    ck_assert_int_eq(attempt("", "open sesame", "a"), LOGIN_WRONG);
}
END_TEST

START_TEST(every_attempt_is_in_the_audit_log_and_no_typed_text_is)
{
    add_user("ann@example.com", ROLE_ANALYST, "open sesame");
    ck_assert_int_eq(attempt("ann@example.com", "open sesame", "10.1.1.1"), LOGIN_GOOD);
    ck_assert_str_eq(control.audited, "login ann@example.com by 'ann@example.com' from 10.1.1.1");
    ck_assert_int_eq(attempt("ann@example.com", "wrong", "10.1.1.1"), LOGIN_WRONG);
    ck_assert_str_eq(control.audited, "login.failed ann@example.com by '' from 10.1.1.1");
    ck_assert_int_eq(attempt("hunter2@example.com", "x", "10.1.1.1"), LOGIN_WRONG);
    ck_assert_str_eq(control.audited, "login.failed (nobody) by '' from 10.1.1.1");
    ck_assert_uint_eq(control.audit_count, 3);
}
END_TEST

START_TEST(five_failures_make_the_next_attempt_wait_even_with_the_right_password)
{
    add_user("ann@example.com", ROLE_ANALYST, "open sesame");
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(attempt("ann@example.com", "wrong guess", "a"), LOGIN_WRONG);
    ck_assert_int_eq(attempt("ann@example.com", "open sesame", "a"), LOGIN_THROTTLED);
    ck_assert_uint_eq(wait_s, 900);
    ck_assert_int_eq(attempt("ann@example.com", "open sesame", "b"),
                     LOGIN_GOOD); /* not locked out */
    manual_clock_advance_ms(&manual, 900 * 1000);
    ck_assert_int_eq(attempt("ann@example.com", "open sesame", "a"), LOGIN_GOOD);
}
END_TEST

START_TEST(a_token_names_its_user_until_it_expires)
{
    struct buffer token = {.max_bytes = 4096};
    struct identity ann = {.email = "ann@example.com", .role = ROLE_ADMIN}, seen;
    add_user("ann@example.com", ROLE_ADMIN, "open sesame");
    ck_assert(login_issue(login, &ann, &token));
    expect_ok(login_verify(login, buffer_bytes(&token), &seen, &err));
    ck_assert_str_eq(seen.email, "ann@example.com");
    ck_assert_int_eq(seen.role, ROLE_ADMIN);
    manual_clock_advance_ms(&manual, 3599 * 1000);
    expect_ok(login_verify(login, buffer_bytes(&token), &seen, &err));
    manual_clock_advance_ms(&manual, 1000);
    expect_fail(login_verify(login, buffer_bytes(&token), &seen, &err), FAIL_DENIED);
    buffer_clear(&token);
}
END_TEST

START_TEST(a_token_has_the_role_of_now_and_dies_with_its_user)
{
    struct buffer token = {.max_bytes = 4096};
    struct identity ann = {.email = "ann@example.com", .role = ROLE_ADMIN}, seen;
    add_user("ann@example.com", ROLE_ADMIN, "open sesame");
    ck_assert(login_issue(login, &ann, &token));
    control.users[0].role = ROLE_VIEWER;
    expect_ok(login_verify(login, buffer_bytes(&token), &seen, &err));
    ck_assert_int_eq(seen.role, ROLE_VIEWER);
    control.user_count = 0;
    expect_fail(login_verify(login, buffer_bytes(&token), &seen, &err), FAIL_DENIED);
    buffer_clear(&token);
}
END_TEST

START_TEST(a_logout_ends_what_was_issued_before_it_even_in_its_second)
{
    struct buffer before = {.max_bytes = 4096}, after = {.max_bytes = 4096};
    struct identity ann = {.email = "ann@example.com", .role = ROLE_ADMIN}, seen;
    add_user("ann@example.com", ROLE_ADMIN, "open sesame");
    ck_assert(login_issue(login, &ann, &before));
    manual_clock_advance_ms(&manual, 1);
    control.users[0].valid_from_ns = manual.wall_ns;
    ck_assert(login_issue(login, &ann, &after));
    expect_fail(login_verify(login, buffer_bytes(&before), &seen, &err), FAIL_DENIED);
    expect_ok(login_verify(login, buffer_bytes(&after), &seen, &err));
    buffer_clear(&before);
    buffer_clear(&after);
}
END_TEST

START_TEST(the_key_outlives_a_restart_and_is_its_own_per_installation)
{
    struct buffer token = {.max_bytes = 4096};
    struct identity ann = {.email = "ann@example.com"}, seen;
    add_user("ann@example.com", ROLE_VIEWER, "open sesame");
    ck_assert(login_issue(login, &ann, &token));
    struct login *again = login_create(&control.store, &clock_table, &err);
    expect_ok(login_verify(again, buffer_bytes(&token), &seen, &err));
    login_destroy(again);

    control.values[0].data[0] ^= 1; /* another installation's key */
    struct login *other = login_create(&control.store, &clock_table, &err);
    expect_fail(login_verify(other, buffer_bytes(&token), &seen, &err), FAIL_DENIED);
    login_destroy(other);
    buffer_clear(&token);
}
END_TEST

START_TEST(a_failing_store_is_said_and_counts_as_no_failure)
{
    control.failing = true;
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(attempt("ann@example.com", "open sesame", "a"), LOGIN_NO_ANSWER);
}
END_TEST

START_TEST(a_full_throttle_forgets_the_oldest_name)
{
    struct throttle *t = throttle_create(2, 10 * NS_PER_S);
    throttle_failed(t, "one", 1);
    throttle_failed(t, "two", 2);
    throttle_failed(t, "three", 3);
    ck_assert_uint_eq(throttle_wait_s(t, "one", 1, 4), 0);
    ck_assert_uint_gt(throttle_wait_s(t, "two", 1, 4), 0);
    ck_assert_uint_gt(throttle_wait_s(t, "three", 1, 4), 0);
    throttle_forgive(t, "two");
    ck_assert_uint_eq(throttle_wait_s(t, "two", 1, 4), 0);
    throttle_destroy(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("login");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_right_password_logs_in_whatever_the_case_of_the_address);
    tcase_add_test(tests, every_attempt_is_in_the_audit_log_and_no_typed_text_is);
    tcase_add_test(tests, five_failures_make_the_next_attempt_wait_even_with_the_right_password);
    tcase_add_test(tests, a_token_names_its_user_until_it_expires);
    tcase_add_test(tests, a_token_has_the_role_of_now_and_dies_with_its_user);
    tcase_add_test(tests, a_logout_ends_what_was_issued_before_it_even_in_its_second);
    tcase_add_test(tests, the_key_outlives_a_restart_and_is_its_own_per_installation);
    tcase_add_test(tests, a_failing_store_is_said_and_counts_as_no_failure);
    tcase_add_test(tests, a_full_throttle_forgets_the_oldest_name);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
