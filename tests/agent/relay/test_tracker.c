#include "agent/relay/tracker.h"

#include "tests/support/expect.h"

START_TEST(the_position_waits_for_the_oldest_open_record)
{
    struct tracker t = {0};
    uint64_t position = 0;
    tracker_add(&t, 3, 1);
    tracker_add(&t, 5, 1);
    tracker_add(&t, 9, 0); /* not for this destination */
    ck_assert(!tracker_advance(&t, &position));
    tracker_finish(&t, 5);
    ck_assert(!tracker_advance(&t, &position));
    tracker_finish(&t, 3);
    ck_assert(tracker_advance(&t, &position));
    ck_assert_uint_eq(position, 9);
    ck_assert_uint_eq(t.count, 0);
    tracker_clear(&t);
}
END_TEST

START_TEST(a_divided_record_is_done_when_every_piece_is)
{
    struct tracker t = {0};
    uint64_t position = 0;
    tracker_add(&t, 1, 1);
    tracker_divide(&t, 1);
    tracker_divide(&t, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert(!tracker_advance(&t, &position));
        tracker_finish(&t, 1);
    }
    ck_assert(tracker_advance(&t, &position));
    ck_assert_uint_eq(position, 1);
    tracker_clear(&t);
}
END_TEST

START_TEST(the_ring_grows_while_it_wraps)
{
    struct tracker t = {0};
    uint64_t position = 0;
    uint64_t added = 0;
    uint64_t finished = 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 13; i++)
            tracker_add(&t, ++added * 2, 1);
        for (int i = 0; i < 7; i++) {
            tracker_finish(&t, ++finished * 2);
            ck_assert(tracker_advance(&t, &position));
            ck_assert_uint_eq(position, finished * 2);
        }
    }
    ck_assert_uint_eq(t.count, added - finished);
    tracker_clear(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/tracker");
    TCase *tc = tcase_create("tracker");
    tcase_add_test(tc, the_position_waits_for_the_oldest_open_record);
    tcase_add_test(tc, a_divided_record_is_done_when_every_piece_is);
    tcase_add_test(tc, the_ring_grows_while_it_wraps);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
