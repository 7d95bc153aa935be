/* The devices: which report, which do not, why, and what to do. */
#include <stdlib.h>

#include "base/memory.h"
#include "server/portal/device_facts.h"
#include "server/portal/pages.h"
#include "server/portal/watched_section.h"
#include "server/query/people.h"
#include "server/store/fleet.h"

enum { MAX_ROWS = 2000, STATE_COUNT = HEALTH_GREY + 1 };

void device_judge(const struct fleet_device *device, struct bytes heartbeat, uint64_t now_ns,
                  struct device_facts *out)
{
    struct heartbeat_document *document = xcalloc(1, sizeof *document);
    struct health_device facts;
    struct error ignored;
    if (heartbeat.len == 0 || !heartbeat_read(heartbeat, document, &ignored))
        *document = (struct heartbeat_document){.healthy = true};
    heartbeat_to_health(document, device, now_ns, &facts);
    health_of_device(&facts, now_ns, &out->verdict);
    out->last_data_ns = facts.in_use_ns;
    out->backlog_records = document->backlog_records;
    free(document);
}

void device_put_state(struct page *page, enum health_state state)
{
    static const struct {
        const char *sign, *word;
    } shown[STATE_COUNT] = {
        [HEALTH_GREEN] = {"●", "working"},
        [HEALTH_YELLOW] = {"▲", "needs a look"},
        [HEALTH_RED] = {"✕", "broken"},
        [HEALTH_GREY] = {"○", "silent"},
    };
    html_raw(page, "<span class=\"state\"");
    html_attribute(page, "data-state", bytes_of(health_state_name(state)));
    html_raw(page, "><span aria-hidden=\"true\">");
    html_raw(page, shown[state].sign);
    html_raw(page, "</span> ");
    html_raw(page, shown[state].word);
    html_raw(page, "</span>");
}

/* ---- The list: what needs somebody first ---- */

struct fleet_row {
    struct fleet_device device;
    struct device_facts facts;
};

struct fleet_list {
    uint64_t now_ns;
    struct bytes only;   /* a state's name; empty: all */
    struct bytes search; /* in host or owner */
    struct fleet_row *rows;
    size_t count, capacity, left_out;
    unsigned counts[STATE_COUNT];
};

static bool contains(const char *text, struct bytes part)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + part.len <= len; i++) {
        size_t at = 0;
        while (at < part.len && (text[i + at] | 0x20) == (part.data[at] | 0x20))
            at++;
        if (at == part.len)
            return true;
    }
    return part.len == 0;
}

static bool take_device(void *context, const struct fleet_device *device, struct bytes heartbeat)
{
    struct fleet_list *l = context;
    struct device_facts facts;
    device_judge(device, heartbeat, l->now_ns, &facts);
    l->counts[facts.verdict.state]++;
    if (l->only.len > 0 && !bytes_equal_text(l->only, health_state_name(facts.verdict.state)))
        return true;
    if (!contains(device->hostname, l->search) && !contains(device->owner, l->search))
        return true;
    if (l->count == MAX_ROWS) {
        l->left_out++;
        return true;
    }
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        l->rows = xrealloc(l->rows, l->capacity * sizeof *l->rows);
    }
    l->rows[l->count++] = (struct fleet_row){*device, facts};
    return true;
}

static int urgency(enum health_state state)
{
    static const int order[STATE_COUNT] = {
        [HEALTH_RED] = 0, [HEALTH_YELLOW] = 1, [HEALTH_GREEN] = 2, [HEALTH_GREY] = 3};
    return order[state];
}

static int by_urgency(const void *a, const void *b)
{
    const struct fleet_row *left = a, *right = b;
    int order = urgency(left->facts.verdict.state) - urgency(right->facts.verdict.state);
    return order != 0 ? order : strcmp(left->device.hostname, right->device.hostname);
}

static void put_counts(struct page *page, const struct fleet_list *l)
{
    static const enum health_state order[] = {HEALTH_RED, HEALTH_YELLOW, HEALTH_GREEN, HEALTH_GREY};
    html_raw(page, "<ul class=\"states\">");
    for (size_t i = 0; i < STATE_COUNT; i++) {
        const char *name = health_state_name(order[i]);
        bool current = bytes_equal_text(l->only, name);
        html_raw(page, "<li><a href=\"/fleet");
        if (!current) {
            html_raw(page, "?state=");
            html_raw(page, name);
        }
        html_raw(page, current ? "\" aria-current=\"true\">" : "\">");
        device_put_state(page, order[i]);
        html_format(page, " %u", l->counts[order[i]]);
        html_raw(page, "</a></li>");
    }
    html_raw(page, "</ul>");
}

static void put_search(struct page *page, const struct fleet_list *l)
{
    html_raw(page, "<form class=\"filters\" method=\"get\" action=\"/fleet\" role=\"search\">"
                   "<label>Host or owner<input name=\"search\" type=\"search\"");
    html_attribute(page, "value", l->search);
    html_raw(page, "></label>");
    if (l->only.len > 0) {
        html_raw(page, "<input type=\"hidden\" name=\"state\"");
        html_attribute(page, "value", l->only);
        html_raw(page, ">");
    }
    html_raw(page, "<button>Find</button></form>");
}

static void put_row(struct page *page, const struct fleet_row *row, uint64_t now_ns)
{
    const struct fleet_device *d = &row->device;
    const struct health_verdict *v = &row->facts.verdict;
    html_raw(page, "<tr><th scope=\"row\"><a href=\"/fleet/");
    html_url(page, bytes_of(d->device_id));
    html_raw(page, "\">");
    html_format(page, "%s", d->hostname[0] ? d->hostname : d->device_id);
    html_raw(page, "</a><span class=\"under\">");
    html_format(page, "%s", d->owner);
    html_raw(page, "</span></th><td class=\"text\">");
    device_put_state(page, v->state);
    html_raw(page, "</td><td class=\"text reason\">");
    html_format(page, "%s", v->reason);
    if (v->action[0]) {
        html_raw(page, "<span class=\"under\">");
        html_format(page, "%s", v->action);
        html_raw(page, "</span>");
    }
    html_raw(page, "</td><td>");
    html_ago(page, d->state_since_ns, now_ns);
    html_raw(page, "</td><td>");
    html_ago(page, d->last_seen_ns, now_ns);
    html_raw(page, "</td><td>");
    html_ago(page, row->facts.last_data_ns, now_ns);
    html_raw(page, "</td><td>");
    html_count(page, (int64_t)row->facts.backlog_records);
    html_raw(page, "</td><td class=\"text\">");
    html_format(page, "%s", d->agent_version);
    html_raw(page, "</td></tr>");
}

/* A fleet that is still to come. */
static void put_first_steps(struct page *page)
{
    html_raw(page,
             "<section class=\"start\"><h2>No machine has enrolled yet</h2><ol>"
             "<li>Make a secret for enrolment: "
             "<code>claude-telemetry-server enrollment-secret create --system NAME</code>.</li>"
             "<li>Put the agent on a machine, with the secret in "
             "<code>/etc/claude-telemetry/enrollment-secret</code> and this server's address as "
             "<code>server.url</code> in <code>/etc/claude-telemetry/agent.yaml</code>.</li>"
             "<li>It is listed here with its first heartbeat, within a minute. If not, run "
             "<code>claude-telemetry-doctor</code> there.</li></ol></section>");
}

static void put_rows(struct page *page, struct fleet_list *l)
{
    unsigned devices = 0;
    for (int state = 0; state < STATE_COUNT; state++)
        devices += l->counts[state];
    if (devices == 0) {
        put_first_steps(page);
        return;
    }
    if (l->count == 0) {
        html_raw(page, "<p class=\"empty\">No device fits: choose another state, or search for "
                       "less.</p>");
        return;
    }
    qsort(l->rows, l->count, sizeof *l->rows, by_urgency);
    html_raw(
        page,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Devices\"><table>"
        "<thead><tr><th scope=\"col\">Device</th><th scope=\"col\" class=\"text\">State</th>"
        "<th scope=\"col\" class=\"text\">Why, and what to do</th><th scope=\"col\">Since</th>"
        "<th scope=\"col\">Last seen</th><th scope=\"col\">Last data</th>"
        "<th scope=\"col\">Waiting</th><th scope=\"col\" class=\"text\">Agent</th></tr></thead>"
        "<tbody>");
    for (size_t i = 0; i < l->count; i++)
        put_row(page, &l->rows[i], l->now_ns);
    html_raw(page, "</tbody></table></div>");
    if (l->left_out > 0) {
        html_raw(page, "<p class=\"note\">");
        html_format(page, "%zu more are not shown: search, or choose a state.", l->left_out);
        html_raw(page, "</p>");
    }
}

void portal_show_fleet(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct page page;
    struct fleet_list list = {.now_ns = clock_wall_ns(p->clock),
                              .only = arguments_get(&call->query, "state"),
                              .search = arguments_get(&call->query, "search")};
    page_open(&page, call, TAB_FLEET, "Fleet");
    bool done = p->control->kind->fleet->device_list(p->control, take_device, &list, &err);
    if (done) {
        put_counts(&page, &list);
        put_search(&page, &list);
        put_rows(&page, &list);
        done = portal_put_watched(&page, p, list.now_ns, &err);
    }
    if (!done) {
        portal_put_failure(p, &page, "cannot list devices", &err);
    }
    free(list.rows);
    page_answer(&page, call->exchange, done ? 200 : 503);
}
