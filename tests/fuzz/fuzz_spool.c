/*
 * A spool whose newest segment file is the input. It must open (or refuse a
 * newer version), hand out only what the file holds, and take new records.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/segment.h"
#include "agent/relay/spool_inspect.h"
#include "tests/support/fault_fs.h"
#include "tests/support/manual_clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The salt of the corpus, so that the fuzzer's changes meet checksums that hold. */
#define SALT 0x12345678U

static void run(const struct fs *fs, const struct clock *clock)
{
    struct error err;
    struct spool_options options = {.dir = "s", .max_bytes = MIB, .segment_bytes = 4096};
    struct spool *spool = spool_create(&options, fs, clock, &err);
    if (!spool) {
        if (err.kind != FAIL_INVALID) /* a newer version is the only excuse */
            abort();
        return;
    }
    struct spool_cursor *c = spool_cursor_open(spool, "c", &err);
    struct buffer hold = {.max_bytes = 65 * MIB};
    struct spool_record record, fresh = {.item_count = 1, .payload = bytes_of("new")};
    uint64_t last = 0;
    while (spool_cursor_read(c, &hold, &record, &err)) {
        if (record.sequence <= last)
            abort();
        last = record.sequence;
    }
    if (err.kind != FAIL_NONE || !spool_append(spool, &fresh, &err) || !spool_commit(spool, &err))
        abort();
    if (!spool_cursor_read(c, &hold, &record, &err) || !bytes_equal_text(record.payload, "new"))
        abort();
    buffer_clear(&hold);
    spool_destroy(spool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manual_clock now = {.wall_ns = NS_PER_S, .monotonic_ns = NS_PER_S};
    struct clock clock = manual_clock_table(&now);
    struct fault_fs *disk = fault_fs_create(1);
    struct fs fs = fault_fs_table(disk);
    struct error err;
    struct spool_verdict verdict;
    char name[SEGMENT_NAME_BYTES], path[SEGMENT_NAME_BYTES + 8];
    segment_name(1, SALT, name);
    snprintf(path, sizeof path, "s/%s", name);
    if (fs.make_dir(disk, "s", 0700, &err))
        fault_fs_put(disk, path, bytes_make(data, size));
    (void)!spool_inspect_verify(&fs, "s", &verdict, &err);
    run(&fs, &clock);
    fault_fs_destroy(disk);
    return 0;
}
