/* The answer table of the relay towards destinations, row by row, through a whole relay. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/agent/relay/rig.h"
#include "tests/support/expect.h"
#include "tests/support/make_logs.h"

static struct rig rig;
static struct fake_destination *fake;
static struct error err;

static void set_up(void)
{
    rig_set_up(&rig);
    fake = rig.fake[0];
}

static void tear_down(void)
{
    rig_tear_down(&rig);
}

START_TEST(each_accepted_record_arrives_once)
{
    rig_start(&rig);
    for (unsigned i = 0; i < 20; i++)
        rig_send(&rig, i * 5, 5);
    ck_assert(fake_destination_wait_records(fake, 100));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 100));
    ck_assert_uint_eq(rig.state.destinations[0].sent_records_total, 100);
    ck_assert_int_eq(rig.state.destinations[0].status, RELAY_OK);
}
END_TEST

START_TEST(queued_requests_are_merged)
{
    fake_destination_answer(fake, 503, NULL, NULL);
    rig_start(&rig);
    for (unsigned i = 0; i < 50; i++)
        rig_send(&rig, i, 1);
    rig_expect_status(&rig, 0, RELAY_RETRYING);
    unsigned before = fake_destination_requests(fake);
    fake_destination_answer(fake, 200, NULL, NULL);
    ck_assert(fake_destination_wait_records(fake, 50));
    ck_assert_uint_le(fake_destination_requests(fake) - before, 25); /* probes among them */
    ck_assert(fake_destination_has_each_once(fake, 0, 50));
}
END_TEST

START_TEST(a_batch_never_exceeds_its_target_but_for_a_single_request)
{
    rig.destination[0].batch_bytes = 2000;
    fake_destination_limit(fake, 2000, 500);
    fake_destination_down(fake);
    rig_start(&rig);
    for (unsigned i = 0; i < 40; i++)
        rig_send(&rig, i, 1);
    fake_destination_up(fake);
    ck_assert(fake_destination_wait_records(fake, 40));
    rig_expect_no_backlog(&rig, 0);
    ck_assert_int_eq(rig.state.destinations[0].status, RELAY_OK);
}
END_TEST

START_TEST(no_connection_keeps_everything)
{
    fake_destination_down(fake);
    rig_start(&rig);
    rig_send(&rig, 0, 10);
    rig_expect_status(&rig, 0, RELAY_RETRYING);
    ck_assert_str_ne(rig.state.destinations[0].last_error, "");
    ck_assert_int_eq(rig.state.destinations[0].last_status, 0);
    rig_send(&rig, 10, 10);
    fake_destination_up(fake);
    ck_assert(fake_destination_wait_records(fake, 20));
    rig_expect_no_backlog(&rig, 0);
    rig_expect_status(&rig, 0, RELAY_OK);
    ck_assert(fake_destination_has_each_once(fake, 0, 20));
    ck_assert_uint_eq(rig.state.destinations[0].consecutive_failures, 0);
}
END_TEST

static const int later[] = {408, 429, 500, 502, 503, 504};

START_TEST(answers_that_mean_later_keep_everything)
{
    fake_destination_answer(fake, later[_i], NULL, NULL);
    rig_start(&rig);
    rig_send(&rig, 0, 10);
    rig_expect_status(&rig, 0, RELAY_RETRYING);
    ck_assert_int_eq(rig.state.destinations[0].last_status, later[_i]);
    ck_assert(fake_destination_wait_requests(fake, 3));
    fake_destination_answer(fake, 200, NULL, NULL);
    ck_assert(fake_destination_wait_records(fake, 10));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 10));
    ck_assert_uint_eq(rig.state.ledger_count, 0);
}
END_TEST

START_TEST(retry_after_holds_the_whole_destination)
{
    fake_destination_answer(fake, 429, "1", NULL);
    rig_start(&rig);
    rig_send(&rig, 0, 5);
    ck_assert(fake_destination_wait_requests(fake, 1));
    fake_destination_answer(fake, 200, NULL, NULL);
    rig_send(&rig, 5, 5); /* another batch must wait as well */
    ck_assert(fake_destination_wait_records(fake, 10));
    uint64_t gap = fake_destination_request_ms(fake, 1) - fake_destination_request_ms(fake, 0);
    ck_assert_uint_ge(gap, 990);
    ck_assert_uint_le(gap, 2000);
}
END_TEST

/* ---- Credentials ---- */

static atomic_int token_number;

static bool expand_token(void *context, const char *text, const struct relay_person *person,
                         struct buffer *out, struct error *e)
{
    (void)context;
    (void)person;
    int number = atomic_load(&token_number);
    if (number < 0)
        return error_set(e, FAIL_NOT_FOUND, "no token yet");
    (void)text;
    return buffer_append_format(out, "Bearer t%d\n", number);
}

static const struct relay_pair token_header[] = {{"Authorization", "Bearer ${file:/token}"}};

static void use_token(int number)
{
    atomic_store(&token_number, number);
    rig.options.callbacks.expand = expand_token;
    rig.destination[0].headers = token_header;
    rig.destination[0].header_count = 1;
    fake_destination_want_token(fake, "Bearer t2");
}

START_TEST(a_refused_credential_holds_everything_until_it_changes)
{
    use_token(1);
    rig_start(&rig);
    for (unsigned i = 0; i < 30; i++)
        rig_send(&rig, i, 1);
    rig_expect_status(&rig, 0, RELAY_AUTH_FAILED);
    ck_assert_int_eq(rig.state.destinations[0].last_status, 401);
    atomic_store(&token_number, 2); /* nobody tells the relay */
    ck_assert(fake_destination_wait_records(fake, 30));
    rig_expect_no_backlog(&rig, 0);
    rig_expect_status(&rig, 0, RELAY_OK);
    ck_assert(fake_destination_has_each_once(fake, 0, 30));
    ck_assert_uint_eq(rig.state.ledger_count, 0);
}
END_TEST

START_TEST(probes_with_a_bad_credential_are_few_and_small)
{
    use_token(1);
    rig_start(&rig);
    for (unsigned i = 0; i < 30; i++)
        rig_send(&rig, i, 1);
    rig_expect_status(&rig, 0, RELAY_AUTH_FAILED);
    unsigned seen = fake_destination_requests(fake);
    ck_assert(fake_destination_wait_requests(fake, seen + 3));
    relay_state(rig.relay, &rig.state);
    /* Concurrency may have had two under way at the first 401. */
    ck_assert_uint_le(rig.state.destinations[0].requests_total,
                      rig.state.destinations[0].consecutive_failures + 1);
    char length[32];
    fake_destination_header(fake, "content-length", length, sizeof length);
    ck_assert_uint_lt(strtoul(length, NULL, 10), 300); /* one record, not thirty */
}
END_TEST

START_TEST(a_told_relay_tries_a_new_credential_at_once)
{
    use_token(-1);
    rig.options.retry_first_ms = 60000;
    rig.options.retry_limit_ms = 600000;
    rig_start(&rig);
    rig_send(&rig, 0, 3);
    rig_expect_status(&rig, 0, RELAY_AUTH_FAILED);
    ck_assert_uint_eq(fake_destination_requests(fake), 0);
    atomic_store(&token_number, 2);
    relay_refresh_credentials(rig.relay);
    ck_assert(fake_destination_wait_records(fake, 3));
}
END_TEST

/* ---- What is refused ---- */

START_TEST(one_bad_record_among_a_thousand_is_found)
{
    fake_destination_poison(fake, 617, 400);
    fake_destination_down(fake);
    rig_start(&rig);
    for (unsigned i = 0; i < 200; i++)
        rig_send(&rig, i * 5, 5);
    fake_destination_up(fake);
    ck_assert(fake_destination_wait_records(fake, 999));
    rig_expect_no_backlog(&rig, 0);
    ck_assert_uint_eq(fake_destination_records(fake), 999);
    ck_assert_uint_eq(fake_destination_copies(fake, 617), 0);
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 1);
    ck_assert_uint_eq(rig.state.spool.quarantine_files, 1);
    ck_assert_uint_eq(rig.state.destinations[0].quarantined_records_total, 1);
    rig_expect_status(&rig, 0, RELAY_OK);
}
END_TEST

START_TEST(a_lone_bad_record_does_not_stay_for_ever)
{
    fake_destination_poison(fake, 7, 422);
    rig_start(&rig);
    rig_send(&rig, 7, 1);
    rig_expect_no_backlog(&rig, 0);
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 1);
    ck_assert_uint_eq(fake_destination_records(fake), 0);
}
END_TEST

static const int everything[] = {400, 404, 405, 413, 415};

START_TEST(a_destination_that_refuses_everything_is_held_not_drained)
{
    fake_destination_answer(fake, everything[_i], NULL, NULL);
    rig_start(&rig);
    for (unsigned i = 0; i < 20; i++)
        rig_send(&rig, i * 3, 3);
    rig_expect_status(&rig, 0, RELAY_BLOCKED);
    ck_assert(fake_destination_wait_requests(fake, fake_destination_requests(fake) + 4));
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 0);
    fake_destination_answer(fake, 200, NULL, NULL);
    ck_assert(fake_destination_wait_records(fake, 60));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 60));
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 0);
    rig_expect_status(&rig, 0, RELAY_OK);
}
END_TEST

START_TEST(too_large_batches_are_halved)
{
    fake_destination_limit(fake, 700, 413);
    fake_destination_down(fake);
    rig_start(&rig);
    for (unsigned i = 0; i < 30; i++)
        rig_send(&rig, i * 4, 4);
    fake_destination_up(fake);
    ck_assert(fake_destination_wait_records(fake, 120));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 120));
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 0);
}
END_TEST

START_TEST(a_single_record_too_large_is_quarantined)
{
    fake_destination_limit(fake, 700, 413);
    rig_start(&rig);
    struct buffer body = {0};
    make_logs(0, 3, 20, NULL, NULL, &body);
    make_logs(3, 1, 5000, NULL, NULL, &body);
    make_logs(4, 3, 20, NULL, NULL, &body);
    ck_assert_int_eq(rig_post(&rig, "/v1/logs", buffer_bytes(&body), NULL), 200);
    ck_assert(fake_destination_wait_records(fake, 6));
    rig_expect_no_backlog(&rig, 0);
    ck_assert_uint_eq(fake_destination_copies(fake, 3), 0);
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 1);
    buffer_clear(&body);
}
END_TEST

START_TEST(partial_success_goes_to_the_ledger)
{
    fake_destination_partial(fake, 2);
    rig_start(&rig);
    rig_send(&rig, 0, 5);
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_wait_records(fake, 5));
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_REJECTED), 2);
    ck_assert_uint_eq(rig.state.destinations[0].sent_records_total, 3);
    ck_assert_str_eq(rig.state.ledger[0].destination, "first");
}
END_TEST

START_TEST(a_portal_page_is_not_a_delivery)
{
    fake_destination_answer(fake, 200, NULL, "<html>log in</html>");
    rig_start(&rig);
    rig_send(&rig, 0, 5);
    rig_expect_status(&rig, 0, RELAY_BLOCKED);
    fake_destination_answer(fake, 200, NULL, NULL);
    ck_assert(fake_destination_wait_records(fake, 5));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 5));
}
END_TEST

START_TEST(a_record_that_breaks_the_destination_is_set_aside_and_tried_later)
{
    fake_destination_poison(fake, 13, 500);
    rig_start(&rig);
    for (unsigned i = 0; i < 26; i++)
        rig_send(&rig, i, 1);
    /* Everything else passes, new data too, while 13 fails again and again. */
    ck_assert(fake_destination_wait_records(fake, 25));
    for (unsigned i = 26; i < 40; i++) {
        rig_send(&rig, i, 1);
        ck_assert(fake_destination_wait_records(fake, i));
    }
    rig_expect_no_backlog(&rig, 0);
    relay_state(rig.relay, &rig.state);
    ck_assert_uint_eq(rig.state.destinations[0].set_aside_records, 1);
    rig_expect_status(&rig, 0, RELAY_OK);
    ck_assert_uint_eq(rig.state.ledger_count, 0);
    fake_destination_poison(fake, -1, 0);
    ck_assert(fake_destination_wait_records(fake, 40));
    ck_assert(fake_destination_has_each_once(fake, 0, 40));
}
END_TEST

START_TEST(a_lone_record_that_breaks_the_destination_does_not_hold_its_place)
{
    fake_destination_poison(fake, 3, 500);
    rig_start(&rig);
    rig_send(&rig, 3, 1);
    rig_expect_no_backlog(&rig, 0); /* empty requests were taken in between: it is the record */
    ck_assert_uint_eq(fake_destination_records(fake), 0);
    rig_stop(&rig);
    fake_destination_poison(fake, -1, 0);
    rig_start(&rig); /* and it is still there after a restart */
    relay_state(rig.relay, &rig.state);
    ck_assert_uint_eq(rig_lost(&rig, SPOOL_LOSS_QUARANTINED), 0);
    rig_send(&rig, 4, 1);
    ck_assert(fake_destination_wait_records(fake, 1));
    relay_state(rig.relay, &rig.state);
    ck_assert_uint_eq(rig.state.destinations[0].set_aside_records, 1);
}
END_TEST

START_TEST(requests_are_packed_but_for_large_ones_on_this_machine)
{
    char coding[32];
    struct buffer large = {0};
    rig_start(&rig);
    rig_send(&rig, 0, 1);
    ck_assert(fake_destination_wait_records(fake, 1));
    fake_destination_header(fake, "content-encoding", coding, sizeof coding);
    ck_assert_str_eq(coding, "gzip");
    make_logs(1, 700, 200, NULL, NULL, &large);
    ck_assert_uint_gt(large.len, 128 * KIB);
    ck_assert_int_eq(rig_post(&rig, "/v1/logs", buffer_bytes(&large), NULL), 200);
    buffer_clear(&large);
    ck_assert(fake_destination_wait_records(fake, 701));
    fake_destination_header(fake, "content-encoding", coding, sizeof coding);
    ck_assert_str_eq(coding, "");
    ck_assert(fake_destination_has_each_once(fake, 0, 701));
}
END_TEST

/* ---- Several destinations ---- */

START_TEST(a_dead_destination_does_not_hold_up_another)
{
    rig.options.destination_count = 2;
    fake_destination_down(rig.fake[0]);
    rig_start(&rig);
    for (unsigned i = 0; i < 30; i += 3)
        rig_send(&rig, i, 3);
    ck_assert(fake_destination_wait_records(rig.fake[1], 30));
    rig_expect_no_backlog(&rig, 1);
    ck_assert_uint_eq(rig.state.destinations[0].backlog_requests, 10);
    ck_assert_uint_eq(rig.state.destinations[0].backlog_records, 30);
    ck_assert_uint_eq(rig.state.spool.requests, 10);
    ck_assert_uint_eq(rig.state.spool.items, 30);
    fake_destination_up(rig.fake[0]);
    ck_assert(fake_destination_wait_records(rig.fake[0], 30));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(rig.fake[0], 0, 30));
    ck_assert(fake_destination_has_each_once(rig.fake[1], 0, 30));
}
END_TEST

START_TEST(a_silent_destination_does_not_hold_up_another)
{
    rig.options.destination_count = 2;
    rig.destination[0].timeout_ms = 300;
    fake_destination_hang(rig.fake[0], true);
    rig_start(&rig);
    for (unsigned i = 0; i < 30; i++)
        rig_send(&rig, i, 1);
    ck_assert(fake_destination_wait_records(rig.fake[1], 30));
    rig_expect_status(&rig, 0, RELAY_RETRYING);
    fake_destination_hang(rig.fake[0], false);
    ck_assert(fake_destination_wait_records(rig.fake[0], 30));
}
END_TEST

START_TEST(signals_that_a_destination_does_not_want_are_passed_over)
{
    rig.destination[0].url[OTLP_LOGS] = NULL;
    rig_start(&rig);
    rig_send(&rig, 0, 5);
    rig_expect_no_backlog(&rig, 0);
    ck_assert_uint_eq(fake_destination_requests(fake), 0);
}
END_TEST

/* ---- Restarts ---- */

START_TEST(a_restart_delivers_what_was_queued)
{
    fake_destination_down(fake);
    rig_start(&rig);
    for (unsigned i = 0; i < 25; i++)
        rig_send(&rig, i, 1);
    rig_stop(&rig);
    rig_start(&rig);
    rig_send(&rig, 25, 1);
    fake_destination_up(fake);
    ck_assert(fake_destination_wait_records(fake, 26));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 26));
}
END_TEST

START_TEST(draining_delivers_what_can_be_delivered)
{
    rig_start(&rig);
    for (unsigned i = 0; i < 40; i++)
        rig_send(&rig, i, 1);
    relay_drain(rig.relay, 5000);
    ck_assert_uint_eq(fake_destination_records(fake), 40);
    rig_stop(&rig);
    rig_start(&rig); /* and the position was saved */
    rig_send(&rig, 40, 1);
    ck_assert(fake_destination_wait_records(fake, 41));
    ck_assert(fake_destination_has_each_once(fake, 0, 41));
}
END_TEST

START_TEST(draining_does_not_wait_for_a_dead_destination)
{
    fake_destination_down(fake);
    rig_start(&rig);
    rig_send(&rig, 0, 5);
    relay_drain(rig.relay, 60000);
    rig_stop(&rig);
    fake_destination_up(fake);
    rig_start(&rig);
    ck_assert(fake_destination_wait_records(fake, 5));
}
END_TEST

START_TEST(a_reload_moves_changed_destinations_only)
{
    rig.options.destination_count = 2;
    rig_start(&rig);
    rig_send(&rig, 0, 5);
    rig_expect_no_backlog(&rig, 0);
    rig_expect_no_backlog(&rig, 1);
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        rig.destination[0].url[s] = fake_destination_url(rig.fake[1], (enum otlp_signal)s);
    expect_ok(relay_reload(rig.relay, &rig.options, &err));
    relay_state(rig.relay, &rig.state);
    ck_assert_uint_eq(rig.state.destinations[0].sent_records_total, 0); /* made anew */
    ck_assert_uint_eq(rig.state.destinations[1].sent_records_total, 5); /* undisturbed */
    rig_send(&rig, 5, 5);
    ck_assert(fake_destination_wait_records(rig.fake[1], 15));
    ck_assert_uint_eq(fake_destination_records(rig.fake[0]), 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/forward");
    TCase *tc = tcase_create("forward");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, each_accepted_record_arrives_once);
    tcase_add_test(tc, queued_requests_are_merged);
    tcase_add_test(tc, a_batch_never_exceeds_its_target_but_for_a_single_request);
    tcase_add_test(tc, no_connection_keeps_everything);
    tcase_add_loop_test(tc, answers_that_mean_later_keep_everything, 0,
                        (int)(sizeof later / sizeof *later));
    tcase_add_test(tc, retry_after_holds_the_whole_destination);
    tcase_add_test(tc, a_refused_credential_holds_everything_until_it_changes);
    tcase_add_test(tc, probes_with_a_bad_credential_are_few_and_small);
    tcase_add_test(tc, a_told_relay_tries_a_new_credential_at_once);
    tcase_add_test(tc, one_bad_record_among_a_thousand_is_found);
    tcase_add_test(tc, a_lone_bad_record_does_not_stay_for_ever);
    tcase_add_loop_test(tc, a_destination_that_refuses_everything_is_held_not_drained, 0,
                        (int)(sizeof everything / sizeof *everything));
    tcase_add_test(tc, too_large_batches_are_halved);
    tcase_add_test(tc, a_single_record_too_large_is_quarantined);
    tcase_add_test(tc, partial_success_goes_to_the_ledger);
    tcase_add_test(tc, a_portal_page_is_not_a_delivery);
    tcase_add_test(tc, a_record_that_breaks_the_destination_is_set_aside_and_tried_later);
    tcase_add_test(tc, a_lone_record_that_breaks_the_destination_does_not_hold_its_place);
    tcase_add_test(tc, requests_are_packed_but_for_large_ones_on_this_machine);
    tcase_add_test(tc, a_dead_destination_does_not_hold_up_another);
    tcase_add_test(tc, a_silent_destination_does_not_hold_up_another);
    tcase_add_test(tc, signals_that_a_destination_does_not_want_are_passed_over);
    tcase_add_test(tc, a_restart_delivers_what_was_queued);
    tcase_add_test(tc, draining_delivers_what_can_be_delivered);
    tcase_add_test(tc, draining_does_not_wait_for_a_dead_destination);
    tcase_add_test(tc, a_reload_moves_changed_destinations_only);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
