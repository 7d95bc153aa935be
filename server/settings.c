#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/config.h"
#include "core/config/yaml.h"
#include "core/log/log.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "server/auth/identity.h"
#include "server/options.h"
#include "server/store/control.h"

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};

static const char *const viewers[] = {"sums", "cohorts", NULL};

static const char *const beta_keys[] = {"none", "enterprise_api", "admin_api", NULL};

static const struct config_key keys[] = {
    {.path = "listen",
     .type = CONFIG_TEXT,
     .fallback = "127.0.0.1:4320",
     .summary = "Address of HTTP: ingest, API and portal.",
     .check = config_check_address},
    {.path = "grpc_listen",
     .type = CONFIG_TEXT,
     .summary = "Address of OTLP over gRPC; off when not set.",
     .check = config_check_address},
    {.path = "data",
     .type = CONFIG_TEXT,
     .summary = "Directory of the SQLite files, server.json and server-id; of one server each.",
     .check = config_check_path},
    {.path = "store",
     .type = CONFIG_TEXT,
     .fallback = "sqlite:",
     .summary = "URL of control state, and of rows unless 'messages' is set: sqlite:DIR, or "
                "postgres://USER@HOST/DATABASE for several servers."},
    {.path = "messages",
     .type = CONFIG_TEXT,
     .summary = "URL of the rows' store: sqlite:, postgres:// or clickhouse+http://."},
    {.path = "max_request_mib",
     .type = CONFIG_INTEGER,
     .fallback = "64",
     .summary = "Largest OTLP request, after inflating.",
     .min = 1,
     .max = 256},
    {.path = "max_receiving_mib",
     .type = CONFIG_INTEGER,
     .fallback = "256",
     .summary = "Memory for the bodies of all requests that are not answered yet; beyond it 503.",
     .min = 2,
     .max = 65536},
    {.path = "loops",
     .type = CONFIG_INTEGER,
     .fallback = "2",
     .summary = "Threads that read requests.",
     .min = 1,
     .max = 64},
    {.path = "tls.cert",
     .type = CONFIG_TEXT,
     .summary = "PEM file with the certificate chain.",
     .check = config_check_path},
    {.path = "tls.key",
     .type = CONFIG_TEXT,
     .summary = "PEM file with the private key.",
     .check = config_check_path},
    {.path = "log.level",
     .type = CONFIG_ENUM,
     .fallback = "info",
     .summary = "How much is logged.",
     .choices = levels},
    {.path = "log.format",
     .type = CONFIG_ENUM,
     .fallback = "text",
     .summary = "Lines for people, or JSON.",
     .choices = formats},
    {.path = "privacy.viewers",
     .type = CONFIG_ENUM,
     .fallback = "sums",
     .summary = "What the role viewer sees: sums of everybody, or only those that five people "
                "stand behind (cohorts).",
     .choices = viewers},
    {.path = "fleet.device_token_days",
     .type = CONFIG_INTEGER,
     .fallback = "90",
     .summary = "Age in days at which a device's token is renewed by heartbeat; 0: never.",
     .min = 0,
     .max = 3650},
    {.path = "alerts.webhook_url",
     .type = CONFIG_TEXT,
     .summary =
         "Where a JSON notice is posted when devices stay red, and when they are well again.",
     .check = config_check_url},
    {.path = "alerts.webhook_secret_file",
     .type = CONFIG_TEXT,
     .summary = "File with the secret that webhook notices are signed with.",
     .check = config_check_path},
    {.path = "alerts.slack_url",
     .type = CONFIG_TEXT,
     .summary = "Incoming webhook of Slack, told the same in words.",
     .check = config_check_url},
    {.path = "alerts.ca_file",
     .type = CONFIG_TEXT,
     .summary = "PEM file of a private certificate authority for these, besides the system's.",
     .check = config_check_path},
    {.path = "alerts.after_seconds",
     .type = CONFIG_INTEGER,
     .fallback = "600",
     .summary = "How long a device is red before people are told.",
     .min = 0,
     .max = 604800},
    {.path = "alerts.every_seconds",
     .type = CONFIG_INTEGER,
     .fallback = "60",
     .summary = "How often the server looks; what is found at once goes into one notice.",
     .min = 1,
     .max = 3600},
    {.path = "integrations.admin_api.key_file",
     .type = CONFIG_TEXT,
     .summary = "File, mode 0600, with the Admin key (sk-ant-admin01-) of the organisation.",
     .check = config_check_path},
    {.path = "integrations.enterprise_api.key_file",
     .type = CONFIG_TEXT,
     .summary = "File, mode 0600, with the Enterprise key (sk-ant-api01-), scope read:analytics.",
     .check = config_check_path},
    {.path = "integrations.analytics_beta",
     .type = CONFIG_ENUM,
     .fallback = "none",
     .summary = "Whose key reads tokens and cost from the usage and cost analytics beta.",
     .choices = beta_keys},
    {.path = "integrations.api_keys",
     .type = CONFIG_TEXT_MAP,
     .summary = "Whose usage an API key's is: its name in the reports, and an e-mail address."},
    {.path = "integrations.daily",
     .type = CONFIG_BOOL,
     .fallback = "true",
     .summary = "Whether serve imports by itself, every day after 10:00 UTC."},
    {.path = "integrations.base_url",
     .type = CONFIG_TEXT,
     .fallback = IMPORTER_BASE_URL,
     .summary = "Where the APIs are.",
     .check = config_check_url},
    {.path = "integrations.ca_file",
     .type = CONFIG_TEXT,
     .summary = "PEM file of a private certificate authority, besides the system's.",
     .check = config_check_path},
    {.path = "integrations.contact_url",
     .type = CONFIG_TEXT,
     .summary = "Told to the API in User-Agent, so that it can reach whoever runs this server.",
     .check = config_check_url},
    {.path = "integrations.request_interval_ms",
     .type = CONFIG_INTEGER,
     .fallback = "1000",
     .summary = "Pause between requests; the Enterprise API allows 60 a minute.",
     .min = 0,
     .max = 60000},
    {.path = "integrations.retry_first_ms",
     .type = CONFIG_INTEGER,
     .fallback = "1000",
     .summary = "First pause after a passing fault; doubled with each further one.",
     .min = 1,
     .max = 60000},
    {.path = "integrations.timeout_ms",
     .type = CONFIG_INTEGER,
     .fallback = "60000",
     .summary = "How long one request may take.",
     .min = 100,
     .max = 600000},
};

const struct config_table server_config_table = {
    .program = PROGRAM,
    .keys = keys,
    .count = sizeof keys / sizeof *keys,
};

/* ---- The file ---- */

/* The file's tree: an empty one when the default file is missing. */
static bool read_file(const struct options *o, struct config_layer *layer, char **path,
                      struct error *err)
{
    char *dir = platform_config_dir(o->root);
    *path = o->config ? xstrdup(o->config) : xasprintf("%s/server.yaml", dir);
    free(dir);
    *layer = (struct config_layer){.name = *path};
    layer->tree = config_yaml_read(&fs_real, *path, err);
    if (!layer->tree && !o->config && err->kind == FAIL_NOT_FOUND) {
        layer->tree = config_node_create(CONFIG_NODE_MAP, NULL, NULL, 0);
        return true;
    }
    if (!layer->tree)
        err->kind = FAIL_INVALID; /* whatever the reason: the configuration is unusable */
    return layer->tree != NULL;
}

static struct config *load_file(const struct options *o, struct error *err)
{
    struct config_layer layer;
    char *path = NULL;
    struct config *config = NULL;
    if (read_file(o, &layer, &path, err)) {
        struct config_problems problems = {0};
        config = config_create(&server_config_table, &layer, 1, &problems);
        for (size_t i = 0; i + 1 < problems.count; i++)
            error_print(PROGRAM, &problems.items[i]);
        if (!config && problems.count > 0)
            *err = problems.items[problems.count - 1];
        if (!config)
            err->kind = FAIL_INVALID;
        config_problems_clear(&problems);
    }
    free(path);
    return config;
}

/* ---- One value from option, file or default ---- */

static char *text_of(const char *option, const struct config *config, const char *key)
{
    return xstrdup(option ? option : config_text(config, key));
}

/*
 * A file that the configuration names. With --root, what lies below it comes first; a path that is
 * not there is taken as it is: a test's folder beside its root, say.
 */
static char *file_of(const struct options *o, const struct config *config, const char *key)
{
    const char *path = config_text(config, key);
    if (!path || !o->root)
        return text_of(NULL, config, key);
    char *below = config_path_under(o->root, path);
    struct fs_stat stat;
    struct error ignored;
    if (fs_real.stat(fs_real.disk, below, &stat, &ignored))
        return below;
    free(below);
    return xstrdup(path);
}

static bool is_database_file(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot &&
           (strcmp(dot, ".db") == 0 || strcmp(dot, ".sqlite") == 0 || strcmp(dot, ".sqlite3") == 0);
}

/*
 * "sqlite:DIR", or "sqlite:" for the data directory, keeps control state and rows in
 * two files. "sqlite:NAME.db" names the first, or with --messages the second; rows then stand
 * beside control state in NAME-messages.db. Other URLs name a server and are handed on.
 */
static char *complete_url(const char *url, const char *data, const char *file, const char *suffix)
{
    if (strncmp(url, "sqlite:", 7) != 0)
        return xstrdup(url);
    const char *path = url + 7;
    if (strncmp(path, "//", 2) == 0)
        path += 2; /* sqlite:///var/lib/x, as others write it */
    if (*path && is_database_file(path)) {
        const char *dot = strrchr(path, '.');
        return xasprintf("sqlite:%.*s%s%s", (int)(dot - path), path, suffix, dot);
    }
    return xasprintf("sqlite:%s/%s", *path ? path : data, file);
}

static void choose_stores(const struct options *o, const struct config *config,
                          struct settings *out)
{
    char *store = text_of(o->store, config, "store");
    char *messages = text_of(o->messages, config, "messages");
    out->store = complete_url(store, out->data, "control.db", "");
    out->messages = complete_url(messages ? messages : store, out->data, "messages.db",
                                 messages ? "" : "-messages");
    free(store);
    free(messages);
}

static bool unknown_value(const char *what, const char *value, const char *fix, struct error *err)
{
    error_set(err, FAIL_INVALID, "'%.40s' is no %s", value, what);
    return error_remedy(err, "%s", fix);
}

static bool read_log(const struct options *o, const struct config *config, struct settings *out,
                     struct error *err)
{
    enum log_level level;
    const char *name = o->log_level ? o->log_level : config_text(config, "log.level");
    const char *format = o->log_format ? o->log_format : config_text(config, "log.format");
    if (!log_level_of_name(name, &level))
        return unknown_value("log level", name, "use error, warn, info or debug", err);
    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
        return unknown_value("log format", format, "use text or json", err);
    out->log_level = (int)level;
    out->log_json = strcmp(format, "json") == 0;
    return true;
}

static bool check(const struct settings *s, struct error *err)
{
    if ((s->tls_cert == NULL) != (s->tls_key == NULL)) {
        error_set(err, FAIL_INVALID, "TLS needs both a certificate and its key");
        return error_remedy(err, "give --tls-cert and --tls-key");
    }
    if (!config_check_address(s->listen, err))
        return error_wrap(err, "--listen '%s'", s->listen);
    if (s->grpc_listen[0] && !config_check_address(s->grpc_listen, err))
        return error_wrap(err, "--grpc-listen '%s'", s->grpc_listen);
    return true;
}

/* ---- Integrations ---- */

static bool read_key_persons(const struct config *config, struct integrations *out,
                             struct error *err)
{
    static const char path[] = "integrations.api_keys";
    size_t count = config_map_count(config, path);
    out->key_persons = xcalloc(count + 1, sizeof *out->key_persons);
    for (size_t i = 0; i < count; i++) {
        const char *email, *name = config_map_at(config, path, i, &email);
        char person[CONTROL_EMAIL_BYTES];
        if (!email_normalise(bytes_of(email), person)) {
            error_set(err, FAIL_INVALID, "%s: '%.80s' of '%.80s' is no e-mail address", path, email,
                      name);
            return error_remedy(err, "write the person's e-mail address behind the key's name");
        }
        out->key_persons[out->key_person_count++] =
            (struct integration_key_person){.key_name = xstrdup(name), .person = xstrdup(person)};
    }
    return true;
}

static bool read_integrations(const struct options *o, const struct config *config,
                              struct settings *out, struct error *err)
{
    struct integrations *in = &out->integrations;
    const char *beta = config_text(config, "integrations.analytics_beta");
    in->beta = -1;
    in->version = CT_VERSION;
    for (int i = 0; i < INTEGRATION_COUNT; i++) {
        char key[64];
        snprintf(key, sizeof key, "integrations.%s.key_file",
                 integration_name((enum integration)i));
        in->key_files[i] = file_of(o, config, key);
        if (strcmp(beta, integration_name((enum integration)i)) == 0)
            in->beta = i;
    }
    in->base_url = text_of(NULL, config, "integrations.base_url");
    in->ca_file = file_of(o, config, "integrations.ca_file");
    in->contact_url = text_of(NULL, config, "integrations.contact_url");
    in->request_interval_ms = (uint32_t)config_integer(config, "integrations.request_interval_ms");
    in->retry_first_ms = (uint32_t)config_integer(config, "integrations.retry_first_ms");
    in->timeout_ms = (uint32_t)config_integer(config, "integrations.timeout_ms");
    out->import_daily = config_bool(config, "integrations.daily");
    size_t len = strlen(in->base_url);
    while (len > 0 && in->base_url[len - 1] == '/')
        in->base_url[--len] = '\0';
    if (in->beta >= 0 && !in->key_files[in->beta]) {
        error_set(err, FAIL_INVALID,
                  "integrations.analytics_beta is %s, for which there is no key file", beta);
        return error_remedy(err, "set integrations.%s.key_file", beta);
    }
    return read_key_persons(config, in, err);
}

/* ---- Alerts ---- */

static bool read_alerts(const struct options *o, const struct config *config, struct settings *out,
                        struct error *err)
{
    char *path = file_of(o, config, "alerts.webhook_secret_file");
    out->alert_webhook_url = text_of(NULL, config, "alerts.webhook_url");
    out->alert_slack_url = text_of(NULL, config, "alerts.slack_url");
    out->alert_ca_file = file_of(o, config, "alerts.ca_file");
    out->alert_after_s = (uint32_t)config_integer(config, "alerts.after_seconds");
    out->alert_every_s = (uint32_t)config_integer(config, "alerts.every_seconds");
    if (!path || !out->alert_webhook_url) {
        free(path);
        return true;
    }
    struct buffer secret = {.max_bytes = 4 * KIB};
    bool good = fs_read_file(&fs_real, path, &secret, err);
    while (good && secret.len > 0 && secret.data[secret.len - 1] <= ' ')
        secret.len--;
    if (good && secret.len == 0)
        good = error_set(err, FAIL_INVALID, "'%s' is empty", path);
    if (good)
        out->alert_secret = xstrndup((const char *)secret.data, secret.len);
    else
        error_wrap(err, "alerts.webhook_secret_file");
    if (secret.data)
        memset(secret.data, 0, secret.capacity);
    buffer_clear(&secret);
    free(path);
    return good;
}

static void clear_integrations(struct integrations *in)
{
    for (int i = 0; i < INTEGRATION_COUNT; i++)
        free(in->key_files[i]);
    for (size_t i = 0; i < in->key_person_count; i++) {
        free(in->key_persons[i].key_name);
        free(in->key_persons[i].person);
    }
    free(in->key_persons);
    free(in->base_url);
    free(in->ca_file);
    free(in->contact_url);
}

bool settings_load(const struct options *o, struct settings *out, struct error *err)
{
    *out = (struct settings){0};
    struct config *config = load_file(o, err);
    if (!config)
        return false;
    char *state = platform_state_dir(o->root);
    out->data = text_of(o->data, config, "data");
    if (!out->data)
        out->data = xasprintf("%s/server", state);
    free(state);
    choose_stores(o, config, out);
    out->listen = text_of(o->listen, config, "listen");
    out->grpc_listen = text_of(o->grpc_listen, config, "grpc_listen");
    if (!out->grpc_listen)
        out->grpc_listen = xstrdup("");
    out->tls_cert = o->tls_cert ? xstrdup(o->tls_cert) : file_of(o, config, "tls.cert");
    out->tls_key = o->tls_key ? xstrdup(o->tls_key) : file_of(o, config, "tls.key");
    out->max_request_mib = (uint32_t)config_integer(config, "max_request_mib");
    out->max_receiving_mib = (uint32_t)config_integer(config, "max_receiving_mib");
    out->loops = (uint32_t)config_integer(config, "loops");
    out->viewers_in_cohorts = strcmp(config_text(config, "privacy.viewers"), "cohorts") == 0;
    out->device_token_days = (uint32_t)config_integer(config, "fleet.device_token_days");
    bool good = read_log(o, config, out, err) && read_integrations(o, config, out, err) &&
                read_alerts(o, config, out, err) && check(out, err);
    config_destroy(config);
    if (!good)
        settings_clear(out);
    return good;
}

bool settings_make_data(const struct settings *s, struct error *err)
{
    return fs_make_dirs(&fs_real, s->data, 0700, err) ||
           error_wrap(err, "cannot make the data directory") ||
           error_remedy(err, "give --data a directory that this user may make and write");
}

void settings_clear(struct settings *s)
{
    free(s->data);
    free(s->store);
    free(s->messages);
    free(s->listen);
    free(s->grpc_listen);
    free(s->tls_cert);
    free(s->tls_key);
    free(s->alert_webhook_url);
    free(s->alert_secret);
    free(s->alert_slack_url);
    free(s->alert_ca_file);
    clear_integrations(&s->integrations);
    *s = (struct settings){0};
}
