#include "server/query/policies.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/json/reader.h"

enum { DAYS = 30, LIMIT_MS = 2000 };

struct reading {
    policy_visit *visit;
    void *context;
};

/* A text of metadata; the texts of a list joined. */
static void take(struct json_reader *r, char out[POLICY_TEXT_BYTES])
{
    struct buffer text = {.max_bytes = POLICY_TEXT_BYTES - 1};
    enum json_token token = json_next(r);
    bool is_list = token == JSON_ARRAY_OPEN, fits = true;
    if (is_list)
        token = json_next(r);
    for (; token == JSON_STRING; token = is_list ? json_next(r) : JSON_END) {
        fits = fits && (text.len == 0 || buffer_append_text(&text, ", ")) &&
               json_string_decode(r->span, &text);
    }
    if (is_list && text.len == 0)
        fits = buffer_append_text(&text, "none");
    snprintf(out, POLICY_TEXT_BYTES, "%s", buffer_text(&text) ? buffer_text(&text) : "");
    buffer_clear(&text);
}

static bool take_row(void *context, const struct stored_message *row)
{
    struct reading *reading = context;
    struct policy_sighting s = {.time_ns = row->message.time_ns};
    const struct {
        const char *key;
        char *text;
    } wanted[] = {{"managed_settings.sources", s.sources},
                  {"managed_settings.source_behavior", s.behavior},
                  {"managed_settings.trigger", s.trigger},
                  {"service.version", s.version}};
    snprintf(s.person, sizeof s.person, "%.*s", (int)row->message.person.len,
             (const char *)row->message.person.data);
    struct json_reader r = json_reader_make(row->message.metadata);
    if (json_next(&r) == JSON_OBJECT_OPEN)
        while (json_next(&r) == JSON_KEY) {
            struct bytes key = r.span;
            struct json_reader value = r;
            for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
                if (json_string_equals(key, wanted[i].key))
                    take(&value, wanted[i].text);
            if (!json_skip_value(&r))
                break;
        }
    reading->visit(reading->context, &s);
    return true;
}

bool policies_read(struct message_store *messages, const char *device_id, uint64_t now_ns,
                   policy_visit *visit, void *context, struct error *err)
{
    const struct bytes type = bytes_of("ai.event"), device = bytes_of(device_id),
                       event = bytes_of("managed_settings_resolved");
    const struct message_filter filters[] = {
        {.field = FIELD_TYPE, .values = &type, .value_count = 1},
        {.field = FIELD_METADATA,
         .metadata_key = bytes_of("device.id"),
         .values = &device,
         .value_count = 1},
        {.field = FIELD_METADATA,
         .metadata_key = bytes_of("event.name"),
         .values = &event,
         .value_count = 1},
    };
    const uint64_t span_ns = DAYS * UINT64_C(86400) * NS_PER_S;
    const struct message_query query = {.filters = filters,
                                        .filter_count = sizeof filters / sizeof *filters,
                                        .from_ns = now_ns > span_ns ? now_ns - span_ns : 0,
                                        .time_limit_ms = LIMIT_MS};
    const struct message_page newest = {.take = POLICIES_SHOWN};
    struct reading reading = {visit, context};
    return messages->kind->find(messages, &query, &newest, take_row, &reading, err);
}
