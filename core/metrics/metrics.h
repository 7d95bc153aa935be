/*
 * Numbers for Prometheus: histograms that any thread adds to, and the text form of all kinds.
 *
 *   histogram_add (any thread) ─▶ struct histogram ─▶ metrics_put_histogram ─▶ GET /metrics
 */
#ifndef CORE_METRICS_METRICS_H
#define CORE_METRICS_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { HISTOGRAM_BUCKETS = 16 };

/* Zeroed but for the bounds, which are static and rise. `scale` divides what is shown: 1e9 makes
 * seconds of nanoseconds. */
struct histogram {
    const uint64_t *bounds;
    size_t bound_count; /* at most HISTOGRAM_BUCKETS */
    double scale;
    atomic_uint_least64_t counts[HISTOGRAM_BUCKETS + 1]; /* the last: above all bounds */
    atomic_uint_least64_t sum;
};

/* From a millisecond to a minute, in nanoseconds, shown in seconds. */
struct histogram histogram_of_time(void);
/* 1, 4, 16 … 4^12, shown as they are. */
struct histogram histogram_of_sizes(void);
void histogram_add(struct histogram *histogram, uint64_t value);

/* What is written; `fits` false once it did not. */
struct metrics {
    struct buffer *out;
    bool fits;
};

struct metrics metrics_begin(struct buffer *out);

/* "# HELP" and "# TYPE": before the samples of a name. `type` is "counter", "gauge" or "histogram". */
void metrics_put_name(struct metrics *metrics, const char *name, const char *type,
                      const char *help);
/* `labels` is "" or `{a="b"}`. */
void metrics_put_sample(struct metrics *metrics, const char *name, const char *labels,
                        uint64_t value);
void metrics_put_real(struct metrics *metrics, const char *name, const char *labels, double value);
/* Name and one sample. */
void metrics_put(struct metrics *metrics, const char *name, const char *type, const char *help,
                 uint64_t value);
/* `labels` is "" or `a="b"`, without braces. */
void metrics_put_histogram(struct metrics *metrics, const char *name, const char *labels,
                           const struct histogram *histogram);

#endif
