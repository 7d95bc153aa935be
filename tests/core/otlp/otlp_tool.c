/*
 * Shows what core/otlp makes of a request, for oracle.py to compare with other decoders.
 *
 *   otlp_tool dump SIGNAL           request on stdin; one JSON object a record on stdout
 *   otlp_tool convert SIGNAL        OTLP/JSON on stdin; protobuf on stdout
 *   otlp_tool rewrite SIGNAL [KEY=VALUE to stamp | KEY to drop]...
 *   otlp_tool split SIGNAL 1|2      the first or the second half
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/json/writer.h"
#include "core/otlp/json.h"
#include "core/otlp/otlp.h"
#include "core/otlp/rewrite.h"

static void put_attributes(struct json_writer *w, const char *name,
                           struct otlp_attributes attributes)
{
    struct otlp_attribute_reader reader = otlp_attributes_start(attributes);
    struct otlp_attribute attribute;
    json_put_key(w, name);
    json_array_open(w);
    while (otlp_attributes_next(&reader, &attribute)) {
        struct buffer value = {.max_bytes = 64 * MIB};
        json_array_open(w);
        json_put_bytes(w, attribute.key);
        json_put_int(w, attribute.value.kind);
        if (otlp_value_as_json(&attribute.value, &value))
            json_put_raw(w, buffer_bytes(&value));
        json_array_close(w);
        buffer_clear(&value);
    }
    json_array_close(w);
}

static void put_hex(struct json_writer *w, const char *name, struct bytes id)
{
    char text[64] = "";
    for (size_t i = 0; i < id.len && i < sizeof text / 2 - 1; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)id.data[i]);
    json_put_key(w, name);
    json_put_string(w, id.len > 0 ? text : NULL);
}

static void put_text(struct json_writer *w, const char *name, struct bytes text)
{
    json_put_key(w, name);
    json_put_bytes(w, text);
}

static void put_number(struct json_writer *w, const char *name, uint64_t number)
{
    json_put_key(w, name);
    json_put_uint(w, number);
}

static void put_place(struct json_writer *w, struct otlp_attributes resource,
                      const struct otlp_scope *scope)
{
    json_object_open(w);
    put_attributes(w, "resource", resource);
    put_text(w, "scope_name", scope->name);
    put_text(w, "scope_version", scope->version);
}

static bool dump_log(void *context, const struct otlp_log *log)
{
    struct json_writer *w = context;
    struct buffer body = {.max_bytes = 64 * MIB};
    put_place(w, log->resource, &log->scope);
    put_number(w, "time", log->time_ns);
    put_number(w, "observed", log->observed_ns);
    put_number(w, "severity", (uint64_t)log->severity_number);
    put_text(w, "severity_text", log->severity_text);
    put_text(w, "event_name", log->event_name);
    put_hex(w, "trace_id", log->trace_id);
    put_hex(w, "span_id", log->span_id);
    json_put_key(w, "body");
    if (otlp_value_as_json(&log->body, &body))
        json_put_raw(w, buffer_bytes(&body));
    buffer_clear(&body);
    put_attributes(w, "attributes", log->attributes);
    json_object_close(w);
    return true;
}

static bool dump_span(void *context, const struct otlp_span *span)
{
    struct json_writer *w = context;
    struct bytes rest = span->raw;
    struct otlp_span_event event;
    put_place(w, span->resource, &span->scope);
    put_hex(w, "trace_id", span->trace_id);
    put_hex(w, "span_id", span->span_id);
    put_hex(w, "parent_span_id", span->parent_span_id);
    put_text(w, "name", span->name);
    put_number(w, "kind", (uint64_t)span->kind);
    put_number(w, "start", span->start_ns);
    put_number(w, "end", span->end_ns);
    put_number(w, "status", (uint64_t)span->status_code);
    put_text(w, "status_message", span->status_message);
    put_attributes(w, "attributes", span->attributes);
    put_number(w, "event_count", span->event_count);
    json_put_key(w, "events");
    json_array_open(w);
    while (otlp_span_event_next(&rest, &event)) {
        json_object_open(w);
        put_text(w, "name", event.name);
        put_number(w, "time", event.time_ns);
        put_attributes(w, "attributes", event.attributes);
        json_object_close(w);
    }
    json_array_close(w);
    json_object_close(w);
    return true;
}

static bool dump_point(void *context, const struct otlp_point *point)
{
    struct json_writer *w = context;
    put_place(w, point->resource, &point->scope);
    put_text(w, "metric", point->metric_name);
    put_text(w, "unit", point->unit);
    put_number(w, "kind", (uint64_t)point->kind);
    put_number(w, "temporality", (uint64_t)point->temporality);
    json_put_key(w, "monotonic");
    json_put_bool(w, point->monotonic);
    put_number(w, "start", point->start_ns);
    put_number(w, "time", point->time_ns);
    put_number(w, "count", point->count);
    json_put_key(w, "value");
    json_put_double(w, point->value);
    json_put_key(w, "gap");
    json_put_bool(w, point->no_recorded_value);
    put_attributes(w, "attributes", point->attributes);
    json_object_close(w);
    return true;
}

static bool dump(enum otlp_signal signal, struct bytes request, struct buffer *out,
                 struct error *err)
{
    uint64_t records;
    struct json_writer w = json_writer_make(out);
    if (!otlp_check(signal, request, &records, err))
        return false;
    json_object_open(&w);
    put_number(&w, "records", records);
    json_put_key(&w, "rows");
    json_array_open(&w);
    bool ok = signal == OTLP_LOGS      ? otlp_walk_logs(request, dump_log, &w, err)
              : signal == OTLP_METRICS ? otlp_walk_points(request, dump_point, &w, err)
                                       : otlp_walk_spans(request, dump_span, &w, err);
    json_array_close(&w);
    json_object_close(&w);
    return ok;
}

static bool rewrite(enum otlp_signal signal, struct bytes request, char **words, size_t count,
                    struct buffer *out, struct error *err)
{
    struct otlp_stamp *stamps = xcalloc(count, sizeof *stamps);
    const char **drop_keys = xcalloc(count, sizeof *drop_keys);
    struct otlp_rewrite change = {.stamps = stamps, .drop_keys = drop_keys};
    for (size_t i = 0; i < count; i++) {
        char *equals = strchr(words[i], '=');
        if (equals) {
            *equals = '\0';
            stamps[change.stamp_count++] =
                (struct otlp_stamp){.key = words[i], .value = equals + 1};
        } else {
            drop_keys[change.drop_count++] = words[i];
        }
    }
    bool ok = otlp_rewrite_request(signal, request, &change, out, err);
    free(stamps);
    free(drop_keys);
    return ok;
}

static bool read_input(struct buffer *in)
{
    uint8_t chunk[65536];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        if (!buffer_append(in, bytes_make(chunk, got)))
            return false;
    return ferror(stdin) == 0;
}

int main(int argc, char **argv)
{
    struct buffer in = {.max_bytes = 64 * MIB}, out = {.max_bytes = 256 * MIB},
                  other = {.max_bytes = 64 * MIB};
    struct error err = {0};
    enum otlp_signal signal;
    if (argc < 3 || !otlp_signal_of_name(bytes_of(argv[2]), &signal) || !read_input(&in))
        return 2;
    struct bytes request = buffer_bytes(&in);
    bool ok = false;
    if (strcmp(argv[1], "dump") == 0)
        ok = dump(signal, request, &out, &err);
    else if (strcmp(argv[1], "convert") == 0)
        ok = otlp_json_to_protobuf(signal, request, &out, &err);
    else if (strcmp(argv[1], "rewrite") == 0)
        ok = rewrite(signal, request, argv + 3, (size_t)argc - 3, &out, &err);
    else if (strcmp(argv[1], "split") == 0 && argc == 4)
        ok = argv[3][0] == '1' ? otlp_split_request(signal, request, &out, &other, &err)
                               : otlp_split_request(signal, request, &other, &out, &err);
    if (ok)
        ok = out.len == 0 || fwrite(out.data, 1, out.len, stdout) == out.len;
    else
        error_print("otlp_tool", &err);
    buffer_clear(&in);
    buffer_clear(&out);
    buffer_clear(&other);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
