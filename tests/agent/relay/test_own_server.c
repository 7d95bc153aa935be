/* Exactly once to our own server: batch ids that tile the stream, repeats, overlaps. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/agent/relay/rig.h"
#include "tests/support/expect.h"
#include "tests/support/make_logs.h"
#include "tests/support/temp_dir.h"

static struct rig rig;
static struct fake_destination *fake;

static void set_up(void)
{
    rig_set_up(&rig);
    fake = rig.fake[0];
    rig.destination[0].is_own_server = true;
    fake_destination_be_own_server(fake);
}

static void tear_down(void)
{
    rig_tear_down(&rig);
}

static unsigned long header_number(const char *name)
{
    char text[64];
    fake_destination_header(fake, name, text, sizeof text);
    return strtoul(text, NULL, 10);
}

START_TEST(intervals_of_a_signal_touch_although_other_signals_lie_between)
{
    static const char metrics[] = "\x0a\x00"; /* one ResourceMetrics, empty: nothing to keep */
    rig_start(&rig);
    rig_send(&rig, 0, 1);
    ck_assert(fake_destination_wait_records(fake, 1));
    ck_assert_uint_eq(header_number("x-batch-first"), 1);
    ck_assert_uint_eq(header_number("x-batch-last"), 1);
    char stream[64];
    fake_destination_header(fake, "x-batch-stream", stream, sizeof stream);
    ck_assert_uint_eq(strlen(stream), 36);

    /* A record of another signal takes number 2: one span without content. */
    static const char spans[] = "\x0a\x04\x12\x02\x12\x00";
    ck_assert_int_eq(rig_post(&rig, "/v1/metrics", bytes_make(metrics, 2), NULL), 200);
    ck_assert_int_eq(rig_post(&rig, "/v1/traces", bytes_make(spans, 6), NULL), 200);
    ck_assert(fake_destination_wait_requests(fake, 2));
    ck_assert_uint_eq(header_number("x-batch-first"), 1);
    ck_assert_uint_eq(header_number("x-batch-last"), 2);

    rig_send(&rig, 1, 1);
    ck_assert(fake_destination_wait_records(fake, 2));
    ck_assert_uint_eq(header_number("x-batch-first"), 2);
    ck_assert_uint_eq(header_number("x-batch-last"), 3);
}
END_TEST

START_TEST(a_batch_whose_answer_was_lost_is_not_doubled)
{
    rig_start(&rig);
    rig_send(&rig, 0, 5);
    ck_assert(fake_destination_wait_records(fake, 5));
    rig_stop(&rig); /* perhaps before the position was saved */
    temp_dir_remove(xasprintf("%s/positions", rig.spool_dir)); /* and now certainly not */
    rig_start(&rig);
    rig_send(&rig, 5, 5);
    ck_assert(fake_destination_wait_records(fake, 10));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 10));
}
END_TEST

START_TEST(batches_cut_differently_after_a_restart_are_not_doubled)
{
    rig_start(&rig);
    for (unsigned i = 0; i < 12; i++) {
        rig_send(&rig, i, 1);
        ck_assert(fake_destination_wait_records(fake, i + 1)); /* a batch each */
    }
    rig_stop(&rig);
    temp_dir_remove(xasprintf("%s/positions", rig.spool_dir));
    fake_destination_down(fake);
    rig_start(&rig);
    for (unsigned i = 12; i < 20; i++)
        rig_send(&rig, i, 1);
    fake_destination_up(fake); /* old and new records now share a batch: 409, then the parts */
    ck_assert(fake_destination_wait_records(fake, 20));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 20));
    ck_assert_uint_eq(rig.state.ledger_count, 0);
    rig_expect_status(&rig, 0, RELAY_OK);
}
END_TEST

START_TEST(halves_of_a_refused_batch_keep_their_own_intervals)
{
    fake_destination_poison(fake, 9, 400);
    fake_destination_down(fake);
    rig_start(&rig);
    for (unsigned i = 0; i < 20; i++)
        rig_send(&rig, i, 1);
    fake_destination_up(fake);
    ck_assert(fake_destination_wait_records(fake, 19));
    rig_expect_no_backlog(&rig, 0);
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 1);
    ck_assert(fake_destination_has_each_once(fake, 0, 9));
    ck_assert(fake_destination_has_each_once(fake, 10, 10));
}
END_TEST

START_TEST(a_conflict_over_a_single_number_is_a_refusal_as_any_other)
{
    fake_destination_poison(fake, 9, 409); /* some other server, which numbers mean nothing to */
    fake_destination_down(fake);
    rig_start(&rig);
    for (unsigned i = 0; i < 20; i++)
        rig_send(&rig, i, 1);
    fake_destination_up(fake);
    ck_assert(fake_destination_wait_records(fake, 19));
    rig_expect_no_backlog(&rig, 0);
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/own_server");
    TCase *tc = tcase_create("own_server");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, intervals_of_a_signal_touch_although_other_signals_lie_between);
    tcase_add_test(tc, a_batch_whose_answer_was_lost_is_not_doubled);
    tcase_add_test(tc, batches_cut_differently_after_a_restart_are_not_doubled);
    tcase_add_test(tc, halves_of_a_refused_batch_keep_their_own_intervals);
    tcase_add_test(tc, a_conflict_over_a_single_number_is_a_refusal_as_any_other);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
