#include "doctor/redact.h"
#include "tests/support/expect.h"

static struct secrets known;

static void expect_redacted(const char *text, bool by_name, bool emails, const char *expected)
{
    struct buffer out = {.max_bytes = 4096};
    struct redact_options options = {&known, by_name, emails};
    ck_assert(redact(bytes_of(text), &options, &out));
    expect_text(buffer_bytes(&out), expected);
    buffer_clear(&out);
}

static void set_up(void)
{
    secrets_add(&known, "Bearer hush-hush-1");
    secrets_add(&known, "tiny");
}

static void tear_down(void)
{
    secrets_clear(&known);
}

START_TEST(known_secrets_go_wherever_they_stand)
{
    expect_redacted("x hush-hush-1y", false, false, "x ***y");
    expect_redacted("a Bearer hush-hush-1 b", false, false, "a *** b");
    expect_redacted("tiny words stay", false, false, "tiny words stay");
}
END_TEST

START_TEST(what_looks_like_a_token_goes)
{
    expect_redacted("Bearer abcdef123, ok", false, false, "Bearer ***, ok");
    expect_redacted("key sk-ant-0123456789 end", false, false, "key sk-*** end");
    expect_redacted("ct_0123456789", false, false, "ct_***");
    expect_redacted("direct_current_flow", false, false, "direct_current_flow");
    expect_redacted("the Bearer of news", false, false, "the Bearer of news");
}
END_TEST

START_TEST(urls_lose_passwords_and_queries)
{
    expect_redacted("http://u:p@h:1/x", false, false, "http://***@h:1/x");
    expect_redacted("http://h/a?token=b&c=d e", false, false, "http://h/a?token=***&c=*** e");
    expect_redacted("http://h/x@y", false, false, "http://h/x@y");
}
END_TEST

START_TEST(values_go_by_the_name_of_their_key)
{
    expect_redacted("token: abc\nname: x\n", true, false, "token: ***\nname: x\n");
    expect_redacted("{\"prompt\": \"say \\\"hi\\\"\", \"n\": 1}", true, false,
                    "{\"prompt\": \"***\", \"n\": 1}");
    expect_redacted("headers: { X-Span-Token: \"a, b\", x: 1 }", true, false,
                    "headers: { X-Span-Token: \"***\", x: 1 }");
    expect_redacted("PASSWORD=abc", true, false, "PASSWORD=***");
    expect_redacted("secret_file: /etc/x", true, false, "secret_file: /etc/x");
    expect_redacted("log_user_prompts: true", true, false, "log_user_prompts: true");
    expect_redacted("token: abc", false, false, "token: abc");
}
END_TEST

START_TEST(addresses_lose_their_names_when_asked)
{
    expect_redacted("to alice.b+c@example.com.", false, true, "to ***@example.com.");
    expect_redacted("to alice@example.com", false, false, "to alice@example.com");
    expect_redacted("user@host", false, true, "user@host");
}
END_TEST

START_TEST(a_full_buffer_is_told)
{
    struct buffer out = {.max_bytes = 4};
    struct redact_options options = {0};
    ck_assert(!redact(bytes_of("hello"), &options, &out));
    ck_assert_uint_eq(out.len, 0);
    buffer_clear(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redact");
    TCase *t = tcase_create("redact");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, known_secrets_go_wherever_they_stand);
    tcase_add_test(t, what_looks_like_a_token_goes);
    tcase_add_test(t, urls_lose_passwords_and_queries);
    tcase_add_test(t, values_go_by_the_name_of_their_key);
    tcase_add_test(t, addresses_lose_their_names_when_asked);
    tcase_add_test(t, a_full_buffer_is_told);
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
