#include "doctor/format.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/compiler.h"

static struct format_verdict good(void)
{
    return (struct format_verdict){0};
}

static struct format_verdict bad(const char *fix, const char *seen, ...) PRINTF_LIKE(2, 3);
static struct format_verdict bad(const char *fix, const char *seen, ...)
{
    struct format_verdict v = {.is_bad = true};
    va_list args;
    va_start(args, seen);
    vsnprintf(v.seen, sizeof v.seen, seen, args);
    va_end(args);
    snprintf(v.fix, sizeof v.fix, "%s", fix);
    return v;
}

static bool is_name_character(char c)
{
    return isalnum((unsigned char)c) || strchr("!#$&'*+-.^_`|~", c);
}

/* One pair of a list, as the exporter sees it. */
struct pair {
    const char *name, *value; /* value NULL: there is no '=' */
    size_t name_len, value_len;
};

static struct pair pair_at(const char *start, size_t len)
{
    while (len > 0 && start[0] == ' ')
        start++, len--;
    while (len > 0 && start[len - 1] == ' ')
        len--;
    const char *equals = memchr(start, '=', len);
    struct pair p = {.name = start, .name_len = equals ? (size_t)(equals - start) : len};
    if (equals) {
        p.value = equals + 1;
        p.value_len = len - p.name_len - 1;
    }
    return p;
}

static const char header_form[] =
    "write NAME=VALUE, several separated by commas, without quotes or line breaks: "
    "Authorization=Bearer TOKEN,X-Team=platform";

static struct format_verdict judge_header_name(const struct pair *p)
{
    for (size_t i = 0; i < p->name_len; i++)
        if (!is_name_character(p->name[i]))
            return bad(header_form, "the header name '%.*s' holds %s: no signal is sent at all",
                       (int)(p->name_len > 40 ? 40 : p->name_len), p->name,
                       p->name[i] == ' ' ? "a blank" : "a character that no header name may have");
    return good();
}

static struct format_verdict judge_header(const struct pair *p)
{
    const char *colon = memchr(p->name, ':', p->name_len);
    if (!p->value || (colon && colon < p->name + p->name_len)) {
        if (colon)
            return bad(header_form,
                       "'%.*s: ...' is written like an HTTP header, with a colon: the header is "
                       "not sent, and the receiver answers 401",
                       (int)(colon - p->name), p->name);
        return bad(header_form, "a part has no '=': it is not sent, and the receiver may answer "
                                "401");
    }
    struct format_verdict v = judge_header_name(p);
    if (v.is_bad)
        return v;
    if (p->name_len == 0 || p->value_len == 0)
        return bad(header_form, "a header has an empty %s: it is not sent",
                   p->name_len == 0 ? "name" : "value");
    if (p->value[0] == '"' || p->value[0] == '\'')
        return bad(header_form,
                   "the value of '%.*s' is in quotes, which are sent as part of it: the receiver "
                   "answers 401",
                   (int)p->name_len, p->name);
    if (memchr(p->value, '%', p->value_len))
        return bad("write the value of the header as it is, without percent signs",
                   "the value of '%.*s' is percent-encoded, and Claude Code sends it undecoded: "
                   "the receiver sees another value",
                   (int)p->name_len, p->name);
    if (memchr(p->value, ';', p->value_len))
        return bad("use a value without a semicolon",
                   "the value of '%.*s' holds a semicolon, which cuts it off", (int)p->name_len,
                   p->name);
    return good();
}

struct format_verdict format_headers(const char *value)
{
    for (const char *c = value; *c; c++) {
        if (*c == '\n' || *c == '\r')
            return bad(header_form, "the headers hold a line break: no signal is sent at all");
        if ((unsigned char)*c >= 0x80)
            return bad(header_form,
                       "the headers hold a character outside ASCII: no signal is sent at all");
    }
    if (value[strspn(value, " ")] == '{')
        return bad(header_form, "the headers are written as JSON: none is sent, and the receiver "
                                "answers 401");
    for (const char *at = value; *at;) {
        size_t len = strcspn(at, ",");
        struct pair p = pair_at(at, len);
        if (p.name_len > 0 || p.value) {
            struct format_verdict v = judge_header(&p);
            if (v.is_bad)
                return v;
        }
        at += len + (at[len] == ',');
    }
    return good();
}

/* Appends the pair as it should be: unreserved characters and '@', the rest percent-encoded. */
static void encode(const char *text, size_t len, bool is_value, char *out, size_t size)
{
    size_t used = strlen(out);
    for (size_t i = 0; i < len && used + 4 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_escape = is_value && c == '%' && i + 2 < len &&
                         isxdigit((unsigned char)text[i + 1]) &&
                         isxdigit((unsigned char)text[i + 2]);
        if (isalnum(c) || strchr("-._~@", c) || is_escape)
            out[used++] = (char)c;
        else
            used += (size_t)snprintf(out + used, size - used, "%%%02X", c);
    }
    out[used] = '\0';
}

static const char *attribute_fault(const struct pair *p)
{
    if (!p->value)
        return "has no '='";
    if (memchr(p->value, '=', p->value_len))
        return "has a second '='";
    if (p->name_len == 0 || p->name_len > 255 || p->value_len > 255)
        return "has no name, or more than 255 characters";
    for (size_t i = 0; i < p->name_len; i++)
        if (p->name[i] <= ' ' || p->name[i] > '~')
            return "has a blank or a character outside ASCII in its name";
    for (size_t i = 0; i < p->value_len; i++) {
        char c = p->value[i];
        if (c == ' ')
            return "holds a blank";
        if (c < ' ' || c > '~')
            return "holds a character outside ASCII";
        if (c == '"' || c == ';' || c == '\\')
            return "holds a quote, a semicolon or a backslash";
        if (c == '%' && !(i + 2 < p->value_len && isxdigit((unsigned char)p->value[i + 1]) &&
                          isxdigit((unsigned char)p->value[i + 2])))
            return "holds a percent sign that encodes nothing";
    }
    return NULL;
}

/* A pair without '=', or with two, is passed over; any other fault spoils the variable. */
static bool is_passed_over(const struct pair *p)
{
    return !p->value || memchr(p->value, '=', p->value_len);
}

struct format_verdict format_attributes(const char *value, bool drops_all)
{
    char better[FORMAT_FIX_BYTES - 40] = "";
    struct format_verdict v = good();
    for (const char *at = value; *at;) {
        size_t len = strcspn(at, ",");
        /* Blanks around a pair count here: the parser does not trim them away. */
        const char *equals = memchr(at, '=', len);
        struct pair p = {at, equals ? equals + 1 : NULL, equals ? (size_t)(equals - at) : len,
                         equals ? len - (size_t)(equals - at) - 1 : 0};
        const char *fault = len > 0 ? attribute_fault(&p) : NULL;
        if (fault && !v.is_bad) {
            bool only_it = is_passed_over(&p) || !drops_all;
            v = bad("", "'%.*s' %s: %s", (int)(len > 60 ? 60 : len), at, fault,
                    only_it ? "this attribute is lost or left off records"
                            : "every attribute of the variable is dropped, without a word");
        }
        struct pair trimmed = pair_at(at, len);
        if (trimmed.value && trimmed.name_len > 0) {
            size_t used = strlen(better);
            snprintf(better + used, sizeof better - used, "%s", used > 0 ? "," : "");
            encode(trimmed.name, trimmed.name_len, false, better, sizeof better - 1);
            used = strlen(better);
            snprintf(better + used, sizeof better - used, "=");
            encode(trimmed.value, trimmed.value_len, true, better, sizeof better);
        }
        at += len + (at[len] == ',');
    }
    if (v.is_bad)
        snprintf(v.fix, sizeof v.fix, "%s", better);
    return v;
}

static const char endpoint_form[] = "http://127.0.0.1:14318";

static const char *path_of(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    return host + strcspn(host, "/?#");
}

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && memcmp(text + len - n, end, n) == 0;
}

static struct format_verdict judge_endpoint_path(const char *value, const char *signal,
                                                 const char *protocol)
{
    const char *path = path_of(value);
    size_t len = strcspn(path, "?#");
    bool is_grpc = protocol && strcmp(protocol, "grpc") == 0;
    char better[FORMAT_FIX_BYTES];
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (path[strcspn(path, "?#")] == '?') {
        snprintf(better, sizeof better, "%.*s", (int)(strchr(value, '?') - value), value);
        return bad(better, "the endpoint has a query, which Claude Code does not send: what the "
                           "query should say, such as a token, is missing");
    }
    if (is_grpc)
        return good();
    static const char *const signals[] = {"/v1/logs", "/v1/metrics", "/v1/traces"};
    for (size_t i = 0; i < 3 && !signal; i++)
        if (ends_with(path, len, signals[i])) {
            snprintf(better, sizeof better, "%.*s",
                     (int)(path + len - value) - (int)strlen(signals[i]), value);
            return bad(better,
                       "the general endpoint ends in %s, and Claude Code appends %s again: it "
                       "posts to %s%s",
                       signals[i], signals[i], signals[i], signals[i]);
        }
    if (signal && len <= 1) {
        snprintf(better, sizeof better, "%.*s/v1/%s", (int)(path - value), value, signal);
        return bad(better,
                   "the endpoint for %s has no path, and is used as it is: Claude Code posts to /",
                   signal);
    }
    return good();
}

static struct format_verdict judge_endpoint_port(const char *value, const char *protocol)
{
    const char *host = strstr(value, "://") + 3;
    const char *end = path_of(value);
    const char *colon = NULL;
    for (const char *c = host; c < end; c++)
        colon = *c == ':' ? c : *c == ']' ? NULL : colon;
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    bool is_grpc = protocol && strcmp(protocol, "grpc") == 0;
    if (colon && (port < 1 || port > 65535))
        return bad(endpoint_form, "'%.80s' names no valid port: nothing is sent", value);
    char better[FORMAT_FIX_BYTES];
    if (!is_grpc && protocol && port == 4317) {
        snprintf(better, sizeof better, "%.*s:4318%s", (int)(colon - value), value, end);
        return bad(better,
                   "port 4317 is the custom of OTLP/gRPC, and the protocol is %s: nothing "
                   "arrives",
                   protocol);
    }
    if (is_grpc && port == 4318) {
        snprintf(better, sizeof better, "%.*s:4317%s", (int)(colon - value), value, end);
        return bad(better, "port 4318 is the custom of OTLP/HTTP, and the protocol is grpc: "
                           "nothing arrives");
    }
    return good();
}

struct format_verdict format_endpoint(const char *value, const char *signal, const char *protocol)
{
    bool is_grpc = protocol && strcmp(protocol, "grpc") == 0;
    if (!*value)
        return bad(endpoint_form, "the endpoint is empty: nothing is sent");
    if (strpbrk(value, "\"'"))
        return bad(endpoint_form, "the endpoint %.80s holds quotes: nothing is sent", value);
    if (strpbrk(value, " \t\r\n"))
        return bad(endpoint_form, "the endpoint '%.80s' holds a blank: nothing is sent", value);
    if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0) {
        char better[FORMAT_FIX_BYTES];
        snprintf(better, sizeof better, "http://%s", strstr(value, "://") ? "HOST:PORT" : value);
        return bad(better, "the endpoint '%.80s' has no scheme http:// or https://: %s", value,
                   is_grpc ? "gRPC then means TLS, and a plain receiver gets nothing"
                           : "nothing is sent");
    }
    const char *host = strstr(value, "://") + 3;
    if (*host == '\0' || *host == '/' || *host == ':')
        return bad(endpoint_form, "the endpoint '%.80s' names no host: nothing is sent", value);
    struct format_verdict v = judge_endpoint_path(value, signal, protocol);
    return v.is_bad ? v : judge_endpoint_port(value, protocol);
}

struct format_verdict format_protocol(const char *value)
{
    static const char *const known[] = {"http/protobuf", "http/json", "grpc"};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(value, known[i]) == 0)
            return good();
    return bad(strcasecmp(value, "grpc") == 0        ? "grpc"
               : strcasecmp(value, "http/json") == 0 ? "http/json"
                                                     : "http/protobuf",
               "'%.60s' is no protocol (http/protobuf, http/json or grpc, in lower case): nothing "
               "is sent",
               value);
}

struct format_verdict format_exporter(const char *value, bool is_metrics)
{
    bool sends = false, prints = false;
    for (const char *at = value; *at;) {
        size_t len = strcspn(at, ",");
        struct pair p = pair_at(at, len);
        char word[32];
        snprintf(word, sizeof word, "%.*s", (int)p.name_len, p.name);
        if (strcmp(word, "otlp") == 0)
            sends = true;
        else if (strcmp(word, "console") == 0)
            prints = true;
        else if (strcmp(word, "none") != 0 && !(is_metrics && strcmp(word, "prometheus") == 0))
            return bad("otlp", "'%.60s' is no exporter: nothing is sent, of any signal", word);
        at += len + (at[len] == ',');
    }
    if (prints)
        return bad("otlp", "'%.60s' prints records into Claude Code's own output%s", value,
                   sends ? "" : ", and nothing is sent");
    return good();
}

struct format_verdict format_number(const char *value, long least, const char *effect)
{
    char *end;
    char text[48];
    long number = strtol(value, &end, 10);
    snprintf(text, sizeof text, "a whole number of at least %ld", least);
    if (end == value || *end != '\0')
        return bad(text, "'%.40s' is no whole number: it counts as 0: %s", value, effect);
    if (number < least)
        return bad(text, "%ld: %s", number, effect);
    return good();
}

bool format_is_on(const char *value)
{
    static const char *const words[] = {"1", "true", "yes", "on"};
    for (size_t i = 0; i < 4; i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

size_t format_origin_len(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

bool format_is_local(const char *url)
{
    return strstr(url, "://127.") || strstr(url, "://localhost") || strstr(url, "://[::1]");
}
