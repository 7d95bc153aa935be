/*
 * Daily usage per person, from whichever source is believed.
 *
 *   messages->usage ─▶ within OpenTelemetry: events or metrics ─┐
 *   control->api_usage ─▶ whose is it? ─────────────────────────┴▶ source by source ─▶ groups
 *
 * Within OpenTelemetry a session is told twice, by its request events and spans and by its
 * metrics. Each figure counts once: a session's family of figures (tokens and cost,
 * activity, edits) is taken whole from the origin that saw more of it.
 *
 * Between sources, a person's UTC day has each family from one source: the first of enterprise_api,
 * admin_api, otel that saw any of it. What the chosen API does not tell at all (active time,
 * requests in the Admin report) stays OpenTelemetry's. The analytics beta and the reports before it
 * tell the same tokens and cost: the beta counts where it has them. Nothing is chosen when data
 * arrives, so the order of arrival does not matter.
 *
 * Pure but for reading the stores: any thread.
 */
#ifndef SERVER_QUERY_USAGE_H
#define SERVER_QUERY_USAGE_H

#include "base/arena.h"
#include "base/error.h"
#include "server/importers/integrations.h"
#include "server/query/instant.h"
#include "server/store/control.h"
#include "server/store/messages.h"

/* Highest first; CONTRACT "Precedence". A family of figures comes from one source alone. */
enum usage_source { USAGE_ENTERPRISE_API, USAGE_ADMIN_API, USAGE_OTEL, USAGE_SOURCE_COUNT };
const char *usage_source_name(enum usage_source source);
bool usage_source_of_name(struct bytes name, enum usage_source *out);

enum usage_family { USAGE_TOKENS, USAGE_ACTIVITY, USAGE_EDITS, USAGE_FAMILY_COUNT };
const char *usage_family_name(enum usage_family family);

enum usage_grouping { USAGE_BY_PERSON = 1, USAGE_BY_MODEL = 2, USAGE_BY_SYSTEM = 4 };

struct usage_figures {
    int64_t input_tokens, output_tokens, cache_read_tokens, cache_create_tokens;
    int64_t cost_1e8_usd; /* exact; usage_cost_microcents() for showing */
    int64_t requests;
    int64_t sessions, commits, pull_requests;
    int64_t lines_added, lines_removed, edits_accepted, edits_rejected;
    double active_seconds;
};

/* USD x 10^6 of USD x 10^8, half rounded up. */
int64_t usage_cost_microcents(int64_t cost_1e8_usd);

/* One day of one group. */
struct usage_day {
    char day[INSTANT_DAY_BYTES];
    struct bytes person, model, system; /* empty unless grouped by, or unknown */
    /* "api_key:NAME" or "account:user_…": whom an API names that is no known person. With
     * USAGE_BY_PERSON; empty where there is a person, or nothing at all is known. */
    struct bytes actor;
    int64_t people; /* who stand behind it: persons and actors */
    struct usage_figures figures;
    unsigned sources[USAGE_FAMILY_COUNT]; /* a bit per enum usage_source; one alone per person */
    bool provisional;                     /* an API may still revise the day */
};

typedef bool usage_day_visit(void *context, const struct usage_day *day);

struct usage_question {
    struct message_store *messages; /* all borrowed */
    struct control_store *control;  /* NULL: OpenTelemetry alone */
    const struct integrations *integrations;
    uint64_t from_ns, to_ns; /* both days included */
    uint64_t now_ns;         /* decides what is provisional */
    unsigned grouping;
    bool has_only; /* one source alone, nothing chosen */
    enum usage_source only;
    /* OpenTelemetry's part is what its requests told: tokens, cost and requests, from daily sums,
     * which is quick. Otherwise everything, session by session. */
    bool requests_only;
};

/* Negative, 0 or positive, by bytes. */
int usage_compare_texts(struct bytes a, struct bytes b);

/*
 * Visits each group of each UTC day, by day, then person, model, system. Texts are borrowed from the
 * arena for the call. FAIL_TOO_LARGE when a month does not fit into the arena.
 */
MUST_USE bool usage_visit_days(const struct usage_question *question, struct arena *arena,
                               usage_day_visit *visit, void *context, struct error *err);

/* Whether an API has told anything of these days (both included). `control` may be NULL. */
MUST_USE bool usage_api_told(struct control_store *control, uint64_t from_ns, uint64_t to_ns,
                             bool *told, struct error *err);

/* What each source saw of one person's day, before any choice. */
struct usage_telling {
    char day[INSTANT_DAY_BYTES];
    struct bytes person, actor;
    struct {
        bool any; /* saw usage of whatever family */
        struct usage_figures figures;
    } by[USAGE_SOURCE_COUNT];
};
typedef bool usage_telling_visit(void *context, const struct usage_telling *telling);

/* As usage_visit_days, by day and person; grouping and only are not looked at. */
MUST_USE bool usage_visit_tellings(const struct usage_question *question, struct arena *arena,
                                   usage_telling_visit *visit, void *context, struct error *err);

/* "otel"; "enterprise_api+otel" where several contributed to a group. */
void usage_sources_text(unsigned sources, char out[48]);

#endif
