/* The command line of claude-telemetry-server, and what the configuration file adds to it. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "core/config/config.h"
#include "server/importers/integrations.h"

#define PROGRAM "claude-telemetry-server"

enum { OPTIONS_MAX_WORDS = 4 };

struct options {
    const char *words[OPTIONS_MAX_WORDS]; /* "token", "create" ...; borrowed from argv */
    int word_count;
    bool json, help, version, password_stdin, print_markdown;

    /* As given; NULL when not. */
    const char *config, *root, *data, *store, *messages, *listen, *grpc_listen;
    const char *tls_cert, *tls_key, *log_level, *log_format;
    const char *system, *user, *retention_days, *plan, *email, *role, *out, *rate;
    const char *from, *to, *report;
};

/* FAIL_INVALID says what is wrong with the command line. */
bool options_parse(int argc, char **argv, struct options *out, struct error *err);

void options_print_help(void);

/* What may stand in server.yaml. */
extern const struct config_table server_config_table;

/* ---- Settings: options first, then the file, then defaults ---- */

struct settings {
    char *data, *store, *messages; /* directory; URLs */
    char *listen, *grpc_listen;    /* grpc_listen "": off */
    char *tls_cert, *tls_key;      /* NULL: no TLS */
    int log_level;                 /* enum log_level */
    bool log_json;
    uint32_t max_request_mib, max_receiving_mib, loops;
    struct integrations integrations;
    bool import_daily;
    bool viewers_in_cohorts; /* else they see the sums of everybody */
    char *alert_webhook_url, *alert_secret, *alert_slack_url, *alert_ca_file; /* NULL: none */
    uint32_t alert_after_s, alert_every_s;
    uint32_t device_token_days; /* 0: device tokens are not renewed */
};

/*
 * Reads the configuration file, if any. Prints the file's problems itself.
 * FAIL_INVALID: a setting is wrong (exit code 2).
 */
bool settings_load(const struct options *options, struct settings *out, struct error *err);

/* The data directory, which everything but looking at the settings needs. */
MUST_USE bool settings_make_data(const struct settings *settings, struct error *err);
void settings_clear(struct settings *settings);

#endif
