#include "server/auth/token.h"
#include "tests/support/expect.h"

START_TEST(a_minted_token_is_well_formed_and_unlike_any_other)
{
    char one[TOKEN_BYTES], two[TOKEN_BYTES];
    token_mint(one);
    token_mint(two);
    ck_assert(token_is_well_formed(bytes_of(one)));
    ck_assert_str_ne(one, two);
    ck_assert_uint_eq(strlen(one), TOKEN_BYTES - 1);
    ck_assert_uint_eq(strspn(one,
                             "ct_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
                      TOKEN_BYTES - 1);
}
END_TEST

START_TEST(any_changed_or_missing_character_shows)
{
    char token[TOKEN_BYTES];
    token_mint(token);
    for (size_t i = 0; i < TOKEN_BYTES - 1; i++) {
        char was = token[i];
        token[i] = was == 'x' ? 'y' : 'x';
        ck_assert_msg(!token_is_well_formed(bytes_of(token)), "character %zu", i);
        token[i] = was;
        ck_assert(!token_is_well_formed(bytes_make(token, i)));
    }
    ck_assert(!token_is_well_formed(bytes_make(token, TOKEN_BYTES))); /* with the NUL */
}
END_TEST

START_TEST(a_prefix_shows_little_of_a_token_and_less_of_a_foreign_secret)
{
    char token[TOKEN_BYTES], prefix[TOKEN_PREFIX_BYTES];
    token_mint(token);
    token_prefix(bytes_of(token), prefix);
    ck_assert_uint_eq(strlen(prefix), 12);
    ck_assert(bytes_starts_with(bytes_of(token), prefix));
    token_prefix(bytes_of("sk-very-secret-key-of-somebody"), prefix);
    ck_assert_str_eq(prefix, "sk-...");
    token_prefix(bytes_of("abcd"), prefix);
    ck_assert_str_eq(prefix, "a...");
    token_prefix(bytes_of("ct_short"), prefix);
    ck_assert_str_eq(prefix, "ct...");
    token_prefix(bytes_of("\x01\x02\x03zzzzzzzzzz"), prefix);
    ck_assert_str_eq(prefix, "...");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_minted_token_is_well_formed_and_unlike_any_other);
    tcase_add_test(tests, any_changed_or_missing_character_shows);
    tcase_add_test(tests, a_prefix_shows_little_of_a_token_and_less_of_a_foreign_secret);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
