#include "tests/agent/relay/spool_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;

enum { DAY_S = 86400 };

static void set_up(void)
{
    rig_set_up(1);
    hold.max_bytes = 65 * MIB;
}

static void reopen(void)
{
    spool_destroy(spool);
    open_spool();
}

/* As kill -9: nothing is written on the way out. */
static void kill_and_reopen(void)
{
    fault_fs_stop(disk);
    spool_destroy(spool);
    fault_fs_kill(disk);
    open_spool();
}

static bool append(const char *text)
{
    struct spool_record record = {.received_ns = now.wall_ns,
                                  .signal = OTLP_METRICS,
                                  .item_count = 2,
                                  .user = bytes_make("ann\0ann@x.org", 13),
                                  .payload = bytes_of(text)};
    return spool_append(spool, &record, &err);
}

static void put(const char *text)
{
    expect_ok(append(text));
    expect_ok(spool_commit(spool, &err));
}

static void put_bytes(size_t len)
{
    uint8_t *bytes = xmalloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7);
    struct spool_record record = {.received_ns = now.wall_ns,
                                  .signal = OTLP_TRACES,
                                  .item_count = 1,
                                  .payload = bytes_make(bytes, len)};
    expect_ok(spool_append(spool, &record, &err));
    expect_ok(spool_commit(spool, &err));
    free(bytes);
}

static void expect_next(struct spool_cursor *c, const char *text)
{
    struct spool_record record;
    expect_ok(spool_cursor_read(c, &hold, &record, &err));
    expect_text(record.payload, text);
}

static void expect_nothing(struct spool_cursor *c)
{
    struct spool_record record;
    ck_assert(!spool_cursor_read(c, &hold, &record, &err));
    ck_assert_msg(err.kind == FAIL_NONE, "%s", err.cause);
}

START_TEST(a_record_comes_back_as_it_was_given)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    struct spool_record record;
    put("payload");
    expect_ok(spool_cursor_read(c, &hold, &record, &err));
    expect_text(record.payload, "payload");
    ck_assert(bytes_equal(record.user, bytes_make("ann\0ann@x.org", 13)));
    ck_assert_uint_eq(record.sequence, 1);
    ck_assert_uint_eq(record.item_count, 2);
    ck_assert_uint_eq(record.received_ns, now.wall_ns);
    ck_assert_int_eq(record.signal, OTLP_METRICS);
    expect_nothing(c);
}
END_TEST

START_TEST(only_what_is_committed_is_read)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    expect_ok(append("one"));
    expect_nothing(c);
    expect_ok(spool_commit(spool, &err));
    expect_next(c, "one");
}
END_TEST

START_TEST(a_commit_is_one_sync_and_few_writes)
{
    open_spool();
    put("first makes the segment");
    uint64_t syncs = fault_fs_sync_count(disk), writes = fault_fs_write_count(disk);
    for (int i = 0; i < 50; i++)
        expect_ok(append("more"));
    expect_ok(spool_commit(spool, &err));
    ck_assert_uint_eq(fault_fs_sync_count(disk) - syncs, 1);
    ck_assert_uint_eq(fault_fs_write_count(disk) - writes, 1);
}
END_TEST

START_TEST(records_survive_a_restart_and_go_on_where_the_position_stands)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    char text[32];
    for (int i = 0; i < 300; i++) { /* over several segments */
        snprintf(text, sizeof text, "record %d", i);
        put(text);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "record %d", i);
        expect_next(c, text);
    }
    expect_ok(spool_cursor_done(c, 100, &err));
    ck_assert_uint_eq(spool_cursor_backlog(c), 200);
    expect_ok(spool_save_positions(spool, &err));
    reopen();
    c = cursor("central");
    ck_assert_uint_eq(spool_cursor_position(c), 100);
    ck_assert_uint_eq(spool_cursor_backlog(c), 200);
    for (int i = 100; i < 300; i++) {
        snprintf(text, sizeof text, "record %d", i);
        expect_next(c, text);
    }
    expect_nothing(c);
    put("after");
    expect_next(c, "after");
}
END_TEST

START_TEST(a_killed_process_repeats_nothing_that_was_done)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    for (int i = 0; i < 20; i++)
        put("record");
    expect_ok(spool_save_positions(spool, &err)); /* the file is there, and was just synced */
    uint64_t syncs = fault_fs_sync_count(disk);
    for (uint64_t done = 1; done <= 7; done++)
        expect_ok(spool_cursor_done(c, done, &err));
    ck_assert_uint_eq(fault_fs_sync_count(disk), syncs);
    fault_fs_stop(disk);
    spool_destroy(spool);
    fault_fs_kill(disk);
    open_spool();
    ck_assert_uint_eq(spool_cursor_position(cursor("central")), 7);
}
END_TEST

START_TEST(a_torn_position_costs_one_step_and_not_the_file)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    for (int i = 0; i < 20; i++)
        put("record");
    expect_ok(spool_save_positions(spool, &err));
    expect_ok(spool_cursor_done(c, 5, &err));
    expect_ok(spool_cursor_done(c, 6, &err));
    fault_fs_stop(disk);
    spool_destroy(spool);
    fault_fs_kill(disk);
    size_t len;
    uint8_t *text = fault_fs_content(disk, fault_fs_find(disk, "positions/central", 0), &len);
    text[len - 12] ^= 1; /* the line written last */
    open_spool();
    ck_assert_uint_eq(spool_cursor_position(cursor("central")), 5);
}
END_TEST

START_TEST(a_prepared_segment_saves_the_append_from_writing_zeros)
{
    options.segment_bytes = 65536;
    options.max_bytes = 16 * MIB;
    open_spool();
    (void)cursor("central");
    put_bytes(20000);
    expect_ok(spool_prepare(spool, &err));
    ck_assert_ptr_null(fault_fs_find(disk, "spare-0", 0)); /* not yet half full */
    put_bytes(20000);
    expect_ok(spool_prepare(spool, &err));
    expect_ok(spool_prepare(spool, &err));
    ck_assert_ptr_nonnull(fault_fs_find(disk, "spare-0", 0));
    ck_assert_ptr_null(fault_fs_find(disk, ".part", 0));
    uint64_t writes = fault_fs_write_count(disk);
    put_bytes(30000); /* the next segment */
    ck_assert_uint_le(fault_fs_write_count(disk) - writes, 2);
    ck_assert_ptr_null(fault_fs_find(disk, "spare-0", 0));
    ck_assert_ptr_nonnull(fault_fs_find(disk, ".seg", 1));
}
END_TEST

START_TEST(a_record_larger_than_a_segment_gets_one_of_its_own)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    put("before");
    put_bytes(300000);
    put("after");
    reopen();
    c = cursor("central");
    struct spool_record record;
    expect_next(c, "before");
    expect_ok(spool_cursor_read(c, &hold, &record, &err));
    ck_assert_uint_eq(record.payload.len, 300000);
    for (size_t i = 0; i < 300000; i++)
        ck_assert_uint_eq(record.payload.data[i], (uint8_t)(i * 7));
    expect_next(c, "after");
    expect_nothing(c);
}
END_TEST

START_TEST(seek_reads_again_but_not_before_the_position)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    put("one");
    put("two");
    put("three");
    expect_next(c, "one");
    expect_next(c, "two");
    expect_next(c, "three");
    expect_ok(spool_cursor_done(c, 1, &err));
    spool_cursor_seek(c, 0);
    expect_next(c, "two");
    spool_cursor_seek(c, 2);
    expect_next(c, "three");
    expect_nothing(c);
}
END_TEST

START_TEST(a_second_opener_is_refused_with_a_remedy)
{
    open_spool();
    struct spool *second = spool_create(&options, &fs, &watch, &err);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(err.kind, FAIL_BUSY);
    ck_assert_ptr_nonnull(strstr(err.remedy, "relay.spool.path"));
}
END_TEST

START_TEST(sequences_are_never_used_again_even_when_the_tail_is_lost)
{
    open_spool();
    for (int i = 0; i < 10; i++)
        put("x");
    uint64_t last = spool_last_sequence(spool);
    fault_fs_cut(disk, fault_fs_find(disk, ".seg", 0), 300);
    kill_and_reopen();
    struct spool_record record = {.payload = bytes_of("new")};
    expect_ok(spool_append(spool, &record, &err));
    expect_ok(spool_commit(spool, &err));
    ck_assert_uint_gt(record.sequence, last);
}
END_TEST

START_TEST(the_stream_keeps_its_name_when_its_file_is_lost)
{
    open_spool();
    put("one");
    char *name = xstrdup(spool_stream_id(spool));
    ck_assert_uint_eq(strlen(name), 36);
    reopen();
    ck_assert_str_eq(spool_stream_id(spool), name);
    spool_destroy(spool);
    expect_ok(fs.remove(disk, "spool/stream", &err));
    open_spool();
    ck_assert_str_eq(spool_stream_id(spool), name);
    free(name);
}
END_TEST

START_TEST(delivered_segments_are_reused_and_their_space_given_back)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    struct spool_record record;
    for (int i = 0; i < 2000; i++) { /* about 20 segments' worth */
        put("some telemetry of moderate size, so that segments fill");
        expect_ok(spool_cursor_read(c, &hold, &record, &err));
        expect_ok(spool_cursor_done(c, record.sequence, &err));
    }
    ck_assert_uint_le(fault_fs_bytes(disk), 4 * 8192);
    for (int i = 0; i < 500; i++)
        put("backlog");
    ck_assert_uint_gt(fault_fs_bytes(disk), 4 * 8192);
    while (spool_cursor_read(c, &hold, &record, &err))
        expect_text(record.payload, "backlog");
    expect_ok(spool_cursor_done(c, spool_last_sequence(spool), &err));
    expect_ok(spool_maintain(spool, &err));
    ck_assert_uint_le(fault_fs_bytes(disk), 3 * 8192);
}
END_TEST

START_TEST(a_failed_sync_acknowledges_nothing_and_the_next_append_starts_anew)
{
    open_spool();
    struct spool_cursor *c = cursor("central");
    put("kept");
    expect_ok(append("lost"));
    fault_fs_fail_syncs(disk, 1);
    expect_fail(spool_commit(spool, &err), FAIL_IO);
    expect_next(c, "kept");
    expect_nothing(c);
    put("new");
    expect_next(c, "new");
    kill_and_reopen();
    c = cursor("central");
    expect_next(c, "kept");
    expect_next(c, "new");
    expect_nothing(c);
}
END_TEST

START_TEST(a_torn_tail_is_cut_and_is_no_loss)
{
    open_spool();
    (void)cursor("central");
    put("one");
    put("two");
    put("torn");
    fault_fs_stop(disk);
    spool_destroy(spool);
    fault_fs_kill(disk);
    size_t len, end = 136 + 3 * (64 + 13) + 3 + 3 + 4;
    const char *path = fault_fs_find(disk, ".seg", 0);
    fault_fs_content(disk, path, &len)[end - 1] ^= 1;
    ck_assert_uint_eq(len, 8192);
    open_spool();
    struct spool_cursor *c = cursor("central");
    expect_next(c, "one");
    expect_next(c, "two");
    expect_nothing(c);
    struct spool_ledger_entry entry;
    ck_assert_uint_eq(spool_ledger(spool, &entry, 1), 0);
    ck_assert_ptr_null(fault_fs_find(disk, "quarantine/", 0));
    (void)fault_fs_content(disk, fault_fs_find(disk, ".seg", 0), &len);
    ck_assert_uint_eq(len, end - 64 - 13 - 4);
}
END_TEST

START_TEST(what_waits_is_counted_in_items_of_the_signals_wanted)
{
    open_spool();
    struct spool_cursor *all = cursor("all"), *metrics = cursor("metrics"), *traces = cursor("t");
    spool_cursor_signals(metrics, 1U << OTLP_METRICS);
    spool_cursor_signals(traces, 1U << OTLP_TRACES);
    struct spool_state state;
    for (int i = 0; i < 300; i++) { /* over several segments */
        put("two points");
        if (i % 3 == 0)
            put_bytes(10); /* one span */
    }
    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(spool_cursor_backlog_items(all), 700);
        ck_assert_uint_eq(spool_cursor_backlog_items(metrics), 600);
        ck_assert_uint_eq(spool_cursor_backlog_items(traces), 100);
        spool_state(spool, &state);
        ck_assert_uint_eq(state.requests, 400);
        ck_assert_uint_eq(state.items, 700);
        kill_and_reopen();
        all = cursor("all");
        metrics = cursor("metrics");
        traces = cursor("t");
        spool_cursor_signals(metrics, 1U << OTLP_METRICS);
        spool_cursor_signals(traces, 1U << OTLP_TRACES);
    }
    /* Positions in the middle of a segment, at its end, and behind everything. */
    uint64_t left = 700;
    for (uint64_t done = 1; done <= 400; done++) {
        left -= done % 4 == 2 ? 1 : 2; /* the second of four is the span */
        expect_ok(spool_cursor_done(all, done, &err));
        ck_assert_uint_eq(spool_cursor_backlog_items(all), left);
    }
    ck_assert_uint_eq(spool_cursor_backlog_items(all), 0);
    spool_state(spool, &state);
    ck_assert_uint_eq(state.items, 700); /* the others have not moved */
    expect_ok(spool_cursor_done(metrics, 400, &err));
    expect_ok(spool_cursor_done(traces, 398, &err)); /* left: two points each of two */
    spool_state(spool, &state);
    ck_assert_uint_eq(state.requests, 2);
    ck_assert_uint_eq(state.items, 4);
    ck_assert_uint_eq(spool_cursor_backlog_items(traces), 0);
}
END_TEST

START_TEST(each_life_of_a_file_has_its_own_salt)
{
    open_spool();
    for (int i = 0; i < 200; i++)
        put("fills segments");
    const char *one = strstr(fault_fs_find(disk, ".seg", 0), "-");
    const char *two = strstr(fault_fs_find(disk, ".seg", 1), "-");
    ck_assert_str_ne(one, two);
}
END_TEST

START_TEST(two_destinations_read_for_themselves)
{
    open_spool();
    struct spool_cursor *a = cursor("a"), *b = cursor("b");
    put("one");
    put("two");
    expect_next(a, "one");
    expect_next(a, "two");
    expect_ok(spool_cursor_done(a, 2, &err));
    expect_next(b, "one");
    ck_assert_uint_eq(spool_cursor_backlog(b), 2);
    ck_assert_uint_eq(spool_cursor_backlog(a), 0);
    struct spool_state state;
    spool_state(spool, &state);
    ck_assert_uint_eq(state.requests, 2);
    ck_assert_uint_eq(state.items, 4);
    ck_assert_uint_eq(state.oldest_ns, now.wall_ns);
    ck_assert_uint_eq(state.received_total[OTLP_METRICS], 4);
}
END_TEST

START_TEST(works_on_the_real_disk)
{
    char *dir = temp_dir_make();
    options.dir = dir;
    options.segment_bytes = 0;
    options.max_bytes = 1024 * MIB;
    fs = fs_real;
    for (int round = 0; round < 3; round++) {
        open_spool();
        struct spool_cursor *c = cursor("central");
        put("one");
        put_bytes(9 * MIB);
        struct spool_record record;
        expect_next(c, "one");
        expect_ok(spool_cursor_read(c, &hold, &record, &err));
        ck_assert_uint_eq(record.payload.len, 9 * MIB);
        expect_ok(spool_cursor_done(c, record.sequence, &err));
        expect_nothing(c);
        expect_ok(spool_maintain(spool, &err));
        ck_assert_ptr_null(spool_create(&options, &fs, &watch, &err));
        spool_destroy(spool);
        spool = NULL;
    }
    temp_dir_remove(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spool");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, rig_tear_down);
    tcase_add_test(tests, a_record_comes_back_as_it_was_given);
    tcase_add_test(tests, only_what_is_committed_is_read);
    tcase_add_test(tests, a_commit_is_one_sync_and_few_writes);
    tcase_add_test(tests, records_survive_a_restart_and_go_on_where_the_position_stands);
    tcase_add_test(tests, a_killed_process_repeats_nothing_that_was_done);
    tcase_add_test(tests, a_torn_position_costs_one_step_and_not_the_file);
    tcase_add_test(tests, a_prepared_segment_saves_the_append_from_writing_zeros);
    tcase_add_test(tests, a_record_larger_than_a_segment_gets_one_of_its_own);
    tcase_add_test(tests, seek_reads_again_but_not_before_the_position);
    tcase_add_test(tests, a_second_opener_is_refused_with_a_remedy);
    tcase_add_test(tests, sequences_are_never_used_again_even_when_the_tail_is_lost);
    tcase_add_test(tests, the_stream_keeps_its_name_when_its_file_is_lost);
    tcase_add_test(tests, delivered_segments_are_reused_and_their_space_given_back);
    tcase_add_test(tests, a_failed_sync_acknowledges_nothing_and_the_next_append_starts_anew);
    tcase_add_test(tests, a_torn_tail_is_cut_and_is_no_loss);
    tcase_add_test(tests, what_waits_is_counted_in_items_of_the_signals_wanted);
    tcase_add_test(tests, each_life_of_a_file_has_its_own_salt);
    tcase_add_test(tests, two_destinations_read_for_themselves);
    tcase_add_test(tests, works_on_the_real_disk);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
