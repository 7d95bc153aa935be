#include "server/portal/source_rows.h"

#include <math.h>
#include <string.h>

#include "server/portal/device_facts.h"

const char *source_title(enum usage_source source)
{
    static const char *const titles[USAGE_SOURCE_COUNT] = {[USAGE_ENTERPRISE_API] =
                                                               "Enterprise Analytics API",
                                                           [USAGE_ADMIN_API] = "Admin API",
                                                           [USAGE_OTEL] = "OpenTelemetry"};
    return titles[source];
}

/* ---- Integrations ---- */

static void put_under(struct page *page, const char *label, const char *text)
{
    if (!text || !text[0])
        return;
    html_raw(page, "<span class=\"under\">");
    html_format(page, "%s%s", label, text);
    html_raw(page, "</span>");
}

static void put_state(struct page *page, const struct source_row *row)
{
    if (row->configured)
        device_put_state(page, row->health->state);
    else
        html_raw(page, "<span class=\"state\" data-state=\"grey\"><span aria-hidden=\"true\">○"
                       "</span> not set up</span>");
}

void source_put_row(struct page *page, const struct source_row *row, uint64_t now_ns)
{
    html_raw(page, "<tr><th scope=\"row\">");
    html_raw(page, row->is_report ? "<span class=\"under\">" : "");
    html_format(page, "%s", row->title);
    html_raw(page, row->is_report ? "</span>" : "");
    html_raw(page, "</th><td class=\"text\">");
    put_state(page, row);
    html_raw(page, "</td><td class=\"text reason\">");
    html_format(page, "%s", row->health->reason);
    put_under(page, "It said: ", row->error);
    put_under(page, "Not as documented: ", row->drift);
    put_under(page, "What to do: ", row->health->action);
    put_under(page, "", row->advice);
    html_raw(page, "</td><td>");
    html_ago(page, row->last_seen_ns, now_ns);
    html_raw(page, "</td><td>");
    html_ago(page, row->last_data_ns, now_ns);
    html_raw(page, "</td><td>");
    html_format(page, "%s", row->newest_day && row->newest_day[0] ? row->newest_day : "–");
    html_raw(page, "</td><td>");
    if (row->rows >= 0)
        html_count(page, row->rows);
    else
        html_raw(page, "–");
    html_raw(page, "</td></tr>");
}

/* ---- Coverage ---- */

const struct sheet_column *covered_columns(void)
{
    static const struct sheet_column columns[COVERED_COLUMNS] = {
        {"Person-days", "personDays", SHEET_COUNT},
        {"OpenTelemetry", "otel", SHEET_COUNT},
        {"Enterprise API", "enterpriseApi", SHEET_COUNT},
        {"Admin API", "adminApi", SHEET_COUNT},
        {"Nobody known", "unattributed", SHEET_COUNT},
        {"Silent", "silent", SHEET_COUNT},
        {"OpenTelemetry's tokens", "otelTokens", SHEET_SHORT},
        {"API's tokens", "apiTokens", SHEET_SHORT},
        {"OpenTelemetry / API", "ratio", SHEET_RATIO},
    };
    return columns;
}

static double counted(uint64_t people, enum privacy names)
{
    bool few = people > 0 && people < PRIVACY_MIN_COHORT;
    return names == PRIVACY_COHORTS && few ? (double)NAN : (double)people;
}

void covered_set_row(struct sheet_row *row, const struct coverage_count *c, enum privacy names)
{
    double ratio = coverage_ratio(c);
    row->people = (int64_t)c->person_days;
    row->values[0] = counted(c->person_days, names);
    row->values[1] = counted(c->by[USAGE_OTEL], names);
    row->values[2] = counted(c->by[USAGE_ENTERPRISE_API], names);
    row->values[3] = counted(c->by[USAGE_ADMIN_API], names);
    row->values[4] = counted(c->unattributed, names);
    row->values[5] = counted(c->silent, names);
    if (!coverage_shows_tokens(c, names == PRIVACY_COHORTS ? PRIVACY_MIN_COHORT : 0))
        return;
    row->values[6] = (double)c->otel_tokens;
    row->values[7] = (double)c->api_tokens;
    row->values[8] = ratio >= 0 ? ratio : (double)NAN;
}

static enum health_state state_of(const char *name)
{
    for (int state = 0; state <= HEALTH_GREY; state++)
        if (strcmp(name, health_state_name((enum health_state)state)) == 0)
            return (enum health_state)state;
    return HEALTH_GREY;
}

static void put_device(struct page *page, const struct coverage_silent *s, enum privacy names,
                       uint64_t now_ns)
{
    if (!s->device_id[0]) {
        html_raw(page, "no device known</td><td class=\"text\">–</td><td>–");
        return;
    }
    if (names == PRIVACY_NAMED) {
        html_raw(page, "<a href=\"/fleet/");
        html_url(page, bytes_of(s->device_id));
        html_raw(page, "\">");
        html_format(page, "%s", s->hostname[0] ? s->hostname : s->device_id);
        html_raw(page, "</a>");
    } else {
        html_raw(page, "hidden");
    }
    if (s->has_doctor_report && names == PRIVACY_NAMED) {
        html_raw(page, "<span class=\"under\"><a href=\"/fleet/");
        html_url(page, bytes_of(s->device_id));
        html_raw(page, "#doctor\">doctor report</a></span>");
    } else if (s->has_doctor_report) {
        html_raw(page, "<span class=\"under\">has a doctor report</span>");
    }
    html_raw(page, "</td><td class=\"text\">");
    device_put_state(page, state_of(s->device_state));
    html_raw(page, "</td><td>");
    html_ago(page, s->device_last_seen_ns, now_ns);
}

void silent_put_row(struct page *page, const struct coverage_silent *s, struct bytes shown,
                    enum privacy names, uint64_t now_ns)
{
    html_raw(page, "<tr><th scope=\"row\">");
    html_text(page, shown);
    html_raw(page, "</th><td>");
    html_format(page, "%s", s->day);
    html_raw(page, "</td><td class=\"text\">");
    put_device(page, s, names, now_ns);
    html_raw(page, "</td><td class=\"text reason\">");
    html_format(page, "%s", names == PRIVACY_NAMED ? s->device_reason : s->device_code);
    html_raw(page, "<span class=\"under\">");
    html_format(page, "%s", coverage_advice(s));
    html_raw(page, "</span></td><td class=\"text\">");
    html_format(page, "%s", source_title(s->source));
    html_raw(page, "</td><td>");
    html_short(page, (double)s->tokens);
    html_raw(page, "</td><td>");
    html_count(page, s->sessions);
    html_raw(page, "</td></tr>");
}
