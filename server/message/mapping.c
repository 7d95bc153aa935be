#include "server/message/mapping.h"

#include <math.h>
#include <string.h>

#include "server/message/classify.h"
#include "server/message/draft.h"
#include "server/message/prices.h"

enum { TEXT_BYTES = 512, SCRATCH_BYTES = 128 * 1024 * 1024 };

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

int64_t message_microcents_of_usd(double usd)
{
    double micros = usd * 1e6;
    if (!(micros >= 0) || micros > 1e15)
        return MESSAGE_ABSENT;
    double whole = floor(micros);
    if (micros - whole >= 0.5)
        whole += 1;
    return (int64_t)whole;
}

static int64_t cost_of(const struct draft *d)
{
    int64_t micros = draft_find_count(d, KEYS("cost_usd_micros"));
    const struct otlp_value *usd = attributes_find(&d->set, "cost_usd");
    double value;
    if (micros == MESSAGE_ABSENT && usd && otlp_value_as_double(usd, &value))
        micros = message_microcents_of_usd(value);
    return micros;
}

static int64_t known(int64_t number)
{
    return number == MESSAGE_ABSENT ? 0 : number;
}

/*
 * Claude Code's plain names count the input without caches; the GenAI
 * conventions, Codex and Gemini count it with them (facts of each vendor's
 * usage object). Gemini's thoughts stand beside its output where its total says so.
 */
static void take_tokens(const struct draft *d, bool claude, struct message *out)
{
    int64_t plain = draft_find_count(d, KEYS("input_tokens"));
    int64_t inclusive =
        draft_find_count(d, KEYS("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens",
                                 "input_token_count"));
    out->output_tokens =
        claude ? draft_find_count(d, KEYS("output_tokens", "gen_ai.usage.output_tokens"))
               : draft_find_count(d, KEYS("gen_ai.usage.output_tokens",
                                          "gen_ai.usage.completion_tokens", "output_token_count",
                                          "output_tokens"));
    out->cache_read_tokens =
        draft_find_count(d, KEYS("cache_read_tokens", "gen_ai.usage.cache_read.input_tokens",
                                 "gen_ai.usage.cache_read_input_tokens", "cached_token_count",
                                 "cached_content_token_count", "cache_read_input_tokens"));
    out->cache_create_tokens = draft_find_count(d, KEYS("cache_creation_tokens",
                                                        "gen_ai.usage.cache_creation.input_tokens",
                                                        "gen_ai.usage.cache_creation_input_tokens",
                                                        "cache_creation_input_tokens"));

    if (plain != MESSAGE_ABSENT && (claude || inclusive == MESSAGE_ABSENT)) {
        out->input_tokens = plain;
    } else if (inclusive != MESSAGE_ABSENT) {
        int64_t caches = known(out->cache_read_tokens) + known(out->cache_create_tokens);
        out->input_tokens = inclusive > caches ? inclusive - caches : 0;
    }
    int64_t thoughts = draft_find_count(d, KEYS("thoughts_token_count"));
    int64_t total = draft_find_count(d, KEYS("total_token_count"));
    if (thoughts > 0 && out->output_tokens != MESSAGE_ABSENT &&
        total >= known(inclusive) + out->output_tokens + thoughts)
        out->output_tokens += thoughts;
}

static enum message_success success_of(const struct draft *d, struct record_kind kind)
{
    const struct otlp_value *said = attributes_find(&d->set, "success");
    bool value;
    if (said && otlp_value_as_bool(said, &value))
        return value ? MESSAGE_SUCCEEDED : MESSAGE_FAILED;
    if (kind.type == MESSAGE_ERROR)
        return MESSAGE_FAILED;
    if (kind.type != MESSAGE_GENERATION && kind.type != MESSAGE_TOOL)
        return MESSAGE_SUCCESS_UNKNOWN;
    if (attributes_first(&d->set, KEYS("error.type", "error")))
        return MESSAGE_FAILED;
    return kind.type == MESSAGE_GENERATION ? MESSAGE_SUCCEEDED : MESSAGE_SUCCESS_UNKNOWN;
}

/* Adds a name of ours to the set's beginning. */
static void add_ours(struct otlp_attribute *ours, size_t *count, const char *key,
                     struct bytes value)
{
    if (value.len == 0)
        return;
    ours[(*count)++] =
        (struct otlp_attribute){.key = bytes_of(key),
                                .value = {.kind = OTLP_VALUE_STRING, .bytes = value}};
}

static void draft_start(struct draft *d, const struct message_context *context, struct arena *arena,
                        const struct otlp_attribute *ours, size_t count,
                        struct otlp_attributes record, struct otlp_attributes resource)
{
    *d = (struct draft){.context = context, .arena = arena};
    d->scratch.max_bytes = SCRATCH_BYTES;
    attributes_init(&d->set, ours, count, record, resource);
}

static bool draft_end(struct draft *d)
{
    attributes_clear(&d->set);
    buffer_clear(&d->scratch);
    return !d->full;
}

static void take_id(struct bytes id, uint8_t *out, size_t len)
{
    if (id.len == len)
        memcpy(out, id.data, len);
}

/* What logs and spans have in common, everything but keys, time and duration. */
static void take_common(struct draft *d, struct record_kind kind, struct otlp_attributes resource,
                        struct message *out)
{
    out->type = kind.type;
    out->received_ns = d->context->received_ns;
    out->input_tokens = out->output_tokens = MESSAGE_ABSENT;
    out->cache_read_tokens = out->cache_create_tokens = MESSAGE_ABSENT;
    out->cost_microcents = out->cost_computed_microcents = MESSAGE_ABSENT;
    if (kind.type == MESSAGE_GENERATION) {
        take_tokens(d, kind.claude, out);
        out->cost_microcents = cost_of(d);
    }
    out->success = success_of(d, kind);
    out->service_name = draft_find_text(d, KEYS("service.name"), TEXT_BYTES);
    out->model = kind.claude ? draft_find_text(d, KEYS("model", "gen_ai.request.model"), TEXT_BYTES)
                             : draft_find_text(d,
                                               KEYS("gen_ai.response.model", "gen_ai.request.model",
                                                    "model", "slug"),
                                               TEXT_BYTES);
    out->session_id =
        draft_find_text(d, KEYS("session.id", "gen_ai.conversation.id", "conversation.id"),
                        TEXT_BYTES);
    out->prompt_id = draft_find_text(d, KEYS("prompt.id", "prompt_id"), TEXT_BYTES);
    out->request_id =
        draft_find_text(d, KEYS("request_id", "gen_ai.response.id", "client_request_id"),
                        TEXT_BYTES);
    out->tool_use_id =
        draft_find_text(d, KEYS("tool_use_id", "gen_ai.tool.call.id", "call_id"), TEXT_BYTES);
    out->tool_name =
        draft_find_text(d, KEYS("tool_name", "gen_ai.tool.name", "function_name"), TEXT_BYTES);

    /* Other speeds have other prices. */
    const struct bytes speed = draft_find_text(d, KEYS("speed"), TEXT_BYTES);
    if (d->context->prices && out->type == MESSAGE_GENERATION &&
        (speed.len == 0 || bytes_equal_text(speed, "normal")))
        out->cost_computed_microcents = prices_cost(d->context->prices, out);

    struct person_claim who = person_resolve(d, resource);
    out->person = who.person;
    out->person_rank = who.rank;
    out->account_uuid = who.account_uuid;
    out->account_id = who.account_id;
    out->metadata = draft_metadata(d, &out->event_metadata_keys);
}

static uint64_t join_hash(struct draft *d, const char *kind, struct bytes id, uint8_t hash[32])
{
    struct part_hash h = part_hash_start(d, kind);
    part_hash_text(&h, id);
    part_hash_end(d, &h, hash);
    return join_of_hash(hash);
}

/*
 * Older versions of Claude Code give neither request id nor tool use id, Codex and
 * Gemini CLI none for requests; then an event and a span of one session that say the
 * same are one, if they ended together (the store looks at that). Others call a
 * model one thing in the event and another in the span.
 */
static void take_weak_join(struct draft *d, bool claude, struct message *out)
{
    bool tool = out->type == MESSAGE_TOOL;
    if (out->session_id.len == 0 || (tool && out->tool_name.len == 0) ||
        (!tool && out->output_tokens <= 0))
        return;
    uint8_t hash[32];
    struct part_hash h = part_hash_start(d, tool ? "weak tool" : "weak generation");
    part_hash_text(&h, out->session_id);
    if (tool) {
        part_hash_text(&h, out->tool_name);
    } else {
        part_hash_text(&h, claude ? out->model : bytes_of(""));
        part_hash_number(&h, (uint64_t)known(out->input_tokens));
        part_hash_number(&h, (uint64_t)known(out->output_tokens));
        part_hash_number(&h, (uint64_t)known(out->cache_read_tokens));
        part_hash_number(&h, (uint64_t)known(out->cache_create_tokens));
    }
    part_hash_end(d, &h, hash);
    out->join_hash = join_of_hash(hash);
    out->join_weak = true;
}

/* Joinable rows get their key from what joins them; `natural` is the key's hash otherwise. */
static void take_keys(struct draft *d, bool claude, const uint8_t natural[32], struct message *out)
{
    uint8_t hash[32];
    memcpy(hash, natural, sizeof hash);
    if (out->type == MESSAGE_GENERATION && out->request_id.len)
        out->join_hash = join_hash(d, "generation", out->request_id, hash);
    else if (out->type == MESSAGE_TOOL && out->tool_use_id.len)
        out->join_hash = join_hash(d, "tool", out->tool_use_id, hash);
    else if (out->type == MESSAGE_GENERATION || (claude && out->type == MESSAGE_TOOL))
        take_weak_join(d, claude, out);
    key_make(out->time_ns, hash, out->key);

    bool child =
        out->type == MESSAGE_TOOL || out->type == MESSAGE_DECISION || out->type == MESSAGE_RESPONSE;
    if (child && out->request_id.len)
        out->parent_join_hash = join_hash(d, "generation", out->request_id, hash);
}

static void log_hash(struct draft *d, const struct otlp_log *log, const struct message *m,
                     uint8_t hash[32])
{
    const struct otlp_value *sequence = attributes_find(&d->set, "event.sequence");
    int64_t number = 0;
    struct part_hash h = part_hash_start(d, "log");
    if (m->session_id.len && m->name.len && sequence && otlp_value_as_int(sequence, &number)) {
        /* Session and sequence repeat after a resume, so time and name belong to it. */
        part_hash_text(&h, m->session_id);
        part_hash_number(&h, (uint64_t)number);
        part_hash_number(&h, m->time_ns);
        part_hash_text(&h, m->name);
    } else {
        part_hash_text(&h, log->resource.message);
        part_hash_text(&h, log->raw);
    }
    part_hash_end(d, &h, hash);
}

static uint64_t sane_time(uint64_t time_ns, const struct message_context *context)
{
    return time_ns == 0 || time_ns > INT64_MAX ? context->received_ns : time_ns;
}

/* Evidence of one machine, and not only of a person: which policy its Claude Code obeys. */
static bool tells_of_the_machine(struct bytes name)
{
    static const char event[] = "managed_settings_resolved";
    size_t len = sizeof event - 1;
    return name.len >= len && memcmp(name.data + name.len - len, event, len) == 0;
}

bool message_from_log(const struct otlp_log *log, const struct message_context *context,
                      struct arena *arena, struct message *out)
{
    struct draft d;
    struct otlp_attribute ours[7];
    size_t count = 0;
    struct bytes name = classify_log_name(log);
    *out = (struct message){.sources = MESSAGE_FROM_EVENT};
    add_ours(ours, &count, "event.name", name);
    add_ours(ours, &count, "otel.scope.name", log->scope.name);
    add_ours(ours, &count, "otel.scope.version", log->scope.version);
    add_ours(ours, &count, "severity_text", log->severity_text);
    if (tells_of_the_machine(name))
        add_ours(ours, &count, "device.id", context->device_id);
    if (log->severity_number)
        ours[count++] = (struct otlp_attribute){.key = bytes_of("severity_number"),
                                                .value = {.kind = OTLP_VALUE_INT,
                                                          .integer = log->severity_number}};
    draft_start(&d, context, arena, ours, count, log->attributes, log->resource);
    struct record_kind kind = classify_log(&d.set, name, log->scope.name);
    d.generic = !kind.claude && kind.type == MESSAGE_LOG;

    out->time_ns = sane_time(log->time_ns, context);
    out->name = draft_copy(&d, name, TEXT_BYTES, NULL);
    take_common(&d, kind, log->resource, out);
    out->duration_ms = draft_find_count(&d, KEYS("duration_ms", "total_duration_ms"));
    take_id(log->trace_id, out->trace_id, sizeof out->trace_id);
    take_id(log->span_id, out->span_id, sizeof out->span_id);
    content_take(&d, classify_body_is_name(log) ? NULL : &log->body, NULL, out);
    uint8_t hash[32];
    log_hash(&d, log, out, hash);
    take_keys(&d, kind.claude, hash, out);
    message_note_event(out);
    return draft_end(&d);
}

bool message_from_span(const struct otlp_span *span, const struct message_context *context,
                       struct arena *arena, struct message *out)
{
    struct draft d;
    struct otlp_attribute ours[5];
    size_t count = 0;
    *out = (struct message){.sources = MESSAGE_FROM_SPAN};
    add_ours(ours, &count, "span.name", span->name);
    add_ours(ours, &count, "otel.scope.name", span->scope.name);
    add_ours(ours, &count, "otel.scope.version", span->scope.version);
    add_ours(ours, &count, "span.status_message", span->status_message);
    if (span->status_code)
        add_ours(ours, &count, "span.status", bytes_of(span->status_code == 2 ? "error" : "ok"));
    draft_start(&d, context, arena, ours, count, span->attributes, span->resource);
    struct record_kind kind = classify_span(&d.set, span->name);
    d.generic = !kind.claude && kind.type == MESSAGE_SPAN;

    out->time_ns = sane_time(span->start_ns, context);
    out->name = draft_copy(&d, span->name, TEXT_BYTES, NULL);
    take_common(&d, kind, span->resource, out);
    out->event_metadata_keys = 0;
    if (span->status_code == 2)
        out->success = MESSAGE_FAILED;
    else if (span->status_code == 1 && out->success == MESSAGE_SUCCESS_UNKNOWN)
        out->success = MESSAGE_SUCCEEDED;
    out->duration_ms = draft_find_count(&d, KEYS("duration_ms", "interaction.duration_ms"));
    if (out->duration_ms == MESSAGE_ABSENT && span->end_ns >= span->start_ns && span->start_ns)
        out->duration_ms = (int64_t)((span->end_ns - span->start_ns) / 1000000);
    take_id(span->trace_id, out->trace_id, sizeof out->trace_id);
    take_id(span->span_id, out->span_id, sizeof out->span_id);
    take_id(span->parent_span_id, out->parent_span_id, sizeof out->parent_span_id);
    content_take(&d, NULL, span, out);

    uint8_t hash[32];
    struct part_hash h = part_hash_start(&d, "span");
    part_hash_text(&h, span->trace_id);
    part_hash_text(&h, span->span_id);
    if (span->span_id.len == 0)
        part_hash_text(&h, span->raw);
    part_hash_end(&d, &h, hash);
    take_keys(&d, kind.claude, hash, out);
    return draft_end(&d);
}

bool message_from_agent(const struct message_agent_report *report,
                        const struct message_context *context, struct arena *arena,
                        struct message *out)
{
    const struct otlp_attributes none = {0};
    struct draft d;
    draft_start(&d, context, arena, NULL, 0, none, none);
    *out = (struct message){
        .type = report->type,
        .sources = MESSAGE_FROM_AGENT,
        .time_ns = sane_time(report->time_ns, context),
        .received_ns = context->received_ns,
        .input_tokens = MESSAGE_ABSENT,
        .output_tokens = MESSAGE_ABSENT,
        .cache_read_tokens = MESSAGE_ABSENT,
        .cache_create_tokens = MESSAGE_ABSENT,
        .cost_microcents = MESSAGE_ABSENT,
        .cost_computed_microcents = MESSAGE_ABSENT,
        .duration_ms = MESSAGE_ABSENT,
        .success = report->success,
    };
    out->service_name = draft_copy(&d, bytes_of("claude-telemetry-agent"), TEXT_BYTES, NULL);
    struct person_claim who = person_resolve(&d, none);
    out->person = who.person;
    out->person_rank = who.rank;
    out->body = draft_copy(&d, report->body, MESSAGE_METADATA_BYTES, &out->body_truncated);
    out->metadata = draft_copy(&d, report->metadata.len ? report->metadata : bytes_of("{}"),
                               MESSAGE_METADATA_BYTES, NULL);
    uint8_t hash[32];
    struct part_hash h = part_hash_start(&d, message_type_name(report->type));
    part_hash_text(&h, report->device_id);
    part_hash_text(&h, report->natural_id);
    part_hash_end(&d, &h, hash);
    key_make(out->time_ns, hash, out->key);
    return draft_end(&d);
}
