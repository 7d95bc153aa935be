#include "doctor/proxies.h"

#include <string.h>

#include "tests/support/expect.h"

/* "NAME=VALUE" texts, NULL-terminated. */
static const char *get(const void *context, const char *name)
{
    size_t len = strlen(name);
    for (const char *const *line = context; *line; line++)
        if (strncmp(*line, name, len) == 0 && (*line)[len] == '=')
            return *line + len + 1;
    return NULL;
}

static const struct row {
    const char *url;
    enum proxies_rules rules;
    const char *variables[4];
    const char *expected; /* NULL: directly */
} rows[] = {
    {"https://a.example/", PROXIES_OF_CURL, {"HTTPS_PROXY=http://p:1"}, "HTTPS_PROXY"},
    {"https://a.example/", PROXIES_OF_CURL, {"http_proxy=http://p:1"}, NULL},
    {"https://a.example/", PROXIES_OF_CURL, {"ALL_PROXY=http://p:1"}, "ALL_PROXY"},
    {"https://a.example/",
     PROXIES_OF_CURL,
     {"HTTPS_PROXY=http://p:1", "https_proxy=http://q:1"},
     "https_proxy"},
    {"https://a.example/", PROXIES_OF_CURL, {"HTTPS_PROXY="}, NULL},
    {"http://a.example/", PROXIES_OF_CURL, {"HTTP_PROXY=http://p:1"}, NULL},
    {"http://a.example/", PROXIES_OF_CLAUDE_CODE, {"HTTP_PROXY=http://p:1"}, "HTTP_PROXY"},
    {"https://a.example:8443/x", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "NO_PROXY=b, a.example"}, NULL},
    {"https://a.example", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "NO_PROXY=*"}, NULL},
    {"https://a.b.example", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "NO_PROXY=b.example"}, NULL},
    {"https://a.b.example", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "NO_PROXY=.b.example"}, NULL},
    {"https://ab.example", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "NO_PROXY=b.example"}, "HTTPS_PROXY"},
    {"https://b.example", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "NO_PROXY=.b.example"}, NULL},
    {"https://A.Example", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "no_proxy=a.eXample"}, NULL},
    {"https://a.b.example",
     PROXIES_OF_CLAUDE_CODE,
     {"HTTPS_PROXY=p", "NO_PROXY=b.example"},
     "HTTPS_PROXY"},
    {"https://a.b.example", PROXIES_OF_CLAUDE_CODE, {"HTTPS_PROXY=p", "NO_PROXY=.b.example"}, NULL},
    {"https://u:p@a.example/", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "NO_PROXY=a.example"}, NULL},
    {"https://[fd00::1]:443/", PROXIES_OF_CURL, {"HTTPS_PROXY=p", "NO_PROXY=fd00::1"}, NULL},
};

START_TEST(a_request_goes_through_the_proxy_that_its_maker_would_take)
{
    const struct row *row = &rows[_i];
    const char *name = proxies_variable(row->url, row->rules, get, row->variables);
    const char *expected = row->expected ? row->expected : "(directly)";
    ck_assert_str_eq(name ? name : "(directly)", expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxies");
    TCase *t = tcase_create("proxies");
    tcase_add_loop_test(t, a_request_goes_through_the_proxy_that_its_maker_would_take, 0,
                        (int)(sizeof rows / sizeof *rows));
    suite_add_tcase(suite, t);
    return expect_run(suite);
}
