#include "server/importers/integrations.h"

#include <stdio.h>
#include <string.h>

#include "server/store/control.h"
#include "server/store/day.h"
#include "server/store/messages.h"

enum {
    EXPECTED_EVERY_S = 26 * 3600, /* a daily run, its jitter, and the run itself */
    OLDEST_DAYS = 365,            /* how far back the dated reports answer */
};
#define FIRST_ENTERPRISE_DAY "2026-01-01" /* nothing is kept of the days before */
#define BETA_REPORTS (1u << API_ANALYTICS_USAGE | 1u << API_ANALYTICS_COST)

static const struct {
    const char *name;
    enum importer_key_kind key;
    const char *key_words;
    unsigned reports; /* besides the beta */
    const char *advice;
} kinds[INTEGRATION_COUNT] = {
    [INTEGRATION_ENTERPRISE] =
        {"enterprise_api", IMPORTER_ENTERPRISE_KEY, "an Enterprise key (sk-ant-api01-)",
         1u << API_ENTERPRISE_USERS | 1u << API_ENTERPRISE_USAGE | 1u << API_ENTERPRISE_COST,
         "For an Enterprise plan: the most complete source, with history to import. Needs an "
         "Enterprise key with read:analytics. It leads wherever it has a day; OpenTelemetry fills "
         "the newest days and brings single requests."},
    [INTEGRATION_ADMIN] =
        {"admin_api", IMPORTER_ADMIN_KEY, "an Admin key (sk-ant-admin01-)",
         1u << API_ADMIN_CLAUDE_CODE,
         "For an organisation that pays by API usage: tokens, cost and activity per person, up to "
         "a year back. People who sign in with a subscription are mostly missing from it, so keep "
         "OpenTelemetry on for them."},
};

const char *integration_name(enum integration integration)
{
    return kinds[integration].name;
}

const char *integration_advice(enum integration integration)
{
    return kinds[integration].advice;
}

const char *integration_advice_otel(void)
{
    return "For every plan, and the only source for individual accounts and the Team plan. It is "
           "set up on the machines, knows single requests, sessions and tools, and cannot fetch "
           "what was not sent: watch the devices' health, and add an API where the plan has one.";
}

bool integrations_any(const struct integrations *integrations)
{
    for (int i = 0; i < INTEGRATION_COUNT; i++)
        if (integrations->key_files[i])
            return true;
    return false;
}

unsigned integration_all_reports(enum integration which)
{
    return kinds[which].reports | BETA_REPORTS;
}

unsigned integration_reports(const struct integrations *with, enum integration which)
{
    return with->key_files[which] ? importer_reports(kinds[which].key, with->beta == (int)which)
                                  : 0;
}

int integration_trailing_days(enum api_report report)
{
    switch (report) {
    case API_ADMIN_CLAUDE_CODE:
        return 3;
    case API_ENTERPRISE_USERS:
        return 7;
    default:
        return 30;
    }
}

/* ---- Importing ---- */

static bool is_clamped(enum api_report report)
{
    return report != API_ADMIN_CLAUDE_CODE;
}

/*
 * The days to ask one report for. A day is asked for once it is over: a part of today would take the
 * place of what OpenTelemetry knows of it. False when nothing is left.
 */
static bool choose_days(struct control_store *store, const struct integration_run *run,
                        enum api_report report, char from[API_DAY_BYTES], char to[API_DAY_BYTES])
{
    char today[API_DAY_BYTES], oldest[API_DAY_BYTES];
    struct api_import_state state;
    struct error ignored;
    day_text((int64_t)(clock_wall_ns(run->clock) / NS_PER_S / 86400), today);
    importer_move_day(today, -1, to);
    if (run->to && strcmp(run->to, to) < 0)
        snprintf(to, API_DAY_BYTES, "%s", run->to);
    if (run->from) {
        snprintf(from, API_DAY_BYTES, "%s", run->from);
    } else {
        importer_move_day(today, -integration_trailing_days(report), from);
        /* After an outage: from where it ended. */
        if (store->kind->api_usage->state_get(store, report, &state, &ignored) &&
            state.newest_day[0] && strcmp(state.newest_day, from) < 0)
            snprintf(from, API_DAY_BYTES, "%s", state.newest_day);
    }
    importer_move_day(today, -OLDEST_DAYS, oldest);
    if (is_clamped(report) && strcmp(oldest, FIRST_ENTERPRISE_DAY) < 0)
        snprintf(oldest, sizeof oldest, "%s", FIRST_ENTERPRISE_DAY);
    if (is_clamped(report) && strcmp(from, oldest) < 0)
        snprintf(from, API_DAY_BYTES, "%s", oldest);
    return strcmp(from, to) <= 0;
}

/* Keeps why no request was made, so that the integration shows it. */
static void note_failure(struct control_store *store, const struct integration_run *run,
                         unsigned reports, const struct error *why)
{
    for (int r = 0; r < API_REPORT_COUNT; r++) {
        struct api_import_state state;
        struct error ignored;
        if (!(reports & 1u << r) ||
            !store->kind->api_usage->state_get(store, (enum api_report)r, &state, &ignored))
            continue;
        state.attempt_ns = clock_wall_ns(run->clock);
        state.rejected = true; /* nothing will come before a person acts */
        snprintf(state.error, sizeof state.error, "%.310s", why->cause);
        (void)!store->kind->api_usage->state_put(store, (enum api_report)r, &state, &ignored);
    }
}

static bool read_key(const struct integrations *with, enum integration which,
                     struct importer_key *key, struct error *err)
{
    if (!importer_read_key(with->key_files[which], key, err))
        return false;
    if (key->kind == kinds[which].key)
        return true;
    memset(key, 0, sizeof *key);
    error_set(err, FAIL_INVALID, "the key in '%s' is not %s", with->key_files[which],
              kinds[which].key_words);
    return error_remedy(err, "%s needs %s; put this key under the other integration",
                        kinds[which].name, kinds[which].key_words);
}

static void add_result(struct importer_result *sum, const struct importer_result *one)
{
    sum->chunks += one->chunks;
    sum->pages += one->pages;
    sum->rows += one->rows;
    sum->skipped += one->skipped;
    sum->rejected |= one->rejected;
    sum->stopped |= one->stopped;
}

static bool import_report(struct control_store *store, const struct integration_run *run,
                          const struct importer_key *key, enum api_report report,
                          struct importer_result *result, struct error *err)
{
    char from[API_DAY_BYTES], to[API_DAY_BYTES];
    struct importer_result one;
    char agent[256];
    if (!choose_days(store, run, report, from, to))
        return true;
    snprintf(agent, sizeof agent, "claude-telemetry/%s (%s)", run->with->version,
             run->with->contact_url ? run->with->contact_url : "self-hosted");
    const struct importer_options options = {
        .base_url = run->with->base_url,
        .user_agent = agent,
        .ca_file = run->with->ca_file,
        .key = key,
        .reports = 1u << report,
        .clock = run->clock,
        .request_interval_ms = run->with->request_interval_ms,
        .retry_first_ms = run->with->retry_first_ms,
        .timeout_ms = run->with->timeout_ms,
        .lock_wait_ms = run->lock_wait_ms,
        .context = run->context,
        .progress = run->progress,
        .pause = run->pause,
        .stopping = run->stopping,
    };
    bool ok = importer_run(store, &options, from, to, &one, err);
    add_result(result, &one);
    return ok;
}

static bool import_all(struct control_store *store, const struct integration_run *run,
                       enum integration which, unsigned reports, struct importer_result *result,
                       struct error *err)
{
    struct importer_key key;
    if (!read_key(run->with, which, &key, err)) {
        note_failure(store, run, reports, err);
        result->rejected = true;
        return error_wrap(err, "%s", kinds[which].name);
    }
    bool ok = true;
    for (int r = 0; r < API_REPORT_COUNT && !result->stopped; r++) {
        struct error failure = {.kind = FAIL_NONE};
        if (reports & 1u << r &&
            !import_report(store, run, &key, (enum api_report)r, result, &failure) && ok) {
            *err = failure;
            ok = false;
        }
    }
    memset(&key, 0, sizeof key);
    return ok;
}

bool integrations_import(struct control_store *store, const struct integration_run *run,
                         struct importer_result *result, struct error *err)
{
    bool ok = true;
    memset(result, 0, sizeof *result);
    for (int i = 0; i < INTEGRATION_COUNT && !result->stopped; i++) {
        struct error failure = {.kind = FAIL_NONE};
        unsigned reports = integration_reports(run->with, (enum integration)i);
        if (run->reports)
            reports &= run->reports;
        if (reports && !import_all(store, run, (enum integration)i, reports, result, &failure) &&
            ok) {
            *err = failure;
            ok = false;
        }
    }
    return ok;
}

/* ---- How they are doing ---- */

static bool read_report(struct control_store *store, enum api_report report, uint64_t now_ns,
                        struct integration_report_status *out, struct error *err)
{
    out->report = report;
    if (!store->kind->api_usage->state_get(store, report, &out->state, err))
        return false;
    char what[64];
    snprintf(what, sizeof what, "importer %s", api_report_name(report));
    const struct health_source source = {.what = what,
                                         .last_seen_ns = out->state.attempt_ns,
                                         .last_data_ns = out->state.success_ns,
                                         .expected_every_s = EXPECTED_EVERY_S,
                                         .error = out->state.error,
                                         .rejected = out->state.rejected};
    health_of_source(&source, now_ns, &out->health);
    return true;
}

/* Red, yellow, green, grey: a report that has never run does not hide that another works. */
static int badness(enum health_state state)
{
    static const int order[] = {
        [HEALTH_GREY] = 0, [HEALTH_GREEN] = 1, [HEALTH_YELLOW] = 2, [HEALTH_RED] = 3};
    return order[state];
}

static void take_report(struct integration_status *s, const struct integration_report_status *r)
{
    const struct api_import_state *state = &r->state;
    bool first = s->report_count == 1;
    s->rows += state->rows;
    if (state->attempt_ns > s->last_seen_ns)
        s->last_seen_ns = state->attempt_ns;
    if (state->success_ns > s->last_data_ns)
        s->last_data_ns = state->success_ns;
    if (first || strcmp(state->newest_day, s->newest_day) < 0)
        memcpy(s->newest_day, state->newest_day, sizeof s->newest_day);
    if (first || badness(r->health.state) > badness(s->health.state))
        s->health = r->health;
    if (state->error[0] && !s->error[0])
        s->error = state->error;
    if (state->drift[0] && !s->drift[0])
        s->drift = state->drift;
}

bool integrations_read(struct control_store *store, const struct integrations *with,
                       uint64_t now_ns, struct integration_status out[INTEGRATION_COUNT],
                       struct error *err)
{
    for (int i = 0; i < INTEGRATION_COUNT; i++) {
        struct integration_status *s = &out[i];
        *s = (struct integration_status){.integration = (enum integration)i,
                                         .error = "",
                                         .drift = ""};
        unsigned reports = integration_reports(with, s->integration);
        s->configured = with->key_files[i] != NULL;
        for (int r = 0; r < API_REPORT_COUNT; r++) {
            if (!(reports & 1u << r))
                continue;
            struct integration_report_status *status = &s->reports[s->report_count++];
            if (!read_report(store, (enum api_report)r, now_ns, status, err))
                return false;
            take_report(s, status);
        }
        if (!s->configured) {
            s->health.state = HEALTH_GREY;
            snprintf(s->health.code, sizeof s->health.code, "not_configured");
            snprintf(s->health.reason, sizeof s->health.reason, "no key file is configured");
            snprintf(s->health.action, sizeof s->health.action,
                     "set integrations.%s.key_file in server.yaml if the organisation has this API",
                     kinds[i].name);
        }
    }
    return true;
}

static bool take_received(void *context, const struct stored_message *row)
{
    uint64_t *received_ns = context;
    *received_ns = row->message.received_ns;
    return false;
}

bool integrations_read_otel(struct message_store *messages, uint64_t now_ns, uint64_t *last_data_ns,
                            struct health_verdict *health, struct error *err)
{
    /* An agent that only says that it lives brings no data. */
    struct bytes types[MESSAGE_HEARTBEAT];
    for (int t = 0; t < MESSAGE_HEARTBEAT; t++)
        types[t] = bytes_of(message_type_name((enum message_type)t));
    const struct message_filter filter = {.field = FIELD_TYPE,
                                          .values = types,
                                          .value_count = MESSAGE_HEARTBEAT};
    const struct message_query all = {.filters = &filter, .filter_count = 1};
    const struct message_page newest = {.take = 1};
    *last_data_ns = 0;
    if (!messages->kind->find(messages, &all, &newest, take_received, last_data_ns, err))
        return false;
    const struct health_source source = {.what = "otel",
                                         .last_seen_ns = *last_data_ns,
                                         .last_data_ns = *last_data_ns};
    health_of_source(&source, now_ns, health);
    return true;
}
