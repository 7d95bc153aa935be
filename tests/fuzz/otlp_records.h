/* Shared by the fuzz targets of core/otlp: reads everything of every record. */
#ifndef TESTS_FUZZ_OTLP_RECORDS_H
#define TESTS_FUZZ_OTLP_RECORDS_H

#include <stdlib.h>

#include "core/json/reader.h"
#include "core/otlp/otlp.h"

struct otlp_records {
    uint64_t count;
    const char *absent; /* no attribute of record, scope or resource has this key; or NULL */
};

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void read_attributes(const struct otlp_records *records, struct otlp_attributes attributes)
{
    struct otlp_attribute_reader reader = otlp_attributes_start(attributes);
    struct otlp_attribute attribute;
    while (otlp_attributes_next(&reader, &attribute)) {
        struct buffer json = {.max_bytes = MIB}, text = {.max_bytes = MIB};
        int64_t integer;
        double number;
        bool truth;
        must(!records->absent || !bytes_equal_text(attribute.key, records->absent));
        if (otlp_value_as_json(&attribute.value, &json)) {
            struct json_reader r = json_reader_make(buffer_bytes(&json));
            must(json_skip_value(&r) && json_next(&r) == JSON_END);
        }
        if (otlp_value_as_int(&attribute.value, &integer))
            must(otlp_value_as_double(&attribute.value, &number));
        must(otlp_value_as_text(&attribute.value, &text) || text.len <= MIB);
        must(!otlp_value_as_bool(&attribute.value, &truth) || truth || !truth);
        buffer_clear(&json);
        buffer_clear(&text);
    }
}

static bool visit_log(void *context, const struct otlp_log *log)
{
    struct otlp_records *records = context;
    records->count++;
    read_attributes(records, log->resource);
    read_attributes(records, log->scope.attributes);
    read_attributes(records, log->attributes);
    must(log->trace_id.len == 0 || log->trace_id.len == 16);
    return true;
}

static bool visit_span(void *context, const struct otlp_span *span)
{
    struct otlp_records *records = context;
    struct bytes rest = span->raw;
    struct otlp_span_event event;
    uint32_t events = 0;
    records->count++;
    read_attributes(records, span->resource);
    read_attributes(records, span->attributes);
    while (otlp_span_event_next(&rest, &event)) {
        events++;
        read_attributes(records, event.attributes);
    }
    must(events <= span->event_count);
    return true;
}

static bool visit_point(void *context, const struct otlp_point *point)
{
    struct otlp_records *records = context;
    records->count++;
    read_attributes(records, point->resource);
    read_attributes(records, point->attributes);
    return true;
}

static bool walk(enum otlp_signal signal, struct bytes request, struct otlp_records *records)
{
    struct error err;
    if (signal == OTLP_LOGS)
        return otlp_walk_logs(request, visit_log, records, &err);
    if (signal == OTLP_TRACES)
        return otlp_walk_spans(request, visit_span, records, &err);
    return otlp_walk_points(request, visit_point, records, &err);
}

#endif
