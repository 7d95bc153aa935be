/* One message: what is known of it, what it is part of, and its text for who may read it. */
#include <string.h>

#include "core/crypto/crypto.h"
#include "core/json/reader.h"
#include "server/portal/message_tree.h"
#include "server/portal/pages.h"
#include "server/query/people.h"
#include "server/router/note.h"

struct reading {
    const struct portal *portal;
    struct page *page;
    struct route_call *call;
    enum privacy names;
    struct error *err;
    bool tree_failed;
};

static void open_fact(struct page *page, const char *name)
{
    html_raw(page, "<div><dt>");
    html_format(page, "%s", name);
    html_raw(page, "</dt><dd>");
}

static void put_text_fact(struct page *page, const char *name, struct bytes text)
{
    if (text.len == 0)
        return;
    open_fact(page, name);
    html_text(page, text);
    html_raw(page, "</dd></div>");
}

static void put_count_fact(struct page *page, const char *name, int64_t value)
{
    if (value == MESSAGE_ABSENT)
        return;
    open_fact(page, name);
    html_count(page, value);
    html_raw(page, "</dd></div>");
}

/* A fact that leads to all messages that share it. */
static void put_linked_fact(struct page *page, const char *name, const char *parameter,
                            struct bytes text)
{
    if (text.len == 0)
        return;
    open_fact(page, name);
    html_raw(page, "<a href=\"/messages?days=400&amp;");
    html_raw(page, parameter);
    html_raw(page, "=");
    html_url(page, text);
    html_raw(page, "\">");
    html_text(page, text);
    html_raw(page, "</a></dd></div>");
}

static void put_facts(const struct reading *r, const struct stored_message *row)
{
    struct page *page = r->page;
    const struct message *m = &row->message;
    struct bytes person = people_name(r->portal->people, m->person, r->names, &r->call->arena);
    html_raw(page, "<dl class=\"facts-list\">");
    open_fact(page, "Time (UTC)");
    html_time(page, m->time_ns);
    html_raw(page, "</dd></div>");
    put_text_fact(page, "System", row->system);
    if (r->names == PRIVACY_NAMED)
        put_linked_fact(page, "Person", "person", person);
    else
        put_text_fact(page, "Person", person);
    put_text_fact(page, "Model", m->model);
    put_text_fact(page, "Tool", m->tool_name);
    put_text_fact(page, "Name", m->name);
    put_count_fact(page, "Input tokens", m->input_tokens);
    put_count_fact(page, "Output tokens", m->output_tokens);
    put_count_fact(page, "Cache read tokens", m->cache_read_tokens);
    put_count_fact(page, "Cache write tokens", m->cache_create_tokens);
    if (m->cost_microcents != MESSAGE_ABSENT) {
        open_fact(page, "Cost, as reported");
        html_format(page, "$%.6f", (double)m->cost_microcents / 1e6);
        html_raw(page, "</dd></div>");
    }
    if (m->cost_computed_microcents != MESSAGE_ABSENT) {
        open_fact(page, "Cost, by our prices");
        html_format(page, "$%.6f", (double)m->cost_computed_microcents / 1e6);
        html_raw(page, "</dd></div>");
    }
    if (m->duration_ms != MESSAGE_ABSENT) {
        open_fact(page, "Took");
        html_duration(page, (double)m->duration_ms);
        html_raw(page, "</dd></div>");
    }
    if (m->success != MESSAGE_SUCCESS_UNKNOWN) {
        open_fact(page, "Outcome");
        message_put_outcome(page, m);
        html_raw(page, "</dd></div>");
    }
    put_linked_fact(page, "Session", "sessionId", m->session_id);
    put_text_fact(page, "Prompt id", m->prompt_id);
    put_text_fact(page, "Request id", m->request_id);
    open_fact(page, "Received (UTC)");
    html_time(page, m->received_ns);
    html_raw(page, "</dd></div></dl>");
}

/* What would undo a pseudonym. */
static bool tells_who(struct bytes key)
{
    static const char *const keys[] = {"user.",         "work_email", "host.",
                                       "organization.", "account",    "vcs.",
                                       "enduser.",      "session.",   "prompt."};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (bytes_starts_with(key, keys[i]))
            return true;
    return false;
}

static void put_metadata_row(struct page *page, struct bytes key, struct bytes value, bool is_text)
{
    struct buffer decoded = {.max_bytes = value.len * 3 + 1};
    html_raw(page, "<tr><th scope=\"row\">");
    html_text(page, key);
    html_raw(page, "</th><td class=\"text break\">");
    if (is_text && json_string_decode(value, &decoded))
        html_text(page, buffer_bytes(&decoded));
    else
        html_text(page, value);
    html_raw(page, "</td></tr>");
    buffer_clear(&decoded);
}

static void put_metadata(struct reading *r, struct bytes metadata)
{
    struct page *page = r->page;
    struct json_reader json = json_reader_make(metadata);
    if (metadata.len < 3 || json_next(&json) != JSON_OBJECT_OPEN)
        return;
    html_raw(page, "<section><h2>Attributes</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" "
                   "aria-label=\"Attributes\"><table><thead><tr><th scope=\"col\">Name</th>"
                   "<th scope=\"col\" class=\"text\">Value</th></tr></thead><tbody>");
    while (json_next(&json) == JSON_KEY) {
        struct buffer key = {.max_bytes = json.span.len * 3 + 1};
        bool named = json_string_decode(json.span, &key);
        struct json_reader value = json;
        enum json_token token = json_next(&value);
        size_t start = value.token_offset;
        if (!json_skip_value(&json))
            break;
        bool hidden = r->names != PRIVACY_NAMED && tells_who(buffer_bytes(&key));
        if (named && !hidden)
            put_metadata_row(page, buffer_bytes(&key),
                             token == JSON_STRING
                                 ? value.span
                                 : bytes_make(metadata.data + start, json.at - start),
                             token == JSON_STRING);
        buffer_clear(&key);
    }
    html_raw(page, "</tbody></table></div></section>");
}

static void put_body(const struct reading *r, const struct message *m)
{
    struct page *page = r->page;
    if (m->body.len == 0)
        return;
    html_raw(page, "<section><h2>Text</h2>");
    if (r->call->who.role < ROLE_AUDITOR || r->names != PRIVACY_NAMED) {
        html_raw(page,
                 "<p class=\"note\">There is a text. Who reads it needs the role auditor, and "
                 "reading it is noted in the audit log.</p></section>");
        return;
    }
    if (!route_note_question(r->portal->control, r->portal->clock, r->call, "message.read",
                             r->err)) {
        portal_put_failure(r->portal, page, "the text is not shown: that cannot be noted now",
                           r->err);
        html_raw(page, "</section>");
        return;
    }
    html_raw(page, "<pre class=\"body\" tabindex=\"0\">");
    html_text(page, m->body);
    html_raw(page, "</pre>");
    if (m->body_truncated)
        html_raw(page, "<p class=\"note\">Cut to what the token's plan keeps.</p>");
    html_raw(page, "</section>");
}

static bool put_message(void *context, const struct stored_message *row)
{
    struct reading *r = context;
    page_open(r->page, r->call, TAB_MESSAGES, "Message");
    html_raw(r->page, "<p class=\"summary\">");
    message_put_type(r->page, &row->message);
    html_raw(r->page, " ");
    message_put_subject(r->page, &row->message);
    html_raw(r->page, "</p>");
    put_facts(r, row);
    r->tree_failed = !message_put_tree(r->page, r->portal, r->call, row, r->names, r->err);
    if (r->tree_failed)
        portal_put_failure(r->portal, r->page, "cannot show a trace", r->err);
    put_body(r, &row->message);
    put_metadata(r, row->message.metadata);
    return false;
}

void portal_show_message(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0}, tree_err = {0};
    struct page page;
    uint8_t key[MESSAGE_KEY_BYTES];
    struct reading r = {.portal = p, .page = &page, .call = call, .err = &tree_err};
    struct bytes names = arguments_get(&call->query, "names");
    if (names.len > 0 && (!privacy_of_name(names, &r.names) || !privacy_has_people(r.names))) {
        page_answer_problem(call, TAB_MESSAGES, 403, "Message",
                            "Among sums, single messages are not shown.");
        return;
    }
    if (!message_key_of_id(call->parameters[0], key))
        error_set(&err, FAIL_NOT_FOUND, "there is no message of this id");
    else if (p->messages->kind->get(p->messages, key, put_message, &r, &err)) {
        page_answer(&page, call->exchange, 200);
        return;
    }
    bool missing = err.kind == FAIL_NOT_FOUND;
    if (!missing)
        log_failure(p->log, LOG_ERROR_LEVEL, "portal", "cannot show a message", &err);
    page_answer_problem(call, TAB_MESSAGES, missing ? 404 : 503, "Message",
                        missing ? "There is no message of this id. It may be past its retention."
                                : "The store did not answer. Load the page again.");
}
