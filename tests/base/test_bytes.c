#include "base/bytes.h"
#include "tests/support/expect.h"

START_TEST(a_buffer_never_passes_its_ceiling)
{
    struct buffer b = {.max_bytes = 5};
    ck_assert(buffer_append_text(&b, "abc"));
    ck_assert(!buffer_append_text(&b, "def"));
    expect_text(buffer_bytes(&b), "abc");
    ck_assert(buffer_append_text(&b, "de"));
    ck_assert(!buffer_append_byte(&b, 'x'));
    expect_text(buffer_bytes(&b), "abcde");
    ck_assert_ptr_null(buffer_text(&b));
    buffer_clear(&b);
}
END_TEST

START_TEST(format_may_fill_a_buffer_to_the_last_byte)
{
    struct buffer b = {.max_bytes = 4};
    ck_assert(buffer_append_format(&b, "%d", 1234));
    expect_text(buffer_bytes(&b), "1234");
    ck_assert(!buffer_append_format(&b, "%d", 5));
    buffer_clear(&b);
}
END_TEST

START_TEST(consume_drops_from_the_front)
{
    struct buffer b = {.max_bytes = 64};
    ck_assert(buffer_append_text(&b, "hello world"));
    buffer_consume(&b, 6);
    expect_text(buffer_bytes(&b), "world");
    buffer_consume(&b, 99);
    ck_assert_uint_eq(b.len, 0);
    buffer_clear(&b);
}
END_TEST

START_TEST(comparisons_tell_apart_what_differs)
{
    ck_assert(bytes_equal_ignoring_case(bytes_of("Content-Type"), "content-type"));
    ck_assert(!bytes_equal_ignoring_case(bytes_of("Content-Typ"), "content-type"));
    ck_assert(bytes_equal_constant_time(bytes_of("secret"), bytes_of("secret")));
    ck_assert(!bytes_equal_constant_time(bytes_of("secret"), bytes_of("secreT")));
    ck_assert(!bytes_equal_constant_time(bytes_of("secret"), bytes_of("secre")));
    ck_assert(bytes_equal(bytes_make(NULL, 0), bytes_of("")));
    ck_assert(bytes_starts_with(bytes_of("Bearer x"), "Bearer "));
    ck_assert(!bytes_starts_with(bytes_of("Bear"), "Bearer "));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bytes");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_buffer_never_passes_its_ceiling);
    tcase_add_test(tests, format_may_fill_a_buffer_to_the_last_byte);
    tcase_add_test(tests, consume_drops_from_the_front);
    tcase_add_test(tests, comparisons_tell_apart_what_differs);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
