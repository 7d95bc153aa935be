/*
 * Joining is a lattice: every field carries whether an event said it, the
 * better-ranked value wins, and among equals a fixed order of values decides.
 * That is what makes any order and any repetition of arrivals give one result.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json/reader.h"
#include "server/message/message.h"

enum field_bit {
    BIT_SELF, /* key and time */
    BIT_SERVICE,
    BIT_MODEL,
    BIT_PERSON,
    BIT_ACCOUNT_UUID,
    BIT_ACCOUNT_ID,
    BIT_NAME,
    BIT_INPUT,
    BIT_OUTPUT,
    BIT_CACHE_READ,
    BIT_CACHE_CREATE,
    BIT_COST,
    BIT_COMPUTED,
    BIT_DURATION,
    BIT_SUCCESS,
    BIT_TRACE,
    BIT_SPAN,
    BIT_PARENT_SPAN,
    BIT_SESSION,
    BIT_PROMPT,
    BIT_REQUEST,
    BIT_TOOL_USE,
    BIT_TOOL_NAME,
    BIT_COUNT
};

uint64_t message_end_ns(const struct message *message)
{
    if (message->sources & MESSAGE_FROM_EVENT || message->duration_ms <= 0)
        return message->time_ns;
    return message->time_ns + (uint64_t)message->duration_ms * 1000000;
}

void message_note_event(struct message *message)
{
    /* A bit for an absent field is harmless: absent values never compete. */
    message->event_fields = (UINT32_C(1) << BIT_COUNT) - 1;
}

struct side {
    const struct message *a, *b;
    struct message *out;
};

static bool from_event(const struct message *m, enum field_bit bit)
{
    return m->event_fields >> bit & 1;
}

/* No winner: the field is absent in both. */
static void note(struct side *s, enum field_bit bit, const struct message *winner)
{
    uint32_t said = winner ? winner->event_fields : s->a->event_fields | s->b->event_fields;
    s->out->event_fields |= said & UINT32_C(1) << bit;
}

static int order_bytes(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static struct bytes join_text(struct side *s, enum field_bit bit, struct bytes a, struct bytes b)
{
    bool take_b;
    if (a.len == 0 || b.len == 0)
        take_b = a.len == 0;
    else if (from_event(s->a, bit) != from_event(s->b, bit))
        take_b = from_event(s->b, bit);
    else
        take_b = order_bytes(b, a) > 0;
    note(s, bit, (take_b ? b : a).len ? take_b ? s->b : s->a : NULL);
    return take_b ? b : a;
}

static int64_t join_number(struct side *s, enum field_bit bit, int64_t a, int64_t b)
{
    bool take_b;
    if (a < 0 || b < 0)
        take_b = a < 0;
    else if (from_event(s->a, bit) != from_event(s->b, bit))
        take_b = from_event(s->b, bit);
    else
        take_b = b > a;
    note(s, bit, (take_b ? b : a) >= 0 ? take_b ? s->b : s->a : NULL);
    return take_b ? b : a;
}

/* An event only stands inside a span; the span's own ids are the row's. */
static void join_id(struct side *s, enum field_bit bit, const uint8_t *a, const uint8_t *b,
                    uint8_t *out, size_t len)
{
    static const uint8_t ABSENT[16];
    bool has_a = memcmp(a, ABSENT, len) != 0, has_b = memcmp(b, ABSENT, len) != 0, take_b;
    if (!has_a || !has_b)
        take_b = !has_a;
    else if (from_event(s->a, bit) != from_event(s->b, bit))
        take_b = from_event(s->a, bit);
    else
        take_b = memcmp(b, a, len) > 0;
    memcpy(out, take_b ? b : a, len);
    note(s, bit, has_a || has_b ? take_b ? s->b : s->a : NULL);
}

static void join_self(struct side *s)
{
    bool take_b;
    int order = memcmp(s->b->key, s->a->key, MESSAGE_KEY_BYTES);
    if (from_event(s->a, BIT_SELF) != from_event(s->b, BIT_SELF))
        take_b = from_event(s->b, BIT_SELF);
    else if (order)
        take_b = order < 0;
    else
        take_b = s->b->time_ns < s->a->time_ns;
    const struct message *winner = take_b ? s->b : s->a;
    memcpy(s->out->key, winner->key, MESSAGE_KEY_BYTES);
    s->out->time_ns = winner->time_ns;
    note(s, BIT_SELF, winner);
}

static void join_person(struct side *s)
{
    const struct message *a = s->a, *b = s->b, *winner;
    if (a->person_rank != b->person_rank) {
        winner = b->person_rank > a->person_rank ? b : a;
        s->out->person = winner->person;
        note(s, BIT_PERSON, winner);
    } else {
        s->out->person = join_text(s, BIT_PERSON, a->person, b->person);
        winner = a;
    }
    s->out->person_rank = winner->person_rank;
    s->out->account_uuid = join_text(s, BIT_ACCOUNT_UUID, a->account_uuid, b->account_uuid);
    s->out->account_id = join_text(s, BIT_ACCOUNT_ID, a->account_id, b->account_id);
}

static void join_body(struct side *s)
{
    const struct message *a = s->a, *b = s->b, *winner = a;
    int order = order_bytes(b->body, a->body);
    if (b->body.len != a->body.len)
        winner = b->body.len > a->body.len ? b : a;
    else if (order > 0)
        winner = b;
    s->out->body = winner->body;
    s->out->body_truncated =
        order ? winner->body_truncated : a->body_truncated || b->body_truncated;
}

/* ---- Metadata ---- */

struct pair {
    struct bytes key, value; /* as they stand in the JSON */
    bool event;
};

static struct bytes trim(struct bytes text)
{
    while (text.len && memchr(" \t\r\n:", text.data[0], 5))
        text = bytes_make(text.data + 1, text.len - 1);
    while (text.len && memchr(" \t\r\n,", text.data[text.len - 1], 5))
        text.len--;
    return text;
}

static size_t count_pairs(struct bytes json)
{
    size_t commas = 1;
    for (size_t i = 0; i < json.len; i++)
        commas += json.data[i] == ',';
    return commas;
}

static size_t read_pairs(const struct message *m, struct pair *into)
{
    struct json_reader r = json_reader_make(m->metadata);
    size_t count = 0;
    if (m->metadata.len == 0 || json_next(&r) != JSON_OBJECT_OPEN)
        return 0;
    while (json_next(&r) == JSON_KEY) {
        struct pair *pair = &into[count];
        *pair = (struct pair){.key = r.span, .event = count < m->event_metadata_keys};
        size_t start = r.at;
        if (!json_skip_value(&r))
            return count;
        pair->value = trim(bytes_make(m->metadata.data + start, r.at - start));
        count++;
    }
    return count;
}

/* By key; of one key the winner first. */
static int by_key(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    int order = order_bytes(a->key, b->key);
    if (order)
        return order;
    if (a->event != b->event)
        return a->event ? -1 : 1;
    return order_bytes(b->value, a->value);
}

static bool write_pairs(const struct pair *pairs, size_t count, bool event, struct buffer *json)
{
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].event != event)
            continue;
        if (!buffer_append_text(json, json->len > 1 ? ",\"" : "\"") ||
            !buffer_append(json, pairs[i].key) || !buffer_append_text(json, "\":") ||
            !buffer_append(json, pairs[i].value))
            return false;
    }
    return true;
}

static bool join_metadata(struct side *s, struct arena *arena)
{
    size_t room = count_pairs(s->a->metadata) + count_pairs(s->b->metadata);
    struct pair *pairs = arena_alloc_many(arena, room, sizeof *pairs);
    if (!pairs)
        return false;
    size_t count = read_pairs(s->a, pairs);
    count += read_pairs(s->b, pairs + count);
    qsort(pairs, count, sizeof *pairs, by_key);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || order_bytes(pairs[kept - 1].key, pairs[i].key) != 0)
            pairs[kept++] = pairs[i];
    for (size_t i = 0; i < kept; i++)
        s->out->event_metadata_keys += pairs[i].event;

    struct buffer json = {.max_bytes = s->a->metadata.len + s->b->metadata.len + 16};
    bool ok = buffer_append_text(&json, "{") && write_pairs(pairs, kept, true, &json) &&
              write_pairs(pairs, kept, false, &json) && buffer_append_text(&json, "}") &&
              arena_copy(arena, buffer_bytes(&json), &s->out->metadata);
    buffer_clear(&json);
    return ok;
}

bool message_join(const struct message *a, const struct message *b, struct arena *arena,
                  struct message *out)
{
    struct message joined = {
        .type = a->type,
        .join_hash = a->join_hash,
        .join_weak = a->join_weak && b->join_weak,
        .sources = a->sources | b->sources,
        .received_ns = a->received_ns < b->received_ns ? a->received_ns : b->received_ns,
        .parent_join_hash =
            a->parent_join_hash > b->parent_join_hash ? a->parent_join_hash : b->parent_join_hash,
    };
    struct side s = {.a = a, .b = b, .out = &joined};
    join_self(&s);
    join_person(&s);
    join_body(&s);
    joined.service_name = join_text(&s, BIT_SERVICE, a->service_name, b->service_name);
    joined.model = join_text(&s, BIT_MODEL, a->model, b->model);
    joined.name = join_text(&s, BIT_NAME, a->name, b->name);
    joined.session_id = join_text(&s, BIT_SESSION, a->session_id, b->session_id);
    joined.prompt_id = join_text(&s, BIT_PROMPT, a->prompt_id, b->prompt_id);
    joined.request_id = join_text(&s, BIT_REQUEST, a->request_id, b->request_id);
    joined.tool_use_id = join_text(&s, BIT_TOOL_USE, a->tool_use_id, b->tool_use_id);
    joined.tool_name = join_text(&s, BIT_TOOL_NAME, a->tool_name, b->tool_name);
    joined.input_tokens = join_number(&s, BIT_INPUT, a->input_tokens, b->input_tokens);
    joined.output_tokens = join_number(&s, BIT_OUTPUT, a->output_tokens, b->output_tokens);
    joined.cache_read_tokens =
        join_number(&s, BIT_CACHE_READ, a->cache_read_tokens, b->cache_read_tokens);
    joined.cache_create_tokens =
        join_number(&s, BIT_CACHE_CREATE, a->cache_create_tokens, b->cache_create_tokens);
    joined.cost_microcents = join_number(&s, BIT_COST, a->cost_microcents, b->cost_microcents);
    joined.cost_computed_microcents =
        join_number(&s, BIT_COMPUTED, a->cost_computed_microcents, b->cost_computed_microcents);
    joined.duration_ms = join_number(&s, BIT_DURATION, a->duration_ms, b->duration_ms);
    joined.success = (enum message_success)join_number(&s, BIT_SUCCESS, a->success, b->success);
    join_id(&s, BIT_TRACE, a->trace_id, b->trace_id, joined.trace_id, sizeof joined.trace_id);
    join_id(&s, BIT_SPAN, a->span_id, b->span_id, joined.span_id, sizeof joined.span_id);
    join_id(&s, BIT_PARENT_SPAN, a->parent_span_id, b->parent_span_id, joined.parent_span_id,
            sizeof joined.parent_span_id);
    if (!join_metadata(&s, arena))
        return false;
    *out = joined;
    return true;
}
