#include "server/message/classify.h"

#define CLAUDE_PREFIX "claude_code."
enum { CLAUDE_PREFIX_BYTES = sizeof CLAUDE_PREFIX - 1 };

struct named_type {
    const char *name;
    enum message_type type;
};

static const struct named_type CLAUDE_EVENTS[] = {
    {"api_request", MESSAGE_GENERATION},      {"tool_result", MESSAGE_TOOL},
    {"tool_decision", MESSAGE_DECISION},      {"user_prompt", MESSAGE_PROMPT},
    {"assistant_response", MESSAGE_RESPONSE}, {"api_error", MESSAGE_ERROR},
    {"api_retries_exhausted", MESSAGE_ERROR}, {"api_refusal", MESSAGE_ERROR},
};

static const struct named_type CLAUDE_SPANS[] = {
    {"claude_code.llm_request", MESSAGE_GENERATION},
    {"claude_code.tool", MESSAGE_TOOL},
    {"claude_code.interaction", MESSAGE_INTERACTION},
};

static const struct named_type OTHER_EVENTS[] = {
    {"codex.tool_result", MESSAGE_TOOL},     {"codex.tool_decision", MESSAGE_DECISION},
    {"codex.user_prompt", MESSAGE_PROMPT},   {"gemini_cli.api_response", MESSAGE_GENERATION},
    {"gemini_cli.tool_call", MESSAGE_TOOL},  {"gemini_cli.user_prompt", MESSAGE_PROMPT},
    {"gemini_cli.api_error", MESSAGE_ERROR},
};

#define LOOK_UP(table, name, out) look_up(table, sizeof(table) / sizeof *(table), name, out)

static bool look_up(const struct named_type *table, size_t count, struct bytes name,
                    enum message_type *out)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal_text(name, table[i].name)) {
            *out = table[i].type;
            return true;
        }
    return false;
}

static struct bytes without_prefix(struct bytes name)
{
    if (bytes_starts_with(name, CLAUDE_PREFIX))
        return bytes_make(name.data + CLAUDE_PREFIX_BYTES, name.len - CLAUDE_PREFIX_BYTES);
    return name;
}

struct bytes classify_log_name(const struct otlp_log *log)
{
    struct otlp_value value;
    if (log->event_name.len)
        return without_prefix(log->event_name);
    if (otlp_attributes_find(log->attributes, "event.name", &value) &&
        value.kind == OTLP_VALUE_STRING && value.bytes.len)
        return without_prefix(value.bytes);
    if (log->body.kind == OTLP_VALUE_STRING && bytes_starts_with(log->body.bytes, CLAUDE_PREFIX))
        return without_prefix(log->body.bytes);
    return (struct bytes){0};
}

bool classify_body_is_name(const struct otlp_log *log)
{
    return log->body.kind == OTLP_VALUE_NONE ||
           (log->body.kind == OTLP_VALUE_STRING && log->body.bytes.len > 0 &&
            bytes_equal(without_prefix(log->body.bytes), classify_log_name(log)));
}

static bool text_is(const struct attribute_set *set, const char *key, const char *text)
{
    const struct otlp_value *value = attributes_find(set, key);
    return value && value->kind == OTLP_VALUE_STRING && bytes_equal_text(value->bytes, text);
}

/* Operations that call a model. Others carry sums of their children, or none. */
static bool is_inference(const struct attribute_set *set)
{
    static const char *const INFERENCE[] = {"chat", "generate_content", "text_completion",
                                            "embeddings"};
    if (!attributes_find(set, "gen_ai.operation.name"))
        return true;
    for (size_t i = 0; i < sizeof INFERENCE / sizeof *INFERENCE; i++)
        if (text_is(set, "gen_ai.operation.name", INFERENCE[i]))
            return true;
    return false;
}

/* True when the GenAI conventions say what it is. */
static bool by_convention(const struct attribute_set *set, enum message_type *out)
{
    if (text_is(set, "gen_ai.operation.name", "execute_tool")) {
        *out = MESSAGE_TOOL;
        return true;
    }
    if (!is_inference(set))
        return false;
    if (!attributes_has_prefix(set, "gen_ai.usage.") &&
        !attributes_find(set, "gen_ai.operation.name"))
        return false;
    *out = MESSAGE_GENERATION;
    return true;
}

static bool is_claude(const struct attribute_set *set, struct bytes scope)
{
    const struct otlp_value *service = attributes_find(set, "service.name");
    return bytes_starts_with(scope, "com.anthropic.claude_code") ||
           (service && service->kind == OTLP_VALUE_STRING &&
            bytes_starts_with(service->bytes, "claude-code"));
}

struct record_kind classify_log(const struct attribute_set *set, struct bytes name,
                                struct bytes scope)
{
    struct record_kind kind = {.type = MESSAGE_LOG};
    if (LOOK_UP(CLAUDE_EVENTS, name, &kind.type)) {
        kind.claude = true;
        return kind;
    }
    if (LOOK_UP(OTHER_EVENTS, name, &kind.type))
        return kind;
    if (bytes_starts_with(name, "codex.") || bytes_starts_with(name, "gemini_cli.")) {
        bool tokens = bytes_equal_text(name, "codex.sse_event") &&
                      text_is(set, "event.kind", "response.completed");
        kind.type = tokens ? MESSAGE_GENERATION : MESSAGE_EVENT;
        return kind;
    }
    if (name.len && is_claude(set, scope))
        return (struct record_kind){.type = MESSAGE_EVENT, .claude = true};
    if (bytes_starts_with(name, "gen_ai.") && text_is(set, "service.name", "gemini-cli")) {
        kind.type = MESSAGE_EVENT; /* Gemini CLI says the same call as gemini_cli.api_response */
        return kind;
    }
    by_convention(set, &kind.type);
    return kind;
}

struct record_kind classify_span(const struct attribute_set *set, struct bytes name)
{
    struct record_kind kind = {.type = MESSAGE_SPAN};
    if (bytes_starts_with(name, CLAUDE_PREFIX)) {
        kind.claude = true;
        LOOK_UP(CLAUDE_SPANS, name, &kind.type);
        return kind;
    }
    by_convention(set, &kind.type);
    return kind;
}
