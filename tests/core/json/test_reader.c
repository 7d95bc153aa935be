#include <math.h>

#include "core/json/reader.h"
#include "core/json/utf8.h"
#include "tests/support/expect.h"

/* The kinds of the tokens of `text`, one letter each; '!' is malformed. */
static void shape_of(struct bytes text, char *out, size_t room)
{
    static const char letters[] = {
        [JSON_END] = '.',          [JSON_ERROR] = '!',      [JSON_OBJECT_OPEN] = '{',
        [JSON_OBJECT_CLOSE] = '}', [JSON_ARRAY_OPEN] = '[', [JSON_ARRAY_CLOSE] = ']',
        [JSON_KEY] = 'k',          [JSON_STRING] = 's',     [JSON_NUMBER] = '#',
        [JSON_TRUE] = 't',         [JSON_FALSE] = 'f',      [JSON_NULL] = 'n'};
    struct json_reader r = json_reader_make(text);
    size_t len = 0;
    enum json_token token;
    do {
        token = json_next(&r);
        ck_assert_uint_lt(len + 1, room);
        out[len++] = letters[token];
    } while (token != JSON_END && token != JSON_ERROR);
    out[len] = '\0';
    ck_assert_int_eq(json_next(&r), token); /* stays where it ended */
}

#define expect_shape(text, shape)                                        \
    do {                                                                 \
        char seen_[256];                                                 \
        shape_of(bytes_of(text), seen_, sizeof seen_);                   \
        ck_assert_msg(strcmp(seen_, shape) == 0, "%s: %s", text, seen_); \
    } while (0)

START_TEST(reads_every_kind_of_value)
{
    expect_shape("{}", "{}.");
    expect_shape(" [ ] \n", "[].");
    expect_shape("{\"a\":1,\"b\":[true,false,null],\"c\":\"x\",\"d\":{\"e\":-0.5e+3}}",
                 "{k#k[tfn]ksk{k#}}.");
    expect_shape("\"\\u00e9\\n\\ud800\"", "s.");
    expect_shape("0", "#.");
    expect_shape("[[[]],{\"\":[]}]", "[[[]]{k[]}].");
}
END_TEST

START_TEST(refuses_what_lenient_parsers_let_through)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "[",
                                      "}",
                                      "]",
                                      "[1",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "[,1]",
                                      "{,}",
                                      "[1 2]",
                                      "{\"a\" 1}",
                                      "{\"a\":}",
                                      "{a:1}",
                                      "{'a':1}",
                                      "01",
                                      "-",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "1e+",
                                      "+1",
                                      "--1",
                                      "1.2.3",
                                      "0x10",
                                      "tru",
                                      "nulL",
                                      "true1",
                                      "{}x",
                                      "[]]",
                                      "{\"a\":1]",
                                      "[1}",
                                      "// c\n1",
                                      "\"a",
                                      "\"\\x\"",
                                      "\"\\u12g4\"",
                                      "\"\\u123\"",
                                      "\"\t\"",
                                      "\"a\nb\"",
                                      "\xef\xbb\xbf{}",
                                      "\"\xff\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xc0\x80\"",
                                      "NaN",
                                      "1,2",
                                      "\"\\",
                                      "{\"a\"",
                                      "{1:2}",
                                      "[true false]",
                                      "\"\xe2\x82\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char shape[256];
        shape_of(bytes_of(bad[i]), shape, sizeof shape);
        ck_assert_msg(shape[strlen(shape) - 1] == '!', "'%s' was accepted: %s", bad[i], shape);
    }
    char shape[16];
    shape_of(bytes_make("\"a\0b\"", 5), shape, sizeof shape);
    ck_assert_str_eq(shape, "!");
}
END_TEST

START_TEST(depth_is_bounded)
{
    char text[2 * JSON_MAX_DEPTH + 3];
    memset(text, '[', JSON_MAX_DEPTH);
    memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    struct json_reader r = json_reader_make(bytes_make(text, 2 * (size_t)JSON_MAX_DEPTH));
    ck_assert(json_skip_value(&r));
    ck_assert_int_eq(json_next(&r), JSON_END);

    memset(text, '[', JSON_MAX_DEPTH + 1);
    r = json_reader_make(bytes_make(text, (size_t)JSON_MAX_DEPTH + 1));
    ck_assert(!json_skip_value(&r));
    ck_assert_str_eq(r.problem, "nested too deeply");
}
END_TEST

START_TEST(an_error_names_line_and_column)
{
    struct error err;
    struct json_reader r = json_reader_make(bytes_of("{\n  \"a\": 1,\n  \"b\": x\n}"));
    while (json_next(&r) != JSON_ERROR)
        ck_assert_uint_lt(r.at, r.text.len);
    expect_fail(json_fail(&r, &err), FAIL_INVALID);
    ck_assert_str_eq(err.cause, "line 3, column 8: a value must stand here");
}
END_TEST

START_TEST(skips_a_value_of_any_shape)
{
    struct json_reader r =
        json_reader_make(bytes_of("{\"skip\":{\"a\":[1,{\"b\":2}]},\"n\":7,\"last\":[]}"));
    ck_assert_int_eq(json_next(&r), JSON_OBJECT_OPEN);
    ck_assert_int_eq(json_next(&r), JSON_KEY);
    ck_assert(json_skip_value(&r));
    ck_assert_int_eq(json_next(&r), JSON_KEY);
    expect_text(r.span, "n");
    ck_assert(json_skip_value(&r));
    ck_assert_int_eq(json_next(&r), JSON_KEY);
    expect_text(r.span, "last");
    ck_assert(json_skip_value(&r));
    ck_assert_int_eq(json_next(&r), JSON_OBJECT_CLOSE);
    ck_assert_int_eq(json_next(&r), JSON_END);
}
END_TEST

START_TEST(strings_decode_to_utf8)
{
    static const struct {
        const char *span, *text;
    } cases[] = {
        {"plain", "plain"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac"},
        {"\\ud83d\\udc4b!", "\xf0\x9f\x91\x8b!"},
        {"\\ud800x", "\xef\xbf\xbdx"},
        {"\\udc4b\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\\ud83d\\n", "\xef\xbf\xbd\n"},
        {"\\ud83d\\ud83d\\udc4b", "\xef\xbf\xbd\xf0\x9f\x91\x8b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = {.max_bytes = 64};
        ck_assert(json_string_decode(bytes_of(cases[i].span), &out));
        expect_text(buffer_bytes(&out), cases[i].text);
        ck_assert(json_string_equals(bytes_of(cases[i].span), cases[i].text));
        ck_assert(!json_string_equals(bytes_of(cases[i].span), "other"));
        buffer_clear(&out);
    }
    ck_assert(!json_string_equals(bytes_of("ab\\n"), "ab"));
    ck_assert(!json_string_equals(bytes_of("\\u0061"), "ab"));
    struct buffer small = {.max_bytes = 3};
    ck_assert(!json_string_decode(bytes_of("a\\ud83d\\udc4b"), &small));
    buffer_clear(&small);
}
END_TEST

START_TEST(integers_are_exact)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {{"0", true, 0},
                 {"-0", true, 0},
                 {"9223372036854775807", true, INT64_MAX},
                 {"-9223372036854775808", true, INT64_MIN},
                 {"9223372036854775808", false, 0},
                 {"-9223372036854775809", false, 0},
                 {"9007199254740993", true, 9007199254740993},
                 {"12.0", true, 12},
                 {"1.50e1", true, 15},
                 {"1200e-2", true, 12},
                 {"0.0012e4", true, 12},
                 {"1e18", true, 1000000000000000000},
                 {"1e19", false, 0},
                 {"1.5", false, 0},
                 {"1e-1", false, 0},
                 {"0e99999999999", true, 0},
                 {"1e99999999999", false, 0},
                 {"", false, 0},
                 {"12x", false, 0},
                 {" 1", false, 0},
                 {"+1", false, 0},
                 {"007", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        ck_assert_msg(json_int64(bytes_of(cases[i].text), &value) == cases[i].ok, "'%s'",
                      cases[i].text);
        ck_assert_msg(value == cases[i].value, "'%s' is %lld", cases[i].text, (long long)value);
    }
    uint64_t big;
    ck_assert(json_uint64(bytes_of("18446744073709551615"), &big));
    ck_assert(big == UINT64_MAX);
    ck_assert(!json_uint64(bytes_of("18446744073709551616"), &big));
    ck_assert(!json_uint64(bytes_of("-1"), &big));
    ck_assert(json_uint64(bytes_of("1795216470555000000"), &big));
    ck_assert(big == UINT64_C(1795216470555000000));
}
END_TEST

START_TEST(doubles_read_as_written)
{
    double value;
    ck_assert(json_double(bytes_of("0.01554"), &value) && value == 0.01554);
    ck_assert(json_double(bytes_of("-1.5e-7"), &value) && value == -1.5e-7);
    ck_assert(json_double(bytes_of("NaN"), &value) && isnan(value));
    ck_assert(json_double(bytes_of("-Infinity"), &value) && value == -INFINITY);
    ck_assert(!json_double(bytes_of("1e400"), &value));
    ck_assert(!json_double(bytes_of("inf"), &value));
    ck_assert(!json_double(bytes_of("0x1p3"), &value));
    ck_assert(!json_double(bytes_of(""), &value));
    char many[200];
    memset(many, '0', sizeof many);
    many[0] = '7';
    ck_assert(json_double(bytes_make(many, sizeof many), &value) && value == 7e199);
}
END_TEST

START_TEST(cleaning_keeps_all_that_is_valid)
{
    static const struct {
        const char *text;
        size_t len;
        const char *clean;
    } cases[] = {
        {"plain \xc3\xa9 \xf0\x9f\x91\x8b", 13, "plain \xc3\xa9 \xf0\x9f\x91\x8b"},
        {"a\0b", 3,
         "a\xef\xbf\xbd"
         "b"},
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"x\xe2\x82", 3, "x\xef\xbf\xbd"},
        {"\xe2\x82y", 3, "\xef\xbf\xbdy"},
        {"\xf5\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"", 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = {.max_bytes = 64};
        ck_assert(utf8_append_clean(bytes_make(cases[i].text, cases[i].len), &out));
        expect_text(buffer_bytes(&out), cases[i].clean);
        buffer_clear(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reader");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, reads_every_kind_of_value);
    tcase_add_test(tests, refuses_what_lenient_parsers_let_through);
    tcase_add_test(tests, depth_is_bounded);
    tcase_add_test(tests, an_error_names_line_and_column);
    tcase_add_test(tests, skips_a_value_of_any_shape);
    tcase_add_test(tests, strings_decode_to_utf8);
    tcase_add_test(tests, integers_are_exact);
    tcase_add_test(tests, doubles_read_as_written);
    tcase_add_test(tests, cleaning_keeps_all_that_is_valid);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
