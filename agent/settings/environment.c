#include "agent/settings/environment.h"

#include <stdlib.h>
#include <string.h>

#include "agent/settings/record.h"
#include "base/memory.h"

enum { MAX_ATTRIBUTE_CHARS = 255, MAX_VALUE_BYTES = 64 * 1024, MAX_PAIRS = 256 };

/* Not empty, because an empty value does not keep a shell's headers out. */
static const char harmless_headers[] = "x-claude-telemetry=1";

static const char service_name[] = "claude-code";

/* The same for everyone. Defaults are spelled out so that a shell cannot change them. */
static const struct settings_pair fixed[] = {
    {"CLAUDE_CODE_ENABLE_TELEMETRY", "1"},
    {"OTEL_SDK_DISABLED", "false"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
    {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"},
    {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"},
    {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"},
    {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
    {"OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"},
    {"OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"},
    {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"},
    {"OTEL_EXPORTER_OTLP_TIMEOUT", "10000"},
    {"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "10000"},
    {"OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "10000"},
    {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10000"},
    {"OTEL_METRIC_EXPORT_INTERVAL", "10000"}, /* a killed session loses what is not sent yet */
    {"OTEL_METRIC_EXPORT_TIMEOUT", "10000"},
    {"OTEL_LOGS_EXPORT_INTERVAL", "5000"},
    {"OTEL_TRACES_EXPORT_INTERVAL", "5000"},
    {"OTEL_BLRP_MAX_QUEUE_SIZE", "2048"},
    {"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "512"},
    {"OTEL_BSP_MAX_QUEUE_SIZE", "2048"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512"},
    {"CLAUDE_CODE_OTEL_FLUSH_TIMEOUT_MS", "5000"},
    {"CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS", "2000"},
    {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"},
    {"OTEL_TRACES_SAMPLER", "always_on"},
    {"OTEL_TRACES_SAMPLER_ARG", "1"},
    {"OTEL_ATTRIBUTE_COUNT_LIMIT", "128"},
    {"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "128"},
    {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "128"},
    {"OTEL_SPAN_EVENT_COUNT_LIMIT", "128"},
    {"OTEL_SPAN_LINK_COUNT_LIMIT", "128"},
    {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1000000"}, /* has no name for "unlimited" */
    {"OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1000000"},
    {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1000000"},
    {"CLAUDE_CODE_OTEL_CONTENT_MAX_LENGTH", "61440"},
    {"OTEL_METRICS_INCLUDE_SESSION_ID", "true"},
    {"OTEL_METRICS_INCLUDE_ACCOUNT_UUID", "true"},
    {"OTEL_METRICS_INCLUDE_RESOURCE_ATTRIBUTES", "true"},
    {"OTEL_METRICS_INCLUDE_VERSION", "true"},
    {"OTEL_METRICS_INCLUDE_ENTRYPOINT", "true"},
    {"OTEL_LOG_TOOL_CONTENT", "0"},
    {"OTEL_LOG_RAW_API_BODIES", "0"},
    {"ENABLE_BETA_TRACING_DETAILED", "0"}, /* would send logs and traces elsewhere */
};

static void put(struct environment *e, const char *name, const char *value)
{
    e->list = xrealloc(e->list, (e->count + 1) * sizeof *e->list);
    e->list[e->count++] = (struct variable){xstrdup(name), xstrdup(value)};
}

void environment_clear(struct environment *e)
{
    for (size_t i = 0; i < e->count; i++) {
        free(e->list[i].name);
        free(e->list[i].value);
    }
    free(e->list);
    *e = (struct environment){0};
}

uint64_t environment_fingerprint(const struct environment *e)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < e->count; i++) {
        char *pair = xasprintf("%s=%s", e->list[i].name, e->list[i].value);
        sum = sum * 31 + record_fingerprint(bytes_of(pair));
        free(pair);
    }
    return sum ? sum : 1;
}

const char *environment_get(const struct environment *e, const char *name)
{
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->list[i].name, name) == 0)
            return e->list[i].value;
    return NULL;
}

bool environment_none_is_safe(const struct claude_installs *installs)
{
    /* 2.0.30 and older stop at start; reports of the same reach to 2.1.90. 2.1.100 was seen fine.
     */
    return installs && installs->count > 0 &&
           claude_all_at_least(installs, (struct claude_version){2, 1, 100});
}

static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* Appends `text` encoded, at most MAX_ATTRIBUTE_CHARS characters of it, whole UTF-8 characters. */
static bool encode_part(const char *text, bool at_sign, struct buffer *out)
{
    size_t start = out->len, whole = out->len;
    for (const uint8_t *c = (const uint8_t *)text; *c; c++) {
        if ((*c & 0xC0) != 0x80)
            whole = out->len;
        bool plain = is_unreserved(*c) || (at_sign && *c == '@');
        bool ok = plain ? buffer_append_byte(out, *c) : buffer_append_format(out, "%%%02X", *c);
        if (!ok)
            return false;
        if (out->len - start > MAX_ATTRIBUTE_CHARS) {
            out->len = whole;
            break;
        }
    }
    return true;
}

bool encode_attributes(const struct settings_pair *pairs, size_t count, struct buffer *out)
{
    bool first = out->len == 0;
    for (size_t i = 0; i < count; i++) {
        bool replaced = !pairs[i].name || !*pairs[i].name || !pairs[i].value || !*pairs[i].value;
        for (size_t later = i + 1; !replaced && later < count; later++)
            replaced = pairs[later].name && strcmp(pairs[later].name, pairs[i].name) == 0 &&
                       pairs[later].value && *pairs[later].value;
        if (replaced)
            continue;
        if (!(first || buffer_append_byte(out, ',')) || !encode_part(pairs[i].name, false, out) ||
            !buffer_append_byte(out, '=') || !encode_part(pairs[i].value, true, out))
            return false;
        first = false;
    }
    return true;
}

static bool is_token(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!is_unreserved((uint8_t)*c) && !strchr("!#$&'*+^`|", *c))
            return false;
    return *text != '\0';
}

bool encode_headers(const struct settings_pair *pairs, size_t count, struct buffer *out,
                    struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = pairs[i].value ? pairs[i].value : "";
        if (!pairs[i].name || !is_token(pairs[i].name)) {
            error_set(err, FAIL_INVALID, "'%s' is no header name",
                      pairs[i].name ? pairs[i].name : "");
            return error_remedy(err, "use letters, digits and '-' in the names under headers");
        }
        size_t len = strlen(value);
        bool bad = len == 0 || value[0] == ' ' || value[len - 1] == ' ';
        for (size_t at = 0; !bad && at < len; at++)
            bad = value[at] < 0x20 || value[at] > 0x7E || strchr(",;%\"\\", value[at]);
        if (bad) {
            error_set(
                err, FAIL_INVALID,
                "the value of header '%s' cannot be given to Claude Code: it is empty, or holds "
                "a line break, a comma, a semicolon, a quote, a percent sign or a "
                "character outside ASCII",
                pairs[i].name);
            return error_remedy(err, "use claude.mode: relay, where the relay sends the header");
        }
        if ((out->len > 0 && !buffer_append_byte(out, ',')) ||
            !buffer_append_format(out, "%s=%s", pairs[i].name, value))
            return error_set(err, FAIL_TOO_LARGE, "the headers are too long");
    }
    return true;
}

static bool check_endpoint(const char *url, struct error *err)
{
    bool http = url && (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0);
    bool clean = http && strlen(url) > 8;
    for (const char *c = url; clean && *c; c++)
        clean = *c > 0x20 && *c < 0x7F && !strchr("\"'<>\\`{}", *c);
    if (!clean) {
        error_set(err, FAIL_INVALID, "'%s' is no endpoint for Claude Code", url ? url : "");
        return error_remedy(err, "give a URL that starts with http:// or https://");
    }
    return true;
}

static bool put_endpoints(const struct settings_options *o, struct environment *out,
                          struct error *err)
{
    const struct {
        const char *verbatim, *name, *path;
    } signals[] = {
        {o->metrics_endpoint, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "metrics"},
        {o->logs_endpoint, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "logs"},
        {o->traces_endpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "traces"},
    };
    const char *base = o->endpoint;
    for (size_t i = 0; i < 3 && !base; i++) /* verbatim URLs only: a base that leads nowhere else */
        base = signals[i].verbatim;
    if (!check_endpoint(base, err))
        return false;
    put(out, "OTEL_EXPORTER_OTLP_ENDPOINT", base);
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    for (size_t i = 0; i < 3; i++) {
        char *url = signals[i].verbatim ? xstrdup(signals[i].verbatim)
                                        : xasprintf("%.*s/v1/%s", (int)len, base, signals[i].path);
        bool ok = check_endpoint(url, err);
        if (ok)
            put(out, signals[i].name, url);
        free(url);
        if (!ok)
            return false;
    }
    return true;
}

static void put_exporters(const struct settings_options *o, struct environment *out)
{
    const struct {
        const char *name;
        bool wanted;
    } exporters[] = {
        {"OTEL_METRICS_EXPORTER", o->metrics},
        {"OTEL_LOGS_EXPORTER", o->logs},
        {"OTEL_TRACES_EXPORTER", o->traces},
    };
    for (size_t i = 0; i < 3; i++) {
        if (exporters[i].wanted)
            put(out, exporters[i].name, "otlp");
        else if (environment_none_is_safe(o->installs))
            put(out, exporters[i].name, "none");
        /* else left out, which means off; what a shell turns on still goes to our endpoint */
    }
    put(out, "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA", o->traces ? "1" : "0");
    put(out, "ENABLE_ENHANCED_TELEMETRY_BETA", o->traces ? "1" : "0");
}

static void put_headers(const char *value, struct environment *out)
{
    put(out, "OTEL_EXPORTER_OTLP_HEADERS", value);
    put(out, "OTEL_EXPORTER_OTLP_METRICS_HEADERS", value);
    put(out, "OTEL_EXPORTER_OTLP_LOGS_HEADERS", value);
    put(out, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", value);
}

/* The attributes for everyone, then this user's, later ones winning. */
static size_t gather_attributes(const struct settings_options *o, const struct settings_user *user,
                                struct settings_pair pairs[MAX_PAIRS])
{
    size_t n = 0;
    for (size_t i = 0; i < o->resource_attribute_count && n < MAX_PAIRS - 1; i++)
        pairs[n++] = o->resource_attributes[i];
    if (user && user->email && *user->email && o->mode == SETTINGS_RELAY)
        pairs[n++] = (struct settings_pair){"user.email", user->email};
    for (size_t i = 0; user && i < user->attribute_count && n < MAX_PAIRS; i++)
        pairs[n++] = user->attributes[i];
    return n;
}

static bool put_attributes(const struct settings_options *o, const struct settings_user *user,
                           struct environment *out, struct error *err)
{
    struct settings_pair *pairs = xcalloc(MAX_PAIRS, sizeof *pairs);
    size_t n = gather_attributes(o, user, pairs);
    const char *name = service_name;
    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i].name, "service.name") == 0 && pairs[i].value && *pairs[i].value)
            name = pairs[i].value;
    struct buffer text = {.max_bytes = MAX_VALUE_BYTES};
    bool ok = encode_attributes(pairs, n, &text);
    /* Claude Code copies these onto every record, so no more than needed; but never none, because
     * an empty value does not keep a shell's attributes out. */
    if (ok && text.len == 0) {
        const struct settings_pair least = {"service.name", name};
        ok = encode_attributes(&least, 1, &text);
    }
    ok = ok && buffer_text(&text);
    if (ok) {
        put(out, "OTEL_SERVICE_NAME", name);
        put(out, "OTEL_RESOURCE_ATTRIBUTES", buffer_text(&text));
    } else {
        error_set(err, FAIL_TOO_LARGE, "the resource attributes are too long");
        error_remedy(err, "shorten claude.resource_attributes");
    }
    buffer_clear(&text);
    free(pairs);
    return ok;
}

static bool names_host(const char *list, const char *host)
{
    size_t len = strlen(host);
    for (const char *at = list; (at = strstr(at, host)); at += len) {
        bool starts = at == list || at[-1] == ',' || at[-1] == ' ';
        if (starts && (at[len] == '\0' || at[len] == ',' || at[len] == ' '))
            return true;
    }
    return false;
}

/* Some versions send even loopback requests through a proxy unless NO_PROXY names it. */
static void put_no_proxy(const struct proxy_facts *proxy, struct environment *out)
{
    if (!proxy || !proxy->proxy || !*proxy->proxy)
        return;
    static const char *const hosts[] = {"127.0.0.1", "localhost", "::1"};
    char *list = xstrdup(proxy->no_proxy ? proxy->no_proxy : "");
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        if (strcmp(list, "*") == 0 || names_host(list, hosts[i]))
            continue;
        char *longer = xasprintf("%s%s%s", list, *list ? "," : "", hosts[i]);
        free(list);
        list = longer;
    }
    put(out, "NO_PROXY", list);
    put(out, "no_proxy", list);
    free(list);
}

static bool is_loopback(const char *url)
{
    return url &&
           (strstr(url, "://127.") || strstr(url, "://localhost") || strstr(url, "://[::1]"));
}

static bool put_common(const struct settings_options *o, const struct proxy_facts *proxy,
                       struct environment *out, struct error *err)
{
    if (!put_endpoints(o, out, err))
        return false;
    put_exporters(o, out);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        put(out, fixed[i].name, fixed[i].value);
    const char *prompts = o->log_user_prompts ? "1" : "0";
    put(out, "OTEL_LOG_USER_PROMPTS", prompts);
    put(out, "OTEL_LOG_ASSISTANT_RESPONSES", prompts); /* a turn is shown whole or not at all */
    put(out, "OTEL_LOG_TOOL_DETAILS", o->log_tool_details ? "1" : "0");
    if (is_loopback(o->endpoint))
        put_no_proxy(proxy, out);
    return true;
}

static bool users_carry_headers(const struct settings_options *o)
{
    for (size_t i = 0; i < o->user_count; i++)
        if (o->users[i].header_count > 0)
            return true;
    return false;
}

static bool put_header_pairs(const struct settings_options *o, const struct settings_user *user,
                             struct environment *out, struct error *err)
{
    struct buffer text = {.max_bytes = MAX_VALUE_BYTES};
    bool ok = encode_headers(o->headers, o->header_count, &text, err) &&
              (!user || encode_headers(user->headers, user->header_count, &text, err));
    if (ok)
        put_headers(text.len > 0 ? buffer_text(&text) : harmless_headers, out);
    buffer_clear(&text);
    return ok;
}

bool environment_managed(const struct settings_options *o, const struct proxy_facts *proxy,
                         struct environment *out, struct error *err)
{
    *out = (struct environment){0};
    bool ok = put_common(o, proxy, out, err);
    /* A managed value beats the user's file, so what differs per person has to stay out of it.
     * With the relay only a local token does: the relay itself knows whose connection it is. */
    bool direct_users = o->user_env && o->mode == SETTINGS_DIRECT;
    if (ok && !direct_users)
        ok = put_attributes(o, NULL, out, err);
    if (ok && !direct_users && !(o->user_env && users_carry_headers(o)))
        ok = put_header_pairs(o, NULL, out, err);
    if (!ok)
        environment_clear(out);
    return ok;
}

bool environment_user(const struct settings_options *o, const struct settings_user *user,
                      const struct proxy_facts *proxy, struct environment *out, struct error *err)
{
    *out = (struct environment){0};
    bool ok = put_common(o, proxy, out, err) && put_attributes(o, user, out, err) &&
              put_header_pairs(o, user, out, err);
    if (!ok)
        environment_clear(out);
    return ok;
}
