#include "core/otlp/walk.h"

#include "core/otlp/value.h"
#include "core/otlp/wire.h"

/* The same at all three signals. */
enum { REQUEST_RESOURCES = 1, RESOURCE = 1, SCOPES = 2, SCOPE = 1, RECORDS = 2 };

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8 };

struct bytes walk_id(struct bytes id, size_t length)
{
    uint8_t any = 0;
    for (size_t i = 0; i < id.len; i++)
        any |= id.data[i];
    return id.len == length && any ? id : bytes_make(NULL, 0);
}

/* The last LEN field with this number: it may follow what it applies to. */
static bool find_message(struct bytes message, uint32_t number, struct bytes *out)
{
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    *out = bytes_make(NULL, 0);
    while (wire_next(&r, &field))
        if (field.number == number && field.type == WIRE_LEN)
            *out = field.bytes;
    return !r.failed;
}

static bool read_scope(struct bytes message, struct otlp_scope *out)
{
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    *out = (struct otlp_scope){.attributes = {.message = message, .field = 3}};
    while (wire_next(&r, &field)) {
        if (field.number == 1 && field.type == WIRE_LEN)
            out->name = field.bytes;
        else if (field.number == 2 && field.type == WIRE_LEN)
            out->version = field.bytes;
    }
    return !r.failed;
}

static enum walk_outcome walk_scope(struct bytes scope_records, struct walk_place *place,
                                    walk_visit *visit, void *context)
{
    struct bytes scope;
    if (!find_message(scope_records, SCOPE, &scope) || !read_scope(scope, &place->scope))
        return WALK_MALFORMED;
    struct wire_reader r = wire_reader_make(scope_records);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number != RECORDS || field.type != WIRE_LEN)
            continue;
        enum walk_outcome outcome = visit(context, place, field.bytes);
        if (outcome != WALK_ON)
            return outcome;
    }
    return WALK_ON;
}

static enum walk_outcome walk_resource(struct bytes resource_records, walk_visit *visit,
                                       void *context)
{
    struct walk_place place = {.resource = {.field = 1}};
    if (!find_message(resource_records, RESOURCE, &place.resource.message))
        return WALK_MALFORMED;
    struct wire_reader r = wire_reader_make(resource_records);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number != SCOPES || field.type != WIRE_LEN)
            continue;
        enum walk_outcome outcome = walk_scope(field.bytes, &place, visit, context);
        if (outcome != WALK_ON)
            return outcome;
    }
    return WALK_ON;
}

bool walk_request(enum otlp_signal signal, struct bytes request, walk_visit *visit, void *context,
                  struct error *err)
{
    struct wire_reader r = wire_reader_make(request);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number != REQUEST_RESOURCES || field.type != WIRE_LEN)
            continue;
        enum walk_outcome outcome = walk_resource(field.bytes, visit, context);
        if (outcome == WALK_STOP)
            return true;
        if (outcome == WALK_MALFORMED) {
            r.failed = true;
            break;
        }
    }
    if (r.failed)
        return error_set(err, FAIL_INVALID, "malformed %s request", otlp_signal_name(signal));
    return true;
}

struct log_walk {
    otlp_log_visit *visit;
    void *context;
};

static void read_log_field(struct otlp_log *log, const struct wire_field *field)
{
    switch (field->number) {
    case 1:
        log->time_ns = field->value;
        break;
    case 2:
        log->severity_number = (int32_t)field->value;
        break;
    case 3:
        log->severity_text = field->bytes;
        break;
    case 5:
        log->body = otlp_value_read(field->bytes);
        break;
    case 9:
        log->trace_id = field->bytes;
        break;
    case 10:
        log->span_id = field->bytes;
        break;
    case 11:
        log->observed_ns = field->value;
        break;
    case 12:
        log->event_name = field->bytes;
        break;
    default:
        break;
    }
}

static enum walk_outcome visit_log(void *context, const struct walk_place *place,
                                   struct bytes record)
{
    const struct log_walk *walk = context;
    struct otlp_log log = {.resource = place->resource,
                           .scope = place->scope,
                           .attributes = {.message = record, .field = 6},
                           .raw = record};
    struct wire_reader r = wire_reader_make(record);
    struct wire_field field = {0};
    while (wire_next(&r, &field))
        read_log_field(&log, &field);
    if (r.failed)
        return WALK_MALFORMED;
    if (log.time_ns == 0)
        log.time_ns = log.observed_ns;
    log.trace_id = walk_id(log.trace_id, TRACE_ID_BYTES);
    log.span_id = walk_id(log.span_id, SPAN_ID_BYTES);
    return walk->visit(walk->context, &log) ? WALK_ON : WALK_STOP;
}

bool otlp_walk_logs(struct bytes request, otlp_log_visit *visit, void *context, struct error *err)
{
    struct log_walk walk = {.visit = visit, .context = context};
    return walk_request(OTLP_LOGS, request, visit_log, &walk, err);
}

struct span_walk {
    otlp_span_visit *visit;
    void *context;
};

static bool read_status(struct otlp_span *span, struct bytes message)
{
    struct wire_reader r = wire_reader_make(message);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number == 2 && field.type == WIRE_LEN)
            span->status_message = field.bytes;
        else if (field.number == 3 && field.type == WIRE_VARINT)
            span->status_code = (int32_t)field.value;
    }
    return !r.failed;
}

static bool read_span_field(struct otlp_span *span, const struct wire_field *field)
{
    switch (field->number) {
    case 1:
        span->trace_id = field->bytes;
        break;
    case 2:
        span->span_id = field->bytes;
        break;
    case 4:
        span->parent_span_id = field->bytes;
        break;
    case 5:
        span->name = field->bytes;
        break;
    case 6:
        span->kind = (int32_t)field->value;
        break;
    case 7:
        span->start_ns = field->value;
        break;
    case 8:
        span->end_ns = field->value;
        break;
    case 11:
        span->event_count++;
        break;
    case 15:
        return read_status(span, field->bytes);
    default:
        break;
    }
    return true;
}

static enum walk_outcome visit_span(void *context, const struct walk_place *place,
                                    struct bytes record)
{
    const struct span_walk *walk = context;
    struct otlp_span span = {.resource = place->resource,
                             .scope = place->scope,
                             .attributes = {.message = record, .field = 9},
                             .raw = record};
    struct wire_reader r = wire_reader_make(record);
    struct wire_field field = {0};
    while (wire_next(&r, &field))
        if (!read_span_field(&span, &field))
            return WALK_MALFORMED;
    if (r.failed)
        return WALK_MALFORMED;
    span.trace_id = walk_id(span.trace_id, TRACE_ID_BYTES);
    span.span_id = walk_id(span.span_id, SPAN_ID_BYTES);
    span.parent_span_id = walk_id(span.parent_span_id, SPAN_ID_BYTES);
    return walk->visit(walk->context, &span) ? WALK_ON : WALK_STOP;
}

bool otlp_walk_spans(struct bytes request, otlp_span_visit *visit, void *context, struct error *err)
{
    struct span_walk walk = {.visit = visit, .context = context};
    return walk_request(OTLP_TRACES, request, visit_span, &walk, err);
}

bool otlp_span_event_next(struct bytes *rest, struct otlp_span_event *out)
{
    struct wire_reader r = wire_reader_make(*rest);
    struct wire_field field;
    while (wire_next(&r, &field)) {
        if (field.number != 11 || field.type != WIRE_LEN)
            continue;
        *rest = bytes_make(r.at, (size_t)(r.end - r.at));
        *out = (struct otlp_span_event){.attributes = {.message = field.bytes, .field = 3}};
        r = wire_reader_make(field.bytes);
        while (wire_next(&r, &field)) {
            if (field.number == 1 && field.type == WIRE_I64)
                out->time_ns = field.value;
            else if (field.number == 2 && field.type == WIRE_LEN)
                out->name = field.bytes;
        }
        return true;
    }
    rest->len = 0;
    return false;
}
