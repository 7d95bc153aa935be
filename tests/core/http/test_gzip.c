#include "core/http/client.h"
#include "tests/support/expect.h"

static struct error err;
static struct buffer packed, plain;

static void setup(void)
{
    packed = (struct buffer){.max_bytes = 4 * MIB};
    plain = (struct buffer){.max_bytes = 4 * MIB};
}

static void teardown(void)
{
    buffer_clear(&packed);
    buffer_clear(&plain);
}

/* Bytes that neither repeat nor compress to nothing. */
static void fill(struct buffer *out, size_t len)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525u + 1013904223u;
        ck_assert(buffer_append_byte(out, (uint8_t)(state >> 28)));
    }
}

START_TEST(what_is_packed_comes_back)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 100000, 1000003};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buffer source = {.max_bytes = 4 * MIB};
        fill(&source, sizes[i]);
        buffer_reset(&packed);
        buffer_reset(&plain);
        ck_assert(http_gzip(buffer_bytes(&source), 1 + (int)(i % 9), &packed));
        expect_ok(http_gunzip(buffer_bytes(&packed), &plain, &err));
        ck_assert(bytes_equal(buffer_bytes(&source), buffer_bytes(&plain)));
        buffer_clear(&source);
    }
}
END_TEST

START_TEST(output_is_appended_and_a_failure_leaves_what_was_there)
{
    ck_assert(http_gzip(bytes_of("world"), 6, &packed));
    ck_assert(buffer_append_text(&plain, "hello "));
    expect_ok(http_gunzip(buffer_bytes(&packed), &plain, &err));
    expect_text(buffer_bytes(&plain), "hello world");
    expect_fail(http_gunzip(bytes_of("nonsense"), &plain, &err), FAIL_CORRUPT);
    expect_text(buffer_bytes(&plain), "hello world");
}
END_TEST

START_TEST(several_members_are_one_body)
{
    ck_assert(http_gzip(bytes_of("one "), 6, &packed));
    ck_assert(http_gzip(bytes_of("two"), 6, &packed));
    expect_ok(http_gunzip(buffer_bytes(&packed), &plain, &err));
    expect_text(buffer_bytes(&plain), "one two");
}
END_TEST

START_TEST(every_truncation_is_damage)
{
    ck_assert(http_gzip(bytes_of("the quick brown fox"), 6, &packed));
    for (size_t len = 0; len < packed.len; len++)
        expect_fail(http_gunzip(bytes_make(packed.data, len), &plain, &err), FAIL_CORRUPT);
}
END_TEST

START_TEST(a_wrong_checksum_or_trailing_bytes_are_damage)
{
    ck_assert(http_gzip(bytes_of("the quick brown fox"), 6, &packed));
    packed.data[packed.len - 8] ^= 1;
    expect_fail(http_gunzip(buffer_bytes(&packed), &plain, &err), FAIL_CORRUPT);
    packed.data[packed.len - 8] ^= 1;
    ck_assert(buffer_append_text(&packed, "xyz"));
    expect_fail(http_gunzip(buffer_bytes(&packed), &plain, &err), FAIL_CORRUPT);
}
END_TEST

START_TEST(the_ceiling_is_exact)
{
    struct buffer source = {.max_bytes = 4 * MIB};
    fill(&source, 70000);
    ck_assert(http_gzip(buffer_bytes(&source), 6, &packed));
    plain.max_bytes = 70000;
    expect_ok(http_gunzip(buffer_bytes(&packed), &plain, &err));
    buffer_clear(&plain);
    plain.max_bytes = 69999;
    expect_fail(http_gunzip(buffer_bytes(&packed), &plain, &err), FAIL_TOO_LARGE);
    ck_assert_uint_le(plain.capacity, 69999);

    struct buffer small = {.max_bytes = packed.len - 1};
    ck_assert(!http_gzip(buffer_bytes(&source), 6, &small));
    ck_assert_uint_eq(small.len, 0);
    buffer_clear(&small);
    buffer_clear(&source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gzip");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_is_packed_comes_back);
    tcase_add_test(tests, output_is_appended_and_a_failure_leaves_what_was_there);
    tcase_add_test(tests, several_members_are_one_body);
    tcase_add_test(tests, every_truncation_is_damage);
    tcase_add_test(tests, a_wrong_checksum_or_trailing_bytes_are_damage);
    tcase_add_test(tests, the_ceiling_is_exact);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
