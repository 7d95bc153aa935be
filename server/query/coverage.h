/*
 * Whom OpenTelemetry misses: person-days by source, and those on which an API saw usage and
 * OpenTelemetry did not, with what is known of the person's device.
 *
 *   usage_visit_tellings ─▶ counts per day ─▶ answer
 *   fleet's devices ──────▶ silent failures ─┘
 */
#ifndef SERVER_QUERY_COVERAGE_H
#define SERVER_QUERY_COVERAGE_H

#include "server/query/usage.h"

/* A person-day counts once under every source that saw usage. */
struct coverage_count {
    uint64_t person_days, by[USAGE_SOURCE_COUNT];
    uint64_t silent;       /* an API saw usage of a known person, OpenTelemetry none */
    uint64_t unattributed; /* within person_days: nobody is known for it */
    /* On the person-days of which an API tells tokens. */
    int64_t otel_tokens, api_tokens;
};

/* otel_tokens / api_tokens; negative when no API tells tokens. */
double coverage_ratio(const struct coverage_count *count);

struct coverage_silent {
    char day[INSTANT_DAY_BYTES];
    struct bytes person;
    enum usage_source source; /* the highest API that saw it */
    int64_t tokens, sessions;
    /* Of the person's devices the one seen last; device_id "" when the fleet knows none. */
    const char *device_id, *hostname, *device_state, *device_code, *device_reason;
    uint64_t device_last_seen_ns;
    bool has_doctor_report;
};

/* Borrowed for the call; false: stop. */
typedef bool coverage_silent_visit(void *context, const struct coverage_silent *silent);
typedef bool coverage_day_visit(void *context, const char *day, const struct coverage_count *count);

/* Visits silent failures by day and person, each day's before the day itself. */
MUST_USE bool coverage_read(const struct usage_question *question, struct arena *arena,
                            coverage_silent_visit *silent, coverage_day_visit *day, void *context,
                            struct coverage_count *total, struct error *err);

/* Whether at least `min` people stand behind the tokens of both sides; 0: no matter. */
bool coverage_shows_tokens(const struct coverage_count *count, uint64_t min);

/* The same under another name, without what leads to the person by way of the device. */
struct coverage_silent coverage_masked(const struct coverage_silent *silent, struct bytes name);

/* What a person should do about a silent failure. */
const char *coverage_advice(const struct coverage_silent *silent);

/* The table of silent failures, RFC 4180: its head line, and one line. */
const char *coverage_csv_head(void);
MUST_USE bool coverage_put_csv(struct buffer *out, const struct coverage_silent *silent);

#endif
