/* Size, age and free-disk limits; a full, slow-moving or read-only disk; clocks that jump. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/agent/relay/spool_rig.h"
#include "tests/support/expect.h"

static struct error err;

#define DAY_NS (UINT64_C(86400) * NS_PER_S)

static void set_up(void)
{
    rig_set_up(1);
}

static bool append(enum otlp_signal signal, size_t len)
{
    uint8_t *bytes = xcalloc(1, len);
    struct spool_record record = {.received_ns = now.wall_ns,
                                  .signal = signal,
                                  .item_count = 1,
                                  .payload = bytes_make(bytes, len)};
    bool ok = spool_append(spool, &record, &err) && spool_commit(spool, &err);
    free(bytes);
    return ok;
}

static uint64_t read_all(struct spool_cursor *c)
{
    struct spool_record record;
    uint64_t count = 0;
    err.kind = FAIL_NONE;
    while (spool_cursor_read(c, &hold, &record, &err))
        count++;
    ck_assert_msg(err.kind == FAIL_NONE, "%s", err.cause);
    return count;
}

START_TEST(the_size_limit_evicts_the_oldest_and_accounts_for_each_item_per_destination)
{
    options.max_bytes = 100000;
    open_spool();
    struct spool_cursor *ahead = cursor("ahead"), *behind = cursor("behind");
    for (int i = 0; i < 100; i++)
        expect_ok(append(OTLP_LOGS, 200));
    expect_ok(spool_cursor_done(ahead, 30, &err));
    for (int i = 0; i < 900; i++)
        expect_ok(append(OTLP_LOGS, 200));
    ck_assert_uint_le(fault_fs_bytes(disk), 100000 + 8192);
    uint64_t gone = lost(SPOOL_LOSS_EVICTED_SIZE, "behind");
    ck_assert_uint_gt(gone, 600);
    ck_assert_uint_eq(lost(SPOOL_LOSS_EVICTED_SIZE, "ahead"), gone - 30);
    ck_assert_uint_eq(read_all(behind), 1000 - gone);
    ck_assert_uint_eq(read_all(ahead), 1000 - gone);
    ck_assert_uint_eq(spool_cursor_backlog(behind), 1000 - gone);
    struct spool_state state;
    spool_state(spool, &state);
    ck_assert_uint_eq(state.evicted_total, 2 * gone - 30);
}
END_TEST

START_TEST(a_destination_loses_only_signals_it_wants)
{
    options.max_bytes = 50000;
    open_spool();
    struct spool_cursor *c = cursor("metrics-only");
    spool_cursor_signals(c, 1U << OTLP_METRICS);
    for (int i = 0; i < 500; i++)
        expect_ok(append(i % 10 == 0 ? OTLP_METRICS : OTLP_LOGS, 200));
    struct spool_ledger_entry entries[8];
    ck_assert_uint_eq(spool_ledger(spool, entries, 8), 1);
    ck_assert_int_eq(entries[0].signal, OTLP_METRICS);
    ck_assert_uint_lt(entries[0].records, 50);
}
END_TEST

START_TEST(quarantine_goes_before_live_data)
{
    options.max_bytes = 60000;
    open_spool();
    (void)cursor("central");
    struct spool_record poison = {.sequence = 1,
                                  .item_count = 1,
                                  .payload = bytes_of("poison"),
                                  .signal = OTLP_LOGS};
    for (int i = 0; i < 5; i++)
        expect_ok(spool_quarantine(spool, "central", &poison, "400", &err));
    struct spool_state state;
    spool_state(spool, &state);
    ck_assert_uint_eq(state.quarantine_files, 5);
    while (lost(SPOOL_LOSS_EVICTED_SIZE, "central") == 0)
        expect_ok(append(OTLP_LOGS, 200));
    spool_state(spool, &state);
    ck_assert_uint_eq(state.quarantine_files, 0);
    ck_assert_uint_eq(lost(SPOOL_LOSS_QUARANTINED, "central"), 5);
}
END_TEST

START_TEST(records_past_their_age_go_and_younger_ones_stay)
{
    options.max_age_ns = 2 * DAY_NS;
    open_spool();
    struct spool_cursor *c = cursor("central");
    for (int i = 0; i < 10; i++) { /* all in one segment, one per quarter of a day */
        expect_ok(append(OTLP_TRACES, 100));
        manual_clock_advance_ms(&now, 6 * 3600 * 1000);
    }
    expect_ok(spool_maintain(spool, &err));
    ck_assert_uint_eq(lost(SPOOL_LOSS_EVICTED_AGE, "central"), 2);
    ck_assert_uint_eq(read_all(c), 8);
    spool_destroy(spool);
    open_spool();
    c = cursor("central");
    expect_ok(spool_maintain(spool, &err));
    ck_assert_uint_eq(lost(SPOOL_LOSS_EVICTED_AGE, "central"), 2);
    ck_assert_uint_eq(read_all(c), 8);
}
END_TEST

START_TEST(a_clock_that_jumps_a_day_either_way_evicts_nothing)
{
    options.max_age_ns = DAY_NS / 2;
    open_spool();
    struct spool_cursor *c = cursor("central");
    for (int jump = 0; jump < 4; jump++) {
        expect_ok(append(OTLP_LOGS, 100));
        now.wall_ns += jump % 2 == 0 ? DAY_NS : 0;
        now.wall_ns -= jump % 2 == 1 ? 2 * DAY_NS : 0;
        expect_ok(spool_maintain(spool, &err));
    }
    ck_assert_uint_eq(read_all(c), 4);
}
END_TEST

/* Appends until the disk has no more room for it; how many were taken. */
static size_t fill_up(void)
{
    size_t taken = 0;
    while (taken < 10000 && append(OTLP_LOGS, 200))
        taken++;
    ck_assert_uint_lt(taken, 10000);
    ck_assert_int_eq(err.kind, FAIL_NO_SPACE);
    return taken;
}

START_TEST(low_disk_space_refuses_and_keeps_what_was_acknowledged)
{
    options.min_free_disk_bytes = 50000;
    options.max_bytes = 64 * MIB;
    fault_fs_set_capacity(disk, 600000);
    open_spool();
    struct spool_cursor *c = cursor("central");
    size_t taken = fill_up();
    ck_assert_ptr_nonnull(strstr(err.remedy, "min_free_disk_mib"));
    ck_assert(!append(OTLP_LOGS, 200));
    ck_assert_uint_le(fault_fs_bytes(disk), 550000);
    ck_assert_uint_eq(lost(SPOOL_LOSS_EVICTED_DISK, "central"), 0);
    fault_fs_set_capacity(disk, 650000);
    expect_ok(append(OTLP_LOGS, 200));
    ck_assert_uint_eq(read_all(c), taken + 1);
}
END_TEST

START_TEST(records_are_evicted_only_where_the_disk_stays_low_for_two_minutes)
{
    options.min_free_disk_bytes = 50000;
    fault_fs_set_capacity(disk, 600000);
    open_spool();
    (void)cursor("central");
    for (int i = 0; i < 1000; i++)
        expect_ok(append(OTLP_LOGS, 200));
    uint64_t low = fault_fs_bytes(disk) + 3000; /* another program filled the disk */
    for (int round = 0; round < 2; round++) {   /* room for a moment: it starts again */
        fault_fs_set_capacity(disk, round == 0 ? low : 600000);
        expect_ok(spool_maintain(spool, &err));
        fault_fs_set_capacity(disk, low);
        expect_ok(spool_maintain(spool, &err));
        manual_clock_advance_ms(&now, 110 * 1000);
        now.wall_ns += 3600 * NS_PER_S; /* a clock that is set proves nothing */
        expect_ok(spool_maintain(spool, &err));
        ck_assert_uint_eq(lost(SPOOL_LOSS_EVICTED_DISK, "central"), 0);
    }
    manual_clock_advance_ms(&now, 20 * 1000);
    expect_ok(spool_maintain(spool, &err));
    ck_assert_uint_gt(lost(SPOOL_LOSS_EVICTED_DISK, "central"), 0);
    ck_assert_uint_le(fault_fs_bytes(disk), low - 50000);
}
END_TEST

/* Appends for `seconds`, one every second, while the disk is full; how many were taken. */
static unsigned append_for(unsigned seconds)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < seconds; i++) {
        taken += append(OTLP_LOGS, 200);
        manual_clock_advance_ms(&now, 1000);
    }
    return taken;
}

static void expect_the_newest_to_replace_the_oldest(unsigned acknowledged)
{
    struct spool_cursor *c = cursor("central");
    uint64_t before = fault_fs_bytes(disk);
    acknowledged += append_for(110); /* in the room left in the segment */
    ck_assert_uint_eq(lost(SPOOL_LOSS_EVICTED_DISK, "central"), 0);
    acknowledged += append_for(20);
    unsigned taken = append_for(300);
    ck_assert_uint_eq(taken, 300);
    uint64_t gone = lost(SPOOL_LOSS_EVICTED_DISK, "central");
    ck_assert_uint_gt(gone, 0);
    ck_assert_uint_eq(read_all(c), acknowledged + taken - gone);
    ck_assert_uint_le(fault_fs_bytes(disk), before + 4096);
    ck_assert_uint_gt(read_all(cursor("another")), 1000); /* and no more of them than it takes */
}

START_TEST(where_the_disk_stays_full_the_newest_replace_the_oldest_and_each_is_accounted_for)
{
    options.max_bytes = 64 * MIB;
    fault_fs_set_capacity(disk, 600000);
    open_spool();
    spool_cursor_close(cursor("central"));
    expect_the_newest_to_replace_the_oldest((unsigned)fill_up());
}
END_TEST

START_TEST(where_the_disk_stays_low_the_newest_replace_the_oldest_and_each_is_accounted_for)
{
    options.max_bytes = 64 * MIB;
    options.min_free_disk_bytes = 50000;
    fault_fs_set_capacity(disk, 600000);
    open_spool();
    spool_cursor_close(cursor("central"));
    unsigned taken = (unsigned)fill_up();
    fault_fs_set_capacity(disk, fault_fs_bytes(disk) + 20000); /* others took some more */
    expect_the_newest_to_replace_the_oldest(taken);
}
END_TEST

static const struct {
    uint64_t min_free, left;
} lows[] = {{50000, 30000}, {0, 3000}}; /* below the limit, and no room for a segment at all */

START_TEST(however_low_the_disk_what_comes_is_handed_on)
{
    options.min_free_disk_bytes = lows[_i].min_free;
    fault_fs_set_capacity(disk, 600000);
    open_spool();
    struct spool_cursor *c = cursor("central");
    expect_ok(append(OTLP_LOGS, 200));
    fault_fs_set_capacity(disk, fault_fs_bytes(disk) + lows[_i].left);
    for (int i = 0; i < 500; i++) {
        expect_ok(append(OTLP_LOGS, 200));
        ck_assert_uint_eq(read_all(c), i == 0 ? 2 : 1);
        expect_ok(spool_cursor_done(c, spool_last_sequence(spool), &err));
        manual_clock_advance_ms(&now, 1000);
        expect_ok(spool_maintain(spool, &err));
    }
    ck_assert_uint_eq(lost(SPOOL_LOSS_EVICTED_DISK, "central"), 0);
}
END_TEST

START_TEST(at_most_a_tenth_of_a_small_volume_is_left_free)
{
    options.min_free_disk_bytes = 1000000; /* more than there is */
    fault_fs_set_capacity(disk, 200000);
    open_spool();
    (void)cursor("central");
    (void)fill_up();
    ck_assert_uint_gt(fault_fs_bytes(disk), 200000 - 20000 - 2 * 8192);
    ck_assert_uint_le(fault_fs_bytes(disk), 200000 - 20000);
}
END_TEST

START_TEST(a_full_disk_keeps_what_was_acknowledged)
{
    options.max_bytes = 64 * MIB;
    fault_fs_set_capacity(disk, 300000);
    open_spool();
    struct spool_cursor *c = cursor("central");
    size_t taken = fill_up();
    ck_assert_ptr_nonnull(strstr(err.remedy, "free disk space"));
    ck_assert_uint_eq(lost(SPOOL_LOSS_EVICTED_DISK, "central"), 0);
    ck_assert_uint_eq(read_all(c), taken);
    expect_ok(spool_cursor_done(c, spool_last_sequence(spool), &err));
    expect_ok(append(OTLP_LOGS, 200)); /* in what was given back */
}
END_TEST

START_TEST(a_full_disk_is_reported_survived_and_left_as_soon_as_there_is_room)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    fault_fs_set_capacity(disk, fault_fs_bytes(disk) + 4096); /* not even one segment */
    ck_assert(!append(OTLP_LOGS, 200));
    ck_assert_int_eq(err.kind, FAIL_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(err.remedy, "free disk space"));
    fault_fs_set_capacity(disk, 0);
    expect_ok(append(OTLP_LOGS, 200));
    ck_assert_uint_eq(read_all(c), 1);
    ck_assert_ptr_null(fault_fs_find(disk, ".part", 0));
}
END_TEST

START_TEST(a_record_beyond_the_limit_is_refused_and_nothing_is_evicted_for_it)
{
    options.max_bytes = 50000;
    open_spool();
    struct spool_cursor *c = cursor("central");
    for (int i = 0; i < 20; i++)
        expect_ok(append(OTLP_LOGS, 500));
    ck_assert(!append(OTLP_LOGS, 60000));
    ck_assert_int_eq(err.kind, FAIL_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(err.remedy, "relay.spool.max_mib"));
    expect_ok(append(OTLP_LOGS, 500));
    ck_assert_uint_eq(read_all(c), 21);
}
END_TEST

START_TEST(a_read_only_disk_fails_to_open_with_a_remedy)
{
    fault_fs_set_read_only(disk, true);
    ck_assert_ptr_null(spool_create(&options, &fs, &watch, &err));
    ck_assert_ptr_nonnull(strstr(err.remedy, "relay.spool.path"));
}
END_TEST

START_TEST(a_disk_that_turns_read_only_refuses_and_recovers)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    expect_ok(append(OTLP_LOGS, 100));
    fault_fs_set_read_only(disk, true);
    for (int i = 0; i < 3; i++)
        ck_assert(!append(OTLP_LOGS, 100));
    fault_fs_set_read_only(disk, false);
    expect_ok(append(OTLP_LOGS, 100));
    ck_assert_uint_eq(read_all(c), 2);
}
END_TEST

START_TEST(the_ledger_sums_a_day_and_survives)
{
    open_spool();
    struct spool_ledger_entry e = {.reason = SPOOL_LOSS_REJECTED,
                                   .destination = "span",
                                   .signal = OTLP_METRICS,
                                   .records = 5,
                                   .from_ns = now.wall_ns,
                                   .to_ns = now.wall_ns};
    expect_ok(spool_ledger_add(spool, &e, &err));
    e.to_ns += 60 * NS_PER_S;
    expect_ok(spool_ledger_add(spool, &e, &err));
    e.from_ns = e.to_ns = now.wall_ns + 3 * DAY_NS;
    e.records = 7;
    expect_ok(spool_ledger_add(spool, &e, &err));
    spool_destroy(spool);
    open_spool();
    struct spool_ledger_entry out[4];
    ck_assert_uint_eq(spool_ledger(spool, out, 4), 2);
    ck_assert_uint_eq(out[0].records, 7);
    ck_assert_uint_eq(out[1].records, 10);
    ck_assert_uint_eq(out[1].to_ns - out[1].from_ns, 60 * NS_PER_S);
    ck_assert_str_eq(out[1].destination, "span");
    ck_assert_str_eq(spool_loss_name(out[1].reason), "rejected");
}
END_TEST

START_TEST(a_forgotten_destination_holds_nothing_up)
{
    open_spool();
    struct spool_cursor *kept = cursor("kept");
    (void)cursor("gone");
    for (int i = 0; i < 200; i++)
        expect_ok(append(OTLP_LOGS, 200));
    spool_destroy(spool);
    open_spool();
    kept = cursor("kept");
    expect_ok(spool_cursor_done(kept, 200, &err));
    expect_ok(spool_maintain(spool, &err));
    ck_assert_ptr_nonnull(fault_fs_find(disk, ".seg", 1));
    expect_ok(spool_cursor_forget(spool, "gone", &err));
    expect_ok(spool_maintain(spool, &err));
    ck_assert_ptr_null(fault_fs_find(disk, ".seg", 1));
    ck_assert_ptr_null(fault_fs_find(disk, "positions/gone", 0));
    struct spool_cursor *c = spool_cursor_open(spool, "../x", &err);
    ck_assert_ptr_null(c);
    ck_assert_int_eq(err.kind, FAIL_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spool limits");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, rig_tear_down);
    tcase_add_test(tests,
                   the_size_limit_evicts_the_oldest_and_accounts_for_each_item_per_destination);
    tcase_add_test(tests, a_destination_loses_only_signals_it_wants);
    tcase_add_test(tests, quarantine_goes_before_live_data);
    tcase_add_test(tests, records_past_their_age_go_and_younger_ones_stay);
    tcase_add_test(tests, a_clock_that_jumps_a_day_either_way_evicts_nothing);
    tcase_add_test(tests, low_disk_space_refuses_and_keeps_what_was_acknowledged);
    tcase_add_test(tests, records_are_evicted_only_where_the_disk_stays_low_for_two_minutes);
    tcase_add_test(
        tests, where_the_disk_stays_full_the_newest_replace_the_oldest_and_each_is_accounted_for);
    tcase_add_test(
        tests, where_the_disk_stays_low_the_newest_replace_the_oldest_and_each_is_accounted_for);
    tcase_add_loop_test(tests, however_low_the_disk_what_comes_is_handed_on, 0, 2);
    tcase_add_test(tests, at_most_a_tenth_of_a_small_volume_is_left_free);
    tcase_add_test(tests, a_full_disk_keeps_what_was_acknowledged);
    tcase_add_test(tests, a_full_disk_is_reported_survived_and_left_as_soon_as_there_is_room);
    tcase_add_test(tests, a_record_beyond_the_limit_is_refused_and_nothing_is_evicted_for_it);
    tcase_add_test(tests, a_read_only_disk_fails_to_open_with_a_remedy);
    tcase_add_test(tests, a_disk_that_turns_read_only_refuses_and_recovers);
    tcase_add_test(tests, the_ledger_sums_a_day_and_survives);
    tcase_add_test(tests, a_forgotten_destination_holds_nothing_up);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
