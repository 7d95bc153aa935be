/* What a long absence leaves behind: thousands of requests, a clock that was wrong meanwhile. */
#include <stdatomic.h>
#include <stdlib.h>

#include "platform/platform.h"
#include "tests/agent/relay/rig.h"
#include "tests/support/expect.h"
#include "tests/support/make_logs.h"
#include "tests/support/manual_clock.h"

enum { QUEUED = 10000, GROUP = 100 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

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

/* One request of one record in each of the last seven days' 10,000 equal parts. */
static void leave_a_week_behind(void)
{
    uint64_t now_ns = clock_wall_ns(&platform_clock);
    struct manual_clock past = {.wall_ns = now_ns - 7 * DAY_NS, .monotonic_ns = NS_PER_S};
    struct clock then = manual_clock_table(&past);
    struct spool *spool = spool_create(&rig.options.spool, &fs_real, &then, &err);
    ck_assert_msg(spool != NULL, "%s", err.cause);
    for (unsigned i = 0; i < QUEUED; i++) {
        struct buffer body = {0};
        make_logs(i, 1, 200, NULL, NULL, &body);
        struct spool_record record = {.received_ns = past.wall_ns,
                                      .signal = OTLP_LOGS,
                                      .item_count = 1,
                                      .payload = buffer_bytes(&body)};
        expect_ok(spool_append(spool, &record, &err));
        buffer_clear(&body);
        if ((i + 1) % GROUP == 0)
            expect_ok(spool_commit(spool, &err));
        manual_clock_advance_ms(&past, 7 * DAY_NS / QUEUED / NS_PER_MS);
    }
    spool_destroy(spool);
}

START_TEST(ten_thousand_requests_of_a_week_offline_arrive_once_each_in_few_requests)
{
    rig.options.spool.max_age_ns = 14 * DAY_NS;
    leave_a_week_behind();
    rig_start(&rig);
    ck_assert(fake_destination_wait_records(fake, QUEUED));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, QUEUED));
    ck_assert_uint_le(fake_destination_requests(fake), 40);
    ck_assert_uint_eq(rig.state.ledger_count, 0);
}
END_TEST

/* The real clock, its wall time moved by `jump_ns`. */
static atomic_int_least64_t jump_ns;

static uint64_t jumping_wall_ns(void *context)
{
    (void)context;
    return clock_wall_ns(&platform_clock) + (uint64_t)atomic_load(&jump_ns);
}

static uint64_t steady_ns(void *context)
{
    (void)context;
    return clock_monotonic_ns(&platform_clock);
}

static const struct clock jumping_clock = {.wall_ns = jumping_wall_ns, .monotonic_ns = steady_ns};

/* The longest pause between the requests `from` and `to`. */
static uint64_t longest_pause_ms(unsigned from, unsigned to)
{
    uint64_t longest = 0;
    for (unsigned i = from; i < to; i++) {
        uint64_t pause =
            fake_destination_request_ms(fake, i + 1) - fake_destination_request_ms(fake, i);
        longest = pause > longest ? pause : longest;
    }
    return longest;
}

START_TEST(a_clock_that_jumps_changes_no_retry_and_loses_nothing)
{
    static const int64_t days[] = {0, 1, -1, 30};
    enum { PROBES = 6, SLACK_MS = 3000 };
    rig.clock = &jumping_clock;
    rig.options.spool.max_age_ns = DAY_NS / 2;
    fake_destination_answer(fake, 503, NULL, NULL);
    rig_start(&rig);
    for (unsigned i = 0; i < 4; i++) {
        atomic_store(&jump_ns, days[i] * (int64_t)DAY_NS);
        rig_send(&rig, i, 1);
        unsigned before = fake_destination_requests(fake);
        ck_assert(fake_destination_wait_requests(fake, before + PROBES));
        if (before > 0)
            ck_assert_uint_le(longest_pause_ms(before - 1, before + PROBES - 1),
                              rig.options.retry_limit_ms + SLACK_MS);
    }
    rig_stop(&rig); /* and a start with the clock far ahead */
    fake_destination_answer(fake, 200, NULL, NULL);
    rig_start(&rig);
    ck_assert(fake_destination_wait_records(fake, 4));
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_has_each_once(fake, 0, 4));
    ck_assert_uint_eq(rig.state.ledger_count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/backlog");
    TCase *tc = tcase_create("backlog");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, ten_thousand_requests_of_a_week_offline_arrive_once_each_in_few_requests);
    tcase_add_test(tc, a_clock_that_jumps_changes_no_retry_and_loses_nothing);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
