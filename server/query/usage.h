/*
 * Daily usage per person, from whichever source is believed.
 *
 *   store->usage ─▶ within OpenTelemetry: events or metrics ─▶ groups ─▶ answer
 *
 * Within OpenTelemetry a session is told twice, by its request events and spans and by its
 * metrics. Each figure counts once: a session's family of figures (tokens and cost,
 * activity, edits) is taken whole from the origin that saw more of it.
 */
#ifndef SERVER_QUERY_USAGE_H
#define SERVER_QUERY_USAGE_H

#include "base/arena.h"
#include "base/error.h"
#include "server/query/instant.h"
#include "server/store/messages.h"

/* Highest first; CONTRACT "Precedence". A family of figures comes from one source alone. */
enum usage_source { USAGE_ENTERPRISE_API, USAGE_ADMIN_API, USAGE_OTEL };
const char *usage_source_name(enum usage_source source);

enum usage_family { USAGE_TOKENS, USAGE_ACTIVITY, USAGE_EDITS, USAGE_FAMILY_COUNT };
const char *usage_family_name(enum usage_family family);

enum usage_grouping { USAGE_BY_PERSON = 1, USAGE_BY_MODEL = 2, USAGE_BY_SYSTEM = 4 };

/* One day of one group. */
struct usage_day {
    char day[INSTANT_DAY_BYTES];
    struct bytes person, model, system; /* empty unless grouped by, or unknown */
    int64_t input_tokens, output_tokens, cache_read_tokens, cache_create_tokens;
    int64_t cost_microcents, requests;
    int64_t sessions, commits, pull_requests;
    int64_t lines_added, lines_removed, edits_accepted, edits_rejected;
    double active_seconds;
    enum usage_source sources[USAGE_FAMILY_COUNT];
    bool provisional; /* an API may still revise the day */
};

typedef bool usage_day_visit(void *context, const struct usage_day *day);

/*
 * Visits each group of each UTC day from `from_ns` to `to_ns` (both days included), by day,
 * then person, model, system. FAIL_TOO_LARGE when the arena is too small for the range.
 */
MUST_USE bool usage_visit_days(struct message_store *store, uint64_t from_ns, uint64_t to_ns,
                               unsigned grouping, struct arena *arena, usage_day_visit *visit,
                               void *context, struct error *err);

#endif
