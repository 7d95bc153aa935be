/* GET /api/v1/coverage and GET /api/v1/integrations: where usage comes from, and where it is missing. */
#include <stdio.h>
#include <string.h>

#include "core/json/writer.h"
#include "server/importers/integrations_json.h"
#include "server/query/coverage.h"
#include "server/query/handlers.h"
#include "server/query/people.h"
#include "server/query/range.h"

/* ---- Coverage ---- */

struct covered_day {
    char day[INSTANT_DAY_BYTES];
    struct coverage_count count;
};

struct answer {
    struct buffer out;
    struct json_writer w;
    bool csv, fits;
    enum privacy names;
    struct range range;
    const struct people *people;
    struct arena name; /* of the person at hand */
    struct covered_day days[RANGE_MAX_DAYS];
    size_t day_count;
};

static bool read_range(const struct query *q, const struct route_call *call, struct answer *a,
                       struct error *err)
{
    for (size_t i = 0; i < call->query.count; i++) {
        struct argument one = call->query.items[i];
        if (one.value.len > 0 && !bytes_equal_text(one.name, "from") &&
            !bytes_equal_text(one.name, "to") && !bytes_equal_text(one.name, "names"))
            return error_set(err, FAIL_INVALID, "'%.*s' is no parameter: use from, to, names",
                             (int)(one.name.len < 80 ? one.name.len : 80),
                             (const char *)one.name.data);
    }
    if (!privacy_read(call, q->viewers, &a->names, err) ||
        !range_read(&call->query, clock_wall_ns(q->clock), &a->range, err))
        return false;
    if (a->csv && !privacy_has_people(a->names)) {
        error_set(err, FAIL_DENIED, "the table is of persons, and sums tell none apart");
        return error_remedy(err, "ask for JSON, or with names=named, which the role analyst may");
    }
    return true;
}

static bool put_silent_json(struct answer *a, const struct coverage_silent *s)
{
    struct json_writer *w = &a->w;
    json_object_open(w);
    json_member_text(w, "day", s->day);
    json_put_key(w, "person");
    json_put_bytes(w, s->person);
    json_member_text(w, "source", usage_source_name(s->source));
    json_put_key(w, "tokens");
    json_put_int(w, s->tokens);
    json_put_key(w, "sessions");
    json_put_int(w, s->sessions);
    json_put_key(w, "device");
    if (s->device_id[0]) {
        json_object_open(w);
        json_member_text(w, "id", s->device_id);
        json_member_text(w, "hostname", s->hostname);
        json_member_text(w, "state", s->device_state);
        json_member_text(w, "stateCode", s->device_code);
        json_member_text(w, "reason", s->device_reason);
        json_member_time(w, "lastSeenAt", s->device_last_seen_ns);
        json_put_key(w, "hasDoctorReport");
        json_put_bool(w, s->has_doctor_report);
        json_object_close(w);
    } else {
        json_put_null(w);
    }
    json_member_text(w, "action", coverage_advice(s));
    json_object_close(w);
    return a->fits = json_writer_ok(w);
}

static bool take_silent(void *context, const struct coverage_silent *silent)
{
    struct answer *a = context;
    if (!privacy_has_people(a->names))
        return true;
    arena_reset(&a->name);
    struct coverage_silent shown = *silent;
    if (a->names != PRIVACY_NAMED)
        shown = coverage_masked(silent, people_name(a->people, silent->person, a->names, &a->name));
    if (!a->csv)
        return put_silent_json(a, &shown);
    return a->fits = coverage_put_csv(&a->out, &shown);
}

static bool take_day(void *context, const char *day, const struct coverage_count *count)
{
    struct answer *a = context;
    if (a->day_count < RANGE_MAX_DAYS) {
        struct covered_day *covered = &a->days[a->day_count++];
        snprintf(covered->day, sizeof covered->day, "%s", day);
        covered->count = *count;
    }
    return true;
}

/* In cohorts null where fewer than five are counted. */
static void put_people(struct json_writer *w, const char *key, uint64_t people, enum privacy names)
{
    if (names != PRIVACY_COHORTS || people == 0 || people >= PRIVACY_MIN_COHORT) {
        json_member_uint(w, key, people);
        return;
    }
    json_put_key(w, key);
    json_put_null(w);
}

static void put_tokens(struct json_writer *w, const char *key, int64_t tokens, bool shown)
{
    json_put_key(w, key);
    if (shown)
        json_put_int(w, tokens);
    else
        json_put_null(w);
}

static void put_counts(struct json_writer *w, const struct coverage_count *c, enum privacy names)
{
    double ratio = coverage_ratio(c);
    bool shown = coverage_shows_tokens(c, names == PRIVACY_COHORTS ? PRIVACY_MIN_COHORT : 0);
    json_put_key(w, "personDays");
    json_object_open(w);
    put_people(w, "total", c->person_days, names);
    for (int s = 0; s < USAGE_SOURCE_COUNT; s++)
        put_people(w, usage_source_name((enum usage_source)s), c->by[s], names);
    put_people(w, "unattributed", c->unattributed, names);
    json_object_close(w);
    json_put_key(w, "tokens");
    json_object_open(w);
    put_tokens(w, "otel", c->otel_tokens, shown);
    put_tokens(w, "api", c->api_tokens, shown);
    json_put_key(w, "ratio");
    if (ratio >= 0 && shown)
        json_put_double(w, ratio);
    else
        json_put_null(w);
    json_object_close(w);
    put_people(w, "silent", c->silent, names);
}

static void put_range(struct json_writer *w, uint64_t from_ns, uint64_t to_ns)
{
    char day[INSTANT_DAY_BYTES];
    instant_day(from_ns, day);
    json_member_text(w, "from", day);
    instant_day(to_ns, day);
    json_member_text(w, "to", day);
}

static void put_days(struct answer *a)
{
    json_put_key(&a->w, "days");
    json_array_open(&a->w);
    for (size_t i = 0; i < a->day_count; i++) {
        json_object_open(&a->w);
        json_member_text(&a->w, "day", a->days[i].day);
        put_counts(&a->w, &a->days[i].count, a->names);
        json_object_close(&a->w);
    }
    json_array_close(&a->w);
}

/* ---- The handlers ---- */

static void finish(const struct query *q, struct route_call *call, struct answer *a, bool done,
                   const struct error *err)
{
    if (!done)
        query_answer_failure(q, call, err);
    else if (!a->fits)
        answer_error(call->exchange, 400, "too_large", "the answer is too large",
                     "narrow from and to");
    else if (a->csv)
        answer_content(call->exchange, 200, "text/csv; charset=utf-8", buffer_bytes(&a->out));
    else
        answer_json(call->exchange, buffer_bytes(&a->out));
    buffer_clear(&a->out);
}

static bool cover(const struct query *q, struct answer *a, struct error *err)
{
    struct arena arena = {.max_bytes = 256 * MIB};
    struct coverage_count total;
    const struct usage_question question = {.messages = q->messages,
                                            .control = q->control,
                                            .integrations = q->integrations,
                                            .from_ns = a->range.from_ns,
                                            .to_ns = a->range.to_ns - 1,
                                            .now_ns = clock_wall_ns(q->clock)};
    if (a->csv) {
        a->fits = buffer_append_text(&a->out, coverage_csv_head());
        bool done = coverage_read(&question, &arena, take_silent, take_day, a, &total, err);
        arena_clear(&arena);
        return done;
    }
    a->w = json_writer_make(&a->out);
    json_object_open(&a->w);
    put_range(&a->w, a->range.from_ns, a->range.to_ns);
    if (privacy_has_people(a->names)) {
        json_put_key(&a->w, "silentFailures");
        json_array_open(&a->w);
    }
    bool done = coverage_read(&question, &arena, take_silent, take_day, a, &total, err);
    arena_clear(&arena);
    if (!done)
        return false;
    if (privacy_has_people(a->names))
        json_array_close(&a->w);
    put_counts(&a->w, &total, a->names);
    put_days(a);
    json_object_close(&a->w);
    a->fits = a->fits && json_writer_ok(&a->w);
    return true;
}

void query_coverage(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    struct answer *a = arena_alloc(&call->arena, sizeof *a);
    if (!a) {
        answer_error(call->exchange, 503, "busy", "no memory for the answer", NULL);
        return;
    }
    *a = (struct answer){.out = {.max_bytes = ANSWER_MAX_BYTES},
                         .csv = query_wants_csv(call->request),
                         .people = q->people,
                         .name = {.max_bytes = 16 * KIB},
                         .fits = true};
    if (!read_range(q, call, a, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    bool done = cover(q, a, &err) && (!a->csv || query_note(q, call, "export", &err));
    arena_clear(&a->name);
    finish(q, call, a, done, &err);
}

static bool put_otel(const struct query *q, struct json_writer *w, struct error *err)
{
    struct health_verdict health;
    uint64_t last_ns = 0;
    if (!integrations_read_otel(q->messages, clock_wall_ns(q->clock), &last_ns, &health, err))
        return false;
    json_object_open(w);
    json_member_text(w, "name", "otel");
    json_member_text(w, "kind", "otel");
    json_put_key(w, "configured");
    json_put_bool(w, true);
    integration_put_health(w, &health);
    json_member_time(w, "lastSeen", last_ns);
    json_member_time(w, "lastData", last_ns);
    char day[INSTANT_DAY_BYTES] = "";
    if (last_ns)
        instant_day(last_ns, day);
    json_member_text(w, "newestDay", day);
    json_member_text(w, "error", NULL);
    json_member_text(w, "advice", integration_advice_otel());
    json_put_key(w, "reports");
    json_array_open(w);
    json_array_close(w);
    json_object_close(w);
    return true;
}

void query_integrations(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    struct integration_status *all = arena_alloc_many(&call->arena, INTEGRATION_COUNT, sizeof *all);
    struct answer a = {.out = {.max_bytes = MIB}, .fits = all != NULL};
    a.w = json_writer_make(&a.out);
    json_object_open(&a.w);
    json_put_key(&a.w, "items");
    json_array_open(&a.w);
    bool done =
        put_otel(q, &a.w, &err) && (!all || integrations_read(q->control, q->integrations,
                                                              clock_wall_ns(q->clock), all, &err));
    for (int i = 0; done && all && i < INTEGRATION_COUNT; i++)
        integration_put_json(&a.w, &all[i]);
    json_array_close(&a.w);
    json_object_close(&a.w);
    a.fits = a.fits && json_writer_ok(&a.w);
    finish(q, call, &a, done, &err);
}
