#include "core/config/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/config.h"
#include "platform/platform.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static const char *const names[] = {"email", "device_token", NULL};
static struct error err;

static const char *value_of(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "email") == 0 ? "a@example.com" : NULL;
}

static bool expand(const char *root, const char *text, struct buffer *out)
{
    struct config_variables v = {.value = value_of, .fs = &fs_real, .root = root};
    return config_template_expand(text, &v, out, &err);
}

START_TEST(variables_are_replaced_and_the_rest_stays)
{
    struct buffer out = {.max_bytes = 200};
    expect_ok(expand("", "<${email}>$5 $${email} ${email}$", &out));
    expect_text(buffer_bytes(&out), "<a@example.com>$5 ${email} a@example.com$");
    buffer_clear(&out);
}
END_TEST

START_TEST(a_file_is_read_below_the_root_without_its_line_end)
{
    char *root = temp_dir_make();
    char *path = xasprintf("%s/token", root);
    struct buffer out = {.max_bytes = 200};
    expect_ok(fs_replace_file(&fs_real, path, bytes_of("se cret\r\n\n"), 0600, &err));
    expect_ok(expand(root, "Bearer ${file:/token}", &out));
    expect_text(buffer_bytes(&out), "Bearer se cret");

    expect_ok(fs_replace_file(&fs_real, path, bytes_of("rotated"), 0600, &err));
    buffer_reset(&out);
    expect_ok(expand(root, "${file:/token}", &out));
    char *whole = xasprintf("${file:%s}", path); /* below the root already */
    expect_text(buffer_bytes(&out), "rotated");
    buffer_reset(&out);
    expect_ok(expand(root, whole, &out));
    free(whole);
    char *beside = xasprintf("%s-other/token", root), *where = config_path_under(root, beside);
    char *expected = platform_under_root(root, beside);
    ck_assert_str_eq(where, expected);
    free(beside);
    free(where);
    free(expected);
    expect_text(buffer_bytes(&out), "rotated");

    expect_fail(expand(root, "x${file:/missing}", &out), FAIL_NOT_FOUND);
    expect_text(buffer_bytes(&out), "rotated"); /* as it was */
    ck_assert_ptr_nonnull(strstr(err.cause, "${file:/missing}"));
    buffer_clear(&out);
    free(path);
    temp_dir_remove(root);
}
END_TEST

/* "" removes it. */
static void set_variable(const char *value)
{
#if defined(_WIN32)
    ck_assert_int_eq(_putenv_s("CT_TEST_VALUE", value), 0);
#else
    ck_assert_int_eq(*value ? setenv("CT_TEST_VALUE", value, 1) : unsetenv("CT_TEST_VALUE"), 0);
#endif
}

START_TEST(the_environment_is_read_and_its_lack_explained)
{
    struct buffer out = {.max_bytes = 200};
    set_variable("v");
    expect_ok(expand("", "${env:CT_TEST_VALUE}", &out));
    expect_text(buffer_bytes(&out), "v");
    set_variable("");
    expect_fail(expand("", "${env:CT_TEST_VALUE}", &out), FAIL_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.remedy, "CT_TEST_VALUE"));
    expect_fail(expand("", "${device_token}", &out), FAIL_NOT_FOUND);
    buffer_clear(&out);
}
END_TEST

START_TEST(an_expansion_past_the_ceiling_fails_and_leaves_nothing)
{
    struct buffer out = {.max_bytes = 16};
    expect_fail(expand("", "${email}${email}", &out), FAIL_TOO_LARGE);
    ck_assert_uint_eq(out.len, 0);
    buffer_clear(&out);
}
END_TEST

START_TEST(only_known_and_complete_variables_pass)
{
    static const char *const good[] = {
        "",     "$",  "$$", "a${email}b", "${file:/a/b c}", "${file:C:\\x}", "${env:HOME}",
        "$${x", "$x", "{}"};
    static const char *const bad[] = {"${",       "${}",      "${emai}",   "${email",
                                      "${EMAIL}", "${file:}", "${file:a}", "${file:/a/../b}",
                                      "${env:}",  "${ email}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(config_template_check(good[i], names, &err), "%s: %s", good[i], err.cause);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!config_template_check(bad[i], names, &err), "%s", bad[i]);

    char huge[2000] = "${file:/";
    memset(huge + 8, 'a', sizeof huge - 10);
    huge[sizeof huge - 2] = '}';
    huge[sizeof huge - 1] = '\0';
    ck_assert(!config_template_check(huge, names, &err));
}
END_TEST

START_TEST(uses_finds_what_is_named)
{
    ck_assert(config_template_uses("x ${email}", "email"));
    ck_assert(config_template_uses("x ${email}", NULL));
    ck_assert(!config_template_uses("x ${email}", "device_token"));
    ck_assert(!config_template_uses("$${email} $", NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("template");
    TCase *tests = tcase_create("template");
    tcase_add_test(tests, variables_are_replaced_and_the_rest_stays);
    tcase_add_test(tests, a_file_is_read_below_the_root_without_its_line_end);
    tcase_add_test(tests, the_environment_is_read_and_its_lack_explained);
    tcase_add_test(tests, an_expansion_past_the_ceiling_fails_and_leaves_nothing);
    tcase_add_test(tests, only_known_and_complete_variables_pass);
    tcase_add_test(tests, uses_finds_what_is_named);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
