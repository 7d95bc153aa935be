#include "doctor/redact.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "doctor/format.h"
#include "doctor/probe.h"
#include "doctor/scene.h"
#include "platform/platform.h"

enum { LEAST_SECRET = 6, MAX_SECRET_FILE = 64 * 1024 };

static const char mask[] = "***";

/* ---- What is known ---- */

static void add_one(struct secrets *s, const char *value, size_t len)
{
    while (len > 0 && isspace((unsigned char)value[len - 1]))
        len--;
    while (len > 0 && isspace((unsigned char)*value))
        value++, len--;
    if (len < LEAST_SECRET)
        return;
    s->list = xrealloc(s->list, (s->count + 2) * sizeof *s->list);
    s->list[s->count++] = xstrndup(value, len);
    if (!memchr(value, '"', len) && !memchr(value, '\\', len))
        return;
    char *escaped = xcalloc(2 * len + 1, 1); /* as it stands in a JSON document */
    for (size_t i = 0, n = 0; i < len; i++) {
        if (value[i] == '"' || value[i] == '\\')
            escaped[n++] = '\\';
        escaped[n++] = value[i];
    }
    s->list[s->count++] = escaped;
}

void secrets_add(struct secrets *s, const char *value)
{
    if (!value)
        return;
    add_one(s, value, strlen(value));
    const char *blank = strrchr(value, ' ');
    if (blank)
        add_one(s, blank + 1, strlen(blank + 1));
}

/* A header that carries a secret: by its name, or because nobody writes such a value for show. */
static bool is_secret_header(const char *name, size_t name_len, size_t value_len)
{
    static const char *const words[] = {"auth",   "token",    "key",       "secret",
                                        "cookie", "password", "credential"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (size_t at = 0, n = strlen(words[i]); at + n <= name_len; at++)
            if (strncasecmp(name + at, words[i], n) == 0)
                return true;
    return value_len >= 20;
}

/* "k=v,k=v": the values, whole and as they would be without their encoding's blanks. */
static void add_headers(struct secrets *s, const char *headers)
{
    for (const char *at = headers; *at;) {
        size_t len = strcspn(at, ",");
        const char *equals = memchr(at, '=', len);
        const char *colon = memchr(at, ':', len);
        const char *value = equals && (!colon || equals < colon) ? equals : colon;
        size_t name_len = value ? (size_t)(value - at) : 0;
        if (value && is_secret_header(at, name_len, len - name_len)) {
            char *text = xstrndup(value + 1, len - (size_t)(value + 1 - at));
            secrets_add(s, text);
            free(text);
        }
        at += len + (at[len] == ',');
    }
}

static void add_file(struct secrets *s, const struct scene *scene, const char *system_path)
{
    struct buffer text = {.max_bytes = MAX_SECRET_FILE};
    struct error ignored;
    char *path = platform_under_root(scene->root, system_path);
    if (fs_read_file(scene->fs, path, &text, &ignored) && buffer_text(&text))
        add_one(s, buffer_text(&text), strlen(buffer_text(&text)));
    buffer_clear(&text);
    free(path);
}

/* A template's own text, and the content of every file and variable that it names. */
static void add_template(struct secrets *s, const struct scene *scene, const char *template)
{
    const char *at = template;
    if (!strstr(template, "${"))
        secrets_add(s, template);
    while ((at = strstr(at, "${file:"))) {
        at += strlen("${file:");
        char *path = xstrndup(at, strcspn(at, "}"));
        add_file(s, scene, path);
        free(path);
    }
    at = template;
    while ((at = strstr(at, "${env:"))) {
        at += strlen("${env:");
        char *name = xstrndup(at, strcspn(at, "}"));
        secrets_add(s, getenv(name));
        free(name);
    }
}

static void add_helper_line(void *context, const char *line)
{
    const char *value = strchr(line, ':');
    secrets_add(context, value ? value + 1 : line);
}

static void add_config(struct secrets *s, const struct scene *scene)
{
    const struct config *values = scene->config->values;
    const char *secret_file = config_text(values, "server.enrollment_secret_file");
    if (secret_file)
        add_file(s, scene, secret_file);
    for (size_t i = 0; i < config_section_count(values, "destinations"); i++) {
        const struct config *d = config_section_at(values, "destinations", i);
        for (size_t k = 0; k < config_map_count(d, "headers"); k++) {
            const char *text, *name = config_map_at(d, "headers", k, &text);
            if (strstr(text, "${") || is_secret_header(name, strlen(name), strlen(text)))
                add_template(s, scene, text);
        }
    }
}

void secrets_collect(struct secrets *s, const struct scene *scene)
{
    if (scene->has_device)
        secrets_add(s, scene->device.token);
    if (scene->config)
        add_config(s, scene);
    if (scene->probes)
        probe_each_helper_line(scene->probes, add_helper_line, s);
    for (size_t v = 0; v < scene->view_count; v++)
        for (size_t i = 0; i < scene->views[v]->entry_count; i++) {
            const struct view_entry *e = &scene->views[v]->entries[i];
            if (!e->value || !format_is_secret_variable(e->name))
                continue;
            if (!strpbrk(e->value, "=:"))
                secrets_add(s, e->value);
            add_headers(s, e->value);
        }
}

void secrets_clear(struct secrets *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->list[i]);
    free(s->list);
    *s = (struct secrets){0};
}

/* ---- What looks like one ---- */

static bool is_token_character(char c)
{
    return isalnum((unsigned char)c) || strchr("._~+/=-", c);
}

static size_t token_len(const char *at, const char *end)
{
    size_t len = 0;
    while (at + len < end && is_token_character(at[len]))
        len++;
    return len;
}

static size_t known_at(const struct secrets *s, const char *at, const char *end)
{
    size_t longest = 0;
    for (size_t i = 0; s && i < s->count; i++) {
        size_t len = strlen(s->list[i]);
        if (len <= (size_t)(end - at) && len > longest && memcmp(at, s->list[i], len) == 0)
            longest = len;
    }
    return longest;
}

static bool begins(const char *at, const char *end, const char *word)
{
    size_t len = strlen(word);
    return len <= (size_t)(end - at) && strncasecmp(at, word, len) == 0;
}

/* A token by its beginning; how many bytes of it stay, in `keep`. */
static size_t shaped_at(const char *start, const char *at, const char *end, size_t *keep)
{
    static const char *const schemes[] = {"Bearer ", "Basic ", "Bearer%20"};
    static const char *const prefixes[] = {"ct_", "sk-", "ghp_", "xoxb-", "eyJ"};
    bool at_word = at == start || !is_token_character(at[-1]);
    for (size_t i = 0; i < 3 && at_word; i++)
        if (begins(at, end, schemes[i])) {
            *keep = strlen(schemes[i]);
            size_t len = token_len(at + *keep, end);
            return len >= LEAST_SECRET ? *keep + len : 0;
        }
    for (size_t i = 0; i < 5 && at_word; i++)
        if (begins(at, end, prefixes[i])) {
            *keep = strlen(prefixes[i]);
            size_t len = token_len(at, end);
            return len >= *keep + LEAST_SECRET ? len : 0;
        }
    return 0;
}

/* "//user:password@" and "?token=...": what stands in a URL. */
static size_t in_url_at(const char *at, const char *end, size_t *keep)
{
    if (begins(at, end, "://")) {
        size_t len = 3;
        while (at + len < end && at[len] != '@' && !strchr("/ \t\n\"'\\,", at[len]))
            len++;
        *keep = 3;
        return at + len < end && at[len] == '@' ? len : 0;
    }
    if ((*at == '?' || *at == '&') && at + 1 < end && isalpha((unsigned char)at[1])) {
        const char *equals = at + 1;
        while (equals < end &&
               (isalnum((unsigned char)*equals) || *equals == '_' || *equals == '-'))
            equals++;
        if (equals == end || *equals != '=')
            return 0;
        *keep = (size_t)(equals + 1 - at);
        return *keep + token_len(equals + 1, end);
    }
    return 0;
}

static bool names_secret(const char *name, size_t len)
{
    static const char *const words[] = {"token",           "secret",        "password",
                                        "passwd",          "authorization", "apikey",
                                        "api_key",         "api-key",       "cookie",
                                        "credential",      "private",       "headers",
                                        "prompt",          "response",      "tool_input",
                                        "tool_parameters", "full_command"};
    static const char *const harmless[] = {"_file", "_required", "_tokens", "_prompts"};
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(harmless[i]);
        if (len >= n && strncasecmp(name + len - n, harmless[i], n) == 0)
            return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        for (size_t at = 0; at + n <= len; at++)
            if (strncasecmp(name + at, words[i], n) == 0)
                return true;
    }
    return false;
}

/* `name: value`, `"name": "value"`, `name=value`; keeps all but the value. */
static size_t named_at(const char *start, const char *at, const char *end, size_t *keep)
{
    size_t len = 0;
    if (at > start && (isalnum((unsigned char)at[-1]) || strchr("_.-", at[-1])))
        return 0;
    while (at + len < end && (isalnum((unsigned char)at[len]) || strchr("_.-", at[len])))
        len++;
    if (len == 0 || !names_secret(at, len))
        return 0;
    const char *c = at + len;
    while (c < end && (*c == '"' || *c == '\''))
        c++;
    while (c < end && *c == ' ')
        c++;
    if (c == end || (*c != ':' && *c != '='))
        return 0;
    do
        c++;
    while (c < end && *c == ' ');
    if (c == end || strchr("{[\n\r", *c))
        return 0;
    char quote = *c == '"' || *c == '\'' ? *c : '\0';
    c += quote != '\0';
    *keep = (size_t)(c - at);
    if (quote)
        for (; c < end && *c != quote && *c != '\n'; c++)
            c += *c == '\\' && c + 1 < end;
    else
        while (c < end && !strchr(",}\n\r\"", *c))
            c++;
    return (size_t)(c - at) > *keep ? (size_t)(c - at) : 0;
}

/* The part of an address before its '@'. */
static size_t email_at(const char *start, const char *at, const char *end)
{
    size_t len = 0, domain;
    if (at > start && (isalnum((unsigned char)at[-1]) || strchr("._+-", at[-1])))
        return 0;
    while (at + len < end && (isalnum((unsigned char)at[len]) || strchr("._+-", at[len])))
        len++;
    if (len == 0 || at + len == end || at[len] != '@')
        return 0;
    domain = len + 1;
    while (at + domain < end && (isalnum((unsigned char)at[domain]) || strchr(".-", at[domain])))
        domain++;
    return memchr(at + len, '.', domain - len) ? len : 0;
}

typedef size_t find_secret(const struct redact_options *options, const char *start, const char *at,
                           const char *end, size_t *keep);

static size_t find_known(const struct redact_options *options, const char *start, const char *at,
                         const char *end, size_t *keep)
{
    (void)start;
    *keep = 0;
    return known_at(options->secrets, at, end);
}

static size_t find_likely(const struct redact_options *options, const char *start, const char *at,
                          const char *end, size_t *keep)
{
    size_t len = shaped_at(start, at, end, keep);
    if (len == 0)
        len = in_url_at(at, end, keep);
    if (len == 0 && options->by_name)
        len = named_at(start, at, end, keep);
    if (len > 0 || !options->emails)
        return len;
    *keep = 0;
    return email_at(start, at, end);
}

/* Copies the text with what `find` finds replaced, but for the `keep` bytes at its beginning. */
static bool replace(struct bytes text, const struct redact_options *options, find_secret *find,
                    struct buffer *out)
{
    const char *start = (const char *)text.data, *end = start + text.len;
    size_t before = out->len;
    for (const char *at = start; at < end;) {
        size_t keep = 0;
        size_t len = find(options, start, at, end, &keep);
        bool ok = len == 0
                      ? buffer_append_byte(out, (uint8_t)*at)
                      : buffer_append(out, bytes_make(at, keep)) && buffer_append_text(out, mask);
        if (!ok) {
            out->len = before;
            return false;
        }
        at += len == 0 ? 1 : len;
    }
    return true;
}

/* Known ones first: a name that is kept before a likely one might hold one. */
bool redact(struct bytes text, const struct redact_options *options, struct buffer *out)
{
    if (text.len == 0)
        return true;
    struct buffer half = {.max_bytes = 4 * text.len + 64};
    bool ok = replace(text, options, find_known, &half) &&
              replace(buffer_bytes(&half), options, find_likely, out);
    buffer_clear(&half);
    return ok;
}
