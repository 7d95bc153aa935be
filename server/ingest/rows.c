#include "server/ingest/rows.h"

#include "core/otlp/json.h"
#include "core/otlp/otlp.h"

/* Rows repeat their resource's attributes, so they outgrow the request. */
enum { GROWTH = 12 };
#define BASE_BYTES MIB
#define MAX_ROWS_BYTES (256 * MIB)

struct filling {
    struct rows *rows;
    const struct message_context *context;
};

static bool take_log(void *context, const struct otlp_log *log)
{
    struct filling *f = context;
    if (message_from_log(log, f->context, &f->rows->arena,
                         &f->rows->messages[f->rows->message_count]))
        f->rows->message_count++;
    else
        f->rows->rejected++;
    return true;
}

static bool take_span(void *context, const struct otlp_span *span)
{
    struct filling *f = context;
    if (message_from_span(span, f->context, &f->rows->arena,
                          &f->rows->messages[f->rows->message_count]))
        f->rows->message_count++;
    else
        f->rows->rejected++;
    return true;
}

static bool take_point(void *context, const struct otlp_point *point)
{
    struct filling *f = context;
    bool kept = false;
    if (!usage_from_point(point, f->context, &f->rows->arena, &f->rows->usage[f->rows->usage_count],
                          &kept))
        f->rows->rejected++;
    else if (kept)
        f->rows->usage_count++;
    return true;
}

static bool map(enum otlp_signal signal, struct bytes request,
                const struct message_context *context, struct rows *out, struct error *err)
{
    if (!otlp_check(signal, request, &out->records, err))
        return false;
    struct filling filling = {.rows = out, .context = context};
    size_t growth = request.len > MAX_ROWS_BYTES / GROWTH ? MAX_ROWS_BYTES : request.len * GROWTH;
    out->arena.max_bytes = BASE_BYTES + growth;

    /* A record takes two bytes at least, a row some hundred: the arrays may not fit. */
    size_t records = (size_t)out->records;
    if (signal == OTLP_METRICS)
        out->usage = arena_alloc_many(&out->arena, records, sizeof *out->usage);
    else
        out->messages = arena_alloc_many(&out->arena, records, sizeof *out->messages);
    if (records > 0 && !out->usage && !out->messages)
        return error_set(err, FAIL_TOO_LARGE,
                         "%zu records in %zu bytes are more than one request may hold", records,
                         request.len);
    if (signal == OTLP_METRICS)
        return otlp_walk_points(request, take_point, &filling, err);
    if (signal == OTLP_LOGS)
        return otlp_walk_logs(request, take_log, &filling, err);
    return otlp_walk_spans(request, take_span, &filling, err);
}

bool rows_decode(enum otlp_signal signal, enum otlp_encoding encoding, struct bytes body,
                 size_t max_bytes, const struct message_context *context, struct rows *out,
                 struct error *err)
{
    *out = (struct rows){0};
    if (encoding == OTLP_PROTOBUF)
        return map(signal, body, context, out, err);
    struct buffer request = {.max_bytes = max_bytes};
    bool done = otlp_json_to_protobuf(signal, body, &request, err) &&
                map(signal, buffer_bytes(&request), context, out, err);
    buffer_clear(&request);
    return done;
}

void rows_clear(struct rows *rows)
{
    arena_clear(&rows->arena);
}
