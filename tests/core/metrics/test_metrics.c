#include "core/metrics/metrics.h"

#include <string.h>

#include "tests/support/expect.h"

static bool has(struct buffer *out, const char *line)
{
    return strstr(buffer_text(out), line) != NULL;
}

START_TEST(a_histogram_counts_up_to_each_bound_and_adds_up)
{
    struct buffer out = {.max_bytes = 64 * KIB};
    struct metrics m = metrics_begin(&out);
    struct histogram h = histogram_of_time();
    histogram_add(&h, 1000000);        /* 1 ms: the bound itself is within */
    histogram_add(&h, 1000001);        /* more */
    histogram_add(&h, 90000000000ULL); /* above all bounds */
    metrics_put_name(&m, "x_seconds", "histogram", "How long.");
    metrics_put_histogram(&m, "x_seconds", "area=\"api\"", &h);
    ck_assert(m.fits);
    ck_assert(has(&out, "# TYPE x_seconds histogram\n"));
    ck_assert(has(&out, "x_seconds_bucket{area=\"api\",le=\"0.001\"} 1\n"));
    ck_assert(has(&out, "x_seconds_bucket{area=\"api\",le=\"0.002\"} 2\n"));
    ck_assert(has(&out, "x_seconds_bucket{area=\"api\",le=\"60\"} 2\n"));
    ck_assert(has(&out, "x_seconds_bucket{area=\"api\",le=\"+Inf\"} 3\n"));
    ck_assert(has(&out, "x_seconds_count{area=\"api\"} 3\n"));
    ck_assert(has(&out, "x_seconds_sum{area=\"api\"} 90.002\n"));
    buffer_clear(&out);
}
END_TEST

START_TEST(without_labels_there_are_no_braces_but_those_of_the_buckets)
{
    struct buffer out = {.max_bytes = 64 * KIB};
    struct metrics m = metrics_begin(&out);
    struct histogram h = histogram_of_sizes();
    histogram_add(&h, 5);
    metrics_put_histogram(&m, "rows", "", &h);
    ck_assert(has(&out, "rows_bucket{le=\"4\"} 0\nrows_bucket{le=\"16\"} 1\n"));
    ck_assert(has(&out, "rows_sum 5\nrows_count 1\n"));
    buffer_clear(&out);
}
END_TEST

START_TEST(what_does_not_fit_is_noticed)
{
    struct buffer out = {.max_bytes = 10};
    struct metrics m = metrics_begin(&out);
    metrics_put(&m, "a_long_name", "counter", "Help.", 1);
    ck_assert(!m.fits);
    buffer_clear(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_histogram_counts_up_to_each_bound_and_adds_up);
    tcase_add_test(tests, without_labels_there_are_no_braces_but_those_of_the_buckets);
    tcase_add_test(tests, what_does_not_fit_is_noticed);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
