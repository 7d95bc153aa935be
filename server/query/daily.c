/* GET /api/v1/usage/daily, as JSON or CSV. */
#include "core/json/writer.h"
#include "server/query/handlers.h"
#include "server/query/instant.h"
#include "server/query/usage.h"

enum { DEFAULT_DAYS = 30, MAX_DAYS = 400 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

static const struct {
    const char *name;
    unsigned grouping;
} groupings[] = {{"person", USAGE_BY_PERSON},
                 {"model", USAGE_BY_MODEL},
                 {"system", USAGE_BY_SYSTEM}};
enum { GROUPING_COUNT = sizeof groupings / sizeof *groupings };

struct daily {
    uint64_t from_ns, to_ns;
    unsigned grouping;
    bool has_only;
    enum usage_source only;
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

static bool read_arguments(const struct query *q, const struct route_call *call, struct daily *d,
                           struct error *err)
{
    d->to_ns = clock_wall_ns(q->clock);
    bool has_from = false;
    for (size_t i = 0; i < call->query.count; i++) {
        struct argument a = call->query.items[i];
        bool good = true;
        if (a.value.len == 0)
            continue;
        if (bytes_equal_text(a.name, "from"))
            good = has_from = instant_parse(a.value, &d->from_ns);
        else if (bytes_equal_text(a.name, "to"))
            good = instant_parse(a.value, &d->to_ns);
        else if (bytes_equal_text(a.name, "source"))
            d->has_only = usage_source_of_name(a.value, &d->only);
        else if (!bytes_equal_text(a.name, "groupBy"))
            return error_set(err, FAIL_INVALID,
                             "'%.*s' is no parameter: use from, to, groupBy, source",
                             (int)(a.name.len < 80 ? a.name.len : 80), (const char *)a.name.data);
        else if (!add_grouping(d, a.value, err))
            return false;
        if (bytes_equal_text(a.name, "source") && !d->has_only)
            return error_set(err, FAIL_INVALID,
                             "'source' must be enterprise_api, admin_api or otel");
        if (!good)
            return error_set(err, FAIL_INVALID, "'from' and 'to' are days, as 2026-05-01");
    }
    if (!has_from)
        d->from_ns = d->to_ns > DEFAULT_DAYS * DAY_NS ? d->to_ns - DEFAULT_DAYS * DAY_NS : 0;
    if (d->from_ns > d->to_ns || d->to_ns - d->from_ns > MAX_DAYS * DAY_NS)
        return error_set(err, FAIL_INVALID, "'from' must be at most %d days before 'to'", MAX_DAYS);
    if (d->grouping == 0)
        d->grouping =
            call->who.role >= ROLE_ANALYST ? (unsigned)USAGE_BY_PERSON : (unsigned)USAGE_BY_MODEL;
    if ((d->grouping & USAGE_BY_PERSON) && call->who.role < ROLE_ANALYST) {
        error_set(err, FAIL_DENIED, "'person' tells people apart, and a viewer sees sums only");
        return error_remedy(err, "ask an admin for the role analyst, or use groupBy=model");
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

static bool put_json_day(void *context, const struct usage_day *day)
{
    struct daily *d = context;
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

static bool put_csv_day(void *context, const struct usage_day *day)
{
    struct daily *d = context;
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

static void open_json(struct daily *d)
{
    char day[INSTANT_DAY_BYTES];
    d->writer = json_writer_make(&d->out);
    json_object_open(&d->writer);
    instant_day(d->from_ns, day);
    json_put_key(&d->writer, "from");
    json_put_string(&d->writer, day);
    instant_day(d->to_ns, day);
    json_put_key(&d->writer, "to");
    json_put_string(&d->writer, day);
    json_put_key(&d->writer, "rows");
    json_array_open(&d->writer);
}

void query_daily_usage(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    struct daily d = {.out = {.max_bytes = ANSWER_MAX_BYTES}, .fits = true};
    if (!read_arguments(q, call, &d, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    bool csv = query_wants_csv(call->request);
    if (csv)
        d.fits = put_csv_head(&d);
    else
        open_json(&d);
    struct arena arena = {.max_bytes = 256 * MIB};
    const struct usage_question question = {.messages = q->messages,
                                            .control = q->control,
                                            .integrations = q->integrations,
                                            .from_ns = d.from_ns,
                                            .to_ns = d.to_ns,
                                            .now_ns = clock_wall_ns(q->clock),
                                            .grouping = d.grouping,
                                            .has_only = d.has_only,
                                            .only = d.only};
    bool done = usage_visit_days(&question, &arena, csv ? put_csv_day : put_json_day, &d, &err);
    arena_clear(&arena);
    done = done && (!csv || query_note(q, call, "export", &err));
    if (!csv) {
        json_array_close(&d.writer);
        json_object_close(&d.writer);
        d.fits = d.fits && json_writer_ok(&d.writer);
    }
    if (!done)
        query_answer_failure(q, call, &err);
    else if (!d.fits)
        answer_error(call->exchange, 400, "too_large", "the answer is too large",
                     "narrow from and to");
    else if (csv)
        answer_content(call->exchange, 200, "text/csv; charset=utf-8", buffer_bytes(&d.out));
    else
        answer_json(call->exchange, buffer_bytes(&d.out));
    buffer_clear(&d.out);
}
