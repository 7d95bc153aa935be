/*
 * Which of Anthropic's APIs this server imports from, and how each is doing.
 *
 *   settings ─▶ struct integrations ─▶ integrations_import ─▶ importer ─▶ control store
 *                                                integrations_read ◀─ states ─┘
 *
 * An integration is a key: an Admin key opens the Admin API's report, an Enterprise key the
 * Enterprise Analytics API's, and either of them the usage and cost analytics beta.
 */
#ifndef SERVER_IMPORTERS_INTEGRATIONS_H
#define SERVER_IMPORTERS_INTEGRATIONS_H

#include "server/fleet/health.h"
#include "server/importers/importer.h"

enum integration { INTEGRATION_ENTERPRISE, INTEGRATION_ADMIN, INTEGRATION_COUNT };
const char *integration_name(enum integration integration); /* "enterprise_api" */
/* Which account types it suits and what it can and cannot tell: a sentence or two for a person. */
const char *integration_advice(enum integration integration);
const char *integration_advice_otel(void);

/* An API key's name in the reports, and whose usage it is. */
struct integration_key_person {
    char *key_name, *person; /* person: e-mail, lower-cased */
};

/* From the settings, which own it. */
struct integrations {
    char *key_files[INTEGRATION_COUNT]; /* NULL: not used */
    int beta; /* the enum integration whose key reads the analytics beta; -1: none */
    char *base_url, *ca_file; /* ca_file NULL: none */
    const char *version;      /* of this program */
    char *contact_url;        /* told to the API as who asks; NULL: none */
    uint32_t request_interval_ms, retry_first_ms, timeout_ms;
    struct integration_key_person *key_persons;
    size_t key_person_count;
};

bool integrations_any(const struct integrations *integrations);

/* The reports an integration reads as configured: a bit per enum api_report. */
unsigned integration_reports(const struct integrations *integrations, enum integration which);
/* All it could ever read, whatever is configured. */
unsigned integration_all_reports(enum integration which);

struct integration_run {
    const struct integrations *with; /* all borrowed */
    const struct clock *clock;
    unsigned reports;      /* of those configured, only these; 0: all */
    const char *from, *to; /* UTC days, both included; NULL: each report's trailing days */
    uint32_t lock_wait_ms; /* for another importer */

    void *context; /* of the three below, as in struct importer_options */
    void (*progress)(void *context, const struct importer_progress *progress);
    bool (*pause)(void *context, uint64_t ms);
    bool (*stopping)(void *context);
};

/*
 * Imports. One report's failure does not keep the others from running; then false, with the first
 * failure. What went wrong is in the store for each report, also when the key file cannot be used.
 */
MUST_USE bool integrations_import(struct control_store *store, const struct integration_run *run,
                                  struct importer_result *result, struct error *err);

/* How many days back from today a report may still be revised, and is imported again. */
int integration_trailing_days(enum api_report report);

/* ---- How they are doing ---- */

struct integration_report_status {
    enum api_report report;
    struct api_import_state state;
    struct health_verdict health;
};

struct integration_status {
    enum integration integration;
    bool configured;
    struct integration_report_status reports[API_REPORT_COUNT];
    size_t report_count;
    /* Of its reports together: the newest, or the worst. */
    uint64_t last_seen_ns, last_data_ns, rows;
    char newest_day[API_DAY_BYTES]; /* that every report has reached; "" when none */
    struct health_verdict health;
    const char *error; /* the API's own words, "" when none; within `reports` */
    const char *drift; /* likewise */
};

MUST_USE bool integrations_read(struct control_store *store, const struct integrations *with,
                                uint64_t now_ns, struct integration_status out[INTEGRATION_COUNT],
                                struct error *err);

struct message_store;
/* How OpenTelemetry is doing: when the newest row came (0: none yet). */
MUST_USE bool integrations_read_otel(struct message_store *messages, uint64_t now_ns,
                                     uint64_t *last_data_ns, struct health_verdict *health,
                                     struct error *err);

#endif
