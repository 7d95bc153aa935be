/* The list of messages, newest first, with every filter in the URL. */
#include <stdio.h>
#include <stdlib.h>

#include "server/portal/message_tree.h"
#include "server/portal/pages.h"
#include "server/portal/view.h"

enum { PAGE_ROWS = 50, EXTRA_COUNT = 4 };

/* What this page filters by besides what every page does. */
static const struct {
    const char *name, *label;
    enum message_field field;
} extras[EXTRA_COUNT] = {
    {"type", "Type", FIELD_TYPE},
    {"success", "Outcome", FIELD_SUCCESS},
    {"toolName", "Tool", FIELD_TOOL_NAME},
    {"sessionId", "Session", FIELD_SESSION_ID},
};

struct list {
    const struct portal *portal;
    struct page *page;
    struct route_call *call;
    struct view view;
    struct bytes extra[EXTRA_COUNT];
    struct message_filter filters[VIEW_MAX_FILTERS + EXTRA_COUNT];
    size_t filter_count;
    struct message_page rows;
    uint32_t seen;
    bool more;
    uint64_t last_ns; /* of the last row shown */
    char last_id[MESSAGE_ID_BYTES];
};

/* ---- Reading ---- */

/* "TIME_NS.ID" of the last row of the page before. */
static bool read_mark(struct list *l, struct error *err)
{
    struct bytes text = arguments_get(&l->call->query, "after");
    if (text.len == 0)
        return true;
    char *end = NULL;
    l->rows.after_time_ns = strtoull((const char *)text.data, &end, 10);
    size_t used = (size_t)(end - (const char *)text.data);
    l->rows.after = used > 0 && *end == '.' &&
                    message_key_of_id(bytes_make(end + 1, text.len - used - 1), l->rows.after_key);
    return l->rows.after || error_set(err, FAIL_INVALID, "'after' is not one of our page marks");
}

static bool read_list(struct list *l, struct error *err)
{
    l->rows = (struct message_page){.take = PAGE_ROWS + 1};
    if (!view_read(l->portal, l->call, &l->view, err) || !read_mark(l, err))
        return false;
    if (!privacy_has_people(l->view.names))
        return error_set(err, FAIL_DENIED, "among sums, single messages are not shown");
    for (size_t i = 0; i < l->view.filter_count; i++)
        l->filters[l->filter_count++] = l->view.filters[i + 1];
    for (size_t i = 0; i < EXTRA_COUNT; i++) {
        l->extra[i] = arguments_get(&l->call->query, extras[i].name);
        if (l->extra[i].len > 0)
            l->filters[l->filter_count++] = (struct message_filter){.field = extras[i].field,
                                                                    .values = &l->extra[i],
                                                                    .value_count = 1};
    }
    return true;
}

/* ---- The form ---- */

static void put_option(struct page *page, const char *value, const char *text,
                       struct bytes selected)
{
    html_raw(page, "<option");
    html_attribute(page, "value", bytes_of(value));
    html_raw(page, bytes_equal_text(selected, value) ? " selected>" : ">");
    html_format(page, "%s", text);
    html_raw(page, "</option>");
}

static void put_form(struct list *l)
{
    struct page *page = l->page;
    view_open_form(page, l->portal, l->call, &l->view, "/messages");
    html_raw(page, "<label>Type<select name=\"type\">");
    put_option(page, "", "All", l->extra[0]);
    for (int type = 0; type < MESSAGE_TYPE_COUNT; type++) {
        const char *name = message_type_name((enum message_type)type);
        put_option(page, name, name, l->extra[0]);
    }
    html_raw(page, "</select></label><label>Outcome<select name=\"success\">");
    put_option(page, "", "All", l->extra[1]);
    put_option(page, "true", "Succeeded", l->extra[1]);
    put_option(page, "false", "Failed", l->extra[1]);
    html_raw(page, "</select></label>");
    for (size_t i = 2; i < EXTRA_COUNT; i++) {
        html_raw(page, "<label>");
        html_format(page, "%s", extras[i].label);
        html_raw(page, "<input autocomplete=\"off\"");
        html_attribute(page, "name", bytes_of(extras[i].name));
        html_attribute(page, "value", l->extra[i]);
        html_raw(page, "></label>");
    }
    view_close_form(page, &l->view, "/messages");
}

/* ---- Rows ---- */

static bool put_row(void *context, const struct stored_message *row)
{
    struct list *l = context;
    struct page *page = l->page;
    const struct message *m = &row->message;
    if (l->seen == PAGE_ROWS) {
        l->more = true; /* the one row beyond only says that there is more */
        return false;
    }
    l->seen++;
    l->last_ns = m->time_ns;
    memcpy(l->last_id, row->id, sizeof l->last_id);
    html_raw(page, "<tr><th scope=\"row\"><a href=\"/messages/");
    html_format(page, "%s", row->id);
    if (l->view.names == PRIVACY_PSEUDONYMOUS)
        html_raw(page, "?names=pseudonymous");
    html_raw(page, "\">");
    html_time(page, m->time_ns);
    html_raw(page, "</a></th><td class=\"text\">");
    message_put_type(page, m);
    html_raw(page, "</td><td class=\"text\">");
    html_text(page, people_name(l->portal->people, m->person, l->view.names, &l->call->arena));
    html_raw(page, "</td><td class=\"text\">");
    message_put_subject(page, m);
    html_raw(page, "</td><td>");
    message_put_tokens(page, m);
    html_raw(page, "</td><td>");
    message_put_cost(page, m);
    html_raw(page, "</td><td>");
    if (m->duration_ms != MESSAGE_ABSENT)
        html_duration(page, (double)m->duration_ms);
    html_raw(page, "</td><td class=\"text\">");
    message_put_outcome(page, m);
    html_raw(page, "</td></tr>");
    return !page->failed;
}

static void put_older(struct list *l)
{
    struct page *page = l->page;
    html_raw(page, "<p class=\"pages\"><a rel=\"next\" href=\"/messages?");
    view_put_parameters(page, &l->view);
    for (size_t i = 0; i < EXTRA_COUNT; i++) {
        if (l->extra[i].len == 0)
            continue;
        html_raw(page, "&amp;");
        html_raw(page, extras[i].name);
        html_raw(page, "=");
        html_url(page, l->extra[i]);
    }
    html_format(page, "&after=%llu.%s", (unsigned long long)l->last_ns, l->last_id);
    html_raw(page, "\">Older messages</a></p>");
}

static bool put_list(struct list *l, struct error *err)
{
    const struct message_query where = {.filters = l->filters,
                                        .filter_count = l->filter_count,
                                        .from_ns = l->view.from_ns,
                                        .to_ns = l->view.to_ns,
                                        .time_limit_ms = PORTAL_TIME_LIMIT_MS};
    html_raw(
        l->page,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Messages\"><table>"
        "<thead><tr><th scope=\"col\">Time (UTC)</th><th scope=\"col\" class=\"text\">Type</th>"
        "<th scope=\"col\" class=\"text\">Person</th><th scope=\"col\" class=\"text\">What</th>"
        "<th scope=\"col\">Tokens</th><th scope=\"col\">Cost</th><th scope=\"col\">Took</th>"
        "<th scope=\"col\" class=\"text\">Outcome</th></tr></thead><tbody>");
    bool done =
        l->portal->messages->kind->find(l->portal->messages, &where, &l->rows, put_row, l, err);
    html_raw(l->page, "</tbody></table></div>");
    if (done && l->seen == 0)
        html_raw(l->page,
                 "<p class=\"empty\">No message fits. Choose more days or fewer filters.</p>");
    if (l->more)
        put_older(l);
    return done;
}

void portal_show_messages(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct page page;
    struct list list = {.portal = p, .page = &page, .call = call};
    if (!read_list(&list, &err)) {
        page_answer_problem(call, TAB_MESSAGES, err.kind == FAIL_DENIED ? 403 : 400, "Messages",
                            err.cause);
        return;
    }
    page_open(&page, call, TAB_MESSAGES, "Messages");
    put_form(&list);
    bool done = put_list(&list, &err);
    if (!done)
        portal_put_failure(p, &page, "cannot list messages", &err);
    page_answer(&page, call->exchange, done ? 200 : 503);
}
