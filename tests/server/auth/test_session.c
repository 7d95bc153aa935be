#include "server/auth/session.h"
#include "tests/support/expect.h"
#include "tests/support/manual_clock.h"

static struct manual_clock manual;
static struct clock clock_table;
static struct sessions *sessions;
static char cookie[SESSION_SECRET_BYTES];
static struct session begun, found;
static const struct identity ann = {.email = "ann@example.com", .role = ROLE_ADMIN};

static void set_up(void)
{
    manual = (struct manual_clock){.monotonic_ns = NS_PER_S};
    clock_table = manual_clock_table(&manual);
    sessions = sessions_create(&clock_table, 3);
    sessions_begin(sessions, &ann, cookie, &begun);
}

static void tear_down(void)
{
    sessions_destroy(sessions);
}

static bool find(void)
{
    return sessions_find(sessions, bytes_of(cookie), &found);
}

START_TEST(a_cookie_finds_its_session_only)
{
    ck_assert(find());
    ck_assert_str_eq(found.who.email, "ann@example.com");
    ck_assert_str_eq(found.csrf, begun.csrf);
    ck_assert_str_ne(found.csrf, cookie);
    cookie[0] = cookie[0] == 'A' ? 'B' : 'A';
    ck_assert(!find());
    ck_assert(!sessions_find(sessions, bytes_of(""), &found));
}
END_TEST

START_TEST(an_ended_session_is_gone)
{
    sessions_end(sessions, bytes_of(cookie));
    ck_assert(!find());
    sessions_begin(sessions, &ann, cookie, &begun);
    sessions_end_all_of(sessions, "bob@example.com");
    ck_assert(find());
    sessions_end_all_of(sessions, "ann@example.com");
    ck_assert(!find());
}
END_TEST

START_TEST(half_an_hour_unused_ends_it_and_so_do_twelve_hours)
{
    manual_clock_advance_ms(&manual, 29 * 60 * 1000);
    ck_assert(find());
    manual_clock_advance_ms(&manual, 30 * 60 * 1000);
    ck_assert(!find());
    sessions_begin(sessions, &ann, cookie, &begun);
    for (int i = 0; i < 23; i++) {
        manual_clock_advance_ms(&manual, 30 * 60 * 1000 - 1);
        ck_assert(find());
    }
    manual_clock_advance_ms(&manual, 30 * 60 * 1000);
    ck_assert(!find());
}
END_TEST

START_TEST(when_full_the_one_nearest_its_end_gives_way)
{
    char other[3][SESSION_SECRET_BYTES];
    for (int i = 0; i < 3; i++) {
        manual_clock_advance_ms(&manual, 1000);
        sessions_begin(sessions, &ann, other[i], &begun);
    }
    ck_assert(!find());
    for (int i = 0; i < 3; i++)
        ck_assert(sessions_find(sessions, bytes_of(other[i]), &found));
}
END_TEST

START_TEST(a_form_must_repeat_the_csrf_token)
{
    ck_assert(session_csrf_matches(&begun, bytes_of(begun.csrf)));
    ck_assert(!session_csrf_matches(&begun, bytes_of("")));
    ck_assert(!session_csrf_matches(&begun, bytes_of(cookie)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_cookie_finds_its_session_only);
    tcase_add_test(tests, an_ended_session_is_gone);
    tcase_add_test(tests, half_an_hour_unused_ends_it_and_so_do_twelve_hours);
    tcase_add_test(tests, when_full_the_one_nearest_its_end_gives_way);
    tcase_add_test(tests, a_form_must_repeat_the_csrf_token);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
