#include "core/otlp/answer.h"
#include "tests/support/expect.h"

static struct buffer out;

static void set_up(void)
{
    out = (struct buffer){.max_bytes = 512};
}

static void tear_down(void)
{
    buffer_clear(&out);
}

START_TEST(content_types_are_told_apart)
{
    enum otlp_encoding encoding;
    ck_assert(otlp_encoding_of(bytes_of("application/x-protobuf"), &encoding));
    ck_assert_int_eq(encoding, OTLP_PROTOBUF);
    ck_assert(otlp_encoding_of(bytes_of(" Application/JSON ; charset=utf-8"), &encoding));
    ck_assert_int_eq(encoding, OTLP_JSON);
    ck_assert(!otlp_encoding_of(bytes_of("text/plain"), &encoding));
    ck_assert(!otlp_encoding_of(bytes_of("application/jsonx"), &encoding));
    ck_assert(!otlp_encoding_of(bytes_make(NULL, 0), &encoding));
}
END_TEST

START_TEST(full_success_is_an_empty_message)
{
    ck_assert(otlp_put_response(OTLP_LOGS, OTLP_PROTOBUF, 0, NULL, &out));
    ck_assert_uint_eq(out.len, 0);
    ck_assert(otlp_put_response(OTLP_LOGS, OTLP_JSON, 0, NULL, &out));
    expect_text(buffer_bytes(&out), "{}");
}
END_TEST

START_TEST(partial_success_reads_back)
{
    for (int signal = 0; signal < OTLP_SIGNAL_COUNT; signal++) {
        for (int encoding = 0; encoding <= OTLP_JSON; encoding++) {
            struct otlp_partial_success seen;
            buffer_reset(&out);
            ck_assert(otlp_put_response((enum otlp_signal)signal, (enum otlp_encoding)encoding, 300,
                                        "too old", &out));
            ck_assert(otlp_read_response((enum otlp_encoding)encoding, buffer_bytes(&out), &seen));
            ck_assert_int_eq(seen.rejected, 300);
            expect_text(seen.message, "too old");
        }
    }
    expect_text(buffer_bytes(&out),
                "{\"partialSuccess\":{\"rejectedSpans\":\"300\",\"errorMessage\":\"too old\"}}");
}
END_TEST

START_TEST(protobuf_bytes_are_as_specified)
{
    ck_assert(otlp_put_response(OTLP_LOGS, OTLP_PROTOBUF, 5, "x", &out));
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_make("\x0a\x05\x08\x05\x12\x01x", 7)));
    buffer_reset(&out);
    ck_assert(otlp_put_status(OTLP_PROTOBUF, 400, "bad", &out));
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_make("\x08\x03\x12\x03"
                                                         "bad",
                                                         7)));
    expect_text(otlp_read_status_message(OTLP_PROTOBUF, buffer_bytes(&out)), "bad");
    buffer_reset(&out);
    ck_assert(otlp_put_status(OTLP_JSON, 401, "no \"token\"", &out));
    expect_text(buffer_bytes(&out), "{\"code\":16,\"message\":\"no \\\"token\\\"\"}");
    expect_text(otlp_read_status_message(OTLP_JSON, buffer_bytes(&out)), "no \\\"token\\\"");
}
END_TEST

START_TEST(odd_answers_count_as_success_and_are_noted)
{
    struct otlp_partial_success seen;
    const char *html = "<!DOCTYPE html><html></html>";
    ck_assert(!otlp_read_response(OTLP_PROTOBUF, bytes_of(html), &seen));
    ck_assert(!otlp_read_response(OTLP_JSON, bytes_of(html), &seen));
    ck_assert(!otlp_read_response(OTLP_JSON, bytes_of(""), &seen));
    ck_assert(!otlp_read_response(OTLP_JSON, bytes_of("{\"partialSuccess\":7}"), &seen));
    ck_assert(!otlp_read_response(OTLP_JSON, bytes_of("{} x"), &seen));
    ck_assert_int_eq(seen.rejected, 0);
    ck_assert(otlp_read_response(OTLP_PROTOBUF, bytes_of(""), &seen));
    ck_assert(otlp_read_response(
        OTLP_JSON,
        bytes_of("{\"other\":[1],\"partialSuccess\":{\"x\":{},\"rejectedLogRecords\":2}}"), &seen));
    ck_assert_int_eq(seen.rejected, 2);
    ck_assert(otlp_read_response(OTLP_JSON, bytes_of("{\"partialSuccess\":null}"), &seen));
    ck_assert_uint_eq(otlp_read_status_message(OTLP_PROTOBUF, bytes_of(html)).len, 0);
    ck_assert_uint_eq(otlp_read_status_message(OTLP_JSON, bytes_of(html)).len, 0);
}
END_TEST

START_TEST(a_full_buffer_is_left_as_it_was)
{
    struct buffer small = {.max_bytes = 6};
    ck_assert(!otlp_put_status(OTLP_PROTOBUF, 400, "too long", &small));
    ck_assert(!otlp_put_status(OTLP_JSON, 400, "too long", &small));
    ck_assert(!otlp_put_response(OTLP_LOGS, OTLP_PROTOBUF, 1, "too long", &small));
    ck_assert_uint_eq(small.len, 0);
    buffer_clear(&small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("answer");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, content_types_are_told_apart);
    tcase_add_test(tests, full_success_is_an_empty_message);
    tcase_add_test(tests, partial_success_reads_back);
    tcase_add_test(tests, protobuf_bytes_are_as_specified);
    tcase_add_test(tests, odd_answers_count_as_success_and_are_noted);
    tcase_add_test(tests, a_full_buffer_is_left_as_it_was);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
