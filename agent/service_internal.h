/* What the files of the service share: service.c, service_server.c, service_settings.c. */
#ifndef AGENT_SERVICE_INTERNAL_H
#define AGENT_SERVICE_INTERNAL_H

#include "agent/accounts.h"
#include "agent/enroll/device.h"
#include "agent/enroll/enroll.h"
#include "agent/heartbeat/heartbeat.h"
#include "agent/relay/relay.h"
#include "agent/report.h"
#include "agent/service.h"
#include "agent/settings/watch.h"
#include "agent/settings_setup.h"
#include "agent/settings_status.h"
#include "agent/status_file.h"
#include "core/http/client.h"

struct service {
    const struct command_line *line;
    struct loop *loop;
    struct log *log;
    char *state_dir, *run_dir;
    struct agent_config *config;
    char config_error[ERROR_CAUSE_BYTES]; /* of the last reload; "" */
    struct accounts *accounts;
    struct relay *relay;
    struct relay_state state; /* as of the last look */

    /* service.c */
    struct status_file *status;
    struct loop_timer *look, *refresh, *watchdog;
    unsigned quiet_looks; /* in a row in which nothing happened */
    uint64_t last_activity;

    /* service_server.c: only with server.url */
    struct http_client *client;
    struct enroll *enroll;
    struct heartbeat *heartbeat;
    struct device device; /* its token is "" while not enrolled */
    char *server_url, *ca_file, *secret_file;
    char *doctor_path;
    const char *doctor_argv[8];
    char enroll_error[ERROR_CAUSE_BYTES];
    bool doctor_ran;
    uint64_t doctor_ran_at_ns;
    uint32_t doctor_failed, doctor_warned;
    bool left_called;
    void (*left)(void *context);
    void *left_context;

    /* service_settings.c: only where this process keeps the settings */
    struct settings_watch *watch;
    struct settings_setup settings; /* what the last look asked for */
    bool has_settings;
    struct settings_verdicts verdicts; /* of that look */
    struct settings_watch_status watched;
    struct settings_status applied; /* where `apply` keeps them: what it told last */
    uint64_t applied_modified_ns;   /* when that was */
};

/* Fills `report` from the last look at the relay. */
void service_report(struct service *s, struct report *report);

/* Begins, or begins anew after a reload, to talk to the server. */
MUST_USE bool service_server_start(struct service *s, struct error *err);
void service_server_stop(struct service *s);
/* The same server as the configuration names? */
bool service_server_changed(const struct service *s);

MUST_USE bool service_settings_start(struct service *s, struct error *err);
void service_settings_stop(struct service *s);
bool service_settings_look(struct service *s); /* has `apply` told anything since? */
void service_settings_report(struct service *s, struct report *report);

#endif
