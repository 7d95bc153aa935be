#include "server/auth/gate.h"

#include <pthread.h>
#include <stdio.h>

#include "tests/support/expect.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_control.h"

static struct memory_control control;
static struct manual_clock manual;
static struct clock clock_table;
static struct gate *gate;
static char token_text[TOKEN_BYTES];
static struct control_token token;
static struct error err;
static uint32_t wait_s;

static void add_token(uint32_t records_per_s)
{
    struct control_token t = {.system_id = 1, .records_per_s = records_per_s};
    token_mint(token_text);
    token_hash(bytes_of(token_text), t.sha256);
    expect_ok(control.store.kind->token_create(&control.store, &t, &t.id, &err));
}

static void set_up(void)
{
    memory_control_init(&control);
    manual = (struct manual_clock){.wall_ns = 1000000 * NS_PER_S, .monotonic_ns = NS_PER_S};
    clock_table = manual_clock_table(&manual);
    gate = gate_create(&(struct gate_options){.control = &control.store, .clock = &clock_table});
    add_token(100);
}

static void tear_down(void)
{
    gate_destroy(gate);
    memory_control_clear(&control);
}

static enum gate_outcome check(const char *credential)
{
    return gate_check(gate, bytes_of(credential), "10.0.0.1", &token, &wait_s, &err);
}

START_TEST(a_known_token_opens_and_is_looked_up_once_within_the_time_to_live)
{
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(check(token_text), GATE_OPEN);
    ck_assert_int_eq(token.system_id, 1);
    ck_assert_uint_eq(control.lookups, 1);
    manual_clock_advance_ms(&manual, 2000);
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    ck_assert_uint_eq(control.lookups, 2);
}
END_TEST

START_TEST(each_refusal_says_what_is_wrong)
{
    char other[TOKEN_BYTES];
    token_mint(other);
    ck_assert_int_eq(check(""), GATE_MISSING);
    ck_assert_int_eq(check("ct_nonsense"), GATE_MISTYPED);
    ck_assert_uint_eq(control.lookups, 0); /* the checksum spares the look-up */
    ck_assert_int_eq(check(other), GATE_UNKNOWN);
}
END_TEST

START_TEST(a_revocation_by_another_process_acts_within_two_seconds)
{
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    control.tokens[0].revoked_ns = 1;
    manual_clock_advance_ms(&manual, 1999);
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    manual_clock_advance_ms(&manual, 1);
    ck_assert_int_eq(check(token_text), GATE_REVOKED);
}
END_TEST

START_TEST(a_failing_store_is_no_answer_rather_than_a_refusal)
{
    struct gate_refusal refusals[GATE_MAX_REFUSALS + 1];
    control.failing = true;
    ck_assert_int_eq(check(token_text), GATE_NO_ANSWER);
    ck_assert_int_eq(err.kind, FAIL_IO);
    ck_assert_uint_eq(gate_refusals(gate, refusals), 0);
}
END_TEST

START_TEST(debt_is_worked_off_at_the_tokens_rate)
{
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    gate_charge(gate, &token, 1300); /* burst is 10 s of 100: 300 too many */
    ck_assert_int_eq(check(token_text), GATE_LIMITED);
    ck_assert_uint_eq(wait_s, 4);
    manual_clock_advance_ms(&manual, 2900);
    ck_assert_int_eq(check(token_text), GATE_LIMITED);
    manual_clock_advance_ms(&manual, 200);
    ck_assert_int_eq(check(token_text), GATE_OPEN);
}
END_TEST

START_TEST(an_idle_token_saves_up_no_more_than_its_burst)
{
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    manual_clock_advance_ms(&manual, 3600 * 1000);
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    gate_charge(gate, &token, 1001);
    ck_assert_int_eq(check(token_text), GATE_LIMITED);
}
END_TEST

START_TEST(refusals_are_counted_by_prefix_source_and_status)
{
    struct gate_refusal refusals[GATE_MAX_REFUSALS + 1];
    control.tokens[0].revoked_ns = 1;
    for (int i = 0; i < 3; i++)
        check(token_text);
    check("");
    ck_assert_uint_eq(gate_refusals(gate, refusals), 2);
    ck_assert_int_eq(refusals[0].status, 403);
    ck_assert_uint_eq(refusals[0].count, 3);
    ck_assert_uint_eq(strlen(refusals[0].prefix), 12);
    ck_assert_str_eq(refusals[0].source, "10.0.0.1");
    ck_assert_int_eq(refusals[1].status, 401);
}
END_TEST

START_TEST(a_storm_from_many_places_stays_bounded)
{
    struct gate_refusal refusals[GATE_MAX_REFUSALS + 1];
    char source[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(source, sizeof source, "10.0.%d.%d", i / 256, i % 256);
        gate_check(gate, bytes_of(""), source, &token, &wait_s, &err);
    }
    size_t count = gate_refusals(gate, refusals);
    ck_assert_uint_eq(count, GATE_MAX_REFUSALS + 1);
    ck_assert_str_eq(refusals[count - 1].prefix, "(others)");
    ck_assert_uint_eq(refusals[count - 1].count, 1000 - GATE_MAX_REFUSALS);
}
END_TEST

START_TEST(last_used_is_saved_once_a_minute)
{
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    expect_ok(gate_save_used(gate, &err));
    uint64_t first = control.tokens[0].activity.used_ns;
    ck_assert_uint_eq(first, manual.wall_ns);
    manual_clock_advance_ms(&manual, 30000);
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    expect_ok(gate_save_used(gate, &err));
    ck_assert_uint_eq(control.tokens[0].activity.used_ns, first);
    manual_clock_advance_ms(&manual, 31000);
    ck_assert_int_eq(check(token_text), GATE_OPEN);
    expect_ok(gate_save_used(gate, &err));
    ck_assert_uint_eq(control.tokens[0].activity.used_ns, manual.wall_ns);
}
END_TEST

static void *hammer(void *context)
{
    struct control_token mine;
    struct error error = {0};
    uint32_t wait;
    (void)context;
    for (int i = 0; i < 500; i++) {
        if (gate_check(gate, bytes_of(token_text), "10.0.0.2", &mine, &wait, &error) == GATE_OPEN)
            gate_charge(gate, &mine, 1);
        gate_check(gate, bytes_of("x"), "10.0.0.3", &mine, &wait, &error);
    }
    return NULL;
}

START_TEST(many_threads_may_pass_at_once)
{
    pthread_t threads[4];
    struct gate_refusal refusals[GATE_MAX_REFUSALS + 1];
    ck_assert_int_eq(check(token_text), GATE_OPEN); /* cached: the fake store has no lock */
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(gate_refusals(gate, refusals), 1);
    ck_assert_uint_eq(refusals[0].count, 2000);
    ck_assert_int_eq(check(token_text), GATE_LIMITED); /* 1000 of credit, 1001 charged or more */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_known_token_opens_and_is_looked_up_once_within_the_time_to_live);
    tcase_add_test(tests, each_refusal_says_what_is_wrong);
    tcase_add_test(tests, a_revocation_by_another_process_acts_within_two_seconds);
    tcase_add_test(tests, a_failing_store_is_no_answer_rather_than_a_refusal);
    tcase_add_test(tests, debt_is_worked_off_at_the_tokens_rate);
    tcase_add_test(tests, an_idle_token_saves_up_no_more_than_its_burst);
    tcase_add_test(tests, refusals_are_counted_by_prefix_source_and_status);
    tcase_add_test(tests, a_storm_from_many_places_stays_bounded);
    tcase_add_test(tests, last_used_is_saved_once_a_minute);
    tcase_add_test(tests, many_threads_may_pass_at_once);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
