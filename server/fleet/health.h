/*
 * One colour and one reason for everything that should be reporting: devices, persons, tokens,
 * integrations, importers. Pure: facts and the time in, verdict out.
 *
 * Two facts are kept apart: when it was last seen, and when it last brought data. Silence alone
 * is not red while nothing says the machine is in use; a reported problem is red at once.
 */
#ifndef SERVER_FLEET_HEALTH_H
#define SERVER_FLEET_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum health_state { HEALTH_GREEN, HEALTH_YELLOW, HEALTH_RED, HEALTH_GREY };
const char *health_state_name(enum health_state state); /* "green" */

enum { HEALTH_CODE_BYTES = 48, HEALTH_REASON_BYTES = 240, HEALTH_ACTION_BYTES = 240 };

struct health_verdict {
    enum health_state state;
    char code[HEALTH_CODE_BYTES]; /* stable, for filters and alerts: "destination_auth_failed" */
    char reason[HEALTH_REASON_BYTES]; /* a sentence for a person; "" when green */
    char action[HEALTH_ACTION_BYTES]; /* what to do about it; "" when there is nothing */
};

/* What is known of a device: its last heartbeat and what the server saw. Times are wall clock ns,
 * 0: never. */
struct health_device {
    uint64_t last_seen_ns; /* heartbeat received */
    uint64_t last_data_ns; /* telemetry of this device stored */
    uint64_t in_use_ns; /* newest sign that Claude Code runs there: an event, or an API's report of
                            its person */
    uint64_t last_event_ns; /* when Claude Code last spoke to the relay, as the heartbeat says */
    uint64_t enrolled_ns;
    uint32_t interval_s;            /* heartbeat interval in force */
    bool disconnected;              /* the last heartbeat was a goodbye */
    bool healthy;                   /* the agent's own word */
    const char *last_error;         /* borrowed; "" or NULL: none */
    const char *failed_destination; /* state auth_failed or blocked; NULL: none */
    const char *failed_destination_state;
    uint64_t backlog_records, oldest_backlog_s;
    uint64_t backlog_growing_s; /* how long it has only grown; 0: it has not */
    uint64_t evicted_delta;     /* given up within the last hour */
    uint64_t disk_free_bytes;
    int64_t clock_skew_s; /* the device's clock minus ours */
    bool config_failed;   /* config.status is failed */
    const char *config_error;
    uint64_t drift_repairs_delta; /* over the last hour */
    bool logs_missing;            /* metrics came in the last day, log events did not */
    const char *bad_version;      /* a Claude Code version known to lose telemetry; NULL: none */
    uint32_t doctor_failed;
};

void health_of_device(const struct health_device *device, uint64_t now_ns,
                      struct health_verdict *out);

/* A token that is no device's. */
struct health_token {
    const char *prefix;
    uint64_t created_ns, revoked_ns;
    uint64_t used_ns;                                            /* let in */
    uint64_t limited_ns;                                         /* refused for its rate */
    uint64_t malformed_ns;                                       /* sent what cannot be kept */
    uint64_t logs_ns, metrics_ns, traces_ns, tokens_ns, cost_ns; /* stored */
    const struct health_storm *storm;                            /* NULL: none is on */
};

/* Refusals of one credential, from one or more places, one after the other. */
struct health_storm {
    uint64_t count, first_ns;
    char source[48]; /* whence the most come */
    unsigned sources;
};

void health_of_token(const struct health_token *token, uint64_t now_ns, struct health_verdict *out);

/* A credential that is none of ours and keeps being sent; `prefix` "" when there was none. */
void health_of_credential(const char *prefix, const struct health_storm *storm, uint64_t now_ns,
                          struct health_verdict *out);

/* Whoever sent telemetry, owns a device or a token, or is named by an API. */
struct health_person {
    uint64_t last_data_ns;                /* 0: nothing ever came */
    uint64_t recent_rows, recent_metrics; /* of the last days */
    uint64_t recent_tokens, recent_cost;
    const char *api_day; /* newest whole UTC day on which an API saw usage; "" when none did */
    uint64_t api_day_ns; /* its start */
};

void health_of_person(const struct health_person *person, uint64_t now_ns,
                      struct health_verdict *out);

/* Something with an expected rhythm: an importer, an integration. */
struct health_source {
    const char *what;          /* "token ct_ab12…", "importer admin_api" */
    uint64_t last_seen_ns;     /* any attempt, successful or not */
    uint64_t last_data_ns;     /* the last that brought data */
    uint64_t expected_every_s; /* 0: no rhythm; silence is never a fault */
    const char
        *error;    /* the last attempt's failure in the source's own words; NULL: it succeeded */
    bool rejected; /* the failure was a refused credential */
    bool disabled; /* revoked or switched off on purpose */
};

void health_of_source(const struct health_source *source, uint64_t now_ns,
                      struct health_verdict *out);

#endif
