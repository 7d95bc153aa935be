#include <check.h>
#include <stdlib.h>

#include "server/query/people.h"
#include "tests/support/expect.h"
#include "tests/support/memory_control.h"

static struct memory_control control;
static struct arena arena;
static struct error err;

static void set_up(void)
{
    memory_control_init(&control);
    arena = (struct arena){.max_bytes = MIB};
    err = (struct error){0};
}

static void tear_down(void)
{
    memory_control_clear(&control);
    arena_clear(&arena);
}

static struct people *create(void)
{
    return people_create(NULL, &control.store, NULL, &err);
}

START_TEST(a_pseudonym_is_the_same_after_a_restart_and_differs_between_people)
{
    struct people *people = create();
    ck_assert_ptr_nonnull(people);
    const struct bytes alice = bytes_of("alice@example.com"), bob = bytes_of("bob@example.com");
    struct bytes first = people_name(people, alice, PRIVACY_PSEUDONYMOUS, &arena);
    struct bytes other = people_name(people, bob, PRIVACY_PSEUDONYMOUS, &arena);
    people_destroy(people);
    people = create();
    ck_assert(bytes_equal(first, people_name(people, alice, PRIVACY_PSEUDONYMOUS, &arena)));
    ck_assert(!bytes_equal(first, other));
    ck_assert(bytes_equal(alice, people_name(people, alice, PRIVACY_NAMED, &arena)));
    ck_assert(bytes_equal_text(people_name(people, alice, PRIVACY_COHORTS, &arena), "somebody"));
    people_destroy(people);
}
END_TEST

START_TEST(another_server_gives_other_pseudonyms)
{
    const struct bytes alice = bytes_of("alice@example.com");
    struct people *people = create();
    struct bytes first = people_name(people, alice, PRIVACY_PSEUDONYMOUS, &arena);
    people_destroy(people);
    memory_control_clear(&control);
    memory_control_init(&control);
    people = create();
    ck_assert(!bytes_equal(first, people_name(people, alice, PRIVACY_PSEUDONYMOUS, &arena)));
    people_destroy(people);
}
END_TEST

START_TEST(without_the_control_store_nobody_is_named)
{
    control.failing = true;
    ck_assert_ptr_null(create());
    ck_assert_int_eq(err.kind, FAIL_IO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("people");
    TCase *tests = tcase_create("people");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_pseudonym_is_the_same_after_a_restart_and_differs_between_people);
    tcase_add_test(tests, another_server_gives_other_pseudonyms);
    tcase_add_test(tests, without_the_control_store_nobody_is_named);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
