/*
 * How fast the spool takes records durably, against the floor of this disk:
 * one write and one fdatasync of the same bytes to a preallocated file. Both
 * run in turns in one process, so what the machine does else hits both.
 *
 *   gcc -O2 -D_GNU_SOURCE -I. bench/spool.c agent/relay/{crc32c,ledger,lines,segment}.c agent/relay/spool*.c
 *   base/{bytes,error,memory}.c platform/{fs,fs_posix,linux,posix}.c platform/folder*.c -lpthread -o build/bench_spool
 *   build/bench_spool [DIR] [SECONDS]
 *
 * Prints, per group size, records per second and the ratio to the floor. Then
 * how long a start takes with 1 GiB waiting, and the memory it needs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relay/spool.h"
#include "base/memory.h"
#include "platform/fs.h"
#include "platform/platform.h"

enum { PAYLOAD_BYTES = 3500, FLOOR_BYTES = 8 * 1024 * 1024 };

static struct error err;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_spool: %s: %s\n", what, err.cause);
    exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(&platform_clock);
}

/* Groups of `group` records for `seconds`: records per second. */
static double run_floor(const char *path, int group, double seconds, const uint8_t *bytes)
{
    struct fs_file *file = fs_real.open(NULL, path, FS_WRITE | FS_CREATE, 0600, &err);
    must(file != NULL, "open");
    size_t size = (size_t)group * PAYLOAD_BYTES;
    for (size_t at = 0; at < FLOOR_BYTES; at += PAYLOAD_BYTES)
        must(fs_real.write_at(NULL, file, at, bytes_make(bytes, PAYLOAD_BYTES), &err), "write");
    must(fs_real.sync(NULL, file, &err), "sync");
    uint64_t start = now_ns(), groups = 0, at = 0;
    while ((double)(now_ns() - start) < seconds * 1e9) {
        if (at + size > FLOOR_BYTES)
            at = 0;
        must(fs_real.write_at(NULL, file, at, bytes_make(bytes, size), &err), "write");
        must(fs_real.sync(NULL, file, &err), "sync");
        at += size;
        groups++;
    }
    double elapsed = (double)(now_ns() - start) / 1e9;
    fs_real.close(NULL, file);
    return (double)(groups * (uint64_t)group) / elapsed;
}

static void append(struct spool *spool, const uint8_t *bytes)
{
    struct spool_record record = {.received_ns = 1,
                                  .item_count = 5,
                                  .user = bytes_of("ann"),
                                  .payload = bytes_make(bytes, PAYLOAD_BYTES)};
    must(spool_append(spool, &record, &err), "append");
}

static double run_spool(struct spool *spool, struct spool_cursor *cursor, int group, double seconds,
                        const uint8_t *bytes)
{
    uint64_t start = now_ns(), groups = 0;
    while ((double)(now_ns() - start) < seconds * 1e9) {
        for (int i = 0; i < group; i++)
            append(spool, bytes);
        must(spool_commit(spool, &err), "commit");
        must(spool_cursor_done(cursor, spool_last_sequence(spool), &err), "done");
        groups++;
    }
    return (double)(groups * (uint64_t)group) / ((double)(now_ns() - start) / 1e9);
}

static uint64_t resident_kib(void)
{
    struct buffer text = {.max_bytes = 64 * KIB};
    const char *at;
    uint64_t kib = 0;
    if (fs_read_file(&fs_real, "/proc/self/status", &text, &err) &&
        (at = strstr(buffer_text(&text), "VmRSS:")))
        (void)!sscanf(at, "VmRSS: %" SCNu64, &kib);
    buffer_clear(&text);
    return kib;
}

static void measure_start(const struct spool_options *options, const uint8_t *bytes)
{
    struct spool *spool = spool_create(options, &fs_real, &platform_clock, &err);
    must(spool != NULL, "open");
    struct spool_cursor *waits = spool_cursor_open(spool, "waits", &err);
    must(waits != NULL, "cursor");
    for (uint64_t written = 0; written < 1000 * MIB; written += PAYLOAD_BYTES) {
        append(spool, bytes);
        if (written / PAYLOAD_BYTES % 512 == 0)
            must(spool_commit(spool, &err), "commit");
    }
    must(spool_commit(spool, &err), "commit");
    spool_destroy(spool);

    uint64_t start = now_ns();
    spool = spool_create(options, &fs_real, &platform_clock, &err);
    must(spool != NULL, "open");
    double opened_ms = (double)(now_ns() - start) / 1e6;
    append(spool, bytes);
    must(spool_commit(spool, &err), "commit");
    printf("start with 1000 MiB waiting: open %.1f ms, first record durable after %.1f ms "
           "(limit 50), resident %" PRIu64 " KiB\n",
           opened_ms, (double)(now_ns() - start) / 1e6, resident_kib());
    struct spool_cursor *c = spool_cursor_open(spool, "waits", &err);
    struct buffer hold = {.max_bytes = MIB};
    struct spool_record record;
    uint64_t count = 0;
    start = now_ns();
    while (spool_cursor_read(c, &hold, &record, &err))
        count++;
    printf("reading it: %.0f records/s, %.0f MB/s, resident %" PRIu64 " KiB\n",
           (double)count * 1e9 / (double)(now_ns() - start),
           (double)count * PAYLOAD_BYTES * 1e3 / (double)(now_ns() - start), resident_kib());
    buffer_clear(&hold);
    must(spool_cursor_done(c, spool_last_sequence(spool), &err), "done");
    must(spool_maintain(spool, &err), "maintain");
    spool_destroy(spool);
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "/tmp";
    double seconds = argc > 2 ? atof(argv[2]) : 1.0;
    static const int groups[] = {1, 8, 64, 512};
    char *base = xasprintf("%s/bench_spool.%" PRIx64, dir, now_ns());
    char *path = xasprintf("%s/floor", base), *spool_dir = xasprintf("%s/spool", base);
    uint8_t *bytes = xcalloc(512, PAYLOAD_BYTES);
    for (size_t i = 0; i < (size_t)512 * PAYLOAD_BYTES; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    must(fs_make_dirs(&fs_real, base, 0700, &err), "make a directory");

    struct spool_options options = {.dir = spool_dir, .max_bytes = 2048 * MIB};
    struct spool *spool = spool_create(&options, &fs_real, &platform_clock, &err);
    must(spool != NULL, "open");
    struct spool_cursor *cursor = spool_cursor_open(spool, "bench", &err);
    must(cursor != NULL, "cursor");
    printf("%6s %16s %16s %8s   (records of %d bytes)\n", "group", "floor rec/s", "spool rec/s",
           "ratio", PAYLOAD_BYTES);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        double floor = 0, ours = 0;
        for (int turn = 0; turn < 4; turn++) {
            floor += run_floor(path, groups[i], seconds / 4, bytes) / 4;
            ours += run_spool(spool, cursor, groups[i], seconds / 4, bytes) / 4;
        }
        printf("%6d %16.0f %16.0f %8.2f\n", groups[i], floor, ours, ours / floor);
    }
    printf("resident %" PRIu64 " KiB\n", resident_kib());
    spool_destroy(spool);
    measure_start(&options, bytes);
    (void)!fs_real.remove(NULL, path, &err);
    printf("left in %s: remove it\n", base);
    free(bytes);
    free(spool_dir);
    free(path);
    free(base);
    return EXIT_SUCCESS;
}
