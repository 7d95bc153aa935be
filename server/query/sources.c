/* GET /api/v1/coverage and GET /api/v1/integrations: where usage comes from, and where it is missing. */
#include <stdio.h>
#include <string.h>

#include "core/json/writer.h"
#include "server/importers/integrations_json.h"
#include "server/query/coverage.h"
#include "server/query/handlers.h"
#include "server/query/instant.h"

enum { DEFAULT_DAYS = 30, MAX_DAYS = 400 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

/* ---- Coverage ---- */

struct covered_day {
    char day[INSTANT_DAY_BYTES];
    struct coverage_count count;
};

struct answer {
    struct buffer out;
    struct json_writer w;
    bool csv, names, fits;
    struct covered_day days[MAX_DAYS + 1];
    size_t day_count;
};

static bool read_range(const struct query *q, const struct route_call *call, uint64_t *from_ns,
                       uint64_t *to_ns, struct error *err)
{
    bool has_from = false;
    *to_ns = clock_wall_ns(q->clock);
    for (size_t i = 0; i < call->query.count; i++) {
        struct argument a = call->query.items[i];
        bool good = true;
        if (a.value.len == 0)
            continue;
        if (bytes_equal_text(a.name, "from"))
            good = has_from = instant_parse(a.value, from_ns);
        else if (bytes_equal_text(a.name, "to"))
            good = instant_parse(a.value, to_ns);
        else
            return error_set(err, FAIL_INVALID, "'%.*s' is no parameter: use from, to",
                             (int)(a.name.len < 80 ? a.name.len : 80), (const char *)a.name.data);
        if (!good)
            return error_set(err, FAIL_INVALID, "'from' and 'to' are days, as 2026-05-01");
    }
    if (!has_from)
        *from_ns = *to_ns > DEFAULT_DAYS * DAY_NS ? *to_ns - DEFAULT_DAYS * DAY_NS : 0;
    if (*from_ns > *to_ns || *to_ns - *from_ns >= MAX_DAYS * DAY_NS)
        return error_set(err, FAIL_INVALID, "'from' must be less than %d days before 'to'",
                         MAX_DAYS);
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
    if (!a->names)
        return true;
    if (!a->csv)
        return put_silent_json(a, silent);
    return a->fits = coverage_put_csv(&a->out, silent);
}

static bool take_day(void *context, const char *day, const struct coverage_count *count)
{
    struct answer *a = context;
    if (a->day_count < MAX_DAYS + 1) {
        struct covered_day *covered = &a->days[a->day_count++];
        snprintf(covered->day, sizeof covered->day, "%s", day);
        covered->count = *count;
    }
    return true;
}

static void put_counts(struct json_writer *w, const struct coverage_count *c)
{
    double ratio = coverage_ratio(c);
    json_put_key(w, "personDays");
    json_object_open(w);
    json_member_uint(w, "total", c->person_days);
    for (int s = 0; s < USAGE_SOURCE_COUNT; s++)
        json_member_uint(w, usage_source_name((enum usage_source)s), c->by[s]);
    json_member_uint(w, "unattributed", c->unattributed);
    json_object_close(w);
    json_put_key(w, "tokens");
    json_object_open(w);
    json_put_key(w, "otel");
    json_put_int(w, c->otel_tokens);
    json_put_key(w, "api");
    json_put_int(w, c->api_tokens);
    json_put_key(w, "ratio");
    if (ratio >= 0)
        json_put_double(w, ratio);
    else
        json_put_null(w);
    json_object_close(w);
    json_member_uint(w, "silent", c->silent);
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
        put_counts(&a->w, &a->days[i].count);
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

static bool cover(const struct query *q, struct answer *a, uint64_t from_ns, uint64_t to_ns,
                  struct error *err)
{
    struct arena arena = {.max_bytes = 256 * MIB};
    struct coverage_count total;
    const struct usage_question question = {.messages = q->messages,
                                            .control = q->control,
                                            .integrations = q->integrations,
                                            .from_ns = from_ns,
                                            .to_ns = to_ns,
                                            .now_ns = clock_wall_ns(q->clock)};
    if (a->csv) {
        a->fits = buffer_append_text(&a->out, coverage_csv_head());
        bool done = coverage_read(&question, &arena, take_silent, take_day, a, &total, err);
        arena_clear(&arena);
        return done;
    }
    a->w = json_writer_make(&a->out);
    json_object_open(&a->w);
    put_range(&a->w, from_ns, to_ns);
    if (a->names) {
        json_put_key(&a->w, "silentFailures");
        json_array_open(&a->w);
    }
    bool done = coverage_read(&question, &arena, take_silent, take_day, a, &total, err);
    arena_clear(&arena);
    if (!done)
        return false;
    if (a->names)
        json_array_close(&a->w);
    put_counts(&a->w, &total);
    put_days(a);
    json_object_close(&a->w);
    a->fits = a->fits && json_writer_ok(&a->w);
    return true;
}

void query_coverage(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    uint64_t from_ns = 0, to_ns = 0;
    struct answer *a = arena_alloc(&call->arena, sizeof *a);
    if (!a) {
        answer_error(call->exchange, 503, "busy", "no memory for the answer", NULL);
        return;
    }
    *a = (struct answer){.out = {.max_bytes = ANSWER_MAX_BYTES},
                         .csv = query_wants_csv(call->request),
                         .names = call->who.role >= ROLE_ANALYST,
                         .fits = true};
    if (a->csv && !a->names) {
        error_set(&err, FAIL_DENIED, "the table names people, and a viewer sees sums only");
        error_remedy(&err, "ask an admin for the role analyst, or ask for JSON");
        answer_failure(call->exchange, &err);
    } else if (!read_range(q, call, &from_ns, &to_ns, &err)) {
        answer_failure(call->exchange, &err);
    } else {
        bool done = cover(q, a, from_ns, to_ns, &err);
        finish(q, call, a, done, &err);
    }
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
