#include <stdio.h>
#include <stdlib.h>

#include "core/otlp/json.h"
#include "core/otlp/otlp.h"
#include "core/otlp/rewrite.h"
#include "core/otlp/wire.h"
#include "tests/support/expect.h"

static struct error err;
static struct buffer request, out, second;

static void set_up(void)
{
    request = (struct buffer){.max_bytes = MIB};
    out = (struct buffer){.max_bytes = MIB};
    second = (struct buffer){.max_bytes = MIB};
}

static void tear_down(void)
{
    buffer_clear(&request);
    buffer_clear(&out);
    buffer_clear(&second);
}

static void from_json(const char *text)
{
    buffer_clear(&request);
    expect_ok(otlp_json_to_protobuf(OTLP_LOGS, bytes_of(text), &request, &err));
}

static const struct otlp_stamp owner[] = {{"user.email", "alice@example.com"}};
static const struct otlp_rewrite stamp_owner = {.stamps = owner, .stamp_count = 1};

struct claims {
    int records, stamped, claimed;
};

static bool look_for_claims(void *context, const struct otlp_log *log)
{
    struct claims *claims = context;
    struct otlp_value value;
    claims->records++;
    if (otlp_attributes_find(log->resource, "user.email", &value) &&
        bytes_equal_text(value.bytes, "alice@example.com"))
        claims->stamped++;
    if (otlp_attributes_find(log->attributes, "user.email", &value) ||
        otlp_attributes_find(log->scope.attributes, "user.email", &value))
        claims->claimed++;
    return true;
}

static void expect_stamped(int records)
{
    struct claims claims = {0};
    buffer_reset(&out);
    expect_ok(otlp_rewrite_request(OTLP_LOGS, buffer_bytes(&request), &stamp_owner, &out, &err));
    expect_ok(otlp_walk_logs(buffer_bytes(&out), look_for_claims, &claims, &err));
    ck_assert_int_eq(claims.records, records);
    ck_assert_int_eq(claims.stamped, records);
    ck_assert_int_eq(claims.claimed, 0);
}

#define CLAIM "{\"key\":\"user.email\",\"value\":{\"stringValue\":\"mallory@example.com\"}}"

static bool holds(const struct buffer *where, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= where->len; i++)
        if (memcmp(where->data + i, text, len) == 0)
            return true;
    return false;
}

START_TEST(nobody_can_claim_anothers_identity)
{
    from_json("{\"resourceLogs\":["
              "{\"resource\":{\"attributes\":[" CLAIM "," CLAIM "]},\"scopeLogs\":[{\"scope\":"
              "{\"attributes\":[" CLAIM "]},\"logRecords\":[{\"attributes\":[" CLAIM "]},{}]}]},"
              "{\"scopeLogs\":[{\"logRecords\":[{}]}]},"
              "{\"scopeLogs\":[{\"logRecords\":[{\"attributes\":[" CLAIM
              "]}]}],\"resource\":{}}]}");
    expect_stamped(4);
    ck_assert(!holds(&out, "mallory"));
}
END_TEST

/* One log record in a resource, from the parts that JSON cannot say. */
static void wrap_resource_and_record(struct bytes resources, struct bytes record)
{
    struct buffer scope = {.max_bytes = KIB}, all = {.max_bytes = KIB};
    ck_assert(wire_put_bytes(&scope, 2, record));
    ck_assert(buffer_append(&all, resources) && wire_put_bytes(&all, 2, buffer_bytes(&scope)));
    buffer_clear(&request);
    ck_assert(wire_put_bytes(&request, 1, buffer_bytes(&all)));
    buffer_clear(&scope);
    buffer_clear(&all);
}

START_TEST(a_claim_cannot_hide_behind_a_second_key_or_a_second_resource)
{
    /* The last key of a KeyValue counts, and so does the last Resource. */
    static const char two_keys[] = "\x32\x18\x0a\x05model\x12\x03\x0a\x01x\x0a\x0auser.email";
    static const char two_resources[] =
        "\x0a\x00\x0a\x15\x0a\x13\x0a\x0auser.email\x12\x05\x0a\x03m@x";
    wrap_resource_and_record(bytes_make(two_resources, sizeof two_resources - 1),
                             bytes_make(two_keys, sizeof two_keys - 1));
    uint64_t records;
    expect_ok(otlp_check(OTLP_LOGS, buffer_bytes(&request), &records, &err));
    expect_stamped(1);
    ck_assert(!holds(&out, "m@x"));
}
END_TEST

START_TEST(what_may_be_said_is_one_thing_only)
{
    static const struct otlp_stamp only[] = {{"user.email", "alice@example.com"}};
    static const struct otlp_rewrite rewrite = {.only = only, .only_count = 1};
    static const struct row {
        const char *value;
        int left;
    } rows[] = {
        {"{\"stringValue\":\"alice@example.com\"}", 1},
        {"{\"stringValue\":\"ALICE@example.com\"}", 1},
        {"{\"stringValue\":\"alice@example.co\"}", 0},
        {"{\"stringValue\":\"\"}", 0},
        {"{\"intValue\":1}", 0},
        {"{\"arrayValue\":{\"values\":[{\"stringValue\":\"alice@example.com\"}]}}", 0},
        {"{}", 0},
    };
    char text[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct claims claims = {0};
        snprintf(text, sizeof text,
                 "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"attributes\":[{\"key\":"
                 "\"user.email\",\"value\":%s},{\"key\":\"a\",\"value\":{}}]}]}]}]}",
                 rows[i].value);
        from_json(text);
        buffer_reset(&out);
        expect_ok(otlp_rewrite_request(OTLP_LOGS, buffer_bytes(&request), &rewrite, &out, &err));
        expect_ok(otlp_walk_logs(buffer_bytes(&out), look_for_claims, &claims, &err));
        ck_assert_int_eq(claims.records, 1);
        ck_assert_msg(claims.claimed == rows[i].left, "%s", rows[i].value);
    }
}
END_TEST

START_TEST(lengths_grow_and_shrink_over_every_size)
{
    for (size_t pad = 0; pad < 300; pad++) {
        char text[1024], filler[301];
        memset(filler, 'f', sizeof filler);
        filler[pad] = '\0';
        snprintf(
            text, sizeof text,
            "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"%s\",\"value\":{}}]},"
            "\"scopeLogs\":[{\"logRecords\":[{\"severityText\":\"%s\",\"attributes\":[" CLAIM
            "],\"eventName\":\"end\"}]}]}]}",
            filler, filler);
        from_json(text);
        expect_stamped(1);
        uint64_t records;
        expect_ok(otlp_check(OTLP_LOGS, buffer_bytes(&out), &records, &err));
        /* Lengths are written in their shortest form: what was stamped already stays as it is. */
        ck_assert(buffer_append(&second, buffer_bytes(&out)));
        buffer_clear(&request);
        request = second;
        second = (struct buffer){.max_bytes = MIB};
        expect_stamped(1);
        ck_assert(bytes_equal(buffer_bytes(&out), buffer_bytes(&request)));
    }
}
END_TEST

START_TEST(a_length_that_grows_past_the_ceiling_is_refused)
{
    for (size_t pad = 0; pad < 150; pad++) {
        char text[512], filler[151];
        memset(filler, 'f', sizeof filler);
        filler[pad] = '\0';
        snprintf(
            text, sizeof text,
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"severityText\":\"%s\"}]}]}]}",
            filler);
        from_json(text);
        expect_stamped(1);
        struct buffer tight = {.max_bytes = out.len - 1};
        expect_fail(otlp_rewrite_request(OTLP_LOGS, buffer_bytes(&request), &stamp_owner, &tight,
                                         &err),
                    FAIL_TOO_LARGE);
        buffer_clear(&tight);
    }
}
END_TEST

START_TEST(nothing_to_do_copies)
{
    from_json("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{},{}]}]}]}");
    struct otlp_rewrite nothing = {0};
    ck_assert(buffer_append_text(&out, "before"));
    expect_ok(otlp_rewrite_request(OTLP_LOGS, buffer_bytes(&request), &nothing, &out, &err));
    buffer_consume(&out, 6);
    ck_assert(bytes_equal(buffer_bytes(&out), buffer_bytes(&request)));
    buffer_reset(&out);
    expect_ok(otlp_rewrite_request(OTLP_LOGS, bytes_make(NULL, 0), &stamp_owner, &out, &err));
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(a_failure_leaves_the_output_as_it_was)
{
    from_json("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"attributes\":[" CLAIM
              "]},{\"severityText\":\"x\"}]}]}]}");
    expect_stamped(2);
    size_t whole = out.len;
    for (size_t room = 6; room < whole + 6; room++) {
        struct buffer small = {.max_bytes = room};
        ck_assert(buffer_append_text(&small, "before"));
        expect_fail(otlp_rewrite_request(OTLP_LOGS, buffer_bytes(&request), &stamp_owner, &small,
                                         &err),
                    FAIL_TOO_LARGE);
        expect_text(buffer_bytes(&small), "before");
        buffer_clear(&small);
    }
    buffer_reset(&out);
    for (size_t len = 1; len < request.len; len++) {
        uint64_t records;
        ck_assert(!otlp_check(OTLP_LOGS, bytes_make(request.data, len), &records, &err));
        expect_fail(otlp_rewrite_request(OTLP_LOGS, bytes_make(request.data, len), &stamp_owner,
                                         &out, &err),
                    FAIL_INVALID);
        expect_fail(otlp_split_request(OTLP_LOGS, bytes_make(request.data, len), &out, &second,
                                       &err),
                    FAIL_INVALID);
        ck_assert_uint_eq(out.len + second.len, 0);
    }
}
END_TEST

static bool gather_names(void *context, const struct otlp_log *log)
{
    return buffer_append(context, log->event_name);
}

static void expect_names(struct bytes of, const char *names)
{
    struct buffer seen = {.max_bytes = KIB};
    expect_ok(otlp_walk_logs(of, gather_names, &seen, &err));
    expect_text(buffer_bytes(&seen), names);
    buffer_clear(&seen);
}

START_TEST(halves_together_hold_the_same_records)
{
    from_json(
        "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"r\",\"value\":{}}]},"
        "\"scopeLogs\":[{\"logRecords\":[{\"eventName\":\"a\"}]},"
        "{\"logRecords\":[]},{\"logRecords\":[{\"eventName\":\"b\"},{\"eventName\":\"c\"}]}]},"
        "{\"scopeLogs\":[{\"logRecords\":[{\"eventName\":\"d\"},{\"eventName\":\"e\"}]}]}]}");
    expect_ok(otlp_split_request(OTLP_LOGS, buffer_bytes(&request), &out, &second, &err));
    expect_names(buffer_bytes(&out), "abc");
    expect_names(buffer_bytes(&second), "de");

    /* Down to single records, each still in its resource. */
    buffer_clear(&request);
    request = out;
    out = (struct buffer){.max_bytes = KIB};
    buffer_reset(&second);
    expect_ok(otlp_split_request(OTLP_LOGS, buffer_bytes(&request), &out, &second, &err));
    expect_names(buffer_bytes(&out), "ab");
    expect_names(buffer_bytes(&second), "c");
    ck_assert(holds(&second, "\x0a\x01r"));
    buffer_reset(&out);
    expect_fail(otlp_split_request(OTLP_LOGS, buffer_bytes(&second), &out, &request, &err),
                FAIL_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rewrite");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, nobody_can_claim_anothers_identity);
    tcase_add_test(tests, a_claim_cannot_hide_behind_a_second_key_or_a_second_resource);
    tcase_add_test(tests, what_may_be_said_is_one_thing_only);
    tcase_add_test(tests, lengths_grow_and_shrink_over_every_size);
    tcase_add_test(tests, a_length_that_grows_past_the_ceiling_is_refused);
    tcase_add_test(tests, nothing_to_do_copies);
    tcase_add_test(tests, a_failure_leaves_the_output_as_it_was);
    tcase_add_test(tests, halves_together_hold_the_same_records);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
