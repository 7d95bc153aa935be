#include "server/auth/session.h"

#include <stdio.h>

#include "tests/server/control_place.h"
#include "tests/support/expect.h"
#include "tests/support/manual_clock.h"

static struct manual_clock manual;
static struct clock clock_table;
static struct control_store *control;
static struct sessions *sessions;
static const char *url;
static char cookie[SESSION_SECRET_BYTES];
static struct session found;
static struct error err;
static const struct identity ann = {.email = "ann@example.com", .role = ROLE_ADMIN};

static void open_store(void)
{
    control = control_store_open(url, &err);
    ck_assert_msg(control != NULL, "%s", err.cause);
    sessions = sessions_create(control, &clock_table);
}

static void close_store(void)
{
    sessions_destroy(sessions);
    control->kind->close(control);
}

static void set_up(void)
{
    manual = (struct manual_clock){.wall_ns = 1000000 * NS_PER_S};
    clock_table = manual_clock_table(&manual);
    url = control_place_make();
    open_store();
    expect_ok(sessions_begin(sessions, &ann, cookie, &err));
}

static void tear_down(void)
{
    close_store();
    control_place_remove();
}

static bool find(void)
{
    err = (struct error){0};
    bool there = sessions_find(sessions, bytes_of(cookie), &found, &err);
    ck_assert(there || err.kind == FAIL_NOT_FOUND);
    return there;
}

START_TEST(a_cookie_finds_its_session_only)
{
    ck_assert(find());
    ck_assert_str_eq(found.who.email, "ann@example.com");
    char csrf[SESSION_SECRET_BYTES];
    memcpy(csrf, found.csrf, sizeof csrf);
    ck_assert(find());
    ck_assert_str_eq(found.csrf, csrf);
    ck_assert_str_ne(found.csrf, cookie);
    cookie[0] = cookie[0] == 'A' ? 'B' : 'A';
    ck_assert(!find());
    ck_assert(!sessions_find(sessions, bytes_of(""), &found, &err));
}
END_TEST

START_TEST(an_ended_session_is_gone)
{
    expect_ok(sessions_end(sessions, bytes_of(cookie), &err));
    ck_assert(!find());
    expect_ok(sessions_begin(sessions, &ann, cookie, &err));
    expect_ok(control->kind->session_end_all(control, "bob@example.com", &err));
    ck_assert(find());
    expect_ok(control->kind->session_end_all(control, "ann@example.com", &err));
    ck_assert(!find());
}
END_TEST

START_TEST(half_an_hour_unused_ends_it_and_so_do_twelve_hours)
{
    manual_clock_advance_ms(&manual, 29 * 60 * 1000);
    ck_assert(find());
    manual_clock_advance_ms(&manual, 30 * 60 * 1000);
    ck_assert(!find());
    expect_ok(sessions_begin(sessions, &ann, cookie, &err));
    for (int i = 0; i < 23; i++) {
        manual_clock_advance_ms(&manual, 30 * 60 * 1000 - 1);
        ck_assert(find());
    }
    manual_clock_advance_ms(&manual, 30 * 60 * 1000);
    ck_assert(!find());
}
END_TEST

START_TEST(a_user_has_fifty_and_the_oldest_gives_way)
{
    const struct identity bob = {.email = "bob@example.com"};
    char other[SESSION_SECRET_BYTES], of_bob[SESSION_SECRET_BYTES];
    expect_ok(sessions_begin(sessions, &bob, of_bob, &err));
    for (int i = 0; i < 49; i++) {
        manual_clock_advance_ms(&manual, 1000);
        expect_ok(sessions_begin(sessions, &ann, other, &err));
    }
    ck_assert(find());
    manual_clock_advance_ms(&manual, 1000);
    expect_ok(sessions_begin(sessions, &ann, other, &err));
    ck_assert(!find());
    expect_ok(sessions_find(sessions, bytes_of(other), &found, &err));
    expect_ok(sessions_find(sessions, bytes_of(of_bob), &found, &err));
}
END_TEST

START_TEST(a_restart_ends_none_and_the_store_holds_no_cookie)
{
    ck_assert(find());
    struct session before = found;
    close_store();
    open_store();
    ck_assert(find());
    ck_assert_str_eq(found.csrf, before.csrf);
    close_store(); /* into the file itself */
    ck_assert(!control_place_holds(cookie));
    ck_assert(!control_place_holds(found.csrf));
    ck_assert(control_place_holds(ann.email));
    open_store();
}
END_TEST

START_TEST(a_form_must_repeat_the_csrf_token)
{
    ck_assert(find());
    ck_assert(session_csrf_matches(&found, bytes_of(found.csrf)));
    ck_assert(!session_csrf_matches(&found, bytes_of("")));
    ck_assert(!session_csrf_matches(&found, bytes_of(cookie)));
    struct session empty = {0};
    ck_assert(find());
    ck_assert(!session_csrf_matches(&empty, bytes_of(found.csrf)));
}
END_TEST

static Suite *make_suite(const char *kind)
{
    Suite *suite = suite_create(kind);
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_cookie_finds_its_session_only);
    tcase_add_test(tests, an_ended_session_is_gone);
    tcase_add_test(tests, half_an_hour_unused_ends_it_and_so_do_twelve_hours);
    tcase_add_test(tests, a_user_has_fifty_and_the_oldest_gives_way);
    tcase_add_test(tests, a_restart_ends_none_and_the_store_holds_no_cookie);
    tcase_add_test(tests, a_form_must_repeat_the_csrf_token);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return control_places_run(make_suite);
}
