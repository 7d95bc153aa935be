/* GET /api/v1/messages and /messages/{id}. */
#include <stdio.h>

#include "core/crypto/crypto.h"
#include "core/json/reader.h"
#include "core/json/writer.h"
#include "server/query/filters.h"
#include "server/query/handlers.h"
#include "server/query/people.h"

enum { DEFAULT_TAKE = 50, MAX_TAKE = 1000, MAX_SKIP = 10000, MAX_CHILDREN = 1000 };

/* ---- One row as JSON ---- */

static void put_count(struct json_writer *w, const char *key, int64_t value)
{
    json_put_key(w, key);
    if (value == MESSAGE_ABSENT)
        json_put_null(w);
    else
        json_put_int(w, value);
}

static void put_hex(struct json_writer *w, const char *key, const uint8_t *id, size_t len)
{
    char hex[2 * 16 + 1];
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= id[i];
    crypto_hex(bytes_make(id, len), hex);
    json_put_key(w, key);
    json_put_string(w, any ? hex : NULL);
}

static void put_success(struct json_writer *w, enum message_success success)
{
    json_put_key(w, "success");
    if (success == MESSAGE_SUCCESS_UNKNOWN)
        json_put_null(w);
    else
        json_put_bool(w, success == MESSAGE_SUCCEEDED);
}

/* How a row is shown. */
struct showing {
    const struct people *people;
    struct arena *arena; /* of texts made up for the row */
    enum privacy names;
    bool with_body;
};

static struct bytes shown_text(const struct showing *show, enum message_field field,
                               struct bytes text)
{
    const struct field_use use = {.field = field};
    return people_value(show->people, &use, text, show->names, show->arena);
}

/* One member under pseudonyms: kept is what says nothing about who, known keys and numbers. */
static void put_impersonal_member(struct json_writer *w, const struct showing *show,
                                  struct bytes key, enum json_token token, struct bytes span)
{
    const struct field_use use = {.field = FIELD_METADATA, .metadata_key = key};
    struct buffer value = {.max_bytes = 3 * span.len + 1};
    if (token == JSON_NUMBER || token == JSON_TRUE || token == JSON_FALSE) {
        json_put_key_bytes(w, key);
        json_put_raw(w,
                     token == JSON_NUMBER ? span : bytes_of(token == JSON_TRUE ? "true" : "false"));
    } else if (token == JSON_STRING && field_is_impersonal(&use) &&
               json_string_decode(span, &value)) {
        json_put_key_bytes(w, key);
        json_put_bytes(w, people_value(show->people, &use, buffer_bytes(&value), show->names,
                                       show->arena));
    }
    buffer_clear(&value);
}

static void put_impersonal_metadata(struct json_writer *w, const struct showing *show,
                                    struct bytes metadata)
{
    struct json_reader r = json_reader_make(metadata);
    json_object_open(w);
    bool flat = json_next(&r) == JSON_OBJECT_OPEN;
    while (flat && json_next(&r) == JSON_KEY) {
        struct buffer key = {.max_bytes = 3 * r.span.len + 1};
        bool known = json_string_decode(r.span, &key);
        enum json_token token = json_next(&r);
        if (known)
            put_impersonal_member(w, show, buffer_bytes(&key), token, r.span);
        flat = token != JSON_OBJECT_OPEN && token != JSON_ARRAY_OPEN && token != JSON_ERROR;
        buffer_clear(&key);
    }
    json_object_close(w);
}

static void put_metadata(struct json_writer *w, const struct showing *show, struct bytes metadata)
{
    json_put_key(w, "metadata");
    if (show->names != PRIVACY_NAMED)
        put_impersonal_metadata(w, show, metadata);
    else
        json_put_raw(w, metadata.len > 0 ? metadata : bytes_of("{}"));
}

/* The members of a row, without the braces around them. */
static void put_members(struct json_writer *w, const struct stored_message *row,
                        const struct showing *show)
{
    const struct message *m = &row->message;
    bool with_body = show->with_body && show->names == PRIVACY_NAMED;
    json_put_key(w, "id");
    json_put_string(w, row->id);
    json_put_key(w, "type");
    json_put_string(w, message_type_name(m->type));
    json_put_key(w, "time");
    json_put_time(w, m->time_ns);
    json_put_key(w, "receivedAt");
    json_put_time(w, m->received_ns);
    json_member_bytes(w, "serviceName", shown_text(show, FIELD_SERVICE_NAME, m->service_name));
    json_member_bytes(w, "system", row->system);
    json_member_bytes(w, "model", shown_text(show, FIELD_MODEL, m->model));
    json_member_bytes(w, "person", people_name(show->people, m->person, show->names, show->arena));
    put_count(w, "inputTokens", m->input_tokens);
    put_count(w, "outputTokens", m->output_tokens);
    put_count(w, "cacheReadTokens", m->cache_read_tokens);
    put_count(w, "cacheCreateTokens", m->cache_create_tokens);
    put_count(w, "costMicrocents", m->cost_microcents);
    put_count(w, "costComputedMicrocents", m->cost_computed_microcents);
    put_count(w, "durationMs", m->duration_ms);
    put_success(w, m->success);
    put_hex(w, "traceId", m->trace_id, sizeof m->trace_id);
    put_hex(w, "spanId", m->span_id, sizeof m->span_id);
    json_put_key(w, "parentId");
    json_put_string(w, row->parent_id[0] ? row->parent_id : NULL);
    json_member_bytes(w, "sessionId", shown_text(show, FIELD_SESSION_ID, m->session_id));
    json_member_bytes(w, "promptId", shown_text(show, FIELD_PROMPT_ID, m->prompt_id));
    json_member_bytes(w, "toolName", shown_text(show, FIELD_TOOL_NAME, m->tool_name));
    json_member_bytes(w, "body", with_body ? m->body : bytes_make(NULL, 0));
    json_put_key(w, "bodyTruncated");
    json_put_bool(w, m->body_truncated);
    put_metadata(w, show, m->metadata);
}

/* Pseudonyms stand for people row by row; sums have no rows. */
static bool read_names(const struct query *q, const struct route_call *call, enum privacy *out,
                       struct error *err)
{
    if (!privacy_read(call, q->viewers, out, err))
        return false;
    if (privacy_has_people(*out))
        return true;
    error_set(err, FAIL_DENIED, "a single message is somebody's, and sums tell nobody apart");
    return error_remedy(err, "ask /api/v1/messages/aggregate, or with names=named, which the role "
                             "analyst may");
}

/* ---- The cursor: where the next page begins, opaque to clients ---- */

enum { CURSOR_BYTES = 8 + MESSAGE_KEY_BYTES };

static bool put_cursor(uint64_t time_ns, const uint8_t key[MESSAGE_KEY_BYTES], struct buffer *out)
{
    uint8_t raw[CURSOR_BYTES];
    for (int i = 0; i < 8; i++)
        raw[i] = (uint8_t)(time_ns >> (56 - 8 * i));
    memcpy(raw + 8, key, MESSAGE_KEY_BYTES);
    return crypto_base64url(bytes_make(raw, sizeof raw), out);
}

static bool read_cursor(struct bytes text, struct message_page *page, struct error *err)
{
    struct buffer raw = {.max_bytes = CURSOR_BYTES};
    bool good = crypto_base64url_decode(text, &raw) && raw.len == CURSOR_BYTES;
    if (good) {
        page->after = true;
        page->after_time_ns = 0;
        for (int i = 0; i < 8; i++)
            page->after_time_ns = page->after_time_ns << 8 | raw.data[i];
        memcpy(page->after_key, raw.data + 8, MESSAGE_KEY_BYTES);
    }
    buffer_clear(&raw);
    if (!good) {
        error_set(err, FAIL_INVALID, "'cursor' is not one of ours");
        return error_remedy(err, "hand back nextCursor of the page before, unchanged");
    }
    return true;
}

/* ---- The list ---- */

struct listing {
    struct json_writer writer;
    struct buffer out;
    struct showing show;
    struct arena texts;
    uint32_t wanted, seen;
    uint64_t last_time_ns;
    uint8_t last_key[MESSAGE_KEY_BYTES];
    bool more;
};

static bool put_item(void *context, const struct stored_message *row)
{
    struct listing *l = context;
    if (l->seen == l->wanted) {
        l->more = true; /* the one row beyond the page only says that there is more */
        return false;
    }
    l->seen++;
    l->last_time_ns = row->message.time_ns;
    memcpy(l->last_key, row->message.key, MESSAGE_KEY_BYTES);
    json_object_open(&l->writer);
    arena_reset(&l->texts);
    put_members(&l->writer, row, &l->show);
    json_object_close(&l->writer);
    return json_writer_ok(&l->writer);
}

static bool read_page(const struct route_call *call, struct message_page *page, struct error *err)
{
    uint64_t take = DEFAULT_TAKE, skip = 0;
    if (!arguments_get_number(&call->query, "take", 1, MAX_TAKE, &take, err) ||
        !arguments_get_number(&call->query, "skip", 0, MAX_SKIP, &skip, err))
        return false;
    *page = (struct message_page){.take = (uint32_t)take + 1, .skip = (uint32_t)skip};
    page->with_body = call->who.role >= ROLE_AUDITOR;
    struct bytes cursor = arguments_get(&call->query, "cursor");
    if (cursor.len > 0 && skip > 0)
        return error_set(err, FAIL_INVALID, "'skip' and 'cursor' exclude each other");
    return cursor.len == 0 || read_cursor(cursor, page, err);
}

static bool finish_listing(struct listing *l)
{
    struct buffer cursor = {.max_bytes = 64};
    json_array_close(&l->writer);
    json_put_key(&l->writer, "nextCursor");
    if (l->more && put_cursor(l->last_time_ns, l->last_key, &cursor))
        json_put_bytes(&l->writer, buffer_bytes(&cursor));
    else
        json_put_null(&l->writer);
    json_object_close(&l->writer);
    buffer_clear(&cursor);
    return json_writer_ok(&l->writer);
}

/* Whoever is shown bodies is written down first. */
static bool note_bodies_read(const struct query *q, struct route_call *call, struct error *err)
{
    return call->who.role < ROLE_AUDITOR || query_note(q, call, "message.read", err);
}

void query_list_messages(void *context, struct route_call *call)
{
    static const char *const others[] = {"take", "skip", "cursor", "names", NULL};
    struct query *q = context;
    struct error err = {0};
    struct message_query where;
    struct message_page page;
    struct listing l = {.out = {.max_bytes = ANSWER_MAX_BYTES}, .texts = {.max_bytes = 16 * MIB}};
    if (!read_page(call, &page, &err) || !read_names(q, call, &l.show.names, &err) ||
        !filters_read(&call->query, others, l.show.names, query_time_limit_ms(q), &call->arena,
                      &where, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    l.show.people = q->people;
    l.show.arena = &l.texts;
    l.show.with_body = page.with_body;
    l.wanted = page.take - 1;
    l.writer = json_writer_make(&l.out);
    json_object_open(&l.writer);
    json_put_key(&l.writer, "skip");
    json_put_uint(&l.writer, page.skip);
    json_put_key(&l.writer, "take");
    json_put_uint(&l.writer, l.wanted);
    json_put_key(&l.writer, "items");
    json_array_open(&l.writer);
    if (!q->messages->kind->find(q->messages, &where, &page, put_item, &l, &err)) {
        query_answer_failure(q, call, &err);
    } else if (!finish_listing(&l)) {
        answer_error(call->exchange, 400, "too_large", "the page is too large",
                     "ask for fewer rows with take=");
    } else if (!note_bodies_read(q, call, &err)) {
        query_answer_failure(q, call, &err);
    } else {
        answer_json(call->exchange, buffer_bytes(&l.out));
    }
    arena_clear(&l.texts);
    buffer_clear(&l.out);
}

/* ---- One row ---- */

struct single {
    struct json_writer writer;
    struct showing show;
    enum message_type type;
};

static bool put_single(void *context, const struct stored_message *row)
{
    struct single *s = context;
    s->type = row->message.type;
    put_members(&s->writer, row, &s->show);
    return true;
}

static bool put_child(void *context, const struct stored_message *row)
{
    struct json_writer *w = context;
    json_put_string(w, row->id);
    return true;
}

/* The tools that a generation asked for, newest first. */
static bool put_children(const struct query *q, struct bytes id, struct json_writer *w,
                         struct error *err)
{
    const struct message_filter filter = {.field = FIELD_PARENT_ID,
                                          .values = &id,
                                          .value_count = 1};
    const struct message_query where = {.filters = &filter,
                                        .filter_count = 1,
                                        .time_limit_ms = query_time_limit_ms(q)};
    const struct message_page page = {.take = MAX_CHILDREN};
    json_put_key(w, "children");
    json_array_open(w);
    if (!q->messages->kind->find(q->messages, &where, &page, put_child, w, err))
        return false;
    json_array_close(w);
    return true;
}

void query_get_message(void *context, struct route_call *call)
{
    struct query *q = context;
    struct error err = {0};
    uint8_t key[MESSAGE_KEY_BYTES];
    struct buffer out = {.max_bytes = ANSWER_MAX_BYTES};
    struct single s = {.writer = json_writer_make(&out),
                       .show = {.people = q->people,
                                .arena = &call->arena,
                                .with_body = call->who.role >= ROLE_AUDITOR}};
    if (!read_names(q, call, &s.show.names, &err)) {
        answer_failure(call->exchange, &err);
        return;
    }
    bool found = message_key_of_id(call->parameters[0], key);
    if (!found)
        error_set(&err, FAIL_NOT_FOUND, "there is no message of this id");
    json_object_open(&s.writer);
    found = found && q->messages->kind->get(q->messages, key, put_single, &s, &err) &&
            (s.type != MESSAGE_GENERATION || put_children(q, call->parameters[0], &s.writer, &err));
    json_object_close(&s.writer);
    if (found && json_writer_ok(&s.writer) && note_bodies_read(q, call, &err))
        answer_json(call->exchange, buffer_bytes(&out));
    else
        query_answer_failure(q, call, &err);
    buffer_clear(&out);
}
