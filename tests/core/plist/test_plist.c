#include "base/memory.h"
#include "core/json/edit.h"
#include "core/plist/plist.h"
#include "platform/fs.h"
#include "tests/support/expect.h"

static struct error err;
static struct buffer json, file;

static void set_up(void)
{
    json = (struct buffer){.max_bytes = MIB};
    file = (struct buffer){.max_bytes = MIB};
}

static void tear_down(void)
{
    buffer_clear(&json);
    buffer_clear(&file);
}

static void expect_json(const char *key, const char *expected)
{
    struct bytes value;
    expect_ok(json_edit_find(buffer_bytes(&json), &key, 1, &value, &err));
    expect_text(value, expected);
}

static void load(const char *name)
{
    char *path = xasprintf("%s/identity/%s", TEST_DATA_DIR, name);
    expect_ok(fs_read_file(&fs_real, path, &file, &err));
    free(path);
}

static void expect_common(void)
{
    expect_json("UserEmail", "\"Alice@Example.com\"");
    expect_json("identity", "{\"email_domain\":\"example.com\"}");
    expect_json("n", "3");
    expect_json("r", "1.5");
    expect_json("flag", "true");
    expect_json("blob", "null");
    expect_json("list", "[\"a\",{\"b\":false}]");
    expect_json("amp", "\"R&D <x> \\\"q\\\"\"");
    expect_json("zo\xC3\xAB", "\"Zo\xC3\xAB \xF0\x9F\x99\x82\"");
}

START_TEST(an_xml_list_reads_as_json)
{
    load("managed-preferences.xml.plist");
    expect_ok(plist_to_json(buffer_bytes(&file), &json, &err));
    expect_common();
    expect_json("when", "\"2026-11-21T00:00:00Z\"");
}
END_TEST

START_TEST(a_binary_list_reads_as_json)
{
    load("managed-preferences.binary.plist");
    expect_ok(plist_to_json(buffer_bytes(&file), &json, &err));
    expect_common();
    expect_json("big", "1099511627776");
    expect_json("neg", "-7");
    struct bytes value;
    static const char *const key[] = {"long"};
    expect_ok(json_edit_find(buffer_bytes(&json), key, 1, &value, &err));
    ck_assert_uint_eq(value.len, 302);
}
END_TEST

START_TEST(every_cut_of_a_list_is_refused_or_whole)
{
    static const char *const names[] = {"managed-preferences.xml.plist",
                                        "managed-preferences.binary.plist"};
    for (size_t n = 0; n < 2; n++) {
        load(names[n]);
        for (size_t len = 0; len + 2 < file.len; len++) {
            buffer_reset(&json);
            if (n == 1 || len < file.len - 10)
                ck_assert(!plist_to_json(bytes_make(file.data, len), &json, &err));
        }
    }
}
END_TEST

static const char *const malformed[] = {
    "",
    "{}",
    "<plist>",
    "<plist/>",
    "<plist><dict><key>a</key></dict></plist>",
    "<plist><dict><string>a</string></dict></plist>",
    "<plist><string>a</plist>",
    "<plist><string>&nope;</string></plist>",
    "<plist><string>&#xD8000000;</string></plist>",
    "<plist><what/></plist>",
    "<plist><array><true/></plist>",
    "bplist00",
};

START_TEST(a_malformed_list_is_refused)
{
    expect_fail(plist_to_json(bytes_of(malformed[_i]), &json, &err), FAIL_INVALID);
}
END_TEST

START_TEST(a_list_that_holds_itself_ends)
{
    static const uint8_t loop[] = {
        'b', 'p', 'l', 'i', 's', 't', '0', '0', 0xA2, 0, 0, /* an array of itself, twice */
        8,                                                  /* the table: one offset */
        0,   0,   0,   0,   0,   0,   1,   1,   0,    0, 0, 0, 0, 0, 0, 1,
        0,   0,   0,   0,   0,   0,   0,   0,   0,    0, 0, 0, 0, 0, 0, 11};
    json.max_bytes = 64 * KIB;
    ck_assert(!plist_to_json(bytes_make(loop, sizeof loop), &json, &err));
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    ck_assert(buffer_append_text(&file, "<plist>"));
    for (int i = 0; i < 200; i++)
        ck_assert(buffer_append_text(&file, "<array>"));
    expect_fail(plist_to_json(buffer_bytes(&file), &json, &err), FAIL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.cause, "deeply"));
}
END_TEST

START_TEST(a_ceiling_is_kept)
{
    load("managed-preferences.binary.plist");
    json.max_bytes = 100;
    expect_fail(plist_to_json(buffer_bytes(&file), &json, &err), FAIL_TOO_LARGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plist");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, an_xml_list_reads_as_json);
    tcase_add_test(tests, a_binary_list_reads_as_json);
    tcase_add_test(tests, every_cut_of_a_list_is_refused_or_whole);
    tcase_add_loop_test(tests, a_malformed_list_is_refused, 0,
                        (int)(sizeof malformed / sizeof *malformed));
    tcase_add_test(tests, a_list_that_holds_itself_ends);
    tcase_add_test(tests, deep_nesting_is_refused);
    tcase_add_test(tests, a_ceiling_is_kept);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
