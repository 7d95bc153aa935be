/* /api/v1/devices: what people ask about the fleet. */
#include "core/json/writer.h"
#include "platform/platform.h"
#include "server/fleet/device.h"
#include "server/query/policies.h"
#include "server/router/note.h"
#include <stdio.h>

enum { LIST_BYTES = 64 * 1024 * 1024, MAX_FLIPS = 50 };

/* A device that never reported has no document: its fields stay empty. */
static void read_last(struct bytes heartbeat, struct heartbeat_document *out)
{
    struct error ignored;
    if (heartbeat.len == 0 || !heartbeat_read(heartbeat, out, &ignored))
        *out = (struct heartbeat_document){.healthy = true};
}

void fleet_verdict(const struct fleet_device *device, struct bytes heartbeat, uint64_t now_ns,
                   struct heartbeat_document *document, struct health_verdict *verdict)
{
    struct health_device facts;
    read_last(heartbeat, document);
    heartbeat_to_health(document, device, now_ns, &facts);
    health_of_device(&facts, now_ns, verdict);
}

static void put_device(struct json_writer *w, const struct fleet_device *d,
                       const struct heartbeat_document *document,
                       const struct health_verdict *verdict)
{
    json_member_text(w, "id", d->device_id);
    json_member_text(w, "hostname", d->hostname);
    json_member_text(w, "owner", d->owner);
    json_member_text(w, "os", d->os);
    json_member_text(w, "osVersion", d->os_version);
    json_member_text(w, "arch", d->arch);
    json_member_text(w, "agentVersion", d->agent_version);
    json_member_text(w, "state", health_state_name(verdict->state));
    json_member_text(w, "stateCode", verdict->code);
    json_member_text(w, "reason", verdict->reason);
    json_member_text(w, "action", verdict->action);
    json_put_key(w, "stateSince");
    json_put_time(w, d->state_since_ns);
    json_put_key(w, "enrolledAt");
    json_put_time(w, d->enrolled_ns);
    json_put_key(w, "lastSeenAt");
    json_put_time(w, d->last_seen_ns);
    json_put_key(w, "lastDataAt");
    json_put_time(w, document->last_event_ns > d->last_data_ns ? document->last_event_ns
                                                               : d->last_data_ns);
    json_put_key(w, "backlogRecords");
    json_put_uint(w, document->backlog_records);
    json_put_key(w, "evictedTotal");
    json_put_uint(w, d->evicted_total);
    json_put_key(w, "clockSkewSeconds");
    json_put_int(w, d->clock_skew_s);
}

struct list {
    struct fleet *fleet;
    struct json_writer w;
    uint64_t now_ns;
    unsigned counts[4];  /* by enum health_state */
    struct bytes only;   /* a state's name; empty: all */
    uint64_t skip, take; /* of those with this state */
};

static bool read_question(struct route_call *call, struct list *l, struct error *err)
{
    bool known = l->only.len == 0;
    for (int state = HEALTH_GREEN; state <= HEALTH_GREY; state++)
        known |= bytes_equal_text(l->only, health_state_name((enum health_state)state));
    if (!known)
        return error_set(err, FAIL_INVALID, "'state' must be green, yellow, red or grey");
    return arguments_expect(&call->query, "state, skip, take", err) &&
           arguments_get_number(&call->query, "skip", 0, UINT32_MAX, &l->skip, err) &&
           arguments_get_number(&call->query, "take", 1, UINT32_MAX, &l->take, err);
}

static bool put_listed(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    struct list *l = context;
    struct heartbeat_document document;
    struct health_verdict verdict;
    fleet_verdict(device, heartbeat, l->now_ns, &document, &verdict);
    l->counts[verdict.state]++;
    if (l->only.len > 0 && !bytes_equal_text(l->only, health_state_name(verdict.state)))
        return true;
    if (l->skip > 0 || l->take == 0) {
        l->skip -= l->skip > 0;
        return true;
    }
    l->take--;
    json_object_open(&l->w);
    put_device(&l->w, device, &document, &verdict);
    json_object_close(&l->w);
    return json_writer_ok(&l->w);
}

void fleet_answer(struct route_call *call, struct buffer *out, const struct json_writer *w,
                  bool good, const struct error *err)
{
    if (good && json_writer_ok(w))
        answer_json(call->exchange, buffer_bytes(out));
    else if (good)
        answer_error(call->exchange, 413, "too_large", "the answer is too large",
                     "ask for one state, or for less with take=");
    else
        answer_failure(call->exchange, err);
    buffer_clear(out);
}

void fleet_list_devices(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct error err = {0};
    struct buffer out = {.max_bytes = LIST_BYTES};
    struct list l = {.fleet = f,
                     .w = json_writer_make(&out),
                     .now_ns = clock_wall_ns(f->options.clock),
                     .only = arguments_get(&call->query, "state"),
                     .take = UINT32_MAX};
    if (!read_question(call, &l, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    json_object_open(&l.w);
    json_put_key(&l.w, "items");
    json_array_open(&l.w);
    bool good = f->store->device_list(f->options.control, put_listed, &l, &err);
    json_array_close(&l.w);
    json_put_key(&l.w, "counts");
    json_object_open(&l.w);
    for (int state = HEALTH_GREEN; state <= HEALTH_GREY; state++) {
        json_put_key(&l.w, health_state_name((enum health_state)state));
        json_put_uint(&l.w, l.counts[state]);
    }
    json_object_close(&l.w);
    json_object_close(&l.w);
    fleet_answer(call, &out, &l.w, good, &err);
}

/* ---- One device ---- */

struct one {
    struct fleet_device device;
    struct buffer heartbeat;
};

static bool take_one(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    struct one *one = context;
    one->device = *device;
    return buffer_append(&one->heartbeat, heartbeat);
}

static bool find(struct fleet *f, struct route_call *call, struct one *one, struct error *err)
{
    char id[FLEET_ID_BYTES];
    snprintf(id, sizeof id, "%.*s", (int)call->parameters[0].len,
             (const char *)call->parameters[0].data);
    *one = (struct one){.heartbeat = {.max_bytes = FLEET_MAX_DOCUMENT_BYTES}};
    return f->store->device_find(f->options.control, id, take_one, one, err);
}

static bool put_flip(void *context, const struct fleet_flip *flip)
{
    struct json_writer *w = context;
    json_object_open(w);
    json_member_text(w, "from", flip->from);
    json_member_text(w, "to", flip->to);
    json_member_text(w, "code", flip->code);
    json_member_text(w, "reason", flip->reason);
    json_put_key(w, "at");
    json_put_time(w, flip->at_ns);
    json_object_close(w);
    return json_writer_ok(w);
}

static bool put_report(struct fleet *f, const struct fleet_device *device, struct json_writer *w,
                       struct error *err)
{
    struct buffer report = {.max_bytes = FLEET_MAX_DOCUMENT_BYTES};
    uint64_t at_ns = 0;
    bool found = f->store->report_get(f->options.control, device->id, &report, &at_ns, err);
    json_put_key(w, "doctorReport");
    if (found)
        json_put_raw(w, buffer_bytes(&report));
    else
        json_put_null(w);
    json_put_key(w, "doctorReportAt");
    json_put_time(w, at_ns);
    buffer_clear(&report);
    return found || err->kind == FAIL_NOT_FOUND;
}

static void put_policy(void *context, const struct policy_sighting *s)
{
    struct json_writer *w = context;
    json_object_open(w);
    json_put_key(w, "at");
    json_put_time(w, s->time_ns);
    json_member_text(w, "person", s->person);
    json_member_text(w, "version", s->version);
    json_member_text(w, "sources", s->sources);
    json_member_text(w, "sourceBehavior", s->behavior);
    json_member_text(w, "trigger", s->trigger);
    json_object_close(w);
}

/* Rows that take too long to find are no reason not to show the device. */
static void put_policies(struct fleet *f, const struct fleet_device *device, struct json_writer *w)
{
    struct error err = {0};
    json_put_key(w, "managedSettings");
    json_array_open(w);
    if (!policies_read(f->options.messages, device->device_id, clock_wall_ns(f->options.clock),
                       put_policy, w, &err))
        log_failure(f->options.log, LOG_WARN_LEVEL, "fleet", "managed settings of a device", &err);
    json_array_close(w);
}

void fleet_get_device(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct error err = {0};
    struct one one;
    struct heartbeat_document document;
    struct health_verdict verdict;
    struct buffer out = {.max_bytes = LIST_BYTES};
    struct json_writer w = json_writer_make(&out);
    bool good = find(f, call, &one, &err);
    if (good) {
        char subject[FLEET_TEXT_BYTES];
        snprintf(subject, sizeof subject, "device:%.100s", one.device.device_id);
        fleet_verdict(&one.device, buffer_bytes(&one.heartbeat), clock_wall_ns(f->options.clock),
                      &document, &verdict);
        json_object_open(&w);
        put_device(&w, &one.device, &document, &verdict);
        json_put_key(&w, "heartbeat");
        if (one.heartbeat.len > 0)
            json_put_raw(&w, buffer_bytes(&one.heartbeat));
        else
            json_put_null(&w);
        put_policies(f, &one.device, &w);
        good = put_report(f, &one.device, &w, &err);
        json_put_key(&w, "changes");
        json_array_open(&w);
        good =
            good && f->store->flip_list(f->options.control, subject, MAX_FLIPS, put_flip, &w, &err);
        json_array_close(&w);
        json_object_close(&w);
    }
    buffer_clear(&one.heartbeat);
    fleet_answer(call, &out, &w, good, &err);
}

/* ---- Remote doctor ---- */

void fleet_ask_doctor(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct error err = {0};
    struct one one;
    struct fleet_command command = {.type = "doctor",
                                    .created_ns = clock_wall_ns(f->options.clock)};
    struct buffer out = {.max_bytes = 1024};
    struct json_writer w = json_writer_make(&out);
    platform_uuid(command.id);
    bool good = find(f, call, &one, &err);
    buffer_clear(&one.heartbeat);
    command.device = one.device.id;
    good = good &&
           route_note(f->options.control, f->options.clock, call, "doctor.request",
                      bytes_of(one.device.device_id), &err) &&
           f->store->command_add(f->options.control, &command, &err);
    json_object_open(&w);
    json_put_key(&w, "commandId");
    json_put_string(&w, command.id);
    json_object_close(&w);
    fleet_answer(call, &out, &w, good, &err);
}
