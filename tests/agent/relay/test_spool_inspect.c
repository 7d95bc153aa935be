#include "agent/relay/spool_inspect.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/expect.h"
#include "tests/support/fault_fs.h"
#include "tests/support/manual_clock.h"

static struct fault_fs *disk;
static struct fs fs;
static struct manual_clock now;
static struct clock watch;
static struct error err;
static struct spool *spool;

static void append(enum otlp_signal signal, const char *text)
{
    struct spool_record record = {.received_ns = now.wall_ns,
                                  .signal = signal,
                                  .item_count = 3,
                                  .user = bytes_of("ann"),
                                  .payload = bytes_of(text)};
    expect_ok(spool_append(spool, &record, &err));
    expect_ok(spool_commit(spool, &err));
}

static void set_up(void)
{
    disk = fault_fs_create(1);
    fs = fault_fs_table(disk);
    now = (struct manual_clock){.wall_ns = UINT64_C(1700000000) * NS_PER_S};
    watch = manual_clock_table(&now);
    struct spool_options options = {.dir = "spool", .max_bytes = MIB, .segment_bytes = 4096};
    spool = spool_create(&options, &fs, &watch, &err);
    ck_assert_msg(spool != NULL, "%s", err.cause);
    for (int i = 0; i < 60; i++)
        append(OTLP_LOGS, "a log request");
    append(OTLP_TRACES, "a trace request");
    struct spool_record poison = {.sequence = 7,
                                  .signal = OTLP_LOGS,
                                  .item_count = 1,
                                  .user = bytes_of("ann"),
                                  .payload = bytes_of("poison")};
    expect_ok(spool_quarantine(spool, "central", &poison, "400: no\nsuch field", &err));
    ck_assert_ptr_nonnull(spool_cursor_open(spool, "central", &err));
    expect_ok(spool_save_positions(spool, &err));
}

static void tear_down(void)
{
    spool_destroy(spool);
    fault_fs_destroy(disk);
}

struct seen {
    uint64_t records, items, segments, positions, losses;
    struct spool_quarantine_info letter;
};

static void see_segment(void *context, const struct spool_segment_info *info)
{
    struct seen *s = context;
    s->segments++;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        s->records += info->records[i];
        s->items += info->items[i];
    }
}

static void see_quarantine(void *context, const struct spool_quarantine_info *entry)
{
    ((struct seen *)context)->letter = *entry;
}

static void see_position(void *context, const struct spool_position_info *position)
{
    ((struct seen *)context)->positions += position->readable;
}

static void see_loss(void *context, const struct spool_ledger_entry *entry)
{
    ((struct seen *)context)->losses += entry->records;
}

START_TEST(list_shows_what_is_there_while_the_agent_runs)
{
    struct seen seen = {0};
    struct spool_list list = {&seen, see_segment, see_quarantine, see_position, see_loss};
    expect_ok(spool_inspect_list(&fs, "spool", &list, &err));
    ck_assert_uint_eq(seen.records, 61);
    ck_assert_uint_eq(seen.items, 183);
    ck_assert_uint_gt(seen.segments, 1);
    ck_assert_uint_eq(seen.positions, 1);
    ck_assert_uint_eq(seen.losses, 1);
    ck_assert(seen.letter.readable);
    ck_assert_str_eq(seen.letter.destination, "central");
    ck_assert_str_eq(seen.letter.reason, "400: no such field");
    ck_assert_uint_eq(seen.letter.from_sequence, 7);
    ck_assert_uint_eq(seen.letter.payload_bytes, 6);
}
END_TEST

START_TEST(verify_finds_a_sound_spool_sound_and_counts_each_damage)
{
    struct spool_verdict v;
    expect_ok(spool_inspect_verify(&fs, "spool", &v, &err));
    ck_assert_uint_eq(v.records, 61);
    ck_assert_uint_eq(v.damaged_records + v.damaged_headers + v.damaged_positions +
                          v.damaged_quarantine_files,
                      0);
    size_t len;
    fault_fs_content(disk, fault_fs_find(disk, ".seg", 0), &len)[400] ^= 1;
    fault_fs_content(disk, fault_fs_find(disk, ".seg", 0), &len)[20] ^= 1;
    uint8_t *position = fault_fs_content(disk, fault_fs_find(disk, "positions/", 0), &len);
    position[len - 3] ^= 1;
    position[len / 2] ^= 1; /* both of its lines */
    fault_fs_content(disk, fault_fs_find(disk, "quarantine/", 0), &len)[12] ^= 1;
    expect_ok(spool_inspect_verify(&fs, "spool", &v, &err));
    ck_assert_uint_eq(v.records, 60);
    ck_assert_uint_eq(v.damaged_records, 1);
    ck_assert_uint_eq(v.damaged_headers, 1);
    ck_assert_uint_eq(v.damaged_positions, 1);
    ck_assert_uint_eq(v.damaged_quarantine_files, 1);
}
END_TEST

START_TEST(verify_counts_a_tail_that_is_not_there)
{
    struct spool_verdict v;
    size_t last = 0;
    while (fault_fs_find(disk, ".seg", last + 1))
        last++;
    fault_fs_cut(disk, fault_fs_find(disk, ".seg", last), 200);
    expect_ok(spool_inspect_verify(&fs, "spool", &v, &err));
    ck_assert_uint_gt(v.damaged_records, 0);
    ck_assert_uint_eq(v.damaged_records + v.records, 61);
}
END_TEST

START_TEST(export_writes_every_request_as_it_would_be_sent)
{
    uint64_t count;
    expect_ok(spool_inspect_export(&fs, "spool", "out", &count, &err));
    ck_assert_uint_eq(count, 62);
    size_t len;
    uint8_t *bytes = fault_fs_content(disk, "out/00000000000000000061-traces.bin", &len);
    ck_assert_ptr_nonnull(bytes);
    expect_text(bytes_make(bytes, len), "a trace request");
    bytes = fault_fs_content(disk, fault_fs_find(disk, "out/quarantine-", 0), &len);
    expect_text(bytes_make(bytes, len), "poison");
}
END_TEST

START_TEST(no_spool_is_not_found)
{
    struct spool_verdict v;
    expect_fail(spool_inspect_verify(&fs, "elsewhere", &v, &err), FAIL_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spool from outside");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, list_shows_what_is_there_while_the_agent_runs);
    tcase_add_test(tests, verify_finds_a_sound_spool_sound_and_counts_each_damage);
    tcase_add_test(tests, verify_counts_a_tail_that_is_not_there);
    tcase_add_test(tests, export_writes_every_request_as_it_would_be_sent);
    tcase_add_test(tests, no_spool_is_not_found);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
