#include "core/metrics/metrics.h"

#define MS UINT64_C(1000000)

static const uint64_t times[] = {MS,        2 * MS,    5 * MS,     10 * MS,    25 * MS,
                                 50 * MS,   100 * MS,  250 * MS,   500 * MS,   1000 * MS,
                                 2500 * MS, 5000 * MS, 10000 * MS, 30000 * MS, 60000 * MS};
static const uint64_t sizes[] = {1,     4,     16,     64,      256,     1024,    4096,
                                 16384, 65536, 262144, 1048576, 4194304, 16777216};

struct histogram histogram_of_time(void)
{
    return (struct histogram){.bounds = times,
                              .bound_count = sizeof times / sizeof *times,
                              .scale = 1e9};
}

struct histogram histogram_of_sizes(void)
{
    return (
        struct histogram){.bounds = sizes, .bound_count = sizeof sizes / sizeof *sizes, .scale = 1};
}

void histogram_add(struct histogram *h, uint64_t value)
{
    size_t bucket = 0;
    while (bucket < h->bound_count && value > h->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&h->counts[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
}

struct metrics metrics_begin(struct buffer *out)
{
    return (struct metrics){.out = out, .fits = true};
}

void metrics_put_name(struct metrics *m, const char *name, const char *type, const char *help)
{
    m->fits = m->fits &&
              buffer_append_format(m->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_put_sample(struct metrics *m, const char *name, const char *labels, uint64_t value)
{
    m->fits = m->fits &&
              buffer_append_format(m->out, "%s%s %llu\n", name, labels, (unsigned long long)value);
}

void metrics_put_real(struct metrics *m, const char *name, const char *labels, double value)
{
    m->fits = m->fits && buffer_append_format(m->out, "%s%s %.9g\n", name, labels, value);
}

void metrics_put(struct metrics *m, const char *name, const char *type, const char *help,
                 uint64_t value)
{
    metrics_put_name(m, name, type, help);
    metrics_put_sample(m, name, "", value);
}

void metrics_put_histogram(struct metrics *m, const char *name, const char *labels,
                           const struct histogram *h)
{
    const char *comma = labels[0] ? "," : "";
    uint64_t total = 0;
    for (size_t i = 0; i < h->bound_count; i++) {
        total += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        m->fits = m->fits && buffer_append_format(m->out, "%s_bucket{%s%sle=\"%.9g\"} %llu\n", name,
                                                  labels, comma, (double)h->bounds[i] / h->scale,
                                                  (unsigned long long)total);
    }
    total += atomic_load_explicit(&h->counts[h->bound_count], memory_order_relaxed);
    double sum = (double)atomic_load_explicit(&h->sum, memory_order_relaxed) / h->scale;
    const char *open = labels[0] ? "{" : "", *close = labels[0] ? "}" : "";
    m->fits =
        m->fits &&
        buffer_append_format(m->out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma,
                             (unsigned long long)total) &&
        buffer_append_format(m->out, "%s_sum%s%s%s %.9g\n%s_count%s%s%s %llu\n", name, open, labels,
                             close, sum, name, open, labels, close, (unsigned long long)total);
}
