#include "server/query/coverage.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/fleet/health.h"
#include "server/router/answers.h"
#include "server/store/fleet.h"

enum { MAX_DEVICES = 2000000, REPORT_BYTES = FLEET_MAX_DOCUMENT_BYTES };

/* What is kept of a device; texts in one piece, so that a large fleet stays small. */
struct machine {
    char *owner, *id, *hostname, *code, *reason;
    int64_t row;
    int state;
    uint64_t last_seen_ns;
};

struct coverage {
    const struct usage_question *question;
    struct machine *machines; /* by owner, the one seen last first */
    size_t machine_count, machine_capacity;
    coverage_silent_visit *silent;
    coverage_day_visit *visit_day;
    void *context;
    char day[INSTANT_DAY_BYTES]; /* at hand; "" before the first */
    struct coverage_count count, *total;
    bool stopped;
};

double coverage_ratio(const struct coverage_count *count)
{
    return count->api_tokens > 0 ? (double)count->otel_tokens / (double)count->api_tokens : -1;
}

bool coverage_shows_tokens(const struct coverage_count *c, uint64_t min)
{
    uint64_t api = c->by[USAGE_ENTERPRISE_API] > c->by[USAGE_ADMIN_API]
                       ? c->by[USAGE_ENTERPRISE_API]
                       : c->by[USAGE_ADMIN_API];
    return (api == 0 || api >= min) && (c->by[USAGE_OTEL] == 0 || c->by[USAGE_OTEL] >= min);
}

struct coverage_silent coverage_masked(const struct coverage_silent *silent, struct bytes name)
{
    struct coverage_silent masked = *silent;
    masked.person = name;
    if (silent->device_id[0]) {
        masked.device_id = "hidden";
        masked.hostname = "";
        masked.device_reason = silent->device_code; /* without the device's own words */
    }
    return masked;
}

const char *coverage_advice(const struct coverage_silent *silent)
{
    if (!silent->device_id[0])
        return "install the agent on this person's machine, or find out which other e-mail its "
               "telemetry carries";
    if (strcmp(silent->device_state, health_state_name(HEALTH_GREEN)) == 0)
        return "the device is well: look for a second machine without the agent, and run the "
               "doctor "
               "for settings that redirect telemetry";
    return "mend what the device's state says, then run the doctor on it";
}

const char *coverage_csv_head(void)
{
    return "day,person,source,tokens,sessions,deviceId,hostname,deviceState,deviceReason,"
           "action\r\n";
}

bool coverage_put_csv(struct buffer *out, const struct coverage_silent *s)
{
    const char *const texts[] = {s->device_id, s->hostname, s->device_state, s->device_reason,
                                 coverage_advice(s)};
    bool fits = buffer_append_format(out, "%s,", s->day) && csv_put_text(out, s->person) &&
                buffer_append_format(out, ",%s,%lld,%lld", usage_source_name(s->source),
                                     (long long)s->tokens, (long long)s->sessions);
    for (size_t i = 0; fits && i < sizeof texts / sizeof *texts; i++)
        fits = buffer_append_byte(out, ',') && csv_put_text(out, bytes_of(texts[i]));
    return fits && buffer_append_text(out, "\r\n");
}

/* ---- Devices ---- */

static bool keep_device(void *context, const struct fleet_device *d, struct bytes heartbeat)
{
    struct coverage *c = context;
    (void)heartbeat;
    if (!d->owner[0] || c->machine_count == MAX_DEVICES)
        return c->machine_count < MAX_DEVICES;
    if (c->machine_count == c->machine_capacity) {
        c->machine_capacity = c->machine_capacity ? 2 * c->machine_capacity : 64;
        c->machines = xrealloc(c->machines, c->machine_capacity * sizeof *c->machines);
    }
    c->machines[c->machine_count++] = (struct machine){.owner = xstrdup(d->owner),
                                                       .id = xstrdup(d->device_id),
                                                       .hostname = xstrdup(d->hostname),
                                                       .code = xstrdup(d->state_code),
                                                       .reason = xstrdup(d->state_reason),
                                                       .row = d->id,
                                                       .state = d->state,
                                                       .last_seen_ns = d->last_seen_ns};
    return true;
}

static int by_owner(const void *first, const void *second)
{
    const struct machine *a = first, *b = second;
    int order = strcmp(a->owner, b->owner);
    if (order == 0)
        order = (a->last_seen_ns < b->last_seen_ns) - (a->last_seen_ns > b->last_seen_ns);
    return order != 0 ? order : strcmp(a->id, b->id);
}

static bool read_devices(struct coverage *c, struct error *err)
{
    struct control_store *control = c->question->control;
    if (!control->kind->fleet || !control->kind->fleet->device_list)
        return true;
    if (!control->kind->fleet->device_list(control, keep_device, c, err))
        return false;
    if (c->machine_count > 0)
        qsort(c->machines, c->machine_count, sizeof *c->machines, by_owner);
    return true;
}

static const struct machine *machine_of(const struct coverage *c, struct bytes person)
{
    size_t low = 0, high = c->machine_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct bytes owner = bytes_of(c->machines[middle].owner);
        size_t common = owner.len < person.len ? owner.len : person.len;
        int order = memcmp(owner.data, person.data, common);
        if (order < 0 || (order == 0 && owner.len < person.len))
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->machine_count && bytes_equal_text(person, c->machines[low].owner)
               ? &c->machines[low]
               : NULL;
}

static void clear_devices(struct coverage *c)
{
    for (size_t i = 0; i < c->machine_count; i++) {
        free(c->machines[i].owner);
        free(c->machines[i].id);
        free(c->machines[i].hostname);
        free(c->machines[i].code);
        free(c->machines[i].reason);
    }
    free(c->machines);
}

static bool has_report(const struct coverage *c, const struct machine *machine)
{
    struct control_store *control = c->question->control;
    struct buffer report = {.max_bytes = REPORT_BYTES};
    struct error ignored;
    uint64_t at_ns;
    bool found = control->kind->fleet->report_get(control, machine->row, &report, &at_ns, &ignored);
    buffer_clear(&report);
    return found;
}

/* ---- Counting ---- */

static int64_t tokens_of(const struct usage_figures *f)
{
    return f->input_tokens + f->output_tokens + f->cache_read_tokens + f->cache_create_tokens;
}

static void add_count(struct coverage_count *sum, const struct coverage_count *more)
{
    sum->person_days += more->person_days;
    for (int s = 0; s < USAGE_SOURCE_COUNT; s++)
        sum->by[s] += more->by[s];
    sum->silent += more->silent;
    sum->unattributed += more->unattributed;
    sum->otel_tokens += more->otel_tokens;
    sum->api_tokens += more->api_tokens;
}

static bool finish_day(struct coverage *c)
{
    if (!c->day[0])
        return true;
    add_count(c->total, &c->count);
    return c->visit_day(c->context, c->day, &c->count);
}

static bool tell_silent(struct coverage *c, const struct usage_telling *t, enum usage_source api,
                        int64_t tokens)
{
    const struct machine *m = machine_of(c, t->person);
    struct coverage_silent silent = {
        .person = t->person,
        .source = api,
        .tokens = tokens,
        .sessions = t->by[api].figures.sessions,
        .device_id = m ? m->id : "",
        .hostname = m ? m->hostname : "",
        .device_state = m ? health_state_name((enum health_state)m->state) : "",
        .device_code = m ? m->code : "",
        .device_reason = m ? m->reason : "",
        .device_last_seen_ns = m ? m->last_seen_ns : 0,
        .has_doctor_report = m && has_report(c, m),
    };
    memcpy(silent.day, t->day, sizeof silent.day);
    c->count.silent++;
    return c->silent(c->context, &silent);
}

static bool count_telling(void *context, const struct usage_telling *t)
{
    struct coverage *c = context;
    if (strcmp(t->day, c->day) != 0) {
        if (!finish_day(c))
            return false;
        memcpy(c->day, t->day, sizeof c->day);
        c->count = (struct coverage_count){0};
    }
    int api = -1; /* the highest that saw usage */
    int64_t tokens = 0;
    bool any = false;
    for (int s = 0; s < USAGE_SOURCE_COUNT; s++) {
        any |= t->by[s].any;
        c->count.by[s] += t->by[s].any;
        if (s == USAGE_OTEL || !t->by[s].any)
            continue;
        if (api < 0)
            api = s;
        if (tokens == 0)
            tokens = tokens_of(&t->by[s].figures);
    }
    if (!any)
        return true;
    c->count.person_days++;
    c->count.unattributed += t->person.len == 0;
    if (tokens > 0) {
        c->count.api_tokens += tokens;
        c->count.otel_tokens += tokens_of(&t->by[USAGE_OTEL].figures);
    }
    if (api < 0 || t->by[USAGE_OTEL].any || t->person.len == 0)
        return true;
    return tell_silent(c, t, (enum usage_source)api, tokens);
}

bool coverage_read(const struct usage_question *question, struct arena *arena,
                   coverage_silent_visit *silent, coverage_day_visit *day, void *context,
                   struct coverage_count *total, struct error *err)
{
    struct coverage c = {.question = question,
                         .silent = silent,
                         .visit_day = day,
                         .context = context,
                         .total = total};
    *total = (struct coverage_count){0};
    bool done =
        read_devices(&c, err) && usage_visit_tellings(question, arena, count_telling, &c, err);
    if (done)
        finish_day(&c);
    clear_devices(&c);
    return done;
}
