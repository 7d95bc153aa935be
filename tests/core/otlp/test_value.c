#include <math.h>

#include "core/otlp/otlp.h"
#include "core/otlp/wire.h"
#include "tests/support/expect.h"

static struct otlp_value string_value(const char *text)
{
    return (struct otlp_value){.kind = OTLP_VALUE_STRING, .bytes = bytes_of(text)};
}

static struct otlp_value int_value(int64_t integer)
{
    return (struct otlp_value){.kind = OTLP_VALUE_INT, .integer = integer};
}

static struct otlp_value double_value(double number)
{
    return (struct otlp_value){.kind = OTLP_VALUE_DOUBLE, .number = number};
}

START_TEST(numbers_count_in_every_form)
{
    struct otlp_value same[] = {int_value(120), double_value(120), string_value("120"),
                                string_value("120.0"), string_value("1.2e2")};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        int64_t integer = 0;
        double number = 0;
        ck_assert_msg(otlp_value_as_int(&same[i], &integer) && integer == 120, "%zu", i);
        ck_assert_msg(otlp_value_as_double(&same[i], &number) && number == 120, "%zu", i);
    }
    struct otlp_value half = string_value("0.5");
    double number;
    ck_assert(otlp_value_as_double(&half, &number) && number == 0.5);
    struct otlp_value exact = string_value("9007199254740993");
    int64_t integer;
    ck_assert(otlp_value_as_int(&exact, &integer) && integer == 9007199254740993);
}
END_TEST

START_TEST(what_is_no_number_is_refused)
{
    struct otlp_value none[] = {string_value(""),
                                string_value("twelve"),
                                string_value("1 "),
                                string_value("NaN"),
                                double_value(NAN),
                                double_value(INFINITY),
                                {.kind = OTLP_VALUE_BOOL, .integer = 1},
                                {.kind = OTLP_VALUE_NONE}};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        int64_t integer = 7;
        double number = 7;
        ck_assert_msg(!otlp_value_as_int(&none[i], &integer) && integer == 7, "%zu", i);
        ck_assert_msg(!otlp_value_as_double(&none[i], &number) && number == 7, "%zu", i);
    }
    struct otlp_value huge = double_value(1e19), edge = double_value(9223372036854775808.0);
    int64_t integer;
    ck_assert(!otlp_value_as_int(&huge, &integer));
    ck_assert(!otlp_value_as_int(&edge, &integer));
}
END_TEST

START_TEST(truth_comes_in_three_forms)
{
    struct otlp_value yes[] = {{.kind = OTLP_VALUE_BOOL, .integer = 1},
                               string_value("true"),
                               int_value(1)};
    struct otlp_value no[] = {{.kind = OTLP_VALUE_BOOL}, string_value("false"), int_value(0)};
    struct otlp_value neither[] = {string_value("yes"), int_value(2), double_value(1)};
    for (size_t i = 0; i < 3; i++) {
        bool truth = false;
        ck_assert(otlp_value_as_bool(&yes[i], &truth) && truth);
        ck_assert(otlp_value_as_bool(&no[i], &truth) && !truth);
        ck_assert(!otlp_value_as_bool(&neither[i], &truth));
    }
}
END_TEST

static void expect_forms(struct otlp_value value, const char *text, const char *json)
{
    struct buffer out = {.max_bytes = 1024};
    ck_assert(otlp_value_as_text(&value, &out));
    expect_text(buffer_bytes(&out), text);
    buffer_reset(&out);
    ck_assert(otlp_value_as_json(&value, &out));
    expect_text(buffer_bytes(&out), json);
    buffer_clear(&out);
}

START_TEST(values_show_as_text_and_as_json)
{
    expect_forms(string_value("a\"\xff"), "a\"\xef\xbf\xbd", "\"a\\\"\xef\xbf\xbd\"");
    expect_forms(int_value(-5), "-5", "-5");
    expect_forms(double_value(0.01554), "0.01554", "0.01554");
    expect_forms(double_value(2), "2", "2");
    expect_forms(double_value(NAN), "NaN", "null");
    expect_forms((struct otlp_value){.kind = OTLP_VALUE_BOOL, .integer = 1}, "true", "true");
    expect_forms((struct otlp_value){.kind = OTLP_VALUE_NONE}, "", "null");
    expect_forms((struct otlp_value){.kind = OTLP_VALUE_BYTES, .bytes = bytes_of("abcd")},
                 "YWJjZA==", "\"YWJjZA==\"");
    expect_forms((struct otlp_value){.kind = OTLP_VALUE_BYTES, .bytes = bytes_of("abc")}, "YWJj",
                 "\"YWJj\"");
    expect_forms((struct otlp_value){.kind = OTLP_VALUE_BYTES, .bytes = bytes_of("ab")},
                 "YWI=", "\"YWI=\"");
}
END_TEST

START_TEST(arrays_and_maps_show_as_json)
{
    /* {"k": ["x", 7]} */
    struct buffer seven = {.max_bytes = 64}, x = {.max_bytes = 64}, array = {.max_bytes = 64},
                  value = {.max_bytes = 64}, pair = {.max_bytes = 64}, map = {.max_bytes = 64};
    ck_assert(wire_put_varint(&seven, 3, 7) && wire_put_bytes(&x, 1, bytes_of("x")));
    ck_assert(wire_put_bytes(&array, 1, buffer_bytes(&x)) &&
              wire_put_bytes(&array, 1, buffer_bytes(&seven)));
    ck_assert(wire_put_bytes(&value, 5, buffer_bytes(&array)));
    ck_assert(wire_put_bytes(&pair, 1, bytes_of("k")) &&
              wire_put_bytes(&pair, 2, buffer_bytes(&value)));
    ck_assert(wire_put_bytes(&map, 1, buffer_bytes(&pair)));
    expect_forms((struct otlp_value){.kind = OTLP_VALUE_KVLIST, .bytes = buffer_bytes(&map)},
                 "{\"k\":[\"x\",7]}", "{\"k\":[\"x\",7]}");
    struct buffer *all[] = {&seven, &x, &array, &value, &pair, &map};
    for (size_t i = 0; i < 6; i++)
        buffer_clear(all[i]);
}
END_TEST

static void put_attribute(struct buffer *b, const char *key, const char *text)
{
    struct buffer value = {.max_bytes = 64}, pair = {.max_bytes = 64};
    ck_assert(wire_put_bytes(&value, 1, bytes_of(text)));
    ck_assert(wire_put_bytes(&pair, 1, bytes_of(key)));
    ck_assert(wire_put_bytes(&pair, 2, buffer_bytes(&value)));
    ck_assert(wire_put_bytes(b, 6, buffer_bytes(&pair)));
    buffer_clear(&value);
    buffer_clear(&pair);
}

START_TEST(the_last_attribute_with_a_key_counts)
{
    struct buffer record = {.max_bytes = 512};
    put_attribute(&record, "a", "1");
    ck_assert(wire_put_varint(&record, 7, 3));
    put_attribute(&record, "b", "2");
    put_attribute(&record, "a", "3");
    struct otlp_attributes attributes = {.message = buffer_bytes(&record), .field = 6};
    struct otlp_value value;
    ck_assert(otlp_attributes_find(attributes, "a", &value));
    expect_text(value.bytes, "3");
    ck_assert(!otlp_attributes_find(attributes, "c", &value));

    struct otlp_attribute_reader reader = otlp_attributes_start(attributes);
    struct otlp_attribute attribute;
    int count = 0;
    while (otlp_attributes_next(&reader, &attribute))
        count++;
    ck_assert_int_eq(count, 3);
    buffer_clear(&record);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("value");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, numbers_count_in_every_form);
    tcase_add_test(tests, what_is_no_number_is_refused);
    tcase_add_test(tests, truth_comes_in_three_forms);
    tcase_add_test(tests, values_show_as_text_and_as_json);
    tcase_add_test(tests, arrays_and_maps_show_as_json);
    tcase_add_test(tests, the_last_attribute_with_a_key_counts);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
