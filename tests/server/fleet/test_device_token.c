/* A device's token over time: the real store and gate, a clock that the test moves. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/fleet/device.h"
#include "tests/server/control_place.h"
#include "tests/support/expect.h"
#include "tests/support/manual_clock.h"

#define HOUR_MS UINT64_C(3600000)
#define DAYS_MS(n) ((n)*24 * HOUR_MS)

static struct manual_clock manual;
static struct clock table;
static struct control_store *store;
static struct gate *gate;
static struct fleet fleet;
static struct fleet_device device; /* as it enrolled */
static struct error err;
static char enrolled[TOKEN_BYTES];

static void set_up(void)
{
    struct control_system home;
    store = control_store_open(control_place_make(), &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
    expect_ok(store->kind->system_create(store, "claude-code", 1, &home, &err));
    manual = (struct manual_clock){.wall_ns = UINT64_C(1800000000) * NS_PER_S};
    table = manual_clock_table(&manual);
    gate = gate_create(&(struct gate_options){.control = store, .clock = &table});
    fleet = (struct fleet){
        .options = {.control = store, .gate = gate, .clock = &table, .device_token_days = 90},
        .store = store->kind->fleet,
    };
    device = (struct fleet_device){.system_id = home.id,
                                   .hardware_id = "hw-1",
                                   .device_id = "id-a",
                                   .owner = "alice@example.com"};
    expect_ok(fleet_create_token(&fleet, &device, enrolled, &device.token_id, &err));
    expect_ok(fleet.store->device_enroll(store, &device, manual.wall_ns, &err));
}

static void tear_down(void)
{
    gate_destroy(gate);
    store->kind->close(store);
    control_place_remove();
}

/* Any use, ingest or heartbeat, passes the gate. */
static enum gate_outcome use(const char *text, struct control_token *token)
{
    uint32_t wait_s;
    return gate_check(gate, bytes_of(text), "127.0.0.1", token, &wait_s, &err);
}

static void expect_use(const char *text, enum gate_outcome outcome)
{
    struct control_token token;
    ck_assert_int_eq(use(text, &token), outcome);
    if (outcome == GATE_OPEN) {
        ck_assert_str_eq(token.device, "id-a");
        ck_assert_int_eq(token.device_id, device.id);
        ck_assert_str_eq(token.person, "alice@example.com");
    }
}

/* What a heartbeat with this token is answered; false: with no new one. */
static bool beat(const char *text, char renewed[TOKEN_BYTES])
{
    struct control_token token;
    struct fleet_device found;
    ck_assert_int_eq(use(text, &token), GATE_OPEN);
    expect_ok(fleet.store->device_of_token(store, token.id, &found, &err));
    return fleet_renew_token(&fleet, &found, renewed);
}

static bool count_token(void *context, const struct control_token *token)
{
    int *counts = context;
    counts[token->revoked_ns != 0]++;
    return true;
}

static void expect_tokens(int valid, int revoked)
{
    int counts[2] = {0};
    expect_ok(store->kind->token_list(store, count_token, counts, &err));
    ck_assert_int_eq(counts[0], valid);
    ck_assert_int_eq(counts[1], revoked);
}

/* Past what the gate remembers. */
static void pass_memory(void)
{
    manual_clock_advance_ms(&manual, 2001);
}

START_TEST(a_token_is_renewed_once_it_is_old_and_the_old_one_ends_with_the_first_use)
{
    char next[TOKEN_BYTES], none[TOKEN_BYTES];
    manual_clock_advance_ms(&manual, DAYS_MS(90) - 1);
    ck_assert(!beat(enrolled, none));
    manual_clock_advance_ms(&manual, 1);
    ck_assert(beat(enrolled, next));
    ck_assert_str_ne(next, enrolled);
    pass_memory();
    expect_use(enrolled, GATE_OPEN);
    expect_use(next, GATE_OPEN);
    expect_tokens(1, 1);
    pass_memory();
    expect_use(enrolled, GATE_REVOKED);
    expect_use(next, GATE_OPEN);
    ck_assert(!beat(next, none));
    manual_clock_advance_ms(&manual, DAYS_MS(90));
    ck_assert(beat(next, none));
}
END_TEST

START_TEST(lost_answers_cost_nothing_and_leave_nothing)
{
    char lost[TOKEN_BYTES], next[TOKEN_BYTES];
    manual_clock_advance_ms(&manual, DAYS_MS(91));
    for (int i = 0; i < 5; i++) {
        ck_assert(beat(enrolled, lost));
        expect_tokens(2, 0);
        manual_clock_advance_ms(&manual, 60000);
    }
    ck_assert(beat(enrolled, next));
    expect_use(lost, GATE_UNKNOWN);
    expect_use(enrolled, GATE_OPEN);
    expect_use(next, GATE_OPEN);
    expect_tokens(1, 1);
}
END_TEST

START_TEST(zero_days_a_goodbye_and_another_token_meanwhile_renew_nothing)
{
    char none[TOKEN_BYTES], again[TOKEN_BYTES];
    struct fleet_device found;
    manual_clock_advance_ms(&manual, DAYS_MS(1000));
    fleet.options.device_token_days = 0;
    ck_assert(!beat(enrolled, none));
    fleet.options.device_token_days = 90;
    expect_ok(fleet.store->device_of_token(store, device.token_id, &found, &err));
    found.disconnected = true;
    ck_assert(!fleet_renew_token(&fleet, &found, none));
    found.disconnected = false;

    /* It enrols again while a heartbeat is under way. */
    struct fleet_device renewed = device;
    expect_ok(fleet_create_token(&fleet, &renewed, again, &renewed.token_id, &err));
    expect_ok(fleet.store->device_enroll(store, &renewed, manual.wall_ns, &err));
    ck_assert(!fleet_renew_token(&fleet, &found, none));
    expect_tokens(1, 1);
}
END_TEST

START_TEST(what_ends_the_token_in_force_ends_the_pending_one)
{
    char next[TOKEN_BYTES], id[24], again[TOKEN_BYTES];
    manual_clock_advance_ms(&manual, DAYS_MS(91));
    ck_assert(beat(enrolled, next));
    snprintf(id, sizeof id, "%lld", (long long)device.token_id);
    expect_ok(store->kind->token_revoke(store, id, manual.wall_ns, &err));
    pass_memory();
    expect_use(enrolled, GATE_REVOKED);
    expect_use(next, GATE_UNKNOWN);

    expect_ok(fleet_create_token(&fleet, &device, again, &device.token_id, &err));
    expect_ok(fleet.store->device_enroll(store, &device, manual.wall_ns, &err));
    expect_use(next, GATE_REVOKED);
    expect_use(again, GATE_OPEN);
}
END_TEST

static Suite *make_suite(const char *kind)
{
    Suite *suite = suite_create(kind);
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests,
                   a_token_is_renewed_once_it_is_old_and_the_old_one_ends_with_the_first_use);
    tcase_add_test(tests, lost_answers_cost_nothing_and_leave_nothing);
    tcase_add_test(tests, zero_days_a_goodbye_and_another_token_meanwhile_renew_nothing);
    tcase_add_test(tests, what_ends_the_token_in_force_ends_the_pending_one);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return control_places_run(make_suite);
}
