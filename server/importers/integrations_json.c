/* The JSON of GET /api/v1/integrations and of import status --json. */
#include "server/importers/integrations_json.h"

void integration_put_health(struct json_writer *w, const struct health_verdict *health)
{
    json_member_text(w, "state", health_state_name(health->state));
    json_member_text(w, "code", health->code);
    json_member_text(w, "reason", health->reason);
    json_member_text(w, "action", health->action);
}

static void put_facts(struct json_writer *w, uint64_t seen_ns, uint64_t data_ns,
                      const char *newest_day, uint64_t rows, const char *error, const char *drift)
{
    json_member_time(w, "lastSeen", seen_ns);
    json_member_time(w, "lastData", data_ns);
    json_member_text(w, "newestDay", newest_day);
    json_put_key(w, "rows");
    json_put_uint(w, rows);
    json_member_text(w, "error", error);
    json_member_text(w, "drift", drift);
}

void integration_put_json(struct json_writer *w, const struct integration_status *s)
{
    json_object_open(w);
    json_member_text(w, "name", integration_name(s->integration));
    json_member_text(w, "kind", integration_name(s->integration));
    json_put_key(w, "configured");
    json_put_bool(w, s->configured);
    integration_put_health(w, &s->health);
    put_facts(w, s->last_seen_ns, s->last_data_ns, s->newest_day, s->rows, s->error, s->drift);
    json_member_text(w, "advice", integration_advice(s->integration));
    json_put_key(w, "reports");
    json_array_open(w);
    for (size_t i = 0; i < s->report_count; i++) {
        const struct integration_report_status *r = &s->reports[i];
        json_object_open(w);
        json_member_text(w, "name", api_report_name(r->report));
        integration_put_health(w, &r->health);
        put_facts(w, r->state.attempt_ns, r->state.success_ns, r->state.newest_day, r->state.rows,
                  r->state.error, r->state.drift);
        json_object_close(w);
    }
    json_array_close(w);
    json_object_close(w);
}
