/* One device: its state and history, what it last said, and its doctor. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/json/reader.h"
#include "platform/platform.h"
#include "server/portal/device_facts.h"
#include "server/portal/pages.h"
#include "server/query/policies.h"
#include "server/router/note.h"
#include "server/store/fleet.h"

enum { MAX_FLIPS = 50, MAX_LEAVES = 400, PATH_BYTES = 256 };

struct device {
    struct fleet_device row;
    struct buffer heartbeat;
};

static bool take_device(void *context, const struct fleet_device *row, struct bytes heartbeat)
{
    struct device *d = context;
    d->row = *row;
    return buffer_append(&d->heartbeat, heartbeat);
}

static bool find_device(const struct portal *p, struct bytes id, struct device *out,
                        struct error *err)
{
    char text[FLEET_ID_BYTES];
    snprintf(text, sizeof text, "%.*s", (int)(id.len < 60 ? id.len : 60), (const char *)id.data);
    *out = (struct device){.heartbeat = {.max_bytes = FLEET_MAX_DOCUMENT_BYTES}};
    return p->control->kind->fleet->device_find(p->control, text, take_device, out, err);
}

/* ---- State ---- */

static void put_fact(struct page *page, const char *name, const char *text)
{
    if (!text[0])
        return;
    html_raw(page, "<div><dt>");
    html_format(page, "%s", name);
    html_raw(page, "</dt><dd>");
    html_format(page, "%s", text);
    html_raw(page, "</dd></div>");
}

static void put_ago_fact(struct page *page, const char *name, uint64_t at_ns, uint64_t now_ns)
{
    html_raw(page, "<div><dt>");
    html_format(page, "%s", name);
    html_raw(page, "</dt><dd>");
    html_ago(page, at_ns, now_ns);
    html_raw(page, "</dd></div>");
}

static void put_state(struct page *page, const struct device *d, uint64_t now_ns)
{
    struct device_facts facts;
    char os[FLEET_TEXT_BYTES * 2 + 48];
    device_judge(&d->row, buffer_bytes(&d->heartbeat), now_ns, &facts);
    html_raw(page, "<p class=\"summary\">");
    device_put_state(page, facts.verdict.state);
    html_raw(page, " ");
    html_format(page, "%s", facts.verdict.reason);
    html_raw(page, "</p>");
    if (facts.verdict.action[0]) {
        html_raw(page, "<p class=\"action\"><strong>What to do:</strong> ");
        html_format(page, "%s", facts.verdict.action);
        html_raw(page, "</p>");
    }
    snprintf(os, sizeof os, "%s %s %s", d->row.os, d->row.os_version, d->row.arch);
    html_raw(page, "<dl class=\"facts-list\">");
    put_fact(page, "Owner", d->row.owner);
    put_ago_fact(page, "In this state since", d->row.state_since_ns, now_ns);
    put_ago_fact(page, "Last seen", d->row.last_seen_ns, now_ns);
    put_ago_fact(page, "Last data", facts.last_data_ns, now_ns);
    put_ago_fact(page, "Enrolled", d->row.enrolled_ns, now_ns);
    put_fact(page, "System", os);
    put_fact(page, "Agent", d->row.agent_version);
    put_fact(page, "Device id", d->row.device_id);
    html_raw(page, "</dl>");
}

static bool put_flip(void *context, const struct fleet_flip *flip)
{
    struct page *page = context;
    html_raw(page, "<tr><th scope=\"row\">");
    html_time(page, flip->at_ns);
    html_raw(page, "</th><td class=\"text\">");
    html_format(page, "%s", flip->from);
    html_raw(page, " → ");
    html_format(page, "%s", flip->to);
    html_raw(page, "</td><td class=\"text reason\">");
    html_format(page, "%s", flip->reason);
    html_raw(page, "</td></tr>");
    return !page->failed;
}

static bool put_flips(const struct portal *p, struct page *page, const struct device *d,
                      struct error *err)
{
    char subject[FLEET_TEXT_BYTES];
    snprintf(subject, sizeof subject, "device:%.100s", d->row.device_id);
    html_raw(page, "<section><h2>Changes</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" "
                   "aria-label=\"Changes\"><table><thead><tr><th scope=\"col\">When (UTC)</th>"
                   "<th scope=\"col\" class=\"text\">From, to</th><th scope=\"col\" class=\"text\">"
                   "Why</th></tr></thead><tbody>");
    bool done =
        p->control->kind->fleet->flip_list(p->control, subject, MAX_FLIPS, put_flip, page, err);
    html_raw(page, "</tbody></table></div></section>");
    return done;
}

/* ---- A JSON document as rows of path and value ---- */

struct leaves {
    struct page *page;
    struct json_reader json;
    char path[PATH_BYTES];
    unsigned count;
};

static void put_leaf(struct leaves *l, enum json_token token)
{
    struct buffer text = {.max_bytes = l->json.span.len * 3 + 1};
    if (l->count++ >= MAX_LEAVES)
        return;
    html_raw(l->page, "<tr><th scope=\"row\">");
    html_format(l->page, "%s", l->path);
    html_raw(l->page, "</th><td class=\"text break\">");
    if (token == JSON_STRING && json_string_decode(l->json.span, &text))
        html_text(l->page, buffer_bytes(&text));
    else if (token == JSON_NUMBER)
        html_text(l->page, l->json.span);
    else if (token == JSON_TRUE || token == JSON_FALSE)
        html_raw(l->page, token == JSON_TRUE ? "yes" : "no");
    html_raw(l->page, "</td></tr>");
    buffer_clear(&text);
}

/* The reader bounds the depth. */
static void put_leaves(struct leaves *l, enum json_token token)
{
    size_t len = strlen(l->path);
    bool is_array = token == JSON_ARRAY_OPEN;
    if (!is_array && token != JSON_OBJECT_OPEN) {
        put_leaf(l, token);
        return;
    }
    for (unsigned i = 0;; i++) {
        struct buffer key = {.max_bytes = PATH_BYTES};
        token = json_next(&l->json);
        if (token == JSON_ARRAY_CLOSE || token == JSON_OBJECT_CLOSE || token == JSON_ERROR ||
            token == JSON_END)
            break;
        if (is_array) {
            snprintf(l->path + len, sizeof l->path - len, "[%u]", i);
        } else {
            if (!json_string_decode(l->json.span, &key))
                buffer_reset(&key);
            snprintf(l->path + len, sizeof l->path - len, "%s%.*s", len ? "." : "", (int)key.len,
                     (const char *)key.data);
            token = json_next(&l->json);
        }
        buffer_clear(&key);
        put_leaves(l, token);
        l->path[len] = '\0';
    }
}

static void put_heartbeat(struct page *page, const struct device *d)
{
    struct leaves leaves = {.page = page, .json = json_reader_make(buffer_bytes(&d->heartbeat))};
    html_raw(page, "<section><h2>What it last said</h2>");
    if (d->heartbeat.len == 0) {
        html_raw(page, "<p class=\"empty\">No heartbeat has come yet.</p></section>");
        return;
    }
    html_raw(page, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Heartbeat\">"
                   "<table><thead><tr><th scope=\"col\">What</th><th scope=\"col\" class=\"text\">"
                   "Value</th></tr></thead><tbody>");
    put_leaves(&leaves, json_next(&leaves.json));
    html_raw(page, "</tbody></table></div></section>");
}

/* ---- The doctor's report ---- */

enum { CHECK_ID, CHECK_STATUS, CHECK_TITLE, CHECK_SEEN, CHECK_FIX, CHECK_FIELDS };

static void put_check(struct page *page, struct json_reader *json)
{
    static const char *const names[CHECK_FIELDS] = {"id", "status", "title", "seen", "fix"};
    struct buffer fields[CHECK_FIELDS];
    for (int i = 0; i < CHECK_FIELDS; i++)
        fields[i] = (struct buffer){.max_bytes = 8 * KIB};
    while (json_next(json) == JSON_KEY) {
        int at = 0;
        while (at < CHECK_FIELDS && !json_string_equals(json->span, names[at]))
            at++;
        struct json_reader value = *json;
        if (at < CHECK_FIELDS && json_next(&value) == JSON_STRING &&
            !json_string_decode(value.span, &fields[at]))
            buffer_reset(&fields[at]);
        if (!json_skip_value(json))
            break;
    }
    html_raw(page, "<tr><th scope=\"row\">");
    html_text(page, buffer_bytes(&fields[CHECK_ID]));
    html_raw(page, "</th><td class=\"text\"><span class=\"check\"");
    html_attribute(page, "data-check", buffer_bytes(&fields[CHECK_STATUS]));
    html_raw(page, ">");
    html_text(page, buffer_bytes(&fields[CHECK_STATUS]));
    html_raw(page, "</span></td><td class=\"text reason\">");
    html_text(page, buffer_bytes(&fields[CHECK_TITLE]));
    html_raw(page, "<span class=\"under\">");
    html_text(page, buffer_bytes(&fields[CHECK_SEEN]));
    html_raw(page, "</span></td><td class=\"text reason\">");
    html_text(page, buffer_bytes(&fields[CHECK_FIX]));
    html_raw(page, "</td></tr>");
    for (int i = 0; i < CHECK_FIELDS; i++)
        buffer_clear(&fields[i]);
}

/* "checks", in the document or in its "report". */
static bool find_checks(struct json_reader *json)
{
    if (json_next(json) != JSON_OBJECT_OPEN)
        return false;
    while (json_next(json) == JSON_KEY) {
        if (json_string_equals(json->span, "checks"))
            return json_next(json) == JSON_ARRAY_OPEN;
        if (json_string_equals(json->span, "report"))
            return find_checks(json);
        if (!json_skip_value(json))
            return false;
    }
    return false;
}

static void put_report(struct page *page, struct bytes report, uint64_t at_ns)
{
    struct json_reader json = json_reader_make(report);
    html_raw(page, "<p class=\"note\">Report of ");
    html_time(page, at_ns);
    html_raw(page, " UTC</p><div class=\"wide\" tabindex=\"0\" role=\"region\" "
                   "aria-label=\"Doctor report\"><table><thead><tr><th scope=\"col\">Check</th>"
                   "<th scope=\"col\" class=\"text\">Result</th><th scope=\"col\" class=\"text\">"
                   "What was seen</th><th scope=\"col\" class=\"text\">What to do</th></tr></thead>"
                   "<tbody>");
    if (find_checks(&json))
        while (json_next(&json) == JSON_OBJECT_OPEN)
            put_check(page, &json);
    html_raw(page, "</tbody></table></div>");
}

static bool put_doctor(const struct portal *p, struct page *page, struct route_call *call,
                       const struct device *d, struct error *err)
{
    struct buffer report = {.max_bytes = FLEET_MAX_DOCUMENT_BYTES};
    uint64_t at_ns = 0;
    html_raw(page, "<section id=\"doctor\"><h2>Doctor</h2>");
    if (arguments_get(&call->query, "asked").len > 0)
        html_raw(page, "<p class=\"done\" role=\"status\">The device runs its doctor at its next "
                       "heartbeat, within a minute or so. Load this page again then.</p>");
    if (call->who.role == ROLE_ADMIN) {
        html_raw(page, "<form method=\"post\" action=\"/fleet/");
        html_url(page, bytes_of(d->row.device_id));
        html_raw(page, "/doctor\">");
        page_put_csrf(page, call);
        html_raw(page, "<button>Run doctor</button></form>");
    }
    bool found = p->control->kind->fleet->report_get(p->control, d->row.id, &report, &at_ns, err);
    if (found)
        put_report(page, buffer_bytes(&report), at_ns);
    else if (err->kind == FAIL_NOT_FOUND)
        html_raw(page, "<p class=\"empty\">There is no report of this device yet.</p>");
    buffer_clear(&report);
    html_raw(page, "</section>");
    return found || err->kind == FAIL_NOT_FOUND;
}

/* ---- Handlers ---- */

/* ---- Whose managed settings count, as Claude Code itself said ---- */

static void put_policy(void *context, const struct policy_sighting *s)
{
    struct page *page = context;
    html_raw(page, "<tr><th scope=\"row\">");
    html_time(page, s->time_ns);
    const char *const cells[] = {s->person, s->version, s->sources, s->trigger};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        html_raw(page, i ? "</td><td class=\"text\">" : "</th><td class=\"text\">");
        html_format(page, "%s", cells[i]);
    }
    html_raw(page, "</td></tr>");
}

static void put_policies(const struct portal *p, struct page *page, const struct device *d)
{
    struct error err = {0};
    html_raw(page, "<section><h2>Managed settings</h2><p>Which sources Claude Code obeyed on this "
                   "machine, as it said itself; what the agent worked out is below, under "
                   "<code>settings.sources</code>.</p><div class=\"wide\" tabindex=\"0\" "
                   "role=\"region\" aria-label=\"Managed settings\"><table><thead><tr>"
                   "<th scope=\"col\">When (UTC)</th><th scope=\"col\" class=\"text\">Person</th>"
                   "<th scope=\"col\" class=\"text\">Claude Code</th><th scope=\"col\" "
                   "class=\"text\">Sources</th><th scope=\"col\" class=\"text\">On</th></tr>"
                   "</thead><tbody>");
    if (!policies_read(p->messages, d->row.device_id, clock_wall_ns(p->clock), put_policy, page,
                       &err))
        log_failure(p->log, LOG_WARN_LEVEL, "portal", "managed settings of a device", &err);
    html_raw(page, "</tbody></table></div></section>");
}

static void answer_not_found(const struct portal *p, struct route_call *call,
                             const struct error *err)
{
    bool missing = err->kind == FAIL_NOT_FOUND;
    if (!missing)
        log_failure(p->log, LOG_ERROR_LEVEL, "portal", "cannot show a device", err);
    page_answer_problem(call, TAB_FLEET, missing ? 404 : 503, "Device",
                        missing ? "There is no device of this id."
                                : "The store did not answer. Load the page again.");
}

void portal_show_device(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct page page;
    struct device device;
    if (!find_device(p, call->parameters[0], &device, &err)) {
        buffer_clear(&device.heartbeat);
        answer_not_found(p, call, &err);
        return;
    }
    page_open(&page, call, TAB_FLEET,
              device.row.hostname[0] ? device.row.hostname : device.row.device_id);
    put_state(&page, &device, clock_wall_ns(p->clock));
    bool done = put_doctor(p, &page, call, &device, &err) && put_flips(p, &page, &device, &err);
    if (!done)
        portal_put_failure(p, &page, "cannot show a device", &err);
    put_policies(p, &page, &device);
    put_heartbeat(&page, &device);
    buffer_clear(&device.heartbeat);
    page_answer(&page, call->exchange, done ? 200 : 503);
}

void portal_ask_doctor(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct device device;
    struct fleet_command command = {.type = "doctor", .created_ns = clock_wall_ns(p->clock)};
    bool found = find_device(p, call->parameters[0], &device, &err);
    buffer_clear(&device.heartbeat);
    platform_uuid(command.id);
    command.device = device.row.id;
    if (!found ||
        !route_note(p->control, p->clock, call, "doctor.request", bytes_of(device.row.device_id),
                    &err) ||
        !p->control->kind->fleet->command_add(p->control, &command, &err)) {
        answer_not_found(p, call, &err);
        return;
    }
    char location[FLEET_ID_BYTES + 32];
    snprintf(location, sizeof location, "/fleet/%s?asked=1", device.row.device_id);
    const char *const headers[] = {"location", location, "cache-control", "no-store", NULL};
    http_respond(call->exchange, &(struct http_answer){.status = 303, .headers = headers});
}
