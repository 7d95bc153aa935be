#include "core/otlp/wire.h"
#include "tests/support/expect.h"

START_TEST(what_is_written_reads_back)
{
    struct buffer b = {.max_bytes = 4096};
    char text[300];
    memset(text, 'x', sizeof text);
    ck_assert(wire_put_varint(&b, 1, UINT64_MAX));
    ck_assert(wire_put_i64(&b, 2, UINT64_C(0x1122334455667788)));
    ck_assert(wire_put_i32(&b, 3, 0x11223344));
    ck_assert(wire_put_bytes(&b, 4, bytes_of("short")));
    ck_assert(wire_put_bytes(&b, 5, bytes_make(text, sizeof text)));
    ck_assert(wire_put_double(&b, 536870911, 0.5));
    ck_assert(wire_put_bytes(&b, 6, bytes_of("")));

    struct wire_reader r = wire_reader_make(buffer_bytes(&b));
    struct wire_field f;
    ck_assert(wire_next(&r, &f) && f.number == 1 && f.type == WIRE_VARINT);
    ck_assert(f.value == UINT64_MAX);
    ck_assert(wire_next(&r, &f) && f.number == 2 && f.type == WIRE_I64);
    ck_assert(f.value == UINT64_C(0x1122334455667788));
    ck_assert(wire_next(&r, &f) && f.number == 3 && f.type == WIRE_I32 && f.value == 0x11223344);
    ck_assert(wire_next(&r, &f) && f.number == 4 && f.type == WIRE_LEN);
    expect_text(f.bytes, "short");
    ck_assert(wire_next(&r, &f) && f.number == 5 && f.bytes.len == sizeof text);
    ck_assert(wire_next(&r, &f) && f.number == 536870911 && wire_double(f.value) == 0.5);
    ck_assert(wire_next(&r, &f) && f.number == 6 && f.bytes.len == 0);
    ck_assert(!wire_next(&r, &f));
    ck_assert(!r.failed);
    buffer_clear(&b);
}
END_TEST

START_TEST(malformed_fields_are_refused)
{
    static const struct {
        const char *data;
        size_t len;
    } cases[] = {
        {"\x80", 1},     /* tag without an end */
        {"\x00\x01", 2}, /* field 0 */
        {"\x02\x00", 2}, /* field 0, LEN */
        {"\x0b\x0c", 2}, /* group */
        {"\x0e\x00", 2}, /* wire type 6 */
        {"\x0f\x00", 2}, /* wire type 7 */
        {"\x0a", 1},     /* no length */
        {"\x0a\x05"
         "abcd",
         6},                                                  /* cut short */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* length of 2^64-1 */
        {"\x09"
         "1234567",
         8}, /* I64 cut short */
        {"\x0d"
         "123",
         4},                                                      /* I32 cut short */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},     /* varint past 64 bits */
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12}, /* varint of 11 bytes */
        {"\x80\x80\x80\x80\x10\x00", 6},                          /* tag past 2^32 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire_reader r = wire_reader_make(bytes_make(cases[i].data, cases[i].len));
        struct wire_field f;
        ck_assert_msg(!wire_next(&r, &f), "case %zu", i);
        ck_assert_msg(r.failed, "case %zu", i);
        ck_assert(!wire_next(&r, &f) && r.failed);
    }
}
END_TEST

START_TEST(long_forms_of_small_numbers_are_read)
{
    struct wire_reader r = wire_reader_make(bytes_make("\x8a\x00\x82\x00"
                                                       "ab",
                                                       6));
    struct wire_field f;
    ck_assert(wire_next(&r, &f) && f.number == 1);
    expect_text(f.bytes, "ab");
    ck_assert(!wire_next(&r, &f) && !r.failed);
}
END_TEST

START_TEST(an_empty_message_has_no_fields)
{
    struct wire_reader r = wire_reader_make(bytes_make(NULL, 0));
    struct wire_field f;
    ck_assert(!wire_next(&r, &f) && !r.failed);
}
END_TEST

START_TEST(zigzag_alternates_signs)
{
    ck_assert_int_eq(wire_sint(0), 0);
    ck_assert_int_eq(wire_sint(1), -1);
    ck_assert_int_eq(wire_sint(2), 1);
    ck_assert(wire_sint(UINT64_MAX) == INT64_MIN);
    ck_assert_uint_eq(wire_varint_len(127), 1);
    ck_assert_uint_eq(wire_varint_len(128), 2);
    ck_assert_uint_eq(wire_varint_len(UINT64_MAX), 10);
}
END_TEST

START_TEST(a_field_that_does_not_fit_leaves_nothing)
{
    struct buffer b = {.max_bytes = 6};
    ck_assert(!wire_put_bytes(&b, 1, bytes_of("12345")));
    ck_assert_uint_eq(b.len, 0);
    ck_assert(wire_put_bytes(&b, 1, bytes_of("1234")));
    ck_assert(!wire_put_varint(&b, 1, 1));
    ck_assert_uint_eq(b.len, 6);
    buffer_clear(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, what_is_written_reads_back);
    tcase_add_test(tests, malformed_fields_are_refused);
    tcase_add_test(tests, long_forms_of_small_numbers_are_read);
    tcase_add_test(tests, an_empty_message_has_no_fields);
    tcase_add_test(tests, zigzag_alternates_signs);
    tcase_add_test(tests, a_field_that_does_not_fit_leaves_nothing);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
