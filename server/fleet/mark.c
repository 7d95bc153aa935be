/*
 * GET /api/v1/doctor-marks/{mark}: whether the record that a doctor sent through its relay is
 * stored. The mark is a random UUID that only its sender knows, so whoever asks for it asks for
 * a record of his own; nothing of the row but its arrival is told. It stands in session.id, too,
 * by which rows are found without looking at others.
 */
#include <string.h>

#include "core/json/writer.h"
#include "server/fleet/device.h"

enum { UUID_LEN = 36, LIMIT_MS = 2000 };
#define MARK_LIFE_NS (UINT64_C(86400) * NS_PER_S) /* by the sender's clock, which may be off */

static const char mark_key[] = "doctor.mark";
static const char event_name[] = "claude_telemetry.doctor";

static bool is_mark(struct bytes text)
{
    if (text.len != UUID_LEN)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text.data[i] != '-' : !strchr("0123456789abcdef", text.data[i]))
            return false;
    }
    return true;
}

static bool take_arrival(void *context, const struct stored_message *row)
{
    uint64_t *received_ns = context;
    *received_ns = row->message.received_ns;
    return false;
}

static bool find_row(struct fleet *f, struct bytes mark, uint64_t *received_ns, struct error *err)
{
    const struct bytes name = bytes_of(event_name);
    const struct message_filter filters[] = {
        {.field = FIELD_SESSION_ID, .values = &mark, .value_count = 1},
        {.field = FIELD_METADATA,
         .metadata_key = bytes_of(mark_key),
         .values = &mark,
         .value_count = 1},
        {.field = FIELD_METADATA,
         .metadata_key = bytes_of("event.name"),
         .values = &name,
         .value_count = 1},
    };
    uint64_t now = clock_wall_ns(f->options.clock);
    const struct message_query query = {.filters = filters,
                                        .filter_count = sizeof filters / sizeof *filters,
                                        .from_ns = now > MARK_LIFE_NS ? now - MARK_LIFE_NS : 0,
                                        .time_limit_ms = LIMIT_MS};
    const struct message_page newest = {.take = 1};
    *received_ns = 0;
    return f->options.messages->kind->find(f->options.messages, &query, &newest, take_arrival,
                                           received_ns, err);
}

void fleet_find_mark(void *context, struct route_call *call)
{
    struct fleet *f = context;
    struct error err = {0};
    struct fleet_device device;
    struct bytes mark = call->parameters[0];
    uint64_t received_ns = 0;
    if (!fleet_authenticate(f, call, &device))
        return;
    if (!is_mark(mark)) {
        answer_error(call->exchange, 400, "no_mark", "a mark is a UUID in lower case",
                     "ask for the doctor.mark of a record that claude-telemetry-doctor sent");
        return;
    }
    if (!find_row(f, mark, &received_ns, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    struct buffer out = {.max_bytes = 1024};
    struct json_writer w = json_writer_make(&out);
    json_object_open(&w);
    json_put_key(&w, "mark");
    json_put_bytes(&w, mark);
    json_put_key(&w, "arrived");
    json_put_bool(&w, received_ns > 0);
    json_put_key(&w, "receivedAt");
    if (received_ns > 0)
        json_put_time(&w, received_ns);
    else
        json_put_null(&w);
    json_object_close(&w);
    answer_json(call->exchange, buffer_bytes(&out));
    buffer_clear(&out);
}
