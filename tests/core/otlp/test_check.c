#include "core/otlp/otlp.h"
#include "core/otlp/wire.h"
#include "tests/support/expect.h"

static struct buffer request;
static struct error err;

static void set_up(void)
{
    request = (struct buffer){.max_bytes = MIB};
}

static void tear_down(void)
{
    buffer_clear(&request);
}

/* Wraps what `b` holds into a field. */
static void wrap(struct buffer *b, uint32_t number)
{
    struct buffer outer = {.max_bytes = MIB};
    ck_assert(wire_put_bytes(&outer, number, buffer_bytes(b)));
    buffer_clear(b);
    *b = outer;
}

static void wrap_all(struct buffer *b, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wrap(b, numbers[i]);
}

static bool passes(enum otlp_signal signal)
{
    uint64_t records;
    return otlp_check(signal, buffer_bytes(&request), &records, &err);
}

START_TEST(an_empty_request_has_no_records)
{
    for (int signal = 0; signal < OTLP_SIGNAL_COUNT; signal++) {
        uint64_t records = 7;
        expect_ok(otlp_check((enum otlp_signal)signal, bytes_make(NULL, 0), &records, &err));
        ck_assert_uint_eq(records, 0);
    }
}
END_TEST

/* A value of `depth` arrays around a string, as the body of a log record. */
static void nest(unsigned depth)
{
    static const uint32_t up[] = {5, 2, 2, 1};
    buffer_clear(&request);
    ck_assert(wire_put_bytes(&request, 1, bytes_of("x")));
    for (unsigned i = 0; i < depth; i++) {
        wrap(&request, 1);
        wrap(&request, 5);
    }
    wrap_all(&request, up, 4);
}

START_TEST(values_nest_to_a_bound)
{
    nest(OTLP_MAX_DEPTH);
    expect_ok(passes(OTLP_LOGS));
    nest(OTLP_MAX_DEPTH + 1);
    expect_fail(passes(OTLP_LOGS), FAIL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.cause, "nested too deeply"));
}
END_TEST

START_TEST(a_fault_is_found_at_every_level)
{
    /* A field of wire type 3 at the bottom of each path, innermost field number first. */
    static const struct {
        enum otlp_signal signal;
        uint32_t up[8];
    } paths[] = {
        {OTLP_LOGS, {1}},                        /* ResourceLogs */
        {OTLP_LOGS, {1, 1}},                     /* Resource */
        {OTLP_LOGS, {3, 1, 1}},                  /* its EntityRef */
        {OTLP_LOGS, {1, 2, 1}},                  /* Scope */
        {OTLP_LOGS, {3, 1, 2, 1}},               /* its KeyValue */
        {OTLP_LOGS, {2, 6, 2, 2, 1}},            /* AnyValue of a record */
        {OTLP_LOGS, {5, 5, 2, 2, 1}},            /* ArrayValue of a body */
        {OTLP_LOGS, {1, 6, 5, 2, 2, 1}},         /* KeyValue in a map of a body */
        {OTLP_TRACES, {3, 11, 2, 2, 1}},         /* KeyValue of an event */
        {OTLP_TRACES, {4, 13, 2, 2, 1}},         /* KeyValue of a link */
        {OTLP_TRACES, {15, 2, 2, 1}},            /* Status */
        {OTLP_METRICS, {12, 2, 2, 1}},           /* metadata */
        {OTLP_METRICS, {7, 5, 1, 5, 2, 2, 1}},   /* KeyValue of a gauge's exemplar */
        {OTLP_METRICS, {7, 5, 1, 7, 2, 2, 1}},   /* of a sum's */
        {OTLP_METRICS, {7, 8, 1, 9, 2, 2, 1}},   /* of a histogram's */
        {OTLP_METRICS, {9, 1, 9, 2, 2, 1}},      /* KeyValue of a histogram point */
        {OTLP_METRICS, {7, 11, 1, 10, 2, 2, 1}}, /* exemplar of an exponential histogram */
        {OTLP_METRICS, {8, 1, 10, 2, 2, 1}},     /* Buckets */
        {OTLP_METRICS, {6, 1, 11, 2, 2, 1}},     /* ValueAtQuantile */
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        size_t depth = 0;
        while (depth < 8 && paths[i].up[depth] != 0)
            depth++;
        for (int good = 0; good < 2; good++) {
            buffer_clear(&request);
            ck_assert(
                buffer_append(&request, bytes_make(good ? "\xf8\x01\x01" : "\x0b", good ? 3 : 1)));
            wrap_all(&request, paths[i].up, depth);
            ck_assert_msg(passes(paths[i].signal) == good, "path %zu: %s", i, err.cause);
        }
        ck_assert_ptr_nonnull(strstr(err.cause, "at byte"));
    }
}
END_TEST

START_TEST(fields_of_the_wrong_wire_type_are_refused)
{
    static const uint32_t up[] = {2, 2, 1};
    ck_assert(wire_put_varint(&request, 1, 5)); /* time_unix_nano is fixed64 */
    wrap_all(&request, up, 3);
    expect_fail(passes(OTLP_LOGS), FAIL_INVALID);
    ck_assert_str_eq(err.cause, "malformed logs request at byte 6: LogRecord holds a field of the "
                                "wrong wire type");
}
END_TEST

START_TEST(repeated_numbers_may_be_packed_or_not)
{
    static const uint32_t histogram[] = {1, 9, 2, 2, 1}, buckets[] = {8, 1, 10, 2, 2, 1};
    ck_assert(wire_put_bytes(&request, 6, bytes_make("12345678abcdefgh", 16)));
    ck_assert(wire_put_i64(&request, 6, 3));
    wrap_all(&request, histogram, 5);
    expect_ok(passes(OTLP_METRICS));

    buffer_clear(&request);
    ck_assert(wire_put_bytes(&request, 6, bytes_of("123456789")));
    wrap_all(&request, histogram, 5);
    expect_fail(passes(OTLP_METRICS), FAIL_INVALID);

    buffer_clear(&request);
    ck_assert(wire_put_bytes(&request, 2, bytes_make("\x01\x80\x01", 3)));
    ck_assert(wire_put_varint(&request, 2, 300));
    wrap_all(&request, buckets, 6);
    expect_ok(passes(OTLP_METRICS));

    buffer_clear(&request);
    ck_assert(wire_put_bytes(&request, 2, bytes_make("\x01\x80", 2)));
    wrap_all(&request, buckets, 6);
    expect_fail(passes(OTLP_METRICS), FAIL_INVALID);
}
END_TEST

static bool stop_at_first(void *context, const struct otlp_log *log)
{
    (void)log;
    ++*(int *)context;
    return false;
}

START_TEST(a_visitor_may_stop)
{
    static const uint32_t up[] = {2, 1};
    int visits = 0;
    ck_assert(wire_put_bytes(&request, 2, bytes_of("")) &&
              wire_put_bytes(&request, 2, bytes_of("")));
    wrap_all(&request, up, 2);
    expect_ok(otlp_walk_logs(buffer_bytes(&request), stop_at_first, &visits, &err));
    ck_assert_int_eq(visits, 1);
    ck_assert(buffer_append_text(&request, "\x0b"));
    expect_fail(otlp_walk_logs(bytes_make("\x0b", 1), stop_at_first, &visits, &err), FAIL_INVALID);
}
END_TEST

/* The plain form that the check takes in one look agrees with reading field by field. */
START_TEST(every_cut_and_flip_of_an_attribute_is_judged_like_by_its_fields)
{
    static const uint32_t up[] = {6, 2, 2, 1};
    static const char *const values[] = {"\x0a\x05hello", "\x18\x96\x01", "\x10\x01",
                                         "!12345678"}; /* ! is 0x21: field 4, eight bytes */
    for (size_t v = 0; v < 4; v++) {
        struct buffer pair = {.max_bytes = 256};
        ck_assert(wire_put_bytes(&pair, 1, bytes_of("key")) &&
                  wire_put_bytes(&pair, 2, bytes_of(values[v])));
        for (size_t at = 0; at < pair.len; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                struct buffer one = {.max_bytes = 256}, padded = {.max_bytes = 256};
                ck_assert(buffer_append(&one, buffer_bytes(&pair)));
                one.data[at] = (uint8_t)byte;
                /* An unknown field in front keeps it from being plain. */
                ck_assert(buffer_append_text(&padded, "\xf8\x01\x01") &&
                          buffer_append(&padded, buffer_bytes(&one)));
                wrap_all(&one, up, 4);
                wrap_all(&padded, up, 4);
                uint64_t records;
                bool plain = otlp_check(OTLP_LOGS, buffer_bytes(&one), &records, &err);
                bool slow = otlp_check(OTLP_LOGS, buffer_bytes(&padded), &records, &err);
                ck_assert_msg(plain == slow, "value %zu, byte %zu = %u: %d, not %d", v, at, byte,
                              plain, slow);
                buffer_clear(&one);
                buffer_clear(&padded);
            }
        }
        buffer_clear(&pair);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_empty_request_has_no_records);
    tcase_add_test(tests, values_nest_to_a_bound);
    tcase_add_test(tests, a_fault_is_found_at_every_level);
    tcase_add_test(tests, fields_of_the_wrong_wire_type_are_refused);
    tcase_add_test(tests, repeated_numbers_may_be_packed_or_not);
    tcase_add_test(tests, a_visitor_may_stop);
    tcase_add_test(tests, every_cut_and_flip_of_an_attribute_is_judged_like_by_its_fields);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
