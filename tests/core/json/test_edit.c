#include <stdio.h>

#include "base/memory.h"
#include "core/json/edit.h"
#include "tests/support/expect.h"

static struct buffer text;
static struct error err;

static void set_up(void)
{
    text = (struct buffer){.max_bytes = 4 * MIB};
}

static void tear_down(void)
{
    buffer_clear(&text);
}

static void load(const char *document)
{
    buffer_reset(&text);
    ck_assert(buffer_append_text(&text, document));
}

static const char *const env_a[] = {"env", "A"};
static const char *const env_b[] = {"env", "B"};

/* {before, after setting env.A to "1"} */
static const struct {
    const char *name, *before, *after;
} layouts[] = {
    {"empty", "{}", "{\n  \"env\": {\n    \"A\": \"1\"\n  }\n}"},
    {"empty with its line end", "{}\n", "{\n  \"env\": {\n    \"A\": \"1\"\n  }\n}\n"},
    {"two spaces", "{\n  \"x\": 1\n}\n",
     "{\n  \"x\": 1,\n  \"env\": {\n    \"A\": \"1\"\n  }\n}\n"},
    {"tabs", "{\n\t\"x\": 1\n}\n", "{\n\t\"x\": 1,\n\t\"env\": {\n\t\t\"A\": \"1\"\n\t}\n}\n"},
    {"four spaces", "{\n    \"env\": {\n        \"B\": \"2\"\n    }\n}",
     "{\n    \"env\": {\n        \"B\": \"2\",\n        \"A\": \"1\"\n    }\n}"},
    {"carriage returns", "{\r\n  \"x\": 1\r\n}\r\n",
     "{\r\n  \"x\": 1,\r\n  \"env\": {\r\n    \"A\": \"1\"\r\n  }\r\n}\r\n"},
    {"compact", "{\"x\":1}", "{\"x\":1,\"env\":{\"A\":\"1\"}}"},
    {"one line with blanks", "{ \"x\": 1 }", "{ \"x\": 1, \"env\": {\"A\": \"1\"} }"},
    {"one line, no inner blanks", "{\"env\": {\"B\": \"2\"}}",
     "{\"env\": {\"B\": \"2\", \"A\": \"1\"}}"},
    {"mark", "\xEF\xBB\xBF{\"x\":1}", "\xEF\xBB\xBF{\"x\":1,\"env\":{\"A\":\"1\"}}"},
    {"there already", "{\"env\":{\"A\" : \"old\",\"B\":[1,{}]},\"z\":null}",
     "{\"env\":{\"A\" : \"1\",\"B\":[1,{}]},\"z\":null}"},
    {"not a string before", "{\"env\":{\"A\":{\"deep\":[1]}}}", "{\"env\":{\"A\":\"1\"}}"},
    {"twice: the last counts", "{\"env\":{\"A\":\"x\",\"A\":\"y\"}}",
     "{\"env\":{\"A\":\"x\",\"A\":\"1\"}}"},
    {"two objects: the last counts", "{\"env\":{\"A\":\"x\"},\"env\":{}}",
     "{\"env\":{\"A\":\"x\"},\"env\":{\"A\":\"1\"}}"},
    {"escaped key", "{\"\\u0065nv\":{\"\\u0041\":\"x\"}}", "{\"\\u0065nv\":{\"\\u0041\":\"1\"}}"},
    {"quotes in the key before", "{\"a\\\"b\":1}", "{\"a\\\"b\":1,\"env\":{\"A\":\"1\"}}"},
};

START_TEST(a_value_is_set_in_the_layout_of_its_neighbours)
{
    load(layouts[_i].before);
    ck_assert_msg(json_edit_set(&text, env_a, 2, bytes_of("\"1\""), &err), "%s: %s",
                  layouts[_i].name, err.cause);
    expect_text(buffer_bytes(&text), layouts[_i].after);
    expect_ok(json_edit_check(buffer_bytes(&text), &err));
}
END_TEST

/* What was added comes out again and leaves the bytes as they were. */
START_TEST(removing_undoes_setting)
{
    static const char *const env[] = {"env"};
    struct bytes value;
    load(layouts[_i].before);
    bool had_env = json_edit_find(buffer_bytes(&text), env, 1, &value, &err);
    bool had = json_edit_find(buffer_bytes(&text), env_a, 2, &value, &err);
    if (had)
        return; /* setting replaced a value: nothing to undo by removal */
    expect_ok(json_edit_set(&text, env_a, 2, bytes_of("\"1\""), &err));
    expect_ok(json_edit_remove(&text, env_a, 2, &err));
    if (!had_env)
        expect_ok(json_edit_remove(&text, env, 1, &err));
    expect_text(buffer_bytes(&text), layouts[_i].before);
}
END_TEST

static const struct {
    const char *before, *after; /* without env.A */
} removals[] = {
    {"{\"env\":{\"A\":\"1\"}}", "{\"env\":{}}"},
    {"{\"env\":{\"A\":\"1\",\"B\":2}}", "{\"env\":{\"B\":2}}"},
    {"{\"env\":{\"B\":2,\"A\":\"1\"}}", "{\"env\":{\"B\":2}}"},
    {"{\"env\":{\"A\":1,\"B\":2,\"A\":3}}", "{\"env\":{\"B\":2}}"},
    {"{\n  \"env\": {\n    \"A\": 1,\n    \"B\": 2\n  }\n}\n",
     "{\n  \"env\": {\n    \"B\": 2\n  }\n}\n"},
    {"{\"x\":1}", "{\"x\":1}"},
    {"{\"env\":{}}", "{\"env\":{}}"},
};

START_TEST(a_member_is_removed_with_its_comma)
{
    load(removals[_i].before);
    expect_ok(json_edit_remove(&text, env_a, 2, &err));
    expect_text(buffer_bytes(&text), removals[_i].after);
}
END_TEST

static const struct {
    const char *document, *place;
} invalid[] = {
    {"", "line 1"},
    {"[]", "line 1, column 1: the document is not an object"},
    {"\"x\"", "line 1, column 1: the document is not an object"},
    {"{\n  \"a\": 1,\n}", "line 3"},
    {"{\n  // note\n}", "line 2, column 3"},
    {"{\"a\": 1", "line 1"},
    {"{\"a\": 01}", "line 1"},
    {"{} x", "line 1, column 4"},
    {"{\"a\": \"\xFF\"}", "line 1"},
    {"{\"env\": \"text\"}", "line 1, column 9: 'env' is not an object"},
    {"{\"env\": null}", "line 1, column 9: 'env' is not an object"},
};

START_TEST(an_invalid_document_is_refused_with_its_place_and_never_changed)
{
    load(invalid[_i].document);
    expect_fail(json_edit_set(&text, env_a, 2, bytes_of("\"1\""), &err), FAIL_INVALID);
    ck_assert_msg(strstr(err.cause, invalid[_i].place), "'%s' lacks '%s'", err.cause,
                  invalid[_i].place);
    expect_text(buffer_bytes(&text), invalid[_i].document);
}
END_TEST

START_TEST(a_ceiling_leaves_the_document_as_it_was)
{
    for (size_t room = 0; room < 32; room++) {
        buffer_clear(&text);
        text.max_bytes = 8 + room;
        load("{\"x\":1}");
        if (!json_edit_set(&text, env_a, 2, bytes_of("\"1\""), &err)) {
            ck_assert_int_eq(err.kind, FAIL_TOO_LARGE);
            expect_text(buffer_bytes(&text), "{\"x\":1}");
        }
    }
}
END_TEST

START_TEST(a_value_is_found_as_it_is_written)
{
    struct bytes value;
    load("{\"env\":{\"A\":\"x\",\"B\": [1, 2]}}");
    expect_ok(json_edit_find(buffer_bytes(&text), env_b, 2, &value, &err));
    expect_text(value, "[1, 2]");
    expect_ok(json_edit_find(buffer_bytes(&text), env_a, 2, &value, &err));
    expect_text(value, "\"x\"");
    static const char *const missing[] = {"no", "A"};
    expect_fail(json_edit_find(buffer_bytes(&text), missing, 2, &value, &err), FAIL_NOT_FOUND);
}
END_TEST

START_TEST(ten_thousand_members_stay_where_they_are)
{
    load("{\n  \"env\": {");
    for (int i = 0; i < 10000; i++)
        ck_assert(buffer_append_format(&text, "%s\n    \"K%d\": \"v\"", i ? "," : "", i));
    ck_assert(buffer_append_text(&text, "\n  }\n}\n"));
    char *before = xstrndup((const char *)text.data, text.len);
    expect_ok(json_edit_set(&text, env_a, 2, bytes_of("\"1\""), &err));
    ck_assert(strstr(buffer_text(&text), "\"K9999\": \"v\",\n    \"A\": \"1\"\n  }\n}\n"));
    expect_ok(json_edit_remove(&text, env_a, 2, &err));
    expect_text(buffer_bytes(&text), before);
    free(before);
}
END_TEST

START_TEST(white_space_does_not_make_documents_differ_and_anything_else_does)
{
    ck_assert(
        json_edit_same_but_space(bytes_of("{ \"a\" : [ 1 ,2 ] }\n"), bytes_of("{\"a\":[1,2]}")));
    ck_assert(!json_edit_same_but_space(bytes_of("{\"a\":[1,3]}"), bytes_of("{\"a\":[1,2]}")));
    ck_assert(!json_edit_same_but_space(bytes_of("{\"a\":\" \"}"), bytes_of("{\"a\":\"\"}")));
    ck_assert(!json_edit_same_but_space(bytes_of("{\"a\":true}"), bytes_of("{\"a\":false}")));
    ck_assert(!json_edit_same_but_space(bytes_of("{\"a\":1"), bytes_of("{\"a\":1")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("edit");
    TCase *tests = tcase_create("all");
    int count = (int)(sizeof layouts / sizeof *layouts);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_value_is_set_in_the_layout_of_its_neighbours, 0, count);
    tcase_add_loop_test(tests, removing_undoes_setting, 0, count);
    tcase_add_loop_test(tests, a_member_is_removed_with_its_comma, 0,
                        (int)(sizeof removals / sizeof *removals));
    tcase_add_loop_test(tests, an_invalid_document_is_refused_with_its_place_and_never_changed, 0,
                        (int)(sizeof invalid / sizeof *invalid));
    tcase_add_test(tests, a_ceiling_leaves_the_document_as_it_was);
    tcase_add_test(tests, a_value_is_found_as_it_is_written);
    tcase_add_test(tests, ten_thousand_members_stay_where_they_are);
    tcase_add_test(tests, white_space_does_not_make_documents_differ_and_anything_else_does);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
