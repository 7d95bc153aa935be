/* GET /api/v1/usage/daily, as JSON or CSV. */
#include <stdlib.h>

#include "base/memory.h"
#include "core/json/writer.h"
#include "server/query/handlers.h"
#include "server/query/instant.h"
#include "server/query/people.h"
#include "server/query/range.h"
#include "server/query/usage.h"

static const struct {
    const char *name;
    unsigned grouping;
} groupings[] = {{"person", USAGE_BY_PERSON},
                 {"model", USAGE_BY_MODEL},
                 {"system", USAGE_BY_SYSTEM}};
enum { GROUPING_COUNT = sizeof groupings / sizeof *groupings };

struct daily {
    struct range range;
    unsigned grouping;
    bool has_only;
    enum usage_source only;
    enum privacy names;
    const struct people *people;
    bool csv;
    struct arena arena;     /* of what is kept */
    struct usage_day *days; /* in cohorts all are kept, to see which may be shown */
    size_t count, capacity, withheld;
    struct json_writer writer;
    struct buffer out;
    bool fits;
};

/* ---- Reading ---- */

static bool add_grouping(struct daily *d, struct bytes name, struct error *err)
{
    for (size_t i = 0; i < GROUPING_COUNT; i++) {
        if (bytes_equal_text(name, groupings[i].name)) {
            d->grouping |= groupings[i].grouping;
            return true;
        }
    }
    return error_set(err, FAIL_INVALID, "'groupBy' must be person, model or system");
}

static bool check_names(const struct arguments *query, struct error *err)
{
    static const char *const known[] = {"from", "to", "groupBy", "source", "names"};
    for (size_t i = 0; i < query->count; i++) {
        struct bytes name = query->items[i].name;
        bool found = query->items[i].value.len == 0;
        for (size_t k = 0; k < sizeof known / sizeof *known && !found; k++)
            found = bytes_equal_text(name, known[k]);
        if (!found)
            return error_set(err, FAIL_INVALID,
                             "'%.*s' is no parameter: use from, to, groupBy, source, names",
                             (int)(name.len < 80 ? name.len : 80), (const char *)name.data);
    }
    return true;
}

static bool read_arguments(const struct query *q, const struct route_call *call, struct daily *d,
                           struct error *err)
{
    struct bytes source = arguments_get(&call->query, "source");
    if (!check_names(&call->query, err) || !privacy_read(call, q->viewers, &d->names, err) ||
        !range_read(&call->query, clock_wall_ns(q->clock), &d->range, err))
        return false;
    d->has_only = source.len > 0;
    if (d->has_only && !usage_source_of_name(source, &d->only))
        return error_set(err, FAIL_INVALID, "'source' must be enterprise_api, admin_api or otel");
    for (size_t i = 0; i < call->query.count; i++)
        if (bytes_equal_text(call->query.items[i].name, "groupBy") &&
            call->query.items[i].value.len > 0 && !add_grouping(d, call->query.items[i].value, err))
            return false;
    if (d->grouping == 0)
        d->grouping =
            privacy_has_people(d->names) ? (unsigned)USAGE_BY_PERSON : (unsigned)USAGE_BY_MODEL;
    if ((d->grouping & USAGE_BY_PERSON) && !privacy_has_people(d->names)) {
        error_set(err, FAIL_DENIED, "'person' tells people apart, and sums do not");
        return error_remedy(err, "use groupBy=model, or ask with names=named, which the role "
                                 "analyst may");
    }
    return true;
}

/* ---- The figures, once for both forms ---- */

static const struct {
    const char *name;
    size_t offset;
} figures[] = {
    {"inputTokens", offsetof(struct usage_figures, input_tokens)},
    {"outputTokens", offsetof(struct usage_figures, output_tokens)},
    {"cacheReadTokens", offsetof(struct usage_figures, cache_read_tokens)},
    {"cacheCreateTokens", offsetof(struct usage_figures, cache_create_tokens)},
    {"costMicrocents", offsetof(struct usage_figures, cost_1e8_usd)},
    {"requests", offsetof(struct usage_figures, requests)},
    {"sessions", offsetof(struct usage_figures, sessions)},
    {"commits", offsetof(struct usage_figures, commits)},
    {"pullRequests", offsetof(struct usage_figures, pull_requests)},
    {"linesAdded", offsetof(struct usage_figures, lines_added)},
    {"linesRemoved", offsetof(struct usage_figures, lines_removed)},
    {"editsAccepted", offsetof(struct usage_figures, edits_accepted)},
    {"editsRejected", offsetof(struct usage_figures, edits_rejected)},
};
enum { FIGURE_COUNT = sizeof figures / sizeof *figures };

static int64_t figure(const struct usage_day *day, size_t i)
{
    int64_t value;
    memcpy(&value, (const char *)&day->figures + figures[i].offset, sizeof value);
    return figures[i].offset == offsetof(struct usage_figures, cost_1e8_usd)
               ? usage_cost_microcents(value)
               : value;
}

static struct bytes group_text(const struct usage_day *day, unsigned grouping)
{
    return grouping == USAGE_BY_PERSON  ? day->person
           : grouping == USAGE_BY_MODEL ? day->model
                                        : day->system;
}

static void put_sources(struct json_writer *w, unsigned sources)
{
    char text[48];
    usage_sources_text(sources, text);
    json_put_string(w, text);
}

static bool put_json_day(struct daily *d, const struct usage_day *day)
{
    struct json_writer *w = &d->writer;
    json_object_open(w);
    json_put_key(w, "day");
    json_put_string(w, day->day);
    for (size_t i = 0; i < GROUPING_COUNT; i++) {
        struct bytes text = group_text(day, groupings[i].grouping);
        if (!(d->grouping & groupings[i].grouping))
            continue;
        json_put_key(w, groupings[i].name);
        if (text.len > 0)
            json_put_bytes(w, text);
        else
            json_put_null(w);
    }
    if (d->grouping & USAGE_BY_PERSON && day->actor.len > 0) {
        json_put_key(w, "actor");
        json_put_bytes(w, day->actor);
    }
    for (size_t i = 0; i < FIGURE_COUNT; i++) {
        json_put_key(w, figures[i].name);
        json_put_int(w, figure(day, i));
    }
    json_put_key(w, "activeSeconds");
    json_put_double(w, day->figures.active_seconds);
    json_put_key(w, "source");
    put_sources(w, day->sources[USAGE_TOKENS]);
    json_put_key(w, "sources");
    json_object_open(w);
    for (int f = 0; f < USAGE_FAMILY_COUNT; f++) {
        json_put_key(w, usage_family_name((enum usage_family)f));
        put_sources(w, day->sources[f]);
    }
    json_object_close(w);
    json_put_key(w, "provisional");
    json_put_bool(w, day->provisional);
    json_object_close(w);
    return d->fits = json_writer_ok(w);
}

static bool put_csv_head(struct daily *d)
{
    bool fits = buffer_append_text(&d->out, "day");
    for (size_t i = 0; i < GROUPING_COUNT && fits; i++)
        if (d->grouping & groupings[i].grouping)
            fits = buffer_append_format(&d->out, ",%s", groupings[i].name);
    for (size_t i = 0; i < FIGURE_COUNT && fits; i++)
        fits = buffer_append_format(&d->out, ",%s", figures[i].name);
    return fits && buffer_append_text(&d->out, ",activeSeconds,source,provisional") &&
           buffer_append_text(&d->out, d->grouping & USAGE_BY_PERSON ? ",actor\r\n" : "\r\n");
}

static bool put_csv_day(struct daily *d, const struct usage_day *day)
{
    bool fits = buffer_append_text(&d->out, day->day);
    for (size_t i = 0; i < GROUPING_COUNT && fits; i++)
        if (d->grouping & groupings[i].grouping)
            fits = buffer_append_byte(&d->out, ',') &&
                   csv_put_text(&d->out, group_text(day, groupings[i].grouping));
    for (size_t i = 0; i < FIGURE_COUNT && fits; i++)
        fits = buffer_append_format(&d->out, ",%lld", (long long)figure(day, i));
    char sources[48];
    usage_sources_text(day->sources[USAGE_TOKENS], sources);
    fits = fits && buffer_append_format(&d->out, ",%.17g,%s,%s", day->figures.active_seconds,
                                        sources, day->provisional ? "true" : "false");
    if (fits && d->grouping & USAGE_BY_PERSON)
        fits = buffer_append_byte(&d->out, ',') && csv_put_text(&d->out, day->actor);
    return d->fits = fits && buffer_append_text(&d->out, "\r\n");
}

/* ---- The handler ---- */

static bool put_day(struct daily *d, const struct usage_day *day)
{
    return d->csv ? put_csv_day(d, day) : put_json_day(d, day);
}

static bool keep_day(struct daily *d, const struct usage_day *day)
{
    if (d->count == d->capacity) {
        d->capacity = d->capacity ? 2 * d->capacity : 256;
        d->days = xrealloc(d->days, d->capacity * sizeof *d->days);
    }
    struct usage_day *kept = &d->days[d->count++];
    *kept = *day;
    return d->fits = arena_copy(&d->arena, day->model, &kept->model) &&
                     arena_copy(&d->arena, day->system, &kept->system);
}

static bool take_day(void *context, const struct usage_day *day)
{
    struct daily *d = context;
    if (d->names == PRIVACY_COHORTS)
        return keep_day(d, day);
    struct usage_day shown = *day;
    arena_reset(&d->arena);
    shown.person = people_name(d->people, day->person, d->names, &d->arena);
    shown.actor = people_name(d->people, day->actor, d->names, &d->arena);
    return put_day(d, &shown);
}

static bool put_cohorts(struct daily *d)
{
    enum { KEYS = 3 };
    struct privacy_row *rows = xcalloc(d->count + 1, sizeof *rows);
    struct bytes *keys = xcalloc(d->count * KEYS + 1, sizeof *keys);
    for (size_t i = 0; i < d->count; i++) {
        const struct bytes own[KEYS] = {bytes_of(d->days[i].day), d->days[i].model,
                                        d->days[i].system};
        memcpy(keys + i * KEYS, own, sizeof own);
        rows[i] = (struct privacy_row){.people = d->days[i].people, .keys = keys + i * KEYS};
    }
    d->withheld = privacy_withhold(rows, d->count, KEYS);
    bool fits = true;
    for (size_t i = 0; i < d->count && fits; i++)
        fits = rows[i].withheld || put_day(d, &d->days[i]);
    free(keys);
    free(rows);
    return fits;
}

static void open_json(struct daily *d)
{
    char day[INSTANT_DAY_BYTES];
    d->writer = json_writer_make(&d->out);
    json_object_open(&d->writer);
    instant_day(d->range.from_ns, day);
    json_put_key(&d->writer, "from");
    json_put_string(&d->writer, day);
    instant_day(d->range.to_ns, day);
    json_put_key(&d->writer, "to");
    json_put_string(&d->writer, day);
    json_put_key(&d->writer, "names");
    json_put_string(&d->writer, privacy_name(d->names));
    json_put_key(&d->writer, "rows");
    json_array_open(&d->writer);
}

static void close_json(struct daily *d)
{
    json_array_close(&d->writer);
    if (d->names == PRIVACY_COHORTS) {
        json_put_key(&d->writer, "withheldRows");
        json_put_uint(&d->writer, d->withheld);
    }
    json_object_close(&d->writer);
    d->fits = d->fits && json_writer_ok(&d->writer);
}

static bool fill(const struct query *q, struct daily *d, struct error *err)
{
    struct arena arena = {.max_bytes = 256 * MIB};
    const struct usage_question question = {.messages = q->messages,
                                            .control = q->control,
                                            .integrations = q->integrations,
                                            .from_ns = d->range.from_ns,
                                            .to_ns = d->range.to_ns - 1,
                                            .now_ns = clock_wall_ns(q->clock),
                                            .grouping = d->grouping,
                                            .has_only = d->has_only,
                                            .only = d->only};
    if (d->csv)
        d->fits = put_csv_head(d);
    else
        open_json(d);
    bool done = usage_visit_days(&question, &arena, take_day, d, err);
    arena_clear(&arena);
    if (done && d->names == PRIVACY_COHORTS)
        d->fits = d->fits && put_cohorts(d);
    if (!d->csv)
        close_json(d);
    return done;
}

void query_daily_usage(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    struct daily d = {.people = q->people,
                      .csv = query_wants_csv(call->request),
                      .arena = {.max_bytes = ANSWER_MAX_BYTES},
                      .out = {.max_bytes = ANSWER_MAX_BYTES},
                      .fits = true};
    if (!read_arguments(q, call, &d, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    bool done = fill(q, &d, &err) && (!d.csv || query_note(q, call, "export", &err));
    if (!done)
        query_answer_failure(q, call, &err);
    else if (!d.fits)
        answer_error(call->exchange, 400, "too_large", "the answer is too large",
                     "narrow from and to");
    else if (d.csv)
        answer_content(call->exchange, 200, "text/csv; charset=utf-8", buffer_bytes(&d.out));
    else
        answer_json(call->exchange, buffer_bytes(&d.out));
    arena_clear(&d.arena);
    buffer_clear(&d.out);
    free(d.days);
}
