/*
 * Content: what people typed and what came back. It goes to the body, which has
 * its own reading right and its own limit, and never stays in metadata.
 */
#include "core/json/writer.h"
#include "server/message/draft.h"
#include "server/message/utf8.h"

/* Also the order in which several stand in one body. */
static const char *const CONTENT_KEYS[] = {
    /* Claude Code */
    "prompt",
    "prompt_text",
    "user_prompt",
    "response",
    "tool_input",
    "tool_parameters",
    "full_command",
    "body",
    "system_prompt",
    "system_prompt_preview",
    "new_context",
    "response.model_output",
    "system_reminders",
    "tools",
    /* GenAI conventions */
    "gen_ai.system_instructions",
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "gen_ai.output.messages",
    "gen_ai.completion",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    /* Codex, Gemini CLI */
    "arguments",
    "output",
    "function_args",
    "request_text",
    "response_text",
};
enum { CONTENT_KEY_COUNT = sizeof CONTENT_KEYS / sizeof *CONTENT_KEYS, CONTENT_MAX = 40 };

bool content_is_key(const struct draft *d, struct bytes key)
{
    if (d->generic && !bytes_starts_with(key, "gen_ai."))
        return false;
    for (size_t i = 0; i < CONTENT_KEY_COUNT; i++)
        if (bytes_equal_text(key, CONTENT_KEYS[i]))
            return true;
    return false;
}

struct piece {
    struct bytes key;
    struct bytes text;
    bool cut;
};

struct pieces {
    struct piece list[CONTENT_MAX];
    size_t count;
};

static void add_piece(struct draft *d, struct pieces *p, struct bytes key,
                      const struct otlp_value *value)
{
    if (p->count == CONTENT_MAX || !value || value->kind == OTLP_VALUE_NONE)
        return;
    struct piece piece = {.key = key};
    piece.text = draft_text(d, value, d->context->max_body_bytes, &piece.cut);
    if (piece.text.len == 0)
        return;
    for (size_t i = 0; i < p->count; i++) /* "prompt" and "prompt_text" say the same */
        if (bytes_equal(p->list[i].text, piece.text))
            return;
    p->list[p->count++] = piece;
}

/* Claude Code puts a tool's input and output on a span event. */
static void add_tool_output(struct draft *d, struct pieces *p, const struct otlp_span *span)
{
    struct bytes rest = span->raw;
    struct otlp_span_event event;
    while (otlp_span_event_next(&rest, &event)) {
        if (!bytes_equal_text(event.name, "tool.output"))
            continue;
        struct otlp_attribute_reader reader = otlp_attributes_start(event.attributes);
        struct otlp_attribute attribute;
        while (otlp_attributes_next(&reader, &attribute))
            if (attribute.value.kind == OTLP_VALUE_STRING)
                add_piece(d, p, draft_copy(d, attribute.key, 256, NULL), &attribute.value);
    }
}

/* Several pieces: a JSON object, as far as the limit lets it go. */
static void join_pieces(struct draft *d, const struct pieces *p, struct message *out)
{
    size_t total = 64;
    for (size_t i = 0; i < p->count; i++)
        total += p->list[i].text.len * 6 + p->list[i].key.len * 6 + 8;
    struct buffer json = {.max_bytes = total};
    struct json_writer w = json_writer_make(&json);
    json_object_open(&w);
    for (size_t i = 0; i < p->count; i++) {
        json_put_key_bytes(&w, p->list[i].key);
        json_put_bytes(&w, p->list[i].text);
        out->body_truncated = out->body_truncated || p->list[i].cut;
    }
    json_object_close(&w);
    struct bytes whole = buffer_bytes(&json), kept = utf8_cut(whole, d->context->max_body_bytes);
    if (kept.len < whole.len)
        out->body_truncated = true;
    if (!json_writer_ok(&w) || !arena_copy(d->arena, kept, &out->body))
        d->full = true;
    buffer_clear(&json);
}

void content_take(struct draft *d, const struct otlp_value *body, const struct otlp_span *span,
                  struct message *out)
{
    struct pieces pieces = {.count = 0};
    if (body)
        add_piece(d, &pieces, bytes_of("body"), body);
    for (size_t i = 0; i < CONTENT_KEY_COUNT; i++)
        if (content_is_key(d, bytes_of(CONTENT_KEYS[i])))
            add_piece(d, &pieces, bytes_of(CONTENT_KEYS[i]),
                      attributes_find(&d->set, CONTENT_KEYS[i]));
    if (span && span->event_count)
        add_tool_output(d, &pieces, span);

    if (pieces.count == 1) {
        out->body = pieces.list[0].text;
        out->body_truncated = pieces.list[0].cut;
    } else if (pieces.count > 1) {
        join_pieces(d, &pieces, out);
    }
}
