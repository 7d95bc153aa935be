/* /api/v1/health: the state of everything that should report, and how it changed. */
#include <stdio.h>
#include <string.h>

#include "core/json/writer.h"
#include "core/metrics/metrics.h"
#include "server/fleet/device.h"

enum { DEFAULT_CHANGES = 100, MOST_CHANGES = 1000 };
#define LIST_BYTES (64 * MIB)

const char *const fleet_kinds[FLEET_KINDS] = {"device",     "person",      "token",
                                              "credential", "integration", "importer"};

struct listing {
    struct json_writer w;
    struct bytes kind, state; /* empty: all */
    uint64_t now_ns;
    unsigned counts[FLEET_KINDS][FLEET_STATES];
};

/* "token:12" is the kind "token" with the id "12". */
static void put_health(struct listing *l, const struct fleet_health *h)
{
    const char *colon = strchr(h->subject, ':');
    size_t len = colon ? (size_t)(colon - h->subject) : 0;
    struct bytes kind = bytes_make(h->subject, len);
    const char *state = health_state_name((enum health_state)h->state);
    for (int k = 0; k < FLEET_KINDS; k++)
        if (bytes_equal_text(kind, fleet_kinds[k]))
            l->counts[k][h->state]++;
    if ((l->kind.len > 0 && !bytes_equal(l->kind, kind)) ||
        (l->state.len > 0 && !bytes_equal_text(l->state, state)))
        return;
    struct json_writer *w = &l->w;
    json_object_open(w);
    json_member_bytes(w, "kind", kind);
    json_member_bytes(w, "id", bytes_of(colon ? colon + 1 : h->subject));
    json_member_bytes(w, "name", bytes_of(h->name));
    json_member_bytes(w, "state", bytes_of(state));
    json_member_bytes(w, "stateCode", bytes_of(h->code));
    json_member_bytes(w, "reason", bytes_of(h->reason));
    json_member_bytes(w, "action", bytes_of(h->action));
    json_member_time(w, "stateSince", h->since_ns);
    json_member_time(w, "lastSeenAt", h->last_seen_ns);
    json_member_time(w, "lastDataAt", h->last_data_ns);
    json_object_close(w);
}

static bool put_subject(void *context, const struct fleet_health *health)
{
    struct listing *l = context;
    put_health(l, health);
    return json_writer_ok(&l->w);
}

static bool put_device(void *context, const struct fleet_device *d, struct bytes heartbeat)
{
    struct listing *l = context;
    struct heartbeat_document document;
    struct health_verdict verdict;
    struct fleet_health h = {.since_ns = d->state_since_ns,
                             .last_seen_ns = d->last_seen_ns,
                             .last_data_ns = d->last_data_ns};
    fleet_verdict(d, heartbeat, l->now_ns, &document, &verdict);
    h.state = (int)verdict.state;
    snprintf(h.subject, sizeof h.subject, "device:%s", d->device_id);
    snprintf(h.name, sizeof h.name, "%s", d->hostname);
    snprintf(h.code, sizeof h.code, "%s", verdict.code);
    snprintf(h.reason, sizeof h.reason, "%s", verdict.reason);
    snprintf(h.action, sizeof h.action, "%s", verdict.action);
    put_health(l, &h);
    return json_writer_ok(&l->w);
}

static void put_counts(struct listing *l)
{
    json_put_key(&l->w, "counts");
    json_object_open(&l->w);
    for (int k = 0; k < FLEET_KINDS; k++) {
        json_put_key(&l->w, fleet_kinds[k]);
        json_object_open(&l->w);
        for (int s = 0; s < FLEET_STATES; s++) {
            json_put_key(&l->w, health_state_name((enum health_state)s));
            json_put_uint(&l->w, l->counts[k][s]);
        }
        json_object_close(&l->w);
    }
    json_object_close(&l->w);
}

static bool is_known(struct bytes kind)
{
    bool known = kind.len == 0;
    for (int k = 0; k < FLEET_KINDS; k++)
        known |= bytes_equal_text(kind, fleet_kinds[k]);
    return known;
}

void fleet_list_health(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct control_store *control = f->options.control;
    struct error err = {0};
    struct buffer out = {.max_bytes = LIST_BYTES};
    struct listing l = {.w = json_writer_make(&out),
                        .kind = arguments_get(&call->query, "kind"),
                        .state = arguments_get(&call->query, "state"),
                        .now_ns = clock_wall_ns(f->options.clock)};
    if (!is_known(l.kind)) {
        answer_error(call->exchange, 400, "unknown_kind", "there is no such kind",
                     "device, person, token, credential, integration or importer");
        return;
    }
    json_object_open(&l.w);
    json_put_key(&l.w, "items");
    json_array_open(&l.w);
    bool good = f->store->health_list(control, put_subject, &l, &err) &&
                f->store->device_list(control, put_device, &l, &err);
    json_array_close(&l.w);
    put_counts(&l);
    json_object_close(&l.w);
    fleet_answer(call, &out, &l.w, good, &err);
}

/* ---- GET /api/v1/health/changes ---- */

static bool put_change(void *context, const struct fleet_flip *flip)
{
    struct json_writer *w = context;
    json_object_open(w);
    json_member_bytes(w, "subject", bytes_of(flip->subject));
    json_member_bytes(w, "from", bytes_of(flip->from));
    json_member_bytes(w, "to", bytes_of(flip->to));
    json_member_bytes(w, "code", bytes_of(flip->code));
    json_member_bytes(w, "reason", bytes_of(flip->reason));
    json_member_time(w, "at", flip->at_ns);
    json_object_close(w);
    return json_writer_ok(w);
}

void fleet_list_changes(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct error err = {0};
    struct buffer out = {.max_bytes = LIST_BYTES};
    struct json_writer w = json_writer_make(&out);
    struct bytes subject = arguments_get(&call->query, "subject");
    uint64_t take = DEFAULT_CHANGES;
    char name[FLEET_SUBJECT_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)subject.len, (const char *)subject.data);
    if (!arguments_get_number(&call->query, "take", 1, MOST_CHANGES, &take, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    json_object_open(&w);
    json_put_key(&w, "items");
    json_array_open(&w);
    bool good = f->store->flip_list(f->options.control, name[0] ? name : NULL, (uint32_t)take,
                                    put_change, &w, &err);
    json_array_close(&w);
    json_object_close(&w);
    fleet_answer(call, &out, &w, good, &err);
}

/* ---- /metrics ---- */

struct tally {
    unsigned counts[FLEET_KINDS][FLEET_STATES];
};

static bool tally_device(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    struct tally *t = context;
    (void)heartbeat;
    t->counts[0][device->state]++;
    return true;
}

static bool tally_other(void *context, const struct fleet_health *h)
{
    struct tally *t = context;
    for (int k = 1; k < FLEET_KINDS; k++) {
        size_t len = strlen(fleet_kinds[k]);
        if (strncmp(h->subject, fleet_kinds[k], len) == 0 && h->subject[len] == ':')
            t->counts[k][h->state]++;
    }
    return true;
}

bool fleet_count(struct fleet *f, struct error *err)
{
    struct tally t = {0};
    struct control_store *control = f->options.control;
    if (!f->store->device_list(control, tally_device, &t, err) ||
        !f->store->health_list(control, tally_other, &t, err))
        return false;
    for (int k = 0; k < FLEET_KINDS; k++)
        for (int s = 0; s < FLEET_STATES; s++)
            atomic_store(&f->counts[k][s], t.counts[k][s]);
    return true;
}

void fleet_put_metrics(const struct fleet *f, struct metrics *m)
{
    static const char name[] = "claude_telemetry_health";
    char labels[64];
    metrics_put_name(m, name, "gauge", "How many are in which state, as of the last look.");
    for (int k = 0; k < FLEET_KINDS; k++) {
        for (int s = 0; s < FLEET_STATES; s++) {
            snprintf(labels, sizeof labels, "{kind=\"%s\",state=\"%s\"}", fleet_kinds[k],
                     health_state_name((enum health_state)s));
            metrics_put_sample(m, name, labels, atomic_load(&f->counts[k][s]));
        }
    }
}
