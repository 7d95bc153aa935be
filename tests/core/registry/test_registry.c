#include "base/memory.h"
#include "core/registry/registry.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

#define HEAD "Windows Registry Editor Version 5.00\r\n\r\n"

static struct error err;
static struct registry_key *tree;

static void tear_down(void)
{
    registry_destroy(tree);
    tree = NULL;
}

static void parse(const char *text)
{
    tree = registry_parse("x.reg", bytes_of(text), &err);
    ck_assert_msg(tree != NULL, "%s", err.cause);
}

static void load(const char *name)
{
    char *path = xasprintf("%s/registry/%s", TEST_DATA_DIR, name);
    struct buffer text = {.max_bytes = MIB};
    expect_ok(fs_read_file(&fs_real, path, &text, &err));
    tree = registry_parse(name, buffer_bytes(&text), &err);
    ck_assert_msg(tree != NULL, "%s", err.cause);
    buffer_clear(&text);
    free(path);
}

/* Exported by regedit, in UTF-16. */
START_TEST(an_exported_file_is_read)
{
    load("policy.reg");
    const struct registry_key *key =
        registry_find(tree, "hkey_local_machine\\software\\policies\\CLAUDETELEMETRY");
    ck_assert_ptr_nonnull(key);
    ck_assert_str_eq(registry_text_of(key, "useremail"), "alice@example.com");
    ck_assert_uint_eq(registry_value(key, "claude.log_user_prompts")->number, 1);
    const struct registry_value *from = registry_value(key, "identity.email_from");
    ck_assert_int_eq(from->kind, PLATFORM_REGISTRY_TEXTS);
    ck_assert_uint_eq(from->text_count, 2);
    ck_assert_str_eq(from->texts[1], "directory");
    ck_assert_str_eq(registry_text_of(registry_find(key, "relay\\spool"), "path"),
                     "C:\\Spool \"x\" \xC3\xA9");
    ck_assert_ptr_null(registry_find(key, "relay\\nothing"));
    ck_assert_ptr_null(registry_text_of(key, "claude.log_user_prompts"));
}
END_TEST

START_TEST(every_kind_of_value_is_told_apart)
{
    parse(HEAD "[HKEY_LOCAL_MACHINE\\K]\r\n"
               "@=\"default\"\r\n"
               "\"expand\"=hex(2):25,00,\\\r\n  78,00,25,00,00,00\r\n"
               "\"q\"=hex(b):01,00,00,00,01,00,00,00\r\n"
               "\"raw\"=hex:01,02\r\n"
               "\"ends with a backslash\\\\\"=\"C:\\\\\"\r\n"
               "; a comment\r\n"
               "\"gone\"=-\r\n"
               "[-HKEY_LOCAL_MACHINE\\Deleted]\r\n"
               "\"x\"=\"y\"\r\n"
               "[HKEY_LOCAL_MACHINE\\K]\r\n"
               "\"again\"=dword:ffffffff\r\n");
    const struct registry_key *key = registry_find(tree, "HKEY_LOCAL_MACHINE\\K");
    ck_assert_str_eq(registry_text_of(key, ""), "default");
    ck_assert_str_eq(registry_text_of(key, "expand"), "%x%");
    ck_assert_uint_eq(registry_value(key, "q")->number, UINT64_C(0x100000001));
    ck_assert_int_eq(registry_value(key, "raw")->kind, PLATFORM_REGISTRY_OTHER);
    ck_assert_str_eq(registry_text_of(key, "ends with a backslash\\"), "C:\\");
    ck_assert_ptr_null(registry_value(key, "gone"));
    ck_assert_uint_eq(registry_value(key, "again")->number, UINT32_MAX);
    ck_assert_ptr_null(registry_find(tree, "HKEY_LOCAL_MACHINE\\Deleted"));
}
END_TEST

static const struct {
    const char *text, *words;
} broken[] = {
    {"", "not an exported"},
    {"[HKEY_LOCAL_MACHINE]\r\n", "not an exported"},
    {HEAD "[HKEY_LOCAL_MACHINE\r\n", "line 3"},
    {HEAD "[K]\r\n\"a\"=\"b\r\n", "line 4"},
    {HEAD "[K]\r\n\"a\"=hex(7):6\r\n", "line 4"},
    {HEAD "[K]\r\n\"a\"=dword:xyz\r\n", "line 4"},
    {HEAD "[K]\r\nnonsense\r\n", "line 4"},
    {HEAD "[a\\b\\c\\d\\e\\f\\g\\h\\i\\j\\k\\l\\m\\n\\o\\p\\q\\r\\s\\t\\u\\v\\w\\x\\y\\z\\1\\2\\3"
          "\\4\\5\\6\\7\\8]\r\n",
     "too many"},
};

START_TEST(a_broken_file_is_named_with_its_line)
{
    tree = registry_parse("x.reg", bytes_of(broken[_i].text), &err);
    ck_assert_ptr_null(tree);
    ck_assert_msg(strstr(err.cause, broken[_i].words) != NULL, "%s", err.cause);
    ck_assert_ptr_nonnull(strstr(err.cause, "x.reg"));
}
END_TEST

START_TEST(below_a_root_the_exported_file_is_the_registry)
{
    char *root = temp_dir_make(), *file = xasprintf("%s/registry.reg", root);
    ck_assert_ptr_null(registry_read(root, "HKEY_LOCAL_MACHINE\\A\\B", &fs_real, &err));
    ck_assert_int_eq(err.kind, FAIL_NOT_FOUND);
    expect_ok(fs_replace_file(&fs_real, file,
                              bytes_of(HEAD "[HKEY_LOCAL_MACHINE\\A\\B\\C]\r\n\"x\"=\"1\"\r\n"
                                            "[HKEY_LOCAL_MACHINE\\A\\D]\r\n"),
                              0600, &err));
    tree = registry_read(root, "HKEY_LOCAL_MACHINE\\a\\b", &fs_real, &err);
    ck_assert_ptr_nonnull(tree);
    ck_assert_str_eq(registry_text_of(registry_find(tree, "c"), "X"), "1");
    ck_assert_ptr_null(registry_find(tree, "D"));
    ck_assert_ptr_null(registry_read(root, "HKEY_LOCAL_MACHINE\\A\\E", &fs_real, &err));
    ck_assert_int_eq(err.kind, FAIL_NOT_FOUND);
    free(file);
    temp_dir_remove(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("registry");
    TCase *tests = tcase_create("registry");
    tcase_add_checked_fixture(tests, NULL, tear_down);
    tcase_add_test(tests, an_exported_file_is_read);
    tcase_add_test(tests, every_kind_of_value_is_told_apart);
    tcase_add_loop_test(tests, a_broken_file_is_named_with_its_line, 0,
                        (int)(sizeof broken / sizeof *broken));
    tcase_add_test(tests, below_a_root_the_exported_file_is_the_registry);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
