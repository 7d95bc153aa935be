#include "server/router/arguments.h"
#include "tests/support/expect.h"

static struct arena arena;
static struct arguments arguments;
static struct error err;

static void set_up(void)
{
    arena = (struct arena){.max_bytes = MIB};
}

static void tear_down(void)
{
    arena_clear(&arena);
}

static bool parse(const char *text)
{
    return arguments_parse(bytes_of(text), &arena, &arguments, &err);
}

START_TEST(names_and_values_are_decoded_in_order)
{
    expect_ok(parse("a=1&b=x%20y+z&a=%C3%A9&&flag&=v"));
    ck_assert_uint_eq(arguments.count, 5);
    expect_text(arguments.items[1].value, "x y z");
    expect_text(arguments.items[2].value, "\xc3\xa9");
    expect_text(arguments.items[3].name, "flag");
    expect_text(arguments.items[4].name, "");
    expect_text(arguments_get(&arguments, "a"), "\xc3\xa9"); /* the last counts */
    ck_assert_ptr_null(arguments_get(&arguments, "missing").data);
    ck_assert_ptr_nonnull(arguments_get(&arguments, "flag").data);
    ck_assert_int_eq(arguments.items[1].value.data[arguments.items[1].value.len], 0);
    expect_ok(parse(""));
    ck_assert_uint_eq(arguments.count, 0);
}
END_TEST

START_TEST(what_is_no_text_is_refused)
{
    static const char *const wrong[] = {"a=%",   "a=%4",   "a=%zz",          "a=%00",
                                        "a=%ff", "a=%c3",  "a=%c0%80",       "a=%ed%a0%80",
                                        "%e9=1", "a=\xff", "a=%f4%90%80%80", "a=%f0%80%80%80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!parse(wrong[i]) && err.kind == FAIL_INVALID, "%s", wrong[i]);
    expect_ok(parse("a=%f4%8f%bf%bf&b=%ef%bf%bf"));
}
END_TEST

START_TEST(more_parameters_than_there_may_be_are_refused)
{
    char text[4 * (ARGUMENTS_MAX + 1) + 1] = "";
    for (int i = 0; i < ARGUMENTS_MAX; i++)
        strcat(text, "a=1&");
    expect_ok(parse(text));
    strcat(text, "a=1&");
    expect_fail(parse(text), FAIL_INVALID);
}
END_TEST

START_TEST(numbers_keep_to_their_limits)
{
    uint64_t value = 7;
    expect_ok(parse("take=50&word=x&big=999999999999999999999&empty=&minus=-1"));
    expect_ok(arguments_get_number(&arguments, "missing", 1, 200, &value, &err));
    ck_assert_uint_eq(value, 7);
    expect_ok(arguments_get_number(&arguments, "take", 1, 200, &value, &err));
    ck_assert_uint_eq(value, 50);
    expect_ok(arguments_get_number(&arguments, "take", 50, 50, &value, &err));
    expect_fail(arguments_get_number(&arguments, "take", 51, 200, &value, &err), FAIL_INVALID);
    expect_fail(arguments_get_number(&arguments, "take", 1, 49, &value, &err), FAIL_INVALID);
    expect_fail(arguments_get_number(&arguments, "word", 0, 9, &value, &err), FAIL_INVALID);
    expect_fail(arguments_get_number(&arguments, "big", 0, UINT64_MAX, &value, &err), FAIL_INVALID);
    expect_ok(arguments_get_number(&arguments, "empty", 0, 9, &value, &err));
    ck_assert_uint_eq(value, 50); /* as if it were not there */
    expect_fail(arguments_get_number(&arguments, "minus", 0, 9, &value, &err), FAIL_INVALID);
}
END_TEST

START_TEST(a_name_that_is_not_asked_for_is_refused_with_those_there_are)
{
    expect_ok(parse("from=1&to=2&from=3"));
    expect_ok(arguments_expect(&arguments, "from, to", &err));
    expect_ok(parse(""));
    expect_ok(arguments_expect(&arguments, "from, to", &err));
    expect_ok(parse("from=1&t=2"));
    expect_fail(arguments_expect(&arguments, "from, to", &err), FAIL_INVALID);
    ck_assert_str_eq(err.cause, "'t' is no parameter: use from, to");
    expect_ok(parse("=2"));
    expect_fail(arguments_expect(&arguments, "from, to", &err), FAIL_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arguments");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, names_and_values_are_decoded_in_order);
    tcase_add_test(tests, what_is_no_text_is_refused);
    tcase_add_test(tests, more_parameters_than_there_may_be_are_refused);
    tcase_add_test(tests, numbers_keep_to_their_limits);
    tcase_add_test(tests, a_name_that_is_not_asked_for_is_refused_with_those_there_are);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
