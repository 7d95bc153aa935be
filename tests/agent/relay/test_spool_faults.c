/*
 * The spool on a disk that fails. One story is played again and again; at its
 * 1st, 2nd, 3rd ... disk operation the power goes, or one operation fails,
 * until a run ends without a fault. After each: nothing acknowledged is lost,
 * nothing comes twice or altered, what is missing stands in the ledger, and
 * no litter stays.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/agent/relay/spool_rig.h"
#include "tests/support/expect.h"

static struct error err;

enum { RECORDS_MAX = 256, BODY_MAX = 20000 };

/* What the story knows to be true of each record. */
struct fact {
    uint64_t sequence; /* 0: append did not succeed */
    bool acknowledged;
    bool in_flight; /* was being written when the power went */
    bool seen;
};

static struct spool_cursor *fast, *slow;
static struct fact facts[RECORDS_MAX];
static int told;      /* records the story tried to append */
static uint64_t done; /* how far the fast destination came */
static uint64_t top;  /* the highest sequence ever handed out */
static unsigned nth;  /* of the run, for messages */
static uint64_t seed;

static void set_up(void)
{
    rig_set_up(seed);
    options.segment_bytes = 4096;
    memset(facts, 0, sizeof facts);
    told = 0;
    done = top = 0;
    fast = slow = NULL;
}

/* Record `i` always has the same body: of every size class, some larger than a segment. */
static size_t make_body(int i, char out[BODY_MAX])
{
    size_t len = i % 11 == 10 ? 9000 : (size_t)(40 + i * 97 % 700);
    int head = snprintf(out, BODY_MAX, "record %d:", i);
    for (size_t at = (size_t)head; at < len; at++)
        out[at] = (char)('a' + (at * 31 + (size_t)i) % 26);
    return len;
}

static bool append_one(void)
{
    char body[BODY_MAX];
    int i = told++;
    ck_assert_int_lt(i, RECORDS_MAX);
    struct spool_record record = {.received_ns = now.wall_ns,
                                  .signal = OTLP_LOGS,
                                  .item_count = 1,
                                  .user = bytes_of("ann"),
                                  .payload = bytes_make(body, make_body(i, body))};
    facts[i].in_flight = true;
    if (!spool_append(spool, &record, &err))
        return false;
    ck_assert_msg(record.sequence > top, "nth %u: sequence used again", nth);
    top = record.sequence;
    facts[i].sequence = record.sequence;
    return true;
}

/* One group: all of its records are acknowledged together, or none is. */
static void append_group(int count)
{
    int first = told;
    for (int i = 0; i < count; i++)
        if (!append_one())
            facts[told - 1].sequence = 0;
    bool ok = spool_commit(spool, &err);
    for (int i = first; i < told; i++) {
        facts[i].acknowledged = ok && facts[i].sequence > 0;
        facts[i].in_flight = facts[i].in_flight && fault_fs_fired(disk) && !facts[i].acknowledged;
    }
}

static bool open_all(void)
{
    spool = spool_create(&options, &fs, &watch, &err);
    fast = spool ? spool_cursor_open(spool, "fast", &err) : NULL;
    slow = spool ? spool_cursor_open(spool, "slow", &err) : NULL;
    return spool != NULL;
}

static void check_record(const struct spool_record *record, int *last)
{
    char body[BODY_MAX], head[32];
    int i = -1;
    snprintf(head, sizeof head, "%.*s", (int)record->payload.len,
             (const char *)record->payload.data);
    ck_assert_msg(sscanf(head, "record %d:", &i) == 1 && i >= 0 && i < told,
                  "nth %u: a record nobody wrote", nth);
    ck_assert_msg(bytes_equal(record->payload, bytes_make(body, make_body(i, body))),
                  "nth %u: record %d came altered", nth, i);
    ck_assert_msg(i > *last, "nth %u: record %d after %d", nth, i, *last);
    ck_assert_msg(facts[i].sequence == 0 || facts[i].sequence == record->sequence,
                  "nth %u: record %d changed its number", nth, i);
    ck_assert_msg(facts[i].acknowledged || facts[i].in_flight,
                  "nth %u seed %d: record %d was refused and is there", nth, (int)seed, i);
    if (record->sequence > top)
        top = record->sequence;
    *last = i;
}

/* Reads some with the fast destination and says they are done. */
static void deliver(int count)
{
    struct spool_record record;
    for (int i = 0; i < count && fast && spool_cursor_read(fast, &hold, &record, &err); i++) {
        int before = -1;
        check_record(&record, &before);
        done = record.sequence;
        (void)!spool_cursor_done(fast, record.sequence, &err);
    }
    (void)!spool_prepare(spool, &err);
}

/* Everything acknowledged comes to `cursor`, except what it was done with, and `evicted` more. */
static void expect_all(struct spool_cursor *cursor, uint64_t finished, uint64_t evicted)
{
    struct spool_record record;
    int last = -1;
    uint64_t missing = 0, in_flight = 0;
    for (int i = 0; i < told; i++)
        facts[i].seen = false;
    err.kind = FAIL_NONE;
    while (spool_cursor_read(cursor, &hold, &record, &err)) {
        check_record(&record, &last);
        facts[last].seen = true;
    }
    ck_assert_msg(err.kind == FAIL_NONE, "nth %u: %s", nth, err.cause);
    for (int i = 0; i < told; i++) {
        in_flight += facts[i].in_flight;
        missing += facts[i].acknowledged && !facts[i].seen && facts[i].sequence > finished;
    }
    ck_assert_msg(missing == evicted, "nth %u seed %d: %d acknowledged records missing, %d evicted",
                  nth, (int)seed, (int)missing, (int)evicted);
    /* Torn records between whole ones of the group in flight look like damage; others do not. */
    ck_assert_msg(lost(SPOOL_LOSS_CORRUPT, "") <= in_flight,
                  "nth %u seed %d: damage was reported where there is none", nth, (int)seed);
}

static void expect_no_litter(void)
{
    ck_assert_ptr_null(fault_fs_find(disk, ".new", 0));
    ck_assert_ptr_null(fault_fs_find(disk, ".part", 0));
    ck_assert_ptr_null(fault_fs_find(disk, "spare-1", 0));
    if (lost(SPOOL_LOSS_CORRUPT, "") == 0)
        ck_assert_ptr_null(fault_fs_find(disk, "damaged", 0));
}

/* The machine is up again: everything is there, and life goes on. */
static void expect_recovered(uint64_t evictions_possible)
{
    ck_assert_msg(open_all() && fast && slow, "nth %u: %s", nth, err.cause);
    expect_no_litter();
    uint64_t evicted = evictions_possible ? lost(SPOOL_LOSS_EVICTED_SIZE, "slow") : 0;
    expect_all(slow, 0, evicted);
    if (!evictions_possible)
        expect_all(fast, done, 0);

    /* Goes on, and a clean restart changes nothing. */
    fault_fs_arm(disk, FAULT_ERROR, 0);
    append_group(2);
    ck_assert_msg(facts[told - 1].acknowledged, "nth %u: %s", nth, err.cause);
    close_spool();
    ck_assert(open_all());
    uint64_t again = evictions_possible ? lost(SPOOL_LOSS_EVICTED_SIZE, "slow") : 0;
    ck_assert_uint_ge(again, evicted);
    expect_all(slow, 0, again);

    expect_ok(spool_cursor_done(slow, spool_last_sequence(spool), &err));
    expect_ok(spool_cursor_done(fast, spool_last_sequence(spool), &err));
    expect_ok(spool_maintain(spool, &err));
    expect_no_litter();
    ck_assert_msg(fault_fs_find(disk, ".seg", 1) == NULL, "nth %u: delivered segments stay", nth);
}

typedef void story(void);

/* Cuts power at the 1st, 2nd, 3rd ... operation until the story ends first. */
static void cut_power_everywhere(story *tell, bool evicts, uint64_t seeds)
{
    for (uint64_t s = 1; s <= seeds; s++) {
        bool fired = true;
        for (nth = 1; fired; nth++) {
            seed = s * 100003 + nth;
            set_up();
            fault_fs_arm(disk, FAULT_CRASH, nth);
            tell();
            fired = fault_fs_fired(disk);
            fault_fs_stop(disk);
            spool_destroy(spool); /* the memory of a machine without power */
            spool = NULL;
            fault_fs_power_loss(disk);
            expect_recovered(evicts);
            rig_tear_down();
        }
        ck_assert_uint_gt(nth, 20);
    }
}

/* Lets one operation fail. The story goes on; then the process is killed. */
static void fail_everywhere(story *tell, bool evicts)
{
    bool fired = true;
    for (nth = 1; fired; nth++) {
        seed = nth;
        set_up();
        fault_fs_arm(disk, FAULT_ERROR, nth);
        tell();
        fired = fault_fs_fired(disk);
        for (int i = 0; i < told; i++) /* nothing is excused: no power was lost */
            facts[i].in_flight = false;
        fault_fs_stop(disk);
        spool_destroy(spool);
        spool = NULL;
        fault_fs_kill(disk);
        expect_recovered(evicts);
        rig_tear_down();
    }
    ck_assert_uint_gt(nth, 20);
}

static void story_of_appending(void)
{
    if (!open_all())
        return;
    append_group(1);
    append_group(3);
    append_group(7);
    append_group(1);
    append_group(12);
    close_spool();
    if (!open_all())
        return;
    append_group(2);
    append_group(9);
}

static void story_of_a_whole_life(void)
{
    options.max_bytes = 256 * KIB;
    for (int day = 0; day < 2; day++) {
        if (!open_all())
            return;
        for (int round = 0; round < 5; round++) {
            append_group(1 + round % 3);
            deliver(3);
            manual_clock_advance_ms(&now, 700);
            append_group(4);
            deliver(2);
            (void)!spool_maintain(spool, &err);
        }
        struct spool_ledger_entry entry = {.reason = SPOOL_LOSS_REJECTED, .records = 1};
        (void)!spool_ledger_add(spool, &entry, &err);
        struct spool_record poison = {.sequence = 1, .item_count = 1, .payload = bytes_of("bad")};
        (void)!spool_quarantine(spool, "fast", &poison, "400", &err);
        close_spool();
    }
}

/* The slow destination never reads, so its oldest go. */
static void story_of_eviction(void)
{
    options.max_bytes = 40 * KIB;
    if (!open_all())
        return;
    for (int round = 0; round < 12; round++) {
        append_group(8);
        deliver(8);
        (void)!spool_maintain(spool, &err);
        manual_clock_advance_ms(&now, 2000);
    }
}

START_TEST(power_loss_while_appending_loses_nothing_acknowledged)
{
    cut_power_everywhere(story_of_appending, false, 6);
}
END_TEST

START_TEST(power_loss_in_a_whole_life_loses_nothing_acknowledged)
{
    cut_power_everywhere(story_of_a_whole_life, false, 3);
}
END_TEST

START_TEST(power_loss_while_evicting_leaves_every_record_delivered_or_accounted_for)
{
    cut_power_everywhere(story_of_eviction, true, 3);
}
END_TEST

START_TEST(one_failing_operation_while_appending_loses_nothing_acknowledged)
{
    fail_everywhere(story_of_appending, false);
}
END_TEST

START_TEST(one_failing_operation_in_a_whole_life_loses_nothing_acknowledged)
{
    fail_everywhere(story_of_a_whole_life, false);
}
END_TEST

START_TEST(one_failing_operation_while_evicting_leaves_every_record_accounted_for)
{
    fail_everywhere(story_of_eviction, true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spool on a failing disk");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, power_loss_while_appending_loses_nothing_acknowledged);
    tcase_add_test(tests, power_loss_in_a_whole_life_loses_nothing_acknowledged);
    tcase_add_test(tests, power_loss_while_evicting_leaves_every_record_delivered_or_accounted_for);
    tcase_add_test(tests, one_failing_operation_while_appending_loses_nothing_acknowledged);
    tcase_add_test(tests, one_failing_operation_in_a_whole_life_loses_nothing_acknowledged);
    tcase_add_test(tests, one_failing_operation_while_evicting_leaves_every_record_accounted_for);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
