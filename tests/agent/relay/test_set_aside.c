#include "agent/relay/set_aside.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *dir;

static void set_up(void)
{
    dir = temp_dir_make();
}

static void tear_down(void)
{
    temp_dir_remove(dir);
}

static const struct set_aside_record sample = {.sequence = 77,
                                               .covers_from = 70,
                                               .received_ns = 123,
                                               .signal = OTLP_TRACES,
                                               .item_count = 5,
                                               .is_piece = true,
                                               .user = {(const uint8_t *)"al\0a@x", 6},
                                               .payload = {(const uint8_t *)"body", 4}};

START_TEST(a_record_set_aside_survives_a_restart_whole)
{
    struct set_aside *s = set_aside_create(&fs_real, dir, "span", MIB, 0, &err);
    expect_ok(set_aside_add(s, &sample, 500, &err));
    set_aside_destroy(s);

    uint64_t next = 0;
    s = set_aside_create(&fs_real, dir, "span", MIB, 1000, &err);
    ck_assert_uint_eq(set_aside_count(s), 1);
    ck_assert_uint_eq(set_aside_items(s), 5);
    ck_assert_uint_eq(set_aside_due(s, 1000, &next), 0);
    uint64_t id = set_aside_due(s, next, &next);
    ck_assert_uint_ne(id, 0);

    struct buffer hold = {.max_bytes = MIB};
    struct set_aside_record out;
    expect_ok(set_aside_read(s, id, &hold, &out, &err));
    ck_assert_uint_eq(out.sequence, 77);
    ck_assert_uint_eq(out.covers_from, 70);
    ck_assert_uint_eq(out.received_ns, 123);
    ck_assert_int_eq(out.signal, OTLP_TRACES);
    ck_assert_uint_eq(out.item_count, 5);
    ck_assert(out.is_piece);
    ck_assert(bytes_equal(out.user, sample.user));
    expect_text(out.payload, "body");

    set_aside_remove(s, id);
    set_aside_destroy(s);
    s = set_aside_create(&fs_real, dir, "span", MIB, 1000, &err);
    ck_assert_uint_eq(set_aside_count(s), 0);
    set_aside_destroy(s);
    buffer_clear(&hold);
}
END_TEST

START_TEST(the_store_is_bounded_in_bytes)
{
    struct set_aside *s = set_aside_create(&fs_real, dir, "span", 100, 0, &err);
    expect_ok(set_aside_add(s, &sample, 0, &err));
    expect_fail(set_aside_add(s, &sample, 0, &err), FAIL_NO_SPACE);
    set_aside_destroy(s);
}
END_TEST

START_TEST(a_damaged_file_is_noticed)
{
    struct set_aside *s = set_aside_create(&fs_real, dir, "span", MIB, 0, &err);
    expect_ok(set_aside_add(s, &sample, 0, &err));
    char *path = xasprintf("%s/aside/span/%020d.req", dir, 1);
    struct buffer file = {.max_bytes = MIB};
    expect_ok(fs_read_file(&fs_real, path, &file, &err));
    file.data[file.len - 1] ^= 1;
    expect_ok(fs_replace_file(&fs_real, path, buffer_bytes(&file), 0600, &err));
    struct set_aside_record out;
    expect_fail(set_aside_read(s, 1, &file, &out, &err), FAIL_CORRUPT);
    free(path);
    buffer_clear(&file);
    set_aside_destroy(s);
}
END_TEST

START_TEST(a_postponed_record_is_due_later)
{
    struct set_aside *s = set_aside_create(&fs_real, dir, "span", MIB, 0, &err);
    uint64_t next = 0;
    expect_ok(set_aside_add(s, &sample, 100, &err));
    ck_assert_uint_eq(set_aside_due(s, 99, &next), 0);
    ck_assert_uint_eq(next, 100);
    set_aside_postpone(s, set_aside_due(s, 100, &next), 900);
    ck_assert_uint_eq(set_aside_due(s, 899, &next), 0);
    ck_assert_uint_eq(set_aside_tries(s, 1), 1);
    set_aside_destroy(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/set_aside");
    TCase *tc = tcase_create("set_aside");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_record_set_aside_survives_a_restart_whole);
    tcase_add_test(tc, the_store_is_bounded_in_bytes);
    tcase_add_test(tc, a_damaged_file_is_noticed);
    tcase_add_test(tc, a_postponed_record_is_due_later);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
