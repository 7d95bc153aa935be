#include <math.h>

#include "core/json/reader.h"
#include "core/json/writer.h"
#include "tests/support/expect.h"

START_TEST(commas_and_escapes_are_the_writers_business)
{
    struct buffer out = {.max_bytes = 4096};
    struct json_writer w = json_writer_make(&out);
    json_object_open(&w);
    json_put_key(&w, "a");
    json_put_int(&w, -4);
    json_put_key(&w, "b\"");
    json_array_open(&w);
    json_put_string(&w, "x\n\t\r\\\x01");
    json_put_string(&w, NULL);
    json_put_bool(&w, true);
    json_put_raw(&w, bytes_of("{\"r\":1}"));
    json_object_open(&w);
    json_object_close(&w);
    json_array_close(&w);
    json_put_key(&w, "c");
    json_put_uint(&w, UINT64_MAX);
    json_object_close(&w);
    ck_assert(json_writer_ok(&w));
    expect_text(buffer_bytes(&out), "{\"a\":-4,\"b\\\"\":[\"x\\n\\t\\r\\\\\\u0001\",null,true,"
                                    "{\"r\":1},{}],\"c\":18446744073709551615}");
    buffer_clear(&out);
}
END_TEST

START_TEST(pretty_indents_two_spaces_a_level)
{
    struct buffer out = {.max_bytes = 4096};
    struct json_writer w = json_writer_make(&out);
    w.pretty = true;
    json_object_open(&w);
    json_put_key(&w, "a");
    json_array_open(&w);
    json_put_int(&w, 1);
    json_put_int(&w, 2);
    json_array_close(&w);
    json_put_key(&w, "b");
    json_object_open(&w);
    json_object_close(&w);
    json_object_close(&w);
    expect_text(buffer_bytes(&out), "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
    buffer_clear(&out);
}
END_TEST

START_TEST(bad_bytes_show_as_replacement_characters)
{
    struct buffer out = {.max_bytes = 4096};
    struct json_writer w = json_writer_make(&out);
    json_put_bytes(&w, bytes_make("a\0b\xff"
                                  "c\xc3\xa9",
                                  7));
    expect_text(buffer_bytes(&out), "\"a\xef\xbf\xbd"
                                    "b\xef\xbf\xbd"
                                    "c\xc3\xa9\"");
    buffer_clear(&out);
}
END_TEST

START_TEST(doubles_are_short_and_read_back_equal)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "0"},
                 {3, "3"},
                 {-1234567890123, "-1234567890123"},
                 {0.1, "0.1"},
                 {0.01554, "0.01554"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1e21, "1e+21"},
                 {5e-324, "4.94065645841247e-324"},
                 {9007199254740991.0, "9007199254740991"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[JSON_DOUBLE_BYTES];
        double back;
        json_double_text(cases[i].value, text);
        ck_assert_str_eq(text, cases[i].text);
        ck_assert(json_double(bytes_of(text), &back) && back == cases[i].value);
    }
    char text[JSON_DOUBLE_BYTES];
    json_double_text(-INFINITY, text);
    ck_assert_str_eq(text, "-Infinity");

    struct buffer out = {.max_bytes = 64};
    struct json_writer w = json_writer_make(&out);
    json_put_double(&w, NAN);
    expect_text(buffer_bytes(&out), "null");
    buffer_clear(&out);
}
END_TEST

START_TEST(times_are_rfc_3339_in_utc)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "null"},
                 {1, "\"1970-01-01T00:00:00.000Z\""},
                 {UINT64_C(951782399999000000), "\"2000-02-28T23:59:59.999Z\""},
                 {UINT64_C(951782400000000000), "\"2000-02-29T00:00:00.000Z\""},
                 {UINT64_C(1795216470555000000), "\"2026-11-20T23:14:30.555Z\""},
                 {UINT64_C(4107542400000000000), "\"2100-03-01T00:00:00.000Z\""},
                 {UINT64_MAX, "\"2554-07-21T23:34:33.709Z\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = {.max_bytes = 64};
        struct json_writer w = json_writer_make(&out);
        json_put_time(&w, cases[i].ns);
        expect_text(buffer_bytes(&out), cases[i].text);
        buffer_clear(&out);
    }
}
END_TEST

START_TEST(a_full_buffer_is_reported)
{
    struct buffer out = {.max_bytes = 5};
    struct json_writer w = json_writer_make(&out);
    json_put_string(&w, "longer");
    ck_assert(!json_writer_ok(&w));
    buffer_clear(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writer");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, commas_and_escapes_are_the_writers_business);
    tcase_add_test(tests, pretty_indents_two_spaces_a_level);
    tcase_add_test(tests, bad_bytes_show_as_replacement_characters);
    tcase_add_test(tests, doubles_are_short_and_read_back_equal);
    tcase_add_test(tests, times_are_rfc_3339_in_utc);
    tcase_add_test(tests, a_full_buffer_is_reported);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
