/* The JSON of GET /api/v1/integrations and of import status --json. */
#include "server/importers/integrations_json.h"

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    json_put_key(w, key);
    json_put_string(w, text && text[0] ? text : NULL);
}

static void put_time(struct json_writer *w, const char *key, uint64_t ns)
{
    json_put_key(w, key);
    if (ns)
        json_put_time(w, ns);
    else
        json_put_null(w);
}

void integration_put_health(struct json_writer *w, const struct health_verdict *health)
{
    put_text(w, "state", health_state_name(health->state));
    put_text(w, "code", health->code);
    put_text(w, "reason", health->reason);
    put_text(w, "action", health->action);
}

static void put_facts(struct json_writer *w, uint64_t seen_ns, uint64_t data_ns,
                      const char *newest_day, uint64_t rows, const char *error, const char *drift)
{
    put_time(w, "lastSeen", seen_ns);
    put_time(w, "lastData", data_ns);
    put_text(w, "newestDay", newest_day);
    json_put_key(w, "rows");
    json_put_uint(w, rows);
    put_text(w, "error", error);
    put_text(w, "drift", drift);
}

void integration_put_json(struct json_writer *w, const struct integration_status *s)
{
    json_object_open(w);
    put_text(w, "name", integration_name(s->integration));
    put_text(w, "kind", integration_name(s->integration));
    json_put_key(w, "configured");
    json_put_bool(w, s->configured);
    integration_put_health(w, &s->health);
    put_facts(w, s->last_seen_ns, s->last_data_ns, s->newest_day, s->rows, s->error, s->drift);
    put_text(w, "advice", integration_advice(s->integration));
    json_put_key(w, "reports");
    json_array_open(w);
    for (size_t i = 0; i < s->report_count; i++) {
        const struct integration_report_status *r = &s->reports[i];
        json_object_open(w);
        put_text(w, "name", api_report_name(r->report));
        integration_put_health(w, &r->health);
        put_facts(w, r->state.attempt_ns, r->state.success_ns, r->state.newest_day, r->state.rows,
                  r->state.error, r->state.drift);
        json_object_close(w);
    }
    json_array_close(w);
    json_object_close(w);
}
