/*
 * Damaged spools. A spool of known records is written once; then bytes are
 * flipped, pages zeroed, files cut. Each time exactly the records that were
 * hit are missing and reported, and every other one is delivered as it was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/crc32c.h"
#include "agent/relay/segment.h"
#include "base/memory.h"
#include "tests/agent/relay/spool_rig.h"
#include "tests/support/expect.h"

static struct error err;

enum { RECORDS_MAX = 2000, BODY_MAX = 3000, FILES_MAX = 64, PAGE_BYTES = 4096 };

static int written; /* records */

/* A copy of every file of the whole spool, to damage again and again. */
static struct image {
    char *path;
    uint8_t *bytes;
    size_t len;
} images[FILES_MAX];
static size_t image_count;

static void set_up(void)
{
    rig_set_up(7);
    options.max_bytes = 64 * MIB;
    written = 0;
    image_count = 0;
}

static void tear_down(void)
{
    rig_tear_down();
    for (size_t i = 0; i < image_count; i++) {
        free(images[i].path);
        free(images[i].bytes);
    }
}

static size_t make_body(int i, char out[BODY_MAX])
{
    size_t len = (size_t)(30 + i * 131 % 400);
    int head = snprintf(out, BODY_MAX, "record %d:", i);
    for (size_t at = (size_t)head; at < len; at++)
        out[at] = (char)('a' + (at * 31 + (size_t)i) % 26);
    return len;
}

/* Each record holds i % 3 + 1 items, so that a wrong one in the ledger shows. */
static uint32_t items_of(int i)
{
    return (uint32_t)(i % 3 + 1);
}

static void append_one(void)
{
    char body[BODY_MAX];
    int i = written++;
    struct spool_record record = {.received_ns = now.wall_ns,
                                  .signal = (enum otlp_signal)(i % OTLP_SIGNAL_COUNT),
                                  .item_count = items_of(i),
                                  .user = bytes_of("ann"),
                                  .payload = bytes_make(body, make_body(i, body))};
    expect_ok(spool_append(spool, &record, &err));
    ck_assert_uint_eq(record.sequence, (uint64_t)i + 1);
}

static void keep_images(void)
{
    for (const char *path; (path = fault_fs_find(disk, "spool/", image_count)); image_count++) {
        struct image *im = &images[image_count];
        ck_assert_uint_lt(image_count, FILES_MAX);
        uint8_t *content = fault_fs_content(disk, path, &im->len);
        im->path = xstrdup(path);
        im->bytes = xmalloc(im->len + 1);
        if (im->len > 0)
            memcpy(im->bytes, content, im->len);
    }
}

/* Writes `count` records in groups and stops cleanly. */
static void write_spool(int count, int group)
{
    open_spool();
    while (written < count) {
        append_one();
        if (written % group == 0)
            expect_ok(spool_commit(spool, &err));
    }
    expect_ok(spool_commit(spool, &err));
    spool_destroy(spool);
    spool = NULL;
    keep_images();
}

/* A new disk with the whole spool on it. */
static void restore(void)
{
    fault_fs_destroy(disk);
    disk = fault_fs_create(7);
    fs = fault_fs_table(disk);
    expect_ok(fs.make_dir(disk, "spool", 0700, &err));
    expect_ok(fs.make_dir(disk, "spool/positions", 0700, &err));
    expect_ok(fs.make_dir(disk, "spool/quarantine", 0700, &err));
    for (size_t i = 0; i < image_count; i++)
        fault_fs_put(disk, images[i].path, bytes_make(images[i].bytes, images[i].len));
}

/* Where each record of an intact segment stands; first[i] is 0-based. */
struct extent {
    int record;
    uint64_t from, to;
};

static size_t find_extents(const char *path, struct extent out[RECORDS_MAX])
{
    uint64_t first;
    uint32_t salt;
    size_t len, count = 0;
    ck_assert(segment_name_parse(strrchr(path, '/') + 1, &first, &salt));
    uint8_t *bytes = fault_fs_content(disk, path, &len);
    struct segment_record r;
    for (uint64_t at = SEGMENT_HEADER_BYTES; at + SEGMENT_RECORD_BYTES <= len;) {
        uint64_t page = (at + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        if (!segment_record_decode(bytes + at, salt, &r)) {
            if (page == at || page + SEGMENT_RECORD_BYTES > len ||
                !segment_record_decode(bytes + page, salt, &r))
                break;
            at = page; /* behind a gap between two groups */
        }
        out[count++] = (struct extent){(int)r.sequence - 1, at, at + segment_record_size(&r)};
        at += segment_record_size(&r);
    }
    return count;
}

/* Opens, reads all, and compares with what must be missing. */
static void expect_missing(const bool missing[RECORDS_MAX], const char *what)
{
    bool seen[RECORDS_MAX] = {false};
    struct spool_record record;
    open_spool();
    struct spool_cursor *c = spool_cursor_open(spool, "central", &err);
    err.kind = FAIL_NONE;
    while (spool_cursor_read(c, &hold, &record, &err)) {
        char body[BODY_MAX];
        int i = (int)record.sequence - 1;
        ck_assert_msg(i >= 0 && i < written && !seen[i], "%s: record %d came twice", what, i);
        ck_assert_msg(bytes_equal(record.payload, bytes_make(body, make_body(i, body))) &&
                          bytes_equal_text(record.user, "ann") && record.item_count == items_of(i),
                      "%s: record %d came altered", what, i);
        seen[i] = true;
    }
    ck_assert_msg(err.kind == FAIL_NONE, "%s: %s", what, err.cause);
    uint64_t lost[OTLP_SIGNAL_COUNT] = {0};
    for (int i = 0; i < written; i++) {
        ck_assert_msg(seen[i] != missing[i], "%s: record %d is %s", what, i,
                      seen[i] ? "there" : "missing");
        if (missing[i])
            lost[i % OTLP_SIGNAL_COUNT] += items_of(i);
    }
    struct spool_ledger_entry entries[64];
    size_t count = spool_ledger(spool, entries, 64);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(entries[i].reason, SPOOL_LOSS_CORRUPT);
        lost[entries[i].signal] -= entries[i].records;
    }
    for (int k = 0; k < OTLP_SIGNAL_COUNT; k++)
        ck_assert_msg(lost[k] == 0, "%s: the ledger is %" PRId64 " items of signal %d short", what,
                      (int64_t)lost[k], k);

    /* A second destination meets the same damage and does not report it again. */
    struct spool_cursor *other = spool_cursor_open(spool, "other", &err);
    while (spool_cursor_read(other, &hold, &record, &err))
        ;
    ck_assert_uint_eq(spool_ledger(spool, entries, 64), count);

    /* New data flows at once. */
    struct spool_record fresh = {.payload = bytes_of("new"), .item_count = 1};
    expect_ok(spool_append(spool, &fresh, &err));
    expect_ok(spool_commit(spool, &err));
    ck_assert_uint_gt(fresh.sequence, (uint64_t)written);
    expect_ok(spool_cursor_read(c, &hold, &record, &err));
    expect_text(record.payload, "new");
    spool_destroy(spool);
    spool = NULL;
}

/* Which records [from, to) of a file touches. */
static void mark_hit(const struct extent *extents, size_t count, uint64_t from, uint64_t to,
                     bool missing[RECORDS_MAX])
{
    for (size_t i = 0; i < count; i++)
        if (extents[i].from < to && from < extents[i].to)
            missing[extents[i].record] = true;
}

START_TEST(a_flipped_bit_at_any_byte_costs_the_record_it_hits_and_no_other)
{
    static struct extent extents[RECORDS_MAX];
    options.segment_bytes = 4096;
    write_spool(16, 1); /* two segments */
    for (size_t file = 0; file < 2; file++) {
        const char *found = fault_fs_find(disk, ".seg", file);
        ck_assert_ptr_nonnull(found);
        char *path = xstrdup(found);
        size_t count = find_extents(path, extents), len;
        fault_fs_content(disk, path, &len);
        for (size_t at = 0; at < len; at++) {
            bool missing[RECORDS_MAX] = {false};
            char what[64];
            restore();
            fault_fs_content(disk, path, &len)[at] ^= (uint8_t)(1 << at % 8);
            mark_hit(extents, count, at, at + 1, missing);
            snprintf(what, sizeof what, "byte %zu of segment %zu", at, file);
            expect_missing(missing, what);
        }
        free(path);
    }
}
END_TEST

START_TEST(a_zeroed_page_costs_the_records_it_touches)
{
    static struct extent extents[RECORDS_MAX];
    write_spool(300, 4);
    for (size_t file = 0;; file++) {
        const char *found = fault_fs_find(disk, ".seg", file);
        if (!found)
            break;
        char *path = xstrdup(found);
        size_t count = find_extents(path, extents), len;
        fault_fs_content(disk, path, &len);
        for (size_t page = 0; page < len; page += 4096) {
            bool missing[RECORDS_MAX] = {false};
            char what[64];
            restore();
            uint8_t *bytes = fault_fs_content(disk, path, &len);
            size_t end = page + 4096 < len ? page + 4096 : len;
            memset(bytes + page, 0, end - page);
            mark_hit(extents, count, page, end, missing);
            snprintf(what, sizeof what, "page %zu of segment %zu", page / 4096, file);
            expect_missing(missing, what);
        }
        free(path);
        restore();
    }
}
END_TEST

START_TEST(a_file_cut_anywhere_loses_only_its_own_records)
{
    static struct extent extents[RECORDS_MAX];
    write_spool(120, 3);
    for (size_t file = 0;; file++) {
        const char *found = fault_fs_find(disk, ".seg", file);
        if (!found)
            break;
        char *path = xstrdup(found);
        size_t count = find_extents(path, extents), len;
        fault_fs_content(disk, path, &len);
        for (size_t keep = 0; keep < len; keep += 611) {
            bool missing[RECORDS_MAX] = {false};
            char what[64];
            restore();
            fault_fs_cut(disk, path, keep);
            mark_hit(extents, count, keep, len, missing);
            snprintf(what, sizeof what, "segment %zu cut to %zu", file, keep);
            expect_missing(missing, what);
        }
        free(path);
        restore();
    }
}
END_TEST

START_TEST(a_removed_file_loses_only_its_own_records)
{
    static struct extent extents[RECORDS_MAX];
    write_spool(120, 3);
    for (size_t file = 0;; file++) {
        const char *found = fault_fs_find(disk, ".seg", file);
        if (!found)
            break;
        bool missing[RECORDS_MAX] = {false};
        size_t count = find_extents(found, extents);
        mark_hit(extents, count, 0, UINT64_MAX, missing);
        if (file == 0) { /* nothing before it is known to have been there */
            restore();
            continue;
        }
        expect_ok(fs.remove(disk, found, &err));
        expect_missing(missing, "a removed segment");
        restore();
    }
}
END_TEST

START_TEST(random_damage_of_every_kind_never_alters_a_record)
{
    static struct extent extents[RECORDS_MAX];
    write_spool(600, 5);
    uint64_t random = 99;
    for (int round = 0; round < 150; round++) {
        bool missing[RECORDS_MAX] = {false};
        char what[64];
        restore();
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        /* One damaged range per round, of any length, in any segment. */
        size_t files = 0, len;
        while (fault_fs_find(disk, ".seg", files))
            files++;
        const char *path = fault_fs_find(disk, ".seg", (size_t)(random >> 33) % files);
        size_t count = find_extents(path, extents);
        uint8_t *bytes = fault_fs_content(disk, path, &len);
        uint64_t from = (random >> 13) % len, to = from + 1 + (random >> 50) % 900;
        if (to > len)
            to = len;
        for (uint64_t at = from; at < to; at++)
            bytes[at] ^= (uint8_t)(1 + (at * 13 + random) % 255);
        mark_hit(extents, count, from, to, missing);
        snprintf(what, sizeof what, "round %d", round);
        expect_missing(missing, what);
    }
}
END_TEST

START_TEST(every_small_file_may_be_damaged_and_the_spool_still_starts)
{
    bool none[RECORDS_MAX] = {false};
    write_spool(40, 4);
    for (size_t i = 0; i < image_count; i++) {
        if (strstr(images[i].path, ".seg"))
            continue;
        for (size_t at = 0; at < images[i].len; at++) {
            size_t len;
            restore();
            fault_fs_content(disk, images[i].path, &len)[at] ^= 0x20;
            expect_missing(none, images[i].path);
        }
        restore();
        fault_fs_cut(disk, images[i].path, 0);
        expect_missing(none, images[i].path);
    }
}
END_TEST

START_TEST(an_emptied_oldest_segment_is_counted_exactly_after_others_were_delivered)
{
    open_spool();
    struct spool_cursor *c = spool_cursor_open(spool, "central", &err);
    while (written < 120) {
        append_one();
        expect_ok(spool_commit(spool, &err));
    }
    expect_ok(spool_cursor_done(c, 60, &err));
    expect_ok(spool_maintain(spool, &err)); /* the first segments go */
    append_one();
    expect_ok(spool_commit(spool, &err));
    expect_ok(spool_save_positions(spool, &err));
    spool_destroy(spool);
    static struct extent extents[RECORDS_MAX];
    const char *path = fault_fs_find(disk, ".seg", 0);
    size_t count = find_extents(path, extents);
    uint64_t lost[OTLP_SIGNAL_COUNT] = {0};
    for (size_t i = 0; i < count; i++)
        lost[extents[i].record % OTLP_SIGNAL_COUNT] += items_of(extents[i].record);
    ck_assert_int_gt(extents[0].record, 0);
    fault_fs_cut(disk, path, 0);

    open_spool();
    c = spool_cursor_open(spool, "central", &err);
    struct spool_record record;
    expect_ok(spool_cursor_read(c, &hold, &record, &err));
    ck_assert_uint_eq(record.sequence, (uint64_t)extents[count - 1].record + 2);
    struct spool_ledger_entry entries[8];
    for (size_t i = spool_ledger(spool, entries, 8); i-- > 0;)
        lost[entries[i].signal] -= entries[i].records;
    for (int k = 0; k < OTLP_SIGNAL_COUNT; k++)
        ck_assert_uint_eq(lost[k], 0);
}
END_TEST

START_TEST(damaged_bytes_are_kept_in_quarantine_and_reported_once)
{
    write_spool(10, 1);
    size_t len;
    const char *path = fault_fs_find(disk, ".seg", 0);
    fault_fs_content(disk, path, &len)[SEGMENT_HEADER_BYTES + SEGMENT_RECORD_BYTES + 10] ^= 1;
    struct spool_state state;
    for (int start = 0; start < 3; start++) {
        open_spool();
        struct spool_cursor *c = spool_cursor_open(spool, "central", &err);
        struct spool_record record;
        while (spool_cursor_read(c, &hold, &record, &err))
            ;
        spool_state(spool, &state);
        ck_assert_uint_eq(state.quarantined_total, items_of(0));
        ck_assert_uint_eq(state.quarantine_files, 1);
        spool_destroy(spool);
        spool = NULL;
    }
    const char *kept = fault_fs_find(disk, "quarantine/", 0);
    uint8_t *bytes = fault_fs_content(disk, kept, &len);
    ck_assert_ptr_nonnull(kept);
    char body[BODY_MAX];
    size_t body_len = make_body(0, body);
    ck_assert(memcmp(bytes + len - 10, body + body_len - 10, 10) == 0);
}
END_TEST

START_TEST(a_page_the_disk_cannot_read_costs_only_what_is_on_it)
{
    write_spool(10, 1);
    open_spool();
    struct spool_cursor *c = spool_cursor_open(spool, "central", &err);
    struct spool_record record;
    fault_fs_fail_reads(disk, 2);
    expect_fail(spool_cursor_read(c, &hold, &record, &err), FAIL_IO);
    expect_fail(spool_cursor_read(c, &hold, &record, &err), FAIL_IO);
    for (int i = 0; i < 10; i++)
        expect_ok(spool_cursor_read(c, &hold, &record, &err));
    ck_assert_uint_eq(record.sequence, 10);
}
END_TEST

START_TEST(a_newer_format_is_refused_and_left_alone)
{
    write_spool(3, 1);
    size_t len;
    uint8_t *bytes = fault_fs_content(disk, fault_fs_find(disk, ".seg", 0), &len);
    bytes[8] = 9;
    uint32_t crc = crc32c(0, bytes, 132);
    for (int i = 0; i < 4; i++)
        bytes[132 + i] = (uint8_t)(crc >> 8 * i);
    ck_assert_ptr_null(spool_create(&options, &fs, &watch, &err));
    ck_assert_int_eq(err.kind, FAIL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.remedy, "newer agent"));
    ck_assert_ptr_nonnull(fault_fs_find(disk, ".seg", 0));
}
END_TEST

START_TEST(crc32c_is_the_standard_one_with_and_without_the_instruction)
{
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37);
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c_table(0, "123456789", 9), 0xe3069283);
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint32_t whole = crc32c(0, bytes, len);
        ck_assert_uint_eq(whole, crc32c_table(0, bytes, len));
        ck_assert_uint_eq(whole, crc32c(crc32c(0, bytes, len / 3), bytes + len / 3, len - len / 3));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("damaged spool");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_flipped_bit_at_any_byte_costs_the_record_it_hits_and_no_other);
    tcase_add_test(tests, a_zeroed_page_costs_the_records_it_touches);
    tcase_add_test(tests, a_file_cut_anywhere_loses_only_its_own_records);
    tcase_add_test(tests, a_removed_file_loses_only_its_own_records);
    tcase_add_test(tests, random_damage_of_every_kind_never_alters_a_record);
    tcase_add_test(tests, every_small_file_may_be_damaged_and_the_spool_still_starts);
    tcase_add_test(tests, an_emptied_oldest_segment_is_counted_exactly_after_others_were_delivered);
    tcase_add_test(tests, damaged_bytes_are_kept_in_quarantine_and_reported_once);
    tcase_add_test(tests, a_page_the_disk_cannot_read_costs_only_what_is_on_it);
    tcase_add_test(tests, a_newer_format_is_refused_and_left_alone);
    tcase_add_test(tests, crc32c_is_the_standard_one_with_and_without_the_instruction);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
