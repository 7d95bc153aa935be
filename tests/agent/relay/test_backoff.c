#include "agent/relay/backoff.h"

#include "tests/support/expect.h"

START_TEST(pauses_double_from_the_first_with_full_jitter)
{
    struct backoff b = {.first_ms = 1000, .limit_ms = 300000};
    const uint64_t tops[] = {1000, 2000, 4000, 5000, 5000};
    for (int i = 0; i < 5; i++) {
        struct backoff low = b;
        ck_assert_uint_eq(backoff_next_ms(&low, 0, 0), 100); /* never none */
        ck_assert_uint_eq(backoff_next_ms(&b, 0, tops[i] - 100), tops[i]);
    }
}
END_TEST

START_TEST(a_short_outage_never_waits_longer_than_five_first_pauses)
{
    struct backoff b = {.first_ms = 1000, .limit_ms = 300000};
    for (uint64_t now = 0; now <= 50000; now += 1000)
        for (uint64_t random = 0; random < 50; random++) {
            struct backoff copy = b;
            ck_assert_uint_le(backoff_next_ms(&copy, now, random * 7919), 5000);
            if (random == 49)
                b = copy;
        }
}
END_TEST

START_TEST(a_long_outage_waits_a_tenth_of_it_up_to_the_limit)
{
    struct backoff b = {.first_ms = 1000, .limit_ms = 300000};
    for (int i = 0; i < 30; i++)
        (void)backoff_next_ms(&b, 0, 0);
    ck_assert_uint_eq(backoff_next_ms(&b, 600000, 60000 - 100), 60000);
    ck_assert_uint_eq(backoff_next_ms(&b, 36000000, 300000 - 100), 300000);
}
END_TEST

START_TEST(a_success_starts_over)
{
    struct backoff b = {.first_ms = 1000, .limit_ms = 300000};
    for (int i = 0; i < 10; i++)
        (void)backoff_next_ms(&b, 1000000, 1);
    backoff_reset(&b);
    ck_assert_uint_eq(backoff_next_ms(&b, 2000000, 900), 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/backoff");
    TCase *tc = tcase_create("backoff");
    tcase_add_test(tc, pauses_double_from_the_first_with_full_jitter);
    tcase_add_test(tc, a_short_outage_never_waits_longer_than_five_first_pauses);
    tcase_add_test(tc, a_long_outage_waits_a_tenth_of_it_up_to_the_limit);
    tcase_add_test(tc, a_success_starts_over);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
