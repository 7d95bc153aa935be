#include "server/fleet/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/fleet/health.h"
#include "server/fleet/watch_people.h"
#include "server/store/fleet.h"

enum {
    STORM_MIN = 5, /* refusals in one storm: fewer may be a person who is typing */
    PEOPLE_EVERY_S = 300,
};

struct watch {
    const struct fleet_options *with;
    bool looked_back;   /* at everyone, once since the start */
    uint64_t people_ns; /* when persons were judged last */
};

struct watch *watch_create(const struct fleet_options *options)
{
    struct watch *w = xcalloc(1, sizeof *w);
    w->with = options;
    return w;
}

void watch_destroy(struct watch *w)
{
    free(w);
}

/* ---- A sweep: what was known, and what is to be written ---- */

struct storm {
    char prefix[TOKEN_PREFIX_BYTES];
    int status;
    struct health_storm facts;
    uint64_t most; /* of one source */
    bool told;     /* as that of a token of ours */
};

struct sweep {
    struct watch *watch;
    uint64_t now_ns;
    struct known {
        struct fleet_health was;
        bool still_there;
    } * known; /* by subject */
    size_t known_count, known_capacity;
    struct fleet_health *put;
    size_t put_count, put_capacity;
    struct fleet_flip *flips;
    size_t flip_count, flip_capacity;
    struct storm storms[GATE_MAX_REFUSALS + 1];
    size_t storm_count;
};

static void *grown(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : 64;
    return xrealloc(items, *capacity * size);
}

static bool take_known(void *context, const struct fleet_health *health)
{
    struct sweep *s = context;
    s->known = grown(s->known, s->known_count, &s->known_capacity, sizeof *s->known);
    s->known[s->known_count++] = (struct known){.was = *health};
    return true;
}

static int by_subject(const void *subject, const void *known)
{
    return strcmp(subject, ((const struct known *)known)->was.subject);
}

static struct known *find_known(struct sweep *s, const char *subject)
{
    return s->known_count ? bsearch(subject, s->known, s->known_count, sizeof *s->known, by_subject)
                          : NULL;
}

static void add_flip(struct sweep *s, const char *subject, int from, const struct fleet_health *to)
{
    s->flips = grown(s->flips, s->flip_count, &s->flip_capacity, sizeof *s->flips);
    struct fleet_flip *flip = &s->flips[s->flip_count++];
    *flip = (struct fleet_flip){.at_ns = s->now_ns};
    snprintf(flip->subject, sizeof flip->subject, "%s", subject);
    snprintf(flip->from, sizeof flip->from, "%s", health_state_name((enum health_state)from));
    snprintf(flip->to, sizeof flip->to, "%s", health_state_name((enum health_state)to->state));
    snprintf(flip->code, sizeof flip->code, "%s", to->code);
    snprintf(flip->reason, sizeof flip->reason, "%s", to->reason);
    log_info(s->watch->with->log, "fleet", "state subject=%s from=%s to=%s code=%s", subject,
             flip->from, flip->to, flip->code);
}

static bool is_unchanged(const struct fleet_health *a, const struct fleet_health *b)
{
    return a->state == b->state && a->last_seen_ns == b->last_seen_ns &&
           a->last_data_ns == b->last_data_ns && strcmp(a->code, b->code) == 0 &&
           strcmp(a->reason, b->reason) == 0 && strcmp(a->action, b->action) == 0 &&
           strcmp(a->name, b->name) == 0;
}

/* Sets the present state of `subject`; only what changed is written. */
static void note(struct sweep *s, const char *subject, const char *name, uint64_t seen_ns,
                 uint64_t data_ns, const struct health_verdict *verdict)
{
    struct known *known = find_known(s, subject);
    struct fleet_health h = {.state = (int)verdict->state,
                             .since_ns = s->now_ns,
                             .last_seen_ns = seen_ns,
                             .last_data_ns = data_ns};
    snprintf(h.subject, sizeof h.subject, "%s", subject);
    snprintf(h.name, sizeof h.name, "%s", name);
    snprintf(h.code, sizeof h.code, "%s", verdict->code);
    snprintf(h.reason, sizeof h.reason, "%s", verdict->reason);
    snprintf(h.action, sizeof h.action, "%s", verdict->action);
    int before = known ? known->was.state : HEALTH_GREY;
    if (known) {
        known->still_there = true;
        if (known->was.state == h.state)
            h.since_ns = known->was.since_ns;
        if (is_unchanged(&known->was, &h))
            return;
    }
    s->put = grown(s->put, s->put_count, &s->put_capacity, sizeof *s->put);
    s->put[s->put_count++] = h;
    if (before != h.state)
        add_flip(s, subject, before, &h);
}

/* ---- Refused credentials ---- */

static struct storm *storm_of(struct sweep *s, const struct gate_refusal *r)
{
    for (size_t i = 0; i < s->storm_count; i++)
        if (s->storms[i].status == r->status && strcmp(s->storms[i].prefix, r->prefix) == 0)
            return &s->storms[i];
    struct storm *fresh = &s->storms[s->storm_count++];
    *fresh = (struct storm){.status = r->status, .facts = {.first_ns = r->storm_first_ns}};
    memcpy(fresh->prefix, r->prefix, sizeof fresh->prefix);
    return fresh;
}

/* Sums the refusals that go on by credential: one token may be on many machines. */
static void gather_storms(struct sweep *s)
{
    struct gate_refusal refusals[GATE_MAX_REFUSALS + 1];
    size_t count = gate_refusals(s->watch->with->gate, refusals);
    for (size_t i = 0; i < count; i++) {
        const struct gate_refusal *r = &refusals[i];
        if (s->now_ns > r->last_ns + GATE_STORM_PAUSE_S * NS_PER_S)
            continue;
        struct storm *storm = storm_of(s, r);
        storm->facts.count += r->storm_count;
        storm->facts.sources++;
        if (r->storm_first_ns < storm->facts.first_ns)
            storm->facts.first_ns = r->storm_first_ns;
        if (r->storm_count > storm->most) {
            storm->most = r->storm_count;
            snprintf(storm->facts.source, sizeof storm->facts.source, "%s", r->source);
        }
    }
}

static void note_credentials(struct sweep *s)
{
    for (size_t i = 0; i < s->storm_count; i++) {
        const struct storm *storm = &s->storms[i];
        char subject[FLEET_SUBJECT_BYTES];
        struct health_verdict verdict;
        bool none = strcmp(storm->prefix, "...") == 0;
        if (storm->told || storm->facts.count < STORM_MIN)
            continue;
        snprintf(subject, sizeof subject, "credential:%s", none ? "none" : storm->prefix);
        health_of_credential(none ? "" : storm->prefix, &storm->facts, s->now_ns, &verdict);
        note(s, subject, none ? "(no token)" : storm->prefix, s->now_ns, 0, &verdict);
    }
}

/* ---- Tokens ---- */

static const struct health_storm *storm_of_token(struct sweep *s, const struct control_token *t)
{
    for (size_t i = 0; i < s->storm_count; i++) {
        struct storm *storm = &s->storms[i];
        if (storm->status != 403 || strcmp(storm->prefix, t->prefix) != 0)
            continue;
        storm->told = true;
        return storm->facts.count >= STORM_MIN ? &storm->facts : NULL;
    }
    return NULL;
}

static bool judge_token(void *context, const struct control_token *t)
{
    struct sweep *s = context;
    const struct token_activity *a = &t->activity;
    const struct health_storm *storm = t->revoked_ns ? storm_of_token(s, t) : NULL;
    if (t->device_id != 0 && !storm)
        return true; /* its device tells more */
    const struct health_token facts = {.prefix = t->prefix,
                                       .created_ns = t->created_ns,
                                       .revoked_ns = t->revoked_ns,
                                       .used_ns = a->used_ns,
                                       .limited_ns = a->limited_ns,
                                       .malformed_ns = a->malformed_ns,
                                       .logs_ns = a->signal_ns[OTLP_LOGS],
                                       .metrics_ns = a->signal_ns[OTLP_METRICS],
                                       .traces_ns = a->signal_ns[OTLP_TRACES],
                                       .tokens_ns = a->tokens_ns,
                                       .cost_ns = a->cost_ns,
                                       .storm = storm};
    struct health_verdict verdict;
    char subject[FLEET_SUBJECT_BYTES], name[256];
    uint64_t data_ns = 0;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        data_ns = a->signal_ns[i] > data_ns ? a->signal_ns[i] : data_ns;
    health_of_token(&facts, s->now_ns, &verdict);
    snprintf(subject, sizeof subject, "token:%lld", (long long)t->id);
    snprintf(name, sizeof name, "%s (%.100s%s%.100s)", t->prefix, t->system,
             t->person[0] ? ", " : "", t->person);
    note(s, subject, name, a->used_ns, data_ns, &verdict);
    return true;
}

/* ---- Integrations and importers ---- */

static bool judge_integrations(struct sweep *s, struct error *err)
{
    const struct fleet_options *with = s->watch->with;
    struct integration_status all[INTEGRATION_COUNT];
    char subject[FLEET_SUBJECT_BYTES];
    if (!with->integrations)
        return true;
    if (!integrations_read(with->control, with->integrations, s->now_ns, all, err))
        return false;
    for (int i = 0; i < INTEGRATION_COUNT; i++) {
        const struct integration_status *one = &all[i];
        const char *name = integration_name(one->integration);
        if (!one->configured)
            continue;
        snprintf(subject, sizeof subject, "integration:%s", name);
        note(s, subject, name, one->last_seen_ns, one->last_data_ns, &one->health);
        for (size_t r = 0; r < one->report_count; r++) {
            const struct integration_report_status *report = &one->reports[r];
            name = api_report_name(report->report);
            snprintf(subject, sizeof subject, "importer:%s", name);
            note(s, subject, name, report->state.attempt_ns, report->state.success_ns,
                 &report->health);
        }
    }
    return true;
}

/* ---- Persons ---- */

static void judge_person(void *context, const struct watched_person *person)
{
    struct sweep *s = context;
    char subject[FLEET_SUBJECT_BYTES];
    struct health_verdict verdict;
    health_of_person(&person->facts, s->now_ns, &verdict);
    snprintf(subject, sizeof subject, "person:%s", person->email);
    note(s, subject, person->email, person->facts.last_data_ns, person->facts.last_data_ns,
         &verdict);
}

static const char person_prefix[] = "person:";

static bool is_person(const char *subject)
{
    return strncmp(subject, person_prefix, sizeof person_prefix - 1) == 0;
}

static bool judge_people(struct sweep *s, struct error *err)
{
    struct watch *w = s->watch;
    bool due = w->people_ns == 0 || s->now_ns >= w->people_ns + PEOPLE_EVERY_S * NS_PER_S;
    struct watched_people people = {0};
    for (size_t i = 0; i < s->known_count; i++) {
        if (!is_person(s->known[i].was.subject))
            continue;
        if (due)
            watched_people_add(&people, s->known[i].was.subject + sizeof person_prefix - 1)
                ->facts.last_data_ns = s->known[i].was.last_data_ns;
        else
            s->known[i].still_there = true;
    }
    bool ok = !due || watched_people_gather(&people, w->with, s->now_ns, !w->looked_back, err);
    if (ok && due) {
        watched_people_visit(&people, judge_person, s);
        w->looked_back = true;
        w->people_ns = s->now_ns;
    }
    watched_people_clear(&people);
    return ok;
}

/* ---- All of it ---- */

/* What is no more: a storm that is over, an integration that was switched off. */
static size_t gather_gone(struct sweep *s, const char **removed)
{
    size_t count = 0;
    for (size_t i = 0; i < s->known_count; i++) {
        const struct known *k = &s->known[i];
        struct fleet_health end = {.state = HEALTH_GREY, .code = "gone"};
        if (k->still_there)
            continue;
        if (strncmp(k->was.subject, "credential:", 11) == 0) {
            end.state = HEALTH_GREEN;
            snprintf(end.code, sizeof end.code, "ended");
            snprintf(end.reason, sizeof end.reason, "not sent any more");
        }
        removed[count++] = k->was.subject;
        if (k->was.state != end.state)
            add_flip(s, k->was.subject, k->was.state, &end);
    }
    return count;
}

static bool write_changes(struct sweep *s, struct error *err)
{
    struct control_store *control = s->watch->with->control;
    const char **removed = xcalloc(s->known_count + 1, sizeof *removed);
    size_t removed_count = gather_gone(s, removed);
    const struct fleet_health_changes changes = {.put = s->put,
                                                 .put_count = s->put_count,
                                                 .flips = s->flips,
                                                 .flip_count = s->flip_count,
                                                 .removed = removed,
                                                 .removed_count = removed_count};
    bool ok = s->put_count + s->flip_count + removed_count == 0 ||
              control->kind->fleet->health_apply(control, &changes, err);
    free(removed);
    return ok;
}

bool watch_sweep(struct watch *w, struct error *err)
{
    struct sweep *s = xcalloc(1, sizeof *s);
    struct control_store *control = w->with->control;
    s->watch = w;
    s->now_ns = clock_wall_ns(w->with->clock);
    gather_storms(s);
    bool ok = control->kind->fleet->health_list(control, take_known, s, err) &&
              control->kind->token_list(control, judge_token, s, err) &&
              judge_integrations(s, err) && judge_people(s, err);
    if (ok)
        note_credentials(s);
    ok = ok && write_changes(s, err);
    free(s->known);
    free(s->put);
    free(s->flips);
    free(s);
    return ok;
}
