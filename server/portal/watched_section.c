#include "server/portal/watched_section.h"

#include <string.h>

#include "server/fleet/health.h"
#include "server/portal/device_facts.h"
#include "server/portal/pages.h"
#include "server/store/fleet.h"

enum { LISTED = 200 };

struct watched {
    struct page *page;
    uint64_t now_ns;
    enum health_state wanted;
    unsigned listed, left_out;
};

static bool put_one(void *context, const struct fleet_health *h)
{
    struct watched *w = context;
    struct page *page = w->page;
    const char *colon = strchr(h->subject, ':');
    if (h->state != (int)w->wanted || !colon)
        return true;
    if (w->listed == LISTED) {
        w->left_out++;
        return true;
    }
    w->listed++;
    html_raw(page, "<tr><th scope=\"row\">");
    html_text(page, bytes_of(h->name));
    html_raw(page, "<span class=\"under\">");
    html_text(page, bytes_make(h->subject, (size_t)(colon - h->subject)));
    html_raw(page, "</span></th><td class=\"text\">");
    device_put_state(page, w->wanted);
    html_raw(page, "</td><td class=\"text reason\">");
    html_text(page, bytes_of(h->reason));
    html_raw(page, "<span class=\"under\">");
    html_text(page, bytes_of(h->action));
    html_raw(page, "</span></td><td>");
    html_ago(page, h->since_ns, w->now_ns);
    html_raw(page, "</td><td>");
    html_ago(page, h->last_seen_ns, w->now_ns);
    html_raw(page, "</td><td>");
    html_ago(page, h->last_data_ns, w->now_ns);
    html_raw(page, "</td></tr>");
    return true;
}

bool portal_put_watched(struct page *page, struct portal *p, uint64_t now_ns, struct error *err)
{
    static const enum health_state order[] = {HEALTH_RED, HEALTH_YELLOW};
    struct page rows = {.out = {.max_bytes = page->out.max_bytes}};
    struct watched w = {.page = &rows, .now_ns = now_ns};
    bool done = true;
    for (size_t i = 0; done && i < sizeof order / sizeof *order; i++) {
        w.wanted = order[i];
        done = p->control->kind->fleet->health_list(p->control, put_one, &w, err);
    }
    if (done && w.listed > 0) {
        html_raw(
            page,
            "<section><h2>Persons, tokens and integrations</h2>"
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Persons, tokens and "
            "integrations\"><table><thead><tr><th scope=\"col\">Who or what</th>"
            "<th scope=\"col\" class=\"text\">State</th>"
            "<th scope=\"col\" class=\"text\">Why, and what to do</th>"
            "<th scope=\"col\">Since</th><th scope=\"col\">Last seen</th>"
            "<th scope=\"col\">Last data</th></tr></thead><tbody>");
        page->failed =
            page->failed || rows.failed || !buffer_append(&page->out, buffer_bytes(&rows.out));
        html_raw(page, "</tbody></table></div>");
        if (w.left_out > 0) {
            html_raw(page, "<p class=\"note\">");
            html_format(page, "%u more are not shown: GET /api/v1/health lists all.", w.left_out);
            html_raw(page, "</p>");
        }
        html_raw(page, "</section>");
    }
    buffer_clear(&rows.out);
    return done;
}
