/*
 * The first byte picks the signal. What is a sound request becomes rows whose
 * texts are UTF-8 without NUL, whose metadata is JSON, and which join themselves to themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json/reader.h"
#include "core/otlp/otlp.h"
#include "server/message/mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct mapping {
    struct arena arena;
    struct message_context context;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(struct bytes text)
{
    struct buffer clean = {.max_bytes = text.len * 3 + 1};
    must(otlp_text_clean(text, &clean) && bytes_equal(buffer_bytes(&clean), text));
    buffer_clear(&clean);
}

static void check_json(struct bytes json)
{
    struct json_reader r = json_reader_make(json);
    enum json_token token;
    must(json_next(&r) == JSON_OBJECT_OPEN);
    while ((token = json_next(&r)) != JSON_END)
        must(token != JSON_ERROR);
}

static void check_row(struct mapping *m, const struct message *row)
{
    const struct bytes texts[] = {row->service_name, row->model,       row->person,
                                  row->name,         row->session_id,  row->prompt_id,
                                  row->request_id,   row->tool_use_id, row->tool_name,
                                  row->account_uuid, row->account_id,  row->body};
    struct message joined;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_text(texts[i]);
    check_json(row->metadata);
    must(row->input_tokens >= -1 && row->cost_microcents >= -1 && row->duration_ms >= -1);
    must(message_join(row, row, &m->arena, &joined));
    check_json(joined.metadata);
    must(memcmp(joined.key, row->key, sizeof joined.key) == 0);
}

static bool take_log(void *context, const struct otlp_log *log)
{
    struct mapping *m = context;
    struct message row;
    if (message_from_log(log, &m->context, &m->arena, &row))
        check_row(m, &row);
    return true;
}

static bool take_span(void *context, const struct otlp_span *span)
{
    struct mapping *m = context;
    struct message row;
    if (message_from_span(span, &m->context, &m->arena, &row))
        check_row(m, &row);
    return true;
}

static bool take_point(void *context, const struct otlp_point *point)
{
    struct mapping *m = context;
    struct usage_delta delta;
    bool kept;
    if (usage_from_point(point, &m->context, &m->arena, &delta, &kept) && kept) {
        check_text(delta.attributes);
        check_text(delta.metric);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mapping m = {.arena = {.max_bytes = 64 * MIB},
                        .context = {.system_id = 1, .received_ns = 5, .max_body_bytes = 1000}};
    struct error err;
    uint64_t records;
    if (size == 0)
        return 0;
    enum otlp_signal signal = (enum otlp_signal)(data[0] % OTLP_SIGNAL_COUNT);
    struct bytes request = bytes_make(data + 1, size - 1);
    if (otlp_check(signal, request, &records, &err)) {
        bool walked = signal == OTLP_LOGS     ? otlp_walk_logs(request, take_log, &m, &err)
                      : signal == OTLP_TRACES ? otlp_walk_spans(request, take_span, &m, &err)
                                              : otlp_walk_points(request, take_point, &m, &err);
        must(walked);
    }
    arena_clear(&m.arena);
    return 0;
}
