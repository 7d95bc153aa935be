#include "server/portal/message_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crypto/crypto.h"

enum { MAX_NODES = 2000, MAX_DEPTH = 24, WINDOW_HOURS = 6 };
#define WINDOW_NS (UINT64_C(3600) * WINDOW_HOURS * NS_PER_S)

/* ---- One message in a line ---- */

void message_put_type(struct page *page, const struct message *m)
{
    const char *name = message_type_name(m->type);
    const char *dot = strchr(name, '.');
    html_raw(page, "<span");
    html_attribute(page, "class", bytes_of("kind"));
    html_attribute(page, "data-kind", bytes_of(dot ? dot + 1 : name));
    html_raw(page, ">");
    html_format(page, "%s", name);
    html_raw(page, "</span>");
}

void message_put_subject(struct page *page, const struct message *m)
{
    if (m->type == MESSAGE_TOOL || m->type == MESSAGE_DECISION)
        html_text(page, m->tool_name.len > 0 ? m->tool_name : m->name);
    else
        html_text(page, m->model.len > 0       ? m->model
                        : m->tool_name.len > 0 ? m->tool_name
                                               : m->name);
}

static int64_t known(int64_t number)
{
    return number == MESSAGE_ABSENT ? 0 : number;
}

void message_put_tokens(struct page *page, const struct message *m)
{
    int64_t all = known(m->input_tokens) + known(m->output_tokens) + known(m->cache_read_tokens) +
                  known(m->cache_create_tokens);
    if (all > 0)
        html_short(page, (double)all);
}

void message_put_cost(struct page *page, const struct message *m)
{
    int64_t cost =
        m->cost_microcents != MESSAGE_ABSENT ? m->cost_microcents : m->cost_computed_microcents;
    if (cost != MESSAGE_ABSENT)
        html_format(page, "$%.4f", (double)cost / 1e6);
}

void message_put_outcome(struct page *page, const struct message *m)
{
    if (m->success == MESSAGE_FAILED || m->type == MESSAGE_ERROR)
        html_raw(page, "<span class=\"bad\"><span aria-hidden=\"true\">✕</span> failed</span>");
    else if (m->success == MESSAGE_SUCCEEDED)
        html_raw(page, "<span class=\"good\"><span aria-hidden=\"true\">✓</span> ok</span>");
}

/* ---- The tree ---- */

struct node {
    struct message m; /* texts in the arena; without body */
    char id[MESSAGE_ID_BYTES];
    char parent_id[MESSAGE_ID_BYTES];
    size_t parent; /* SIZE_MAX: none */
    bool shown;
};

struct tree {
    struct arena *arena;
    struct node *nodes; /* oldest first */
    size_t count;
    bool full;
    uint64_t begin_ns, end_ns;
};

static bool take_node(void *context, const struct stored_message *row)
{
    struct tree *t = context;
    if (t->count == MAX_NODES) {
        t->full = true;
        return false;
    }
    struct node *n = &t->nodes[t->count];
    *n = (struct node){.m = row->message, .parent = SIZE_MAX};
    n->m.metadata = n->m.body = (struct bytes){0};
    memcpy(n->id, row->id, sizeof n->id);
    memcpy(n->parent_id, row->parent_id, sizeof n->parent_id);
    t->full = !arena_copy(t->arena, row->message.model, &n->m.model) ||
              !arena_copy(t->arena, row->message.tool_name, &n->m.tool_name) ||
              !arena_copy(t->arena, row->message.name, &n->m.name) ||
              !arena_copy(t->arena, row->message.prompt_id, &n->m.prompt_id);
    t->count += !t->full;
    return !t->full;
}

static bool is_set(const uint8_t *id, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= id[i];
    return any != 0;
}

/* What begins first stands first; of one moment, what holds the others. */
static int rank_of(const struct message *m)
{
    static const int ranks[MESSAGE_TYPE_COUNT] = {
        [MESSAGE_INTERACTION] = 0, [MESSAGE_PROMPT] = 1, [MESSAGE_GENERATION] = 2,
        [MESSAGE_DECISION] = 3,    [MESSAGE_TOOL] = 4,   [MESSAGE_ERROR] = 5,
        [MESSAGE_RESPONSE] = 6,    [MESSAGE_EVENT] = 7,  [MESSAGE_LOG] = 8,
        [MESSAGE_SPAN] = 9};
    return ranks[m->type];
}

/* An event is told when it is over: it begins as long before as it took. */
static uint64_t begin_of(const struct message *m)
{
    uint64_t took = m->duration_ms > 0 ? (uint64_t)m->duration_ms * NS_PER_MS : 0;
    return (m->sources & MESSAGE_FROM_EVENT) && m->time_ns > took ? m->time_ns - took : m->time_ns;
}

static int by_begin(const void *a, const void *b)
{
    const struct node *left = a, *right = b;
    uint64_t l = begin_of(&left->m), r = begin_of(&right->m);
    if (l != r)
        return l < r ? -1 : 1;
    return rank_of(&left->m) - rank_of(&right->m);
}

static size_t find_id(const struct tree *t, const char *id)
{
    for (size_t i = 0; id[0] && i < t->count; i++)
        if (strcmp(t->nodes[i].id, id) == 0)
            return i;
    return SIZE_MAX;
}

static size_t find_span(const struct tree *t, const struct node *of)
{
    if (!is_set(of->m.parent_span_id, sizeof of->m.parent_span_id))
        return SIZE_MAX;
    for (size_t i = 0; i < t->count; i++) {
        const struct node *n = &t->nodes[i];
        if (n != of && (n->m.sources & MESSAGE_FROM_SPAN) && n->m.type != MESSAGE_GENERATION &&
            memcmp(n->m.span_id, of->m.parent_span_id, sizeof n->m.span_id) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* The prompt's interaction, or the prompt itself: what everything else of it hangs under. */
static size_t find_root(const struct tree *t, const struct node *of)
{
    if (of->m.type == MESSAGE_INTERACTION || of->m.prompt_id.len == 0)
        return SIZE_MAX;
    size_t prompt = SIZE_MAX;
    for (size_t i = 0; i < t->count; i++) {
        const struct node *n = &t->nodes[i];
        if (!bytes_equal(n->m.prompt_id, of->m.prompt_id))
            continue;
        if (n->m.type == MESSAGE_INTERACTION)
            return i;
        if (n->m.type == MESSAGE_PROMPT && prompt == SIZE_MAX)
            prompt = i;
    }
    return of->m.type == MESSAGE_PROMPT ? SIZE_MAX : prompt;
}

static bool is_below(const struct tree *t, size_t node, size_t other)
{
    for (int steps = 0; node != SIZE_MAX && steps < MAX_DEPTH; steps++) {
        if (node == other)
            return true;
        node = t->nodes[node].parent;
    }
    return node != SIZE_MAX;
}

static void find_parents(struct tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct node *n = &t->nodes[i];
        size_t parent = find_id(t, n->parent_id);
        if (parent == SIZE_MAX)
            parent = find_span(t, n);
        if (parent == SIZE_MAX)
            parent = find_root(t, n);
        if (parent != SIZE_MAX && !is_below(t, parent, i))
            n->parent = parent;
    }
}

/* When it ran, on the line of the whole. */
static void put_line(struct page *page, const struct tree *t, const struct message *m)
{
    double whole = (double)(t->end_ns - t->begin_ns) + 1;
    double from = (double)(begin_of(m) - t->begin_ns) / whole * 100;
    double width = m->duration_ms > 0 ? (double)m->duration_ms * 1e6 / whole * 100 : 0;
    char text[96];
    if (width < 0.4)
        width = 0.4;
    if (from > 99.6)
        from = 99.6;
    snprintf(text, sizeof text, "<rect x=\"%.2f%%\" width=\"%.2f%%\" height=\"100%%\"/>", from,
             width > 100 - from ? 100 - from : width);
    html_raw(page, "<svg class=\"line\" aria-hidden=\"true\" focusable=\"false\">");
    html_raw(page, text);
    html_raw(page, "</svg>");
}

static void put_node(struct page *page, struct tree *t, size_t at, const char *here,
                     enum privacy names, int depth)
{
    struct node *n = &t->nodes[at];
    bool current = strcmp(n->id, here) == 0;
    n->shown = true;
    html_raw(page, "<li><div class=\"node\"><a href=\"/messages/");
    html_format(page, "%s", n->id);
    html_raw(page, names == PRIVACY_PSEUDONYMOUS ? "?names=pseudonymous\"" : "\"");
    html_raw(page, current ? " aria-current=\"true\">" : ">");
    message_put_type(page, &n->m);
    html_raw(page, " ");
    message_put_subject(page, &n->m);
    html_raw(page, "</a><span class=\"facts\">");
    if (n->m.duration_ms != MESSAGE_ABSENT) {
        html_raw(page, "<span>");
        html_duration(page, (double)n->m.duration_ms);
        html_raw(page, "</span>");
    }
    html_raw(page, "<span>");
    message_put_cost(page, &n->m);
    html_raw(page, "</span>");
    if (n->m.success == MESSAGE_FAILED || n->m.type == MESSAGE_ERROR)
        message_put_outcome(page, &n->m);
    html_raw(page, "</span>");
    put_line(page, t, &n->m);
    html_raw(page, "</div>");
    bool open = false;
    for (size_t i = 0; i < t->count && depth < MAX_DEPTH; i++) {
        if (t->nodes[i].parent != at || t->nodes[i].shown)
            continue;
        html_raw(page, open ? "" : "<ul>");
        open = true;
        put_node(page, t, i, here, names, depth + 1);
    }
    html_raw(page, open ? "</ul></li>" : "</li>");
}

static void put_nodes(struct page *page, struct tree *t, const char *here, enum privacy names)
{
    t->begin_ns = UINT64_MAX;
    for (size_t i = 0; i < t->count; i++) {
        uint64_t begin = begin_of(&t->nodes[i].m), end = message_end_ns(&t->nodes[i].m);
        t->begin_ns = begin < t->begin_ns ? begin : t->begin_ns;
        t->end_ns = end > t->end_ns ? end : t->end_ns;
    }
    html_raw(page, "<ul class=\"tree\">");
    for (size_t i = 0; i < t->count; i++)
        if (t->nodes[i].parent == SIZE_MAX)
            put_node(page, t, i, here, names, 0);
    html_raw(page, "</ul>");
    if (t->full)
        html_raw(page, "<p class=\"note\">There is more than one page can show.</p>");
}

bool message_put_tree(struct page *page, const struct portal *p, struct route_call *call,
                      const struct stored_message *row, enum privacy names, struct error *err)
{
    const struct message *m = &row->message;
    char hex[2 * sizeof m->trace_id + 1];
    crypto_hex(bytes_make(m->trace_id, sizeof m->trace_id), hex);
    const struct bytes trace = bytes_of(hex);
    struct message_filter filters[2];
    size_t count = 0;
    if (m->session_id.len > 0)
        filters[count++] = (struct message_filter){.field = FIELD_SESSION_ID,
                                                   .values = &m->session_id,
                                                   .value_count = 1};
    if (is_set(m->trace_id, sizeof m->trace_id))
        filters[count++] =
            (struct message_filter){.field = FIELD_TRACE_ID, .values = &trace, .value_count = 1};
    else if (m->prompt_id.len > 0)
        filters[count++] = (struct message_filter){.field = FIELD_PROMPT_ID,
                                                   .values = &m->prompt_id,
                                                   .value_count = 1};
    const struct message_query where = {.filters = filters,
                                        .filter_count = count,
                                        .from_ns =
                                            m->time_ns > WINDOW_NS ? m->time_ns - WINDOW_NS : 1,
                                        .to_ns = m->time_ns + WINDOW_NS,
                                        .time_limit_ms = PORTAL_TIME_LIMIT_MS};
    const struct message_page rows = {.take = MAX_NODES + 1};
    struct tree tree = {.arena = &call->arena,
                        .nodes = arena_alloc_many(&call->arena, MAX_NODES, sizeof *tree.nodes)};
    if (count == 0 || !tree.nodes)
        return true;
    if (!p->messages->kind->find(p->messages, &where, &rows, take_node, &tree, err))
        return false;
    if (tree.count < 2)
        return true;
    qsort(tree.nodes, tree.count, sizeof *tree.nodes, by_begin);
    find_parents(&tree);
    html_raw(page, "<section><h2>What it is part of</h2>");
    put_nodes(page, &tree, row->id, names);
    html_raw(page, "</section>");
    return true;
}
