/* /integrations: where usage comes from, and how each source is doing. */
#include "server/portal/pages.h"
#include "server/portal/source_rows.h"

static void put_integration(struct page *page, const struct integration_status *s, uint64_t now_ns)
{
    const struct source_row whole = {.title = source_title(s->integration == INTEGRATION_ENTERPRISE
                                                               ? USAGE_ENTERPRISE_API
                                                               : USAGE_ADMIN_API),
                                     .newest_day = s->newest_day,
                                     .error = s->error,
                                     .drift = s->drift,
                                     .advice = integration_advice(s->integration),
                                     .health = &s->health,
                                     .last_seen_ns = s->last_seen_ns,
                                     .last_data_ns = s->last_data_ns,
                                     .rows = (int64_t)s->rows,
                                     .configured = s->configured};
    source_put_row(page, &whole, now_ns);
    for (size_t i = 0; s->configured && i < s->report_count; i++) {
        const struct integration_report_status *r = &s->reports[i];
        const struct source_row report = {.title = api_report_name(r->report),
                                          .newest_day = r->state.newest_day,
                                          .error = r->state.error,
                                          .drift = r->state.drift,
                                          .health = &r->health,
                                          .last_seen_ns = r->state.attempt_ns,
                                          .last_data_ns = r->state.success_ns,
                                          .rows = (int64_t)r->state.rows,
                                          .configured = true,
                                          .is_report = true};
        source_put_row(page, &report, now_ns);
    }
}

static void put_otel(struct page *page, uint64_t last_ns, const struct health_verdict *health,
                     uint64_t now_ns)
{
    char day[INSTANT_DAY_BYTES] = "";
    if (last_ns)
        instant_day(last_ns, day);
    const struct source_row row = {.title = source_title(USAGE_OTEL),
                                   .newest_day = day,
                                   .advice = integration_advice_otel(),
                                   .health = health,
                                   .last_seen_ns = last_ns,
                                   .last_data_ns = last_ns,
                                   .rows = -1,
                                   .configured = true};
    source_put_row(page, &row, now_ns);
}

void portal_show_integrations(void *context, struct route_call *call)
{
    struct portal *p = context;
    struct error err = {0};
    struct page page;
    struct health_verdict otel;
    uint64_t now_ns = clock_wall_ns(p->clock), last_ns = 0;
    struct integration_status *all = arena_alloc_many(&call->arena, INTEGRATION_COUNT, sizeof *all);
    page_open(&page, call, TAB_INTEGRATIONS, "Integrations");
    bool done = (all || error_set(&err, FAIL_BUSY, "no memory for the page")) &&
                integrations_read_otel(p->messages, now_ns, &last_ns, &otel, &err) &&
                integrations_read(p->control, p->integrations, now_ns, all, &err);
    if (done) {
        html_raw(&page,
                 "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Integrations\">"
                 "<table id=\"integrations\"><thead><tr><th scope=\"col\">Source</th>"
                 "<th scope=\"col\" class=\"text\">State</th>"
                 "<th scope=\"col\" class=\"text\">Why, and what to do</th>"
                 "<th scope=\"col\">Last seen</th><th scope=\"col\">Last data</th>"
                 "<th scope=\"col\">Newest day</th><th scope=\"col\">Rows</th></tr></thead>"
                 "<tbody>");
        put_otel(&page, last_ns, &otel, now_ns);
        for (int i = 0; i < INTEGRATION_COUNT; i++)
            put_integration(&page, &all[i], now_ns);
        html_raw(&page, "</tbody></table></div>");
    } else {
        portal_put_failure(p, &page, "cannot read the integrations", &err);
    }
    page_answer(&page, call->exchange, done ? 200 : 503);
}
