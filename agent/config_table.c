/* Every key of agent.yaml. Also what docs/configuration.md and the Jamf schema are made from. */
#include <ctype.h>
#include <string.h>

#include "agent/config.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static const char *const variables[] = {"email",        "local_user", "device_id",
                                        "device_token", "hostname",   NULL};
static const char *const signals[] = {"metrics", "logs", "traces", NULL};
static const char *const email_sources[] = {"mdm", "directory", "command", NULL};
static const char *const claude_modes[] = {"relay", "direct", NULL};
static const char *const settings_places[] = {"auto", "dropin", "merge", "none", NULL};
static const char *const token_policies[] = {"auto", "true", "false", NULL};
static const char *const compressions[] = {"auto", "gzip", "none", NULL};

static bool check_email(const char *text, struct error *err)
{
    const char *at = strchr(text, '@');
    if (at && at > text && at[1] != '\0' && !strchr(at + 1, '@') && !strpbrk(text, " \t\r\n,;<>"))
        return true;
    return error_set(err, FAIL_INVALID, "must be an e-mail address, not '%.80s'", text);
}

static bool check_domain(const char *text, struct error *err)
{
    bool ok = text[0] != '.' && text[0] != '\0';
    for (const char *at = text; *at; at++)
        ok = ok && (isalnum((unsigned char)*at) || *at == '.' || *at == '-');
    if (ok)
        return true;
    return error_set(err, FAIL_INVALID, "must be a domain such as example.com, not '%.80s'", text);
}

static bool check_loopback(const char *text, struct error *err)
{
    if (!config_check_address(text, err))
        return false;
    if (strncmp(text, "127.", 4) == 0 || strncmp(text, "[::1]:", 6) == 0 ||
        strncmp(text, "localhost:", 10) == 0)
        return true;
    error_set(err, FAIL_INVALID, "must be a loopback address, not '%.80s'", text);
    return error_remedy(err, "listen on 127.0.0.1 or [::1]; only this machine's programs may send");
}

static bool check_path_or_auto(const char *text, struct error *err)
{
    return strcmp(text, "auto") == 0 || config_check_path(text, err);
}

static bool check_name(const char *text, struct error *err)
{
    bool ok = text[0] != '\0' && strlen(text) < AGENT_NAME_BYTES;
    for (const char *at = text; *at; at++)
        ok = ok && (islower((unsigned char)*at) || isdigit((unsigned char)*at) || *at == '-' ||
                    *at == '_');
    if (ok)
        return true;
    return error_set(err, FAIL_INVALID,
                     "must be 1 to 63 of the characters a-z 0-9 - and _, not '%.80s'", text);
}

static const struct config_key keys[] = {
    {.path = "server.url",
     .type = CONFIG_TEXT,
     .summary = "Our server, for enrolment, heartbeats and doctor reports; without it the relay "
                "stands alone.",
     .check = config_check_url},
    {.path = "server.ca_file",
     .type = CONFIG_TEXT,
     .summary = "PEM file of a private certificate authority, used besides the system's, for every "
                "destination that names none of its own, too.",
     .check = config_check_path},
    {.path = "server.enrollment_secret_file",
     .type = CONFIG_TEXT,
     .summary = "File with the secret that the device is enrolled with, once.",
     .check = config_check_path},

    {.path = "heartbeat.interval_seconds",
     .type = CONFIG_INTEGER,
     .fallback = "60",
     .min = 1,
     .max = 86400,
     .summary = "Pause between heartbeats until the server names another."},

    {.path = "identity.email",
     .type = CONFIG_TEXT,
     .summary = "The person whose machine this is; wins over every other source.",
     .check = check_email},
    {.path = "identity.email_from",
     .type = CONFIG_TEXT_LIST,
     .fallback = "mdm,directory,command",
     .choices = email_sources,
     .summary = "Where each local user's e-mail is looked for; the first source that answers "
                "wins."},
    {.path = "identity.email_domain",
     .type = CONFIG_TEXT,
     .summary = "Addresses of any other domain are refused.",
     .check = check_domain},
    {.path = "identity.command",
     .type = CONFIG_TEXT,
     .summary = "Program for the source `command`, run as the user; it prints the address.",
     .check = config_check_path},
    {.path = "identity.command_timeout_seconds",
     .type = CONFIG_INTEGER,
     .fallback = "5",
     .min = 1,
     .max = 60,
     .summary = "How long that program may take."},

    {.path = "claude.mode",
     .type = CONFIG_ENUM,
     .fallback = "relay",
     .choices = claude_modes,
     .summary = "`relay`: Claude Code sends to the relay on this machine, which adds identity and "
                "credentials; `direct`: it sends to the one destination itself."},
    {.path = "claude.settings",
     .type = CONFIG_ENUM,
     .fallback = "auto",
     .choices = settings_places,
     .summary = "Where the machine's managed settings go: a drop-in, a merge into "
                "managed-settings.json, whichever the installed versions read, or nowhere."},
    {.path = "claude.user_env",
     .type = CONFIG_BOOL,
     .fallback = "true",
     .summary = "Whether each user's own settings.json gets the variables too."},
    {.path = "claude.signals",
     .type = CONFIG_TEXT_LIST,
     .fallback = "metrics,logs,traces",
     .choices = signals,
     .summary = "What Claude Code is told to send."},
    {.path = "claude.log_user_prompts",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .summary = "Whether prompts' texts are part of the telemetry."},
    {.path = "claude.log_tool_details",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .summary = "Whether tools' parameters are part of the telemetry."},
    {.path = "claude.resource_attributes",
     .type = CONFIG_TEXT_MAP,
     .summary = "Attributes that Claude Code adds to everything, such as `team: platform`.",
     .flags = CONFIG_VARIABLES},

    {.path = "relay.listen",
     .type = CONFIG_TEXT,
     .fallback = "127.0.0.1:14318",
     .summary = "Loopback address for OTLP/HTTP; when the port is taken, the next free one is "
                "used and the settings follow.",
     .check = check_loopback},
    {.path = "relay.grpc_listen",
     .type = CONFIG_TEXT,
     .fallback = "",
     .summary = "Loopback address for OTLP/gRPC; off when empty.",
     .check = check_loopback},
    {.path = "relay.local_token_required",
     .type = CONFIG_ENUM,
     .fallback = "auto",
     .choices = token_policies,
     .summary = "Whether senders need the local token; `auto`: only where the owner of a "
                "connection cannot be found."},
    {.path = "relay.max_request_mib",
     .type = CONFIG_INTEGER,
     .fallback = "64",
     .min = 1,
     .max = 1024,
     .summary = "Largest request taken, after decompression."},
    {.path = "relay.spool.path",
     .type = CONFIG_TEXT,
     .fallback = "auto",
     .summary = "Folder of the queue on disk; `auto`: in the agent's state folder.",
     .check = check_path_or_auto},
    {.path = "relay.spool.max_mib",
     .type = CONFIG_INTEGER,
     .fallback = "1024",
     .min = 1,
     .max = 1048576,
     .summary = "Most disk space the queue takes; past it the oldest records are dropped and "
                "counted."},
    {.path = "relay.spool.max_age_hours",
     .type = CONFIG_INTEGER,
     .fallback = "336",
     .min = 0,
     .max = 87600,
     .summary = "Records older than this are dropped and counted; 0 keeps them."},
    {.path = "relay.spool.min_free_disk_mib",
     .type = CONFIG_INTEGER,
     .fallback = "512",
     .min = 0,
     .max = 1048576,
     .summary = "Disk space left to other programs, at most a tenth of the volume: below it the "
                "spool grows no further, and the oldest are evicted once that lasts 2 minutes."},

    {.path = "destinations",
     .type = CONFIG_SECTIONS,
     .summary = "Where telemetry goes; each destination has its own place in the queue, and one "
                "being down never holds up another."},
    {.path = "destinations[].name",
     .type = CONFIG_TEXT,
     .summary = "Names the place in the queue: keep it when other keys change.",
     .flags = CONFIG_REQUIRED,
     .check = check_name},
    {.path = "destinations[].endpoint",
     .type = CONFIG_TEXT,
     .summary = "Base URL; `/v1/<signal>` is appended.",
     .flags = CONFIG_VARIABLES,
     .check = config_check_url},
    {.path = "destinations[].metrics_endpoint",
     .type = CONFIG_TEXT,
     .summary = "URL for metrics, used as it is.",
     .flags = CONFIG_VARIABLES,
     .check = config_check_url},
    {.path = "destinations[].logs_endpoint",
     .type = CONFIG_TEXT,
     .summary = "URL for logs, used as it is.",
     .flags = CONFIG_VARIABLES,
     .check = config_check_url},
    {.path = "destinations[].traces_endpoint",
     .type = CONFIG_TEXT,
     .summary = "URL for traces, used as it is.",
     .flags = CONFIG_VARIABLES,
     .check = config_check_url},
    {.path = "destinations[].headers",
     .type = CONFIG_TEXT_MAP,
     .summary = "HTTP headers, credentials among them.",
     .flags = CONFIG_VARIABLES | CONFIG_SECRET},
    {.path = "destinations[].resource_attributes",
     .type = CONFIG_TEXT_MAP,
     .summary = "Attributes set on everything sent there, replacing what it says.",
     .flags = CONFIG_VARIABLES},
    {.path = "destinations[].signals",
     .type = CONFIG_TEXT_LIST,
     .choices = signals,
     .summary = "What is sent there; by default everything it has an endpoint for."},
    {.path = "destinations[].enabled",
     .type = CONFIG_BOOL,
     .fallback = "true",
     .summary = "`false` keeps the place in the queue and sends nothing."},
    {.path = "destinations[].batch_ids",
     .type = CONFIG_BOOL,
     .fallback = "true",
     .summary = "Whether requests carry `X-Batch-Stream`, `-First` and `-Last`, by which our "
                "server knows a repeat; other servers ignore them."},
    {.path = "destinations[].compression",
     .type = CONFIG_ENUM,
     .fallback = "auto",
     .choices = compressions,
     .summary = "`auto`: gzip; to a destination on this machine, requests above 64 KiB go plain."},
    {.path = "destinations[].concurrency",
     .type = CONFIG_INTEGER,
     .fallback = "2",
     .min = 1,
     .max = 16,
     .summary = "Requests under way at once."},
    {.path = "destinations[].batch_kib",
     .type = CONFIG_INTEGER,
     .fallback = "1024",
     .min = 16,
     .max = 16384,
     .summary = "Size, before compression, up to which requests are merged."},
    {.path = "destinations[].timeout_seconds",
     .type = CONFIG_INTEGER,
     .fallback = "30",
     .min = 1,
     .max = 600,
     .summary = "Limit of one request."},
    {.path = "destinations[].ca_file",
     .type = CONFIG_TEXT,
     .summary = "PEM file of a private certificate authority, used besides the system's.",
     .check = config_check_path},
    {.path = "destinations[].proxy",
     .type = CONFIG_TEXT,
     .summary =
         "Proxy for this destination; without it `HTTPS_PROXY` and `NO_PROXY` count, else the "
         "system's settings on Windows and macOS.",
     .check = config_check_url},

    {.path = "privacy.drop_attributes",
     .type = CONFIG_TEXT_LIST,
     .summary = "Attributes removed before anything is written to disk, such as `prompt`, "
                "`response`, `tool_input`."},

    {.path = "log.level",
     .type = CONFIG_ENUM,
     .fallback = "info",
     .choices = (const char *const[]){"error", "warn", "info", "debug", NULL},
     .summary = "The least important messages that are written."},
    {.path = "log.format",
     .type = CONFIG_ENUM,
     .fallback = "text",
     .choices = (const char *const[]){"text", "json", NULL},
     .summary = "How a message is written."},
};

const struct config_table agent_config_table = {
    .program = "claude-telemetry-agent",
    .domain = "com.claude-telemetry.agent",
    .policy = "HKLM\\SOFTWARE\\Policies\\ClaudeTelemetry",
    .variables = variables,
    .keys = keys,
    .count = COUNT_OF(keys),
};
