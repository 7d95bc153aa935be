/* Made-up rows: the same seed gives the same rows. */
#ifndef TESTS_SERVER_SAMPLE_ROWS_H
#define TESTS_SERVER_SAMPLE_ROWS_H

#include "base/arena.h"
#include "server/store/messages.h"

/* 2026-10-20T00:00:00Z: five days before Europe leaves summer time. */
#define SAMPLE_FROM_NS UINT64_C(1792454400000000000)

struct sample_rows {
    struct arena arena;
    struct message *rows;
    size_t count;
    uint32_t random; /* the generator's state */
};

void sample_rows_init(struct sample_rows *samples, uint32_t seed, size_t count);
void sample_rows_clear(struct sample_rows *samples);
uint32_t sample_random(struct sample_rows *samples, uint32_t below);

/* A row of its own: key from `number`, nothing else said but type, time and session. */
struct message sample_row(uint64_t number, enum message_type type, uint64_t time_ns);

#endif
