#include "tests/agent/relay/spool_rig.h"

#include <check.h>

struct fault_fs *disk;
struct fs fs;
struct manual_clock now;
struct clock watch;
struct spool_options options;
struct spool *spool;
struct buffer hold;

void rig_set_up(uint64_t seed)
{
    disk = fault_fs_create(seed);
    fs = fault_fs_table(disk);
    now = (struct manual_clock){.wall_ns = UINT64_C(1700000000) * NS_PER_S,
                                .monotonic_ns = 5 * NS_PER_S};
    watch = manual_clock_table(&now);
    options = (struct spool_options){.dir = "spool", .max_bytes = MIB, .segment_bytes = 8192};
    hold = (struct buffer){.max_bytes = MIB};
    spool = NULL;
}

void rig_tear_down(void)
{
    close_spool();
    fault_fs_destroy(disk);
    buffer_clear(&hold);
}

void open_spool(void)
{
    struct error err;
    spool = spool_create(&options, &fs, &watch, &err);
    ck_assert_msg(spool != NULL, "%s", err.cause);
}

void close_spool(void)
{
    spool_destroy(spool);
    spool = NULL;
}

struct spool_cursor *cursor(const char *name)
{
    struct error err;
    struct spool_cursor *c = spool_cursor_open(spool, name, &err);
    ck_assert_msg(c != NULL, "%s", err.cause);
    return c;
}

uint64_t lost(enum spool_loss reason, const char *destination)
{
    struct spool_ledger_entry entries[64];
    uint64_t sum = 0;
    for (size_t i = spool_ledger(spool, entries, 64); i-- > 0;)
        if (entries[i].reason == reason && strcmp(entries[i].destination, destination) == 0)
            sum += entries[i].records;
    return sum;
}
