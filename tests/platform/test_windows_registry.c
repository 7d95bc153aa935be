/* The system's own registry, read as an exported file is; runs under Wine, too. */
#include "platform/windows_text.h"

#include <stdio.h>

#include "base/memory.h"
#include "core/registry/registry.h"
#include "tests/support/expect.h"

static struct error err;
static char path[128];

static void set_up(void)
{
    snprintf(path, sizeof path, "Software\\ClaudeTelemetryTest-%lu",
             (unsigned long)GetCurrentProcessId());
}

static void tear_down(void)
{
    RegDeleteTreeA(HKEY_CURRENT_USER, path);
}

static void put(const char *below, const WCHAR *name, DWORD type, const void *value, DWORD size)
{
    char key[160];
    snprintf(key, sizeof key, "%s%s", path, below);
    WCHAR *wide = wide_of(key);
    ck_assert_int_eq(RegSetKeyValueW(HKEY_CURRENT_USER, wide, name, type, value, size), 0);
    free(wide);
}

static struct registry_key *read_all(void)
{
    char whole[160];
    snprintf(whole, sizeof whole, "HKEY_CURRENT_USER\\%s", path);
    return registry_read("/", whole, &fs_real, &err);
}

START_TEST(every_kind_of_value_and_the_keys_below_are_told)
{
    static const WCHAR texts[] = L"mdm\0directory\0";
    const DWORD number = 7;
    const uint64_t large = UINT64_C(0x100000001);
    put("", L"text", REG_SZ, L"\u00e4 \"x\"", 12);
    put("", L"unended", REG_SZ, L"ab", 4); /* without its zero, as some programs write it */
    put("", L"expand", REG_EXPAND_SZ, L"%x%", 8);
    put("", L"texts", REG_MULTI_SZ, texts, sizeof texts);
    put("", L"number", REG_DWORD, &number, sizeof number);
    put("", L"large", REG_QWORD, &large, sizeof large);
    put("", L"raw", REG_BINARY, "\1\2", 2);
    put("\\relay\\spool", L"max_mib", REG_SZ, L"9", 4);
    struct registry_key *key = read_all();
    ck_assert_msg(key != NULL, "%s", err.cause);
    ck_assert_str_eq(registry_text_of(key, "TEXT"), "\xC3\xA4 \"x\"");
    ck_assert_str_eq(registry_text_of(key, "unended"), "ab");
    ck_assert_str_eq(registry_text_of(key, "expand"), "%x%");
    ck_assert_uint_eq(registry_value(key, "texts")->text_count, 2);
    ck_assert_str_eq(registry_value(key, "texts")->texts[1], "directory");
    ck_assert_uint_eq(registry_value(key, "number")->number, 7);
    ck_assert_uint_eq(registry_value(key, "large")->number, large);
    ck_assert_int_eq(registry_value(key, "raw")->kind, PLATFORM_REGISTRY_OTHER);
    ck_assert_str_eq(registry_text_of(registry_find(key, "Relay\\Spool"), "max_mib"), "9");
    registry_destroy(key);
}
END_TEST

START_TEST(a_key_that_is_not_there_is_told_from_one_that_makes_no_sense)
{
    ck_assert_ptr_null(read_all());
    ck_assert_int_eq(err.kind, FAIL_NOT_FOUND);
    ck_assert_ptr_null(registry_read("/", "NOWHERE\\x", &fs_real, &err));
    ck_assert_int_eq(err.kind, FAIL_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("windows registry");
    TCase *tests = tcase_create("windows registry");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, every_kind_of_value_and_the_keys_below_are_told);
    tcase_add_test(tests, a_key_that_is_not_there_is_told_from_one_that_makes_no_sense);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
