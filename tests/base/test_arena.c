#include "base/arena.h"
#include "tests/support/expect.h"

START_TEST(an_arena_never_passes_its_ceiling)
{
    struct arena arena = {.max_bytes = 256};
    ck_assert_ptr_nonnull(arena_alloc(&arena, 200));
    ck_assert_ptr_null(arena_alloc(&arena, 64));
    ck_assert_ptr_nonnull(arena_alloc(&arena, 16));
    ck_assert_ptr_null(arena_alloc_many(&arena, SIZE_MAX / 2, 4));
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
    ck_assert_uint_le(arena.used_bytes, 256);
    arena_clear(&arena);
}
END_TEST

START_TEST(copies_stay_where_they_are_while_the_arena_grows)
{
    struct arena arena = {.max_bytes = 2 * MIB};
    struct bytes first;
    ck_assert(arena_copy(&arena, bytes_of("first"), &first));
    uint8_t *big = arena_alloc(&arena, MIB);
    ck_assert_ptr_nonnull(big);
    for (size_t i = 0; i < MIB; i += 4096)
        ck_assert_uint_eq(big[i], 0);
    big[MIB - 1] = 1;
    expect_text(first, "first");
    ck_assert_uint_eq(first.data[5], 0);
    arena_clear(&arena);
}
END_TEST

START_TEST(a_reset_arena_is_empty_and_usable)
{
    struct arena arena = {.max_bytes = 128 * KIB};
    for (int round = 0; round < 3; round++) {
        ck_assert_ptr_nonnull(arena_alloc(&arena, 100 * KIB));
        ck_assert_ptr_null(arena_alloc(&arena, 100 * KIB));
        arena_reset(&arena);
        ck_assert_uint_eq(arena.used_bytes, 0);
        uint64_t *zeroed = arena_alloc(&arena, sizeof *zeroed);
        ck_assert_uint_eq(*zeroed, 0);
        *zeroed = UINT64_MAX;
        arena_reset(&arena);
    }
    arena_clear(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, an_arena_never_passes_its_ceiling);
    tcase_add_test(tests, copies_stay_where_they_are_while_the_arena_grows);
    tcase_add_test(tests, a_reset_arena_is_empty_and_usable);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
